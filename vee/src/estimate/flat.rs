//! EST-ADL and EST-EQ (7.4): flat values, and registers projected by average daily use.

use metering::{Exact, UtcTime};

use super::EstimateError;
use super::share::{Weights, half_up, to_i64};

/// EST-EQ: the advance of a register spread equally over `slots`.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn equal_split(advance: i64, slots: usize) -> Result<Vec<i64>, EstimateError> {
    Weights::new(vec![0; slots], 1).share(advance, 1)
}

/// A register read at an instant, in milli-units or counter steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    pub at: UtcTime,
    pub value: i64,
}

/// Itron ADC: the nearest read at or before `to` plus the average use per time of all reads,
/// rounded half up. `None` with fewer than two reads, or none before `to`.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn project_register(reads: &[Read], to: UtcTime) -> Result<Option<i64>, EstimateError> {
    let (Some(first), Some(last)) = (reads.first(), reads.last()) else { return Ok(None) };
    let span = i128::from(last.at.micros()) - i128::from(first.at.micros());
    let Some(nearest) = reads.iter().rev().find(|read| read.at <= to) else { return Ok(None) };
    if span <= 0 {
        return Ok(None);
    }
    let rise = i128::from(last.value) - i128::from(first.value);
    let ahead = i128::from(to.micros()) - i128::from(nearest.at.micros());
    let more = rise.checked_mul(ahead).ok_or(EstimateError::Overflow)?;
    Ok(Some(to_i64(i128::from(nearest.value) + half_up(more, span))?))
}

/// The monthly estimate of a dial (CPUC 1998 draft): average daily use half up to two decimals,
/// times days, divided by the dial's constant, cut to whole steps and added to the last read.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range; a constant must be positive.
pub fn monthly_read(
    adu: Exact,
    days: i64,
    last_read: i64,
    constant: i64,
) -> Result<i64, EstimateError> {
    let (hundredths, _) = adu.to_decimals(2).map_err(|_| EstimateError::Overflow)?;
    let divisor = i128::from(constant).checked_mul(100).filter(|d| *d > 0);
    let divisor = divisor.ok_or(EstimateError::Overflow)?;
    let usage = i128::from(hundredths) * i128::from(days);
    to_i64(i128::from(last_read) + usage / divisor)
}
