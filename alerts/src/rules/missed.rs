//! #60 COM-MISS: too many readings of a meter never arrive.
//!
//! Fewer than 95 % are a warning, which is for the record; fewer than 80 % open an issue. Once a
//! day, over the seven UTC days whose stragglers have had their time. Weeks in which the
//! collector or we ourselves were out say nothing of the link, and a meter that is lost has an
//! alert of its own.

use metering::Severity;

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::collector::Collector;
use crate::state::meter::{Meter, Silence};
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
const DAYS: i32 = 7;

/// The daily look at one meter.
pub(crate) fn look(meter: &Meter, place: u32, collector: Option<&Collector>, env: &mut Env) {
    let lens_s: Vec<i64> = meter.channels.iter().filter(|c| c.used).map(|c| c.len()).collect();
    let lag_s = meter.channels.iter().filter(|c| c.used).map(|c| c.lag_s).max().unwrap_or(0);
    // Who is silent now is #59's.
    if lens_s.is_empty() || meter.silence != Silence::Fresh {
        return;
    }
    let last = i32::try_from((env.now - i64::from(lag_s)).div_euclid(DAY_S) - 1).unwrap_or(0);
    let Some(share) = share(place, last, &lens_s, env) else { return };
    let key = AlertKey::of(meter.subject(), RuleId::COM_MISS, None);
    let (warn, fail) = (env.params.miss_warn_pct * 10, env.params.miss_fail_pct * 10);
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
        if !is_warning || share >= fail {
            return;
        }
    }
    let from = i64::from(last + 1 - DAYS) * DAY_S;
    // A long silence is told by #59, and by its flap guard when it comes again.
    let blind = env.watch.cut_off
        || meter.past().lost_at[0] > from
        || env.watch.jump_at > from
        || env.network.outage_of(meter).is_some()
        || collector.is_some_and(|own| own.is_out() || own.out_until > from);
    if blind || share >= warn {
        return;
    }
    let report = report(meter, (share, share < fail), (from, last), env);
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
    let lag_s = meter.channels.iter().filter(|c| c.used).map(|c| c.lag_s).max().unwrap_or(0);
    let mut report = Report::new(RuleId::COM_MISS, meter.subject(), Cause::RfMarginal, from);
    report.commodity = Some(meter.commodity);
    report.until = i64::from(last + 1) * DAY_S;
    report.severity = if fails { meter.silence_severity() } else { Severity::P4 };
    report.annunciate = fails && env.is_fresh(report.until, lag_s);
    report.ranked.push((Cause::RfObstructed, -60));
    let limit = if fails { env.params.miss_fail_pct } else { env.params.miss_warn_pct };
    report.evidence = vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(report.until)),
        Evidence::new("measured", share, "permille", format!("{} % arrived", share / 10)),
        Evidence::number("threshold", limit, "%"),
    ];
    report
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
