//! #43 WTR-BACK: water flows back into the network.
//!
//! Devices that tell it by a flag keep the flag for weeks (Neptune R900: 35 d), so a flag that
//! comes again within a day and a half is the same backflow; what counts is that it begins. The
//! detail tells how much: 2 or more of an R900 is more than 100 digits, a major one.
//!
//! Where the network zone is known an hour passes first: when the pressure falls in the main, many
//! meters tell it, and that is one event of the zone, whoever told it first.

use metering::{Commodity, EventCode, MeterId, Severity, Subject, ZoneId};

use super::device::{Told, key, look_at, report};
use crate::alerts::{AlertKey, Report, seconds};
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
/// A crowd shows itself within this time.
const HOLD_S: i64 = 3_600;
/// Hours beside one another are one crowd.
const CROWD_S: i64 = 2 * 3_600;

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
    let rare = meter.rare_mut();
    // The flag of the zone's event may stay for weeks: the register alone tells what follows.
    let own = counted && rare.back_zone != NEVER && at - rare.back_zone > CROWD_S;
    let begins = rare.back.see(at, SAME_S) || own;
    if begins {
        (rare.back_level, rare.back_zone, rare.back.from) = (0, NEVER, at);
        rare.back_minor.push(at);
        rare.back_minor.sort_unstable();
        rare.back_minor.dedup();
        if rare.back_minor.len() > 3 {
            rare.back_minor.remove(0);
        }
    }
    let edge = begins || counted;
    if edge {
        rare.back_edge = rare.back_edge.max(at);
    }
    let worse = level > rare.back_level;
    rare.back_level = rare.back_level.max(level);
    if edge {
        look_at(place, RuleId::WTR_BACK, env.now + env.params.back_clear_days * DAY_S, env);
    }
    if meter.network_zone == 0 {
        judge(meter, env);
    } else if edge || worse {
        env.crowd.note(scope(meter), at, meter.id.get().cast_unsigned());
        look_at(place, RuleId::WTR_BACK, env.now + HOLD_S, env);
    }
}

const fn scope(meter: &Meter) -> (EventCode, i32) {
    (EventCode::ReverseFlow, meter.network_zone)
}

/// The newest backflow that began is long ago: the flag is the only thing left of it.
fn is_over(meter: &Meter, env: &Env) -> bool {
    let edge = meter.rare().map_or(NEVER, |rare| rare.back_edge);
    edge + env.params.back_clear_days * DAY_S <= env.now
}

fn judge(meter: &Meter, env: &mut Env) {
    let Some(rare) = meter.rare().filter(|rare| rare.back_zone == NEVER) else { return };
    if is_over(meter, env) {
        return;
    }
    let (edge, level) = (rare.back_edge, rare.back_level);
    let wanted = usize::try_from(env.params.back_minor_count).unwrap_or(3).clamp(1, 3);
    let first = rare.back_minor.len().checked_sub(wanted).map(|at| rare.back_minor[at]);
    let often = first.is_some_and(|first| edge - first <= env.params.back_minor_days * DAY_S);
    let severity = match (level, often) {
        (2, _) => Severity::P2,
        (_, true) => Severity::P3,
        _ => return,
    };
    let start = if level == 2 { rare.back.from } else { first.unwrap_or(rare.back.from) };
    let mut report = report(meter, (RuleId::WTR_BACK, Cause::Backflow), (start, edge), env);
    report.severity = severity;
    let times = i64::try_from(rare.back_minor.len()).unwrap_or(0);
    report.evidence.push(Evidence::number("backflows", times, ""));
    report.evidence.push(Evidence::number("level", i64::from(level), "of 2"));
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key).filter(|active| active.mark == 0) {
        active.mark = edge;
    }
}

/// The alert of the meter's network zone.
fn zone_key(meter: &Meter) -> AlertKey {
    let zone = Subject::Zone(ZoneId::new(meter.network_zone));
    AlertKey::of(zone, RuleId::WTR_BACK, None)
}

/// More than five meters at once: one event of the zone takes the place of theirs. An alert of a
/// meter that an earlier backflow began (its mark) is none of the zone's.
fn of_zone(meter: &mut Meter, env: &mut Env) -> bool {
    let Some(rare) = meter.rare() else { return false };
    let (edge, level) = (rare.back_edge, rare.back_level);
    if meter.network_zone == 0 || rare.back_zone != NEVER || is_over(meter, env) {
        return false;
    }
    let crowd = env.crowd.meters(scope(meter), edge);
    if crowd.len() <= ZONE_CROWD {
        return false;
    }
    let rare = meter.rare_mut();
    rare.back_zone = edge;
    rare.back_minor.retain(|at| (at - edge).abs() > CROWD_S);
    for id in &crowd {
        let own = Subject::Meter(MeterId::new(id.cast_signed()));
        let own = AlertKey::of(own, RuleId::WTR_BACK, None);
        let same = |began: i64| (began - edge).abs() <= CROWD_S;
        if env.book.get(&own).is_some_and(|active| same(active.mark)) {
            env.book.retract(&own, env.at, &mut env.out);
        }
    }
    let key = zone_key(meter);
    let start = env.crowd.begins(scope(meter), edge);
    let mut report = Report::new(RuleId::WTR_BACK, key.subject, Cause::Backflow, start);
    report.commodity = Some(Commodity::Water);
    report.severity = if level == 2 { Severity::P2 } else { Severity::P3 };
    report.until = edge;
    report.annunciate = env.is_fresh(edge, meter.lag_s());
    report.evidence = vec![
        Evidence::instant("window_from", seconds(start)),
        Evidence::instant("window_to", seconds(edge + HOLD_S)),
        Evidence::number("meters", i64::try_from(crowd.len()).unwrap_or(0), "meters"),
    ];
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = active.mark.max(edge);
    }
    true
}

/// The zone's event ends as those of meters do.
fn look_at_zone(meter: &Meter, env: &mut Env) {
    let key = zone_key(meter);
    let Some((start, last)) = env.book.get(&key).map(|active| (active.start, active.mark)) else {
        return;
    };
    if last + env.params.back_clear_days * DAY_S <= env.now {
        env.book.clear(&key, last.max(start), env.at, &mut env.out);
    }
}

/// Timer: was it the zone, does it hold, did it stay away for 35 days?
pub(crate) fn look(meter: &mut Meter, place: u32, env: &mut Env) {
    if meter.network_zone != 0 {
        if !of_zone(meter, env) {
            judge(meter, env);
        }
        look_at_zone(meter, env);
    }
    let key = key(meter, RuleId::WTR_BACK);
    let last = meter.rare().map_or(NEVER, |rare| rare.back_edge);
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
