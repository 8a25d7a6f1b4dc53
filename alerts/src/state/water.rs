//! What the water rules need: the slots of the last 26 hours, and of older days while these are not
//! closed; the distribution of whole hours; what was said of these slots.

use super::hist::HalfOctaves;
use super::nights::Nights;
use super::sec::Sec;
use super::slots::Slots;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};
use crate::stats::{CODE_BAD, CODE_MISSING, code16, decode16};

/// Hours that are kept slot by slot.
pub(crate) const WINDOW_S: i64 = 26 * 3_600;
/// Flow goes on over unknown slots for so long.
const HOLE_S: i64 = 2 * 3_600;
/// No more than this is ever kept slot by slot: what comes later is not taken.
const LONGEST_S: i64 = 58 * 86_400;
/// Lower edge of the second class of the hours, in mL/h: a burst is at least 500 L/h, and eight
/// times less than this is never near it.
pub(crate) const HOUR_BASE_MLPH: i64 = 64_000;
const HOUR_CLASSES: usize = 21;

/// Slots are numbered by their end: `end / len`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Water {
    /// Newest slot that is known.
    pub(crate) head: Sec,
    /// Newest slot without flow.
    pub(crate) last_zero: Sec,
    /// Up to the slots that are kept it flowed after this one, but for holes of two hours at most.
    dry_before: Sec,
    /// Unknown slots before those that are kept, and how many are a hole.
    hole: u8,
    hole_max: u8,
    /// Newest slot that was known and is kept no more.
    lost: Sec,
    /// Slots of closed days came lately: up to this slot older ones are kept for them.
    pub(crate) late_until: Sec,
    codes: Slots,
    pub(crate) hours: HalfOctaves<HOUR_CLASSES>,
    /// The 95th percentile of the hours of the days closed by now, and of all of these but the
    /// newest, in mL/h; 0 = too few.
    pub(crate) p95: [u32; 2],
    pub(crate) nights: Nights,
    /// Gas only.
    pub(crate) gas: Option<Box<GasRun>>,
    /// Alerts about slots that are still kept, which are over.
    #[expect(clippy::box_collection, reason = "eight bytes where nearly always nothing is kept")]
    pub(crate) said: Option<Box<Vec<Said>>>,
}

/// An alert of a rule that was raised and is over. Instants in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) rule: u8,
    pub(crate) start: Sec,
    /// End of the data that first showed it.
    pub(crate) shown: Sec,
    pub(crate) end: Sec,
}

snap_struct!(Said { rule, start, shown, end });

/// Flow in the order of event time: where it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    /// The newest slot without flow, or the last of the newest hole; [`super::NEVER`]: none yet.
    pub(crate) dry: i64,
    /// Unknown slots in a row, newest last, and how many of them are not a hole yet.
    hole: i64,
    most: i64,
}

impl Stream {
    pub(crate) fn note(&mut self, slot: i64, value: Option<i64>) {
        self.hole = if value.is_none() { (self.hole + 1).min(self.most + 1) } else { 0 };
        if value == Some(0) || self.hole > self.most {
            self.dry = slot;
        }
    }
}

/// #50: the run of hours above the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GasRun {
    /// Start of its first hour; [`Sec::NEVER`] when the newest hour was below.
    pub(crate) from: Sec,
    /// Hours that are known of it.
    pub(crate) hours: i32,
    /// In mL/h.
    pub(crate) limit: i32,
    /// Hours in a row that were below.
    pub(crate) below: i32,
}

snap_struct!(GasRun { from, hours, limit, below });

impl GasRun {
    pub(crate) const NONE: Self = Self { from: Sec::NEVER, hours: 0, limit: 0, below: 0 };
}

impl Water {
    /// `step` is the channel's resolution.
    pub(crate) fn new(len_s: i64, step: u32) -> Self {
        let slots = u16::try_from(WINDOW_S / len_s).unwrap_or(2);
        Self {
            head: Sec::NEVER,
            last_zero: Sec::NEVER,
            dry_before: Sec::NEVER,
            hole: 0,
            hole_max: u8::try_from(HOLE_S / len_s).unwrap_or(u8::MAX),
            lost: Sec::NEVER,
            late_until: Sec::NEVER,
            codes: Slots::new(slots, step),
            hours: HalfOctaves::EMPTY,
            p95: [0; 2],
            nights: Nights::NEW,
            gas: None,
            said: None,
        }
    }

    /// The slots before those that are kept.
    pub(crate) fn stream_before(&self) -> Stream {
        Stream { dry: self.dry_before.s(), hole: i64::from(self.hole), most: self.hole_max.into() }
    }

    /// The newest slot before those that are kept.
    pub(crate) fn floor(&self) -> i64 {
        self.head.s().saturating_sub(self.slots_kept()).max(self.lost.s())
    }

    /// Keeps the slots from `from` on up to `head`, when that is not too long; there is no room for
    /// those that were lost already.
    pub(crate) fn cover(&mut self, (from, head): (i64, i64), len_s: i64) {
        let (base, wanted) = (WINDOW_S / len_s, head - from.max(self.lost.s() + 1) + 1);
        if self.head == Sec::NEVER || wanted <= self.slots_kept() || wanted > LONGEST_S / len_s {
            return;
        }
        self.resize((wanted + base - 1) / base * base);
    }

    /// Forgets the slots before `from` but for the newest 26 hours.
    pub(crate) fn trim(&mut self, from: i64, len_s: i64) {
        let base = WINDOW_S / len_s;
        let wanted = ((self.head.s() - from + base) / base * base).max(base);
        if self.head != Sec::NEVER && wanted < self.slots_kept() {
            self.resize(wanted);
        }
    }

    fn resize(&mut self, len: i64) {
        let Ok(len) = u16::try_from(len) else { return };
        let old = std::mem::replace(&mut self.codes, Slots::new(len, 1));
        let (head, kept) = (self.head.s(), i64::from(old.len()));
        let held = |slot: i64| old.get(usize::try_from(slot.rem_euclid(kept)).unwrap_or(0));
        for slot in head - kept + 1..=head - i64::from(len) {
            self.lose(slot, held(slot));
        }
        self.codes = Slots::new(len, old.step());
        for slot in (head - kept.min(self.slots_kept()) + 1).max(0)..=head {
            self.codes.set(self.place(slot), held(slot));
        }
    }

    /// A slot with this code leaves.
    fn lose(&mut self, slot: i64, code: u16) {
        if code != CODE_MISSING {
            self.lost = self.lost.max(Sec::of(slot));
        }
        let mut stream = self.stream_before();
        stream.note(slot, decode16(code));
        self.dry_before = Sec::of(stream.dry);
        self.hole = u8::try_from(stream.hole).unwrap_or(u8::MAX);
    }

    pub(crate) fn slots_kept(&self) -> i64 {
        i64::from(self.codes.len())
    }

    fn place(&self, slot: i64) -> usize {
        usize::try_from(slot.rem_euclid(self.slots_kept())).unwrap_or(0)
    }

    fn holds(&self, slot: i64) -> bool {
        slot <= self.head.s() && slot > self.floor()
    }

    /// The flow of a slot in mL (within 0.05 %), `None` when it is missing or must not be used.
    pub(crate) fn get(&self, slot: i64) -> Option<i64> {
        if self.holds(slot) { decode16(self.codes.get(self.place(slot))) } else { None }
    }

    /// Keeps a slot; `value` is `None` when it must not be used. False when it is too old.
    pub(crate) fn put(&mut self, slot: i64, value: Option<i64>) -> bool {
        if slot > self.head.s() {
            let kept = self.slots_kept();
            let first = (self.head.s() + 1).max(slot - kept + 1);
            for gone in self.floor() + 1..=(slot - kept).min(self.head.s()) {
                self.lose(gone, self.codes.get(self.place(gone)));
            }
            if self.head != Sec::NEVER && slot - kept > self.head.s() + i64::from(self.hole_max) {
                self.dry_before = Sec::of(slot - kept);
            }
            for gone in first..slot {
                self.codes.set(self.place(gone), CODE_MISSING);
            }
            self.head = Sec::of(slot);
        }
        if value == Some(0) {
            self.last_zero = self.last_zero.max(Sec::of(slot));
        }
        if !self.holds(slot) {
            if value == Some(0) {
                self.dry_before = self.dry_before.max(Sec::of(slot));
            }
            return false;
        }
        let place = self.place(slot);
        let code = value.map_or(CODE_BAD, |value| code16(u64::try_from(value).unwrap_or_default()));
        self.codes.set(place, code);
        true
    }

    /// Flow of `count` slots up to and including `slot`, `None` unless all are known.
    pub(crate) fn sum(&self, slot: i64, count: i64) -> Option<i64> {
        (0..count).try_fold(0_i64, |sum, back| self.get(slot - back).map(|value| sum + value))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let gas = self.gas.as_ref().map_or(0, |_| size_of::<GasRun>());
        let said = |said: &Vec<Said>| size_of::<Vec<Said>>() + said.capacity() * size_of::<Said>();
        let said = self.said.as_deref().map_or(0, said);
        size_of::<Self>() + gas + said + self.codes.heap_bytes()
    }
}

impl Snap for Water {
    fn save(&self, to: &mut Writer) {
        self.head.save(to);
        self.last_zero.save(to);
        self.dry_before.save(to);
        self.hole.save(to);
        self.hole_max.save(to);
        self.lost.save(to);
        self.late_until.save(to);
        self.hours.counts.save(to);
        self.p95.save(to);
        self.nights.save(to);
        self.gas.save(to);
        self.said.save(to);
        self.codes.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (head, last_zero) = (Sec::load(from)?, Sec::load(from)?);
        let dry_before = Sec::load(from)?;
        let (hole, hole_max, lost) = (Snap::load(from)?, Snap::load(from)?, Snap::load(from)?);
        let late_until = Snap::load(from)?;
        let hours = HalfOctaves { counts: Snap::load(from)? };
        let (p95, nights) = (Snap::load(from)?, Snap::load(from)?);
        let (gas, said) = (Snap::load(from)?, Snap::load(from)?);
        let codes = Snap::load(from)?;
        Ok(Self {
            head,
            last_zero,
            dry_before,
            hole,
            hole_max,
            lost,
            late_until,
            codes,
            hours,
            p95,
            nights,
            gas,
            said,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_slots_stay_while_they_are_wanted() {
        let mut water = Water::new(3_600, 1);
        for slot in 100..120 {
            assert!(water.put(slot, Some(slot)));
        }
        water.cover((100, 150), 3_600);
        assert!(water.put(150, Some(150)) && water.put(125, Some(125)));
        assert_eq!(
            (water.get(100), water.get(119), water.slots_kept()),
            (Some(100), Some(119), 52)
        );
        // What was lost before needs no room: it grows with what is to be kept.
        let mut late = Water::new(3_600, 1);
        (100..130).for_each(|slot| assert!(late.put(slot, Some(slot))));
        for head in 130..160 {
            late.cover((head - 120, head), 3_600);
            assert!(late.put(head, Some(head)));
        }
        assert_eq!((late.slots_kept(), late.get(103), late.get(104)), (78, None, Some(104)));
        water.trim(149, 3_600);
        assert_eq!((water.get(125), water.get(124), water.slots_kept()), (Some(125), None, 26));
        assert!(!water.put(124, Some(0)) && water.last_zero.s() == 124);
    }

    #[test]
    fn slots_leave_after_26_hours() {
        let mut water = Water::new(3_600, 1);
        assert!(water.put(100, Some(5)) && water.put(101, None) && water.put(102, Some(7)));
        assert_eq!((water.get(100), water.get(101), water.sum(102, 2)), (Some(5), None, None));
        assert!(water.put(125, Some(0)) && !water.put(90, Some(1)));
        assert_eq!((water.get(100), water.get(110), water.last_zero.s()), (Some(5), None, 125));
        assert!(water.put(126, Some(0)));
        assert_eq!(water.get(100), None);
        let mut bytes = Writer::default();
        water.save(&mut bytes);
        assert!(water.put(9_000_000, Some(1)));
        assert_eq!(water.sum(9_000_000, 1), Some(1));
    }
}
