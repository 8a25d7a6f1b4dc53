//! The invariants of 5.2 on what is stored.

use metering::{ChannelNo, MeterId, UtcTime};

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// A slot that breaks an invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// `I2`, `I5` or `I6`.
    pub invariant: &'static str,
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub start: UtcTime,
    pub version: i16,
}

/// Most violations that one answer tells.
const LIMIT: i64 = 1_000;

/// The best version of each slot that starts at `$1` or later.
macro_rules! best {
    () => {
        "(SELECT DISTINCT ON (meter_id, channel, starts_at) * FROM interval_exception \
          WHERE lane = 0 AND starts_at >= $1 \
          ORDER BY meter_id, channel, starts_at, version DESC) b "
    };
}

/// I2: a good actual value was there when the estimate was made, whether it had a version or stood as
/// it had arrived. What was measured in another shape (method 2) is no estimate of it.
const I2: &str = concat!(
    "SELECT b.meter_id, b.channel, b.starts_at, b.version FROM ",
    best!(),
    "LEFT JOIN LATERAL (SELECT p.status FROM interval_exception p WHERE p.meter_id = b.meter_id \
        AND p.channel = b.channel AND p.starts_at = b.starts_at AND p.lane = 0 \
        AND p.version < b.version ORDER BY p.version DESC LIMIT 1) before ON true \
     WHERE b.status IN (5, 8) AND b.undoes IS NULL AND (before.status IN (3, 4) \
        OR before.status IS NULL AND b.method <> 2 AND EXISTS (SELECT 1 FROM read_interval r \
            WHERE r.meter_id = b.meter_id AND r.channel = b.channel \
            AND r.starts_at = b.starts_at AND r.flags & 15 = 1 \
            AND r.received_at <= b.recorded_at)) \
     ORDER BY 1, 2, 3 LIMIT $2"
);

/// I5: a version that takes another back is not what stood there before it (or, taking an undo
/// back, is not what that one took). Where nothing had arrived it is missing (0), whatever came
/// later.
const I5: &str = "\
    SELECT u.meter_id, u.channel, u.starts_at, u.version FROM interval_exception u \
    JOIN interval_exception t ON t.meter_id = u.meter_id AND t.channel = u.channel \
        AND t.starts_at = u.starts_at AND t.version = u.undoes \
    LEFT JOIN LATERAL (SELECT p.value, p.status, p.method, p.estimation_no \
        FROM interval_exception p WHERE p.meter_id = u.meter_id AND p.channel = u.channel \
        AND p.starts_at = u.starts_at AND p.lane = 0 \
        AND (CASE WHEN t.undoes IS NULL THEN p.version < t.version ELSE p.version = t.undoes END) \
        ORDER BY p.version DESC LIMIT 1) b ON true \
    LEFT JOIN LATERAL (SELECT r.value FROM read_interval r WHERE r.meter_id = u.meter_id \
        AND r.channel = u.channel AND r.starts_at = u.starts_at) r ON true \
    WHERE u.undoes IS NOT NULL AND u.starts_at >= $1 AND (\
        (b.status IS NOT NULL AND (u.value, u.status, u.method, u.estimation_no) \
            IS DISTINCT FROM (b.value, b.status, b.method, b.estimation_no)) \
        OR (b.status IS NULL AND u.status <> 0 AND u.value <> coalesce(r.value, 0))) \
    ORDER BY 1, 2, 3 LIMIT $2";

/// I6: an estimated or edited best value has no record in force, or its record no issue. An edit
/// (12) of what was measured needs none; version 1 was missing before. What the sender of a file
/// estimated itself (source 1) has its record there.
const I6: &str = concat!(
    "SELECT b.meter_id, b.channel, b.starts_at, b.version FROM ",
    best!(),
    "LEFT JOIN estimation e ON e.estimation_no = b.estimation_no \
        AND e.meter_id = b.meter_id AND e.channel = b.channel AND e.starts_at <= b.starts_at \
        AND e.ends_at > b.starts_at \
     WHERE b.status IN (5, 6, 8) AND b.source <> 1 AND (e.estimation_no IS NULL \
        OR e.state NOT IN ('APPLIED', 'FINAL') \
        OR e.issue_id IS NULL AND (e.method <> 12 OR b.version = 1)) \
     ORDER BY 1, 2, 3 LIMIT $2"
);

/// Slots that start at `since` or later and break I2, I5 or I6; must be none.
///
/// # Errors
/// When the database is away.
pub async fn violations(database: &Database, since: UtcTime) -> Result<Vec<Violation>, StoreError> {
    let query = StoreError::query("auditing estimates");
    let client = database.work_client().await?;
    let mut found = Vec::new();
    for (invariant, sql) in [("I2", I2), ("I5", I5), ("I6", I6)] {
        let rows = client.query(sql, &[&Stamp(since), &LIMIT]).await.map_err(&query)?;
        found.extend(rows.iter().map(|row| Violation {
            invariant,
            meter: MeterId::new(row.get(0)),
            channel: ChannelNo::new(row.get(1)),
            start: row.get::<_, Stamp>(2).0,
            version: row.get(3),
        }));
    }
    Ok(found)
}
