//! A stretch of time `[start, end)`, named by its END.

use std::fmt;

use crate::time::UtcTime;

/// Half-open interval `[end - len_s, end)` in UTC. Outside the store an interval is named by its
/// end (a load-profile stamp is the end of its interval); only tables hold the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Interval {
    end: UtcTime,
    len_s: i32,
}

impl Interval {
    /// `None` unless `len_s` is 1 s to 366 days.
    pub fn ending_at(end: UtcTime, len_s: i32) -> Option<Self> {
        (1..=366 * 86_400).contains(&len_s).then_some(Self { end, len_s })
    }

    pub const fn end(self) -> UtcTime {
        self.end
    }

    pub const fn start(self) -> UtcTime {
        self.end.plus_seconds(-(self.len_s as i64))
    }

    pub const fn len_s(self) -> i32 {
        self.len_s
    }

    /// True when the end stands on the grid of its length, counted from midnight UTC.
    pub const fn on_grid(self) -> bool {
        self.end.micros().rem_euclid(self.len_s as i64 * 1_000_000) == 0
    }

    pub fn contains(self, instant: UtcTime) -> bool {
        self.start() <= instant && instant < self.end
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .. {}", self.start(), self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_named_by_its_end_and_excludes_it() {
        let end = UtcTime::from_seconds(1_800_000_000);
        let interval = Interval::ending_at(end, 900).unwrap();
        assert!(interval.contains(interval.start()));
        assert!(!interval.contains(end));
        assert!(interval.on_grid());
        assert!(Interval::ending_at(end, 0).is_none());
    }
}
