//! Which days need a person before their bill, and what is known of one of them?

use metering::{ChannelNo, Commodity, MeterId, Outcome, ReadingType, RuleMask, RuleNo, UtcTime};

use super::ask::{self, Columns, contains_pattern, exact};
use super::page::LIMIT_MAX;
use super::sql::installed_now;
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Which suspect days to list. Empty fields do not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReviewFilter {
    pub rule: Option<RuleNo>,
    pub commodity: Option<Commodity>,
    /// Days that ended before this instant.
    pub older_than: Option<UtcTime>,
    /// Part of the meter's number or address.
    pub q: Option<String>,
}

/// A closed local day of a channel with values that nobody may bill.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReviewRow {
    pub meter: MeterId,
    pub number: String,
    pub address: String,
    pub commodity: Commodity,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub time_zone: String,
    pub starts_at: UtcTime,
    pub ends_at: UtcTime,
    pub slots: i32,
    /// Slots whose newest version is suspect.
    pub suspect: i64,
    /// What these slots hold, in milli-units, without sign.
    pub suspect_sum: i64,
    /// Of the slots that count.
    pub total: i64,
    /// Rules that failed the suspect slots.
    pub failed: RuleMask,
    /// Rules that failed the day as a whole or a slot of it.
    pub failed_day: RuleMask,
    /// The worst open issue of the meter, else the worst closed one that held the bill of the day.
    pub issue_number: Option<i64>,
    pub issue_closed: bool,
}

/// How many suspect days each rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReviewCount {
    pub rule: RuleNo,
    pub days: i64,
}

/// What a rule of closed windows said of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayFinding {
    pub rule: RuleNo,
    pub outcome: Outcome,
    pub kind: i16,
    pub from: UtcTime,
    pub to: UtcTime,
    pub detail: i64,
}

const WHAT: &str = "reading the days to review";

/// Days looked back; what is older is settled by bills.
const LOOK_BACK_D: i64 = 400;
const DAY_S: i64 = 86_400;

/// Days with a slot whose newest version is suspect. `$1` now, `$2` since. The row of the closed
/// day says where to look; the versions say what still holds.
macro_rules! suspect_days {
    () => {
        concat!(
            "closed_day d JOIN LATERAL (SELECT count(*) AS n, \
               least(sum(abs(v.value)), 4611686018427387903)::int8 AS held, \
               bit_or(v.rule_mask) AS mask FROM ( \
                 SELECT DISTINCT ON (x.starts_at) x.value, x.status, x.rule_mask \
                 FROM interval_exception x WHERE x.meter_id = d.meter_id \
                   AND x.channel = d.channel AND x.starts_at >= d.starts_at \
                   AND x.starts_at < d.ends_at AND x.lane = 0 \
                 ORDER BY x.starts_at, x.version DESC) v WHERE v.status = 2) s ON s.n > 0 \
             JOIN meter m ON m.meter_id = d.meter_id \
             JOIN meter_channel c ON c.meter_id = d.meter_id AND c.channel = d.channel \
             LEFT JOIN installation i ON ",
            installed_now!(),
            " LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
             WHERE d.suspect > 0 AND NOT d.settled AND d.starts_at >= $2::timestamptz \
               AND d.starts_at <= $1 "
        )
    };
}

macro_rules! row_sql {
    () => {
        "SELECT d.meter_id, m.number, coalesce(u.address, ''), m.commodity, d.channel, \
         c.reading_type, coalesce(u.time_zone, 'UTC'), d.starts_at, d.ends_at, d.slots::int4, \
         s.n, s.held, d.total, s.mask, d.failing, \
         (SELECT CASE WHEN x.closed_at IS NULL THEN x.number ELSE -x.number END \
           FROM meter_issue x WHERE x.subject_kind = 'meter' AND x.subject_id = d.meter_id \
             AND (x.closed_at IS NULL OR x.billing_hold_from < d.ends_at \
               AND coalesce(x.billing_hold_to, x.closed_at) > d.starts_at) \
           ORDER BY x.closed_at IS NOT NULL, x.severity, x.number LIMIT 1) FROM "
    };
}

/// Which days need a person, most doubtful use first?
const QUEUE: &str = concat!(
    row_sql!(),
    suspect_days!(),
    "AND ($3::int8 IS NULL OR (s.mask | d.failing) & $3 <> 0) \
     AND ($4::text IS NULL OR m.commodity = $4) \
     AND ($5::timestamptz IS NULL OR d.ends_at <= $5) \
     AND ($6::text IS NULL OR m.number ILIKE $6 OR u.address ILIKE $6) \
     ORDER BY s.held DESC, d.starts_at, d.meter_id, d.channel LIMIT $7 OFFSET $8"
);

/// Days to review, those with the most doubtful use first; `skip` of them left out.
///
/// # Errors
/// When the database does not answer.
pub async fn queue(
    db: &Database,
    filter: &ReviewFilter,
    (limit, skip): (u32, u32),
    now: UtcTime,
) -> Result<Vec<ReviewRow>, StoreError> {
    let (now, since) = (Stamp(now), Stamp(now.plus_seconds(-LOOK_BACK_D * DAY_S)));
    let mask = filter.rule.map(mask_bits);
    let commodity = exact(filter.commodity.map(Commodity::word));
    let older = filter.older_than.map(Stamp);
    let q = contains_pattern(filter.q.as_deref());
    let (limit, skip) = (i64::from(limit.min(LIMIT_MAX)), i64::from(skip));
    ask::all(
        db,
        WHAT,
        QUEUE,
        &[&now, &since, &mask, &commodity, &older, &q, &limit, &skip],
        read_row,
    )
    .await
}

/// Which suspect day is that?
const ONE: &str = concat!(
    row_sql!(),
    suspect_days!(),
    "AND d.meter_id = $3::int4 AND d.channel = $4::int2 AND d.starts_at = $5::timestamptz"
);

/// The day of that channel that begins at `starts_at`, when it still needs a person.
///
/// # Errors
/// When the database does not answer.
pub async fn one(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    starts_at: UtcTime,
    now: UtcTime,
) -> Result<Option<ReviewRow>, StoreError> {
    let since = Stamp(starts_at);
    let (meter, channel) = (meter.get(), channel.get());
    ask::first(db, WHAT, ONE, &[&Stamp(now), &since, &meter, &channel, &since], read_row).await
}

fn mask_bits(rule: RuleNo) -> i64 {
    RuleMask::EMPTY.with(rule).bits().cast_signed()
}

fn read_row(c: &mut Columns<'_>) -> Result<ReviewRow, StoreError> {
    let row = ReviewRow {
        meter: MeterId::new(c.get()?),
        number: c.get()?,
        address: c.get()?,
        commodity: c.word()?,
        channel: ChannelNo::new(c.get()?),
        reading_type: c.word()?,
        time_zone: c.get()?,
        starts_at: c.time()?,
        ends_at: c.time()?,
        slots: c.get()?,
        suspect: c.get()?,
        suspect_sum: c.get()?,
        total: c.get()?,
        failed: RuleMask::from_bits(c.get::<i64>()?.cast_unsigned()),
        failed_day: RuleMask::from_bits(c.get::<i64>()?.cast_unsigned()),
        issue_number: None,
        issue_closed: false,
    };
    // A closed one is told as a negative number.
    let issue: Option<i64> = c.get()?;
    let issue_closed = issue.is_some_and(|number| number < 0);
    Ok(ReviewRow { issue_number: issue.map(i64::abs), issue_closed, ..row })
}

/// How many days wait, by rule?
const COUNTS: &str = concat!(
    "SELECT n, count(*) FROM (SELECT s.mask | d.failing AS mask FROM ",
    suspect_days!(),
    "LIMIT 5000) w CROSS JOIN generate_series(1, 64) n \
     WHERE w.mask & (1::int8 << (n - 1)) <> 0 GROUP BY n ORDER BY n"
);

/// How many days wait for a person? (Bounded, so that it may be asked with every page: what was
/// settled is not looked at.)
const WAITING: &str =
    concat!("SELECT count(*) FROM (SELECT 1 FROM ", suspect_days!(), "LIMIT 1000) w");

/// How many days each rule holds, and how many days wait in all (at most 1,000 are counted).
///
/// # Errors
/// When the database does not answer.
pub async fn counts(db: &Database, now: UtcTime) -> Result<(i64, Vec<ReviewCount>), StoreError> {
    let since = Stamp(now.plus_seconds(-LOOK_BACK_D * DAY_S));
    let waiting = waiting(db, now).await?;
    let read = |c: &mut Columns<'_>| Ok((c.get::<i32>()?, c.get::<i64>()?));
    let rows = ask::all(db, WHAT, COUNTS, &[&Stamp(now), &since], read).await?;
    let of = |(number, days): (i32, i64)| {
        Some(ReviewCount { rule: RuleNo::new(u8::try_from(number).ok()?)?, days })
    };
    Ok((waiting, rows.into_iter().filter_map(of).collect()))
}

/// How many days wait for a person; at most 1,000 are counted.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(db: &Database, now: UtcTime) -> Result<i64, StoreError> {
    let since = Stamp(now.plus_seconds(-LOOK_BACK_D * DAY_S));
    let count = ask::first(db, WHAT, WAITING, &[&Stamp(now), &since], |c| c.get::<i64>()).await?;
    Ok(count.unwrap_or(0))
}

/// How many estimates wait for a person before bills may use them?
const PROPOSALS: &str = "SELECT count(*) FROM \
     (SELECT 1 FROM estimation WHERE state = 'PROPOSED' LIMIT 1000) p";

/// Estimates that a person has to accept or reject; at most 1,000 are counted.
///
/// # Errors
/// When the database does not answer.
pub async fn proposals(db: &Database) -> Result<i64, StoreError> {
    let count = ask::first(db, WHAT, PROPOSALS, &[], |c| c.get::<i64>()).await?;
    Ok(count.unwrap_or(0))
}

/// What did rules of closed windows say of the channel between `$3` and `$4`?
const FINDINGS: &str = "SELECT rule_no, outcome, kind, from_at, to_at, detail FROM finding \
     WHERE meter_id = $1 AND channel IN (0::int2, $2::int2) AND to_at > $3 AND from_at < $4 \
     AND outcome IN (1, 2) ORDER BY outcome DESC, rule_no, from_at LIMIT 100";

/// Warnings and failures of closed windows that touch `[from, to)`.
///
/// # Errors
/// When the database does not answer.
pub async fn findings(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<DayFinding>, StoreError> {
    let (meter, channel) = (meter.get(), channel.get());
    let rows = ask::all(db, WHAT, FINDINGS, &[&meter, &channel, &Stamp(from), &Stamp(to)], |c| {
        let (rule, outcome) = (c.get::<i16>()?, c.get::<i16>()?);
        let (kind, from, to, detail) = (c.get()?, c.time()?, c.time()?, c.get()?);
        Ok((rule, outcome, (kind, from, to, detail)))
    })
    .await?;
    let of = |(rule, outcome, (kind, from, to, detail))| {
        let rule = RuleNo::new(u8::try_from(rule).ok()?)?;
        let outcome = Outcome::from_number(u8::try_from(outcome).ok()?)?;
        Some(DayFinding { rule, outcome, kind, from, to, detail })
    };
    Ok(rows.into_iter().filter_map(of).collect())
}
