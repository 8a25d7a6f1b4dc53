//! Lets time pass in the event log when no data does: the rules' timers fire on ticks.

use std::sync::Arc;
use std::time::Duration;

use metering::{LogRecord, UtcTime};
use store::{Database, PgLog, StoreError};
use tokio::sync::watch;

use super::rules::RuleHandle;
use crate::clock::Clock;

/// A tick each second would be a row each second; rules measure minutes.
const EVERY: Duration = Duration::from_secs(10);

/// Appends one tick and wakes the rules; gives its sequence.
///
/// # Errors
/// The database is away.
pub async fn tick(log: &PgLog, now: UtcTime, rules: &RuleHandle) -> Result<i64, StoreError> {
    let span = log.append_now(now, &[LogRecord::Tick]).await?;
    rules.wake();
    Ok(span.map_or(0, |(_, last)| last))
}

/// Appends a tick every 10 s until told to stop.
pub async fn run(
    database: Database,
    clock: Arc<dyn Clock>,
    rules: RuleHandle,
    mut stop: watch::Receiver<bool>,
) {
    let log = PgLog::new(database);
    while !*stop.borrow() {
        if let Err(error) = tick(&log, clock.now(), &rules).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "No tick was appended.");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}
