//! What else is known of an issue: estimates, holds, what became of it, and visits to the field.

use metering::{Severity, UtcTime};

use super::ask::{self, Columns};
use crate::database::Database;
use crate::error::StoreError;
use crate::issues::suspect_in_hold;
use crate::types::Stamp;

/// Facts of an issue beside its state. Quantities in milli-units.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IssueFacts {
    pub estimation_started_at: Option<UtcTime>,
    /// `None` while estimates go on.
    pub estimation_ended_at: Option<UtcTime>,
    pub billing_hold_from: Option<UtcTime>,
    pub billing_hold_to: Option<UtcTime>,
    pub billing_hold_released_by: Option<String>,
    pub billing_hold_released_at: Option<UtcTime>,
    pub billing_hold_released_note: String,
    /// Intervals of the hold that are suspect now.
    pub billing_hold_suspect: i64,
    /// Estimated because of this issue.
    pub volume_affected: i64,
    /// In millilitres; of a leak that goes on, up to now.
    pub leak_volume: i64,
    pub merged_into: Option<i64>,
    /// Issues that were merged into this one, oldest first.
    pub merged_from: Vec<i64>,
    pub fix_action: Option<String>,
    pub verified_at: Option<UtcTime>,
    pub verify_rule: Option<String>,
    /// When somebody should have acknowledged it; `None`: it asks for nobody.
    pub answer_by: Option<UtcTime>,
    /// Version of the rules that opened it, and the hash of their canonical form; the built-in ones
    /// have none.
    pub rule_version: String,
    pub params_hash: String,
    /// Since when which severity; oldest first.
    pub severities: Vec<(UtcTime, Severity)>,
}

/// A visit to the field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderRow {
    pub number: i64,
    /// As `metering::WorkOrderKind`.
    pub kind: String,
    pub status: String,
    pub severity: Severity,
    pub action: String,
    /// Planned while open, done when completed.
    pub at: UtcTime,
    pub created_at: UtcTime,
    pub created_by: String,
    pub completed_at: Option<UtcTime>,
    pub assignee: Option<String>,
    pub findings_cause: Option<String>,
    pub findings_note: String,
    pub fix_action: Option<String>,
    pub ext_system: String,
    pub ext_id: String,
}

const WHAT: &str = "reading what belongs to an issue";

/// What else is known of issue number `$1` at `$2`?
const FACTS: &str = "SELECT x.estimation_started_at, x.estimation_ended_at, x.billing_hold_from, \
     x.billing_hold_to, x.billing_hold_released_by, x.volume_affected, \
     least(x.leak_volume + (SELECT coalesce(sum(trunc(extract(epoch FROM $2::timestamptz - f.until) / 86400 \
         * f.per_day)), 0) FROM (SELECT \
         max(CASE e ->> 'key' WHEN 'leak_per_day' THEN (e ->> 'value')::int8 END) AS per_day, \
         to_timestamp(max(CASE e ->> 'key' WHEN 'window_to' THEN (e ->> 'value')::int8 END) \
           / 1000000) AS until \
         FROM alert a CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(a.evidence) \
           WHEN 'array' THEN a.evidence ELSE '[]' END) e \
         WHERE a.issue_id = x.issue_id AND a.rule_no = 38 AND a.cleared_at IS NULL \
           AND a.retracted_at IS NULL AND x.closed_at IS NULL GROUP BY a.alert_id) f \
         WHERE f.until < $2::timestamptz), 4611686018427387903)::int8, p.number, \
     x.fix_action, x.verified_at, x.verify_rule, x.billing_hold_released_at, \
     x.billing_hold_released_note, ARRAY(SELECT y.number FROM meter_issue y \
       WHERE y.merged_into = x.issue_id ORDER BY y.number LIMIT 100), x.sla_due, x.rule_version, \
     x.params_hash, ARRAY(SELECT (h.value ->> 'at')::timestamptz \
       FROM jsonb_array_elements(x.priority_history) WITH ORDINALITY h ORDER BY h.ordinality), \
     ARRAY(SELECT (h.value ->> 'severity')::int2 \
       FROM jsonb_array_elements(x.priority_history) WITH ORDINALITY h ORDER BY h.ordinality) \
     FROM meter_issue x \
     LEFT JOIN meter_issue p ON p.issue_id = x.merged_into WHERE x.number = $1";

/// How many intervals of the hold of issue number `$1` are suspect at `$2`?
const SUSPECT: &str = suspect_in_hold!("number");

impl IssueFacts {
    /// It keeps intervals off the bill, and nobody has released them.
    pub const fn is_held(&self) -> bool {
        self.billing_hold_from.is_some() && self.billing_hold_released_by.is_none()
    }
}

/// Facts of the issue with that number at `now`; all empty when there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn facts(db: &Database, number: i64, now: UtcTime) -> Result<IssueFacts, StoreError> {
    let read = |c: &mut Columns<'_>| {
        Ok(IssueFacts {
            estimation_started_at: c.maybe_time()?,
            estimation_ended_at: c.maybe_time()?,
            billing_hold_from: c.maybe_time()?,
            billing_hold_to: c.maybe_time()?,
            billing_hold_released_by: c.get()?,
            volume_affected: c.get()?,
            leak_volume: c.get()?,
            merged_into: c.get()?,
            fix_action: c.get()?,
            verified_at: c.maybe_time()?,
            verify_rule: c.get()?,
            billing_hold_released_at: c.maybe_time()?,
            billing_hold_released_note: c.get()?,
            merged_from: c.get()?,
            billing_hold_suspect: 0,
            answer_by: c.maybe_time()?,
            rule_version: c.get()?,
            params_hash: c.get()?,
            severities: severities(&c.get::<Vec<Stamp>>()?, &c.get::<Vec<i16>>()?),
        })
    };
    let mut facts =
        ask::first(db, WHAT, FACTS, &[&number, &Stamp(now)], read).await?.unwrap_or_default();
    if facts.is_held() {
        let count = |c: &mut Columns<'_>| c.get::<i64>();
        let held = ask::first(db, WHAT, SUSPECT, &[&number, &Stamp(now)], count).await?;
        facts.billing_hold_suspect = held.unwrap_or_default();
    }
    Ok(facts)
}

fn severities(at: &[Stamp], numbers: &[i16]) -> Vec<(UtcTime, Severity)> {
    at.iter()
        .zip(numbers)
        .filter_map(|(at, number)| Some((at.0, Severity::from_number(*number)?)))
        .collect()
}

/// Which visits serve issue number `$1`?
const ORDERS: &str = "SELECT o.number, o.kind, o.status, o.severity, o.action, o.at, o.created_at, \
     o.created_by, o.completed_at, o.assignee, o.findings_cause, o.findings_note, o.fix_action, \
     o.ext_system, o.ext_id FROM work_order o JOIN work_order_issue w USING (number) \
     JOIN meter_issue x USING (issue_id) WHERE x.number = $1 ORDER BY o.number DESC LIMIT 100";

/// The work orders of an issue, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn of_issue(db: &Database, number: i64) -> Result<Vec<OrderRow>, StoreError> {
    ask::all(db, WHAT, ORDERS, &[&number], |c| {
        Ok(OrderRow {
            number: c.get()?,
            kind: c.get()?,
            status: c.get()?,
            severity: c.severity()?,
            action: c.get()?,
            at: c.time()?,
            created_at: c.time()?,
            created_by: c.get()?,
            completed_at: c.maybe_time()?,
            assignee: c.get()?,
            findings_cause: c.get()?,
            findings_note: c.get()?,
            fix_action: c.get()?,
            ext_system: c.get()?,
            ext_id: c.get()?,
        })
    })
    .await
}
