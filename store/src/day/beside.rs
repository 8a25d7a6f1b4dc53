//! What is known beside a channel's own series: its meter's voltage, who lives there, and the same
//! weeks of last year.

use metering::UtcTime;

use super::load::{self, Asked};
use super::{ChannelDays, DayRequest};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "reading what stands beside days to close";

/// 52 weeks: the same days of the week.
pub const YEAR_S: i64 = 364 * metering::time::DAY_S;
/// Days before those of last year that a cycle may reach back.
const CYCLE_BACK_S: i64 = 100 * metering::time::DAY_S;

/// Which of these days saw a voltage?
const LIVE: &str = "\
    SELECT q.i, q.to_at \
    FROM unnest($1::int8[], $2::int4[], $3::timestamptz[], $4::timestamptz[]) \
        AS q(i, meter_id, from_at, to_at) \
    WHERE EXISTS (SELECT 1 FROM meter_channel c CROSS JOIN LATERAL ( \
          SELECT 1 FROM register_read g WHERE g.meter_id = c.meter_id AND g.channel = c.channel \
          AND g.read_at > q.from_at AND g.read_at <= q.to_at AND g.read_at > $5 \
          AND g.read_at <= $6 AND g.value > 0 LIMIT 1) g \
        WHERE c.meter_id = q.meter_id AND c.reading_type LIKE 'voltage%') \
    ORDER BY 1, 2";

/// A meter that stood elsewhere before has another place's use in its history.
const ACCOUNT: &str = "\
    SELECT q.i, u.inactive_since, \
        CASE WHEN i.places > 1 THEN greatest(u.occupied_since, i.valid_from) \
            ELSE u.occupied_since END \
    FROM unnest($1::int8[], $2::int4[]) AS q(i, meter_id) \
    JOIN LATERAL (SELECT n.usage_point_id, n.valid_from, count(*) OVER () AS places \
        FROM installation n WHERE n.meter_id = q.meter_id ORDER BY n.valid_from DESC LIMIT 1) i \
        ON true \
    JOIN usage_point u ON u.usage_point_id = i.usage_point_id";

pub(super) async fn load(
    client: &Connection,
    requests: &[DayRequest],
    days: &mut [ChannelDays],
) -> Result<(), StoreError> {
    live(client, requests, days).await?;
    account(client, requests, days).await?;
    let year = Asked::shifted(requests, YEAR_S + CYCLE_BACK_S, YEAR_S);
    for row in year.rows(client, load::HISTORY).await? {
        if let Some(day) = days.get_mut(load::index(&row)) {
            day.last_year.push(load::summary(&row));
        }
    }
    Ok(())
}

async fn live(
    client: &Connection,
    requests: &[DayRequest],
    days: &mut [ChannelDays],
) -> Result<(), StoreError> {
    let all = || {
        requests.iter().zip(1_i64..).flat_map(|(request, i)| {
            request.edges.windows(2).map(move |pair| (i, request.meter.get(), pair[0], pair[1]))
        })
    };
    let (Some(first), Some(last)) = (all().map(|d| d.2).min(), all().map(|d| d.3).max()) else {
        return Ok(());
    };
    let numbers: Vec<i64> = all().map(|day| day.0).collect();
    let meters: Vec<i32> = all().map(|day| day.1).collect();
    let from: Vec<Stamp> = all().map(|day| Stamp(day.2)).collect();
    let to: Vec<Stamp> = all().map(|day| Stamp(day.3)).collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(LIVE).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&numbers, &meters, &from, &to, &Stamp(first), &Stamp(last)])
        .await
        .map_err(&query)?;
    for row in &rows {
        if let Some(day) = days.get_mut(load::index(row)) {
            day.live.push(row.get::<_, Stamp>(1).0);
        }
    }
    Ok(())
}

async fn account(
    client: &Connection,
    requests: &[DayRequest],
    days: &mut [ChannelDays],
) -> Result<(), StoreError> {
    let numbers: Vec<i64> = requests.iter().zip(1..).map(|(_, i)| i).collect();
    let meters: Vec<i32> = requests.iter().map(|request| request.meter.get()).collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(ACCOUNT).await.map_err(&query)?;
    let rows = client.query(&statement, &[&numbers, &meters]).await.map_err(&query)?;
    let time = |row: &tokio_postgres::Row, column: usize| -> Option<UtcTime> {
        row.get::<_, Option<Stamp>>(column).map(|at| at.0)
    };
    for row in &rows {
        if let Some(day) = days.get_mut(load::index(row)) {
            (day.inactive_since, day.occupied_since) = (time(row, 1), time(row, 2));
        }
    }
    Ok(())
}
