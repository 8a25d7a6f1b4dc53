//! A device profile: which registers a device has, what they mean, and frames of the device that
//! prove it. `docs/modbus.md` says how to write one.

use std::ops::RangeInclusive;

use metering::{Exact, Unit};

use super::pdu::Function;

/// What is known of one kind of device. Made from TOML by [`Profile::parse`], which checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    pub name: String,
    /// Maker and model, for people.
    pub title: String,
    /// Registers of one request at most.
    pub max_read: u16,
    /// Registers that nobody asked for between two that are read together, at most.
    pub max_gap: u16,
    /// `None`: by the transport.
    pub timeout_ms: Option<u32>,
    /// Silence before each request.
    pub min_request_gap_ms: u32,
    /// Never read across these addresses: the device answers exception 2.
    pub no_merge: Vec<RangeInclusive<u16>>,
    /// Registers are found by the device's SunSpec models.
    pub sunspec: bool,
    pub registers: Vec<Register>,
    pub checks: Vec<Check>,
}

/// One value of the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Register {
    pub channel: String,
    pub function: Function,
    /// From 0, as on the wire.
    pub address: u16,
    pub kind: RegisterType,
    pub unit: Unit,
    pub use_: Use,
    pub order: WordOrder,
    pub scale: Scale,
    pub absent: Vec<Absent>,
    /// What can be, inclusive, in `unit`; beside what the channel's name allows.
    pub range: Option<(Exact, Exact)>,
}

/// What is made of a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Use {
    /// A counter.
    Cumulative,
    /// A momentary value.
    Instant,
    /// Text about the device.
    Text,
}

/// How a value lies in its registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegisterType {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    Bcd32,
    /// SunSpec accumulator: 0 means "not supported" until it has been more.
    Acc32,
    /// ASCII in so many registers.
    Text(u16),
}

/// Order of the bytes of a value that takes several registers; `A` is the highest byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WordOrder {
    /// `ABCD`.
    Big,
    /// `CDAB`: low word first.
    Little,
    /// `BADC`.
    ByteSwapped,
    /// `DCBA`.
    BothSwapped,
}

/// The power of ten that a raw value is multiplied by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scale {
    Power(i8),
    /// An `i16` register at this address holds it.
    Register(u16),
}

/// Raw patterns that mean "no value".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Absent {
    /// Every bit set.
    AllOnes,
    /// 7FFF...
    HighestSigned,
    /// 8000...
    LowestSigned,
    Raw(u64),
}

/// Frames of the device and what they must give.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// PDUs of requests and their answers, in the order of the device's conversation.
    pub exchange: Vec<(Vec<u8>, Vec<u8>)>,
    /// `channel value unit`, in the order read; `-` in place of the value: missing.
    pub expect: Vec<String>,
}

impl RegisterType {
    /// Registers that it takes.
    pub const fn words(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 | Self::Bcd32 | Self::Acc32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
            Self::Text(words) => words,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    pub(super) fn parse(text: &str, length: Option<u16>) -> Result<Self, String> {
        let plain = match text {
            "u16" => Self::U16,
            "i16" => Self::I16,
            "u32" => Self::U32,
            "i32" => Self::I32,
            "u64" => Self::U64,
            "i64" => Self::I64,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "bcd32" => Self::Bcd32,
            "acc32" => Self::Acc32,
            "string" => {
                let length = length.filter(|words| (1..=32).contains(words));
                return length
                    .map(Self::Text)
                    .ok_or_else(|| "a string needs length = 1 to 32 registers".to_owned());
            }
            _ => {
                return Err(format!(
                    "type `{text}` is none of u16 i16 u32 i32 u64 i64 f32 f64 bcd32 acc32 string"
                ));
            }
        };
        match length {
            Some(words) if words != plain.words() => {
                Err(format!("type {text} takes {} registers, not {words}", plain.words()))
            }
            _ => Ok(plain),
        }
    }
}

impl WordOrder {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "big" => Ok(Self::Big),
            "little" => Ok(Self::Little),
            "byte_swapped" => Ok(Self::ByteSwapped),
            "both_swapped" => Ok(Self::BothSwapped),
            _ => Err(format!(
                "word_order `{text}` is none of big, little, byte_swapped, both_swapped"
            )),
        }
    }
}

impl Use {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cumulative => "cumulative",
            Self::Instant => "instant",
            Self::Text => "text",
        }
    }
}

impl Register {
    /// Addresses that must be read together: the value, and its scale factor.
    pub fn hull(&self) -> (u16, u32) {
        let end = u32::from(self.address) + u32::from(self.kind.words());
        match self.scale {
            Scale::Power(_) => (self.address, end),
            Scale::Register(at) => (self.address.min(at), end.max(u32::from(at) + 1)),
        }
    }
}
