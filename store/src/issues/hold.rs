//! The billing hold of an issue: a range that nobody bills, until it is released. Closing releases
//! a hold only when none of its intervals is suspect any more (`metering-rules` 4.4).

use metering::UtcTime;
use serde_json::json;

use super::history::{self, Entry};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// How many intervals of the hold of the issue whose column `$1` names are suspect, at `$2`?
macro_rules! suspect_in_hold {
    ($column:literal) => {
        concat!(
            "SELECT count(*) FROM meter_issue h CROSS JOIN LATERAL ( \
               SELECT DISTINCT ON (x.channel, x.starts_at) x.status FROM interval_exception x \
               WHERE h.subject_kind = 'meter' AND x.meter_id = h.subject_id \
                 AND (h.channel IS NULL OR x.channel = h.channel) \
                 AND x.starts_at >= h.billing_hold_from \
                 AND x.starts_at < coalesce(h.billing_hold_to, $2::timestamptz) AND x.lane = 0 \
               ORDER BY x.channel, x.starts_at, x.version DESC) v \
             WHERE h.",
            $column,
            " = $1 AND v.status = 2"
        )
    };
}
pub(crate) use suspect_in_hold;

const SUSPECT: &str = suspect_in_hold!("issue_id");

const IS_HELD: &str = "\
    SELECT billing_hold_from IS NOT NULL AND billing_hold_released_by IS NULL \
    FROM meter_issue WHERE issue_id = $1";

const RELEASE: &str = "\
    UPDATE meter_issue SET updated_at = $2, billing_hold_released_by = $3, \
        billing_hold_released_at = $2, billing_hold_released_note = $4, \
        billing_hold_to = coalesce(billing_hold_to, $2) \
    WHERE issue_id = $1 AND billing_hold_from IS NOT NULL AND billing_hold_released_by IS NULL";

/// Who releases, why, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release<'a> {
    /// `user` or `system`.
    pub(super) kind: &'static str,
    pub(super) who: &'a str,
    pub(super) reason: &'a str,
    pub(super) at: UtcTime,
    /// Intervals that are suspect all the same.
    pub(super) suspect: i64,
}

/// True when the issue holds a bill and nobody has released it.
pub(super) async fn is_held(client: &Connection, issue_id: &str) -> Result<bool, StoreError> {
    let query = StoreError::query("reading the hold of an issue");
    let statement = client.prepare_cached(IS_HELD).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&issue_id]).await.map_err(&query)?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Intervals of the hold whose newest version is suspect.
pub(super) async fn suspect(
    client: &Connection,
    issue_id: &str,
    at: UtcTime,
) -> Result<i64, StoreError> {
    let query = StoreError::query("counting suspect intervals of a hold");
    let statement = client.prepare_cached(SUSPECT).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&issue_id, &Stamp(at)]).await.map_err(&query)?;
    Ok(row.get(0))
}

/// Ends the hold and writes it down; false when there is none.
pub(super) async fn release(
    client: &Connection,
    issue_id: &str,
    one: Release<'_>,
) -> Result<bool, StoreError> {
    let query = StoreError::query("releasing the hold of an issue");
    let statement = client.prepare_cached(RELEASE).await.map_err(&query)?;
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&issue_id, &Stamp(one.at), &one.who, &one.reason];
    if client.execute(&statement, values).await.map_err(&query)? == 0 {
        return Ok(false);
    }
    let despite = match one.suspect {
        0 => String::new(),
        n => format!(" although {n} of its intervals are suspect"),
    };
    let reason = format!("billing hold released{despite}: {}", one.reason);
    let facts = json!({ "overlay": "billing hold released", "suspect_intervals": one.suspect });
    let entry = Entry {
        kind: "overlay",
        from: None,
        to: None,
        at: one.at,
        log_seq: None,
        actor_kind: one.kind,
        actor: one.who,
        reason: &reason,
        facts,
    };
    history::append(client, issue_id, &entry).await?;
    Ok(true)
}

/// The issue was closed: its hold ends with it, unless intervals are still suspect.
pub(super) async fn after_close(
    client: &Connection,
    issue_id: &str,
    at: UtcTime,
) -> Result<(), StoreError> {
    if !is_held(client, issue_id).await? || suspect(client, issue_id, at).await? > 0 {
        return Ok(());
    }
    let reason = "closed, and none of its intervals is suspect";
    let one = Release { kind: "system", who: "system", reason, at, suspect: 0 };
    release(client, issue_id, one).await?;
    Ok(())
}

/// The issue was none: its hold ends with it. Suspect intervals are held by what judged them.
pub(super) async fn unfounded(
    client: &Connection,
    issue_id: &str,
    at: UtcTime,
) -> Result<(), StoreError> {
    if !is_held(client, issue_id).await? {
        return Ok(());
    }
    let suspect = suspect(client, issue_id, at).await?;
    let reason = "the issue was unfounded";
    let one = Release { kind: "system", who: "system", reason, at, suspect };
    release(client, issue_id, one).await?;
    Ok(())
}
