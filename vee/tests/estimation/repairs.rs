//! Intervals that came in the wrong shape: re-sliced exactly, and an hour that came twice.

use super::rig::{facts, household, utc};
use metering::{QualityStatus, UtcTime};
use vee::estimate::reslice::{
    DayAdvance, OddInterval, RepeatedHour, SecondValue, other_lengths, repeated_hour, reslice,
};
use vee::estimate::{Gap, Method, Series, Slot};

#[test]
fn lengths_that_divide_are_re_sliced_exactly() {
    assert_eq!(reslice(&[10, 11], 900, 300).unwrap(), [4, 3, 3, 4, 4, 3]);
    assert_eq!(reslice(&[10, 11, 5, 6], 900, 1800).unwrap(), [21, 11]);
    assert_eq!(reslice(&[7], 900, 900).unwrap(), [7]);
    assert!(reslice(&[10], 900, 420).is_err());
    assert!(reslice(&[10, 11, 12], 900, 1800).is_err());
    assert!(reslice(&[10], 0, 900).is_err());
}

/// Berlin, 2026-10-25: 02:00 to 03:00 comes twice, 00:00Z to 01:00Z and 01:00Z to 02:00Z.
fn passages() -> (Gap, Gap) {
    let at = |text: &str| utc(&format!("2026-10-25T{text}:00Z"));
    (Gap::new(at("00:00"), at("01:00")), Gap::new(at("01:00"), at("02:00")))
}

/// The day with one passage missing.
fn day_without(lost: Gap) -> (Vec<Slot>, Vec<Slot>) {
    let day = household(&facts(), utc("2026-10-24T22:00:00Z"), 1, 3);
    let mut day: Vec<Slot> = day.into_iter().collect();
    let last: Vec<Slot> = (97..=100)
        .map(|k| {
            Slot::new(
                utc("2026-10-24T22:00:00Z").plus_seconds(k * 900),
                40_000,
                QualityStatus::Validated,
            )
        })
        .collect();
    day.extend(last);
    let kept = day.iter().filter(|slot| !lost.holds(slot.end)).copied().collect();
    (day, kept)
}

fn peak(slots: &[Slot]) -> i64 {
    slots.iter().map(|slot| slot.value).max().unwrap()
}

fn repaired(series: &Series, slots: &[Slot]) -> Vec<Slot> {
    let mut all = series.slots().to_vec();
    all.extend_from_slice(slots);
    Series::new(900, all).slots().to_vec()
}

#[test]
fn an_hour_sent_twice_under_one_label_is_two_hours() {
    let (first, second) = passages();
    for (full, empty) in [(first, second), (second, first)] {
        let (day, kept) = day_without(empty);
        // The device labels both passages with the offset of `full`; what came first is first.
        let of = |gap: Gap| -> Vec<i64> {
            gap.ends(900)
                .map(|end| day.iter().find(|slot| slot.end == end).unwrap().value)
                .collect()
        };
        let labels: Vec<UtcTime> = full.ends(900).collect();
        let under = |values: Vec<i64>| -> Vec<(UtcTime, i64)> {
            labels.iter().copied().zip(values).collect()
        };
        let arrived_first = under(of(first));
        let arrived_second = under(of(second));
        let stored = kept.iter().map(|slot| {
            let told = arrived_first.iter().find(|(end, _)| *end == slot.end);
            told.map_or(*slot, |(_, value)| Slot { value: *value, ..*slot })
        });
        let series = Series::new(900, stored.collect());
        let again: Vec<SecondValue> = arrived_second
            .iter()
            .map(|(end, value)| SecondValue { end: *end, value: *value })
            .collect();
        let told = repeated_hour(&series, (first, second), &again, None).unwrap();
        let RepeatedHour::Moved(slots) = told else { panic!("{told:?}") };
        let all = repaired(&series, &slots);
        assert_eq!(all, day, "every slot has its own use");
        assert_eq!(peak(&all), peak(&day), "no false peak");
    }
}

#[test]
fn an_hour_added_into_the_other_is_halved() {
    let (first, second) = passages();
    let (day, kept) = day_without(second);
    let doubled = kept.iter().map(|slot| {
        let value = if first.holds(slot.end) { 900_001 } else { slot.value };
        Slot { value, ..*slot }
    });
    let series = Series::new(900, doubled.collect());
    let false_peak = peak(series.slots());
    let whole = Gap::new(day[0].end.plus_seconds(-900), day[day.len() - 1].end);
    let sum: i64 = series.slots().iter().map(|slot| slot.value).sum();
    let known = |advance| Some(DayAdvance { window: whole, advance, step: 1000 });
    let told = repeated_hour(&series, (first, second), &[], known(sum + 1_999)).unwrap();
    let RepeatedHour::Halved { estimate, doubled } = told else { panic!("{told:?}") };
    assert_eq!(
        (estimate.gap, estimate.method),
        (Gap::new(first.from, second.to), Method::Calculated)
    );
    assert_eq!(doubled.len(), 4);
    let slots: Vec<Slot> = estimate
        .gap
        .ends(900)
        .zip(&estimate.values)
        .map(|(end, value)| Slot::new(end, *value, QualityStatus::Estimated))
        .collect();
    let all = repaired(&series, &slots);
    assert_eq!(all.len(), 100);
    assert_eq!(all.iter().map(|slot| slot.value).sum::<i64>(), sum, "exact to the last unit");
    assert!(peak(&all) < false_peak);
    assert_eq!(slots.iter().map(|slot| slot.value).max(), Some(450_001));
    assert!(slots.iter().filter(|slot| slot.value % 1000 != 0).count() <= 4);
    // Another sum: the hour is missing, not added; it is for the estimator.
    let told = repeated_hour(&series, (first, second), &[], known(sum + 1_000_000)).unwrap();
    assert_eq!(told, RepeatedHour::Sound);
    assert_eq!(repeated_hour(&series, (first, second), &[], None).unwrap(), RepeatedHour::Sound);
}

#[test]
fn intervals_of_another_length_are_cut_and_merged() {
    let at = |minute: i64| utc("2026-07-01T00:00:00Z").plus_seconds(minute * 60);
    let odd = |minute, value, long| OddInterval { start: at(minute), value, long };
    // Half hours at 00:00 and 00:30, the second reaching to the next thing that came.
    let long = [odd(0, 20_000, true), odd(30, 31_000, true)];
    let told = other_lengths(&long, &[at(0), at(30), at(60)], (900, 1000)).unwrap();
    let words: Vec<(Gap, Vec<i64>)> =
        told.iter().map(|one| (one.gap, one.values.clone())).collect();
    assert_eq!(
        words,
        [
            (Gap::new(at(0), at(30)), vec![10_000, 10_000]),
            (Gap::new(at(30), at(60)), vec![16_000, 15_000]),
        ]
    );
    // What is lost after the last of them is not made of it, and of one alone nothing is known.
    let told = other_lengths(&long, &[at(0), at(30), at(120)], (900, 1000)).unwrap();
    assert_eq!(told[1].gap, Gap::new(at(30), at(60)));
    assert!(other_lengths(&long[..1], &[at(0), at(60)], (900, 1000)).unwrap().is_empty());
    // Five minutes each: a whole group is a slot, two of three are none.
    let short: Vec<OddInterval> =
        [0, 5, 10, 15, 20].iter().map(|minute| odd(*minute, 4_000, false)).collect();
    let starts: Vec<UtcTime> = short.iter().map(|one| one.start).collect();
    let told = other_lengths(&short, &starts, (900, 1000)).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].gap, told[0].values[0]), (Gap::new(at(0), at(15)), 12_000));
}

#[test]
fn a_day_with_both_passages_is_left_alone() {
    let (first, second) = passages();
    let (day, _) = day_without(second);
    let series = Series::new(900, day);
    let told = repeated_hour(&series, (first, second), &[], None).unwrap();
    assert_eq!(told, RepeatedHour::Sound);
}
