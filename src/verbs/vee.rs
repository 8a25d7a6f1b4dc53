//! `headend vee`: what waits for a person, and what people decide of intervals.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use metering::{ChannelNo, Exact, MeterId, QualityStatus, RuleNo, UtcTime};
use store::Database;
use store::estimation::{BestSlot, SeriesSpan, SlotRange, series};
use store::views::meters::{self, MeterDetail};
use store::views::review::{self, ReviewFilter};
use vee::estimate::Estimate;

use super::cli::{Output, PageArgs, instant};
use super::exit::{Exit, Failure};
use super::reads::{channel_of, not_before, stamp, zone_named};
use super::vee_args::{DecideArgs, Stretch, VeeVerb};
use super::vee_told::{self, intervals};
use crate::console::words;
use crate::output::{Cell, List, OutputFormat, remark, say};
use crate::services::vee::{self as service, Person, VeeError};

/// Where a zone has no next day, at the end of time.
const DAY_S: i64 = 86_400;

/// A stretch as it was found: whose slots, which, how long each, and the zone to print in.
pub(super) struct Found {
    pub(super) number: String,
    pub(super) field: String,
    /// In which values are given and told.
    pub(super) unit: &'static str,
    pub(super) range: SlotRange,
    pub(super) len_s: i32,
    pub(super) zone: TimeZone,
}

pub(super) async fn run(
    db: &Database,
    verb: &VeeVerb,
    account: &str,
    now: UtcTime,
) -> anyhow::Result<()> {
    match verb {
        VeeVerb::Queue { rule, query, page, output } => {
            let filter = ReviewFilter { rule: *rule, q: query.clone(), ..ReviewFilter::default() };
            queue(db, &filter, (*page, *output), now).await
        }
        VeeVerb::Show { stretch, output } => {
            let found = find(db, stretch, now).await?;
            show(&found, &standing(db, &found).await?, output.format())
        }
        VeeVerb::Accept(args) => {
            let found = find(db, &args.stretch, now).await?;
            if args.dry_run {
                return would(db, &found, "accept", &[QualityStatus::Suspect]).await;
            }
            let count = service::accept(db, &found.range, person(args, account, now)).await;
            say!("accepted {}", intervals(count.map_err(failed)?))?;
            Ok(())
        }
        VeeVerb::Reject(args) => {
            let found = find(db, &args.stretch, now).await?;
            if args.dry_run {
                return would(db, &found, "reject", &[QualityStatus::Suspect]).await;
            }
            let count = service::reject(db, &found.range, person(args, account, now)).await;
            say!("rejected {}", intervals(count.map_err(failed)?))?;
            Ok(())
        }
        VeeVerb::Estimate { act, method, output } => {
            let found = find(db, &act.stretch, now).await?;
            if act.dry_run {
                let told = service::preview(db, &found.range, *method, now).await;
                return side_by_side(&found, &told.map_err(failed)?, output.format());
            }
            let who = person(act, account, now);
            let before = standing(db, &found).await?;
            let kept = service::estimate(db, &found.range, *method, who).await.map_err(failed)?;
            vee_told::changed(&found, (&before, &standing(db, &found).await?), &kept)
        }
        VeeVerb::Edit { act, values, force } => {
            edit(db, act, (values, *force), person(act, account, now)).await
        }
        VeeVerb::Estimates { state, query, page, output } => {
            super::vee_estimates::list(db, (*state, query.clone()), (*page, *output)).await
        }
        VeeVerb::Decide(args) => super::vee_estimates::decide(db, args, account, now).await,
        VeeVerb::Undo(args) => {
            let found = find(db, &args.stretch, now).await?;
            if args.dry_run {
                let count = service::undoable(db, &found.range, now).await.map_err(failed)?;
                say!("would take back the newest act, of {}", intervals(count))?;
                return Ok(());
            }
            let count = service::undo(db, &found.range, person(args, account, now)).await;
            say!("took back {}", intervals(count.map_err(failed)?))?;
            Ok(())
        }
    }
}

fn person<'a>(args: &'a DecideArgs, account: &'a str, now: UtcTime) -> Person<'a> {
    Person { actor: args.actor.as_deref().unwrap_or(account), reason: &args.reason, now }
}

/// A refusal is bad input; only the store can be away.
pub(super) fn failed(error: VeeError) -> anyhow::Error {
    match error {
        VeeError::Store(error) if !matches!(error, store::StoreError::Refused { .. }) => {
            error.into()
        }
        other => Failure::new(Exit::Data, crate::telemetry::chain(&other)).into(),
    }
}

async fn queue(
    db: &Database,
    filter: &ReviewFilter,
    (page, output): (PageArgs, Output),
    now: UtcTime,
) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "meter",
        "channel",
        "address",
        "day_start",
        "day_end",
        "suspect",
        "slots",
        "suspect_sum",
        "unit",
        "rules",
        "issue",
    ]);
    let mut more = false;
    while let Some(limit) = page.next(list.len()) {
        let skip = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let rows = service::queue(db, filter, (limit, skip), now).await.map_err(failed)?;
        let full = rows.len() == limit as usize;
        for row in rows {
            let zone = TimeZone::get(&row.time_zone).unwrap_or(TimeZone::UTC);
            let rules: Vec<String> = row.failed.rules().map(rule_name).collect();
            list.push(vec![
                Cell::text(row.number),
                Cell::number(row.channel),
                Cell::text(row.address),
                Cell::text(stamp(row.starts_at, &zone)),
                Cell::text(stamp(row.ends_at, &zone)),
                Cell::number(row.suspect),
                Cell::number(row.slots),
                Cell::milli(row.suspect_sum),
                Cell::text(row.reading_type.base_unit().symbol()),
                Cell::text(rules.join(" ")),
                Cell::count(row.issue_number),
            ]);
        }
        more = full;
        if !full {
            break;
        }
    }
    list.print(output.format())?;
    page.tell_more(more);
    let proposals = review::proposals(db).await?;
    if proposals > 0 {
        let proposals = words::count(proposals, "proposal waits", "proposals wait");
        remark!("{proposals} beside these days: headend vee estimates");
    }
    Ok(())
}

/// The stretch that is meant, on the grid of its channel.
async fn find(db: &Database, stretch: &Stretch, now: UtcTime) -> anyhow::Result<Found> {
    let meter = meters::by_number(db, &stretch.meter, now).await?.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no meter {}: `headend meters list`", stretch.meter))
    })?;
    let channel = channel_in(&meter, stretch.channel.as_deref())?;
    let zone = zone_named(stretch.zone.as_deref(), &meter)?;
    let read = |option: &str, text: &str| {
        instant(text, &zone).map_err(|what| Failure::new(Exit::Usage, format!("{option}: {what}")))
    };
    let from = read("--from", &stretch.from)?;
    let to = match &stretch.to {
        Some(text) => read("--to", text)?,
        None => next_midnight(from, &zone),
    };
    if from >= to {
        let what = not_before((from, to), true, &zone);
        return Err(Failure::new(Exit::Usage, what).into());
    }
    let len_s = length_of(db, (meter.meter, channel)).await?;
    for (option, at) in [("--from", from), ("--to", to)] {
        if !on_grid(at, len_s) {
            let what =
                format!("{option}: {} is no bound of intervals of {len_s} s", stamp(at, &zone));
            return Err(Failure::new(Exit::Usage, what).into());
        }
    }
    let range = service::range((meter.meter, channel), (from, to), BTreeSet::new());
    let info = meter.channels.iter().find(|info| info.channel == channel);
    let field = info.map_or_else(|| channel.to_string(), |info| info.field.clone());
    let unit = info.map_or("", |info| info.reading_type.base_unit().symbol());
    Ok(Found { number: meter.number, field, unit, range, len_s, zone })
}

/// Intervals of under a day stand on multiples of their length; those of days begin at midnight of
/// their zone.
fn on_grid(at: UtcTime, len_s: i32) -> bool {
    let len_s = i64::from(len_s);
    len_s <= 0 || len_s >= DAY_S || at.floor_to(len_s) == at
}

/// The end of the local day that `from` lies in, of 23, 24 or 25 hours.
fn next_midnight(from: UtcTime, zone: &TimeZone) -> UtcTime {
    let day = from.to_jiff().to_zoned(zone.clone());
    let next = day.tomorrow().and_then(|next| next.start_of_day());
    next.map_or(from.plus_seconds(DAY_S), |next| UtcTime::from_jiff(next.timestamp()))
}

fn channel_in(meter: &MeterDetail, text: Option<&str>) -> Result<ChannelNo, Failure> {
    if let Some(text) = text {
        return channel_of(meter, text);
    }
    let first = meter.channels.iter().find(|info| info.kind != metering::ChannelKind::Instant);
    first.map(|info| info.channel).ok_or_else(|| {
        Failure::new(Exit::Data, format!("meter {} has no channel with intervals", meter.number))
    })
}

async fn length_of(db: &Database, (meter, channel): (MeterId, ChannelNo)) -> anyhow::Result<i32> {
    let found = db.load_meter(meter).await?;
    let info = found.as_ref().and_then(|one| one.asset.channel(channel));
    let missing = || Failure::new(Exit::Data, format!("meter {meter} has no channel {channel}"));
    Ok(info.map(|info| info.len_s).ok_or_else(missing)?)
}

/// How the slots of the stretch stand; those that never arrived are left out.
async fn standing(db: &Database, found: &Found) -> anyhow::Result<Vec<BestSlot>> {
    let SlotRange { meter, channel, from, to, .. } = found.range;
    Ok(series(db, SeriesSpan { meter, channel, from, to }).await?)
}

async fn would(
    db: &Database,
    found: &Found,
    what: &str,
    of: &[QualityStatus],
) -> anyhow::Result<()> {
    let all = standing(db, found).await?;
    let count = all.iter().filter(|slot| of.contains(&slot.status)).count();
    if count == 0 {
        let what = format!(
            "none of these intervals is suspect: nothing to {what}; `headend vee edit` changes a \
             value that the checks believe"
        );
        return Err(Failure::new(Exit::Data, what).into());
    }
    say!("would {what} {}; nothing was changed", intervals(count))?;
    Ok(())
}

/// `INT-ZERO`.
fn rule_name(no: RuleNo) -> String {
    let known = alerts::CATALOGUE.iter().find(|info| info.id.no == no);
    known.map_or_else(|| format!("#{}", no.get()), |info| info.id.name.to_owned())
}

fn show(found: &Found, slots: &[BestSlot], format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "interval_start",
        "interval_end",
        "value",
        "quality",
        "version",
        "method",
        "rules",
        "estimation",
    ]);
    for slot in slots {
        let method = u8::try_from(slot.method).ok().and_then(vee::estimate::Method::from_number);
        let rules: Vec<String> = slot.failed.rules().map(rule_name).collect();
        list.push(vec![
            Cell::text(stamp(slot.end.plus_seconds(-i64::from(found.len_s)), &found.zone)),
            Cell::text(stamp(slot.end, &found.zone)),
            Cell::milli(slot.value),
            Cell::text(slot.status.word()),
            Cell::number(slot.version),
            Cell::of(method),
            Cell::text(rules.join(" ")),
            Cell::count(slot.estimation_no),
        ]);
    }
    list.print(format)?;
    Ok(())
}

/// One line per interval and method: what each would write, the chosen one marked.
fn side_by_side(found: &Found, told: &[Estimate], format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "interval_end",
        "method",
        "chosen",
        "value",
        "bias_permille",
        "error_permille",
        "confidence",
        "refused",
    ]);
    for one in told {
        let ends: Vec<UtcTime> = one.gap.ends(found.len_s).collect();
        for trial in &one.alternatives {
            let score = trial.score;
            let line = |end: Option<&UtcTime>, value: Option<i64>| {
                vec![
                    Cell::of(end.map(|end| stamp(*end, &found.zone))),
                    Cell::text(trial.method.id()),
                    Cell::text(if trial.chosen { "yes" } else { "" }),
                    value.map_or(Cell::Empty, Cell::milli),
                    Cell::count(score.map(|score| score.bias_milli)),
                    Cell::count(score.map(|score| score.mape_milli)),
                    Cell::of(trial.chosen.then(|| one.confidence.class.letter())),
                    Cell::of(trial.refused),
                ]
            };
            if trial.values.is_empty() {
                list.push(line(ends.last(), None));
            }
            for (end, value) in ends.iter().zip(&trial.values) {
                list.push(line(Some(end), Some(*value)));
            }
        }
    }
    list.print(format)?;
    Ok(())
}

async fn edit(
    db: &Database,
    act: &DecideArgs,
    (values, force): (&[String], bool),
    who: Person<'_>,
) -> anyhow::Result<()> {
    let found = find(db, &act.stretch, who.now).await?;
    let gap = vee::estimate::Gap::new(found.range.from, found.range.to);
    let ends: Vec<UtcTime> = gap.ends(found.len_s).collect();
    if ends.len() != values.len() {
        let what = format!("--values: {} intervals, {} values", ends.len(), values.len());
        return Err(Failure::new(Exit::Usage, what).into());
    }
    let mut given = Vec::with_capacity(ends.len());
    for (end, text) in ends.iter().zip(values) {
        let milli = text.trim().parse::<Exact>().ok().and_then(|value| value.to_decimals(3).ok());
        let Some((value, true)) = milli else {
            let what = format!("--values: `{text}` is no number with up to three decimals");
            return Err(Failure::new(Exit::Usage, what).into());
        };
        given.push((*end, value));
    }
    let key = (found.range.meter, found.range.channel);
    if act.dry_run {
        service::try_edit(db, key, &given, force, who.now).await.map_err(failed)?;
        say!("would edit {}; nothing was changed", intervals(given.len()))?;
        return Ok(());
    }
    let before = standing(db, &found).await?;
    let kept = service::edit(db, key, &given, force, who).await.map_err(failed)?;
    vee_told::changed(&found, (&before, &standing(db, &found).await?), &kept)
}
