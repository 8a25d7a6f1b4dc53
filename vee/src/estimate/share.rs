//! Sharing a whole number of units by weights, so that the parts add up to it exactly.

use super::EstimateError;

/// Exact values `weights[k] / den`, before rounding. `open[k]` is false for a slot that must stay
/// as its weight says (an outage slot keeps its 0 whatever the register advanced).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weights {
    pub values: Vec<i128>,
    pub den: i128,
    pub open: Vec<bool>,
}

impl Weights {
    pub fn new(values: Vec<i128>, den: i128) -> Self {
        let open = vec![true; values.len()];
        Self { values, den: den.max(1), open }
    }

    /// The sum of the weights, over `den`.
    pub fn sum(&self) -> i128 {
        self.values.iter().fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// The exact sum, rounded half up to a whole unit.
    pub fn total(&self) -> i128 {
        half_up(self.sum(), self.den)
    }

    /// Every value rounded to a multiple of `step`, with the rounded total kept: 7.2, step one.
    ///
    /// # Errors
    /// [`EstimateError::Overflow`] beyond 128 bits.
    pub fn rounded(&self, step: i64) -> Result<Vec<i64>, EstimateError> {
        let step = i128::from(step.max(1));
        let unit = self.den.checked_mul(step).ok_or(EstimateError::Overflow)?;
        let total = half_up(self.sum(), unit);
        by_largest_remainder(total, &self.values, unit)?
            .into_iter()
            .map(|quanta| to_i64(quanta * step))
            .collect()
    }

    /// `total` units shared by these weights (7.5, step two), each part a multiple of `step`
    /// except one part at most: the sum is exact whatever the step.
    ///
    /// # Errors
    /// [`EstimateError::Overflow`] beyond 128 bits.
    pub fn share(&self, total: i64, step: i64) -> Result<Vec<i64>, EstimateError> {
        let count = self.open.iter().filter(|open| **open).count();
        if count == 0 {
            return Ok(vec![0; self.values.len()]);
        }
        let (exact, den) = self.exact_parts(i128::from(total), count)?;
        let step = i128::from(step.max(1));
        let unit = den.checked_mul(step).ok_or(EstimateError::Overflow)?;
        let quanta = i128::from(total).div_euclid(step);
        let rest = i128::from(total).rem_euclid(step);
        let mut parts = by_largest_remainder(quanta, &exact, unit)?
            .into_iter()
            .map(|part| to_i64(part * step))
            .collect::<Result<Vec<i64>, _>>()?;
        if rest > 0 {
            // Off the grid of the meter: the part that lost most by rounding takes it.
            let neediest = (0..parts.len()).rev().max_by_key(|&k| {
                (self.open[k], exact[k].saturating_sub(i128::from(parts[k]).saturating_mul(den)))
            });
            if let Some(k) = neediest {
                parts[k] = parts[k].checked_add(to_i64(rest)?).ok_or(EstimateError::Overflow)?;
            }
        }
        Ok(parts)
    }

    /// Exact parts of `total` over a common denominator. With weights that sum to nothing (or to
    /// less: a net channel) the difference is spread evenly.
    fn exact_parts(&self, total: i128, count: usize) -> Result<(Vec<i128>, i128), EstimateError> {
        let count = i128::try_from(count).map_err(|_| EstimateError::Overflow)?;
        let masked: Vec<i128> = self
            .values
            .iter()
            .zip(&self.open)
            .map(|(w, open)| if *open { *w } else { 0 })
            .collect();
        let sum: i128 = masked.iter().sum();
        if sum > 0 {
            let exact: Option<Vec<i128>> = masked.iter().map(|w| w.checked_mul(total)).collect();
            return Ok((exact.ok_or(EstimateError::Overflow)?, sum));
        }
        let den = self.den.checked_mul(count).ok_or(EstimateError::Overflow)?;
        let missing = total
            .checked_mul(self.den)
            .and_then(|all| all.checked_sub(sum))
            .ok_or(EstimateError::Overflow)?;
        let exact: Option<Vec<i128>> = masked
            .iter()
            .zip(&self.open)
            .map(|(w, open)| {
                let even = if *open { missing } else { 0 };
                w.checked_mul(count).and_then(|all| all.checked_add(even))
            })
            .collect();
        Ok((exact.ok_or(EstimateError::Overflow)?, den))
    }

    /// One set of weights of several gaps, in their order.
    ///
    /// # Errors
    /// [`EstimateError::Overflow`] beyond 128 bits.
    pub fn joined(all: &[Self]) -> Result<Self, EstimateError> {
        let mut den = 1_i128;
        for one in all {
            den = lcm(den, one.den).ok_or(EstimateError::Overflow)?;
        }
        let mut joined = Self { values: Vec::new(), den, open: Vec::new() };
        for one in all {
            for value in &one.values {
                let value = value.checked_mul(den / one.den).ok_or(EstimateError::Overflow)?;
                joined.values.push(value);
            }
            joined.open.extend_from_slice(&one.open);
        }
        Ok(joined)
    }
}

/// `total` units shared as `exact[k] / den` says: each floored, the units that remain to the
/// largest remainders, ties to the earliest slot. The sum of `exact` is `total * den` or differs
/// by rounding only.
///
/// # Errors
/// [`EstimateError::Overflow`] when `total` is not the rounded sum of `exact`.
pub fn by_largest_remainder(
    total: i128,
    exact: &[i128],
    den: i128,
) -> Result<Vec<i128>, EstimateError> {
    let mut parts: Vec<i128> = exact.iter().map(|value| value.div_euclid(den)).collect();
    let given: i128 = parts.iter().sum();
    let left = usize::try_from(total - given).map_err(|_| EstimateError::Overflow)?;
    if left > parts.len() {
        return Err(EstimateError::Overflow);
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&k| (-exact[k].rem_euclid(den), k));
    for k in order.into_iter().take(left) {
        parts[k] += 1;
    }
    Ok(parts)
}

/// `total` units by whole weights: the vectors' `lr(total, weights)`. All weights 0: evenly.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond 128 bits.
pub fn largest_remainder(total: i64, weights: &[i64]) -> Result<Vec<i64>, EstimateError> {
    Weights::new(weights.iter().copied().map(i128::from).collect(), 1).share(total, 1)
}

/// Values on the grid of the register with their sum kept to within half a step: how an edit is
/// rounded.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond 128 bits.
pub fn on_grid(values: &[i64], step: i64) -> Result<Vec<i64>, EstimateError> {
    Weights::new(values.iter().copied().map(i128::from).collect(), 1).rounded(step)
}

/// The nearest whole number to `num / den`; halves go up.
pub fn half_up(num: i128, den: i128) -> i128 {
    num.saturating_mul(2).saturating_add(den).div_euclid(den.saturating_mul(2))
}

pub(super) fn to_i64(value: i128) -> Result<i64, EstimateError> {
    match i64::try_from(value) {
        Ok(value) if value.abs() <= metering::exact::STORED_MAX => Ok(value),
        _ => Err(EstimateError::Overflow),
    }
}

fn lcm(a: i128, b: i128) -> Option<i128> {
    (a / gcd(a, b)).checked_mul(b)
}

pub(super) const fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 { 1 } else { a.abs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rest_of_an_off_grid_total_goes_to_one_part() {
        let weights = Weights::new(vec![1, 1, 1], 1);
        assert_eq!(weights.share(3_005, 1000).unwrap(), [1005, 1000, 1000]);
        assert_eq!(weights.share(3_999, 1000).unwrap(), [1999, 1000, 1000]);
    }

    #[test]
    fn a_closed_slot_gets_nothing() {
        let weights = Weights { open: vec![false, true], ..Weights::new(vec![0, 0], 1) };
        assert_eq!(weights.share(7, 1).unwrap(), [0, 7]);
    }

    proptest! {
        #[test]
        fn parts_add_up(
            total in -1_000_000_i64..1_000_000_000_000,
            weights in prop::collection::vec(0_i64..10_000_000, 1..40),
            step in prop::sample::select(vec![1_i64, 10, 1000]),
        ) {
            let weights = Weights::new(weights.into_iter().map(i128::from).collect(), 3);
            let parts = weights.share(total, step).unwrap();
            prop_assert_eq!(parts.iter().sum::<i64>(), total);
            let off_grid = parts.iter().filter(|part| *part % step != 0).count();
            prop_assert!(off_grid <= 1);
        }

        #[test]
        fn net_channels_add_up_too(
            total in -1_000_000_i64..1_000_000,
            weights in prop::collection::vec(-1_000_i64..1_000, 1..40),
        ) {
            let parts = largest_remainder(total, &weights).unwrap();
            prop_assert_eq!(parts.iter().sum::<i64>(), total);
        }
    }
}
