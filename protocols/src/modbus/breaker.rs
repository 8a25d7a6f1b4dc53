//! A circuit breaker for one unit: a dead one costs its bus five timeouts, then one per back-off
//! period (`protocols.md` 4.1, no. 6).

use metering::UtcTime;

const FAILURES_MAX: u8 = 5;
const OPEN_FIRST_S: i64 = 30;
const OPEN_MAX_S: i64 = 900;
/// Waits before a failed unit is asked again while it is not given up.
const RETRY_S: [i64; 4] = [1, 2, 4, 8];

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Breaker {
    failures: u8,
    /// Not asked before; also the wait of a retry.
    not_before: Option<UtcTime>,
    /// Length of the current back-off period; 0 = closed.
    open_s: i64,
}

impl Breaker {
    pub(super) const fn is_open(&self) -> bool {
        self.open_s > 0
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// When the unit may be asked next.
    pub(super) fn not_before(&self, now: UtcTime) -> UtcTime {
        let latest = now.plus_seconds(self.open_s.max(RETRY_S[3]));
        // A clock that was set back must not keep a unit shut for hours.
        self.not_before.map_or(UtcTime::MIN, |at| at.min(latest))
    }

    pub(super) fn success(&mut self) {
        *self = Self::default();
    }

    /// Busy: asked again then, which is no failure.
    pub(super) fn wait_until(&mut self, at: UtcTime) {
        self.not_before = Some(at);
    }

    /// True when the unit is given up with this failure.
    pub(super) fn failure(&mut self, now: UtcTime) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            let wait = RETRY_S[usize::from(self.failures.clamp(1, 4)) - 1];
            self.not_before = Some(now.plus_seconds(wait));
            return false;
        }
        let was_open = self.is_open();
        self.open_s = if was_open { (2 * self.open_s).min(OPEN_MAX_S) } else { OPEN_FIRST_S };
        self.not_before = Some(now.plus_seconds(self.open_s));
        !was_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_unit_is_tried_five_times_and_then_once_per_period() {
        let mut breaker = Breaker::default();
        let (mut now, end) = (UtcTime::from_seconds(0), UtcTime::from_seconds(86_400));
        let mut tries = 0;
        while now < end {
            tries += 1;
            let given_up = breaker.failure(now);
            assert_eq!(given_up, tries == 5);
            now = breaker.not_before(now);
        }
        // 5 tries in 15 s; then after 30, 60, ... 480, 900, 900 ... s.
        assert_eq!(tries, 5 + 5 + (86_400 - 15 - 930) / 900);
        breaker.success();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_clock_set_back_does_not_keep_a_unit_shut() {
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| _ = breaker.failure(UtcTime::from_seconds(100_000)));
        let earlier = UtcTime::from_seconds(1_000);
        assert_eq!(breaker.not_before(earlier), earlier.plus_seconds(30));
    }
}
