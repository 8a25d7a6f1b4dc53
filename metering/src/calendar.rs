//! Local days of a usage point: 23, 24 or 25 hours, so 92, 96 or 100 quarter hours.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::interval::Interval;
use crate::time::UtcTime;

/// A zone by its IANA name, with the rules of its local days.
#[derive(Clone, Debug)]
pub struct LocalCalendar {
    zone: TimeZone,
}

/// Local day with its bounds in UTC; half-open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayShape {
    pub date: Date,
    pub start: UtcTime,
    pub end: UtcTime,
}

/// The zone is not in the time-zone database.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no time zone: write an IANA name such as Europe/Berlin or UTC")]
pub struct ZoneError(String);

impl LocalCalendar {
    /// # Errors
    /// [`ZoneError`] when the name is unknown.
    pub fn new(zone: &str) -> Result<Self, ZoneError> {
        let known = TimeZone::get(zone).map_err(|_| ZoneError(zone.chars().take(60).collect()))?;
        Ok(Self { zone: known })
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The local date that contains `instant`.
    pub fn date_of(&self, instant: UtcTime) -> Date {
        instant.to_jiff().to_zoned(self.zone.clone()).date()
    }

    /// Local hour 0 to 23 that contains `instant`.
    pub fn hour_of(&self, instant: UtcTime) -> i8 {
        instant.to_jiff().to_zoned(self.zone.clone()).hour()
    }

    /// Start of the local day in UTC.
    pub fn day_start(&self, date: Date) -> UtcTime {
        match date.to_zoned(self.zone.clone()) {
            Ok(zoned) => UtcTime::from_jiff(zoned.timestamp()),
            Err(_) => UtcTime::MAX,
        }
    }

    pub fn day(&self, date: Date) -> DayShape {
        let next = date.tomorrow().unwrap_or(Date::MAX);
        DayShape { date, start: self.day_start(date), end: self.day_start(next) }
    }

    /// The instant at which the clock changes within a local day of another length than 24 h.
    pub fn change_within(&self, day: DayShape) -> Option<UtcTime> {
        if day.len_s() == crate::time::DAY_S {
            return None;
        }
        let next = self.zone.following(day.start.to_jiff()).next()?;
        let change = UtcTime::from_jiff(next.timestamp());
        (change < day.end).then_some(change)
    }

    /// The local day that contains `instant`.
    pub fn day_containing(&self, instant: UtcTime) -> DayShape {
        self.day(self.date_of(instant))
    }
}

impl DayShape {
    /// Length in seconds.
    pub fn len_s(self) -> i64 {
        self.end.seconds_since(self.start)
    }

    /// Intervals of `len_s` that the day holds.
    pub fn slot_count(self, len_s: i32) -> i64 {
        self.len_s() / i64::from(len_s.max(1))
    }

    /// The intervals of the day in order, each named by its end.
    pub fn slots(self, len_s: i32) -> impl Iterator<Item = Interval> {
        (1..=self.slot_count(len_s)).filter_map(move |n| {
            Interval::ending_at(self.start.plus_seconds(n * i64::from(len_s)), len_s)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn check(zone: &str, day: Date, len_s: i32, want: i64) {
        let calendar = LocalCalendar::new(zone).unwrap();
        let day = calendar.day(day);
        assert_eq!(day.slot_count(len_s), want, "{zone} {}", day.date);
        assert_eq!(day.slots(len_s).count(), usize::try_from(want).unwrap());
        assert!(day.slots(len_s).all(|slot| slot.start() >= day.start && slot.end() <= day.end));
    }

    #[test]
    fn local_days_have_92_96_or_100_quarter_hours() {
        check("Europe/Berlin", date(2026, 3, 29), 900, 92);
        check("Europe/Berlin", date(2026, 7, 1), 900, 96);
        check("Europe/Berlin", date(2026, 10, 25), 900, 100);
        check("America/New_York", date(2026, 3, 8), 900, 92);
        check("America/New_York", date(2026, 11, 1), 3600, 25);
        check("Australia/Lord_Howe", date(2026, 4, 5), 900, 98);
        check("Australia/Lord_Howe", date(2026, 10, 4), 900, 94);
        check("Asia/Kathmandu", date(2026, 10, 25), 900, 96);
        check("America/St_Johns", date(2026, 11, 1), 1800, 50);
        check("Africa/Casablanca", date(2026, 6, 1), 900, 96);
    }

    #[test]
    fn the_change_of_the_clock_is_found_on_its_day_only() {
        let berlin = LocalCalendar::new("Europe/Berlin").unwrap();
        let change = |day| berlin.change_within(berlin.day(day)).map(|at| at.to_string());
        assert_eq!(change(date(2026, 3, 29)).as_deref(), Some("2026-03-29T01:00:00Z"));
        assert_eq!(change(date(2026, 10, 25)).as_deref(), Some("2026-10-25T01:00:00Z"));
        assert_eq!(change(date(2026, 10, 26)), None);
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        assert!(LocalCalendar::new("Mars/Olympus").is_err());
    }
}
