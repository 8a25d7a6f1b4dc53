use super::{Actor, IssueChange, IssueView, State, allowed, due_changes, issue_id, plan};
use crate::cause::Cause;
use crate::rule::RuleId;
use crate::transition::{AlertTransition, TransitionKind, alert_id};
use metering::{MeterId, Severity, Subject, UtcTime};

const METER: Subject = Subject::Meter(MeterId::new(7));

fn at(day: i64) -> UtcTime {
    UtcTime::from_seconds(1_790_000_000 + day * 86_400)
}

#[test]
fn every_pair_of_states_is_decided_by_the_table() {
    let table = "
        none DETECTED e | DETECTED OPEN u | DETECTED DISMISSED e | DETECTED FIXED_PENDING e
        DETECTED CLOSED_WITH_PARENT e | DETECTED MERGED eu | OPEN MERGED eu | WORK_ORDERED MERGED eu
        OPEN WORK_ORDERED us | OPEN FIXED_PENDING eu | OPEN FALSE_POSITIVE u
        WORK_ORDERED FALSE_POSITIVE u | FIXED_PENDING FALSE_POSITIVE u | WORK_ORDERED OPEN s
        WORK_ORDERED FIXED_PENDING se | FIXED_PENDING CLOSED eu | FIXED_PENDING REOPENED e
        CLOSED REOPENED e | REOPENED OPEN e";
    let rows: Vec<Vec<&str>> = table
        .split(['|', '\n'])
        .map(|row| row.split_whitespace().collect())
        .filter(|row: &Vec<&str>| !row.is_empty())
        .collect();
    let froms = State::ALL.iter().map(|state| Some(*state)).chain([None]);
    let mut seen = 0;
    for from in froms {
        for to in State::ALL {
            for actor in Actor::ALL {
                let from_word = from.map_or("none", State::word);
                let want = rows.iter().any(|row| {
                    row[0] == from_word
                        && row[1] == to.word()
                        && row[2].contains(&actor.word()[..1])
                });
                assert_eq!(allowed(from, *to, *actor), want, "{from_word} -> {to} by {actor}");
                seen += usize::from(want);
            }
        }
    }
    assert_eq!(seen, 26);
    for state in State::ALL {
        let leads_out = State::ALL
            .iter()
            .any(|to| Actor::ALL.iter().any(|actor| allowed(Some(*state), *to, *actor)));
        assert_eq!(leads_out, !state.is_final(), "{state}");
    }
}

#[test]
fn closing_by_staff_walks_only_on_allowed_transitions() {
    for state in State::ALL {
        let mut here = *state;
        for (to, actor) in state.close_path() {
            assert!(allowed(Some(here), *to, *actor), "{here} -> {to} by {actor}");
            assert_ne!(*to, State::WorkOrdered, "nobody was sent");
            here = *to;
        }
        assert_eq!(here == State::Closed, state.is_active() || *state == State::Closed);
    }
}

fn alert(kind: TransitionKind, cause: Cause, severity: Severity, day: i64) -> AlertTransition {
    AlertTransition {
        alert_id: alert_id(RuleId::WTR_CONT, METER, None, at(0)),
        rule: RuleId::WTR_CONT,
        kind,
        subject: METER,
        channel: None,
        commodity: Some(metering::Commodity::Water),
        cause,
        family: cause.family().unwrap(),
        ranked: vec![(cause, 0)],
        identified: false,
        severity,
        condition_start: at(0),
        condition_end: None,
        at: at(day),
        annunciate: true,
        parent: None,
        others_active: 0,
        evidence: Vec::new(),
    }
}

fn view(state: State, cause: Cause) -> IssueView {
    let family = cause.family().unwrap();
    IssueView {
        issue_id: issue_id(METER, family, at(0)),
        subject: METER,
        family,
        state,
        cause,
        severity: Severity::P3,
        condition_start: at(0),
        cleared_at: None,
        closed_at: (state == State::Closed).then(|| at(1)),
        suppressed: false,
        parent_open: false,
        snoozed_until: None,
        acknowledged: state != State::Detected,
        work_order_open: state == State::WorkOrdered,
        flows_on: false,
        heard_since: false,
        billing_hold_from: None,
    }
}

/// The changes as short words; every transition among them must be allowed to the engine.
fn words_of(changes: &[IssueChange]) -> String {
    let mut words = Vec::new();
    for change in changes {
        words.push(match change {
            IssueChange::Open(new) => match new.parent_issue_id {
                Some(_) => "open suppressed".to_owned(),
                None => "open".to_owned(),
            },
            IssueChange::Transition { from, to, .. } => {
                assert!(allowed(Some(*from), *to, Actor::Engine), "{from} -> {to}");
                to.word().to_owned()
            }
            IssueChange::Evidence { cleared_at: Some(_), .. } => "evidence cleared".to_owned(),
            IssueChange::Evidence { .. } => "evidence".to_owned(),
            IssueChange::Suppress { .. } => "suppress".to_owned(),
            IssueChange::Unsuppress { .. } => "unsuppress".to_owned(),
            IssueChange::Escalate { severity, cause, .. } => format!("escalate {severity} {cause}"),
            IssueChange::SnoozeEnded { .. } => "snooze ended".to_owned(),
            IssueChange::Hold { .. } => "hold".to_owned(),
            IssueChange::Resumed { .. } => "resumed".to_owned(),
        });
    }
    words.join(", ")
}

const LEAK: Cause = Cause::LeakCustomerSide;
const BURST: Cause = Cause::BurstCustomerSide;

#[test]
fn an_alert_opens_hits_reopens_or_does_nothing() {
    use TransitionKind::{Cleared, Raised, Retracted, Updated};
    let raised = alert(Raised, LEAK, Severity::P3, 2);
    let check = |transition: &AlertTransition, current: Option<&IssueView>, want: &str| {
        assert_eq!(words_of(&plan(transition, current, None)), want);
    };
    check(&raised, None, "open");
    check(&AlertTransition { annunciate: false, ..raised.clone() }, None, "");
    check(&raised, Some(&view(State::Dismissed, LEAK)), "open");
    check(&raised, Some(&view(State::Closed, LEAK)), "REOPENED, OPEN, evidence");
    check(&alert(Raised, LEAK, Severity::P3, 9), Some(&view(State::Closed, LEAK)), "open");
    check(&raised, Some(&view(State::FixedPending, LEAK)), "REOPENED, OPEN, evidence");
    check(&raised, Some(&view(State::Open, LEAK)), "evidence");
    // Another figure of what staff ended, or wait for the proof of, is no new trouble.
    let another = alert(Updated, LEAK, Severity::P3, 2);
    let ended = |state| IssueView { closed_at: Some(at(1)), ..view(state, LEAK) };
    for state in [State::FalsePositive, State::Dismissed, State::Closed] {
        check(&another, Some(&ended(state)), "");
        check(
            &alert(Updated, BURST, Severity::P3, 2),
            Some(&ended(state)),
            match state {
                State::Closed => "REOPENED, OPEN, escalate P3 BURST_CUSTOMER_SIDE",
                _ => "open",
            },
        );
    }
    check(&alert(Updated, LEAK, Severity::P2, 2), Some(&ended(State::FalsePositive)), "open");
    let before = IssueView { closed_at: Some(at(-1)), ..view(State::FalsePositive, LEAK) };
    check(&another, Some(&before), "open");
    // Another condition, which was first for the record.
    let other = AlertTransition { condition_start: at(0).plus_seconds(60), ..another.clone() };
    check(&other, Some(&ended(State::Closed)), "REOPENED, OPEN, evidence");
    check(&other, Some(&view(State::FixedPending, LEAK)), "REOPENED, OPEN, evidence");
    check(&another, Some(&view(State::FixedPending, LEAK)), "evidence");
    check(
        &alert(Raised, BURST, Severity::P1, 2),
        Some(&view(State::Open, LEAK)),
        "escalate P1 BURST_CUSTOMER_SIDE",
    );
    check(&alert(Updated, LEAK, Severity::P4, 2), Some(&view(State::Open, BURST)), "evidence");
    check(&alert(Cleared, LEAK, Severity::P3, 2), Some(&view(State::Open, LEAK)), "FIXED_PENDING");
    let still = AlertTransition { others_active: 1, ..alert(Cleared, LEAK, Severity::P3, 2) };
    check(&still, Some(&view(State::Open, LEAK)), "evidence");
    check(
        &alert(Retracted, LEAK, Severity::P3, 2),
        Some(&view(State::Detected, LEAK)),
        "DISMISSED",
    );
    check(&alert(Retracted, LEAK, Severity::P3, 2), Some(&view(State::Open, LEAK)), "evidence");
    check(&alert(Cleared, LEAK, Severity::P3, 2), Some(&view(State::Closed, LEAK)), "");
}

#[test]
fn a_child_is_suppressed_while_its_parent_is_active() {
    let mut parent = view(State::Detected, Cause::CollectorOutage);
    parent.issue_id = "parent".to_owned();
    let mut child = alert(TransitionKind::Raised, Cause::CommLost, Severity::P3, 2);
    child.annunciate = false;
    assert_eq!(words_of(&plan(&child, None, Some(&parent))), "open suppressed");
    let current =
        IssueView { suppressed: true, parent_open: true, ..view(State::Detected, Cause::CommLost) };
    child.kind = TransitionKind::Cleared;
    assert_eq!(words_of(&plan(&child, Some(&current), Some(&parent))), "evidence cleared");
    let recovered = IssueView { cleared_at: Some(at(3)), parent_open: false, ..current.clone() };
    assert_eq!(words_of(&due_changes(&recovered, at(4))), "CLOSED_WITH_PARENT");
    let silent = IssueView { parent_open: false, ..current.clone() };
    assert_eq!(words_of(&due_changes(&silent, at(4))), "unsuppress");
    assert_eq!(due_changes(&current, at(4)), []);
    let own = AlertTransition { kind: TransitionKind::Updated, annunciate: true, ..child };
    assert_eq!(words_of(&plan(&own, Some(&current), None)), "unsuppress, evidence");
}

#[test]
fn an_issue_closes_when_its_family_says_so() {
    let check = |cause: Cause, want_days: Option<i64>| {
        let pending = IssueView { cleared_at: Some(at(0)), ..view(State::FixedPending, cause) };
        let closes = (0..60).find(|day| !due_changes(&pending, at(*day)).is_empty());
        assert_eq!(closes, want_days, "{cause}");
        let ordered = IssueView { work_order_open: true, ..pending };
        assert_eq!(due_changes(&ordered, at(60)), []);
    };
    check(Cause::CommLost, Some(1));
    check(Cause::RfMarginal, Some(7));
    check(Cause::StoppedMeter, Some(7));
    check(Cause::LeakCustomerSide, Some(1));
    check(Cause::BatteryLow, Some(30));
    check(Cause::HighConsumption, Some(0));
    check(Cause::TamperSuspect, None);
    check(Cause::ConfigMismatch, Some(2));
    check(Cause::PowerOutage, Some(1));
    check(Cause::Backflow, Some(0));
    check(Cause::ClockError, Some(1));
    check(Cause::GasContinuousFlow, Some(1));
    let snoozed = IssueView { snoozed_until: Some(at(2)), ..view(State::Open, LEAK) };
    assert_eq!(due_changes(&snoozed, at(1)), []);
    assert_eq!(words_of(&due_changes(&snoozed, at(2))), "snooze ended");
    let repaired = IssueView { cleared_at: Some(at(0)), ..view(State::FixedPending, LEAK) };
    assert_eq!(words_of(&due_changes(&repaired, at(1))), "CLOSED");
    let in_vain = IssueView { flows_on: true, ..repaired };
    assert_eq!(due_changes(&in_vain, at(9)), []);
    let in_vain = IssueView { heard_since: true, ..in_vain };
    assert_eq!(words_of(&due_changes(&in_vain, at(4))), "REOPENED, OPEN");
}

#[test]
fn a_rule_that_holds_bills_holds_them_on_an_issue_of_another_rule() {
    let of = |rule: RuleId, cause: Cause| AlertTransition {
        rule,
        ..alert(TransitionKind::Raised, cause, Severity::P3, 2)
    };
    let stopped = of(RuleId::MTR_STOP, Cause::StoppedMeter);
    let open = view(State::Open, Cause::StoppedMeter);
    assert_eq!(words_of(&plan(&stopped, Some(&open), None)), "hold, evidence");
    let earlier = IssueView { billing_hold_from: Some(at(-1)), ..open.clone() };
    assert_eq!(words_of(&plan(&stopped, Some(&earlier), None)), "evidence");
    let later = IssueView { billing_hold_from: Some(at(1)), ..open.clone() };
    assert_eq!(words_of(&plan(&stopped, Some(&later), None)), "hold, evidence");
    let record = AlertTransition { annunciate: false, ..stopped.clone() };
    assert_eq!(words_of(&plan(&record, Some(&open), None)), "evidence");
    let slow = of(RuleId::MTR_SLOW, Cause::StoppedMeter);
    assert_eq!(words_of(&plan(&slow, Some(&open), None)), "evidence");
    let pending = IssueView { state: State::FixedPending, ..open };
    assert_eq!(words_of(&plan(&stopped, Some(&pending), None)), "REOPENED, OPEN, hold, evidence");
}

#[test]
fn a_rule_without_causes_is_a_fact_about_an_issue_and_opens_none() {
    use TransitionKind::{Cleared, Raised};
    let high = Cause::HighConsumption;
    let told =
        |kind| AlertTransition { rule: RuleId::VAR_BILL, ..alert(kind, high, Severity::P2, 2) };
    let words = |kind, view: Option<&IssueView>| words_of(&plan(&told(kind), view, None));
    assert_eq!(words(Raised, None), "");
    let closed = view(State::Closed, high);
    assert_eq!(words(Raised, Some(&closed)), "");
    let open = view(State::Open, high);
    assert_eq!(
        (words(Raised, Some(&open)), words(Cleared, Some(&open))),
        ("evidence".into(), String::new())
    );
    let pending = view(State::FixedPending, high);
    assert_eq!(words(Raised, Some(&pending)), "evidence");
}
