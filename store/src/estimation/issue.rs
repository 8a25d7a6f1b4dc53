//! The meter issue that an estimate belongs to (I6).

use alerts::issue::{NewIssue, issue_id};
use alerts::rule::RuleId;
use alerts::{Cause, Family};
use metering::{Commodity, LocalCalendar, RuleNo, Severity, Subject, UtcTime};
use serde_json::json;
use vee::estimate::Method;
use vee::estimation::Estimation;

use super::apply::Values;
use crate::database::Connection;
use crate::error::StoreError;
use crate::issues::open_by_system;
use crate::types::Stamp;

const WHAT: &str = "finding the issue behind an estimate";

/// Issues of the meter, of its collector or of its transformer that were open during the gap, those
/// that explain missing or wrong values first. With `$5` data issues of the meter that are open,
/// and gaps that closed in the last 30 days, come before a new one.
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
          OR ($5 AND x.family = 'DATA' AND x.state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', \
            'FIXED_PENDING', 'REOPENED')) \
          OR ($5 AND x.cause_detected = 'DATA_GAP' \
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
    WHERE issue_id = $1 RETURNING (SELECT u.time_zone FROM estimation e \
        JOIN installation i ON i.meter_id = e.meter_id JOIN usage_point u USING (usage_point_id) \
        WHERE e.estimation_no = $5 ORDER BY i.valid_from DESC LIMIT 1)";

/// The issue that a former edit of the same intervals belongs to.
const OWNER: &str = "\
    SELECT issue_id FROM estimation WHERE estimation_no = ANY($1) AND issue_id IS NOT NULL \
    ORDER BY estimation_no DESC LIMIT 1";

/// The issue behind an edit of what was measured, when there is one: a fault that was there then,
/// or that of the edits of before (records `owners`). Nothing was missing, so none is made.
pub(super) async fn of_correction(
    client: &Connection,
    record: &Estimation,
    owners: &[i64],
    at: UtcTime,
) -> Result<Option<String>, StoreError> {
    if let Some(found) = known(client, record, false, at).await? {
        return Ok(Some(found));
    }
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(OWNER).await.map_err(&query)?;
    let found = client.query_opt(&statement, &[&owners]).await.map_err(&query)?;
    Ok(found.map(|row| row.get(0)))
}

/// The issue that explains the gap; a DATA_GAP issue is made when there is none.
pub(super) async fn explaining(
    client: &Connection,
    record: &Estimation,
    at: UtcTime,
) -> Result<String, StoreError> {
    if let Some(found) = known(client, record, true, at).await? {
        return Ok(found);
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

/// The issue that is there already; `data`: also one that says no more than that data were missing.
async fn known(
    client: &Connection,
    record: &Estimation,
    data: bool,
    at: UtcTime,
) -> Result<Option<String>, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(EXPLAINING).await.map_err(&query)?;
    let (from, to) = (Stamp(record.gap.from), Stamp(record.gap.to));
    let found = client
        .query_opt(&statement, &[&record.meter.get(), &from, &to, &Stamp(at), &data])
        .await
        .map_err(&query)?;
    Ok(found.map(|row| row.get(0)))
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
    let (from, to) = (Stamp(values.range.0), Stamp(values.range.1));
    let noted = client
        .query_opt(&statement, &[&issue_id, &Stamp(at), &from, &to, &values.estimation_no])
        .await
        .map_err(&query)?;
    let zone: Option<&str> = noted.as_ref().and_then(|row| row.get(0));
    let text = filled_in(values, zone);
    let facts = json!({ "estimation": values.estimation_no, "method": values.method.id() });
    crate::issues::note_by_system(client, issue_id, (&text, facts), at).await
}

/// `3 intervals to 2026-11-22T14:15:00+01:00 by linear interpolation`, told in the meter's zone.
fn filled_in(values: &Values<'_>, zone: Option<&str>) -> String {
    let count = values.values.len();
    let word = if count == 1 { "interval" } else { "intervals" };
    let local = zone.and_then(|zone| LocalCalendar::new(zone).ok());
    let to = values.range.1;
    let to = local.map_or_else(
        || to.to_string(),
        |local| {
            let there = to.to_jiff().to_zoned(local.zone().clone());
            there.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        },
    );
    let by = if values.method == Method::Edit { "" } else { "by " };
    format!("{count} {word} to {to} {by}{}", values.method.title())
}
