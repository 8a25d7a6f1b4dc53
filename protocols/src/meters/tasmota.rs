//! Tasmota's energy telemetry (`protocols.md` 3.4): `tele/DEVICE/SENSOR`, `stat/DEVICE/STATUS8`,
//! `tele/DEVICE/STATE` and the last will `tele/DEVICE/LWT`.
//!
//! Source `tasmota:<device>` from the topic. Stamps are local: the subscription needs a zone. A
//! device with several channels sends lists; their fields get `_1`, `_2` and so on.

use std::borrow::Cow;

use metering::{EventCode, Unit};

use super::{link, no_identity};
use crate::device::Nature::{Instant, Register};
use crate::device::{self, Clock, Nature};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Items, Object, Value};
use crate::observation::{DeviceReport, ObservedEvent, ObservedTime, TimeOrigin};
use crate::stamp;

const FAMILY: &str = "tasmota";
/// Channels of one device.
const CHANNELS_MAX: usize = 8;

/// (member of `ENERGY`, field, nature, unit)
const MEMBERS: [(&str, &str, Nature, Option<Unit>); 15] = [
    ("Total", "total", Register, Some(Unit::KilowattHour)),
    ("ImportActive", "import_active", Register, Some(Unit::KilowattHour)),
    ("ExportActive", "export_active", Register, Some(Unit::KilowattHour)),
    ("ImportReactive", "import_reactive", Register, Some(Unit::KilovarHour)),
    ("ExportReactive", "export_reactive", Register, Some(Unit::KilovarHour)),
    ("Today", "today", Instant, Some(Unit::KilowattHour)),
    ("Yesterday", "yesterday", Instant, Some(Unit::KilowattHour)),
    ("Period", "period", Instant, Some(Unit::WattHour)),
    ("Power", "power", Instant, Some(Unit::Watt)),
    ("ApparentPower", "apparent_power", Instant, Some(Unit::VoltAmpere)),
    ("ReactivePower", "reactive_power", Instant, Some(Unit::Var)),
    ("Factor", "factor", Instant, None),
    ("Voltage", "voltage", Instant, Some(Unit::Volt)),
    ("Current", "current", Instant, Some(Unit::Ampere)),
    ("Frequency", "frequency", Instant, Some(Unit::Hertz)),
];

/// Decodes one message.
///
/// # Errors
/// [`Rejected`]: another topic, no zone, or a French meter port (`TIC`), which a mapping reads.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let (id, kind) = addressed(context)?;
    if kind == "LWT" {
        return link(context, (FAMILY, id), payload, ("Online", "Offline"));
    }
    if !matches!(kind, "SENSOR" | "STATUS8" | "STATUS10" | "STATE") {
        return Err(RejectReason::UnknownType.because(format!(
            "`{}` carries no telemetry: subscribe to tele/+/SENSOR, tele/+/STATE and tele/+/LWT",
            kind.chars().take(40).collect::<String>()
        )));
    }
    let mut message = Object::document(payload)?;
    if message.get("StatusSNS").is_some() {
        message = message.object("StatusSNS")?;
    }
    let clock = clock(context, &message)?;
    let mut report = clock.report(context, FAMILY, id);
    if let Some(Value::Nested(_)) = message.get("Wifi") {
        let signal = message.object("Wifi")?.get("Signal").and_then(|value| value.exact());
        let dbm = signal.and_then(|signal| signal.to_decimals(0).ok());
        report.rssi_dbm = dbm.and_then(|(dbm, _)| i16::try_from(dbm).ok());
    }
    match message.get("ENERGY") {
        Some(_) => energy(&mut report, &message.object("ENERGY")?, clock.at),
        None if message.get("TIC").is_some() => {
            return Err(RejectReason::UnknownType.because(
                "a `TIC` object and no `ENERGY`: use format = \"mapping\" with the shipped mapping \
                 tasmota-tic",
            ));
        }
        // A device without a meter is alive all the same.
        None => {}
    }
    Ok(vec![report])
}

/// The device and the last level of the topic. Prefix and device may stand in either order.
fn addressed<'t>(context: &DecodeContext<'t>) -> Result<(&'t str, &'t str), Rejected> {
    let mut levels = context.topic.rsplit('/');
    let kind = levels.next().unwrap_or("");
    let id = match context.options.device_level {
        Some(level) => device::topic_level(context.topic, level),
        None => levels.find(|level| !matches!(*level, "tele" | "stat" | "")),
    };
    let id = id.ok_or_else(|| no_identity("the topic names no device"))?;
    Ok((id, kind))
}

fn clock(context: &DecodeContext<'_>, message: &Object<'_>) -> Result<Clock, Rejected> {
    let Some(text) = message.text("Time") else { return Ok(Clock::arrival(context)) };
    let time = match (stamp::parse_utc(&text), stamp::parse_local(&text), context.zone) {
        (Some(at), ..) => Some(ObservedTime::sure(at, TimeOrigin::Device)),
        (None, None, _) => None,
        (None, Some(_), None) => {
            return Err(RejectReason::NoZone
                .because(format!("`{text}` has no zone: configure the subscription's zone")));
        }
        (None, Some(local), Some(zone)) => {
            stamp::in_zone(local, zone, context.received_at, TimeOrigin::Device)
        }
    };
    Ok(Clock::stamped(context, time, text))
}

fn energy(report: &mut DeviceReport, energy: &Object<'_>, at: ObservedTime) {
    for (key, field, nature, unit) in MEMBERS {
        let Some(value) = energy.get(key) else { continue };
        let Value::Nested(list) = value else {
            device::number_value(report, &value, field.into(), (nature, unit), at);
            continue;
        };
        match Items::parse(list) {
            Ok(items) if items.len() <= CHANNELS_MAX => {
                for (n, value) in (1..).zip(items.values()) {
                    let field = Cow::Owned(format!("{field}_{n}"));
                    device::number_value(report, &value, field, (nature, unit), at);
                }
            }
            _ => device::refused(report, at, field, list),
        }
    }
    // Another start than before: the counters were reset, they did not roll over.
    if let Some(since) = energy.text("TotalStartTime") {
        let since: String = since.chars().take(40).collect();
        let detail = format!("since={since}");
        report.events.push(ObservedEvent::counter(EventCode::CounterRestarted, at, detail));
    }
}
