//! The calendar of expected reads: which slots were due and have not arrived.
//!
//! A slot is due when the delivery lag of its channel has passed since its end. The calendar of a
//! channel starts when its meter was entered (history that is imported later makes no gaps), and
//! moves on with every check, whether anything arrives or not.

use metering::UtcTime;

use crate::database::Database;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

/// Notes the slots that fell due since the last check and are not there. A check after a long
/// pause catches up at most 40 days of a channel at a time.
const NOTE: &str = "\
    WITH due AS MATERIALIZED ( \
        SELECT c.meter_id, c.channel, c.len_s, d.from_start, \
            least(to_timestamp(floor((extract(epoch FROM least($1::timestamptz, c.valid_to)) \
                - c.delivery_lag_s) / c.len_s) * c.len_s), \
              d.from_start + interval '40 days') AS to_start \
        FROM meter_channel c JOIN meter m USING (meter_id) \
        LEFT JOIN expected_through e USING (meter_id, channel) \
        CROSS JOIN LATERAL (SELECT coalesce(e.through, to_timestamp(ceil(extract(epoch FROM \
            greatest(c.valid_from, m.created_at)) / c.len_s) * c.len_s)) AS from_start) d \
        WHERE c.len_s > 0 AND c.kind <> 'instant'), \
    open AS (SELECT * FROM due WHERE from_start < to_start), \
    moved AS ( \
        INSERT INTO expected_through AS e (meter_id, channel, through) \
        SELECT meter_id, channel, to_start FROM open \
        ON CONFLICT (meter_id, channel) DO UPDATE SET through = excluded.through) \
    INSERT INTO read_gap (starts_at, meter_id, channel, due_at) \
    SELECT s, o.meter_id, o.channel, $1 \
    FROM open o CROSS JOIN LATERAL generate_series(o.from_start, \
        o.to_start - make_interval(secs => o.len_s), make_interval(secs => o.len_s)) s \
    WHERE NOT EXISTS (SELECT 1 FROM read_interval r \
        WHERE r.meter_id = o.meter_id AND r.channel = o.channel AND r.starts_at = s) \
    ON CONFLICT DO NOTHING";

/// Closes the gaps of the last 40 days whose value has arrived since.
const FILL: &str = "\
    UPDATE read_gap g SET filled_at = $1 \
    WHERE g.filled_at IS NULL AND g.starts_at >= $1::timestamptz - interval '40 days' \
        AND EXISTS (SELECT 1 FROM read_interval r WHERE r.meter_id = g.meter_id \
            AND r.channel = g.channel AND r.starts_at = g.starts_at)";

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
        let query = StoreError::query("checking the calendar of expected reads");
        let tx = Tx::begin(&self.database).await?;
        let at = Stamp(now);
        let fill = tx.client().prepare_cached(FILL).await.map_err(&query)?;
        let filled = tx.client().execute(&fill, &[&at]).await.map_err(&query)?;
        let note = tx.client().prepare_cached(NOTE).await.map_err(&query)?;
        let opened = tx.client().execute(&note, &[&at]).await.map_err(&query)?;
        tx.commit().await?;
        Ok(Checked { opened, filled })
    }
}
