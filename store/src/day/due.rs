//! Whose day has ended, and which closed days got data since.

use std::collections::BTreeSet;

use metering::{ChannelNo, MeterId, UtcTime};

use super::{CursorMove, DueChannel, TouchedDay};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::types::{Day, Stamp};

const WHAT: &str = "looking for days to close";

/// Channels with a cursor whose next day is due at `$1`, then those without one.
const DUE: &str = "\
    SELECT d.meter_id, d.channel, u.time_zone, d.closed_through, d.closed_through, c.len_s, \
        c.delivery_lag_s, d.due_at \
    FROM day_cursor d JOIN meter_channel c USING (meter_id, channel) \
    JOIN LATERAL (SELECT usage_point_id FROM installation i WHERE i.meter_id = d.meter_id \
        ORDER BY i.valid_from DESC LIMIT 1) i ON true \
    JOIN usage_point u USING (usage_point_id) \
    WHERE d.due_at <= $1 ORDER BY d.due_at, d.meter_id, d.channel LIMIT $2";
/// A channel's days begin with the first that is known of it. The counter tells that as well: reads
/// that came out of order, while nobody knew the meter, are intervals only once their days are
/// judged. What is suspect begins nothing (a clock may claim any year), nor does what is older than
/// the calendar of expected reads looks (40 days): the repair of its days tells its intervals.
const NEW: &str = "\
    SELECT c.meter_id, c.channel, u.time_zone, NULL::timestamptz, \
        least(greatest(c.valid_from, m.created_at), (SELECT min(r.starts_at) FROM read_interval r \
            WHERE r.meter_id = c.meter_id AND r.channel = c.channel), \
            (SELECT g.read_at FROM register_read g WHERE c.kind = 'register' \
                AND g.meter_id = c.meter_id AND g.channel = c.channel AND g.rule_mask = 0 \
                AND (g.flags & 15) NOT IN (2, 7) AND g.source <= 2 AND g.read_at >= \
                    greatest(c.valid_from, m.created_at - interval '40 days') \
                ORDER BY g.read_at LIMIT 1)), c.len_s, c.delivery_lag_s \
    FROM meter_channel c JOIN meter m USING (meter_id) \
    JOIN LATERAL (SELECT usage_point_id FROM installation i WHERE i.meter_id = c.meter_id \
        ORDER BY i.valid_from DESC LIMIT 1) i ON true \
    JOIN usage_point u USING (usage_point_id) \
    WHERE c.kind <> 'instant' AND c.len_s > 0 AND NOT EXISTS (SELECT 1 FROM day_cursor d \
        WHERE d.meter_id = c.meter_id AND d.channel = c.channel) \
    ORDER BY c.meter_id, c.channel LIMIT $1";

const TOUCHED: &str = "\
    SELECT meter_id, channel, day, touched FROM day_touched \
    ORDER BY noted_at, meter_id, channel, day LIMIT $1";

const MOVE: &str = "\
    INSERT INTO day_cursor AS d (meter_id, channel, closed_through, due_at) \
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
    ON CONFLICT (meter_id, channel) DO UPDATE SET closed_through = excluded.closed_through, \
        due_at = excluded.due_at";

/// Only days before the cursor: the others are closed with this data anyway.
const NOTE: &str = "\
    INSERT INTO day_touched AS t (meter_id, channel, day, noted_at) \
    SELECT u.meter_id, u.channel, u.day, $4 \
    FROM unnest($1::int4[], $2::int2[], $3::date[]) AS u(meter_id, channel, day) \
    JOIN day_cursor d ON d.meter_id = u.meter_id AND d.channel = u.channel \
        AND d.closed_through > u.day::timestamptz \
    ON CONFLICT (meter_id, channel, day) DO UPDATE SET touched = t.touched + 1";

/// Gaps that the calendar no longer looks at, closed by what came for these days after all.
const FILL_OLD: &str = "\
    UPDATE read_gap g SET filled_at = $4 \
    FROM unnest($1::int4[], $2::int2[], $3::date[]) AS u(meter_id, channel, day) \
    WHERE g.meter_id = u.meter_id AND g.channel = u.channel AND g.filled_at IS NULL \
        AND g.starts_at >= u.day::timestamptz AND g.starts_at < u.day::timestamptz + interval '1 day' \
        AND EXISTS (SELECT 1 FROM read_interval r WHERE r.meter_id = g.meter_id \
            AND r.channel = g.channel AND r.starts_at = g.starts_at)";

const FORGET: &str = "\
    DELETE FROM day_touched t USING unnest($1::int4[], $2::int2[], $3::date[], $4::int8[]) \
        AS u(meter_id, channel, day, touched) \
    WHERE t.meter_id = u.meter_id AND t.channel = u.channel AND t.day = u.day \
        AND t.touched = u.touched";

/// Channels whose next local day is due at log time `now`, longest due first, then channels that
/// have no cursor; at most `limit`. One that is not to be closed yet gets a cursor by
/// [`move_cursors`], so that it is not asked for again.
///
/// # Errors
/// When the database is away.
pub async fn due(
    database: &Database,
    now: UtcTime,
    limit: u32,
) -> Result<Vec<DueChannel>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let limit = i64::from(limit);
    let statement = client.prepare_cached(DUE).await.map_err(&query)?;
    let mut rows = client.query(&statement, &[&Stamp(now), &limit]).await.map_err(&query)?;
    let left = limit - i64::try_from(rows.len()).unwrap_or(limit);
    if left > 0 {
        let statement = client.prepare_cached(NEW).await.map_err(&query)?;
        rows.extend(client.query(&statement, &[&left]).await.map_err(&query)?);
    }
    Ok(rows
        .iter()
        .map(|row| DueChannel {
            meter: MeterId::new(row.get(0)),
            channel: ChannelNo::new(row.get(1)),
            time_zone: row.get(2),
            closed_through: row.get::<_, Option<Stamp>>(3).map(|at| at.0),
            start: row.get::<_, Stamp>(4).0,
            len_s: row.get(5),
            delivery_lag_s: row.get(6),
        })
        .collect())
}

/// Days that got data after they were closed, longest waiting first.
///
/// # Errors
/// When the database is away.
pub async fn touched(database: &Database, limit: u32) -> Result<Vec<TouchedDay>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(TOUCHED).await.map_err(&query)?;
    let rows = client.query(&statement, &[&i64::from(limit)]).await.map_err(&query)?;
    Ok(rows
        .iter()
        .map(|row| TouchedDay {
            meter: MeterId::new(row.get(0)),
            channel: ChannelNo::new(row.get(1)),
            utc_day: row.get::<_, Day>(2).0,
            touched: row.get(3),
        })
        .collect())
}

/// Sets cursors without a verdict: of channels whose first day has not ended.
///
/// # Errors
/// When the database is away.
pub async fn move_cursors(database: &Database, moves: &[CursorMove]) -> Result<(), StoreError> {
    let client = database.work_client().await?;
    move_in(&client, moves).await
}

pub(super) async fn move_in(client: &Connection, moves: &[CursorMove]) -> Result<(), StoreError> {
    // One key twice in a statement is an error: the last word counts.
    let last: std::collections::BTreeMap<_, _> =
        moves.iter().map(|to| ((to.meter, to.channel), to)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let query = StoreError::query("moving on after a day was closed");
    let statement = client.prepare_cached(MOVE).await.map_err(&query)?;
    let meters: Vec<i32> = last.keys().map(|key| key.0.get()).collect();
    let channels: Vec<i16> = last.keys().map(|key| key.1.get()).collect();
    let through: Vec<Stamp> = last.values().map(|to| Stamp(to.closed_through)).collect();
    let due: Vec<Stamp> = last.values().map(|to| Stamp(to.due_at)).collect();
    client.execute(&statement, &[&meters, &channels, &through, &due]).await.map_err(&query)?;
    Ok(())
}

pub(super) async fn forget_in(client: &Connection, seen: &[TouchedDay]) -> Result<(), StoreError> {
    if seen.is_empty() {
        return Ok(());
    }
    let query = StoreError::query("forgetting that a closed day got data");
    let statement = client.prepare_cached(FORGET).await.map_err(&query)?;
    let meters: Vec<i32> = seen.iter().map(|day| day.meter.get()).collect();
    let channels: Vec<i16> = seen.iter().map(|day| day.channel.get()).collect();
    let days: Vec<Day> = seen.iter().map(|day| Day(day.utc_day)).collect();
    let touched: Vec<i64> = seen.iter().map(|day| day.touched).collect();
    client.execute(&statement, &[&meters, &channels, &days, &touched]).await.map_err(&query)?;
    Ok(())
}

/// Notes, in the transaction that stores them, that days got data; distinct series and UTC days.
pub(crate) async fn note_touched(
    client: &Connection,
    days: &[(MeterId, ChannelNo, i64)],
    log_time: UtcTime,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let query = StoreError::query("noting days that got late data");
    let statement = client.prepare_cached(NOTE).await.map_err(&query)?;
    let meters: Vec<i32> = days.iter().map(|day| day.0.get()).collect();
    let channels: Vec<i16> = days.iter().map(|day| day.1.get()).collect();
    let dates: Vec<Day> = days.iter().map(|day| Day(day.2)).collect();
    client
        .execute(&statement, &[&meters, &channels, &dates, &Stamp(log_time)])
        .await
        .map_err(&query)?;
    fill_old_gaps(client, days, log_time).await
}

/// Events that days of all channels of the meter are judged by came late.
const NOTE_METERS: &str = "\
    INSERT INTO day_touched AS t (meter_id, channel, day, noted_at) \
    SELECT d.meter_id, d.channel, u.day, $3 \
    FROM unnest($1::int4[], $2::date[]) AS u(meter_id, day) \
    JOIN day_cursor d ON d.meter_id = u.meter_id AND d.closed_through > u.day::timestamptz \
    ON CONFLICT (meter_id, channel, day) DO UPDATE SET touched = t.touched + 1";

/// Notes the days of all channels of these meters; distinct meters and UTC days.
pub(crate) async fn note_touched_meters(
    client: &Connection,
    days: &BTreeSet<(MeterId, i64)>,
    log_time: UtcTime,
) -> Result<(), StoreError> {
    if days.is_empty() {
        return Ok(());
    }
    let query = StoreError::query("noting days that got late events");
    let statement = client.prepare_cached(NOTE_METERS).await.map_err(&query)?;
    let meters: Vec<i32> = days.iter().map(|day| day.0.get()).collect();
    let dates: Vec<Day> = days.iter().map(|day| Day(day.1)).collect();
    client.execute(&statement, &[&meters, &dates, &Stamp(log_time)]).await.map_err(&query)?;
    Ok(())
}

async fn fill_old_gaps(
    client: &Connection,
    days: &[(MeterId, ChannelNo, i64)],
    log_time: UtcTime,
) -> Result<(), StoreError> {
    let known_to = log_time.utc_day() - crate::gaps::LOOK_BACK_DAYS + 1;
    let old = || days.iter().filter(|day| day.2 < known_to);
    if old().next().is_none() {
        return Ok(());
    }
    let query = StoreError::query("closing old gaps");
    let statement = client.prepare_cached(FILL_OLD).await.map_err(&query)?;
    let meters: Vec<i32> = old().map(|day| day.0.get()).collect();
    let channels: Vec<i16> = old().map(|day| day.1.get()).collect();
    let dates: Vec<Day> = old().map(|day| Day(day.2)).collect();
    client
        .execute(&statement, &[&meters, &channels, &dates, &Stamp(log_time)])
        .await
        .map_err(&query)?;
    Ok(())
}
