//! What was filled in, by which method, why, and what became of it?

use std::collections::BTreeMap;

use metering::{ChannelNo, Commodity, MeterId, ReadingType, UtcTime};
use serde_json::Value;

use super::ask::{self, Columns, contains_pattern, exact};
use super::page::{Cursor, Page, fetch_limit, page, part};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Which estimates to list. Empty fields do not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EstimateFilter {
    /// A state of `metering-rules` 5.1, such as PROPOSED.
    pub state: Option<String>,
    /// Number of the method (6.4).
    pub method: Option<i16>,
    /// Confidence class A to D.
    pub confidence: Option<String>,
    pub commodity: Option<Commodity>,
    /// Part of the meter's number.
    pub q: Option<String>,
    /// Number of the issue behind it.
    pub issue: Option<i64>,
    /// One meter.
    pub meter: Option<MeterId>,
}

/// One line of the list. Quantities in milli-units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EstimateRow {
    pub no: i64,
    pub meter: MeterId,
    pub number: String,
    pub commodity: Commodity,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub time_zone: String,
    pub starts_at: UtcTime,
    pub ends_at: UtcTime,
    pub intervals: i32,
    pub len_s: i32,
    pub method: i16,
    pub state: String,
    /// A to D.
    pub confidence: String,
    /// For display only until bills may use it.
    pub provisional: bool,
    pub scaled: bool,
    pub total: i64,
    /// Expected error of a slot by the back-test, in thousandths.
    pub error_permille: Option<i32>,
    pub issue_number: Option<i64>,
    pub issue_cause: Option<String>,
    pub reason: String,
    pub created_at: UtcTime,
}

/// Everything about one estimate.
#[derive(Clone, PartialEq, Debug)]
pub struct EstimateDetail {
    pub row: EstimateRow,
    pub id: String,
    pub method_version: i16,
    pub p10: Option<i64>,
    pub p90: Option<i64>,
    /// As `num/den`; empty without one.
    pub scale: String,
    pub residual: String,
    pub bias_permille: Option<i32>,
    pub params: Value,
    pub inputs: Value,
    /// The other methods with their errors.
    pub alternatives: Value,
    pub input_hash: String,
    pub values_hash: String,
    pub iec_codes: Vec<String>,
    /// Quality, method and reason of NEM12.
    pub nem12: (String, i16, i16),
    pub bill_ids: Vec<String>,
    /// Actual minus estimate, once truth came.
    pub true_up: i64,
    pub created_by: String,
    pub reviewed_by: Option<String>,
    pub reviewed_at: Option<UtcTime>,
    pub updated_at: UtcTime,
    /// Start and value of each slot.
    pub slots: Vec<(UtcTime, i64)>,
    pub log: Vec<EstimateLogRow>,
    /// Slots whose truth came late, oldest first.
    pub true_ups: Vec<TrueUpRow>,
}

/// One step of an estimate's life; oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EstimateLogRow {
    pub from_state: Option<String>,
    pub to_state: String,
    pub at: UtcTime,
    pub actor: String,
    pub reason: String,
}

/// Truth that came late for one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrueUpRow {
    pub starts_at: UtcTime,
    pub estimate: i64,
    pub actual: i64,
    pub delta: i64,
    pub at: UtcTime,
}

const WHAT: &str = "reading estimates";

macro_rules! row_sql {
    () => {
        "SELECT e.estimation_no, e.meter_id, m.number, m.commodity, e.channel, c.reading_type, \
         coalesce(u.time_zone, 'UTC'), e.starts_at, e.ends_at, e.n_intervals, e.len_s, e.method, \
         e.state, e.confidence, coalesce(e.billing_from > (SELECT l.appended_at FROM event_log l \
           WHERE l.shard = 0 ORDER BY l.seq DESC LIMIT 1), false), e.scaled, e.total, \
         e.error_milli, x.number, coalesce(x.identified_cause, x.cause_detected), e.reason, \
         e.created_at "
    };
}

macro_rules! from_sql {
    () => {
        "FROM estimation e JOIN meter m ON m.meter_id = e.meter_id \
         JOIN meter_channel c ON c.meter_id = e.meter_id AND c.channel = e.channel \
         LEFT JOIN installation i ON i.meter_id = m.meter_id AND i.valid_to = 'infinity' \
         LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
         LEFT JOIN meter_issue x ON x.issue_id = e.issue_id "
    };
}

/// Which estimates are there, newest first, before number `$8`?
const LIST: &str = concat!(
    row_sql!(),
    from_sql!(),
    "WHERE ($1::text IS NULL OR e.state = $1) AND ($2::int2 IS NULL OR e.method = $2) \
     AND ($3::text IS NULL OR e.confidence = $3) AND ($4::text IS NULL OR m.commodity = $4) \
     AND ($5::text IS NULL OR m.number ILIKE $5) AND ($6::int8 IS NULL OR x.number = $6) \
     AND ($7::int4 IS NULL OR e.meter_id = $7) \
     AND ($8::int8 IS NULL OR e.estimation_no < $8) ORDER BY e.estimation_no DESC LIMIT $9"
);

/// One page of estimates, newest first.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn list(
    db: &Database,
    filter: &EstimateFilter,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<EstimateRow>, StoreError> {
    let before = match cursor.map(Cursor::parts::<1>).transpose()? {
        Some([no]) => Some(part::<i64>(no)?),
        None => None,
    };
    let rows = ask::all(
        db,
        WHAT,
        LIST,
        &[
            &exact(filter.state.as_deref()),
            &filter.method,
            &exact(filter.confidence.as_deref()),
            &filter.commodity.map(Commodity::word),
            &contains_pattern(filter.q.as_deref()),
            &filter.issue,
            &filter.meter.map(MeterId::get),
            &before,
            &fetch_limit(limit),
        ],
        read_row,
    )
    .await?;
    Ok(page(rows, limit, |row| Cursor::new([row.no.to_string()])))
}

fn read_row(c: &mut Columns<'_>) -> Result<EstimateRow, StoreError> {
    Ok(EstimateRow {
        no: c.get()?,
        meter: MeterId::new(c.get()?),
        number: c.get()?,
        commodity: c.word()?,
        channel: ChannelNo::new(c.get()?),
        reading_type: c.word()?,
        time_zone: c.get()?,
        starts_at: c.time()?,
        ends_at: c.time()?,
        intervals: c.get()?,
        len_s: c.get()?,
        method: c.get()?,
        state: c.get()?,
        confidence: c.get()?,
        provisional: c.get()?,
        scaled: c.get()?,
        total: c.get()?,
        error_permille: c.get()?,
        issue_number: c.get()?,
        issue_cause: c.get()?,
        reason: reason(c.get()?),
        created_at: c.time()?,
    })
}

/// Why there is an estimate, in words.
fn reason(number: i16) -> String {
    let known = u8::try_from(number).ok().and_then(vee::estimation::Reason::from_number);
    known.map_or_else(|| number.to_string(), |reason| reason.words().to_owned())
}

/// How many estimates are in each state?
const COUNTS: &str = "SELECT state, count(*) FROM estimation GROUP BY state ORDER BY state";

/// How many estimates are in each state; states without one are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn counts(db: &Database) -> Result<BTreeMap<String, i64>, StoreError> {
    let read = |c: &mut Columns<'_>| Ok((c.get::<String>()?, c.get::<i64>()?));
    Ok(ask::all(db, WHAT, COUNTS, &[], read).await?.into_iter().collect())
}

/// What is known of estimate `$1`?
const ONE: &str = concat!(
    row_sql!(),
    ", e.estimation_id, e.method_version, e.p10, e.p90, \
     e.scaling, e.residual, e.bias_milli, \
     jsonb_build_object('review', e.review, 'note', e.note), e.inputs, e.alternatives, \
     e.estimation_id, encode(e.values_hash, 'hex'), e.iec_codes, \
     e.nem12_quality, coalesce(e.nem12_method, 0::int2), e.nem12_reason, e.bill_ids, \
     coalesce(e.true_up, 0), e.created_by, e.reviewed_by, e.reviewed_at, e.updated_at, \
     ARRAY(SELECT e.starts_at + n * e.len_s * interval '1 second' \
       FROM generate_series(0, e.n_intervals - 1) n), e.slot_values ",
    from_sql!(),
    "WHERE e.estimation_no = $1"
);

/// What happened to estimate `$1`?
const LOG: &str = "SELECT from_state, to_state, at, actor, reason FROM estimation_log \
     WHERE estimation_no = $1 ORDER BY seq LIMIT 1000";

/// What truth came for estimate `$1`?
const TRUE_UPS: &str = "SELECT starts_at, estimate, actual, delta, at FROM true_up \
     WHERE estimation_no = $1 ORDER BY starts_at LIMIT 10000";

/// The estimate with that number, or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn by_number(db: &Database, no: i64) -> Result<Option<EstimateDetail>, StoreError> {
    let Some(mut detail) = ask::first(db, WHAT, ONE, &[&no], read_detail).await? else {
        return Ok(None);
    };
    detail.log = ask::all(db, WHAT, LOG, &[&no], |c| {
        Ok(EstimateLogRow {
            from_state: c.get()?,
            to_state: c.get()?,
            at: c.time()?,
            actor: c.get()?,
            reason: c.get()?,
        })
    })
    .await?;
    detail.true_ups = ask::all(db, WHAT, TRUE_UPS, &[&no], |c| {
        Ok(TrueUpRow {
            starts_at: c.time()?,
            estimate: c.get()?,
            actual: c.get()?,
            delta: c.get()?,
            at: c.time()?,
        })
    })
    .await?;
    Ok(Some(detail))
}

fn read_detail(c: &mut Columns<'_>) -> Result<EstimateDetail, StoreError> {
    Ok(EstimateDetail {
        row: read_row(c)?,
        id: c.get()?,
        method_version: c.get()?,
        p10: c.get()?,
        p90: c.get()?,
        scale: c.get()?,
        residual: c.get()?,
        bias_permille: c.get()?,
        params: c.get()?,
        inputs: c.get()?,
        alternatives: c.get()?,
        input_hash: c.get()?,
        values_hash: c.get()?,
        iec_codes: c.get()?,
        nem12: (c.get()?, c.get()?, c.get()?),
        bill_ids: c.get()?,
        true_up: c.get()?,
        created_by: c.get()?,
        reviewed_by: c.get()?,
        reviewed_at: c.maybe_time()?,
        updated_at: c.time()?,
        slots: {
            let starts: Vec<Stamp> = c.get()?;
            let values: Vec<i64> = c.get()?;
            starts.into_iter().map(|stamp| stamp.0).zip(values).collect()
        },
        log: Vec::new(),
        true_ups: Vec::new(),
    })
}
