//! The state of the fleet, kept for a moment, so that many open pages cost as much as one.

use std::sync::Arc;
use std::time::Duration;

use metering::{LocalCalendar, UtcTime};
use store::views::fleet::{self, FleetSummary, ZoneRow};
use store::{Database, StoreError};
use tokio::sync::Mutex;

use crate::clock::Clock;

/// A few counts over the asset tables.
const SUMMARY_FOR: Duration = Duration::from_secs(1);
/// Five days of readings of the whole fleet.
const ZONES_FOR: Duration = Duration::from_secs(10);

/// Kept answers about the fleet. While one is made, others wait for it instead of asking again.
#[derive(Debug)]
pub struct FleetCache {
    clock: Arc<dyn Clock>,
    calendar: LocalCalendar,
    summary: Mutex<Option<Kept<FleetSummary>>>,
    zones: Mutex<Option<Kept<Vec<ZoneRow>>>>,
}

#[derive(Debug)]
struct Kept<T> {
    /// Real time: a simulated day must not make the database work 60 times as hard.
    made: Duration,
    answer: Arc<T>,
}

impl FleetCache {
    /// `calendar` is that of the utility: its days are the fleet's days.
    pub fn new(clock: Arc<dyn Clock>, calendar: LocalCalendar) -> Self {
        Self { clock, calendar, summary: Mutex::new(None), zones: Mutex::new(None) }
    }

    pub fn calendar(&self) -> &LocalCalendar {
        &self.calendar
    }

    /// State of the fleet, at most one second old.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn summary(&self, db: &Database) -> Result<Arc<FleetSummary>, StoreError> {
        let ask = async |now| fleet::summary(db, now, &self.calendar).await;
        self.keep(&self.summary, SUMMARY_FOR, ask).await
    }

    /// The zones, worst first, at most ten seconds old.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn zones(&self, db: &Database) -> Result<Arc<Vec<ZoneRow>>, StoreError> {
        let ask = async |now| fleet::zones(db, now, &self.calendar).await;
        self.keep(&self.zones, ZONES_FOR, ask).await
    }

    async fn keep<T>(
        &self,
        place: &Mutex<Option<Kept<T>>>,
        keep_for: Duration,
        ask: impl AsyncFnOnce(UtcTime) -> Result<T, StoreError>,
    ) -> Result<Arc<T>, StoreError> {
        let mut kept = place.lock().await;
        let now = self.clock.monotonic();
        if let Some(kept) = kept.as_ref()
            && now.saturating_sub(kept.made) < keep_for
        {
            return Ok(Arc::clone(&kept.answer));
        }
        let answer = Arc::new(ask(self.clock.now()).await?);
        *kept = Some(Kept { made: now, answer: Arc::clone(&answer) });
        Ok(answer)
    }
}
