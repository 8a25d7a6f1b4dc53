//! #32 MTR-REV: energy goes back where nothing generates, or the disc turns back.

use metering::{Commodity, Severity, Tag};

use super::device::{Told, key, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::channel::Sort;
use crate::state::meter::Meter;
use crate::transition::Evidence;

/// Places that may feed in.
const GENERATES: [Tag; 2] = [Tag::Pv, Tag::NetMeter];
/// Days of feeding in that are remembered.
const DAYS_MAX: usize = 10;

fn concerns(meter: &Meter) -> bool {
    meter.commodity == Commodity::Electricity
        && meter.is_customers()
        && !meter.tags.has_any(&GENERATES)
}

/// The device says so itself.
pub(crate) fn told(meter: &Meter, told: Told, env: &mut Env) {
    if !concerns(meter) {
        return;
    }
    let mut report =
        report(meter, (RuleId::MTR_REV, Cause::ReverseRotation), (told.at, told.at), env);
    report.severity = Severity::P2;
    let key = report.key();
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = active.mark.max(told.at);
    }
}

/// Energy fed in during a slot that ends at `end`.
pub(crate) fn fed_in(meter: &mut Meter, (end, len_s): (i64, i64), value: i64, env: &mut Env) {
    if value <= 0 || !concerns(meter) {
        return;
    }
    let number = env.zones.day_at(meter.zone, end - len_s).number;
    add(meter, number, value);
}

/// The register of what was fed in, read at `at`: its advance belongs evenly to the days since the
/// reading before. Where slots tell what was fed in, the register would count it twice.
pub(crate) fn register(meter: &mut Meter, (at, value): (i64, i64), env: &mut Env) {
    let by_slots =
        meter.channels.iter().any(|channel| channel.sort == Sort::Export && channel.len_s > 0);
    if by_slots || !concerns(meter) {
        return;
    }
    let known = meter.rare().and_then(|rare| rare.reverse_register);
    let newer = known.is_none_or(|(read_at, before)| at > read_at && value > before);
    if !newer {
        return;
    }
    meter.rare_mut().reverse_register = Some((at, value));
    let Some((read_at, before)) = known else { return };
    let last = env.zones.day_at(meter.zone, at - 1).number;
    let days = (last - env.zones.day_at(meter.zone, read_at - 1).number).max(1);
    let a_day = value.saturating_sub(before) / i64::from(days);
    let kept = i32::try_from(DAYS_MAX).unwrap_or(i32::MAX);
    for number in last - days.min(kept) + 1..=last {
        add(meter, number, a_day);
    }
}

fn add(meter: &mut Meter, number: i32, value: i64) {
    let days = &mut meter.rare_mut().reverse;
    match days.binary_search_by_key(&number, |day| day.0) {
        Ok(at) => days[at].1 = days[at].1.saturating_add(value),
        Err(at) => {
            days.insert(at, (number, value));
            if days.len() > DAYS_MAX {
                days.remove(0);
            }
        }
    }
}

/// A day of the channel that carries use closed: it and the day before are compared, since the
/// other channel may come after this one.
pub(crate) fn day_closed(meter: &Meter, at: usize, number: i32, env: &mut Env) {
    let key = key(meter, RuleId::MTR_REV);
    let fed = |day: i32| {
        let days = meter.rare().map_or(&[][..], |rare| &rare.reverse);
        days.iter().find(|known| known.0 == day).map_or(0, |known| known.1)
    };
    for day in [number - 1, number] {
        let Some(channel) = meter.channels.get(at) else { return };
        let (back, total) = (fed(day), channel.days.total(day).unwrap_or(0));
        let much = back > env.params.reverse_min_mwh
            && i128::from(back) * 100 > i128::from(total) * i128::from(env.params.reverse_pct);
        if !much {
            continue;
        }
        let bounds = env.zones.day(meter.zone, day);
        let mut report = report(
            meter,
            (RuleId::MTR_REV, Cause::ReverseRotation),
            (bounds.start, bounds.end),
            env,
        );
        report.severity = Severity::P2;
        report.evidence.push(Evidence::milli("measured", back, "Wh"));
        report.evidence.push(Evidence::milli("delivered", total, "Wh"));
        env.book.assert(report, env.at, &mut env.out);
        if let Some(active) = env.book.get_mut(&key) {
            active.mark = active.mark.max(bounds.end);
        }
    }
    let Some(active) = env.book.get(&key) else { return };
    let last = active.mark.max(active.start);
    let day_end = env.zones.day(meter.zone, number).end;
    if day_end - last >= env.params.reverse_clear_days * 86_400 {
        env.book.clear(&key, last, env.at, &mut env.out);
    }
}
