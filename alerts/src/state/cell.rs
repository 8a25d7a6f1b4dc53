//! The cell of a battery device: its newest loaded voltages, one median a week, the device's own
//! estimate.

use super::NEVER;
use crate::snapshot::snap_struct;

pub(crate) const RECENT: usize = 5;
pub(crate) const WEEKS: usize = 12;

/// Voltages in mV; 0 = none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    /// Newest last, compensated for cold, with the newest instant.
    pub(crate) recent: [u16; RECENT],
    pub(crate) recent_at: i64,
    /// Medians by week; the newest stands at `week % WEEKS`.
    pub(crate) weeks: [u16; WEEKS],
    pub(crate) week: i64,
    /// The median rose above the limit for good at this instant.
    pub(crate) good_from: i64,
    /// The device's own estimate: when it ends.
    pub(crate) vendor_end: i64,
    pub(crate) installed_at: i64,
    pub(crate) capacity_mah: i32,
    pub(crate) chemistry: u8,
    /// Projections in a row that were above the clear limit.
    pub(crate) recovered: u8,
}

snap_struct!(Cell {
    recent,
    recent_at,
    weeks,
    week,
    good_from,
    vendor_end,
    installed_at,
    capacity_mah,
    chemistry,
    recovered,
});

impl Cell {
    pub(crate) const NEW: Self = Self {
        recent: [0; RECENT],
        recent_at: NEVER,
        weeks: [0; WEEKS],
        week: NEVER,
        good_from: NEVER,
        vendor_end: NEVER,
        installed_at: NEVER,
        capacity_mah: 0,
        chemistry: 0,
        recovered: 0,
    };

    /// A new cell was put in: what the old one showed is no longer true.
    pub(crate) fn replaced(&mut self, at: i64) {
        let (capacity_mah, chemistry) = (self.capacity_mah, self.chemistry);
        *self = Self { installed_at: at, capacity_mah, chemistry, ..Self::NEW };
    }

    /// Takes a voltage; false when it is older than the newest.
    pub(crate) fn put(&mut self, at: i64, mv: u16) -> bool {
        if at <= self.recent_at {
            return false;
        }
        self.recent_at = at;
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = mv;
        true
    }

    /// Median of the last five; `None` until there are five.
    pub(crate) fn median(&self) -> Option<i64> {
        if self.recent.contains(&0) {
            return None;
        }
        let mut sorted = self.recent;
        sorted.sort_unstable();
        Some(i64::from(sorted[RECENT / 2]))
    }

    /// Keeps the median of a week.
    pub(crate) fn put_week(&mut self, week: i64, mv: u16) {
        let kept = i64::try_from(WEEKS).unwrap_or(12);
        if week > self.week {
            for gone in (self.week + 1).max(week - kept + 1)..=week {
                self.weeks[Self::place(gone)] = 0;
            }
            self.week = week;
        }
        if week > self.week - kept {
            self.weeks[Self::place(week)] = mv;
        }
    }

    fn place(week: i64) -> usize {
        usize::try_from(week.rem_euclid(i64::try_from(WEEKS).unwrap_or(12))).unwrap_or(0)
    }

    /// The weeks with a median, oldest first: days since the oldest kept week, and mV.
    pub(crate) fn points(&self) -> Vec<(i64, i64)> {
        let kept = i64::try_from(WEEKS).unwrap_or(12);
        if self.week == NEVER {
            return Vec::new();
        }
        (self.week - kept + 1..=self.week)
            .filter_map(|week| match self.weeks[Self::place(week)] {
                0 => None,
                mv => Some(((week - (self.week - kept + 1)) * 7, i64::from(mv))),
            })
            .collect()
    }
}
