//! #65 SWR-WQA and #66 SWR-DEDUCT: sewage that is billed by water meters. (#67 is in `dma`.)
//!
//! The winter's three months of every customer's water meter are added up day by day, six days
//! late, so that stragglers count. When the winter is over its basis is in doubt where a month is
//! estimated or leaked for too large a part. A deduct meter is compared with its main meter month
//! by month.

use std::collections::BTreeMap;

use metering::{Commodity, MeterRole, Severity};

use super::transformer::{day_total, used_channel};
use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::local::month_of;
use crate::rule::RuleId;
use crate::snapshot::snap_struct;
use crate::state::meter::Meter;
use crate::transition::Evidence;

const DAY_S: i64 = 86_400;
const LATE_DAYS: i32 = 6;
/// Days of a month that must be known of both meters.
const CYCLE_DAYS_MIN: usize = 20;

/// One winter month of one meter; volumes in mL.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct MonthUse {
    pub(crate) volume: i64,
    pub(crate) leak_volume: i64,
    pub(crate) days: u8,
    pub(crate) missing: u8,
    pub(crate) leak_days: u8,
    /// Of which no good slot came, in thousandths of a day, of all days together.
    pub(crate) lost_permille: u16,
}

snap_struct!(MonthUse { volume, leak_volume, days, missing, leak_days, lost_permille });

/// The winter that is being added up.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Winter {
    /// Newest UTC day that was added; 0 before the first.
    pub(crate) through: i32,
    pub(crate) meters: BTreeMap<u32, [MonthUse; 3]>,
}

snap_struct!(Winter { through, meters });

/// The daily look: adds the day that is old enough, and judges what ends with it.
pub(crate) fn look(meters: &[Meter], env: &mut Env) {
    let day = i32::try_from(env.now.div_euclid(DAY_S)).unwrap_or(0) - LATE_DAYS;
    let through = env.network.winter.through;
    let first = if through == 0 { day } else { (through + 1).max(day - 40) };
    for number in first..=day {
        add(number, meters, env);
        if month_of(number) != month_of(number + 1) {
            deducts(number, meters, env);
            if winter_month(number, env) == Some(2) {
                winter_is_over(number, meters, env);
            }
        }
    }
    env.network.winter.through = day.max(through);
    env.book.forget((env.now, i64::from(day) * DAY_S));
}

/// 0 to 2 in the winter.
fn winter_month(number: i32, env: &Env) -> Option<usize> {
    let month = i64::from(month_of(number));
    let place = (month - env.params.winter_from_month).rem_euclid(12);
    usize::try_from(place).ok().filter(|place| *place < 3)
}

fn is_customers_water(meter: &Meter) -> bool {
    meter.commodity == Commodity::Water && meter.role == MeterRole::Customer
}

fn add(number: i32, meters: &[Meter], env: &mut Env) {
    let Some(place_of_month) = winter_month(number, env) else { return };
    let day_end = i64::from(number + 1) * DAY_S;
    for (place, meter) in meters.iter().enumerate() {
        if !is_customers_water(meter) || !meter.is_account_active() {
            continue;
        }
        let leaks = env.book.leaked(meter.subject(), (day_end - DAY_S, day_end));
        let total = day_total(meter, number);
        let good = used_channel(meter).map_or(0, |channel| channel.good_permille(number));
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let own = env.network.winter.meters.entry(place).or_default();
        let month = &mut own[place_of_month];
        let lost = u16::try_from(1_000 - good).unwrap_or(0);
        month.lost_permille = month.lost_permille.saturating_add(lost);
        match total {
            Some(total) => {
                month.volume += total;
                month.days = month.days.saturating_add(1);
                if leaks {
                    month.leak_volume += total;
                    month.leak_days = month.leak_days.saturating_add(1);
                }
            }
            None => month.missing = month.missing.saturating_add(1),
        }
    }
}

/// Winter average per month of 30.42 days (Rio Rancho), in the unit of the volumes: total over days
/// times 30.42.
pub fn winter_average(volumes: &[i64], days: i64) -> i64 {
    let total: i128 = volumes.iter().map(|volume| i128::from(*volume)).sum();
    i64::try_from(total * 3_042 / (i128::from(days.max(1)) * 100)).unwrap_or(i64::MAX)
}

/// Mean of the winter months in whole billing units, truncated (San Luis Obispo).
pub fn winter_mean_truncated(units: &[i64]) -> i64 {
    units.iter().sum::<i64>() / i64::try_from(units.len().max(1)).unwrap_or(1)
}

fn winter_is_over(number: i32, meters: &[Meter], env: &mut Env) {
    let end = i64::from(number + 1) * DAY_S;
    for (place, months) in std::mem::take(&mut env.network.winter.meters) {
        let Some(meter) = meters.get(place as usize) else { continue };
        let key = AlertKey::of(meter.subject(), RuleId::SWR_WQA, None);
        env.book.clear(&key, end, env.at, &mut env.out);
        // An account without a full winter has no basis of its own.
        if months.iter().any(|month| month.days + month.missing < 25) {
            continue;
        }
        // By slots: a day whose total three lost hours leave in doubt is estimated for an eighth.
        let estimated = months.iter().any(|month| {
            i64::from(month.lost_permille)
                > i64::from(month.days + month.missing) * env.params.winter_estimated_pct * 10
        });
        let leaked = months.iter().any(|month| {
            month.volume > 0 && month.leak_volume * 100 > month.volume * env.params.winter_leak_pct
        });
        if estimated || leaked {
            doubt(meter, &months, end, env);
        }
    }
}

fn doubt(meter: &Meter, months: &[MonthUse; 3], end: i64, env: &mut Env) {
    let days: i64 = months.iter().map(|month| i64::from(month.days)).sum();
    let leak_days: i64 = months.iter().map(|month| i64::from(month.leak_days)).sum();
    let volumes = months.map(|month| month.volume);
    let dry = months.map(|month| month.volume - month.leak_volume);
    let lost: i64 = months.iter().map(|month| i64::from(month.lost_permille)).sum();
    let mut report =
        Report::new(RuleId::SWR_WQA, meter.subject(), Cause::DataGap, end - 90 * DAY_S);
    report.commodity = Some(meter.commodity);
    report.until = end;
    report.severity = Severity::P4;
    report.annunciate = env.now - end <= 30 * DAY_S;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(end - 90 * DAY_S)),
        Evidence::instant("window_to", seconds(end)),
        Evidence::milli("winter_average", winter_average(&volumes, days), "L"),
        Evidence::milli(
            "winter_average_without_leaks",
            winter_average(&dry, days - leak_days),
            "L",
        ),
        Evidence::number("days_missing", (lost + 500) / 1_000, "days"),
        Evidence::number("days_with_leak", leak_days, "days"),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

/// The month ends with day `number`: a deduct meter cannot count more than its main meter.
fn deducts(number: i32, meters: &[Meter], env: &mut Env) {
    let point = |place: usize, env: &Env| {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        env.network.link(place).map(|link| link.usage_point)
    };
    let month = month_of(number);
    for (place, deduct) in meters.iter().enumerate() {
        if deduct.role != MeterRole::Deduct {
            continue;
        }
        let own = point(place, env);
        let main = meters.iter().enumerate().find(|(other, meter)| {
            let same_premises = deduct.premises != 0 && deduct.premises == meter.premises;
            is_customers_water(meter) && (same_premises || point(*other, env) == own)
        });
        let Some((_, main)) = main else { continue };
        let days: Vec<(i64, i64)> = (number - 30..=number)
            .filter(|day| month_of(*day) == month)
            .filter_map(|day| Some((day_total(deduct, day)?, day_total(main, day)?)))
            .collect();
        if days.len() < CYCLE_DAYS_MIN {
            continue;
        }
        let (deducted, total) = days.iter().fold((0, 0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
        compare(deduct, main, (deducted, total), number, env);
    }
}

fn compare(deduct: &Meter, main: &Meter, sums: (i64, i64), number: i32, env: &mut Env) {
    let end = i64::from(number + 1) * DAY_S;
    let key = AlertKey::of(deduct.subject(), RuleId::SWR_DEDUCT, None);
    // Two totals of a month are known to a thousandth.
    if sums.0 <= sums.1 + sums.1 / 500 {
        env.book.clear(&key, end, env.at, &mut env.out);
        return;
    }
    let start = end - 30 * DAY_S;
    let mut report =
        Report::new(RuleId::SWR_DEDUCT, deduct.subject(), Cause::ConfigMismatch, start);
    report.commodity = Some(deduct.commodity);
    report.until = end;
    report.annunciate = env.now - end <= 30 * DAY_S;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(start)),
        Evidence::instant("window_to", seconds(end)),
        Evidence::milli("measured", sums.0, "L"),
        Evidence::milli("main_meter", sums.1, "L"),
        Evidence::number("main_meter_number", i64::from(main.id.get()), ""),
    ];
    env.book.assert(report, env.at, &mut env.out);
}
