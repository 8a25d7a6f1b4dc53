//! How far a run has come, for people who wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// A line at most this often.
const EVERY: Duration = Duration::from_secs(10);

/// Tells standard error, or nobody.
#[derive(Debug, Default)]
pub struct Progress {
    clock: Option<Arc<dyn Clock>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: Duration,
    told: Duration,
    /// Days of meters.
    planned: u64,
    done: u64,
}

impl Progress {
    pub fn silent() -> Self {
        Self::default()
    }

    /// Tells standard error by this clock.
    pub fn on_stderr(clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), state: Mutex::default() }
    }

    pub(super) fn plan(&self, meter_days: u64) {
        let Some(clock) = &self.clock else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.monotonic();
        *state = State { started: now, told: now, planned: meter_days, done: 0 };
    }

    /// A day of `meters` is over in the trial `label`.
    pub(super) fn day(&self, label: &str, (day, days): (u64, u64), meters: u64) {
        let Some(clock) = &self.clock else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += meters;
        let now = clock.monotonic();
        if now.saturating_sub(state.told) < EVERY {
            return;
        }
        state.told = now;
        let spent_s = now.saturating_sub(state.started).as_secs();
        let left_s = spent_s * state.planned.saturating_sub(state.done) / state.done.max(1);
        let percent = state.done * 100 / state.planned.max(1);
        eprintln!(
            "score: {label}, day {day} of {days}, {meters} meters; {percent} % of all, {spent_s} s \
             so far, about {left_s} s left"
        );
    }
}
