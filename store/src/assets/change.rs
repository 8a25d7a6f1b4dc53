//! One change of the asset model: alone, told to the log, then seen by all.

use metering::{LogRecord, UtcTime};

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::{append_records, log_day};
use crate::partitions::{Table, Touched};
use crate::tx::Tx;

const WHAT: &str = "changing the asset model";

/// Key of the advisory lock under which the asset model changes: numbers are given out in order.
const LOCK_KEY: i64 = 0x0061_7373_6574; // "asset"

const BUMP: &str = "UPDATE asset_version SET version = version + 1";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finish {
    Commit,
    Rollback,
}

/// An open change of the asset model, alone at that.
pub(super) struct Change {
    tx: Tx,
    pub(super) now: UtcTime,
    finish: Finish,
}

impl Change {
    pub(super) async fn begin(
        database: &Database,
        now: UtcTime,
        finish: Finish,
    ) -> Result<Self, StoreError> {
        let mut touched = Touched::default();
        touched.add(Table::EventLog, log_day(now));
        database.ensure_partitions(&touched).await?;
        let tx = Tx::begin(database).await?;
        tx.client()
            .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK_KEY])
            .await
            .map_err(StoreError::query(WHAT))?;
        Ok(Self { tx, now, finish })
    }

    pub(super) fn client(&self) -> &Connection {
        self.tx.client()
    }

    /// Tells the log, wakes who listens and commits; without records nothing has changed.
    pub(super) async fn finish(self, records: &[LogRecord]) -> Result<(), StoreError> {
        if self.finish == Finish::Rollback {
            self.tx.rollback().await;
            return Ok(());
        }
        if !records.is_empty() {
            append_records(self.client(), self.now, records).await?;
            self.tell().await?;
        }
        self.tx.commit().await
    }

    async fn tell(&self) -> Result<(), StoreError> {
        let query = StoreError::query(WHAT);
        self.client().execute(BUMP, &[]).await.map_err(&query)?;
        self.client().batch_execute("NOTIFY headend_assets").await.map_err(&query)
    }
}

impl Database {
    /// Lets a running head-end load the asset model and the counters again, although no meter
    /// changed: a replay moved counters on.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn touch_assets(&self, now: UtcTime) -> Result<(), StoreError> {
        let change = Change::begin(self, now, Finish::Commit).await?;
        change.tell().await?;
        change.finish(&[]).await
    }
}
