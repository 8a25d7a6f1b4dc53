//! When an issue changes by the mere passing of time (`metering-rules` 4.4). All limits `default`.

use metering::{Severity, UtcTime};

use super::{IssueChange, IssueView, State};
use crate::cause::{Cause, Family};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// How long a cleared condition must stay away before the issue closes by itself, in seconds.
/// `None`: only staff close it.
pub const fn verify_after_s(family: Family, cause: Cause, severity: Severity) -> Option<i64> {
    match (family, cause) {
        (Family::Comm, Cause::RfMarginal) | (Family::Metrology, _) => Some(7 * DAY_S),
        // A single long gap: 24 h of delivery.
        (Family::Comm | Family::Clock, _) => Some(DAY_S),
        (Family::Power, _) => Some(HOUR_S),
        (Family::Leak | Family::Supply, _) => Some(DAY_S),
        (Family::Battery, _) => Some(30 * DAY_S),
        (Family::Gas, _) => match severity {
            Severity::P1 => None,
            _ => Some(DAY_S),
        },
        // The latch bit is down for 35 d before the rule clears; data are valid before it clears.
        (Family::Backflow | Family::Data, _) => Some(0),
        // The register check of the next day runs over it.
        (Family::Config, _) => Some(2 * DAY_S),
        // Tamper needs findings.
        (Family::Tamper, _) => None,
    }
}

/// A closed issue is the same trouble when it comes back within this time, in seconds.
pub const fn reopen_within_s(family: Family) -> i64 {
    match family {
        Family::Leak | Family::Supply => 7 * DAY_S,
        _ => 30 * DAY_S,
    }
}

/// The step that is due for an issue at log time `now` although no alert spoke: close after
/// verification or re-open when that failed, end of a snooze, the fate of a child whose parent
/// closed. To be asked again once the changes are applied.
pub fn due_changes(view: &IssueView, now: UtcTime) -> Vec<IssueChange> {
    if !view.state.is_active() {
        return Vec::new();
    }
    if view.suppressed && !view.parent_open {
        return vec![after_parent(view)];
    }
    if view.snoozed_until.is_some_and(|until| until <= now) {
        return vec![IssueChange::SnoozeEnded { issue_id: view.issue_id.clone() }];
    }
    if view.state != State::FixedPending || view.work_order_open || view.suppressed {
        return Vec::new();
    }
    verified(view, now).unwrap_or_default()
}

fn verified(view: &IssueView, now: UtcTime) -> Option<Vec<IssueChange>> {
    let verify_s = verify_after_s(view.family, view.cause, view.severity)?;
    let cleared_at = view.cleared_at?;
    let is_past = |wait_s| cleared_at.plus_seconds(wait_s) <= now;
    if view.flows_on {
        let failed = "verification failed: the flow did not stop after the repair".to_owned();
        // It clears once the flow stopped for `keep_for`, three days at the most, and that was heard.
        return view.heard_since.then(|| {
            vec![
                step(view, (State::FixedPending, State::Reopened), failed),
                step(view, (State::Reopened, State::Open), "re-opened".to_owned()),
            ]
        });
    }
    let reason = format!("verified: clear since {cleared_at}");
    is_past(verify_s).then(|| vec![step(view, (State::FixedPending, State::Closed), reason)])
}

fn step(view: &IssueView, (from, to): (State, State), reason: String) -> IssueChange {
    IssueChange::Transition {
        issue_id: view.issue_id.clone(),
        from,
        to,
        reason,
        cleared_at: None,
        date_fixed: None,
    }
}

fn after_parent(view: &IssueView) -> IssueChange {
    let reason = "the parent issue closed";
    match (view.state, view.cleared_at) {
        (State::Detected, Some(_)) => {
            let reason = format!("{reason} and the condition is clear");
            step(view, (State::Detected, State::ClosedWithParent), reason)
        }
        _ => IssueChange::Unsuppress {
            issue_id: view.issue_id.clone(),
            reason: format!("{reason}, the condition persists"),
        },
    }
}
