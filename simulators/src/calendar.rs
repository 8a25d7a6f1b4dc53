//! The local days of the run, with their weather.

use jiff::civil::Weekday;
use metering::{LocalCalendar, UtcTime};

use crate::rng::{Purpose, Stream};

/// A local day. It has 23, 24 or 25 hours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    pub(crate) start: UtcTime,
    pub(crate) end: UtcTime,
    pub(crate) weekday: Weekday,
    pub(crate) month: i8,
    /// Mean outdoor temperature in degrees Celsius, shared by the whole fleet.
    pub(crate) temperature: f64,
    /// What the temperature is at this time of the year.
    pub(crate) usual_temperature: f64,
    /// Share of clear sky, 0 to 1.
    pub(crate) sun: f64,
}

/// All local days from the one of the first message to the one after the end of the run.
#[derive(Clone, Debug)]
pub(crate) struct Days(Vec<Day>);

impl Day {
    pub(crate) fn is_weekend(&self) -> bool {
        matches!(self.weekday, Weekday::Saturday | Weekday::Sunday)
    }

    /// Cells of `cell_s` seconds in the day.
    pub(crate) fn cells(&self, cell_s: i64) -> usize {
        usize::try_from(self.end.seconds_since(self.start) / cell_s).unwrap_or(0)
    }
}

impl Days {
    pub(crate) fn new(calendar: &LocalCalendar, seed: u64, from: UtcTime, to: UtcTime) -> Self {
        let mut stream = Stream::new(seed, Purpose::Weather, 0, 0);
        let mut date = calendar.date_of(from);
        let last = calendar.date_of(to.plus_seconds(2 * 86_400));
        let (mut days, mut anomaly) = (Vec::new(), 0.0);
        while date <= last {
            let shape = calendar.day(date);
            anomaly = 0.5 * anomaly + 1.6 * stream.normal();
            days.push(Day {
                start: shape.start,
                end: shape.end,
                weekday: date.weekday(),
                month: date.month(),
                temperature: seasonal_mean(date.day_of_year()) + anomaly,
                usual_temperature: seasonal_mean(date.day_of_year()),
                sun: stream.unit(),
            });
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        Self(days)
    }

    pub(crate) fn all(&self) -> &[Day] {
        &self.0
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Day> {
        self.0.get(index)
    }

    /// Index of the day that contains the instant; clamped to the days that there are.
    pub(crate) fn index_of(&self, at: UtcTime) -> usize {
        self.0.partition_point(|day| day.end <= at).min(self.0.len().saturating_sub(1))
    }
}

/// Straight lines between a coldest day (20 January, 1 degree) and a warmest (20 July, 20 degrees).
fn seasonal_mean(day_of_year: i16) -> f64 {
    let from_coldest = (f64::from(day_of_year) - 20.0).abs();
    let distance = from_coldest.min(365.0 - from_coldest);
    1.0 + 19.0 * distance / 182.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_zone_and_join_without_gaps() {
        let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
        let from = UtcTime::parse_rfc3339("2026-10-17T09:30:00Z").unwrap();
        let to = UtcTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
        let days = Days::new(&calendar, 1, from, to);
        assert!(days.all().windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(days.all().iter().filter(|day| day.cells(900) == 100).count(), 1);
        let today = days.get(days.index_of(to)).unwrap();
        assert!(today.start <= to && to < today.end);
        assert_eq!(today.weekday, Weekday::Saturday);
        assert!(days.all().iter().all(|day| (-4.0..22.0).contains(&day.temperature)));
    }
}
