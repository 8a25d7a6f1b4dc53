//! Who hears a meter, and how reading routes stand.

use metering::{MeterId, UtcTime};

use super::ask;
use super::sql::{installed_now, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::{Day, Stamp};

/// A collector that hears a meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hearer {
    pub code: String,
    pub name: String,
    /// The meter's own collector, its primary route.
    pub primary: bool,
    /// Telegrams in the last 7 UTC days.
    pub heard_7d: i64,
    /// Days of the last 7 on which it heard any.
    pub days_7d: i64,
    /// Of the last telegram that told it.
    pub rssi_dbm: Option<i16>,
    pub last_heard: Option<UtcTime>,
}

/// Meters that are read in one round, on foot, by car or by fixed collectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteRow {
    pub code: String,
    pub name: String,
    pub meters: i64,
    /// Those heard within three of their contact periods.
    pub reporting: i64,
    /// Those not heard for 35 days, or never.
    pub unread_35d: i64,
    /// When the longest silent one was last heard; `None` when one never was.
    pub oldest: Option<UtcTime>,
    pub newest: Option<UtcTime>,
    /// Different collectors that heard one of them in the last 7 UTC days.
    pub collectors_7d: i64,
}

/// Which collectors heard meter `$1` in the 7 days up to `$2`, or should have?
const HEARERS: &str = "SELECT k.code, k.name, coalesce(m.primary_collector_id = k.collector_id, \
       false), coalesce(h.heard, 0), coalesce(h.days, 0), h.rssi, h.last \
     FROM meter m CROSS JOIN collector k LEFT JOIN (SELECT collector_id, \
         sum(heard)::int8 AS heard, count(*) AS days, \
         (array_agg(rssi_dbm ORDER BY day DESC) FILTER (WHERE rssi_dbm IS NOT NULL))[1] AS rssi, \
         max(last_heard_at) AS last FROM collector_hearing \
       WHERE meter_id = $1 AND day > $2::date - 7 GROUP BY 1) h \
       ON h.collector_id = k.collector_id \
     WHERE m.meter_id = $1 AND (h.heard IS NOT NULL OR k.collector_id = m.primary_collector_id) \
     ORDER BY 4 DESC, 1 LIMIT 100";

/// Which routes are there, and how much of each was read by `$1`?
const ROUTES: &str = concat!(
    "SELECT t.code, t.name, count(m.meter_id), count(m.meter_id) FILTER (WHERE ",
    reporting!(),
    "), count(m.meter_id) FILTER (WHERE coalesce(s.last_heard_at < $1::timestamptz - \
       interval '35 days', true)), \
     CASE WHEN bool_and(s.last_heard_at IS NOT NULL) THEN min(s.last_heard_at) END, \
     max(s.last_heard_at), \
     (SELECT count(DISTINCT h.collector_id) FROM collector_hearing h \
       JOIN installation hi ON hi.meter_id = h.meter_id AND hi.valid_to = 'infinity' \
       JOIN usage_point hu ON hu.usage_point_id = hi.usage_point_id \
       WHERE hu.route_id = t.route_id AND h.day > $2::date - 7) \
     FROM route t LEFT JOIN usage_point u ON u.route_id = t.route_id \
     LEFT JOIN installation i ON i.usage_point_id = u.usage_point_id \
       AND i.valid_from <= $1::timestamptz AND i.valid_to > $1::timestamptz \
     LEFT JOIN meter m ON ",
    installed_now!(),
    " LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
     GROUP BY t.route_id, t.code, t.name ORDER BY 5 DESC, 1 LIMIT 1000"
);

/// Collectors that heard the meter in the last 7 days, and its own one; at most 100.
///
/// # Errors
/// When the database does not answer.
pub async fn of_meter(
    db: &Database,
    meter: MeterId,
    now: UtcTime,
) -> Result<Vec<Hearer>, StoreError> {
    let (id, today) = (meter.get(), Day(now.utc_day()));
    ask::all(db, "reading who hears a meter", HEARERS, &[&id, &today], |c| {
        Ok(Hearer {
            code: c.get()?,
            name: c.get()?,
            primary: c.get()?,
            heard_7d: c.get()?,
            days_7d: c.get()?,
            rssi_dbm: c.get()?,
            last_heard: c.maybe_time()?,
        })
    })
    .await
}

/// All reading routes, those with most unread meters first; at most 1,000.
///
/// # Errors
/// When the database does not answer.
pub async fn routes(db: &Database, now: UtcTime) -> Result<Vec<RouteRow>, StoreError> {
    let today = Day(now.utc_day());
    ask::all(db, "reading routes", ROUTES, &[&Stamp(now), &today], |c| {
        Ok(RouteRow {
            code: c.get()?,
            name: c.get()?,
            meters: c.get()?,
            reporting: c.get()?,
            unread_35d: c.get()?,
            oldest: c.maybe_time()?,
            newest: c.maybe_time()?,
            collectors_7d: c.get()?,
        })
    })
    .await
}
