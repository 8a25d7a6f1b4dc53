//! `headend reads METER`: the intervals of a meter, as the CSV export has them; its counters and
//! momentary values as read; or its events.

use jiff::tz::TimeZone;
use metering::{ChannelKind, ChannelNo, Subject, UtcTime};
use store::Database;
use store::views::activity;
use store::views::export::{self, ExportFilter};
use store::views::meters::{self, ChannelInfo, MeterDetail};
use store::views::series::{self, RegisterRow};

use super::cli::{ReadsArgs, instant};
use super::exit::{Exit, Failure};
use crate::output::{Cell, List, OutputFormat, remark};

const DAY_S: i64 = 86_400;
/// Registers of one call; as many as the API gives.
const ROWS_MAX: u32 = 1_000;
const REGISTER_COLUMNS: &[&str] =
    &["meter_id", "channel", "field", "read_at", "value", "unit", "raw", "decimals", "quality"];
/// The columns of the export, `operations.md` 6.
const COLUMNS: &[&str] = &[
    "meter_id",
    "channel",
    "interval_start",
    "interval_end",
    "value",
    "unit",
    "quality",
    "version",
];

pub(super) async fn run(database: &Database, args: &ReadsArgs, now: UtcTime) -> anyhow::Result<()> {
    let meter = meters::by_number(database, &args.meter, now).await?.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no meter {}: `headend meters list`", args.meter))
    })?;
    let zone = zone_named(args.zone.as_deref(), &meter)?;
    let range = range_of((&args.from, &args.to), DAY_S, &zone, now)?;
    if args.events {
        return events(database, &meter, range, (&zone, args.output.format())).await;
    }
    let channel = args.channel.as_deref();
    let instant = channel.is_some_and(|text| {
        meter.channels.iter().any(|info| is(info, text) && info.kind == ChannelKind::Instant)
    });
    if args.registers || instant {
        let channel = channel.map(|text| any_channel(&meter, text)).transpose()?;
        let rows = series::registers(database, (meter.meter, channel), range, ROWS_MAX).await?;
        return registers(&meter, &rows, range, (&zone, args.output.format()));
    }
    let channel = channel.map(|text| channel_of(&meter, text)).transpose()?;
    let number = Some(meter.number.clone());
    let filter = ExportFilter { number, channel, ..ExportFilter::default() };
    let mut stream = export::reads(database, filter, range, now)?;
    let mut list = List::new(COLUMNS);
    while let Some(row) = stream.next().await? {
        list.push(vec![
            Cell::text(row.number.as_ref()),
            Cell::number(row.channel),
            Cell::text(stamp(row.start, &zone)),
            Cell::text(stamp(row.end, &zone)),
            Cell::milli(row.value),
            Cell::text(row.reading_type.base_unit().symbol()),
            Cell::text(row.status.word()),
            Cell::number(row.version),
        ]);
    }
    list.print(args.output.format())?;
    if list.is_empty() && args.output.format() == OutputFormat::Table {
        remark!("no intervals between {} and {}", stamp(range.0, &zone), stamp(range.1, &zone));
        let read = series::registers(database, (meter.meter, channel), range, ROWS_MAX).await?;
        if !read.is_empty() {
            remark!("{} counters and momentary values: add --registers", read.len());
        }
    }
    Ok(())
}

fn is(info: &ChannelInfo, text: &str) -> bool {
    info.field == text || info.channel.to_string() == text
}

fn any_channel(meter: &MeterDetail, text: &str) -> Result<ChannelNo, Failure> {
    let found = meter.channels.iter().find(|info| is(info, text));
    found.map(|info| info.channel).ok_or_else(|| {
        let known: Vec<String> = meter
            .channels
            .iter()
            .map(|info| format!("{} ({})", info.channel, info.field))
            .collect();
        let what = format!("the channel {text} is not there; there are: {}", known.join(", "));
        Failure::new(Exit::Data, what)
    })
}

/// Newest first, as the API has them.
fn registers(
    meter: &MeterDetail,
    rows: &[RegisterRow],
    range: (UtcTime, UtcTime),
    (zone, format): (&TimeZone, OutputFormat),
) -> anyhow::Result<()> {
    let mut list = List::new(REGISTER_COLUMNS);
    for row in rows {
        let field = meter.channels.iter().find(|info| info.channel == row.channel);
        list.push(vec![
            Cell::text(&meter.number),
            Cell::number(row.channel),
            Cell::text(field.map_or("", |info| info.field.as_str())),
            Cell::text(stamp(row.read_at, zone)),
            Cell::milli(row.value),
            Cell::text(row.reading_type.base_unit().symbol()),
            Cell::number(row.raw),
            Cell::number(row.decimals),
            Cell::text(row.status.word()),
        ]);
    }
    list.print(format)?;
    told_none(&list, "counters or momentary values", range, (zone, format));
    told_cut(rows.len());
    Ok(())
}

async fn events(
    database: &Database,
    meter: &MeterDetail,
    range: (UtcTime, UtcTime),
    (zone, format): (&TimeZone, OutputFormat),
) -> anyhow::Result<()> {
    let subject = Subject::Meter(meter.meter);
    let rows = activity::events_between(database, subject, range.0, range.1).await?;
    let mut list = List::new(&["meter_id", "at", "event", "detail", "received_at"]);
    for row in &rows {
        list.push(vec![
            Cell::text(&meter.number),
            Cell::text(stamp(row.occurred_at, zone)),
            Cell::text(&row.code_text),
            Cell::text(&row.detail),
            Cell::text(stamp(row.received_at, zone)),
        ]);
    }
    list.print(format)?;
    told_none(&list, "events", range, (zone, format));
    Ok(())
}

fn told_none(
    list: &List,
    what: &str,
    (from, to): (UtcTime, UtcTime),
    (zone, format): (&TimeZone, OutputFormat),
) {
    if list.is_empty() && format == OutputFormat::Table {
        remark!("no {what} between {} and {}", stamp(from, zone), stamp(to, zone));
    }
}

fn told_cut(rows: usize) {
    if u32::try_from(rows).is_ok_and(|rows| rows >= ROWS_MAX) {
        remark!("the newest {rows}; --to with the time of the last one shows those before it");
    }
}

/// A channel by number or by field.
pub(super) fn channel_of(meter: &MeterDetail, text: &str) -> Result<ChannelNo, Failure> {
    let found = meter.channels.iter().find(|info| is(info, text));
    let with_intervals = found.filter(|info| info.kind != ChannelKind::Instant);
    with_intervals.map(|info| info.channel).ok_or_else(|| {
        let known: Vec<String> = meter
            .channels
            .iter()
            .filter(|info| info.kind != ChannelKind::Instant)
            .map(|info| format!("{} ({})", info.channel, info.field))
            .collect();
        let what = if found.is_some() { "has no intervals" } else { "is not there" };
        let known = known.join(", ");
        Failure::new(Exit::Data, format!("the channel {text} {what}; with intervals: {known}"))
    })
}

/// The zone that was asked for, else that of the meter's usage point.
pub(super) fn zone_named(asked: Option<&str>, meter: &MeterDetail) -> Result<TimeZone, Failure> {
    let place = meter.usage_point.as_ref().map(|place| place.time_zone.as_str());
    let name = asked.or(place).unwrap_or("UTC");
    TimeZone::get(name).map_err(|_| {
        Failure::new(Exit::Usage, format!("--zone: `{name}` is no zone of the IANA list"))
    })
}

/// The range between two options, the later of which is now unless said, the earlier `length_s` before.
pub(super) fn range_of(
    (from, to): (&Option<String>, &Option<String>),
    length_s: i64,
    zone: &TimeZone,
    now: UtcTime,
) -> Result<(UtcTime, UtcTime), Failure> {
    let read = |option: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => instant(text, zone)
            .map(Some)
            .map_err(|what| Failure::new(Exit::Usage, format!("{option}: {what}"))),
    };
    let end = read("--to", to)?.unwrap_or(now);
    let start = read("--from", from)?.unwrap_or_else(|| end.plus_seconds(-length_s));
    if start >= end {
        return Err(Failure::new(Exit::Usage, not_before((start, end), to.is_some(), zone)));
    }
    Ok((start, end))
}

/// Why a range is empty; without `--to` it ends now.
pub(super) fn not_before(
    (from, to): (UtcTime, UtcTime),
    to_was_given: bool,
    zone: &TimeZone,
) -> String {
    let (from, to) = (stamp(from, zone), stamp(to, zone));
    if to_was_given {
        format!("--from: {from} is not before --to {to}")
    } else {
        format!("--from: {from} is not before now, {to}: without --to the range ends now")
    }
}

/// ISO 8601 with the offset in force.
pub(super) fn stamp(instant: UtcTime, zone: &TimeZone) -> String {
    let zoned = instant.to_jiff().to_zoned(zone.clone());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
