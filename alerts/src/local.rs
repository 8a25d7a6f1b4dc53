//! Local days of the zones that meters live in, numbered since 1970-01-01 and kept at hand.

use std::collections::BTreeMap;

use metering::{LocalCalendar, UtcTime};

/// A local day: its number since 1970-01-01 and its bounds in seconds UTC, half-open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LocalDay {
    pub(crate) number: i32,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl LocalDay {
    pub(crate) fn contains(self, at: i64) -> bool {
        self.start <= at && at < self.end
    }

    /// Intervals of `len_s` that the day holds.
    pub(crate) fn slots(self, len_s: i64) -> i64 {
        ((self.end - self.start) / len_s.max(1)).max(1)
    }
}

/// Zones by number, with the days that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    zones: Vec<Zone>,
}

#[derive(Debug)]
struct Zone {
    name: String,
    calendar: Option<LocalCalendar>,
    days: BTreeMap<i32, LocalDay>,
}

/// A cache of more days than this is emptied: only strange data touch so many.
const DAYS_KEPT_MAX: usize = 2_000;

impl Zones {
    /// Number of the zone. A name that is unknown here is taken as UTC: provisioning refuses it.
    pub(crate) fn number_of(&mut self, name: &str) -> u16 {
        let known = self.zones.iter().position(|zone| zone.name == name);
        let at = known.unwrap_or_else(|| {
            let calendar = LocalCalendar::new(name).or_else(|_| LocalCalendar::new("UTC")).ok();
            self.zones.push(Zone { name: name.to_owned(), calendar, days: BTreeMap::new() });
            self.zones.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.zones.iter().map(|zone| zone.name.clone()).collect()
    }

    /// The day that contains the instant.
    pub(crate) fn day_at(&mut self, zone: u16, at: i64) -> LocalDay {
        let guess = utc_day(at);
        let Some(zone) = self.zones.get_mut(usize::from(zone)) else {
            return utc_local_day(at);
        };
        for number in [guess, guess + 1, guess - 1] {
            if let Some(day) = zone.days.get(&number).filter(|day| day.contains(at)) {
                return *day;
            }
        }
        zone.look_up(at)
    }

    /// The day of this number.
    pub(crate) fn day(&mut self, zone: u16, number: i32) -> LocalDay {
        let mut day = self.day_at(zone, i64::from(number) * 86_400 + 43_200);
        while day.number < number {
            day = self.day_at(zone, day.end);
        }
        while day.number > number {
            day = self.day_at(zone, day.start - 1);
        }
        day
    }
}

impl Zone {
    fn look_up(&mut self, at: i64) -> LocalDay {
        let Some(calendar) = &self.calendar else {
            return utc_local_day(at);
        };
        let shape = calendar.day_containing(UtcTime::from_seconds(at));
        let day = LocalDay {
            number: day_number(
                i32::from(shape.date.year()),
                i32::from(shape.date.month()),
                i32::from(shape.date.day()),
            ),
            start: shape.start.seconds(),
            end: shape.end.seconds(),
        };
        if !day.contains(at) {
            return utc_local_day(at);
        }
        if self.days.len() >= DAYS_KEPT_MAX {
            self.days.clear();
        }
        self.days.insert(day.number, day);
        day
    }
}

fn utc_day(at: i64) -> i32 {
    i32::try_from(at.div_euclid(86_400)).unwrap_or_default()
}

fn utc_local_day(at: i64) -> LocalDay {
    let number = utc_day(at);
    let start = i64::from(number) * 86_400;
    LocalDay { number, start, end: start + 86_400 }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day is the last of its year.
fn day_number(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Day number of a date such as 2026-12-25; `None` when there is no such day.
pub(crate) fn day_of_date(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-').map(str::parse::<i32>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let sensible = (1_970..2_200).contains(&year) && (1..=12).contains(&month) && day <= 31;
    let number = sensible.then(|| day_number(year, month, day))?;
    (date_of_day(number) == text).then_some(number)
}

/// The date of a day number, as 2026-12-25.
pub(crate) fn date_of_day(number: i32) -> String {
    let (year, month, day) = civil(number);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Month of a day number as `year * 12 + month - 1`.
pub(crate) fn month_index(number: i32) -> i32 {
    let month = i32::from(month_of(number)) - 1;
    // Half a month more or less: the middle of the year decides which year it is.
    let year = (number - month * 30 + 196).div_euclid(365);
    let mut index = (1970 + year) * 12 + month;
    while month_start(index) > number {
        index -= 12;
    }
    while month_start(index + 12) <= number {
        index += 12;
    }
    index
}

/// First day of a month.
pub(crate) fn month_start(index: i32) -> i32 {
    day_number(index.div_euclid(12), index.rem_euclid(12) + 1, 1)
}

/// Month 1 to 12 of a day number.
pub(crate) fn month_of(number: i32) -> u8 {
    u8::try_from(civil(number).1).unwrap_or(1)
}

/// Year, month and day of a day number.
fn civil(number: i32) -> (i32, i32, i32) {
    let shifted = number + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + shifted.div_euclid(146_097) * 400 + i32::from(month <= 2);
    (year, month, day)
}

/// Saturday or Sunday.
pub(crate) fn is_weekend(number: i32) -> bool {
    // 1970-01-01 was a Thursday.
    (number + 3).rem_euclid(7) >= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_found_around_clock_changes() {
        let mut zones = Zones::default();
        let berlin = zones.number_of("Europe/Berlin");
        let spring = UtcTime::parse_rfc3339("2026-03-29T10:00:00Z").unwrap().seconds();
        let day = zones.day_at(berlin, spring);
        assert_eq!(day.slots(900), 92);
        assert_eq!(month_of(day.number), 3);
        assert!(is_weekend(day.number));
        assert_eq!(zones.day(berlin, day.number), day);
        assert_eq!(zones.day(berlin, day.number + 1).start, day.end);
        let kiritimati = zones.number_of("Pacific/Kiritimati");
        for number in 20_000..20_400 {
            let day = zones.day(kiritimati, number);
            assert_eq!((day.number, day.slots(3_600)), (number, 24));
        }
    }

    #[test]
    fn months_follow_days() {
        for (year, month, day) in [(1970, 1, 1), (2024, 2, 29), (2026, 12, 31), (1999, 3, 1)] {
            assert_eq!(i32::from(month_of(day_number(year, month, day))), month);
        }
        for number in -1_000..30_000 {
            let month = month_index(number);
            assert!(month_start(month) <= number && number < month_start(month + 1));
        }
        assert_eq!(day_number(1970, 1, 1), 0);
        assert!(!is_weekend(0) && is_weekend(2) && is_weekend(3) && !is_weekend(4));
    }
}
