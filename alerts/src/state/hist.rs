//! Counts by half octaves: enough of a distribution for a percentile, whatever the order in which
//! the values came.

/// `N` classes: below `base`, then one for each half octave above it; the last one is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HalfOctaves<const N: usize> {
    pub(crate) counts: [u16; N],
}

impl<const N: usize> HalfOctaves<N> {
    pub(crate) const EMPTY: Self = Self { counts: [0; N] };

    pub(crate) fn add(&mut self, value: i64, base: i64) {
        let class = class_of(value, base).min(N - 1);
        if self.counts[class] == u16::MAX {
            self.halve();
        }
        self.counts[class] += 1;
    }

    /// Forgets: with a call each n days the half-life is n days.
    pub(crate) fn halve(&mut self) {
        for count in &mut self.counts {
            *count /= 2;
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.counts.iter().map(|count| u32::from(*count)).sum()
    }

    /// The value that `per_cent` of the values do not exceed, interpolated within its class.
    pub(crate) fn percentile(&self, per_cent: u32, base: i64) -> i64 {
        let needed = (u64::from(self.total()) * u64::from(per_cent)).div_ceil(100);
        let mut below = 0_u64;
        for (class, count) in self.counts.iter().enumerate() {
            let count = u64::from(*count);
            if count > 0 && below + count >= needed {
                let (low, high) = (edge(class, base), edge(class + 1, base));
                let step = i128::from(high - low) * i128::from(needed.saturating_sub(below));
                return low + i64::try_from(step / i128::from(count)).unwrap_or_default();
            }
            below += count;
        }
        0
    }
}

/// Lower edge of a class.
fn edge(class: usize, base: i64) -> i64 {
    if class == 0 {
        return 0;
    }
    let octave = base << ((class - 1) / 2).min(40);
    // The half between two octaves: times the square root of 2.
    if class.is_multiple_of(2) {
        octave / 100_000 * 141_421 + octave % 100_000 * 141_421 / 100_000
    } else {
        octave
    }
}

fn class_of(value: i64, base: i64) -> usize {
    if value < base {
        return 0;
    }
    let octave = (value / base).ilog2();
    let first = 1 + 2 * usize::try_from(octave).unwrap_or(0);
    if value >= edge(first + 1, base) { first + 1 } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_within_a_half_octave() {
        let mut hist = HalfOctaves::<21>::EMPTY;
        for value in 0..1_000 {
            hist.add(value * 1_000, 64_000);
        }
        let p95 = hist.percentile(95, 64_000);
        assert!((850_000..1_050_000).contains(&p95), "{p95}");
        assert_eq!(hist.percentile(5, 64_000), 50_000);
        assert_eq!(HalfOctaves::<3>::EMPTY.percentile(95, 10), 0);
    }

    #[test]
    fn classes_and_edges_agree() {
        for class in 1..20 {
            let low = edge(class, 64_000);
            assert_eq!(class_of(low, 64_000), class);
            assert_eq!(class_of(low - 1, 64_000), class - 1);
        }
    }
}
