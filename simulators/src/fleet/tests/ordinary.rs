//! Ordinary meters and look-alikes stay within the limits of the rules as published: what a rule
//! finds on them would be a false alarm by plan. The rules are written here once more, plainly.

use std::collections::{BTreeMap, BTreeSet};

use metering::{ChannelKind, Commodity, LocalCalendar, Tag, UtcTime};

use super::{Run, run};
use crate::assets::MeterSpec;
use crate::truth::SubjectName;

/// Meters without a planned fault, with the values of their series, or of their counter.
fn innocent(run: &Run) -> Vec<(&MeterSpec, &Vec<(UtcTime, i64)>)> {
    let guilty: BTreeSet<&SubjectName> =
        run.fleet.truth().faults.iter().map(|fault| &fault.subject).collect();
    let series = |meter: &MeterSpec| {
        let field = meter.channels[0].field.to_owned();
        let key = (meter.number.clone(), field);
        run.series.get(&key).or_else(|| run.registers.get(&key))
    };
    run.fleet
        .assets()
        .meters
        .iter()
        .filter(|meter| !guilty.contains(&SubjectName::Meter(meter.number.clone())))
        .filter_map(|meter| series(meter).map(|values| (meter, values)))
        .collect()
}

fn is_counter(meter: &MeterSpec) -> bool {
    meter.channels[0].kind == ChannelKind::Register
}

fn median(mut values: Vec<i64>) -> f64 {
    values.sort_unstable();
    let middle = values.len() / 2;
    let upper = f64::from(i32::try_from(values[middle]).unwrap());
    if values.len() % 2 == 1 {
        return upper;
    }
    (upper + f64::from(i32::try_from(values[middle - 1]).unwrap())) / 2.0
}

type Totals = BTreeMap<jiff::civil::Date, i64>;

/// Whole local days of a series of 15-minute values.
fn day_totals(calendar: &LocalCalendar, values: &[(UtcTime, i64)]) -> Totals {
    let mut days: BTreeMap<jiff::civil::Date, (i64, i64)> = BTreeMap::new();
    for (end, value) in values {
        let day = days.entry(calendar.date_of(end.plus_seconds(-900))).or_default();
        day.0 += 1;
        day.1 += value;
    }
    let whole = |(date, (slots, total)): (jiff::civil::Date, (i64, i64))| {
        (slots == calendar.day(date).slot_count(900)).then_some((date, total))
    };
    days.into_iter().filter_map(whole).collect()
}

/// Local days of a radio counter, from the last telegram of each day to that of the next; days
/// with a gap do not count.
fn counter_totals(calendar: &LocalCalendar, values: &[(UtcTime, i64)]) -> Totals {
    let last: Totals = values.iter().map(|(at, value)| (calendar.date_of(*at), *value)).collect();
    let gaps: BTreeSet<jiff::civil::Date> = values
        .windows(2)
        .filter(|pair| pair[1].0.seconds_since(pair[0].0) > 7_200)
        .flat_map(|pair| [calendar.date_of(pair[0].0), calendar.date_of(pair[1].0)])
        .collect();
    let days: Vec<(jiff::civil::Date, i64)> = last.into_iter().collect();
    let next = |pair: &[(jiff::civil::Date, i64)]| {
        let follows = pair[0].0.tomorrow().unwrap() == pair[1].0 && !gaps.contains(&pair[1].0);
        (follows && pair[1].1 >= pair[0].1).then_some((pair[1].0, pair[1].1 - pair[0].1))
    };
    days.windows(2).filter_map(next).collect()
}

/// Robust z of each weekday against the weekdays before it, as #25 and #26 have it.
fn weekday_z(days: Totals) -> Vec<f64> {
    let (mut known, mut scores) = (Vec::new(), Vec::new());
    for (date, total) in days {
        if date.weekday().to_monday_zero_offset() >= 5 {
            continue;
        }
        if known.len() >= 14 {
            let med = median(known.clone());
            let off = |v: &i64| (f64::from(i32::try_from(*v).unwrap()) - med).abs();
            let deviations = known.iter().map(|v| crate::rng::whole(off(v))).collect();
            let mad = median(deviations).max(0.05 * med).max(1.0);
            scores.push(0.6745 * (f64::from(i32::try_from(total).unwrap()) - med) / mad);
        }
        known.push(total);
    }
    scores
}

#[test]
fn ordinary_variance_fires_no_variance_rule() {
    let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
    for (seed, meters) in [(1, 200), (7, 200), (42, 1000)] {
        let run = run(seed, meters);
        let mut largest: f64 = 0.0;
        for (meter, values) in innocent(&run) {
            if meter.tags.iter().any(|tag| matches!(tag, Tag::Pv | Tag::Ev)) {
                continue;
            }
            let totals = if is_counter(meter) {
                counter_totals(&calendar, values)
            } else {
                day_totals(&calendar, values)
            };
            let scores = weekday_z(totals);
            let high = |window: &[f64]| window.iter().filter(|z| **z > 4.5).count() >= 2;
            let low = |window: &[f64]| window.iter().filter(|z| **z < -4.5).count() >= 3;
            let fires = scores.iter().any(|z| *z > 8.0)
                || scores.windows(3).any(high)
                || scores.windows(4).any(low);
            assert!(!fires, "seed {seed}: {} {:?} {scores:?}", meter.number, meter.tags);
            largest = scores.iter().copied().fold(largest, f64::max);
        }
        assert!(largest > 2.0, "no day is out of the ordinary: {largest}");
    }
}

#[test]
fn ordinary_water_pauses_each_day_and_never_bursts() {
    for (seed, meters) in [(1, 200), (7, 200), (42, 600)] {
        let run = run(seed, meters);
        for (meter, values) in innocent(&run) {
            if meter.commodity != Commodity::Water || is_counter(meter) {
                continue;
            }
            let half_hours = values.windows(2).map(|pair| pair[0].1 + pair[1].1);
            let most = half_hours.max().unwrap() * 2;
            let limit = i64::from(meter.flow_rated_lph) / 2;
            assert!(most < limit, "seed {seed}: {} uses {most} L/h", meter.number);
            if meter.tags.contains(&Tag::Hospital) {
                continue;
            }
            for day in values.windows(96) {
                let longest = day.split(|slot| slot.1 > 0).map(<[_]>::len).max().unwrap();
                assert!(longest >= 8, "seed {seed}: {} at {}", meter.number, day[0].0);
            }
        }
    }
}

#[test]
fn ordinary_use_is_never_zero_for_as_long_as_a_stopped_meter() {
    for (seed, meters) in [(1, 200), (7, 200)] {
        let run = run(seed, meters);
        for (meter, values) in innocent(&run) {
            if meter.tags.contains(&Tag::Vacant) || is_counter(meter) {
                continue;
            }
            let longest = values.split(|slot| slot.1 > 0).map(<[_]>::len).max().unwrap();
            let hours = longest / 4;
            let limit = if meter.commodity == Commodity::Electricity { 20 } else { 120 };
            assert!(hours < limit, "seed {seed}: {} for {hours} h", meter.number);
        }
    }
}

#[test]
fn radio_counters_never_fall_but_at_their_rollover() {
    let run = run(7, 200);
    let mut falls = 0;
    for ((_, field), values) in &run.registers {
        if field == "consumption" {
            falls += values.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        }
    }
    assert_eq!(falls, 1);
}

#[test]
fn a_burst_is_far_above_what_its_customer_ever_uses() {
    use crate::truth::FaultKind;
    for seed in 1..8 {
        let run = run(seed, 60);
        let bursts = run.fleet.truth().faults.iter().filter(|f| f.kind == FaultKind::Burst);
        for burst in bursts {
            let key = (burst.subject.name().to_owned(), "volume".to_owned());
            let before = run.series[&key].iter().filter(|(end, _)| *end <= burst.onset);
            let slots: Vec<i64> = before.map(|slot| slot.1).collect();
            let mut hours: Vec<i64> = slots.chunks(4).map(|hour| hour.iter().sum()).collect();
            hours.sort_unstable();
            let p95 = hours[hours.len() * 95 / 100];
            assert!(8 * p95 < burst.magnitude.value * 9 / 10, "seed {seed}: p95 {p95} {burst:?}");
        }
    }
}
