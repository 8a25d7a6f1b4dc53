//! #43 WTR-BACK: water flows back into the network.
//!
//! Devices that tell it by a flag keep the flag for weeks (Neptune R900: 35 d), so a flag that
//! comes again within a day and a half is the same backflow; what counts is that it begins. The
//! detail tells how much: 2 or more of an R900 is more than 100 digits, a major one.

use metering::{Commodity, EventCode, Severity};

use super::device::{Told, key, look_at, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::{Meter, Silence};
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
/// A flag that pauses for less than this is one flag.
const SAME_S: i64 = 36 * 3_600;
const MAJOR: i32 = 2;
/// So many meters of a network zone in one hour: the pressure fell in the main.
const ZONE_CROWD: usize = 5;

pub(crate) fn told(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    let level = if told.detail >= MAJOR { 2 } else { 1 };
    flows_back(meter, place, (told.at, level), false, env);
}

/// A value below zero: `digits` of the register went back.
pub(crate) fn negative(meter: &mut Meter, place: u32, (at, digits): (i64, i64), env: &mut Env) {
    if digits > 1 {
        let level = if digits > env.params.back_major_digits { 2 } else { 1 };
        flows_back(meter, place, (at, level), true, env);
    }
}

/// `counted`: the register went back now; a flag may be the one of weeks ago.
fn flows_back(meter: &mut Meter, place: u32, (at, level): (i64, u8), counted: bool, env: &mut Env) {
    if meter.commodity != Commodity::Water {
        return;
    }
    if meter.network_zone != 0 {
        env.crowd.note((EventCode::ReverseFlow, meter.network_zone), at, place);
    }
    let rare = meter.rare_mut();
    let begins = rare.back.see(at, SAME_S);
    if begins {
        rare.back_level = 0;
        rare.back_minor.push(at);
        rare.back_minor.sort_unstable();
        rare.back_minor.dedup();
        if rare.back_minor.len() > 3 {
            rare.back_minor.remove(0);
        }
    }
    rare.back_level = rare.back_level.max(level);
    judge(meter, (at, level), counted, env);
    if begins || counted {
        let key = key(meter, RuleId::WTR_BACK);
        if let Some(active) = env.book.get_mut(&key) {
            active.mark = active.mark.max(at);
        }
    }
    look_at(place, RuleId::WTR_BACK, env.now + env.params.back_clear_days * DAY_S, env);
}

fn judge(meter: &Meter, (at, level): (i64, u8), counted: bool, env: &mut Env) {
    let Some(rare) = meter.rare() else { return };
    if begun(meter, env) + env.params.back_clear_days * DAY_S <= at && !counted {
        // The flag is the only thing left of it.
        return;
    }
    let scope = (EventCode::ReverseFlow, meter.network_zone);
    if meter.network_zone != 0 && env.crowd.count(scope, at) > ZONE_CROWD {
        return;
    }
    let wanted = usize::try_from(env.params.back_minor_count).unwrap_or(3).clamp(1, 3);
    let first = rare.back_minor.len().checked_sub(wanted).map(|at| rare.back_minor[at]);
    let often = first.is_some_and(|first| at - first <= env.params.back_minor_days * DAY_S);
    let severity = match (level, often) {
        (2, _) => Severity::P2,
        (_, true) => Severity::P3,
        _ => return,
    };
    let start = if level == 2 { rare.back.from } else { first.unwrap_or(rare.back.from) };
    let mut report = report(meter, (RuleId::WTR_BACK, Cause::Backflow), (start, at), env);
    report.severity = severity;
    let times = i64::try_from(rare.back_minor.len()).unwrap_or(0);
    report.evidence.push(Evidence::number("backflows", times, ""));
    report.evidence.push(Evidence::number("level", i64::from(level), "of 2"));
    env.book.assert(report, env.at, &mut env.out);
}

/// When the newest backflow began that is known: the flag stays set for weeks after it.
fn begun(meter: &Meter, env: &Env) -> i64 {
    let mark = env.book.get(&key(meter, RuleId::WTR_BACK)).map_or(0, |active| active.mark);
    meter.rare().map_or(NEVER, |rare| if mark == 0 { rare.back.from } else { mark })
}

/// Timer: did it stay away for 35 days?
pub(crate) fn look(meter: &mut Meter, place: u32, env: &mut Env) {
    let key = key(meter, RuleId::WTR_BACK);
    let last = begun(meter, env);
    let Some(start) = env.book.get(&key).map(|active| active.start) else { return };
    let due = last + env.params.back_clear_days * DAY_S;
    if due > env.now {
        look_at(place, RuleId::WTR_BACK, due, env);
    } else if meter.silence == Silence::Lost {
        look_at(place, RuleId::WTR_BACK, env.now + DAY_S, env);
    } else {
        env.book.clear(&key, last.max(start), env.at, &mut env.out);
    }
}
