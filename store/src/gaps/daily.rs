//! Expected days of devices that count them from their local midnight: 23 or 25 hours apart when the
//! clocks change.

use std::collections::BTreeMap;

use metering::{LocalCalendar, UtcTime};
use tokio_postgres::Row;

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "checking the calendar of expected days";
/// A check catches up so much at a time.
const CATCH_UP_S: i64 = 40 * metering::time::DAY_S;

/// Channels that are read at a time.
const CHANNELS_MAX: i64 = 10_000;

/// Channels of whole days after `$2` and `$3`, of which a day may have fallen due: with the end of
/// what was checked, and where their days begin. A day of 23 hours is seen an hour later.
const CHANNELS: &str = concat!(
    "SELECT c.meter_id, c.channel, c.len_s, u.time_zone, e.through, \
        CASE WHEN e.through IS NULL THEN least(",
    entered_at!(),
    ", ",
    measured_before!(),
    ") ELSE coalesce(e.begins_at, ",
    entered_at!(),
    ") END, \
        least($1::timestamptz, c.valid_to) - make_interval(secs => c.delivery_lag_s), \
        (SELECT r.starts_at FROM read_interval r WHERE r.meter_id = c.meter_id \
            AND r.channel = c.channel AND r.starts_at >= $1::timestamptz - interval '40 days' \
            ORDER BY r.starts_at DESC LIMIT 1) \
    FROM meter_channel c JOIN meter m USING (meter_id) \
    LEFT JOIN expected_through e USING (meter_id, channel) \
    JOIN LATERAL (SELECT i.usage_point_id FROM installation i WHERE i.meter_id = c.meter_id \
        ORDER BY i.valid_from DESC LIMIT 1) i ON true \
    JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
    WHERE c.kind = 'interval' AND c.len_s >= 86400 AND (c.meter_id, c.channel) > ($2, $3) \
        AND coalesce(e.through, ",
    entered_at!(),
    ") <= least($1::timestamptz, c.valid_to) \
            - make_interval(secs => c.delivery_lag_s) - interval '24 hours' \
    ORDER BY c.meter_id, c.channel LIMIT $4"
);

const NOTE: &str = "\
    INSERT INTO read_gap (starts_at, meter_id, channel, due_at) \
    SELECT u.starts_at, u.meter_id, u.channel, $4 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) AS u(meter_id, channel, starts_at) \
    WHERE NOT EXISTS (SELECT 1 FROM read_interval r WHERE r.meter_id = u.meter_id \
        AND r.channel = u.channel AND r.starts_at = u.starts_at AND r.starts_at >= $5 \
        AND r.starts_at <= $6) \
    ON CONFLICT DO NOTHING";

const MOVE: &str = "\
    INSERT INTO expected_through AS e (meter_id, channel, through, begins_at) \
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
    ON CONFLICT (meter_id, channel) DO UPDATE SET through = excluded.through";

/// Notes the days that fell due and are not there, and moves the calendar on.
pub(super) async fn note(client: &Connection, now: UtcTime) -> Result<u64, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(CHANNELS).await.map_err(&query)?;
    let mut zones: BTreeMap<String, Option<LocalCalendar>> = BTreeMap::new();
    let (mut noted, mut last) = (0, (0_i32, 0_i16));
    loop {
        let rows = client
            .query(&statement, &[&Stamp(now), &last.0, &last.1, &CHANNELS_MAX])
            .await
            .map_err(&query)?;
        let (mut due, mut moves) = (Columns::default(), Columns::default());
        let mut begins: Vec<Stamp> = Vec::new();
        for row in &rows {
            last = (row.get(0), row.get(1));
            let zone: &str = row.get(3);
            if !zones.contains_key(zone) {
                zones.insert(zone.to_owned(), LocalCalendar::new(zone).ok());
            }
            // A zone that is not known is told by the job that closes days.
            let Some(Some(calendar)) = zones.get(zone) else { continue };
            if let Some((through, begins_at)) = one(row, calendar, &mut due) {
                moves.push(last, through);
                begins.push(Stamp(begins_at));
            }
        }
        moves.run(client, MOVE, &[&begins]).await?;
        if let Some((first, end)) = due.bounds() {
            noted += due.run(client, NOTE, &[&Stamp(now), &first, &end]).await?;
        }
        if i64::try_from(rows.len()).is_ok_and(|count| count < CHANNELS_MAX) {
            return Ok(noted);
        }
    }
}

/// The days of one channel that fell due; gives the end of the last of them, when it moved, and
/// where its days begin. Of the day in which a channel was entered nothing is expected.
fn one(row: &Row, calendar: &LocalCalendar, due: &mut Columns) -> Option<(UtcTime, UtcTime)> {
    let key: (i32, i16) = (row.get(0), row.get(1));
    let time = |column| row.get::<_, Option<Stamp>>(column).map(|at| at.0);
    let (entered, to) = (time(5)?, time(6)?);
    let len_s = i64::from(row.get::<_, i32>(2));
    let local = time(7).is_none_or(|start| {
        let end = start.plus_seconds(len_s);
        calendar.day_containing(end).start == end
    });
    let (begin, next): (UtcTime, &dyn Fn(UtcTime) -> UtcTime) = match local {
        true => (calendar.day_containing(entered).start, &|end| calendar.day_containing(end).end),
        false => (entered.floor_to(len_s), &|end| end.floor_to(len_s).plus_seconds(len_s)),
    };
    let from = time(4).unwrap_or(begin);
    let to = to.min(from.plus_seconds(CATCH_UP_S));
    let mut through = from;
    for end in std::iter::successors(Some(next(from)), |end| Some(next(*end))) {
        if end > to {
            break;
        }
        through = end;
        let start = end.plus_seconds(-len_s);
        if start >= entered {
            due.push(key, start);
        }
    }
    (time(4) != Some(through)).then_some((through, entered))
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
