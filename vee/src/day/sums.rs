//! Registers against intervals, against rates and against themselves: #13, #14, #15.

use metering::{ChannelKind, DeviceFlags, Outcome, QualityStatus, UtcTime};

use super::input::{DayInput, DaySlot, RegisterPoint};
use super::verdict::{Desk, HoldKind, Saying};
use crate::params::Params;
use crate::rules::{Rule, kind};

/// What REG-SUM said, and of which stretch `(from, to]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SumSaid {
    pub(super) outcome: Outcome,
    within: Option<(UtcTime, UtcTime)>,
}

impl SumSaid {
    const NOTHING: Self = Self { outcome: Outcome::NotEvaluable, within: None };

    /// Passed over a stretch that holds the whole interval.
    pub(super) fn confirms(self, (from, to): (UtcTime, UtcTime)) -> bool {
        self.outcome == Outcome::Pass
            && self.within.is_some_and(|within| from >= within.0 && to <= within.1)
    }
}

/// Gives what REG-SUM said, for the spike check. `spike` is the place that stands far above all
/// others.
pub(super) fn check(desk: &mut Desk<'_>, spike: Option<usize>) -> SumSaid {
    let sum = interval_sum(desk, spike);
    rate_sum(desk);
    delta(desk);
    sum
}

/// What the register counted in `(from, to]`.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: UtcTime,
    to: UtcTime,
    advance: i64,
    step: i64,
}

/// From the last read before the day to the last read in it: windows of following days join.
fn window(points: &[RegisterPoint], start: UtcTime, end: UtcTime) -> Option<Window> {
    let usable = || points.iter().filter(|point| point.usable && point.read_at <= end);
    let last = usable().next_back()?;
    let first = usable().rfind(|point| point.read_at <= start).or_else(|| usable().next())?;
    // A counter that fell rolled over or started again; then the sum cannot be told from here.
    let fell = usable()
        .skip_while(|point| point.read_at < first.read_at)
        .try_fold(first.value, |before, point| (point.value >= before).then_some(point.value))
        .is_none();
    (first.read_at < last.read_at && !fell).then(|| Window {
        from: first.read_at,
        to: last.read_at,
        advance: last.value - first.value,
        step: last.step.max(1),
    })
}

/// Sum of the intervals in a window, in milli-units times microseconds of an interval.
#[derive(Clone, Copy, Debug)]
struct IntervalSum {
    scaled: i128,
    /// Of it: what was measured.
    measured: i128,
    len_us: i128,
    edges: i64,
    edge_max: i64,
    estimated: bool,
    /// Time of the window of which nothing is known or may be used, in microseconds.
    lacking_us: i64,
    /// Some of it arrived and was doubted.
    doubted: bool,
}

impl IntervalSum {
    fn is_whole(&self) -> bool {
        self.lacking_us == 0
    }
}

/// `None` when an interval is marked so that the sum cannot be right.
fn interval_sum_of(input: &DayInput<'_>, window: Window) -> Option<IntervalSum> {
    let len_us = i64::from(input.channel.len_s) * 1_000_000;
    let (from, to) = (window.from.micros(), window.to.micros());
    let mut sum = IntervalSum {
        scaled: 0,
        measured: 0,
        len_us: i128::from(len_us),
        edges: 0,
        edge_max: 0,
        estimated: false,
        lacking_us: to - from,
        doubted: false,
    };
    let mut reached = from;
    let before = input.around.before;
    let before = &before[before.partition_point(|slot| slot.end <= window.from)..];
    for slot in before.iter().chain(input.slots) {
        let end = slot.end.micros();
        let start = end - len_us;
        if end <= from || start >= to {
            continue;
        }
        // Intervals of another length overlap: what they add up to is for their own checks.
        if start < reached && reached != from {
            return None;
        }
        reached = end;
        let Some(value) = summed_value(slot)? else {
            sum.doubted |= slot.arrived.status() != QualityStatus::Missing;
            continue;
        };
        let overlap = end.min(to) - start.max(from);
        let part = i128::from(value) * i128::from(overlap);
        let estimated = slot.arrived.status() == QualityStatus::Missing && !slot.measured;
        sum.lacking_us -= overlap;
        sum.estimated |= estimated;
        sum.scaled += part;
        sum.measured += if estimated { 0 } else { part };
        if overlap < len_us {
            sum.edges += 1;
            sum.edge_max = sum.edge_max.max(value.abs());
        }
    }
    Some(sum)
}

/// Overflow, partial intervals and edits excuse a sum (`None`); what nobody may use is no part of
/// it.
fn summed_value(slot: &DaySlot) -> Option<Option<i64>> {
    const EXCUSED: DeviceFlags = DeviceFlags::OVERFLOW
        .union(DeviceFlags::PARTIAL)
        .union(DeviceFlags::LONG)
        .union(DeviceFlags::POWER_FAIL)
        .union(DeviceFlags::CLOCK_CHANGED);
    if slot.arrived.flags().bits() & EXCUSED.bits() != 0 || slot.best == QualityStatus::Edited {
        return None;
    }
    Some(match slot.best {
        QualityStatus::Estimated | QualityStatus::OutageZero
            if slot.arrived.status() == QualityStatus::Missing =>
        {
            Some(slot.value)
        }
        _ => slot.actual(),
    })
}

/// #13 REG-SUM.
fn interval_sum(desk: &mut Desk<'_>, spike: Option<usize>) -> SumSaid {
    let input = desk.input;
    let Some(window) = window(input.registers, input.day.start, input.day.end) else {
        return SumSaid::NOTHING;
    };
    let Some(sum) = interval_sum_of(input, window) else {
        return SumSaid::NOTHING;
    };
    let register = i128::from(window.advance) * sum.len_us;
    let allowed = i128::from(tolerance(window, &sum, desk.params)) * sum.len_us;
    let bounds = (window.from, window.to);
    let within = Some(bounds);
    // No estimate of the rest can put right what was measured already.
    let hopeless = !can_be_made_up(desk, window, &sum, allowed);
    if !sum.is_whole() && !hopeless {
        return SumSaid::NOTHING;
    }
    if sum.is_whole() && (sum.scaled - register).abs() <= allowed {
        desk.say_of(Rule::Sum, Saying::PASS, bounds);
        return SumSaid { outcome: Outcome::Pass, within };
    }
    let likely = as_if_whole(window, &sum);
    let kind = sum_kind(likely, register, i128::from(window.step) * sum.len_us, desk.params);
    desk.say_of(Rule::Sum, Saying::fail(kind, permille(likely, register)), bounds);
    let alone = spike.is_some_and(|at| is_alone_wrong(desk, at, (window, &sum)));
    if (!sum.estimated || hopeless) && !alone {
        desk.hold(HoldKind::Interval, Rule::Sum, bounds);
        let inside: Vec<usize> = (0..desk.places.len())
            .filter(|at| {
                let (start, end) = desk.interval(*at);
                end > window.from && start < window.to
            })
            .collect();
        inside.into_iter().for_each(|at| desk.suspect(at, Rule::Sum));
    }
    SumSaid { outcome: Outcome::Fail, within }
}

/// May the intervals that are missing or estimated bring what was measured to what the register
/// counted? Use is never negative, and no more than the service carries.
fn can_be_made_up(desk: &Desk<'_>, window: Window, sum: &IntervalSum, allowed: i128) -> bool {
    let input = desk.input;
    if sum.is_whole() && !sum.estimated {
        return false;
    }
    if !input.is_consumption() {
        return true;
    }
    let left = i128::from(window.advance) * sum.len_us - sum.measured;
    if left < -allowed {
        return false;
    }
    let cap = desk.params.cap(input.channel.cap_per_hour, sum.lacking_us.div_euclid(1_000_000) + 1);
    sum.is_whole()
        || sum.doubted
        || input.channel.cap_per_hour == 0
        || left <= i128::from(cap) * sum.len_us + allowed
}

/// The sum with what is missing at the mean of the rest, so that a factor shows.
fn as_if_whole(window: Window, sum: &IntervalSum) -> i128 {
    let whole_us = i128::from(window.to.micros() - window.from.micros());
    let known_us = whole_us - i128::from(sum.lacking_us);
    if known_us > 0 { sum.scaled * whole_us / known_us } else { sum.scaled }
}

/// The register leaves for the place `at` a value like the others of the day: then that one is
/// wrong and the others are right (#16, "REG-SUM fails without it").
fn is_alone_wrong(desk: &Desk<'_>, at: usize, (window, sum): (Window, &IntervalSum)) -> bool {
    let (start, end) = desk.interval(at);
    let Some(value) = desk.places[at].actual() else { return false };
    if start < window.from || end > window.to {
        return false;
    }
    let highest = (0..desk.places.len())
        .filter(|other| *other != at)
        .filter_map(|other| desk.places[other].actual())
        .max()
        .unwrap_or(0);
    let allowed = i128::from(tolerance(window, sum, desk.params)) * sum.len_us;
    let others = sum.scaled - i128::from(value) * sum.len_us;
    let left = i128::from(window.advance) * sum.len_us - others;
    // What is missing may be as high as the others.
    let at_most = i128::from(highest) * (sum.len_us + i128::from(sum.lacking_us));
    left >= -allowed && left <= at_most + allowed
}

/// `max(2 steps, edge intervals that were prorated, 0.1 % of the advance)`, in milli-units.
fn tolerance(window: Window, sum: &IntervalSum, params: &Params) -> i64 {
    let steps = window.step.saturating_mul(params.sum_steps);
    let edges = sum.edge_max.saturating_mul(sum.edges);
    let share = i128::from(window.advance) * i128::from(params.sum_permille) / 1000;
    steps.max(edges).max(i64::try_from(share).unwrap_or(i64::MAX))
}

fn permille(sum: i128, register: i128) -> i64 {
    let share = if register == 0 { 1000 } else { (sum - register) * 1000 / register };
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// A whole ratio is a factor that one side lacks (a constant, a transformer ratio). It must be told
/// from chance, so small sums do not count.
fn sum_kind(sum: i128, register: i128, step: i128, params: &Params) -> u8 {
    let (small, large) = (sum.min(register), sum.max(register));
    if small > 20 * step {
        let times = (large + small / 2) / small;
        let off = (large - times * small).abs();
        if times >= 2 && off * 1000 <= large * i128::from(params.sum_ratio_permille) {
            return kind::SUM_CONFIG;
        }
    }
    if sum < register { kind::SUM_MISSING_PULSES } else { kind::SUM_DOUBLE_COUNT }
}

/// The register counted no more than the slots beside the missing `hour` hold, although the same
/// hour of the day before shows use: the hour never was.
pub(super) fn nothing_lost(
    input: &DayInput<'_>,
    hour: (UtcTime, UtcTime),
    params: &Params,
) -> bool {
    let Some(window) = window(input.registers, input.day.start, input.day.end) else {
        return false;
    };
    if hour.0 < window.from || hour.1 > window.to {
        return false;
    }
    let use_of = |from, to, advance| {
        interval_sum_of(input, Window { from, to, advance, ..window }).filter(IntervalSum::is_whole)
    };
    let usual = use_of(
        hour.0.plus_seconds(-metering::time::DAY_S),
        hour.1.plus_seconds(-metering::time::DAY_S),
        0,
    );
    let before = use_of(window.from, hour.0, window.advance);
    let after = use_of(hour.1, window.to, window.advance);
    let (Some(usual), Some(before), Some(after)) = (usual, before, after) else { return false };
    let allowed =
        i128::from(tolerance(window, &before, params).max(tolerance(window, &after, params)));
    let missing = i128::from(window.advance) * before.len_us - before.scaled - after.scaled;
    missing.abs() <= allowed * before.len_us && usual.scaled > 4 * allowed * before.len_us
}

/// #14 REG-TOU, over reads that total and rates have at the same instants.
fn rate_sum(desk: &mut Desk<'_>) {
    let input = desk.input;
    let rates = input.around.rates;
    if rates.is_empty() {
        return;
    }
    let Some(total) = window(input.registers, input.day.start, input.day.end) else { return };
    let mut sum = 0_i64;
    for rate in rates {
        let of_rate = window(rate.points, input.day.start, input.day.end);
        let Some(rate) = of_rate.filter(|rate| (rate.from, rate.to) == (total.from, total.to))
        else {
            return;
        };
        sum = sum.saturating_add(rate.advance);
    }
    let registers = i64::try_from(rates.len()).unwrap_or(i64::MAX);
    let allowed = total.step.saturating_mul(desk.params.tou_steps).saturating_mul(registers);
    let difference = sum.saturating_sub(total.advance);
    let bounds = (total.from, total.to);
    if difference.saturating_abs() <= allowed {
        desk.say_of(Rule::TouSum, Saying::PASS, bounds);
    } else {
        desk.say_of(Rule::TouSum, Saying::fail(kind::ONLY, difference), bounds);
        desk.hold(HoldKind::TouSplit, Rule::TouSum, bounds);
    }
}

/// #15 REG-DELTA, for registers that are read about once a day or less often.
fn delta(desk: &mut Desk<'_>) {
    let input = desk.input;
    let daily = i64::from(input.channel.len_s) >= metering::time::DAY_S;
    if input.channel.kind != ChannelKind::Register || !daily || !input.is_consumption() {
        return;
    }
    let reads: Vec<&RegisterPoint> = input
        .registers
        .iter()
        .filter(|read| read.usable && read.read_at <= input.day.end)
        .collect();
    let [.., before, previous, now] = reads.as_slice() else { return };
    if now.read_at <= input.day.start {
        return;
    }
    let (Some(now_rate), Some(before_rate)) = (rate(previous, now), rate(before, previous)) else {
        return;
    };
    if now_rate == 0 {
        return;
    }
    let change = (now_rate - before_rate).abs();
    let percent = i64::try_from(change * 100 / now_rate).unwrap_or(i64::MAX);
    let kind = if now_rate > before_rate { kind::HIGH } else { kind::LOW };
    let matters = change > i128::from(super::usage::abs_min(input, desk.params));
    let over = |limit: i64| change * 100 > now_rate * i128::from(limit);
    if matters && over(desk.params.delta_fail_pct) {
        desk.say(Rule::Delta, Saying::fail(kind, percent));
        desk.hold(HoldKind::Interval, Rule::Delta, (input.day.start, input.day.end));
        (0..desk.places.len()).for_each(|at| desk.suspect(at, Rule::Delta));
    } else if matters && over(desk.params.delta_warn_pct) {
        desk.say(Rule::Delta, Saying::warn(kind, percent));
    } else {
        desk.say(Rule::Delta, Saying::PASS);
    }
}

/// Milli-units a day between two reads; `None` when the counter fell or stood for no time.
fn rate(from: &RegisterPoint, to: &RegisterPoint) -> Option<i128> {
    let micros = to.read_at.micros() - from.read_at.micros();
    let advance = to.value - from.value;
    (micros > 0 && advance >= 0).then(|| i128::from(advance) * 86_400_000_000 / i128::from(micros))
}
