use vee::Rule;
use vee::day::Around;

use crate::rig::{Rig, of, told, usual};

/// In Berlin the hour from 02:00 is skipped on 29 March and comes twice on 25 October 2026; the
/// clock changes at 01:00 UTC, after 4 and 12 quarter hours of the day.
#[test]
fn days_of_92_and_100_quarter_hours_are_whole_days() {
    for (day, slots) in [("2026-03-29", 92), ("2026-10-25", 100)] {
        let mut rig = Rig::home(day);
        rig.arrive(usual);
        let verdict = rig.close();
        assert_eq!((told(&verdict).as_str(), verdict.summary.slots), ("", slots));
    }
}

/// The device goes on by another clock: its stamps fail.
fn stamps_fail(rig: &mut Rig, slots: std::ops::Range<usize>) {
    slots.for_each(|at| rig.slot(at).failed = Rule::ClockDrift.mask());
}

#[test]
fn an_hour_missing_at_the_change_is_a_setting_when_the_clock_is_wrong_after_it() {
    for lost in [12..16, 8..12] {
        let mut rig = Rig::home("2026-10-25");
        rig.arrive(|at| usual(at).filter(|_| !lost.contains(&at)));
        stamps_fail(&mut rig, 40..43);
        assert_eq!(of(&rig.judge(Around::default()), Rule::DayShape), "", "{lost:?}");
        stamps_fail(&mut rig, 43..44);
        assert_eq!(told(&rig.close()), "ING-DST Fail 1 4", "{lost:?}");
        rig.arrive(usual);
        assert_eq!(of(&rig.close(), Rule::DayShape), "", "no change, nothing to tell");
    }
}

#[test]
fn an_hour_missing_at_the_change_is_a_setting_when_the_register_misses_nothing() {
    let of_day = |skip: std::ops::Range<usize>| {
        (0..100).filter(|at| !skip.contains(at)).filter_map(usual).sum::<i64>()
    };
    for (advance, want) in
        [(of_day(12..16), "ING-DST Fail 1 4"), (of_day(0..0), "INT-GAP Fail 0 4")]
    {
        let mut rig = Rig::home("2026-10-24");
        rig.arrive(usual);
        rig.close();
        rig.read(rig.day.start, 0);
        rig.arrive(|at| usual(at).filter(|_| !(12..16).contains(&at)));
        rig.read(rig.day.end, advance);
        assert_eq!(told(&rig.close()), want);
    }
}

#[test]
fn an_hour_that_radio_lost_at_the_change_is_a_gap() {
    let mut rig = Rig::home("2026-10-25");
    rig.arrive(|at| usual(at).filter(|_| !(12..16).contains(&at)));
    assert_eq!(told(&rig.close()), "INT-GAP Fail 0 4");
}

#[test]
fn other_gaps_on_that_day_are_gaps() {
    let mut longer = Rig::home("2026-10-25");
    longer.arrive(|at| usual(at).filter(|_| !(12..18).contains(&at)));
    assert_eq!(told(&longer.close()), "INT-GAP Fail 0 6");
    let mut elsewhere = Rig::home("2026-10-25");
    elsewhere.arrive(|at| usual(at).filter(|_| !(40..44).contains(&at)));
    assert_eq!(told(&elsewhere.close()), "INT-GAP Fail 0 4");
    let mut silent = Rig::home("2026-10-25");
    silent.arrive(|_| None);
    assert_eq!(of(&silent.close(), Rule::DayShape), "");
}

#[test]
fn an_hour_that_came_twice_at_the_change_is_a_setting() {
    let mut rig = Rig::home("2026-10-25");
    rig.arrive(usual);
    let around = Around { differing: 4, differing_at_change: 4, ..Around::default() };
    assert_eq!(told(&rig.close_with(around)), "ING-DST Fail 2 4");
}

#[test]
fn a_change_of_half_an_hour_has_half_as_many_slots() {
    let mut meter =
        crate::rig::meter(metering::Commodity::Electricity, metering::CustomerClass::Residential);
    meter.zone = "Australia/Lord_Howe".to_owned();
    let mut rig = Rig::new(meter, "2026-04-05");
    // The day begins at 13:00 UTC of the day before; noon UTC of 5 April is still on it.
    let change = rig.calendar.change_within(rig.day).unwrap();
    let at = usize::try_from(change.seconds_since(rig.day.start) / 900).unwrap();
    rig.arrive(|slot| usual(slot).filter(|_| !(at..at + 2).contains(&slot)));
    stamps_fail(&mut rig, at + 2..at + 4);
    let verdict = rig.close();
    assert_eq!(verdict.summary.slots, 98);
    assert_eq!(told(&verdict), "ING-DST Fail 1 2");
}
