//! #33 MTR-ERR: the meter says that it is broken.
//!
//! A permanent error counts at once, a temporary one on three days of seven. A register that sends
//! no read, or a digit that stands still, is a fault of the encoder and counts like a temporary
//! error. Many meters with the same error in one hour are a firmware matter.

use metering::{EventCode, Severity};

use super::device::{Told, key, look_at, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::{Meter, Silence};
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;
/// A crowd shows itself within this time.
const HOLD_S: i64 = 3_600;

pub(crate) fn told(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    let rare = meter.rare_mut();
    match told.code {
        EventCode::HardwareFault | EventCode::MemoryError => {
            rare.hard.see(told.at, env.params.error_clear_h * 3_600);
        }
        code => {
            rare.error(told.at, code);
        }
    }
    env.crowd.note((told.code, 0), told.at, place);
    look_at(place, RuleId::MTR_ERR, env.now + HOLD_S, env);
}

/// Instants of the newest error and of the first of the condition, when it holds.
fn holds(meter: &Meter, env: &Env) -> Option<(Cause, i64, i64)> {
    let rare = meter.rare()?;
    let codes = [EventCode::HardwareFault, EventCode::MemoryError];
    let of_many = |at| codes.iter().any(|code| env.crowd.is_mass(*code, at, env.fleet));
    if rare.hard.is_on() && !of_many(rare.hard.from) {
        return Some((Cause::MeterHardware, rare.hard.from, rare.hard.to));
    }
    let wanted = usize::try_from(env.params.error_days).unwrap_or(3).max(1);
    let codes = [
        (EventCode::HardwareWarning, Cause::MeterHardware),
        (EventCode::InvalidRead, Cause::EncoderFault),
    ];
    codes.into_iter().find_map(|(code, cause)| {
        let days: Vec<i64> = rare
            .errors
            .iter()
            .filter(|mark| mark.code == code.number())
            .filter(|mark| !env.crowd.is_mass(code, mark.at, env.fleet))
            .map(|mark| mark.at)
            .collect();
        let newest = *days.last()?;
        let first = *days.get(days.len().checked_sub(wanted)?)?;
        (newest - first < WEEK_S).then_some((cause, first, newest))
    })
}

/// Newest error of any kind.
fn newest(meter: &Meter) -> i64 {
    let rare = meter.rare();
    let soft = rare.and_then(|rare| rare.errors.last()).map_or(NEVER, |mark| mark.at);
    rare.map_or(NEVER, |rare| rare.hard.to).max(soft)
}

/// Timer: raise it once a crowd would have shown itself; clear it when the bit stayed away.
pub(crate) fn look(meter: &mut Meter, place: u32, env: &mut Env) {
    let clear_s = env.params.error_clear_h * 3_600 + meter.slow_s();
    let last = newest(meter);
    let key = key(meter, RuleId::MTR_ERR);
    let recent = env.now - last < clear_s + HOLD_S;
    if recent && let Some((cause, first, until)) = holds(meter, env) {
        let mut report = report(meter, (RuleId::MTR_ERR, cause), (first, until), env);
        report.severity = Severity::P2;
        let days = meter.rare().map_or(0, |rare| rare.errors.len());
        let days = i64::try_from(days).unwrap_or(0);
        report.evidence.push(Evidence::number("days_with_error", days, "days"));
        env.book.assert(report, env.at, &mut env.out);
    }
    if env.book.get(&key).is_none() {
        return;
    }
    let due = last + clear_s;
    if due > env.now {
        look_at(place, RuleId::MTR_ERR, due, env);
    } else if meter.silence == Silence::Lost {
        look_at(place, RuleId::MTR_ERR, env.now + DAY_S, env);
    } else {
        env.book.clear(&key, last, env.at, &mut env.out);
    }
}
