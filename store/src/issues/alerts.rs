//! What the rules said, one row per alert.

use alerts::{AlertTransition, Evidence, KnownAlert, RuleId, TransitionKind};
use metering::{RuleNo, Severity, Subject, UtcTime};
use serde_json::{Value, json};

use super::leak::{self, said_columns};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// Keeps the newest word on an alert. The start and the raising never change.
const RECORD: &str = "\
    INSERT INTO alert AS a (alert_id, rule_no, rule, subject_kind, subject_id, cause, family, \
        severity, condition_start, raised_at, cleared_at, retracted_at, issue_id, evidence) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
    ON CONFLICT (alert_id) DO UPDATE SET cause = excluded.cause, severity = excluded.severity, \
        cleared_at = excluded.cleared_at, retracted_at = excluded.retracted_at, \
        issue_id = coalesce(excluded.issue_id, a.issue_id), \
        evidence = CASE WHEN excluded.evidence = '[]' THEN a.evidence ELSE excluded.evidence END";

/// What was told and not taken back?
const STANDING: &str = concat!(
    "SELECT alert_id, rule_no, subject_kind, subject_id, cause, family, severity, condition_start, \
        issue_id IS NOT NULL, ",
    said_columns!(),
    " FROM alert WHERE cleared_at IS NULL AND retracted_at IS NULL ORDER BY alert_id"
);

/// These are over.
const END: &str = "\
    UPDATE alert SET cleared_at = $2 WHERE alert_id = ANY($1) AND cleared_at IS NULL \
    AND retracted_at IS NULL";

/// The alerts that stand, each by alert id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    pub known: Vec<KnownAlert>,
    /// Ids of those of a rule, subject, cause or severity that this program does not know.
    pub unreadable: Vec<String>,
}

pub(super) async fn standing(client: &Connection) -> Result<Standing, StoreError> {
    let query = StoreError::query("reading the alerts that stand");
    let mut standing = Standing::default();
    for row in client.query(STANDING, &[]).await.map_err(&query)? {
        match known(&row) {
            Some(alert) => standing.known.push(alert),
            None => standing.unreadable.push(row.get(0)),
        }
    }
    Ok(standing)
}

fn known(row: &tokio_postgres::Row) -> Option<KnownAlert> {
    let rule = RuleNo::new(u8::try_from(row.get::<_, i16>(1)).ok()?)?;
    let start = row.get::<_, Stamp>(7).0;
    let leak = leak::known(row, 9, (RuleId::from_number(rule.get())?, start));
    Some(KnownAlert {
        alert_id: row.get(0),
        rule,
        subject: Subject::from_parts(row.get(2), row.get(3))?,
        cause: row.get::<_, &str>(4).parse().ok()?,
        family: row.get::<_, &str>(5).parse().ok()?,
        severity: Severity::from_number(row.get(6))?,
        condition_start: start,
        has_issue: row.get(8),
        leak,
    })
}

pub(super) async fn end(
    client: &Connection,
    ids: &[String],
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query("ending alerts that nobody can judge");
    client.execute(END, &[&ids, &Stamp(at)]).await.map_err(&query)?;
    Ok(())
}

/// Keeps a transition, with what is to be known of its evidence from now on.
pub(super) async fn record(
    client: &Connection,
    transition: &AlertTransition,
    issue_id: Option<&str>,
    evidence: &[Evidence],
) -> Result<(), StoreError> {
    let query = StoreError::query("recording an alert");
    let at = Stamp(transition.at);
    let cleared = (transition.kind == TransitionKind::Cleared).then_some(at);
    let retracted = (transition.kind == TransitionKind::Retracted).then_some(at);
    let statement = client.prepare_cached(RECORD).await.map_err(&query)?;
    client
        .execute(
            &statement,
            &[
                &transition.alert_id,
                &i16::from(transition.rule.no.get()),
                &transition.rule.name,
                &transition.subject.kind(),
                &transition.subject.number(),
                &transition.cause.word(),
                &transition.family.word(),
                &transition.severity.number(),
                &Stamp(transition.condition_start),
                &at,
                &cleared,
                &retracted,
                &issue_id,
                &evidence_json(evidence),
            ],
        )
        .await
        .map_err(&query)?;
    Ok(())
}

/// `[{"key", "value", "unit", "text"}]`.
pub(crate) fn evidence_json(evidence: &[Evidence]) -> Value {
    evidence
        .iter()
        .map(|fact| {
            json!({
                "key": fact.key, "value": fact.value, "unit": fact.unit, "text": fact.text,
            })
        })
        .collect()
}

/// `[{"cause", "log_odds_x100"}]`, best first.
pub(super) fn ranked_json(ranked: &[(alerts::Cause, i16)]) -> Value {
    ranked
        .iter()
        .map(|(cause, odds)| json!({ "cause": cause.word(), "log_odds_x100": odds }))
        .collect()
}
