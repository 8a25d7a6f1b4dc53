//! Repairs of intervals that came in the wrong shape: of another length (#3), or an hour twice.

use metering::UtcTime;

use super::share::largest_remainder;
use super::{EstimateError, Gap, Series, Slot};

/// Values of intervals of `from_s` seconds cut or merged to `to_s`, exactly. One length must be a
/// whole multiple of the other, and merging needs whole groups.
///
/// # Errors
/// [`EstimateError::Lengths`] otherwise: such a stretch is estimated, not re-sliced.
pub fn reslice(values: &[i64], from_s: i32, to_s: i32) -> Result<Vec<i64>, EstimateError> {
    let refuse = EstimateError::Lengths { from_s, to_s };
    if from_s <= 0 || to_s <= 0 {
        return Err(refuse);
    }
    if from_s % to_s == 0 {
        let parts = usize::try_from(from_s / to_s).map_err(|_| EstimateError::Overflow)?;
        let weights = vec![1; parts];
        let mut all = Vec::with_capacity(values.len() * parts);
        for value in values {
            all.extend(largest_remainder(*value, &weights)?);
        }
        return Ok(all);
    }
    let parts = usize::try_from(to_s / from_s).map_err(|_| EstimateError::Overflow)?;
    if to_s % from_s != 0 || !values.len().is_multiple_of(parts) {
        return Err(refuse);
    }
    let merged = values
        .chunks(parts)
        .map(|group| group.iter().try_fold(0_i64, |sum, value| sum.checked_add(*value)));
    merged.collect::<Option<Vec<i64>>>().ok_or(EstimateError::Overflow)
}

/// A second, different value for a slot, in order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecondValue {
    pub end: UtcTime,
    pub value: i64,
}

/// What was done about the hour that the clock shows twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RepeatedHour {
    /// Nothing to repair: both hours are there, or this is no such day.
    Sound,
    /// The device labels both hours alike: its second values belong to the second hour.
    Moved(Vec<Slot>),
    /// The device (or its back office) added both hours into one: halves, exactly.
    Halved(Vec<Slot>),
}

/// Repairs the repeated hour of the local day's autumn change, `first` and `second` being its two
/// passages: without repair one of them shows both hours' use, a false peak, and the other none.
/// A doubled value is only halved when the sum is right: the other passage is empty and the values
/// of `series` already add up to `advance` of the day without it.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn repeated_hour(
    series: &Series,
    (first, second): (Gap, Gap),
    again: &[SecondValue],
    advance: Option<(Gap, i64)>,
) -> Result<RepeatedHour, EstimateError> {
    let len_s = series.len_s();
    let of = |gap: Gap| -> Vec<Option<Slot>> {
        gap.ends(len_s).map(|end| series.at(end).copied().filter(Slot::is_usable)).collect()
    };
    let (here, there) = (of(first), of(second));
    // One passage is full, the other empty; a device may label by either offset.
    let (full, empty) = match (here.iter().all(Option::is_some), there.iter().all(Option::is_some))
    {
        (true, false) if there.iter().all(Option::is_none) => (first, second),
        (false, true) if here.iter().all(Option::is_none) => (second, first),
        _ => return Ok(RepeatedHour::Sound),
    };
    let kept: Vec<Slot> = full.ends(len_s).filter_map(|end| series.at(end).copied()).collect();
    let moved: Vec<Option<i64>> = kept
        .iter()
        .map(|slot| again.iter().find(|second| second.end == slot.end).map(|second| second.value))
        .collect();
    let ends = empty.ends(len_s);
    if let Some(moved) = moved.into_iter().collect::<Option<Vec<i64>>>() {
        // What arrived first happened first.
        let (earlier, later): (Vec<i64>, Vec<i64>) =
            kept.iter().zip(&moved).map(|(slot, value)| (slot.value, *value)).unzip();
        let (kept_now, moved_now) = if full == first { (earlier, later) } else { (later, earlier) };
        let mut slots = with_values(&kept, &kept_now);
        slots.extend(relabelled(&kept, ends, &moved_now));
        return Ok(RepeatedHour::Moved(slots));
    }
    let Some((window, advance)) = advance else { return Ok(RepeatedHour::Sound) };
    let sum: i128 = series
        .between(window.from, window.to)
        .iter()
        .filter(|slot| slot.is_usable())
        .map(|slot| i128::from(slot.value))
        .sum();
    if sum != i128::from(advance) {
        return Ok(RepeatedHour::Sound);
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for slot in &kept {
        let halves = largest_remainder(slot.value, &[1, 1])?;
        one.push(halves[0]);
        other.push(halves[1]);
    }
    let mut slots = with_values(&kept, &one);
    slots.extend(relabelled(&kept, ends, &other));
    Ok(RepeatedHour::Halved(slots))
}

fn with_values(slots: &[Slot], values: &[i64]) -> Vec<Slot> {
    slots.iter().zip(values).map(|(slot, value)| Slot { value: *value, ..*slot }).collect()
}

fn relabelled(slots: &[Slot], ends: impl Iterator<Item = UtcTime>, values: &[i64]) -> Vec<Slot> {
    let labelled = slots.iter().zip(ends).zip(values);
    labelled.map(|((slot, end), value)| Slot { end, value: *value, ..*slot }).collect()
}
