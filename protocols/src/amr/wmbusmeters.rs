//! JSON of wmbusmeters (`protocols.md` 3.3). Every number with a unit suffix is an observation
//! under its own field name; provisioning a meter's channels says which ones count.
//!
//! On Wireless M-Bus a volume, an energy or a heat-cost count is a cumulative register; everything
//! else is momentary. `timestamp` is the reception at the collector.

use metering::{EventCode, Exact, Unit};

use super::{Heard, refused_field};
use crate::format::{DecodeContext, RejectReason, Rejected, printable};
use crate::json::{Object, Value};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp;

/// How values of a unit suffix are to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Cumulative,
    Momentary,
}

use Kind::{Cumulative, Momentary};

/// Suffix, unit where our vocabulary has it, kind. A unit that it lacks is configured per channel.
const SUFFIXES: [(&str, Option<Unit>, Kind); 30] = [
    ("m3", Some(Unit::CubicMetre), Cumulative),
    ("l", Some(Unit::Litre), Cumulative),
    ("kwh", Some(Unit::KilowattHour), Cumulative),
    ("mj", Some(Unit::Megajoule), Cumulative),
    ("gj", Some(Unit::Gigajoule), Cumulative),
    ("kvarh", Some(Unit::KilovarHour), Cumulative),
    ("kvah", None, Cumulative),
    ("hca", Some(Unit::Count), Cumulative),
    ("m3c", None, Cumulative),
    ("kw", Some(Unit::Kilowatt), Momentary),
    ("m3h", Some(Unit::CubicMetrePerHour), Momentary),
    ("lh", Some(Unit::LitrePerHour), Momentary),
    ("c", Some(Unit::Celsius), Momentary),
    ("v", Some(Unit::Volt), Momentary),
    ("a", Some(Unit::Ampere), Momentary),
    ("hz", Some(Unit::Hertz), Momentary),
    ("counter", Some(Unit::Count), Momentary),
    ("k", None, Momentary),
    ("f", None, Momentary),
    ("kvar", None, Momentary),
    ("kva", None, Momentary),
    ("rh", None, Momentary),
    ("pct", None, Momentary),
    ("ppm", None, Momentary),
    ("factor", None, Momentary),
    ("h", None, Momentary),
    ("s", None, Momentary),
    ("min", None, Momentary),
    ("y", None, Momentary),
    ("nr", None, Momentary),
];

/// A field with one of these words tells an old value again.
const HISTORY_WORDS: [&str; 14] = [
    "target",
    "prev",
    "previous",
    "historic",
    "history",
    "due",
    "ago",
    "delta",
    "reporting",
    "base",
    "month",
    "months",
    "year",
    "last",
];
/// So does a field with one of these pairs of words.
const HISTORY_PAIRS: [(&str, &str); 3] = [("set", "date"), ("at", "date"), ("at", "error")];
/// The name of a date begins with one of these, wherever it stands in the field's name.
const DATED_BY: [&str; 3] = ["set_date", "reporting_date", "target"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const FLAGS: [(&str, EventCode); 20] = [
    ("DRY", EventCode::Dry),
    ("NO_FLOW_PREV_MONTH", EventCode::NoFlow),
    ("LEAK", EventCode::Leak),
    ("LEAKING", EventCode::Leak),
    ("BURST", EventCode::Burst),
    ("REVERSE", EventCode::ReverseFlow),
    ("REVERSE_THIS_MONTH", EventCode::ReverseFlow),
    ("BACKFLOW", EventCode::ReverseFlow),
    ("TAMPER", EventCode::Tamper),
    ("TAMPERING", EventCode::Tamper),
    ("TAMPER_WHILE_REMOVED", EventCode::Tamper),
    ("SABOTAGE_ENCLOSURE", EventCode::Tamper),
    ("MODULE_REMOVED", EventCode::Tamper),
    ("METER_BLOCKED", EventCode::Tamper),
    ("LOW_BATTERY", EventCode::BatteryLow),
    ("BATTERY_LOW", EventCode::BatteryLow),
    ("POWER_LOW", EventCode::BatteryLow),
    ("PERMANENT_ERROR", EventCode::HardwareFault),
    ("TEMPORARY_ERROR", EventCode::HardwareWarning),
    ("BURSTING", EventCode::Burst),
];
/// States apart from all others, as `meter_flag` events with a sequence number each.
const UNKNOWN_FLAGS_MAX: usize = 32;

/// Kamstrup's "not available", in degrees Celsius.
const KAMSTRUP_ABSENT_C: Exact = Exact::whole(127);
const KAMSTRUP_DRIVERS: [&str; 5] = ["kam", "multical", "flowiq", "iwmtx5", "iwmlr"];

/// Decodes one telegram.
///
/// # Errors
/// [`Rejected`] when it holds nothing that can be stored.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let telegram = Object::document(payload)?;
    let id = match telegram.get("id") {
        Some(Value::Text(id)) if !id.is_empty() => id,
        Some(Value::Number(id)) => id.into(),
        _ => return Err(RejectReason::NoIdentity.because("`id` is absent or empty")),
    };
    let heard = Heard::new(context, telegram.text("timestamp").as_deref())?;
    let mut report = heard.report("wmbus", id);
    let faulty = status(&mut report, &telegram, heard.at);
    let driver = telegram.text("meter").unwrap_or_default();
    let reading = Reading {
        telegram: &telegram,
        context,
        at: heard.at,
        suspect: faulty || heard.at.doubtful,
        kamstrup: KAMSTRUP_DRIVERS.iter().any(|prefix| driver.starts_with(prefix)),
    };
    for (field, value) in telegram.members() {
        match reading.observe(field, &value) {
            Observed::Is(observation) => report.observations.push(observation),
            Observed::Refused => refused_field(&mut report, heard.at, field, &value),
            Observed::IsNone => {}
        }
    }
    report.rssi_dbm = telegram.get("rssi_dbm").and_then(|value| whole_i16(&value));
    report.battery_mv = telegram.get("battery_v").and_then(|value| millivolts(&value));
    device_clock(&mut report, &reading);
    Ok(vec![report])
}

/// What all fields of one telegram share.
struct Reading<'t> {
    telegram: &'t Object<'t>,
    context: &'t DecodeContext<'t>,
    at: ObservedTime,
    suspect: bool,
    kamstrup: bool,
}

enum Observed {
    Is(Observation),
    /// A measured field whose value is no number.
    Refused,
    /// Not a measured field.
    IsNone,
}

impl Reading<'_> {
    fn observe(&self, field: &str, value: &Value<'_>) -> Observed {
        let Some((base, suffix)) = field.rsplit_once('_') else { return Observed::IsNone };
        let Some((_, unit, kind)) = SUFFIXES.iter().find(|(name, ..)| *name == suffix) else {
            return Observed::IsNone;
        };
        let value = match value {
            Value::Null => None,
            Value::Number(_) => match value.exact() {
                Some(value) => Some(value),
                None => return Observed::Refused,
            },
            // A volume that is no number is a fault; `manufacture_y`, "2015", is not.
            _ if suffix.len() > 1 && unit.is_some() => return Observed::Refused,
            _ => return Observed::IsNone,
        };
        if field.len() > 64 || !field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Observed::Refused;
        }
        let absent = self.kamstrup
            && (field.ends_with("flow_temperature_c") || field.ends_with("external_temperature_c"))
            && value == Some(KAMSTRUP_ABSENT_C);
        let value = if absent { None } else { value };
        let history = is_history(base);
        let time = if history { self.history_time(base) } else { self.at };
        let (field, unit) = (field.to_owned().into(), *unit);
        Observed::Is(match kind {
            Cumulative => Observation::Register {
                digits: Digits::Told,
                field,
                unit,
                value,
                modulus: None,
                time,
                history,
                suspect: self.suspect || time.doubtful,
            },
            Momentary => {
                Observation::Instant { digits: Digits::Told, field, unit, value, time, history }
            }
        })
    }

    /// An old value belongs to the date beside it: `target_m3` to `target_date`. Without one its
    /// time is not known, so the telegram's time is doubted.
    fn history_time(&self, base: &str) -> ObservedTime {
        let anchor = DATED_BY.iter().find_map(|word| base.find(word));
        let mut stem = anchor.map_or(base, |at| &base[at..]);
        loop {
            for name in [stem.to_owned(), format!("{stem}_date"), format!("{stem}_datetime")] {
                let text = self.telegram.text(&name);
                if let Some(time) = text.and_then(|text| self.local_date(&text)) {
                    return time;
                }
            }
            match stem.rsplit_once('_') {
                // The date of `target` is not that of `target_3`.
                Some((shorter, word)) if word.parse::<u8>().is_err() => stem = shorter,
                _ => return self.at.doubted(),
            }
        }
    }

    /// A date means its first instant. Device dates carry no zone: the subscription's, else UTC.
    fn local_date(&self, text: &str) -> Option<ObservedTime> {
        let utc = jiff::tz::TimeZone::UTC;
        let zone = self.context.zone.unwrap_or(&utc);
        let local = stamp::parse_local(text)?;
        stamp::in_zone(local, zone, self.context.received_at, TimeOrigin::Device)
    }
}

fn is_history(base: &str) -> bool {
    let mut words = base.split('_').peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or("");
        let numbered = word == "consumption" && next.parse::<u8>().is_ok();
        if numbered
            || HISTORY_WORDS.contains(&word)
            || MONTHS.contains(&word)
            || HISTORY_PAIRS.contains(&(word, next))
        {
            return true;
        }
    }
    false
}

/// Flags of all status fields. Known ones become one event per code; an unknown one becomes
/// `meter_flag` with its text, never dropped. True when the values are not to be trusted.
fn status(report: &mut DeviceReport, telegram: &Object<'_>, at: ObservedTime) -> bool {
    let mut faulty = false;
    let mut known: Vec<(EventCode, String)> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    for (field, value) in telegram.members() {
        let is_status = field == "status" || field.ends_with("_status") || field == "error_flags";
        let Value::Text(text) = value else { continue };
        if !is_status || text.is_empty() {
            continue;
        }
        let text: String = text.chars().take(400).collect();
        let space = if report.raw_status.is_empty() { "" } else { " " };
        report.raw_status.push_str(&printable(format!("{space}{field}={text}")));
        // A status of old values says nothing about today.
        if field.starts_with("historic") {
            continue;
        }
        for flag in text.split_ascii_whitespace().filter(|flag| *flag != "OK") {
            faulty |= flag == "PERMANENT_ERROR" || flag.starts_with("DECODING_ERROR");
            match FLAGS.iter().find(|(name, _)| *name == flag) {
                Some((_, code)) => match known.iter_mut().find(|(seen, _)| seen == code) {
                    Some((_, flags)) => flags.push_str(&format!(" {flag}")),
                    None => known.push((*code, flag.to_owned())),
                },
                None if unknown.len() < UNKNOWN_FLAGS_MAX => {
                    let general = matches!(field, "status" | "current_status" | "error_flags");
                    let name = if general { String::new() } else { format!("{field}:") };
                    let flag = format!("{name}{flag}");
                    if !unknown.contains(&flag) {
                        unknown.push(flag);
                    }
                }
                None => {}
            }
        }
    }
    let known = known.into_iter().map(|(code, flags)| ObservedEvent::level(code, at, flags));
    report.events.extend(known);
    for (seq, flag) in (0_i32..).zip(unknown) {
        let event = ObservedEvent::level(EventCode::MeterFlag, at, flag);
        report.events.push(ObservedEvent { seq, ..event });
    }
    faulty
}

/// The meter's own clock is told in minutes without a zone: only a senseless one is worth an event.
fn device_clock(report: &mut DeviceReport, reading: &Reading<'_>) {
    let text = ["device_datetime", "meter_datetime"]
        .into_iter()
        .find_map(|field| reading.telegram.text(field));
    let Some(text) = text else { return };
    let Some(time) = reading.local_date(&text) else { return };
    let known = report.events.iter().any(|event| event.code == EventCode::ClockError);
    if !known && stamp::is_absurd(time.at, reading.context.received_at) {
        let detail = format!("device clock {text}");
        report.events.push(ObservedEvent::level(EventCode::ClockError, reading.at, detail));
    }
}

fn millivolts(value: &Value<'_>) -> Option<i32> {
    let (millivolts, _) = value.exact()?.to_decimals(3).ok()?;
    i32::try_from(millivolts).ok()
}

fn whole_i16(value: &Value<'_>) -> Option<i16> {
    let (whole, _) = value.exact()?.to_decimals(0).ok()?;
    i16::try_from(whole).ok()
}
