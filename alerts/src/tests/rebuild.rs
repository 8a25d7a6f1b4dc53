//! An engine that was made anew takes up the alerts that staff were told.

use metering::{LogRecord, LoggedFrame, MeterAsset};

use super::{Log, at, fill, meter};
use crate::manage::{AlarmKey, Desk, DeskParams, Said};
use crate::{AlertTransition, Engine, KnownAlert, Params, TransitionKind};

fn leaking() -> (MeterAsset, Log) {
    let asset = meter("water 15min");
    let mut log = Log::default();
    log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +10h 0,2 | 11-02 10:00 +30h 9");
    (asset, log)
}

fn known(one: &AlertTransition) -> KnownAlert {
    KnownAlert {
        alert_id: one.alert_id.clone(),
        rule: one.rule.no,
        subject: one.subject,
        cause: one.cause,
        family: one.family,
        severity: one.severity,
        condition_start: one.condition_start,
        has_issue: one.annunciate,
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
    assert_eq!(engine.reconcile(std::slice::from_ref(&told)), []);
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
fn what_only_the_store_holds_is_over_and_what_only_the_engine_holds_is_forgotten() {
    let (_, log) = leaking();
    let (mut engine, said) = run(&log);
    let leak = said.last().unwrap();
    let mut other = known(leak);
    other.rule = crate::RuleId::MTR_ERR.no;
    other.alert_id = "0123".to_owned();
    let over = engine.reconcile(std::slice::from_ref(&other));
    assert_eq!(engine.active_alerts(), 0);
    assert_eq!(over.len(), 1);
    assert_eq!((over[0].kind, over[0].alert_id.as_str()), (TransitionKind::Cleared, "0123"));
    assert_eq!(over[0].at, engine.log_time());
    assert_eq!(over[0].condition_end, Some(engine.log_time()));
    // Again: what was not recorded yet is told again.
    assert_eq!(engine.reconcile(&[other]), over);
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
