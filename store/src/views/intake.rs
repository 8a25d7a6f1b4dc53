//! What arrived and could not be stored: unknown devices and dead letters.

use metering::{SourceId, UtcTime};

/// A device that was heard and is not provisioned; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommissioningRow {
    pub source: SourceId,
    pub adapter: String,
    pub collector: Option<String>,
    pub first_seen: UtcTime,
    pub last_seen: UtcTime,
    pub messages: i64,
    pub last_topic: String,
    /// Cut to [`super::activity::PAYLOAD_BYTES_SHOWN`].
    pub last_payload: Vec<u8>,
    /// Names of the values it sent.
    pub fields: Vec<String>,
    pub ignored: bool,
}

/// A message that is kept because it could not be stored as readings; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterRow {
    /// Hexadecimal SHA-256 of the payload; with `adapter` the key.
    pub sha256: String,
    pub adapter: String,
    pub topic: String,
    pub reason: String,
    pub detail: String,
    pub source: Option<SourceId>,
    pub first_seen: UtcTime,
    pub last_seen: UtcTime,
    pub count: i64,
    /// Readings that one copy offered.
    pub reads: i64,
    pub replayed_at: Option<UtcTime>,
    /// Cut to [`super::activity::PAYLOAD_BYTES_SHOWN`].
    pub payload: Vec<u8>,
    pub size_bytes: i32,
}

/// Which dead letters to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeadLetterFilter {
    pub reason: Option<String>,
    pub source: Option<String>,
    /// Also those that were replayed.
    pub replayed: bool,
}

/// How many dead letters wait, by reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterCount {
    pub reason: String,
    pub messages: i64,
    pub reads: i64,
}
