//! The event log: frames of facts in one sequence per shard, read by rules and console.
//!
//! [`PgLog`] appends in the transaction that stores the readings, so a fact is in the log exactly
//! when it is in the tables. The head row of a shard is locked to COMMIT: sequences have no gaps,
//! and a reader never sees 8 before 7. [`MemoryLog`] behaves the same without a database.

mod memory;
mod pg;
mod snapshots;

use std::future::Future;

use metering::{LogRecord, LoggedFrame, UtcTime};

use crate::error::StoreError;

pub use memory::MemoryLog;
pub use pg::{LogTx, PgLog};
pub use snapshots::{Offset, Snapshot};

pub(crate) use snapshots::advance_in;

pub(crate) use pg::{append_records, log_day};

/// The only shard for now: one writer, one sequence. The column exists for more.
pub const SHARD: i16 = 0;
/// Snapshots of the rules that are kept.
pub const SNAPSHOTS_MAX: usize = 3;

/// A log of frames. A frame is durable when its transaction commits.
pub trait EventLog {
    /// What an append takes part in.
    type Tx<'a>;

    /// Appends one frame of at most [`crate::frame::RECORDS_MAX`] records; gives the sequence of
    /// its first record.
    ///
    /// # Errors
    /// When the database refuses or is away; the transaction is then void.
    fn append(
        &self,
        tx: &mut Self::Tx<'_>,
        shard: i16,
        log_time: UtcTime,
        records: &[LogRecord],
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Frames whose first record lies behind `after_seq`, in order, at most `frames_max`.
    ///
    /// # Errors
    /// When the database is away or a frame is damaged.
    fn read(
        &self,
        shard: i16,
        after_seq: i64,
        frames_max: usize,
    ) -> impl Future<Output = Result<Vec<LoggedFrame>, StoreError>> + Send;

    /// The sequence of the last record, 0 for an empty log.
    ///
    /// # Errors
    /// When the database is away.
    fn head_seq(&self, shard: i16) -> impl Future<Output = Result<i64, StoreError>> + Send;
}
