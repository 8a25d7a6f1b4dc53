//! #38 WTR-CONT and #40 WTR-BURST: water that does not stop, and water that gushes.
//!
//! Both look at whole slots of the last 26 h in event time, each time a slot is filled. What is
//! estimated or suspect neither raises nor clears. Device leak flags are not used: they latch for
//! weeks (Neptune R900).

use metering::{ChannelNo, CustomerClass, Severity, Tag};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::water::{HOUR_BASE_MLPH, Water};
use crate::transition::Evidence;

/// Places where water flows day and night for good reason. More than eight dwellings are judged by
/// night flow per unit (#41), which needs the number of units.
const ALWAYS_TAGS: [Tag; 4] = [Tag::Hospital, Tag::CoolingTower, Tag::Fire, Tag::IrrigationOnly];
/// Places whose meter serves fires.
const FIRE_TAGS: [Tag; 2] = [Tag::Fire, Tag::Hydrant];
/// Places that draw much at times: only more than the meter is made for is a burst.
const THIRSTY_TAGS: [Tag; 3] = [Tag::PoolFill, Tag::Irrigation, Tag::IrrigationOnly];

/// More dwellings than this are judged by night flow.
const UNITS_MAX: u16 = 8;
const HOUR_S: i64 = 3_600;

/// A slot of the channel was filled: `slot` is its end over its length.
pub(crate) fn slot_filled(meter: &Meter, at: usize, slot: i64, env: &mut Env) {
    if !meter.is_customers() {
        return;
    }
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    continuous(meter, channel, (water, slot), env);
    burst(meter, channel, (water, slot), env);
}

/// Adds the hour of a slot to the meter's own hours, once it is whole.
pub(crate) fn note_hour(water: &mut Water, len_s: i64, slot: i64) {
    let rate = if len_s >= HOUR_S {
        water.get(slot).map(|value| value * HOUR_S / len_s)
    } else {
        let slots = HOUR_S / len_s;
        let last = (slot + slots - 1).div_euclid(slots) * slots;
        water.sum(last, slots)
    };
    if let Some(rate) = rate {
        water.hours.add(rate, HOUR_BASE_MLPH);
    }
}

fn key(meter: &Meter, channel: &Channel, rule: RuleId) -> AlertKey {
    AlertKey::of(meter.subject(), rule, Some(ChannelNo::new(channel.no)))
}

/// The last day without a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Continuous {
    /// Event time of the start of the window, in seconds.
    from: i64,
    /// Smallest whole hour, in mL/h.
    min_hour: i64,
    slots: i64,
}

/// Slots judged together: 2 h for coarse counters, which show no flow between two steps. 0: the
/// channel is too coarse in quantity or time.
fn slots_together(channel: &Channel, env: &Env) -> i64 {
    let len_s = channel.len();
    if len_s > 2 * HOUR_S || channel.resolution() > 10 * env.params.cont_coarse_ml {
        0
    } else if channel.resolution() >= env.params.cont_coarse_ml {
        (2 * HOUR_S / len_s).max(1)
    } else {
        1
    }
}

fn look_back(channel: &Channel, water: &Water, env: &Env) -> Option<Continuous> {
    let len_s = channel.len();
    let together = slots_together(channel, env);
    if together == 0 {
        return None;
    }
    let wanted = env.params.cont_window_h * HOUR_S / (len_s * together);
    if together == 1 && water.head.s() - water.last_zero.s() < wanted {
        return None;
    }
    let mut back = water.head.s().div_euclid(together) * together;
    let last = back;
    let mut slots = 0;
    while slots < wanted {
        if back - together < water.head.s() - water.slots_kept() {
            return None;
        }
        match water.sum(back, together) {
            Some(0) => return None,
            Some(_) => slots += 1,
            None => {}
        }
        back -= together;
    }
    // Whole hours of the window (two hours for coarse counters).
    let step = (HOUR_S / len_s).max(together);
    let first_end = (back + step).div_euclid(step) * step;
    let first_end = if first_end - step < back { first_end + step } else { first_end };
    let (mut min_hour, mut hours) = (i64::MAX, 0);
    for end in (first_end..=last).step_by(usize::try_from(step).unwrap_or(1)) {
        if let Some(sum) = water.sum(end, step) {
            min_hour = min_hour.min(sum * HOUR_S / (step * len_s));
            hours += step * len_s / HOUR_S;
        }
    }
    let from = back * len_s;
    (hours >= 20).then_some(Continuous { from, min_hour, slots })
}

fn continuous(meter: &Meter, channel: &Channel, (water, slot): (&Water, i64), env: &mut Env) {
    let many = meter.units > UNITS_MAX
        || (meter.units == 0 && meter.class == CustomerClass::MultiDwelling);
    let exempt = meter.tags.has_any(&ALWAYS_TAGS) || many;
    let key = key(meter, channel, RuleId::WTR_CONT);
    let active = env.book.get(&key).copied();
    if exempt && active.is_none() {
        return;
    }
    let found = look_back(channel, water, env).filter(|f| f.min_hour >= env.params.cont_min_mlph);
    let slot_end = slot * channel.len();
    let is_late_pause = slots_together(channel, env) == 1 && water.get(slot) == Some(0);
    if let Some(active) = active
        && is_late_pause
        && slot_end > active.start
        && slot_end <= active.until
    {
        // A late slot without flow within the day that raised it.
        env.book.retract(&key, env.at, &mut env.out);
        return;
    }
    let pause_end = pause_with(channel, water, slot, env);
    if let Some(active) = env.book.get_mut(&key)
        && let Some(end) = pause_end
        && active.mark == 0
        && end > active.start
    {
        active.mark = end;
    }
    if let (Some(found), false) = (found, exempt) {
        if let Some(active) = env.book.get_mut(&key) {
            active.mark = 0;
        }
        report_continuous(meter, channel, (water, found), env);
        return;
    }
    let mark = env.book.get(&key).map_or(0, |active| active.mark);
    if mark != 0 && channel.last_end.s() >= mark + env.params.cont_keep_for_h * HOUR_S {
        env.book.clear(&key, mark, env.at, &mut env.out);
    }
}

/// End of a pause of one hour that this slot is part of (two hours for coarse counters).
fn pause_with(channel: &Channel, water: &Water, slot: i64, env: &Env) -> Option<i64> {
    if water.get(slot) != Some(0) {
        return None;
    }
    let together = slots_together(channel, env).max(1);
    let slots = (env.params.cont_clear_s / channel.len()).max(1).max(together);
    (slot..slot + slots)
        .take_while(|last| *last <= water.head.s())
        .find(|last| water.sum(*last, slots) == Some(0))
        .map(|last| last * channel.len())
}

fn report_continuous(
    meter: &Meter,
    channel: &Channel,
    (water, found): (&Water, Continuous),
    env: &mut Env,
) {
    let params = &env.params;
    let severity = if found.min_hour > params.cont_p1_mlph {
        Severity::P1
    } else if found.min_hour >= params.cont_p2_mlph {
        Severity::P2
    } else if found.min_hour >= params.cont_p3_mlph {
        Severity::P3
    } else {
        Severity::P4
    };
    let len_s = channel.len();
    let known_pause = water.last_zero.s() != NEVER && slots_together(channel, env) == 1;
    let start =
        if known_pause { (water.last_zero.s() * len_s).min(found.from) } else { found.from };
    let mut report = Report::new(RuleId::WTR_CONT, meter.subject(), Cause::LeakCustomerSide, start);
    report.channel = Some(ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    report.severity = severity;
    report.until = water.head.s() * len_s;
    // P4 is for the record until the customer is told; old data are annunciated once they prove to
    // be of now.
    let told = report.until - start >= params.cont_notice_h * HOUR_S;
    report.annunciate =
        (severity < Severity::P4 || told) && env.is_timely(channel.last_end.s(), channel.lag_s);
    report.ranked.push((Cause::LeakIntermittent, -200));
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(found.from)),
        Evidence::instant("window_to", seconds(water.head.s() * len_s)),
        Evidence::milli("measured", found.min_hour, "L/h"),
        Evidence::milli("threshold", env.params.cont_min_mlph, "L/h"),
        Evidence::number("slots_with_flow", found.slots, "slots"),
        Evidence::milli("leak_per_day", found.min_hour * 24, "L"),
    ];
    finish(report, channel, env);
}

/// Says it, and looks again at the next tick when the data are old but not ancient.
pub(crate) fn finish(report: Report, channel: &Channel, env: &mut Env) {
    let key = report.key();
    let silent = !report.annunciate && report.severity < Severity::P4;
    let fresh = env.is_fresh(channel.last_end.s(), channel.lag_s);
    env.book.assert(report, env.at, &mut env.out);
    let pending = env.book.get(&key).is_some_and(|active| !active.annunciated);
    if silent && pending && fresh {
        env.timers.set(env.now, crate::timer::TimerKey::Annunciate(key));
    }
}

/// Timer: an alert that was raised from old data is still active, so it is true now.
pub(crate) fn annunciate(meter: &Meter, key: AlertKey, env: &mut Env) {
    let Some(active) = env.book.get(&key).copied() else { return };
    let channel = meter.channels.iter().find(|channel| channel.no == key.channel);
    let (Some(channel), Some(rule)) = (channel, RuleId::from_number(key.rule.get())) else {
        return;
    };
    // A leak that paused is about to clear.
    let pausing = rule == RuleId::WTR_CONT && active.mark != 0;
    if active.annunciated || pausing || !env.is_fresh(channel.last_end.s(), channel.lag_s) {
        return;
    }
    let mut report = Report::new(rule, key.subject, active.cause, active.start);
    report.channel = Some(ChannelNo::new(key.channel));
    report.commodity = active.commodity;
    report.severity = active.severity;
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(active.start)),
        Evidence::instant("window_to", seconds(channel.last_end.s())),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

/// Flow that is a burst for this meter, in mL/h; `None` while its own hours are too few and its
/// rated flow unknown.
fn burst_limit(meter: &Meter, water: &Water, env: &Env) -> Option<i64> {
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    if meter.tags.has_any(&THIRSTY_TAGS) {
        return (rated > 0).then_some(rated);
    }
    let params = &env.params;
    let own = if i64::from(water.hours.total()) >= params.burst_hours_min {
        water.hours.percentile(95, HOUR_BASE_MLPH) * params.burst_p95_times
    } else if rated == 0 {
        return None;
    } else {
        rated
    };
    Some(params.burst_min_mlph.max(rated * params.burst_q3_pct / 100).max(own))
}

fn burst(meter: &Meter, channel: &Channel, (water, slot): (&Water, i64), env: &mut Env) {
    if meter.tags.has_any(&FIRE_TAGS) {
        return;
    }
    let Some(limit) = burst_limit(meter, water, env) else { return };
    let len_s = channel.len();
    if len_s > 2 * HOUR_S {
        return;
    }
    let rate = |slot: i64| water.get(slot).map(|value| value * HOUR_S / len_s);
    let over = |slot: i64| rate(slot).is_some_and(|rate| rate > limit);
    let slots = (env.params.burst_for_s / len_s).max(1);
    let last = (slot..slot + slots)
        .take_while(|last| *last <= water.head.s())
        .find(|last| (0..slots).all(|back| over(last - back)));
    let key = key(meter, channel, RuleId::WTR_BURST);
    if let Some(last) = last {
        let mut first = last;
        while over(first - 1) {
            first -= 1;
        }
        let least = (0..slots).filter_map(|back| rate(last - back)).min().unwrap_or(limit);
        report_burst(meter, channel, (least, limit), (first, last), env);
        return;
    }
    if env.book.get(&key).is_none() {
        return;
    }
    let calm = (env.params.burst_clear_s / len_s).max(1);
    let below = |slot: i64| rate(slot).is_some_and(|rate| rate * 2 < limit);
    if (0..calm).all(|back| below(water.head.s() - back)) {
        let mut first = water.head.s();
        while below(first - 1) {
            first -= 1;
        }
        env.book.clear(&key, (first - 1) * len_s, env.at, &mut env.out);
    }
}

fn report_burst(
    meter: &Meter,
    channel: &Channel,
    (least, limit): (i64, i64),
    (first, last): (i64, i64),
    env: &mut Env,
) {
    let len_s = channel.len();
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    let start = (first - 1) * len_s;
    let mut report =
        Report::new(RuleId::WTR_BURST, meter.subject(), Cause::BurstCustomerSide, start);
    report.channel = Some(ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    report.severity = if rated > 0 && least > rated { Severity::P1 } else { Severity::P2 };
    report.annunciate = env.is_timely(last * len_s, channel.lag_s);
    report.ranked.push((Cause::LeakCustomerSide, -150));
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(start)),
        Evidence::instant("window_to", seconds(last * len_s)),
        Evidence::milli("measured", least, "L/h"),
        Evidence::milli("threshold", limit, "L/h"),
        Evidence::milli("rated", rated, "L/h"),
        Evidence::number("slots_over", last - first + 1, "slots"),
    ];
    finish(report, channel, env);
}
