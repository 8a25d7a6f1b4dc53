//! #25 VAR-HIGH and #26 VAR-LOW: a local day against the meter's own days of the same type.
//!
//! `z = 0.6745 * (x - med) / max(MAD, 5 % of med)` over the last 35 valid days of the same type
//! (weekday, weekend) within eight weeks; fewer than 14: not evaluable. High: z > 4.5 on 2 of 3
//! days or z > 8 once. Low: z < -4.5 on 3 of 4 days. Clears after two days with |z| < 2.5.
//!
//! Our decisions, all `default`: a finding waits until the whole group (commodity and zone) has had
//! time to close the day; if more than 5 % of it, and three at least, are strange on the same day,
//! it is the weather and only one notice is given. Where the whole group has moved by 10 % or more
//! on
//! that day (its median of use over usual use; where the log brings no temperatures the group stands
//! for degree days), a meter is strange only if it also stands out from the group, with the group's
//! own spread: by the z of a single high day, or of low days. High use opens an issue P3, so that
//! staff see it, unless a leak alert explains it; low use does so only when three weekdays are low,
//! something is used on them and the address is not empty. Holidays are compared with holidays.

use metering::{Commodity, Severity, Subject, Tag};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::{Cause, Family};
use crate::env::Env;
use crate::groups::{GroupDay, Moved};
use crate::local::is_weekend;
use crate::rule::RuleId;
use crate::state::channel::Channel;
use crate::state::days::{DAYS, DayClass, DayRing};
use crate::state::meter::Meter;
use crate::state::weather::{degrees, slope};
use crate::stats::{median_mad, robust_z_x100};
use crate::timer::TimerKey;
use crate::transition::{Evidence, milli_text};

/// Places whose days differ by nature.
const EXEMPT_TAGS: [Tag; 9] = [
    Tag::Ev,
    Tag::Pv,
    Tag::NetMeter,
    Tag::PoolFill,
    Tag::Irrigation,
    Tag::IrrigationOnly,
    Tag::Seasonal,
    Tag::Vacant,
    Tag::Fire,
];

/// How a day compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Compared {
    class: DayClass,
    pub(crate) z_x100: i64,
    pub(crate) median: i64,
    pub(crate) mad: i64,
    pub(crate) days: i64,
    /// Share of the spread that the weather explains, in thousandths, where it was adjusted for.
    weather: Option<i64>,
}

/// Weekday, weekend or holiday: days of one type are compared.
fn day_type(number: i32, env: &Env) -> u8 {
    if env.active.is_holiday(number) { 2 } else { u8::from(is_weekend(number)) }
}

/// How a day compares with those of its type before it; `area` is the network zone, for the
/// weather. `None`: not evaluable.
pub(crate) fn compare(days: &DayRing, number: i32, area: i32, env: &Env) -> Option<Compared> {
    let x = days.total(number)?;
    let params = &env.params;
    let most = usize::try_from(params.var_days_max).unwrap_or(35);
    let kind = day_type(number, env);
    let own: Vec<(i32, i64)> = (number - DAYS..number)
        .rev()
        .filter(|day| day_type(*day, env) == kind)
        .filter_map(|day| Some((day, days.total(day)?)))
        .take(most)
        .collect();
    let days = i64::try_from(own.len()).unwrap_or(0);
    if days < params.var_days_min {
        return None;
    }
    let (mut totals, weather) = as_of_the_day(&own, (number, area), env);
    let (median, mad) = median_mad(&mut totals);
    let z_x100 = robust_z_x100(x, median, mad, params.var_floor_pct)?;
    let class = if z_x100 > params.var_z_once_x100 {
        DayClass::VeryHigh
    } else if z_x100 > params.var_z_high_x100 {
        DayClass::High
    } else if z_x100 < -params.var_z_low_x100 {
        DayClass::Low
    } else if z_x100.abs() < params.var_z_clear_x100 {
        DayClass::Inside
    } else {
        DayClass::Between
    };
    Some(Compared { class, z_x100, median, mad, days, weather })
}

/// The totals as they would have been at the temperature of day `number`, and the share of their
/// spread that degree days explain, in thousandths. As they are when no temperatures are known or
/// they explain too little.
fn as_of_the_day(
    own: &[(i32, i64)],
    (number, area): (i32, i32),
    env: &Env,
) -> (Vec<i64>, Option<i64>) {
    let params = &env.params;
    let plain = || own.iter().map(|(_, total)| *total).collect();
    let limits = (params.weather_heat_below_cc, params.weather_cool_above_cc);
    let of = |day| env.network.weather.mean(area, day).map(|centi| degrees(centi, limits));
    let Some(today) = of(number) else { return (plain(), None) };
    let mut best: Option<((i128, i128, i128), usize)> = None;
    for which in 0..today.len() {
        let known: Vec<(i64, i64)> =
            own.iter().filter_map(|(day, total)| Some((of(*day)?[which], *total))).collect();
        // A day without its temperature cannot be moved: all or none.
        if known.len() < own.len() {
            return (plain(), None);
        }
        if let Some(found) = slope(&known, params.weather_r2_pct)
            && best.is_none_or(|(best, _)| found.2 > best.2)
        {
            best = Some((found, which));
        }
    }
    let Some(((above, below, share), which)) = best else { return (plain(), None) };
    let moved = own.iter().map(|(day, total)| {
        let warmer = of(*day).map_or(0, |degrees| today[which] - degrees[which]);
        let by = above.saturating_mul(i128::from(warmer)) / below;
        let total = (i128::from(*total) + by).clamp(0, i128::from(i64::MAX / 1_000));
        i64::try_from(total).unwrap_or(i64::MAX / 1_000)
    });
    (moved.collect(), i64::try_from(share).ok())
}

/// First day of the condition when the high rule holds as of `number`.
fn holds_high(days: &DayRing, number: i32) -> Option<i32> {
    let high = |class| matches!(class, DayClass::High | DayClass::VeryHigh);
    if !high(days.class(number)) {
        return None;
    }
    let last: Vec<i32> =
        days.judged(number).take(3).filter(|(_, class)| high(*class)).map(|(day, _)| day).collect();
    (last.len() >= 2 || days.class(number) == DayClass::VeryHigh)
        .then(|| last.last().copied().unwrap_or(number))
}

/// First low day and the number of low weekdays when the low rule holds as of `number`.
fn holds_low(days: &DayRing, number: i32) -> Option<(i32, i64)> {
    if days.class(number) != DayClass::Low {
        return None;
    }
    let low: Vec<i32> = days
        .judged(number)
        .take(4)
        .filter(|(_, class)| *class == DayClass::Low)
        .map(|(day, _)| day)
        .collect();
    // Without any use it is an empty place or a stopped meter (#18, #30).
    let some = |day: &&i32| !is_weekend(**day) && days.total(**day) != Some(0);
    let weekdays = low.iter().filter(some).count();
    let first = *low.last()?;
    (low.len() >= 3).then_some((first, i64::try_from(weekdays).unwrap_or(0)))
}

fn holds(rule: RuleId, days: &DayRing, number: i32) -> bool {
    if rule == RuleId::VAR_HIGH {
        holds_high(days, number).is_some()
    } else {
        holds_low(days, number).is_some()
    }
}

fn key(subject: Subject, rule: RuleId, channel: &Channel) -> AlertKey {
    AlertKey::of(subject, rule, Some(metering::ChannelNo::new(channel.no)))
}

/// A day of the channel closed.
pub(crate) fn day_closed(meter: &mut Meter, places: (u32, usize), number: i32, env: &mut Env) {
    let others = !meter.is_customers();
    let Some(compared) = judge(meter, places.1, number, env) else { return };
    if others || meter.tags.has_any(&EXEMPT_TAGS) {
        return;
    }
    let meter = &*meter;
    let Some(channel) = meter.channels.get(places.1) else { return };
    clear_if_inside((meter.subject(), meter.zone), channel, number, env);
    let group_no = env.groups.number_of(meter.commodity, meter.zone);
    let day = env.zones.day(meter.zone, number);
    let due = day.end + hold_s(meter.commodity, group_no, env);
    let Some(group) = env.groups.get_mut(group_no) else { return };
    let oldest = group.decided.keys().next().copied();
    if group.decided.contains_key(&number) || oldest.is_some_and(|oldest| number < oldest) {
        // The group has decided this day already; a late finding stands alone.
        raise_if_held(meter, places.1, number, env);
        return;
    }
    let first = !group.days.contains_key(&number);
    let found = group.days.entry(number).or_default();
    found.judged += 1;
    found.crowd.note(channel.days.total(number).unwrap_or_default(), compared.median);
    let who = (places.0, u8::try_from(places.1).unwrap_or(u8::MAX));
    if holds_high(&channel.days, number).is_some() {
        found.high.push(who);
    }
    if holds_low(&channel.days, number).is_some() {
        found.low.push(who);
    }
    if first {
        env.timers.set(due, TimerKey::Variance { group: group_no, day: number });
    }
}

/// Puts the class of a day into the ring. `None` when it could not be judged.
fn judge(meter: &mut Meter, at: usize, number: i32, env: &Env) -> Option<Compared> {
    let channel = meter.channels.get_mut(at)?;
    let compared = compare(&channel.days, number, meter.network_zone, env);
    let class = compared.map_or(DayClass::NotJudged, |compared| compared.class);
    channel.days.set_class(number, class);
    compared
}

fn raise_if_held(meter: &Meter, at: usize, number: i32, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let group = env.groups.number_of(meter.commodity, meter.zone);
    let decided = env.groups.get_mut(group).and_then(|g| g.decided.get(&number).copied());
    for rule in [RuleId::VAR_HIGH, RuleId::VAR_LOW] {
        let moved = (number, decided.unwrap_or_default());
        if holds(rule, &channel.days, number)
            && stands_out((rule, meter.network_zone), &channel.days, moved, env)
        {
            raise(meter, at, (rule, number), env);
        }
    }
}

/// On a day on which the whole group moved, only what differs from the group is strange.
fn stands_out(
    (rule, area): (RuleId, i32),
    days: &DayRing,
    (number, moved): (i32, Moved),
    env: &Env,
) -> bool {
    let params = &env.params;
    let still = (moved.median - 1_000).abs() < params.var_moved_pct * 10;
    if still || i64::from(moved.judged) < params.var_crowd_min {
        return true;
    }
    let (Some(total), Some(compared)) = (days.total(number), compare(days, number, area, env))
    else {
        return true;
    };
    let share = i128::from(total) * 1_000 / i128::from(compared.median.max(1));
    let share = i64::try_from(share).unwrap_or(i64::MAX / 10_000);
    let z = robust_z_x100(share, moved.median, moved.mad, params.var_floor_pct);
    z.is_none_or(|z| match rule {
        RuleId::VAR_HIGH => z > params.var_z_once_x100,
        _ => z < -params.var_z_low_x100,
    })
}

/// A temperature that comes later than this after its day changes no alert.
const WEATHER_DAYS: i32 = 8;

/// Days with holes close when their data are due, at the next tick: all must be in before the group
/// decides, or each would be judged alone.
const TOGETHER_S: i64 = 900;

/// Seconds after the end of a day at which its findings are decided.
fn hold_s(commodity: Commodity, group: u16, env: &mut Env) -> i64 {
    let lag_s = env.groups.get_mut(group).map_or(0, |group| i64::from(group.lag_s));
    let leak_s = if commodity == Commodity::Water { env.params.var_leak_hold_h * 3_600 } else { 0 };
    lag_s + leak_s + TOGETHER_S
}

fn clear_if_inside((subject, zone): (Subject, u16), channel: &Channel, number: i32, env: &mut Env) {
    let mut last = channel.days.judged(number).take(2);
    let inside =
        |day: Option<(i32, DayClass)>| day.is_some_and(|(_, class)| class == DayClass::Inside);
    let (newest, before) = (last.next(), last.next());
    if !inside(newest) || !inside(before) {
        return;
    }
    let end = env.zones.day(zone, before.map_or(number, |(day, _)| day)).start;
    for rule in [RuleId::VAR_HIGH, RuleId::VAR_LOW] {
        let key = key(subject, rule, channel);
        let Some(active) = env.book.get(&key) else { continue };
        let end = end.max(active.start);
        env.book.clear(&key, end, env.at, &mut env.out);
    }
}

/// A late value changed the total of a closed day: judge it again, withdraw what it raised, raise
/// what it hid.
pub(crate) fn day_repaired(meter: &mut Meter, at: usize, number: i32, env: &mut Env) {
    let before = meter.channels.get(at).map(|channel| channel.days.class(number));
    judge(meter, at, number, env);
    let meter = &*meter;
    let Some(channel) = meter.channels.get(at) else { return };
    if before == Some(channel.days.class(number)) || meter.tags.has_any(&EXEMPT_TAGS) {
        return;
    }
    for rule in [RuleId::VAR_HIGH, RuleId::VAR_LOW] {
        let key = key(meter.subject(), rule, channel);
        let Some(active) = env.book.get(&key) else { continue };
        let raised_for = i32::try_from(active.mark).unwrap_or(i32::MIN);
        let in_reach = (raised_for.saturating_sub(4)..=raised_for).contains(&number);
        if in_reach && !holds(rule, &channel.days, raised_for) {
            env.book.retract(&key, env.at, &mut env.out);
        }
    }
    let newest = channel.closed_through();
    let group = env.groups.number_of(meter.commodity, meter.zone);
    let decided =
        env.groups.get_mut(group).is_some_and(|group| group.decided.contains_key(&newest));
    if newest.saturating_sub(number) < 4 && decided {
        raise_if_held(meter, at, newest, env);
    }
}

/// The temperature of a day came after the day closed: it is judged as if it had been known. A day
/// of which the group decides nothing any more stays as it is.
pub(crate) fn weather_known(meter: &mut Meter, number: i32, env: &mut Env) {
    for at in 0..meter.channels.len() {
        let used = |channel: &&Channel| {
            let newest = channel.closed_through();
            channel.used() && number <= newest && number > newest - WEATHER_DAYS
        };
        if meter.is_customers() && meter.channels.get(at).as_ref().is_some_and(used) {
            day_repaired(meter, at, number, env);
        }
    }
}

/// Timer: every meter of the group has had time to close the day.
pub(crate) fn decide(meters: &[Meter], group_no: u16, number: i32, env: &mut Env) {
    let Some(group) = env.groups.get_mut(group_no) else { return };
    let (commodity, zone) = (group.commodity, group.zone);
    let Some(found) = group.days.remove(&number) else { return };
    let moved = found.crowd.moved();
    group.keep_decided(number, moved);
    super::peer::day_decided(meters, (commodity, zone), number, env);
    for rule in [RuleId::VAR_HIGH, RuleId::VAR_LOW] {
        let mut strange =
            if rule == RuleId::VAR_HIGH { found.high.clone() } else { found.low.clone() };
        strange.sort_unstable();
        strange.dedup();
        let count = i64::try_from(strange.len()).unwrap_or(i64::MAX);
        let everybody = count >= env.params.var_fleet_min
            && count * 100 > i64::from(found.judged) * env.params.var_fleet_pct;
        if everybody {
            notice((rule, commodity, zone), number, (&found, count), env);
            continue;
        }
        for (meter, channel) in strange {
            env.select(meter);
            let Some(meter) = meters.get(meter as usize) else { continue };
            let at = usize::from(channel);
            let still = meter.channels.get(at).is_some_and(|c| {
                holds(rule, &c.days, number)
                    && stands_out((rule, meter.network_zone), &c.days, (number, moved), env)
            });
            if still {
                raise(meter, at, (rule, number), env);
            }
        }
    }
}

/// One notice in place of many alerts; for the record.
fn notice(
    (rule, commodity, zone): (RuleId, Commodity, u16),
    number: i32,
    (found, count): (&GroupDay, i64),
    env: &mut Env,
) {
    let day = env.zones.day(zone, number);
    let mut report = Report::new(rule, Subject::Headend, Cause::WeatherEvent, day.start);
    // Each group has its own alert; channel numbers are free on the head-end.
    let group = i16::try_from(env.groups.number_of(commodity, zone)).unwrap_or(i16::MAX - 1);
    report.channel = Some(metering::ChannelNo::new(group.saturating_add(1)));
    report.commodity = Some(commodity);
    report.severity = Severity::P4;
    report.annunciate = false;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(day.start)),
        Evidence::instant("window_to", seconds(day.end)),
        Evidence::number("meters", count, "meters"),
        Evidence::number("meters_judged", i64::from(found.judged), "meters"),
    ];
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    env.book.clear(&key, day.end, env.at, &mut env.out);
}

fn raise(meter: &Meter, at: usize, (rule, number): (RuleId, i32), env: &mut Env) {
    let subject = meter.subject();
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(compared) = compare(&channel.days, number, meter.network_zone, env) else { return };
    let day = env.zones.day(meter.zone, number);
    let (cause, first, opens) = if rule == RuleId::VAR_HIGH {
        let Some(first) = holds_high(&channel.days, number) else { return };
        // The leak is what staff work on.
        (Cause::HighConsumption, first, !env.book.has_family(subject, Family::Leak))
    } else {
        let Some((first, weekdays)) = holds_low(&channel.days, number) else { return };
        let empty = env.premises.is_empty_since(meter.premises, meter.commodity, first - 1);
        (Cause::LowConsumption, first, weekdays >= env.params.var_low_weekdays && !empty)
    };
    let start = env.zones.day(meter.zone, first).start;
    let mut report = Report::new(rule, subject, cause, start);
    report.channel = Some(metering::ChannelNo::new(channel.no));
    report.commodity = Some(meter.commodity);
    let hold_s = env.now - day.end;
    report.annunciate =
        opens && hold_s <= i64::from(channel.lag_s) + (env.params.fresh_h + 36) * 3_600;
    report.severity = if opens { Severity::P3 } else { Severity::P4 };
    report.evidence = evidence(meter, channel, compared, (number, day.start, day.end));
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key)
        && active.mark == 0
    {
        active.mark = i64::from(number);
    }
}

fn evidence(
    meter: &Meter,
    channel: &Channel,
    compared: Compared,
    (number, start, end): (i32, i64, i64),
) -> Vec<Evidence> {
    let unit = if meter.commodity == Commodity::Electricity { "Wh" } else { "L" };
    let total = channel.days.total(number).unwrap_or_default();
    let z = compared.z_x100;
    let mut all = vec![
        Evidence::number("channel", i64::from(channel.no), ""),
        Evidence::instant("window_from", seconds(start)),
        Evidence::instant("window_to", seconds(end)),
        Evidence::milli("measured", total, unit),
        Evidence::milli("median", compared.median, unit),
        Evidence::milli("spread", compared.mad, unit),
        Evidence::new("z", z, "hundredths", format!("z {}", milli_text(z * 10))),
        Evidence::number("days_compared", compared.days, "days"),
    ];
    // The median is that of days of the same temperature.
    let weather = compared.weather;
    all.extend(weather.map(|share| Evidence::number("weather_explains", share, "thousandths")));
    all
}
