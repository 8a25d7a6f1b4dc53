//! The one value that stands far above all others of the day: #16.

use metering::{Commodity, CustomerClass, DeviceFlags, Outcome, Tag};

use super::sums::SumSaid;
use super::verdict::{Desk, HoldKind, Saying};
use crate::params::Params;
use crate::rules::{Rule, kind};

/// Is the highest more than `percent` above the third highest, which is not 0? Strict, in integers:
/// `100 * (p1 - p3) > percent * p3`.
pub fn exceeds(highest: i64, third: i64, percent: i64) -> bool {
    let (highest, third) = (i128::from(highest), i128::from(third));
    third > 0 && 100 * (highest - third) > i128::from(percent) * third
}

/// The place that fails, when one does.
pub(super) fn failed(said: Option<&(usize, Saying)>) -> Option<usize> {
    said.filter(|(_, saying)| saying.outcome == Outcome::Fail).map(|(at, _)| *at)
}

/// A spike that the register confirms is real load; otherwise nobody may use it until it is looked
/// at (6.3, "out of range"). The demand is held in any case. `said` is what [`judge`] gave.
pub(super) fn check(desk: &mut Desk<'_>, said: Option<(usize, Saying)>, sum: SumSaid) {
    let Some((at, saying)) = said else { return };
    if saying.outcome != Outcome::Fail {
        desk.say(Rule::Spike, saying);
        return;
    }
    let interval = desk.interval(at);
    desk.hold(HoldKind::Demand, Rule::Spike, interval);
    if sum.confirms(interval) {
        desk.flag(at, Rule::Spike);
        desk.say(Rule::Spike, Saying::warn(kind::SPIKE_CONFIRMED, saying.detail));
    } else {
        desk.suspect(at, Rule::Spike);
        desk.say(Rule::Spike, saying);
    }
}

/// `None` when it cannot be evaluated; else the highest slot and what is said of it.
pub(super) fn judge(desk: &Desk<'_>) -> Option<(usize, Saying)> {
    let (input, params) = (desk.input, desk.params);
    let volume = matches!(input.meter.commodity, Commodity::Water | Commodity::Gas);
    if (volume && params.spike_volume == 0) || input.meter.has_tag(Tag::Ev) {
        return None;
    }
    if !input.is_consumption() {
        return None;
    }
    let values = candidates(desk);
    let (at, highest) = values.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    let slots = i64::try_from(values.len()).unwrap_or(i64::MAX);
    if slots < params.spike_slots_min {
        return None;
    }
    let mut sorted: Vec<i64> = values.iter().map(|(_, value)| *value).collect();
    sorted.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
    let third = sorted.get(2).copied()?;
    let len_s = i64::from(input.channel.len_s);
    if third == 0 {
        let cap = params.cap(input.channel.cap_per_hour, len_s);
        let alone = input.channel.cap_per_hour > 0 && highest > cap / 2;
        return alone.then_some((at, Saying::fail(kind::SPIKE_ALONE, highest)));
    }
    let floor = params.spike_floor_mw.saturating_mul(len_s) / 3600;
    let spike = highest >= floor && exceeds(highest, third, limit(input.meter.class, params));
    let saying = if spike { Saying::fail(kind::SPIKE_RATIO, highest) } else { Saying::PASS };
    Some((at, saying))
}

/// Usable values by place. The first interval after an outage is left out: cold load is real.
fn candidates(desk: &Desk<'_>) -> Vec<(usize, i64)> {
    let failed = |at: usize| desk.places[at].flags().contains(DeviceFlags::POWER_FAIL);
    (0..desk.places.len())
        .filter(|at| !failed(*at) && !at.checked_sub(1).is_some_and(failed))
        .filter_map(|at| Some((at, desk.places[at].actual()?)))
        .collect()
}

const fn limit(class: CustomerClass, params: &Params) -> i64 {
    match class {
        CustomerClass::Residential => params.spike_residential_pct,
        CustomerClass::LargeCommercial => params.spike_large_pct,
        _ => params.spike_small_pct,
    }
}
