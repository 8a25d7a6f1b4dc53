//! Shelly meters of the second generation, Pro 3EM and others (`protocols.md` 3.5):
//! `PREFIX/events/rpc`, `PREFIX/status/COMPONENT` and `PREFIX/online`.
//!
//! Source `shelly:<prefix>`. Fields are `<component>_<name>` as sent, with `_` for the colon:
//! `em_0_a_voltage`, `emdata_0_total_act`. A notification tells only what changed: what is absent
//! is unchanged, never zero.

use std::borrow::Cow;

use metering::{EventCode, Exact, Unit};

use super::{link, no_identity};
use crate::device::{self, Clock, Nature, refused};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Items, Object, Value};
use crate::observation::{DeviceReport, Observation, ObservedEvent, ObservedTime, TimeOrigin};

const FAMILY: &str = "shelly";
/// Below this a phase is not wired, and its frequency is noise (198 Hz).
const WIRED_FROM: Exact = Exact::whole(10);
const COMPONENTS: [&str; 6] = ["em", "emdata", "em1", "em1data", "switch", "pm1"];
/// Events of one notification.
const EVENTS_MAX: usize = 32;

/// (end of a member's name, nature, unit); the first that fits counts.
const MEMBERS: [(&str, Nature, Option<Unit>); 12] = [
    ("act_energy", Nature::Register, Some(Unit::WattHour)),
    ("act_ret_energy", Nature::Register, Some(Unit::WattHour)),
    ("total_act", Nature::Register, Some(Unit::WattHour)),
    ("total_act_ret", Nature::Register, Some(Unit::WattHour)),
    ("voltage", Nature::Instant, Some(Unit::Volt)),
    ("current", Nature::Instant, Some(Unit::Ampere)),
    ("act_power", Nature::Instant, Some(Unit::Watt)),
    ("aprt_power", Nature::Instant, Some(Unit::VoltAmpere)),
    ("apower", Nature::Instant, Some(Unit::Watt)),
    ("freq", Nature::Instant, Some(Unit::Hertz)),
    ("pf", Nature::Instant, None),
    ("temperature_c", Nature::Instant, Some(Unit::Celsius)),
];

/// Decodes one message.
///
/// # Errors
/// [`Rejected`]: another topic, or no status of a meter.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let (id, rest) = addressed(context)?;
    if rest == "online" {
        return link(context, (FAMILY, id), payload, ("true", "false"));
    }
    let message = Object::document(payload)?;
    match rest.strip_prefix("status/") {
        Some(component) => {
            let clock = Clock::arrival(context);
            let mut report = clock.report(context, FAMILY, id);
            if !COMPONENTS.contains(&component.split(':').next().unwrap_or("")) {
                return Err(RejectReason::UnknownType
                    .because(format!("component {} is no meter", cut(component))));
            }
            members(&mut report, component, &message, clock.at);
            Ok(vec![report])
        }
        None => rpc(context, id, &message),
    }
}

/// The device's prefix, and what follows it.
fn addressed<'t>(context: &DecodeContext<'t>) -> Result<(&'t str, &'t str), Rejected> {
    let topic = context.topic;
    let marks = ["/events/rpc", "/status/", "/online", "/rpc"];
    let at = marks.iter().find_map(|mark| topic.rfind(mark));
    let Some(at) = at.filter(|at| *at > 0) else {
        return Err(RejectReason::UnknownType.because(
            "the topic is none of PREFIX/events/rpc, PREFIX/status/COMPONENT, PREFIX/online",
        ));
    };
    let id = match context.options.device_level {
        Some(level) => device::topic_level(topic, level)
            .ok_or_else(|| no_identity("the topic is shorter than device_level"))?,
        None => &topic[..at],
    };
    Ok((id, &topic[at + 1..]))
}

/// A notification, or the answer to `Shelly.GetStatus`.
fn rpc(
    context: &DecodeContext<'_>,
    id: &str,
    message: &Object<'_>,
) -> Result<Vec<DeviceReport>, Rejected> {
    let method = message.text("method");
    let body = match method.as_deref() {
        Some("NotifyStatus" | "NotifyFullStatus" | "NotifyEvent") => {
            Some(message.object("params")?)
        }
        Some(other) => {
            return Err(RejectReason::UnknownType.because(format!(
                "method {} is none of NotifyStatus, NotifyFullStatus, NotifyEvent",
                cut(other)
            )));
        }
        None if message.get("result").is_some() => Some(message.object("result")?),
        None => None,
    };
    let body = body.as_ref().unwrap_or(message);
    let stamp = match body.get("sys") {
        Some(Value::Nested(_)) => body.object("sys")?.get("unixtime"),
        _ => None,
    };
    let clock = Clock::epoch(context, body.get("ts").or(stamp), TimeOrigin::Device);
    let mut report = clock.report(context, FAMILY, id);
    for (component, value) in body.members() {
        let (kind, number) = component.split_once(':').unwrap_or((component, ""));
        if COMPONENTS.contains(&kind)
            && number.len() < 4
            && let Value::Nested(_) = value
        {
            members(&mut report, component, &body.object(component)?, clock.at);
        }
    }
    if method.as_deref() == Some("NotifyEvent") {
        events(&mut report, body, clock.at);
    }
    // The device computes with floats, and prints as many digits as it likes.
    let seen = std::mem::take(&mut report.observations);
    report.observations = seen.into_iter().map(Observation::of_float).collect();
    Ok(vec![report])
}

/// The measured members of one component.
fn members(report: &mut DeviceReport, component: &str, object: &Object<'_>, at: ObservedTime) {
    let prefix = component.replace(':', "_");
    for (name, value) in object.members() {
        let fits = |(end, ..): &&(&str, Nature, Option<Unit>)| {
            name == *end || name.strip_suffix(*end).is_some_and(|rest| rest.ends_with('_'))
        };
        // `total_act` is a counter, `total_act_power` ends otherwise.
        let Some((end, nature, unit)) = MEMBERS.iter().find(fits) else { continue };
        if *end == "freq" && !wired(object, name) {
            continue;
        }
        let field = Cow::Owned(format!("{prefix}_{name}"));
        device::number_value(report, &value, field, (*nature, *unit), at);
    }
    if let Some(Value::Nested(list)) = object.get("aenergy") {
        plain(report, &prefix, list, at);
    }
    errors(report, component, object, at);
}

/// `aenergy.total` of switches and PM1: Wh.
fn plain(report: &mut DeviceReport, prefix: &str, text: &str, at: ObservedTime) {
    let Ok(object) = Object::parse(text) else { return refused(report, at, prefix, text) };
    let field = Cow::Owned(format!("{prefix}_aenergy_total"));
    let kind = (Nature::Register, Some(Unit::WattHour));
    device::number(report, &object, ("total", field), kind, at);
}

/// A phase's frequency counts while its voltage says that something is connected.
fn wired(object: &Object<'_>, freq: &str) -> bool {
    let voltage = format!("{}voltage", freq.strip_suffix("freq").unwrap_or(freq));
    let volts = object.get(&voltage).and_then(|value| value.exact());
    let tenths = |value: Exact| value.to_decimals(1).map_or(0, |(tenths, _)| tenths);
    volts.is_some_and(|volts| tenths(volts) >= tenths(WIRED_FROM))
}

/// `"errors": ["power_meter_failure", "out_of_range:a_voltage"]` holds while it is told.
fn errors(report: &mut DeviceReport, component: &str, object: &Object<'_>, at: ObservedTime) {
    let Some(Value::Nested(list)) = object.get("errors") else { return };
    let Ok(items) = Items::parse(list) else { return refused(report, at, "errors", list) };
    for item in items.values().take(EVENTS_MAX) {
        let code = match &item {
            Value::Text(text) if text.contains("failure") => EventCode::HardwareFault,
            _ => EventCode::MeterFlag,
        };
        let seq = i32::try_from(report.events.len()).unwrap_or(i32::MAX);
        let detail = format!("{} {}", cut(component), cut(&item.to_string()));
        report.events.push(ObservedEvent { seq, ..ObservedEvent::level(code, at, detail) });
    }
}

/// `"events": [{"component": "em:0", "event": "phase_sequence", "ts": ...}]`.
fn events(report: &mut DeviceReport, body: &Object<'_>, at: ObservedTime) {
    let Some(Value::Nested(list)) = body.get("events") else { return };
    let Ok(items) = Items::parse(list) else { return refused(report, at, "events", list) };
    for (seq, item) in (0..).zip(items.values().take(EVENTS_MAX)) {
        let Value::Nested(text) = item else { continue };
        let Ok(event) = Object::parse(text) else { continue };
        let part = |key: &str| cut(&event.text(key).unwrap_or_default());
        let detail = format!("{} {}", part("component"), part("event"));
        let event = ObservedEvent::once(EventCode::MeterFlag, at, detail);
        report.events.push(ObservedEvent { seq, ..event });
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
