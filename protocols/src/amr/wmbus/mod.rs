//! Wireless M-Bus telegrams as they came off the air (EN 13757-3, EN 13757-4, OMS volume 2), and
//! M-Bus long frames as a wired gateway passes them on.
//!
//! In the order a telegram is taken apart: [`envelope`] (hex, base64 or JSON around it), [`frame`]
//! (link layer, check sums, who sends), [`layers`] (extended link layer, authentication and
//! fragmentation, transport layer), [`crypt`] and [`keys`] (AES), [`compact`] (telegrams without
//! their field headers), [`record`] with [`vif`] (values), [`report`] (observations).
//!
//! Numbers stay integers with a power of ten; field names are explained in `docs/amr.md`. What only
//! the maker can read (a manufacturer's own application layer) is refused and named.

mod compact;
mod crypt;
mod envelope;
mod frame;
mod kamstrup;
pub mod keys;
mod layers;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod vif;

pub use keys::{KeyFileError, Keys};

use std::sync::Arc;

use super::Heard;
use crate::format::{DecodeContext, Rejected};
use crate::json::Object;
use crate::observation::DeviceReport;
use compact::Formats;
use envelope::Envelope;

/// What is known besides one telegram: keys of devices, and field headers of telegrams that were
/// heard in full, by which short ones are understood. Bounded; a restart forgets the headers.
#[derive(Debug, Default)]
pub struct Receiver {
    keys: Arc<Keys>,
    formats: Formats,
}

impl Receiver {
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys, formats: Formats::default() }
    }

    /// Devices whose key is known.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Decodes the payload of a subscription of format `wmbus`: hex or base64 text, or JSON that
    /// holds the telegram as `data`, `hex`, `telegram`, `raw_hex` or `payload`.
    ///
    /// # Errors
    /// [`Rejected`] when it holds no telegram that can be read; the reason says why.
    pub fn decode(
        &mut self,
        context: &DecodeContext<'_>,
        payload: &[u8],
    ) -> Result<Vec<DeviceReport>, Rejected> {
        let envelope = Envelope::of(payload)?;
        let mut heard = Heard::new(context, envelope.time.as_deref())?;
        heard.suspect = false;
        let mut report = self.telegram(&heard, &envelope.bytes)?;
        report.rssi_dbm = envelope.rssi_dbm;
        Ok(vec![report])
    }

    /// The undecoded `Wireless-MBus` events of `rtl_433`.
    pub(super) fn event(
        &mut self,
        heard: &Heard<'_>,
        event: &Object<'_>,
    ) -> Result<Vec<DeviceReport>, Rejected> {
        let bytes = envelope::hex_field(event, "data")?;
        Ok(vec![self.telegram(heard, &bytes)?])
    }

    fn telegram(&mut self, heard: &Heard<'_>, bytes: &[u8]) -> Result<DeviceReport, Rejected> {
        let frame = frame::Frame::parse(bytes)?;
        let message = layers::open(&frame, &self.keys)?;
        let body = self.formats.body(&message)?;
        report::make(heard, &message, &body)
    }
}
