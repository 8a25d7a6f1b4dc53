//! Late actual values take the place of estimates (5.1), and what they change is kept.

use std::collections::{BTreeMap, BTreeSet};

use metering::{
    ChannelNo, DeviceFlags, Finding, LogRecord, MeterId, Outcome, QualityStatus, RuleNo, UtcTime,
};
use vee::estimation::{EstimationState, Trigger, next_state};

use super::apply::ensure;
use super::rows::{self, Step};
use super::slots::{best_slots, is_in_use, locked};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::{append_records, log_day};
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, append};

/// COM-BACKFILL.
const BACKFILL: u8 = 64;

/// Slots whose best value is an estimate although an actual value arrived that did not fail; of
/// records that end after `$1` and of which a day was closed again at `$3` or later: the others were
/// looked at before. Their day was closed since they came, so that the checks have seen it;
/// a value that the checks or a person doubted is not late, it is what was estimated instead of.
const LATE: &str = "\
    WITH e AS MATERIALIZED (SELECT o.* FROM estimation o \
        WHERE o.state IN ('APPLIED', 'FINAL') AND o.ends_at > $1 AND EXISTS (\
            SELECT 1 FROM closed_day k WHERE k.meter_id = o.meter_id AND k.channel = o.channel \
            AND k.starts_at < o.ends_at AND k.ends_at > o.starts_at \
            AND k.starts_at > o.starts_at - interval '26 hours' AND k.closed_at >= $3)) \
    SELECT e.estimation_no, e.meter_id, e.channel, r.starts_at, e.len_s, x.value, r.value, r.flags \
    FROM e \
    CROSS JOIN LATERAL (SELECT s.starts_at, s.value, s.flags, s.received_at FROM read_interval s \
        WHERE s.meter_id = e.meter_id AND s.channel = e.channel AND s.starts_at >= e.starts_at \
        AND s.starts_at < e.ends_at AND s.starts_at >= $1::timestamptz - interval '40 days' \
        AND s.flags & 15 = 1) r \
    CROSS JOIN LATERAL (SELECT n.value, n.status, n.estimation_no FROM interval_exception n \
        WHERE n.meter_id = e.meter_id AND n.channel = e.channel AND n.starts_at = r.starts_at \
        AND n.lane = 0 ORDER BY n.version DESC LIMIT 1) x \
    CROSS JOIN LATERAL (SELECT h.closed_at, h.validated FROM closed_day h \
        WHERE h.meter_id = e.meter_id AND h.channel = e.channel AND h.starts_at <= r.starts_at \
        AND h.ends_at > r.starts_at AND h.starts_at > r.starts_at - interval '26 hours' \
        ORDER BY h.starts_at DESC LIMIT 1) d \
    WHERE x.status IN (5, 8) \
        AND x.estimation_no = e.estimation_no AND d.validated AND d.closed_at >= r.received_at \
        AND NOT EXISTS (SELECT 1 FROM interval_exception p WHERE p.meter_id = e.meter_id \
            AND p.channel = e.channel AND p.starts_at = r.starts_at AND p.lane = 0 \
            AND p.status IN (2, 7) AND p.value = r.value) \
    ORDER BY e.estimation_no, r.starts_at LIMIT $2";

const TRUE_UP: &str = "\
    INSERT INTO true_up (estimation_no, starts_at, estimate, actual, delta, at, bill_id, \
        tou_bucket) \
    SELECT $1, u.starts_at, u.estimate, u.actual, u.actual - u.estimate, $5, \
        (SELECT e.bill_ids[cardinality(e.bill_ids)] FROM estimation e WHERE e.estimation_no = $1), \
        u.rate \
    FROM unnest($2::timestamptz[], $3::int8[], $4::int8[], $6::text[]) \
        AS u(starts_at, estimate, actual, rate) \
    ON CONFLICT DO NOTHING";
const SUM: &str = "\
    UPDATE estimation SET updated_at = $2, true_up = (SELECT least(greatest(sum(t.delta), \
        -4611686018427387903), 4611686018427387903)::int8 FROM true_up t \
        WHERE t.estimation_no = $1) \
    WHERE estimation_no = $1 RETURNING true_up";

const TORN: &str = "\
    UPDATE estimation SET scaled = false, scaling = 'a part was measured since', updated_at = $2 \
    WHERE estimation_no = $1 AND scaled AND method NOT IN (2, 7, 12)";

/// Proposals of which a slot that they fill has a usable value by now.
const OVERTAKEN: &str = "\
    SELECT e.estimation_no FROM estimation e \
    JOIN meter_channel c ON c.meter_id = e.meter_id AND c.channel = e.channel \
    WHERE e.state = 'PROPOSED' AND e.ends_at > $1 AND EXISTS (\
        SELECT 1 FROM read_interval r \
        LEFT JOIN LATERAL (SELECT n.status FROM interval_exception n \
            WHERE n.meter_id = r.meter_id AND n.channel = r.channel \
            AND n.starts_at = r.starts_at AND n.lane = 0 ORDER BY n.version DESC LIMIT 1) x ON true \
        WHERE r.meter_id = e.meter_id AND r.channel = e.channel AND r.starts_at >= e.starts_at \
            AND r.starts_at < e.ends_at AND r.received_at > e.created_at \
            AND coalesce(x.status, r.flags & 15) IN (1, 3, 4)) \
    ORDER BY e.estimation_no LIMIT 1000";

/// An actual value that came after its slot was estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LateActual {
    /// Rate that counts the interval; `None`: not known.
    pub rate: Option<u8>,
    pub estimation_no: i64,
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub end: UtcTime,
    pub len_s: i32,
    /// Milli-units.
    pub estimate: i64,
    pub actual: i64,
    pub flags: DeviceFlags,
}

impl LateActual {
    fn start(&self) -> UtcTime {
        self.end.plus_seconds(-i64::from(self.len_s))
    }
}

/// Actual values that are to take the place of estimates, of records that end after `since` and of
/// which a day was closed at `closed` or later; by record, ascending, at most `limit`.
///
/// # Errors
/// When the database is away.
pub async fn late_actuals(
    database: &Database,
    (since, closed): (UtcTime, UtcTime),
    limit: u32,
) -> Result<Vec<LateActual>, StoreError> {
    let query = StoreError::query("looking for late values of estimated intervals");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(LATE).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&Stamp(since), &i64::from(limit), &Stamp(closed)])
        .await
        .map_err(&query)?;
    Ok(rows
        .iter()
        .map(|row| LateActual {
            rate: None,
            estimation_no: row.get(0),
            meter: MeterId::new(row.get(1)),
            channel: ChannelNo::new(row.get(2)),
            end: row.get::<_, Stamp>(3).0.plus_seconds(i64::from(row.get::<_, i32>(4))),
            len_s: row.get(4),
            estimate: row.get(5),
            actual: row.get(6),
            flags: DeviceFlags::from_bits(row.get::<_, i16>(7).cast_unsigned()),
        })
        .collect())
}

/// Lets actual values take the place of estimates: a Validated version of each slot, a true-up row,
/// and, once no slot takes its value from the record any more, SUPERSEDED_BY_ACTUAL. Gives the
/// number of versions. Each record that changed is told in the log (#64).
///
/// # Errors
/// When the database is away; nothing is changed then.
pub async fn supersede(
    database: &Database,
    late: &[LateActual],
    at: UtcTime,
) -> Result<u64, StoreError> {
    let (Some(first), Some(last)) =
        (late.iter().map(|l| l.end).min(), late.iter().map(|l| l.end).max())
    else {
        return Ok(0);
    };
    let longest = late.iter().map(|l| i64::from(l.len_s)).max().unwrap_or(0);
    ensure(database, (first.plus_seconds(-longest), last)).await?;
    let mut touched = Touched::default();
    touched.add(Table::EventLog, log_day(at));
    database.ensure_partitions(&touched).await?;
    let tx = Tx::begin(database).await?;
    let superseded = supersede_in(tx.client(), late, at).await?;
    append_records(tx.client(), at, &superseded.news).await?;
    tx.commit().await?;
    Ok(superseded.slots.len() as u64)
}

/// A slot by channel and start.
pub(crate) type Slot = (MeterId, ChannelNo, UtcTime);

/// What actual values did to estimates.
#[derive(Debug, Default)]
pub(crate) struct Superseded {
    /// Where they stand now.
    pub(crate) slots: BTreeSet<Slot>,
    /// For the log, at the end of the transaction: who appends to it keeps others waiting.
    pub(crate) news: Vec<LogRecord>,
}

/// The same within the caller's transaction; the caller has made the partitions. What was edited,
/// rolled back or measured since the list was made stays as it is. To be done before days are
/// changed: the record is locked first, then its days.
pub(crate) async fn supersede_in(
    client: &Connection,
    late: &[LateActual],
    at: UtcTime,
) -> Result<Superseded, StoreError> {
    let mut by_record: BTreeMap<i64, Vec<&LateActual>> = BTreeMap::new();
    for actual in late {
        by_record.entry(actual.estimation_no).or_default().push(actual);
    }
    let mut all = Superseded::default();
    for (estimation_no, late) in by_record {
        let slots = supersede_one(client, estimation_no, &late, at).await?;
        all.news.extend(backfilled(&late, slots.len()));
        all.slots.extend(slots);
    }
    Ok(all)
}

/// #64: the rules keep a record of it.
fn backfilled(late: &[&LateActual], changed: usize) -> Option<LogRecord> {
    if changed == 0 {
        return None;
    }
    let (first, last) =
        (late.iter().min_by_key(|one| one.end)?, late.iter().max_by_key(|one| one.end)?);
    Some(LogRecord::Finding(Finding {
        meter: first.meter,
        channel: Some(first.channel),
        rule: RuleNo::new(BACKFILL)?,
        outcome: Outcome::Warn,
        from: first.end.plus_seconds(-i64::from(first.len_s)),
        to: last.end,
        kind: 0,
        detail: i64::try_from(changed).unwrap_or(i64::MAX),
    }))
}

async fn supersede_one(
    client: &Connection,
    estimation_no: i64,
    late: &[&LateActual],
    at: UtcTime,
) -> Result<BTreeSet<Slot>, StoreError> {
    let Some(known) = locked(client, estimation_no).await? else { return Ok(BTreeSet::new()) };
    let best = best_slots(client, (known.meter, known.channel), (known.from, known.to)).await?;
    let still = |l: &&&LateActual| {
        best.iter().any(|slot| {
            let automatic =
                matches!(slot.status, QualityStatus::Estimated | QualityStatus::OutageZero);
            slot.end == l.end && automatic && slot.estimation_no == Some(estimation_no)
        })
    };
    let late: Vec<&LateActual> = late.iter().filter(still).copied().collect();
    if late.is_empty() {
        return Ok(BTreeSet::new());
    }
    let slots = late.iter().map(|l| (l.meter, l.channel, l.start())).collect();
    let changes: Vec<Change> = late
        .iter()
        .map(|l| Change {
            meter: l.meter,
            channel: l.channel,
            start: l.start(),
            value: l.actual,
            status: QualityStatus::Validated,
            flags: l.flags,
            ..Change::judged(Reason::LateData)
        })
        .collect();
    append(client, &changes, at).await?;
    // The day's checks have not seen these values as its best ones: it is judged again.
    let touched: BTreeSet<_> =
        late.iter().map(|l| (l.meter, l.channel, l.start().utc_day())).collect();
    let touched: Vec<_> = touched.into_iter().collect();
    crate::day::note_touched(client, &touched, at).await?;
    let query = StoreError::query("keeping what a late value changes");
    let starts: Vec<Stamp> = late.iter().map(|l| Stamp(l.start())).collect();
    let estimates: Vec<i64> = late.iter().map(|l| l.estimate).collect();
    let actuals: Vec<i64> = late.iter().map(|l| l.actual).collect();
    let rates: Vec<Option<String>> =
        late.iter().map(|l| l.rate.map(|rate| rate.to_string())).collect();
    let statement = client.prepare_cached(TRUE_UP).await.map_err(&query)?;
    client
        .execute(&statement, &[&estimation_no, &starts, &estimates, &actuals, &Stamp(at), &rates])
        .await
        .map_err(&query)?;
    let statement = client.prepare_cached(SUM).await.map_err(&query)?;
    let sum = client.query_opt(&statement, &[&estimation_no, &Stamp(at)]).await.map_err(&query)?;
    let delta: i64 = sum.and_then(|row| row.get::<_, Option<i64>>(0)).unwrap_or(0);
    if is_in_use(client, estimation_no).await? {
        // What is left no longer adds up to the register: the nightly job scales it anew.
        tear(client, estimation_no, at).await?;
        return Ok(slots);
    }
    let Some(record) = locked(client, estimation_no).await? else { return Ok(slots) };
    if let Ok(to @ EstimationState::SupersededByActual) = next_state(record.state, Trigger::Actual)
    {
        let reason = format!("the actual values came; true-up {delta} milli-units");
        let step = Step {
            from: Some(record.state.word()),
            to: to.word(),
            actor: "engine",
            reason: &reason,
        };
        rows::move_to(client, estimation_no, &step, (at, None)).await?;
    }
    Ok(slots)
}

/// A record that lost a part of its slots is no longer scaled.
pub(super) async fn tear(
    client: &Connection,
    estimation_no: i64,
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query("noting that an estimate lost a part");
    let statement = client.prepare_cached(TORN).await.map_err(&query)?;
    client.execute(&statement, &[&estimation_no, &Stamp(at)]).await.map_err(&query)?;
    Ok(())
}

/// Proposals whose intervals were measured after all have nothing left to decide: they are
/// rejected, and what of them is still missing is a hole again. Gives their number.
///
/// # Errors
/// When the database is away; nothing is changed then.
pub async fn settle_proposals(
    database: &Database,
    since: UtcTime,
    at: UtcTime,
) -> Result<u64, StoreError> {
    let query = StoreError::query("looking for proposals that were overtaken");
    let tx = Tx::begin(database).await?;
    let rows = tx.client().query(OVERTAKEN, &[&Stamp(since)]).await.map_err(&query)?;
    let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let what = (EstimationState::Proposed, Trigger::Actual, "the actual values came");
    let count = rows::move_all(tx.client(), &numbers, what, at).await?;
    tx.commit().await?;
    Ok(count)
}
