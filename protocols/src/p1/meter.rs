//! The meter at the port itself.

use std::borrow::Cow;

use metering::{EventCode, Exact, Unit};

use super::telegram::{Line, Telegram, measured};
use super::{FAMILY, clock};
use crate::device::{self, Clock, word};
use crate::format::{DecodeContext, printable};
use crate::observation::{DeviceReport, Digits, Observation, ObservedEvent, ObservedTime};
use crate::options::TariffOrder;
use crate::stamp;

/// Where the equipment identifier may stand; the first that is there counts.
const IDENTITIES: [&str; 4] = ["0-0:96.1.1", "0-0:96.1.0", "0-0:96.1.255", "1-0:0.0.0"];
/// A shorter text of hex digits may be a number that is meant as it stands.
const HEX_LEN_MIN: usize = 20;

/// (OBIS code in medium 1, our field)
const REGISTERS: [(&str, &str); 8] = [
    ("1.8.0", "energy_import"),
    ("1.8.3", "energy_import_t3"),
    ("1.8.4", "energy_import_t4"),
    ("2.8.0", "energy_export"),
    ("2.8.3", "energy_export_t3"),
    ("2.8.4", "energy_export_t4"),
    ("3.8.0", "energy_reactive_import"),
    ("4.8.0", "energy_reactive_export"),
];
const INSTANTS: [(&str, &str); 17] = [
    ("1.7.0", "power_import"),
    ("2.7.0", "power_export"),
    ("21.7.0", "power_import_l1"),
    ("41.7.0", "power_import_l2"),
    ("61.7.0", "power_import_l3"),
    ("22.7.0", "power_export_l1"),
    ("42.7.0", "power_export_l2"),
    ("62.7.0", "power_export_l3"),
    ("32.7.0", "voltage_l1"),
    ("52.7.0", "voltage_l2"),
    ("72.7.0", "voltage_l3"),
    ("31.7.0", "current_l1"),
    ("51.7.0", "current_l2"),
    ("71.7.0", "current_l3"),
    ("14.7.0", "frequency"),
    ("1.4.0", "demand_import"),
    ("13.7.0", "power_factor"),
];
/// (code, word of the raw status)
const STATUS: [(&str, &str); 10] = [
    ("1-3:0.2.8", "version"),
    ("0-0:96.1.4", "version"),
    ("0-0:96.14.0", "tariff"),
    ("0-0:96.3.10", "breaker"),
    ("0-0:96.7.21", "power_failures"),
    ("0-0:96.7.9", "long_power_failures"),
    ("1-0:32.32.0", "sags_l1"),
    ("1-0:52.32.0", "sags_l2"),
    ("1-0:72.32.0", "sags_l3"),
    ("1-0:96.5.5", "state"),
];
const POWER_FAILURES: &str = "1-0:99.97.0";
const DEMAND_MAX: &str = "1-0:1.6.0";
const DEMAND_HISTORY: &str = "0-0:98.1.0";
/// Codes of limits and ratings: settings of the meter, not measured.
const SETTINGS: [&str; 4] = ["0-0:17.0.0", "1-0:31.4.0", "1-0:51.4.0", "1-0:71.4.0"];

/// The equipment identifier: hex text is read as the letters it stands for.
pub(super) fn identity(telegram: &Telegram<'_>) -> Option<String> {
    IDENTITIES.iter().find_map(|code| serial(telegram.value(code)?))
}

/// `None` for an empty identifier, and for `1-0:0.0.0(00000000)`.
pub(super) fn serial(text: &str) -> Option<String> {
    let zeros = text.len() < 10 && text.bytes().all(|byte| byte == b'0');
    if text.is_empty() || zeros || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let plain = text.chars().take(64).collect();
    if text.len() < HEX_LEN_MIN || text.len() > 64 {
        return Some(plain);
    }
    let letters = unhex(text).filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric()));
    Some(letters.unwrap_or(plain))
}

fn unhex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

pub(super) fn report(
    context: &DecodeContext<'_>,
    telegram: &Telegram<'_>,
    clock: &Clock,
    id: &str,
) -> DeviceReport {
    let mut report = clock.report(context, FAMILY, id);
    let order = context.options.tariffs;
    word(&mut report, "type", telegram.header);
    for line in &telegram.lines {
        if let Some((_, name)) = STATUS.iter().find(|(code, _)| *code == line.code) {
            word(&mut report, name, line.values.first().unwrap_or(&""));
        }
        match line.code {
            POWER_FAILURES => power_failures(context, line, &mut report),
            DEMAND_MAX => demand_max(context, line, &mut report),
            DEMAND_HISTORY => demand_history(context, line, &mut report),
            "0-0:96.13.0" | "0-0:96.13.1" => message(line, clock.at, &mut report),
            "0-0:96.3.10" if line.values == ["0"] => {
                let event = ObservedEvent::level(EventCode::SwitchOpened, clock.at, "breaker=0");
                report.events.push(event);
            }
            code if !SETTINGS.contains(&code) => quantity(line, order, clock.at, &mut report),
            _ => {}
        }
    }
    total(&mut report, "energy_import", clock.at);
    total(&mut report, "energy_export", clock.at);
    if telegram.suspect {
        doubt(&mut report);
    }
    report
}

/// A wrong check sum that the operator takes makes every counter suspect.
pub(super) fn doubt(report: &mut DeviceReport) {
    for seen in &mut report.observations {
        if let Observation::Register { suspect, .. } = seen {
            *suspect = true;
        }
    }
}

/// A measured value of medium 1 (electricity).
fn quantity(line: &Line<'_>, order: TariffOrder, at: ObservedTime, report: &mut DeviceReport) {
    let Some((channel, code)) = line.code.split_once(':') else { return };
    if !channel.starts_with("1-") || line.values.len() != 1 {
        return;
    }
    let Some((field, is_register)) = field(line.code, code, order) else { return };
    match measured(line.values[0]) {
        Some((value, None)) if is_register => device::refused(report, at, &field, value),
        Some((value, unit)) if is_register => {
            report.observations.push(device::register(field, unit, Some(value), at));
        }
        Some((value, unit)) => {
            report.observations.push(device::instant(field, unit, Some(value), at));
        }
        None => device::refused(report, at, &field, line.values[0]),
    }
}

/// The field, and whether it is a counter. Group D of the code says so: 8 is a time integral, 4, 6
/// and 7 are averages, maxima and momentary values (IEC 62056-6-1).
fn field(whole: &str, code: &str, order: TariffOrder) -> Option<(Cow<'static, str>, bool)> {
    if whole.len() > 20 {
        return None;
    }
    if let Some((_, name)) = REGISTERS.iter().find(|(known, _)| *known == code) {
        return Some(((*name).into(), true));
    }
    if let Some((_, name)) = INSTANTS.iter().find(|(known, _)| *known == code) {
        return Some(((*name).into(), false));
    }
    let low = match order {
        TariffOrder::LowFirst => 1,
        TariffOrder::HighFirst => 2,
    };
    let named = match code {
        "1.8.1" if low == 1 => "energy_import_low",
        "1.8.2" if low == 2 => "energy_import_low",
        "1.8.1" | "1.8.2" => "energy_import_high",
        "2.8.1" if low == 1 => "energy_export_low",
        "2.8.2" if low == 2 => "energy_export_low",
        "2.8.1" | "2.8.2" => "energy_export_high",
        _ => {
            let is_register = match code.split('.').nth(1)? {
                "8" => true,
                "4" | "6" | "7" => false,
                _ => return None,
            };
            return Some((Cow::Owned(whole.to_owned()), is_register));
        }
    };
    Some((named.into(), true))
}

/// DSMR meters count per tariff only: their sum is the total, exactly.
fn total(report: &mut DeviceReport, name: &'static str, at: ObservedTime) {
    let mut sum: Option<i64> = None;
    let mut kind: Option<Unit> = None;
    for seen in &report.observations {
        let Observation::Register { field, unit, value, .. } = seen else { continue };
        if field == name {
            return;
        }
        if !field.strip_prefix(name).is_some_and(|rest| rest.starts_with('_')) {
            continue;
        }
        let Some(thousandths) = value.and_then(|value| value.to_decimals(3).ok()) else { return };
        // Of two units or finer digits no sum is made.
        if !thousandths.1 || kind.is_some_and(|kind| Some(kind) != *unit) {
            return;
        }
        kind = *unit;
        sum = sum.unwrap_or(0).checked_add(thousandths.0);
    }
    let Some(value) = sum.and_then(|sum| Exact::new(sum, -3).ok()) else { return };
    report.observations.push(device::register(name, kind, Some(value), at));
}

/// `(n)(0-0:96.7.19)(end)(seconds*s)...`: the log of long failures. Each is told as two events.
fn power_failures(context: &DecodeContext<'_>, line: &Line<'_>, report: &mut DeviceReport) {
    for pair in line.values.get(2..).unwrap_or_default().chunks_exact(2) {
        let Some(end) = clock::stamp(context, pair[0]) else { continue };
        let seconds = pair[1].strip_suffix("*s").and_then(|text| text.parse::<i64>().ok());
        let Some(seconds) = seconds.filter(|seconds| *seconds > 0) else { continue };
        // A failure that ended before the clock was set has a time that says nothing.
        if stamp::is_absurd(end.at, context.received_at) {
            continue;
        }
        let detail = format!("{seconds} s");
        let start = ObservedTime { at: end.at.plus_seconds(-seconds), ..end };
        if !stamp::is_absurd(start.at, context.received_at) {
            report.events.push(ObservedEvent::once(EventCode::PowerFail, start, detail.clone()));
        }
        report.events.push(ObservedEvent::once(EventCode::PowerRestore, end, detail));
    }
}

/// `(stamp)(value*kW)`: the highest quarter-hour of this month so far.
fn demand_max(context: &DecodeContext<'_>, line: &Line<'_>, report: &mut DeviceReport) {
    let [stamp, value] = line.values[..] else { return };
    demand(context, (stamp, value), false, report);
}

/// `(n)(1-0:1.6.0)(1-0:1.6.0)`, then `(end of month)(stamp)(value*kW)` for each month.
fn demand_history(context: &DecodeContext<'_>, line: &Line<'_>, report: &mut DeviceReport) {
    if line.values.get(1..3) != Some(&[DEMAND_MAX, DEMAND_MAX]) {
        return;
    }
    for month in line.values[3..].chunks_exact(3) {
        demand(context, (month[1], month[2]), true, report);
    }
}

fn demand(
    context: &DecodeContext<'_>,
    (stamp, value): (&str, &str),
    is_old: bool,
    report: &mut DeviceReport,
) {
    // A month without a value is told with a stamp that is no time.
    let Some(time) = clock::stamp(context, stamp) else { return };
    let Some((value, unit)) = measured(value) else { return };
    report.observations.push(Observation::Instant {
        digits: Digits::Told,
        field: "demand_import_max".into(),
        unit,
        value: Some(value),
        time,
        history: is_old,
    });
}

/// What the utility shows on the meter's display, sent as hex.
fn message(line: &Line<'_>, at: ObservedTime, report: &mut DeviceReport) {
    let Some(text) = line.values.first().filter(|text| !text.is_empty()) else { return };
    let cut: String = text.chars().filter(char::is_ascii).take(240).collect();
    let text = unhex(&cut).unwrap_or(cut);
    let detail = printable(format!("message {text}"));
    if !report.events.iter().any(|event| event.level && event.detail == detail) {
        report.events.push(ObservedEvent::level(EventCode::MeterFlag, at, detail));
    }
}
