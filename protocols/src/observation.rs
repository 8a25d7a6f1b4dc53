//! What a decoder makes of a message: who spoke, when it was heard, what was measured and what the
//! device says about itself. Nothing here knows of meters that are provisioned, of channels or of
//! stored units; `src/ingest` resolves and scales.

use std::borrow::Cow;
use std::fmt;

use metering::{DeviceFlags, EventCode, Exact, SourceId, Unit, UtcTime};

use crate::format::printable;

/// Everything one device said in one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceReport {
    /// The device as it names itself: `ert:44448439`, `ami:E-1001`, `collector:C-01`.
    pub source_id: SourceId,
    /// Code of the collector that heard it, from the message or else from the topic.
    pub collector: Option<String>,
    /// When it was heard; the arrival time when the stamp cannot be trusted (liveness).
    pub heard_at: ObservedTime,
    pub rssi_dbm: Option<i16>,
    pub battery_mv: Option<i32>,
    pub observations: Vec<Observation>,
    pub events: Vec<ObservedEvent>,
    /// The untouched status fields as `name=value` words, or the status text.
    pub raw_status: String,
    /// Copies of one telegram that arrive within this many seconds, on any path, are one reading.
    /// 0: the device sends each value once, no path de-duplication.
    pub repeat_window_s: u32,
    /// Kind of telegram, where several kinds of one device carry the same field: a channel may
    /// name one of them, `idm.consumption`. Empty: there is one kind.
    pub telegram: &'static str,
    /// Where the device's counter of slots stands, modulo 256, after the newest value of its
    /// series; each telegram tells former slots again.
    pub slot_count: Option<u8>,
    /// Number of the radio frame and a hash of its bytes, where frames are numbered: a number that
    /// comes again with other bytes is told, since one of the two is somebody else's or a fault.
    /// Without a number: 0, or a sender that counts none.
    pub frame: Option<(Option<u32>, u64)>,
}

/// An instant with its origin and what is known against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObservedTime {
    pub at: UtcTime,
    pub origin: TimeOrigin,
    /// The stamp had no zone; the configured one was taken (or UTC when none is configured and the
    /// stamp is not the time of a current reading).
    pub zone_assumed: bool,
    /// Local time of the repeated autumn hour; the instant nearer to the arrival was taken.
    pub ambiguous: bool,
    /// Absurd (before 2000, more than 24 h ahead) or absent stamp; values are kept as suspect.
    pub doubtful: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeOrigin {
    /// The meter's own clock.
    Device,
    /// The collector's clock at reception.
    Collector,
    /// The head-end's clock at arrival.
    Arrival,
}

/// One measured thing. `field` names it as sent (or by our name for the format's only counter);
/// a channel is found by (meter, field). `unit` is `None` where the message does not tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observation {
    /// Consumption per interval, oldest first, gapless; value n ends at
    /// `first_end + n * len_s`. A value is `values[n] * 10^exponent` of the unit; `None` = missing.
    Series {
        field: Cow<'static, str>,
        unit: Option<Unit>,
        len_s: i32,
        first_end: UtcTime,
        exponent: i8,
        values: Vec<Option<i64>>,
        /// Empty, or one per value.
        flags: Vec<DeviceFlags>,
        /// `at` is the end of the newest value.
        time: ObservedTime,
        history: bool,
    },
    /// A cumulative counter. `modulus` is where the telegram's field wraps, if the format says.
    Register {
        field: Cow<'static, str>,
        unit: Option<Unit>,
        value: Option<Exact>,
        digits: Digits,
        modulus: Option<i64>,
        time: ObservedTime,
        /// An old value told again (billing date, last month): never the live value.
        history: bool,
        /// Unchecked packet, or the device reports a fault that touches its values.
        suspect: bool,
    },
    /// A momentary value such as a voltage.
    Instant {
        field: Cow<'static, str>,
        unit: Option<Unit>,
        value: Option<Exact>,
        digits: Digits,
        time: ObservedTime,
        history: bool,
    },
}

/// Where the digits of a value come from.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Digits {
    /// From a number in decimals: one that the meter's record does not know is a mismatch.
    #[default]
    Told,
    /// From a binary float, whose digits beyond the meter's record are no statement of the meter.
    Float,
}

/// What the device reports about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObservedEvent {
    pub code: EventCode,
    pub at: ObservedTime,
    pub seq: i32,
    pub detail: String,
    /// True: a state repeated in each telegram; it is an event when it begins, not each time.
    /// False: a one-time event.
    pub level: bool,
    /// True (with `level`): `detail` holds counters such as `phy=3 enc=2`. The first sighting is no
    /// event; a detail that differs from the last one is (tamper counters are vendor-specific).
    pub counter: bool,
}

impl DeviceReport {
    /// A report without content; decoders fill it.
    pub fn new(source_id: SourceId, heard_at: ObservedTime) -> Self {
        Self {
            source_id,
            collector: None,
            heard_at,
            rssi_dbm: None,
            battery_mv: None,
            observations: Vec::new(),
            events: Vec::new(),
            raw_status: String::new(),
            repeat_window_s: 0,
            telegram: "",
            slot_count: None,
            frame: None,
        }
    }

    /// Values offered: non-null interval, register and instant values. Events are counted apart.
    pub fn reads(&self) -> u64 {
        self.observations.iter().map(Observation::reads).sum()
    }
}

impl Observation {
    pub fn field(&self) -> &str {
        match self {
            Self::Series { field, .. }
            | Self::Register { field, .. }
            | Self::Instant { field, .. } => field,
        }
    }

    /// The same, told as a float.
    #[must_use]
    pub(crate) fn of_float(mut self) -> Self {
        match &mut self {
            Self::Register { digits, .. } | Self::Instant { digits, .. } => *digits = Digits::Float,
            Self::Series { .. } => {}
        }
        self
    }

    pub const fn time(&self) -> ObservedTime {
        match self {
            Self::Series { time, .. }
            | Self::Register { time, .. }
            | Self::Instant { time, .. } => *time,
        }
    }

    /// Non-null values.
    pub fn reads(&self) -> u64 {
        match self {
            Self::Series { values, .. } => values.iter().map(|v| u64::from(v.is_some())).sum(),
            Self::Register { value, .. } | Self::Instant { value, .. } => {
                u64::from(value.is_some())
            }
        }
    }
}

impl ObservedEvent {
    pub fn once(code: EventCode, at: ObservedTime, detail: impl Into<String>) -> Self {
        let detail = printable(detail.into());
        Self { code, at, seq: 0, detail, level: false, counter: false }
    }

    pub fn level(code: EventCode, at: ObservedTime, detail: impl Into<String>) -> Self {
        Self { level: true, ..Self::once(code, at, detail) }
    }

    pub fn counter(code: EventCode, at: ObservedTime, detail: impl Into<String>) -> Self {
        Self { level: true, counter: true, ..Self::once(code, at, detail) }
    }
}

impl ObservedTime {
    pub const fn sure(at: UtcTime, origin: TimeOrigin) -> Self {
        Self { at, origin, zone_assumed: false, ambiguous: false, doubtful: false }
    }

    pub const fn arrival(at: UtcTime) -> Self {
        Self::sure(at, TimeOrigin::Arrival)
    }

    #[must_use]
    pub const fn doubted(self) -> Self {
        Self { doubtful: true, ..self }
    }
}

impl TimeOrigin {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Collector => "collector",
            Self::Arrival => "arrival",
        }
    }
}

impl fmt::Display for TimeOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
