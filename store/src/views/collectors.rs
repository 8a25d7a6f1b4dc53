//! Which collectors are there, and do they hear their meters?

use jiff::civil::Date;
use metering::{CollectorId, MeterId, UtcTime};

use super::ask::{self, Columns};
use super::meters::{self, OpenIssue};
use super::sql::{active_states, installed_now, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::{Day, Stamp};

/// One collector.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectorRow {
    pub collector: CollectorId,
    pub code: String,
    pub name: String,
    pub zone_code: String,
    pub zone_name: String,
    /// Seconds between heartbeats; 0 = sends none.
    pub heartbeat_s: i32,
    pub installed_at: UtcTime,
    pub last_heartbeat: Option<UtcTime>,
    /// When it last delivered anything.
    pub last_heard: Option<UtcTime>,
    /// Meters whose primary collector it is.
    pub meters: i64,
    /// Those heard within three of their contact periods, by whatever way.
    pub meters_reporting: i64,
    /// Different meters heard through it on the current UTC day.
    pub heard_today: i64,
    pub issue: Option<OpenIssue>,
}

/// A collector with the meters behind it.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectorDetail {
    pub row: CollectorRow,
    /// Meters that it is the primary collector of or heard in the last days, at most 1,000.
    pub meters: Vec<HeardMeter>,
    /// Meters and telegrams heard by UTC day, oldest first, at most 35 days.
    pub days: Vec<HearingDay>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardMeter {
    pub meter: MeterId,
    pub number: String,
    pub address: String,
    pub primary: bool,
    pub last_heard: Option<UtcTime>,
    /// Telegrams through this collector in the last 7 UTC days.
    pub heard_7d: i64,
    /// When this collector last heard it, within those days.
    pub last_here: Option<UtcTime>,
    pub rssi_dbm: Option<i16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HearingDay {
    pub day: Date,
    pub meters: i64,
    pub telegrams: i64,
}

/// Which collectors are there (or the one with code `$2`), and what do they hear at `$1`?
const COLLECTORS: &str = concat!(
    "SELECT k.collector_id, k.code, k.name, coalesce(z.code, ''), coalesce(z.name, ''), \
     k.heartbeat_s, k.installed_at, h.last_heartbeat_at, h.last_heard_at, \
     coalesce(p.n, 0), coalesce(p.reporting, 0), coalesce(d.n, 0), \
     o.number, o.severity, o.cause, o.condition_start FROM collector k \
     LEFT JOIN network_zone z ON z.zone_id = k.zone_id \
     LEFT JOIN collector_state h ON h.collector_id = k.collector_id \
     LEFT JOIN (SELECT m.primary_collector_id AS id, count(*) AS n, count(*) FILTER (WHERE ",
    reporting!(),
    ") AS reporting FROM meter m JOIN installation i ON ",
    installed_now!(),
    " LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
       WHERE m.primary_collector_id IS NOT NULL GROUP BY 1) p ON p.id = k.collector_id \
     LEFT JOIN (SELECT collector_id AS id, count(*) AS n FROM collector_hearing \
       WHERE day = ($1::timestamptz AT TIME ZONE 'UTC')::date GROUP BY 1) d \
       ON d.id = k.collector_id \
     LEFT JOIN LATERAL (SELECT x.number, x.severity, coalesce(x.identified_cause, \
       x.cause_detected) AS cause, x.condition_start FROM meter_issue x \
       WHERE x.subject_kind = 'collector' AND x.subject_id = k.collector_id AND x.state IN ",
    active_states!(),
    " ORDER BY x.severity, x.condition_start LIMIT 1) o ON true \
     WHERE $2::text IS NULL OR k.code = $2 \
     ORDER BY o.severity NULLS LAST, k.code LIMIT 1000"
);

/// Which meters does collector `$1` hear, or should it?
const METERS: &str = "SELECT m.meter_id, m.number, coalesce(u.address, ''), \
     coalesce(m.primary_collector_id = $1, false), s.last_heard_at, coalesce(h.heard, 0), h.last, h.rssi \
     FROM meter m LEFT JOIN (SELECT meter_id, sum(heard)::int8 AS heard, \
       max(last_heard_at) AS last, \
       (array_agg(rssi_dbm ORDER BY day DESC) FILTER (WHERE rssi_dbm IS NOT NULL))[1] AS rssi \
       FROM collector_hearing WHERE collector_id = $1 AND day > $2::date - 7 GROUP BY 1) h \
       ON h.meter_id = m.meter_id \
     LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
     LEFT JOIN installation i ON i.meter_id = m.meter_id AND i.valid_to = 'infinity' \
     LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     WHERE m.primary_collector_id = $1 OR h.meter_id IS NOT NULL \
     ORDER BY s.last_heard_at NULLS FIRST, m.number LIMIT 1000";

/// How much did collector `$1` hear by day?
const DAYS: &str = "SELECT day, count(*), sum(heard)::int8 FROM collector_hearing \
     WHERE collector_id = $1 AND day > $2::date - 35 GROUP BY 1 ORDER BY 1";

const WHAT: &str = "reading collectors";

/// All collectors, those with the worst issue first; at most 1,000.
///
/// # Errors
/// When the database does not answer.
pub async fn list(db: &Database, now: UtcTime) -> Result<Vec<CollectorRow>, StoreError> {
    ask::all(db, WHAT, COLLECTORS, &[&Stamp(now), &None::<&str>], read_row).await
}

/// The collector with that code, with the meters behind it, or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn by_code(
    db: &Database,
    code: &str,
    now: UtcTime,
) -> Result<Option<CollectorDetail>, StoreError> {
    if code.contains('\0') {
        return Ok(None);
    }
    let row = ask::first(db, WHAT, COLLECTORS, &[&Stamp(now), &Some(code)], read_row).await?;
    let Some(row) = row else { return Ok(None) };
    let (id, today) = (row.collector.get(), Day(now.utc_day()));
    let meters = ask::all(db, WHAT, METERS, &[&id, &today], |c| {
        Ok(HeardMeter {
            meter: MeterId::new(c.get()?),
            number: c.get()?,
            address: c.get()?,
            primary: c.get()?,
            last_heard: c.maybe_time()?,
            heard_7d: c.get()?,
            last_here: c.maybe_time()?,
            rssi_dbm: c.get()?,
        })
    })
    .await?;
    let days = ask::all(db, WHAT, DAYS, &[&id, &today], |c| {
        Ok(HearingDay { day: meters::date(c.get()?), meters: c.get()?, telegrams: c.get()? })
    })
    .await?;
    Ok(Some(CollectorDetail { row, meters, days }))
}

fn read_row(c: &mut Columns<'_>) -> Result<CollectorRow, StoreError> {
    Ok(CollectorRow {
        collector: CollectorId::new(c.get()?),
        code: c.get()?,
        name: c.get()?,
        zone_code: c.get()?,
        zone_name: c.get()?,
        heartbeat_s: c.get()?,
        installed_at: c.time()?,
        last_heartbeat: c.maybe_time()?,
        last_heard: c.maybe_time()?,
        meters: c.get()?,
        meters_reporting: c.get()?,
        heard_today: c.get()?,
        issue: meters::open_issue(c)?,
    })
}
