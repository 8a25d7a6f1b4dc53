//! One planned change, written down: the row of the issue, its history, and the console's notice.

use alerts::Evidence;
use alerts::issue::{Actor, IssueChange, NewIssue, State, allowed};
use metering::{Severity, UtcTime};
use serde_json::{Value, json};

use super::Applied;
use super::alerts::{evidence_json, ranked_json};
use super::history::{self, Entry};
use super::hold;
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const OPEN: &str = "\
    INSERT INTO meter_issue (issue_id, subject_kind, subject_id, channel, commodity, family, \
        cause_detected, cause_ranked, identified_cause, identified_at, identified_by, state, \
        severity, rule_no, rule, condition_start, detected_at, updated_at, parent_issue_id, \
        suppressed, evidence, billing_hold_from, sla_due, rule_version, params_hash, \
        priority_history) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'DETECTED', $12, $13, $14, $15, $16, \
        $16, $17, $18, $19, $20, $21, \
        coalesce((SELECT b.version FROM rule_bundle b WHERE b.act IN ('apply', 'rollback') \
            AND ($22::int8 = 0 OR b.log_seq <= $22::int8) ORDER BY b.bundle_no DESC LIMIT 1), 'built-in'), \
        coalesce((SELECT b.hash FROM rule_bundle b WHERE b.act IN ('apply', 'rollback') \
            AND ($22::int8 = 0 OR b.log_seq <= $22::int8) ORDER BY b.bundle_no DESC LIMIT 1), ''), \
        jsonb_build_array(jsonb_build_object('at', $16::timestamptz, 'severity', $12::int2))) \
    ON CONFLICT DO NOTHING";

/// Moves an issue from one state to the next; nothing when it is no longer in the first.
const MOVE: &str = "\
    UPDATE meter_issue SET state = $3, updated_at = $4, \
        cleared_at = CASE WHEN $3 IN ('REOPENED', 'OPEN') THEN NULL \
            ELSE coalesce($5, cleared_at) END, \
        date_fixed = CASE WHEN $3 IN ('REOPENED', 'OPEN') THEN NULL \
            ELSE coalesce($6, date_fixed) END, \
        closed_at = CASE WHEN $3 IN ('CLOSED', 'DISMISSED', 'FALSE_POSITIVE', 'MERGED', \
            'CLOSED_WITH_PARENT') THEN $4 WHEN $3 = 'REOPENED' THEN NULL ELSE closed_at END, \
        billing_hold_to = CASE WHEN billing_hold_from IS NULL OR $3 IN ('REOPENED', 'OPEN') \
            THEN NULL WHEN $3 IN ('CLOSED', 'DISMISSED', 'FALSE_POSITIVE', 'MERGED', \
            'CLOSED_WITH_PARENT') THEN coalesce($6, billing_hold_to, $4) \
            ELSE coalesce($6, billing_hold_to) END, \
        verified_at = CASE WHEN $3 = 'REOPENED' THEN NULL ELSE verified_at END, \
        estimation_ended_at = CASE WHEN $3 IN ('REOPENED', 'OPEN', 'WORK_ORDERED') THEN NULL \
            ELSE (SELECT max(e.ends_at) FROM estimation e \
                WHERE e.issue_id = meter_issue.issue_id) END, \
        billing_hold_released_by = CASE WHEN $3 = 'REOPENED' THEN NULL \
            ELSE billing_hold_released_by END, \
        billing_hold_released_at = CASE WHEN $3 = 'REOPENED' THEN NULL \
            ELSE billing_hold_released_at END \
    WHERE issue_id = $1 AND state = $2";

/// The rule's own condition to be over has held for as long as its family asks for.
const VERIFIED: &str =
    "UPDATE meter_issue SET verified_at = $2, verify_rule = rule WHERE issue_id = $1";

const ADD_EVIDENCE: &str = "\
    UPDATE meter_issue SET updated_at = $2, cleared_at = coalesce($3, cleared_at), \
        evidence = CASE WHEN $4::jsonb = '[]' THEN evidence ELSE $4::jsonb END \
    WHERE issue_id = $1";

const ESCALATE: &str = "\
    UPDATE meter_issue SET updated_at = $2, severity = $3, cause_detected = $4, \
        cause_ranked = $5, \
        evidence = CASE WHEN $6::jsonb = '[]' THEN evidence ELSE $6::jsonb END, \
        sla_due = CASE WHEN $3 < severity THEN least(sla_due, $7) ELSE sla_due END, \
        priority_history = CASE WHEN $3 = severity THEN priority_history ELSE priority_history \
            || jsonb_build_object('at', $2::timestamptz, 'severity', $3::int2) END \
    WHERE issue_id = $1";

const SUPPRESS: &str = "\
    UPDATE meter_issue SET updated_at = $2, suppressed = true, parent_issue_id = $3 \
    WHERE issue_id = $1";

const UNSUPPRESS: &str =
    "UPDATE meter_issue SET updated_at = $2, suppressed = false WHERE issue_id = $1";

/// The condition holds again.
const RESUME: &str =
    "UPDATE meter_issue SET updated_at = $2, cleared_at = NULL WHERE issue_id = $1";

/// Holds what an earlier rule did not; what was released stays so.
const HOLD: &str = "\
    UPDATE meter_issue SET updated_at = $2, billing_hold_from = least(billing_hold_from, $3) \
    WHERE issue_id = $1 AND billing_hold_released_by IS NULL";

const WAKE: &str =
    "UPDATE meter_issue SET updated_at = $2, snoozed_until = NULL WHERE issue_id = $1";

const FOUND: &str = "\
    UPDATE meter_issue SET updated_at = $2, identified_cause = coalesce($3, identified_cause), \
        identified_at = CASE WHEN $3 IS NULL THEN identified_at ELSE $2 END, \
        identified_by = CASE WHEN $3 IS NULL THEN identified_by ELSE $5 END, \
        fix_action = coalesce($4, fix_action) WHERE issue_id = $1";

/// Tells the pages that show this issue.
const NOTICE: &str = "\
    WITH told AS ( \
        INSERT INTO console_event (at, topic, key) \
        SELECT $2, 'issue', number::text FROM meter_issue WHERE issue_id = $1 RETURNING key) \
    SELECT pg_notify('headend_issue', key)::text FROM told";

/// Writes the engine's changes.
pub(super) struct Applier<'a> {
    pub(super) client: &'a Connection,
    pub(super) at: UtcTime,
    pub(super) log_seq: i64,
}

impl Applier<'_> {
    pub(super) async fn apply(&self, change: &IssueChange) -> Result<Applied, StoreError> {
        match change {
            IssueChange::Open(issue) => return self.open(issue).await,
            IssueChange::Transition { issue_id, from, to, reason, cleared_at, date_fixed } => {
                let dates = (*cleared_at, *date_fixed);
                self.transition(issue_id, (*from, *to), reason, dates).await?;
            }
            IssueChange::Evidence { issue_id, note, evidence, cleared_at } => {
                self.evidence(issue_id, note, evidence, *cleared_at).await?;
            }
            IssueChange::Suppress { issue_id, parent_issue_id } => {
                let at = Stamp(self.at);
                self.execute(SUPPRESS, &[issue_id, &at, parent_issue_id]).await?;
                let facts = json!({ "overlay": "suppressed", "parent": parent_issue_id });
                self.log(issue_id, "overlay", "explained by its parent", facts).await?;
            }
            IssueChange::Unsuppress { issue_id, reason } => {
                self.execute(UNSUPPRESS, &[issue_id, &Stamp(self.at)]).await?;
                self.log(issue_id, "overlay", reason, json!({ "overlay": "unsuppressed" })).await?;
            }
            IssueChange::Escalate { issue_id, severity, cause, ranked, evidence } => {
                let (ranked, facts) = (ranked_json(ranked), evidence_json(evidence));
                self.escalate(issue_id, (*severity, cause.word()), ranked, facts).await?;
            }
            IssueChange::Resumed { issue_id } => {
                self.execute(RESUME, &[issue_id, &Stamp(self.at)]).await?;
                self.log(issue_id, "evidence", "the condition holds again", json!([])).await?;
            }
            IssueChange::Hold { issue_id, from } => {
                let held = self.execute(HOLD, &[issue_id, &Stamp(self.at), &Stamp(*from)]).await?;
                if held == 0 {
                    return Ok(Applied::default());
                }
                let facts = json!({ "overlay": "billing_hold", "from": from.to_string() });
                self.log(issue_id, "overlay", "bills wait for what is known", facts).await?;
            }
            IssueChange::SnoozeEnded { issue_id } => {
                self.execute(WAKE, &[issue_id, &Stamp(self.at)]).await?;
                self.log(issue_id, "overlay", "snooze ended", json!({ "overlay": "awake" }))
                    .await?;
            }
        }
        notice(self.client, change_id(change), self.at).await?;
        Ok(Applied { opened: 0, changed: 1 })
    }

    async fn open(&self, issue: &NewIssue) -> Result<Applied, StoreError> {
        let identified = issue.identified.map(|cause| cause.word());
        let (identified_at, by) =
            (identified.map(|_| Stamp(self.at)), identified.map(|_| "engine"));
        let opened = self
            .execute(
                OPEN,
                &[
                    &issue.issue_id,
                    &issue.subject.kind(),
                    &issue.subject.number(),
                    &issue.channel.map(metering::ChannelNo::get),
                    &issue.commodity.map(metering::Commodity::word),
                    &issue.family.word(),
                    &issue.cause.word(),
                    &ranked_json(&issue.ranked),
                    &identified,
                    &identified_at,
                    &by,
                    &issue.severity.number(),
                    &i16::from(issue.rule.no.get()),
                    &issue.rule.name,
                    &Stamp(issue.condition_start),
                    &Stamp(issue.detected_at),
                    &issue.parent_issue_id,
                    &issue.parent_issue_id.is_some(),
                    &evidence_json(&issue.evidence),
                    &issue.billing_hold_from.map(Stamp),
                    &answer_by(issue.severity, self.at).map(Stamp),
                    &self.log_seq,
                ],
            )
            .await?;
        if opened == 0 {
            return Ok(Applied::default());
        }
        let entry = Entry {
            kind: "transition",
            from: None,
            to: Some(State::Detected.word()),
            at: self.at,
            log_seq: Some(self.log_seq),
            actor_kind: Actor::Engine.word(),
            actor: issue.rule.name,
            reason: "a rule fired",
            facts: evidence_json(&issue.evidence),
        };
        history::append(self.client, &issue.issue_id, &entry).await?;
        notice(self.client, &issue.issue_id, self.at).await?;
        Ok(Applied { opened: 1, changed: 0 })
    }

    async fn transition(
        &self,
        issue_id: &str,
        (from, to): (State, State),
        reason: &str,
        (cleared_at, date_fixed): (Option<UtcTime>, Option<UtcTime>),
    ) -> Result<(), StoreError> {
        let step = Step { from, to, actor: Actor::Engine, who: "engine", reason };
        let dates = (cleared_at, date_fixed);
        move_issue(self.client, issue_id, &step, (self.at, Some(self.log_seq)), dates).await
    }

    async fn evidence(
        &self,
        issue_id: &str,
        note: &str,
        evidence: &[Evidence],
        cleared_at: Option<UtcTime>,
    ) -> Result<(), StoreError> {
        let facts = evidence_json(evidence);
        let cleared = cleared_at.map(Stamp);
        self.execute(ADD_EVIDENCE, &[&issue_id, &Stamp(self.at), &cleared, &facts]).await?;
        self.log(issue_id, "evidence", note, facts).await
    }

    async fn escalate(
        &self,
        issue_id: &str,
        (severity, cause): (Severity, &str),
        ranked: Value,
        facts: Value,
    ) -> Result<(), StoreError> {
        let (at, number) = (Stamp(self.at), severity.number());
        let due = answer_by(severity, self.at).map(Stamp);
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&issue_id, &at, &number, &cause, &ranked, &facts, &due];
        self.execute(ESCALATE, values).await?;
        let reason = format!("now {cause}, {severity}");
        self.log(issue_id, "evidence", &reason, facts).await
    }

    async fn log(
        &self,
        issue_id: &str,
        kind: &'static str,
        reason: &str,
        facts: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            kind,
            from: None,
            to: None,
            at: self.at,
            log_seq: Some(self.log_seq),
            actor_kind: Actor::Engine.word(),
            actor: "engine",
            reason,
            facts,
        };
        history::append(self.client, issue_id, &entry).await
    }

    async fn execute(
        &self,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        execute(self.client, sql, values).await
    }
}

/// When somebody should have acknowledged it: what comes after is escalated, or is on the daily list
/// (`metering-rules` 3). P4 asks for nobody.
fn answer_by(severity: Severity, at: UtcTime) -> Option<UtcTime> {
    let within_s = match severity {
        Severity::P1 => 15 * 60,
        Severity::P2 => 4 * 3_600,
        Severity::P3 => 24 * 3_600,
        Severity::P4 => return None,
    };
    Some(at.plus_seconds(within_s))
}

/// A move between two states and who makes it.
pub(super) struct Step<'a> {
    pub(super) from: State,
    pub(super) to: State,
    pub(super) actor: Actor,
    pub(super) who: &'a str,
    pub(super) reason: &'a str,
}

/// Moves an issue by the closed table and writes its history.
pub(super) async fn move_issue(
    client: &Connection,
    issue_id: &str,
    step: &Step<'_>,
    (at, log_seq): (UtcTime, Option<i64>),
    (cleared_at, date_fixed): (Option<UtcTime>, Option<UtcTime>),
) -> Result<(), StoreError> {
    let refused = |detail: String| StoreError::Refused { what: "moving an issue", detail };
    if !allowed(Some(step.from), step.to, step.actor) {
        return Err(refused(format!("{} to {} by {}", step.from, step.to, step.actor)));
    }
    let (from, to) = (step.from.word(), step.to.word());
    let (cleared, fixed) = (cleared_at.map(Stamp), date_fixed.map(Stamp));
    let moved =
        execute(client, MOVE, &[&issue_id, &from, &to, &Stamp(at), &cleared, &fixed]).await?;
    if moved == 0 {
        return Err(refused(format!("issue {issue_id} is no longer {from}")));
    }
    let entry = Entry {
        kind: "transition",
        from: Some(from),
        to: Some(to),
        at,
        log_seq,
        actor_kind: step.actor.word(),
        actor: step.who,
        reason: step.reason,
        facts: json!({}),
    };
    history::append(client, issue_id, &entry).await?;
    if step.to == State::Closed && step.actor == Actor::Engine {
        execute(client, VERIFIED, &[&issue_id, &Stamp(at)]).await?;
    }
    match step.to {
        State::Closed | State::ClosedWithParent => hold::after_close(client, issue_id, at).await,
        // Nothing was wrong: what the checks doubt they hold themselves.
        State::Dismissed | State::FalsePositive => hold::unfounded(client, issue_id, at).await,
        _ => Ok(()),
    }
}

/// Writes down what the field found; closing with another cause than the detected one shows in the
/// history, for the confusion matrix.
pub(super) async fn identify(
    client: &Connection,
    issue_id: &str,
    (cause, action, actor): (Option<alerts::Cause>, Option<&str>, &str),
    at: UtcTime,
) -> Result<(), StoreError> {
    let word = cause.map(|cause| cause.word());
    execute(client, FOUND, &[&issue_id, &Stamp(at), &word, &action, &actor]).await?;
    let found = word.unwrap_or("no cause named");
    let text = format!("the field found: {found}, {}", action.unwrap_or("no action named"));
    let facts = json!({ "identified_cause": word, "fix_action": action });
    note(client, issue_id, (&text, facts), at).await
}

/// Appends a fact to the history, by the system.
pub(super) async fn note(
    client: &Connection,
    issue_id: &str,
    (text, facts): (&str, Value),
    at: UtcTime,
) -> Result<(), StoreError> {
    let entry = Entry {
        kind: "evidence",
        from: None,
        to: None,
        at,
        log_seq: None,
        actor_kind: Actor::System.word(),
        actor: "system",
        reason: text,
        facts,
    };
    history::append(client, issue_id, &entry).await?;
    notice(client, issue_id, at).await
}

/// Tells the pages, at COMMIT.
pub(super) async fn notice(
    client: &Connection,
    issue_id: &str,
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query("telling the console of an issue");
    let statement = client.prepare_cached(NOTICE).await.map_err(&query)?;
    client.query(&statement, &[&issue_id, &Stamp(at)]).await.map_err(&query)?;
    Ok(())
}

pub(super) async fn execute(
    client: &Connection,
    sql: &str,
    values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<u64, StoreError> {
    let query = StoreError::query("changing an issue");
    let statement = client.prepare_cached(sql).await.map_err(&query)?;
    client.execute(&statement, values).await.map_err(&query)
}

fn change_id(change: &IssueChange) -> &str {
    match change {
        IssueChange::Open(issue) => &issue.issue_id,
        IssueChange::Transition { issue_id, .. }
        | IssueChange::Evidence { issue_id, .. }
        | IssueChange::Suppress { issue_id, .. }
        | IssueChange::Unsuppress { issue_id, .. }
        | IssueChange::Escalate { issue_id, .. }
        | IssueChange::Hold { issue_id, .. }
        | IssueChange::Resumed { issue_id }
        | IssueChange::SnoozeEnded { issue_id } => issue_id,
    }
}
