//! Compact telegrams carry values without field headers, which the device sends in full now and
//! then (EN 13757-3, annex on compact frames). The headers are known by their CRC, and a second CRC
//! over the telegram as it would be in full shows whether the right ones were taken.

use std::collections::BTreeMap;

use super::frame::crc;
use super::layers::Message;
use super::record;
use crate::format::{RejectReason, Rejected};

/// Field headers of full telegrams, by their CRC.
#[derive(Debug, Default)]
pub(super) struct Formats {
    known: BTreeMap<u16, Vec<u8>>,
}

/// Kinds of telegrams in a fleet are few; a sender that makes some up only pushes out others.
const FORMATS_MAX: usize = 256;

impl Formats {
    /// The records of a message with their headers.
    ///
    /// # Errors
    /// [`RejectReason::Undecoded`] for a compact telegram whose headers were not heard yet.
    pub(super) fn body(&mut self, message: &Message) -> Result<Vec<u8>, Rejected> {
        if message.is_compact {
            return self.expand(message);
        }
        if let Some(headers) = record::headers(&message.records) {
            let signature = crc(&headers);
            if self.known.len() >= FORMATS_MAX && !self.known.contains_key(&signature) {
                self.known.pop_first();
            }
            self.known.insert(signature, headers);
        }
        Ok(message.records.clone())
    }

    fn expand(&self, message: &Message) -> Result<Vec<u8>, Rejected> {
        let cut_off = || RejectReason::BadFormat.because("a compact telegram without its CRCs");
        let (signature, rest) = message.records.split_first_chunk().ok_or_else(cut_off)?;
        let (sum, values) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let signature = u16::from_le_bytes(*signature);
        let headers = self.known.get(&signature).ok_or_else(|| {
            RejectReason::Undecoded.because(format!(
                "a compact telegram of {} with headers {signature:04X}; its full telegram was not \
                 heard yet",
                message.identity
            ))
        })?;
        let full = record::interleave(headers, values).ok_or_else(|| {
            RejectReason::BadFormat
                .because("a compact telegram that is longer than its headers say")
        })?;
        if crc(&full) != u16::from_le_bytes(*sum) {
            return Err(RejectReason::BadChecksum
                .because("the CRC of a compact telegram does not fit its headers"));
        }
        Ok(full)
    }
}
