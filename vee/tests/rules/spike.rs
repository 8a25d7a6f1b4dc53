use metering::{Commodity, CustomerClass, DeviceFlags, Tag};
use vee::Rule;
use vee::day::HoldKind;

use crate::rig::{Rig, UNIT, meter, of, suspect, usual};

fn with_spike(rig: &mut Rig, value: i64) {
    rig.arrive(|at| if at == 50 { Some(value) } else { usual(at) });
}

#[test]
fn a_home_may_be_peaky_but_not_by_two_thousand_per_cent() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Spike), "");
    // The third highest is 322 Wh: 21 times that is the limit, and it is strict.
    with_spike(&mut rig, 321 * 21 * UNIT);
    let verdict = rig.judge(Default::default());
    let third = {
        let mut values: Vec<i64> = (0..96).filter_map(usual).collect();
        values.sort_unstable();
        values[values.len() - 2]
    };
    rig.slot(50).value = third * 21;
    let at_limit = rig.judge(Default::default());
    assert_eq!(of(&at_limit, Rule::Spike), "", "{verdict:?}");
    rig.slot(50).value = third * 21 + 1;
    let above = rig.close();
    assert_eq!(of(&above, Rule::Spike), format!("INT-SPIKE Fail 1 {}", third * 21 + 1));
    assert_eq!(suspect(&above), [50]);
    assert!(above.holds.iter().any(|hold| hold.kind == HoldKind::Demand));
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Spike), "INT-SPIKE Pass");
}

#[test]
fn a_spike_that_the_register_confirms_is_real_load() {
    let mut rig = Rig::home("2026-06-01");
    with_spike(&mut rig, 9_000 * UNIT);
    let sum: i64 = rig.slots.iter().map(|slot| slot.value).sum();
    let (start, end) = (rig.day.start, rig.day.end);
    rig.read(start, 0).read(end, sum);
    let confirmed = rig.judge(Default::default());
    assert_eq!(of(&confirmed, Rule::Spike), "INT-SPIKE Warn 3 9000000");
    assert!(confirmed.suspect.is_empty());
    assert_eq!(confirmed.flagged.len(), 1);
    rig.registers[1].value = sum - 8_900 * UNIT;
    let denied = rig.judge(Default::default());
    assert_eq!(of(&denied, Rule::Spike), "INT-SPIKE Fail 1 9000000");
    assert_eq!(of(&denied, Rule::Sum).split(' ').nth(1), Some("Fail"));
    assert_eq!(suspect(&denied), [50], "the others add up to the register");
    assert!(denied.suspect[0].failed.contains(Rule::Spike.no().unwrap()));
    assert!(!denied.suspect[0].failed.contains(Rule::Sum.no().unwrap()), "it may be estimated");
    assert!(denied.holds.iter().all(|hold| hold.kind == HoldKind::Demand));
}

#[test]
fn a_register_that_leaves_nothing_likely_for_the_spike_doubts_the_whole_day() {
    let mut rig = Rig::home("2026-06-01");
    with_spike(&mut rig, 9_000 * UNIT);
    let sum: i64 = rig.slots.iter().map(|slot| slot.value).sum();
    let (start, end) = (rig.day.start, rig.day.end);
    rig.read(start, 0).read(end, sum - 9_100 * UNIT);
    assert_eq!(suspect(&rig.judge(Default::default())).len(), 96, "less than the others");
    rig.registers[1].value = sum - 8_000 * UNIT;
    assert_eq!(suspect(&rig.judge(Default::default())).len(), 96, "more than any other");
}

#[test]
fn a_register_read_before_the_spike_confirms_nothing() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    rig.close();
    with_spike(&mut rig, 9_000 * UNIT);
    // Reads at 06:00 of both days.
    let (first, last) = (rig.day.start.plus_seconds(-64_800), rig.day.start.plus_seconds(21_600));
    let between = |end| end > first && end <= last;
    let sum = rig.slots.iter().filter(|slot| between(slot.end)).map(|slot| slot.value).sum();
    rig.read(first, 0).read(last, sum);
    let verdict = rig.judge(Default::default());
    assert_eq!(of(&verdict, Rule::Spike), "INT-SPIKE Fail 1 9000000");
    assert_eq!(suspect(&verdict), [50]);
}

#[test]
fn who_may_be_peaky_and_what_is_too_small_is_let_pass() {
    let mut ev = Rig::home("2026-06-01").tagged(Tag::Ev);
    with_spike(&mut ev, 9_000 * UNIT);
    assert_eq!(of(&ev.close(), Rule::Spike), "");

    let mut water = Rig::water("2026-06-01");
    with_spike(&mut water, 9_000 * UNIT);
    assert_eq!(of(&water.judge(Default::default()), Rule::Spike), "");
    water.params.spike_volume = 1;
    assert_ne!(of(&water.judge(Default::default()), Rule::Spike), "");

    let mut small = Rig::home("2026-06-01");
    small.arrive(|at| Some(if at == 50 { 249 * UNIT } else { UNIT }));
    assert_eq!(of(&small.judge(Default::default()), Rule::Spike), "", "below 1 kWh an hour");
    small.slot(50).value = 250 * UNIT;
    assert_ne!(of(&small.judge(Default::default()), Rule::Spike), "");

    let mut few = Rig::home("2026-06-01");
    few.arrive(|at| (at < 19).then_some(if at == 5 { 9_000 * UNIT } else { UNIT }));
    assert_eq!(of(&few.close(), Rule::Spike), "", "fewer than 20 slots");
}

#[test]
fn the_first_interval_after_an_outage_is_cold_load() {
    let mut rig = Rig::home("2026-06-01");
    with_spike(&mut rig, 9_000 * UNIT);
    rig.flag(49, DeviceFlags::POWER_FAIL);
    assert_eq!(of(&rig.close(), Rule::Spike), "");
}

#[test]
fn one_high_value_in_a_day_of_zeros_is_judged_by_what_the_service_carries() {
    let mut rig = Rig::home("2026-06-01");
    // 54 kWh an hour: 13.5 kWh, with the factor 16.875 kWh in 15 minutes.
    rig.arrive(|at| Some(if at == 50 { 8_437_500 } else { 0 }));
    assert_eq!(of(&rig.judge(Default::default()), Rule::Spike), "");
    rig.slot(50).value += 1;
    assert_eq!(of(&rig.judge(Default::default()), Rule::Spike), "INT-SPIKE Fail 2 8437501");
}

#[test]
fn each_class_has_a_limit_of_its_own() {
    for (class, times) in [
        (CustomerClass::LargeCommercial, 2.8),
        (CustomerClass::SmallCommercial, 5.0),
        (CustomerClass::Municipal, 5.0),
        (CustomerClass::Residential, 21.0),
    ] {
        let mut rig = Rig::new(meter(Commodity::Electricity, class), "2026-06-01");
        let base = 500 * UNIT;
        #[expect(clippy::cast_possible_truncation, reason = "a limit of the test")]
        let limit = (base as f64 * times) as i64;
        rig.arrive(|at| Some(if at == 50 { limit } else { base + at as i64 - 95 }));
        rig.slot(94).value = base;
        rig.slot(95).value = base;
        assert_eq!(of(&rig.judge(Default::default()), Rule::Spike), "", "{class}");
        rig.slot(50).value += 1;
        assert_ne!(of(&rig.judge(Default::default()), Rule::Spike), "", "{class}");
    }
}
