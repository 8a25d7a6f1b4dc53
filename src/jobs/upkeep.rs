//! Upkeep of the tables: partitions ahead of time, and what is past its keeping goes.

use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use store::upkeep::{Keep, Upkeep};
use store::{Database, StoreError};
use tokio::sync::watch;

use crate::clock::Clock;

const EVERY: Duration = Duration::from_secs(600);

/// Makes the partitions of the days to come and drops what is past its keeping.
///
/// # Errors
/// The database is away.
pub async fn once(database: &Database, keep: Keep, now: UtcTime) -> Result<(), StoreError> {
    Upkeep::new(database.clone()).run(keep, now).await
}

/// Does so every ten minutes until told to stop.
pub async fn run(
    database: Database,
    clock: Arc<dyn Clock>,
    keep: Keep,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        if let Err(error) = once(&database, keep, clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "Upkeep failed.");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
