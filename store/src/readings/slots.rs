//! Which slots are stored already, as far as this writer knows: a hint that decides between COPY
//! and the probe, never between storing and not storing.

use std::collections::HashMap;

use metering::time::DAY_S;
use metering::{ChannelNo, MeterId};

/// Series-days that are remembered; each costs about 50 bytes.
const SERIES_DAYS_MAX: usize = 1_000_000;

type Series = (MeterId, ChannelNo);

/// Bitmaps of seen slots per (meter, channel, UTC day).
#[derive(Debug, Default)]
pub(super) struct SeenSlots {
    days: HashMap<i64, SeenDay>,
    series_days: usize,
    /// Counts batches, to know which day was used last.
    tick: u64,
}

#[derive(Debug, Default)]
struct SeenDay {
    series: HashMap<Series, Bits>,
    /// Nothing was stored on this day before: a series without a bitmap has no slot.
    complete: bool,
    last_used: u64,
}

/// One bit per slot; 96 quarter hours need no allocation.
#[derive(Clone, Debug)]
enum Bits {
    Small(u128),
    Large(Box<[u64]>),
}

impl Bits {
    fn new(slots: usize) -> Self {
        if slots <= 128 { Self::Small(0) } else { Self::Large(vec![0; slots.div_ceil(64)].into()) }
    }

    /// Sets a bit and tells whether it was set. Beyond the map, everything counts as seen.
    fn set(&mut self, slot: usize) -> bool {
        match self {
            Self::Small(bits) if slot < 128 => {
                let mask = 1_u128 << slot;
                let seen = *bits & mask != 0;
                *bits |= mask;
                seen
            }
            Self::Small(_) => true,
            Self::Large(words) => match words.get_mut(slot / 64) {
                Some(word) => {
                    let mask = 1_u64 << (slot % 64);
                    let seen = *word & mask != 0;
                    *word |= mask;
                    seen
                }
                None => true,
            },
        }
    }
}

/// Slot of a start (seconds of the epoch) in its UTC day.
fn slot_of(start_s: i64, len_s: i32) -> usize {
    let second = start_s.rem_euclid(DAY_S);
    usize::try_from(second / i64::from(len_s.max(1))).unwrap_or(usize::MAX)
}

fn slots_of_day(len_s: i32) -> usize {
    let count = (DAY_S + i64::from(len_s.max(1)) - 1) / i64::from(len_s.max(1));
    usize::try_from(count.max(1)).unwrap_or(1)
}

impl SeenSlots {
    /// Starts a batch: forgets the days used longest ago when there are too many.
    pub(super) fn begin(&mut self) {
        self.tick += 1;
        while self.series_days > SERIES_DAYS_MAX && self.days.len() > 1 {
            let oldest = self.days.iter().min_by_key(|(_, day)| day.last_used).map(|(n, _)| *n);
            let Some(oldest) = oldest else { break };
            self.forget(oldest);
        }
    }

    pub(super) fn knows_day(&self, day: i64) -> bool {
        self.days.contains_key(&day)
    }

    /// Opens a day. `empty`: its partition holds nothing.
    pub(super) fn open_day(&mut self, day: i64, empty: bool) {
        let tick = self.tick;
        let entry = self.days.entry(day).or_default();
        entry.complete |= empty;
        entry.last_used = tick;
    }

    /// True when the bitmap of the series on this day has to be loaded before it can be used.
    pub(super) fn lacks(&self, series: Series, day: i64) -> bool {
        self.days
            .get(&day)
            .is_none_or(|known| !known.complete && !known.series.contains_key(&series))
    }

    /// Loads what the table says of a series on a day.
    pub(super) fn load(&mut self, series: Series, day: i64, len_s: i32, starts_s: &[i64]) {
        let entry = self.days.entry(day).or_default();
        let mut bits = Bits::new(slots_of_day(len_s));
        for start_s in starts_s {
            bits.set(slot_of(*start_s, len_s));
        }
        if entry.series.insert(series, bits).is_none() {
            self.series_days += 1;
        }
    }

    /// Marks a slot and tells whether it was seen before (or is not known, which is the same).
    pub(super) fn mark(&mut self, series: Series, start_s: i64, len_s: i32) -> bool {
        let day_number = start_s.div_euclid(DAY_S);
        let Some(day) = self.days.get_mut(&day_number) else { return true };
        day.last_used = self.tick;
        let complete = day.complete;
        let mut is_new = false;
        let bits = day.series.entry(series).or_insert_with(|| {
            is_new = true;
            Bits::new(slots_of_day(len_s))
        });
        if is_new {
            self.series_days += 1;
        }
        let seen = bits.set(slot_of(start_s, len_s));
        seen || (is_new && !complete)
    }

    /// After a rollback nothing is known of the day.
    pub(super) fn forget(&mut self, day: i64) {
        if let Some(gone) = self.days.remove(&day) {
            self.series_days -= gone.series.len().min(self.series_days);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: Series = (MeterId::new(1), ChannelNo::new(1));

    #[test]
    fn a_slot_is_new_once_on_a_fresh_day() {
        for len_s in [60, 900, 3_600, 86_400] {
            let mut slots = SeenSlots::default();
            slots.begin();
            slots.open_day(0, true);
            assert!(!slots.lacks(SERIES, 0));
            assert!(!slots.mark(SERIES, 0, len_s));
            assert!(slots.mark(SERIES, 0, len_s));
            if len_s < 86_400 {
                assert!(!slots.mark(SERIES, 86_400 - i64::from(len_s), len_s));
            }
        }
    }

    #[test]
    fn a_day_with_rows_counts_as_seen_until_loaded() {
        let mut slots = SeenSlots::default();
        slots.begin();
        assert!(slots.mark(SERIES, 900, 900), "an unopened day is unknown");
        slots.open_day(0, false);
        assert!(slots.lacks(SERIES, 0));
        slots.load(SERIES, 0, 900, &[0, 900]);
        assert!(!slots.lacks(SERIES, 0));
        assert!(slots.mark(SERIES, 900, 900));
        assert!(!slots.mark(SERIES, 1_800, 900));
        slots.forget(0);
        assert!(slots.lacks(SERIES, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut slots = SeenSlots::default();
        for day in 0..30 {
            slots.begin();
            slots.open_day(day, true);
            for meter in 0..50_000 {
                slots.mark((MeterId::new(meter), ChannelNo::new(1)), day * DAY_S, 900);
            }
        }
        slots.begin();
        assert!(slots.series_days <= SERIES_DAYS_MAX);
        assert!(!slots.knows_day(0) && slots.knows_day(29));
    }
}
