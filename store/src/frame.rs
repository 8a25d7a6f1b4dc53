//! Frames of the event log as bytes: columns of deltas, checked by CRC-32C.
//!
//! Format 1: byte `01`; `uv` number of records; `zv` log time (us); sections until all records are
//! told; CRC-32C of everything before it, 4 bytes little-endian. A section is a run of records of
//! one kind: kind byte, `uv` count, columns. `uv` is unsigned LEB128, `zv` a zigzagged signed
//! number. A number column starts with the greatest common divisor of its values, then holds
//! differences to the previous value, so that ends on a grid cost one byte. A run column is pairs
//! of `uv` length and value. Decoding arbitrary bytes gives an error, never a panic.

mod asset;
mod bytes;
mod columns;
mod rare;
mod record;

use metering::{LogRecord, UtcTime};

use self::bytes::{Reader, put_uv, put_zv};

/// Largest number of records in one frame.
pub const RECORDS_MAX: usize = 1_000;
const FORMAT: u8 = 1;
const CRC_BYTES: usize = 4;

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
    #[error("{0} bytes stand behind the last record")]
    Trailing(usize),
}

/// Encodes one frame. Callers keep to [`RECORDS_MAX`]; [`split`] cuts a longer list.
pub fn encode(log_time: UtcTime, records: &[LogRecord]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + records.len() * 8);
    out.push(FORMAT);
    put_uv(&mut out, records.len() as u64);
    put_zv(&mut out, log_time.micros());
    for section in records.chunk_by(|a, b| record::kind(a) == record::kind(b)) {
        record::put_section(&mut out, section);
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Decodes a frame into its log time and records.
///
/// # Errors
/// [`FrameError`] for anything that [`encode`] does not produce.
pub fn decode(frame: &[u8]) -> Result<(UtcTime, Vec<LogRecord>), FrameError> {
    let (body, crc) = frame.split_last_chunk::<CRC_BYTES>().ok_or(FrameError::Truncated)?;
    match body.first() {
        Some(&FORMAT) => {}
        Some(&other) => return Err(FrameError::Format(other)),
        None => return Err(FrameError::Truncated),
    }
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return Err(FrameError::Checksum);
    }
    let mut reader = Reader::new(&body[1..]);
    let count = usize::try_from(reader.uv()?).map_err(|_| FrameError::Value("count"))?;
    if count > RECORDS_MAX {
        return Err(FrameError::Value("count"));
    }
    let log_time = UtcTime::from_micros(reader.zv()?);
    let mut records = Vec::with_capacity(count);
    while records.len() < count {
        record::take_section(&mut reader, count - records.len(), &mut records)?;
    }
    match reader.left() {
        0 => Ok((log_time, records)),
        left => Err(FrameError::Trailing(left)),
    }
}

/// Cuts a list of records into pieces that fit one frame each.
pub fn split(records: &[LogRecord]) -> impl Iterator<Item = &[LogRecord]> {
    records.chunks(RECORDS_MAX)
}

#[cfg(test)]
mod tests;
