//! What radio receivers publish about meters they hear: [`rtlamr`], [`rtl433`], [`wmbusmeters`], and
//! undecoded Wireless M-Bus telegrams ([`wmbus`]).
//!
//! The meters only shout; several receivers hear one telegram, and one meter may shout in several
//! telegram kinds. So reports name the device by its radio family (`ert:`, `r900:`, `orion:`,
//! `wmbus:`), whichever decoder printed it, and carry a repeat window.

mod ert;
mod r900;
pub mod rtl433;
pub mod rtlamr;
#[cfg(test)]
mod tests;
pub mod wmbus;
pub mod wmbusmeters;

use metering::{EventCode, Exact, MeterEvent, SourceId};

use crate::format::{DecodeContext, RejectReason, Rejected, printable};
use crate::json::{Object, Value};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp;

/// Copies of one telegram arrive within this many seconds (`protocols.md` 1.5).
const REPEAT_WINDOW_S: u32 = 90;

/// When a receiver heard a telegram, and how far the packet is to be trusted.
struct Heard<'a> {
    context: &'a DecodeContext<'a>,
    at: ObservedTime,
    /// The stamp that could not be believed.
    clock_fault: Option<String>,
    /// The packet was not checked, or the device reports a fault of its values.
    suspect: bool,
}

impl<'a> Heard<'a> {
    /// From a receiver's stamp. None at all: the arrival time, whose origin tells.
    fn new(context: &'a DecodeContext<'a>, text: Option<&str>) -> Result<Self, Rejected> {
        let arrival = ObservedTime::arrival(context.received_at);
        let mut heard = Self { context, at: arrival, clock_fault: None, suspect: false };
        let Some(text) = text else { return Ok(heard) };
        let stamped = match stamp::parse_utc(text) {
            Some(at) => Some(ObservedTime::sure(at, TimeOrigin::Collector)),
            None => zoneless(context, text)?,
        };
        match stamped {
            Some(time) if !stamp::is_absurd(time.at, context.received_at) => heard.at = time,
            _ => {
                heard.at = arrival.doubted();
                heard.clock_fault = Some(text.chars().take(60).collect());
            }
        }
        Ok(heard)
    }

    fn report(&self, family: &str, id: impl std::fmt::Display) -> DeviceReport {
        let mut report = DeviceReport::new(SourceId::new(family, id), self.at);
        report.collector = self.context.collector.map(str::to_owned);
        report.repeat_window_s = REPEAT_WINDOW_S;
        if let Some(stamp) = &self.clock_fault {
            let detail = format!("stamp {stamp}");
            report.events.push(ObservedEvent::level(EventCode::ClockError, self.at, detail));
        }
        report
    }

    fn register(&self, field: &'static str, value: Option<Exact>, width: u32) -> Observation {
        Observation::Register {
            digits: Digits::Told,
            field: field.into(),
            unit: None,
            value,
            modulus: Some(1_i64 << width),
            time: self.at,
            history: false,
            suspect: self.suspect || self.at.doubtful,
        }
    }
}

/// A stamp without zone, in the subscription's zone; `None` when it is no time at all.
fn zoneless(context: &DecodeContext<'_>, text: &str) -> Result<Option<ObservedTime>, Rejected> {
    let Some(local) = stamp::parse_local(text) else { return Ok(None) };
    let Some(zone) = context.zone else {
        return Err(RejectReason::NoZone.because(format!(
            "`{text}` has no zone: configure the subscription's zone, or send UTC with Z"
        )));
    };
    Ok(stamp::in_zone(local, zone, context.received_at, TimeOrigin::Collector))
}

/// The identifier under the first key that has one, in decimal.
fn identity(object: &Object<'_>, keys: &[&str]) -> Result<u64, Rejected> {
    keys.iter()
        .find_map(|key| object.get(key)?.uint())
        .ok_or_else(|| RejectReason::NoIdentity.because(format!("no number in `{}`", keys[0])))
}

/// A counter of `width` bits; null is "not available". It is the message's reason to exist, so a
/// faulty one refuses the message.
fn counter(object: &Object<'_>, key: &str, width: u32) -> Result<Option<Exact>, Rejected> {
    let refuse = |reason: RejectReason, value: &Value<'_>| {
        let text: String = value.to_string().chars().take(40).collect();
        reason.because(format!("`{key}` is {text}; wanted a whole number below 2^{width}"))
    };
    match object.get(key) {
        None => Err(RejectReason::BadFormat.because(format!("`{key}` is absent"))),
        Some(Value::Null) => Ok(None),
        Some(value @ Value::Number(digits)) => match digits.parse::<i64>() {
            Ok(count) if count < 0 => Err(refuse(RejectReason::BadValue, &value)),
            Ok(count) if count >= 1_i64 << width => Err(refuse(RejectReason::OutOfRange, &value)),
            Ok(count) => Ok(Some(Exact::whole(count))),
            Err(_) => Err(refuse(RejectReason::BadValue, &value)),
        },
        Some(value) => Err(refuse(RejectReason::BadValue, &value)),
    }
}

/// Adds `name=value` to the untouched status, for each key that is present.
fn status_words(report: &mut DeviceReport, object: &Object<'_>, names: &[(&str, &str)]) {
    for (key, name) in names {
        let Some(value) = object.get(key) else { continue };
        // One meter is heard by both decoders: print hex and decimal alike.
        let text = value.uint().map_or_else(|| value.to_string(), |number| number.to_string());
        let text: String = text.chars().take(60).collect();
        if !report.raw_status.is_empty() {
            report.raw_status.push(' ');
        }
        report.raw_status.push_str(name);
        report.raw_status.push('=');
        report.raw_status.push_str(&printable(text));
    }
}

/// A field that is refused while the rest of its message is kept: visible as an event.
fn refused_field(report: &mut DeviceReport, at: ObservedTime, field: &str, value: &Value<'_>) {
    let mut detail: String = format!("bad_value {field}={value}");
    while detail.len() > MeterEvent::DETAIL_BYTES_MAX {
        detail.pop();
    }
    let seq = report.events.iter().filter(|e| e.code == EventCode::MeterFlag).count();
    let event = ObservedEvent::once(EventCode::MeterFlag, at, detail);
    report.events.push(ObservedEvent { seq: i32::try_from(seq).unwrap_or(i32::MAX), ..event });
}
