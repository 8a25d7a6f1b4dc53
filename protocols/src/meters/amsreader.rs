//! JSON of AmsToMqttBridge (`protocols.md` 3.6; layout read in the firmware, no capture): readers
//! on the customer port of Nordic and other DLMS meters.
//!
//! Source `ams:<id>`; fields as sent (`P`, `tPI`, `U1`). Momentary values carry the bridge's time
//! `t`, counters the meter's clock `rtc` where it is sent. Other members are not looked at.

use metering::{Exact, Unit};

use crate::device::Nature::{Instant, Register};
use crate::device::{self, Clock, Nature, word};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Object, Value};
use crate::observation::{DeviceReport, TimeOrigin};

const FAMILY: &str = "ams";

const MEMBERS: [(&str, Nature, Unit); 14] = [
    ("P", Instant, Unit::Watt),
    ("PO", Instant, Unit::Watt),
    ("Q", Instant, Unit::Var),
    ("QO", Instant, Unit::Var),
    ("I1", Instant, Unit::Ampere),
    ("I2", Instant, Unit::Ampere),
    ("I3", Instant, Unit::Ampere),
    ("U1", Instant, Unit::Volt),
    ("U2", Instant, Unit::Volt),
    ("U3", Instant, Unit::Volt),
    ("tPI", Register, Unit::KilowattHour),
    ("tPO", Register, Unit::KilowattHour),
    ("tQI", Register, Unit::KilovarHour),
    ("tQO", Register, Unit::KilovarHour),
];

/// Decodes one message. Without `data` it only shows that the reader is alive.
///
/// # Errors
/// [`Rejected`]: no JSON object, or no `id`.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let message = Object::document(payload)?;
    let id = match context.options.device_level {
        Some(level) => device::topic_level(context.topic, level).map(str::to_owned),
        None => match message.get("id") {
            Some(Value::Text(id)) if !id.is_empty() => Some(id.into_owned()),
            Some(Value::Number(id)) => Some(id.to_owned()),
            _ => None,
        },
    };
    let id = id.ok_or_else(|| RejectReason::NoIdentity.because("`id` is absent or empty"))?;
    let clock = Clock::epoch(context, message.get("t"), TimeOrigin::Collector);
    let mut report = clock.report(context, FAMILY, id);
    let dbm = message.get("rssi").and_then(|value| value.exact()?.to_decimals(0).ok());
    report.rssi_dbm = dbm.and_then(|(dbm, _)| i16::try_from(dbm).ok());
    for key in ["vcc", "temp", "up"] {
        if let Some(value @ Value::Number(_)) = message.get(key) {
            word(&mut report, key, value);
        }
    }
    if message.get("data").is_none() {
        return Ok(vec![report]);
    }
    let data = message.object("data")?;
    let sent = data.get("rtc").filter(|rtc| rtc.exact() != Some(Exact::ZERO));
    let meter = match sent {
        None | Some(Value::Null) => clock.at,
        rtc => Clock::epoch(context, rtc, TimeOrigin::Device).at,
    };
    for (key, nature, unit) in MEMBERS {
        let at = if nature == Register { meter } else { clock.at };
        device::number(&mut report, &data, (key, key.into()), (nature, Some(unit)), at);
    }
    Ok(vec![report])
}
