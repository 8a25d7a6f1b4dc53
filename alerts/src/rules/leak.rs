//! #39 WTR-INT: water runs in many quarter hours, day and night (a toilet). #41 WTR-MNF: much flows
//! at the calmest hour of the night. #42 WTR-CUSUM: that hour grows.
//!
//! The night is 02:00 to 04:00 of the local day; its least whole hour is kept for 28 nights.

use metering::{ChannelNo, CustomerClass, Severity, Tag};

use crate::alerts::{AlertKey, Report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::channel::{Channel, LateSlot};
use crate::state::days::{OpenDay, Slot};
use crate::state::meter::Meter;
use crate::state::nights::{FlowDay, Nights};
use crate::state::water::Water;
use crate::stats::{median, median_mad};
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
const QUARTER_S: i64 = 900;
const KEPT_NIGHTS: i32 = 28;
/// Places where water flows at night for good reason.
const ALWAYS_TAGS: [Tag; 6] = [
    Tag::Hospital,
    Tag::CoolingTower,
    Tag::Fire,
    Tag::IrrigationOnly,
    Tag::Irrigation,
    Tag::PoolFill,
];

fn exempt(meter: &Meter) -> bool {
    !meter.is_customers() || meter.tags.has_any(&ALWAYS_TAGS)
}

/// A local day closes: what its slots show.
pub(crate) fn note_day(water: &mut Water, day: &OpenDay, len_s: i64, env: &Env) {
    let slots = usize::from(day.slots);
    if len_s > QUARTER_S || i64::from(day.good) * 100 < i64::from(day.slots) * 90 {
        return;
    }
    let flows = |index: usize| day.slot(index) == Slot::Flow;
    let with_flow = i64::try_from((0..slots).filter(|index| flows(*index)).count()).unwrap_or(0);
    let place = |hours: i64| usize::try_from(hours * HOUR_S / len_s).unwrap_or(0);
    let day_of_flow = FlowDay {
        slots: with_flow * 96 / i64::from(day.good.max(1)),
        at_night: (place(2)..place(4).min(slots)).any(flows),
        refills: refills(water, (day, len_s, place(6).min(slots)), env),
    };
    water.nights.put_flow(day.number, day_of_flow);
}

/// Refills of one size at even distances through the night, up to slot `until`.
fn refills(water: &Water, (day, len_s, until): (&OpenDay, i64, usize), env: &Env) -> bool {
    let first_slot = day.start().div_euclid(len_s) + 1;
    let (mut starts, mut sizes): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    let mut running = 0;
    for index in 0..until {
        if day.slot(index) != Slot::Flow {
            running = 0;
            continue;
        }
        let slot = i64::try_from(index).unwrap_or(0);
        let Some(size) = water.get(first_slot + slot) else { return false };
        running += 1;
        match (running, sizes.last_mut()) {
            (2, Some(last)) => *last += size,
            (1, _) => {
                starts.push(slot);
                sizes.push(size);
            }
            // More than two slots in a row is no refill.
            _ => return false,
        }
    }
    let spacing: Vec<i64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) * len_s).collect();
    let wanted = usize::try_from(env.params.int_refills).unwrap_or(6);
    starts.len() >= wanted
        && spacing.iter().all(|gap| *gap < HOUR_S)
        && is_even(&spacing, env.params.int_spread_pct)
        && is_even(&sizes, env.params.int_spread_pct)
}

/// The coefficient of variation is below `pct` per cent.
fn is_even(values: &[i64], pct: i64) -> bool {
    let count = i128::try_from(values.len()).unwrap_or(0);
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    let squares: i128 = values.iter().map(|value| i128::from(*value) * i128::from(*value)).sum();
    // variance * n^2 = n * squares - sum^2; mean^2 * n^2 = sum^2.
    let variance = count * squares - sum * sum;
    sum > 0 && variance * 10_000 < i128::from(pct * pct) * sum * sum
}

/// A day of the channel closed: the three rules look, in the order of days.
pub(crate) fn day_closed(meter: &mut Meter, at: usize, number: i32, env: &mut Env) {
    if exempt(meter) {
        return;
    }
    let newest = meter.channels.get(at).map_or(number, |channel| channel.closed_through());
    if number < newest {
        rejudge(meter, at, (number, newest), env);
        return;
    }
    intermittent(meter, at, number, env);
    night_flow(meter, at, number, env);
    growth(meter, at, number, env);
}

/// A slot of a closed day came late: what its day shows is mended, and judged as of the newest day.
pub(crate) fn slot_late(
    meter: &mut Meter,
    at: usize,
    (number, late): (i32, LateSlot),
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let newest = channel.closed_through();
    let Some(water) = channel.water.as_deref_mut() else { return };
    if let Some(day) = water.nights.flow(number) {
        let (flows, good) = (i64::from(late.flows.0), i64::from(late.flows.1.max(1)));
        let at_night = day.at_night || late.at_night;
        water.nights.put_flow(number, FlowDay { slots: flows * 96 / good, at_night, ..day });
    }
    if !exempt(meter) {
        rejudge(meter, at, (number, newest), env);
    }
}

/// A closed day changed.
fn rejudge(meter: &mut Meter, at: usize, (number, newest): (i32, i32), env: &mut Env) {
    if newest - number < 7 {
        intermittent(meter, at, newest, env);
        night_flow(meter, at, newest, env);
    }
    let night = nights(meter, at).is_some_and(|(_, nights)| nights.get(number).is_some());
    if night {
        grow_again(meter, at, (number, newest), env);
    }
}

/// #42 with a night that came late: the sum is added up anew from where it began, with the mean
/// and the spread that it began with.
fn grow_again(meter: &mut Meter, at: usize, (number, newest): (i32, i32), env: &mut Env) {
    let Some(water) = meter.channels.get_mut(at).and_then(|c| c.water.as_deref_mut()) else {
        return;
    };
    let nights = &mut water.nights;
    let runs = nights.cusum_x1000 > 0;
    let first = if runs { newest - i32::from(nights.run) } else { number };
    if nights.sigma == 0 || number < first || newest - first >= KEPT_NIGHTS {
        return;
    }
    let (mut sum, mut run, mut calm) = (0, 0_u8, 0_u8);
    for night in first..=newest {
        let Some(measured) = nights.get(night) else { continue };
        let z = (measured / 100 - i64::from(nights.mu)) * 1_000 / i64::from(nights.sigma);
        run = if sum == 0 { 0 } else { run.saturating_add(1) };
        sum = cusum_step(sum, z.min(env.params.cusum_z_max_x1000), env.params.cusum_k_x1000);
        calm = if z < 500 { calm.saturating_add(1) } else { 0 };
    }
    nights.cusum_x1000 = u16::try_from(sum).unwrap_or(u16::MAX).min(60_000);
    (nights.run, nights.calm) = (run, calm);
    let Some(key) = key(meter, at, RuleId::WTR_CUSUM) else { return };
    if sum == 0 && env.book.get(&key).is_some() {
        env.book.retract(&key, env.at, &mut env.out);
    }
}

fn nights(meter: &Meter, at: usize) -> Option<(&Channel, &Nights)> {
    let channel = meter.channels.get(at)?;
    Some((channel, &channel.water.as_deref()?.nights))
}

fn report(
    meter: &Meter,
    at: usize,
    (rule, cause): (RuleId, Cause),
    (first, number): (i32, i32),
    env: &mut Env,
) -> Option<Report> {
    let channel = meter.channels.get(at)?;
    let (from, to) = (env.zones.day(meter.zone, first), env.zones.day(meter.zone, number));
    let mut report = super::device::report(meter, (rule, cause), (from.start, to.end), env);
    report.channel = Some(ChannelNo::new(channel.no));
    Some(report)
}

fn key(meter: &Meter, at: usize, rule: RuleId) -> Option<AlertKey> {
    let channel = meter.channels.get(at)?;
    Some(AlertKey::of(meter.subject(), rule, Some(ChannelNo::new(channel.no))))
}

/// Clears an active alert as of the end of day `number`.
fn clear(meter: &Meter, at: usize, (rule, number): (RuleId, i32), env: &mut Env) {
    let Some(key) = key(meter, at, rule) else { return };
    let Some(start) = env.book.get(&key).map(|active| active.start) else { return };
    let end = env.zones.day(meter.zone, number).end.max(start);
    env.book.clear(&key, end, env.at, &mut env.out);
}

/// #39.
fn intermittent(meter: &Meter, at: usize, number: i32, env: &mut Env) {
    let Some((_, nights)) = nights(meter, at) else { return };
    let params = &env.params;
    let runs = |day: FlowDay| {
        day.refills || (day.at_night && day.slots >= params.int_slots_min && day.slots < 96)
    };
    let days: Vec<(i32, FlowDay)> =
        (number - 4..=number).filter_map(|day| nights.flow(day).map(|flow| (day, flow))).collect();
    let running: Vec<i32> = days.iter().filter(|day| runs(day.1)).map(|day| day.0).collect();
    let wanted = usize::try_from(params.int_days).unwrap_or(3);
    let today = days.last().copied().filter(|day| day.0 == number);
    if running.len() >= wanted && running.last() == Some(&number) {
        let rule = (RuleId::WTR_INT, Cause::LeakIntermittent);
        let slots = today.map_or(0, |day| day.1.slots);
        let Some(mut report) = report(meter, at, rule, (running[0], number), env) else { return };
        report.severity = Severity::P4;
        report.evidence.push(Evidence::number("slots_with_flow", slots, "of 96"));
        report.evidence.push(Evidence::number("threshold", env.params.int_slots_min, "of 96"));
        env.book.assert(report, env.at, &mut env.out);
        return;
    }
    let calm = |day: &&(i32, FlowDay)| day.1.slots < params.int_slots_min && !day.1.refills;
    let least = usize::try_from(params.int_clear_days).unwrap_or(2);
    let calm_days: Vec<i32> =
        days.iter().rev().take_while(calm).map(|day| day.0).take(least).collect();
    if calm_days.len() == least && today.is_some() {
        let last = calm_days.last().copied().unwrap_or(number) - 1;
        clear(meter, at, (RuleId::WTR_INT, last), env);
    }
}

/// What may flow at the calmest hour, in mL/h.
fn night_limit(meter: &Meter, env: &Env) -> i64 {
    let params = &env.params;
    let dwelling = matches!(meter.class, CustomerClass::Residential | CustomerClass::MultiDwelling);
    let legit = if dwelling {
        params.mnf_dwelling_mlph * i64::from(meter.units.max(1))
    } else {
        params.mnf_other_mlph * i64::from(meter.units.max(1))
    };
    params.mnf_min_mlph.max(params.mnf_times * legit)
}

/// #41. A house of many dwellings whose number is not known cannot be judged.
fn night_flow(meter: &Meter, at: usize, number: i32, env: &mut Env) {
    let Some((_, nights)) = nights(meter, at) else { return };
    if meter.class == CustomerClass::MultiDwelling && meter.units == 0 {
        return;
    }
    let limit = night_limit(meter, env);
    let mut week: Vec<i64> = nights.last(number, 7).collect();
    let clear_nights = i32::try_from(env.params.mnf_clear_nights).unwrap_or(3);
    let below = nights.last(number, clear_nights).filter(|night| *night <= limit).count();
    let is_clear = i64::try_from(below).unwrap_or(0) >= env.params.mnf_clear_nights;
    if week.len() < 5 || nights.get(number).is_none() {
        return;
    }
    let measured = median(&mut week);
    if measured > limit && !is_clear {
        let rule = (RuleId::WTR_MNF, Cause::LeakCustomerSide);
        let Some(first) = (number - 6..=number).find(|night| nights.get(*night).is_some()) else {
            return;
        };
        let Some(mut report) = report(meter, at, rule, (first, number), env) else { return };
        report.severity = Severity::P4;
        report.evidence.push(Evidence::milli("measured", measured, "L/h"));
        report.evidence.push(Evidence::milli("threshold", limit, "L/h"));
        report.evidence.push(Evidence::milli("leak_per_day", measured * 24, "L"));
        env.book.assert(report, env.at, &mut env.out);
    } else if is_clear {
        clear(meter, at, (RuleId::WTR_MNF, number - clear_nights), env);
    }
}

/// One step of the one-sided sum, in thousandths: `max(0, S + z - k)`.
pub(crate) fn cusum_step(sum: i64, z: i64, k: i64) -> i64 {
    (sum + z - k).max(0)
}

/// #42. `mu` and `sigma` come from clean nights and stand still while the sum is above zero. One
/// night alone never fires: what it adds is limited.
fn growth(meter: &mut Meter, at: usize, number: i32, env: &mut Env) {
    let limit = env.params.cusum_h_x1000;
    let Some(water) = meter.channels.get_mut(at).and_then(|c| c.water.as_deref_mut()) else {
        return;
    };
    let Some(z) = z_of_night(&mut water.nights, number, env) else { return };
    let nights = &mut water.nights;
    let before = i64::from(nights.cusum_x1000);
    let sum = cusum_step(before, z.min(env.params.cusum_z_max_x1000), env.params.cusum_k_x1000);
    nights.cusum_x1000 = u16::try_from(sum).unwrap_or(u16::MAX).min(60_000);
    nights.run = if before == 0 { 0 } else { nights.run.saturating_add(1) };
    nights.calm = if z < 500 { nights.calm.saturating_add(1) } else { 0 };
    let (run, calm) = (i32::from(nights.run), i64::from(nights.calm));
    let (mu, sigma) = (i64::from(nights.mu) * 100, i64::from(nights.sigma) * 100);
    let measured = nights.get(number).unwrap_or(0);
    if calm >= env.params.cusum_clear_nights {
        nights.cusum_x1000 = 0;
        let calm_from = number - i32::try_from(calm).unwrap_or(3);
        clear(meter, at, (RuleId::WTR_CUSUM, calm_from), env);
        return;
    }
    if sum <= limit || measured < mu + env.params.cont_min_mlph {
        return;
    }
    let rule = (RuleId::WTR_CUSUM, Cause::LeakCustomerSide);
    let Some(mut report) = report(meter, at, rule, (number - run, number), env) else { return };
    report.severity = Severity::P3;
    report.evidence.push(Evidence::milli("measured", measured, "L/h"));
    report.evidence.push(Evidence::milli("mean", mu, "L/h"));
    report.evidence.push(Evidence::milli("spread", sigma, "L/h"));
    report.evidence.push(Evidence::milli("cusum", sum, "sigma"));
    env.book.assert(report, env.at, &mut env.out);
}

/// z of a night in thousandths; takes `mu` and `sigma` anew while nothing grows.
fn z_of_night(nights: &mut Nights, number: i32, env: &Env) -> Option<i64> {
    let measured = nights.get(number)?;
    if nights.cusum_x1000 == 0 {
        let kept = i32::try_from(env.params.cusum_nights).unwrap_or(28);
        let mut own: Vec<i64> = nights.last(number - 1, kept).collect();
        // A fleet that delivers 98 % misses some nights.
        if i64::try_from(own.len()).unwrap_or(0) * 4 < (i64::from(kept) - 1) * 3 {
            return None;
        }
        let (mu, mad) = median_mad(&mut own);
        let sigma = (mad * 14_826 / 10_000).max(env.params.cusum_sigma_mlph);
        nights.mu = u16::try_from(mu / 100).unwrap_or(u16::MAX);
        nights.sigma = u16::try_from(sigma / 100).unwrap_or(u16::MAX);
    }
    let sigma = i64::from(nights.sigma).max(1);
    Some((measured / 100 - i64::from(nights.mu)) * 1_000 / sigma)
}

/// The leak was repaired: the sum begins anew.
pub(crate) fn repaired(meter: &mut Meter, at: i64, env: &mut Env) {
    for channel in &mut meter.channels {
        if let Some(water) = channel.water.as_deref_mut() {
            water.nights.cusum_x1000 = 0;
        }
    }
    super::device::clear_all(meter, RuleId::WTR_CUSUM, at, env);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rv_04_the_sum_fires_at_the_ninth_night() {
        let mut sum = 0;
        let sums: Vec<i64> = [10, 11, 9, 10, 12, 14, 14, 13, 15]
            .into_iter()
            .map(|x: i64| {
                sum = cusum_step(sum, (x - 10) * 1_000 / 2, 500);
                sum
            })
            .collect();
        assert_eq!(sums, [0, 0, 0, 0, 500, 2_000, 3_500, 4_500, 6_500]);
        assert_eq!(sums.iter().position(|sum| *sum > 5_000), Some(8));
    }

    #[test]
    fn evenness_is_the_coefficient_of_variation() {
        assert!(is_even(&[30, 30, 30], 35) && is_even(&[30, 40, 30, 40], 35));
        assert!(!is_even(&[10, 90, 10], 35) && !is_even(&[0, 0], 35));
    }
}
