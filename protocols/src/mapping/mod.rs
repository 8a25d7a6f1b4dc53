//! Payloads that nobody foresaw: a description in TOML says where the device, the time and the
//! values stand, what they are, and in which unit (`docs/mapping.md`).
//!
//! [`Mapping::parse`] reads a description and tells every fault with its line; an unknown key is a
//! fault, since a typo must not lose a channel silently. [`Mapping::observe`] reads one JSON object
//! that another decoder unwrapped (LoRaWAN); [`Format::Mapping`](crate::Format::Mapping) reads
//! whole messages: JSON, CSV, or a bare number. Nothing is guessed: what the description does not
//! say is not known.

mod decode;
mod path;
mod presets;
mod read;
mod scale;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;

use jiff::tz::TimeZone;
use metering::{EventCode, Exact, Unit};

use crate::format::RejectReason;
use crate::observation::{Digits, Observation, ObservedEvent, TimeOrigin};

pub(crate) use decode::decode;
pub(crate) use path::Path;
pub use presets::{Preset, presets};

/// A longer description is refused, in bytes.
pub const TEXT_MAX: usize = 64 * 1_024;
/// Channels and events of one description, each.
pub const ENTRIES_MAX: usize = 64;

/// A description of payloads, ready for use.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Lower-case letters, digits, `-` and `_`; at most 40.
    pub name: String,
    pub note: String,
    /// Topics whose payloads are like this; `None` where a subscription says so.
    pub filter: Option<String>,
    pub shape: Shape,
    /// As it was written.
    pub text: String,
    pub(crate) family: String,
    pub(crate) id: Option<Identity>,
    /// Level of the topic, from 1, that names the collector.
    pub(crate) collector_level: Option<u8>,
    pub(crate) records: Option<Path>,
    /// A message without any of the channels is good: the sender tells only what changed.
    pub(crate) partial: bool,
    pub(crate) csv: CsvShape,
    pub(crate) decimal_comma: bool,
    pub(crate) time: TimeRule,
    pub(crate) channels: Vec<ChannelRule>,
    pub(crate) events: Vec<EventRule>,
    pub(crate) battery: Option<(Path, Unit)>,
    pub(crate) rssi: Option<Path>,
}

/// How a payload is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Json,
    /// Rows of columns; a path names a column by its header or its number from 1.
    Csv,
    /// The payload is one number; its path is `""`.
    Number,
    /// A JSON object that another format unwraps (`object`, `decoded_payload` of LoRaWAN servers).
    Object,
    /// Metrics of Sparkplug B by name; the path is the name of the metric.
    Sparkplug,
}

/// Who speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Identity {
    Path(Path),
    /// Level of the topic, from 1.
    Level(usize),
    Fixed(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CsvShape {
    pub(crate) delimiter: u8,
    pub(crate) header: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TimeRule {
    pub(crate) path: Option<Path>,
    pub(crate) format: TimeFormat,
    pub(crate) zone: Option<TimeZone>,
    pub(crate) origin: TimeOrigin,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TimeFormat {
    /// The message has no time of its own.
    Arrival,
    Rfc3339,
    EpochS,
    EpochMs,
    /// `YYYY-MM-DD hh:mm:ss`, in the zone.
    Local,
    /// By a layout of `strptime`, in the zone.
    Layout(String),
}

/// How the values of a channel add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A counter that only rises, until it wraps.
    Cumulative,
    /// Consumption since one interval length ago.
    Interval,
    /// Of this moment.
    Instant,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChannelRule {
    pub(crate) field: String,
    pub(crate) path: Path,
    pub(crate) unit: Option<Unit>,
    pub(crate) kind: Kind,
    pub(crate) multiplier: Option<Exact>,
    /// Of floats: the sender's digits beyond the meter's record say nothing.
    pub(crate) digits: Digits,
    /// Where the counter wraps, before the multiplier.
    pub(crate) modulus: Option<i64>,
    pub(crate) absent: Vec<Literal>,
    pub(crate) len_s: i32,
    pub(crate) history: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EventRule {
    pub(crate) path: Path,
    pub(crate) test: Test,
    pub(crate) code: EventCode,
    /// A one-time event, not a state that is told again and again.
    pub(crate) once: bool,
}

/// When a value is an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    Equals(Vec<Literal>),
    /// Anything but these, absent and null excepted.
    OtherThan(Vec<Literal>),
    /// A whole number with any of these bits.
    Mask(u64),
}

/// A value as written in a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Literal {
    Bool(bool),
    Number(Exact),
    Text(String),
}

/// What a mapping made of one object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    pub observations: Vec<Observation>,
    pub events: Vec<ObservedEvent>,
    /// Values that could not be taken; the others are kept.
    pub refused: Vec<RefusedField>,
    pub battery_mv: Option<i32>,
    pub rssi_dbm: Option<i16>,
}

/// One value that was not taken, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedField {
    pub field: String,
    pub reason: RejectReason,
    pub detail: String,
}

/// A channel of a description, for lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelFacts<'a> {
    pub field: &'a str,
    pub path: &'a str,
    pub unit: Option<Unit>,
    pub kind: Kind,
}

/// One fault of a description.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct MappingFault {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// Every fault of a description, by line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappingFaults(pub Vec<MappingFault>);

impl Mapping {
    /// Reads a description.
    ///
    /// # Errors
    /// [`MappingFaults`] holds every fault with its line.
    pub fn parse(text: &str) -> Result<Self, MappingFaults> {
        read::mapping(text)
    }

    /// What stands before the colon of its devices' identities.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The channels in the order written.
    pub fn channels(&self) -> impl Iterator<Item = ChannelFacts<'_>> {
        self.channels.iter().map(|rule| ChannelFacts {
            field: &rule.field,
            path: rule.path.as_str(),
            unit: rule.unit,
            kind: rule.kind,
        })
    }

    /// The level of `topic` that names the collector.
    pub(crate) fn collector<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let level = usize::from(self.collector_level?);
        topic.split('/').nth(level.checked_sub(1)?).filter(|name| !name.is_empty())
    }
}

impl Kind {
    pub(crate) const ALL: [(Self, &'static str); 3] = [
        (Self::Cumulative, "cumulative"),
        (Self::Interval, "interval"),
        (Self::Instant, "instant"),
    ];

    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

impl Shape {
    pub(crate) const ALL: [(Self, &'static str); 5] = [
        (Self::Json, "json"),
        (Self::Csv, "csv"),
        (Self::Number, "number"),
        (Self::Object, "object"),
        (Self::Sparkplug, "sparkplug"),
    ];

    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(shape, _)| *shape == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for MappingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for MappingFaults {}
