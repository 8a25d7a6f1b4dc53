//! What a device reported and sent: events and raw messages.

use metering::{EventCode, UtcTime};

/// Bytes of a payload that a list shows.
pub const PAYLOAD_BYTES_SHOWN: i32 = 4_096;

/// An event of a meter or collector; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRow {
    pub occurred_at: UtcTime,
    pub received_at: UtcTime,
    /// `None` when a newer program wrote a code that this one does not know; see `code_text`.
    pub code: Option<EventCode>,
    pub code_text: String,
    pub seq: i32,
    pub detail: String,
}

/// The bytes behind readings, cut to [`PAYLOAD_BYTES_SHOWN`]; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawMessageRow {
    pub received_at: UtcTime,
    pub adapter: String,
    pub topic: String,
    /// Hexadecimal SHA-256 of the whole payload.
    pub sha256: String,
    pub payload: Vec<u8>,
    /// Bytes of the whole payload.
    pub size_bytes: i32,
}
