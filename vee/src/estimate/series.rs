//! A channel's values in order, and which of them may be used for what.

use metering::{DeviceFlags, QualityStatus, SlotCode, UtcTime};

/// One slot, named by its end. `value` is in milli-units and means nothing when the status is
/// Missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    pub end: UtcTime,
    pub value: i64,
    pub code: SlotCode,
}

impl Slot {
    pub const fn new(end: UtcTime, value: i64, status: QualityStatus) -> Self {
        Self { end, value, code: SlotCode::new(status, DeviceFlags::NONE) }
    }

    /// A value that counts: neither missing nor held.
    pub fn is_usable(&self) -> bool {
        is_usable(self.code.status())
    }

    /// Good enough to estimate others from: Validated or Verified, without a power failure. An
    /// estimate never is (I3).
    pub fn is_reference(&self) -> bool {
        matches!(self.code.status(), QualityStatus::Validated | QualityStatus::Verified)
            && !self.code.flags().contains(DeviceFlags::POWER_FAIL)
    }
}

/// False for what an estimate may replace: Missing, Suspect, Rejected.
pub const fn is_usable(status: QualityStatus) -> bool {
    !matches!(status, QualityStatus::Missing | QualityStatus::Suspect | QualityStatus::Rejected)
}

/// The values of one channel by rising end. Slots that never arrived may simply lack.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    len_s: i32,
    slots: Vec<Slot>,
}

/// A run of slots `[from, to)` without a usable value; `from` is the start of the first slot, `to`
/// the end of the last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Gap {
    pub from: UtcTime,
    pub to: UtcTime,
}

impl Gap {
    pub const fn new(from: UtcTime, to: UtcTime) -> Self {
        Self { from, to }
    }

    /// Length in seconds.
    pub const fn len_s(self) -> i64 {
        self.to.seconds_since(self.from)
    }

    /// Ends of the slots of `len_s` within.
    pub fn ends(self, len_s: i32) -> impl Iterator<Item = UtcTime> {
        let len = i64::from(len_s.max(1));
        (1..=self.len_s() / len).map(move |k| self.from.plus_seconds(k * len))
    }

    pub fn slots(self, len_s: i32) -> usize {
        usize::try_from(self.len_s() / i64::from(len_s.max(1))).unwrap_or(0)
    }

    /// True when the slot that ends at `end` lies within.
    pub fn holds(self, end: UtcTime) -> bool {
        self.from < end && end <= self.to
    }

    pub fn overlaps(self, from: UtcTime, to: UtcTime) -> bool {
        self.from < to && from < self.to
    }
}

impl Series {
    /// Sorts by end; of two slots with one end the later given counts.
    pub fn new(len_s: i32, mut slots: Vec<Slot>) -> Self {
        if !slots.is_sorted_by(|a, b| a.end < b.end) {
            slots.sort_by_key(|slot| slot.end);
            let mut kept: Vec<Slot> = Vec::with_capacity(slots.len());
            for slot in slots {
                match kept.last_mut() {
                    Some(last) if last.end == slot.end => *last = slot,
                    _ => kept.push(slot),
                }
            }
            slots = kept;
        }
        Self { len_s: len_s.max(1), slots }
    }

    pub const fn len_s(&self) -> i32 {
        self.len_s
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn at(&self, end: UtcTime) -> Option<&Slot> {
        self.slots.binary_search_by_key(&end, |slot| slot.end).ok().map(|at| &self.slots[at])
    }

    /// Slots that end in `(after, to]`.
    pub fn between(&self, after: UtcTime, to: UtcTime) -> &[Slot] {
        let low = self.slots.partition_point(|slot| slot.end <= after);
        let high = self.slots.partition_point(|slot| slot.end <= to);
        &self.slots[low..high.max(low)]
    }

    /// Maximal runs without a usable value among the slots that end in `(from, to]`; `from` stands
    /// on the channel's grid. Runs are cut where `cut` says so (an exchange, a register read).
    pub fn gaps(&self, from: UtcTime, to: UtcTime, cut: impl Fn(UtcTime) -> bool) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for end in Gap::new(from, to).ends(self.len_s) {
            if self.at(end).is_some_and(Slot::is_usable) {
                continue;
            }
            let start = end.plus_seconds(-i64::from(self.len_s));
            match gaps.last_mut() {
                Some(last) if last.to == start && !cut(start) => last.to = end,
                _ => gaps.push(Gap::new(start, end)),
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_without_a_usable_value_are_gaps() {
        let at = |k: i64| UtcTime::from_seconds(k * 900);
        let slots = vec![
            Slot::new(at(1), 5, QualityStatus::Validated),
            Slot::new(at(2), 5, QualityStatus::Suspect),
            Slot::new(at(4), 5, QualityStatus::Raw),
            Slot::new(at(6), 5, QualityStatus::Estimated),
        ];
        let series = Series::new(900, slots);
        let gaps = series.gaps(at(0), at(7), |_| false);
        assert_eq!(gaps, [Gap::new(at(1), at(3)), Gap::new(at(4), at(5)), Gap::new(at(6), at(7)),]);
        let cut = series.gaps(at(0), at(7), |start| start == at(2));
        assert_eq!(cut.len(), 4);
        assert_eq!(series.between(at(1), at(4)).len(), 2);
    }
}
