//! What lies beside a channel: meters of the same flow, exchanges, outages of its transformer, and
//! how much of its area was read.

use std::collections::BTreeMap;

use metering::{ChannelNo, MeterId, UtcTime, ZoneId};
use vee::estimation::storm::AreaDay;

use super::SeriesSpan;
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Channels that measure the same flow in the same intervals: of a check meter of the usage point
/// or, where the premises have one customer's meter of the commodity, of the premises; of the meter
/// that this one checks; or another channel of the meter itself.
const ALTERNATES: &str = "\
    WITH own AS (SELECT m.meter_id, m.role, m.commodity, i.usage_point_id, u.premises_id \
        FROM meter m JOIN installation i ON i.meter_id = m.meter_id AND i.valid_from < $4 \
            AND i.valid_to > $3 JOIN usage_point u USING (usage_point_id) WHERE m.meter_id = $1), \
    near AS (SELECT n.meter_id, n.role, j.usage_point_id = o.usage_point_id AS same \
        FROM own o JOIN usage_point v ON v.usage_point_id = o.usage_point_id \
            OR v.premises_id = o.premises_id \
        JOIN installation j ON j.usage_point_id = v.usage_point_id AND j.valid_from < $4 \
            AND j.valid_to > $3 \
        JOIN meter n ON n.meter_id = j.meter_id AND n.commodity = o.commodity), \
    alone AS (SELECT count(*) FILTER (WHERE role = 'customer') = 1 AS yes FROM near) \
    SELECT DISTINCT d.meter_id, d.channel FROM own o CROSS JOIN alone \
    JOIN meter_channel c ON c.meter_id = $1 AND c.channel = $2 \
    JOIN near n ON n.meter_id = o.meter_id OR ((n.same OR alone.yes) \
        AND (n.role, o.role) IN (('check', 'customer'), ('customer', 'check'))) \
    JOIN meter_channel d ON d.meter_id = n.meter_id AND d.reading_type = c.reading_type \
        AND d.len_s = c.len_s AND d.kind <> 'instant' \
    WHERE (d.meter_id, d.channel) <> ($1, $2) ORDER BY 1, 2 LIMIT 8";

/// When the meter was exchanged, as the field or the closed issue says.
const EXCHANGES: &str = "\
    SELECT g.read_at FROM register_read g WHERE g.meter_id = $1 AND g.channel = $2 \
        AND g.read_at >= $3 AND g.read_at <= $4 AND g.source = 4 \
    UNION \
    SELECT x.date_fixed FROM meter_issue x WHERE x.subject_kind = 'meter' AND x.subject_id = $1 \
        AND x.fix_action = 'exchanged' AND x.date_fixed >= $3 AND x.date_fixed <= $4 \
        AND NOT EXISTS (SELECT 1 FROM register_read g WHERE g.meter_id = $1 AND g.channel = $2 \
            AND g.source = 4 AND g.read_at > x.date_fixed - interval '1 day' \
            AND g.read_at < x.date_fixed + interval '1 day') \
    ORDER BY 1 LIMIT 100";

/// Outages of the transformer that were classified (COM-CLASSIFY): when they began and, unless they
/// last, ended.
const OUTAGES: &str = "\
    SELECT x.condition_start, coalesce(x.date_fixed, x.cleared_at, x.closed_at) \
    FROM meter_issue x WHERE x.subject_kind = 'transformer' AND x.cause_detected = 'POWER_OUTAGE' \
        AND x.state NOT IN ('DISMISSED', 'FALSE_POSITIVE', 'MERGED') AND x.condition_start < $3 \
        AND coalesce(x.date_fixed, x.cleared_at, x.closed_at, 'infinity') > $2 \
        AND x.subject_id = (SELECT u.transformer_id FROM installation i \
            JOIN usage_point u USING (usage_point_id) WHERE i.meter_id = $1 AND i.valid_from < $3 \
            AND i.valid_to > $2 ORDER BY i.valid_from DESC LIMIT 1) \
    ORDER BY 1 LIMIT 100";

/// Did any meter of the same transformer, or the meter itself, use energy wholly within the time?
const LIVE: &str = "\
    SELECT EXISTS (SELECT 1 FROM (SELECT n.meter_id FROM installation i \
            JOIN usage_point u USING (usage_point_id) \
            JOIN usage_point v ON v.transformer_id = u.transformer_id \
            JOIN installation j ON j.usage_point_id = v.usage_point_id \
            JOIN meter n ON n.meter_id = j.meter_id AND n.commodity = 'electricity' \
            WHERE i.meter_id = $1 AND i.valid_from < $3 AND i.valid_to > $2 \
                AND j.valid_from < $3 AND j.valid_to > $2 \
            UNION SELECT $1 LIMIT 2000) n \
        JOIN meter_channel c ON c.meter_id = n.meter_id AND c.len_s > 0 \
            AND c.reading_type = 'energy_active_import' \
        JOIN read_interval r ON r.meter_id = c.meter_id AND r.channel = c.channel \
        WHERE r.starts_at >= $2 AND r.starts_at + make_interval(secs => c.len_s) <= $3 \
            AND r.value > 0 AND r.flags & 15 = 1)";

/// What was read by zone and UTC day of the local day's start.
const AREAS: &str = "\
    SELECT u.zone_id, floor(extract(epoch FROM d.starts_at) / 86400)::int8 AS day, \
        count(DISTINCT d.meter_id)::int8, sum(d.slots)::int8, sum(d.actual + d.suspect)::int8 \
    FROM closed_day d \
    JOIN installation i ON i.meter_id = d.meter_id AND i.valid_from <= d.starts_at \
        AND i.valid_to > d.starts_at \
    JOIN usage_point u USING (usage_point_id) \
    WHERE d.starts_at >= $1 AND d.starts_at < $2 AND u.zone_id IS NOT NULL \
    GROUP BY 1, 2 ORDER BY 1, 2";
const ZONES: &str = "\
    SELECT i.meter_id, u.zone_id FROM installation i JOIN usage_point u USING (usage_point_id) \
    WHERE u.zone_id = ANY($1) AND i.valid_to = 'infinity'";

/// Channels that measure the same flow as this one over the span.
///
/// # Errors
/// When the database is away.
pub async fn alternates(
    database: &Database,
    span: SeriesSpan,
) -> Result<Vec<(MeterId, ChannelNo)>, StoreError> {
    let query = StoreError::query("looking for a check channel");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(ALTERNATES).await.map_err(&query)?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to)])
        .await
        .map_err(&query)?;
    Ok(rows.iter().map(|row| (MeterId::new(row.get(0)), ChannelNo::new(row.get(1)))).collect())
}

/// When the channel's meter was exchanged within the span, rising.
///
/// # Errors
/// When the database is away.
pub async fn exchanges(database: &Database, span: SeriesSpan) -> Result<Vec<UtcTime>, StoreError> {
    let query = StoreError::query("looking for exchanges of a meter");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(EXCHANGES).await.map_err(&query)?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to)])
        .await
        .map_err(&query)?;
    Ok(rows.iter().map(|row| row.get::<_, Stamp>(0).0).collect())
}

/// Outages of the meter's transformer that touch `[from, to]`, rising; `None`: it lasts.
///
/// # Errors
/// When the database is away.
pub async fn transformer_outages(
    database: &Database,
    meter: MeterId,
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<(UtcTime, Option<UtcTime>)>, StoreError> {
    let query = StoreError::query("looking for outages of a transformer");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(OUTAGES).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&meter.get(), &Stamp(from), &Stamp(to)])
        .await
        .map_err(&query)?;
    let end = |row: &tokio_postgres::Row| row.get::<_, Option<Stamp>>(1).map(|at| at.0);
    Ok(rows.iter().map(|row| (row.get::<_, Stamp>(0).0, end(row))).collect())
}

/// True when the meter or another one of its transformer reported use within `[down, up]`: it was
/// no outage, whatever the events say.
///
/// # Errors
/// When the database is away.
pub async fn was_live(
    database: &Database,
    meter: MeterId,
    (down, up): (UtcTime, UtcTime),
) -> Result<bool, StoreError> {
    let query = StoreError::query("looking for use within an outage");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(LIVE).await.map_err(&query)?;
    let row = client
        .query_one(&statement, &[&meter.get(), &Stamp(down), &Stamp(up)])
        .await
        .map_err(&query)?;
    Ok(row.get(0))
}

/// What was read of each zone day by day, of local days that start in `[from, to)`.
///
/// # Errors
/// When the database is away.
pub async fn areas(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<BTreeMap<ZoneId, Vec<AreaDay>>, StoreError> {
    let query = StoreError::query("looking how much of each area was read");
    let client = database.work_client().await?;
    let rows = client.query(AREAS, &[&Stamp(from), &Stamp(to)]).await.map_err(&query)?;
    let mut areas: BTreeMap<ZoneId, Vec<AreaDay>> = BTreeMap::new();
    for row in &rows {
        let count = |column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
        let day = AreaDay {
            day: row.get(1),
            meters: u32::try_from(count(2)).unwrap_or(u32::MAX),
            slots: count(3),
            actual: count(4),
        };
        areas.entry(ZoneId::new(row.get(0))).or_default().push(day);
    }
    Ok(areas)
}

/// Meters that stand in these zones now, with their zone.
///
/// # Errors
/// When the database is away.
pub async fn meters_of_zones(
    database: &Database,
    zones: &[ZoneId],
) -> Result<BTreeMap<MeterId, ZoneId>, StoreError> {
    let query = StoreError::query("listing the meters of a zone");
    let client = database.work_client().await?;
    let zones: Vec<i32> = zones.iter().map(|zone| zone.get()).collect();
    let rows = client.query(ZONES, &[&zones]).await.map_err(&query)?;
    Ok(rows.iter().map(|row| (MeterId::new(row.get(0)), ZoneId::new(row.get(1)))).collect())
}
