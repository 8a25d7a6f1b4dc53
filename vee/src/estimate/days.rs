//! Local days of a series: which are complete and valid, and which of them are like a given day.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::{Span, ToSpan};
use metering::{DayShape, UtcTime};

use super::input::{ChannelFacts, DayType};
use super::{Gap, Series, Slot};

/// Like days are looked for within this many days (five weeks) of the day. `default`.
pub const LIKE_REACH_DAYS: i32 = 35;
/// Like days that are averaged (California, Itron: three nearest).
pub const LIKE_DAYS: usize = 3;

/// A complete local day of reference values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RefDay {
    pub shape: DayShape,
    pub sum: i64,
}

/// The complete valid days of a series by date.
#[derive(Clone, Debug, Default)]
pub(super) struct Days {
    complete: BTreeMap<Date, RefDay>,
}

impl Days {
    pub(super) fn of(facts: &ChannelFacts, series: &Series) -> Self {
        let mut complete = BTreeMap::new();
        let slots = series.slots();
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            return Self::default();
        };
        let mut from = first.end.plus_seconds(-i64::from(series.len_s()));
        while from < last.end {
            let shape = facts.calendar.day_containing(from);
            if shape.end <= from {
                break;
            }
            if let Some(sum) = sum_if_complete(series, shape) {
                complete.insert(shape.date, RefDay { shape, sum });
            }
            // Years may lie between the blocks of a series: go on with the next slot there is.
            let at = slots.partition_point(|slot| slot.end <= shape.end);
            let Some(next) = slots.get(at) else { break };
            from = next.end.plus_seconds(-i64::from(series.len_s())).max(shape.end);
        }
        Self { complete }
    }

    /// The day, unless the masked stretch touches it.
    pub(super) fn get(&self, date: Date, masked: Gap) -> Option<&RefDay> {
        self.complete.get(&date).filter(|day| !masked.overlaps(day.shape.start, day.shape.end))
    }

    /// Complete days, newest first, that begin before `until`.
    pub(super) fn newest_before(&self, until: UtcTime) -> impl Iterator<Item = &RefDay> {
        self.complete.values().rev().filter(move |day| day.shape.start < until)
    }

    /// All complete days from `from` to `to`, oldest first.
    pub(super) fn range(&self, from: Date, to: Date) -> impl Iterator<Item = &RefDay> {
        self.complete.range(from..=to).map(|(_, day)| day)
    }

    /// Up to [`LIKE_DAYS`] days like `date`: the nearest of the same weekday (a holiday: of the
    /// holidays), then of the same day type; ties: the earlier first. A holiday without another
    /// one in reach takes Sundays.
    pub(super) fn like(&self, facts: &ChannelFacts, date: Date, masked: Gap) -> Vec<Date> {
        let kind = facts.day_type(date);
        let reach = LIKE_REACH_DAYS.days();
        let (from, to) = (shifted(date, -reach), shifted(date, reach));
        let mut found: Vec<(u8, u32, bool, Date)> = self
            .range(from, to)
            .filter(|day| day.shape.date != date)
            .filter_map(|day| {
                let other = day.shape.date;
                let rank = like_rank(kind, facts.day_type(other), date, other)?;
                self.get(other, masked)?;
                Some((rank, days_between(date, other).unsigned_abs(), other > date, other))
            })
            .collect();
        found.sort_unstable();
        found.truncate(LIKE_DAYS);
        found.into_iter().map(|(_, _, _, date)| date).collect()
    }
}

fn like_rank(kind: DayType, other_kind: DayType, date: Date, other: Date) -> Option<u8> {
    match (kind, other_kind) {
        (DayType::Holiday, DayType::Holiday) => Some(0),
        (DayType::Holiday, DayType::Sunday) => Some(2),
        (kind, other_kind) if kind == other_kind => {
            Some(u8::from(date.weekday() != other.weekday()))
        }
        _ => None,
    }
}

fn sum_if_complete(series: &Series, shape: DayShape) -> Option<i64> {
    let slots = series.between(shape.start, shape.end);
    let want = usize::try_from(shape.slot_count(series.len_s())).unwrap_or(usize::MAX);
    if slots.len() != want || want == 0 || !slots.iter().all(Slot::is_reference) {
        return None;
    }
    slots.iter().try_fold(0_i64, |sum, slot| sum.checked_add(slot.value))
}

pub(super) fn shifted(date: Date, by: Span) -> Date {
    date.checked_add(by).unwrap_or(date)
}

pub(super) fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

/// The slot of `date` at the wall time at which the slot ending at `end` begins: how one local day
/// is laid on another. `None` for an hour that the clock skips on `date`; of an hour that comes
/// twice, the first.
pub(super) fn same_wall_slot(
    facts: &ChannelFacts,
    end: UtcTime,
    date: Date,
    len_s: i32,
) -> Option<UtcTime> {
    let start = end.plus_seconds(-i64::from(len_s));
    let wall = start.to_jiff().to_zoned(facts.calendar.zone().clone()).datetime();
    let there: DateTime = date.to_datetime(wall.time());
    let zoned = there.to_zoned(facts.calendar.zone().clone()).ok()?;
    if zoned.datetime() != there {
        return None;
    }
    Some(UtcTime::from_jiff(zoned.timestamp()).plus_seconds(i64::from(len_s)))
}
