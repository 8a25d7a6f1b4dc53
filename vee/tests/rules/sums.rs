use metering::{ChannelKind, DeviceFlags, QualityStatus, SlotCode, UtcTime};
use vee::day::{Around, HoldKind, RateRegister, RegisterPoint};
use vee::{Rule, rules::kind};

use crate::rig::{Rig, UNIT, of, suspect, usual};

/// A day of 100 Wh a quarter hour (9,600 Wh), read at midnight before and after.
fn check(register: i64, want: &str) {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| Some((100 + if at % 2 == 0 { 1 } else { -1 }) * UNIT));
    let (start, end) = (rig.day.start, rig.day.end);
    rig.read(start, 1_000_000 * UNIT).read(end, 1_000_000 * UNIT + register);
    let verdict = rig.close();
    let said = of(&verdict, Rule::Sum);
    assert_eq!(said, want, "register {register}");
    let held = if want.contains("Fail") { 96 } else { 0 };
    assert_eq!(suspect(&verdict).len(), held);
    assert_eq!(verdict.holds.len(), held.min(1));
}

#[test]
fn intervals_and_register_may_differ_by_two_steps_or_one_per_mille() {
    check(9_600 * UNIT, "");
    check(9_609 * UNIT, "");
    check(9_610 * UNIT, "REG-SUM Fail 2 -1");
    check(9_590 * UNIT, "REG-SUM Fail 3 1");
}

#[test]
fn what_is_wrong_is_told_by_the_ratio_of_both_sums() {
    check(12_800 * UNIT, "REG-SUM Fail 2 -250");
    check(8_000 * UNIT, "REG-SUM Fail 3 200");
    check(19_200 * UNIT, "REG-SUM Fail 1 -500");
    check(480 * UNIT, "REG-SUM Fail 1 19000");
    check(0, "REG-SUM Fail 3 1000");
    assert_eq!((kind::SUM_CONFIG, kind::SUM_MISSING_PULSES, kind::SUM_DOUBLE_COUNT), (1, 2, 3));
}

#[test]
fn a_register_read_off_the_grid_shares_its_edge_intervals_by_time() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    rig.close();
    rig.arrive(usual);
    // Reads 5 minutes past midnight of both days: a third of the first slot is not in the sum.
    let first = rig.day.start.plus_seconds(-86_400 + 300);
    let last = rig.day.start.plus_seconds(300);
    let day: i64 = rig.slots[..96].iter().map(|slot| slot.value).sum();
    rig.read(first, 0).read(last, day);
    assert_eq!(of(&rig.judge(Default::default()), Rule::Sum), "");
    // The two edges (40 Wh each) are not known better than that.
    rig.registers[1].value = day + 81 * UNIT;
    assert_eq!(of(&rig.judge(Default::default()), Rule::Sum), "REG-SUM Fail 2 -7");
}

#[test]
fn what_excuses_a_sum_leaves_it_open() {
    for flags in [DeviceFlags::OVERFLOW, DeviceFlags::PARTIAL, DeviceFlags::POWER_FAIL] {
        let mut rig = Rig::home("2026-06-01");
        rig.arrive(usual).flag(20, flags);
        let (start, end) = (rig.day.start, rig.day.end);
        rig.read(start, 0).read(end, UNIT);
        assert_eq!(of(&rig.close(), Rule::Sum), "");
    }
    let mut gap = Rig::home("2026-06-01");
    gap.arrive(|at| usual(at).filter(|_| at != 30));
    let (start, end) = (gap.day.start, gap.day.end);
    let day: i64 = (0..96).filter_map(usual).sum();
    gap.read(start, 0).read(end, day);
    assert_eq!(of(&gap.close(), Rule::Sum), "");
    let mut rolled = Rig::home("2026-06-01");
    rolled.arrive(usual);
    rolled.read(start, 99_999 * UNIT).read(end, 2_000 * UNIT);
    assert_eq!(of(&rolled.close(), Rule::Sum), "");
}

/// A day without its slot 30; the register counted `register` of it.
fn with_a_hole(register: i64, want: &str) {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| usual(at).filter(|_| at != 30));
    let (start, end) = (rig.day.start, rig.day.end);
    rig.read(start, 0).read(end, register);
    let verdict = rig.close();
    assert_eq!(of(&verdict, Rule::Sum), want, "register {register}");
    let held = if want.is_empty() { 0 } else { 95 };
    assert_eq!(suspect(&verdict).len(), held, "register {register}");
}

#[test]
fn no_estimate_mends_what_was_measured_beyond_the_register() {
    let measured: i64 = (0..96).filter(|at| *at != 30).filter_map(usual).sum();
    with_a_hole(measured, "");
    with_a_hole(measured - 11 * UNIT, "REG-SUM Fail 3 11");
    let whole: i64 = (0..96).filter_map(usual).sum();
    with_a_hole(whole / 10, "REG-SUM Fail 1 8943");
    // 13.5 kWh in a quarter of an hour, and a quarter more, is what the service carries.
    with_a_hole(measured + 16_000_000, "");
    with_a_hole(measured + 18_000_000, "REG-SUM Fail 2 -639");
}

#[test]
fn an_estimate_does_not_excuse_what_was_measured_beside_it() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    let measured: i64 = (0..96).filter(|at| *at != 30).filter_map(usual).sum();
    let missing = SlotCode::new(QualityStatus::Missing, DeviceFlags::NONE);
    let slot = rig.slot(30);
    (slot.arrived, slot.best, slot.value) = (missing, QualityStatus::Estimated, 0);
    let (start, end) = (rig.day.start, rig.day.end);
    rig.read(start, 0).read(end, measured - 500 * UNIT);
    let verdict = rig.judge(Around::default());
    assert!(of(&verdict, Rule::Sum).starts_with("REG-SUM Fail 3"));
    assert_eq!((suspect(&verdict).len(), verdict.holds.len()), (95, 1));
    // What the estimate put there itself is scaled, not held.
    rig.registers[1].value = measured;
    rig.slot(30).value = 500 * UNIT;
    let verdict = rig.judge(Around::default());
    assert!(of(&verdict, Rule::Sum).starts_with("REG-SUM Fail 3"));
    assert_eq!((suspect(&verdict).len(), verdict.holds.len()), (0, 0));
}

#[test]
fn a_register_that_is_read_once_a_week_judges_its_week() {
    for (wrong, want) in [(0, ""), (900, "REG-SUM Fail 2 -12")] {
        let mut rig = Rig::home("2026-06-01");
        let start = rig.day.start;
        for _ in 0..6 {
            rig.arrive(usual).close();
        }
        rig.arrive(usual);
        let week: i64 = 7 * (0..96).filter_map(usual).sum::<i64>();
        let end = rig.day.end;
        rig.read(start, 0).read(end, week + wrong * UNIT);
        let first = rig.day.start.plus_seconds(-vee::day::LOOK_BACK_S);
        let before: Vec<_> = rig.slots.iter().filter(|s| s.end <= first).copied().collect();
        assert_eq!(of(&rig.judge(Around::default()), Rule::Sum), "", "the week is not there");
        let verdict = rig.judge(Around { before: &before, ..Around::default() });
        assert_eq!(of(&verdict, Rule::Sum), want);
        let held = verdict.holds.first().map(|hold| (hold.from, hold.to));
        assert_eq!(held, (wrong > 0).then_some((start, end)));
    }
}

#[test]
fn a_passing_window_is_told_after_a_failing_one() {
    let mut rig = Rig::home("2026-06-01");
    let mut register = 0;
    let start = rig.day.start;
    rig.read(start, register);
    for (wrong, want) in [(500, "REG-SUM Fail"), (0, "REG-SUM Pass"), (0, "REG-SUM Pass")] {
        rig.arrive(usual);
        let day: i64 = (0..96).filter_map(usual).sum();
        register += day + wrong * UNIT;
        let end = rig.day.end;
        rig.read(end, register);
        assert!(of(&rig.close(), Rule::Sum).starts_with(want));
    }
}

fn points(reads: &[(UtcTime, i64)]) -> Vec<RegisterPoint> {
    let point = |(read_at, value): &(UtcTime, i64)| RegisterPoint {
        read_at: *read_at,
        value: *value * UNIT,
        step: UNIT,
        usable: true,
    };
    reads.iter().map(point).collect()
}

#[test]
fn rates_must_add_up_to_the_total_by_a_step_for_each() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    let (start, end) = (rig.day.start, rig.day.end);
    let day: i64 = (0..96).filter_map(usual).sum::<i64>() / UNIT;
    rig.read(start, 0).read(end, day * UNIT);
    for (high, want) in
        [(day - 4_000, ""), (day - 4_002, ""), (day - 4_003, "REG-TOU Fail 0 -3000")]
    {
        let (first, second) =
            (points(&[(start, 10), (end, 4_010)]), points(&[(start, 0), (end, high)]));
        let rates = [
            RateRegister { tariff: 1, points: &first },
            RateRegister { tariff: 2, points: &second },
        ];
        let verdict = rig.judge(Around { rates: &rates, ..Around::default() });
        assert_eq!(of(&verdict, Rule::TouSum), want);
        let held = verdict.holds.iter().any(|hold| hold.kind == HoldKind::TouSplit);
        assert_eq!(held, !want.is_empty());
        assert!(verdict.suspect.is_empty(), "the total stays usable");
    }
}

/// Daily reads: before, previous, now, in kWh.
fn check_delta(reads: [i64; 3], want: &str) {
    let mut rig = Rig::home("2026-06-03");
    rig.meter.channels[0].len_s = 86_400;
    rig.meter.channels[0].kind = ChannelKind::Register;
    let end = rig.day.end;
    for (days, value) in [(2, reads[0]), (1, reads[1]), (0, reads[2])] {
        rig.read(end.plus_seconds(-days * 86_400), value * 1_000_000);
    }
    assert_eq!(of(&rig.close(), Rule::Delta), want, "{reads:?}");
}

#[test]
fn an_advance_is_compared_with_the_one_before() {
    check_delta([0, 10, 20], "");
    check_delta([0, 10, 25], "");
    check_delta([0, 30, 40], "REG-DELTA Warn 2 200");
    check_delta([0, 50, 60], "REG-DELTA Fail 2 400");
    check_delta([0, 4, 5], "");
    check_delta([0, 5, 5], "");
}
