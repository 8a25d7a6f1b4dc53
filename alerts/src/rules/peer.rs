//! #29 VAR-PEER: a meter falls behind its peers. #31 MTR-SLOW: it does so month by month, or it is
//! old.
//!
//! Peers are the customers of one commodity, time zone and class. Once a week the median of each of
//! the last 56 days (that is what is kept, not 60) is taken over them anew, so that nothing but the
//! meters' own days is remembered. A peer drop is evidence and never an issue of its own.

use metering::{ChannelNo, Commodity, CustomerClass, Severity, Tag};

use super::device::report;
use crate::alerts::AlertKey;
use crate::cause::Cause;
use crate::env::Env;
use crate::local::{month_index, month_start};
use crate::rule::RuleId;
use crate::state::channel::Channel;
use crate::state::days::DAYS;
use crate::state::meter::Meter;
use crate::stats::median;
use crate::transition::Evidence;
use crate::trend::theil_sen;

/// Fewer meters than this are no peers.
const PEERS_MIN: usize = 10;
const WEEK: i32 = 7;
/// Thursdays, as days since 1970: one look a week for all.
const LOOK_DAY: i32 = 0;
const CLASSES: [CustomerClass; 5] = [
    CustomerClass::Residential,
    CustomerClass::SmallCommercial,
    CustomerClass::LargeCommercial,
    CustomerClass::MultiDwelling,
    CustomerClass::Municipal,
];
const EXEMPT: [Tag; 5] = [Tag::Vacant, Tag::Pv, Tag::NetMeter, Tag::Seasonal, Tag::IrrigationOnly];
const YEAR_S: i64 = 31_557_600;

fn channel_of(meter: &Meter) -> Option<&Channel> {
    meter.channels.iter().find(|channel| channel.used())
}

/// A day of the group was decided.
pub(crate) fn day_decided(
    meters: &[Meter],
    (commodity, zone): (Commodity, u16),
    number: i32,
    env: &mut Env,
) {
    if number.rem_euclid(WEEK) != LOOK_DAY {
        return;
    }
    for class in CLASSES {
        let peers: Vec<&Meter> = meters
            .iter()
            .filter(|meter| {
                (meter.commodity, meter.zone, meter.class) == (commodity, zone, class)
                    && meter.is_customers()
                    && !meter.tags.has_any(&EXEMPT)
            })
            .collect();
        if peers.len() >= PEERS_MIN
            && matches!(commodity, Commodity::Electricity | Commodity::Water)
        {
            drops(&peers, number, env);
        }
        let first = month_start(month_index(number));
        let settled = i32::try_from(env.params.month_settles_d).unwrap_or(4) + 1;
        if commodity == Commodity::Water && (settled..settled + WEEK).contains(&(number - first)) {
            slow(&peers, month_index(number), env);
        }
    }
}

/// Medians over the peers, by index of `wanted`; 0 where too few are known.
fn medians<T: Copy>(
    peers: &[&Meter],
    wanted: &[T],
    of: impl Fn(&Channel, T) -> Option<i64>,
) -> Vec<i64> {
    let mut values: Vec<i64> = Vec::with_capacity(peers.len());
    wanted
        .iter()
        .map(|one| {
            values.clear();
            let known = peers.iter().filter_map(|meter| channel_of(meter));
            values.extend(known.filter_map(|channel| of(channel, *one)));
            if values.len() < PEERS_MIN { 0 } else { median(&mut values) }
        })
        .collect()
}

/// Share of the peers' median, in thousandths.
fn share(own: i64, peers: i64) -> Option<i64> {
    (peers > 0).then(|| i64::try_from(i128::from(own) * 1_000 / i128::from(peers)).unwrap_or(0))
}

/// #29.
fn drops(peers: &[&Meter], number: i32, env: &mut Env) {
    let days: Vec<i32> = (number - DAYS + 1..=number).collect();
    let medians = medians(peers, &days, |channel, day| channel.days.total(day));
    let newest = usize::try_from(env.params.peer_days).unwrap_or(14);
    for meter in peers {
        let Some(channel) = channel_of(meter) else { continue };
        let shares: Vec<Option<i64>> = days
            .iter()
            .zip(&medians)
            .map(|(day, median)| channel.days.total(*day).and_then(|own| share(own, *median)))
            .collect();
        let split = shares.len().saturating_sub(newest);
        let mut before: Vec<i64> = shares[..split].iter().flatten().copied().collect();
        let mut last: Vec<i64> = shares[split..].iter().flatten().copied().collect();
        let mut week: Vec<i64> = shares[shares.len() - 7..].iter().flatten().copied().collect();
        if before.len() < 21 || last.len() * 7 < newest * 6 || week.is_empty() {
            continue;
        }
        let (usual, now, week) = (median(&mut before), median(&mut last), median(&mut week));
        drop_of(meter, channel, (usual, now, week, number), env);
    }
}

fn drop_of(
    meter: &Meter,
    channel: &Channel,
    (usual, now, week, number): (i64, i64, i64, i32),
    env: &mut Env,
) {
    let key = AlertKey::of(meter.subject(), RuleId::VAR_PEER, Some(ChannelNo::new(channel.no)));
    let params = &env.params;
    if let Some(active) = env.book.get(&key).copied() {
        if week * 100 > active.mark * params.peer_clear_pct {
            let end = env.zones.day(meter.zone, number - 6).start.max(active.start);
            env.book.clear(&key, end, env.at, &mut env.out);
        }
        return;
    }
    if now * 100 >= usual * (100 - params.peer_drop_pct) {
        return;
    }
    let first = number + 1 - i32::try_from(params.peer_days).unwrap_or(14);
    let from = env.zones.day(meter.zone, first).start;
    let to = env.zones.day(meter.zone, number).end;
    let rule = (RuleId::VAR_PEER, Cause::LowConsumption);
    let mut report = report(meter, rule, (from, to), env);
    report.channel = Some(ChannelNo::new(channel.no));
    report.severity = Severity::P4;
    report.annunciate = false;
    report.evidence.push(Evidence::number("share_of_peers", now, "thousandths"));
    report.evidence.push(Evidence::number("share_before", usual, "thousandths"));
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = usual;
    }
}

/// #31: the trend of the monthly share over nine months, the age, and what went through.
fn slow(peers: &[&Meter], month: i32, env: &mut Env) {
    let count = i32::try_from(env.params.slow_months).unwrap_or(9);
    let months: Vec<i32> = (month - count..month).collect();
    let medians = medians(peers, &months, |channel, month| channel.months.get(month));
    for meter in peers {
        let Some(channel) = channel_of(meter) else { continue };
        let points: Vec<(i64, i64)> = months
            .iter()
            .zip(&medians)
            .filter_map(|(month, median)| {
                let own = channel.months.get(*month)?;
                Some((i64::from(*month), share(own, *median)?))
            })
            .collect();
        let enough = points.len() + 1 >= months.len() && points.len() >= 3;
        let falls = enough.then(|| fall_permille(&points)).flatten();
        let fall = falls.filter(|fall| *fall > env.params.slow_pct * 10);
        let worn = Worn::of(meter, env);
        if fall.is_none() && !worn.beyond {
            continue;
        }
        let last = env.zones.day(meter.zone, month_start(month)).start;
        let first = env.zones.day(meter.zone, month_start(month - count)).start;
        // Age and throughput do not pass: their condition begins with the limit.
        let from = if fall.is_some() { first } else { worn.since.unwrap_or(last) };
        let rule = (RuleId::MTR_SLOW, Cause::SlowMeter);
        let mut report = report(meter, rule, (from.min(last), last), env);
        report.channel = Some(ChannelNo::new(channel.no));
        report.severity = Severity::P4;
        report.annunciate = fall.is_some();
        let fall = fall.unwrap_or(0);
        report.evidence.push(Evidence::number("fall_a_month", fall, "thousandths"));
        report.evidence.push(Evidence::number("age", worn.age_s / YEAR_S, "years"));
        if let Some(through) = worn.through_ml {
            report.evidence.push(Evidence::milli("throughput", through, "L"));
            report.evidence.push(Evidence::milli("throughput_limit", worn.limit_ml, "L"));
        }
        env.book.assert(report, env.at, &mut env.out);
    }
}

/// How old a meter is, and how much went through it.
struct Worn {
    age_s: i64,
    /// What its register shows; `None`: it tells no register.
    through_ml: Option<i64>,
    /// 0: none.
    limit_ml: i64,
    beyond: bool,
    /// When its age passed the limit.
    since: Option<i64>,
}

impl Worn {
    fn of(meter: &Meter, env: &Env) -> Self {
        let old_s = env.params.slow_age_y * YEAR_S;
        let age_s = env.now - meter.installed_at.s();
        let shown = env.registers.largest(meter.id);
        let through_ml = shown.filter(|shown| *shown >= 0);
        let limit_ml = i64::from(meter.flow_rated_lph) * 1_000 * env.params.slow_throughput_h;
        let old = old_s > 0 && age_s > old_s;
        let spent = limit_ml > 0 && through_ml.is_some_and(|through| through > limit_ml);
        let since = old.then(|| meter.installed_at.s() + old_s);
        Self { age_s, through_ml, limit_ml, beyond: old || spent, since }
    }
}

/// Fall of the share by month, in thousandths of its median.
fn fall_permille(points: &[(i64, i64)]) -> Option<i64> {
    let first = points.first()?.0;
    // Shares in millionths, so that the slope is not cut off.
    let fine: Vec<(i64, i64)> = points.iter().map(|(x, y)| (x - first, y * 1_000)).collect();
    let line = theil_sen(&fine)?;
    let mut shares: Vec<i64> = points.iter().map(|point| point.1).collect();
    let middle = median(&mut shares);
    // The slope is in millionths of a millionth.
    (middle > 0).then(|| -line.slope_millionths() / 1_000_000 / middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_measured_against_the_middle() {
        let points: Vec<(i64, i64)> = (0..9).map(|month| (month, 1_200 - 40 * month)).collect();
        assert_eq!(fall_permille(&points), Some(38));
        let flat: Vec<(i64, i64)> = (0..9).map(|month| (month, 900 + month % 2 * 30)).collect();
        assert!(fall_permille(&flat).unwrap().abs() <= 5);
    }
}
