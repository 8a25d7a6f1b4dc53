//! Moves simulated time: history in steps of hours, then live time in small steps.
//!
//! Within a step the clock stands still at its end. The step's messages go through the broker, the
//! head-end commits them, a tick lets the rules' timers fire, and only then time goes on. So the
//! same seed gives the same readings and issues, whatever the machine is doing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metering::UtcTime;
use metering::time::DAY_S;
use simulators::Fleet;
use store::Database;
use tokio::sync::watch;

use super::publisher::Publisher;
use crate::app::App;
use crate::clock::{Clock as _, SteppedClock};
use crate::jobs::day_close::DayCloseJob;
use crate::jobs::estimation::EstimationJob;
use crate::jobs::{calendar, upkeep};

/// Length of a step of history, and of its last day, whose arrival times an operator looks at.
/// Steps are shorter than the delivery lag of the fleet's slots, 4 h.
const HISTORY_STEP_S: i64 = 3 * 3_600;
const LAST_DAY_STEP_S: i64 = 3_600;
/// Simulated time between looks at the calendar of expected reads: in history, and live.
const HISTORY_CALENDAR_S: i64 = 5 * 86_400;
const LIVE_CALENDAR_S: i64 = 300;
/// Simulated time between looks at what can be estimated, live. History is estimated at its end.
const LIVE_ESTIMATES_S: i64 = 3_600;
/// Real length of a live step.
const LIVE_STEP: Duration = Duration::from_millis(250);
/// A step that is not committed for so long has failed.
const COMMIT_LIMIT: Duration = Duration::from_secs(120);

/// The parts that a driver moves.
#[derive(Debug)]
pub(super) struct Driver<'a> {
    pub(super) app: &'a App,
    pub(super) database: Database,
    pub(super) clock: Arc<SteppedClock>,
    pub(super) fleet: Fleet,
    pub(super) publisher: Publisher,
    pub(super) keep: store::upkeep::Keep,
    pub(super) stop: watch::Receiver<bool>,
    /// Values that were sent.
    pub(super) offered: u64,
    pub(super) now: UtcTime,
    days: DayCloseJob,
    estimates: EstimationJob,
    estimated_at: UtcTime,
    calendar_at: UtcTime,
    last_tick: i64,
}

/// Told to stop before the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    AtTheEnd,
    Stopped,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        app: &'a App,
        database: Database,
        clock: Arc<SteppedClock>,
        (fleet, publisher): (Fleet, Publisher),
        (keep, stop): (store::upkeep::Keep, watch::Receiver<bool>),
    ) -> Self {
        let now = clock.now();
        let estimates = EstimationJob::new(database.clone());
        let days = DayCloseJob::new(database.clone());
        Self {
            app,
            database,
            clock,
            fleet,
            publisher,
            keep,
            stop,
            offered: 0,
            now,
            days,
            estimates,
            estimated_at: now,
            calendar_at: now,
            last_tick: 0,
        }
    }

    /// Sends history up to `until`; `told` hears of each step.
    ///
    /// # Errors
    /// The broker or the database failed.
    pub(super) async fn backfill(
        &mut self,
        until: UtcTime,
        mut told: impl FnMut(UtcTime),
    ) -> anyhow::Result<Ended> {
        while self.now < until {
            if *self.stop.borrow() {
                return Ok(Ended::Stopped);
            }
            let last_day = until.seconds_since(self.now) <= DAY_S;
            let step_s = if last_day { LAST_DAY_STEP_S } else { HISTORY_STEP_S };
            let to = self.now.plus_seconds(step_s).min(until);
            self.step(to, HISTORY_CALENDAR_S).await?;
            told(to);
        }
        calendar::once(&self.database, self.now).await?;
        self.estimate().await?;
        self.settle().await;
        Ok(Ended::AtTheEnd)
    }

    /// Live time at `speed` simulated seconds a second, up to `until`.
    ///
    /// # Errors
    /// The broker or the database failed.
    pub(super) async fn live(&mut self, speed: u32, until: UtcTime) -> anyhow::Result<Ended> {
        let step_s = (i64::from(speed) / 4).max(1);
        let pause = if speed >= 4 { LIVE_STEP } else { Duration::from_secs(1) / speed.max(1) };
        let mut pace = tokio::time::interval(pause);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.now < until {
            tokio::select! {
                _ = pace.tick() => {}
                _ = self.stop.changed() => return Ok(Ended::Stopped),
            }
            let to = self.now.plus_seconds(step_s).min(until);
            self.step(to, LIVE_CALENDAR_S).await?;
            if to.seconds_since(self.estimated_at) >= LIVE_ESTIMATES_S {
                self.estimate().await?;
            }
        }
        calendar::once(&self.database, self.now).await?;
        Ok(Ended::AtTheEnd)
    }

    /// Waits until the rules have applied all that was sent.
    pub(super) async fn settle(&self) {
        let mut rules = self.app.rules.clone();
        rules.reached(self.last_tick).await;
    }

    async fn step(&mut self, to: UtcTime, calendar_every_s: i64) -> anyhow::Result<()> {
        if to.utc_day() != self.now.utc_day() {
            upkeep::once(&self.database, self.keep, to).await?;
        }
        let messages = self.fleet.messages(self.now, to);
        self.offered += messages.iter().map(|message| u64::from(message.reads)).sum::<u64>();
        self.clock.advance_to(to);
        self.publisher.send(messages).await?;
        self.committed().await?;
        self.last_tick = self.app.tick().await?;
        self.close_days().await?;
        self.now = to;
        if to.seconds_since(self.calendar_at) >= calendar_every_s {
            calendar::once(&self.database, to).await?;
            self.calendar_at = to;
        }
        Ok(())
    }

    /// Days are closed between the steps, so that their findings always stand at the same place of
    /// the log.
    async fn close_days(&mut self) -> anyhow::Result<()> {
        if let Some(last) = self.days.once().await?.last_seq {
            self.last_tick = last;
            self.app.rules.wake();
        }
        Ok(())
    }

    /// Fills what is still missing, when the rules have said what explains it.
    async fn estimate(&mut self) -> anyhow::Result<()> {
        self.settle().await;
        let told = self.estimates.once(self.now).await?;
        tracing::debug!(?told, "Estimated.");
        self.estimated_at = self.now;
        Ok(())
    }

    /// Waits until the head-end has stored every message that was sent.
    async fn committed(&self) -> anyhow::Result<()> {
        let start = self.clock.monotonic();
        let mut pause = Duration::from_micros(200);
        while self.app.ingest.messages.load(Ordering::Acquire) < self.publisher.sent() {
            anyhow::ensure!(
                self.clock.monotonic().saturating_sub(start) < COMMIT_LIMIT,
                "the head-end committed {} of {} messages and then nothing for {} s",
                self.app.ingest.messages.load(Ordering::Relaxed),
                self.publisher.sent(),
                COMMIT_LIMIT.as_secs()
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        Ok(())
    }
}
