//! Backflow of meters and of their network zone (#43).

use expect_test::expect;
use metering::{EventCode, LogRecord, Subject, UtcTime};

use super::{Log, at, interval, meter, text};
use crate::rule::RuleId;
use crate::{Engine, Params};

/// Meters of network zone 4 tell a major backflow of 10:00 to 10:35; their messages come at these
/// minutes after 11:00, the first one's first.
fn of_a_zone(minutes: &[i64], until: &str) -> String {
    let mut log = Log::default();
    for (id, minute) in minutes.iter().enumerate() {
        let asset = meter(&format!("water 1h contact=6h area=4 id={}", id + 1));
        let occurred_at = at("11-02 10:00").plus_seconds(i64::try_from(id).unwrap() * 300);
        let told = LogRecord::Event {
            subject: Subject::Meter(asset.meter),
            occurred_at,
            code: EventCode::ReverseFlow,
            detail: 2,
        };
        log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset))]);
        log.push(at("11-02 11:00").plus_seconds(minute * 60), vec![told]);
    }
    let (mut now, end) = (at("11-02 11:00"), at(until));
    while now <= end {
        log.push(now.plus_seconds(30), vec![LogRecord::Tick]);
        now = now.plus_seconds(1_800);
    }
    log.sort_by_log_time();
    let lines = log.text();
    lines
        .lines()
        .filter(|line| line.contains("WTR-BACK"))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn backflow_of_many_meters_at_once_is_one_event_of_their_zone_in_any_order() {
    let one = of_a_zone(&[0, 1, 2, 3, 4, 5, 6], "12-08 00:00");
    expect![[r#"
        11-02 12:00 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00
        12-07 11:00 cleared WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00 until 11-02 10:30
    "#]]
    .assert_eq(&one);
    assert_eq!(of_a_zone(&[6, 5, 4, 3, 2, 1, 0], "12-08 00:00"), one);
    assert_eq!(of_a_zone(&[3, 0, 6, 1, 5, 2, 4], "12-08 00:00"), one);
}

#[test]
fn backflow_of_few_meters_is_told_of_each_after_an_hour() {
    expect![[r#"
        11-02 12:00 raised WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00
        11-02 12:30 raised WTR-BACK meter 2 BACKFLOW P2 since 11-02 10:05
    "#]]
    .assert_eq(&of_a_zone(&[0, 1], "11-03 00:00"));
    // The sixth and the seventh are heard of two hours later: then it was the zone.
    expect![[r#"
        11-02 12:00 raised WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00
        11-02 12:00 raised WTR-BACK meter 2 BACKFLOW P2 since 11-02 10:05
        11-02 12:00 raised WTR-BACK meter 3 BACKFLOW P2 since 11-02 10:10
        11-02 12:00 raised WTR-BACK meter 4 BACKFLOW P2 since 11-02 10:15
        11-02 12:00 raised WTR-BACK meter 5 BACKFLOW P2 since 11-02 10:20
        11-02 14:30 retracted WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00
        11-02 14:30 retracted WTR-BACK meter 2 BACKFLOW P2 since 11-02 10:05
        11-02 14:30 retracted WTR-BACK meter 3 BACKFLOW P2 since 11-02 10:10
        11-02 14:30 retracted WTR-BACK meter 4 BACKFLOW P2 since 11-02 10:15
        11-02 14:30 retracted WTR-BACK meter 5 BACKFLOW P2 since 11-02 10:20
        11-02 14:30 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00
    "#]]
    .assert_eq(&of_a_zone(&[0, 0, 0, 0, 0, 150, 150], "11-03 00:00"));
}

fn backflow(id: i32, occurred_at: UtcTime, detail: i32) -> LogRecord {
    let code = EventCode::ReverseFlow;
    LogRecord::Event { subject: Subject::Meter(meter_of(id).meter), occurred_at, code, detail }
}

fn meter_of(id: i32) -> metering::MeterAsset {
    meter(&format!("water 1h step=1 contact=6h area=4 id={id}"))
}

/// The lines of WTR-BACK for seven meters of a zone, to whose log `more` was added.
fn with_seven(more: Vec<(UtcTime, LogRecord)>, until: &str, params: Params) -> String {
    let mut log = Log::default();
    for id in 1..=7 {
        log.push(at("10-01"), vec![LogRecord::Meter(Box::new(meter_of(id)))]);
    }
    for (now, record) in more {
        log.push(now, vec![record]);
    }
    let (mut now, end) = (at("10-01"), at(until));
    while now <= end {
        log.push(now.plus_seconds(30), vec![LogRecord::Tick]);
        now = now.plus_seconds(1_800);
    }
    log.sort_by_log_time();
    let (mut engine, mut out) = (Engine::new(params), Vec::new());
    log.frames.iter().for_each(|frame| engine.apply(frame, &mut out));
    out.retain(|told| told.rule == RuleId::WTR_BACK);
    text(&out)
}

/// Meters `from` to 7 tell a backflow of 11-02 10:00, which is heard of at `heard`.
fn crowd(from: i32, heard: &str, detail: i32) -> Vec<(UtcTime, LogRecord)> {
    (from..=7).map(|id| (at(heard), backflow(id, at("11-02 10:00"), detail))).collect()
}

#[test]
fn a_register_that_runs_back_after_the_event_of_its_zone_is_told_of_its_meter() {
    let mut told = crowd(1, "11-02 11:00", 2);
    for day in 3..=9 {
        let noon = at(&format!("11-{day:02} 12:00"));
        // The flag of the second meter stays, the register of the first runs back each day.
        told.push((noon, backflow(2, noon, 2)));
        told.push((noon, interval(&meter_of(1), noon, -200_000, "")));
    }
    expect![[r#"
        11-02 12:00 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00
        11-03 13:00 raised WTR-BACK meter 1 BACKFLOW P2 since 11-03 12:00
        12-07 11:00 cleared WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00 until 11-02 10:00
        12-14 12:00 cleared WTR-BACK meter 1 BACKFLOW P2 since 11-03 12:00 until 11-09 12:00
    "#]]
    .assert_eq(&with_seven(told, "12-16 00:00", Params::default()));
}

#[test]
fn what_a_register_runs_back_after_the_event_of_its_zone_is_judged_by_itself() {
    let mut told = crowd(1, "11-02 11:00", 2);
    for day in [3, 6] {
        let noon = at(&format!("11-{day:02} 12:00"));
        told.push((noon, interval(&meter_of(1), noon, -5_000, "")));
    }
    // Two minor ones, and a major one of the zone.
    let zone = "11-02 12:00 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00\n";
    assert_eq!(with_seven(told.clone(), "11-08 00:00", Params::default()), zone);
    let noon = at("11-07 23:00");
    told.push((noon, interval(&meter_of(1), noon, -5_000, "")));
    assert_eq!(with_seven(told.clone(), "11-09 00:00", Params::default()), zone);
    let third = at("11-10 12:00");
    told.push((third, interval(&meter_of(1), third, -5_000, "")));
    expect![[r#"
        11-02 12:00 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00
        11-10 13:00 raised WTR-BACK meter 1 BACKFLOW P3 since 11-03 12:00
    "#]]
    .assert_eq(&with_seven(told, "11-12 00:00", Params::default()));
}

#[test]
fn an_alert_of_a_meter_that_is_older_than_the_event_of_its_zone_stays() {
    let run = |for_s: i64| {
        let old = at("10-30 10:00");
        let mut told = vec![(old.plus_seconds(60), backflow(1, old, 2))];
        told.push((at("11-02 11:00"), backflow(1, at("11-02 10:00"), 2)));
        told.extend(crowd(2, "11-02 13:30", 2));
        let mut params = Params::default();
        let rule = RuleId::WTR_BACK.no;
        let settings = crate::params::RuleSettings { for_s, ..params.settings(rule) };
        params.set_settings(rule, settings);
        with_seven(told, "11-06 00:00", params)
    };
    expect![[r#"
        10-30 11:30 raised WTR-BACK meter 1 BACKFLOW P2 since 10-30 10:00
        11-02 14:30 raised WTR-BACK zone 4 BACKFLOW P2 since 11-02 10:00
    "#]]
    .assert_eq(&run(0));
    // It waits for its time to be told when the zone's event comes.
    expect![[r#"
        11-03 11:30 raised WTR-BACK meter 1 BACKFLOW P2 since 10-30 10:00
    "#]]
    .assert_eq(&run(4 * 86_400));
}

#[test]
fn a_third_minor_backflow_that_was_of_the_zone_is_none_of_the_meter_in_any_order() {
    let run = |heard: &str| {
        let mut told = vec![(at("11-02 11:00"), backflow(1, at("11-02 10:00"), 1))];
        for start in ["10-25 10:00", "10-29 10:00"] {
            told.push((at(start).plus_seconds(60), backflow(1, at(start), 1)));
        }
        told.extend(crowd(2, heard, 1));
        with_seven(told, "11-04 00:00", Params::default())
    };
    expect![[r#"
        11-02 12:00 raised WTR-BACK zone 4 BACKFLOW P3 since 11-02 10:00
    "#]]
    .assert_eq(&run("11-02 11:00"));
    expect![[r#"
        11-02 12:00 raised WTR-BACK meter 1 BACKFLOW P3 since 10-25 10:00
        11-02 14:30 retracted WTR-BACK meter 1 BACKFLOW P3 since 10-25 10:00
        11-02 14:30 raised WTR-BACK zone 4 BACKFLOW P3 since 11-02 10:00
    "#]]
    .assert_eq(&run("11-02 13:30"));
}
