//! Frames of the event log as bytes: columns of deltas, checked by CRC-32C.

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the frame has format {0}, this program reads format 1")]
    Format(u8),
    #[error("the check sum does not match")]
    Checksum,
    #[error("the frame ends too early")]
    Truncated,
    #[error("the frame holds a value that means nothing: {0}")]
    Value(&'static str),
}
