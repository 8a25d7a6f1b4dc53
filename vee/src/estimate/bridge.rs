//! A meter exchange within a gap (7.7): two residuals, never one across the exchange.

use metering::UtcTime;

use super::flat::{Read, project_register};
use super::input::RegisterWindow;
use super::share::to_i64;
use super::{ConfidenceClass, Estimate, EstimateError, Gap, Review};

/// The meter was exchanged: the counter begins anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    pub at: UtcTime,
    /// Run of the new meter's reads.
    pub new_run: u16,
    /// The old meter's last total is known.
    pub has_final: bool,
}

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

/// The old meter's window when it has no final read: its register goes on to the exchange by the
/// average of `reads` (rising, of the old meter) and closes at `closes_at`. `None` with fewer than
/// two reads.
pub fn projected(
    reads: &[Read],
    exchanged_at: UtcTime,
    closes_at: UtcTime,
) -> Option<RegisterWindow> {
    let open = reads.last().copied()?;
    let close = project_register(reads, exchanged_at).ok()??;
    Some(RegisterWindow {
        open_at: open.at,
        close_at: closes_at,
        open: open.value,
        close,
        advance: close.checked_sub(open.value)?,
    })
}

/// Says of estimates that they rest on a projected register: confidence D, and a person reviews
/// them before they count.
pub fn without_final_read(estimates: &mut [Estimate]) {
    for one in estimates {
        one.review.push(Review::ExchangeWithoutFinalRead);
        one.confidence.class = ConfidenceClass::D;
    }
}

/// Takes the slot in which the meter was exchanged off the old meter's estimates; gives its end and
/// what the old meter counted in it.
pub fn cut_shared(estimates: &mut Vec<Estimate>, len_s: i32) -> Option<(UtcTime, i64)> {
    let last = estimates.last_mut()?;
    let end = last.gap.to;
    let value = last.values.pop()?;
    shift_bounds(last, -i128::from(value));
    last.gap.to = end.plus_seconds(-i64::from(len_s));
    for trial in &mut last.alternatives {
        trial.values.pop();
    }
    if last.values.is_empty() {
        estimates.pop();
    }
    Some((end, value))
}

/// Adds the old meter's part to the slot of the exchange, which is the first of the new meter's
/// estimates when it is missing there.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn add_shared(
    estimates: &mut [Estimate],
    (end, value): (UtcTime, i64),
    len_s: i32,
) -> Result<(), EstimateError> {
    let first = |one: &&mut Estimate| one.gap.ends(len_s).next() == Some(end);
    let Some(one) = estimates.iter_mut().find(first) else { return Ok(()) };
    shift_bounds(one, i128::from(value));
    let both = |own: i64| to_i64(i128::from(own) + i128::from(value));
    for values in std::iter::once(&mut one.values)
        .chain(one.alternatives.iter_mut().map(|trial| &mut trial.values))
    {
        if let Some(own) = values.first_mut() {
            *own = both(*own)?;
        }
    }
    Ok(())
}

/// The bounds of the sum move with it.
fn shift_bounds(one: &mut Estimate, by: i128) {
    for bound in [&mut one.confidence.p10, &mut one.confidence.p90] {
        *bound = bound.and_then(|own| to_i64(i128::from(own) + by).ok());
    }
}
