//! What estimates are made from: holes, values around them, registers.

use std::collections::{BTreeMap, BTreeSet};

use metering::{ChannelNo, MeterId, QualityStatus, UtcTime};
use vee::estimate::{Method, is_usable};
use vee::estimation::EstimationState;

use super::rows::{stored, stored_columns};
use super::slots::best_slots;
use super::{BestSlot, StoredEstimation};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "looking for intervals to estimate";

/// Slots that end in `($1, $2]` and have no usable value: due and missing, or suspect or rejected.
/// Those for which a proposal waits or was rejected by a person are left out, those that a person
/// took back, and those whose
/// unit, multiplier or sum is in doubt (#4, #5, #13: bits 3, 4 and 12): what was used there is known
/// once the right factor is, and nothing is made up before. What lies before the first value or
/// counter of a channel is no hole: nobody was measured there yet.
const HOLES: &str = "\
    WITH hole AS ( \
        SELECT g.meter_id, g.channel, g.starts_at FROM read_gap g \
        WHERE g.filled_at IS NULL AND g.starts_at >= $1 AND g.starts_at < $2 \
        UNION \
        SELECT e.meter_id, e.channel, e.starts_at FROM interval_exception e \
        WHERE e.status IN (0, 2, 7) AND e.lane = 0 AND e.starts_at >= $1 AND e.starts_at < $2), \
    heard AS MATERIALIZED ( \
        SELECT k.meter_id, k.channel, least( \
            (SELECT r.starts_at FROM read_interval r WHERE r.meter_id = k.meter_id \
                AND r.channel = k.channel ORDER BY r.starts_at LIMIT 1), \
            (SELECT g.read_at FROM register_read g WHERE g.meter_id = k.meter_id \
                AND g.channel = k.channel ORDER BY g.read_at LIMIT 1)) AS since \
        FROM (SELECT DISTINCT meter_id, channel FROM hole) k) \
    SELECT h.meter_id, h.channel, c.len_s, h.starts_at \
    FROM hole h JOIN meter_channel c ON c.meter_id = h.meter_id AND c.channel = h.channel \
    JOIN heard ON heard.meter_id = h.meter_id AND heard.channel = h.channel \
        AND heard.since <= h.starts_at \
    LEFT JOIN LATERAL (SELECT n.status, n.undoes, n.rule_mask FROM interval_exception n \
        WHERE n.meter_id = h.meter_id \
        AND n.channel = h.channel AND n.starts_at = h.starts_at AND n.lane = 0 \
        ORDER BY n.version DESC LIMIT 1) best ON true \
    WHERE coalesce(best.status, 0) IN (0, 2, 7) AND best.undoes IS NULL \
        AND NOT (coalesce(best.status, 0) = 2 AND best.rule_mask & 4120 <> 0) \
        AND h.starts_at + make_interval(secs => c.len_s) <= $2 \
        AND NOT EXISTS (SELECT 1 FROM estimation p WHERE p.meter_id = h.meter_id \
            AND p.channel = h.channel AND (p.state = 'PROPOSED' \
                OR p.state = 'REJECTED' AND p.reviewed_by IS NOT NULL) \
            AND p.starts_at <= h.starts_at AND p.ends_at > h.starts_at) \
        AND (best.status IS NOT NULL OR NOT EXISTS (SELECT 1 FROM read_interval r \
            WHERE r.meter_id = h.meter_id AND r.channel = h.channel \
            AND r.starts_at = h.starts_at)) \
    ORDER BY h.meter_id, h.channel, h.starts_at LIMIT $3";

const REGISTERS: &str = "\
    SELECT read_at, value, raw, source, flags, rule_mask FROM register_read \
    WHERE meter_id = $1 AND channel = $2 AND read_at >= $3 AND read_at <= $4 \
    ORDER BY read_at, source LIMIT 20000";

/// Which of these records do not count for bills yet?
const PROVISIONAL: &str =
    "SELECT estimation_no FROM estimation WHERE estimation_no = ANY($1) AND billing_from > $2";

const UNSCALED: &str = concat!(
    stored_columns!(),
    "WHERE NOT scaled AND state = 'APPLIED' AND ends_at > $1 AND method NOT IN (2, 12) \
     AND status = 5 AND EXISTS (SELECT 1 FROM register_read g \
        WHERE g.meter_id = estimation.meter_id AND g.read_at >= estimation.ends_at \
        AND g.read_at < estimation.ends_at + interval '40 days') \
     ORDER BY ends_at, estimation_no LIMIT $2"
);

const IN_FORCE: &str = concat!(
    stored_columns!(),
    "WHERE meter_id = $1 AND channel = $2 AND starts_at < $4 AND ends_at > $3 \
     AND state IN ('APPLIED', 'FINAL') ORDER BY starts_at, estimation_no LIMIT 5000"
);

/// Zeros of outages that nothing has proven yet (7.6).
const ZEROS: &str = concat!(
    stored_columns!(),
    "WHERE state = 'APPLIED' AND ends_at > $1 AND method = 7 \
     AND review @> ARRAY['zero by an outage that is not proven yet'] \
     ORDER BY ends_at, estimation_no LIMIT $2"
);

/// The slots of a channel without a usable value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holes {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub len_s: i32,
    /// Ascending.
    pub ends: Vec<UtcTime>,
}

/// A stretch of a channel: its slots that start in `[from, to)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeriesSpan {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
}

/// A counter as read; milli-units, multiplier applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterRead {
    pub read_at: UtcTime,
    pub value: i64,
    /// In the counter's own steps.
    pub raw: i64,
    /// 1 scheduled, 2 on demand, 3 removal, 4 set.
    pub source: i16,
    /// False when a rule forbids its use.
    pub usable: bool,
}

/// Slots of closed days that start at `from` or later and end by `to`, without a usable value; by
/// channel. At most `limit` slots: the last channel may be cut.
///
/// # Errors
/// When the database is away.
pub async fn holes(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
    limit: u32,
) -> Result<Vec<Holes>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(HOLES).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&Stamp(from), &Stamp(to), &i64::from(limit)])
        .await
        .map_err(&query)?;
    let mut holes: BTreeMap<(MeterId, ChannelNo), Holes> = BTreeMap::new();
    for row in &rows {
        let (meter, channel) = (MeterId::new(row.get(0)), ChannelNo::new(row.get(1)));
        let len_s: i32 = row.get(2);
        let end = row.get::<_, Stamp>(3).0.plus_seconds(i64::from(len_s));
        let empty = Holes { meter, channel, len_s, ends: Vec::new() };
        holes.entry((meter, channel)).or_insert(empty).ends.push(end);
    }
    Ok(holes.into_values().collect())
}

/// How the slots of a stretch stand: best values, ascending; slots that never arrived and were not
/// estimated are left out.
///
/// # Errors
/// When the database is away.
pub async fn series(database: &Database, span: SeriesSpan) -> Result<Vec<BestSlot>, StoreError> {
    let client = database.work_client().await?;
    let mut slots = best_slots(&client, (span.meter, span.channel), (span.from, span.to)).await?;
    slots.retain(|slot| slot.status != QualityStatus::Missing);
    Ok(slots)
}

/// What bills may use of a stretch at `now`: validated values that no check holds, accepted, edited
/// and, from their time on, estimated values; ascending. Slots without one are left out.
///
/// # Errors
/// When the database is away.
pub async fn billing_series(
    database: &Database,
    span: SeriesSpan,
    now: UtcTime,
) -> Result<Vec<BestSlot>, StoreError> {
    let mut slots = series(database, span).await?;
    slots.retain(|slot| is_usable(slot.status) && slot.status != QualityStatus::Raw);
    let key = (span.meter, span.channel);
    crate::day::without_held(database, key, (span.from, span.to), &mut slots).await?;
    let numbers: Vec<i64> = slots.iter().filter_map(|slot| slot.estimation_no).collect();
    if numbers.is_empty() {
        return Ok(slots);
    }
    let query = StoreError::query("reading what bills may use");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(PROVISIONAL).await.map_err(&query)?;
    let rows = client.query(&statement, &[&numbers, &Stamp(now)]).await.map_err(&query)?;
    let early: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    slots.retain(|slot| slot.estimation_no.is_none_or(|no| !early.contains(&no)));
    Ok(slots)
}

/// Reads of a counter in `[from, to]`, ascending.
///
/// # Errors
/// When the database is away.
pub async fn registers(
    database: &Database,
    span: SeriesSpan,
) -> Result<Vec<RegisterRead>, StoreError> {
    let query = StoreError::query("reading registers around a gap");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(REGISTERS).await.map_err(&query)?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to)])
        .await
        .map_err(&query)?;
    rows.iter()
        .map(|row| {
            let status = crate::day::status_of(row.get::<_, i16>(4) & 15)?;
            Ok(RegisterRead {
                read_at: row.get::<_, Stamp>(0).0,
                value: row.get(1),
                raw: row.get(2),
                source: row.get(3),
                usable: row.get::<_, i64>(5) == 0
                    && !matches!(status, QualityStatus::Suspect | QualityStatus::Rejected),
            })
        })
        .collect()
}

/// Records in force that were never scaled to a register and end after `since`, oldest first, whose
/// meter was read after them: they are made anew. Those of meters without a counter are never
/// among them, or they would take the place of all others.
///
/// # Errors
/// When the database is away.
pub async fn unscaled(
    database: &Database,
    since: UtcTime,
    limit: u32,
) -> Result<Vec<StoredEstimation>, StoreError> {
    let query = StoreError::query("looking for estimates without a scale");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(UNSCALED).await.map_err(&query)?;
    let rows =
        client.query(&statement, &[&Stamp(since), &i64::from(limit)]).await.map_err(&query)?;
    rows.iter().map(stored).collect()
}

/// Records in force that touch the span, rising.
///
/// # Errors
/// When the database is away.
pub async fn in_force(
    database: &Database,
    span: SeriesSpan,
) -> Result<Vec<StoredEstimation>, StoreError> {
    let query = StoreError::query("looking for estimates in force");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(IN_FORCE).await.map_err(&query)?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to)])
        .await
        .map_err(&query)?;
    rows.iter().map(stored).collect()
}

/// Provisional zeros that end after `since`, oldest first: made anew when the outage was none.
///
/// # Errors
/// When the database is away.
pub async fn provisional_zeros(
    database: &Database,
    since: UtcTime,
    limit: u32,
) -> Result<Vec<StoredEstimation>, StoreError> {
    let query = StoreError::query("looking for provisional zeros");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(ZEROS).await.map_err(&query)?;
    let rows =
        client.query(&statement, &[&Stamp(since), &i64::from(limit)]).await.map_err(&query)?;
    rows.iter().map(stored).collect()
}

impl StoredEstimation {
    /// An automatic estimate that a register may still scale.
    pub fn is_open_to_scale(&self) -> bool {
        let by_hand = [Method::Edit, Method::Calculated].map(|method| i16::from(method.number()));
        self.state == EstimationState::Applied
            && !self.scaled
            && self.status == QualityStatus::Estimated
            && !by_hand.contains(&self.method)
    }
}
