//! Use against what it was and against who should be there: #17, #19, #24.

use metering::{Commodity, Tag};

use super::input::{DayInput, DaySummary};
use super::verdict::{Desk, HoldKind, Saying};
use crate::params::Params;
use crate::rules::{Rule, kind};

/// Average daily use in hundredths of a whole unit, rounded half up; `usage` in milli-units.
pub fn adu_hundredths(usage: i64, days: i64) -> Option<i64> {
    let scale = i128::from(days).checked_mul(10).filter(|scale| *scale > 0)?;
    i64::try_from((i128::from(usage) * 2 + scale).div_euclid(scale * 2)).ok()
}

/// Differences in daily use below this are ignored (#15, #17), in milli-units a day.
pub(super) fn abs_min(input: &DayInput<'_>, params: &Params) -> i64 {
    match input.meter.commodity {
        Commodity::Electricity | Commodity::Heat => params.abs_min_mwh_per_day,
        Commodity::Water => params.abs_min_water_ml_per_day,
        Commodity::Gas => params.abs_min_gas_ml_per_day,
    }
}

pub(super) fn check(desk: &mut Desk<'_>) {
    prolonged(desk);
    if desk.input.is_consumption() {
        inactive(desk);
        high_low(desk);
    }
}

/// Sum of the usable intervals of the day, scaled to the whole of it when enough are there.
fn today(desk: &Desk<'_>) -> DaySummary {
    let mut today =
        DaySummary { slots: u16::try_from(desk.places.len()).unwrap_or(u16::MAX), ..desk.summary };
    for value in desk.places.iter().filter_map(super::verdict::Place::actual) {
        today.actual += 1;
        today.total = today.total.saturating_add(value);
    }
    today
}

/// #19 INT-INACT.
fn inactive(desk: &mut Desk<'_>) {
    let (input, params) = (desk.input, desk.params);
    let today = today(desk);
    if today.actual == 0 {
        return;
    }
    let nobody = !input.meter.account_active || stood_empty(input);
    let account_inactive = nobody && past_grace(input, params);
    let switched_off = input.around.switched_off;
    let limit = inactive_limit(input, params);
    if today.total > limit && (account_inactive || switched_off) {
        let kind = if switched_off { kind::INACTIVE_SWITCH } else { kind::INACTIVE_ACCOUNT };
        desk.say(Rule::Inactive, Saying::fail(kind, today.total));
        for at in 0..desk.places.len() {
            if desk.places[at].actual().is_some_and(|value| value > 0) {
                desk.flag(at, Rule::Inactive);
            }
        }
    } else {
        desk.say(Rule::Inactive, Saying::PASS);
    }
}

/// Somebody lives there now; on this day nobody did.
fn stood_empty(input: &DayInput<'_>) -> bool {
    let (since, until) = (input.around.inactive_since, input.around.occupied_since);
    since.zip(until).is_some_and(|(since, until)| since < until && input.day.end <= until)
}

fn past_grace(input: &DayInput<'_>, params: &Params) -> bool {
    let grace_s = params.inact_grace_days * metering::time::DAY_S;
    input.around.inactive_since.is_none_or(|since| input.day.start >= since.plus_seconds(grace_s))
}

fn inactive_limit(input: &DayInput<'_>, params: &Params) -> i64 {
    let least = match input.meter.commodity {
        Commodity::Electricity | Commodity::Heat => params.inact_mwh,
        Commodity::Water => params.inact_water_ml,
        Commodity::Gas => params.inact_gas_ml,
    };
    least.max(input.channel.resolution.saturating_mul(params.inact_steps))
}

/// #17 INT-HILO: at day close the average of a week, at the close of a cycle that of the cycle.
fn high_low(desk: &mut Desk<'_>) {
    let cycle_days = i64::from(desk.input.around.cycle_days);
    let days = if cycle_days > 0 { cycle_days } else { desk.params.hilo_days };
    let Some((use_now, reference)) = both_uses(desk, days) else { return };
    let params = desk.params;
    let matters = (use_now - reference).abs() > i128::from(abs_min(desk.input, params));
    let share = |percent: i64| reference * i128::from(percent);
    let percent = i64::try_from(use_now * 100 / reference.max(1)).unwrap_or(i64::MAX);
    // Who fills a pool or waters a garden uses several times the usual in that week.
    let seasonal = SEASONAL_TAGS.iter().any(|tag| desk.input.meter.has_tag(*tag));
    let high = use_now * 100 > share(params.hilo_high_pct) && !seasonal;
    let low = use_now * 100 < share(params.hilo_low_pct);
    if matters && (high || low) {
        let kind = match (high, cycle_days > 0) {
            (true, false) => kind::HIGH,
            (false, false) => kind::LOW,
            (true, true) => kind::CYCLE_HIGH,
            (false, true) => kind::CYCLE_LOW,
        };
        desk.say(Rule::HighLow, Saying::fail(kind, percent));
        if cycle_days > 0 {
            let end = desk.input.day.end;
            let from = end.plus_seconds(-cycle_days * metering::time::DAY_S);
            desk.hold(HoldKind::Review, Rule::HighLow, (from, end));
        }
    } else if use_now * 100 >= share(params.hilo_clear_low_pct)
        && use_now * 100 <= share(params.hilo_clear_high_pct)
    {
        desk.say(Rule::HighLow, Saying::PASS);
    }
}

const SEASONAL_TAGS: [Tag; 4] =
    [Tag::PoolFill, Tag::Irrigation, Tag::IrrigationOnly, Tag::Seasonal];

/// Average daily use of the last `days` with today, and the reference; both need enough valid days.
fn both_uses(desk: &Desk<'_>, days: i64) -> Option<(i128, i128)> {
    let (input, params) = (desk.input, desk.params);
    let split = input.day.end.plus_seconds(-days * metering::time::DAY_S - 2 * 3600);
    let from = input.around.occupied_since;
    let valid = |day: &&DaySummary| from.is_none_or(|from| day.from >= from) && !day.outage;
    let today = today(desk);
    let (before, now): (Vec<&DaySummary>, Vec<&DaySummary>) = input
        .history
        .iter()
        .chain(std::iter::once(&today))
        .filter(valid)
        .partition(|day| day.from < split);
    let use_now = average(&now, days, params)?;
    let weather = match input.around.weather_permille {
        0 => 1000,
        known => i128::from(known),
    };
    let reference = match input.around.reference_adu {
        Some(known) => i128::from(known),
        None => {
            let long = before.first().is_some_and(|first| {
                split.seconds_since(first.from) >= params.hilo_history_days * metering::time::DAY_S
            });
            if !long {
                return None;
            }
            average(&before, i64::try_from(before.len()).ok()?, params)?
        }
    };
    Some((use_now, reference * weather / 1000))
}

/// Mean use of the valid days, when they are at least 80 % of `days`.
fn average(known: &[&DaySummary], days: i64, params: &Params) -> Option<i128> {
    let uses: Vec<i64> = known
        .iter()
        .filter(|day| day.tells_use())
        .filter_map(|day| day.daily_use(params.hilo_valid_pct))
        .collect();
    let count = i64::try_from(uses.len()).ok().filter(|count| *count > 0)?;
    if count * 100 < days * params.hilo_valid_pct {
        return None;
    }
    Some(uses.iter().copied().map(i128::from).sum::<i128>() / i128::from(count))
}

/// #24 INT-PROLONG: days without actuals, whatever stands in their place.
fn prolonged(desk: &mut Desk<'_>) {
    let today = today(desk);
    let days = i64::from(super::verdict::lacking_days(desk.input, &today, desk.params));
    let params = desk.params;
    let saying = if days >= params.prolong_urgent_days {
        Saying::fail(kind::PROLONG_URGENT, days)
    } else if days >= params.prolong_fail_days {
        Saying::fail(kind::PROLONG_FAIL, days)
    } else if days >= params.prolong_warn_days {
        Saying::warn(kind::PROLONG_WARN, days)
    } else if days == 0 {
        Saying::PASS
    } else {
        return;
    };
    desk.say(Rule::Prolonged, saying);
}
