//! A meter's place in the network, and what was delivered of its newest days.

use crate::snapshot::{snap_by, snap_struct};

/// Days of which the number of delivered slots is kept: a week, and five days for late data.
const SEEN_DAYS: usize = 12;
const DAY_S: i64 = 86_400;
const NO_DAY: u16 = u16::MAX;

/// A meter's place in the network, by the place of the meter in the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// Number of its cohort (maker, model, firmware); 0 = unknown.
    pub(crate) cohort: u16,
    pub(crate) usage_point: i32,
    is: Is,
    /// Newest UTC day of `seen`, and the first day with a slot ([`NO_DAY`]: none); since 1970.
    newest: u16,
    first: u16,
    /// Delivered slots of the last days, place 0 the newest; one in several for very short slots.
    seen: [u8; SEEN_DAYS],
}

snap_struct!(Link { cohort, usage_point, is, newest, first, seen });

/// Facts of a meter in the network, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Is(u8);

snap_by!(Is, u8, |is: Is| is.0, |bits| Some(Is(bits)));

impl Is {
    /// It said that it lost power and nothing came from it since.
    pub(crate) const DARK: Self = Self(1);
    /// Something of it is kept in [`crate::rules::verdicts::Verdicts`].
    pub(crate) const JUDGED: Self = Self(2);
    /// Contracted demand is billed.
    pub(crate) const DEMAND_BILLED: Self = Self(4);
    /// It has registers of rates.
    pub(crate) const TIME_OF_USE: Self = Self(8);
}

impl Link {
    pub(crate) const fn is(&self, fact: Is) -> bool {
        self.is.0 & fact.0 != 0
    }

    pub(crate) const fn set(&mut self, fact: Is, holds: bool) {
        self.is.0 = if holds { self.is.0 | fact.0 } else { self.is.0 & !fact.0 };
    }

    pub(super) const NEW: Self = Self {
        cohort: 0,
        usage_point: 0,
        is: Is(0),
        newest: 0,
        first: NO_DAY,
        seen: [0; SEEN_DAYS],
    };

    /// A slot of `len_s` that starts at `start` was delivered for the first time.
    pub(super) fn note(&mut self, start: i64, len_s: i64) {
        let step = slot_step(len_s);
        if start.div_euclid(len_s) % step != 0 {
            return;
        }
        let day = u16::try_from(start.div_euclid(DAY_S)).unwrap_or(0).min(NO_DAY - 1);
        if self.first == NO_DAY {
            self.newest = day;
        }
        if day > self.newest {
            let moved = usize::from(day - self.newest).min(SEEN_DAYS);
            self.seen.copy_within(..SEEN_DAYS - moved, moved);
            self.seen[..moved].fill(0);
            self.newest = day;
        }
        self.first = self.first.min(day);
        if let Some(seen) = self.seen.get_mut(usize::from(self.newest - day)) {
            *seen = seen.saturating_add(1);
        }
    }

    /// Delivered share of the UTC day, in thousandths, of channels whose slots are `len_s` long.
    /// `None` before the first whole day and when it is too long ago.
    pub(crate) fn delivered_permille(&self, day: i32, lens_s: &[i64]) -> Option<i64> {
        let newest = i32::from(self.newest);
        if day <= self.first_day() {
            return None;
        }
        let expected: i64 =
            lens_s.iter().map(|len_s| DAY_S / (len_s * slot_step(*len_s)).max(1)).sum();
        if expected == 0 {
            return None;
        }
        if day > newest {
            return Some(0);
        }
        let back = usize::try_from(newest - day).ok().filter(|back| *back < SEEN_DAYS)?;
        Some((i64::from(self.seen[back]) * 1_000 / expected).min(1_000))
    }

    /// First UTC day with a slot.
    pub(crate) fn first_day(&self) -> i32 {
        if self.first == NO_DAY { i32::MAX } else { i32::from(self.first) }
    }
}

/// Very short slots are sampled, so that a day's number fits a byte.
fn slot_step(len_s: i64) -> i64 {
    (DAY_S / len_s.max(1)).div_euclid(240).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_slots_are_counted_by_day_also_when_they_come_late() {
        let mut link = Link::NEW;
        for slot in 0..96 * 3 {
            if slot % 96 != 5 || slot < 96 {
                link.note(slot * 900, 900);
            }
        }
        assert_eq!(link.delivered_permille(0, &[900]), None);
        assert_eq!(link.delivered_permille(1, &[900]), Some(989));
        assert_eq!(link.delivered_permille(3, &[900]), Some(0));
        link.note(96 * 900 + 5 * 900, 900);
        assert_eq!(link.delivered_permille(1, &[900]), Some(1_000));
        link.note(30 * DAY_S, 300);
        assert_eq!(link.delivered_permille(2, &[900]), None);
        assert_eq!(link.delivered_permille(29, &[300]), Some(0));
    }
}
