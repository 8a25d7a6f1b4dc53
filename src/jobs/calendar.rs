//! The calendar of expected reads: a gap is known when it is due, not when something arrives.

use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use store::gaps::{Checked, Gaps};
use store::{Database, StoreError};
use tokio::sync::watch;

use crate::clock::Clock;

const EVERY: Duration = Duration::from_secs(60);

/// Notes the slots that were due by `now` and are not there, and fills those that arrived since.
///
/// # Errors
/// The database is away.
pub async fn once(database: &Database, now: UtcTime) -> Result<Checked, StoreError> {
    Gaps::new(database.clone()).check(now).await
}

/// Does so every minute until told to stop.
pub async fn run(database: Database, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = once(&database, clock.now()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "The calendar of expected reads could not be checked."
            );
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
