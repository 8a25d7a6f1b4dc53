//! Which days share a partition, and what it is called.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{Span, ToSpan};

use super::Table;
use crate::error::StoreError;

/// More missing days than this in one batch, and old ones share a month.
const NEW_DAYS_MAX: usize = 400;
/// So many partitions may be made in a day of log time; after that, days without one share a year:
/// a device whose clock is random for weeks must not make a table with each message.
pub(super) const NEW_PER_LOG_DAY_MAX: usize = 1_000;
/// More missing months than this in one batch, and they share a year.
const NEW_MONTHS_MAX: usize = 240;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Step {
    /// What is left between others, of no fixed length.
    Span,
    Day,
    Month,
    Year,
}

/// A half-open range of UTC days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: Step,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    pub(super) by_start: BTreeMap<i64, Range>,
}

impl Ranges {
    pub(super) fn containing(&self, day: i64) -> Option<Range> {
        let (_, range) = self.by_start.range(..=day).next_back()?;
        (day < range.end).then_some(*range)
    }

    fn overlaps(&self, range: Range) -> bool {
        self.by_start.range(..range.end).next_back().is_some_and(|(_, last)| last.end > range.start)
    }

    /// What is free around `day` within `year`.
    fn between(&self, day: i64, year: Range) -> Range {
        let before = self.by_start.range(..=day).next_back().map(|(_, range)| range.end);
        let after = self.by_start.range(day..).next().map(|(start, _)| *start);
        let start = before.map_or(year.start, |end| end.max(year.start));
        let end = after.map_or(year.end, |start| start.min(year.end));
        Range { start, end, step: Step::Span }
    }

    pub(super) fn insert(&mut self, range: Range) {
        self.by_start.insert(range.start, range);
    }
}

/// Chooses ranges for the days that have none: the table's own step, or coarser ones for many.
pub(super) fn plan(
    table: Table,
    days: &BTreeSet<i64>,
    ranges: &mut Ranges,
    budget: &mut usize,
) -> Result<Vec<Range>, StoreError> {
    let mut step = table.by();
    let missing: Vec<i64> =
        days.iter().copied().filter(|day| ranges.containing(*day).is_none()).collect();
    if step == Step::Day && missing.len() > NEW_DAYS_MAX.min(*budget) {
        step = Step::Month;
    }
    if step == Step::Month && count_ranges(&missing, Step::Month)? > NEW_MONTHS_MAX.min(*budget) {
        step = Step::Year;
    }
    let mut made = Vec::new();
    for day in missing {
        if ranges.containing(day).is_some() {
            continue;
        }
        // A month that has a day already cannot become one partition: go finer until it fits.
        let fitting = [Step::Year, Step::Month, Step::Day]
            .into_iter()
            .filter(|finer| *finer <= step)
            .map(|finer| range_of(day, finer))
            .find(|range| range.as_ref().map_or(true, |range| !ranges.overlaps(*range)));
        let Some(mut range) = fitting.transpose()? else { continue };
        if range.step < step && *budget == 0 {
            range = ranges.between(day, range_of(day, Step::Year)?);
        }
        ranges.insert(range);
        *budget = budget.saturating_sub(1);
        made.push(range);
    }
    Ok(made)
}

fn count_ranges(days: &[i64], step: Step) -> Result<usize, StoreError> {
    let starts: Result<BTreeSet<i64>, _> =
        days.iter().map(|day| range_of(*day, step).map(|range| range.start)).collect();
    Ok(starts?.len())
}

fn range_of(day: i64, step: Step) -> Result<Range, StoreError> {
    let beyond = || StoreError::DateRange { day };
    let date = date_of(day).ok_or_else(beyond)?;
    let (first, length) = match step {
        Step::Day | Step::Span => (date, 1.day()),
        Step::Month => (date.first_of_month(), 1.month()),
        Step::Year => (date.first_of_year(), 1.year()),
    };
    let next = first.checked_add(length).map_err(|_| beyond())?;
    Ok(Range { start: day_of(first), end: day_of(next), step })
}

fn date_of(day: i64) -> Option<Date> {
    let span = Span::new().try_days(day).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

fn day_of(date: Date) -> i64 {
    let span = date.duration_since(Date::constant(1970, 1, 1));
    span.as_hours() / 24
}

/// `read_interval_20260115`, `register_read_202601`; years before 0 with `bc`.
pub(super) fn name(table: Table, range: Range) -> Result<String, StoreError> {
    let date = date_of(range.start).ok_or(StoreError::DateRange { day: range.start })?;
    let sign = if date.year() < 0 { "bc" } else { "" };
    let year = date.year().unsigned_abs();
    let table = table.name();
    Ok(match range.step {
        Step::Span => {
            let days = range.end - range.start;
            format!("{table}_{sign}{year:04}{:02}{:02}x{days}", date.month(), date.day())
        }
        Step::Day => format!("{table}_{sign}{year:04}{:02}{:02}", date.month(), date.day()),
        Step::Month => format!("{table}_{sign}{year:04}{:02}", date.month()),
        Step::Year => format!("{table}_{sign}{year:04}"),
    })
}

/// The inverse of [`name`], without the table.
pub(super) fn parse_suffix(suffix: &str) -> Option<Range> {
    let (sign, digits) = match suffix.strip_prefix("bc") {
        Some(digits) => (-1, digits),
        None => (1, suffix),
    };
    let (digits, span) = match digits.split_once('x') {
        Some((digits, days)) => (digits, Some(days.parse::<u16>().ok()?)),
        None => (digits, None),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let (month, day, step) = match digits.len() {
        8 => (digits.get(4..6)?, digits.get(6..8)?, Step::Day),
        6 => (digits.get(4..6)?, "1", Step::Month),
        4 => ("1", "1", Step::Year),
        _ => return None,
    };
    let date = Date::new(sign * year, month.parse().ok()?, day.parse().ok()?).ok()?;
    let range = range_of(day_of(date), step).ok()?;
    match span {
        None => Some(range),
        Some(days) if step == Step::Day && days > 0 => {
            Some(Range { end: range.start + i64::from(days), step: Step::Span, ..range })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_for_any_year() {
        for day in [-719_600, -313_000, -1, 0, 20_778, 47_482, 2_900_000] {
            for step in [Step::Day, Step::Month, Step::Year] {
                let range = range_of(day, step).unwrap();
                assert!(range.start <= day && day < range.end);
                let name = name(Table::ReadInterval, range).unwrap();
                let suffix = name.strip_prefix("read_interval_").unwrap();
                assert_eq!(parse_suffix(suffix), Some(range), "{name}");
            }
        }
        assert!(range_of(99_999_999, Step::Day).is_err());
    }

    #[test]
    fn a_file_of_ten_years_gets_days_and_a_broken_clock_gets_years() {
        let mut ranges = Ranges::default();
        let year: BTreeSet<i64> = (0..366).collect();
        assert_eq!(plan(Table::ReadInterval, &year, &mut ranges, &mut 9_999).unwrap().len(), 366);
        let random: BTreeSet<i64> = (0..10_000).map(|n| n * 263).collect();
        let made = plan(Table::ReadInterval, &random, &mut ranges, &mut 9_999).unwrap();
        assert!(made.iter().all(|range| range.step == Step::Year || range.start < 730));
        assert!(random.iter().all(|day| ranges.containing(*day).is_some()));
    }

    #[test]
    fn a_random_clock_makes_no_table_with_each_message() {
        let mut ranges = Ranges::default();
        let mut budget = NEW_PER_LOG_DAY_MAX;
        let random = |n: i64| (n * 104_729) % 40_000;
        for n in 0..20_000 {
            let made =
                plan(Table::ReadInterval, &BTreeSet::from([random(n)]), &mut ranges, &mut budget)
                    .unwrap();
            for range in made {
                let name = name(Table::ReadInterval, range).unwrap();
                let suffix = name.strip_prefix("read_interval_").unwrap();
                assert_eq!(parse_suffix(suffix), Some(range), "{name}");
            }
        }
        let all: Vec<Range> = ranges.by_start.values().copied().collect();
        assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(ranges.by_start.len() <= NEW_PER_LOG_DAY_MAX * 3, "{}", ranges.by_start.len());
        assert!((0..20_000).all(|n| ranges.containing(random(n)).is_some()));
    }

    #[test]
    fn coarse_ranges_never_overlap_existing_days() {
        let mut ranges = Ranges::default();
        plan(Table::ReadInterval, &BTreeSet::from([1_000]), &mut ranges, &mut 9_999).unwrap();
        let many: BTreeSet<i64> = (500..1_500).collect();
        plan(Table::ReadInterval, &many, &mut ranges, &mut 9_999).unwrap();
        let all: Vec<Range> = ranges.by_start.values().copied().collect();
        assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(many.iter().all(|day| ranges.containing(*day).is_some()));
    }
}
