//! JSON events of `rtl_433` (`protocols.md` 3.2). Stamps are local without a zone by default;
//! recommend `-M time:iso:utc` at the receiver.

use std::borrow::Cow;

use metering::{Exact, Unit, UtcTime};

use super::wmbus::Receiver;
use super::{Heard, counter, ert, identity, r900, status_words};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Object, Value};
use crate::observation::{DeviceReport, Observation};

const SCM: ert::Names<'static> = ert::Names {
    id: &["id"],
    consumption: "consumption_data",
    status: &[
        ("ert_type", "type"),
        ("physical_tamper", "tamper_phy"),
        ("encoder_tamper", "tamper_enc"),
    ],
    tamper: &[("physical_tamper", "phy"), ("encoder_tamper", "enc")],
};

const SCM_PLUS: ert::Names<'static> = ert::Names {
    id: &["EndpointID", "id"],
    consumption: "Consumption",
    status: &[("EndpointType", "type"), ("Tamper", "tamper")],
    tamper: &[("Tamper", "tamper")],
};

const R900: r900::Names = r900::Names {
    id: "id",
    consumption: "consumption",
    no_use: "nouse",
    back_flow: "backflow",
    leak: "leak",
    leak_now: "leaknow",
    unknown_1: "unkn1",
    unknown_3: "unkn3",
};

/// Decodes one event.
///
/// # Errors
/// [`Rejected`] when it holds no telegram that can be stored.
pub fn decode(
    context: &DecodeContext<'_>,
    receiver: &mut Receiver,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    if context.topic.split('/').any(|level| level == "devices") {
        return Err(RejectReason::ScalarTopic.because(
            "device topics carry one scalar each: subscribe to rtl_433/HOST/events instead",
        ));
    }
    let event = Object::document(payload)?;
    let Some(model) = event.text("model") else {
        return Err(RejectReason::BadFormat.because("`model` is no text"));
    };
    let mut heard = heard(context, &event)?;
    // Without `mic` nothing checked the packet.
    heard.suspect = event.get("mic").is_none();
    match model.as_ref() {
        "ERT-SCM" => ert::scm(&heard, &event, &SCM),
        "SCMplus" => ert::scm_plus(&heard, &event, &SCM_PLUS),
        "IDM" => ert::idm(&heard, &event),
        "NETIDM" => ert::net_idm(&heard, &event),
        "Neptune-R900" => r900::decode(&heard, &event, &R900, true),
        "Badger-ORION" => orion(&heard, &event, "volume_gal", 0),
        "Orion-Endpoint" => orion(&heard, &event, "reading", 1),
        "Wireless-MBus" => receiver.event(&heard, &event),
        other => Err(RejectReason::UnknownType.because(format!(
            "model {} is no known meter",
            other.chars().take(40).collect::<String>()
        ))),
    }
}

/// The forms of `-M time`: local or UTC text, with an offset, epoch seconds, or `@0.002s` from a
/// file, which has no date at all.
fn heard<'a>(context: &'a DecodeContext<'a>, event: &Object<'_>) -> Result<Heard<'a>, Rejected> {
    let text = match event.get("time") {
        None | Some(Value::Null) => return Heard::new(context, None),
        Some(Value::Number(digits)) => Cow::Borrowed(digits),
        Some(Value::Text(text)) => text,
        Some(_) => Cow::Borrowed("not a time"),
    };
    if text.starts_with('@') {
        return Heard::new(context, None);
    }
    match epoch(&text) {
        Some(at) => Heard::new(context, Some(&at.to_string())),
        None => Heard::new(context, Some(&text)),
    }
}

/// `1681327786` or `1681327786.123456`.
fn epoch(text: &str) -> Option<UtcTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !(9..=11).contains(&whole.len()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let (micros, _) = text.parse::<Exact>().ok()?.to_decimals(6).ok()?;
    Some(UtcTime::from_micros(micros))
}

/// Badger registers: gallons as sent, by a power of ten. 24-bit counters.
fn orion(
    heard: &Heard<'_>,
    event: &Object<'_>,
    key: &str,
    power: i8,
) -> Result<Vec<DeviceReport>, Rejected> {
    let mut report = heard.report("orion", identity(event, &["id"])?);
    let count = counter(event, key, 24)?;
    let mut register = heard.register("consumption", None, 24);
    if let Observation::Register { unit, value, modulus, .. } = &mut register {
        *unit = Some(Unit::GallonUs);
        *value = count.and_then(|count| Exact::new(count.mantissa(), power).ok());
        // The wrap of the scaled value.
        *modulus = modulus.map(|modulus| modulus * 10_i64.pow(u32::from(power.unsigned_abs())));
    }
    report.observations.push(register);
    status_words(
        &mut report,
        event,
        &[("flags_1", "flags_1"), ("flags_2", "flags_2"), ("status", "status")],
    );
    Ok(vec![report])
}
