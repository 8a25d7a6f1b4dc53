//! What did each rule say lately?

use metering::{RuleNo, Severity, Subject, UtcTime};

use super::ask::{self, Columns};
use super::issues::Evidence;
use super::issues::evidence_of;
use super::page::LIMIT_MAX;
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// How busy a rule was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleActivity {
    pub rule_no: RuleNo,
    /// Alerts raised since the instant asked for.
    pub raised: i64,
    /// Of those, taken back since late readings explained them.
    pub retracted: i64,
    /// Alerts that hold now, whenever they were raised.
    pub active: i64,
    pub last_raised: Option<UtcTime>,
}

/// One alert of a rule, with its issue.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleAlert {
    pub alert_id: String,
    pub severity: Severity,
    pub cause: String,
    pub subject: Subject,
    /// Number of the meter, code of the collector, transformer or zone, or `head-end`.
    pub subject_name: String,
    pub condition_start: UtcTime,
    pub raised_at: UtcTime,
    pub cleared_at: Option<UtcTime>,
    pub retracted_at: Option<UtcTime>,
    pub issue_number: Option<i64>,
    pub evidence: Vec<Evidence>,
}

/// How often did each rule fire since `$1`, and how many of its alerts hold?
const ACTIVITY: &str = "SELECT rule_no, count(*) FILTER (WHERE raised_at >= $1), \
     count(*) FILTER (WHERE raised_at >= $1 AND retracted_at IS NOT NULL), \
     count(*) FILTER (WHERE cleared_at IS NULL AND retracted_at IS NULL), max(raised_at) \
     FROM alert GROUP BY rule_no ORDER BY rule_no LIMIT 100";

/// How often each rule fired since `since`; rules that never fired are not in the answer.
///
/// # Errors
/// When the database does not answer.
pub async fn activity(db: &Database, since: UtcTime) -> Result<Vec<RuleActivity>, StoreError> {
    let read = |c: &mut Columns<'_>| {
        let number = c.get::<i16>()?;
        let (raised, retracted, active, last) = (c.get()?, c.get()?, c.get()?, c.maybe_time()?);
        Ok((number, raised, retracted, active, last))
    };
    let rows = ask::all(db, "counting alerts by rule", ACTIVITY, &[&Stamp(since)], read).await?;
    let of = |(number, raised, retracted, active, last_raised)| {
        let rule_no = u8::try_from(number).ok().and_then(RuleNo::new)?;
        Some(RuleActivity { rule_no, raised, retracted, active, last_raised })
    };
    Ok(rows.into_iter().filter_map(of).collect())
}

/// What did rule `$1` say last?
const RECENT: &str = "SELECT a.alert_id, a.severity, a.cause, a.subject_kind, a.subject_id, \
     coalesce(m.number, k.code, t.code, z.code, 'head-end'), a.condition_start, a.raised_at, \
     a.cleared_at, a.retracted_at, x.number, a.evidence FROM alert a \
     LEFT JOIN meter_issue x ON x.issue_id = a.issue_id \
     LEFT JOIN meter m ON a.subject_kind = 'meter' AND m.meter_id = a.subject_id \
     LEFT JOIN collector k ON a.subject_kind = 'collector' AND k.collector_id = a.subject_id \
     LEFT JOIN transformer t ON a.subject_kind = 'transformer' AND t.transformer_id = a.subject_id \
     LEFT JOIN network_zone z ON a.subject_kind = 'zone' AND z.zone_id = a.subject_id \
     WHERE a.rule_no = $1 ORDER BY a.raised_at DESC, a.alert_id LIMIT $2";

/// The newest alerts of a rule, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn recent(db: &Database, rule: RuleNo, limit: u32) -> Result<Vec<RuleAlert>, StoreError> {
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, "reading alerts of a rule", RECENT, &[&i16::from(rule.get()), &limit], |c| {
        Ok(RuleAlert {
            alert_id: c.get()?,
            severity: c.severity()?,
            cause: c.get()?,
            subject: subject(c.get()?, c.get()?),
            subject_name: c.get()?,
            condition_start: c.time()?,
            raised_at: c.time()?,
            cleared_at: c.maybe_time()?,
            retracted_at: c.maybe_time()?,
            issue_number: c.get()?,
            evidence: evidence_of(&c.get()?),
        })
    })
    .await
}

fn subject(kind: &str, number: i32) -> Subject {
    Subject::from_parts(kind, number).unwrap_or(Subject::Headend)
}

/// What a rule in shadow would have said.
#[derive(Clone, PartialEq, Debug)]
pub struct ShadowAlert {
    pub rule: String,
    pub cause: String,
    pub severity: Severity,
    pub subject: Subject,
    pub subject_name: String,
    pub raised_at: UtcTime,
    pub cleared_at: Option<UtcTime>,
}

/// What did rules in shadow say last?
const SHADOWED: &str = "SELECT a.rule, a.cause, a.severity, a.subject_kind, a.subject_id, \
     coalesce(m.number, k.code, t.code, z.code, 'head-end'), a.raised_at, a.cleared_at \
     FROM shadow_alert a \
     LEFT JOIN meter m ON a.subject_kind = 'meter' AND m.meter_id = a.subject_id \
     LEFT JOIN collector k ON a.subject_kind = 'collector' AND k.collector_id = a.subject_id \
     LEFT JOIN transformer t ON a.subject_kind = 'transformer' AND t.transformer_id = a.subject_id \
     LEFT JOIN network_zone z ON a.subject_kind = 'zone' AND z.zone_id = a.subject_id \
     WHERE $2::text IS NULL OR a.rule = $2 \
     ORDER BY a.raised_at DESC, a.alert_id LIMIT $1";

/// The newest alerts of rules in shadow, or of one rule, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn shadow(
    db: &Database,
    rule: Option<&str>,
    limit: u32,
) -> Result<Vec<ShadowAlert>, StoreError> {
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, "reading alerts in shadow", SHADOWED, &[&limit, &rule], |c| {
        Ok(ShadowAlert {
            rule: c.get()?,
            cause: c.get()?,
            severity: c.severity()?,
            subject: subject(c.get()?, c.get()?),
            subject_name: c.get()?,
            raised_at: c.time()?,
            cleared_at: c.maybe_time()?,
        })
    })
    .await
}
