//! Bytes to observations, sans-io; and the thin drivers that fetch the bytes.
//!
//! In the order a reading travels: [`mqtt`] (feature `mqtt`) brings a message and owes the broker
//! an acknowledgement; [`mod@format`] says what the payload is and opens the one door, [`decode`];
//! [`bundle`] (our own format) and [`amr`] (radio receivers) read it; [`observation`] is what they
//! return. Decoders read no clock, touch no socket and know no meter: the caller says when a
//! message arrived, and `src/ingest` says whose it is.

#[cfg(all(
    any(feature = "sabotage-no-epoch-check", feature = "sabotage-drop-when-full"),
    not(debug_assertions)
))]
compile_error!("a sabotage build is for tests alone, never for a release");

pub mod amr;
pub mod bundle;
#[cfg(test)]
mod describe;
mod device;
pub mod files;
pub mod format;
mod json;
pub mod lorawan;
pub mod mapping;
pub mod meters;
pub mod modbus;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod observation;
pub mod options;
pub mod p1;
pub mod sparkplug;
mod stamp;

pub use device::FAMILIES;
pub use format::{
    DecodeContext, Format, FormatError, PAYLOAD_BYTES_MAX, RejectReason, Rejected, decode,
    decode_with,
};
pub use mapping::Mapping;
pub use observation::{DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin};
pub use options::{CrcRule, DecodeOptions, TariffOrder};
