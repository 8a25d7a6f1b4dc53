//! Intervals that came in the wrong shape: re-sliced exactly, and an hour that came twice.

use super::rig::{facts, household, utc};
use metering::{QualityStatus, UtcTime};
use vee::estimate::reslice::{RepeatedHour, SecondValue, repeated_hour, reslice};
use vee::estimate::{Gap, Series, Slot};

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
    let told = repeated_hour(&series, (first, second), &[], Some((whole, sum))).unwrap();
    let RepeatedHour::Halved(slots) = told else { panic!("{told:?}") };
    let all = repaired(&series, &slots);
    assert_eq!(all.len(), 100);
    assert_eq!(all.iter().map(|slot| slot.value).sum::<i64>(), sum, "exact to the last unit");
    assert!(peak(&all) < false_peak);
    assert_eq!(slots.iter().map(|slot| slot.value).max(), Some(450_001));
    // Another sum: the hour is missing, not added; it is for the estimator.
    let told = repeated_hour(&series, (first, second), &[], Some((whole, sum + 1))).unwrap();
    assert_eq!(told, RepeatedHour::Sound);
    assert_eq!(repeated_hour(&series, (first, second), &[], None).unwrap(), RepeatedHour::Sound);
}

#[test]
fn a_day_with_both_passages_is_left_alone() {
    let (first, second) = passages();
    let (day, _) = day_without(second);
    let series = Series::new(900, day);
    let told = repeated_hour(&series, (first, second), &[], None).unwrap();
    assert_eq!(told, RepeatedHour::Sound);
}
