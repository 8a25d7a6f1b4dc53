//! Local days of a channel: one that is still incomplete, slot by slot, and the totals of the last
//! eight weeks in two bytes each.

use super::sec::Sec;
use crate::local::LocalDay;
use crate::snapshot::snap_struct;
use crate::stats::{CODE_BAD, CODE_MISSING, code16, decode16};

/// Days that are remembered: 40 weekdays and 16 days of weekends.
pub(crate) const DAYS: i32 = 56;
const DAYS_LEN: usize = 56;
/// Days whose class is remembered: rules look at the last four that were judged.
const CLASS_DAYS: i32 = 16;
const CLASS_BYTES: usize = 8;

/// A day of which slots may still come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OpenDay {
    pub(crate) number: i32,
    pub(crate) slots: u16,
    /// Slots with a value that may be used.
    pub(crate) good: u16,
    start: Sec,
    /// Of the good slots, in milli-units.
    pub(crate) sum: i64,
    /// Use from 02:00 to 03:00 and from 03:00 to 04:00, in milli-units.
    night: [u32; 2],
    /// Two bits for each slot: its [`Slot`].
    words: Words,
}

/// Two bits for each slot: up to 128 slots in place, more on the heap.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Words {
    Few([u64; 4]),
    Many(Box<[u64]>),
}

impl Words {
    fn new(slots: u16) -> Self {
        match usize::from(slots).div_ceil(SLOTS_A_WORD) {
            0..=4 => Self::Few([0; 4]),
            more => Self::Many(vec![0; more].into_boxed_slice()),
        }
    }

    fn words(&self) -> &[u64] {
        match self {
            Self::Few(words) => words,
            Self::Many(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match self {
            Self::Few(words) => words,
            Self::Many(words) => words,
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    Missing = 0,
    /// There is a value, but it must not be used.
    Bad = 1,
    Zero = 2,
    Flow = 3,
}

const SLOTS: [Slot; 4] = [Slot::Missing, Slot::Bad, Slot::Zero, Slot::Flow];
const SLOTS_A_WORD: usize = 32;
/// No day that is judged has so many: the bit above is used for something else.
const SLOTS_MAX: u16 = 0x7FFE;
pub(super) const SLOTS_A_BYTE: usize = 4;
/// Set in the two bits of each good slot, and the lower of the two.
const HIGH_BITS: u64 = 0xAAAA_AAAA_AAAA_AAAA;
const LOW_BITS: u64 = 0x5555_5555_5555_5555;

impl OpenDay {
    pub(crate) fn new(day: LocalDay, len_s: i64) -> Self {
        let slots = u16::try_from(day.slots(len_s)).unwrap_or(SLOTS_MAX).min(SLOTS_MAX);
        let words = Words::new(slots);
        Self {
            number: day.number,
            slots,
            good: 0,
            start: Sec::of(day.start),
            sum: 0,
            night: [0; 2],
            words,
        }
    }

    /// A day as it was kept: number, slots, start, sum, night and two bits for each slot.
    pub(super) fn from_parts(
        (number, slots, start): (i32, u16, Sec),
        (sum, night): (i64, [u32; 2]),
        bits: &[u8],
    ) -> Self {
        let mut words = Words::new(slots);
        for (word, bytes) in words.words_mut().iter_mut().zip(bits.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        let good = words.words().iter().map(|word| (word & HIGH_BITS).count_ones()).sum::<u32>();
        let good = u16::try_from(good).unwrap_or(u16::MAX);
        Self { number, slots, good, start, sum, night, words }
    }

    /// Two bits for each slot, four slots a byte.
    pub(super) fn bits(&self) -> impl Iterator<Item = u8> {
        let bytes = usize::from(self.slots).div_ceil(SLOTS_A_BYTE);
        self.words.words().iter().flat_map(|word| word.to_le_bytes()).take(bytes)
    }

    pub(super) fn start_sec(&self) -> Sec {
        self.start
    }

    pub(crate) fn start(&self) -> i64 {
        self.start.s()
    }

    pub(crate) fn slot(&self, index: usize) -> Slot {
        let word = self.words.words().get(index / SLOTS_A_WORD).copied().unwrap_or(0);
        let bits = word >> (index % SLOTS_A_WORD * 2) & 3;
        SLOTS[usize::try_from(bits).unwrap_or(0)]
    }

    /// Marks a slot; `value` is `None` when it must not be used. False when the slot is known.
    pub(crate) fn mark(&mut self, index: usize, value: Option<i64>) -> bool {
        if index >= usize::from(self.slots) || self.slot(index) != Slot::Missing {
            return false;
        }
        let slot = match value {
            None => Slot::Bad,
            Some(0) => Slot::Zero,
            Some(_) => Slot::Flow,
        };
        self.words.words_mut()[index / SLOTS_A_WORD] |= (slot as u64) << (index % SLOTS_A_WORD * 2);
        if let Some(value) = value {
            self.good += 1;
            self.sum = self.sum.saturating_add(value);
        }
        true
    }

    /// Adds a slot to the hours of the night; gives the least of the two, as a rate by hour, once
    /// all of both is known and good.
    pub(crate) fn add_to_night(&mut self, (start, len_s): (i64, i64), value: i64) -> Option<i64> {
        let from = self.start() + 2 * 3_600;
        let into = start - from;
        if len_s > 3_600 || !(0..2 * 3_600).contains(&into) {
            return None;
        }
        let hour = usize::try_from(into / 3_600).ok()?;
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        self.night[hour] = self.night[hour].saturating_add(value);
        let first = usize::try_from((from - self.start()) / len_s).ok()?;
        let slots = usize::try_from(2 * 3_600 / len_s).ok()?;
        let good = |index| matches!(self.slot(index), Slot::Zero | Slot::Flow);
        let known = (first..first + slots).all(good);
        known.then(|| i64::from(self.night[0].min(self.night[1])))
    }

    pub(crate) fn is_complete(&self) -> bool {
        let known = |word: &u64| ((word | word >> 1) & LOW_BITS).count_ones();
        self.words.words().iter().map(known).sum::<u32>() >= u32::from(self.slots)
    }

    /// The total as if the day were whole; a code of [`DayRing`].
    pub(crate) fn code(&self, coverage_pct: i64) -> u16 {
        code_of(self.sum, (self.good, self.slots), coverage_pct)
    }

    /// Use in the two hours of the night.
    pub(crate) fn night(&self) -> [u32; 2] {
        self.night
    }
}

/// The total of a day as if it were whole, by the sum of its good slots; a code of [`DayRing`].
pub(crate) fn code_of(sum: i64, (good, slots): (u16, u16), coverage_pct: i64) -> u16 {
    let (good, slots) = (i64::from(good), i64::from(slots));
    if good == 0 || good * 100 < slots * coverage_pct {
        return CODE_BAD;
    }
    let whole = i128::from(sum) * i128::from(slots) / i128::from(good);
    code16(u64::try_from(whole).unwrap_or(u64::MAX >> 2))
}

/// How a closed day compares with the meter's own days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DayClass {
    NotJudged = 0,
    /// `|z|` below the clear limit.
    Inside = 1,
    Between = 2,
    High = 3,
    VeryHigh = 4,
    Low = 5,
}

const CLASSES: [DayClass; 6] = [
    DayClass::NotJudged,
    DayClass::Inside,
    DayClass::Between,
    DayClass::High,
    DayClass::VeryHigh,
    DayClass::Low,
];

/// Totals of the newest [`DAYS`] closed days, and classes of the newest [`CLASS_DAYS`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DayRing {
    /// Of 1970 to 2149; 0 = none yet.
    newest: u16,
    codes: [u16; DAYS_LEN],
    classes: [u8; CLASS_BYTES],
}

snap_struct!(DayRing { newest, codes, classes });

impl DayRing {
    pub(crate) const NEW: Self =
        Self { newest: 0, codes: [CODE_MISSING; DAYS_LEN], classes: [0; CLASS_BYTES] };

    fn newest(&self) -> i32 {
        i32::from(self.newest)
    }

    fn place(number: i32) -> usize {
        usize::try_from(number.rem_euclid(DAYS)).unwrap_or(0)
    }

    fn holds(&self, number: i32) -> bool {
        number <= self.newest() && number > self.newest() - DAYS
    }

    fn class_place(number: i32) -> usize {
        usize::try_from(number.rem_euclid(CLASS_DAYS)).unwrap_or(0)
    }

    fn holds_class(&self, number: i32) -> bool {
        number <= self.newest() && number > self.newest() - CLASS_DAYS
    }

    /// Total of the day as if it were whole, in milli-units.
    pub(crate) fn total(&self, number: i32) -> Option<i64> {
        if self.holds(number) { decode16(self.codes[Self::place(number)]) } else { None }
    }

    /// Closed, with or without a usable total.
    pub(crate) fn is_known(&self, number: i32) -> bool {
        self.holds(number) && self.codes[Self::place(number)] != CODE_MISSING
    }

    pub(crate) fn set(&mut self, number: i32, code: u16) {
        let Ok(newest) = u16::try_from(number) else { return };
        if number <= self.newest() - DAYS {
            return;
        }
        if number > self.newest() {
            for gone in (self.newest() + 1).max(number - DAYS + 1)..=number {
                self.codes[Self::place(gone)] = CODE_MISSING;
            }
            for gone in (self.newest() + 1).max(number - CLASS_DAYS + 1)..=number {
                self.put_class(gone, DayClass::NotJudged);
            }
            self.newest = newest;
        }
        self.codes[Self::place(number)] = code;
    }

    pub(crate) fn class(&self, number: i32) -> DayClass {
        if !self.holds_class(number) {
            return DayClass::NotJudged;
        }
        let place = Self::class_place(number);
        let nibble = self.classes[place / 2] >> (place % 2 * 4) & 0x0F;
        CLASSES.get(usize::from(nibble)).copied().unwrap_or(DayClass::NotJudged)
    }

    pub(crate) fn set_class(&mut self, number: i32, class: DayClass) {
        if self.holds_class(number) {
            self.put_class(number, class);
        }
    }

    fn put_class(&mut self, number: i32, class: DayClass) {
        let place = Self::class_place(number);
        let shift = place % 2 * 4;
        let byte = &mut self.classes[place / 2];
        *byte = *byte & !(0x0F << shift) | (class as u8) << shift;
    }

    /// Classes of the judged days up to `number`, newest first.
    pub(crate) fn judged(&self, number: i32) -> impl Iterator<Item = (i32, DayClass)> {
        (number - CLASS_DAYS + 1..=number)
            .rev()
            .map(|day| (day, self.class(day)))
            .filter(|(_, class)| *class != DayClass::NotJudged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_scaled_to_the_whole_and_a_slot_counts_once() {
        let mut day = OpenDay::new(LocalDay { number: 1, start: 0, end: 86_400 }, 3_600);
        for slot in 0..22 {
            assert!(day.mark(slot, Some(1_000)));
        }
        assert!(!day.mark(3, Some(9)));
        assert!(!day.mark(24, Some(9)));
        assert_eq!(decode16(day.code(90)), Some(24_000));
        assert_eq!(day.code(95), CODE_BAD);
        assert!(day.mark(22, None) && day.mark(23, Some(0)) && day.is_complete());
        assert_eq!((day.slot(22), day.slot(23), day.slot(0)), (Slot::Bad, Slot::Zero, Slot::Flow));
    }

    #[test]
    fn the_ring_forgets_what_is_older_than_eight_weeks() {
        let mut ring = DayRing::NEW;
        ring.set(100, 5);
        ring.set_class(100, DayClass::VeryHigh);
        ring.set(155, 7);
        assert_eq!((ring.total(100), ring.total(155)), (Some(5), Some(7)));
        assert_eq!(ring.class(100), DayClass::NotJudged);
        ring.set_class(155, DayClass::Low);
        ring.set(170, 8);
        assert_eq!(ring.class(155), DayClass::Low);
        ring.set(171, 8);
        assert_eq!((ring.total(100), ring.class(155)), (None, DayClass::NotJudged));
        assert_eq!((ring.total(155), ring.total(120)), (Some(7), None));
        ring.set(1_000, 9);
        assert!(!ring.is_known(155) && ring.is_known(1_000));
    }
}
