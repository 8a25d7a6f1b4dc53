//! Is the store itself well?

use metering::UtcTime;

use super::ask::{self, Columns};
use super::fleet::Identity;
use super::page::LIMIT_MAX;
use super::sql::identity_sums;
use crate::database::Database;
use crate::error::StoreError;

/// The database at one instant.
#[derive(Clone, PartialEq, Debug)]
pub struct DatabaseState {
    pub server_version: String,
    pub database: String,
    pub size_bytes: i64,
    pub connections: i64,
    pub connections_max: i64,
    /// Number of the newest migration.
    pub schema_version: i32,
    pub tables: Vec<TableSize>,
    pub log_next_seq: i64,
    pub consumers: Vec<ConsumerLag>,
    /// Counts of all batches that are kept.
    pub identity: Identity,
    pub adapters: Vec<AdapterState>,
}

/// A table, or all partitions of one. Rows are the planner's estimate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSize {
    pub table: String,
    pub partitions: i64,
    pub rows_estimate: i64,
    pub size_bytes: i64,
}

/// How far a reader of the event log is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsumerLag {
    pub consumer: String,
    pub seq: i64,
    /// Records that it has not read.
    pub behind: i64,
}

/// What came in through one adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdapterState {
    pub adapter: String,
    pub identity: Identity,
    pub last_commit: Option<UtcTime>,
}

/// One committed batch; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchRow {
    pub batch_id: i64,
    pub committed_at: UtcTime,
    pub adapter: String,
    pub identity: Identity,
    pub first_seq: Option<i64>,
    pub last_seq: Option<i64>,
}

/// What server is this, and how full is it?
const SERVER: &str = "SELECT current_setting('server_version'), current_database()::text, \
     pg_database_size(current_database()), \
     (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), \
     current_setting('max_connections')::int8, \
     (SELECT coalesce(max(version), 0)::int4 FROM refinery_schema_history), \
     (SELECT coalesce(max(next_seq), 1) FROM event_log_head)";

/// How large is each table with its partitions? Catalogue only, so that it stays cheap.
const TABLES: &str = "SELECT coalesce(p.relname, t.relname)::text, \
     count(*) FILTER (WHERE p.oid IS NOT NULL), \
     coalesce(sum(greatest(t.reltuples, 0)), 0)::int8, \
     coalesce(sum(pg_total_relation_size(t.oid)), 0)::int8 \
     FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace AND s.nspname = 'public' \
     LEFT JOIN pg_inherits h ON h.inhrelid = t.oid LEFT JOIN pg_class p ON p.oid = h.inhparent \
     WHERE t.relkind = 'r' GROUP BY 1 ORDER BY 4 DESC, 1 LIMIT 100";

/// How far is each reader of the log?
const CONSUMERS: &str = "SELECT o.consumer, o.seq, greatest(h.next_seq - 1 - o.seq, 0) \
     FROM event_log_offset o JOIN event_log_head h ON h.shard = o.shard ORDER BY 1 LIMIT 100";

/// What came in through each adapter?
const ADAPTERS: &str = concat!(
    "SELECT adapter, max(committed_at), ",
    identity_sums!(),
    " FROM ingest_batch GROUP BY 1 ORDER BY 1 LIMIT 100"
);

/// Which batches were committed last?
const BATCHES: &str = "SELECT batch_id, committed_at, adapter, first_seq, last_seq, 1::int8, \
     messages::int8, offered::int8, inserted::int8, (duplicate + folded)::int8, \
     conflicting::int8, dead::int8, derived::int8, events::int8 \
     FROM ingest_batch ORDER BY batch_id DESC LIMIT $1";

const WHAT: &str = "reading the state of the database";

/// State of the database. Reads the whole of `ingest_batch` (30 days of batches): not for every
/// second.
///
/// # Errors
/// When the database does not answer.
pub async fn database(db: &Database) -> Result<DatabaseState, StoreError> {
    let server = ask::first(db, WHAT, SERVER, &[], |c| {
        Ok(DatabaseState {
            server_version: c.get()?,
            database: c.get()?,
            size_bytes: c.get()?,
            connections: c.get()?,
            connections_max: c.get()?,
            schema_version: c.get()?,
            log_next_seq: c.get()?,
            tables: Vec::new(),
            consumers: Vec::new(),
            identity: Identity::default(),
            adapters: Vec::new(),
        })
    })
    .await?;
    let mut state =
        server.ok_or_else(|| StoreError::Corrupt { what: WHAT, detail: "no answer".to_owned() })?;
    state.tables = ask::all(db, WHAT, TABLES, &[], |c| {
        Ok(TableSize {
            table: c.get()?,
            partitions: c.get()?,
            rows_estimate: c.get()?,
            size_bytes: c.get()?,
        })
    })
    .await?;
    state.consumers = ask::all(db, WHAT, CONSUMERS, &[], |c| {
        Ok(ConsumerLag { consumer: c.get()?, seq: c.get()?, behind: c.get()? })
    })
    .await?;
    state.adapters = adapters(db).await?;
    for adapter in &state.adapters {
        state.identity.add(&adapter.identity);
    }
    Ok(state)
}

/// Counts of all batches that are kept, by adapter.
///
/// # Errors
/// When the database does not answer.
pub async fn adapters(db: &Database) -> Result<Vec<AdapterState>, StoreError> {
    ask::all(db, "counting batches", ADAPTERS, &[], |c| {
        let (adapter, last_commit) = (c.get()?, c.maybe_time()?);
        Ok(AdapterState { adapter, last_commit, identity: Identity::read(c)? })
    })
    .await
}

/// The last batches, newest first, at most 1,000.
///
/// # Errors
/// When the database does not answer.
pub async fn batches(db: &Database, limit: u32) -> Result<Vec<BatchRow>, StoreError> {
    let limit = i64::from(limit.clamp(1, LIMIT_MAX));
    ask::all(db, "reading batches", BATCHES, &[&limit], read_batch).await
}

fn read_batch(c: &mut Columns<'_>) -> Result<BatchRow, StoreError> {
    Ok(BatchRow {
        batch_id: c.get()?,
        committed_at: c.time()?,
        adapter: c.get()?,
        first_seq: c.get()?,
        last_seq: c.get()?,
        identity: Identity::read(c)?,
    })
}

/// Does the database answer, with the schema in place?
const ANSWERS: &str = "SELECT 1 FROM event_log_head LIMIT 1";

/// Asks the cheapest question there is.
///
/// # Errors
/// When the database does not answer.
pub async fn answers(db: &Database) -> Result<(), StoreError> {
    ask::rows(db, "asking the database whether it answers", ANSWERS, &[]).await.map(drop)
}
