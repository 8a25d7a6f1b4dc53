//! What an alert does to the issue of its subject and family: a pure function of three views.

use metering::{ChannelNo, Commodity, Severity, Subject, UtcTime};

use super::{State, issue_id, reopen_within_s};
use crate::cause::{Cause, Family};
use crate::rule::{BillingEffect, RuleId};
use crate::transition::{AlertTransition, Evidence, TransitionKind, hash32};

/// What the planner must know of a stored issue.
#[derive(Clone, PartialEq, Debug)]
pub struct IssueView {
    pub issue_id: String,
    pub subject: Subject,
    pub family: Family,
    pub state: State,
    /// The cause as detected.
    pub cause: Cause,
    pub severity: Severity,
    pub condition_start: UtcTime,
    /// Log time of the latest clearing, `None` while the condition holds.
    pub cleared_at: Option<UtcTime>,
    pub closed_at: Option<UtcTime>,
    /// Overlay SUPPRESSED(parent).
    pub suppressed: bool,
    /// The parent's issue is still active; false without a parent.
    pub parent_open: bool,
    pub snoozed_until: Option<UtcTime>,
    pub acknowledged: bool,
    pub work_order_open: bool,
    /// A leak whose alert stands although the field reported it repaired.
    pub flows_on: bool,
    /// Intervals of the meter are there that began more than three days after it was cleared.
    pub heard_since: bool,
    /// Begin of the overlay BILLING_HOLD, released or not.
    pub billing_hold_from: Option<UtcTime>,
}

/// A new issue, to be stored in state DETECTED.
#[derive(Clone, PartialEq, Debug)]
pub struct NewIssue {
    pub issue_id: String,
    pub subject: Subject,
    pub channel: Option<ChannelNo>,
    pub commodity: Option<Commodity>,
    pub family: Family,
    pub cause: Cause,
    pub ranked: Vec<(Cause, i16)>,
    /// Certain from the evidence alone.
    pub identified: Option<Cause>,
    pub severity: Severity,
    pub rule: RuleId,
    pub condition_start: UtcTime,
    pub detected_at: UtcTime,
    /// Set together with the overlay SUPPRESSED.
    pub parent_issue_id: Option<String>,
    /// Overlay BILLING_HOLD: intervals from here on are not billed until they are validated, estimated or
    /// accepted. `None` for rules that hold nothing.
    pub billing_hold_from: Option<UtcTime>,
    pub evidence: Vec<Evidence>,
}

/// One change to be stored; the actor of all of them is the engine.
#[derive(Clone, PartialEq, Debug)]
pub enum IssueChange {
    Open(Box<NewIssue>),
    Transition {
        issue_id: String,
        from: State,
        to: State,
        reason: String,
        /// Log time to store as `cleared_at`; a transition to REOPENED or OPEN removes it.
        cleared_at: Option<UtcTime>,
        /// Event time at which good data resumed.
        date_fixed: Option<UtcTime>,
    },
    /// Adds facts to the issue. `cleared_at` as above, for a suppressed child that recovered.
    Evidence {
        issue_id: String,
        note: String,
        evidence: Vec<Evidence>,
        cleared_at: Option<UtcTime>,
    },
    Suppress {
        issue_id: String,
        parent_issue_id: String,
    },
    Unsuppress {
        issue_id: String,
        reason: String,
    },
    /// Worse, or better known: severity only ever rises, the detected cause may change.
    Escalate {
        issue_id: String,
        severity: Severity,
        cause: Cause,
        ranked: Vec<(Cause, i16)>,
        evidence: Vec<Evidence>,
    },
    SnoozeEnded {
        issue_id: String,
    },
    /// Overlay BILLING_HOLD from here on, or from where it begins already if that is earlier; a
    /// hold that staff released stays released. See [`NewIssue::billing_hold_from`].
    Hold {
        issue_id: String,
        from: UtcTime,
    },
    /// The condition holds again although it was over: `cleared_at` is taken off.
    Resumed {
        issue_id: String,
    },
}

/// The changes that `transition` causes, in the order in which they must be applied.
///
/// `current` is the newest issue of the transition's subject and family, **closed or not** (a
/// closed one may be re-opened); `parent` the active issue of `transition.parent`, of [`AlertTransition::parent_family`]. Planning a
/// transition twice against the view that results from the first time changes nothing but evidence,
/// so delivery at least once is enough.
pub fn plan(
    transition: &AlertTransition,
    current: Option<&IssueView>,
    parent: Option<&IssueView>,
) -> Vec<IssueChange> {
    let active = current.filter(|view| view.state.is_active());
    if !transition.rule.opens_issues() {
        return active.map(|view| fact(transition, view)).unwrap_or_default();
    }
    match (transition.kind, active) {
        (TransitionKind::Raised | TransitionKind::Updated, Some(view)) => {
            hit(transition, view, parent)
        }
        (TransitionKind::Raised | TransitionKind::Updated, None) => {
            let parent = parent.filter(|view| view.state.is_active());
            if !transition.annunciate && parent.is_none() {
                return Vec::new();
            }
            if current.is_some_and(|view| was_ended(transition, view)) {
                return Vec::new();
            }
            match current.filter(|view| comes_back(transition, view)) {
                Some(view) => reopen(transition, view, "the same cause came back"),
                None => vec![open(transition, current, parent)],
            }
        }
        (TransitionKind::Cleared, Some(view)) => cleared(transition, view),
        (TransitionKind::Retracted, Some(view)) => retracted(transition, view),
        (TransitionKind::Cleared | TransitionKind::Retracted, None) => Vec::new(),
    }
}

/// More of a condition whose issue ended while it held: whoever ended it knew of it. What is worse,
/// or has another cause, they did not know.
fn was_ended(transition: &AlertTransition, view: &IssueView) -> bool {
    !is_news(transition, view)
        && view.closed_at.is_some_and(|closed_at| transition.condition_start < closed_at)
}

/// Not only another figure of what the issue says already. Of a condition that was first for the
/// record, the first that staff are told may be another figure.
fn is_news(transition: &AlertTransition, view: &IssueView) -> bool {
    transition.kind == TransitionKind::Raised
        || transition.condition_start != view.condition_start
        || transition.severity < view.severity
        || transition.cause != view.cause
}

/// Late values that came, a peer drop, a high bill to come: facts about the issue, which neither
/// change it nor keep it open.
fn fact(transition: &AlertTransition, view: &IssueView) -> Vec<IssueChange> {
    match transition.kind {
        TransitionKind::Raised => vec![more(transition, view)],
        _ => Vec::new(),
    }
}

fn holds_billing(rule: RuleId) -> bool {
    rule.info().is_some_and(|info| info.billing == BillingEffect::Hold)
}

/// A condition that comes back with the start of an ended issue is another issue, with an id of its
/// own that a replay finds again.
fn id_of(transition: &AlertTransition, current: Option<&IssueView>) -> String {
    let id = issue_id(transition.subject, transition.family, transition.condition_start);
    match current.filter(|view| view.condition_start == transition.condition_start) {
        Some(ended) => hash32(&format!("{id}|after|{}", ended.issue_id)),
        None => id,
    }
}

fn open(
    transition: &AlertTransition,
    current: Option<&IssueView>,
    parent: Option<&IssueView>,
) -> IssueChange {
    IssueChange::Open(Box::new(NewIssue {
        issue_id: id_of(transition, current),
        subject: transition.subject,
        channel: transition.channel,
        commodity: transition.commodity,
        family: transition.family,
        cause: transition.cause,
        ranked: transition.ranked.clone(),
        identified: transition.identified.then_some(transition.cause),
        severity: transition.severity,
        rule: transition.rule,
        condition_start: transition.condition_start,
        detected_at: transition.at,
        parent_issue_id: parent.map(|view| view.issue_id.clone()),
        billing_hold_from: holds_billing(transition.rule).then_some(transition.condition_start),
        evidence: transition.evidence.clone(),
    }))
}

/// A closed issue is re-opened by the same cause within its family's time. A leak counts as the
/// same leak whatever its size, and an id that exists already can only be re-opened.
fn comes_back(transition: &AlertTransition, view: &IssueView) -> bool {
    let same_cause = transition.cause == view.cause || transition.family == Family::Leak;
    let in_time = view.closed_at.is_some_and(|closed_at| {
        transition.at.seconds_since(closed_at) <= reopen_within_s(transition.family)
    });
    view.state == State::Closed && same_cause && in_time
}

fn reopen(transition: &AlertTransition, view: &IssueView, reason: &str) -> Vec<IssueChange> {
    let step = |from, to, reason: String| IssueChange::Transition {
        issue_id: view.issue_id.clone(),
        from,
        to,
        reason,
        cleared_at: None,
        date_fixed: None,
    };
    let mut changes = vec![
        step(view.state, State::Reopened, reason.to_owned()),
        step(State::Reopened, State::Open, "re-opened".to_owned()),
    ];
    changes.extend(hold(transition, view));
    changes.push(worse_or_more(transition, view));
    changes
}

/// A rule that holds billing hit an issue that one which does not had opened.
fn hold(transition: &AlertTransition, view: &IssueView) -> Option<IssueChange> {
    let from = transition.condition_start;
    let held = view.billing_hold_from.is_some_and(|held| held <= from);
    (holds_billing(transition.rule) && transition.annunciate && !held)
        .then(|| IssueChange::Hold { issue_id: view.issue_id.clone(), from })
}

/// The condition was seen again while the issue is active.
fn hit(
    transition: &AlertTransition,
    view: &IssueView,
    parent: Option<&IssueView>,
) -> Vec<IssueChange> {
    if view.state == State::FixedPending && transition.annunciate && is_news(transition, view) {
        return reopen(transition, view, "verification failed: the condition came back");
    }
    let mut changes = Vec::new();
    if view.cleared_at.is_some() && view.state != State::FixedPending {
        changes.push(IssueChange::Resumed { issue_id: view.issue_id.clone() });
    }
    match parent.filter(|parent| parent.state.is_active()) {
        // In a street without water another meter may come to lead.
        Some(parent)
            if view.state == State::Detected
                && (!view.suppressed || matches!(transition.parent, Some(Subject::Meter(_)))) =>
        {
            changes.push(IssueChange::Suppress {
                issue_id: view.issue_id.clone(),
                parent_issue_id: parent.issue_id.clone(),
            });
        }
        None if view.suppressed && transition.annunciate => {
            changes.push(IssueChange::Unsuppress {
                issue_id: view.issue_id.clone(),
                reason: "the parent no longer explains it".to_owned(),
            });
        }
        _ => {}
    }
    changes.extend(hold(transition, view));
    changes.push(worse_or_more(transition, view));
    changes
}

fn worse_or_more(transition: &AlertTransition, view: &IssueView) -> IssueChange {
    // Severity P1 is the smallest: an alert for the record never changes what staff see.
    let severity = view.severity.min(transition.severity);
    let worse = severity < view.severity
        || (transition.cause != view.cause && transition.severity <= view.severity);
    if transition.annunciate && worse {
        return IssueChange::Escalate {
            issue_id: view.issue_id.clone(),
            severity,
            cause: transition.cause,
            ranked: transition.ranked.clone(),
            evidence: transition.evidence.clone(),
        };
    }
    more(transition, view)
}

fn more(transition: &AlertTransition, view: &IssueView) -> IssueChange {
    // What is a mere record must not take the place of what the issue stands on.
    let mere_record = match transition.rule {
        RuleId::COM_BACKFILL => false,
        rule => !rule.opens_issues() || transition.severity == Severity::P4,
    } && view.severity < Severity::P4;
    IssueChange::Evidence {
        issue_id: view.issue_id.clone(),
        note: format!("{} {}", transition.rule, transition.kind),
        evidence: if mere_record { Vec::new() } else { transition.evidence.clone() },
        cleared_at: None,
    }
}

fn cleared(transition: &AlertTransition, view: &IssueView) -> Vec<IssueChange> {
    let note = format!("{} cleared", transition.rule);
    let more = |cleared_at| IssueChange::Evidence {
        issue_id: view.issue_id.clone(),
        note: note.clone(),
        evidence: transition.evidence.clone(),
        cleared_at,
    };
    if transition.others_active > 0 || view.state == State::FixedPending {
        return vec![more(None)];
    }
    // Staff decide on tampering and on gas at P1; the record says that the condition is over.
    let staff_only = view.family == Family::Tamper
        || (view.family == Family::Gas && view.severity == Severity::P1);
    if view.suppressed || staff_only {
        return vec![more(Some(transition.at))];
    }
    vec![IssueChange::Transition {
        issue_id: view.issue_id.clone(),
        from: view.state,
        to: State::FixedPending,
        reason: note,
        cleared_at: Some(transition.at),
        date_fixed: transition.condition_end,
    }]
}

fn retracted(transition: &AlertTransition, view: &IssueView) -> Vec<IssueChange> {
    if transition.others_active == 0 && view.state == State::Detected && !view.acknowledged {
        return vec![IssueChange::Transition {
            issue_id: view.issue_id.clone(),
            from: State::Detected,
            to: State::Dismissed,
            reason: "late data showed that the condition never held".to_owned(),
            cleared_at: Some(transition.at),
            date_fixed: None,
        }];
    }
    vec![IssueChange::Evidence {
        issue_id: view.issue_id.clone(),
        note: "superseded by late data: consider FALSE_POSITIVE".to_owned(),
        evidence: transition.evidence.clone(),
        cleared_at: None,
    }]
}
