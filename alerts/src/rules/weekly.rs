//! #40's guard by the meter's own week: a pool that is filled or a garden that is watered on the
//! same day of each week draws as much as a burst and is none.
//!
//! For each closed local day of a channel the hours are kept that drew at least half of a burst. An hour of a
//! later day is usual when it, or the one before or after it, was such an hour on the same day of
//! most of the four weeks before. Only more than the meter is made for is a burst there.

use super::flow::rate;
use super::water::burst_limit;
use crate::env::Env;
use crate::state::channel::Channel;
use crate::state::days::OpenDay;
use crate::state::meter::Meter;

const HOUR_S: i64 = 3_600;
const WEEK: i32 = 7;
const WEEKS: i32 = 4;
/// A day that draws much for more hours than this keeps to no hour.
const HOURS_MAX: u32 = 8;

/// A local day closes: its slots are still kept one by one.
pub(super) fn note_day(meter: &mut Meter, at: usize, day: &OpenDay, env: &Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let len_s = channel.len();
    let half = burst_limit(meter, water.p95[0], env) / 2;
    let first = day.start().div_euclid(len_s);
    let mut hours = 0_u32;
    for slot in 1..=i64::from(day.slots) {
        if rate(water, first + slot, len_s).is_some_and(|rate| rate >= half) {
            hours |= 1 << ((slot - 1) * len_s / HOUR_S).min(31);
        }
    }
    note(meter, at, (day.number, hours));
}

/// A slot of a day that is closed came: `value` in mL up to `end`.
pub(crate) fn note_late(
    meter: &mut Meter,
    at: usize,
    (number, end, value): (i32, i64, i64),
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get(at) else { return };
    let Some(water) = channel.water.as_deref() else { return };
    let len_s = channel.len();
    let half = burst_limit(meter, water.p95[0], env) / 2;
    let start = env.zones.day(meter.zone, number).start;
    if number >= channel.closed_through() - WEEK * WEEKS && value * HOUR_S / len_s >= half {
        note(meter, at, (number, 1 << ((end - len_s - start) / HOUR_S).clamp(0, 31)));
    }
}

/// Adds hours that drew much to those of the channel's day.
fn note(meter: &mut Meter, at: usize, (number, hours): (i32, u32)) {
    let Some(channel) = meter.channels.get(at) else { return };
    let (no, kept) = (channel.no, channel.closed_through().max(number) - WEEK * WEEKS);
    let known = meter.rare().is_some_and(|rare| !rare.draws.is_empty());
    if hours == 0 && !known {
        return;
    }
    let draws = &mut meter.rare_mut().draws;
    draws.retain(|(number, ..)| *number >= kept);
    match draws.binary_search_by_key(&(number, no), |(number, no, _)| (*number, *no)) {
        Ok(known) => draws[known].2 |= hours,
        Err(gap) if hours != 0 => draws.insert(gap, (number, no, hours)),
        Err(_) => {}
    }
}

/// The slots after `since` up to `until` in which the meter usually draws much, as ranges of slots
/// (after, up to), and their limit in mL/h.
pub(super) fn usual(
    meter: &Meter,
    channel: &Channel,
    (since, until): (i64, i64),
    env: &mut Env,
) -> (Vec<(i64, i64)>, i64) {
    let rated = i64::from(meter.flow_rated_lph) * 1_000;
    let limit = if rated > 0 { rated } else { super::water::NO_LIMIT };
    let mut spans = Vec::new();
    let draws = meter.rare().map_or(&[][..], |rare| &rare.draws);
    let (Some(water), false) = (channel.water.as_deref(), draws.is_empty()) else {
        return (spans, limit);
    };
    let len_s = channel.len();
    let (first, last) = (water.floor().max(since) + 1, until.min(water.head.s()));
    let from = env.zones.day_at(meter.zone, (first - 1) * len_s).number;
    let to = env.zones.day_at(meter.zone, last * len_s - 1).number;
    for number in from..=to {
        let weeks: Vec<i64> = (1..=WEEKS)
            .filter_map(|week| {
                let own = |(day, no, hours): &&(i32, i16, u32)| {
                    *day == number - week * WEEK
                        && *no == channel.no
                        && hours.count_ones() <= HOURS_MAX
                };
                draws.iter().find(own).map(|(.., hours)| i64::from(*hours))
            })
            .map(|hours| hours | hours << 1 | hours >> 1)
            .collect();
        let start = env.zones.day(meter.zone, number).start;
        for hour in 0..25 {
            let seen = weeks.iter().filter(|hours| *hours >> hour & 1 == 1).count();
            if i64::try_from(seen).unwrap_or(0) >= env.params.burst_weeks {
                let before = (start + hour * HOUR_S).div_euclid(len_s);
                spans.push((before, (start + (hour + 1) * HOUR_S).div_euclid(len_s)));
            }
        }
    }
    (spans, limit)
}
