//! The only place that reads the clock. Everything else takes a [`Clock`] or an instant.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use metering::UtcTime;

/// Where "now" comes from: the system, or a simulated utility.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time that readings are received at and timers run by.
    fn now(&self) -> UtcTime;

    /// Real time since the program started: for latencies and pacing, never for readings.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is where the clock is read")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is where the clock is read")]
    fn now(&self) -> UtcTime {
        UtcTime::from_jiff(jiff::Timestamp::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is set: simulated meters and the head-end share one.
#[derive(Debug)]
pub struct SteppedClock {
    now_micros: AtomicI64,
    real: SystemClock,
}

impl SteppedClock {
    pub fn starting_at(start: UtcTime) -> Arc<Self> {
        Arc::new(Self { now_micros: AtomicI64::new(start.micros()), real: SystemClock::new() })
    }

    /// Moves on to `instant`; never back.
    pub fn advance_to(&self, instant: UtcTime) {
        self.now_micros.fetch_max(instant.micros(), Ordering::SeqCst);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> UtcTime {
        UtcTime::from_micros(self.now_micros.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_never_goes_back() {
        let clock = SteppedClock::starting_at(UtcTime::from_seconds(100));
        clock.advance_to(UtcTime::from_seconds(200));
        clock.advance_to(UtcTime::from_seconds(150));
        assert_eq!(clock.now(), UtcTime::from_seconds(200));
    }
}
