//! Intervals that came in the wrong shape: moved to where they belong, or taken into doubt so that
//! an estimate may share them anew.

use metering::{DeviceFlags, QualityStatus, RuleMask, RuleNo, UtcTime};

use super::apply::{apply_in, ensure};
use super::{Kept, NewEstimation, SeriesSpan};
use crate::database::Database;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, append};

const SECOND: &str = "\
    SELECT k.starts_at, c.len_s, k.value FROM read_conflict k \
    JOIN meter_channel c ON c.meter_id = k.meter_id AND c.channel = k.channel \
    WHERE k.meter_id = $1 AND k.channel = $2 AND k.starts_at >= $3 AND k.starts_at < $4 \
        AND k.outcome = 0 \
    ORDER BY k.received_at, k.starts_at, k.value LIMIT 1000";
const DECIDED: &str = "\
    UPDATE read_conflict SET outcome = 2, decided_at = $5 \
    WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 AND starts_at < $4 AND outcome = 0";

/// A measured value and the interval that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    pub end: UtcTime,
    /// Milli-units.
    pub value: i64,
    pub flags: DeviceFlags,
}

/// Values that came for intervals of the span which had another one already and that nobody has
/// decided on, in the order in which they came: end and value.
///
/// # Errors
/// When the database is away.
pub async fn second_values(
    database: &Database,
    span: SeriesSpan,
) -> Result<Vec<(UtcTime, i64)>, StoreError> {
    let query = StoreError::query("reading second values of intervals");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(SECOND).await.map_err(&query)?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to)])
        .await
        .map_err(&query)?;
    let end = |start: UtcTime, len_s: i32| start.plus_seconds(i64::from(len_s));
    Ok(rows.iter().map(|row| (end(row.get::<_, Stamp>(0).0, row.get(1)), row.get(2))).collect())
}

/// Puts measured values into the intervals that they belong to (#8: the hour that came twice), as
/// Validated versions, and marks the second values of the span as used. Gives the number of
/// versions.
///
/// # Errors
/// When the database is away; nothing is changed then.
pub async fn move_measured(
    database: &Database,
    span: SeriesSpan,
    (values, len_s): (&[Measured], i32),
    at: UtcTime,
) -> Result<u64, StoreError> {
    ensure(database, (span.from, span.to)).await?;
    let changes: Vec<Change> = values
        .iter()
        .map(|one| Change {
            meter: span.meter,
            channel: span.channel,
            start: one.end.plus_seconds(-i64::from(len_s)),
            value: one.value,
            status: QualityStatus::Validated,
            flags: one.flags,
            note: "the hour that the clock shows twice".to_owned(),
            ..Change::judged(Reason::DayClose)
        })
        .collect();
    let query = StoreError::query("deciding on second values of intervals");
    let tx = Tx::begin(database).await?;
    let count = append(tx.client(), &changes, at).await?;
    let (meter, channel) = (span.meter.get(), span.channel.get());
    let statement = tx.client().prepare_cached(DECIDED).await.map_err(&query)?;
    tx.client()
        .execute(&statement, &[&meter, &channel, &Stamp(span.from), &Stamp(span.to), &Stamp(at)])
        .await
        .map_err(&query)?;
    tx.commit().await?;
    Ok(count)
}

/// Keeps a record that shares anew what `doubted` intervals hold: these are Suspect by rule `rule`
/// first, so that the estimate replaces nothing that counts (I2).
///
/// # Errors
/// As [`super::apply`]; nothing is changed then.
pub async fn reshape(
    database: &Database,
    new: &NewEstimation,
    (doubted, rule): (&[Measured], RuleNo),
    at: UtcTime,
) -> Result<Kept, StoreError> {
    let record = &new.record;
    ensure(database, (record.gap.from, record.gap.to)).await?;
    let changes: Vec<Change> = doubted
        .iter()
        .map(|one| Change {
            meter: record.meter,
            channel: record.channel,
            start: one.end.plus_seconds(-i64::from(record.len_s)),
            value: one.value,
            status: QualityStatus::Suspect,
            flags: one.flags,
            failed: RuleMask::EMPTY.with(rule),
            note: "holds another interval as well".to_owned(),
            ..Change::judged(Reason::DayClose)
        })
        .collect();
    let tx = Tx::begin(database).await?;
    append(tx.client(), &changes, at).await?;
    let kept = apply_in(tx.client(), new, at).await?;
    tx.commit().await?;
    Ok(kept)
}
