//! Repairs of intervals that came in the wrong shape: of another length (#3), or an hour twice.

use metering::{QualityStatus, Ratio, UtcTime};

use super::share::Weights;
use super::{
    Confidence, ConfidenceClass, Estimate, EstimateError, Gap, Inputs, Method, Scaling, Series,
    Slot,
};

/// An interval that has another length than its channel's, and nothing else against it (#3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OddInterval {
    pub start: UtcTime,
    pub value: i64,
    /// Longer than the channel's; else shorter.
    pub long: bool,
}

/// Most slots that one long interval is cut into: a day of hours.
const PARTS_MAX: i64 = 24;

/// Intervals of another length, cut or merged to the channel's slots of `len_s`; rising. `starts`
/// are those of all that arrived, rising. The length of a long interval is the distance at which the
/// long ones follow one another. What cannot be told exactly (a long one alone, a length that is no
/// multiple, an incomplete group) is left to the estimator.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn other_lengths(
    odd: &[OddInterval],
    starts: &[UtcTime],
    (len_s, step): (i32, i64),
) -> Result<Vec<Estimate>, EstimateError> {
    let len = i64::from(len_s.max(1));
    let mut told = Vec::new();
    let long: Vec<&OddInterval> = odd.iter().filter(|one| one.long).collect();
    for one in &long {
        let Some(span) = true_length(&long, one.start) else { continue };
        let end = one.start.plus_seconds(span);
        let within = starts.iter().any(|start| one.start < *start && *start < end);
        let fits = span % len == 0 && (2..=PARTS_MAX).contains(&(span / len));
        if within || !fits || one.start.floor_to(span) != one.start {
            continue;
        }
        let values = shared(one.value, usize::try_from(span / len).unwrap_or(1), step)?;
        told.push(measured(Gap::new(one.start, end), values, ConfidenceClass::B));
    }
    for group in odd.chunk_by(|a, b| a.start.floor_to(len) == b.start.floor_to(len)) {
        let slot = group[0].start.floor_to(len);
        let count = i64::try_from(group.len()).unwrap_or(0);
        let part = len / count;
        let complete = count >= 2
            && len % count == 0
            && group.iter().all(|one| !one.long)
            && (0..).zip(group).all(|(k, one)| one.start == slot.plus_seconds(k * part));
        if complete {
            let values: Vec<i64> = group.iter().map(|one| one.value).collect();
            let values = reslice(&values, i32::try_from(part).unwrap_or(1), len_s)?;
            let gap = Gap::new(slot, slot.plus_seconds(len));
            told.push(measured(gap, values, ConfidenceClass::A));
        }
    }
    told.sort_by_key(|one| one.gap);
    Ok(told)
}

/// The shortest distance between two long intervals, when this one has a neighbour at it.
fn true_length(long: &[&OddInterval], start: UtcTime) -> Option<i64> {
    let distance = |pair: &[&OddInterval]| pair[1].start.seconds_since(pair[0].start);
    let span = long.windows(2).map(distance).min()?;
    let neighbour = |at: i64| long.iter().any(|one| one.start == start.plus_seconds(at));
    (neighbour(span) || neighbour(-span)).then_some(span)
}

/// A whole number of units in equal parts on the meter's grid.
fn shared(value: i64, parts: usize, step: i64) -> Result<Vec<i64>, EstimateError> {
    Weights::new(vec![1; parts], 1).share(value, step)
}

fn measured(gap: Gap, values: Vec<i64>, class: ConfidenceClass) -> Estimate {
    let total = i64::try_from(values.iter().map(|value| i128::from(*value)).sum::<i128>()).ok();
    Estimate {
        gap,
        method: Method::Calculated,
        values,
        status: QualityStatus::Estimated,
        scaling: Scaling::Measured,
        residual: Ratio::whole(0),
        inputs: Inputs::default(),
        confidence: Confidence {
            class,
            p10: total,
            p90: total,
            error_milli: None,
            bias_milli: None,
        },
        alternatives: Vec::new(),
        review: Vec::new(),
    }
}

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
        let mut all = Vec::with_capacity(values.len() * parts);
        for value in values {
            all.extend(shared(*value, parts, 1)?);
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
    /// The device labels both hours alike: its second values belong to the second hour. All slots
    /// of both hours with their own measured values.
    Moved(Vec<Slot>),
    /// The device (or its back office) added both hours into one: halves, exactly, of the slots
    /// that `doubled` names.
    Halved { estimate: Box<Estimate>, doubled: Vec<Slot> },
}

/// A register around the day of the change, on the grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayAdvance {
    pub window: Gap,
    pub advance: i64,
    /// One step of the counter.
    pub step: i64,
}

/// Repairs the repeated hour of the local day's autumn change, `first` and `second` being its two
/// passages: without repair one of them shows both hours' use, a false peak, and the other none.
/// A doubled value is only halved when the sum is right: the other passage is empty, and the values
/// of `series` already add up to the register's advance without it (the tolerance of REG-SUM, which
/// must be far below what the hour holds).
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn repeated_hour(
    series: &Series,
    (first, second): (Gap, Gap),
    again: &[SecondValue],
    advance: Option<DayAdvance>,
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
    // Measured here already, not estimated.
    if !kept
        .iter()
        .all(|slot| matches!(slot.code.status(), QualityStatus::Raw | QualityStatus::Validated))
    {
        return Ok(RepeatedHour::Sound);
    }
    let moved: Vec<Option<i64>> = kept
        .iter()
        .map(|slot| again.iter().find(|second| second.end == slot.end).map(|second| second.value))
        .collect();
    if let Some(moved) = moved.into_iter().collect::<Option<Vec<i64>>>() {
        // What arrived first happened first.
        let (earlier, later): (Vec<i64>, Vec<i64>) =
            kept.iter().zip(&moved).map(|(slot, value)| (slot.value, *value)).unzip();
        let (kept_now, moved_now) = if full == first { (earlier, later) } else { (later, earlier) };
        let mut slots = with_values(&kept, &kept_now);
        slots.extend(relabelled(&kept, empty.ends(len_s), &moved_now));
        return Ok(RepeatedHour::Moved(slots));
    }
    let Some(known) = advance.filter(|known| is_doubled(series, &kept, known)) else {
        return Ok(RepeatedHour::Sound);
    };
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for slot in &kept {
        let halves = shared(slot.value, 2, known.step)?;
        one.push(halves[0]);
        other.push(halves[1]);
    }
    one.extend(other);
    let gap = Gap::new(first.from, second.to);
    let estimate = measured(gap, one, ConfidenceClass::B);
    Ok(RepeatedHour::Halved { estimate: Box::new(estimate), doubled: kept })
}

/// Parts of REG-SUM's tolerance: steps of the counter, and a share of the advance.
const SUM_STEPS: i128 = 2;
const SUM_PART: i128 = 1_000;

fn is_doubled(series: &Series, kept: &[Slot], known: &DayAdvance) -> bool {
    let sum_of = |slots: &[Slot]| -> i128 {
        slots.iter().filter(|slot| slot.is_usable()).map(|slot| i128::from(slot.value)).sum()
    };
    let advance = i128::from(known.advance);
    let allowed = (SUM_STEPS * i128::from(known.step)).max(advance / SUM_PART);
    let sum = sum_of(series.between(known.window.from, known.window.to));
    (sum - advance).abs() <= allowed && sum_of(kept) > 4 * allowed
}

fn with_values(slots: &[Slot], values: &[i64]) -> Vec<Slot> {
    slots.iter().zip(values).map(|(slot, value)| Slot { value: *value, ..*slot }).collect()
}

fn relabelled(slots: &[Slot], ends: impl Iterator<Item = UtcTime>, values: &[i64]) -> Vec<Slot> {
    let labelled = slots.iter().zip(ends).zip(values);
    labelled.map(|((slot, end), value)| Slot { end, value: *value, ..*slot }).collect()
}
