//! What `LoRaWAN` network servers publish (`protocols.md` 3.8): [`chirpstack`] v4 and
//! [`the_things`] stack v3, JSON encoding.
//!
//! Sources are `deveui:<16 hex digits in lower case>`, whichever server passed the frame on. The
//! measured values stand in the decoded object, which the mapping of the subscription reads; without
//! a mapping the report holds signal, battery, counters and events. Both servers omit what is zero,
//! false or empty: absent is the default, never an error.

pub mod chirpstack;
#[cfg(test)]
mod tests;
pub mod the_things;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use metering::Unit;

use crate::device::{self, Clock, word};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Items, Object, Value};
use crate::observation::DeviceReport;

const FAMILY: &str = "deveui";
/// Receptions of one frame that are looked at.
const RECEPTIONS_MAX: usize = 64;

/// The whole message, which must not be Protobuf.
fn document<'a>(payload: &'a [u8]) -> Result<Object<'a>, Rejected> {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(RejectReason::BadFormat.because(
            "the payload does not begin with `{`: set the server's integration to JSON, not \
             Protobuf",
        ));
    }
    Object::document(payload)
}

/// 16 hex digits, in lower case.
fn dev_eui(text: Option<&str>, what: &str) -> Result<String, Rejected> {
    let text = text.unwrap_or("");
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(RejectReason::NoIdentity.because(format!("`{what}` is no device EUI")));
    }
    Ok(text.to_ascii_lowercase())
}

/// Signal at the gateway that heard it best.
fn rssi(list: Option<Value<'_>>) -> Option<i16> {
    let Some(Value::Nested(text)) = list else { return None };
    let receptions = Items::parse(text).ok()?;
    let heard = receptions.values().take(RECEPTIONS_MAX).filter_map(|reception| {
        let Value::Nested(text) = reception else { return None };
        let (dbm, _) = Object::parse(text).ok()?.get("rssi")?.exact()?.to_decimals(0).ok()?;
        i16::try_from(dbm).ok()
    });
    heard.max()
}

/// A whole number that is absent when it is zero.
fn counter(report: &mut DeviceReport, name: &'static str, value: Option<Value<'_>>, at: &Clock) {
    let value = value.unwrap_or(Value::Number("0"));
    word(report, name, &value);
    let kind = (device::Nature::Instant, Some(Unit::Count));
    device::number_value(report, &value, name.into(), kind, at.at);
}

/// The decoded object by the mapping of the subscription.
fn object(
    report: &mut DeviceReport,
    context: &DecodeContext<'_>,
    object: Option<Value<'_>>,
    clock: &Clock,
) -> Result<(), Rejected> {
    let (Some(mapping), Some(Value::Nested(json))) = (context.mapping, object) else {
        return Ok(());
    };
    let observed = mapping.observe(context, json, clock.at)?;
    report.observations.extend(observed.observations);
    report.events.extend(observed.events);
    for field in &observed.refused {
        device::refused(report, clock.at, &field.field, &field.detail);
    }
    report.battery_mv = observed.battery_mv.or(report.battery_mv);
    Ok(())
}

/// An application may play a device; its values are none.
fn simulated(context: &DecodeContext<'_>, message: &Object<'_>) -> Result<(), Rejected> {
    if message.get("simulated") == Some(Value::Bool(true)) && !context.options.accept_simulated {
        return Err(RejectReason::Simulated.because(
            "`simulated` is true: set accept_simulated = true to take messages of simulated \
             devices",
        ));
    }
    Ok(())
}

/// Which frame this was, and its payload bytes as sent, kept beside the values. A number that is
/// not sent may be 0, or the sender has none.
fn frame(
    report: &mut DeviceReport,
    name: &str,
    (count, data): (Option<Value<'_>>, Option<impl AsRef<str>>),
) {
    let Some(data) = data else { return };
    let data = data.as_ref();
    word(report, name, data);
    let count = count.map(|count| count.uint().and_then(|n| u32::try_from(n).ok()));
    if count == Some(None) {
        return;
    }
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    report.frame = Some((count.flatten(), hasher.finish()));
}
