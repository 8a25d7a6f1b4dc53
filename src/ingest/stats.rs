//! Counters of ingest, and how long a sender waits for its acknowledgement.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use metering::UtcTime;
use store::Stored;

/// All counters only rise; `in_flight` is a gauge. Read by telemetry, the demo and tests.
#[derive(Debug, Default)]
pub struct IngestStats {
    pub messages: AtomicU64,
    /// `offered = inserted + duplicate + conflicting + dead`, after each batch.
    pub offered: AtomicU64,
    pub inserted: AtomicU64,
    /// Copies included that were known before they reached the store.
    pub duplicate: AtomicU64,
    pub conflicting: AtomicU64,
    pub dead: AtomicU64,
    /// Intervals made from registers, not offered by a device.
    pub derived: AtomicU64,
    pub derived_duplicate: AtomicU64,
    pub derived_conflicting: AtomicU64,
    pub events: AtomicU64,
    /// Values of known meters whose field no channel carries.
    pub unmapped: AtomicU64,
    /// Empty payloads (a retained message was cleared).
    pub empty: AtomicU64,
    /// Stored copies that the broker sends on subscribing: never a reading.
    pub retained: AtomicU64,
    /// Messages received and not yet acknowledged.
    pub in_flight: AtomicU64,
    pub batches: AtomicU64,
    /// Batches that had to be tried again because the store was away.
    pub retries: AtomicU64,
    /// Messages set aside because the store refused what they made.
    pub poisoned: AtomicU64,
    /// Dead letters that became readings later.
    pub replayed: AtomicU64,
    /// Microseconds since 1970 on the injected clock; 0 before the first commit.
    last_commit_us: AtomicI64,
    /// Last sequence of the event log; 0 before the first record.
    last_seq: AtomicI64,
    /// The store did not take the last batch: not ready.
    store_away: AtomicBool,
    /// From arrival to acknowledgement.
    pub ack_latency: Latency,
}

const EXPONENTS: usize = 40;
const STEPS: usize = 16;

/// A fixed histogram of durations, exact to one sixteenth, from 1 microsecond to 12 days.
#[derive(Debug)]
pub struct Latency {
    buckets: Box<[AtomicU64]>,
}

impl IngestStats {
    pub fn is_store_away(&self) -> bool {
        self.store_away.load(Ordering::Relaxed)
    }

    pub fn last_commit(&self) -> Option<UtcTime> {
        match self.last_commit_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(UtcTime::from_micros(us)),
        }
    }

    pub fn last_seq(&self) -> i64 {
        self.last_seq.load(Ordering::Relaxed)
    }

    /// The identity, over all batches so far.
    pub fn reconciles(&self) -> bool {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        get(&self.offered)
            == get(&self.inserted) + get(&self.duplicate) + get(&self.conflicting) + get(&self.dead)
    }

    pub(super) fn set_store_away(&self, away: bool) {
        self.store_away.store(away, Ordering::Relaxed);
    }

    pub(super) fn stored(&self, messages: u32, stored: &Stored, now: UtcTime) {
        for (counter, count) in [
            (&self.offered, stored.offered),
            (&self.inserted, stored.inserted),
            (&self.duplicate, stored.duplicate),
            (&self.conflicting, stored.conflicting),
            (&self.dead, stored.dead),
            (&self.derived, stored.derived),
            (&self.derived_duplicate, stored.derived_duplicate),
            (&self.derived_conflicting, stored.derived_conflicting),
            (&self.events, stored.events),
            (&self.batches, 1),
            // Last, so that who waits for a number of messages finds their readings counted.
            (&self.messages, u64::from(messages)),
        ] {
            counter.fetch_add(count, Ordering::SeqCst);
        }
        if let Some(seq) = stored.last_seq {
            self.last_seq.fetch_max(seq, Ordering::Relaxed);
        }
        self.last_commit_us.store(now.micros(), Ordering::Relaxed);
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: (0..EXPONENTS * STEPS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Latency {
    pub fn record(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// How many latencies lie within which bound; buckets that hold none are left out.
    pub fn counts(&self) -> Vec<(Duration, u64)> {
        let of = |(at, bucket): (usize, &AtomicU64)| {
            let count = bucket.load(Ordering::Relaxed);
            (count > 0).then(|| (Duration::from_micros(upper_bound(at)), count))
        };
        self.buckets.iter().enumerate().filter_map(of).collect()
    }

    /// The latency that `percent` of all stay within; zero before the first.
    pub fn percentile(&self, percent: u8) -> Duration {
        let wanted = (self.count() * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted {
                return Duration::from_micros(upper_bound(at));
            }
        }
        Duration::ZERO
    }
}

/// 16 equal steps within each power of two; below 16 one bucket per microsecond.
fn bucket(us: u64) -> usize {
    let top = 63_u32.saturating_sub(us.max(1).leading_zeros());
    if top < 4 {
        return usize::try_from(us).unwrap_or(0);
    }
    let step = usize::try_from((us >> (top - 4)) & 15).unwrap_or(0);
    ((top as usize - 3) * STEPS + step).min(EXPONENTS * STEPS - 1)
}

fn upper_bound(at: usize) -> u64 {
    if at < STEPS {
        return at as u64;
    }
    let (exponent, step) = (at / STEPS + 3, (at % STEPS) as u64);
    ((16 + step + 1) << (exponent - 4)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_lies_within_its_bucket() {
        for us in (0..4_000).chain((1..3_000_000_000).step_by(7_777_777)) {
            let at = bucket(us);
            assert!(us <= upper_bound(at), "{us}");
            assert!(at == 0 || us > upper_bound(at - 1), "{us}");
        }
        assert_eq!(bucket(u64::MAX), EXPONENTS * STEPS - 1);
    }

    #[test]
    fn percentiles_are_exact_to_a_sixteenth() {
        let latency = Latency::default();
        assert_eq!(latency.percentile(99), Duration::ZERO);
        for ms in 1..=100 {
            latency.record(Duration::from_millis(ms));
        }
        let within = |percent, ms: u64| {
            let found = latency.percentile(percent);
            let want = Duration::from_millis(ms);
            assert!(found >= want && found <= want * 17 / 16, "p{percent} {found:?}");
        };
        within(50, 50);
        within(99, 99);
    }
}
