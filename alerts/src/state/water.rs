//! What the water rules need: the slots of the last 26 hours and the distribution of whole hours.

use super::NEVER;
use super::hist::HalfOctaves;
use super::nights::Nights;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};
use crate::stats::{CODE_BAD, CODE_MISSING, code16, decode16};

/// Hours that are kept slot by slot.
const WINDOW_S: i64 = 26 * 3_600;
/// Lower edge of the second class of the hours, in mL/h: a burst is at least 500 L/h, and eight
/// times less than this is never near it.
pub(crate) const HOUR_BASE_MLPH: i64 = 64_000;
const HOUR_CLASSES: usize = 21;

/// Slots are numbered by their end: `end / len`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Water {
    /// Newest slot that is known.
    pub(crate) head: i64,
    /// Newest slot without flow.
    pub(crate) last_zero: i64,
    codes: Box<[u16]>,
    pub(crate) hours: HalfOctaves<HOUR_CLASSES>,
    pub(crate) nights: Nights,
    /// Gas only.
    pub(crate) gas: Option<Box<GasRun>>,
}

/// #50: the run of hours above the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GasRun {
    /// Start of its first hour; [`NEVER`] when the newest hour was below.
    pub(crate) from: i64,
    /// Hours that are known of it.
    pub(crate) hours: i64,
    /// In mL/h.
    pub(crate) limit: i64,
    /// Hours in a row that were below.
    pub(crate) below: i64,
}

snap_struct!(GasRun { from, hours, limit, below });

impl GasRun {
    pub(crate) const NONE: Self = Self { from: NEVER, hours: 0, limit: 0, below: 0 };
}

impl Water {
    pub(crate) fn new(len_s: i64) -> Self {
        let slots = usize::try_from(WINDOW_S / len_s).unwrap_or(2).max(2);
        Self {
            head: NEVER,
            last_zero: NEVER,
            codes: vec![CODE_MISSING; slots].into_boxed_slice(),
            hours: HalfOctaves::EMPTY,
            nights: Nights::NEW,
            gas: None,
        }
    }

    pub(crate) fn slots_kept(&self) -> i64 {
        i64::try_from(self.codes.len()).unwrap_or(i64::MAX)
    }

    fn place(&self, slot: i64) -> usize {
        usize::try_from(slot.rem_euclid(self.slots_kept())).unwrap_or(0)
    }

    fn holds(&self, slot: i64) -> bool {
        slot <= self.head && slot > self.head - self.slots_kept()
    }

    /// The flow of a slot in mL (within 0.05 %), `None` when it is missing or must not be used.
    pub(crate) fn get(&self, slot: i64) -> Option<i64> {
        if self.holds(slot) { decode16(self.codes[self.place(slot)]) } else { None }
    }

    /// Keeps a slot; `value` is `None` when it must not be used. False when it is too old.
    pub(crate) fn put(&mut self, slot: i64, value: Option<i64>) -> bool {
        if slot > self.head {
            let first = (self.head + 1).max(slot - self.slots_kept() + 1);
            for gone in first..=slot {
                self.codes[self.place(gone)] = CODE_MISSING;
            }
            self.head = slot;
        }
        if !self.holds(slot) {
            return false;
        }
        let place = self.place(slot);
        self.codes[place] =
            value.map_or(CODE_BAD, |value| code16(u64::try_from(value).unwrap_or_default()));
        if value == Some(0) {
            self.last_zero = self.last_zero.max(slot);
        }
        true
    }

    /// Flow of `count` slots up to and including `slot`, `None` unless all are known.
    pub(crate) fn sum(&self, slot: i64, count: i64) -> Option<i64> {
        (0..count).try_fold(0_i64, |sum, back| self.get(slot - back).map(|value| sum + value))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let gas = self.gas.as_ref().map_or(0, |_| size_of::<GasRun>());
        size_of::<Self>() + gas + self.codes.len() * size_of::<u16>()
    }
}

impl Snap for Water {
    fn save(&self, to: &mut Writer) {
        self.head.save(to);
        self.last_zero.save(to);
        self.hours.counts.save(to);
        self.nights.save(to);
        self.gas.save(to);
        to.unsigned(self.codes.len() as u64);
        for code in &self.codes {
            code.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (head, last_zero) = (i64::load(from)?, i64::load(from)?);
        let hours = HalfOctaves { counts: Snap::load(from)? };
        let (nights, gas) = (Snap::load(from)?, Snap::load(from)?);
        let codes: Vec<u16> = Snap::load(from)?;
        if codes.len() < 2 {
            return Err(SnapshotError::Damaged);
        }
        Ok(Self { head, last_zero, codes: codes.into_boxed_slice(), hours, nights, gas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_leave_after_26_hours() {
        let mut water = Water::new(3_600);
        assert!(water.put(100, Some(5)) && water.put(101, None) && water.put(102, Some(7)));
        assert_eq!((water.get(100), water.get(101), water.sum(102, 2)), (Some(5), None, None));
        assert!(water.put(125, Some(0)) && !water.put(90, Some(1)));
        assert_eq!((water.get(100), water.get(110), water.last_zero), (Some(5), None, 125));
        assert!(water.put(126, Some(0)));
        assert_eq!(water.get(100), None);
        let mut bytes = Writer::default();
        water.save(&mut bytes);
        assert!(water.put(9_000_000, Some(1)));
        assert_eq!(water.sum(9_000_000, 1), Some(1));
    }
}
