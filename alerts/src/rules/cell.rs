//! #57 BAT-VOLT: the loaded voltage of the cell is low. #58 BAT-PROJ: when it will be empty.
//!
//! Lithium thionyl chloride holds its voltage nearly to the end, so three estimates are asked and
//! the smallest counts: the trend of the weekly medians (Theil-Sen), what was drawn from the
//! charge, and the device's own counter. The interval that is reported is a bootstrap on the
//! pairwise slopes, seeded from the meter's number.

use metering::{Chemistry, Commodity, Severity};

use super::device::{Told, key, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::pipe;
use crate::state::NEVER;
use crate::state::cell::Cell;
use crate::state::meter::Meter;
use crate::transition::Evidence;
use crate::trend::{Line, bootstrap, theil_sen};

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// Limits of a cell in mV: warn, low, empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limits {
    warn: i64,
    low: i64,
    end: i64,
}

fn limits(cell: &Cell, env: &Env) -> Limits {
    let params = &env.params;
    let less = match Chemistry::ALL.get(usize::from(cell.chemistry)) {
        Some(Chemistry::LithiumManganese) => params.cell_manganese_less_mv,
        Some(Chemistry::Alkaline) => params.cell_alkaline_less_mv,
        _ => 0,
    };
    Limits {
        warn: params.cell_warn_mv - less,
        low: params.cell_low_mv - less,
        end: params.cell_end_mv - less,
    }
}

fn concerns(meter: &Meter) -> bool {
    meter.is_battery_powered() && meter.commodity != Commodity::Electricity
}

/// A loaded voltage in mV.
pub(crate) fn voltage(meter: &mut Meter, (at, mv): (i64, i64), env: &mut Env) {
    let too_new = at < meter.installed_at.s() + env.params.battery_install_h * 3_600;
    if !concerns(meter) || too_new || mv <= 0 || pipe::is_freezing(meter, at) {
        return;
    }
    let cold = meter.rare().filter(|rare| (at - rare.temperature_at).abs() <= DAY_S);
    let below_cc = cold.map_or(0, |rare| (1_000 - i64::from(rare.temperature_cc)).max(0));
    let mv = mv + below_cc * env.params.cell_cold_mv_per_c / 100;
    let Ok(mv) = u16::try_from(mv) else { return };
    let cell = meter.cell_mut();
    if !cell.put(at, mv) {
        return;
    }
    let Some(median) = cell.median() else { return };
    let week = cell.newest_at().div_euclid(WEEK_S);
    let begins = week > cell.week;
    cell.put_week(week, u16::try_from(median).unwrap_or(u16::MAX));
    judge(meter, median, env);
    if begins {
        project(meter, env);
    }
}

/// #57: the median of five against the limits.
fn judge(meter: &mut Meter, median: i64, env: &mut Env) {
    let key = key(meter, RuleId::BAT_VOLT);
    let Some(cell) = meter.cell_if_any() else { return };
    let (limits, at) = (limits(cell, env), cell.newest_at());
    if median < limits.warn {
        cell.good_from = NEVER;
        if cell.low_from == NEVER {
            cell.low_from = cell.oldest_at();
        }
        let from = cell.low_from;
        let mut report = report(meter, (RuleId::BAT_VOLT, Cause::BatteryLow), (from, at), env);
        report.severity = if median < limits.low { Severity::P2 } else { Severity::P3 };
        let limit = if median < limits.low { limits.low } else { limits.warn };
        report.evidence.push(Evidence::milli("measured", median, "V"));
        report.evidence.push(Evidence::milli("threshold", limit, "V"));
        env.book.assert(report, env.at, &mut env.out);
        return;
    }
    if median <= limits.warn + env.params.cell_back_mv {
        cell.good_from = NEVER;
        return;
    }
    if cell.good_from == NEVER {
        cell.good_from = at;
    }
    let good_from = cell.good_from;
    if at - good_from >= env.params.battery_clear_days * DAY_S {
        cell.low_from = NEVER;
        env.book.clear(&key, good_from, env.at, &mut env.out);
    }
}

/// The device's own estimate in days.
pub(crate) fn vendor(meter: &mut Meter, told: Told, env: &mut Env) {
    if !concerns(meter) || told.detail < 0 {
        return;
    }
    let cell = meter.cell_mut();
    if told.at < cell.vendor_at {
        return;
    }
    cell.vendor_at = told.at;
    cell.vendor_end = told.at + i64::from(told.detail) * DAY_S;
    project(meter, env);
}

/// Days that are left, and why.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Left {
    days: i64,
    by: &'static str,
    /// Bounds of the trend's interval.
    low: i64,
    high: i64,
}

/// The trend, when the cell falls at all.
fn trend(cell: &Cell, limits: Limits, seed: u64, env: &Env) -> Option<Left> {
    let points = cell.points();
    let params = &env.params;
    let (first, last) = (points.first()?.0, points.last()?.0);
    let few = i64::try_from(points.len()).unwrap_or(0) < params.cell_points_min;
    if few || last - first < params.cell_span_d {
        return None;
    }
    let line = theil_sen(&points)?;
    if line.slope_millionths() >= -params.cell_slope_uv * 1_000 {
        return None;
    }
    let days = |line: Line| line.days_to(last, limits.end);
    let (low, high) = bootstrap(&points, seed, days)?;
    Some(Left { days: days(line), by: "trend", low, high })
}

/// What is left of the charge: sleeping, sending, and 1 % a year by itself.
fn charge(meter: &Meter, cell: &Cell, now: i64, env: &Env) -> Option<i64> {
    if cell.capacity_mah <= 0 || cell.installed_at == NEVER {
        return None;
    }
    let params = &env.params;
    let full_nah = i128::from(cell.capacity_mah) * 1_000_000;
    let tx_a_day = i128::from((DAY_S / meter.cadence_s()).max(1));
    let a_day = tx_a_day * i128::from(params.cell_tx_nah)
        + 24 * i128::from(params.cell_sleep_na)
        + full_nah / 36_500;
    let days = i128::from((now - cell.installed_at).max(0) / DAY_S);
    let left = (full_nah - a_day * days).max(0) / a_day.max(1);
    i64::try_from(left).ok()
}

/// Days that are left by the soonest of trend, charge and device, for operators' rules.
pub(crate) fn days_left(meter: &Meter, env: &Env) -> Option<i64> {
    let cell = meter.cell()?;
    let now = cell.newest_at().max(cell.vendor_at);
    let seed = u64::from(meter.id.get().unsigned_abs());
    let trend = trend(cell, limits(cell, env), seed, env).map(|left| left.days);
    let vendor = (cell.vendor_end != NEVER).then(|| ((cell.vendor_end - now) / DAY_S).max(0));
    [trend, charge(meter, cell, now, env), vendor].into_iter().flatten().min()
}

/// When the cell ends by that; seconds.
pub(crate) fn ends_at(meter: &Meter, env: &Env) -> Option<i64> {
    let cell = meter.cell().filter(|_| concerns(meter))?;
    let told_at = cell.newest_at().max(cell.vendor_at);
    let days = days_left(meter, env).filter(|_| told_at != NEVER)?;
    Some(told_at.saturating_add(days.saturating_mul(DAY_S)))
}

/// #58, once a week.
fn project(meter: &mut Meter, env: &mut Env) {
    let seed = u64::from(meter.id.get().unsigned_abs());
    let Some(cell) = meter.cell() else { return };
    let now = cell.newest_at().max(cell.vendor_at);
    let mut left = trend(cell, limits(cell, env), seed, env);
    let vendor = (cell.vendor_end != NEVER).then(|| ((cell.vendor_end - now) / DAY_S).max(0));
    let drawn = charge(meter, cell, now, env);
    for (days, by) in [(drawn, "charge"), (vendor, "device")] {
        if let Some(days) = days
            && left.is_none_or(|known| days < known.days)
        {
            left = Some(Left { days, by, low: days, high: days });
        }
    }
    let Some(left) = left else { return recover(meter, i64::MAX, env) };
    let params = &env.params;
    let severity = if left.days < params.cell_days_p2 {
        Severity::P2
    } else if left.days < params.cell_days_p3 {
        Severity::P3
    } else if left.days < params.cell_days_plan {
        Severity::P4
    } else {
        return recover(meter, left.days, env);
    };
    let mut report = report(meter, (RuleId::BAT_PROJ, Cause::BatteryLow), (now, now), env);
    report.severity = severity;
    report.annunciate &= severity < Severity::P4;
    let text = format!("{} days left by {}", left.days, left.by);
    report.evidence.push(Evidence::new("measured", left.days, "days", text));
    report.evidence.push(Evidence::number("days_p10", left.low, "days"));
    report.evidence.push(Evidence::number("days_p90", left.high, "days"));
    env.book.assert(report, env.at, &mut env.out);
    recover(meter, left.days, env);
}

/// Twice more than 1.2 times the limit of its severity: the projection was too dark.
fn recover(meter: &mut Meter, days: i64, env: &mut Env) {
    let key = key(meter, RuleId::BAT_PROJ);
    let Some(active) = env.book.get(&key).copied() else { return };
    let params = &env.params;
    let limit = match active.severity {
        Severity::P1 | Severity::P2 => params.cell_days_p2,
        Severity::P3 => params.cell_days_p3,
        Severity::P4 => params.cell_days_plan,
    };
    let Some(cell) = meter.cell_if_any() else { return };
    if days / 6 * 5 <= limit {
        cell.recovered = 0;
        return;
    }
    cell.recovered += 1;
    if cell.recovered >= 2 {
        cell.recovered = 0;
        let now = cell.newest_at().max(cell.vendor_at);
        env.book.clear(&key, now.max(active.start), env.at, &mut env.out);
    }
}

/// A new cell or a new module.
pub(crate) fn replaced(meter: &mut Meter, at: i64, env: &mut Env) {
    if let Some(cell) = meter.cell_if_any() {
        cell.replaced(at);
    }
    for rule in [RuleId::BAT_FLAG, RuleId::BAT_VOLT, RuleId::BAT_PROJ] {
        super::device::clear_all(meter, rule, at, env);
    }
    if let Some(past) = meter.past_if_any() {
        past.low_at = [NEVER; 3];
    }
}
