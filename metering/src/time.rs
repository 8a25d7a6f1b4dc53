//! Instants in UTC. A [`UtcTime`] counts microseconds, the resolution of the store.

use std::fmt;
use std::ops::{Add, Sub};

/// An instant in UTC, in microseconds since 1970-01-01T00:00:00Z. Years -9999 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UtcTime(i64);

/// Seconds of a day in UTC.
pub const DAY_S: i64 = 86_400;
const MICROS: i64 = 1_000_000;

impl UtcTime {
    /// Before any instant that can be told.
    pub const MIN: Self = Self(-377_705_023_201 * MICROS);
    /// After any instant that can be told.
    pub const MAX: Self = Self(253_402_207_199 * MICROS);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS)))
    }

    /// Seconds from `earlier` to `self`, rounded down; negative when `self` is earlier.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(MICROS)
    }

    /// The latest multiple of `len_s` since the epoch that is not after `self`.
    pub const fn floor_to(self, len_s: i64) -> Self {
        let seconds = self.seconds();
        Self::from_seconds(seconds - seconds.rem_euclid(len_s))
    }

    /// Number of the UTC day since 1970-01-01.
    pub const fn utc_day(self) -> i64 {
        self.seconds().div_euclid(DAY_S)
    }

    /// As `jiff` has it; instants beyond its range are clamped.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0.clamp(Self::MIN.0, Self::MAX.0))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub fn from_jiff(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }

    /// Parses RFC 3339 with an offset or `Z`; digits beyond microseconds are dropped.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(Self::from_jiff)
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl Add<std::time::Duration> for UtcTime {
    type Output = Self;
    fn add(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for UtcTime {
    type Output = std::time::Duration;
    /// Zero when `other` is later.
    fn sub(self, other: Self) -> std::time::Duration {
        let micros = u64::try_from(self.0.saturating_sub(other.0)).unwrap_or(0);
        std::time::Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_with_any_number_of_digits() {
        let want = UtcTime::from_micros(1_746_480_311_959_372);
        assert_eq!(UtcTime::parse_rfc3339("2025-05-05T21:25:11.959372062Z"), Some(want));
        assert_eq!(UtcTime::parse_rfc3339("2025-05-05T17:25:11.959372-04:00"), Some(want));
        assert_eq!(UtcTime::parse_rfc3339("2025-05-05 21:25"), None);
        assert!(UtcTime::parse_rfc3339("1111-11-11T11:11:11Z").is_some());
    }

    #[test]
    fn floors_go_down_before_the_epoch_too() {
        assert_eq!(UtcTime::from_seconds(-1).floor_to(900), UtcTime::from_seconds(-900));
        assert_eq!(UtcTime::from_seconds(-1).utc_day(), -1);
    }
}
