//! Varints, strings and a reader that cannot run past its end.

use super::FrameError;

/// Longest string in a frame.
const TEXT_BYTES_MAX: usize = 4_096;
/// Longest text of a rule bundle.
pub(crate) const LONG_TEXT_BYTES_MAX: usize = 262_144;

pub(super) fn put_uv(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

pub(super) fn put_zv(out: &mut Vec<u8>, value: i64) {
    put_uv(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Text is cut to [`TEXT_BYTES_MAX`] at a character boundary.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_cut(out, text, TEXT_BYTES_MAX);
}

/// Text is cut to [`LONG_TEXT_BYTES_MAX`] at a character boundary.
pub(super) fn put_long_text(out: &mut Vec<u8>, text: &str) {
    put_cut(out, text, LONG_TEXT_BYTES_MAX);
}

fn put_cut(out: &mut Vec<u8>, text: &str, bytes_max: usize) {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put_uv(out, end as u64);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

const fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Result<u8, FrameError> {
        let (first, rest) = self.bytes.split_first().ok_or(FrameError::Truncated)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(super) fn uv(&mut self) -> Result<u64, FrameError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(FrameError::Value("number beyond 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(FrameError::Value("number longer than 10 bytes"))
    }

    pub(super) fn zv(&mut self) -> Result<i64, FrameError> {
        let value = self.uv()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A count of things that the caller is about to allocate.
    pub(super) fn count(&mut self, max: usize) -> Result<usize, FrameError> {
        match usize::try_from(self.uv()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(FrameError::Value("count")),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, FrameError> {
        self.text_up_to(TEXT_BYTES_MAX)
    }

    pub(super) fn long_text(&mut self) -> Result<&'a str, FrameError> {
        self.text_up_to(LONG_TEXT_BYTES_MAX)
    }

    fn text_up_to(&mut self, bytes_max: usize) -> Result<&'a str, FrameError> {
        let len = self.count(bytes_max)?;
        let (text, rest) = self.bytes.split_at_checked(len).ok_or(FrameError::Truncated)?;
        self.bytes = rest;
        std::str::from_utf8(text).map_err(|_| FrameError::Value("text"))
    }
}
