//! Is the store itself well?

use metering::UtcTime;

use super::fleet::Identity;

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
