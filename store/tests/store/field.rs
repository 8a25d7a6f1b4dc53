//! Work orders, versions of the rules, and what people were told.

use alerts::issue::State;
use alerts::manage::{KpiRow, Said, Shelve};
use alerts::{Cause, Family};
use metering::{
    ChannelNo, LogRecord, MeterId, RuleNo, Severity, Subject, WorkOrderKind, WorkOrderStatus,
};
use store::rules::{self, BundleAct, NewBundle};
use store::work_orders::{self, FieldRead, Findings, NewWorkOrder, Told};
use store::{Database, EventLog, PgLog, StoreError, alarms};

use crate::days::meters;
use crate::support::{T0, database, number};

async fn open_issue(database: &Database) {
    let client = database.client().await.unwrap();
    let sql = "INSERT INTO meter_issue (issue_id, subject_kind, subject_id, family, \
        cause_detected, state, severity, rule_no, rule, condition_start, detected_at, updated_at) \
        VALUES ('i1', 'meter', 1, $1, $2, 'DETECTED', 2, 25, 'MTR-STOP', now(), now(), now())";
    let (family, cause) = (Family::Metrology.word(), Cause::StoppedMeter.word());
    client.execute(sql, &[&family, &cause]).await.unwrap();
}

fn order() -> NewWorkOrder {
    NewWorkOrder {
        subject: Subject::Meter(MeterId::new(1)),
        kind: WorkOrderKind::Exchange,
        severity: Severity::P2,
        at: T0,
        issues: vec![1],
        action: "exchange the meter".to_owned(),
        parts: String::new(),
        safety: String::new(),
        assignee: None,
        ext_system: "maximo".to_owned(),
        ext_id: "77".to_owned(),
    }
}

async fn state(database: &Database) -> State {
    let client = database.client().await.unwrap();
    let row = client.query_one("SELECT state FROM meter_issue", &[]).await.unwrap();
    row.get::<_, &str>(0).parse().unwrap()
}

#[tokio::test]
async fn a_work_order_moves_its_issue_and_brings_reads_and_findings() {
    let name = "a_work_order_moves_its_issue_and_brings_reads_and_findings";
    let Some(database) = database(name).await else { return };
    meters(&database, 1).await;
    open_issue(&database).await;
    let number_1 = work_orders::create(&database, &order(), "ann", T0).await.unwrap();
    let again = work_orders::create(&database, &order(), "ann", T0).await.unwrap();
    assert_eq!(number_1, again, "the other system's number is known");
    assert_eq!(state(&database).await, State::WorkOrdered);

    let read = FieldRead { channel: ChannelNo::new(1), read_at: T0.plus_seconds(60), raw: 500 };
    let told = Told {
        status: WorkOrderStatus::Completed,
        at: T0.plus_seconds(60),
        note: "register stuck".to_owned(),
        findings: Some(Findings {
            cause: Some(Cause::StoppedMeter),
            fix_action: Some("exchanged".to_owned()),
            new_serial: Some("S-2".to_owned()),
            final_read: Some(read),
            initial_read: Some(FieldRead { raw: 0, ..read }),
        }),
    };
    // Neither without findings nor as an exchange without its reads and a word about them.
    let nothing = Told { findings: None, ..told.clone() };
    let unread = Findings { initial_read: None, ..told.findings.clone().unwrap() };
    let unread = Told { findings: Some(unread), note: String::new(), ..told.clone() };
    for refused in [nothing, unread] {
        let answer = work_orders::tell(&database, number_1, &refused, "bob", T0).await;
        assert!(matches!(answer, Err(StoreError::Refused { .. })), "{answer:?}");
    }
    assert_eq!(state(&database).await, State::WorkOrdered);
    let taken = work_orders::tell(&database, number_1, &told, "bob", T0.plus_seconds(90)).await;
    let taken = taken.unwrap();
    assert_eq!((taken.is_new, taken.moved, taken.reads), (true, 1, 2));
    let taken = work_orders::tell(&database, number_1, &told, "bob", T0.plus_seconds(95)).await;
    assert!(!taken.unwrap().is_new, "the field tells things twice");
    assert_eq!(state(&database).await, State::FixedPending);
    let reads = "SELECT count(*) FROM register_read WHERE source IN (3, 4)";
    assert_eq!(number(&database, reads).await, 2);
    let found = "SELECT count(*) FROM meter_issue WHERE identified_cause = 'STOPPED_METER' \
        AND fix_action = 'exchanged' AND date_fixed = '2026-10-01T00:01Z'";
    assert_eq!(number(&database, found).await, 1);
    let log = PgLog::new(database.clone()).read(0, 0, 100).await.unwrap();
    let orders = log.iter().flat_map(|frame| &frame.records);
    let statuses: Vec<WorkOrderStatus> = orders
        .filter_map(|record| match record {
            LogRecord::WorkOrder(order) => Some(order.status),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [WorkOrderStatus::Created, WorkOrderStatus::Completed]);
    let chain = store::issues::Issues::new(database.clone()).verify_chain("i1").await.unwrap();
    assert_eq!(chain, None);
}

fn bundle<'a>(version: &'a str, text: &'a str) -> NewBundle<'a> {
    let (actor, approved_by, reason, over) = ("ann", "", "test", None);
    NewBundle { version, text, hash: text, actor, approved_by, reason, over }
}

#[tokio::test]
async fn every_version_of_the_rules_is_kept_and_told_to_the_log() {
    let name = "every_version_of_the_rules_is_kept_and_told_to_the_log";
    let Some(database) = database(name).await else { return };
    assert_eq!(rules::active(&database).await.unwrap(), None);
    let one = rules::apply(&database, &bundle("1", "a"), T0).await.unwrap();
    assert_eq!((one.act, one.log_seq > 0), (BundleAct::Apply, true));
    let same = rules::apply(&database, &bundle("1", "a"), T0).await.unwrap();
    assert_eq!(same.bundle_no, one.bundle_no);
    rules::apply(&database, &bundle("2", "b"), T0).await.unwrap();
    assert!(rules::apply(&database, &bundle("1", "c"), T0).await.is_err(), "another text");
    // What was approved over other rules than those that hold now is refused.
    let first = NewBundle { over: Some(one.bundle_no), ..bundle("1", "a") };
    assert!(rules::rollback(&database, &first, T0).await.is_err(), "over 1, but 2 holds");
    let held = rules::held_before(&database, "1").await.unwrap();
    let first = NewBundle { over: None, ..bundle("1", &held.text) };
    let back = rules::rollback(&database, &first, T0).await.unwrap();
    assert_eq!((back.text.as_str(), back.act), ("a", BundleAct::Rollback));
    assert_eq!(rules::active(&database).await.unwrap().unwrap().version, "1");
    assert_eq!(rules::versions(&database, 10).await.unwrap().len(), 3);
    // What only stood in shadow cannot be made to hold, whatever its name.
    for (version, is_new) in [("3", true), ("2", false)] {
        let shadow = bundle(version, "unwatched");
        let set = rules::set_shadow(&database, Some(&shadow), ("ann", "test"), T0).await;
        assert_eq!(set.is_ok(), is_new, "a version that held names no other rules");
    }
    assert!(rules::held_before(&database, "3").await.is_err());
    let frames = PgLog::new(database.clone()).read(0, 0, 100).await.unwrap();
    let told: Vec<&str> = frames
        .iter()
        .flat_map(|frame| &frame.records)
        .filter_map(|record| match record {
            LogRecord::Rules(bundle) => Some(bundle.version.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["1", "2", "1"]);
    rules::set_shadow(&database, Some(&bundle("3", "c")), ("ann", ""), T0).await.unwrap();
    assert_eq!(rules::shadow(&database).await.unwrap().unwrap().version, "3");
    rules::set_shadow(&database, None, ("ann", "done"), T0).await.unwrap();
    assert_eq!(rules::shadow(&database).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_shelved_has_an_end_and_kpis_are_kept_once() {
    let Some(database) = database("what_is_shelved_has_an_end_and_kpis_are_kept_once").await else {
        return;
    };
    let mut shelve = Shelve {
        rule: RuleNo::new(59),
        subject: None,
        from: T0,
        until: T0.plus_seconds(8 * 86_400),
        who: "ann".to_owned(),
        why: "works".to_owned(),
        out_of_service: false,
    };
    assert!(alarms::shelve(&database, &shelve).await.is_err(), "longer than a week");
    shelve.until = T0.plus_seconds(3_600);
    let id = alarms::shelve(&database, &shelve).await.unwrap();
    let active = alarms::active_shelves(&database, T0).await.unwrap();
    assert_eq!((active.len(), &active[0].shelve), (1, &shelve));
    assert_eq!(alarms::active_shelves(&database, shelve.until).await.unwrap(), []);
    assert!(alarms::unshelve(&database, id, "bob", T0).await.unwrap());
    assert!(!alarms::unshelve(&database, id, "bob", T0).await.unwrap());
    let row = KpiRow {
        at: T0,
        raised: 5,
        annunciated: 2,
        flood: false,
        chattering: 0,
        stale: 1,
        bad_actor_permille: 40,
    };
    let said = Said { kpis: vec![row], ..Said::default() };
    alarms::record(&database, &said).await.unwrap();
    alarms::record(&database, &said).await.unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM alarm_kpi").await, 1);
}
