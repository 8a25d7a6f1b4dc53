//! A meter exchange within a gap (7.7): two residuals, never one across the exchange.

use metering::UtcTime;

use super::flat::{Read, project_register};
use super::input::RegisterWindow;
use super::{ConfidenceClass, Estimate, EstimateError, Estimator, Gap, GapInput, Review};

/// The gap of the old meter and that of the new one. An exchange within a slot belongs to the new
/// meter's first slot. `None` for a side without a whole slot.
pub fn split(gap: Gap, exchanged_at: UtcTime, len_s: i32) -> (Option<Gap>, Option<Gap>) {
    let len = i64::from(len_s.max(1));
    let into = exchanged_at.seconds_since(gap.from).clamp(0, gap.len_s());
    let cut = gap.from.plus_seconds(into - into.rem_euclid(len));
    let old = (cut > gap.from).then_some(Gap::new(gap.from, cut));
    let new = (cut < gap.to).then_some(Gap::new(cut, gap.to));
    (old, new)
}

/// The old meter's side: last good read to final read. Without a final read the register is
/// projected to the exchange by the average of `reads` (rising, of the old meter): confidence D,
/// and a person reviews it.
///
/// # Errors
/// As [`super::estimate`]; [`EstimateError::NoData`] without a final read and two earlier ones.
pub fn old_side(
    input: &GapInput<'_>,
    final_read: Option<Read>,
    reads: &[Read],
    exchanged_at: UtcTime,
) -> Result<Vec<Estimate>, EstimateError> {
    let open = reads.last().copied().ok_or(EstimateError::NoData)?;
    let close = match final_read {
        Some(read) => read,
        None => {
            let value = project_register(reads, exchanged_at)?.ok_or(EstimateError::NoData)?;
            Read { at: exchanged_at, value }
        }
    };
    let window = RegisterWindow {
        open_at: open.at,
        close_at: close.at,
        open: open.value,
        close: close.value,
        advance: close.value.checked_sub(open.value).ok_or(EstimateError::Overflow)?,
    };
    let input = GapInput { registers: Some(window), ..*input };
    let mut estimates = Estimator::new(input).estimate(&input)?;
    if final_read.is_none() {
        for one in &mut estimates {
            one.review.push(Review::ExchangeWithoutFinalRead);
            one.confidence.class = ConfidenceClass::D;
        }
    }
    Ok(estimates)
}
