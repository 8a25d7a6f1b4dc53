//! A log without a database, for tests of what reads one.

use std::sync::{Arc, Mutex, PoisonError};

use metering::{LogRecord, LoggedFrame, UtcTime};

use crate::error::StoreError;
use crate::event_log::EventLog;
use crate::frame;

/// Frames in memory, held as bytes so that the codec is part of every test. Clones share the log.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    frames: Arc<Mutex<Vec<Stored>>>,
}

#[derive(Clone, Debug)]
struct Stored {
    shard: i16,
    first_seq: i64,
    count: i64,
    bytes: Vec<u8>,
}

impl EventLog for MemoryLog {
    type Tx<'a> = ();

    async fn append(
        &self,
        (): &mut Self::Tx<'_>,
        shard: i16,
        log_time: UtcTime,
        records: &[LogRecord],
    ) -> Result<i64, StoreError> {
        let bytes = frame::encode(log_time, records);
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let first_seq = head(&frames, shard) + 1;
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        frames.push(Stored { shard, first_seq, count, bytes });
        Ok(first_seq)
    }

    async fn read(
        &self,
        shard: i16,
        after_seq: i64,
        frames_max: usize,
    ) -> Result<Vec<LoggedFrame>, StoreError> {
        let frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames
            .iter()
            .filter(|stored| stored.shard == shard && stored.first_seq > after_seq)
            .take(frames_max)
            .map(|stored| {
                let (log_time, records) = frame::decode(&stored.bytes)
                    .map_err(|source| StoreError::Frame { seq: stored.first_seq, source })?;
                Ok(LoggedFrame { shard, first_seq: stored.first_seq, log_time, records })
            })
            .collect()
    }

    async fn head_seq(&self, shard: i16) -> Result<i64, StoreError> {
        Ok(head(&self.frames.lock().unwrap_or_else(PoisonError::into_inner), shard))
    }
}

fn head(frames: &[Stored], shard: i16) -> i64 {
    let last = frames.iter().rfind(|stored| stored.shard == shard);
    last.map_or(0, |stored| stored.first_seq + stored.count - 1)
}
