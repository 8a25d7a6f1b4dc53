//! #36 TMP-SCORE: signs of tampering, added up. One flag alone is noise and no alert.
//!
//! Each kind of event counts once (brief outages up to three times), halved every fortnight before
//! the newest one. An hour passes before the points are counted, so that a visit or a storm shows
//! itself first: what falls into a visit's window, or came from many meters at once, does not
//! count. Brief outages count only where the transformer is known and no neighbour failed.

use metering::{ChannelNo, Commodity, EventCode, Severity, Subject, Tag, WorkOrderKind};

use super::device::{Told, key, look_at, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::meter::Meter;
use crate::state::rare::Mark;
use crate::stats::median;
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
const HOLD_S: i64 = 3_600;
/// Thousandths that are left after each day of a half-life of 14 d.
const DECAY: [i64; 14] = [1_000, 952, 906, 862, 820, 781, 743, 707, 673, 640, 610, 580, 552, 525];
const HALF_LIFE_D: i64 = 14;
const BLINKS_MAX: usize = 3;

/// Points of an event; 0: it is no sign of tampering at this meter.
fn points(meter: &Meter, code: EventCode, env: &Env) -> i64 {
    let params = &env.params;
    let generates = meter.tags.has_any(&[Tag::Pv, Tag::NetMeter]);
    let piped = meter.commodity != Commodity::Electricity;
    match code {
        EventCode::CoverOpened | EventCode::TerminalCoverOpened => params.tamper_cover,
        EventCode::MagneticField => params.tamper_magnet,
        EventCode::Tilt | EventCode::Tamper => params.tamper_tilt,
        EventCode::CableCut | EventCode::RegisterDisconnected if piped => params.tamper_cable,
        EventCode::ReverseRotation if !generates => params.tamper_reverse,
        EventCode::PowerFail => params.tamper_blink,
        EventCode::WrongPassword => params.tamper_password,
        _ => 0,
    }
}

/// An event of the meter, of whatever kind.
pub(crate) fn told(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    if told.code == EventCode::PowerFail && meter.transformer != 0 {
        env.crowd.note((EventCode::PowerFail, -meter.transformer), told.at, place);
    }
    if points(meter, told.code, env) == 0 {
        return;
    }
    env.crowd.note((told.code, 0), told.at, place);
    if meter.rare_mut().mark(told.at, told.code) {
        look_at(place, RuleId::TMP_SCORE, env.now + HOLD_S, env);
    }
}

fn counts(meter: &Meter, mark: &Mark, code: EventCode, env: &Env) -> bool {
    let visit_s = env.params.visit_h * 3_600;
    if meter.visited(mark.at, visit_s, &[])
        || (mark.at - meter.installed_at.s()).abs() <= visit_s
        || env.crowd.is_mass(code, mark.at, env.fleet)
    {
        return false;
    }
    let alone = || env.crowd.count((EventCode::PowerFail, -meter.transformer), mark.at) <= 1;
    code != EventCode::PowerFail || (meter.transformer != 0 && alone())
}

/// The score in thousandths, the first event that counts and the number of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Score {
    x1000: i64,
    first: i64,
    newest: i64,
    kinds: i64,
    drop: bool,
}

/// The score of now in thousandths, for operators' rules.
pub(crate) fn score_x1000(meter: &Meter, env: &Env) -> i64 {
    score(meter, env.now, env).map_or(0, |score| score.x1000)
}

/// The score as of `at`; events older than three half-lives say nothing any more.
fn score(meter: &Meter, at: i64, env: &Env) -> Option<Score> {
    let rare = meter.rare()?;
    let from = at - 3 * HALF_LIFE_D * DAY_S;
    let mut seen: Vec<EventCode> = Vec::new();
    let mut score = Score { x1000: 0, first: i64::MAX, newest: from, kinds: 0, drop: false };
    for mark in rare.marks.iter().rev().filter(|mark| mark.at >= from && mark.at <= at) {
        let Some(code) = EventCode::from_number(mark.code) else { continue };
        let before = seen.iter().filter(|known| **known == code).count();
        let most = if code == EventCode::PowerFail { BLINKS_MAX } else { 1 };
        if before >= most || !counts(meter, mark, code, env) {
            continue;
        }
        seen.push(code);
        let days = (at - mark.at) / DAY_S;
        let halved = (points(meter, code, env) * 1_000) >> (days / HALF_LIFE_D).min(20);
        let part = usize::try_from(days % HALF_LIFE_D).unwrap_or(0);
        score.x1000 += halved * DECAY[part] / 1_000;
        score.first = score.first.min(mark.at);
        score.newest = score.newest.max(mark.at);
        score.kinds += i64::from(before == 0);
    }
    if rare.is_cut() && rare.cut_use > env.params.tamper_cut_use && rare.cut_at >= from {
        score.x1000 += env.params.tamper_use_cut * 1_000;
        score.first = score.first.min(rare.cut_use_from);
        score.kinds += 1;
    }
    let has_event = seen.iter().any(|code| *code != EventCode::PowerFail);
    if has_event && dropped(meter, score.first, env) {
        score.drop = true;
        score.x1000 += env.params.tamper_drop * 1_000;
        let volts = rare.volt_mv / 1_000;
        let normal = (103..=132).contains(&volts) || (207..=264).contains(&volts);
        if normal && at - rare.volt_at <= 2 * DAY_S {
            score.x1000 += env.params.tamper_bypass * 1_000;
        }
    }
    (score.kinds > 0).then_some(score)
}

/// Use fell by 40 % within the week after the event: the median of its days against the fortnight
/// before.
fn dropped(meter: &Meter, event_at: i64, env: &Env) -> bool {
    let Some(channel) = meter.channels.iter().find(|channel| channel.used()) else { return false };
    let Ok(day) = i32::try_from(event_at.div_euclid(DAY_S)) else { return false };
    let totals = |days: std::ops::RangeInclusive<i32>| -> Vec<i64> {
        days.filter_map(|number| channel.days.total(number)).collect()
    };
    let (mut before, mut after) = (totals(day - 15..=day - 1), totals(day + 1..=day + 7));
    if before.len() < 7 || after.len() < 3 {
        return false;
    }
    let (before, after) = (median(&mut before), median(&mut after));
    after * 100 <= before * (100 - env.params.tamper_drop_pct)
}

/// Many meters said the same within the hour: one matter of the head-end, not theirs.
fn tell_of_many(meter: &Meter, env: &mut Env) {
    let Some(mark) = meter.rare().and_then(|rare| rare.marks.last()).copied() else { return };
    let Some(code) = EventCode::from_number(mark.code) else { return };
    let mass = env.crowd.is_mass(code, mark.at, env.fleet);
    if !mass || code == EventCode::PowerFail || !env.crowd.tell(code, mark.at) {
        return;
    }
    let count = i64::try_from(env.crowd.count((code, 0), mark.at)).unwrap_or(0);
    let mut report =
        report(meter, (RuleId::TMP_SCORE, Cause::TamperSuspect), (mark.at, mark.at), env);
    report.subject = Subject::Headend;
    report.commodity = None;
    report.channel = Some(ChannelNo::new(i16::try_from(mark.code).unwrap_or(1)));
    report.evidence.push(Evidence::number("meters", count, "meters"));
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    env.book.clear(&key, mark.at, env.at, &mut env.out);
}

/// Timer, or a day closed: count the points.
pub(crate) fn look(meter: &Meter, place: u32, env: &mut Env) {
    let Some(newest) = meter.rare().and_then(|rare| rare.marks.last()).map(|mark| mark.at) else {
        return;
    };
    tell_of_many(meter, env);
    let key = key(meter, RuleId::TMP_SCORE);
    let active = env.book.get(&key).copied();
    let reference = newest.max(meter.rare().map_or(newest, |rare| rare.cut_use_from));
    let params = &env.params;
    let (p3, p2) = (params.tamper_score_p3 * 1_000, params.tamper_score_p2 * 1_000);
    if let Some(score) = score(meter, reference, env).filter(|score| score.x1000 >= p3) {
        let mut report = report(
            meter,
            (RuleId::TMP_SCORE, Cause::TamperSuspect),
            (score.first, score.newest),
            env,
        );
        // The fall of use shows itself only a week later.
        report.annunciate |= env.now - score.newest <= 10 * DAY_S;
        report.severity = if score.x1000 >= p2 { Severity::P2 } else { Severity::P3 };
        let text = format!("{} points", crate::transition::milli_text(score.x1000));
        report.evidence.push(Evidence::new("score", score.x1000, "thousandths", text));
        report.evidence.push(Evidence::number("kinds_of_event", score.kinds, ""));
        if score.drop {
            report.evidence.push(Evidence::new("use_fell", 1, "", "use fell after it".to_owned()));
        }
        env.book.assert(report, env.at, &mut env.out);
    }
    let Some(active) = active else { return };
    let inspected = meter
        .rare()
        .and_then(|rare| rare.completed_since(active.start, &[WorkOrderKind::Inspection]));
    let low = score(meter, env.now, env).is_none_or(|s| s.x1000 < params_clear(env));
    if let Some(at) = inspected.filter(|_| low) {
        env.book.clear(&key, at.max(active.start), env.at, &mut env.out);
    } else {
        look_at(place, RuleId::TMP_SCORE, env.now + DAY_S, env);
    }
}

fn params_clear(env: &Env) -> i64 {
    env.params.tamper_score_clear * 1_000
}

/// A day of the channel that carries use closed.
pub(crate) fn day_closed(meter: &Meter, place: u32, day_end: i64, env: &mut Env) {
    let newest = meter.rare().and_then(|rare| rare.marks.last()).map(|mark| mark.at);
    if newest.is_some_and(|at| day_end - at <= 10 * DAY_S) {
        look(meter, place, env);
    }
}
