//! ERT telegrams (SCM, SCM+, IDM, `NetIDM`), whichever receiver printed them. Values are bare
//! counters: unit and multiplier are configured per meter (`protocols.md` 3.1).

use std::fmt::Write as _;

use metering::{EventCode, UtcTime};

use super::{Heard, counter, identity, refused_field, status_words};
use crate::format::Rejected;
use crate::json::{Object, Value};
use crate::observation::{DeviceReport, Observation, ObservedEvent};

/// Field names of one telegram kind as one receiver prints it.
pub(super) struct Names<'n> {
    pub(super) id: &'n [&'n str],
    pub(super) consumption: &'n str,
    /// (name as sent, our name in the raw status)
    pub(super) status: &'n [(&'n str, &'n str)],
    /// (name as sent, our name in the tamper counters)
    pub(super) tamper: &'n [(&'n str, &'n str)],
}

/// Length of an IDM slot, in seconds. Unverified: second-hand knowledge, check per fleet.
const SLOT_S: i32 = 300;
/// `TransmitTimeOffset` counts this often in a second. Unverified, as above.
const OFFSET_PER_S: u64 = 16;

/// The deltas of one telegram kind: number of slots, bits of one delta, field.
struct Deltas {
    slots: usize,
    bits: u32,
    field: &'static str,
}

const IDM: Deltas = Deltas { slots: 47, bits: 9, field: "interval" };
const NET_IDM: Deltas = Deltas { slots: 27, bits: 14, field: "interval_net" };

/// State kept apart per telegram kind: the kinds of one meter carry different tamper counters.
const TAMPER_SCM: i32 = 0;
const TAMPER_SCM_PLUS: i32 = 1;
const TAMPER_IDM: i32 = 2;

/// SCM: a 24-bit counter.
pub(super) fn scm(
    heard: &Heard<'_>,
    message: &Object<'_>,
    names: &Names<'_>,
) -> Result<Vec<DeviceReport>, Rejected> {
    short(heard, message, names, (24, TAMPER_SCM))
}

/// SCM+: a 32-bit counter.
pub(super) fn scm_plus(
    heard: &Heard<'_>,
    message: &Object<'_>,
    names: &Names<'_>,
) -> Result<Vec<DeviceReport>, Rejected> {
    short(heard, message, names, (32, TAMPER_SCM_PLUS))
}

fn short(
    heard: &Heard<'_>,
    message: &Object<'_>,
    names: &Names<'_>,
    (width, tamper_seq): (u32, i32),
) -> Result<Vec<DeviceReport>, Rejected> {
    let mut report = heard.report("ert", identity(message, names.id)?);
    report.telegram = if tamper_seq == TAMPER_SCM { "scm" } else { "scm+" };
    let value = counter(message, names.consumption, width)?;
    report.observations.push(heard.register("consumption", value, width));
    status_words(&mut report, message, names.status);
    let mut detail = String::new();
    for (key, name) in names.tamper {
        let Some(value) = message.get(key).and_then(|value| value.uint()) else { continue };
        let space = if detail.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(detail, "{space}{name}={value}");
    }
    tamper(&mut report, heard, detail, tamper_seq);
    Ok(vec![report])
}

/// IDM: the counter, and the use in the last 47 slots.
pub(super) fn idm(heard: &Heard<'_>, message: &Object<'_>) -> Result<Vec<DeviceReport>, Rejected> {
    let mut report = heard.report("ert", identity(message, &["ERTSerialNumber", "id"])?);
    let value = counter(message, "LastConsumptionCount", 32)?;
    report.observations.push(heard.register("consumption", value, 32));
    report.telegram = "idm";
    long_parts(&mut report, heard, message, &IDM);
    Ok(vec![report])
}

/// `NetIDM`. The same air packet may be printed as IDM too, and one of the two is meaningless; its
/// fields have names of their own, so that provisioning a meter's channels says which one counts.
pub(super) fn net_idm(
    heard: &Heard<'_>,
    message: &Object<'_>,
) -> Result<Vec<DeviceReport>, Rejected> {
    let mut report = heard.report("ert", identity(message, &["ERTSerialNumber", "id"])?);
    for (key, field, width) in [
        ("LastConsumptionNet", "consumption_net", 32),
        ("LastGeneration", "generation", 32),
        ("LastConsumption", "consumption_delivered", 32),
    ] {
        match counter(message, key, width) {
            Ok(value) => report.observations.push(heard.register(field, value, width)),
            Err(refused) => match message.get(key) {
                None if field == "consumption_net" => return Err(refused),
                None => {}
                Some(value) => refused_field(&mut report, heard.at, key, &value),
            },
        }
    }
    report.telegram = "netidm";
    long_parts(&mut report, heard, message, &NET_IDM);
    Ok(vec![report])
}

fn long_parts(report: &mut DeviceReport, heard: &Heard<'_>, message: &Object<'_>, deltas: &Deltas) {
    const KEY: &str = "DifferentialConsumptionIntervals";
    if let Some(list) = message.get(KEY) {
        match series(heard, message, &list, deltas) {
            Some(series) => report.observations.push(series),
            None => refused_field(report, heard.at, KEY, &list),
        }
    }
    let count = message.get("ConsumptionIntervalCount").and_then(|value| value.uint());
    report.slot_count = count.and_then(|count| u8::try_from(count).ok());
    status_words(
        report,
        message,
        &[
            ("ERTType", "type"),
            ("ApplicationVersion", "version"),
            ("ConsumptionIntervalCount", "interval_count"),
            ("ModuleProgrammingState", "programming_state"),
            ("ProgrammingState", "programming_state"),
            ("AsynchronousCounters", "asynchronous_counters"),
        ],
    );
    if let Some(flags) = message.get("PowerOutageFlags").and_then(|value| byte_field(&value)) {
        let _ = write!(report.raw_status, " power_outage_flags={}", hex(&flags));
    }
    let counters = message.get("TamperCounters").and_then(|value| byte_field(&value));
    let detail = counters.map_or_else(String::new, |bytes| format!("counters={}", hex(&bytes)));
    tamper(report, heard, detail, TAMPER_IDM);
}

/// Deltas come newest first. The newest slot ends `TransmitTimeOffset` before the transmission, at
/// the nearest point of the grid, since the receiver's clock may be behind. All ones: missing.
/// `None` when the list is not as the format says.
fn series(
    heard: &Heard<'_>,
    message: &Object<'_>,
    list: &Value<'_>,
    deltas: &Deltas,
) -> Option<Observation> {
    let newest_first = list.integers(deltas.slots)?;
    let missing = (1_i64 << deltas.bits) - 1;
    if newest_first.is_empty() || newest_first.iter().any(|d| !(0..=missing).contains(d)) {
        return None;
    }
    let offset = message.get("TransmitTimeOffset").and_then(|value| value.uint()).unwrap_or(0);
    let offset_s = i64::try_from(offset.min(u64::from(u16::MAX)) / OFFSET_PER_S).ok()?;
    let slot = i64::from(SLOT_S);
    let newest_end: UtcTime = heard.at.at.plus_seconds(slot / 2 - offset_s).floor_to(slot);
    let older = i64::try_from(newest_first.len() - 1).ok()?;
    let values = newest_first.into_iter().rev().map(|d| (d != missing).then_some(d)).collect();
    let mut time = heard.at;
    time.at = newest_end;
    time.doubtful |= heard.suspect;
    Some(Observation::Series {
        field: deltas.field.into(),
        unit: None,
        len_s: SLOT_S,
        first_end: newest_end.plus_seconds(-older * i64::from(SLOT_S)),
        exponent: 0,
        values,
        flags: Vec::new(),
        time,
        history: false,
    })
}

fn tamper(report: &mut DeviceReport, heard: &Heard<'_>, detail: String, seq: i32) {
    if !detail.is_empty() {
        let event = ObservedEvent::counter(EventCode::Tamper, heard.at, detail);
        report.events.push(ObservedEvent { seq, ..event });
    }
}

/// Bytes as Go prints them (base64) or as `rtl_433` does (`0x...`).
fn byte_field(value: &Value<'_>) -> Option<Vec<u8>> {
    let Value::Text(text) = value else { return None };
    if text.len() > 256 {
        return None;
    }
    match text.strip_prefix("0x") {
        Some(digits) => unhex(digits.as_bytes()),
        None => base64(text.as_bytes()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// RFC 4648 section 4, with padding as Go writes it.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let digits = text.iter().position(|c| *c == b'=').map_or(text, |end| &text[..end]);
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in digits {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_fields_of_both_receivers_agree() {
        let go = Value::Text("AwIAcw4A".into());
        let c = Value::Text("0x030200730e00".into());
        assert_eq!(byte_field(&go).map(|b| hex(&b)).as_deref(), Some("030200730e00"));
        assert_eq!(byte_field(&go), byte_field(&c));
        assert_eq!(base64(b"AQ=="), Some(vec![1]));
        assert_eq!(base64(b"AQI="), Some(vec![1, 2]));
        for bad in ["AQ=", "A", "A===", "A*AA"] {
            assert_eq!(base64(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(byte_field(&Value::Text("0x123".into())), None);
        assert_eq!(byte_field(&Value::Text("0xzz".into())), None);
        assert_eq!(byte_field(&Value::Number("1")), None);
    }
}
