//! The meter issue that an estimate belongs to (I6).

use alerts::issue::{NewIssue, issue_id};
use alerts::rule::RuleId;
use alerts::{Cause, Family};
use metering::{Commodity, RuleNo, Severity, Subject, UtcTime};
use serde_json::json;
use vee::estimation::Estimation;

use super::apply::Values;
use crate::database::Connection;
use crate::error::StoreError;
use crate::issues::open_by_system;
use crate::types::Stamp;

const WHAT: &str = "finding the issue behind an estimate";

/// Issues of the meter, of its collector or of its transformer that were open during the gap, those
/// that explain missing or wrong values first. Data issues of the meter that are open, and gaps
/// that closed in the last 30 days, come before a new one.
const EXPLAINING: &str = "\
    SELECT x.issue_id FROM meter_issue x JOIN meter m ON m.meter_id = $1 \
    LEFT JOIN LATERAL (SELECT u.transformer_id FROM installation i JOIN usage_point u \
        USING (usage_point_id) WHERE i.meter_id = $1 ORDER BY i.valid_from DESC LIMIT 1) u ON true \
    WHERE ((x.subject_kind = 'meter' AND x.subject_id = $1) \
        OR (x.subject_kind = 'collector' AND x.subject_id = m.primary_collector_id) \
        OR (x.subject_kind = 'transformer' AND x.subject_id = u.transformer_id)) \
        AND x.state NOT IN ('DISMISSED', 'FALSE_POSITIVE', 'MERGED') \
        AND ((x.family IN ('COMM', 'POWER', 'METROLOGY', 'CLOCK', 'CONFIG', 'BATTERY', 'TAMPER') \
            AND x.condition_start < $3 \
            AND coalesce(x.date_fixed, x.cleared_at, x.closed_at, 'infinity') >= $2) \
          OR (x.family = 'DATA' AND x.state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', \
            'FIXED_PENDING', 'REOPENED')) \
          OR (x.cause_detected = 'DATA_GAP' \
            AND x.closed_at > $4::timestamptz - interval '30 days')) \
    ORDER BY x.family = 'DATA', x.subject_kind <> 'meter', x.condition_start, x.number LIMIT 1";

/// As long as the condition may go on, its estimates have no end (4.2). What stands in place of
/// measured values is counted anew each time: a value that took the place
/// of another one of this issue is no further volume.
const NOTE: &str = "\
    UPDATE meter_issue SET updated_at = greatest(updated_at, $2), \
        estimation_started_at = least(coalesce(estimation_started_at, $3), $3), \
        estimation_ended_at = CASE WHEN state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', \
            'REOPENED', 'SNOOZED') THEN NULL \
            ELSE greatest(coalesce(estimation_ended_at, $4), $4) END, \
        volume_affected = (SELECT least(greatest(coalesce(sum(v.value), 0), \
            -4611686018427387903), 4611686018427387903)::int8 \
            FROM estimation e JOIN interval_exception v ON v.estimation_no = e.estimation_no \
            WHERE e.issue_id = $1 AND v.lane = 0 AND v.status IN (5, 6, 8) \
            AND NOT EXISTS (SELECT 1 FROM interval_exception n WHERE n.meter_id = v.meter_id \
                AND n.channel = v.channel AND n.starts_at = v.starts_at AND n.lane = 0 \
                AND n.version > v.version)) \
    WHERE issue_id = $1";

/// The issue that explains the gap; a DATA_GAP issue is made when there is none.
pub(super) async fn explaining(
    client: &Connection,
    record: &Estimation,
    at: UtcTime,
) -> Result<String, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(EXPLAINING).await.map_err(&query)?;
    let (from, to) = (Stamp(record.gap.from), Stamp(record.gap.to));
    let found = client
        .query_opt(&statement, &[&record.meter.get(), &from, &to, &Stamp(at)])
        .await
        .map_err(&query)?;
    if let Some(row) = found {
        return Ok(row.get(0));
    }
    let subject = Subject::Meter(record.meter);
    let id = issue_id(subject, Family::Data, record.gap.from);
    let Some(no) = RuleNo::new(23) else {
        return Err(StoreError::Corrupt { what: "rule", detail: "23".to_owned() });
    };
    let issue = NewIssue {
        issue_id: id.clone(),
        subject,
        channel: Some(record.channel),
        commodity: commodity(client, record).await?,
        family: Family::Data,
        cause: Cause::DataGap,
        ranked: vec![(Cause::DataGap, 0)],
        identified: None,
        severity: Severity::P4,
        rule: RuleId { no, name: "INT-GAP" },
        condition_start: record.gap.from,
        billing_hold_from: None,
        detected_at: at,
        parent_issue_id: None,
        evidence: Vec::new(),
    };
    open_by_system(client, &issue, at).await?;
    Ok(id)
}

async fn commodity(
    client: &Connection,
    record: &Estimation,
) -> Result<Option<Commodity>, StoreError> {
    let query = StoreError::query(WHAT);
    let sql = "SELECT commodity FROM meter WHERE meter_id = $1";
    let row = client.query_opt(sql, &[&record.meter.get()]).await.map_err(&query)?;
    Ok(row.and_then(|row| row.get::<_, &str>(0).parse().ok()))
}

/// Notes on the issue what was filled in because of it.
pub(super) async fn note(
    client: &Connection,
    issue_id: &str,
    values: &Values<'_>,
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query("noting an estimate on its issue");
    let statement = client.prepare_cached(NOTE).await.map_err(&query)?;
    client
        .execute(
            &statement,
            &[&issue_id, &Stamp(at), &Stamp(values.range.0), &Stamp(values.range.1)],
        )
        .await
        .map_err(&query)?;
    let text = format!(
        "{} intervals to {} by {}",
        values.values.len(),
        values.range.1,
        values.method.title()
    );
    let facts = json!({ "estimation": values.estimation_no, "method": values.method.id() });
    crate::issues::note_by_system(client, issue_id, (&text, facts), at).await
}
