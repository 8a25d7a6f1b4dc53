//! Guards and evidence that need more than one source: weather, holidays, the own week, neighbours,
//! registers, the store's word on late values, winter's basis.

use expect_test::expect;
use metering::{
    EventCode, Finding, LogRecord, MeterAsset, Outcome, RuleBundle, RuleMask, RuleNo, Subject,
    UtcTime, WorkOrder, WorkOrderKind, WorkOrderStatus, ZoneId,
};

use super::network::{begin, fleet, hours};
use super::{CHANNEL, Log, at, event, heard, interval, meter, text};

fn only(log: &Log, word: &str) -> String {
    log.text().lines().filter(|l| l.contains(word)).fold(String::new(), |a, l| a + l + "\n")
}

/// A day's weekday use of `day` of the log, all in its last hour.
fn day(log: &mut Log, asset: &MeterAsset, number: i64, liters: i64) {
    let start = at("03-02").plus_seconds(number * 86_400);
    let mut records = vec![heard(asset, None)];
    for hour in 1..=24 {
        let value = if hour == 24 { liters * 1_000 } else { 0 };
        records.push(interval(asset, start.plus_seconds(hour * 3_600), value, ""));
    }
    records.push(LogRecord::Tick);
    log.push(start.plus_seconds(86_400 + 120), records);
    log.push(start.plus_seconds(86_400 + 3 * 3_600 + 120), vec![LogRecord::Tick]);
}

/// Eight weeks of gas that follows the cold, then a cold week; with temperatures or without.
fn cold_week(fed: bool) -> Log {
    let asset = meter("gas 1h contact=24h lag=1h");
    let mut log = Log::default();
    log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for number in 0..54 {
        let cold = number >= 50;
        let centi = if cold { -900 } else { 1_000 + (number * 7 % 11) * 20 };
        if fed {
            let noon = at("03-02").plus_seconds(number * 86_400 + 43_200);
            let code = EventCode::AmbientTemperature;
            let mut told = event(Subject::Headend, noon, code);
            if let LogRecord::Event { detail, .. } = &mut told {
                *detail = i32::try_from(centi).unwrap();
            }
            log.push(noon.plus_seconds(60), vec![told]);
        }
        // 500 L and 1 L for each tenth of a degree below 15.5 C.
        day(&mut log, &asset, number, 500 + (1_550 - centi) / 10);
    }
    log
}

#[test]
fn cold_days_are_compared_with_what_they_would_have_been() {
    assert!(only(&cold_week(false), "VAR-").contains("raised VAR-HIGH"));
    assert_eq!(only(&cold_week(true), "VAR-"), "");
}

#[test]
fn use_beyond_the_cold_is_still_high_and_the_evidence_names_the_weather() {
    let mut log = cold_week(true);
    let asset = meter("gas 1h contact=24h lag=1h");
    for number in 54..56 {
        day(&mut log, &asset, number, 2_000);
    }
    // The two new days have no temperature: nothing is adjusted and nothing explained.
    let said = log.run();
    let high: Vec<_> = said.iter().filter(|t| t.rule.name == "VAR-HIGH").collect();
    assert!(!high.is_empty());
    assert!(high[0].evidence.iter().all(|one| one.key != "weather_explains"));
}

#[test]
fn a_holiday_is_no_working_day() {
    let run = |holidays: &str| {
        let asset = meter("electricity 1h class=small_commercial");
        let mut log = Log::default();
        let text = format!("[bundle]\nversion = \"1\"\n[calendar]\nholidays = [{holidays}]\n");
        let rules = RuleBundle { version: "1".to_owned(), text };
        log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        log.push(at("03-02"), vec![LogRecord::Rules(Box::new(rules))]);
        for number in 0..50 {
            let weekend = number % 7 >= 5;
            let closed = (44..=46).contains(&number);
            day(&mut log, &asset, number, if weekend || closed { 40 } else { 900 + number % 5 });
        }
        only(&log, "VAR-LOW")
    };
    assert!(run("").contains("raised VAR-LOW"));
    assert_eq!(run("\"2026-04-15\", \"2026-04-16\", \"2026-04-17\""), "");
}

/// Five Saturdays on which the garden takes 900 L from 05:00 to 06:00, and a sixth; `else_` liters
/// on the Wednesday after.
fn garden(weeks: i64, else_: i64) -> String {
    let asset = meter("water 1h q3=2500");
    let mut log = Log::default();
    log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for number in 0..42 {
        let start = at("03-02").plus_seconds(number * 86_400);
        let saturday = number % 7 == 5 && number >= 42 - weeks * 7;
        for hour in 1..=24 {
            let liters = match hour {
                6 if saturday => 1_900,
                15 if number == 37 => else_,
                7 | 19 => 20,
                _ => 0,
            };
            let end = start.plus_seconds(hour * 3_600);
            let records = vec![heard(&asset, None), interval(&asset, end, liters * 1_000, "")];
            log.push(end.plus_seconds(60), records);
        }
    }
    log.push(at("04-14"), vec![LogRecord::Tick]);
    only(&log, "raised WTR-BURST")
}

#[test]
fn what_comes_every_week_is_no_burst_and_what_does_not_is_one() {
    // Of six Saturdays the first three are bursts: then the week is known.
    expect![[r#"
        03-07 06:01 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P2 since 03-07 05:00
        03-14 06:01 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P2 since 03-14 05:00
        03-21 06:01 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P2 since 03-21 05:00
    "#]]
    .assert_eq(&garden(6, 0));
    assert!(garden(6, 1_900).ends_with("since 04-08 14:00\n"));
    assert!(garden(6, 0).lines().all(|line| !line.contains("since 04-")));
}

#[test]
fn a_street_without_water_is_one_issue_that_the_next_neighbour_takes_over() {
    let assets = fleet(&[(3, "water 1h street=9"), (1, "water 1h street=8")]);
    let mut log = begin(&assets, "11-02");
    hours(&mut log, &assets, ("11-02 00:00", 2), |_, hour| Some(hour % 2));
    let dry = |log: &mut Log, when: &str, id: i32| {
        let told = event(Subject::Meter(metering::MeterId::new(id)), at(when), EventCode::Dry);
        log.push(at(when).plus_seconds(20), vec![told]);
    };
    dry(&mut log, "11-02 03:00", 2);
    dry(&mut log, "11-02 03:05", 1);
    dry(&mut log, "11-02 03:10", 4);
    dry(&mut log, "11-02 20:00", 1);
    hours(&mut log, &assets, ("11-02 20:00", 40), |_, hour| Some(hour % 2));
    expect![[r#"
        11-02 03:00 raised WTR-DRY meter 2 DRY_PIPE P3 since 11-02 03:00
        11-02 03:05 raised WTR-DRY meter 1 DRY_PIPE P3 since 11-02 03:05 record under meter 2
        11-02 03:10 raised WTR-DRY meter 4 DRY_PIPE P3 since 11-02 03:10
        11-03 03:02 cleared WTR-DRY meter 2 DRY_PIPE P3 since 11-02 03:00 until 11-02 03:00
        11-03 03:02 updated WTR-DRY meter 1 DRY_PIPE P3 since 11-02 03:05
        11-03 03:12 cleared WTR-DRY meter 4 DRY_PIPE P3 since 11-02 03:10 until 11-02 03:10
        11-03 20:02 cleared WTR-DRY meter 1 DRY_PIPE P3 since 11-02 03:05 until 11-02 20:00
    "#]]
    .assert_eq(&only(&log, "WTR-DRY"));
}

fn register(asset: &MeterAsset, when: UtcTime, (value, falls): (i64, bool)) -> LogRecord {
    let failed =
        if falls { RuleMask::EMPTY.with(RuleNo::new(11).unwrap()) } else { RuleMask::EMPTY };
    LogRecord::Register {
        meter: asset.meter,
        channel: CHANNEL,
        read_at: when,
        value,
        code: metering::SlotCode::new(metering::QualityStatus::Raw, metering::DeviceFlags::NONE),
        failed,
    }
}

#[test]
fn a_meter_through_which_too_much_ran_is_noted_once_a_month() {
    let asset = meter("water 1h q3=1000 class=small_commercial");
    let mut log = Log::default();
    log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    // 2,400 hours at 1 m3/h.
    log.push(at("03-02 00:10"), vec![register(&asset, at("03-02"), (2_400_500_000, false))]);
    for number in 0..45 {
        day(&mut log, &asset, number, 300 + number % 5);
    }
    let said = log.run();
    let found: Vec<_> = said.iter().filter(|t| t.rule.name == "MTR-SLOW").cloned().collect();
    assert!(text(&found).contains("raised MTR-SLOW meter 1 SLOW_METER P4"), "{}", text(&found));
    let shown: Vec<&str> = found[0].evidence.iter().map(|one| one.text.as_str()).collect();
    assert!(shown.contains(&"2400500 L") && shown.contains(&"2400000 L"), "{shown:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_register_that_falls_says_by_how_much() {
    let falls = |kind: &str, less: i64, fed: i64| {
        let asset = meter(kind);
        let mut log = Log::default();
        log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        for number in 0..10 {
            day(&mut log, &asset, number, 500);
        }
        let when = at("03-12 06:00");
        let mut records = vec![register(&asset, at("03-11 06:00"), (9_000_000, false))];
        if fed > 0 {
            let end = at("03-12 05:00");
            let mut asset = asset.clone();
            let mut export = asset.channels[0];
            export.channel = metering::ChannelNo::new(2);
            export.reading_type = metering::ReadingType::ENERGY_EXPORT;
            asset.channels.push(export);
            let mut slot = interval(&asset, end, fed, "");
            if let LogRecord::Interval { channel, .. } = &mut slot {
                *channel = metering::ChannelNo::new(2);
            }
            records.insert(0, LogRecord::Meter(Box::new(asset)));
            records.push(slot);
        }
        records.push(register(&asset, when, (9_000_000 - less, true)));
        log.push(when, records);
        only(&log, "REG-DEC")
    };
    let raised =
        |cause: &str| format!("03-12 06:00 raised REG-DEC meter 1 {cause} P2 since 03-12 06:00\n");
    assert_eq!(falls("water 1h", 4_000, 0), raised("BACKFLOW"));
    assert_eq!(falls("water 1h", 40_000, 0), raised("REGISTER_DECREASE"));
    assert_eq!(falls("electricity 1h", 40_000, 0), raised("REGISTER_DECREASE"));
    assert_eq!(falls("electricity 1h", 40_000, 39_000), raised("REVERSE_ROTATION"));
}

#[test]
fn late_values_that_replace_estimates_are_a_record() {
    let asset = meter("water 1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    let superseded = Finding {
        meter: asset.meter,
        channel: Some(CHANNEL),
        rule: RuleNo::new(64).unwrap(),
        outcome: Outcome::Warn,
        from: at("10-30"),
        to: at("10-30 05:00"),
        kind: 0,
        detail: 5,
    };
    log.push(at("11-02 08:00"), vec![LogRecord::Finding(superseded)]);
    expect![[r#"
        11-02 08:00 raised COM-BACKFILL meter 1 DATA_GAP P4 since 10-30 00:00 record
        11-02 08:00 cleared COM-BACKFILL meter 1 DATA_GAP P4 since 10-30 00:00 until 10-30 05:00 record
    "#]]
    .assert_eq(&log.text());
}

/// A winter from December to February with a leak of `days` in January.
fn winter(days: i64) -> String {
    let asset = meter("water 1h contact=1h");
    let mut log = Log::default();
    let start = UtcTime::parse_rfc3339("2026-11-25T00:00:00Z").unwrap();
    log.push(start, vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for number in 0..104 {
        let leaks = (45..45 + days).contains(&number);
        let mut records = vec![heard(&asset, None)];
        let day = start.plus_seconds(number * 86_400);
        for hour in 1..=24 {
            let drawn = if (7..22).contains(&hour) { 15 + number % 3 } else { 0 };
            let value = (drawn + if leaks { 20 } else { 0 }) * 1_000;
            records.push(interval(&asset, day.plus_seconds(hour * 3_600), value, ""));
        }
        records.push(LogRecord::Tick);
        log.push(day.plus_seconds(86_400 + 120), records);
        log.push(day.plus_seconds(86_400 + 7 * 3_600), vec![LogRecord::Tick]);
    }
    only(&log, "SWR-WQA")
}

#[test]
fn a_leak_in_winter_that_was_over_soon_puts_the_sewer_basis_in_doubt() {
    assert_eq!(winter(0), "");
    // Four days of a leak: no alert of it is left when the days are added up.
    expect![[r#"
        03-06 07:00 raised SWR-WQA meter 1 DATA_GAP P4 since 12-01 00:00
    "#]]
    .assert_eq(&winter(4));
}

#[test]
fn a_repair_in_a_district_ends_its_leak() {
    let assets = fleet(&[(12, "water 1h area=1"), (1, "water 1h area=1 role=zone_inlet")]);
    let mut log = begin(&assets, "10-01");
    hours(&mut log, &assets, ("10-01 00:00", 24 * 33), |id, hour| {
        let leak = if hour > 24 * 28 { 60 } else { 0 };
        let own = if (6..22).contains(&((hour - 1) % 24)) { 12 + (hour / 24) % 2 } else { 0 };
        Some(if id == 13 { 12 * own + 30 + leak } else { own })
    });
    let done = WorkOrder {
        number: 1,
        subject: Subject::Zone(ZoneId::new(1)),
        kind: WorkOrderKind::Repair,
        status: WorkOrderStatus::Completed,
        at: at("11-02 12:00"),
    };
    log.push(at("11-03 00:30"), vec![LogRecord::WorkOrder(done)]);
    expect![[r#"
        10-30 06:32 raised DMA-MNF zone 1 DMA_LEAK P2 since 10-29 00:00
        11-03 00:30 cleared DMA-MNF zone 1 DMA_LEAK P2 since 10-29 00:00 until 11-02 12:00
    "#]]
    .assert_eq(&only(&log, "DMA-MNF"));
}

#[test]
fn a_slow_leak_is_no_new_normal_of_its_district() {
    let assets = fleet(&[(12, "water 1h area=1"), (1, "water 1h area=1 role=zone_inlet")]);
    let mut log = begin(&assets, "08-01");
    hours(&mut log, &assets, ("08-01 00:00", 24 * 75), |id, hour| {
        // After 35 days 0.35 L/h more each day.
        let leak = ((hour / 24) - 35).max(0) * 35 / 100;
        let own = if (6..22).contains(&((hour - 1) % 24)) { 12 + (hour / 24) % 2 } else { 0 };
        Some(if id == 13 { 12 * own + 30 + leak } else { own })
    });
    assert!(only(&log, "raised DMA-MNF").lines().count() >= 1, "{}", log.text());
}

#[test]
fn a_desk_that_lost_its_state_is_told_what_stands_and_escalates_it() {
    let asset = meter("water 1h contact=1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    super::fill(&mut log, &asset, "11-02 00:00 +2h 0 | 11-02 02:00 +26h 300");
    let mut engine = crate::Engine::new(crate::Params::default());
    let mut said = Vec::new();
    for frame in &log.frames {
        engine.apply(frame, &mut said);
    }
    let standing = engine.standing();
    assert_eq!((standing.len(), standing[0].alert_id == said[0].alert_id), (1, true));
    assert_eq!(standing[0].severity, metering::Severity::P1);
    let mut desk = crate::manage::Desk::new(crate::manage::DeskParams::default());
    let mut told = crate::manage::Said::default();
    desk.take(&standing[0], None, &mut told);
    desk.advance(engine.log_time().plus_seconds(60), &mut told);
    desk.advance(engine.log_time().plus_seconds(1_200), &mut told);
    assert!(format!("{told:?}").contains("Escalation"), "{told:?}");
}
