//! The yardstick of `headend bench ingest`: the fastest way known into the same table, which checks
//! nothing. Each call is one transaction, as a batch is.

use std::pin::pin;

use metering::IntervalReading;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::database::Database;
use crate::error::StoreError;
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;

const COPY: &str = "COPY read_interval (starts_at, received_at, value, meter_id, channel, flags) \
    FROM STDIN BINARY";

/// Copies readings with keys that are not there yet, by the library's own writer.
///
/// # Errors
/// When a key exists or the database is away.
pub async fn copy_raw(database: &Database, readings: &[IntervalReading]) -> Result<(), StoreError> {
    let query = StoreError::query("copying readings");
    let mut touched = Touched::default();
    for reading in readings {
        touched.add(Table::ReadInterval, reading.interval.start().utc_day());
    }
    database.ensure_partitions(&touched).await?;
    let tx = Tx::begin(database).await?;
    let sink = tx.client().copy_in(COPY).await.map_err(&query)?;
    let types =
        [Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8, Type::INT4, Type::INT2, Type::INT2];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for reading in readings {
        let (start, end) = (Stamp(reading.interval.start()), Stamp(reading.interval.end()));
        writer
            .as_mut()
            .write(&[
                &start,
                &end,
                &reading.value,
                &reading.meter.get(),
                &reading.channel.get(),
                &1_i16,
            ])
            .await
            .map_err(&query)?;
    }
    writer.finish().await.map_err(&query)?;
    tx.commit().await
}

/// Empties the write-ahead log's backlog, so that one measurement does not pay for another.
///
/// # Errors
/// When the database is away.
pub async fn checkpoint(database: &Database) -> Result<(), StoreError> {
    let query = StoreError::query("a checkpoint");
    database.work_client().await?.batch_execute("CHECKPOINT").await.map_err(&query)
}
