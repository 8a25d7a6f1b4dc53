use super::*;
use expect_test::{Expect, expect};
use metering::{ChannelKind, ChannelNo, DeviceFlags, Interval, MeterId, ReadingType};

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(&format!("2026-11-21T{text}:00Z")).unwrap()
}

fn channel() -> ChannelAsset {
    ChannelAsset {
        channel: ChannelNo::new(1),
        reading_type: ReadingType::ENERGY_IMPORT,
        kind: ChannelKind::Interval,
        len_s: 900,
        resolution: 1000,
        cap_per_hour: 48_000_000,
        delivery_lag_s: 14_400,
    }
}

fn arrival() -> Arrival {
    let (received_at, installed_at) = (at("12:01"), at("00:00"));
    Arrival { received_at, installed_at, clock_ahead_s: Some(1), clock_drifts: false }
}

fn around(channel: &ChannelAsset) -> IntervalContext<'_> {
    IntervalContext {
        arrival: arrival(),
        channel,
        calendar: None,
        unit: Agreement::Agrees,
        multiplier: Agreement::NotStated,
        time_doubtful: false,
        unchecked: false,
        net: false,
        inherited: Verdict::default(),
    }
}

/// A quarter hour to `end` with `value` mWh; `change` makes it special.
fn check(
    end: &str,
    value: i64,
    change: impl FnOnce(&mut IntervalReading, &mut IntervalContext<'_>),
    want: Expect,
) {
    let channel = channel();
    let mut context = around(&channel);
    let mut reading = IntervalReading {
        meter: MeterId::new(7),
        channel: channel.channel,
        interval: Interval::ending_at(at(end), 900).unwrap(),
        value,
        flags: DeviceFlags::NONE,
    };
    change(&mut reading, &mut context);
    let judged = judge_interval(reading, &context, &Params::default());
    let not_passed: Vec<String> = interval_findings(&reading, &context, &Params::default())
        .iter()
        .filter(|finding| finding.outcome != Outcome::Pass)
        .map(|finding| format!("{} {:?}", finding.rule, finding.outcome))
        .collect();
    want.assert_eq(&format!("{:?} {:?} | {}", judged.code, judged.failed, not_passed.join(", ")));
}

#[test]
fn a_plausible_interval_is_raw_without_an_exception() {
    check("12:00", 120_000, |_, _| (), expect!["raw [] {} | ING-MULT NotEvaluable"]);
}

#[test]
fn time_must_be_plausible_and_on_the_grid() {
    check(
        "12:00",
        1,
        |_, c| c.arrival.received_at = at("11:55"),
        expect!["raw [] {} | ING-MULT NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.received_at = at("11:54"),
        expect!["suspect! [] {2} | ING-TIME Fail, ING-MULT NotEvaluable"],
    );
    check("12:01", 1, |_, _| (), expect!["suspect! [] {2} | ING-TIME Fail, ING-MULT NotEvaluable"]);
    check(
        "12:00",
        1,
        |_, c| c.time_doubtful = true,
        expect!["suspect! [] {2} | ING-TIME Fail, ING-MULT NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.installed_at = at("12:00").plus_seconds(86_400),
        expect!["suspect! [] {2} | ING-TIME Fail, ING-MULT NotEvaluable"],
    );
    let late = 400 * 86_400;
    check(
        "12:00",
        1,
        |_, c| c.arrival.received_at = at("12:00").plus_seconds(late),
        expect!["raw [] {} | ING-MULT NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.received_at = at("12:01").plus_seconds(late),
        expect!["suspect! [] {2} | ING-TIME Fail, ING-MULT NotEvaluable"],
    );
}

#[test]
fn a_grid_may_follow_the_local_clock() {
    let kathmandu = LocalCalendar::new("Asia/Kathmandu").unwrap(); // UTC+05:45
    let channel = ChannelAsset { len_s: 3600, ..channel() };
    let context = IntervalContext { calendar: Some(&kathmandu), ..around(&channel) };
    for (end, want) in
        [("10:15", Outcome::Pass), ("10:30", Outcome::Fail), ("10:00", Outcome::Pass)]
    {
        let interval = Interval::ending_at(at(end), 3600).unwrap();
        let outcome = checks::interval_time(
            interval,
            false,
            &context.arrival,
            context.calendar,
            &Params::default(),
        );
        assert_eq!(outcome, want, "{end}");
    }
}

#[test]
fn another_length_unit_or_width_than_configured_is_held() {
    let half = Interval::ending_at(at("12:00"), 1800).unwrap();
    check(
        "12:00",
        1,
        |r, _| r.interval = half,
        expect!["suspect! [] {3} | ING-SIZE Fail, ING-MULT NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.unit = Agreement::Differs,
        expect!["suspect! [] {4} | ING-UOM Fail, ING-MULT NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.multiplier = Agreement::Differs,
        expect!["suspect! [] {5} | ING-MULT Fail"],
    );
}

#[test]
fn device_flags_fail_or_warn_by_their_class() {
    for flag in [
        DeviceFlags::OVERFLOW,
        DeviceFlags::SKIPPED,
        DeviceFlags::TEST,
        DeviceFlags::CONFIG_CHANGED,
        DeviceFlags::NOT_RECORDING,
    ] {
        assert_eq!(checks::flag(flag, false), Outcome::Fail);
    }
    check(
        "12:00",
        1,
        |r, _| r.flags = DeviceFlags::OVERFLOW,
        expect![[r#"suspect! ["overflow"] {6} | ING-MULT NotEvaluable, ING-FLAG Fail"#]],
    );
    check(
        "12:00",
        1,
        |r, _| r.flags = DeviceFlags::POWER_FAIL,
        expect![[r#"raw ["power fail"] {} | ING-MULT NotEvaluable, ING-FLAG Warn"#]],
    );
    check(
        "12:00",
        1,
        |r, _| r.flags = DeviceFlags::LOW_BATTERY,
        expect![[r#"raw ["low battery"] {} | ING-MULT NotEvaluable"#]],
    );
    check(
        "12:00",
        1,
        |_, c| c.unchecked = true,
        expect!["suspect! [] {6} | ING-MULT NotEvaluable, ING-FLAG Fail"],
    );
}

#[test]
fn a_wrong_clock_is_marked_and_holds_beyond_half_an_interval() {
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_ahead_s = Some(61),
        expect!["raw [] {} | ING-MULT NotEvaluable, ING-CLK Warn"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_ahead_s = Some(181),
        expect!["raw! [] {7} | ING-MULT NotEvaluable, ING-CLK Fail"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_ahead_s = Some(451),
        expect!["suspect! [] {7} | ING-MULT NotEvaluable, ING-CLK Fail"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_ahead_s = Some(-3600),
        expect!["suspect! [] {7} | ING-MULT NotEvaluable, ING-CLK Fail"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_ahead_s = None,
        expect!["raw [] {} | ING-MULT NotEvaluable, ING-CLK NotEvaluable"],
    );
    check(
        "12:00",
        1,
        |_, c| c.arrival.clock_drifts = true,
        expect!["raw! [] {7} | ING-MULT NotEvaluable, ING-CLK Fail"],
    );
    let time_of_use = ReadingType { tariff: 1, ..ReadingType::ENERGY_IMPORT };
    let channel = ChannelAsset { reading_type: time_of_use, ..channel() };
    let ahead = Arrival { clock_ahead_s: Some(61), ..arrival() };
    let found = clock_finding(&ahead, &channel, 900, &Params::default());
    assert_eq!((found.outcome, found.holds), (Outcome::Fail, false));
}

#[test]
fn use_is_bounded_by_the_service_and_by_zero() {
    check("12:00", 15_000_000, |_, _| (), expect!["raw [] {} | ING-MULT NotEvaluable"]);
    check(
        "12:00",
        15_000_001,
        |_, _| (),
        expect!["suspect! [] {12} | ING-MULT NotEvaluable, REG-CAP Fail"],
    );
    check(
        "12:00",
        -1,
        |_, _| (),
        expect!["suspect! [] {20} | ING-MULT NotEvaluable, INT-NEG Fail"],
    );
    check(
        "12:00",
        -1,
        |_, c| c.net = true,
        expect!["raw [] {} | ING-MULT NotEvaluable, INT-NEG NotEvaluable"],
    );
}

#[test]
fn derived_intervals_inherit_the_verdict_on_their_reads() {
    let decrease = Finding { rule: Rule::Decrease, outcome: Outcome::Fail, holds: true };
    check(
        "12:00",
        1,
        |_, c| c.inherited = Verdict::default().with(decrease),
        expect!["suspect! [] {11} | ING-MULT NotEvaluable"],
    );
}

fn check_register(advance: Advance, cap_known: bool, want: Expect) {
    let channel = channel();
    let context = RegisterContext {
        arrival: arrival(),
        channel: &channel,
        unit: Agreement::NotStated,
        multiplier: Agreement::Agrees,
        time_doubtful: false,
        unchecked: false,
        advance,
        cap_known,
    };
    let reading = RegisterReading {
        meter: MeterId::new(7),
        channel: channel.channel,
        read_at: at("11:37"),
        raw: 5,
        value: 5_000,
        flags: DeviceFlags::NONE,
    };
    let (judged, _) = judge_register(reading, &context, &Params::default());
    let not_passed: Vec<String> = register_findings(&reading, &context, &Params::default())
        .iter()
        .filter(|finding| finding.outcome != Outcome::Pass)
        .map(|finding| format!("{} {:?}", finding.rule, finding.outcome))
        .collect();
    want.assert_eq(&format!("{:?} {:?} | {}", judged.code, judged.failed, not_passed.join(", ")));
}

#[test]
fn registers_are_judged_by_what_the_counter_did() {
    check_register(
        Advance::First,
        true,
        expect!["raw [] {} | ING-UOM NotEvaluable, REG-DEC NotEvaluable, REG-CAP NotEvaluable"],
    );
    check_register(
        Advance::Forward { delta: 5, over_cap: false },
        true,
        expect!["raw [] {} | ING-UOM NotEvaluable"],
    );
    check_register(
        Advance::Forward { delta: 5, over_cap: false },
        false,
        expect!["raw [] {} | ING-UOM NotEvaluable, REG-CAP NotEvaluable"],
    );
    check_register(
        Advance::Forward { delta: 5, over_cap: true },
        true,
        expect!["suspect! [] {12} | ING-UOM NotEvaluable, REG-CAP Fail"],
    );
    check_register(
        Advance::Rollover { delta: 27 },
        true,
        expect!["raw [] {} | ING-UOM NotEvaluable"],
    );
    check_register(
        Advance::Decrease { delta: -1 },
        true,
        expect!["raw [] {} | ING-UOM NotEvaluable, REG-CAP NotEvaluable"],
    );
    check_register(
        Advance::Decrease { delta: -2 },
        true,
        expect!["suspect! [] {11} | ING-UOM NotEvaluable, REG-DEC Fail, REG-CAP NotEvaluable"],
    );
    check_register(
        Advance::Reset,
        true,
        expect!["suspect! [] {11} | ING-UOM NotEvaluable, REG-DEC Fail, REG-CAP NotEvaluable"],
    );
}
