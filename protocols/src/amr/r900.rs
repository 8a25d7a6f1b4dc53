//! R900 telegrams of water meters, with their sentinels (`protocols.md` 3.1). The counter is bare;
//! whether it counts tenths of a gallon, in binary or BCD, is configured per meter.

use metering::{EventCode, Exact};

use super::{Heard, counter, identity, status_words};
use crate::format::Rejected;
use crate::json::Object;
use crate::observation::{DeviceReport, Observation, ObservedEvent};

/// Field names as one receiver prints them.
pub(super) struct Names {
    pub(super) id: &'static str,
    pub(super) consumption: &'static str,
    pub(super) no_use: &'static str,
    pub(super) back_flow: &'static str,
    pub(super) leak: &'static str,
    pub(super) leak_now: &'static str,
    pub(super) unknown_1: &'static str,
    pub(super) unknown_3: &'static str,
}

/// 0xAAAAAA: the radio module has no register connected.
const NO_REGISTER: i64 = 11_184_810;
/// Days with leak or without use within the last 35 days, by the 3-bit bin.
const DAYS: [&str; 7] = ["0", "1-2", "3-7", "8-14", "15-21", "22-34", "35+"];

pub(super) fn decode(
    heard: &Heard<'_>,
    message: &Object<'_>,
    names: &Names,
    binary: bool,
) -> Result<Vec<DeviceReport>, Rejected> {
    let mut report = heard.report("r900", identity(message, &[names.id])?);
    let mut value = counter(message, names.consumption, 24)?;
    let disconnected = value == Some(Exact::whole(NO_REGISTER));
    if disconnected {
        value = None;
    }
    let mut register = heard.register("consumption", value, 24);
    if let Observation::Register { modulus, .. } = &mut register
        && !binary
    {
        // Six BCD digits.
        *modulus = Some(1_000_000);
    }
    report.observations.push(register);
    status_words(
        &mut report,
        message,
        &[
            (names.no_use, "no_use"),
            (names.back_flow, "back_flow"),
            (names.leak, "leak"),
            (names.leak_now, "leak_now"),
            (names.unknown_1, "unkn1"),
            (names.unknown_3, "unkn3"),
        ],
    );
    let levels = levels(message, names, disconnected);
    report.events.extend(
        levels.into_iter().map(|(code, detail)| ObservedEvent::level(code, heard.at, detail)),
    );
    Ok(vec![report])
}

/// States that hold now. Leak 15, `LeakNow` 3 and `BackFlow` 3 are "unknown", as registers without
/// electronics send them: no event.
fn levels(message: &Object<'_>, names: &Names, disconnected: bool) -> Vec<(EventCode, String)> {
    let field = |key: &str| message.get(key).and_then(|value| value.uint());
    let mut levels = Vec::new();
    if disconnected {
        levels.push((EventCode::RegisterDisconnected, "consumption=0xAAAAAA".to_owned()));
    }
    if let Some(leak @ 1..=6) = field(names.leak) {
        levels.push((EventCode::Leak, format!("leak={leak} ({} days of 35)", days(leak))));
    }
    match field(names.leak_now) {
        Some(1) => {
            let detail = "leak_now=1 (flow in 50 of 96 quarter hours or more)";
            levels.push((EventCode::LeakNow, detail.to_owned()));
        }
        Some(2) => {
            let detail = "leak_now=2 (flow in all 96 quarter hours)";
            levels.push((EventCode::LeakNow, detail.to_owned()));
        }
        _ => {}
    }
    // Bit 5 (value 32) is not part of the bin.
    if let Some(bin @ 1..=6) = field(names.no_use).map(|no_use| no_use & 7) {
        levels.push((EventCode::NoFlow, format!("no_use={bin} ({} days of 35)", days(bin))));
    }
    if let Some(back_flow @ 1..=2) = field(names.back_flow) {
        levels.push((EventCode::ReverseFlow, format!("back_flow={back_flow}")));
    }
    levels
}

fn days(bin: u64) -> &'static str {
    usize::try_from(bin).ok().and_then(|bin| DAYS.get(bin)).copied().unwrap_or("")
}
