//! How long to wait before the next connection: pure, seeded.

use std::time::Duration;

/// Longest delay, in milliseconds.
const DELAY_MS_MAX: u64 = 60_000;
/// From the second attempt on the delay is at least this, in milliseconds.
const SECOND_MS: u64 = 500;

/// Doubling delays with jitter, so that a fleet of clients does not return in step.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first_ms: u64,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// `name` seeds the jitter: the client id, which differs between instances.
    pub(crate) fn new(first_ms: u64, name: &str) -> Self {
        let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self { first_ms: first_ms.max(1), failures: 0, random: seed | 1 }
    }

    /// The connection worked: begin again with the short delay.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Half of the delay is fixed, half is drawn.
    pub(crate) fn next(&mut self) -> Duration {
        let full = match self.failures {
            0 => self.first_ms,
            n => SECOND_MS.max(self.first_ms).saturating_mul(1 << (n - 1).min(20)),
        };
        self.failures = self.failures.saturating_add(1);
        let full = full.min(DELAY_MS_MAX);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_millis(full - full / 2 + self.random % (full / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_minute_and_begin_again() {
        let mut backoff = Backoff::new(100, "headend-1");
        let mut largest = 0;
        for full in [100, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let delay = backoff.next().as_millis();
            assert!(delay >= full / 2 && delay <= full, "{delay} of {full}");
            largest = largest.max(delay);
        }
        assert!(largest > 30_000);
        backoff.reset();
        assert!(backoff.next().as_millis() <= 100);
        let other = Backoff::new(100, "headend-2").next();
        assert_ne!(Backoff::new(100, "headend-1").next(), other);
    }
}
