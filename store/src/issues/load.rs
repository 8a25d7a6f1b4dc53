//! Issues as the planner sees them.

use alerts::Family;
use alerts::issue::{IssueView, State};
use metering::{Severity, Subject, UtcTime};
use tokio_postgres::Row;

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

macro_rules! view_columns {
    () => {
        "i.issue_id, i.subject_kind, i.subject_id, i.family, i.state, i.cause_detected, \
         i.severity, i.condition_start, i.cleared_at, i.closed_at, i.suppressed, \
         coalesce(p.state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED'), \
           false), \
         i.snoozed_until, i.acknowledged_at IS NOT NULL, \
         i.state = 'WORK_ORDERED' OR EXISTS (SELECT FROM work_order_issue l \
           JOIN work_order o ON o.number = l.number \
           WHERE l.issue_id = i.issue_id AND o.status IN ('created', 'assigned')), \
         i.billing_hold_from, i.state = 'FIXED_PENDING' AND i.family = 'LEAK' AND EXISTS (SELECT \
           FROM alert a WHERE a.issue_id = i.issue_id AND a.rule_no IN (38, i.rule_no) \
             AND a.cleared_at IS NULL AND a.retracted_at IS NULL) \
           AND (i.subject_kind <> 'meter' OR EXISTS (SELECT FROM installation n \
             WHERE n.meter_id = i.subject_id AND n.valid_to = 'infinity')), \
         i.state = 'FIXED_PENDING' AND i.family = 'LEAK' AND i.subject_kind = 'meter' AND EXISTS ( \
           SELECT FROM read_interval r WHERE r.meter_id = i.subject_id \
             AND r.starts_at > i.cleared_at + interval '3 days 6 hours') \
         FROM meter_issue i LEFT JOIN meter_issue p ON p.issue_id = i.parent_issue_id "
    };
}

/// Which issue of this subject and family counts: the active one, else the newest? It is locked. The
/// record of a gap that estimation filled is no earlier issue of another cause.
const NEWEST: &str = concat!(
    "SELECT ",
    view_columns!(),
    "WHERE i.subject_kind = $1 AND i.subject_id = $2 AND i.family = $3 \
       AND (i.cause_detected <> 'DATA_GAP' OR $4 = 'DATA_GAP' OR i.condition_start = $5 \
         OR i.closed_at IS NULL) \
     ORDER BY i.closed_at IS NOT NULL, i.number DESC LIMIT 1 FOR UPDATE OF i"
);

/// Which active issues may have a step that is due at `$1`? Oldest first, locked. Those that nothing
/// closes by itself, and those of the slow families before their time, would stand before the rest.
const DUE: &str = concat!(
    "SELECT ",
    view_columns!(),
    "WHERE i.state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED') \
     AND ((i.suppressed AND (p.state IS NULL OR p.state NOT IN \
             ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED'))) \
          OR i.snoozed_until <= $1 \
          OR (i.state = 'FIXED_PENDING' AND NOT i.suppressed AND i.family <> 'TAMPER' \
            AND NOT (i.family = 'GAS' AND i.severity = 1) \
            AND i.cleared_at <= $1 - CASE i.family WHEN 'BATTERY' THEN interval '30 days' \
              WHEN 'METROLOGY' THEN interval '7 days' ELSE interval '0' END \
            AND NOT EXISTS (SELECT FROM work_order_issue l JOIN work_order o USING (number) \
              WHERE l.issue_id = i.issue_id AND o.status IN ('created', 'assigned')))) \
     ORDER BY i.updated_at, i.issue_id LIMIT $2 FOR UPDATE OF i"
);

/// Which open issue took over issue `$1`, perhaps through others?
const HEIR: &str = "\
    WITH RECURSIVE line (issue_id, next, state, depth) AS ( \
        SELECT issue_id, merged_into, state, 0 FROM meter_issue WHERE issue_id = $1 \
        UNION ALL SELECT m.issue_id, m.merged_into, m.state, line.depth + 1 FROM line \
        JOIN meter_issue m ON m.issue_id = line.next WHERE line.depth < 32) \
    SELECT issue_id FROM line WHERE depth > 0 \
        AND state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED') \
    ORDER BY depth LIMIT 1";

pub(super) async fn heir(
    client: &Connection,
    issue_id: &str,
) -> Result<Option<String>, StoreError> {
    let query = StoreError::query("reading what an issue was merged into");
    let statement = client.prepare_cached(HEIR).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&issue_id]).await.map_err(&query)?;
    Ok(row.map(|row| row.get(0)))
}

pub(super) async fn newest(
    client: &Connection,
    (subject, family): (Subject, Family),
    (cause, condition_start): (&str, UtcTime),
) -> Result<Option<IssueView>, StoreError> {
    let query = StoreError::query("reading the issue of a subject");
    let statement = client.prepare_cached(NEWEST).await.map_err(&query)?;
    let row = client
        .query_opt(
            &statement,
            &[&subject.kind(), &subject.number(), &family.word(), &cause, &Stamp(condition_start)],
        )
        .await
        .map_err(&query)?;
    row.as_ref().map(view).transpose()
}

pub(super) async fn due(
    client: &Connection,
    now: UtcTime,
    limit: i64,
) -> Result<Vec<IssueView>, StoreError> {
    let query = StoreError::query("reading the issues whose next step is due");
    let statement = client.prepare_cached(DUE).await.map_err(&query)?;
    let rows = client.query(&statement, &[&Stamp(now), &limit]).await.map_err(&query)?;
    rows.iter().map(view).collect()
}

fn view(row: &Row) -> Result<IssueView, StoreError> {
    let issue_id: String = row.get(0);
    let corrupt = |what: &str| StoreError::Corrupt {
        what: "meter issue",
        detail: format!("issue {issue_id}: {what}"),
    };
    let instant = |index: usize| row.get::<_, Option<Stamp>>(index).map(|stamp| stamp.0);
    let state: State = row.get::<_, &str>(4).parse().map_err(|_| corrupt("its state"))?;
    Ok(IssueView {
        subject: Subject::from_parts(row.get(1), row.get(2)).ok_or_else(|| corrupt("subject"))?,
        family: row.get::<_, &str>(3).parse().map_err(|_| corrupt("its family"))?,
        state,
        cause: row.get::<_, &str>(5).parse().map_err(|_| corrupt("its cause"))?,
        severity: Severity::from_number(row.get(6)).ok_or_else(|| corrupt("its severity"))?,
        condition_start: row.get::<_, Stamp>(7).0,
        cleared_at: instant(8),
        closed_at: instant(9),
        suppressed: row.get(10),
        parent_open: row.get(11),
        snoozed_until: instant(12),
        acknowledged: row.get(13),
        work_order_open: row.get(14),
        billing_hold_from: instant(15),
        flows_on: row.get(16),
        heard_since: row.get(17),
        issue_id,
    })
}
