use metering::{Commodity, CustomerClass, DeviceFlags, Tag};
use vee::Rule;
use vee::day::{Around, HoldKind};

use crate::rig::{Rig, UNIT, meter, of, suspect, usual};

#[test]
fn electricity_at_zero_for_a_day_is_told_and_flagged_but_not_suspect() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| usual(at).map(|value| if at < 48 { value } else { 0 }));
    assert_eq!(of(&rig.close(), Rule::Zero), "");
    rig.arrive(|_| Some(0));
    let verdict = rig.close();
    assert_eq!(of(&verdict, Rule::Zero), "INT-ZERO Fail 0 129600");
    assert_eq!(verdict.flagged.len(), 48, "beyond 24 h");
    assert!(verdict.suspect.is_empty());
    assert!(verdict.holds.iter().any(|hold| hold.kind == HoldKind::Interval));
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Zero), "INT-ZERO Pass");
    assert_eq!(rig.history[2].zero_longest_s, 36 * 3600);
}

#[test]
fn a_meter_that_often_rests_is_given_three_times_its_longest_rest() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| usual(at).map(|value| if at < 48 { 0 } else { value }));
    rig.close();
    for _ in 0..3 {
        rig.arrive(|_| Some(0));
        rig.close();
    }
    let failed = rig.history.iter().filter(|day| day.failing.contains(Rule::Zero.no().unwrap()));
    assert_eq!(failed.count(), 2, "36 h, not 24 h");
}

#[test]
fn a_zero_is_no_zero_when_an_outage_explains_it() {
    let mut rig = Rig::home("2026-06-01");
    for _ in 0..3 {
        rig.arrive(|_| Some(0));
        (0..96).for_each(|at| {
            rig.flag(at, DeviceFlags::POWER_FAIL);
        });
        assert_eq!(of(&rig.close(), Rule::Zero), "");
    }
}

#[test]
fn water_and_gas_rest_longer_and_some_places_are_empty() {
    let zero_days = |rig: &mut Rig, days: usize| {
        (0..days).find(|_| {
            rig.arrive(|_| Some(0));
            !of(&rig.close(), Rule::Zero).is_empty()
        })
    };
    assert_eq!(zero_days(&mut Rig::water("2026-06-01"), 20), Some(9));
    let gas = || meter(Commodity::Gas, CustomerClass::Residential);
    assert_eq!(zero_days(&mut Rig::new(gas(), "2026-05-01"), 40), Some(29));
    assert_eq!(zero_days(&mut Rig::new(gas(), "2026-01-10"), 40), Some(6));
    assert_eq!(zero_days(&mut Rig::water("2026-06-01").tagged(Tag::Vacant), 20), None);
    let mut left = Rig::water("2026-06-01");
    left.meter.account_active = false;
    assert_eq!(zero_days(&mut left, 20), None);
}

#[test]
fn missing_intervals_neither_end_nor_lengthen_a_run() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| (at % 10 != 3).then_some(0));
    assert_eq!(of(&rig.close(), Rule::Zero), "INT-ZERO Fail 0 86400");
    let mut silent = Rig::home("2026-06-01");
    silent.arrive(|at| (at < 40).then_some(0));
    silent.close();
    silent.arrive(|_| None);
    assert_eq!(of(&silent.close(), Rule::Zero), "", "nothing arrived, nothing is said");
}

#[test]
fn the_same_value_for_a_day_is_stuck_from_then_on() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| if at < 48 { usual(at) } else { Some(77 * UNIT) });
    assert_eq!(of(&rig.close(), Rule::Flat), "");
    rig.arrive(|_| Some(77 * UNIT));
    let verdict = rig.close();
    assert_eq!(of(&verdict, Rule::Flat), "INT-FLAT Fail 1 129600");
    assert_eq!(suspect(&verdict), (47..96).collect::<Vec<i64>>());
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Flat), "INT-FLAT Pass");
}

#[test]
fn steps_zeros_and_steady_loads_are_not_stuck() {
    let flat = |mut rig: Rig, value: i64| {
        rig.arrive(|_| Some(value));
        rig.close();
        rig.arrive(|_| Some(value));
        of(&rig.close(), Rule::Flat)
    };
    assert_eq!(flat(Rig::home("2026-06-01"), 4 * UNIT), "", "4 steps are quantisation");
    assert_ne!(flat(Rig::home("2026-06-01"), 5 * UNIT), "");
    assert_eq!(flat(Rig::home("2026-06-01"), 0), "");
    assert_eq!(flat(Rig::home("2026-06-01").tagged(Tag::StreetLight), 77 * UNIT), "");
}

#[test]
fn a_spread_below_half_a_per_cent_over_two_days_is_flat() {
    let mut rig = Rig::home("2026-06-01");
    for (spread, want) in
        [(3, ""), (3, "INT-FLAT Fail 2 1000000"), (7, "INT-FLAT Pass"), (7, "INT-FLAT Pass")]
    {
        rig.arrive(|at| Some((1000 + if at % 2 == 0 { spread } else { -spread }) * UNIT));
        assert_eq!(of(&rig.close(), Rule::Flat), want);
    }
}

#[test]
fn usage_of_the_switched_off_is_no_zero() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|_| Some(0));
    let off = Around { switched_off: true, switched_off_after: true, ..Around::default() };
    let verdict = rig.close_with(off);
    assert_eq!(of(&verdict, Rule::Zero), "");
    assert!(verdict.summary.switched_off);
}

/// Daily values of water in steps of a litre, each closed; what the last day says of INT-FLAT.
fn daily(values: &[i64]) -> String {
    let mut rig = Rig::water("2026-06-01");
    rig.meter.channels[0].len_s = 86_400;
    let mut last = String::new();
    for value in values {
        rig.arrive(|_| Some(*value * UNIT));
        last = of(&rig.close(), Rule::Flat);
    }
    last
}

#[test]
fn a_day_is_one_value_and_one_value_is_not_stuck() {
    assert_eq!(daily(&[150]), "");
    assert_eq!(daily(&[130, 150, 150, 150]), "", "three days alike are chance");
    assert_eq!(daily(&[150, 150, 150, 150]), "INT-FLAT Fail 1 345600");
}

#[test]
fn a_value_that_is_the_same_after_a_gap_is_not_stuck_by_the_gap() {
    let mut rig = Rig::water("2026-06-01");
    rig.meter.channels[0].len_s = 3600;
    rig.arrive(|at| Some(if at < 22 { at as i64 + 10 } else { 77 } * UNIT));
    rig.close();
    rig.arrive(|_| None);
    rig.close();
    rig.arrive(|at| (at > 3).then_some(if at < 10 { 77 } else { at as i64 + 10 } * UNIT));
    assert_eq!(of(&rig.close(), Rule::Flat), "", "8 slots in 36 hours");
}

#[test]
fn zeros_that_ended_before_midnight_were_too_long_all_the_same() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| usual(at).map(|value| if at < 24 { value } else { 0 }));
    assert_eq!(of(&rig.close(), Rule::Zero), "");
    rig.arrive(|at| usual(at).map(|value| if at < 80 { 0 } else { value }));
    let verdict = rig.close();
    assert_eq!(of(&verdict, Rule::Zero), "INT-ZERO Fail 0 136800", "38 hours");
    assert_eq!(verdict.flagged.len(), 56, "beyond 24 h");
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Zero), "INT-ZERO Pass");
}

#[test]
fn days_without_data_between_two_zeros_are_no_zeros() {
    let mut rig = Rig::water("2026-06-01");
    rig.arrive(|at| usual(at).map(|value| if at < 90 { value } else { 0 }));
    rig.close();
    for _ in 0..12 {
        rig.arrive(|_| None);
        rig.close();
    }
    rig.arrive(|at| usual(at).map(|value| if at < 8 { 0 } else { value }));
    assert_eq!(of(&rig.close(), Rule::Zero), "");
    assert_eq!(rig.history.last().unwrap().zero_longest_s, 14 * 900);
}
