//! The days of a channel of which slots may still come, in as few bytes as they take: the ones that
//! are kept slot by slot, oldest first, and behind them what [`super::gaps`] keeps of the closed ones.

use super::days::{OpenDay, SLOTS_A_BYTE};
use super::sec::Sec;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer};

/// Slots, number, start and sum of a day; then its night, where one is kept; then two bits a slot.
const HEAD: usize = 18;
const NIGHT: usize = 8;
/// In the number of slots: a night is kept.
const WITH_NIGHT: u16 = 0x8000;
/// Instead of a number of slots: no more days, what follows are gaps.
const GAPS: u16 = u16::MAX;

/// What tells a day apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) number: i32,
    pub(crate) slots: u16,
    start: Sec,
    with_night: bool,
    /// Where it stands.
    from: usize,
    to: usize,
}

impl Head {
    pub(crate) fn start(&self) -> i64 {
        self.start.s()
    }
}

/// They come and go once a day: no room is kept for more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OpenDays(Box<[u8]>);

impl OpenDays {
    fn head(&self, from: usize) -> Option<Head> {
        let (first, rest) = self.0.get(from..)?.split_first_chunk()?;
        let first = u16::from_le_bytes(*first);
        if first == GAPS {
            return None;
        }
        let (number, rest) = rest.split_first_chunk()?;
        let (start, _) = rest.split_first_chunk()?;
        let (slots, with_night) = (first & !WITH_NIGHT, first & WITH_NIGHT != 0);
        let night = if with_night { NIGHT } else { 0 };
        let to = from + HEAD + night + usize::from(slots).div_ceil(SLOTS_A_BYTE);
        (to <= self.0.len()).then(|| Head {
            number: i32::from_le_bytes(*number),
            slots,
            start: Sec::from_le_bytes(*start),
            with_night,
            from,
            to,
        })
    }

    /// The days, oldest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Head> {
        std::iter::successors(self.head(0), |before| self.head(before.to))
    }

    pub(crate) fn last(&self) -> Option<Head> {
        self.heads().last()
    }

    pub(crate) fn has(&self, number: i32) -> bool {
        self.heads().any(|head| head.number == number)
    }

    pub(crate) fn get(&self, number: i32) -> Option<OpenDay> {
        self.heads().find(|head| head.number == number).and_then(|head| self.day(head))
    }

    /// The days, slot by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = OpenDay> {
        self.heads().filter_map(|head| self.day(head))
    }

    fn day(&self, head: Head) -> Option<OpenDay> {
        let bytes = self.0.get(head.from + 10..head.to)?;
        let (sum, mut bits) = bytes.split_first_chunk()?;
        let mut night = [0; 2];
        if head.with_night {
            for hour in &mut night {
                let (own, rest) = bits.split_first_chunk()?;
                (*hour, bits) = (u32::from_le_bytes(*own), rest);
            }
        }
        let whose = (head.number, head.slots, head.start);
        Some(OpenDay::from_parts(whose, (i64::from_le_bytes(*sum), night), bits))
    }

    /// Keeps a day as it is now.
    pub(crate) fn put(&mut self, day: &OpenDay) {
        let known = self.heads().find(|head| head.number >= day.number);
        let (from, to) = match known {
            Some(head) if head.number == day.number => (head.from, head.to),
            Some(head) => (head.from, head.from),
            None => (self.days_end(), self.days_end()),
        };
        if to - from == len_of(day) {
            self.0[from..to].iter_mut().zip(bytes_of(day)).for_each(|(to, byte)| *to = byte);
        } else {
            let (before, after) = (&self.0[..from], &self.0[to..]);
            self.0 =
                before.iter().copied().chain(bytes_of(day)).chain(after.iter().copied()).collect();
        }
    }

    /// Only the days with such a number stay.
    pub(crate) fn retain(&mut self, stays: impl Fn(i32) -> bool) {
        if self.heads().all(|head| stays(head.number)) {
            return;
        }
        let days = self.heads().filter(|head| stays(head.number));
        let mut bytes: Vec<u8> =
            days.flat_map(|head| self.0[head.from..head.to].iter().copied()).collect();
        bytes.extend_from_slice(&self.0[self.days_end()..]);
        self.0 = bytes.into_boxed_slice();
    }

    fn days_end(&self) -> usize {
        self.last().map_or(0, |last| last.to)
    }

    /// What is kept of closed days.
    pub(crate) fn gaps(&self) -> &[u8] {
        self.0.get(self.days_end() + 2..).unwrap_or_default()
    }

    pub(crate) fn set_gaps(&mut self, gaps: &[u8]) {
        let mark: &[u8] = if gaps.is_empty() { &[] } else { &GAPS.to_le_bytes() };
        self.0 = [&self.0[..self.days_end()], mark, gaps].concat().into_boxed_slice();
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

fn night_of(day: &OpenDay) -> Option<[u32; 2]> {
    Some(day.night()).filter(|night| *night != [0; 2])
}

fn len_of(day: &OpenDay) -> usize {
    HEAD + night_of(day).map_or(0, |_| NIGHT) + usize::from(day.slots).div_ceil(SLOTS_A_BYTE)
}

fn bytes_of(day: &OpenDay) -> impl Iterator<Item = u8> {
    let night = night_of(day);
    let first = if night.is_some() { day.slots | WITH_NIGHT } else { day.slots };
    let head = first.to_le_bytes().into_iter().chain(day.number.to_le_bytes());
    let head = head.chain(day.start_sec().to_le_bytes()).chain(day.sum.to_le_bytes());
    head.chain(night.into_iter().flatten().flat_map(u32::to_le_bytes)).chain(day.bits())
}

impl Snap for OpenDays {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let this = Self(Snap::load(from)?);
        let end = this.days_end();
        let rest = this.0.get(end..).unwrap_or_default();
        let sound = rest.is_empty() || (rest.len() > 2 && rest.starts_with(&GAPS.to_le_bytes()));
        if sound { Ok(this) } else { Err(SnapshotError::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalDay;
    use proptest::prelude::*;

    fn day(number: i32, len_s: i64, values: &[Option<i64>]) -> OpenDay {
        let start = 1_790_000_000 + i64::from(number) * 86_400;
        let mut day = OpenDay::new(LocalDay { number, start, end: start + 86_400 }, len_s);
        for (index, value) in values.iter().enumerate() {
            day.mark(index * 3, *value);
            if let Some(value) = value {
                let _ = day.add_to_night((start + 7_200, len_s), *value);
            }
        }
        day
    }

    proptest! {
        #[test]
        fn days_and_gaps_come_back_as_they_were(
            puts in prop::collection::vec(
                (0_i32..9, prop::sample::select(vec![300_i64, 900, 3_600, 86_400]),
                    prop::collection::vec(any::<Option<u16>>(), 0..20)), 0..14),
            gaps: Vec<u8>,
            gone in 0_i32..9,
        ) {
            let (mut kept, mut all) = (OpenDays::default(), std::collections::BTreeMap::new());
            for (at, (number, len_s, values)) in puts.into_iter().enumerate() {
                let values: Vec<_> = values.iter().map(|value| value.map(i64::from)).collect();
                let day = day(number, len_s, &values);
                kept.put(&day);
                all.insert(number, day);
                if at == 3 {
                    kept.set_gaps(&gaps);
                }
            }
            kept.set_gaps(&gaps);
            kept.retain(|number| number != gone);
            all.remove(&gone);
            prop_assert_eq!(kept.gaps(), gaps.as_slice());
            let expected: Vec<_> = all.values().cloned().collect();
            prop_assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(kept.last().map(|last| last.number), all.keys().last().copied());
            prop_assert_eq!((kept.has(gone), kept.get(4)), (false, all.get(&4).cloned()));
            let mut to = Writer::start(&[0; 32]);
            kept.save(&mut to);
            let bytes = to.finish();
            let mut from = Reader::start(&bytes, &[0; 32]).unwrap();
            prop_assert_eq!(OpenDays::load(&mut from).unwrap(), kept);
        }
    }

    #[test]
    fn a_quarter_hourly_day_takes_42_bytes() {
        let mut kept = OpenDays::default();
        kept.put(&OpenDay::new(
            LocalDay { number: 20_000, start: 1_728_000_000, end: 1_728_086_400 },
            900,
        ));
        assert_eq!(kept.heap_bytes(), 42);
        kept.set_gaps(&[1, 2, 3]);
        kept.retain(|_| false);
        assert_eq!((kept.heap_bytes(), kept.gaps()), (5, [1, 2, 3].as_slice()));
    }
}
