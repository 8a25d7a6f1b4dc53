//! What staff work on: the states of a meter issue and the closed table of its transitions
//! (`metering-rules` 4.1), its identity, when it closes by itself (`policy`) and what an alert
//! does to it ([`plan()`]). All of it is pure; the store applies the result.

mod plan;
mod policy;
#[cfg(test)]
mod tests;

use metering::{Subject, UtcTime};

use crate::cause::{Family, UnknownWord, words};
use crate::transition::hash32;
use std::fmt;
use std::str::FromStr;

pub use plan::{IssueChange, IssueView, NewIssue, plan};
pub use policy::{due_changes, reopen_within_s, verify_after_s};

words! {
    /// State of a meter issue. SNOOZED, SUPPRESSED and BILLING_HOLD are overlays, not states.
    State, "issue state" {
        Detected = "DETECTED",
        Open = "OPEN",
        WorkOrdered = "WORK_ORDERED",
        FixedPending = "FIXED_PENDING",
        Closed = "CLOSED",
        Reopened = "REOPENED",
        Dismissed = "DISMISSED",
        FalsePositive = "FALSE_POSITIVE",
        Merged = "MERGED",
        ClosedWithParent = "CLOSED_WITH_PARENT",
    }
}

words! {
    /// Who makes a transition.
    Actor, "actor" {
        Engine = "engine",
        User = "user",
        System = "system",
    }
}

/// One row of the closed table. `from` is `None` for a new issue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowed {
    pub from: Option<State>,
    pub to: State,
    pub actors: &'static [Actor],
    /// When it happens, for people.
    pub trigger: &'static str,
}

const fn row(
    from: Option<State>,
    to: State,
    actors: &'static [Actor],
    trigger: &'static str,
) -> Allowed {
    Allowed { from, to, actors, trigger }
}

use Actor::{Engine, System, User};
use State::{
    Closed, ClosedWithParent, Detected, Dismissed, FalsePositive, FixedPending, Merged, Open,
    Reopened, WorkOrdered,
};

/// The table of `metering-rules` 4.1. Any pair that is not in it is refused.
pub const TRANSITIONS: &[Allowed] = &[
    row(None, Detected, &[Engine], "a rule fires"),
    row(Some(Detected), Open, &[User], "acknowledged"),
    row(Some(Detected), Dismissed, &[Engine], "noise, or retracted while unacknowledged"),
    row(Some(Detected), FixedPending, &[Engine], "the condition cleared"),
    row(Some(Detected), ClosedWithParent, &[Engine], "the parent closed and the child is clear"),
    row(Some(Detected), Merged, &[User, Engine], "duplicate of another issue"),
    row(Some(Open), Merged, &[User, Engine], "duplicate of another issue"),
    row(Some(WorkOrdered), Merged, &[User, Engine], "duplicate of another issue"),
    row(Some(Open), WorkOrdered, &[User, System], "assigned, or work order created"),
    row(Some(Open), FixedPending, &[Engine, User], "the condition cleared, or staff close it"),
    row(Some(Open), FalsePositive, &[User], "staff decision"),
    row(Some(WorkOrdered), FalsePositive, &[User], "staff decision"),
    row(Some(FixedPending), FalsePositive, &[User], "staff decision"),
    row(Some(WorkOrdered), Open, &[System], "work order cancelled"),
    row(Some(WorkOrdered), FixedPending, &[System, Engine], "field fix reported, or cleared"),
    row(Some(FixedPending), Closed, &[Engine, User], "verified"),
    row(Some(FixedPending), Reopened, &[Engine], "verification failed"),
    row(Some(Closed), Reopened, &[Engine], "the same cause came back"),
    row(Some(Reopened), Open, &[Engine], "at once, in the same log record"),
];

/// Whether `actor` may take an issue from `from` (`None`: a new issue) to `to`.
pub fn allowed(from: Option<State>, to: State, actor: Actor) -> bool {
    TRANSITIONS.iter().any(|row| row.from == from && row.to == to && row.actors.contains(&actor))
}

impl State {
    /// The issue is still worked on: at most one such issue per subject and family.
    pub const fn is_active(self) -> bool {
        matches!(self, Detected | Open | WorkOrdered | FixedPending | Reopened)
    }

    /// No transition leads out of it.
    pub const fn is_final(self) -> bool {
        matches!(self, Dismissed | FalsePositive | Merged | ClosedWithParent)
    }

    /// The transitions that "close with a cause" by staff consists of, since the table knows no
    /// shorter way: each is recorded, and none says that somebody was sent. Empty when the issue is
    /// closed already.
    pub const fn close_path(self) -> &'static [(State, Actor)] {
        match self {
            Detected => &[(Open, User), (FixedPending, User), (Closed, User)],
            Reopened => &[(Open, Engine), (FixedPending, User), (Closed, User)],
            Open => &[(FixedPending, User), (Closed, User)],
            WorkOrdered => &[(FixedPending, System), (Closed, User)],
            FixedPending => &[(Closed, User)],
            Closed | Dismissed | FalsePositive | Merged | ClosedWithParent => &[],
        }
    }
}

/// Deterministic identity of an issue: the first 32 hexadecimal digits of SHA-256. A replay of the
/// log gives the same ids.
pub fn issue_id(subject: Subject, family: Family, condition_start: UtcTime) -> String {
    hash32(&format!(
        "issue|{}|{}|{family}|{}",
        subject.kind(),
        subject.number(),
        condition_start.micros()
    ))
}
