//! The payload formats, fixed per subscription and never detected, and the one door to decoders.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use metering::UtcTime;

use crate::amr::wmbus::Receiver;
use crate::mapping::Mapping;
use crate::observation::DeviceReport;
use crate::options::DecodeOptions;
use crate::{amr, bundle, lorawan, mapping, meters, modbus, p1, sparkplug};

/// A larger payload is refused as [`RejectReason::TooLarge`], in bytes. The transport takes more
/// (4 MiB), so that an oversized message is kept as a dead letter instead of vanishing.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// What the payloads of a subscription are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Our own JSON or CSV bundle, `docs/bundle.md`.
    Bundle,
    /// JSON lines of rtlamr.
    Rtlamr,
    /// JSON events of `rtl_433`.
    Rtl433,
    /// JSON of wmbusmeters.
    Wmbusmeters,
    /// Undecoded Wireless M-Bus telegrams: hex, base64 or JSON around them.
    Wmbus,
    /// As a description of the operator says, [`crate::mapping`].
    Mapping,
    /// What one poll of a Modbus unit gave, [`crate::modbus::record`].
    ModbusPoll,
    /// Sparkplug B; [`crate::sparkplug::Nodes`] keeps its births.
    Sparkplug,
    /// Energy telemetry of Tasmota devices.
    Tasmota,
    /// RPC and status messages of Shelly meters of the second generation.
    Shelly,
    /// JSON of AmsToMqttBridge.
    Amsreader,
    /// Raw P1 telegrams: DSMR and its relatives.
    P1,
    /// Events of a ChirpStack v4 server.
    Chirpstack,
    /// Messages of The Things Stack v3.
    TheThings,
}

/// What a decoder knows besides the bytes. It reads no clock: the caller says when they arrived.
#[derive(Clone, Copy, Debug)]
pub struct DecodeContext<'a> {
    pub topic: &'a str,
    pub received_at: UtcTime,
    /// Zone of stamps that carry none.
    pub zone: Option<&'a TimeZone>,
    /// Collector code from the topic level that the subscription names.
    pub collector: Option<&'a str>,
    /// What an operator's description says of the payload.
    pub mapping: Option<&'a Mapping>,
    /// What the operator says of this subscription beyond its format.
    pub options: &'a DecodeOptions,
}

/// The message holds nothing that can be stored; it belongs to the dead letters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejected {
    pub reason: RejectReason,
    pub detail: String,
}

/// Why a message was refused. The labels are stored and counted by; they never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RejectReason {
    /// Not UTF-8, not JSON, duplicate key, nested too deep.
    BadJson,
    /// Well-formed, but not as the format's description says.
    BadFormat,
    /// No identifier of the device.
    NoIdentity,
    /// The message type or model is none that this format's decoder knows.
    UnknownType,
    /// A frame that the sender passed on undecoded.
    Undecoded,
    /// One scalar per topic: subscribe to the events topic instead.
    ScalarTopic,
    /// Local time without a zone, and none is configured for the subscription.
    NoZone,
    /// The only value is no number.
    BadValue,
    /// The only value exceeds the width of its field.
    OutOfRange,
    /// More bytes than [`PAYLOAD_BYTES_MAX`].
    TooLarge,
    /// Sparkplug data of a node whose birth was not heard; told again after it.
    NoBirth,
    /// No bytes (a cleared retained message).
    Empty,
    /// A server says that no device sent it.
    Simulated,
    /// A check sum is wrong.
    BadChecksum,
    /// It is encrypted, and the device's key is not configured.
    NoKey,
    /// The device's key does not fit: wrong key or forged telegram.
    BadTag,
    /// Less protection than is demanded of the device.
    Policy,
}

pub(crate) const FORMATS: &[(Format, &str)] = &[
    (Format::Bundle, "bundle"),
    (Format::Rtlamr, "rtlamr"),
    (Format::Rtl433, "rtl_433"),
    (Format::Wmbusmeters, "wmbusmeters"),
    (Format::Wmbus, "wmbus"),
    (Format::Mapping, "mapping"),
    (Format::ModbusPoll, "modbus"),
    (Format::Sparkplug, "sparkplug"),
    (Format::Tasmota, "tasmota"),
    (Format::Shelly, "shelly"),
    (Format::Amsreader, "amsreader"),
    (Format::P1, "p1"),
    (Format::Chirpstack, "chirpstack"),
    (Format::TheThings, "the_things"),
];

/// Decodes one message. An accepted message may hold several devices' reports.
///
/// # Errors
/// [`Rejected`] when nothing in it can be stored; it never panics, whatever the bytes.
pub fn decode(
    format: Format,
    context: &DecodeContext<'_>,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    decode_with(format, context, &mut Receiver::default(), payload)
}

/// As [`decode`], by a receiver that knows keys and what was heard before.
///
/// # Errors
/// As [`decode`].
pub fn decode_with(
    format: Format,
    context: &DecodeContext<'_>,
    receiver: &mut Receiver,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    if payload.is_empty() {
        return Err(RejectReason::Empty.because("no payload"));
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(RejectReason::TooLarge.because(format!(
            "{} bytes, the limit is {PAYLOAD_BYTES_MAX}; send smaller bundles",
            payload.len()
        )));
    }
    match format {
        Format::Bundle => bundle::decode(context, payload),
        Format::Rtlamr => amr::rtlamr::decode(context, payload),
        Format::Rtl433 => amr::rtl433::decode(context, receiver, payload),
        Format::Wmbusmeters => amr::wmbusmeters::decode(context, payload),
        Format::Wmbus => receiver.decode(context, payload),
        Format::Mapping => mapping::decode(context, payload),
        Format::ModbusPoll => modbus::record::decode(context, payload),
        Format::Sparkplug => sparkplug::decode(context, payload),
        Format::Tasmota => meters::tasmota::decode(context, payload),
        Format::Shelly => meters::shelly::decode(context, payload),
        Format::Amsreader => meters::amsreader::decode(context, payload),
        Format::P1 => p1::decode(context, payload),
        Format::Chirpstack => lorawan::chirpstack::decode(context, payload),
        Format::TheThings => lorawan::the_things::decode(context, payload),
    }
}

impl RejectReason {
    pub const ALL: &'static [Self] = &[
        Self::BadJson,
        Self::BadFormat,
        Self::NoIdentity,
        Self::UnknownType,
        Self::Undecoded,
        Self::ScalarTopic,
        Self::NoZone,
        Self::BadValue,
        Self::OutOfRange,
        Self::TooLarge,
        Self::NoBirth,
        Self::Empty,
        Self::Simulated,
        Self::BadChecksum,
        Self::NoKey,
        Self::BadTag,
        Self::Policy,
    ];

    /// Stable label, as stored with dead letters and used in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadFormat => "bad_format",
            Self::NoIdentity => "no_identity",
            Self::UnknownType => "unknown_type",
            Self::Undecoded => "undecoded",
            Self::ScalarTopic => "scalar_topic",
            Self::NoZone => "no_zone",
            Self::BadValue => "bad_value",
            Self::OutOfRange => "out_of_range",
            Self::TooLarge => "too_large",
            Self::NoBirth => "no_birth",
            Self::Empty => "empty",
            Self::Simulated => "simulated",
            Self::BadChecksum => "bad_checksum",
            Self::NoKey => "no_key",
            Self::BadTag => "bad_tag",
            Self::Policy => "policy",
        }
    }

    /// The refusal with its detail, cut to 300 characters since it may quote the sender.
    pub(crate) fn because(self, detail: impl Into<String>) -> Rejected {
        let mut detail: String = detail.into();
        if let Some((cut, _)) = detail.char_indices().nth(300) {
            detail.truncate(cut);
        }
        Rejected { reason: self, detail: printable(detail) }
    }
}

/// Control characters become `?`: the text came from a radio or a broker, and goes to a table
/// (which takes no NUL) and to people's terminals.
pub(crate) fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Format {
    /// Every format with the word that configurations write.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        FORMATS.iter().copied()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMATS.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name))
    }
}

/// The text names no payload format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no payload format: `headend protocols list` names them all")]
pub struct FormatError(String);

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        FORMATS
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(format, _)| *format)
            .ok_or_else(|| FormatError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_reasons_have_their_own_names() {
        for &(format, name) in FORMATS {
            assert_eq!(name.parse::<Format>().unwrap(), format);
            assert_eq!(format.to_string(), name);
        }
        assert!("rtl433".parse::<Format>().is_err());
        let mut labels: Vec<_> = RejectReason::ALL.iter().map(|r| r.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), RejectReason::ALL.len());
    }

    #[test]
    fn the_size_limit_is_checked_before_the_format() {
        let context = DecodeContext {
            topic: "t",
            received_at: UtcTime::from_seconds(1_800_000_000),
            zone: None,
            collector: None,
            mapping: None,
            options: &DecodeOptions::DEFAULT,
        };
        let big = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        for &(format, _) in FORMATS {
            assert_eq!(decode(format, &context, &big).unwrap_err().reason, RejectReason::TooLarge);
            assert_eq!(decode(format, &context, b"").unwrap_err().reason, RejectReason::Empty);
        }
    }
}
