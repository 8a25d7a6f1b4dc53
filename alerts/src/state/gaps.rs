//! Closed days of which a few slots may still come: only the numbers of these slots are kept, and
//! what is needed to add them to the day's sums exactly. A day with two missing slots takes about
//! five bytes.

use super::days::{DayRing, OpenDay, Slot};

/// A day of which some slots are missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gap {
    pub(crate) number: i32,
    pub(crate) slots: u16,
    /// Slots of which nothing came, and slots of which the value must not be used; in order.
    pub(crate) missing: Vec<u16>,
    pub(crate) bad: Vec<u16>,
    /// Of the good slots, in milli-units.
    pub(crate) sum: i64,
    /// Good slots with flow.
    pub(crate) flows: u16,
    /// Use in the two hours of the night, when a slot of them is missing.
    pub(crate) night: Option<[u32; 2]>,
}

impl Gap {
    /// What must be kept of a closed day; `night` are its slots from 02:00 to 04:00, when these
    /// count.
    pub(crate) fn of(day: &OpenDay, night: Option<std::ops::Range<usize>>) -> Self {
        let of_kind = |kind: Slot| {
            let slots = (0..day.slots).filter(move |index| day.slot(usize::from(*index)) == kind);
            slots.collect::<Vec<u16>>()
        };
        let missing = of_kind(Slot::Missing);
        let counts = night
            .is_some_and(|night| missing.iter().any(|index| night.contains(&usize::from(*index))));
        let flows = u16::try_from(of_kind(Slot::Flow).len()).unwrap_or(u16::MAX);
        let night = counts.then(|| day.night());
        let (number, slots) = (day.number, day.slots);
        Self { number, slots, missing, bad: of_kind(Slot::Bad), sum: day.sum, flows, night }
    }

    pub(crate) fn good(&self) -> u16 {
        let not = self.missing.len() + self.bad.len();
        self.slots.saturating_sub(u16::try_from(not).unwrap_or(u16::MAX))
    }

    /// Takes a slot that was missing; false when it is known.
    pub(crate) fn fill(&mut self, index: u16, value: Option<i64>) -> bool {
        let Ok(at) = self.missing.binary_search(&index) else { return false };
        self.missing.remove(at);
        match value {
            None => {
                let gap = self.bad.partition_point(|known| *known < index);
                self.bad.insert(gap, index);
            }
            Some(value) => {
                self.sum = self.sum.saturating_add(value);
                self.flows += u16::from(value != 0);
            }
        }
        true
    }
}

/// What the day's total in the ring says of the sum of the good slots: it needs only its
/// difference to that.
fn expected(total: i64, good: u16, slots: u16) -> i64 {
    let whole = i128::from(total) * i128::from(good) / i128::from(slots.max(1));
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// What the coding of a channel's days depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding<'a> {
    pub(crate) days: &'a DayRing,
    /// Milli-units of a step of the counter.
    pub(crate) step: i64,
    /// The channel counts slots with flow and nights.
    pub(crate) flows: bool,
    /// Slots of a day without a change of the clock.
    pub(crate) usual: u16,
}

impl Coding<'_> {
    /// The sum in steps when it is a number of steps, as a difference to what the ring says.
    fn sum(&self, gap: &Gap) -> u64 {
        let step = self.step.max(1);
        let near = expected(self.days.total(gap.number).unwrap_or(0), gap.good(), gap.slots);
        let even = near - near % step;
        if gap.sum % step == 0 {
            zigzag((gap.sum - even) / step) << 1
        } else {
            zigzag(gap.sum - near) << 1 | 1
        }
    }

    fn unsum(&self, gap: &Gap, code: u64) -> i64 {
        let step = self.step.max(1);
        let near = expected(self.days.total(gap.number).unwrap_or(0), gap.good(), gap.slots);
        if code & 1 == 0 {
            (near - near % step).saturating_add(unzigzag(code >> 1).saturating_mul(step))
        } else {
            near.saturating_add(unzigzag(code >> 1))
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned() & (u64::MAX >> 1)
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Counts above these stand in bytes of their own.
const MISSING_MAX: usize = 14;
const BAD_MAX: usize = 6;

/// The days of a channel, oldest first.
pub(crate) fn read(bytes: &[u8], coding: Coding<'_>) -> Vec<Gap> {
    let (mut from, mut gaps, mut before) = (Bytes(bytes), Vec::new(), 0);
    while !from.0.is_empty() {
        let number = before + i32::try_from(from.number()).unwrap_or(0);
        before = number;
        let (missing, bad, slots) = from.slots(coding.usual);
        let empty = Gap { number, slots, missing, bad, sum: 0, flows: 0, night: None };
        let sum = coding.unsum(&empty, from.number());
        let mut gap = Gap { sum, ..empty };
        if coding.flows {
            let flows = from.number();
            gap.flows = u16::try_from(flows >> 1).unwrap_or(0);
            let mut hour = || u32::try_from(from.number()).unwrap_or(u32::MAX);
            gap.night = (flows & 1 == 1).then(|| [hour(), hour()]);
        }
        gaps.push(gap);
    }
    gaps
}

/// What [`read`] reads.
pub(crate) fn written(gaps: &[Gap], coding: Coding<'_>) -> Vec<u8> {
    let (mut to, mut before) = (Vec::new(), 0);
    for gap in gaps {
        put(&mut to, u64::try_from(gap.number - before).unwrap_or(0));
        before = gap.number;
        put_slots(&mut to, gap, coding.usual);
        put(&mut to, coding.sum(gap));
        if coding.flows {
            put(&mut to, u64::from(gap.flows) << 1 | u64::from(gap.night.is_some()));
            for hour in gap.night.iter().flatten() {
                put(&mut to, u64::from(*hour));
            }
        }
    }
    to
}

fn put(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap_or(0));
}

/// A byte with both counts and whether the day has an unusual number of slots; what does not fit;
/// then the slots, each as the distance to the one before.
fn put_slots(to: &mut Vec<u8>, gap: &Gap, usual: u16) {
    let missing = gap.missing.len().min(MISSING_MAX + 1);
    let bad = gap.bad.len().min(BAD_MAX + 1);
    let odd = usize::from(gap.slots != usual);
    to.push(u8::try_from(missing | bad << 4 | odd << 7).unwrap_or(u8::MAX));
    for (count, most) in [(gap.missing.len(), MISSING_MAX), (gap.bad.len(), BAD_MAX)] {
        if count > most {
            put(to, count as u64);
        }
    }
    if odd == 1 {
        put(to, u64::from(gap.slots));
    }
    for list in [&gap.missing, &gap.bad] {
        let mut before = 0;
        for index in list {
            put(to, u64::from(index - before));
            before = *index;
        }
    }
}

/// Reads what [`put`] wrote.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else { return value };
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        value
    }

    fn small(&mut self) -> u16 {
        u16::try_from(self.number()).unwrap_or(u16::MAX)
    }

    /// Missing and bad slots, and how many slots the day has.
    fn slots(&mut self, usual: u16) -> (Vec<u16>, Vec<u16>, u16) {
        let Some((head, rest)) = self.0.split_first() else { return (vec![], vec![], usual) };
        self.0 = rest;
        let (mut missing, mut bad) = (usize::from(head & 0x0F), usize::from(head >> 4 & 7));
        if missing > MISSING_MAX {
            missing = usize::from(self.small());
        }
        if bad > BAD_MAX {
            bad = usize::from(self.small());
        }
        let slots = if head & 0x80 == 0 { usual } else { self.small() };
        (self.list(missing), self.list(bad), slots)
    }

    fn list(&mut self, count: usize) -> Vec<u16> {
        let mut before = 0_u16;
        (0..count)
            .map(|_| {
                before = before.saturating_add(self.small());
                before
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalDay;
    use crate::stats::code16;
    use proptest::prelude::*;

    fn ring(gaps: &[Gap]) -> DayRing {
        let mut days = DayRing::NEW;
        for gap in gaps {
            let good = i64::from(gap.good()).max(1);
            let whole = gap.sum / good * i64::from(gap.slots);
            days.set(gap.number, code16(u64::try_from(whole).unwrap()));
        }
        days
    }

    proptest! {
        #[test]
        fn days_come_back_as_they_were(
            days in prop::collection::vec(
                (1_i32..4, prop::collection::btree_set(0_u16..96, 0..30), 0_usize..9,
                    0_i64..40_000_000, any::<bool>(), any::<Option<[u32; 2]>>()), 0..12),
            step in prop_oneof![Just(1_i64), Just(1_000)], flows: bool,
        ) {
            let mut number = 20_000;
            let mut gaps = Vec::new();
            for (after, slots, bad, sum, spring, night) in days {
                number += after;
                let slots: Vec<u16> = slots.into_iter().collect();
                let at = bad.min(slots.len());
                let (bad, missing) = (slots[..at].to_vec(), slots[at..].to_vec());
                let (count, night) = (if flows { 7 } else { 0 }, night.filter(|_| flows));
                let slots = if spring { 100 } else { 96 };
                gaps.push(Gap { number, slots, missing, bad, sum, flows: count, night });
            }
            let days = ring(&gaps);
            let coding = Coding { days: &days, step, flows, usual: 96 };
            let back = read(&written(&gaps, coding), coding);
            prop_assert_eq!(back, gaps);
        }
    }

    #[test]
    fn a_day_with_two_gaps_takes_few_bytes_and_takes_a_late_slot() {
        let mut day = OpenDay::new(LocalDay { number: 20_000, start: 0, end: 86_400 }, 900);
        for index in (0..96).filter(|index| ![7, 60].contains(index)) {
            day.mark(index, Some(130_000 + i64::try_from(index % 7).unwrap() * 10_000));
        }
        let gap = Gap { flows: 0, ..Gap::of(&day, None) };
        assert_eq!((gap.missing.as_slice(), gap.good()), ([7, 60].as_slice(), 94));
        let mut days = DayRing::NEW;
        days.set(20_000, day.code(90));
        let coding = Coding { days: &days, step: 1_000, flows: false, usual: 96 };
        let gaps = written(std::slice::from_ref(&gap), coding);
        assert!(gaps.len() <= 8, "{}", gaps.len());
        let mut back = read(&gaps, coding).remove(0);
        assert_eq!(back, gap);
        assert!(back.fill(60, Some(5)) && !back.fill(60, Some(5)) && !back.fill(8, None));
        assert_eq!((back.sum, back.missing.as_slice()), (gap.sum + 5, [7].as_slice()));
        assert!(back.fill(7, None) && back.bad == [7]);
    }
}
