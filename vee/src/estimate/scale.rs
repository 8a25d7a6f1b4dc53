//! Scaling to the register (7.5): what the counter says was used must be what the slots add up to.

use metering::{Ratio, UtcTime};

use super::input::RegisterWindow;
use super::share::{Weights, gcd, half_up, to_i64};
use super::{EstimateError, Gap, Series};

/// `R / sum of unscaled estimates` outside of these, in thousandths, needs a look. `default`.
pub const RATIO_MIN_MILLI: i128 = 200;
pub const RATIO_MAX_MILLI: i128 = 5_000;

/// What the gaps must add up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Residual {
    /// R, rounded half up to whole milli-units.
    pub units: i64,
    /// What the rounding of R left over, exactly; 0 when the registers stand on the grid.
    pub rest: Ratio,
}

/// Why estimates could not be scaled. The nightly job tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unscaled {
    #[error("no valid register read brackets the gap")]
    NoRegisters,
    #[error("a register was read within the gap")]
    RegisterInside,
    #[error("another slot between the registers is still open")]
    OtherGaps,
}

/// How an estimate relates to the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scaling {
    /// By `num / den` of the unscaled values; slots and register agree exactly.
    Scaled {
        num: i128,
        den: i128,
    },
    /// Values are the register's own share: nothing was there to scale (all weights 0).
    Spread,
    /// The meter measured the sum, in intervals of another shape: nothing is left to scale.
    Measured,
    /// The actual values exceed the register already: zeros, and the sum check fails.
    Negative,
    Unscaled(Unscaled),
}

/// `R = advance - sum of the other slots in (open, close]`; a slot that a register time cuts
/// counts by its share of time.
///
/// # Errors
/// [`Unscaled`] when R cannot be told, [`EstimateError::Overflow`] beyond 128 bits.
pub fn residual(
    window: &RegisterWindow,
    series: &Series,
    gaps: &[Gap],
) -> Result<Result<Residual, Unscaled>, EstimateError> {
    residual_of(window, series, gaps, &|_| true)
}

/// The same for a register that counts only the slots whose end `counts`.
pub(super) fn residual_of(
    window: &RegisterWindow,
    series: &Series,
    gaps: &[Gap],
    counts: &dyn Fn(UtcTime) -> bool,
) -> Result<Result<Residual, Unscaled>, EstimateError> {
    let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else {
        return Err(EstimateError::NoGap);
    };
    if window.open_at > first.from || window.close_at < last.to {
        return Ok(Err(Unscaled::RegisterInside));
    }
    let len_s = series.len_s();
    let len = i64::from(len_s);
    // The slot that holds the opening read begins on the grid at or before it.
    let behind = first.from.micros() - window.open_at.micros();
    let slots = behind.div_euclid(len * 1_000_000) + i64::from(behind % (len * 1_000_000) != 0);
    let mut end = first.from.plus_seconds(-(slots - 1) * len);
    let den = i128::from(len) * 1_000_000;
    let mut sum = 0_i128;
    loop {
        let start = end.plus_seconds(-len);
        if start >= window.close_at {
            break;
        }
        if !gaps.iter().any(|gap| gap.holds(end)) {
            let Some(slot) = series.at(end).filter(|slot| slot.is_usable()) else {
                return Ok(Err(Unscaled::OtherGaps));
            };
            let value = if counts(end) { i128::from(slot.value) } else { 0 };
            let part = value.checked_mul(covered(window, start, end));
            sum = part.and_then(|part| sum.checked_add(part)).ok_or(EstimateError::Overflow)?;
        }
        end = end.plus_seconds(len);
    }
    let exact = i128::from(window.advance)
        .checked_mul(den)
        .and_then(|all| all.checked_sub(sum))
        .ok_or(EstimateError::Overflow)?;
    let units = half_up(exact, den);
    let left = exact - units * den;
    let by = gcd(left, den);
    let rest = Ratio::new(left / by, den / by).ok_or(EstimateError::Overflow)?;
    Ok(Ok(Residual { units: to_i64(units)?, rest }))
}

/// Microseconds of `[start, end)` between the two reads.
fn covered(window: &RegisterWindow, start: UtcTime, end: UtcTime) -> i128 {
    let from = start.max(window.open_at).micros();
    let to = end.min(window.close_at).micros();
    i128::from((to - from).max(0))
}

/// R shared by the weights, rounded to `step`.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond 128 bits.
pub fn scaled(
    weights: &Weights,
    units: i64,
    step: i64,
    net: bool,
) -> Result<(Vec<i64>, Scaling), EstimateError> {
    if units < 0 && !net {
        return Ok((vec![0; weights.values.len()], Scaling::Negative));
    }
    let values = weights.share(units, step)?;
    let sum = weights.sum();
    if sum <= 0 {
        return Ok((values, Scaling::Spread));
    }
    let num = i128::from(units).checked_mul(weights.den).ok_or(EstimateError::Overflow)?;
    let by = gcd(num, sum);
    Ok((values, Scaling::Scaled { num: num / by, den: sum / by }))
}

impl Scaling {
    pub const fn is_scaled(self) -> bool {
        matches!(self, Self::Scaled { .. } | Self::Spread | Self::Measured)
    }

    /// False when the scale is so far from 1 that a person should look (7.5, step four).
    pub fn is_plausible(self) -> bool {
        match self {
            Self::Scaled { num, den } => {
                let milli = num.saturating_mul(1000);
                milli >= den.saturating_mul(RATIO_MIN_MILLI)
                    && milli <= den.saturating_mul(RATIO_MAX_MILLI)
            }
            Self::Negative => false,
            Self::Spread | Self::Measured | Self::Unscaled(_) => true,
        }
    }
}
