//! Monthly totals of a channel, two bytes each; and the largest demand by month where it is billed.

use crate::snapshot::snap_struct;
use crate::stats::{CODE_MISSING, code16, decode16};

const KEPT: usize = 12;
const KEPT_MONTHS: i32 = 12;

/// One number for each of the newest twelve months; a month is `year * 12 + month - 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Months {
    newest: u16,
    codes: [u16; KEPT],
}

snap_struct!(Months { newest, codes });

impl Months {
    pub(crate) const NEW: Self = Self { newest: 0, codes: [CODE_MISSING; KEPT] };

    fn place(month: i32) -> usize {
        usize::try_from(month.rem_euclid(KEPT_MONTHS)).unwrap_or(0)
    }

    pub(crate) fn newest(&self) -> i32 {
        i32::from(self.newest)
    }

    pub(crate) fn put(&mut self, month: i32, value: i64) {
        if month <= self.newest() - KEPT_MONTHS {
            return;
        }
        if month > self.newest() {
            for gone in (self.newest() + 1).max(month - KEPT_MONTHS + 1)..=month {
                self.codes[Self::place(gone)] = CODE_MISSING;
            }
            self.newest = u16::try_from(month).unwrap_or(u16::MAX);
        }
        self.codes[Self::place(month)] = code16(u64::try_from(value).unwrap_or(0));
    }

    pub(crate) fn get(&self, month: i32) -> Option<i64> {
        if month > self.newest() || month <= self.newest() - KEPT_MONTHS {
            return None;
        }
        decode16(self.codes[Self::place(month)])
    }

    /// The largest of all, and of how many months.
    pub(crate) fn largest(&self) -> (i64, usize) {
        let known = self.codes.iter().filter_map(|code| decode16(*code));
        known.fold((0, 0), |(most, count), value| (most.max(value), count + 1))
    }
}

/// Demand of a place that is billed by it, in mW.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Demand {
    pub(crate) largest: Months,
    /// By contract; 0 = none.
    pub(crate) contract: i64,
    /// Supply came back.
    pub(crate) restored_at: i64,
}

impl Demand {
    pub(crate) const NEW: Self =
        Self { largest: Months::NEW, contract: 0, restored_at: super::NEVER };
}

snap_struct!(Demand { largest, contract, restored_at });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_months_are_kept() {
        let mut months = Months::NEW;
        for month in 24_300..24_315 {
            months.put(month, i64::from(month));
        }
        assert_eq!((months.get(24_302), months.newest()), (None, 24_314));
        let back = months.get(24_303).unwrap();
        assert!((back - 24_303).abs() < 20 && months.largest().1 == 12);
    }
}
