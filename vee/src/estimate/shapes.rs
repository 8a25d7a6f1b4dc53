//! What each method would write into a gap, before rounding and before any scaling.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use metering::{Commodity, UtcTime};

use super::days::{Days, days_between, same_wall_slot, shifted};
use super::input::{ChannelFacts, ClassProfile};
use super::share::{Weights, half_up};
use super::{EstimateError, Gap, Method, Series};

/// EST-LIN on electricity: the longest gap, in seconds (California VEE). `std`.
pub const LINEAR_MAX_S: i64 = 7_200;
/// Days of recent load behind EST-ADL, EST-CLASS and the ratio of EST-PREVY. `default`.
const RECENT_DAYS: i32 = 28;
/// The same weekday one year before.
const YEAR_DAYS: i32 = 364;

/// One channel with its days, as every method sees it. `masked` is taken for missing: the gap
/// itself, or the stretch that a back-test hides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub facts: &'a ChannelFacts,
    pub series: &'a Series,
    pub days: &'a Days,
    pub profile: Option<&'a ClassProfile>,
    pub check: Option<&'a Series>,
}

/// A method's values for one gap as exact weights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    pub weights: Weights,
    pub reference_days: Vec<Date>,
    pub before: Option<i64>,
    pub after: Option<i64>,
    /// True for a straight line with one end only.
    pub one_sided: bool,
}

impl Shape {
    fn of(values: Vec<i128>, den: i128) -> Self {
        Self {
            weights: Weights::new(values, den),
            reference_days: Vec::new(),
            before: None,
            after: None,
            one_sided: false,
        }
    }
}

/// Why a method gives no values for a gap. Shown beside the method.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotApplicable {
    #[error("the gap is longer than the method allows")]
    TooLong,
    #[error("a neighbour is missing, not validated or had a power failure")]
    Neighbours,
    #[error("a neighbour is zero: a straight line would invent flow")]
    ZeroNeighbour,
    #[error("no like day within five weeks is complete and valid")]
    NoLikeDay,
    #[error("fewer than three like days")]
    FewLikeDays,
    #[error("the same days of last year are not known")]
    NoPreviousYear,
    #[error("no recent day is complete and valid")]
    NoRecentDays,
    #[error("no class profile is known")]
    NoProfile,
    #[error("no check channel covers the gap")]
    NoCheck,
    #[error("no outage covers the gap")]
    NoOutage,
    #[error("the outage lacks the flags of its reads, or lasted a day or more")]
    OutageUnproven,
    #[error("never for water, gas or heat")]
    WrongCommodity,
    #[error("values of this method come from elsewhere")]
    NotComputed,
}

impl<'a> Around<'a> {
    fn reference(&self, end: UtcTime, masked: Gap) -> Option<i64> {
        let slot = self.series.at(end).filter(|slot| slot.is_reference())?;
        (!masked.holds(end)).then_some(slot.value)
    }

    fn neighbours(&self, gap: Gap) -> (Option<i64>, Option<i64>) {
        let (before, after) = self.ends_beside(gap);
        let value = |end| {
            let own = gap.ends(self.facts.len_s()).any(|own| own == end);
            let slot = self.series.at(end).filter(|slot| !own && slot.is_reference())?;
            Some(slot.value)
        };
        (value(before), value(after))
    }

    /// Ends of the slots before and after. Local days are no 24 hours apart where the clocks change.
    fn ends_beside(&self, gap: Gap) -> (UtcTime, UtcTime) {
        let len_s = i64::from(self.facts.len_s());
        let calendar = &self.facts.calendar;
        let day = calendar.day_containing(gap.to);
        let daily = len_s >= metering::time::DAY_S && !self.facts.is_register_only();
        if !daily || day.start != gap.to {
            return (gap.from, gap.to.plus_seconds(len_s));
        }
        let first = gap.from.plus_seconds(len_s);
        (calendar.day_containing(first.plus_seconds(-1)).start, day.end)
    }

    /// The shape of one method, or why there is none.
    pub(super) fn shape(&self, method: Method, gap: Gap) -> Result<Shape, NotApplicable> {
        match method {
            Method::Linear => {
                self.linear_gate(gap)?;
                self.line(gap)
            }
            Method::LikeMean => self.like(gap, super::days::LIKE_DAYS),
            Method::LikeOne => self.like(gap, 1),
            Method::PreviousYear => self.previous_year(gap),
            Method::AverageDaily => self.average_daily(gap),
            Method::ClassProfile => self.class(gap),
            Method::Check => self.check(gap),
            _ => Err(NotApplicable::NotComputed),
        }
    }

    /// Steps 3 and 3' of the ladder.
    pub(super) fn linear_gate(&self, gap: Gap) -> Result<(), NotApplicable> {
        let (Some(before), Some(after)) = self.neighbours(gap) else {
            return Err(NotApplicable::Neighbours);
        };
        if self.facts.commodity == Commodity::Electricity {
            return if gap.len_s() <= LINEAR_MAX_S { Ok(()) } else { Err(NotApplicable::TooLong) };
        }
        if gap.len_s() > i64::from(self.facts.len_s()) {
            return Err(NotApplicable::TooLong);
        }
        if before > 0 && after > 0 { Ok(()) } else { Err(NotApplicable::ZeroNeighbour) }
    }

    /// The straight line without its gate; flat from the known side when one end lacks.
    pub(super) fn line(&self, gap: Gap) -> Result<Shape, NotApplicable> {
        let n = gap.slots(self.facts.len_s());
        let (before, after) = self.neighbours(gap);
        let mut shape = match (before, after) {
            (Some(a), Some(b)) => {
                let weights = line_weights(a, b, n);
                Shape { weights, ..Shape::of(Vec::new(), 1) }
            }
            (Some(one), None) | (None, Some(one)) => {
                Shape { one_sided: true, ..Shape::of(vec![i128::from(one); n], 1) }
            }
            (None, None) => return Err(NotApplicable::Neighbours),
        };
        (shape.before, shape.after) = (before, after);
        Ok(shape)
    }

    fn like(&self, gap: Gap, want: usize) -> Result<Shape, NotApplicable> {
        let mut used = BTreeSet::new();
        let mut cells = Vec::with_capacity(gap.slots(self.facts.len_s()));
        let mut today: Option<(Date, Vec<Date>)> = None;
        for end in gap.ends(self.facts.len_s()) {
            let start = end.plus_seconds(-i64::from(self.facts.len_s()));
            let date = self.facts.calendar.date_of(start);
            if today.as_ref().is_none_or(|(of, _)| *of != date) {
                let mut days = self.days.like(self.facts, date, gap);
                if days.is_empty() {
                    return Err(NotApplicable::NoLikeDay);
                }
                if days.len() < want {
                    return Err(NotApplicable::FewLikeDays);
                }
                days.truncate(want);
                used.extend(days.iter().copied());
                today = Some((date, days));
            }
            let days = today.as_ref().map_or(&[][..], |(_, days)| days.as_slice());
            cells.push(self.cell(end, days, gap));
        }
        let (values, den) = like_weights(&cells, want);
        let mut shape = Shape::of(values, den);
        shape.reference_days = used.into_iter().collect();
        (shape.before, shape.after) = self.neighbours(gap);
        Ok(shape)
    }

    /// Sum of the reference days' values at the wall slot of `end`, and how many had one.
    fn cell(&self, end: UtcTime, days: &[Date], gap: Gap) -> (i128, u32) {
        let len_s = self.facts.len_s();
        days.iter()
            .filter_map(|day| same_wall_slot(self.facts, end, *day, len_s))
            .filter_map(|there| self.reference(there, gap))
            .fold((0, 0), |(sum, count), value| (sum + i128::from(value), count + 1))
    }

    /// 52 weeks before, times the ratio of average daily use now to then.
    fn previous_year(&self, gap: Gap) -> Result<Shape, NotApplicable> {
        let year = YEAR_DAYS.days();
        let first = self.facts.calendar.date_of(gap.from);
        let (mut now, mut then, mut n) = (0_i128, 0_i128, 0_i128);
        for day in self.days.range(shifted(first, -RECENT_DAYS.days()), first) {
            let before = self.days.get(shifted(day.shape.date, -year), gap);
            if let (Some(before), Some(_)) = (before, self.days.get(day.shape.date, gap)) {
                now += i128::from(day.sum);
                then += i128::from(before.sum);
                n += 1;
            }
        }
        if n < 3 || then <= 0 || now < 0 {
            return Err(NotApplicable::NoPreviousYear);
        }
        let len_s = self.facts.len_s();
        let mut days = BTreeSet::new();
        let values: Option<Vec<i128>> = gap
            .ends(len_s)
            .map(|end| {
                let start = end.plus_seconds(-i64::from(len_s));
                let date = shifted(self.facts.calendar.date_of(start), -year);
                let there = same_wall_slot(self.facts, end, date, len_s)?;
                days.insert(date);
                let value = i128::from(self.reference(there, gap)?);
                Some(half_up(value.checked_mul(now)?, then))
            })
            .collect();
        let mut shape = Shape::of(values.ok_or(NotApplicable::NoPreviousYear)?, 1);
        shape.reference_days = days.into_iter().collect();
        Ok(shape)
    }

    /// Mean use of a complete day around the gap, as (sum of days, number of days).
    fn recent(&self, gap: Gap) -> Option<(i128, i128)> {
        let first = self.facts.calendar.date_of(gap.from);
        let last = self.facts.calendar.date_of(gap.to);
        let (mut sum, mut n) = (0_i128, 0_i128);
        let reach = RECENT_DAYS.days();
        for day in self.days.range(shifted(first, -reach), shifted(last, reach)) {
            let far = days_between(day.shape.date, first) > RECENT_DAYS;
            if !far && self.days.get(day.shape.date, gap).is_some() {
                sum += i128::from(day.sum);
                n += 1;
            }
        }
        (n > 0).then_some((sum, n))
    }

    fn average_daily(&self, gap: Gap) -> Result<Shape, NotApplicable> {
        let (sum, n) = self.recent(gap).ok_or(NotApplicable::NoRecentDays)?;
        let len = i128::from(self.facts.len_s());
        let slots = gap.slots(self.facts.len_s());
        Ok(Shape::of(vec![sum * len; slots], n * 86_400))
    }

    fn class(&self, gap: Gap) -> Result<Shape, NotApplicable> {
        let profile = self.profile.ok_or(NotApplicable::NoProfile)?;
        let (sum, n) = self.recent(gap).unwrap_or((i128::from(profile.daily), 1));
        let values: Option<Vec<i128>> = gap
            .ends(self.facts.len_s())
            .map(|end| {
                let (weight, of_day) = class_weight(self.facts, profile, end)?;
                Some(half_up(sum.checked_mul(weight)?, n.checked_mul(of_day)?))
            })
            .collect();
        Ok(Shape::of(values.ok_or(NotApplicable::NoProfile)?, 1))
    }

    fn check(&self, gap: Gap) -> Result<Shape, NotApplicable> {
        let check = self.check.ok_or(NotApplicable::NoCheck)?;
        let values: Option<Vec<i128>> = gap
            .ends(self.facts.len_s())
            .map(|end| Some(i128::from(check.at(end).filter(|slot| slot.is_reference())?.value)))
            .collect();
        Ok(Shape::of(values.ok_or(NotApplicable::NoCheck)?, 1))
    }
}

/// `v_k = a + (b - a) * k / (n + 1)`, k = 1..n, over the denominator n + 1.
pub fn line_weights(a: i64, b: i64, n: usize) -> Weights {
    let den = i128::try_from(n).unwrap_or(i128::from(u32::MAX)) + 1;
    let rise = i128::from(b) - i128::from(a);
    Weights::new((1..den).map(|k| i128::from(a) * den + rise * k).collect(), den)
}

/// EST-LIN on a register: the counter itself at `n` instants between two reads, each rounded half
/// up.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn register_line(open: i64, close: i64, n: usize) -> Result<Vec<i64>, EstimateError> {
    let line = line_weights(open, close, n);
    line.values.iter().map(|value| super::share::to_i64(half_up(*value, line.den))).collect()
}

/// Sums of reference days slot by slot; kept whole until scaling (7.3).
pub fn like_sums(references: &[Vec<i64>]) -> Vec<i64> {
    let slots = references.iter().map(Vec::len).min().unwrap_or(0);
    (0..slots).map(|k| references.iter().map(|day| day[k]).sum()).collect()
}

/// Sums over a common denominator: `want`, or a multiple of it when a slot lacks a reference.
fn like_weights(cells: &[(i128, u32)], want: usize) -> (Vec<i128>, i128) {
    let want = u32::try_from(want).unwrap_or(1).max(1);
    if cells.iter().all(|(_, count)| *count == want) {
        return (cells.iter().map(|(sum, _)| *sum).collect(), i128::from(want));
    }
    // 6 is divided by 1, 2 and 3; a slot that no reference day has is taken as its neighbours.
    let mut values: Vec<Option<i128>> = cells
        .iter()
        .map(|(sum, count)| (*count > 0).then(|| sum * 6 / i128::from(*count)))
        .collect();
    let mut last = values.iter().copied().flatten().next();
    for value in &mut values {
        match value {
            Some(known) => last = Some(*known),
            None => *value = last,
        }
    }
    (values.into_iter().map(Option::unwrap_or_default).collect(), 6)
}

/// Weight of the slot, and of all slots of its wall day, in one unit.
fn class_weight(
    facts: &ChannelFacts,
    profile: &ClassProfile,
    end: UtcTime,
) -> Option<(i128, i128)> {
    let len_s = i64::from(facts.len_s());
    let start = end.plus_seconds(-len_s).to_jiff().to_zoned(facts.calendar.zone().clone());
    let day = profile.weights(facts.day_type(start.date()));
    let slot_s = i64::from(profile.slot_s.max(1));
    let second =
        i64::from(start.hour()) * 3600 + i64::from(start.minute()) * 60 + i64::from(start.second());
    let total: i128 = day.iter().map(|weight| i128::from(*weight)).sum();
    if day.is_empty() || total <= 0 {
        return None;
    }
    // Seconds of each wall slot that the interval covers; a slot longer than a day wraps.
    let mut weight = 0_i128;
    let (mut at, mut left) = (second, len_s);
    while left > 0 {
        let index = usize::try_from(at / slot_s).ok()? % day.len();
        let take = left.min(slot_s - at % slot_s);
        weight += i128::from(day[index]) * i128::from(take);
        at += take;
        left -= take;
    }
    Some((weight, total * i128::from(slot_s)))
}
