//! #61 COM-COLL: a collector is out.
//!
//! Three heartbeats are missing, or more of its meters fell silent at once than chance explains.
//! When its meters are still heard, through it or through others, only its own way to us is cut
//! (BACKHAUL). An outage that is over before we see it is kept as P3, since it explains gaps; it
//! never pages.

use metering::{Severity, Subject};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::channel::NO_TIMER;
use crate::state::collector::Collector;
use crate::state::meter::{Meter, Silence};
use crate::stats::binomial_tail;
use crate::timer::TimerKey;
use crate::transition::Evidence;

const WEEK_S: i64 = 7 * 86_400;
/// While a collector is out or we are cut off, it is looked at this often.
const LOOK_S: i64 = 60;
/// Three missed heartbeats of a quarter of an hour.
const LATE_BEAT_S: i64 = 2_700;

/// A heartbeat of event time `at`.
pub(crate) fn beat(collector: &mut Collector, place: u32, at: i64, env: &mut Env) {
    if at > env.now + env.params.ahead_s || at <= collector.beat_at {
        return;
    }
    let limit_s = i64::from(collector.heartbeat_s) * env.params.heartbeat_periods;
    let gap = at - collector.beat_at;
    if collector.is_out() {
        if collector.back_at == NEVER && at > collector.outage_from {
            collector.back_at = at;
        }
    } else if collector.beat_at != NEVER && limit_s > 0 && gap >= limit_s {
        in_hindsight(collector, at, env);
    }
    collector.beat_at = at;
    if collector.timer == NO_TIMER && limit_s > 0 {
        arm(collector, place, at + limit_s, env);
    }
}

/// How often it says that it is alive. One that is to send nothing any more was taken out of use:
/// its outage is over, and its members that are silent are told each. What it sent before says
/// nothing of when it is due.
pub(crate) fn told(collector: &mut Collector, heartbeat_s: i32, meters: &[Meter], env: &mut Env) {
    let sends = |heartbeat_s: i32| heartbeat_s > 0;
    if sends(collector.heartbeat_s) != sends(heartbeat_s) {
        if heartbeat_s == 0 && collector.is_out() {
            over(collector, env.now, meters, env);
        }
        collector.ended_at = if sends(heartbeat_s) { NEVER } else { env.now };
        collector.beat_at = NEVER;
    }
    collector.heartbeat_s = heartbeat_s;
}

fn arm(collector: &mut Collector, place: u32, at: i64, env: &mut Env) {
    if collector.timer != NO_TIMER {
        env.timers.cancel(collector.timer, TimerKey::Collector { collector: place });
    }
    collector.timer = at;
    env.timers.set(at, TimerKey::Collector { collector: place });
}

/// The heartbeats stopped and came back before any tick. If nobody else was heard meanwhile, it was
/// us who did not listen.
fn in_hindsight(collector: &mut Collector, back_at: i64, env: &mut Env) {
    collector.out_until = back_at;
    let subject = Subject::Collector(collector.id);
    let others = env.watch.heard_between(collector.beat_at, back_at);
    let mut report =
        Report::new(RuleId::COM_COLL, subject, Cause::CollectorOutage, collector.beat_at);
    report.annunciate = others && env.is_fresh(back_at, 0);
    let gap = back_at - collector.beat_at;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(collector.beat_at)),
        Evidence::instant("window_to", seconds(back_at)),
        Evidence::new("heartbeat_gap", gap, "s", format!("{} min without heartbeat", gap / 60)),
        Evidence::number("heartbeat_every", i64::from(collector.heartbeat_s), "s"),
    ];
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    env.book.clear(&key, back_at, env.at, &mut env.out);
}

/// A member became stale at `env.now`.
pub(crate) fn member_stale(collector: &mut Collector, place: u32, meter: u32, env: &mut Env) {
    match collector.stale.binary_search_by_key(&meter, |(_, known)| *known) {
        Ok(at) => collector.stale[at].0 = env.now,
        Err(at) => collector.stale.insert(at, (env.now, meter)),
    }
    if !collector.is_out() && collector.timer > env.now {
        arm(collector, place, env.now, env);
    }
}

/// The meters of a collector at one moment.
#[derive(Clone, Copy, Default, Debug)]
struct Members {
    /// Heard within the last week before the trouble.
    n: u32,
    /// Of them heard for certain after `since`.
    heard: u32,
    /// Newly stale, and since when (the first of them).
    newly: u32,
    newly_from: i64,
    /// Stale for longer.
    stale: u32,
}

/// The slowest cadence of its meters, at most half a day.
fn cadence_s(collector: &Collector, meters: &[Meter]) -> i64 {
    let members = collector.members.iter().filter_map(|place| meters.get(*place as usize));
    members.map(Meter::cadence_s).max().unwrap_or(0).min(12 * 3_600)
}

fn members(collector: &mut Collector, meters: &[Meter], since: i64, env: &Env) -> Members {
    let window_s = env.params.collector_window_s.max(2 * cadence_s(collector, meters));
    collector.stale.retain(|(at, place)| {
        let still = meters.get(*place as usize).is_some_and(|m| m.silence >= Silence::Stale);
        still && env.now - at <= window_s
    });
    let mut found = Members { newly_from: i64::MAX, ..Members::default() };
    for place in &collector.members {
        let Some(meter) = meters.get(*place as usize) else { continue };
        if meter.silence == Silence::Unheard || meter.heard_at.s() < since.min(env.now) - WEEK_S {
            continue;
        }
        found.n += 1;
        if meter.heard_after.s() >= since {
            found.heard += 1;
        }
        let newly = collector.stale.binary_search_by_key(place, |(_, known)| *known).is_ok();
        if newly {
            found.newly += 1;
            found.newly_from = found.newly_from.min(meter.silent_since());
        } else if meter.silence >= Silence::Stale {
            found.stale += 1;
        }
    }
    found
}

/// Far more meters are newly silent than chance explains.
fn beyond_chance(found: Members, env: &Env) -> bool {
    let (n, newly) = (i64::from(found.n), i64::from(found.newly));
    if newly < env.params.collector_stale_min || newly * 100 < n * env.params.collector_stale_pct {
        return false;
    }
    let permille = i32::try_from(env.params.collector_background_permille).unwrap_or(5);
    let least = f64::from(permille) / 1_000.0;
    let background = f64::from(found.stale) / f64::from(found.n.max(1));
    let background = if background < least { least } else { background };
    let mut limit = 1.0;
    for _ in 0..env.params.collector_chance_exp {
        limit /= 10.0;
    }
    binomial_tail(found.n, background, found.newly) < limit
}

/// Timer: is the heartbeat overdue, are the meters silent, is it over?
pub(crate) fn check(collector: &mut Collector, place: u32, meters: &[Meter], env: &mut Env) {
    collector.timer = NO_TIMER;
    if env.watch.cut_off || nobody_heard(collector, env) {
        arm(collector, place, env.now + LOOK_S, env);
        return;
    }
    if collector.is_out() {
        look_for_end(collector, place, meters, env);
    } else {
        look_for_outage(collector, meters, env);
    }
    if collector.is_out() {
        arm(collector, place, env.now + LOOK_S, env);
    } else if collector.heartbeat_s > 0 && collector.beat_at != NEVER {
        let limit_s = i64::from(collector.heartbeat_s) * env.params.heartbeat_periods;
        arm(collector, place, (collector.beat_at + limit_s).max(env.now + LOOK_S), env);
    }
}

/// Nobody at all was heard since the collector was due: we come first (row 1 of #63).
fn nobody_heard(collector: &Collector, env: &Env) -> bool {
    !collector.is_out()
        && collector.heartbeat_s > 0
        && env.watch.data_at < collector.beat_at + i64::from(collector.heartbeat_s)
        && i64::from(env.fleet) >= env.params.headend_meters_min
}

fn look_for_outage(collector: &mut Collector, meters: &[Meter], env: &mut Env) {
    let beat_lost = collector.beat_lost(env);
    let since = if beat_lost { collector.beat_at } else { env.now };
    let found = members(collector, meters, since, env);
    let silent = !collector.has_ended() && beyond_chance(found, env);
    if !beat_lost && !silent {
        return;
    }
    collector.outage_from = if beat_lost { collector.beat_at } else { found.newly_from };
    collector.back_at = NEVER;
    let through = collector.heard_after >= since + i64::from(collector.heartbeat_s);
    let most_heard = found.n > 0
        && i64::from(found.heard) * 100
            >= i64::from(found.n) * (100 - env.params.collector_stale_pct);
    let most_heard = most_heard && heard_since_the_miss(collector, meters, env);
    let cause = if beat_lost && !silent && (through || most_heard) {
        Cause::Backhaul
    } else {
        Cause::CollectorOutage
    };
    report(collector, cause, found, env);
}

/// Most meters were heard after a heartbeat was missed; before that the collector may have worked.
fn heard_since_the_miss(collector: &Collector, meters: &[Meter], env: &Env) -> bool {
    let missed = collector.first_missed();
    let members = collector.members.iter().filter_map(|place| meters.get(*place as usize));
    let (mut known, mut heard) = (0, 0);
    for meter in members.filter(|meter| meter.heard_at.s() >= missed - WEEK_S) {
        known += 1;
        heard += i64::from(meter.heard_at.s() > missed);
    }
    heard > 0 && heard * 100 >= known * (100 - env.params.collector_stale_pct)
}

fn report(collector: &Collector, cause: Cause, found: Members, env: &mut Env) {
    let subject = Subject::Collector(collector.id);
    let mut report = Report::new(RuleId::COM_COLL, subject, cause, collector.outage_from);
    report.severity = if cause == Cause::Backhaul { Severity::P3 } else { Severity::P1 };
    report.identified = true;
    let runner_up = if cause == Cause::Backhaul { Cause::CollectorOutage } else { Cause::Backhaul };
    report.ranked.push((runner_up, -200));
    report.evidence = vec![
        Evidence::instant("window_from", seconds(collector.outage_from)),
        Evidence::instant("window_to", env.at),
        Evidence::number("meters", i64::from(found.n), "meters"),
        Evidence::number("meters_heard_since", i64::from(found.heard), "meters"),
        Evidence::number("meters_newly_silent", i64::from(found.newly), "meters"),
        Evidence::number("heartbeat_every", i64::from(collector.heartbeat_s), "s"),
        Evidence::instant("heartbeat_last", seconds(collector.beat_at.max(0))),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

fn look_for_end(collector: &mut Collector, _place: u32, meters: &[Meter], env: &mut Env) {
    let found = members(collector, meters, collector.outage_from, env);
    let beats =
        collector.heartbeat_s == 0 || (collector.back_at != NEVER && !collector.beat_lost(env));
    let key = AlertKey::of(Subject::Collector(collector.id), RuleId::COM_COLL, None);
    if !beats {
        let is_backhaul = env.book.get(&key).is_some_and(|a| a.cause == Cause::Backhaul);
        let silent = beyond_chance(found, env);
        let most_heard = i64::from(found.heard) * 100
            >= i64::from(found.n.max(1)) * (100 - env.params.collector_stale_pct);
        if is_backhaul && silent {
            report(collector, Cause::CollectorOutage, found, env);
        } else if !is_backhaul
            && !silent
            && most_heard
            && heard_since_the_miss(collector, meters, env)
            && env.now - collector.outage_from <= 2 * cadence_s(collector, meters) + LATE_BEAT_S
        {
            // Its meters never fell silent: they are heard through others.
            report(collector, Cause::Backhaul, found, env);
        }
        return;
    }
    let since = if collector.back_at == NEVER { collector.outage_from } else { collector.back_at };
    let (due, back) = due_and_back(collector, meters, since, env);
    if back * 100 < due * env.params.collector_back_pct {
        return;
    }
    let ended = if collector.back_at == NEVER { env.now } else { collector.back_at };
    over(collector, ended, meters, env);
}

/// The outage ended. Members that are silent all the same are looked at each.
fn over(collector: &mut Collector, ended: i64, meters: &[Meter], env: &mut Env) {
    let key = AlertKey::of(Subject::Collector(collector.id), RuleId::COM_COLL, None);
    env.book.clear(&key, ended, env.at, &mut env.out);
    for place in &collector.members {
        let Some(meter) = meters.get(*place as usize) else { continue };
        let wait_s = meter.cadence_s() * env.params.collector_child_cadences;
        if meter.silence >= Silence::Stale {
            env.timers.set(env.now + wait_s, TimerKey::Child { meter: *place });
        }
    }
    collector.outage_from = NEVER;
    collector.back_at = NEVER;
    collector.out_until = ended;
    collector.stale.clear();
}

/// What staff know of its outage, that it began at `told` or that there is none, is what holds. A
/// heartbeat that is still missing is told again.
pub(crate) fn agree(collector: &mut Collector, place: u32, told: Option<i64>, env: &mut Env) {
    match told {
        Some(start) if !collector.is_out() => collector.outage_from = start,
        None if collector.is_out() => collector.outage_from = NEVER,
        _ => return,
    }
    collector.back_at = NEVER;
    arm(collector, place, env.now, env);
}

/// Members that were alive when it began, and those of them heard again since `since`.
fn due_and_back(collector: &Collector, meters: &[Meter], since: i64, env: &Env) -> (i64, i64) {
    let (mut due, mut back) = (0, 0);
    for place in &collector.members {
        let Some(meter) = meters.get(*place as usize) else { continue };
        let allowance_s = (2 * meter.cadence_s()).max(env.params.collector_window_s);
        let heard = meter.heard_at.s() >= since;
        let alive = meter.heard_at.s() >= collector.outage_from - allowance_s;
        if meter.silence != Silence::Unheard && (heard || alive) {
            due += 1;
            back += i64::from(heard);
        }
    }
    (due, back)
}
