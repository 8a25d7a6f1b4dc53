//! #50 GAS-CONT: gas flows without a pause when nothing is heated. #51 GAS-HIGH: more gas than the
//! place ever used, or than the meter is made for; perhaps an open pipe.
//!
//! Both look at whole hours. The months of the heating season are the common parameters of #18:
//! in them the first rule rests, since a boiler may run day and night.

use metering::{ChannelNo, Severity, Tag};

use super::water::finish;
use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::local::month_of;
use crate::rule::RuleId;
use crate::rules::stopped::is_heating;
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::sec::Sec;
use crate::state::water::{GasRun, HOUR_BASE_MLPH, Water};
use crate::stats::median;
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Newest days that say nothing of what is usual.
const OWN_LAST: i32 = 3;
const OWN_DAYS: i32 = 25;
const OWN_MIN: usize = 7;

/// A slot of the channel was filled: `slot` is its end over its length.
pub(crate) fn slot_filled(meter: &mut Meter, at: usize, slot: i64, env: &mut Env) {
    if !meter.is_customers() {
        return;
    }
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let len_s = channel.len();
    let slots = (HOUR_S / len_s).max(1);
    let last = (slot + slots - 1).div_euclid(slots) * slots;
    let Some(sum) = water.sum(last, slots) else { return };
    let rate = sum * HOUR_S / (slots * len_s);
    let hour = Hour { start: (last - slots) * len_s, end: last * len_s, rate };
    high(meter, at, hour, env);
    continuous(meter, at, hour, env);
}

/// A late slot without flow that is too old to be kept: it may break the run that raised the alert.
pub(crate) fn late_pause(meter: &Meter, at: usize, end: i64, env: &mut Env) {
    for rule in [RuleId::GAS_CONT, RuleId::WTR_CONT] {
        let Some(channel) = meter.channels.get(at) else { return };
        let key = key(meter, channel, rule);
        let within =
            env.book.get(&key).is_some_and(|active| end > active.start && end <= active.until);
        if within && channel.resolution() < env.params.cont_coarse_ml {
            env.book.retract(&key, env.at, &mut env.out);
        }
    }
}

/// A whole hour (or a longer slot), in seconds and mL/h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hour {
    start: i64,
    end: i64,
    rate: i64,
}

fn heats(hour: Hour, env: &Env) -> bool {
    let day = i32::try_from(hour.start.div_euclid(DAY_S)).unwrap_or(0);
    is_heating(month_of(day), &env.params)
}

fn key(meter: &Meter, channel: &Channel, rule: RuleId) -> AlertKey {
    AlertKey::of(meter.subject(), rule, Some(ChannelNo::new(channel.no)))
}

fn report(
    meter: &Meter,
    channel: &Channel,
    (rule, cause): (RuleId, Cause),
    (from, to): (i64, i64),
    env: &Env,
) -> Report {
    let mut report = Report::new(rule, meter.subject(), cause, from);
    report.channel = Some(ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    report.until = to;
    report.annunciate = env.is_timely(channel.last_end.s(), channel.lag_s);
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(to)),
    ];
    report
}

/// As the run of hours keeps it.
fn small(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// #50.
fn continuous(meter: &mut Meter, at: usize, hour: Hour, env: &mut Env) {
    let (heats, process) = (heats(hour, env), meter.tags.has(Tag::ProcessGas));
    let subject = meter.subject();
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let no = Some(ChannelNo::new(channel.no));
    let key = AlertKey::of(subject, RuleId::GAS_CONT, no);
    let newest = channel.last_end.s();
    let Some(water) = channel.water.as_deref_mut() else { return };
    // Until the least hour of ten days without heating is known nothing can be said.
    let Some(run) = water.gas.as_mut().filter(|run| run.limit != 0) else { return };
    let limit = i64::from(run.limit).max(env.params.gas_cont_mlph);
    if hour.rate <= limit || heats || process {
        if hour.end > run.from.s() {
            // A late hour may break a run that was thought whole.
            let whole = hour.end >= newest;
            run.from = if whole || run.from == Sec::NEVER { Sec::NEVER } else { Sec::of(hour.end) };
            run.hours = if whole { 0 } else { small((newest - hour.end) / HOUR_S) };
        }
        if hour.end >= newest {
            run.below += 1;
        }
        let below = i64::from(run.below);
        ease(key, hour, below, env);
        return;
    }
    if hour.end >= newest {
        run.below = 0;
    }
    if run.from == Sec::NEVER {
        (run.from, run.hours) = (Sec::of(hour.start), 0);
    }
    run.from = Sec::of(run.from.s().min(hour.start).max(hour.end - 90 * DAY_S));
    run.hours += 1;
    let run = **run;
    let span_h = (newest.max(hour.end) - run.from.s()) / HOUR_S;
    if let Some(active) = env.book.get_mut(&key)
        && hour.end >= newest
    {
        active.mark = 0;
    }
    if span_h < env.params.gas_cont_h || i64::from(run.hours) * 10 < span_h * 9 {
        return;
    }
    let Some(channel) = meter.channels.get(at) else { return };
    let rule = (RuleId::GAS_CONT, Cause::GasContinuousFlow);
    let mut report = report(meter, channel, rule, (run.from.s(), newest.max(hour.end)), env);
    report.severity = Severity::P2;
    report.evidence.push(Evidence::milli("measured", hour.rate, "L/h"));
    report.evidence.push(Evidence::milli("threshold", limit, "L/h"));
    report.evidence.push(Evidence::number("hours", span_h, "h"));
    finish(report, channel, env);
}

/// An hour at or below the limit: withdraws a run that it breaks, or begins to clear.
fn ease(key: AlertKey, hour: Hour, below: i64, env: &mut Env) {
    let Some(active) = env.book.get_mut(&key) else { return };
    if hour.start >= active.start && hour.end <= active.until {
        env.book.retract(&key, env.at, &mut env.out);
        return;
    }
    if active.mark == 0 && below >= env.params.gas_cont_clear_h {
        active.mark = hour.end - below * HOUR_S;
    }
    let mark = active.mark;
    if mark != 0 && hour.end >= mark + env.params.gas_cont_keep_h * HOUR_S {
        env.book.clear(&key, mark.max(0), env.at, &mut env.out);
    }
}

/// The 99th percentile of the meter's own hours, in mL/h, once there are enough. `None` also when
/// it lies in the open class of the largest.
fn own_p99(water: &Water, env: &Env) -> Option<i64> {
    let enough = i64::from(water.hours.total()) >= env.params.gas_high_hours_min;
    let open = water.hours.counts.last().is_some_and(|count| *count > 0);
    (enough && !open).then(|| water.hours.percentile(99, HOUR_BASE_MLPH))
}

/// #51.
fn high(meter: &Meter, at: usize, hour: Hour, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let params = &env.params;
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    let floor = if rated > 0 {
        rated / 100 * params.gas_high_floor_pct
    } else {
        params.gas_high_floor_mlph
    };
    let p99 = own_p99(water, env);
    let own = p99.map(|p99| (p99 * params.gas_high_p99_times).max(floor));
    let most = (rated > 0).then(|| rated / 100 * params.gas_high_qmax_pct);
    let Some(limit) = [own, most].into_iter().flatten().min() else { return };
    let key = key(meter, channel, RuleId::GAS_HIGH);
    if hour.rate > limit {
        let rule = (RuleId::GAS_HIGH, Cause::GasHighFlow);
        let mut report = report(meter, channel, rule, (hour.start, hour.end), env);
        report.severity = Severity::P1;
        report.evidence.push(Evidence::milli("measured", hour.rate, "L/h"));
        report.evidence.push(Evidence::milli("threshold", limit, "L/h"));
        report.evidence.push(Evidence::milli("rated", rated, "L/h"));
        finish(report, channel, env);
        return;
    }
    let Some(active) = env.book.get(&key).copied() else { return };
    // The percentile itself now holds the hours of the incident, so half the limit counts too.
    let calm = p99.unwrap_or(limit / 2).max(limit / 2);
    let slots = (env.params.gas_high_clear_h * HOUR_S / channel.len()).max(1);
    let below = water
        .sum(water.head.s(), slots)
        .is_some_and(|sum| sum * HOUR_S / (slots * channel.len()) < calm);
    let from = (water.head.s() - slots) * channel.len();
    if below && from >= active.start {
        env.book.clear(&key, from, env.at, &mut env.out);
    }
}

/// A local day closes: its least hour, and what the least hour of such days usually is.
pub(crate) fn note_day(channel: &mut Channel, (number, start, end): (i32, i64, i64), env: &Env) {
    if is_heating(month_of(number), &env.params) {
        return;
    }
    let len_s = channel.len();
    let Some(water) = channel.water.as_deref_mut() else { return };
    let slots = (HOUR_S / len_s).max(1);
    let step = usize::try_from(slots).unwrap_or(1);
    let hours: Vec<i64> = (start.div_euclid(len_s) + slots..=end.div_euclid(len_s))
        .step_by(step)
        .filter_map(|last| water.sum(last, slots))
        .collect();
    let Some(least) = hours.iter().min().filter(|_| hours.len() >= 20 || slots == 1) else {
        return;
    };
    let least = least * HOUR_S / (slots * len_s);
    water.nights.put(number, least);
    let mut own: Vec<i64> = water.nights.last(number - OWN_LAST, OWN_DAYS).collect();
    if own.len() < OWN_MIN {
        return;
    }
    let usual = median(&mut own);
    let run = water.gas.get_or_insert_with(|| Box::new(GasRun::NONE));
    run.limit = small(env.params.gas_cont_mlph.max(usual * env.params.gas_cont_times));
}
