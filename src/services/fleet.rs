//! The state of the fleet, kept for a moment, so that many open pages cost as much as one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metering::LocalCalendar;
use store::views::fleet::{self, FleetSummary, ZoneRow};
use store::{Database, StoreError};

use crate::clock::Clock;

/// A few counts over the asset tables.
const SUMMARY_FOR: Duration = Duration::from_secs(1);
/// Five days of readings of the whole fleet.
const ZONES_FOR: Duration = Duration::from_secs(10);
/// An answer is kept at least so many times as long as it took: the database spends at most 5 % of
/// its time on it, however large the fleet is.
const TIMES_ITS_COST: u32 = 20;
/// An expired answer is still given, while a new one is made, up to so many times its time.
const STALE_TIMES: u32 = 3;

/// Kept answers about the fleet. Only one is made at a time; who asks meanwhile gets the last one.
#[derive(Clone, Debug)]
pub struct FleetCache {
    clock: Arc<dyn Clock>,
    calendar: LocalCalendar,
    summary: Arc<Slot<FleetSummary>>,
    zones: Arc<Slot<Vec<ZoneRow>>>,
}

/// Place of one answer. Real time counts: a simulated day must not make the database work 60 times
/// as hard.
#[derive(Debug)]
struct Slot<T> {
    kept: Mutex<Option<Kept<T>>>,
    making: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Kept<T> {
    made: Duration,
    keep_for: Duration,
    answer: Arc<T>,
}

/// What a slot holds at a moment.
enum Held<T> {
    Fresh(Arc<T>),
    Stale(Arc<T>),
    Nothing,
}

impl FleetCache {
    /// `calendar` is that of the utility: its days are the fleet's days.
    pub fn new(clock: Arc<dyn Clock>, calendar: LocalCalendar) -> Self {
        Self { clock, calendar, summary: Arc::default(), zones: Arc::default() }
    }

    pub fn calendar(&self) -> &LocalCalendar {
        &self.calendar
    }

    /// State of the fleet, some seconds old at most; its `at` says when it was read.
    ///
    /// # Errors
    /// When the database does not answer and there is no answer that may still be given.
    pub async fn summary(&self, db: &Database) -> Result<Arc<FleetSummary>, StoreError> {
        let (this, db) = (self.clone(), db.clone());
        let make = async move || fleet::summary(&db, this.clock.now(), &this.calendar).await;
        self.answer(&self.summary, SUMMARY_FOR, make).await
    }

    /// The zones, worst first, some ten seconds old at most (in a very large fleet, minutes).
    ///
    /// # Errors
    /// When the database does not answer and there is no answer that may still be given.
    pub async fn zones(&self, db: &Database) -> Result<Arc<Vec<ZoneRow>>, StoreError> {
        let (this, db) = (self.clone(), db.clone());
        let make = async move || fleet::zones(&db, this.clock.now(), &this.calendar).await;
        self.answer(&self.zones, ZONES_FOR, make).await
    }

    async fn answer<T, M, F>(
        &self,
        slot: &Arc<Slot<T>>,
        at_least: Duration,
        make: M,
    ) -> Result<Arc<T>, StoreError>
    where
        T: Send + Sync + 'static,
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        match slot.held(self.clock.monotonic()) {
            Held::Fresh(answer) => return Ok(answer),
            Held::Stale(answer) => {
                if let Ok(turn) = Arc::clone(&slot.making).try_lock_owned() {
                    let (slot, clock) = (Arc::clone(slot), Arc::clone(&self.clock));
                    tokio::spawn(async move {
                        if let Err(error) = slot.fill(clock.as_ref(), at_least, make).await {
                            tracing::warn!(%error, "The state of the fleet was not renewed.");
                        }
                        drop(turn);
                    });
                }
                return Ok(answer);
            }
            Held::Nothing => {}
        }
        let turn = slot.making.lock().await;
        if let Held::Fresh(answer) = slot.held(self.clock.monotonic()) {
            return Ok(answer);
        }
        let answer = slot.fill(self.clock.as_ref(), at_least, make).await;
        drop(turn);
        answer
    }
}

impl<T> Slot<T> {
    fn held(&self, now: Duration) -> Held<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = kept.as_ref() else { return Held::Nothing };
        let age = now.saturating_sub(kept.made);
        if age < kept.keep_for {
            Held::Fresh(Arc::clone(&kept.answer))
        } else if age < kept.keep_for * STALE_TIMES {
            Held::Stale(Arc::clone(&kept.answer))
        } else {
            Held::Nothing
        }
    }

    /// Makes an answer and keeps it; the caller has the turn.
    async fn fill<M, F>(
        &self,
        clock: &dyn Clock,
        at_least: Duration,
        make: M,
    ) -> Result<Arc<T>, StoreError>
    where
        M: FnOnce() -> F,
        F: Future<Output = Result<T, StoreError>>,
    {
        let started = clock.monotonic();
        let answer = Arc::new(make().await?);
        let made = clock.monotonic();
        let keep_for = at_least.max(made.saturating_sub(started) * TIMES_ITS_COST);
        let kept = Kept { made, keep_for, answer: Arc::clone(&answer) };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(answer)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(None), making: Arc::default() }
    }
}
