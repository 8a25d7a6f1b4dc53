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
    /// In millilitres.
    pub leak_volume: i64,
    pub merged_into: Option<i64>,
    /// Issues that were merged into this one, oldest first.
    pub merged_from: Vec<i64>,
    pub fix_action: Option<String>,
    pub verified_at: Option<UtcTime>,
    pub verify_rule: Option<String>,
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

/// What else is known of issue number `$1`?
const FACTS: &str = "SELECT x.estimation_started_at, x.estimation_ended_at, x.billing_hold_from, \
     x.billing_hold_to, x.billing_hold_released_by, x.volume_affected, x.leak_volume, p.number, \
     x.fix_action, x.verified_at, x.verify_rule, x.billing_hold_released_at, \
     x.billing_hold_released_note, ARRAY(SELECT y.number FROM meter_issue y \
       WHERE y.merged_into = x.issue_id ORDER BY y.number LIMIT 100) FROM meter_issue x \
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
        })
    };
    let mut facts = ask::first(db, WHAT, FACTS, &[&number], read).await?.unwrap_or_default();
    if facts.is_held() {
        let count = |c: &mut Columns<'_>| c.get::<i64>();
        let held = ask::first(db, WHAT, SUSPECT, &[&number, &Stamp(now)], count).await?;
        facts.billing_hold_suspect = held.unwrap_or_default();
    }
    Ok(facts)
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
