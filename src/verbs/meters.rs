//! `headend meters list | show`.

use jiff::tz::TimeZone;
use metering::UtcTime;
use store::Database;
use store::views::meters::{self, Battery, MeterDetail, MeterFilter, MeterRow, MeterSort};

use super::cli::MetersListArgs;
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat, Record, say};

pub(super) async fn list(
    database: &Database,
    args: &MetersListArgs,
    zone: &TimeZone,
    now: UtcTime,
) -> anyhow::Result<()> {
    let filter = MeterFilter {
        q: args.query.clone(),
        commodity: args.commodity,
        zone: args.zone.clone(),
        route: args.route.clone(),
        collector: args.collector.clone(),
        tag: args.tag.map(|tag| tag.to_string()),
        issue: None,
        status: None,
    };
    let mut list = List::new(&[
        "number",
        "commodity",
        "address",
        "zone",
        "collector",
        "class",
        "status",
        "last_heard",
        "last_end",
        "last_value",
        "unit",
        "quality_24h_percent",
        "battery",
        "issue",
        "cause",
    ]);
    let mut cursor = None;
    while let Some(limit) = args.page.next(list.len()) {
        let order = (MeterSort::Number, cursor.as_ref());
        let rows = meters::list(database, &filter, order, limit, now).await?;
        for row in &rows.items {
            list.push(line(row, zone));
        }
        cursor = rows.next;
        if cursor.is_none() {
            break;
        }
    }
    list.print(args.output.format())?;
    args.page.tell_more(cursor.is_some());
    Ok(())
}

fn line(row: &MeterRow, zone: &TimeZone) -> Vec<Cell> {
    vec![
        Cell::text(&row.number),
        Cell::text(row.commodity.word()),
        Cell::text(&row.address),
        Cell::text(&row.zone_code),
        Cell::of(row.collector.as_ref()),
        Cell::of(row.class),
        Cell::text(row.status.word()),
        Cell::of(row.last_heard.map(|at| stamp(at, zone))),
        Cell::of(row.last.map(|last| stamp(last.end, zone))),
        row.last.map_or(Cell::Empty, |last| Cell::milli(last.value)),
        Cell::of(row.last.map(|last| last.reading_type.base_unit())),
        Cell::count(row.quality_24h),
        Cell::text(battery(row.battery)),
        Cell::count(row.issue.as_ref().map(|issue| issue.number)),
        Cell::of(row.issue.as_ref().map(|issue| &issue.cause)),
    ]
}

const fn battery(battery: Battery) -> &'static str {
    match battery {
        Battery::Mains => "mains",
        Battery::Good => "good",
        Battery::Low => "low",
    }
}

pub(super) async fn show(
    database: &Database,
    number: &str,
    format: OutputFormat,
    now: UtcTime,
) -> anyhow::Result<()> {
    let meter = meters::by_number(database, number, now).await?.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no meter {number}: `headend meters list`"))
    })?;
    record(&meter).print(format)?;
    if format == OutputFormat::Table {
        say!("")?;
        channels(&meter).print(format)?;
    }
    Ok(())
}

fn record(meter: &MeterDetail) -> Record {
    let place = meter.usage_point.as_ref();
    let zone = place.and_then(|place| TimeZone::get(&place.time_zone).ok());
    let zone = zone.unwrap_or(TimeZone::UTC);
    Record::new(vec![
        ("number", Cell::text(&meter.number)),
        ("serial", Cell::text(&meter.serial)),
        ("sources", Cell::text(meter.sources.join(" "))),
        ("commodity", Cell::text(meter.commodity.word())),
        ("class", Cell::of(place.and_then(|place| place.class))),
        ("address", Cell::of(place.map(|place| &place.address))),
        ("account", Cell::of(place.map(|place| &place.account))),
        ("zone", Cell::of(place.map(|place| &place.zone_code))),
        ("route", Cell::of(place.map(|place| &place.route_code))),
        ("transformer", Cell::of(place.map(|place| &place.transformer))),
        ("time_zone", Cell::of(place.map(|place| &place.time_zone))),
        ("tags", Cell::of(place.map(|place| place.tags.join(" ")))),
        ("collector", Cell::of(meter.collector.as_ref().map(|collector| &collector.code))),
        ("status", Cell::text(meter.status.word())),
        ("last_heard", Cell::of(meter.last_heard.map(|at| stamp(at, &zone)))),
        ("last_interval_end", Cell::of(meter.last_interval_end.map(|at| stamp(at, &zone)))),
        ("battery", Cell::text(battery(meter.battery))),
        ("installed_at", Cell::of(place.map(|place| stamp(place.installed_at, &zone)))),
    ])
}

fn channels(meter: &MeterDetail) -> List {
    let mut list = List::new(&[
        "channel",
        "field",
        "reading_type",
        "kind",
        "unit",
        "multiplier",
        "decimals",
        "modulus",
        "interval_s",
        "delivery_lag_s",
    ]);
    for channel in &meter.channels {
        list.push(vec![
            Cell::number(channel.channel),
            Cell::text(&channel.field),
            Cell::text(channel.reading_type.to_string()),
            Cell::text(channel.kind.word()),
            Cell::text(&channel.unit),
            Cell::number(&channel.multiplier),
            Cell::number(channel.decimals),
            Cell::number(channel.modulus),
            Cell::number(channel.len_s),
            Cell::number(channel.delivery_lag_s),
        ]);
    }
    list
}
