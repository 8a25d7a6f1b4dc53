//! #27 VAR-BILL: the use of this billing cycle, projected to its end, is far above last year's.
//!
//! Until tariffs exist a cycle is a calendar month and only use is compared; with a [`Pricing`]
//! the bills are. It is a notice for the customer, and for staff when it is several times
//! as much; it opens no issue.

use metering::{ChannelNo, MeterId, Severity};

use super::device::report;
use crate::alerts::AlertKey;
use crate::cause::Cause;
use crate::env::Env;
use crate::local::{month_index, month_start};
use crate::rule::RuleId;
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::transition::Evidence;

/// What use would cost. The program gives it; the rules know no price.
pub trait Pricing: std::fmt::Debug + Send + Sync {
    /// The whole bill for `usage` milli-units within a cycle of `days` days, in minor units of the
    /// currency; `None` when the meter has no price. Tiers and time of use are the
    /// implementation's.
    fn bill_minor(&self, meter: MeterId, usage: i64, days: i64) -> Option<i64>;
}

/// Days of a cycle by which a projection leans on the newest week alone.
const LEAN_DAYS: i64 = 20;

/// Use at the end of a cycle of `cycle_d` days of which `elapsed_d` are over:
/// `U + (D - d) * (b * ADU7 + (1 - b) * ADU_hist)` with `b = min(1, d / 20)`. All in one unit.
pub fn project_usage(
    usage: i64,
    (elapsed_d, cycle_d): (i64, i64),
    adu_week: i64,
    adu_history: i64,
) -> i64 {
    let lean = i128::from(elapsed_d.clamp(0, LEAN_DAYS));
    let whole = i128::from(LEAN_DAYS);
    let a_day = lean * i128::from(adu_week) + (whole - lean) * i128::from(adu_history);
    let rest = i128::from((cycle_d - elapsed_d).max(0)) * a_day / whole;
    usage.saturating_add(i64::try_from(rest).unwrap_or(i64::MAX))
}

/// Known totals of days and their number.
fn known(channel: &Channel, days: std::ops::RangeInclusive<i32>) -> (i64, i64) {
    let totals = days.filter_map(|day| channel.days.total(day));
    totals.fold((0, 0), |(sum, count), total| (sum + total, count + 1))
}

/// A day of the channel closed: keeps the month before once it is settled, projects this one.
pub(crate) fn day_closed(meter: &mut Meter, at: usize, number: i32, env: &mut Env) {
    let customers = meter.is_customers();
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let month = month_index(number);
    let start = month_start(month);
    let settled = number >= start + i32::try_from(env.params.month_settles_d).unwrap_or(4);
    if settled && channel.months.newest() < month - 1 {
        let (sum, count) = known(channel, month_start(month - 1)..=start - 1);
        let days = i64::from(start - month_start(month - 1));
        if count * 100 >= days * 80 {
            channel.months.put(month - 1, sum / count * days);
        }
    }
    if customers {
        project(meter, at, (number, month), env);
    }
}

fn project(meter: &Meter, at: usize, (number, month): (i32, i32), env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let key = AlertKey::of(meter.subject(), RuleId::VAR_BILL, Some(ChannelNo::new(channel.no)));
    let start = month_start(month);
    let (elapsed, cycle) =
        (i64::from(number - start) + 1, i64::from(month_start(month + 1) - start));
    if elapsed < env.params.bill_days_min {
        env.book.notices.remove(&key);
        if env.book.get(&key).is_some() {
            let end = env.zones.day(meter.zone, start).start;
            env.book.clear(&key, end, env.at, &mut env.out);
        }
        return;
    }
    let Some((usage, reference)) = estimate(channel, (number, month), (elapsed, cycle)) else {
        return;
    };
    let price =
        |use_| env.pricing.as_ref().and_then(|pricing| pricing.bill_minor(meter.id, use_, cycle));
    let priced = price(usage).zip(price(reference));
    let (now, usual) = priced.unwrap_or((usage, reference));
    let least = if priced.is_some() { env.params.bill_min_minor } else { 0 };
    let pct = i64::try_from(i128::from(now) * 100 / i128::from(usual.max(1))).unwrap_or(i64::MAX);
    let active = env.book.get(&key).copied();
    let day = env.zones.day(meter.zone, number);
    if let Some(active) = active {
        if pct < env.params.bill_clear_pct {
            env.book.clear(&key, day.end, env.at, &mut env.out);
            return;
        }
        if pct < active.mark + env.params.bill_rearm_points {
            return;
        }
        // Worse by so much that it is said again.
        env.book.clear(&key, day.start, env.at, &mut env.out);
    }
    if pct < env.params.bill_pct || now - usual < least {
        return;
    }
    // One notice in a cycle, and another when it grew by so much, also after it was over.
    let said = env.book.notices.get(&key).filter(|(of, _)| *of == month);
    if said.is_some_and(|(_, before)| pct < before + env.params.bill_rearm_points) {
        return;
    }
    env.book.notices.insert(key, (month, pct));
    let rule = (RuleId::VAR_BILL, Cause::HighConsumption);
    let mut report = report(meter, rule, (day.start, day.end), env);
    report.channel = Some(ChannelNo::new(channel.no));
    report.severity = if pct > env.params.bill_staff_pct { Severity::P3 } else { Severity::P4 };
    report.annunciate &= report.severity < Severity::P4;
    report.evidence.push(Evidence::number("share_of_reference", pct, "%"));
    report.evidence.push(Evidence::milli("projected", usage, "units"));
    report.evidence.push(Evidence::milli("reference", reference, "units"));
    if let Some((bill, usual)) = priced {
        report.evidence.push(Evidence::number("projected_bill", bill, "minor units"));
        report.evidence.push(Evidence::number("reference_bill", usual, "minor units"));
    }
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = pct;
    }
}

/// Projected use and the reference: the same month of last year, else the month before, for as many
/// days. `None` when too much is missing.
fn estimate(
    channel: &Channel,
    (number, month): (i32, i32),
    (elapsed, cycle): (i64, i64),
) -> Option<(i64, i64)> {
    let start = month_start(month);
    let (sum, count) = known(channel, start..=number);
    // More than a fifth is missing.
    if count * 5 < elapsed * 4 {
        return None;
    }
    let (week, week_days) = known(channel, number - 6..=number);
    let (before, before_days) = known(channel, start - 28..=start - 1);
    if week_days < 4 || before_days < 14 {
        return None;
    }
    let adu = |(sum, days): (i64, i64)| sum / days.max(1);
    let so_far = sum / count.max(1) * elapsed;
    let usage =
        project_usage(so_far, (elapsed, cycle), adu((week, week_days)), adu((before, before_days)));
    let of = |month: i32| {
        let days = i64::from(month_start(month + 1) - month_start(month));
        channel.months.get(month).map(|total| total / days * cycle)
    };
    let reference = of(month - 12).or_else(|| of(month - 1))?;
    (reference > 0).then_some((usage, reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rv_08_a_rise_of_29_per_cent_is_no_bill_shock() {
        let usage = project_usage(240_000, (12, 30), 20_000, 14_000);
        assert_eq!(usage, 556_800);
        // 0.20 a kWh and 10 fixed, in minor units.
        let bill = |wh: i64| wh * 20 / 1_000 + 1_000;
        assert_eq!((bill(usage), bill(420_000)), (12_136, 9_400));
        assert!(bill(usage) * 100 < bill(420_000) * 130);
    }
}
