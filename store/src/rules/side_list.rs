//! What rules in shadow said: a list of its own, which opens no issue.

use alerts::{AlertTransition, TransitionKind};
use metering::{Severity, Subject, UtcTime};

use crate::database::Database;
use crate::error::StoreError;
use crate::issues::evidence_json;
use crate::types::Stamp;

/// Keeps the newest word on an alert.
const RECORD: &str = "\
    INSERT INTO shadow_alert AS a (alert_id, bundle_no, rule_no, rule, subject_kind, subject_id, \
        cause, severity, condition_start, raised_at, cleared_at, evidence) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
    ON CONFLICT (alert_id) DO UPDATE SET cause = excluded.cause, severity = excluded.severity, \
        cleared_at = excluded.cleared_at, \
        evidence = CASE WHEN excluded.evidence = '[]' THEN a.evidence ELSE excluded.evidence END";

/// Which alerts did rules in shadow raise last?
const NEWEST: &str = "\
    SELECT rule, subject_kind, subject_id, cause, severity, condition_start, raised_at, \
        cleared_at FROM shadow_alert ORDER BY raised_at DESC, alert_id LIMIT $1";

/// An alert of the side list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShadowAlert {
    pub rule: String,
    pub subject: Subject,
    pub cause: String,
    pub severity: Severity,
    pub condition_start: UtcTime,
    pub raised_at: UtcTime,
    pub cleared_at: Option<UtcTime>,
}

/// Keeps what rules in shadow said; `bundle_no` is the bundle in shadow, `None` for rules of the
/// active one. Telling twice changes nothing.
///
/// # Errors
/// When the database is away.
pub async fn record(
    database: &Database,
    bundle_no: Option<i64>,
    transitions: &[AlertTransition],
) -> Result<(), StoreError> {
    let query = StoreError::query("recording alerts of shadow rules");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(RECORD).await.map_err(&query)?;
    for one in transitions {
        let at = Stamp(one.at);
        let over = matches!(one.kind, TransitionKind::Cleared | TransitionKind::Retracted);
        let cleared = over.then_some(at);
        client
            .execute(
                &statement,
                &[
                    &one.alert_id,
                    &bundle_no,
                    &i16::from(one.rule.no.get()),
                    &one.rule.name,
                    &one.subject.kind(),
                    &one.subject.number(),
                    &one.cause.word(),
                    &one.severity.number(),
                    &Stamp(one.condition_start),
                    &at,
                    &cleared,
                    &evidence_json(&one.evidence),
                ],
            )
            .await
            .map_err(&query)?;
    }
    Ok(())
}

/// The newest alerts of the side list.
///
/// # Errors
/// When the database is away.
pub async fn newest(database: &Database, limit: u32) -> Result<Vec<ShadowAlert>, StoreError> {
    let query = StoreError::query("reading alerts of shadow rules");
    let client = database.client().await?;
    let statement = client.prepare_cached(NEWEST).await.map_err(&query)?;
    let rows = client.query(&statement, &[&i64::from(limit)]).await.map_err(&query)?;
    let read = |row: &tokio_postgres::Row| {
        Some(ShadowAlert {
            rule: row.get(0),
            subject: Subject::from_parts(row.get(1), row.get(2))?,
            cause: row.get(3),
            severity: Severity::from_number(row.get(4))?,
            condition_start: row.get::<_, Stamp>(5).0,
            raised_at: row.get::<_, Stamp>(6).0,
            cleared_at: row.get::<_, Option<Stamp>>(7).map(|at| at.0),
        })
    };
    Ok(rows.iter().filter_map(read).collect())
}
