//! What a meter's events and issues say of a gap: was its power out, is it tampered with?

use metering::{EventCode, MeterId, UtcTime};

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "reading what explains a gap";

const POWER: &str = "\
    SELECT occurred_at, code FROM device_event \
    WHERE subject_kind = 'meter' AND subject_id = $1 AND occurred_at >= $2 AND occurred_at <= $3 \
        AND code IN ('power_fail', 'power_restore', 'last_gasp') \
    ORDER BY occurred_at, code LIMIT 1000";

const TAMPER: &str = "\
    SELECT EXISTS (SELECT 1 FROM meter_issue WHERE subject_kind = 'meter' AND subject_id = $1 \
        AND family = 'TAMPER' AND closed_at IS NULL AND condition_start < $2 \
        AND state NOT IN ('DISMISSED', 'FALSE_POSITIVE', 'MERGED'))";

/// Power events of the meter in `[from, to]`, rising, and whether tampering is suspected since
/// before `to`.
///
/// # Errors
/// When the database is away.
pub async fn circumstances(
    database: &Database,
    meter: MeterId,
    (from, to): (UtcTime, UtcTime),
) -> Result<(Vec<(UtcTime, EventCode)>, bool), StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(POWER).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&meter.get(), &Stamp(from), &Stamp(to)])
        .await
        .map_err(&query)?;
    let event = |row: &tokio_postgres::Row| {
        let code = row.get::<_, &str>(1).parse::<EventCode>().ok()?;
        Some((row.get::<_, Stamp>(0).0, code))
    };
    let events = rows.iter().filter_map(event).collect();
    let statement = client.prepare_cached(TAMPER).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&meter.get(), &Stamp(to)]).await.map_err(&query)?;
    Ok((events, row.get(0)))
}
