//! Collectors that are taken out of use and put into it again.

use expect_test::expect;
use metering::{CollectorId, EventCode, LogRecord, Subject, UtcTime};

use super::{Log, at, collector, event, heard, interval, meter};

/// `minutes` from `from` in steps of 5; collector 1 beats while `beats`, collector 2 always; its
/// meter is heard while it beats.
fn run(log: &mut Log, from: &str, minutes: i64, beats: bool) -> UtcTime {
    let asset = meter("water 1h contact=15min via=1");
    let mut now = at(from);
    for step in 1..=minutes / 5 {
        now = at(from).plus_seconds(step * 300);
        let mut records = Vec::new();
        for id in if beats { vec![1, 2] } else { vec![2] } {
            let subject = Subject::Collector(CollectorId::new(id));
            records.push(event(subject, now.plus_seconds(-1), EventCode::Heartbeat));
        }
        if beats {
            records.push(heard(&asset, Some(1)));
            records.push(interval(&asset, now.floor_to(3_600), 300_000, ""));
        }
        records.push(LogRecord::Tick);
        log.push(now, records);
    }
    now
}

#[test]
fn the_outage_of_a_collector_ends_when_nothing_is_asked_of_it_any_more() {
    let mut log = Log::default();
    let asset = meter("water 1h contact=15min via=1");
    let assets = vec![collector(1, "5min"), collector(2, "5min"), LogRecord::Meter(asset.into())];
    log.push(at("11-02"), assets);
    run(&mut log, "11-02 00:00", 120, true);
    let ended = run(&mut log, "11-02 02:00", 60, false);
    log.push(ended, vec![collector(1, "0s")]);
    run(&mut log, "11-02 03:00", 120, false);
    // Put into use again, it was not out in between; from now on it is due.
    log.push(at("11-02 05:00"), vec![collector(1, "5min")]);
    run(&mut log, "11-02 05:00", 60, true);
    run(&mut log, "11-02 06:00", 60, false);
    expect![[r#"
        11-02 02:15 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 01:59
        11-02 03:00 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 01:59 until 11-02 03:00
        11-02 06:15 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 05:59
    "#]].assert_eq(&log.text());
}

/// Twelve meters behind collector 1, which falls silent with them at 04:00.
fn common_silence(ended: Option<&str>) -> Log {
    let mut log = Log::default();
    let assets: Vec<_> =
        (1..=12).map(|id| meter(&format!("electricity 15min id={id} via=1"))).collect();
    let other = meter("electricity 15min id=20 via=2");
    let mut records = vec![collector(1, "5min"), collector(2, "5min")];
    records.extend(assets.iter().chain([&other]).map(|one| LogRecord::Meter(one.clone().into())));
    log.push(at("11-02"), records);
    for step in 1..=864 {
        let now = at("11-02").plus_seconds(step * 300);
        let lives = step <= 48;
        let mut records = Vec::new();
        if ended.is_some_and(|ended| now == at(ended)) {
            records.push(collector(1, "0s"));
        }
        for id in if lives { vec![1, 2] } else { vec![2] } {
            let subject = Subject::Collector(CollectorId::new(id));
            records.push(event(subject, now.plus_seconds(-1), EventCode::Heartbeat));
        }
        let sending = assets.iter().filter(|_| lives).map(|one| (one, 1)).chain([(&other, 2)]);
        for (one, via) in sending.filter(|_| step % 3 == 0) {
            records.push(heard(one, Some(via)));
            records.push(interval(one, now, 100_000, ""));
        }
        records.push(LogRecord::Tick);
        log.push(now, records);
    }
    log
}

#[test]
fn the_common_silence_of_meters_is_no_outage_of_a_collector_that_was_taken_out_of_use() {
    let outages = |log: &Log| {
        let said = log.text();
        let of = |what: &str| said.lines().filter(|line| line.contains(what)).count();
        (of("raised COM-COLL"), of("cleared COM-COLL"), of("raised COM-STALE"))
    };
    assert_eq!(outages(&common_silence(None)).0, 1);
    // Ended while it stood, and ended just before.
    assert_eq!(outages(&common_silence(Some("11-02 05:00"))), (1, 1, 12));
    assert_eq!(outages(&common_silence(Some("11-02 04:00"))), (0, 0, 12));
}
