//! The end of an estimate's changes (5.1).

use metering::UtcTime;
use vee::estimation::{EstimationState, Trigger};

use super::rows;
use crate::database::Database;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

const OLD: &str = "\
    SELECT estimation_no FROM estimation WHERE state = 'APPLIED' AND ends_at <= $1 \
    ORDER BY estimation_no LIMIT $2 FOR UPDATE SKIP LOCKED";

/// Makes estimates of gaps that ended by `before` final: no later routine replaces them by another
/// estimate. Gives their number, at most `limit`.
///
/// # Errors
/// When the database is away; nothing is changed then.
pub async fn finalise(
    database: &Database,
    before: UtcTime,
    limit: u32,
    at: UtcTime,
) -> Result<u64, StoreError> {
    let query = StoreError::query("finalising estimates");
    let tx = Tx::begin(database).await?;
    let rows =
        tx.client().query(OLD, &[&Stamp(before), &i64::from(limit)]).await.map_err(&query)?;
    let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let reason = "the time for changes of bills is over";
    let what = (EstimationState::Applied, Trigger::Finalise, reason);
    let count = rows::move_all(tx.client(), &numbers, what, at).await?;
    tx.commit().await?;
    Ok(count)
}
