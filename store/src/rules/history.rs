//! Stored readings told again as log records, so that rules can be tried on the past.

use metering::{
    ChannelNo, CollectorAsset, EventCode, Finding, LogRecord, MeterId, Outcome, QualityStatus,
    RuleMask, RuleNo, SlotCode, Subject, UtcTime, WorkOrder,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "reading the past for the rules";

/// Which intervals were told in `($1, $2]`, as they were received and first judged? `$3`: only what
/// was received before; `$4`: what came later than so many seconds is told at its end.
const INTERVALS: &str = "\
    SELECT t.at, r.meter_id, r.channel, c.len_s, r.value, r.flags, coalesce(e.rule_mask, 0), \
        e.status, n.ends_at \
    FROM read_interval r \
    JOIN meter_channel c ON c.meter_id = r.meter_id AND c.channel = r.channel \
    CROSS JOIN LATERAL (SELECT r.starts_at + make_interval(secs => c.len_s) AS ends_at) n \
    CROSS JOIN LATERAL (SELECT CASE \
        WHEN r.received_at > n.ends_at + make_interval(secs => $4) THEN n.ends_at \
        ELSE greatest(r.received_at, n.ends_at) END AS at) t \
    LEFT JOIN LATERAL (SELECT x.rule_mask, x.status FROM interval_exception x \
        WHERE r.flags < 0 AND x.meter_id = r.meter_id AND x.channel = r.channel \
        AND x.starts_at = r.starts_at ORDER BY x.version LIMIT 1) e ON true \
    WHERE r.starts_at > $1::timestamptz - interval '1 day' - make_interval(secs => $4) \
        AND r.starts_at < $2 AND r.received_at < $3 AND t.at > $1 AND t.at <= $2 \
    ORDER BY 1, 2, 3, 9";

/// Which registers were told in `($1, $2]`?
const REGISTERS: &str = "\
    SELECT t.at, r.meter_id, r.channel, 0, r.value, r.flags, r.rule_mask, NULL::int2, r.read_at \
    FROM register_read r CROSS JOIN LATERAL (SELECT CASE \
        WHEN r.received_at > r.read_at + make_interval(secs => $4) THEN r.read_at \
        ELSE greatest(r.received_at, r.read_at) END AS at) t \
    WHERE r.read_at > $1::timestamptz - make_interval(secs => $4) AND r.read_at <= $2 \
        AND r.received_at < $3 AND t.at > $1 AND t.at <= $2 \
    ORDER BY 1, 2, 3, 9";

/// Which events were told in `($1, $2]`?
const EVENTS: &str = "\
    SELECT t.at, e.subject_kind, e.subject_id, e.code, e.detail, e.occurred_at \
    FROM device_event e CROSS JOIN LATERAL (SELECT CASE \
        WHEN e.received_at > e.occurred_at + make_interval(secs => $4) THEN e.occurred_at \
        ELSE greatest(e.received_at, e.occurred_at) END AS at) t \
    WHERE e.occurred_at > $1::timestamptz - make_interval(secs => $4) AND e.occurred_at <= $2 \
        AND e.received_at < $3 AND t.at > $1 AND t.at <= $2 \
    ORDER BY 1, 2, 3, 4, 6, e.seq";

/// Which findings of closed windows were recorded in `($1, $2]`, before `$3`?
const FINDINGS: &str = "\
    SELECT recorded_at, meter_id, channel, rule_no, outcome, from_at, to_at, kind, detail \
    FROM finding WHERE recorded_at > $1 AND recorded_at <= $2 AND recorded_at < $3 \
    ORDER BY recorded_at, log_seq";

/// Which steps of work orders were told in `($1, $2]`, before `$3`?
const ORDERS: &str = "\
    SELECT s.recorded_at, o.subject_kind, o.subject_id, o.number, o.kind, s.status, s.at \
    FROM work_order_status s JOIN work_order o ON o.number = s.number \
    WHERE s.recorded_at > $1 AND s.recorded_at <= $2 AND s.recorded_at < $3 \
    ORDER BY 1, 4, 6";

/// When is the first and the last stored interval?
const RANGE: &str = "SELECT min(starts_at), max(starts_at) FROM read_interval";

/// On which day from `$1` on, up to `$2`, do stored readings begin? Day by day, so that only the
/// empty ones are searched.
const FIRST_DAY: &str = "\
    SELECT d.at FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 day') AS d(at) \
    CROSS JOIN LATERAL ( \
        (SELECT 1 FROM read_interval r WHERE r.starts_at >= d.at \
            AND r.starts_at < d.at + interval '1 day' LIMIT 1) \
        UNION ALL \
        (SELECT 1 FROM register_read r WHERE r.read_at >= d.at \
            AND r.read_at < d.at + interval '1 day' LIMIT 1) LIMIT 1) found \
    ORDER BY 1 LIMIT 1";

/// Who was heard, and for the last time before `$1`?
const SILENT: &str = "SELECT meter_id FROM meter_state WHERE last_heard_at < $1 ORDER BY meter_id";

/// What arrived later than this after its end was loaded from elsewhere or waited in an outage; in
/// seconds. The slowest regular way is that of battery water meters, 30 h.
const ON_ITS_WAY_S: f64 = 129_600.0;

/// In which order stored readings are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As if each had arrived when it was measured.
    Measured,
    /// As each arrived, and only what arrived before this instant; what came days late is told as
    /// measured. With the findings of closed windows and the steps of work orders.
    Arrived(UtcTime),
}

/// A record with the time at which it would have come.
#[derive(Clone, PartialEq, Debug)]
pub struct Past {
    pub at: UtcTime,
    pub record: LogRecord,
}

/// The fleet as it is now: zones, collectors, meters.
///
/// # Errors
/// When the database is away.
pub async fn fleet(database: &Database) -> Result<Vec<LogRecord>, StoreError> {
    let registry = database.load_registry().await?;
    let zones = registry.zones.into_iter().map(LogRecord::Zone);
    let collectors = registry.collectors.into_iter().map(|one| {
        let (collector, heartbeat_s) = (one.collector, one.heartbeat_s);
        LogRecord::Collector(CollectorAsset { collector, heartbeat_s })
    });
    let meters = registry.meters.into_iter().map(|one| LogRecord::Meter(Box::new(one.asset)));
    Ok(zones.chain(collectors).chain(meters).collect())
}

/// START of the first and of the last stored interval; `None` when there is none.
///
/// # Errors
/// When the database is away.
pub async fn range(database: &Database) -> Result<Option<(UtcTime, UtcTime)>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let row = client.query_one(RANGE, &[]).await.map_err(&query)?;
    let (first, last): (Option<Stamp>, Option<Stamp>) = (row.get(0), row.get(1));
    Ok(first.zip(last).map(|(first, last)| (first.0, last.0)))
}

/// On which day from `from` on, up to `to`, do stored readings begin? The day begins at the time of
/// day of `from`. `None` when there are none.
///
/// # Errors
/// When the database is away.
pub async fn first_day(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<Option<UtcTime>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let row = client.query_opt(FIRST_DAY, &[&Stamp(from), &Stamp(to)]).await.map_err(&query)?;
    Ok(row.map(|row| row.get::<_, Stamp>(0).0))
}

/// Meters that were heard for the last time before `at`: records that say so.
///
/// # Errors
/// When the database is away.
pub async fn silent_since(database: &Database, at: UtcTime) -> Result<Vec<LogRecord>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let rows = client.query(SILENT, &[&Stamp(at)]).await.map_err(&query)?;
    let heard = |row: &Row| {
        let meter = MeterId::new(row.get(0));
        LogRecord::Heard { meter, collector: None, rssi_dbm: None }
    };
    Ok(rows.iter().map(heard).collect())
}

/// What was told in `(from, to]`, in that order: of one instant intervals, registers, events,
/// findings and work orders, by meter and channel. Ask for no more than fits into memory.
///
/// # Errors
/// When the database is away, or holds a code that this program does not know.
pub async fn window(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
    order: Order,
) -> Result<Vec<Past>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let (before, on_its_way_s) = match order {
        Order::Measured => (UtcTime::MAX, 0.0),
        Order::Arrived(before) => (before, ON_ITS_WAY_S),
    };
    let bounds = (Stamp(from), Stamp(to), Stamp(before));
    let bounds: [&(dyn ToSql + Sync); 4] = [&bounds.0, &bounds.1, &bounds.2, &on_its_way_s];
    let mut all = Vec::new();
    let statement = client.prepare_cached(INTERVALS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.push(reading(&row, true)?);
    }
    let statement = client.prepare_cached(REGISTERS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.push(reading(&row, false)?);
    }
    let statement = client.prepare_cached(EVENTS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.extend(event(&row));
    }
    if matches!(order, Order::Arrived(_)) {
        let statement = client.prepare_cached(FINDINGS).await.map_err(&query)?;
        for row in client.query(&statement, &bounds[..3]).await.map_err(&query)? {
            all.extend(finding(&row));
        }
        let statement = client.prepare_cached(ORDERS).await.map_err(&query)?;
        for row in client.query(&statement, &bounds[..3]).await.map_err(&query)? {
            all.extend(work_order(&row));
        }
    }
    // Stable: of one instant intervals come first, in the order of the question.
    all.sort_by_key(|past| past.at);
    Ok(all)
}

fn reading(row: &Row, is_interval: bool) -> Result<Past, StoreError> {
    let (at, measured) = (row.get::<_, Stamp>(0).0, row.get::<_, Stamp>(8).0);
    let (meter, channel) = (MeterId::new(row.get(1)), ChannelNo::new(row.get(2)));
    let (len_s, value) = (row.get(3), row.get(4));
    let corrupt = |detail: String| StoreError::Corrupt {
        what: "reading",
        detail: format!("{meter}: {detail}"),
    };
    let number: i16 = row.get(5);
    let mut code =
        SlotCode::from_i16(number).ok_or_else(|| corrupt(format!("slot code {number}")))?;
    let failed = RuleMask::from_bits(row.get::<_, i64>(6).cast_unsigned());
    // The first version says how it was judged; later ones are estimates and edits.
    if let Some(status) = row.get::<_, Option<i16>>(7)
        && let Some(judged) = SlotCode::from_i16(status)
        && judged.status() == QualityStatus::Suspect
    {
        code = SlotCode::new(QualityStatus::Suspect, code.flags());
    }
    let record = if is_interval {
        LogRecord::Interval { meter, channel, end: measured, len_s, value, code, failed }
    } else {
        LogRecord::Register { meter, channel, read_at: measured, value, code, failed }
    };
    Ok(Past { at, record })
}

/// `None` for codes that this program does not know: an event says nothing then.
fn event(row: &Row) -> Option<Past> {
    let at = row.get::<_, Stamp>(0).0;
    let number: i32 = row.get(2);
    let subject = Subject::from_parts(row.get(1), number)?;
    let code = row.get::<_, &str>(3).parse::<EventCode>().ok()?;
    let detail = row.get::<_, &str>(4).trim().parse().unwrap_or(0);
    let occurred_at = row.get::<_, Stamp>(5).0;
    Some(Past { at, record: LogRecord::Event { subject, occurred_at, code, detail } })
}

/// `None` for rules that this program does not know.
fn finding(row: &Row) -> Option<Past> {
    let channel: i16 = row.get(2);
    let finding = Finding {
        meter: MeterId::new(row.get(1)),
        channel: (channel != 0).then(|| ChannelNo::new(channel)),
        rule: RuleNo::new(u8::try_from(row.get::<_, i16>(3)).ok()?)?,
        outcome: Outcome::from_number(u8::try_from(row.get::<_, i16>(4)).ok()?)?,
        from: row.get::<_, Stamp>(5).0,
        to: row.get::<_, Stamp>(6).0,
        kind: u8::try_from(row.get::<_, i16>(7)).ok()?,
        detail: row.get(8),
    };
    Some(Past { at: row.get::<_, Stamp>(0).0, record: LogRecord::Finding(finding) })
}

/// `None` for words that this program does not know.
fn work_order(row: &Row) -> Option<Past> {
    let order = WorkOrder {
        number: row.get(3),
        subject: Subject::from_parts(row.get(1), row.get(2))?,
        kind: row.get::<_, &str>(4).parse().ok()?,
        status: row.get::<_, &str>(5).parse().ok()?,
        at: row.get::<_, Stamp>(6).0,
    };
    Some(Past { at: row.get::<_, Stamp>(0).0, record: LogRecord::WorkOrder(order) })
}
