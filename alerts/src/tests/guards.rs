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

/// The mean temperature of the day `number`, told so many hours after its begin.
fn mean(log: &mut Log, whose: Subject, number: i64, (centi, after_h): (i64, i64)) {
    let start = at("03-02").plus_seconds(number * 86_400);
    let mut told = event(whose, start.plus_seconds(43_200), EventCode::AmbientTemperature);
    if let LogRecord::Event { detail, .. } = &mut told {
        *detail = i32::try_from(centi).unwrap();
    }
    log.push(start.plus_seconds(after_h * 3_600), vec![told]);
}

/// Eight weeks of gas that follows the cold, then a cold week, then two of 2,000 L at 9 C; the
/// means of the temperature come so many hours after the day's begin, or never.
fn cold_week(whose: Subject, after_h: Option<i64>) -> Log {
    let asset = meter("gas 1h contact=24h lag=1h area=7");
    let mut log = Log::default();
    log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for number in 0..56 {
        let centi = match number {
            50..54 => -900,
            54.. => 900,
            _ => 1_000 + (number * 7 % 11) * 20,
        };
        // 500 L and 1 L for each tenth of a degree below 15.5 C.
        let use_ = if number < 54 { 500 + (1_550 - centi) / 10 } else { 2_000 };
        day(&mut log, &asset, number, use_);
        if let Some(after_h) = after_h {
            mean(&mut log, whose, number, (centi, after_h));
        }
    }
    log.sort_by_log_time();
    log
}

/// What was said of variance until the day before `before`, and not taken back.
fn standing_until(log: &Log, before: &str) -> Vec<crate::AlertTransition> {
    let mut left: Vec<crate::AlertTransition> = Vec::new();
    for one in log.run().into_iter().filter(|t| t.rule.name.starts_with("VAR-")) {
        match one.kind {
            crate::TransitionKind::Raised if one.condition_start < at(before) => left.push(one),
            crate::TransitionKind::Retracted => left.retain(|t| t.alert_id != one.alert_id),
            _ => {}
        }
    }
    left
}

#[test]
fn cold_days_are_compared_with_what_they_would_have_been() {
    let zone = Subject::Zone(ZoneId::new(7));
    let high = standing_until(&cold_week(Subject::Headend, None), "04-25");
    assert_eq!(high[0].rule.name, "VAR-HIGH");
    for whose in [Subject::Headend, zone] {
        // A forecast, and a mean that is known ten hours after the day closed.
        for after_h in [12, 35] {
            let left = standing_until(&cold_week(whose, Some(after_h)), "04-25");
            assert_eq!(text(&left), "", "{whose:?} {after_h}");
        }
    }
    let other = Subject::Zone(ZoneId::new(8));
    assert_eq!(standing_until(&cold_week(other, Some(12)), "04-25").len(), high.len());
}

#[test]
fn use_beyond_the_cold_is_still_high_and_the_evidence_names_the_weather() {
    let said = cold_week(Subject::Headend, Some(12)).run();
    let high: Vec<_> = said.iter().filter(|t| t.rule.name == "VAR-HIGH").collect();
    assert_eq!(text(&[high[0].clone()]).split(" since ").nth(1), Some("04-25 00:00\n"));
    let fact = |key: &str| high[0].evidence.iter().find(|one| one.key == key).unwrap().value;
    assert!(fact("weather_explains") > 900);
    // 500 L and 65 tenths of a degree, whatever the days before were.
    assert!((564_000..=566_000).contains(&fact("median")), "{}", fact("median"));
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
    garden_late(weeks, else_, &[])
}

/// The same, and on the days `late` the hour from 05:00 comes a day after the day closed.
fn garden_late(weeks: i64, else_: i64, late: &[i64]) -> String {
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
            let late_s = if hour == 6 && late.contains(&number) { 44 * 3_600 } else { 0 };
            log.push(end.plus_seconds(60 + late_s), records);
        }
    }
    log.sort_by_log_time();
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
    // What came after its day had closed counts for the weeks to come.
    let late = garden_late(6, 0, &[12, 19]);
    assert!(late.contains("since 03-07") && !late.contains("since 03-28"), "{late}");
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

/// Dry flags of meters as (arrival, meter, when it was), and what stands of them at the end of the
/// second hour: alerts with their parents, issues with theirs.
fn dry_street(flags: &[(&str, i32, &str)]) -> String {
    let assets = fleet(&[(3, "water 1h street=9 lag=6h"), (1, "water 1h street=-8")]);
    let mut log = begin(&assets, "11-02");
    for (arrives, id, when) in flags {
        let subject = Subject::Meter(metering::MeterId::new(*id));
        log.push(at(arrives), vec![event(subject, at(when), EventCode::Dry)]);
    }
    let mut issues = super::issues::Book::default();
    for one in log.run() {
        issues.apply(&one);
        issues.due(one.at);
    }
    issues.text().join("\n")
}

#[test]
fn a_dry_street_has_the_same_issue_in_whatever_order_its_flags_come() {
    let want = dry_street(&[
        ("11-02 05:00", 2, "11-02 02:00"),
        ("11-02 05:01", 2, "11-02 03:00"),
        ("11-02 05:02", 1, "11-02 03:05"),
        ("11-02 05:03", 3, "11-02 03:05"),
    ]);
    assert_eq!(want.matches("parent -").count(), 1, "{want}");
    // The first flag of the leader comes last; a child comes first; the leader comes between.
    for order in [[1, 2, 3, 0], [2, 3, 1, 0], [3, 2, 0, 1], [2, 1, 0, 3]] {
        let told = [(2, "02:00"), (2, "03:00"), (1, "03:05"), (3, "03:05")];
        let times: Vec<String> =
            order.iter().map(|place| format!("11-02 {}", told[*place].1)).collect();
        let flags: Vec<(&str, i32, &str)> =
            ["11-02 05:00", "11-02 05:01", "11-02 05:02", "11-02 05:03"]
                .into_iter()
                .zip(order.iter().zip(&times))
                .map(|(arrives, (place, when))| (arrives, told[*place].0, when.as_str()))
                .collect();
        assert_eq!(dry_street(&flags), want, "{order:?}");
    }
}

#[test]
fn a_street_whose_town_is_unknown_has_no_neighbours() {
    let assets = fleet(&[
        (2, "water 1h street=-8"),
        (2, "water 1h street=-8 area=1"),
        (1, "water 1h street=-8 area=2"),
    ]);
    let mut log = begin(&assets, "11-02");
    for id in 1..=5 {
        let subject = Subject::Meter(metering::MeterId::new(id));
        log.push(at("11-02 03:05"), vec![event(subject, at("11-02 03:00"), EventCode::Dry)]);
    }
    let said = log.run();
    let under: Vec<_> = said.iter().filter(|t| t.parent.is_some()).map(|t| t.subject).collect();
    assert_eq!(under, [Subject::Meter(metering::MeterId::new(4))]);
}

#[test]
fn a_dry_neighbour_does_not_hide_a_burst() {
    let assets = fleet(&[(2, "water 1h street=9 q3=2500")]);
    let mut log = begin(&assets, "11-02");
    hours(&mut log, &assets, ("11-02 00:00", 8), |id, hour| {
        Some(if id == 2 && hour > 4 { 6_000 } else { 0 })
    });
    for id in [1, 2] {
        let subject = Subject::Meter(metering::MeterId::new(id));
        log.push(at("11-02 08:05"), vec![event(subject, at("11-02 08:00"), EventCode::Dry)]);
    }
    let mut issues = super::issues::Book::default();
    log.run().iter().for_each(|one| issues.apply(one));
    let lines = issues.text();
    let line = |word: &str| lines.iter().find(|line| line.contains(word)).unwrap();
    assert!(line("BURST").contains("parent -"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("SUPPLY DRY_PIPE")).count(), 2);
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
        let told = log.run();
        let mut facts = told.iter().flat_map(|one| &one.evidence);
        let fell_by = facts.find(|fact| fact.key == "fell_by").map(|fact| fact.text.clone());
        (only(&log, "REG-DEC"), fell_by.unwrap_or_default())
    };
    let raised = |cause: &str, less: &str| {
        let line = format!("03-12 06:00 raised REG-DEC meter 1 {cause} P2 since 03-12 06:00\n");
        (line, less.to_owned())
    };
    assert_eq!(falls("water 1h", 4_000, 0), raised("BACKFLOW", "4 L"));
    assert_eq!(falls("water 1h", 40_000, 0), raised("REGISTER_DECREASE", "40 L"));
    assert_eq!(falls("electricity 1h", 40_000, 0), raised("REGISTER_DECREASE", "40 Wh"));
    assert_eq!(falls("electricity 1h", 40_000, 39_000), raised("REVERSE_ROTATION", "40 Wh"));
}

#[test]
fn an_older_reading_that_comes_late_is_not_what_a_register_fell_from() {
    let said = |order: [usize; 2]| {
        let asset = meter("water 1h");
        let mut log = Log::default();
        log.push(at("03-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        for number in 0..10 {
            day(&mut log, &asset, number, 500);
        }
        let reads = [("03-10", 9_000_000), ("03-11", 9_010_000)];
        for place in order {
            let (when, shown) = reads[place];
            log.push(at("03-12 03:30"), vec![register(&asset, at(when), (shown, false))]);
        }
        log.push(at("03-12 06:00"), vec![register(&asset, at("03-12 05:00"), (9_006_000, true))]);
        only(&log, "REG-DEC")
    };
    assert!(said([0, 1]).contains("BACKFLOW"), "{}", said([0, 1]));
    assert_eq!(said([1, 0]), said([0, 1]));
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

#[test]
fn late_values_do_not_end_an_issue_about_data() {
    let backfill = |kind| crate::AlertTransition {
        alert_id: "b".to_owned(),
        rule: crate::RuleId::COM_BACKFILL,
        kind,
        subject: Subject::Meter(metering::MeterId::new(1)),
        channel: Some(CHANNEL),
        commodity: None,
        cause: crate::Cause::DataGap,
        family: crate::Family::Data,
        ranked: Vec::new(),
        identified: false,
        severity: metering::Severity::P4,
        condition_start: at("10-30"),
        condition_end: Some(at("10-30 05:00")),
        at: at("11-02 08:00"),
        annunciate: false,
        parent: None,
        others_active: 0,
        evidence: Vec::new(),
    };
    let mut issues = super::issues::Book::default();
    let gap = crate::AlertTransition {
        rule: crate::RuleId::INT_PROLONG,
        annunciate: true,
        severity: metering::Severity::P3,
        ..backfill(crate::TransitionKind::Raised)
    };
    issues.apply(&gap);
    let before = issues.text();
    for kind in [crate::TransitionKind::Raised, crate::TransitionKind::Cleared] {
        issues.apply(&backfill(kind));
    }
    assert_eq!((issues.text(), before.len()), (before.clone(), 1));
}

/// A winter from December to February with a leak of `days` in January, and frost on `cold` days.
fn winter(days: i64, cold: i64) -> String {
    winter_without((days, cold), |_, _| false)
}

/// The same without the hours of days that are `lost`; days are numbered from 25 November.
fn winter_without((days, cold): (i64, i64), lost: impl Fn(i64, i64) -> bool) -> String {
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
            if !lost(number, hour) {
                records.push(interval(&asset, day.plus_seconds(hour * 3_600), value, ""));
            }
            let when = day.plus_seconds(hour * 3_600);
            let mut told = event(Subject::Meter(asset.meter), when, EventCode::AmbientTemperature);
            if let LogRecord::Event { detail, .. } = &mut told {
                let frosty = (45..45 + cold).contains(&number) && hour < 12;
                *detail = if frosty { -200 } else { 600 };
            }
            records.extend((cold > 0).then_some(told));
        }
        records.push(LogRecord::Tick);
        log.push(day.plus_seconds(86_400 + 120), records);
        log.push(day.plus_seconds(86_400 + 7 * 3_600), vec![LogRecord::Tick]);
    }
    if cold > 0 {
        assert_eq!(only(&log, "raised WTR-TEMP").lines().count(), 4);
    }
    only(&log, "SWR-WQA")
}

#[test]
fn a_leak_in_winter_that_was_over_soon_puts_the_sewer_basis_in_doubt() {
    assert_eq!(winter(0, 0), "");
    // Frost is no leak.
    assert_eq!(winter(0, 4), "");
    // Four days of a leak: no alert of it is left when the days are added up.
    expect![[r#"
        03-06 07:00 raised SWR-WQA meter 1 DATA_GAP P4 since 12-01 00:00
    "#]]
    .assert_eq(&winter(4, 0));
}

#[test]
fn lost_hours_are_no_lost_days_of_the_sewer_basis() {
    let january = |day: i64| (37..68).contains(&day) && day % 3 == 0;
    // Ten days without three hours: no total, but no more than 4 % of the month is estimated.
    assert_eq!(winter_without((0, 0), |day, hour| january(day) && (10..13).contains(&hour)), "");
    // Ten days of which nothing came.
    expect![[r#"
        03-06 07:00 raised SWR-WQA meter 1 DATA_GAP P4 since 12-01 00:00
    "#]]
    .assert_eq(&winter_without((0, 0), |day, _| january(day)));
}

#[test]
fn only_a_leak_that_was_said_and_not_taken_back_is_known_later() {
    use crate::alerts::{AlertBook, Report};
    let subject = Subject::Meter(metering::MeterId::new(1));
    let report = Report::new(crate::RuleId::WTR_CONT, subject, crate::Cause::LeakCustomerSide, 100);
    let (mut book, mut out) = (AlertBook::default(), Vec::new());
    book.past(&report, 200, at("11-02"), &mut out);
    assert!(book.leaked(subject, (150, 300)) && !book.leaked(subject, (200, 300)));
    book.withdraw(&report, at("11-02"), &mut out);
    assert!(!book.leaked(subject, (150, 300)));
    let off = Report { rule: crate::RuleId::MTR_SLOW, ..report };
    let mut params = crate::Params::default();
    let settings =
        crate::params::RuleSettings { enabled: false, ..book.params.settings(off.rule.no) };
    params.set_settings(off.rule.no, settings);
    book.params = std::sync::Arc::new(params);
    book.past(&off, 200, at("11-02"), &mut out);
    assert!(!book.leaked(subject, (150, 300)));
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
    // The least tenth of the nights cannot see it: only the norm that the leak did not move can.
    let mut params = crate::Params::default();
    params.set("dma_p10_pct", 500).unwrap();
    let mut engine = crate::Engine::new(params);
    let mut said = Vec::new();
    log.frames.iter().for_each(|frame| engine.apply(frame, &mut said));
    said.retain(|t| t.rule.name == "DMA-MNF");
    assert!(!said.is_empty());
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
