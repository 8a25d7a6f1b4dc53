//! How well each method does on this very channel: known good stretches are hidden and estimated.

use metering::UtcTime;

use super::shapes::Around;
use super::share::Weights;
use super::{EstimateError, Gap, Method};

/// Methods that a back-test compares, in the order of the ladder.
pub const COMPARED: [Method; 6] = [
    Method::Linear,
    Method::LikeMean,
    Method::LikeOne,
    Method::PreviousYear,
    Method::AverageDaily,
    Method::ClassProfile,
];
/// Stretches hidden per channel and class: bounds the cost. `default`.
pub const MASKS_MAX: usize = 20;
/// Days looked back for stretches. `default`.
const LOOK_BACK: usize = 60;

/// Gaps of about one length do alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GapClass {
    OneSlot,
    UpTo2h,
    UpTo12h,
    UpTo1d,
    UpTo7d,
    Longer,
}

impl GapClass {
    pub const ALL: [Self; 6] =
        [Self::OneSlot, Self::UpTo2h, Self::UpTo12h, Self::UpTo1d, Self::UpTo7d, Self::Longer];

    pub fn of(gap: Gap, len_s: i32) -> Self {
        match gap.len_s() {
            len if len <= i64::from(len_s) => Self::OneSlot,
            ..=7_200 => Self::UpTo2h,
            7_201..=43_200 => Self::UpTo12h,
            43_201..=90_000 => Self::UpTo1d,
            90_001..=604_800 => Self::UpTo7d,
            _ => Self::Longer,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::OneSlot => "1 slot",
            Self::UpTo2h => "up to 2 h",
            Self::UpTo12h => "up to 12 h",
            Self::UpTo1d => "up to 1 d",
            Self::UpTo7d => "up to 7 d",
            Self::Longer => "longer",
        }
    }

    /// Slots of the stretches that stand for the class.
    pub fn slots(self, len_s: i32) -> usize {
        let seconds = match self {
            Self::OneSlot => len_s,
            Self::UpTo2h => 3_600,
            Self::UpTo12h => 21_600,
            Self::UpTo1d => 86_400,
            Self::UpTo7d => 3 * 86_400,
            Self::Longer => 10 * 86_400,
        };
        usize::try_from(seconds / len_s.max(1)).unwrap_or(1).max(1)
    }
}

/// Errors of one method over the hidden stretches, in thousandths of what was really used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MethodScore {
    pub method: Method,
    /// Stretches that the method could estimate.
    pub tests: u32,
    /// Signed: (estimated - actual) / actual, over all stretches.
    pub bias_milli: i32,
    /// Sum of the absolute slot errors over the sum of the actual values. The weighted form of the
    /// mean absolute percentage error: slots of zero use are common and have no percentage.
    pub mape_milli: i32,
    /// Actual over estimated use of a stretch, its 10 % and 90 % quantiles.
    pub p10_milli: i32,
    pub p90_milli: i32,
}

/// Error sums of one method; add stretches, then [`Tally::score`].
#[derive(Clone, Default, Debug)]
pub struct Tally {
    tests: u32,
    actual: i128,
    estimated: i128,
    absolute: i128,
    ratios: Vec<i32>,
}

const MILLI_MAX: i128 = 1_000_000;

pub(super) fn milli(num: i128, den: i128) -> i32 {
    if den == 0 {
        return if num == 0 { 0 } else { 1_000_000 };
    }
    let value = super::share::half_up(num.saturating_mul(1000), den.abs());
    i32::try_from(value.clamp(-MILLI_MAX, MILLI_MAX)).unwrap_or(i32::MAX)
}

impl Tally {
    /// One stretch: what was estimated and what was really used, slot by slot.
    pub fn add(&mut self, estimated: &[i64], actual: &[i64]) {
        let sum = |values: &[i64]| values.iter().map(|value| i128::from(*value)).sum::<i128>();
        let errors = estimated.iter().zip(actual);
        self.tests += 1;
        self.absolute += errors.map(|(e, a)| (i128::from(*e) - i128::from(*a)).abs()).sum::<i128>();
        let (estimated, actual) = (sum(estimated), sum(actual));
        self.ratios.push(if estimated == 0 && actual == 0 {
            1000
        } else {
            milli(actual, estimated)
        });
        self.estimated += estimated;
        self.actual += actual;
    }

    pub fn merge(&mut self, other: &Self) {
        self.tests += other.tests;
        self.actual += other.actual;
        self.estimated += other.estimated;
        self.absolute += other.absolute;
        self.ratios.extend_from_slice(&other.ratios);
    }

    pub const fn tests(&self) -> u32 {
        self.tests
    }

    /// `None` without any stretch.
    pub fn score(&self, method: Method) -> Option<MethodScore> {
        let mut ratios = self.ratios.clone();
        ratios.sort_unstable();
        let last = ratios.len().checked_sub(1)?;
        Some(MethodScore {
            method,
            tests: self.tests,
            bias_milli: milli(self.estimated - self.actual, self.actual),
            mape_milli: milli(self.absolute, self.actual),
            p10_milli: ratios[last / 10],
            p90_milli: ratios[(last * 9).div_ceil(10)],
        })
    }
}

/// Hidden stretches of a class: on the newest complete days, each at another time of the day.
pub(super) fn masks(around: &Around<'_>, class: GapClass, until: UtcTime) -> Vec<Gap> {
    let len_s = around.facts.len_s();
    let slots = class.slots(len_s);
    let len = i64::from(len_s);
    let mut masks: Vec<Gap> = Vec::new();
    for (n, day) in around.days.newest_before(until).take(LOOK_BACK).enumerate() {
        if masks.len() == MASKS_MAX {
            break;
        }
        // Seven is prime to every number of slots in use, so all times of the day have their turn.
        let of_day = day.shape.slot_count(len_s).max(1);
        let shift = (i64::try_from(n).unwrap_or(0) * 7 * of_day / 24).rem_euclid(of_day);
        let from =
            day.shape.start.plus_seconds(if class >= GapClass::UpTo1d { 0 } else { shift * len });
        let to = from.plus_seconds(i64::try_from(slots).unwrap_or(1) * len);
        let mask = Gap::new(from, to);
        if truth(around, mask).is_some() {
            masks.push(mask);
        }
    }
    masks
}

/// What was really used in the stretch; `None` unless every slot is a reference value.
pub(super) fn truth(around: &Around<'_>, mask: Gap) -> Option<Vec<i64>> {
    mask.ends(around.facts.len_s())
        .map(|end| around.series.at(end).filter(|slot| slot.is_reference()).map(|slot| slot.value))
        .collect()
}

/// Scores of all compared methods on stretches of this class. `scaled`: with the sum known, as
/// between two registers, so that only the course matters.
pub(super) fn scores(
    around: &Around<'_>,
    class: GapClass,
    until: UtcTime,
    scaled: bool,
) -> Vec<MethodScore> {
    let masks = masks(around, class, until);
    let mut found = Vec::new();
    for method in COMPARED {
        let mut tally = Tally::default();
        for mask in &masks {
            let Some(actual) = truth(around, *mask) else { continue };
            let Ok(shape) = around.shape(method, *mask) else { continue };
            if let Ok(values) = fill(&shape.weights, scaled, &actual, around.facts.step()) {
                tally.add(&values, &actual);
            }
        }
        found.extend(tally.score(method));
    }
    found
}

pub(super) fn fill(
    weights: &Weights,
    scaled: bool,
    actual: &[i64],
    step: i64,
) -> Result<Vec<i64>, EstimateError> {
    if scaled { weights.share(actual.iter().sum(), step) } else { weights.rounded(step) }
}
