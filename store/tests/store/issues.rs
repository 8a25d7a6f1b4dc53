//! Issues move by the closed table only, one per subject and family, with a history that shows
//! every change to it.

use alerts::issue::State;
use alerts::{AlertTransition, Cause, Family, KnownLeak, RuleId, TransitionKind, alert_id};
use metering::{Commodity, MeterId, Severity, Subject, WorkOrderKind, WorkOrderStatus};
use store::issues::{ActError, Issues, UserAct};
use store::views::orders;
use store::work_orders::{self, Findings, NewWorkOrder, Told};
use store::{Batch, Database, Offset, PgLog, StoreError, Writer};

use crate::days::meters;
use crate::support::{T0, batch, database, number, quarter};

const RULES: &str = "rules";
const DAY: i64 = 86_400;

fn leak(meter: i32, kind: TransitionKind, at_s: i64) -> AlertTransition {
    let subject = Subject::Meter(MeterId::new(meter));
    AlertTransition {
        alert_id: alert_id(RuleId::WTR_CONT, subject, None, T0),
        rule: RuleId::WTR_CONT,
        kind,
        subject,
        channel: None,
        commodity: Some(Commodity::Water),
        cause: Cause::LeakCustomerSide,
        family: Family::Leak,
        ranked: vec![(Cause::LeakCustomerSide, 250)],
        identified: false,
        severity: Severity::P3,
        condition_start: T0,
        condition_end: (kind == TransitionKind::Cleared).then(|| T0.plus_seconds(at_s)),
        at: T0.plus_seconds(at_s),
        annunciate: true,
        parent: None,
        others_active: 0,
        evidence: Vec::new(),
    }
}

async fn apply(issues: &Issues, seq: i64, transitions: &[AlertTransition]) -> (u32, u32) {
    let applied = issues.apply(RULES, Offset { seq, epoch: 1 }, transitions).await.unwrap();
    (applied.opened, applied.changed)
}

async fn states(database: &Database) -> Vec<String> {
    let client = database.client().await.unwrap();
    let rows = client
        .query("SELECT number || ' ' || state FROM meter_issue ORDER BY number", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn one_condition_is_one_issue_however_often_it_is_told() {
    let Some(database) = database("one_condition_is_one_issue_however_often_it_is_told").await
    else {
        return;
    };
    let issues = Issues::new(database.clone());
    let raised = leak(1, TransitionKind::Raised, 100);
    assert_eq!(apply(&issues, 1, std::slice::from_ref(&raised)).await.0, 1);
    // A crash before the snapshot: the rules tell the same again.
    assert_eq!(apply(&issues, 1, &[raised, leak(2, TransitionKind::Raised, 100)]).await.0, 1);
    assert_eq!(apply(&issues, 2, &[leak(1, TransitionKind::Updated, 200)]).await.0, 0);
    assert_eq!(states(&database).await, ["1 DETECTED", "2 DETECTED"]);
    assert_eq!(number(&database, "SELECT count(*) FROM alert").await, 2);
    let cleared = leak(1, TransitionKind::Cleared, 300);
    apply(&issues, 3, &[cleared]).await;
    assert_eq!(states(&database).await, ["1 FIXED_PENDING", "2 DETECTED"]);
    // Years later verification is over.
    issues.apply_due(T0.plus_seconds(86_400 * 900), 4).await.unwrap();
    assert_eq!(states(&database).await, ["1 CLOSED", "2 DETECTED"]);
    let told = "SELECT count(*) FROM console_event WHERE topic = 'issue' AND key = '1'";
    assert!(number(&database, told).await >= 4);
}

/// What WTR-CONT measures: the least flow of a day, and until when.
fn flowing(mut told: AlertTransition, per_day_ml: i64, until_s: i64) -> AlertTransition {
    let until = T0.plus_seconds(until_s).micros();
    let fact = |key, value, unit| alerts::Evidence { key, value, unit, text: String::new() };
    told.evidence = vec![fact("leak_per_day", per_day_ml, "L"), fact("window_to", until, "us")];
    told
}

#[tokio::test]
async fn what_leaked_is_counted_while_it_runs_and_settled_when_it_is_over() {
    let test = "what_leaked_is_counted_while_it_runs_and_settled_when_it_is_over";
    let Some(database) = database(test).await else { return };
    let issues = Issues::new(database.clone());
    let day = 86_400;
    let raised = flowing(leak(1, TransitionKind::Raised, day), 600_000, day);
    apply(&issues, 1, std::slice::from_ref(&raised)).await;
    let facts = |at_s: i64| {
        let database = database.clone();
        async move { orders::facts(&database, 1, T0.plus_seconds(at_s)).await.unwrap() }
    };
    assert_eq!(facts(day).await.leak_volume, 600_000);
    assert_eq!(facts(2 * day).await.leak_volume, 1_200_000, "it goes on");
    // Told again after a crash: no second leak.
    apply(&issues, 2, &[raised]).await;
    let mut worse = flowing(leak(1, TransitionKind::Updated, 2 * day), 900_000, 2 * day);
    worse.severity = Severity::P2;
    apply(&issues, 3, &[worse]).await;
    assert_eq!(facts(2 * day).await.leak_volume, 1_800_000);
    // A day of 600 L and one of 900 L: the rules know what leaked at which rate.
    let mut summed = flowing(leak(1, TransitionKind::Updated, 2 * day), 900_000, 2 * day);
    summed.evidence.push(alerts::Evidence {
        key: "leaked",
        value: 1_500_000,
        unit: "L",
        text: String::new(),
    });
    apply(&issues, 3, &[summed]).await;
    assert_eq!(facts(2 * day).await.leak_volume, 1_500_000);
    apply(&issues, 4, &[leak(1, TransitionKind::Cleared, 3 * day)]).await;
    let known = facts(9 * day).await;
    assert_eq!(known.leak_volume, 2_400_000, "it ended");
    assert_eq!(
        known.severities,
        [(T0.plus_seconds(day), Severity::P3), (T0.plus_seconds(2 * day), Severity::P2)]
    );
    // P3: a day to answer; P2: four hours from when it became that.
    assert_eq!(known.answer_by, Some(T0.plus_seconds(2 * day)));
    assert_eq!((&*known.rule_version, &*known.params_hash), ("built-in", ""));
    assert_eq!(known.verified_at, None);
    issues.apply_due(T0.plus_seconds(90 * day), 5).await.unwrap();
    let known = facts(90 * day).await;
    assert_eq!(known.verify_rule.as_deref(), Some("WTR-CONT"));
    assert!(known.verified_at.is_some());
}

/// As [`flowing`], with the sum by now.
fn leaked(told: AlertTransition, per_day_ml: i64, until_s: i64, sum_ml: i64) -> AlertTransition {
    let mut told = flowing(told, per_day_ml, until_s);
    told.evidence.push(alerts::Evidence::milli("leaked", sum_ml, "L"));
    told
}

const SUM: &str = "SELECT leak_volume FROM meter_issue ORDER BY number DESC LIMIT 1";

#[tokio::test]
async fn what_leaked_before_staff_were_told_is_of_the_issue_too() {
    let test = "what_leaked_before_staff_were_told_is_of_the_issue_too";
    let Some(database) = database(test).await else { return };
    let issues = Issues::new(database.clone());
    let day = 86_400;
    // 8 L/h is for the record until it has lasted three days.
    let mut raised = leaked(leak(1, TransitionKind::Raised, day), 192_000, day, 192_000);
    raised.annunciate = false;
    assert_eq!(apply(&issues, 1, &[raised]).await, (0, 0));
    let told = leaked(leak(1, TransitionKind::Updated, 3 * day), 192_000, 3 * day, 576_000);
    assert_eq!(apply(&issues, 2, &[told]).await.0, 1);
    assert_eq!(number(&database, SUM).await, 576_000);
    let standing = issues.standing().await.unwrap().known;
    let known = KnownLeak { ml_per_day: 192_000, to: T0.plus_seconds(3 * day), leaked_ml: 576_000 };
    assert_eq!(standing[0].leak, Some(known));
}

#[tokio::test]
async fn a_leak_that_lasts_again_leaks_once() {
    let Some(database) = database("a_leak_that_lasts_again_leaks_once").await else { return };
    let issues = Issues::new(database.clone());
    let day = 86_400;
    let raised = leaked(leak(1, TransitionKind::Raised, day), 600_000, day, 600_000);
    let worse = leaked(leak(1, TransitionKind::Updated, 4 * day), 900_000, 4 * day, 3_000_000);
    let cleared = leak(1, TransitionKind::Cleared, 5 * day);
    apply(&issues, 1, &[raised, worse.clone(), cleared.clone()]).await;
    assert_eq!(number(&database, SUM).await, 3_900_000);
    // Told again after a crash.
    apply(&issues, 2, std::slice::from_ref(&cleared)).await;
    apply(&issues, 3, &[worse, cleared]).await;
    assert_eq!(number(&database, SUM).await, 3_900_000);
    // Late slots show that it lasts, the last of them without a rate.
    let lasts = leaked(leak(1, TransitionKind::Raised, 6 * day), 900_000, 6 * day, 4_800_000);
    let bare = leak(1, TransitionKind::Updated, 7 * day);
    apply(&issues, 4, &[lasts, bare]).await;
    assert_eq!(number(&database, SUM).await, 4_800_000);
    apply(&issues, 5, &[leak(1, TransitionKind::Cleared, 8 * day)]).await;
    assert_eq!(number(&database, SUM).await, 6_600_000);
    // Staff end the issue; what goes on without one is of the next that tells of it.
    let act = UserAct::FalsePositive { note: "seen".to_owned() };
    issues.act(1, None, &act, ("Ann", T0.plus_seconds(8 * day + 1))).await.unwrap();
    apply(&issues, 6, &[leak(1, TransitionKind::Cleared, 8 * day)]).await;
    let mut again = leaked(leak(1, TransitionKind::Raised, 10 * day), 900_000, 10 * day, 8_400_000);
    again.severity = Severity::P1;
    assert_eq!(apply(&issues, 7, &[again]).await.0, 1);
    assert_eq!(number(&database, SUM).await, 1_800_000, "the former counts 6,600 L of it");
    // It never was.
    apply(&issues, 8, &[leak(1, TransitionKind::Retracted, 11 * day)]).await;
    assert_eq!(number(&database, SUM).await, 0);
}

/// A leak of an installed meter, repaired by a work order that was completed at hour `fixed_h`.
async fn repaired(test: &str, fixed_h: i64) -> Option<(Database, Issues)> {
    let database = database(test).await?;
    meters(&database, 1).await;
    let issues = Issues::new(database.clone());
    apply(&issues, 1, &[flowing(leak(1, TransitionKind::Raised, DAY), 600_000, DAY)]).await;
    let order = NewWorkOrder {
        subject: Subject::Meter(MeterId::new(1)),
        kind: WorkOrderKind::Repair,
        severity: Severity::P3,
        at: T0.plus_seconds(DAY),
        issues: vec![1],
        action: "close the tap".to_owned(),
        parts: String::new(),
        safety: String::new(),
        assignee: None,
        ext_system: String::new(),
        ext_id: String::new(),
    };
    let number = work_orders::create(&database, &order, "ann", order.at).await.unwrap();
    let at = T0.plus_seconds(fixed_h * 3_600);
    let told = Told {
        status: WorkOrderStatus::Completed,
        at,
        note: "a new washer".to_owned(),
        findings: Some(Findings {
            cause: Some(Cause::LeakCustomerSide),
            fix_action: Some("valve_or_leak_repaired".to_owned()),
            new_serial: None,
            final_read: None,
            initial_read: None,
        }),
    };
    work_orders::tell(&database, number, &told, "bob", at).await.unwrap();
    assert_eq!(states(&database).await, ["1 FIXED_PENDING"]);
    Some((database, issues))
}

#[tokio::test]
async fn a_leak_that_flows_on_after_its_repair_is_opened_again() {
    let test = "a_leak_that_flows_on_after_its_repair_is_opened_again";
    let Some((database, issues)) = repaired(test, 48).await else { return };
    let due = async |day: i64| {
        issues.apply_due(T0.plus_seconds(day * DAY), 5).await.unwrap();
        states(&database).await
    };
    assert_eq!(due(9).await, ["1 FIXED_PENDING"], "the alert stands, and nothing was heard since");
    let mut writer = Writer::new(database.clone());
    let intervals = vec![quarter(1, 6 * 96, 150)];
    let _ = writer.append(&Batch { intervals, ..batch(T0) }).await.unwrap();
    assert_eq!(due(9).await, ["1 OPEN"]);
    let why = "SELECT count(*) FROM meter_issue_log WHERE to_state = 'REOPENED' \
        AND reason = 'verification failed: the flow did not stop after the repair'";
    assert_eq!(number(&database, why).await, 1);
}

#[tokio::test]
async fn a_leak_that_stopped_after_its_repair_is_closed() {
    let test = "a_leak_that_stopped_after_its_repair_is_closed";
    let Some((database, issues)) = repaired(test, 48).await else { return };
    apply(&issues, 2, &[leak(1, TransitionKind::Cleared, 3 * DAY)]).await;
    issues.apply_due(T0.plus_seconds(5 * DAY), 5).await.unwrap();
    assert_eq!(states(&database).await, ["1 CLOSED"]);
}

#[tokio::test]
async fn a_false_alarm_is_acknowledged_by_nobody() {
    let Some(database) = database("a_false_alarm_is_acknowledged_by_nobody").await else { return };
    let issues = Issues::new(database.clone());
    apply(&issues, 1, &[leak(1, TransitionKind::Raised, 100)]).await;
    let act = UserAct::FalsePositive { note: String::new() };
    issues.act(1, None, &act, ("Ann", T0.plus_seconds(200))).await.unwrap();
    assert_eq!(states(&database).await, ["1 FALSE_POSITIVE"]);
    let told = "SELECT count(*) FROM meter_issue WHERE acknowledged_by IS NOT NULL";
    assert_eq!(number(&database, told).await, 0);
    let told = "SELECT count(*) FROM meter_issue_log WHERE reason = 'acknowledged'";
    assert_eq!(number(&database, told).await, 0);
}

#[tokio::test]
async fn a_newer_owner_of_the_rules_keeps_an_older_one_out() {
    let Some(database) = database("a_newer_owner_of_the_rules_keeps_an_older_one_out").await else {
        return;
    };
    let issues = Issues::new(database.clone());
    let log = PgLog::new(database.clone());
    log.advance(RULES, Offset { seq: 5, epoch: 2 }).await.unwrap();
    let raised = leak(1, TransitionKind::Raised, 100);
    let error = issues.apply(RULES, Offset { seq: 6, epoch: 1 }, &[raised]).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(states(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn staff_acts_follow_the_table_and_stale_ones_are_refused() {
    let Some(database) = database("staff_acts_follow_the_table_and_stale_ones_are_refused").await
    else {
        return;
    };
    let issues = Issues::new(database.clone());
    apply(&issues, 1, &[leak(1, TransitionKind::Raised, 100)]).await;
    let by = |s| ("Ann", T0.plus_seconds(s));
    issues.act(1, Some(State::Detected), &UserAct::Acknowledge, by(200)).await.unwrap();
    // Bert looked at the page before Ann acted.
    let error = issues.act(1, Some(State::Detected), &UserAct::Acknowledge, by(201)).await;
    assert!(
        matches!(&error, Err(ActError::Stale { number: 1, state: State::Open, by })
            if by.contains("Ann")),
        "{error:?}"
    );
    let until = T0.plus_seconds(9_000);
    issues.act(1, None, &UserAct::Snooze { until }, by(202)).await.unwrap();
    let text = "'; DROP TABLE meter_issue; --".to_owned();
    issues.act(1, None, &UserAct::Comment { text }, by(203)).await.unwrap();
    let close = UserAct::Close { cause: Cause::LeakCustomerSide, note: "tap".to_owned() };
    issues.rehearse(1, None, &close, by(204)).await.unwrap();
    assert_eq!(states(&database).await, ["1 OPEN"]);
    issues.act(1, None, &close, by(204)).await.unwrap();
    assert_eq!(states(&database).await, ["1 CLOSED"]);
    assert!(matches!(issues.act(1, None, &close, by(205)).await, Err(ActError::Refused(_))));
    assert!(matches!(
        issues.act(77, None, &UserAct::Acknowledge, by(206)).await,
        Err(ActError::NotFound(77))
    ));
}

#[tokio::test]
async fn racing_staff_and_rules_leave_one_history() {
    let Some(database) = database("racing_staff_and_rules_leave_one_history").await else { return };
    let issues = Issues::new(database.clone());
    apply(&issues, 1, &[leak(1, TransitionKind::Raised, 100)]).await;
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let issues = issues.clone();
            tokio::spawn(async move {
                let text = format!("comment {n}");
                let by = ("Ann", T0.plus_seconds(200 + n));
                issues.act(1, None, &UserAct::Comment { text }, by).await.unwrap();
            })
        })
        .collect();
    apply(&issues, 2, &[leak(1, TransitionKind::Updated, 300)]).await;
    for task in tasks {
        task.await.unwrap();
    }
    let comments = "SELECT count(*) FROM meter_issue_log WHERE kind = 'comment'";
    assert_eq!(number(&database, comments).await, 6);
    let client = database.client().await.unwrap();
    let row = client.query_one("SELECT issue_id FROM meter_issue", &[]).await.unwrap();
    assert_eq!(issues.verify_chain(row.get(0)).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_to_the_history_shows() {
    let Some(database) = database("a_change_to_the_history_shows").await else { return };
    let issues = Issues::new(database.clone());
    apply(&issues, 1, &[leak(1, TransitionKind::Raised, 100)]).await;
    let text = "seen".to_owned();
    issues.act(1, None, &UserAct::Comment { text }, ("Ann", T0)).await.unwrap();
    issues.act(1, None, &UserAct::Acknowledge, ("Ann", T0)).await.unwrap();
    let client = database.client().await.unwrap();
    let row = client.query_one("SELECT issue_id FROM meter_issue", &[]).await.unwrap();
    let id: &str = row.get(0);
    assert_eq!(issues.verify_chain(id).await.unwrap(), None);
    for change in [
        "UPDATE meter_issue_log SET reason = 'not seen' WHERE seq = 2",
        "UPDATE meter_issue_log SET reason = 'seen', actor = 'Bob' WHERE seq = 2",
    ] {
        client.batch_execute(change).await.unwrap();
        assert_eq!(issues.verify_chain(id).await.unwrap().unwrap().seq, 2);
    }
    client.batch_execute("UPDATE meter_issue_log SET actor = 'Ann' WHERE seq = 2").await.unwrap();
    assert_eq!(issues.verify_chain(id).await.unwrap(), None);
    client.batch_execute("DELETE FROM meter_issue_log WHERE seq = 2").await.unwrap();
    assert!(issues.verify_chain(id).await.unwrap().is_some());
}
