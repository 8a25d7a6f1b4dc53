//! #59 COM-STALE: a meter is silent. Two levels: stale, which only its collector's rule sees, and
//! lost, which raises an alert with the cause of #63.
//!
//! One timer per meter; a contact moves nothing but a time stamp, the timer looks when it fires.

use metering::{Severity, Subject};

use crate::alerts::{AlertKey, Report};
use crate::cause::Cause;
use crate::classify;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::cohort::{self, Joined};
use crate::state::NEVER;
use crate::state::channel::NO_TIMER;
use crate::state::collector::Collector;
use crate::state::meter::{Meter, Silence};
use crate::state::sec::Sec;
use crate::stats::misses_needed;
use crate::timer::TimerKey;
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
/// A child whose area is still without power is looked at again after this.
const FOLLOW_S: i64 = 3_600;
/// While we are cut off, silence is looked at again after this.
const CUT_OFF_RETRY_S: i64 = 60;

/// The meter was heard at log time `env.now`. True when it was stale until now.
pub(crate) fn heard(meter: &mut Meter, place: u32, env: &mut Env) {
    let watch = &mut env.watch;
    let quick = meter.cadence_s() <= watch.jump_at - watch.jump_from;
    if watch.jump_at == env.now && meter.heard_at.s() < env.now && quick {
        watch.jump_heard += 1;
    }
    if meter.heard_at.s() < env.now {
        meter.heard_after = Sec::of(env.before);
    }
    meter.heard_at = Sec::of(env.now);
    if matches!(meter.silence, Silence::Unheard | Silence::Stale) {
        meter.silence = Silence::Fresh;
        arm(meter, place, env.now + stale_s(meter, env), env);
    }
}

/// A value of event time `at` arrived: its period was not missed, and it may show a return.
pub(crate) fn delivered(meter: &mut Meter, place: u32, at: i64, env: &mut Env) {
    if at > env.now + env.params.ahead_s {
        return;
    }
    meter.data_at = Sec::of(meter.data_at.s().max(at));
    count_period(meter, at, env);
    if meter.silence != Silence::Lost {
        return;
    }
    // Half a cadence more: a daily reader is not punctual to the second.
    let window_s = meter.cadence_s() * env.params.return_cadences + meter.cadence_s() / 2;
    let past = meter.past_mut();
    if past.return_from == NEVER || env.now > past.return_from + window_s.max(1) {
        past.return_from = env.now;
        past.return_count = 0;
    }
    past.return_count = past.return_count.saturating_add(1);
    if i64::from(past.return_count) >= env.params.return_readings {
        returned(meter, place, env);
    }
}

/// Mean miss rate by periods of the cadence, half-life 7 d. Old values count nothing, and a gap
/// that made the meter stale is a silence of its own, not a chance miss.
fn count_period(meter: &mut Meter, at: i64, env: &Env) {
    let period = at.div_euclid(meter.cadence_s());
    let passed = if meter.period.s() == NEVER { 1 } else { period - meter.period.s() };
    if passed <= 0 {
        return;
    }
    meter.period = Sec::of(period);
    let weight = small(meter.cadence_s()) * std::f64::consts::LN_2 / 604_800.0;
    let weight = if weight > 0.5 { 0.5 } else { weight };
    let mut p = meter.miss_rate();
    if passed > 1 && (passed - 1) * meter.cadence_s() < stale_s(meter, env) {
        for _ in 1..passed {
            p += (1.0 - p) * weight;
        }
    }
    p -= p * weight;
    let (min, max) = (env.params.silence_miss_min_permille, env.params.silence_miss_max_permille);
    meter.set_miss_rate(p.max(small(min) / 1_000.0).min(small(max) / 1_000.0));
}

fn small(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(i32::MAX))
}

/// Silence after which the meter is stale, in seconds.
pub(crate) fn stale_s(meter: &Meter, env: &Env) -> i64 {
    let cadence_s = meter.cadence_s();
    let slots_a_day = small((DAY_S / cadence_s).max(1));
    let fleet = f64::from(env.fleet.max(1));
    let alpha = small(env.params.silence_false_per_day) / (fleet * slots_a_day);
    let misses = i64::from(misses_needed(meter.miss_rate(), alpha)).max(env.params.silence_k_min);
    misses * cadence_s
}

fn lost_s(meter: &Meter, env: &Env) -> i64 {
    let hours = match meter.commodity {
        metering::Commodity::Electricity => env.params.lost_electricity_h,
        _ => env.params.lost_other_h,
    };
    stale_s(meter, env).max(hours * 3_600)
}

fn arm(meter: &mut Meter, place: u32, at: i64, env: &mut Env) {
    if meter.silence_timer.s() != NO_TIMER {
        env.timers.cancel(meter.silence_timer.s(), TimerKey::Silence { meter: place });
    }
    meter.silence_timer = Sec::of(at);
    env.timers.set(at, TimerKey::Silence { meter: place });
}

/// What the timer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Nothing,
    NewlyStale,
}

/// Timer: how long is the meter silent?
pub(crate) fn check(
    meter: &mut Meter,
    place: u32,
    parent: Option<&Collector>,
    env: &mut Env,
) -> Found {
    meter.silence_timer = Sec::NONE;
    if matches!(meter.silence, Silence::Unheard | Silence::Lost) {
        return Found::Nothing;
    }
    if env.watch.cut_off {
        arm(meter, place, env.now + CUT_OFF_RETRY_S, env);
        return Found::Nothing;
    }
    let silent_from = env.watch.silent_from(meter.heard_at.s());
    let silence_s = env.now - silent_from;
    let (stale_s, lost_s) = (stale_s(meter, env), lost_s(meter, env));
    if silence_s < stale_s && meter.silence == Silence::Fresh {
        arm(meter, place, silent_from + stale_s, env);
        return Found::Nothing;
    }
    let newly = meter.silence == Silence::Fresh;
    meter.silence = Silence::Stale;
    if silence_s < lost_s {
        arm(meter, place, silent_from + lost_s, env);
    } else {
        lost(meter, place, parent, env);
    }
    if newly { Found::NewlyStale } else { Found::Nothing }
}

/// The meter was heard for the last time at `at`, before anything else is known: it does not fall
/// silent now.
pub(crate) fn long_silent(meter: &mut Meter, place: u32, at: i64, env: &mut Env) {
    if meter.silence != Silence::Unheard || at > env.now {
        return;
    }
    meter.heard_at = Sec::of(at);
    meter.silence = Silence::Stale;
    arm(meter, place, env.now, env);
}

/// That the meter is lost was taken back for want of knowledge: its silence is judged again, by
/// when it was heard.
pub(crate) fn untold(meter: &mut Meter, place: u32, env: &mut Env) {
    if meter.silence != Silence::Lost {
        return;
    }
    let past = meter.past_mut();
    past.lost_at[0] = NEVER;
    past.lost_at.rotate_left(1);
    let due = meter.heard_at.s() + stale_s(meter, env);
    meter.silence = if due > env.now { Silence::Fresh } else { Silence::Stale };
    arm(meter, place, due.max(env.now), env);
}

fn lost(meter: &mut Meter, place: u32, parent: Option<&Collector>, env: &mut Env) {
    meter.silence = Silence::Lost;
    let past = meter.past_mut();
    past.return_from = NEVER;
    past.lost_at.rotate_right(1);
    past.lost_at[0] = env.now;
    let since = meter.silent_since();
    // A child fell silent with its collector, not long before it.
    let allowance_s = (2 * meter.cadence_s()).max(env.params.collector_window_s);
    let collector = parent
        .filter(|collector| collector.is_out() && since >= collector.outage_from - allowance_s)
        .map(|collector| Subject::Collector(collector.id));
    let Some(mut report) = explained(meter, place, env) else { return };
    report.until = env.now;
    if collector.is_some() {
        report.parent = collector;
        report.annunciate = false;
    } else if let Some((cause, area)) = classify::unpowered(meter, place, env) {
        put_first(&mut report, cause);
        report.identified = true;
        report.parent = area;
        report.annunciate = area.is_none();
    } else if report.cause == Cause::CommLost {
        join_cohort(meter, place, &mut report, env);
    }
    env.book.assert(report, env.at, &mut env.out);
}

/// The alert with the cause that the table gives; `None` when silence is expected.
fn explained(meter: &Meter, place: u32, env: &Env) -> Option<Report> {
    let verdict = classify::silent(meter, place, env)?;
    let since = meter.silent_since();
    let mut report = Report::new(RuleId::COM_STALE, meter.subject(), verdict.cause, since);
    report.commodity = Some(meter.commodity);
    report.severity = verdict.severity;
    report.ranked = verdict.ranked;
    report.evidence = verdict.evidence;
    Some(report)
}

fn put_first(report: &mut Report, cause: Cause) {
    report.cause = cause;
    report.ranked.retain(|(one, _)| *one != cause);
    report.ranked.insert(0, (cause, 400));
}

/// Row 9, where row 10 would have it.
fn join_cohort(meter: &Meter, place: u32, report: &mut Report, env: &mut Env) {
    let cohort = env.network.link(place).map_or(0, |link| link.cohort);
    match cohort::joined(cohort, meter.id, meter.silent_since(), env) {
        Joined::Alone => {}
        Joined::Leader => put_first(report, Cause::FirmwareCohort),
        Joined::Follows(leader) => {
            put_first(report, Cause::FirmwareCohort);
            report.parent = Some(leader);
            report.annunciate = false;
        }
    }
}

fn returned(meter: &mut Meter, place: u32, env: &mut Env) {
    meter.silence = Silence::Fresh;
    arm(meter, place, env.now + stale_s(meter, env), env);
    let key = AlertKey::of(meter.subject(), RuleId::COM_STALE, None);
    let Some(active) = env.book.get(&key) else { return };
    if active.cause == Cause::RfMarginal {
        // A flapping link is good again only after a week.
        let due = env.now + env.params.flap_days * DAY_S;
        env.timers.set(due, TimerKey::Child { meter: place });
        return;
    }
    env.book.clear(&key, meter.past().return_from, env.at, &mut env.out);
}

/// Timer: a child of an outage that is over should be back; a flapping link should be steady.
pub(crate) fn follow_up(meter: &mut Meter, place: u32, parent: Option<&Collector>, env: &mut Env) {
    let key = AlertKey::of(meter.subject(), RuleId::COM_STALE, None);
    let Some(active) = env.book.get(&key).copied() else { return };
    if active.cause == Cause::RfMarginal {
        let steady = env.now - meter.past().lost_at[0] >= env.params.flap_days * DAY_S;
        if meter.silence == Silence::Fresh && steady && meter.miss_rate() <= 0.05 {
            env.book.clear(&key, meter.heard_at.s(), env.at, &mut env.out);
        } else {
            env.timers.set(env.now + DAY_S, TimerKey::Child { meter: place });
        }
        return;
    }
    let outage = matches!(active.parent, Some(Subject::Collector(_)))
        && parent.is_some_and(Collector::is_out);
    if active.parent.is_none() || outage {
        return;
    }
    if let Some(Subject::Meter(_)) = active.parent {
        return;
    }
    if env.network.outage_of(meter).is_some() {
        env.timers.set(env.now + FOLLOW_S, TimerKey::Child { meter: place });
        return;
    }
    let Some(mut report) = explained(meter, place, env) else {
        // By now its silence is expected.
        env.book.clear(&key, env.now.max(active.start), env.at, &mut env.out);
        return;
    };
    report.start = active.start;
    report.until = env.now;
    report.severity = report.severity.max(Severity::P2);
    report.evidence.push(Evidence::new(
        "not_back",
        meter.cadence_s() * env.params.collector_child_cadences,
        "s",
        "still silent although its collector is back".to_owned(),
    ));
    env.book.assert(report, env.at, &mut env.out);
}
