//! The book of issues of a trial, in memory: planned by the same pure functions as in the store.

use std::collections::HashMap;

use alerts::issue::{IssueChange, IssueView, NewIssue, State, due_changes, plan};
use alerts::{AlertTransition, Cause, Family, RuleId, TransitionKind};
use metering::{Severity, Subject, UtcTime};

/// An issue with what the scorecard asks of it.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) view: IssueView,
    pub(super) rule: RuleId,
    pub(super) detected_at: UtcTime,
    /// Every cause that it ever had, with the log time.
    pub(super) causes: Vec<(UtcTime, Cause)>,
    /// Causes by log-odds when it was opened or last judged.
    pub(super) ranked: Vec<Cause>,
    /// Explained by another issue, and told to nobody.
    pub(super) child: bool,
    parent_id: Option<String>,
    /// Ends of the newest data of the subject when it was opened.
    pub(super) data_until: Option<UtcTime>,
    /// For the record only (P4): no issue, but an alert that is kept.
    pub(super) record_only: bool,
    pub(super) withdrawn: bool,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) issues: Vec<Issue>,
    newest: HashMap<(Subject, Family), usize>,
    by_id: HashMap<String, usize>,
    records: HashMap<String, usize>,
    active: Vec<usize>,
    pub(super) raised: u64,
}

impl Book {
    /// What an alert does. `data_until`: newest data of its subject.
    pub(super) fn apply(&mut self, said: &AlertTransition, data_until: Option<UtcTime>) {
        if said.kind == TransitionKind::Raised {
            self.raised += 1;
        }
        let key = (said.subject, said.family);
        let parent =
            said.parent.and_then(|subject| self.newest.get(&(subject, said.parent_family())));
        let current = self.newest.get(&key).map(|at| self.view_of(*at));
        let parent = parent.map(|at| self.view_of(*at));
        let changes = plan(said, current.as_ref(), parent.as_ref());
        if changes.is_empty() {
            self.record(said, data_until);
        }
        for change in changes {
            self.change(change, said.at, data_until);
        }
    }

    /// Steps that are due by the passing of time.
    pub(super) fn due(&mut self, now: UtcTime) {
        let active = std::mem::take(&mut self.active);
        for at in active {
            let view = self.view_of(at);
            for change in due_changes(&view, now) {
                self.change(change, now, None);
            }
            if self.issues[at].view.state.is_active() && !self.active.contains(&at) {
                self.active.push(at);
            }
        }
    }

    fn view_of(&self, at: usize) -> IssueView {
        let issue = &self.issues[at];
        let parent = issue.parent_id.as_ref().and_then(|id| self.by_id.get(id));
        let parent_open = parent.is_some_and(|at| self.issues[*at].view.state.is_active());
        IssueView { parent_open, ..issue.view.clone() }
    }

    /// An alert that opens no issue, kept once.
    fn record(&mut self, said: &AlertTransition, data_until: Option<UtcTime>) {
        match said.kind {
            TransitionKind::Raised | TransitionKind::Updated => {}
            TransitionKind::Cleared => return,
            TransitionKind::Retracted => {
                if let Some(at) = self.records.get(&said.alert_id) {
                    self.issues[*at].withdrawn = true;
                }
                return;
            }
        }
        let for_record = said.severity == Severity::P4 && said.parent.is_none();
        if !for_record || self.records.contains_key(&said.alert_id) {
            return;
        }
        self.records.insert(said.alert_id.clone(), self.issues.len());
        let view = IssueView {
            cause: said.cause,
            ..blank(said.alert_id.clone(), said.subject, said.family, said.condition_start)
        };
        self.issues.push(Issue {
            view,
            rule: said.rule,
            detected_at: said.at,
            causes: vec![(said.at, said.cause)],
            ranked: said.ranked.iter().map(|(cause, _)| *cause).collect(),
            child: false,
            parent_id: None,
            data_until,
            record_only: true,
            withdrawn: false,
        });
    }

    fn change(&mut self, change: IssueChange, now: UtcTime, data_until: Option<UtcTime>) {
        match change {
            IssueChange::Open(new) => self.open(*new, data_until),
            IssueChange::Transition { issue_id, to, cleared_at, .. } => {
                if to == State::Reopened {
                    self.reopen(&issue_id, now);
                }
                let Some(issue) = self.find(&issue_id) else { return };
                issue.view.state = to;
                match to {
                    State::Open => issue.view.cleared_at = None,
                    State::Closed => issue.view.closed_at = Some(now),
                    State::Dismissed => {
                        issue.withdrawn = true;
                        issue.view.closed_at = Some(now);
                    }
                    State::ClosedWithParent => issue.view.closed_at = Some(now),
                    _ => {}
                }
                if cleared_at.is_some() {
                    issue.view.cleared_at = cleared_at;
                }
            }
            IssueChange::Evidence { issue_id, cleared_at, .. } => {
                let Some(issue) = self.find(&issue_id) else { return };
                if cleared_at.is_some() {
                    issue.view.cleared_at = cleared_at;
                }
            }
            IssueChange::Suppress { issue_id, parent_issue_id } => {
                if let Some(issue) = self.find(&issue_id) {
                    issue.view.suppressed = true;
                    issue.child = true;
                    issue.parent_id = Some(parent_issue_id);
                }
            }
            IssueChange::Unsuppress { issue_id, .. } => {
                if let Some(issue) = self.find(&issue_id) {
                    issue.view.suppressed = false;
                    issue.child = false;
                }
            }
            IssueChange::Escalate { issue_id, severity, cause, ranked, .. } => {
                if let Some(issue) = self.find(&issue_id) {
                    issue.view.severity = severity;
                    issue.view.cause = cause;
                    issue.causes.push((now, cause));
                    issue.ranked = ranked.iter().map(|(cause, _)| *cause).collect();
                }
            }
            IssueChange::Resumed { issue_id } => {
                if let Some(issue) = self.find(&issue_id) {
                    issue.view.cleared_at = None;
                }
            }
            IssueChange::SnoozeEnded { .. } | IssueChange::Hold { .. } => {}
        }
    }

    fn open(&mut self, new: NewIssue, data_until: Option<UtcTime>) {
        let at = self.issues.len();
        let suppressed = new.parent_issue_id.is_some();
        self.newest.insert((new.subject, new.family), at);
        self.by_id.insert(new.issue_id.clone(), at);
        self.active.push(at);
        let view = IssueView {
            cause: new.cause,
            severity: new.severity,
            suppressed,
            ..blank(new.issue_id, new.subject, new.family, new.condition_start)
        };
        self.issues.push(Issue {
            view,
            rule: new.rule,
            detected_at: new.detected_at,
            causes: vec![(new.detected_at, new.cause)],
            ranked: new.ranked.iter().map(|(cause, _)| *cause).collect(),
            child: suppressed,
            parent_id: new.parent_issue_id,
            data_until,
            record_only: false,
            withdrawn: false,
        });
    }

    /// Each time that an issue is opened again counts as one of its own.
    fn reopen(&mut self, id: &str, now: UtcTime) {
        let Some(old) = self.by_id.get(id).copied() else { return };
        let mut again = self.issues[old].clone();
        again.detected_at = now;
        again.causes = vec![(now, again.view.cause)];
        again.view.cleared_at = None;
        again.child = again.view.suppressed;
        let at = self.issues.len();
        self.newest.insert((again.view.subject, again.view.family), at);
        self.by_id.insert(id.to_owned(), at);
        self.issues[old].view.state = State::Closed;
        self.active.retain(|known| *known != old);
        self.active.push(at);
        self.issues.push(again);
    }

    fn find(&mut self, id: &str) -> Option<&mut Issue> {
        let at = *self.by_id.get(id)?;
        self.issues.get_mut(at)
    }
}

fn blank(issue_id: String, subject: Subject, family: Family, start: UtcTime) -> IssueView {
    IssueView {
        issue_id,
        subject,
        family,
        state: State::Detected,
        cause: Cause::Other,
        severity: Severity::P4,
        condition_start: start,
        cleared_at: None,
        closed_at: None,
        suppressed: false,
        parent_open: false,
        snoozed_until: None,
        acknowledged: false,
        work_order_open: false,
        flows_on: false,
        heard_since: false,
        billing_hold_from: None,
    }
}

impl Issue {
    /// One that a simple threshold opens.
    pub(super) fn told(subject: Subject, cause: Cause, now: UtcTime) -> Self {
        let family = cause.family().unwrap_or(Family::Data);
        Self {
            view: IssueView {
                cause,
                severity: Severity::P3,
                ..blank(String::new(), subject, family, now)
            },
            rule: RuleId::COM_STALE,
            detected_at: now,
            causes: vec![(now, cause)],
            ranked: vec![cause],
            child: false,
            parent_id: None,
            data_until: None,
            record_only: false,
            withdrawn: false,
        }
    }

    pub(super) fn cause(&self) -> Cause {
        self.view.cause
    }

    /// When it was opened, if that is from `from` to `to`.
    pub(super) fn seen_within(&self, from: UtcTime, to: UtcTime) -> Option<UtcTime> {
        Some(self.detected_at).filter(|at| from <= *at && *at <= to)
    }
}
