//! An engine that was made anew takes up the alerts that staff were told.

use metering::{
    CollectorId, EventCode, LogRecord, LoggedFrame, MeterAsset, MeterId, Subject, UtcTime,
};

use super::{Log, at, collector, event, fill, heard, interval, meter, text};
use crate::manage::{AlarmKey, Desk, DeskParams, Said};
use crate::{AlertTransition, Engine, KnownAlert, KnownLeak, Params, TransitionKind};

fn leaking() -> (MeterAsset, Log) {
    let asset = meter("water 15min");
    let mut log = Log::default();
    log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +10h 0,2 | 11-02 10:00 +30h 9");
    (asset, log)
}

fn known(one: &AlertTransition) -> KnownAlert {
    let fact = |key: &str| one.evidence.iter().find(|fact| fact.key == key).map(|fact| fact.value);
    let leak = fact("leak_per_day").zip(fact("leaked")).map(|(ml_per_day, leaked_ml)| KnownLeak {
        ml_per_day,
        to: UtcTime::from_micros(fact("window_to").unwrap()),
        leaked_ml,
    });
    KnownAlert {
        alert_id: one.alert_id.clone(),
        rule: one.rule.no,
        subject: one.subject,
        cause: one.cause,
        family: one.family,
        severity: one.severity,
        condition_start: one.condition_start,
        has_issue: one.annunciate,
        leak,
    }
}

fn run(log: &Log) -> (Engine, Vec<AlertTransition>) {
    let (mut engine, mut out) = (Engine::new(Params::default()), Vec::new());
    for frame in &log.frames {
        engine.apply(frame, &mut out);
    }
    (engine, out)
}

#[test]
fn what_both_hold_goes_on_under_its_own_name() {
    let (asset, log) = leaking();
    let (mut engine, said) = run(&log);
    let mut told = known(said.last().unwrap());
    // The first engine saw the beginning of the leak elsewhere.
    told.condition_start = at("11-02 09:00");
    told.alert_id = crate::alert_id(
        crate::RuleId::WTR_CONT,
        told.subject,
        said.last().unwrap().channel,
        told.condition_start,
    );
    assert_eq!(engine.reconcile(std::slice::from_ref(&told), at("11-01")), []);
    assert_eq!(engine.active_alerts(), 1);
    engine.resume_at(1_000);
    assert_eq!(engine.position(), 1_000);
    let mut dry = Log::default();
    fill(&mut dry, &asset, "11-03 16:00 +30h 0,3,0,0,0,0");
    let mut out = Vec::new();
    let mut seq = 1_000;
    for frame in dry.frames {
        let count = i64::try_from(frame.records.len()).unwrap();
        engine.apply(&LoggedFrame { first_seq: seq, ..frame }, &mut out);
        seq += count;
    }
    let cleared: Vec<&AlertTransition> =
        out.iter().filter(|one| one.rule == crate::RuleId::WTR_CONT).collect();
    assert_eq!(cleared.len(), 1, "{out:#?}");
    assert_eq!(cleared[0].kind, TransitionKind::Cleared);
    assert_eq!(cleared[0].alert_id, told.alert_id);
}

#[test]
fn the_sum_of_a_leak_goes_on_where_the_store_has_it() {
    let (asset, log) = leaking();
    let (whole, said) = run(&log);
    let mut told = known(said.last().unwrap());
    // It began before all that was learned: 5,000 L have leaked, at 36 L/h in the end.
    told.condition_start = at("10-20");
    let (rule, channel) = (crate::RuleId::WTR_CONT, said.last().unwrap().channel);
    told.alert_id = crate::alert_id(rule, told.subject, channel, told.condition_start);
    let (to, day) = (at("11-03 16:00"), 36_000 * 24);
    told.leak = Some(KnownLeak { ml_per_day: day, to, leaked_ml: 5_000_000 });
    let bare = Log { frames: log.frames[..1].to_vec() };
    // An engine that learned of the leak, and one that learned nothing of it.
    for mut engine in [whole, run(&bare).0] {
        assert_eq!(engine.reconcile(std::slice::from_ref(&told), at("11-01")), []);
        engine.resume_at(1_000);
        let mut more = Log::default();
        fill(&mut more, &asset, "11-03 16:00 +50h 18");
        let (mut out, mut seq) = (Vec::new(), 1_000);
        for frame in more.frames {
            let count = i64::try_from(frame.records.len()).unwrap();
            engine.apply(&LoggedFrame { first_seq: seq, ..frame }, &mut out);
            seq += count;
        }
        let twice = out.iter().find(|one| one.rule == rule).unwrap();
        let fact = |key: &str| twice.evidence.iter().find(|fact| fact.key == key).unwrap().value;
        let ran_s = (fact("window_to") - to.micros()) / 1_000_000;
        let at_least = 5_000_000 + 36 * ran_s * 1_000 / 3_600;
        assert_eq!((twice.kind, twice.condition_start), (TransitionKind::Updated, at("10-20")));
        let leaked = fact("leaked");
        assert!((at_least..at_least + 80 * 24_000).contains(&leaked), "{twice:#?}");
    }
}

#[test]
fn what_only_the_store_holds_is_over_and_what_only_the_engine_holds_is_forgotten() {
    let (_, log) = leaking();
    let (mut engine, said) = run(&log);
    let leak = said.last().unwrap();
    let mut other = known(leak);
    other.rule = crate::RuleId::MTR_ERR.no;
    other.alert_id = "0123".to_owned();
    let over = engine.reconcile(std::slice::from_ref(&other), at("11-01"));
    assert_eq!(engine.active_alerts(), 0);
    assert_eq!(over.len(), 1);
    assert_eq!((over[0].kind, over[0].alert_id.as_str()), (TransitionKind::Cleared, "0123"));
    assert_eq!(over[0].at, engine.log_time());
    assert_eq!(over[0].condition_end, Some(engine.log_time()));
    // Again: what was not recorded yet is told again.
    assert_eq!(engine.reconcile(&[other], at("11-01")), over);
}

#[test]
fn the_desk_keeps_what_stands_and_forgets_the_rest() {
    let (_, log) = leaking();
    let (engine, said) = run(&log);
    let leak = said.last().unwrap();
    let key = AlarmKey::new(leak.rule.no, leak.subject, leak.channel);
    let (mut desk, mut words) = (Desk::new(DeskParams::default()), Said::default());
    desk.take(leak, None, &mut words);
    let mut gone = leak.clone();
    gone.rule = crate::RuleId::MTR_ERR;
    let gone_key = AlarmKey::new(gone.rule.no, gone.subject, gone.channel);
    desk.take(&gone, None, &mut words);
    let before = desk.state(&key);
    let standing: Vec<_> = engine.standing().into_iter().map(|one| (one, None)).collect();
    desk.agree(&standing, engine.log_time(), &mut words);
    assert_eq!(desk.state(&key), before, "as staff left it");
    assert_ne!(desk.state(&gone_key), Some(crate::manage::AlarmState::UnackActive));
    let mut empty = Desk::new(DeskParams::default());
    empty.agree(&standing, engine.log_time(), &mut words);
    assert!(empty.state(&key).is_some(), "a desk that lost it is told");
}

#[test]
fn what_began_before_all_that_was_learned_stands() {
    let (_, log) = leaking();
    let (mut engine, said) = run(&log);
    let mut old = known(said.last().unwrap());
    old.rule = crate::RuleId::MTR_ERR.no;
    old.alert_id = "0123".to_owned();
    old.condition_start = at("10-31");
    let mut of_nobody = old.clone();
    of_nobody.alert_id = "4567".to_owned();
    of_nobody.subject = Subject::Meter(MeterId::new(77));
    let over = engine.reconcile(&[old.clone(), of_nobody], at("11-01"));
    assert_eq!(over.len(), 1, "{over:#?}");
    assert_eq!(over[0].alert_id, "4567", "its meter is gone");
    let standing = engine.standing();
    assert_eq!(standing.len(), 1);
    assert_eq!((standing[0].rule, standing[0].severity), (crate::RuleId::MTR_ERR, old.severity));
    assert_eq!(standing[0].condition_start, old.condition_start);
}

/// Twelve meters of one collector that sends no heartbeat.
fn behind_one() -> (Vec<MeterAsset>, Vec<LogRecord>) {
    let assets: Vec<MeterAsset> =
        (1..=12).map(|id| meter(&format!("electricity 15min via=7 id={id}"))).collect();
    let records = assets.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone())));
    (assets.clone(), records.collect())
}

/// What those meters send from `from` on, quarter by quarter.
fn quarters(log: &mut Log, assets: &[MeterAsset], (from, count): (UtcTime, i64)) {
    for quarter in 1..=count {
        let end = from.plus_seconds(quarter * 900);
        let mut records: Vec<LogRecord> = Vec::new();
        for asset in assets {
            records.push(heard(asset, None));
            records.push(interval(asset, end, 250_000, ""));
        }
        records.push(LogRecord::Tick);
        log.push(end.plus_seconds(120), records);
    }
}

#[test]
fn meters_that_were_silent_before_all_that_is_learned_are_no_outage() {
    let (assets, fleet) = behind_one();
    let (mut engine, mut out) = (Engine::new(Params::default()), Vec::new());
    let mut log = Log::default();
    log.push(at("11-01"), fleet);
    quarters(&mut log, &assets[6..], (at("11-01"), 300));
    engine.apply(&log.frames[0], &mut out);
    for asset in &assets[..6] {
        let months = i64::from(asset.meter.get());
        engine.was_heard(asset.meter, at("10-01").plus_seconds(-months * 30 * 86_400));
    }
    for frame in &log.frames[1..] {
        engine.apply(frame, &mut out);
    }
    let said = text(&out);
    assert!(!said.contains("COM-COLL"), "{said}");
    assert_eq!(said.matches("COM-STALE").count(), 6, "each is known to be silent: {said}");
    assert!(said.contains("meter 1 COMM_LOST P3 since 09-01 00:00"), "{said}");
}

#[test]
fn an_outage_that_was_taken_back_is_told_again_while_no_heartbeat_comes() {
    let (assets, mut records) = behind_one();
    records.push(collector(7, "5min"));
    let mut log = Log::default();
    log.push(at("11-01"), records);
    quarters(&mut log, &assets, (at("11-01"), 40));
    let (mut engine, mut out) = (Engine::new(Params::default()), Vec::new());
    engine.apply(&log.frames[0], &mut out);
    engine.had_beaten(CollectorId::new(7), at("10-29 12:00"));
    for frame in &log.frames[1..] {
        engine.apply(frame, &mut out);
    }
    let said = text(&out);
    assert!(said.contains("raised COM-COLL collector 7 BACKHAUL P3 since 10-29 12:00"), "{said}");
    // Staff were told nothing of it.
    assert_eq!(engine.reconcile(&[], at("11-01")), []);
    out.clear();
    let mut more = log.clone();
    quarters(&mut more, &assets, (at("11-01 10:00"), 4));
    let back = at("11-01 11:02");
    let beat = event(Subject::Collector(CollectorId::new(7)), back, EventCode::Heartbeat);
    more.push(back, vec![beat]);
    for minute in 1..30 {
        let records = if minute % 5 == 0 {
            let now = back.plus_seconds(minute * 60);
            vec![event(Subject::Collector(CollectorId::new(7)), now, EventCode::Heartbeat)]
        } else {
            vec![LogRecord::Tick]
        };
        more.push(back.plus_seconds(minute * 60), records);
    }
    for frame in &more.frames[log.frames.len()..] {
        engine.apply(frame, &mut out);
    }
    let said = text(&out);
    assert_eq!(said.matches("raised COM-COLL collector 7").count(), 1, "{said}");
    assert_eq!(said.matches("cleared COM-COLL collector 7").count(), 1, "{said}");
}

#[test]
fn an_outage_that_only_staff_know_ends_when_its_meters_are_heard() {
    let (assets, records) = behind_one();
    let mut log = Log::default();
    log.push(at("11-01"), records);
    quarters(&mut log, &assets, (at("11-01"), 8));
    let (mut engine, mut out) = run(&log);
    let outage = KnownAlert {
        alert_id: "0123".to_owned(),
        rule: crate::RuleId::COM_COLL.no,
        subject: Subject::Collector(CollectorId::new(7)),
        cause: crate::Cause::CollectorOutage,
        family: crate::Cause::CollectorOutage.family().unwrap(),
        severity: metering::Severity::P1,
        condition_start: at("10-30"),
        has_issue: true,
        leak: None,
    };
    assert_eq!(engine.reconcile(&[outage], at("11-01")), []);
    assert_eq!(engine.active_alerts(), 1);
    let mut more = log.clone();
    quarters(&mut more, &assets, (at("11-01 02:00"), 4));
    out.clear();
    for frame in &more.frames[log.frames.len()..] {
        engine.apply(frame, &mut out);
    }
    assert!(text(&out).contains("cleared COM-COLL collector 7 COLLECTOR_OUTAGE P1"), "{out:#?}");
}

#[test]
fn a_silence_that_was_taken_back_is_told_again_unless_the_meter_is_heard() {
    let (assets, fleet) = behind_one();
    let mut log = Log::default();
    log.push(at("11-01"), fleet);
    quarters(&mut log, &assets, (at("11-01"), 96));
    quarters(&mut log, &assets[2..], (at("11-02"), 200));
    // The first is heard without readings.
    log.push(at("11-04 02:05"), vec![heard(&assets[0], None), LogRecord::Tick]);
    let (mut engine, said) = run(&log);
    let before = text(&said);
    assert_eq!(before.matches("raised COM-STALE").count(), 2, "{before}");
    engine.reconcile(&[], at("11-01"));
    let mut more = log.clone();
    quarters(&mut more, &assets[2..], (at("11-04 02:15"), 4));
    let mut out = Vec::new();
    for frame in &more.frames[log.frames.len()..] {
        engine.apply(frame, &mut out);
    }
    let said = text(&out);
    assert_eq!(said.matches("raised COM-STALE").count(), 1, "{said}");
    assert!(said.contains("raised COM-STALE meter 2"), "{said}");
}
