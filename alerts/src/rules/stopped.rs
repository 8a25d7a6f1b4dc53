//! #30 MTR-STOP: the register stands still while the module lives, with the zero-run limits of #18.
//!
//! Points: the zero run 2, the module alive 1, usually used 1, account active 1, current behind a
//! register that stands (electricity) 1, water flowed without a pause until it stood still 1,
//! vacant minus 3, cut off minus 4. Neighbours give no points. A place where nobody is in (another
//! commodity not used either, or the electricity down to a fifth) is no stopped meter. A meter that
//! never showed use, or less than a week of it, is not evaluable.
//!
//! #53 GAS-ZERO is the same run of a gas meter in the heating season, without points.

use metering::{CustomerClass, Severity, Tag};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::local::month_of;
use crate::params::Params;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::channel::{Channel, RUN_BASE_S};
use crate::state::days::{OpenDay, Slot};
use crate::state::meter::Meter;
use crate::state::rare::Rare;
use crate::transition::Evidence;

/// Places where no use is nothing strange.
const IDLE_TAGS: [Tag; 4] = [Tag::Seasonal, Tag::IrrigationOnly, Tag::Fire, Tag::Hydrant];
/// Both end with an exchange.
const RULES: [RuleId; 2] = [RuleId::MTR_STOP, RuleId::GAS_ZERO];
const HALF_LIFE_DAYS: i32 = 45;
const DAY_S: i64 = 86_400;

/// A local day of the channel closes: lengths of its zero runs, and whether it was used.
pub(crate) fn day_closes(
    channel: &mut Channel,
    commodity: metering::Commodity,
    day: &OpenDay,
    env: &Env,
) {
    for index in 0..usize::from(day.slots) {
        match day.slot(index) {
            Slot::Zero => channel.run_carry = channel.run_carry.saturating_add(1),
            Slot::Flow => {
                if channel.run_carry > 0 {
                    let run_s = i64::from(channel.run_carry) * channel.len();
                    channel.runs.add(run_s, RUN_BASE_S);
                }
                channel.run_carry = 0;
            }
            Slot::Missing | Slot::Bad => {}
        }
    }
    if i64::from(day.good) * 100 >= i64::from(day.slots) * env.params.var_coverage_pct {
        if day.sum == 0 {
            channel.idle_days = channel.idle_days.saturating_add(1);
        } else {
            channel.judged_days =
                channel.judged_days.saturating_add(channel.idle_days).saturating_add(1);
            channel.used_days = channel.used_days.saturating_add(1);
            channel.idle_days = 0;
        }
    }
    if channel.judged_days > 730 {
        channel.judged_days /= 2;
        channel.used_days /= 2;
    }
    if day.number % HALF_LIFE_DAYS == 0 {
        channel.runs.halve();
    }
    channel.zero_limit_s = limit_s(channel, commodity, day.number, env);
}

/// The heating season by the calendar.
pub(crate) fn is_heating(month: u8, params: &Params) -> bool {
    let (from, to) = (params.heating_from_month, params.heating_to_month);
    let month = i64::from(month);
    if from <= to { (from..=to).contains(&month) } else { month >= from || month <= to }
}

/// `clamp(3 * q99(own zero runs), z_min, z_max)` of #18, in seconds; 0 = not evaluable.
fn limit_s(channel: &Channel, commodity: metering::Commodity, day: i32, env: &Env) -> i32 {
    let params = &env.params;
    if i64::from(channel.judged_days) < params.stop_days_min {
        return 0;
    }
    let heating = is_heating(month_of(day), params);
    let least_h = match commodity {
        metering::Commodity::Electricity => params.stop_electricity_h,
        metering::Commodity::Gas if heating => params.stop_gas_heating_h,
        metering::Commodity::Gas => params.stop_gas_summer_h,
        metering::Commodity::Water | metering::Commodity::Heat => params.stop_water_h,
    };
    let own = channel.runs.percentile(99, RUN_BASE_S) * params.stop_q99_times;
    let most_s = (params.stop_max_h * 3_600).max(least_h * 3_600);
    i32::try_from(own.clamp(least_h * 3_600, most_s)).unwrap_or(i32::MAX)
}

/// The newest value is a zero: is the run long enough by now?
pub(crate) fn judge(meter: &Meter, at: usize, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let limit_s = i64::from(channel.zero_limit_s);
    if limit_s == 0 || channel.last_end.s() - channel.last_flow.s() < limit_s {
        return;
    }
    let run_s = channel.zero_run_s();
    if run_s < limit_s || meter.tags.has_any(&IDLE_TAGS) || !meter.is_customers() {
        return;
    }
    let from_day = env.zones.day_at(meter.zone, channel.last_flow.s() - 1).number;
    if env.premises.is_empty_since(meter.premises, meter.commodity, from_day) {
        return;
    }
    gas_zero(meter, channel, (run_s, limit_s), env);
    let alive = env.now - meter.heard_at.s() <= (3 * meter.cadence_s()).max(86_400);
    let used = i64::from(channel.used_days) * 365
        >= i64::from(channel.judged_days) * env.params.stop_used_days_of_365;
    let ran_before = ran_until_it_stopped(meter, channel);
    let vacant = meter.tags.has(Tag::Vacant);
    let loaded = meter.rare().is_some_and(|rare| rare.load_at > channel.last_flow.s());
    let cut = meter.rare().is_some_and(Rare::is_cut);
    // Its neighbours on the line have power, as far as anybody said.
    let fed = (meter.transformer != 0)
        .then(|| metering::Subject::Transformer(metering::TransformerId::new(meter.transformer)));
    let neighbours = fed
        .and_then(|node| env.network.nodes.get(&node))
        .is_some_and(|node| node.members.len() > 2 && node.out_from == NEVER);
    let score = 2
        + i64::from(loaded)
        + i64::from(neighbours)
        + i64::from(alive)
        + i64::from(used)
        + i64::from(meter.is_account_active())
        + i64::from(ran_before)
        - if vacant { 3 } else { 0 }
        - if cut { 4 } else { 0 };
    if score < env.params.stop_score_min {
        return;
    }
    let mut report =
        Report::new(RuleId::MTR_STOP, meter.subject(), Cause::StoppedMeter, channel.last_flow.s());
    report.channel = Some(metering::ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    report.severity = Severity::P2;
    report.until = channel.last_end.s();
    report.ranked.push((Cause::Vacant, if used { -150 } else { 0 }));
    report.annunciate = env.is_timely(channel.last_end.s(), channel.lag_s)
        || env.is_fresh(channel.last_end.s(), channel.lag_s);
    report.evidence = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(channel.last_flow.s())),
        Evidence::instant("window_to", seconds(channel.last_end.s())),
        Evidence::new("measured", run_s, "s", format!("{} h without consumption", run_s / 3_600)),
        Evidence::new("threshold", limit_s, "s", format!("limit {} h", limit_s / 3_600)),
        Evidence::number("score", score, "points"),
        Evidence::number("neighbours_normal", i64::from(neighbours), ""),
        Evidence::number("days_with_use", i64::from(channel.used_days), "days"),
        Evidence::number("days_known", i64::from(channel.judged_days), "days"),
    ];
    if meter.class == CustomerClass::LargeCommercial {
        report.evidence.push(Evidence::number("large_customer", 1, ""));
    }
    env.book.assert(report, env.at, &mut env.out);
}

/// Water that flowed for half a day without a pause before it stood still.
fn ran_until_it_stopped(meter: &Meter, channel: &Channel) -> bool {
    if meter.commodity != metering::Commodity::Water {
        return false;
    }
    channel.water.as_ref().is_some_and(|water| {
        let slots = 43_200 / channel.len().min(43_200);
        let last = channel.last_flow.s().div_euclid(channel.len());
        water.last_zero.s() != NEVER
            && water.sum(last, slots).is_some_and(|sum| sum > 0)
            && (0..slots).all(|back| water.get(last - back).is_some_and(|value| value > 0))
    })
}

/// #53.
fn gas_zero(meter: &Meter, channel: &Channel, (run_s, limit_s): (i64, i64), env: &mut Env) {
    let day = env.zones.day_at(meter.zone, channel.last_end.s() - 1).number;
    let closed = meter.rare().is_some_and(Rare::is_cut) || meter.tags.has(Tag::Vacant);
    let gas = meter.commodity == metering::Commodity::Gas;
    if !gas || closed || !is_heating(month_of(day), &env.params) {
        return;
    }
    let rule = (RuleId::GAS_ZERO, Cause::StoppedMeter);
    let mut report =
        super::device::report(meter, rule, (channel.last_flow.s(), channel.last_end.s()), env);
    report.channel = Some(metering::ChannelNo::new(channel.no));
    report.severity = Severity::P3;
    report.evidence.push(Evidence::number("measured", run_s / 3_600, "h"));
    report.evidence.push(Evidence::number("threshold", limit_s / 3_600, "h"));
    env.book.assert(report, env.at, &mut env.out);
}

/// A slot with use that ends at `end`.
pub(crate) fn flows(meter: &Meter, at: usize, (end, late): (i64, bool), env: &mut Env) {
    if late {
        late_use(meter, at, end, env);
    }
    if meter.commodity == metering::Commodity::Gas {
        gas_flows(meter, at, end, env);
    }
}

/// #53 is over with the second slot with use within a day, as #18 is.
fn gas_flows(meter: &Meter, at: usize, end: i64, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let no = metering::ChannelNo::new(channel.no);
    let key = AlertKey::of(meter.subject(), RuleId::GAS_ZERO, Some(no));
    let Some(active) = env.book.get_mut(&key).filter(|active| end > active.until) else { return };
    let (first, second) = (active.mark.min(end), active.mark.max(end));
    if active.mark == 0 || second - first > DAY_S {
        active.mark = second;
    } else if first < second {
        env.book.clear(&key, first - channel.len(), env.at, &mut env.out);
    }
}

/// A late value shows use within the run that raised the alert: it never stood still so long.
fn late_use(meter: &Meter, at: usize, end: i64, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let no = metering::ChannelNo::new(channel.no);
    for rule in RULES {
        let key = AlertKey::of(meter.subject(), rule, Some(no));
        let within =
            env.book.get(&key).is_some_and(|active| end > active.start && end <= active.until);
        if within {
            env.book.retract(&key, env.at, &mut env.out);
        }
    }
}

/// A day closed while #30 is active: three days with use clear it.
pub(crate) fn note_day(
    meter: &mut Meter,
    at: usize,
    (used, day_start): (bool, i64),
    env: &mut Env,
) {
    let subject = meter.subject();
    let Some(channel) = meter.channels.get_mut(at) else { return };
    let no = metering::ChannelNo::new(channel.no);
    let key = AlertKey::of(subject, RuleId::MTR_STOP, Some(no));
    let Some(active) = env.book.get_mut(&key) else {
        channel.return_days = 0;
        return;
    };
    if active.mark == 0 {
        // Days counted before belong to an alert that is gone.
        channel.return_days = 0;
    }
    if !used || day_start < active.start {
        return;
    }
    if channel.return_days == 0 {
        active.mark = day_start;
    }
    channel.return_days += 1;
    if i64::from(channel.return_days) < env.params.stop_return_days {
        return;
    }
    channel.return_days = 0;
    let end = active.mark.max(active.start);
    env.book.clear(&key, end, env.at, &mut env.out);
}

/// Another meter hangs there since `at`.
pub(crate) fn exchanged(meter: &mut Meter, at: i64, env: &mut Env) {
    let subject = meter.subject();
    for channel in &mut meter.channels {
        channel.return_days = 0;
        for rule in RULES {
            let key = AlertKey::of(subject, rule, Some(metering::ChannelNo::new(channel.no)));
            if env.book.get(&key).is_some_and(|active| active.start <= at) {
                env.book.clear(&key, at, env.at, &mut env.out);
            }
        }
    }
}
