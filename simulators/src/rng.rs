//! Random streams: one for each purpose and subject, so that adding a meter or a draw somewhere
//! changes nothing elsewhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Weather = 1,
    Layout = 2,
    Plan = 3,
    Usage = 4,
    Sending = 5,
}

/// A seeded stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// `subject` and `part` are for example a meter and a day.
    pub(crate) fn new(seed: u64, purpose: Purpose, subject: usize, part: usize) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&(subject as u64).to_le_bytes());
        key[24..].copy_from_slice(&(part as u64).to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `0..count`; 0 for an empty range.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        let wide = u64::from(self.0.next_u32()) * u64::from(count);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// Uniform index below `len`; 0 for an empty list.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap_or(u32::MAX)) as usize
    }

    /// Uniform in `from..=to`; `from` when the range is empty.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u32::try_from((to - from).max(0)).unwrap_or(u32::MAX - 1);
        from + i64::from(self.below(span + 1))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// Uniform in `[from, to)`.
    pub(crate) fn real(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Nearly normal with mean 0 and deviation 1, cut at 2.2 so that ordinary days stay ordinary.
    /// A sum of uniforms, since it needs no library function whose last bit differs by platform.
    pub(crate) fn normal(&mut self) -> f64 {
        let sum: f64 = (0..6).map(|_| self.unit()).sum();
        ((sum - 3.0) * std::f64::consts::SQRT_2).clamp(-2.2, 2.2)
    }
}

/// Rounds a quantity of the model to whole milli-units.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates; models stay below 2^53")]
pub(crate) fn whole(quantity: f64) -> i64 {
    (quantity + 0.5).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_stable_across_releases_and_independent() {
        let mut stream = Stream::new(7, Purpose::Usage, 3, 5);
        let first: Vec<u32> = (0..4).map(|_| stream.below(1000)).collect();
        let again: Vec<u32> = {
            let mut stream = Stream::new(7, Purpose::Usage, 3, 5);
            (0..4).map(|_| stream.below(1000)).collect()
        };
        assert_eq!(first, again);
        let mut other = Stream::new(7, Purpose::Usage, 5, 3);
        assert_ne!(first, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut stream = Stream::new(1, Purpose::Plan, 0, 0);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            assert!((-5..=5).contains(&stream.between(-5, 5)));
            assert!(stream.index(3) < 3);
            let normal = stream.normal();
            assert!(normal.abs() <= 2.2);
            sum += normal;
        }
        assert!((sum / 10_000.0).abs() < 0.05);
        assert_eq!(stream.between(9, 3), 9);
        assert_eq!(whole(2.5), 3);
        assert_eq!(whole(-2.5), -2);
    }
}
