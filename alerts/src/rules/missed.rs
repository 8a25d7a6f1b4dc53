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

/// Of the routes through which enough meters are heard: what the meter in the middle delivers, in
/// thousandths.
pub(crate) type Routes = BTreeMap<Option<CollectorId>, i64>;

/// What the routes deliver.
pub(crate) fn routes<'a>(
    meters: impl Iterator<Item = (u32, &'a Meter, Option<&'a Collector>)>,
    env: &Env,
) -> Routes {
    let mut shares: BTreeMap<Option<CollectorId>, Vec<i64>> = BTreeMap::new();
    for (place, meter, collector) in meters {
        let Some((last, lens_s)) = week(meter, env) else { continue };
        let Some(share) = share(place, last, &lens_s, env) else { continue };
        if !blind(meter, collector, i64::from(last + 1 - DAYS) * DAY_S, env) {
            shares.entry(meter.primary()).or_default().push(share);
        }
    }
    shares.retain(|_, shares| shares.len() >= ROUTE_METERS_MIN);
    shares.into_iter().map(|(route, mut shares)| (route, median(&mut shares))).collect()
}

/// The daily look at the routes.
pub(crate) fn look_at_routes(routes: &Routes, env: &mut Env) {
    let last = env.now.div_euclid(DAY_S) - 1;
    let (from, until) = ((last + 1 - i64::from(DAYS)) * DAY_S, (last + 1) * DAY_S);
    for (route, usual) in routes {
        let subject = route.map_or(Subject::Headend, Subject::Collector);
        let key = AlertKey::of(subject, RuleId::COM_MISS, None);
        if *usual >= env.params.miss_route_pct * 10 {
            env.book.clear(&key, until, env.at, &mut env.out);
        } else if env.book.get(&key).is_none() {
            let mut report = Report::new(RuleId::COM_MISS, subject, Cause::RfMarginal, from);
            report.until = until;
            report.severity = Severity::P3;
            report.ranked.push((Cause::Backhaul, -60));
            report.evidence = evidence((from, until), (*usual, env.params.miss_route_pct));
            env.book.assert(report, env.at, &mut env.out);
        }
    }
}

/// The newest day of the week that is looked at, and the lengths of the slots that should come.
/// Who is silent now is #59's.
fn week(meter: &Meter, env: &Env) -> Option<(i32, Vec<i64>)> {
    let lens_s: Vec<i64> = meter.channels.iter().filter(|c| c.used()).map(|c| c.len()).collect();
    let lag_s = lag_s(meter);
    let last = i32::try_from((env.now - lag_s).div_euclid(DAY_S) - 1).unwrap_or(0);
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
    let Some((last, lens_s)) = week(meter, env) else { return };
    let Some(share) = share(place, last, &lens_s, env) else { return };
    let key = AlertKey::of(meter.subject(), RuleId::COM_MISS, None);
    let (warn, fail) = (env.params.miss_warn_pct * 10, env.params.miss_fail_pct * 10);
    let usual = routes.get(&meter.primary()).copied();
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
