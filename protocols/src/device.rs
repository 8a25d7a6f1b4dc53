//! What the decoders of meters with a clock or a bridge of their own share.

use std::borrow::Cow;
use std::fmt;

use metering::{EventCode, Exact, MeterEvent, SourceId, Unit, UtcTime};

use crate::format::{DecodeContext, printable};
use crate::json::{Object, Value};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp;

/// What stands before the colon of an identity that a format gives a device. Mappings and layouts
/// add their own, and a polled unit may be called anything.
pub const FAMILIES: &[&str] = &[
    "ami",
    "ams",
    "badger",
    "cmep",
    "deveui",
    "ert",
    "espi",
    "modbus",
    "neptune",
    "nmi",
    "orion",
    "p1",
    "r900",
    "radix",
    "sensus",
    "shelly",
    "sparkplug",
    "tasmota",
    "wmbus",
];
/// Epoch stamps before 2020-01-01 are those of a device whose clock is not set yet.
const CLOCK_SET_FROM: UtcTime = UtcTime::from_seconds(1_577_836_800);
/// Longest field name that is made of a sender's text, in bytes.
const FIELD_BYTES_MAX: usize = 64;
/// Longest raw status, in bytes; the rest is cut.
const STATUS_BYTES_MAX: usize = 800;

/// The time of a message, and the stamp that could not be believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    pub(crate) at: ObservedTime,
    fault: Option<String>,
}

impl Clock {
    /// No stamp at all: the arrival, whose origin tells.
    pub(crate) fn arrival(context: &DecodeContext<'_>) -> Self {
        Self { at: ObservedTime::arrival(context.received_at), fault: None }
    }

    /// A stamp as read from `text`. What cannot be believed gives way to the arrival, flagged.
    pub(crate) fn stamped(
        context: &DecodeContext<'_>,
        stamp: Option<ObservedTime>,
        text: impl fmt::Display,
    ) -> Self {
        match stamp {
            Some(at) if !stamp::is_absurd(at.at, context.received_at) => Self { at, fault: None },
            _ => Self {
                at: ObservedTime::arrival(context.received_at).doubted(),
                fault: Some(text.to_string().chars().take(60).collect()),
            },
        }
    }

    /// Epoch seconds, whole or with a fraction. Absent or null: the arrival.
    pub(crate) fn epoch(
        context: &DecodeContext<'_>,
        value: Option<Value<'_>>,
        origin: TimeOrigin,
    ) -> Self {
        let Some(value) = value.filter(|value| *value != Value::Null) else {
            return Self::arrival(context);
        };
        let at = epoch(&value).filter(|at| *at >= CLOCK_SET_FROM);
        Self::stamped(context, at.map(|at| ObservedTime::sure(at, origin)), value)
    }

    /// RFC 3339 with an offset. Absent: the arrival.
    pub(crate) fn rfc3339(
        context: &DecodeContext<'_>,
        text: Option<&str>,
        origin: TimeOrigin,
    ) -> Self {
        let Some(text) = text else { return Self::arrival(context) };
        let at = stamp::parse_utc(text);
        Self::stamped(context, at.map(|at| ObservedTime::sure(at, origin)), text)
    }

    /// A report that was heard now, with the fault of its clock.
    pub(crate) fn report(
        &self,
        context: &DecodeContext<'_>,
        family: &str,
        id: impl fmt::Display,
    ) -> DeviceReport {
        let mut report = DeviceReport::new(SourceId::new(family, id), self.at);
        report.collector = context.collector.map(str::to_owned);
        if let Some(text) = &self.fault {
            let detail = format!("stamp {text}");
            report.events.push(ObservedEvent::level(EventCode::ClockError, self.at, detail));
        }
        report
    }
}

/// Epoch seconds to the microsecond.
pub(crate) fn epoch(value: &Value<'_>) -> Option<UtcTime> {
    let (micros, _) = value.exact()?.to_decimals(6).ok()?;
    // Years 1970 to 9999.
    (0..253_402_300_800_000_000).contains(&micros).then(|| UtcTime::from_micros(micros))
}

/// Level `level` of the topic, from 1; empty ones are none.
pub(crate) fn topic_level(topic: &str, level: u8) -> Option<&str> {
    topic.split('/').nth(usize::from(level).checked_sub(1)?).filter(|name| !name.is_empty())
}

/// Adds `name=value` to the raw status.
pub(crate) fn word(report: &mut DeviceReport, name: &str, value: impl fmt::Display) {
    let value: String = value.to_string().chars().take(60).collect();
    if report.raw_status.len() + name.len() + value.len() + 2 > STATUS_BYTES_MAX {
        return;
    }
    if !report.raw_status.is_empty() {
        report.raw_status.push(' ');
    }
    report.raw_status.push_str(name);
    report.raw_status.push('=');
    report.raw_status.push_str(&printable(value));
}

/// A field that is refused while the rest of its message is kept: visible as an event.
pub(crate) fn refused(
    report: &mut DeviceReport,
    at: ObservedTime,
    field: &str,
    value: impl fmt::Display,
) {
    let mut detail: String = format!("bad_value {field}={value}");
    while detail.len() > MeterEvent::DETAIL_BYTES_MAX {
        detail.pop();
    }
    let seq = report.events.iter().filter(|e| e.code == EventCode::MeterFlag).count();
    let event = ObservedEvent::once(EventCode::MeterFlag, at, detail);
    report.events.push(ObservedEvent { seq: i32::try_from(seq).unwrap_or(i32::MAX), ..event });
}

/// A counter that never rolls over as far as the format says.
pub(crate) fn register(
    field: impl Into<Cow<'static, str>>,
    unit: Option<Unit>,
    value: Option<Exact>,
    time: ObservedTime,
) -> Observation {
    let suspect = time.doubtful;
    let (field, history) = (field.into(), false);
    Observation::Register {
        digits: Digits::Told,
        field,
        unit,
        value,
        modulus: None,
        time,
        history,
        suspect,
    }
}

pub(crate) fn instant(
    field: impl Into<Cow<'static, str>>,
    unit: Option<Unit>,
    value: Option<Exact>,
    time: ObservedTime,
) -> Observation {
    Observation::Instant {
        digits: Digits::Told,
        field: field.into(),
        unit,
        value,
        time,
        history: false,
    }
}

/// What a known member of a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nature {
    /// A cumulative counter.
    Register,
    /// A momentary value.
    Instant,
}

/// Reads one number of an object under a field name of ours: `null` is "not available", and what
/// is no number is refused alone. Nothing when the member is absent.
pub(crate) fn number(
    report: &mut DeviceReport,
    object: &Object<'_>,
    (key, field): (&str, Cow<'static, str>),
    (nature, unit): (Nature, Option<Unit>),
    at: ObservedTime,
) {
    let Some(value) = object.get(key) else { return };
    number_value(report, &value, field, (nature, unit), at);
}

/// As [`number`], of a value at hand.
pub(crate) fn number_value(
    report: &mut DeviceReport,
    value: &Value<'_>,
    field: Cow<'static, str>,
    (nature, unit): (Nature, Option<Unit>),
    at: ObservedTime,
) {
    let exact = match value {
        Value::Null => None,
        value => match value.exact() {
            Some(exact) if field.len() <= FIELD_BYTES_MAX => Some(exact),
            _ => return refused(report, at, &field, value),
        },
    };
    if nature == Nature::Register && exact.is_some_and(Exact::is_negative) {
        return refused(report, at, &field, value);
    }
    report.observations.push(match nature {
        Nature::Register => register(field, unit, exact, at),
        Nature::Instant => instant(field, unit, exact, at),
    });
}
