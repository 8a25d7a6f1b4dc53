//! Active against reactive energy: #22.

use metering::{Commodity, CustomerClass};

use super::input::DaySlot;
use super::verdict::{Desk, HoldKind, Saying};
use crate::rules::{Rule, kind};

/// `kWh / sqrt(kWh^2 + kvarh^2)`, both in one milli-unit; 0 when both are 0. For display: the
/// decisions of #22 compare squares in integers.
#[expect(clippy::cast_precision_loss, reason = "a ratio for people; 53 bits are plenty")]
pub fn power_factor(active: i64, reactive: i64) -> f64 {
    let (active, reactive) = (active as f64, reactive as f64);
    let apparent = (active * active + reactive * reactive).sqrt();
    if apparent > 0.0 { active / apparent } else { 0.0 }
}

/// `active / apparent < permille / 1000`, in integers.
fn below(active: i64, reactive: i64, permille: i64) -> bool {
    let (p, q, limit) = (i128::from(active), i128::from(reactive), i128::from(permille));
    p * p * 1_000_000 < limit * limit * (p * p + q * q)
}

/// The largest per mille that the power factor reaches.
fn permille(active: i64, reactive: i64) -> Option<i16> {
    (active > 0).then(|| (1..=1000_i16).rfind(|pm| !below(active, reactive, i64::from(*pm))))?
}

pub(super) fn check(desk: &mut Desk<'_>) {
    let input = desk.input;
    let commercial = matches!(
        input.meter.class,
        CustomerClass::SmallCommercial | CustomerClass::LargeCommercial | CustomerClass::Municipal
    );
    let three_phase = input.meter.commodity == Commodity::Electricity
        && input.meter.detail.phases == 3
        && commercial;
    if !three_phase || input.around.reactive.is_empty() || !input.is_consumption() {
        return;
    }
    let pairs = pairs(desk);
    let today = of_day(&pairs);
    desk.summary.pf_permille = today.unwrap_or(0);
    let reactive_only = reactive_run(desk, &pairs);
    let jump = today.and_then(|today| jumped(desk, today));
    let peak = pairs.iter().map(|pair| pair.active).max().unwrap_or(0);
    let low: Vec<Pair> = pairs
        .iter()
        .filter(|pair| {
            i128::from(pair.active) * 100 > i128::from(peak) * i128::from(desk.params.pf_peak_pct)
        })
        .filter(|pair| below(pair.active, pair.reactive, desk.params.pf_min_permille))
        .copied()
        .collect();
    let saying = if let Some(worst) = low.iter().map(|p| permille(p.active, p.reactive)).min() {
        low.iter().for_each(|pair| desk.flag(pair.at, Rule::PowerFactor));
        Saying::fail(kind::PF_LOW, i64::from(worst.unwrap_or(0)))
    } else if let Some(today) = jump {
        Saying::fail(kind::PF_JUMP, i64::from(today))
    } else if let Some(ran) = reactive_only {
        Saying::fail(kind::PF_REACTIVE_ONLY, ran)
    } else if pairs.is_empty() {
        return;
    } else {
        Saying::PASS
    };
    if saying.outcome == metering::Outcome::Fail {
        desk.hold(HoldKind::Demand, Rule::PowerFactor, (input.day.start, input.day.end));
    }
    desk.say(Rule::PowerFactor, saying);
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    at: usize,
    active: i64,
    reactive: i64,
}

/// Intervals of the day that both channels have.
fn pairs(desk: &Desk<'_>) -> Vec<Pair> {
    let mut reactive = desk.input.around.reactive.iter().peekable();
    let mut pairs = Vec::with_capacity(desk.places.len());
    for (at, place) in desk.places.iter().enumerate() {
        while reactive.next_if(|slot| slot.end < place.end).is_some() {}
        let other = reactive.next_if(|slot| slot.end == place.end).and_then(DaySlot::actual);
        if let (Some(active), Some(reactive)) = (place.actual(), other) {
            pairs.push(Pair { at, active, reactive });
        }
    }
    pairs
}

fn of_day(pairs: &[Pair]) -> Option<i16> {
    let active = pairs.iter().fold(0_i64, |sum, pair| sum.saturating_add(pair.active));
    let reactive = pairs.iter().fold(0_i64, |sum, pair| sum.saturating_add(pair.reactive));
    permille(active, reactive)
}

/// Today's power factor when it is far from the median of the two weeks before; a day is the 24 h
/// that the change must last.
fn jumped(desk: &Desk<'_>, today: i16) -> Option<i16> {
    let history = desk.input.history;
    let mut before: Vec<i16> = history[history.len().saturating_sub(14)..]
        .iter()
        .filter(|day| day.failing.bits() & Rule::PowerFactor.mask().bits() == 0)
        .map(|day| day.pf_permille)
        .filter(|pf| *pf > 0)
        .collect();
    if before.len() < 5 {
        return None;
    }
    before.sort_unstable();
    let change = i64::from(today - before[before.len() / 2]).abs();
    (change > desk.params.pf_jump_permille).then_some(today)
}

/// Seconds of a run of reactive without active energy, when it is too long; the run may have begun
/// on the day before.
fn reactive_run(desk: &mut Desk<'_>, pairs: &[Pair]) -> Option<i64> {
    let len_s = i64::from(desk.input.channel.len_s);
    let mut since = desk.input.yesterday().and_then(|day| day.reactive_since);
    let mut longest = 0;
    for pair in pairs {
        let end = desk.places[pair.at].end;
        if pair.active == 0 && pair.reactive > 0 {
            let start = *since.get_or_insert(end.plus_seconds(-len_s));
            longest = longest.max(end.seconds_since(start));
        } else {
            since = None;
        }
    }
    desk.summary.reactive_since = since;
    (longest >= desk.params.pf_reactive_only_h * 3600).then_some(longest)
}
