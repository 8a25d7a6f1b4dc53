//! Stored readings told again as log records, so that rules can be tried on the past.

use metering::{
    ChannelNo, CollectorAsset, EventCode, LogRecord, MeterId, QualityStatus, RuleMask, SlotCode,
    Subject, UtcTime,
};
use tokio_postgres::Row;

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "reading the past for the rules";

/// Which intervals end in `($1, $2]`, as they were received and first judged?
const INTERVALS: &str = "\
    SELECT r.starts_at + make_interval(secs => c.len_s), r.meter_id, r.channel, c.len_s, r.value, \
        r.flags, coalesce(e.rule_mask, 0), e.status \
    FROM read_interval r \
    JOIN meter_channel c ON c.meter_id = r.meter_id AND c.channel = r.channel \
    LEFT JOIN LATERAL (SELECT x.rule_mask, x.status FROM interval_exception x \
        WHERE r.flags < 0 AND x.meter_id = r.meter_id AND x.channel = r.channel \
        AND x.starts_at = r.starts_at ORDER BY x.version LIMIT 1) e ON true \
    WHERE r.starts_at > $1::timestamptz - interval '1 day' AND r.starts_at < $2 \
        AND r.starts_at + make_interval(secs => c.len_s) > $1 \
        AND r.starts_at + make_interval(secs => c.len_s) <= $2 \
    ORDER BY 1, 2, 3";

/// Which registers were read in `($1, $2]`?
const REGISTERS: &str = "\
    SELECT read_at, meter_id, channel, 0, value, flags, rule_mask, NULL::int2 FROM register_read \
    WHERE read_at > $1 AND read_at <= $2 ORDER BY 1, 2, 3";

/// Which events happened in `($1, $2]`?
const EVENTS: &str = "\
    SELECT occurred_at, subject_kind, subject_id, code, detail FROM device_event \
    WHERE occurred_at > $1 AND occurred_at <= $2 ORDER BY 1, 2, 3, 4, seq";

/// When is the first and the last stored interval?
const RANGE: &str = "SELECT min(starts_at), max(starts_at) FROM read_interval";

/// A record with the event time at which it would have come.
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

/// What was measured and what happened in `(from, to]`, in event order: intervals, registers and
/// events of one instant by meter and channel. Ask for an hour at a time.
///
/// # Errors
/// When the database is away, or holds a code that this program does not know.
pub async fn window(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<Past>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let bounds: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&Stamp(from), &Stamp(to)];
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
    // Stable: of one instant intervals come first, in the order of the question.
    all.sort_by_key(|past| past.at);
    Ok(all)
}

fn reading(row: &Row, is_interval: bool) -> Result<Past, StoreError> {
    let at = row.get::<_, Stamp>(0).0;
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
        LogRecord::Interval { meter, channel, end: at, len_s, value, code, failed }
    } else {
        LogRecord::Register { meter, channel, read_at: at, value, code, failed }
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
    Some(Past { at, record: LogRecord::Event { subject, occurred_at: at, code, detail } })
}
