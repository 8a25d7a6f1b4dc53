//! Where readers of the log stand, and the states they can go on from.

use metering::UtcTime;

use crate::database::Connection;
use crate::error::StoreError;
use crate::event_log::{PgLog, SHARD, SNAPSHOTS_MAX};
use crate::types::Stamp;

/// Where does this consumer stand?
const OFFSET: &str = "SELECT seq, epoch FROM event_log_offset WHERE consumer = $1 AND shard = $2";

/// Moves a consumer forward, never back, and only in its own or a newer epoch.
const ADVANCE: &str = "\
    INSERT INTO event_log_offset AS o (consumer, shard, seq, epoch) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (consumer, shard) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch \
    WHERE o.seq <= excluded.seq AND o.epoch <= excluded.epoch";

const SAVE: &str = "\
    INSERT INTO rule_snapshot (consumer, shard, seq, taken_at, state) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (consumer, shard, seq) DO UPDATE \
    SET taken_at = excluded.taken_at, state = excluded.state";

/// Drops all but the newest `$3` snapshots.
const PRUNE: &str = "\
    DELETE FROM rule_snapshot WHERE consumer = $1 AND shard = $2 AND seq NOT IN ( \
        SELECT seq FROM rule_snapshot WHERE consumer = $1 AND shard = $2 \
        ORDER BY seq DESC LIMIT $3)";

/// The snapshots of a consumer, newest first.
const LOAD: &str = "\
    SELECT seq, taken_at, state FROM rule_snapshot WHERE consumer = $1 AND shard = $2 \
    ORDER BY seq DESC";

/// How far a consumer has come: the last record it has dealt with, and the epoch of its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offset {
    pub seq: i64,
    pub epoch: i64,
}

/// State of a consumer after record `seq`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub seq: i64,
    pub taken_at: UtcTime,
    pub state: Vec<u8>,
}

impl PgLog {
    /// Where the consumer stands; the start when it is new.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn offset(&self, consumer: &str) -> Result<Offset, StoreError> {
        let client = self.database().work_client().await?;
        let query = StoreError::query("reading an offset of the event log");
        let statement = client.prepare_cached(OFFSET).await.map_err(&query)?;
        let row = client.query_opt(&statement, &[&consumer, &SHARD]).await.map_err(&query)?;
        Ok(row.map_or_else(Offset::default, |row| Offset { seq: row.get(0), epoch: row.get(1) }))
    }

    /// Moves the consumer forward in a transaction of its own.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when another owner is ahead.
    pub async fn advance(&self, consumer: &str, to: Offset) -> Result<(), StoreError> {
        let client = self.database().work_client().await?;
        advance_in(&client, consumer, to).await
    }

    /// Keeps a snapshot; the oldest beyond [`SNAPSHOTS_MAX`] go.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn save_snapshot(
        &self,
        consumer: &str,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let client = self.database().work_client().await?;
        let query = StoreError::query("saving a snapshot of the rules");
        let save = client.prepare_cached(SAVE).await.map_err(&query)?;
        let taken_at = Stamp(snapshot.taken_at);
        client
            .execute(&save, &[&consumer, &SHARD, &snapshot.seq, &taken_at, &snapshot.state])
            .await
            .map_err(&query)?;
        let prune = client.prepare_cached(PRUNE).await.map_err(&query)?;
        let keep = i64::try_from(SNAPSHOTS_MAX).unwrap_or(1);
        client.execute(&prune, &[&consumer, &SHARD, &keep]).await.map_err(&query)?;
        Ok(())
    }

    /// The snapshots of a consumer, newest first: an unreadable one is skipped for the next.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn snapshots(&self, consumer: &str) -> Result<Vec<Snapshot>, StoreError> {
        let client = self.database().work_client().await?;
        let query = StoreError::query("loading snapshots of the rules");
        let statement = client.prepare_cached(LOAD).await.map_err(&query)?;
        let rows = client.query(&statement, &[&consumer, &SHARD]).await.map_err(&query)?;
        let snapshot = |row: &tokio_postgres::Row| Snapshot {
            seq: row.get(0),
            taken_at: row.get::<_, Stamp>(1).0,
            state: row.get(2),
        };
        Ok(rows.iter().map(snapshot).collect())
    }
}

/// Moves an offset in the open transaction of the reader's own results.
pub(crate) async fn advance_in(
    client: &Connection,
    consumer: &str,
    to: Offset,
) -> Result<(), StoreError> {
    let query = StoreError::query("moving an offset of the event log");
    let statement = client.prepare_cached(ADVANCE).await.map_err(&query)?;
    let moved = client
        .execute(&statement, &[&consumer, &SHARD, &to.seq, &to.epoch])
        .await
        .map_err(&query)?;
    if moved == 1 {
        return Ok(());
    }
    Err(StoreError::Refused {
        what: "moving an offset of the event log",
        detail: format!("`{consumer}` is already past {} or has a newer owner", to.seq),
    })
}
