//! Giving an issue away: to a person, to another issue, and its hold on the bill.

use alerts::issue::{Actor, State};
use metering::Severity;
use serde_json::json;

use super::super::change::{execute, move_issue, notice};
use super::super::hold::{self, Release};
use super::{ACKNOWLEDGE, ActError, By, Locked, Step, TEXT_BYTES_MAX, active, lock, log, step};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// Longest name of a person, in bytes.
const NAME_BYTES_MAX: usize = 80;

const ASSIGN: &str = "UPDATE meter_issue SET updated_at = $2, assignee = $3 WHERE issue_id = $1 \
     AND assignee IS DISTINCT FROM $3";

/// Is an order for this issue open?
const ORDERED: &str = "\
    SELECT EXISTS (SELECT FROM work_order_issue l JOIN work_order o USING (number) \
        WHERE l.issue_id = $1 AND o.status IN ('created', 'assigned'))";

/// Whose is it?
const SUBJECT: &str = "SELECT subject_kind, subject_id FROM meter_issue WHERE issue_id = $1";

/// Is issue `$1` held back by `$2`, at once or through others?
const IS_UNDER: &str = "\
    WITH RECURSIVE above (issue_id, depth) AS ( \
        SELECT parent_issue_id, 1 FROM meter_issue WHERE issue_id = $1 \
        UNION ALL SELECT m.parent_issue_id, above.depth + 1 FROM above \
        JOIN meter_issue m ON m.issue_id = above.issue_id WHERE above.depth < 32) \
    SELECT EXISTS (SELECT FROM above WHERE issue_id = $2)";

const MERGED: &str = "\
    UPDATE meter_issue SET updated_at = $2, merged_into = $3, snoozed_until = NULL, \
        suppressed = false WHERE issue_id = $1";

/// Issues folded under `$1` fold under `$2`, which is not its own parent.
const ADOPT: &str =
    "UPDATE meter_issue SET updated_at = $3, parent_issue_id = $2 WHERE parent_issue_id = $1";

const VISITS: &str = "\
    INSERT INTO work_order_issue (number, issue_id) SELECT number, $2 FROM work_order_issue \
    WHERE issue_id = $1 ON CONFLICT DO NOTHING";

/// The worse severity of both, the channel if it is the same, and the wider hold.
const TAKE_OVER: &str = "\
    UPDATE meter_issue t SET updated_at = $3, severity = least(t.severity, s.severity), \
        channel = CASE WHEN $4 AND t.channel IS DISTINCT FROM s.channel THEN NULL \
            ELSE t.channel END, \
        billing_hold_from = CASE WHEN $4 THEN least(t.billing_hold_from, s.billing_hold_from) \
            ELSE t.billing_hold_from END, \
        billing_hold_to = CASE WHEN $4 AND (s.billing_hold_to IS NULL \
                OR (t.billing_hold_from IS NOT NULL AND t.billing_hold_to IS NULL)) THEN NULL \
            WHEN $4 THEN greatest(t.billing_hold_to, s.billing_hold_to) \
            ELSE t.billing_hold_to END, \
        billing_hold_released_by = CASE WHEN $4 THEN NULL ELSE t.billing_hold_released_by END, \
        billing_hold_released_at = CASE WHEN $4 THEN NULL ELSE t.billing_hold_released_at END \
    FROM meter_issue s WHERE s.issue_id = $1 AND t.issue_id = $2";

/// Hands the issue to `to`, which makes it one that is worked on; empty takes it back.
pub(super) async fn assign(
    client: &Connection,
    issue: &Locked,
    (to, note): (&str, &str),
    by: By<'_>,
) -> Result<(), ActError> {
    active(issue)?;
    let to = to.trim();
    if to.len() > NAME_BYTES_MAX || note.len() > TEXT_BYTES_MAX {
        let what = format!("a name has at most {NAME_BYTES_MAX} bytes, a note {TEXT_BYTES_MAX}");
        return Err(ActError::Refused(what));
    }
    let name = Some(to).filter(|to| !to.is_empty());
    let changed = execute(client, ASSIGN, &[&issue.issue_id, &Stamp(by.at), &name]).await?;
    if changed == 0 {
        return Ok(());
    }
    let said = match name {
        Some(to) => format!("assigned to {to}"),
        None => "assigned to nobody".to_owned(),
    };
    let said = if note.trim().is_empty() { said } else { format!("{said}: {}", note.trim()) };
    log(client, issue, ("overlay", &said), json!({ "overlay": "assigned", "to": name }), by)
        .await?;
    if name.is_some() {
        return take_up(client, issue, &said, by).await;
    }
    if issue.state == State::WorkOrdered && !ordered(client, &issue.issue_id).await? {
        // Nobody works on it any more, as if a work order had been cancelled.
        let (from, to) = (State::WorkOrdered, State::Open);
        let one = Step { from, to, actor: Actor::System, who: by.actor, reason: &said };
        move_issue(client, &issue.issue_id, &one, (by.at, None), (None, None)).await?;
    }
    Ok(())
}

/// Through OPEN to WORK_ORDERED, as far as the table lets it go.
async fn take_up(
    client: &Connection,
    issue: &Locked,
    reason: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    execute(client, ACKNOWLEDGE, &[&issue.issue_id, &Stamp(by.at), &by.actor]).await?;
    if issue.state == State::Detected {
        step(client, issue, (State::Detected, State::Open), "acknowledged", by).await?;
    }
    if matches!(issue.state, State::Detected | State::Open) {
        step(client, issue, (State::Open, State::WorkOrdered), reason, by).await?;
    }
    Ok(())
}

async fn ordered(client: &Connection, issue_id: &str) -> Result<bool, StoreError> {
    let query = StoreError::query("reading the work orders of an issue");
    let statement = client.prepare_cached(ORDERED).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[&issue_id]).await.map_err(&query)?.get(0))
}

/// Ends the hold on the bill; with suspect intervals in it only when `force` says so.
pub(super) async fn release_hold(
    client: &Connection,
    issue: &Locked,
    (reason, force): (&str, bool),
    by: By<'_>,
) -> Result<(), ActError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > TEXT_BYTES_MAX {
        let what = "a hold is released with a reason of 1 to 4,000 bytes";
        return Err(ActError::Refused(what.to_owned()));
    }
    if !hold::is_held(client, &issue.issue_id).await? {
        return Err(ActError::Refused("the issue holds no bill".to_owned()));
    }
    let suspect = hold::suspect(client, &issue.issue_id, by.at).await?;
    if suspect > 0 && !force {
        return Err(ActError::Refused(format!(
            "{suspect} intervals of the hold are suspect: accept, estimate or edit them first, or \
             release the hold by force"
        )));
    }
    let one = Release { kind: Actor::User.word(), who: by.actor, reason, at: by.at, suspect };
    hold::release(client, &issue.issue_id, one).await?;
    Ok(())
}

async fn subject(client: &Connection, issue_id: &str) -> Result<(String, i32), StoreError> {
    let query = StoreError::query("reading whose an issue is");
    let statement = client.prepare_cached(SUBJECT).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&issue_id]).await.map_err(&query)?;
    Ok((row.get(0), row.get(1)))
}

async fn is_under(client: &Connection, issue: &str, above: &str) -> Result<bool, StoreError> {
    let query = StoreError::query("reading what holds an issue back");
    let statement = client.prepare_cached(IS_UNDER).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[&issue, &above]).await.map_err(&query)?.get(0))
}

/// Ends the issue as a duplicate of issue `into`, which takes over what still counts: its
/// severity, its hold, its visits and the issues folded under it.
pub(super) async fn merge(
    client: &Connection,
    (number, issue): (i64, &Locked),
    (into, note): (i64, &str),
    by: By<'_>,
) -> Result<(), ActError> {
    if number == into {
        return Err(ActError::Refused("an issue cannot be merged into itself".to_owned()));
    }
    if !alerts::issue::allowed(Some(issue.state), State::Merged, Actor::User) {
        let what = format!("an issue that is {} cannot be merged", issue.state);
        return Err(ActError::Refused(what));
    }
    let target = lock(client, into, None).await?;
    if !target.state.is_active() {
        let what = format!("issue {into} is {}: merge into one that is open", target.state);
        return Err(ActError::Refused(what));
    }
    let (own, other) = (&issue.issue_id, &target.issue_id);
    if is_under(client, other, own).await? {
        let what = format!("issue {into} is folded under this one: merge it the other way round");
        return Err(ActError::Refused(what));
    }
    let held = hold::is_held(client, own).await?;
    if held && subject(client, own).await? != subject(client, other).await? {
        let what = format!("issue {into} is about something else: release the billing hold first");
        return Err(ActError::Refused(what));
    }
    take_over(client, (issue, &target), held, by).await?;
    let reason = match note.trim() {
        "" => format!("merged into issue {into}"),
        note => format!("merged into issue {into}: {note}"),
    };
    if held {
        let kind = Actor::User.word();
        let one = Release { kind, who: by.actor, reason: &reason, at: by.at, suspect: 0 };
        hold::release(client, &issue.issue_id, one).await?;
    }
    step(client, issue, (issue.state, State::Merged), &reason, by).await?;
    execute(client, MERGED, &[&issue.issue_id, &Stamp(by.at), &target.issue_id]).await?;
    tell_target(client, (number, issue), &target, note, by).await
}

async fn take_over(
    client: &Connection,
    (issue, target): (&Locked, &Locked),
    held: bool,
    by: By<'_>,
) -> Result<(), ActError> {
    let (own, other, at) = (&issue.issue_id, &target.issue_id, Stamp(by.at));
    execute(client, TAKE_OVER, &[own, other, &at, &held]).await?;
    execute(client, ADOPT, &[own, other, &at]).await?;
    execute(client, VISITS, &[own, other]).await?;
    if ordered(client, own).await? {
        take_up(client, target, "takes over a work order", by).await?;
    }
    Ok(())
}

async fn tell_target(
    client: &Connection,
    (number, issue): (i64, &Locked),
    target: &Locked,
    note: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    let worse = issue.severity < target.severity;
    let mut said = format!("issue {number} was merged into this one");
    if worse {
        said = format!("{said}, which is {} now", severity_word(issue.severity));
    }
    if !note.trim().is_empty() {
        said = format!("{said}: {}", note.trim());
    }
    let facts = json!({ "merged": number, "issue_id": issue.issue_id });
    log(client, target, ("evidence", &said), facts, by).await?;
    notice(client, &target.issue_id, by.at).await?;
    Ok(())
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::P1 => "P1",
        Severity::P2 => "P2",
        Severity::P3 => "P3",
        Severity::P4 => "P4",
    }
}
