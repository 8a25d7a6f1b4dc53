//! Issues that are handed over: to a person, to another issue, and their hold on the bill.

use alerts::{AlertTransition, Cause, Family, RuleId, TransitionKind, alert_id};
use metering::{Commodity, MeterId, Severity, Subject};
use store::issues::{ActError, Issues, UserAct};
use store::views::{issues as views, orders};
use store::{Database, Offset};

use crate::support::{T0, database, number};

fn said(
    (rule, cause, family): (RuleId, Cause, Family),
    kind: TransitionKind,
    at_s: i64,
) -> AlertTransition {
    let subject = Subject::Meter(MeterId::new(1));
    AlertTransition {
        alert_id: alert_id(rule, subject, None, T0),
        rule,
        kind,
        subject,
        channel: None,
        commodity: Some(Commodity::Water),
        cause,
        family,
        ranked: vec![(cause, 250)],
        identified: false,
        severity: Severity::P3,
        condition_start: T0,
        condition_end: None,
        at: T0.plus_seconds(at_s),
        annunciate: true,
        parent: None,
        others_active: 0,
        evidence: Vec::new(),
    }
}

const LEAK: (RuleId, Cause, Family) = (RuleId::WTR_CONT, Cause::LeakCustomerSide, Family::Leak);
const STOPPED: (RuleId, Cause, Family) = (RuleId::MTR_STOP, Cause::StoppedMeter, Family::Metrology);

/// Issue 1 is a stopped meter, issue 2 a leak of the same meter.
async fn two(test: &str) -> Option<(Database, Issues)> {
    let database = database(test).await?;
    let issues = Issues::new(database.clone());
    let mut stopped = said(STOPPED, TransitionKind::Raised, 100);
    stopped.severity = Severity::P2;
    let both = [stopped, said(LEAK, TransitionKind::Raised, 100)];
    apply(&issues, 1, &both).await;
    Some((database, issues))
}

async fn apply(issues: &Issues, seq: i64, transitions: &[AlertTransition]) {
    issues.apply("rules", Offset { seq, epoch: 1 }, transitions).await.unwrap();
}

async fn state(database: &Database, number: i64) -> String {
    views::row(database, number).await.unwrap().unwrap().state
}

async fn refused(issues: &Issues, number: i64, act: &UserAct) -> String {
    match issues.act(number, None, act, ("Ann", T0.plus_seconds(300))).await {
        Err(ActError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn assign(to: &str) -> UserAct {
    UserAct::Assign { to: to.to_owned(), note: String::new() }
}

fn merge(into: i64) -> UserAct {
    UserAct::Merge { into, note: "one fault".to_owned() }
}

fn release(reason: &str, force: bool) -> UserAct {
    UserAct::ReleaseHold { reason: reason.to_owned(), force }
}

#[tokio::test]
async fn an_issue_is_handed_to_a_person_and_taken_back() {
    let Some((database, issues)) = two("an_issue_is_handed_to_a_person_and_taken_back").await
    else {
        return;
    };
    let by = |s| ("Ann", T0.plus_seconds(s));
    issues.act(1, None, &assign("Kim"), by(200)).await.unwrap();
    let row = views::row(&database, 1).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.assignee.as_deref()), ("WORK_ORDERED", Some("Kim")));
    assert_eq!(row.acknowledged_by.as_deref(), Some("Ann"));
    // Told twice, written once.
    issues.act(1, None, &assign("Kim"), by(201)).await.unwrap();
    let told = "SELECT count(*) FROM meter_issue_log WHERE reason LIKE 'assigned to Kim%' \
                AND kind = 'overlay'";
    assert_eq!(number(&database, told).await, 1);
    issues.act(1, None, &assign(" "), by(202)).await.unwrap();
    let row = views::row(&database, 1).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.assignee), ("OPEN", None));
    assert!(refused(&issues, 1, &assign(&"x".repeat(81))).await.contains("80 bytes"));
    let id = row.issue_id;
    assert_eq!(issues.verify_chain(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_duplicate_ends_in_the_issue_that_stays() {
    let Some((database, issues)) = two("a_duplicate_ends_in_the_issue_that_stays").await else {
        return;
    };
    let by = ("Ann", T0.plus_seconds(200));
    assert!(refused(&issues, 1, &merge(1)).await.contains("itself"));
    assert!(matches!(issues.act(1, None, &merge(77), by).await, Err(ActError::NotFound(77))));
    issues.rehearse(1, None, &merge(2), by).await.unwrap();
    assert_eq!(state(&database, 1).await, "DETECTED");
    issues.act(1, None, &merge(2), by).await.unwrap();
    assert_eq!(state(&database, 1).await, "MERGED");
    let target = views::row(&database, 2).await.unwrap().unwrap();
    assert_eq!(target.severity, Severity::P2, "it is as bad as the worse of both");
    let at = T0.plus_seconds(250);
    assert_eq!(orders::facts(&database, 1, at).await.unwrap().merged_into, Some(2));
    let facts = orders::facts(&database, 2, at).await.unwrap();
    assert_eq!(facts.merged_from, [1]);
    assert!(facts.is_held(), "the hold of the stopped meter goes over");
    assert!(!orders::facts(&database, 1, at).await.unwrap().is_held());

    // The condition goes on: it belongs to the issue that stays, and opens no other.
    apply(&issues, 2, &[said(STOPPED, TransitionKind::Updated, 400)]).await;
    assert_eq!(number(&database, "SELECT count(*) FROM meter_issue").await, 2);
    let heir = "SELECT count(*) FROM alert a JOIN meter_issue x USING (issue_id) \
                WHERE x.number = 2 AND a.rule = 'MTR-STOP'";
    assert_eq!(number(&database, heir).await, 1);
    assert!(refused(&issues, 1, &merge(2)).await.contains("MERGED"));
    assert!(refused(&issues, 2, &merge(1)).await.contains("merge into one that is open"));
    for number in [1, 2] {
        let id = views::row(&database, number).await.unwrap().unwrap().issue_id;
        assert_eq!(issues.verify_chain(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_issue_is_not_merged_into_what_it_holds_back() {
    let test = "an_issue_is_not_merged_into_what_it_holds_back";
    let Some((database, issues)) = two(test).await else { return };
    let client = database.client().await.unwrap();
    let sql = "UPDATE meter_issue c SET parent_issue_id = p.issue_id FROM meter_issue p \
               WHERE c.number = 2 AND p.number = 1";
    client.batch_execute(sql).await.unwrap();
    assert!(refused(&issues, 1, &merge(2)).await.contains("the other way round"));
    issues.act(2, None, &merge(1), ("Ann", T0.plus_seconds(200))).await.unwrap();
    assert_eq!(state(&database, 2).await, "MERGED");
}

/// One interval of the hold, judged suspect.
const SUSPECT: &str = "
    CREATE TABLE IF NOT EXISTS interval_exception_held PARTITION OF interval_exception
        FOR VALUES FROM ('2026-10-01') TO ('2026-11-01');
    INSERT INTO interval_exception (starts_at, recorded_at, value, rule_mask, meter_id, channel,
        version, status, flags)
    SELECT billing_hold_from + interval '1 minute', billing_hold_from, 5, 0, 1, 1, 1, 2, 0
    FROM meter_issue WHERE number = 1;";

#[tokio::test]
async fn a_hold_with_suspect_intervals_is_released_by_force_only() {
    let test = "a_hold_with_suspect_intervals_is_released_by_force_only";
    let Some((database, issues)) = two(test).await else { return };
    let client = database.client().await.unwrap();
    let at = T0.plus_seconds(300);
    // T0's month may have its partition already.
    if client.batch_execute(SUSPECT).await.is_err() {
        let insert = &SUSPECT[SUSPECT.find("INSERT").unwrap()..];
        client.batch_execute(insert).await.unwrap();
    }
    assert_eq!(orders::facts(&database, 1, at).await.unwrap().billing_hold_suspect, 1);
    assert!(refused(&issues, 1, &release(" ", true)).await.contains("reason"));
    assert!(refused(&issues, 2, &release("x", true)).await.contains("holds no bill"));
    let why = refused(&issues, 1, &release("customer asks", false)).await;
    assert!(why.contains("1 intervals of the hold are suspect"), "{why}");
    issues.act(1, None, &release("customer asks", true), ("Ann", at)).await.unwrap();
    let facts = orders::facts(&database, 1, at).await.unwrap();
    assert_eq!(facts.billing_hold_released_by.as_deref(), Some("Ann"));
    assert_eq!(facts.billing_hold_released_note, "customer asks");
    assert!(refused(&issues, 1, &release("again", true)).await.contains("holds no bill"));
    let told = "SELECT count(*) FROM meter_issue_log WHERE reason LIKE 'billing hold released \
                although 1 of its intervals%'";
    assert_eq!(number(&database, told).await, 1);
}

#[tokio::test]
async fn closing_ends_a_hold_only_when_nothing_in_it_is_suspect() {
    let test = "closing_ends_a_hold_only_when_nothing_in_it_is_suspect";
    let Some((database, issues)) = two(test).await else { return };
    let close = UserAct::Close { cause: Cause::StoppedMeter, note: "exchanged".to_owned() };
    let at = T0.plus_seconds(300);
    issues.act(1, None, &close, ("Ann", at)).await.unwrap();
    let facts = orders::facts(&database, 1, at).await.unwrap();
    assert_eq!(facts.billing_hold_released_by.as_deref(), Some("system"));
    // It comes back: the bill is held again, and a suspect interval keeps it held.
    let mut again = said(STOPPED, TransitionKind::Raised, 400);
    again.alert_id = "again".to_owned();
    apply(&issues, 2, &[again]).await;
    assert!(orders::facts(&database, 1, at).await.unwrap().is_held());
    let client = database.client().await.unwrap();
    if client.batch_execute(SUSPECT).await.is_err() {
        let insert = &SUSPECT[SUSPECT.find("INSERT").unwrap()..];
        client.batch_execute(insert).await.unwrap();
    }
    issues.act(1, None, &close, ("Ann", T0.plus_seconds(900))).await.unwrap();
    let facts = orders::facts(&database, 1, T0.plus_seconds(900)).await.unwrap();
    assert!(facts.is_held(), "{facts:?}");
}

/// The issue of the stopped meter after it was retracted, called false, or closed with its parent.
async fn ended(test: &str, want: &str) -> Option<orders::IssueFacts> {
    let (database, issues) = two(test).await?;
    let at = T0.plus_seconds(900);
    assert!(orders::facts(&database, 1, at).await.unwrap().is_held());
    let cleared = said(STOPPED, TransitionKind::Cleared, 400);
    match want {
        "DISMISSED" => {
            apply(&issues, 2, &[said(STOPPED, TransitionKind::Retracted, 400)]).await;
        }
        "FALSE_POSITIVE" => {
            let act = UserAct::FalsePositive { note: "it turns".to_owned() };
            issues.act(1, None, &act, ("Ann", at)).await.unwrap();
        }
        _ => {
            let client = database.client().await.unwrap();
            let sql = "UPDATE meter_issue c SET parent_issue_id = p.issue_id, suppressed = true \
                       FROM meter_issue p WHERE c.number = 1 AND p.number = 2";
            client.batch_execute(sql).await.unwrap();
            drop(client);
            apply(&issues, 2, &[cleared]).await;
            let cause = Cause::LeakCustomerSide;
            let close = UserAct::Close { cause, note: "mended".to_owned() };
            issues.act(2, None, &close, ("Ann", at)).await.unwrap();
            issues.apply_due(at.plus_seconds(60), 3).await.unwrap();
        }
    }
    assert_eq!(state(&database, 1).await, want);
    let id = views::row(&database, 1).await.unwrap().unwrap().issue_id;
    assert_eq!(issues.verify_chain(&id).await.unwrap(), None);
    Some(orders::facts(&database, 1, at).await.unwrap())
}

#[tokio::test]
async fn an_issue_that_ends_holds_no_bill_for_ever() {
    let test = "an_issue_that_ends_holds_no_bill_for_ever";
    for want in ["DISMISSED", "FALSE_POSITIVE", "CLOSED_WITH_PARENT"] {
        let Some(facts) = ended(test, want).await else { return };
        assert_eq!(facts.billing_hold_released_by.as_deref(), Some("system"), "{want}");
        assert!(facts.billing_hold_to.is_some(), "{want}");
    }
}
