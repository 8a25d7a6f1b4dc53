//! The calendar of expected reads: which slots were due and have not arrived.
//!
//! A slot is due when the delivery lag of its channel has passed since its end. The calendar of a
//! channel starts when its meter was entered, or with the first reading that had waited for that
//! (history that is imported later makes no gaps), and moves on with every check, whether anything
//! arrives or not. Slots lie on the grid of UTC, days that a device counts itself ([`daily`]) end
//! at its local midnight.

use metering::UtcTime;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::readings::PROBE_SETTINGS;
use crate::tx::Tx;
use crate::types::Stamp;

/// When a channel `c` of a meter `m` was entered.
macro_rules! entered_at {
    () => {
        "greatest(c.valid_from, m.created_at)"
    };
}

/// The first thing that was measured in the 40 days before it was entered, and had waited for that;
/// NULL when nothing had. What a doubtful clock dates (suspect) begins nothing, nor does history that
/// is imported once the meter is known; the first 500 reads are looked at, so that a long history does
/// not cost a look at each.
macro_rules! measured_before {
    () => {
        "least( \
            (SELECT min(f.starts_at) FROM (SELECT r.starts_at, r.received_at, r.flags \
                FROM read_interval r WHERE r.meter_id = c.meter_id \
                AND r.channel = c.channel AND r.starts_at < m.created_at AND r.starts_at >= \
                    greatest(c.valid_from, m.created_at - interval '40 days') \
                ORDER BY r.starts_at LIMIT 500) f \
                WHERE f.received_at < m.created_at AND (f.flags & 15) NOT IN (2, 7)), \
            (SELECT min(f.read_at) FROM (SELECT g.read_at, g.received_at, g.flags \
                FROM register_read g WHERE g.meter_id = c.meter_id \
                AND g.channel = c.channel AND g.read_at < m.created_at AND g.read_at >= \
                    greatest(c.valid_from, m.created_at - interval '40 days') \
                ORDER BY g.read_at LIMIT 500) f \
                WHERE f.received_at < m.created_at AND (f.flags & 15) NOT IN (2, 7)))"
    };
}

/// The stretches that fell due since the last check, by channel. After a long pause a check
/// catches up at most 40 days of a channel at a time. What was measured before a meter was entered
/// is looked for once, when the first slot after it is due.
macro_rules! due_stretches {
    () => {
        concat!(
            "SELECT c.meter_id, c.channel, c.len_s, d.from_start, \
                least(t.due, d.from_start + interval '40 days') AS to_start \
            FROM meter_channel c JOIN meter m USING (meter_id) \
            LEFT JOIN expected_through e USING (meter_id, channel) \
            CROSS JOIN LATERAL (SELECT \
                to_timestamp(floor((extract(epoch FROM least($1::timestamptz, c.valid_to)) \
                    - c.delivery_lag_s) / c.len_s) * c.len_s) AS due, \
                to_timestamp(ceil(extract(epoch FROM ",
            entered_at!(),
            ") / c.len_s) * c.len_s) AS begins) t \
            CROSS JOIN LATERAL (SELECT CASE WHEN e.through IS NOT NULL THEN e.through \
                WHEN t.begins >= t.due THEN t.begins \
                ELSE least(t.begins, to_timestamp(ceil(extract(epoch FROM ",
            measured_before!(),
            ") / c.len_s) * c.len_s)) END AS from_start) d \
            WHERE c.len_s > 0 AND c.kind <> 'instant' \
                AND NOT (c.kind = 'interval' AND c.len_s >= 86400)"
        )
    };
}

// It uses the macros above.
mod daily;

/// From when to when have slots fallen due?
const BOUNDS: &str = concat!(
    "SELECT min(from_start), max(to_start) FROM (",
    due_stretches!(),
    ") due WHERE from_start < to_start"
);

/// Notes the slots that fell due and are not there, and moves the calendar on. EXCEPT keeps the
/// plan one range of the key per channel, whatever the planner thinks of a new day; `$2` and `$3`
/// leave out the days that do not matter, and channels that only a batch committed since the bounds
/// were asked for takes beyond them: theirs is the next check.
const NOTE: &str = concat!(
    "WITH due AS MATERIALIZED (",
    due_stretches!(),
    "), open AS (SELECT * FROM due \
        WHERE from_start < to_start AND from_start >= $2 AND to_start <= $3), \
    moved AS ( \
        INSERT INTO expected_through AS e (meter_id, channel, through, begins_at) \
        SELECT meter_id, channel, to_start, from_start FROM open \
        ON CONFLICT (meter_id, channel) DO UPDATE SET through = excluded.through) \
    INSERT INTO read_gap (starts_at, meter_id, channel, due_at) \
    SELECT s.starts_at, o.meter_id, o.channel, $1 \
    FROM open o CROSS JOIN LATERAL ( \
        SELECT generate_series(o.from_start, o.to_start - make_interval(secs => o.len_s), \
            make_interval(secs => o.len_s)) AS starts_at \
        EXCEPT \
        SELECT r.starts_at FROM read_interval r \
        WHERE r.meter_id = o.meter_id AND r.channel = o.channel \
            AND r.starts_at >= o.from_start AND r.starts_at < o.to_start \
            AND r.starts_at >= $2 AND r.starts_at < $3) s \
    ON CONFLICT DO NOTHING"
);

/// Older gaps are closed by the batch that brings their values.
pub(crate) const LOOK_BACK_DAYS: i64 = 40;

/// From when to when are the gaps of the last 40 days that are still open?
const OPEN_BOUNDS: &str = "\
    SELECT min(starts_at), max(starts_at) FROM read_gap \
    WHERE filled_at IS NULL AND starts_at >= $1::timestamptz - interval '40 days'";

/// Closes those whose value has arrived since.
const FILL: &str = "\
    UPDATE read_gap g SET filled_at = $1 FROM ( \
        SELECT o.meter_id, o.channel, o.starts_at FROM read_gap o \
        CROSS JOIN LATERAL (SELECT 1 FROM read_interval r WHERE r.meter_id = o.meter_id \
            AND r.channel = o.channel AND r.starts_at = o.starts_at \
            AND r.starts_at >= $2 AND r.starts_at <= $3 LIMIT 1) arrived \
        WHERE o.filled_at IS NULL AND o.starts_at >= $2 AND o.starts_at <= $3) f \
    WHERE g.meter_id = f.meter_id AND g.channel = f.channel AND g.starts_at = f.starts_at";

/// The calendar.
#[derive(Clone, Debug)]
pub struct Gaps {
    database: Database,
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    pub opened: u64,
    pub filled: u64,
}

impl Gaps {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Moves the calendar on to `now`.
    ///
    /// # Errors
    /// When the database is away; the next check makes up for it.
    pub async fn check(&self, now: UtcTime) -> Result<Checked, StoreError> {
        let tx = Tx::begin(&self.database).await?;
        let client = tx.client();
        let query = StoreError::query("checking the calendar of expected reads");
        client.batch_execute(PROBE_SETTINGS).await.map_err(&query)?;
        let filled = between(client, now, OPEN_BOUNDS, FILL).await?;
        let opened = between(client, now, BOUNDS, NOTE).await? + daily::note(client, now).await?;
        tx.commit().await?;
        Ok(Checked { opened, filled })
    }
}

/// Runs `statement` between the bounds that `bounds` gives; does nothing when there are none.
async fn between(
    client: &Connection,
    now: UtcTime,
    bounds: &str,
    statement: &str,
) -> Result<u64, StoreError> {
    let query = StoreError::query("checking the calendar of expected reads");
    let at = Stamp(now);
    let bounds = client.prepare_cached(bounds).await.map_err(&query)?;
    let row = client.query_one(&bounds, &[&at]).await.map_err(&query)?;
    let (Some(first), Some(last)) =
        (row.get::<_, Option<Stamp>>(0), row.get::<_, Option<Stamp>>(1))
    else {
        return Ok(0);
    };
    let statement = client.prepare_cached(statement).await.map_err(&query)?;
    client.execute(&statement, &[&at, &first, &last]).await.map_err(&query)
}
