//! Expected days of devices that count them from their local midnight: 23 or 25 hours apart when the
//! clocks change.

use metering::{LocalCalendar, UtcTime};

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "checking the calendar of expected days";
/// A check catches up so much at a time.
const CATCH_UP_S: i64 = 40 * metering::time::DAY_S;

/// Channels of whole days with the end of what was checked, and when they were entered.
const CHANNELS: &str = "\
    SELECT c.meter_id, c.channel, c.len_s, u.time_zone, e.through, \
        greatest(c.valid_from, m.created_at), \
        least($1::timestamptz, c.valid_to) - make_interval(secs => c.delivery_lag_s), \
        (SELECT r.starts_at FROM read_interval r WHERE r.meter_id = c.meter_id \
            AND r.channel = c.channel AND r.starts_at >= $1::timestamptz - interval '40 days' \
            ORDER BY r.starts_at DESC LIMIT 1) \
    FROM meter_channel c JOIN meter m USING (meter_id) \
    LEFT JOIN expected_through e USING (meter_id, channel) \
    JOIN LATERAL (SELECT i.usage_point_id FROM installation i WHERE i.meter_id = c.meter_id \
        ORDER BY i.valid_from DESC LIMIT 1) i ON true \
    JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
    WHERE c.kind = 'interval' AND c.len_s >= 86400 \
        AND coalesce(e.through, '-infinity') < $1::timestamptz \
            - make_interval(secs => c.delivery_lag_s)";

const NOTE: &str = "\
    INSERT INTO read_gap (starts_at, meter_id, channel, due_at) \
    SELECT u.starts_at, u.meter_id, u.channel, $4 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) AS u(meter_id, channel, starts_at) \
    WHERE NOT EXISTS (SELECT 1 FROM read_interval r WHERE r.meter_id = u.meter_id \
        AND r.channel = u.channel AND r.starts_at = u.starts_at AND r.starts_at >= $5 \
        AND r.starts_at <= $6) \
    ON CONFLICT DO NOTHING";

const MOVE: &str = "\
    INSERT INTO expected_through AS e (meter_id, channel, through) \
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) \
    ON CONFLICT (meter_id, channel) DO UPDATE SET through = excluded.through";

/// Notes the days that fell due and are not there, and moves the calendar on.
pub(super) async fn note(client: &Connection, now: UtcTime) -> Result<u64, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(CHANNELS).await.map_err(&query)?;
    let rows = client.query(&statement, &[&Stamp(now)]).await.map_err(&query)?;
    let (mut due, mut moves) = (Columns::default(), Columns::default());
    for row in &rows {
        let key: (i32, i16) = (row.get(0), row.get(1));
        let time = |column| row.get::<_, Option<Stamp>>(column).map(|at| at.0);
        // A zone that is not known is told by the job that closes days.
        let Ok(calendar) = LocalCalendar::new(row.get(3)) else { continue };
        let (Some(entered), Some(to)) = (time(5), time(6)) else { continue };
        let len_s = i64::from(row.get::<_, i32>(2));
        let from = time(4).unwrap_or(entered);
        let to = to.min(from.plus_seconds(CATCH_UP_S));
        let local = time(7).is_none_or(|start| {
            let end = start.plus_seconds(len_s);
            calendar.day_containing(end).start == end
        });
        let next = |end: UtcTime| match local {
            true => calendar.day_containing(end).end,
            false => end.floor_to(len_s).plus_seconds(len_s),
        };
        let starts = std::iter::successors(Some(next(from)), |end| Some(next(*end)))
            .take_while(|end| *end <= to)
            .map(|end| end.plus_seconds(-len_s))
            .filter(|start| time(4).is_some() || *start >= entered);
        starts.for_each(|start| due.push(key, start));
        if from < to {
            moves.push(key, to);
        }
    }
    moves.run(client, MOVE, &[]).await?;
    let Some((first, last)) = due.bounds() else { return Ok(0) };
    due.run(client, NOTE, &[&Stamp(now), &first, &last]).await
}

/// Rows on their way to the database.
#[derive(Default)]
struct Columns {
    meters: Vec<i32>,
    channels: Vec<i16>,
    times: Vec<Stamp>,
}

impl Columns {
    fn push(&mut self, (meter, channel): (i32, i16), at: UtcTime) {
        self.meters.push(meter);
        self.channels.push(channel);
        self.times.push(Stamp(at));
    }

    fn bounds(&self) -> Option<(Stamp, Stamp)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    async fn run(
        &self,
        client: &Connection,
        statement: &'static str,
        more: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        if self.times.is_empty() {
            return Ok(0);
        }
        let query = StoreError::query(WHAT);
        let statement = client.prepare_cached(statement).await.map_err(&query)?;
        let own: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.meters, &self.channels, &self.times];
        let values: Vec<_> = own.into_iter().chain(more.iter().copied()).collect();
        client.execute(&statement, &values).await.map_err(&query)
    }
}
