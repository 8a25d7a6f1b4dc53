use metering::{Severity, Subject};
use store::views::issues::{self, IssueFilter, IssueSet};

use super::{W_001, now, seeded};

#[tokio::test]
async fn each_saved_filter_holds_what_it_counts() {
    let Some(database) = seeded("issue sets").await else { return };
    let db = &database;
    let counts = issues::counts(db, now()).await.unwrap();
    for (set, want) in [
        (IssueSet::Open, vec!["C-02", "W-001"]),
        (IssueSet::Urgent, vec!["C-02", "W-001"]),
        (IssueSet::Unacknowledged, vec!["C-02"]),
        (IssueSet::Leaks, vec!["W-001"]),
        (IssueSet::Silent, vec!["C-02"]),
        (IssueSet::FixedPending, vec!["W-002"]),
        (IssueSet::Snoozed, vec!["W-002"]),
        (IssueSet::Closed, vec!["W-001"]),
    ] {
        let filter = IssueFilter { set, ..IssueFilter::default() };
        let mut subjects = Vec::new();
        let mut cursor = None;
        loop {
            let page = issues::list(db, &filter, cursor.as_ref(), 1, now()).await.unwrap();
            subjects.extend(page.items.into_iter().map(|row| row.subject_name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(subjects, want, "{set:?}");
        assert_eq!(counts.of(set), i64::try_from(want.len()).unwrap(), "{set:?}");
    }
}

#[tokio::test]
async fn issue_filters_narrow_the_list() {
    let Some(database) = seeded("issue filters").await else { return };
    let check = async |filter: IssueFilter, want: &[i64]| {
        let page = issues::list(&database, &filter, None, 10, now()).await.unwrap();
        let numbers: Vec<i64> = page.items.iter().map(|row| row.number).collect();
        assert_eq!(numbers, want, "{filter:?}");
    };
    let all = IssueFilter::default();
    let text = |text: &str| Some(text.to_owned());
    check(IssueFilter { family: text("LEAK"), ..all.clone() }, &[3]).await;
    check(IssueFilter { severity: Some(Severity::P1), ..all.clone() }, &[1]).await;
    check(IssueFilter { zone: text("S"), ..all.clone() }, &[1]).await;
    check(IssueFilter { q: text("collector outage"), ..all.clone() }, &[1]).await;
    check(IssueFilter { q: text("#3"), ..all.clone() }, &[3]).await;
    check(IssueFilter { q: text("mill"), ..all }, &[3]).await;
}

#[tokio::test]
async fn an_issue_tells_why_with_its_history_and_children() {
    let Some(database) = seeded("issue detail").await else { return };
    let db = &database;
    let leak = issues::by_number(db, 3).await.unwrap().unwrap();
    assert_eq!(leak.row.subject, Subject::Meter(W_001));
    assert_eq!(leak.row.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(
        (leak.row.evidence[0].key.as_str(), leak.row.evidence[0].value),
        ("min_flow", 100_000)
    );
    assert_eq!(
        (leak.ranked[1].cause.as_str(), leak.ranked[1].log_odds_x100),
        ("BURST_CUSTOMER_SIDE", -80)
    );
    assert_eq!((leak.alerts.len(), leak.log.len()), (1, 2));
    assert_eq!(leak.log[1].to_state.as_deref(), Some("OPEN"));
    let outage = issues::by_number(db, 1).await.unwrap().unwrap();
    assert_eq!((outage.row.children, outage.children.len()), (1, 1));
    assert_eq!(outage.row.address, "Town hall");
    let child = issues::by_number(db, 2).await.unwrap().unwrap();
    assert!(child.suppressed);
    assert_eq!(child.parent.unwrap().subject_name, "C-02");
    assert_eq!(issues::by_number(db, 99).await.unwrap(), None);
    let of_meter = issues::of_subject(db, Subject::Meter(W_001)).await.unwrap();
    assert_eq!(of_meter.iter().map(|row| row.number).collect::<Vec<_>>(), [3, 6]);
    assert_eq!(issues::worst(db, 1, now()).await.unwrap()[0].number, 1);
}
