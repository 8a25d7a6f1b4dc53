//! The same value again and again: #18 zero, #21 not zero.

use metering::{Commodity, DeviceFlags, Tag, UtcTime};

use super::input::{DaySlot, DaySummary};
use super::verdict::{Desk, HoldKind, Saying};
use crate::params::Params;
use crate::rules::{Rule, kind};

pub(super) fn check(desk: &mut Desk<'_>) {
    if !desk.input.is_consumption() {
        return;
    }
    let runs = walk(desk);
    zero(desk, &runs);
    flat(desk, &runs);
    desk.summary.zero_since = runs.zero_since;
    desk.summary.zero_longest_s = runs.zero_longest_s;
    desk.summary.flat_since = runs.flat_since;
    desk.summary.flat_value = runs.flat_value;
    desk.summary.flat_slots = runs.flat_slots;
}

/// Runs up to the end of the day. What is missing neither lengthens nor ends a run.
#[derive(Clone, Debug, Default)]
struct Runs {
    zero_since: Option<UtcTime>,
    zero_longest_s: i32,
    /// Of each place at zero: for how long it had been.
    zero_at: Vec<(usize, i64)>,
    other_slots: usize,
    flat_since: Option<UtcTime>,
    flat_value: i64,
    flat_slots: i32,
    /// Of each place: in how many slots the value had been the same.
    flat_at: Vec<(usize, i32)>,
}

impl Runs {
    fn after(yesterday: Option<&DaySummary>) -> Self {
        yesterday.map_or_else(Self::default, |day| Self {
            zero_since: day.zero_since,
            flat_since: day.flat_since,
            flat_value: day.flat_value,
            flat_slots: day.flat_slots,
            ..Self::default()
        })
    }

    fn zero(&mut self, at: usize, (start, end): (UtcTime, UtcTime), value: i64, outage: bool) {
        if value == 0 && !outage {
            let since = *self.zero_since.get_or_insert(start);
            self.zero_at.push((at, end.seconds_since(since)));
            return;
        }
        self.other_slots += usize::from(value != 0);
        if let Some(since) = self.zero_since.take() {
            let ran = i32::try_from(start.seconds_since(since)).unwrap_or(i32::MAX);
            self.zero_longest_s = self.zero_longest_s.max(ran);
        }
    }

    fn flat(&mut self, at: usize, start: UtcTime, value: i64) {
        if self.flat_since.is_none() || self.flat_value != value {
            self.flat_since = Some(start);
            self.flat_value = value;
            self.flat_slots = 0;
        }
        self.flat_slots = self.flat_slots.saturating_add(1);
        self.flat_at.push((at, self.flat_slots));
    }
}

fn walk(desk: &Desk<'_>) -> Runs {
    let len_s = i64::from(desk.input.channel.len_s);
    let mut runs = Runs::after(desk.input.yesterday());
    for (at, place) in desk.places.iter().enumerate() {
        let Some(value) = place.actual() else { continue };
        let start = place.end.plus_seconds(-len_s);
        let outage = place.flags().contains(DeviceFlags::POWER_FAIL);
        runs.zero(at, (start, place.end), value, outage);
        runs.flat(at, start, value);
    }
    if runs.flat_at.is_empty() {
        // A silent day is no day at zero: the run goes on as long as it was.
        let day_s = desk.input.day.len_s();
        runs.zero_since = runs.zero_since.map(|since| since.plus_seconds(day_s));
    }
    runs
}

/// #18 INT-ZERO. A recorded zero is a valid value, so the slots are flagged and held but not
/// suspect: nothing is estimated in their place before someone has looked.
fn zero(desk: &mut Desk<'_>, runs: &Runs) {
    let input = desk.input;
    let idle = [Tag::Vacant, Tag::Seasonal, Tag::Fire, Tag::Hydrant, Tag::IrrigationOnly];
    if idle.iter().any(|tag| input.meter.has_tag(*tag))
        || input.around.switched_off
        || !input.meter.account_active
    {
        return;
    }
    let limit_s = zero_limit_s(desk);
    let ran = runs.zero_at.iter().map(|(_, ran)| *ran).max().unwrap_or(0);
    if ran >= limit_s {
        let kind = if input.around.voltage_present { kind::ZERO_LIVE } else { kind::ONLY };
        desk.say(Rule::Zero, Saying::fail(kind, ran));
        desk.hold(HoldKind::Interval, Rule::Zero, (input.day.start, input.day.end));
        // The zeros beyond the limit, whether the run goes on or has ended by now.
        let beyond = runs.zero_at.iter().filter(|(_, ran)| *ran > limit_s);
        beyond.for_each(|(at, _)| desk.flag(*at, Rule::Zero));
    } else if runs.other_slots >= 2.min(desk.places.len()) {
        desk.say(Rule::Zero, Saying::PASS);
    }
}

/// `clamp(3 * q99 of this meter's zero runs in 90 days, least of the commodity, most)`. Each day
/// gives its longest run that ended.
fn zero_limit_s(desk: &Desk<'_>) -> i64 {
    let params = desk.params;
    let mut runs: Vec<i32> =
        desk.input.history.iter().map(|day| day.zero_longest_s).filter(|run| *run > 0).collect();
    runs.sort_unstable();
    // Nearest rank: of up to 91 runs the longest or, from 101 on, the one that 1 % exceed.
    let rank = (runs.len() * 99).div_ceil(100);
    let usual = rank.checked_sub(1).and_then(|at| runs.get(at)).copied().unwrap_or(0);
    let least_h = zero_min_h(desk).min(params.zero_max_h);
    (i64::from(usual) * params.zero_factor).clamp(least_h * 3600, params.zero_max_h * 3600)
}

fn zero_min_h(desk: &Desk<'_>) -> i64 {
    let params = desk.params;
    match desk.input.meter.commodity {
        Commodity::Electricity => params.zero_min_electricity_h,
        Commodity::Water => params.zero_min_water_h,
        Commodity::Gas | Commodity::Heat if heating(desk, params) => params.zero_min_heating_h,
        Commodity::Gas | Commodity::Heat => params.zero_min_summer_h,
    }
}

fn heating(desk: &Desk<'_>, params: &Params) -> bool {
    let month = i64::from(desk.input.day.date.month());
    let (from, to) = (params.heating_from_month, params.heating_to_month);
    if from <= to { (from..=to).contains(&month) } else { month >= from || month <= to }
}

/// #21 INT-FLAT.
fn flat(desk: &mut Desk<'_>, runs: &Runs) {
    let steady = [Tag::StreetLight, Tag::Telecom, Tag::CoolingTower, Tag::Hospital];
    if steady.iter().any(|tag| desk.input.meter.has_tag(*tag)) || runs.flat_at.is_empty() {
        return;
    }
    let stuck: Vec<(usize, i64)> = runs
        .flat_at
        .iter()
        .filter(|(at, slots)| is_stuck(desk, *at, *slots))
        .map(|(at, slots)| (*at, seen_s(desk, *slots)))
        .collect();
    if let Some(ran) = stuck.iter().map(|(_, ran)| *ran).max() {
        desk.say(Rule::Flat, Saying::fail(kind::FLAT_IDENTICAL, ran));
        desk.hold(HoldKind::Interval, Rule::Flat, (desk.input.day.start, desk.input.day.end));
        stuck.into_iter().for_each(|(at, _)| desk.suspect(at, Rule::Flat));
    } else if let Some(mean) = narrow_spread(desk) {
        desk.say(Rule::Flat, Saying::fail(kind::FLAT_SPREAD, mean));
        desk.hold(HoldKind::Interval, Rule::Flat, (desk.input.day.start, desk.input.day.end));
        (0..desk.places.len()).for_each(|at| desk.suspect(at, Rule::Flat));
    } else if differing(desk) >= 4.min(desk.places.len()) {
        desk.say(Rule::Flat, Saying::PASS);
    }
}

/// Identical values in fewer slots than clear the rule are chance: two days of a daily meter are
/// often alike.
const STUCK_SLOTS_MIN: i32 = 4;

fn is_stuck(desk: &Desk<'_>, at: usize, slots: i32) -> bool {
    let params = desk.params;
    let few = slots < STUCK_SLOTS_MIN
        || desk.input.meter.commodity == Commodity::Electricity
            && i64::from(desk.input.channel.len_s) < metering::time::DAY_S
            && i64::from(slots) < params.flat_slots_electricity;
    let value = desk.places[at].actual().unwrap_or(0);
    seen_s(desk, slots) >= params.flat_h * 3600 && !few && value > quanta(desk)
}

/// How long so many slots are: what is missing between them is nothing that was the same.
fn seen_s(desk: &Desk<'_>, slots: i32) -> i64 {
    i64::from(slots) * i64::from(desk.input.channel.len_s)
}

/// Values up to here are a matter of the counter's step.
fn quanta(desk: &Desk<'_>) -> i64 {
    desk.input.channel.resolution.max(1).saturating_mul(desk.params.flat_steps)
}

/// Slots of the day whose value differs from the one before.
fn differing(desk: &Desk<'_>) -> usize {
    let values: Vec<i64> = desk.places.iter().filter_map(super::verdict::Place::actual).collect();
    values.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// The mean of this day and the one before when their spread is below 0.5 % of it. In integers:
/// `(n sum(x^2) - S^2) * 10^6 < 5^2 S^2`. Both days must be complete.
fn narrow_spread(desk: &Desk<'_>) -> Option<i64> {
    let input = desk.input;
    let day_slots = desk.places.len();
    if i64::from(input.channel.len_s) > 3600 || day_slots == 0 {
        return None;
    }
    let since = input.day.end.plus_seconds(-2 * metering::time::DAY_S);
    let values: Vec<i128> = input
        .slots
        .iter()
        .filter(|slot| slot.end > since)
        .map(DaySlot::actual)
        .collect::<Option<Vec<i64>>>()?
        .into_iter()
        .map(i128::from)
        .collect();
    let n = i128::try_from(values.len()).ok()?;
    let whole = 2 * metering::time::DAY_S / i64::from(input.channel.len_s.max(1));
    if n != i128::from(whole) {
        return None;
    }
    let sum: i128 = values.iter().sum();
    let squares: i128 = values.iter().map(|value| value * value).sum();
    let mean = i64::try_from(sum / n).ok()?;
    let limit = i128::from(desk.params.flat_spread_permille);
    let narrow = (n * squares - sum * sum) * 1_000_000 < limit * limit * sum * sum;
    (mean > quanta(desk) && narrow).then_some(mean)
}
