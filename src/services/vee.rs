//! What people decide of intervals: accept, reject, estimate, edit, undo. Console, API and verbs
//! come here; every act has a person and a reason, and makes new versions only.
//!
//! [`channel`] is what is known around a channel's gaps, and [`draft`] the records made from it;
//! the estimation job uses both as well.

pub(crate) mod channel;
pub(crate) mod draft;
mod error;
mod habit;

use std::collections::BTreeSet;

use alerts::bundle::TouTime;
use jiff::tz::TimeZone;
use metering::{ChannelAsset, ChannelNo, MeterId, Outcome, QualityStatus, Ratio, UtcTime};
use store::assets::{RegistryChannel, RegistryMeter};
use store::estimation::{
    Decision, Kept, NewEstimation, SeriesSpan, SlotRange, apply, decide, in_force, series,
};
use store::views::review::{self, ReviewFilter, ReviewRow};
use store::{Database, StoreError};
use vee::estimate::{
    ChannelFacts, Confidence, ConfidenceClass, DayType, Estimate, Gap, Inputs, Method, Scaling,
    TouRule, TouSchedule, Unscaled,
};
use vee::estimation::{Estimation, EstimationState, Origin, Trigger};
use vee::{Params, checks};

use channel::{Ask, Channel, UtilityCalendar};
pub use error::{Moment, VeeError};

/// Longest stretch that one act touches, in seconds.
pub const RANGE_MAX_S: i64 = 100 * 86_400;

/// Who decides, why, and when (log time).
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
    pub now: UtcTime,
}

impl Person<'_> {
    fn check(&self) -> Result<(&str, &str), VeeError> {
        if self.actor.trim().is_empty() || self.reason.trim().is_empty() {
            return Err(VeeError::NoReason);
        }
        Ok((self.actor, self.reason))
    }
}

/// Days that wait for a person, those with the most doubtful use first.
///
/// # Errors
/// The database is away.
pub async fn queue(
    db: &Database,
    filter: &ReviewFilter,
    page: (u32, u32),
    now: UtcTime,
) -> Result<Vec<ReviewRow>, VeeError> {
    Ok(review::queue(db, filter, page, now).await?)
}

/// The suspect intervals of the range are right: Verified. Gives the number of intervals.
///
/// # Errors
/// [`VeeError::NoReason`]; refused when none is suspect.
pub async fn accept(db: &Database, range: &SlotRange, who: Person<'_>) -> Result<u64, VeeError> {
    within_bounds(db, range, who.now).await?;
    Ok(decide(db, range, Decision::Accept, who.check()?, who.now).await?)
}

/// The suspect intervals of the range are wrong: Rejected, so that they are estimated.
///
/// # Errors
/// As [`accept`].
pub async fn reject(db: &Database, range: &SlotRange, who: Person<'_>) -> Result<u64, VeeError> {
    within_bounds(db, range, who.now).await?;
    Ok(decide(db, range, Decision::Reject, who.check()?, who.now).await?)
}

/// What every method would write into the intervals of the range that have no usable actual value,
/// side by side; nothing is kept. `method`: only this one, even where the ladder would not take it.
///
/// # Errors
/// [`VeeError::NothingMissing`], or why nothing can be estimated.
pub async fn preview(
    db: &Database,
    range: &SlotRange,
    method: Option<Method>,
    now: UtcTime,
) -> Result<Vec<Estimate>, VeeError> {
    let channel = open(db, range, now).await?;
    channel.by_hand(range, method)
}

/// Estimates the intervals of the range that have no usable actual value, and takes the place of
/// automatic estimates there. What a person did not choose may need another person's review.
///
/// # Errors
/// As [`preview`]; refused when an interval was measured meanwhile.
pub async fn estimate(
    db: &Database,
    range: &SlotRange,
    method: Option<Method>,
    who: Person<'_>,
) -> Result<Vec<Kept>, VeeError> {
    let (actor, reason) = who.check()?;
    let channel = open(db, range, who.now).await?;
    let mut kept = Vec::new();
    for estimate in channel.by_hand(range, method)? {
        let mut new = draft::record(&channel, estimate, actor);
        new.note = reason.to_owned();
        kept.push(apply(db, &new, who.now).await?);
    }
    Ok(kept)
}

/// Puts a person's values in place of whatever stands there. Values are milli-units by interval
/// end; each run of adjoining intervals becomes one record. Nothing is rounded: a value is taken as
/// it is or refused.
///
/// # Errors
/// [`VeeError::NoReason`], [`VeeError::Range`]; [`VeeError::Future`], [`VeeError::BeforeFirst`],
/// [`VeeError::AfterLast`], [`VeeError::Negative`], [`VeeError::OverCap`] (rule REG-CAP) or
/// [`VeeError::OffStep`] of a value that cannot be, [`VeeError::Unusual`] unless `force`; refused
/// when the database holds something final.
pub async fn edit(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    values: &[(UtcTime, i64)],
    force: bool,
    who: Person<'_>,
) -> Result<Vec<Kept>, VeeError> {
    let (actor, reason) = who.check()?;
    let (asset, runs) = runs_to_edit(db, (meter, channel), values, force, who.now).await?;
    let len_s = asset.channel.len_s;
    let mut kept = Vec::new();
    for (gap, values) in runs {
        let span = SeriesSpan { meter, channel, from: gap.from, to: gap.to };
        let stood = series(db, span).await?;
        let before = if stood.len() < values.len() {
            QualityStatus::Missing
        } else {
            stood.iter().map(|slot| slot.status).min().unwrap_or(QualityStatus::Missing)
        };
        let origin = Origin {
            meter,
            channel,
            len_s,
            before,
            base_version: stood.iter().map(|slot| slot.version).max().unwrap_or(0),
            issue: None,
            created_by: actor.to_owned(),
            tamper: false,
            billed: in_force(db, span).await?.iter().any(|one| !one.bill_ids.is_empty()),
            register: asset.is_register_only(),
        };
        let new = NewEstimation {
            record: Estimation::new(&edited(gap, values), origin),
            alternatives: Vec::new(),
            note: reason.to_owned(),
        };
        kept.push(apply(db, &new, who.now).await?);
    }
    Ok(kept)
}

/// Whether [`edit`] would take these values; nothing is kept.
///
/// # Errors
/// As [`edit`], but for a reason.
pub async fn try_edit(
    db: &Database,
    key: (MeterId, ChannelNo),
    values: &[(UtcTime, i64)],
    force: bool,
    now: UtcTime,
) -> Result<(), VeeError> {
    runs_to_edit(db, key, values, force, now).await.map(|_| ())
}

async fn runs_to_edit(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    values: &[(UtcTime, i64)],
    force: bool,
    now: UtcTime,
) -> Result<(ChannelFacts, Vec<(Gap, Vec<i64>)>), VeeError> {
    let asset = channel::asset(db, meter, channel).await?;
    let len_s = asset.channel.len_s;
    let stands = |end: UtcTime| {
        i64::from(len_s) >= metering::time::DAY_S || end.floor_to(i64::from(len_s)) == end
    };
    if !values.iter().all(|(end, _)| stands(*end)) {
        return Err(VeeError::Range { len_s });
    }
    let (info, _) = registered(db, (meter, channel)).await?;
    let local = |error: VeeError| error.local(asset.calendar.zone());
    for (end, value) in values {
        over(*end, now)
            .and_then(|()| not_before(*end, &info))
            .and_then(|()| not_after(*end, &info))
            .and_then(|()| plausible(&asset, *end, *value))
            .map_err(local)?;
    }
    let runs = draft::runs(values, len_s).ok_or(VeeError::Range { len_s })?;
    if !force {
        habit::check(db, (meter, channel), &asset, &runs).await.map_err(local)?;
    }
    Ok((asset, runs))
}

/// What a meter may not say a person may not either: less than nothing used where there is one
/// direction, more than the connection lets through, or a part of a step.
fn plausible(facts: &ChannelFacts, end: UtcTime, value: i64) -> Result<(), VeeError> {
    let ChannelAsset { reading_type, len_s, cap_per_hour, resolution, .. } = facts.channel;
    if checks::negative(value, reading_type, facts.net) == Outcome::Fail {
        return Err(VeeError::Negative { end: Moment::utc(end) });
    }
    let unit = reading_type.base_unit().symbol();
    let params = Params::default();
    if checks::interval_cap(value.saturating_abs(), len_s, cap_per_hour, &params) == Outcome::Fail {
        let most_milli = params.cap(cap_per_hour, i64::from(len_s));
        let end = Moment::utc(end);
        let percent = params.cap_percent;
        return Err(VeeError::OverCap { end, most_milli, unit, len_s, percent });
    }
    let step_milli = resolution.max(1);
    if value % step_milli != 0 {
        return Err(VeeError::OffStep { end: Moment::utc(end), step_milli, unit });
    }
    Ok(())
}

fn edited(gap: Gap, values: Vec<i64>) -> Estimate {
    Estimate {
        gap,
        method: Method::Edit,
        values,
        status: QualityStatus::Edited,
        scaling: Scaling::Unscaled(Unscaled::NoRegisters),
        residual: Ratio::whole(0),
        inputs: Inputs::default(),
        confidence: Confidence {
            class: ConfidenceClass::A,
            p10: None,
            p90: None,
            error_milli: None,
            bias_milli: None,
        },
        alternatives: Vec::new(),
        review: Vec::new(),
    }
}

/// Takes the newest act in the range back, each of its intervals by a new version that points back;
/// what was decided before it stands. Gives the number of intervals.
///
/// # Errors
/// [`VeeError::NoReason`], [`VeeError::Future`], [`VeeError::BeforeFirst`],
/// [`VeeError::AfterLast`]; refused when nothing can be taken back.
pub async fn undo(db: &Database, range: &SlotRange, who: Person<'_>) -> Result<u64, VeeError> {
    within_bounds(db, range, who.now).await?;
    Ok(store::estimation::undo(db, range, who.check()?, who.now).await?)
}

/// How many intervals [`undo`] would change; nothing is kept.
///
/// # Errors
/// As [`undo`], but for a reason.
pub async fn undoable(db: &Database, range: &SlotRange, now: UtcTime) -> Result<usize, VeeError> {
    within_bounds(db, range, now).await?;
    Ok(store::estimation::undoable(db, range).await?)
}

/// Bills may use what checks of closed days hold in `[from, to)` of the channel. Gives the number of
/// holds.
///
/// # Errors
/// [`VeeError::NoReason`]; refused when nothing is held there.
pub async fn release_holds(
    db: &Database,
    key: (MeterId, ChannelNo),
    span: (UtcTime, UtcTime),
    who: Person<'_>,
) -> Result<u64, VeeError> {
    let (actor, reason) = who.check()?;
    let count = store::day::release_holds(db, key, span, (actor, reason, who.now)).await?;
    if count == 0 {
        let detail = "nothing is held there, or it was released already".to_owned();
        return Err(StoreError::Refused { what: "releasing holds", detail }.into());
    }
    Ok(count)
}

/// Accepts, rejects, finalises or rolls back a whole estimation by its number.
///
/// # Errors
/// [`VeeError::NoReason`]; refused when the table of states does not allow it.
pub async fn act(
    db: &Database,
    estimation_no: i64,
    trigger: Trigger,
    who: Person<'_>,
) -> Result<EstimationState, VeeError> {
    Ok(store::estimation::act(db, estimation_no, trigger, who.check()?, who.now).await?)
}

/// The range of the intervals of a channel that end in `(from, to]`, all of them or only `ends`.
pub fn range(
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
    ends: BTreeSet<UtcTime>,
) -> SlotRange {
    SlotRange { meter, channel, from, to, ends }
}

/// A range in which something can have been decided: the channel measured in it, and at least its
/// first interval is over.
async fn within_bounds(db: &Database, range: &SlotRange, now: UtcTime) -> Result<(), VeeError> {
    let (info, zone) = registered(db, (range.meter, range.channel)).await?;
    let span = range.to.seconds_since(range.from);
    if !(1..=RANGE_MAX_S).contains(&span) {
        return Err(VeeError::Range { len_s: info.len_s });
    }
    let first = range.from.plus_seconds(i64::from(info.len_s)).min(range.to);
    over(first, now)
        .and_then(|()| not_before(range.to, &info))
        .and_then(|()| not_after(first, &info))
        .map_err(|error| error.local(&zone))
}

/// The channel, and the zone in which its times are told.
async fn registered(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
) -> Result<(RegistryChannel, TimeZone), VeeError> {
    let missing = VeeError::NoChannel(meter, channel);
    let Some(found) = db.load_meter(meter).await? else { return Err(missing) };
    let zone = zone_of(&found);
    let info = found.channels.into_iter().find(|one| one.channel == channel);
    info.map(|info| (info, zone)).ok_or(missing)
}

fn zone_of(meter: &RegistryMeter) -> TimeZone {
    TimeZone::get(&meter.asset.zone).unwrap_or(TimeZone::UTC)
}

fn over(end: UtcTime, now: UtcTime) -> Result<(), VeeError> {
    let (end_told, now_told) = (Moment::utc(end), Moment::utc(now));
    (end <= now).then_some(()).ok_or(VeeError::Future { end: end_told, now: now_told })
}

fn not_before(end: UtcTime, info: &RegistryChannel) -> Result<(), VeeError> {
    let from = Moment::utc(info.valid_from);
    let told = VeeError::BeforeFirst { end: Moment::utc(end), from };
    (end > info.valid_from).then_some(()).ok_or(told)
}

fn not_after(end: UtcTime, info: &RegistryChannel) -> Result<(), VeeError> {
    let told = VeeError::AfterLast { end: Moment::utc(end), to: Moment::utc(info.valid_to) };
    let start = end.plus_seconds(-i64::from(info.len_s));
    (start < info.valid_to).then_some(()).ok_or(told)
}

async fn open(db: &Database, range: &SlotRange, now: UtcTime) -> Result<Channel, VeeError> {
    let registry = db.load_meter(range.meter).await?;
    let missing = VeeError::NoChannel(range.meter, range.channel);
    let Some(meter) = registry else { return Err(missing) };
    let Some(info) = meter.channels.iter().find(|one| one.channel == range.channel) else {
        return Err(missing);
    };
    let len_s = info.len_s;
    let span = range.to.seconds_since(range.from);
    if len_s <= 0 || !(1..=RANGE_MAX_S).contains(&span) || span % i64::from(len_s) != 0 {
        return Err(VeeError::Range { len_s });
    }
    over(range.to, now)
        .and_then(|()| not_before(range.from.plus_seconds(i64::from(len_s)), info))
        .and_then(|()| not_after(range.to, info))
        .map_err(|error| error.local(&zone_of(&meter)))?;
    let utility = utility(db).await?;
    let gap = Gap::new(range.from, range.to);
    let ask = Ask { meter: &meter, channel: range.channel, gap, now, utility: &utility };
    Channel::load(db, &ask).await
}

/// Holidays and rates from the rules that hold.
pub(crate) async fn utility(db: &Database) -> Result<UtilityCalendar, StoreError> {
    let (_, bundle) = super::rules::active(db).await?;
    let date =
        |day: &i32| jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(*day)).ok();
    let rule = |time: &TouTime| TouRule {
        days: DAY_TYPES
            .iter()
            .zip(time.days)
            .filter(|(_, yes)| *yes)
            .map(|(day, _)| *day)
            .collect(),
        from_minute: time.from_minute,
        to_minute: time.to_minute,
        rate: time.rate,
    };
    let rules: Vec<TouRule> = bundle.tou.iter().map(rule).collect();
    Ok(UtilityCalendar {
        holidays: bundle.holidays.iter().filter_map(date).collect(),
        rates: (!rules.is_empty()).then_some(TouSchedule { rules, otherwise: 0 }),
    })
}

/// In the order of a bundle's line.
const DAY_TYPES: [DayType; 4] =
    [DayType::Weekday, DayType::Saturday, DayType::Sunday, DayType::Holiday];

#[cfg(test)]
mod tests {
    use metering::{ChannelKind, Commodity, LocalCalendar, ReadingType};

    use super::*;

    fn facts(net: bool) -> ChannelFacts {
        ChannelFacts {
            channel: ChannelAsset {
                channel: ChannelNo::new(1),
                reading_type: ReadingType::VOLUME,
                kind: ChannelKind::Interval,
                len_s: 900,
                resolution: 1_000,
                cap_per_hour: 4_000_000,
                delivery_lag_s: 0,
            },
            commodity: Commodity::Water,
            calendar: LocalCalendar::new("UTC").unwrap(),
            holidays: BTreeSet::new(),
            net,
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_by_name() {
        let end = UtcTime::from_seconds(900);
        let told = |net, value| plausible(&facts(net), end, value);
        assert!(told(false, 39_000).is_ok() && told(false, 1_250_000).is_ok());
        assert!(matches!(told(false, -5_000), Err(VeeError::Negative { .. })));
        assert!(told(true, -5_000).is_ok(), "a net meter counts both ways");
        let most = told(false, 999_999_999_000).unwrap_err();
        let most = most.local(&TimeZone::get("Europe/Berlin").unwrap()).to_string();
        assert!(most.contains("ends at 1970-01-01T01:15:00+01:00 is more"), "{most}");
        let limit = "lets through (1250 L in 15 min: 1.25 times its `cap_per_hour`)";
        assert!(most.contains(limit), "{most}");
        assert!(matches!(told(true, -999_999_999_000), Err(VeeError::OverCap { .. })));
        let step = told(false, 39_500).unwrap_err().to_string();
        assert!(step.contains("no whole number of the channel's steps (1 L each)"), "{step}");
    }

    #[test]
    fn what_is_not_over_cannot_be_decided() {
        let (now, later) = (UtcTime::from_seconds(900), UtcTime::from_seconds(1_800));
        assert!(over(now, now).is_ok());
        assert!(matches!(over(later, now), Err(VeeError::Future { .. })));
    }
}
