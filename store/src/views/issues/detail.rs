//! One issue with everything that led to it.

use metering::{ChannelNo, RuleNo};

use super::evidence::{evidence, ranked};
use super::list::{read_row, row, row_from, row_sql};
use super::{AlertRow, IssueDetail, IssueLogRow, ParentIssue};
use crate::database::Database;
use crate::error::StoreError;
use crate::views::ask::{self, Columns};
use crate::views::sql::open_states;

/// What else is known of issue `$1`, and under which is it folded?
const REST: &str = "SELECT x.cause_detected, x.identified_cause, x.identified_at, x.identified_by, \
     x.cause_ranked, x.rule_no, x.rule, x.channel, x.date_fixed, x.suppressed, \
     p.number, coalesce(p.identified_cause, p.cause_detected), \
     coalesce(m.number, k.code, t.code, n.code, 'head-end') \
     FROM meter_issue x LEFT JOIN meter_issue p ON p.issue_id = x.parent_issue_id \
     LEFT JOIN meter m ON p.subject_kind = 'meter' AND m.meter_id = p.subject_id \
     LEFT JOIN collector k ON p.subject_kind = 'collector' AND k.collector_id = p.subject_id \
     LEFT JOIN transformer t ON p.subject_kind = 'transformer' \
       AND t.transformer_id = p.subject_id \
     LEFT JOIN network_zone n ON p.subject_kind = 'zone' AND n.zone_id = p.subject_id \
     WHERE x.issue_id = $1";

/// Which issues are folded under `$1`, worst first?
const CHILDREN: &str = concat!(
    row_sql!(),
    "WHERE x.parent_issue_id = $1 \
     ORDER BY x.closed_at IS NOT NULL, x.severity, x.condition_start, x.number LIMIT 1000"
);

/// What did rules say of issue `$1`?
const ALERTS: &str = "SELECT alert_id, rule_no, rule, cause, severity, condition_start, raised_at, \
     cleared_at, retracted_at, evidence FROM alert WHERE issue_id = $1 \
     ORDER BY raised_at, alert_id LIMIT 1000";

/// What happened to issue `$1`?
const LOG: &str = "SELECT seq, kind, from_state, to_state, at, actor_kind, actor, reason \
     FROM (SELECT * FROM meter_issue_log WHERE issue_id = $1 ORDER BY seq DESC LIMIT 1000) l \
     ORDER BY seq";

const WHAT: &str = "reading an issue";

/// The issue with that number, or `None`. Children, alerts and history hold at most 1,000 rows
/// each; of a longer history the newest.
///
/// # Errors
/// When the database does not answer.
pub async fn by_number(db: &Database, number: i64) -> Result<Option<IssueDetail>, StoreError> {
    let Some(row) = row(db, number).await? else { return Ok(None) };
    let id = row.issue_id.clone();
    let Some(mut detail) =
        ask::first(db, WHAT, REST, &[&id], |c| read_rest(c, row.clone())).await?
    else {
        return Ok(None);
    };
    detail.children = ask::all(db, WHAT, CHILDREN, &[&id], read_row).await?;
    detail.alerts = ask::all(db, WHAT, ALERTS, &[&id], read_alert).await?;
    detail.log = ask::all(db, WHAT, LOG, &[&id], read_log).await?;
    Ok(Some(detail))
}

fn read_rest(c: &mut Columns<'_>, row: super::IssueRow) -> Result<IssueDetail, StoreError> {
    Ok(IssueDetail {
        row,
        cause_detected: c.get()?,
        identified_cause: c.get()?,
        identified_at: c.maybe_time()?,
        identified_by: c.get()?,
        ranked: ranked(&c.get()?),
        rule_no: rule_no(c.get()?),
        rule: c.get()?,
        channel: c.get::<Option<i16>>()?.map(ChannelNo::new),
        date_fixed: c.maybe_time()?,
        suppressed: c.get()?,
        parent: parent(c)?,
        children: Vec::new(),
        alerts: Vec::new(),
        log: Vec::new(),
    })
}

fn parent(c: &mut Columns<'_>) -> Result<Option<ParentIssue>, StoreError> {
    let Some(number) = c.get::<Option<i64>>()? else { return Ok(None) };
    Ok(Some(ParentIssue { number, cause: c.get()?, subject_name: c.get()? }))
}

fn rule_no(number: i16) -> Option<RuleNo> {
    u8::try_from(number).ok().and_then(RuleNo::new)
}

fn read_alert(c: &mut Columns<'_>) -> Result<AlertRow, StoreError> {
    Ok(AlertRow {
        alert_id: c.get()?,
        rule_no: rule_no(c.get()?),
        rule: c.get()?,
        cause: c.get()?,
        severity: c.severity()?,
        condition_start: c.time()?,
        raised_at: c.time()?,
        cleared_at: c.maybe_time()?,
        retracted_at: c.maybe_time()?,
        evidence: evidence(&c.get()?),
    })
}

fn read_log(c: &mut Columns<'_>) -> Result<IssueLogRow, StoreError> {
    Ok(IssueLogRow {
        seq: c.get()?,
        kind: c.get()?,
        from_state: c.get()?,
        to_state: c.get()?,
        at: c.time()?,
        actor_kind: c.get()?,
        actor: c.get()?,
        reason: c.get()?,
    })
}
