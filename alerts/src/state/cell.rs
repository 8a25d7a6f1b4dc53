//! The cell of a battery device: its newest loaded voltages, one median a week, the device's own
//! estimate.

use super::NEVER;
use crate::snapshot::snap_struct;

pub(crate) const RECENT: usize = 5;
pub(crate) const WEEKS: usize = 12;
const WEEKS_KEPT: i64 = 12;

/// Voltages in mV; 0 = none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cell {
    /// The newest, oldest first, compensated for cold.
    recent_at: [i64; RECENT],
    recent_mv: [u16; RECENT],
    /// Medians by week; a week stands at `week % WEEKS`.
    weeks: [u16; WEEKS],
    pub(crate) week: i64,
    /// The median is below the warning limit since, and well above it since.
    pub(crate) low_from: i64,
    pub(crate) good_from: i64,
    /// The device's own estimate: when it was given, and when the cell ends by it.
    pub(crate) vendor_at: i64,
    pub(crate) vendor_end: i64,
    pub(crate) installed_at: i64,
    pub(crate) capacity_mah: i32,
    /// 0 = unknown.
    pub(crate) design_life_d: i32,
    pub(crate) chemistry: u8,
    /// Projections in a row that were above the clear limit.
    pub(crate) recovered: u8,
}

snap_struct!(Cell {
    recent_at,
    recent_mv,
    weeks,
    week,
    low_from,
    good_from,
    vendor_at,
    vendor_end,
    installed_at,
    capacity_mah,
    design_life_d,
    chemistry,
    recovered,
});

impl Cell {
    pub(crate) const NEW: Self = Self {
        recent_at: [NEVER; RECENT],
        recent_mv: [0; RECENT],
        weeks: [0; WEEKS],
        week: NEVER,
        low_from: NEVER,
        good_from: NEVER,
        vendor_at: NEVER,
        vendor_end: NEVER,
        installed_at: NEVER,
        capacity_mah: 0,
        design_life_d: 0,
        chemistry: 0,
        recovered: 0,
    };

    /// A new cell was put in: what the old one showed is no longer true.
    pub(crate) fn replaced(&mut self, at: i64) {
        let Self { capacity_mah, design_life_d, chemistry, .. } = *self;
        *self = Self { installed_at: at, capacity_mah, design_life_d, chemistry, ..Self::NEW };
    }

    /// Takes a voltage in its place in time; false when it is known or older than all five.
    pub(crate) fn put(&mut self, at: i64, mv: u16) -> bool {
        if at < self.recent_at[0] || self.recent_at.contains(&at) || at < self.installed_at {
            return false;
        }
        let after = self.recent_at.partition_point(|known| *known < at);
        self.recent_at[..after].rotate_left(1);
        self.recent_mv[..after].rotate_left(1);
        self.recent_at[after - 1] = at;
        self.recent_mv[after - 1] = mv;
        true
    }

    pub(crate) fn newest_at(&self) -> i64 {
        self.recent_at[RECENT - 1]
    }

    pub(crate) fn oldest_at(&self) -> i64 {
        self.recent_at[0]
    }

    /// Median of the last five; `None` until there are five.
    pub(crate) fn median(&self) -> Option<i64> {
        if self.recent_mv.contains(&0) {
            return None;
        }
        let mut sorted = self.recent_mv;
        sorted.sort_unstable();
        Some(i64::from(sorted[RECENT / 2]))
    }

    /// Keeps the median of a week.
    pub(crate) fn put_week(&mut self, week: i64, mv: u16) {
        if week > self.week {
            for gone in (self.week + 1).max(week - WEEKS_KEPT + 1)..=week {
                self.weeks[Self::place(gone)] = 0;
            }
            self.week = week;
        }
        if week > self.week - WEEKS_KEPT {
            self.weeks[Self::place(week)] = mv;
        }
    }

    fn place(week: i64) -> usize {
        usize::try_from(week.rem_euclid(WEEKS_KEPT)).unwrap_or(0)
    }

    /// The weeks with a median, oldest first: days since the first week kept, and mV.
    pub(crate) fn points(&self) -> Vec<(i64, i64)> {
        if self.week == NEVER {
            return Vec::new();
        }
        let first = self.week - WEEKS_KEPT + 1;
        (first..=self.week)
            .filter_map(|week| match self.weeks[Self::place(week)] {
                0 => None,
                mv => Some(((week - first) * 7, i64::from(mv))),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voltages_stand_in_the_order_of_time() {
        let mut cell = Cell::NEW;
        for (at, mv) in [(50, 5), (10, 1), (40, 4), (20, 2), (30, 3)] {
            assert!(cell.put(at, mv));
        }
        assert_eq!((cell.recent_mv, cell.median()), ([1, 2, 3, 4, 5], Some(3)));
        assert!(!cell.put(30, 9) && !cell.put(5, 9) && cell.put(60, 6));
        assert_eq!((cell.recent_mv, cell.oldest_at()), ([2, 3, 4, 5, 6], 20));
    }

    #[test]
    fn twelve_weeks_are_kept() {
        let mut cell = Cell::NEW;
        for week in 100..120 {
            cell.put_week(week, u16::try_from(week).unwrap());
        }
        let points = cell.points();
        assert_eq!((points.len(), points[0], points[11]), (12, (0, 108), (77, 119)));
    }
}
