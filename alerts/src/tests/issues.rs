//! A book of issues in memory: what the store does with the planner's changes.

use std::collections::BTreeMap;

use metering::{Subject, UtcTime};

use crate::issue::{IssueChange, IssueView, State, due_changes, plan};
use crate::{AlertTransition, Family};

/// An issue with what is shown of it but is no part of [`IssueView`].
#[derive(Clone, Debug)]
struct Kept {
    view: IssueView,
    parent: Option<String>,
    channel: String,
    hold_from: Option<UtcTime>,
    fixed: Option<UtcTime>,
}

/// All issues, in the order in which they were opened.
#[derive(Default, Debug)]
pub(super) struct Book {
    kept: Vec<Kept>,
    /// Places of the issues of a subject and family, oldest first.
    places: BTreeMap<(Subject, String), Vec<usize>>,
}

impl Book {
    fn newest(&self, subject: Subject, family: Family) -> Option<usize> {
        self.places.get(&(subject, family.to_string())).and_then(|all| all.last().copied())
    }

    fn view(&self, place: Option<usize>) -> Option<IssueView> {
        let kept = &self.kept[place?];
        let mut view = kept.view.clone();
        view.parent_open = kept.parent.as_ref().is_some_and(|id| {
            self.kept.iter().any(|one| one.view.issue_id == *id && one.view.state.is_active())
        });
        Some(view)
    }

    pub(super) fn apply(&mut self, said: &AlertTransition) {
        let current = self.view(self.newest(said.subject, said.family));
        let parent = said.parent.and_then(|parent| {
            self.view(self.newest(parent, said.parent_family()))
                .filter(|view| view.state.is_active())
        });
        for change in plan(said, current.as_ref(), parent.as_ref()) {
            self.change(&change, said.at);
        }
    }

    /// Steps that are due at log time `now`.
    pub(super) fn due(&mut self, now: UtcTime) {
        for place in 0..self.kept.len() {
            while let Some(view) = self.view(Some(place)) {
                let due = due_changes(&view, now);
                if due.is_empty() {
                    break;
                }
                for change in &due {
                    self.change(change, now);
                }
            }
        }
    }

    fn find(&mut self, id: &str) -> &mut Kept {
        self.kept.iter_mut().find(|one| one.view.issue_id == id).unwrap()
    }

    fn change(&mut self, change: &IssueChange, now: UtcTime) {
        match change {
            IssueChange::Open(new) => {
                let key = (new.subject, new.family.to_string());
                self.places.entry(key).or_default().push(self.kept.len());
                self.kept.push(Kept {
                    view: IssueView {
                        issue_id: new.issue_id.clone(),
                        subject: new.subject,
                        family: new.family,
                        state: State::Detected,
                        cause: new.cause,
                        severity: new.severity,
                        condition_start: new.condition_start,
                        cleared_at: None,
                        closed_at: None,
                        suppressed: new.parent_issue_id.is_some(),
                        parent_open: false,
                        snoozed_until: None,
                        acknowledged: false,
                        work_order_open: false,
                        flows_on: false,
                        heard_since: false,
                        billing_hold_from: new.billing_hold_from,
                    },
                    parent: new.parent_issue_id.clone(),
                    channel: new.channel.map_or(String::new(), |no| no.get().to_string()),
                    hold_from: new.billing_hold_from,
                    fixed: None,
                });
            }
            IssueChange::Transition { issue_id, to, cleared_at, date_fixed, .. } => {
                let kept = self.find(issue_id);
                kept.view.state = *to;
                match to {
                    State::Reopened | State::Open => kept.view.cleared_at = None,
                    State::Closed => kept.view.closed_at = Some(now),
                    _ => {}
                }
                kept.view.cleared_at = cleared_at.or(kept.view.cleared_at);
                kept.fixed = date_fixed.or(kept.fixed);
            }
            IssueChange::Evidence { issue_id, cleared_at, .. } => {
                let kept = self.find(issue_id);
                kept.view.cleared_at = cleared_at.or(kept.view.cleared_at);
            }
            IssueChange::Suppress { issue_id, parent_issue_id } => {
                let kept = self.find(issue_id);
                kept.view.suppressed = true;
                kept.parent = Some(parent_issue_id.clone());
            }
            IssueChange::Unsuppress { issue_id, .. } => {
                let kept = self.find(issue_id);
                kept.view.suppressed = false;
                kept.parent = None;
            }
            IssueChange::Escalate { issue_id, severity, cause, .. } => {
                let kept = self.find(issue_id);
                (kept.view.severity, kept.view.cause) = (*severity, *cause);
            }
            IssueChange::Hold { issue_id, from } => {
                let kept = self.find(issue_id);
                let held = kept.view.billing_hold_from.map_or(*from, |held| held.min(*from));
                (kept.view.billing_hold_from, kept.hold_from) = (Some(held), Some(held));
            }
            IssueChange::SnoozeEnded { issue_id } => {
                self.find(issue_id).view.snoozed_until = None;
            }
            IssueChange::Resumed { issue_id } => self.find(issue_id).view.cleared_at = None,
        }
    }

    /// One line each, in the order of their subjects; what late data dismissed is left out. Log
    /// times (detected, cleared, closed) say when a delivery came and are not shown.
    pub(super) fn text(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .kept
            .iter()
            .filter(|one| one.view.state != State::Dismissed)
            .map(|one| {
                let view = &one.view;
                let time = |at: Option<UtcTime>| at.map_or("-".to_owned(), |at| at.to_string());
                format!(
                    "issue {} {} {:>3} {} {} {} ch {} since {} fixed {} hold {} parent {} {}",
                    view.issue_id,
                    view.subject.kind(),
                    view.subject.number(),
                    view.family,
                    view.cause,
                    view.severity,
                    one.channel,
                    view.condition_start,
                    time(one.fixed),
                    time(one.hold_from),
                    one.parent.as_deref().unwrap_or("-"),
                    view.state,
                )
            })
            .collect();
        lines.sort();
        lines
    }
}
