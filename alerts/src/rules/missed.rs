//! #60 COM-MISS: too many readings of a meter never arrive.
//!
//! Fewer than 95 % are a warning, which is for the record; fewer than 80 % open an issue. Once a
//! day, over the seven UTC days whose stragglers have had their time. Weeks in which the
//! collector or we ourselves were out say nothing of the link, and a meter that is lost has an
//! alert of its own.
//!
//! Where half of a collector's meters lose that much, it is no matter of theirs: the collector is
//! told once (the head-end, for those without one), and a meter only when it is as far below the
//! others as it would have to be below all of its readings.

use std::collections::BTreeMap;

use metering::{CollectorId, Severity, Subject};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::collector::Collector;
use crate::state::meter::{Meter, Silence};
use crate::stats::median;
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
const DAYS: i32 = 7;

/// Fewer meters say nothing of their route.
const ROUTE_METERS_MIN: usize = 10;

/// One way to us: a collector, or none.
#[derive(Default, Debug)]
pub(crate) struct Route {
    /// Its meters that are heard; their last seven days may say nothing.
    meters: usize,
    is_out: bool,
    /// What the meter in the middle delivers, in thousandths; `None` where too few weeks are known.
    usual: Option<i64>,
    /// The same of the week in which the route was told, as it is known by now.
    then: Option<i64>,
    /// UTC days: the first and the last that any of its meters was judged by.
    days: Option<(i32, i32)>,
}

pub(crate) type Routes = BTreeMap<Option<CollectorId>, Route>;

fn key_of(route: Option<CollectorId>) -> AlertKey {
    let subject = route.map_or(Subject::Headend, Subject::Collector);
    AlertKey::of(subject, RuleId::COM_MISS, None)
}

/// What the routes deliver.
pub(crate) fn routes<'a>(
    meters: impl Iterator<Item = (u32, &'a Meter, Option<&'a Collector>)>,
    env: &Env,
) -> Routes {
    let mut routes = Routes::new();
    let mut shares: BTreeMap<Option<CollectorId>, [Vec<i64>; 2]> = BTreeMap::new();
    for (place, meter, collector) in meters {
        let id = meter.primary();
        let route = routes.entry(id).or_default();
        route.is_out |= collector.is_some_and(Collector::is_out);
        let Some((last, lens_s)) = week(meter, env.now) else { continue };
        route.meters += 1;
        let Some(share) = share(place, last, &lens_s, env) else { continue };
        if blind(meter, collector, i64::from(last + 1 - DAYS) * DAY_S, env) {
            continue;
        }
        let days = route.days.get_or_insert((last + 1 - DAYS, last));
        *days = (days.0.min(last + 1 - DAYS), days.1.max(last));
        let [now, then] = shares.entry(id).or_default();
        now.push(share);
        let told = env.book.get(&key_of(id)).and_then(|active| week(meter, active.mark));
        then.extend(told.and_then(|(last, lens_s)| share_of(place, last, &lens_s, env)));
    }
    let usual = |mut of: Vec<i64>| (of.len() >= ROUTE_METERS_MIN).then(|| median(&mut of));
    for (id, [now, then]) in shares {
        let route = routes.entry(id).or_default();
        (route.usual, route.then) = (usual(now), usual(then));
    }
    routes
}

/// The daily look at the routes.
pub(crate) fn look_at_routes(routes: &Routes, env: &mut Env) {
    forget_gone(routes, env);
    let limit = env.params.miss_route_pct * 10;
    for (id, route) in routes {
        let (Some(usual), Some((first, last))) = (route.usual, route.days) else { continue };
        let (from, until) = (i64::from(first) * DAY_S, i64::from(last + 1) * DAY_S);
        let key = key_of(*id);
        if env.book.get(&key).is_some() {
            if route.then.is_some_and(|then| then >= limit) {
                env.book.retract(&key, env.at, &mut env.out);
            } else if usual >= limit.max(env.params.miss_warn_pct * 10) {
                env.book.clear(&key, until, env.at, &mut env.out);
            }
        } else if usual < limit {
            let mut report = Report::new(RuleId::COM_MISS, key.subject, Cause::RfMarginal, from);
            report.until = until;
            report.severity = Severity::P3;
            report.ranked.push((Cause::Backhaul, -60));
            report.evidence = evidence((from, until), (usual, env.params.miss_route_pct));
            env.book.assert(report, env.at, &mut env.out);
            if let Some(active) = env.book.get_mut(&key) {
                active.mark = env.now;
            }
        }
    }
}

/// What was told of a route that has too few meters by now is over: nobody would judge it again.
fn forget_gone(routes: &Routes, env: &mut Env) {
    let of_route = |key: &AlertKey| match key.subject {
        Subject::Collector(id) if key.rule == RuleId::COM_MISS.no => Some(Some(id)),
        Subject::Headend if key.rule == RuleId::COM_MISS.no => Some(None),
        _ => None,
    };
    let is_judged = |id: Option<CollectorId>| {
        routes.get(&id).is_some_and(|route| route.is_out || route.meters >= ROUTE_METERS_MIN)
    };
    let told = env.book.iter().map(|(key, _)| *key);
    let gone: Vec<AlertKey> =
        told.filter(|key| of_route(key).is_some_and(|id| !is_judged(id))).collect();
    for key in gone {
        env.book.clear(&key, env.now, env.at, &mut env.out);
    }
}

/// The newest day of the week that is looked at at log time `now`, and the lengths of the
/// slots that should come.
/// Who is silent now is #59's.
fn week(meter: &Meter, now: i64) -> Option<(i32, Vec<i64>)> {
    let lens_s: Vec<i64> = meter.channels.iter().filter(|c| c.used()).map(|c| c.len()).collect();
    let lag_s = lag_s(meter);
    let last = i32::try_from((now - lag_s).div_euclid(DAY_S) - 1).unwrap_or(0);
    (!lens_s.is_empty() && meter.silence == Silence::Fresh).then_some((last, lens_s))
}

fn lag_s(meter: &Meter) -> i64 {
    let used = meter.channels.iter().filter(|channel| channel.used());
    used.map(|channel| i64::from(channel.lag_s)).max().unwrap_or(0)
}

/// The week says nothing of the link. A long silence is told by #59, and by its flap guard when it
/// comes again.
fn blind(meter: &Meter, collector: Option<&Collector>, from: i64, env: &Env) -> bool {
    env.watch.cut_off
        || meter.past().lost_at[0] > from
        || env.watch.jump_at > from
        || env.network.outage_of(meter).is_some()
        || collector.is_some_and(|own| own.is_out() || own.out_until > from)
}

/// The daily look at one meter.
pub(crate) fn look(
    meter: &Meter,
    place: u32,
    collector: Option<&Collector>,
    routes: &Routes,
    env: &mut Env,
) {
    let Some((last, lens_s)) = week(meter, env.now) else { return };
    let Some(share) = share(place, last, &lens_s, env) else { return };
    let key = AlertKey::of(meter.subject(), RuleId::COM_MISS, None);
    let (warn, fail) = (env.params.miss_warn_pct * 10, env.params.miss_fail_pct * 10);
    let usual = routes.get(&meter.primary()).and_then(|route| route.usual);
    let usual = usual.filter(|usual| *usual < env.params.miss_route_pct * 10).unwrap_or(1_000);
    let fails = share * 1_000 < fail * usual;
    if let Some(active) = env.book.get(&key).copied() {
        let then = i32::try_from(active.mark).unwrap_or(0);
        let late = share_of(place, then, &lens_s, env);
        let is_warning = active.severity == Severity::P4;
        if late.is_some_and(|late| late >= if is_warning { warn } else { fail }) {
            env.book.retract(&key, env.at, &mut env.out);
            return;
        }
        if share >= warn {
            let end = i64::from(last + 1) * DAY_S;
            env.book.clear(&key, end, env.at, &mut env.out);
            return;
        }
        if !is_warning || !fails {
            return;
        }
    }
    let from = i64::from(last + 1 - DAYS) * DAY_S;
    if share >= warn || blind(meter, collector, from, env) {
        return;
    }
    let report = report(meter, (share, fails), (from, last), env);
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = i64::from(last);
    }
}

/// A warning is a record of the link; an issue needs a failure.
fn report(
    meter: &Meter,
    (share, fails): (i64, bool),
    (from, last): (i64, i32),
    env: &Env,
) -> Report {
    let lag_s = i32::try_from(lag_s(meter)).unwrap_or(i32::MAX);
    let mut report = Report::new(RuleId::COM_MISS, meter.subject(), Cause::RfMarginal, from);
    report.commodity = Some(meter.commodity);
    report.until = i64::from(last + 1) * DAY_S;
    report.severity = if fails { meter.silence_severity() } else { Severity::P4 };
    report.annunciate = fails && env.is_fresh(report.until, lag_s);
    report.ranked.push((Cause::RfObstructed, -60));
    let limit = if fails { env.params.miss_fail_pct } else { env.params.miss_warn_pct };
    report.evidence = evidence((from, report.until), (share, limit));
    report
}

fn evidence((from, until): (i64, i64), (share, limit): (i64, i64)) -> Vec<Evidence> {
    vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(until)),
        Evidence::new("measured", share, "permille", format!("{} % arrived", share / 10)),
        Evidence::number("threshold", limit, "%"),
    ]
}

/// Delivered share of the seven days up to `last`, in thousandths. `None` while they are not all
/// known.
fn share(place: u32, last: i32, lens_s: &[i64], env: &Env) -> Option<i64> {
    let link = env.network.link(place)?;
    (link.first_day() < last + 1 - DAYS).then(|| share_of(place, last, lens_s, env))?
}

fn share_of(place: u32, last: i32, lens_s: &[i64], env: &Env) -> Option<i64> {
    let link = env.network.link(place)?;
    let mut sum = 0;
    for day in last + 1 - DAYS..=last {
        sum += link.delivered_permille(day, lens_s)?;
    }
    Some(sum / i64::from(DAYS))
}
