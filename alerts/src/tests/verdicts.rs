//! Verdicts of validation become alerts with their cause, their need and their end.

use expect_test::expect;
use metering::{
    EventCode, Finding, LogRecord, MeterAsset, Outcome, RuleMask, RuleNo, Severity, Subject,
    UtcTime,
};

use super::{CHANNEL, Log, at, event, fill, heard, interval, meter};
use crate::rules::verdicts::kind;

fn mask(rule: u8) -> RuleMask {
    RuleMask::EMPTY.with(RuleNo::new(rule).unwrap())
}

fn found(asset: &MeterAsset, rule: u8, outcome: Outcome, day: &str) -> LogRecord {
    found_kind(asset, (rule, 0), outcome, day)
}

fn found_kind(
    asset: &MeterAsset,
    (rule, kind): (u8, u8),
    outcome: Outcome,
    day: &str,
) -> LogRecord {
    LogRecord::Finding(Finding {
        meter: asset.meter,
        channel: Some(CHANNEL),
        rule: RuleNo::new(rule).unwrap(),
        outcome,
        from: at(day),
        to: at(day).plus_seconds(86_400),
        kind,
        detail: 100,
    })
}

/// A log of one meter; findings come three hours after their day.
fn days(asset: &MeterAsset, findings: &[LogRecord]) -> Log {
    let mut log = Log::default();
    log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for finding in findings {
        let LogRecord::Finding(window) = finding else { panic!("a finding") };
        log.push(window.to.plus_seconds(10_800), vec![finding.clone(), LogRecord::Tick]);
    }
    log
}

#[test]
fn a_sum_that_disagrees_clears_after_two_windows_that_agree() {
    let asset = meter("electricity 1h");
    let log = days(
        &asset,
        &[
            found_kind(&asset, (13, kind::SUM_MISSING_PULSES), Outcome::Fail, "11-02"),
            found_kind(&asset, (13, kind::SUM_MISSING_PULSES), Outcome::Fail, "11-03"),
            found(&asset, 13, Outcome::NotEvaluable, "11-04"),
            found(&asset, 13, Outcome::Pass, "11-05"),
            found(&asset, 13, Outcome::Pass, "11-06"),
        ],
    );
    expect![[r#"
        11-03 03:00 raised REG-SUM meter 1 MISSING_PULSES P2 since 11-02 00:00
        11-07 03:00 cleared REG-SUM meter 1 MISSING_PULSES P2 since 11-02 00:00 until 11-04 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_sum_that_is_short_one_day_and_long_the_next_is_only_a_mismatch() {
    let asset = meter("electricity 1h");
    let sum = |kind, day| found_kind(&asset, (13, kind), Outcome::Fail, day);
    let log = days(
        &asset,
        &[sum(kind::SUM_MISSING_PULSES, "11-02"), sum(kind::SUM_DOUBLE_COUNT, "11-03")],
    );
    expect![[r#"
        11-03 03:00 raised REG-SUM meter 1 MISSING_PULSES P2 since 11-02 00:00
        11-04 03:00 updated REG-SUM meter 1 SUM_MISMATCH P2 since 11-02 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_day_that_is_judged_anew_takes_its_failure_back() {
    let asset = meter("electricity 1h");
    let mut log = days(&asset, &[found(&asset, 21, Outcome::Fail, "11-02")]);
    log.push(at("11-05 12:00"), vec![found(&asset, 21, Outcome::Pass, "11-02"), LogRecord::Tick]);
    expect![[r#"
        11-03 03:00 raised INT-FLAT meter 1 STUCK_VALUE P3 since 11-02 00:00
        11-05 12:00 retracted INT-FLAT meter 1 STUCK_VALUE P3 since 11-02 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn spikes_need_three_days_of_seven_unless_demand_is_billed() {
    let asset = meter("electricity 1h");
    let spiky = ["11-02", "11-04", "11-07"];
    let fails: Vec<LogRecord> =
        spiky.iter().map(|day| found(&asset, 16, Outcome::Fail, day)).collect();
    expect![[""]].assert_eq(&days(&asset, &fails[..2]).text());
    expect![[r#"
        11-08 03:00 raised INT-SPIKE meter 1 SPIKE P3 since 11-02 00:00
    "#]]
    .assert_eq(&days(&asset, &fails).text());
    let mut billed = asset.clone();
    billed.detail.contract_demand_mw = 1;
    expect![[r#"
        11-03 03:00 raised INT-SPIKE meter 1 SPIKE P2 since 11-02 00:00
    "#]]
    .assert_eq(&days(&billed, &fails[..1]).text());
}

#[test]
fn old_findings_are_for_the_record() {
    let asset = meter("electricity 1h");
    let mut log = days(&asset, &[]);
    log.push(at("11-20"), vec![found(&asset, 21, Outcome::Fail, "11-02"), LogRecord::Tick]);
    expect![[r#"
        11-20 00:00 raised INT-FLAT meter 1 STUCK_VALUE P3 since 11-02 00:00 record
    "#]]
    .assert_eq(&log.text());
}

/// One reading each hour from 11-02 00:00 on, with these masks in turn.
fn readings(asset: &MeterAsset, masks: &[u8]) -> Log {
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for (hour, rule) in (1_i64..).zip(masks) {
        let end = at("11-02").plus_seconds(hour * 3_600);
        let mut record = interval(asset, end, 300_000, "");
        if let LogRecord::Interval { failed, .. } = &mut record
            && *rule != 0
        {
            *failed = mask(*rule);
        }
        let records = vec![heard(asset, None), record, LogRecord::Tick];
        log.push(end.plus_seconds(120), records);
    }
    log
}

#[test]
fn one_impossible_advance_is_a_bad_read_and_two_in_a_week_an_encoder_fault() {
    let asset = meter("electricity 1h");
    let masks = [&[0, 12, 0, 0][..], &[0; 20], &[12], &[0; 5]].concat();
    expect![[r#"
        11-02 02:02 raised REG-CAP meter 1 BAD_READ P2 since 11-02 01:00
        11-02 04:02 cleared REG-CAP meter 1 BAD_READ P2 since 11-02 01:00 until 11-02 02:00
        11-03 01:02 raised REG-CAP meter 1 ENCODER_FAULT P2 since 11-02 01:00
        11-03 03:02 cleared REG-CAP meter 1 ENCODER_FAULT P2 since 11-02 01:00 until 11-03 01:00
    "#]]
    .assert_eq(&readings(&asset, &masks).text());
}

#[test]
fn three_wild_stamps_in_a_day_are_a_clock_error() {
    let asset = meter("water 1h");
    expect![[""]].assert_eq(&readings(&asset, &[2, 0, 2, 0]).text());
    let masks = [&[2, 0, 2, 2][..], &[0; 26]].concat();
    expect![[r#"
        11-02 04:02 raised ING-TIME meter 1 CLOCK_ERROR P3 since 11-02 01:02
        11-03 03:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P1 since 11-02 01:00
        11-03 05:02 cleared ING-TIME meter 1 CLOCK_ERROR P3 since 11-02 01:02 until 11-02 04:02
    "#]]
    .assert_eq(&readings(&asset, &masks).text());
}

#[test]
fn a_falling_register_clears_after_a_week_and_says_nothing_at_an_exchange() {
    let asset = meter("water 1h");
    let masks = [&[0, 11][..], &[0; 170]].concat();
    expect![[r#"
        11-02 02:02 raised REG-DEC meter 1 REGISTER_DECREASE P2 since 11-02 01:00
        11-03 01:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P1 since 11-02 00:00
        11-07 00:02 raised WTR-MNF meter 1 LEAK_CUSTOMER_SIDE P4 since 11-02 00:00
        11-09 02:02 cleared REG-DEC meter 1 REGISTER_DECREASE P2 since 11-02 01:00 until 11-02 02:00
    "#]]
    .assert_eq(&readings(&asset, &masks).text());
    let mut new = asset.clone();
    new.installed_at = at("11-02");
    expect![[""]].assert_eq(&readings(&new, &[0, 11, 0]).text());
}

#[test]
fn prolonged_estimation_makes_the_issue_worse_that_explains_it() {
    let asset = meter("electricity 1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +24h 300 | 11-03 00:00 +26h -");
    prolonged(&mut log, &asset);
    expect![[r#"
        11-04 00:02 raised COM-STALE meter 1 COMM_LOST P3 since 11-03 00:00
        11-08 03:00 raised INT-PROLONG meter 1 COMM_LOST P4 since 11-03 00:00 record
        11-18 03:00 updated INT-PROLONG meter 1 COMM_LOST P3 since 11-03 00:00
        12-03 03:00 updated INT-PROLONG meter 1 COMM_LOST P2 since 11-03 00:00
    "#]]
    .assert_eq(&log.text());
}

/// The days from 3 November on have no actuals.
fn prolonged(log: &mut Log, asset: &MeterAsset) {
    let days =
        [("11-08", kind::PROLONG_WARN, "11-07", 5), ("11-18", kind::PROLONG_FAIL, "11-17", 15)];
    for (told, kind, day, count) in
        days.into_iter().chain([("12-03", kind::PROLONG_URGENT, "12-02", 30)])
    {
        let outcome = if count == 5 { Outcome::Warn } else { Outcome::Fail };
        let LogRecord::Finding(found) = found_kind(asset, (24, kind), outcome, day) else { return };
        let record = LogRecord::Finding(Finding { detail: count, ..found });
        log.push(at(&format!("{told} 03:00")), vec![record, LogRecord::Tick]);
    }
}

#[test]
fn the_gap_behind_a_dead_battery_is_no_issue_of_its_own() {
    let asset = meter("water 1h battery");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for told in ["11-02 06:00", "11-02 09:00"] {
        let low = event(Subject::Meter(asset.meter), at(told), EventCode::BatteryLow);
        log.push(at(told), vec![heard(&asset, None), low, LogRecord::Tick]);
    }
    fill(&mut log, &asset, "11-02 12:00 +12h 3,0 | 11-03 00:00 +4d -");
    prolonged(&mut log, &asset);
    expect![[r#"
        11-06 00:02 raised COM-STALE meter 1 BATTERY_DEAD P3 since 11-03 00:00
        11-08 03:00 raised INT-PROLONG meter 1 BATTERY_DEAD P4 since 11-03 00:00 record
        11-18 03:00 updated INT-PROLONG meter 1 BATTERY_DEAD P3 since 11-03 00:00
        12-03 03:00 updated INT-PROLONG meter 1 BATTERY_DEAD P2 since 11-03 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_gap_that_nothing_explains_began_with_its_first_day() {
    let asset = meter("electricity 1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    prolonged(&mut log, &asset);
    expect![[r#"
        11-08 03:00 raised INT-PROLONG meter 1 DATA_GAP P4 since 11-03 00:00 record
        11-18 03:00 updated INT-PROLONG meter 1 DATA_GAP P3 since 11-03 00:00
        12-03 03:00 updated INT-PROLONG meter 1 DATA_GAP P2 since 11-03 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn memory_errors_twice_in_a_week_and_test_mode_left_on() {
    let asset = meter("electricity 1h");
    let subject = Subject::Meter(asset.meter);
    let mut log = readings(&asset, &[0; 30]);
    let say = |log: &mut Log, time: &str, code| {
        log.push(at(time), vec![event(subject, at(time), code), LogRecord::Tick]);
    };
    say(&mut log, "11-03 07:00", EventCode::MemoryError);
    say(&mut log, "11-05 07:00", EventCode::MemoryError);
    say(&mut log, "11-06 07:00", EventCode::TestMode);
    log.push(at("11-06 11:00"), vec![LogRecord::Tick]);
    expect![[r#"
        11-05 07:00 raised ING-FLAG meter 1 METER_HARDWARE P3 since 11-03 07:00
        11-05 07:00 raised MTR-ERR meter 1 METER_HARDWARE P2 since 11-03 07:00
        11-06 11:00 cleared ING-FLAG meter 1 METER_HARDWARE P3 since 11-03 07:00 until 11-06 11:00
        11-06 11:00 raised ING-FLAG meter 1 LEFT_IN_TEST_MODE P3 since 11-06 07:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn whatever_is_p1_on_gas_belongs_to_the_gas_family() {
    let asset = meter("gas 1h");
    let log = days(&asset, &[found(&asset, 19, Outcome::Fail, "11-02")]);
    let said = log.run();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].severity, said[0].family), (Severity::P1, crate::Family::Gas));
    assert_eq!(said[0].at, UtcTime::from_seconds(at("11-03 03:00").seconds()));
}

fn tell(log: &mut Log, subject: Subject, when: &str, code: EventCode, detail: i32) {
    let record = LogRecord::Event { subject, occurred_at: at(when), code, detail };
    log.push(at(when), vec![record, LogRecord::Tick]);
}

#[test]
fn when_our_own_clock_is_wrong_no_devices_is() {
    let assets: Vec<MeterAsset> =
        (1..=3).map(|id| meter(&format!("electricity 15min id={id}"))).collect();
    let mut log = Log::default();
    let records = assets.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))).collect();
    log.push(at("11-01"), records);
    let meter_of = |id: usize| Subject::Meter(assets[id].meter);
    tell(&mut log, meter_of(0), "11-02 10:00", EventCode::ClockError, 300);
    tell(&mut log, Subject::Headend, "11-02 10:01", EventCode::ClockError, 0);
    tell(&mut log, meter_of(1), "11-02 10:02", EventCode::ClockError, 300);
    tell(&mut log, Subject::Headend, "11-02 14:00", EventCode::Cleared, 0);
    tell(&mut log, meter_of(2), "11-02 15:00", EventCode::ClockError, 300);
    expect![[r#"
        11-02 10:00 raised ING-CLK meter 1 CLOCK_ERROR P3 since 11-02 10:00
        11-02 10:01 retracted ING-CLK meter 1 CLOCK_ERROR P3 since 11-02 10:00
        11-02 10:01 raised ING-CLK head-end HEADEND_CLOCK P2 since 11-02 10:01
        11-02 14:00 cleared ING-CLK head-end HEADEND_CLOCK P2 since 11-02 10:01 until 11-02 14:00
        11-02 15:00 raised ING-CLK meter 3 CLOCK_ERROR P3 since 11-02 15:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_clock_that_did_not_follow_the_change_is_configuration_until_it_does() {
    let asset = meter("electricity 15min");
    let mut log = Log::default();
    log.push(at("10-24"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for quarter in 1..=3 {
        let mut record = interval(&asset, at("10-25 02:00").plus_seconds(quarter * 900), 100, "");
        if let LogRecord::Interval { failed, .. } = &mut record {
            *failed = mask(2);
        }
        log.push(at("10-25 02:00"), vec![record, LogRecord::Tick]);
    }
    tell(&mut log, Subject::Meter(asset.meter), "10-25 02:00", EventCode::DstShift, 3_600);
    // The day of the change looks complete: it proves nothing.
    let day = found(&asset, 8, Outcome::Pass, "10-25");
    log.push(at("10-26 03:00"), vec![day, LogRecord::Tick]);
    tell(&mut log, Subject::Meter(asset.meter), "10-28 02:00", EventCode::DstShift, 0);
    expect![[r#"
        10-25 02:00 raised ING-DST meter 1 DST_CONFIG P3 since 10-25 02:00
        10-28 02:00 cleared ING-DST meter 1 DST_CONFIG P3 since 10-25 02:00 until 10-28 02:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_time_of_use_clock_that_is_off_by_minutes_is_urgent() {
    let mut asset = meter("electricity 15min");
    let mut rate = asset.channels[0];
    rate.channel = metering::ChannelNo::new(2);
    rate.reading_type.tariff = 1;
    asset.channels.push(rate);
    let mut log = Log::default();
    log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    tell(&mut log, Subject::Meter(asset.meter), "11-02 10:00", EventCode::ClockError, 901);
    expect![[r#"
        11-02 10:00 raised ING-CLK meter 1 CLOCK_ERROR P2 since 11-02 10:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn what_a_person_can_act_on_is_told_the_value_that_is_off_by_a_factor() {
    let asset = meter("electricity 1h");
    let mut log = days(&asset, &[]);
    let LogRecord::Interval { meter, channel, end, len_s, code, .. } =
        interval(&asset, at("11-02 01:00"), 408_217, "?")
    else {
        panic!("an interval")
    };
    let wrong =
        LogRecord::Interval { meter, channel, end, len_s, value: 408_217, code, failed: mask(5) };
    log.push(at("11-02 01:02"), vec![wrong]);
    let told = log.run();
    assert_eq!(told.len(), 1, "{told:#?}");
    let measured = told[0].evidence.iter().find(|fact| fact.key == "measured").unwrap();
    assert_eq!((measured.value, measured.text.as_str()), (408_217, "408.217"));
}

#[test]
fn high_use_at_the_inlet_of_a_district_is_judged_by_its_balance() {
    let told = |who: &str| {
        let asset = meter(who);
        let mut log = Log::default();
        log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        let high = found_kind(&asset, (17, kind::HIGH), Outcome::Fail, "11-02");
        log.push(at("11-03 03:00"), vec![high, LogRecord::Tick]);
        log.text()
    };
    assert!(told("water 1h").contains("raised INT-HILO meter 1 HIGH_CONSUMPTION P3"));
    assert_eq!(told("water 1h role=zone_inlet"), "");
}
