//! Telegrams that tell the last slots of use again and again (ERT interval messages): a counter of
//! slots, modulo 256, says which of them are new, so that each is stored once however often it is
//! heard, and at the same place whatever the receivers' clocks say.

use metering::UtcTime;

/// The newest slot that is known: how far the counter stood, and when that slot ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Anchor {
    pub(super) count: u8,
    pub(super) end: UtcTime,
}

/// Where the slots of a telegram belong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    /// End of its newest slot.
    pub(super) end: UtcTime,
    /// So many of its newest slots are not stored yet.
    pub(super) fresh: usize,
    /// It is newer than what was known.
    pub(super) newer: bool,
}

/// The counter wraps at.
const MODULUS: i64 = 256;
/// Receivers' clocks may be wrong by so many slots; more, and the counter has started again.
const OFF_SLOTS_MAX: i64 = 2;

impl Anchor {
    /// Places a telegram of `slots` slots that stands at `count`, whose newest slot ended at about
    /// `told` by the receiver's clock.
    pub(super) fn place(self, count: u8, told: UtcTime, slots: usize, len_s: i32) -> Placed {
        let len = i64::from(len_s.max(1));
        let by_clock = (told.seconds_since(self.end) + len / 2).div_euclid(len);
        let ahead = i64::from(count.wrapping_sub(self.count));
        // How often the counter has gone round is what the clock says best.
        let rounds = (by_clock - ahead + MODULUS / 2).div_euclid(MODULUS);
        let steps = ahead + rounds * MODULUS;
        if (steps - by_clock).abs() > OFF_SLOTS_MAX {
            return Placed { end: told, fresh: slots, newer: told > self.end };
        }
        let end = self.end.plus_seconds(steps * len);
        let fresh = match usize::try_from(steps) {
            Ok(steps) => steps.min(slots),
            // A telegram that comes late by another way may fill what was missed.
            Err(_) => slots,
        };
        Placed { end, fresh, newer: steps > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: u8, after_slots: i64, want: (i64, usize, bool)) {
        let end = UtcTime::from_seconds(1_800_000_000);
        let anchor = Anchor { count: 250, end };
        let told = end.plus_seconds(after_slots * 300);
        let placed = anchor.place(count, told, 47, 300);
        let (steps, fresh, newer) = want;
        assert_eq!(
            placed,
            Placed { end: end.plus_seconds(steps * 300), fresh, newer },
            "{count} {after_slots}"
        );
    }

    #[test]
    fn the_counter_says_which_slots_are_new() {
        // The same telegram by another receiver, whose clock is a slot off.
        check(250, 0, (0, 0, false));
        check(250, 1, (0, 0, false));
        check(250, -1, (0, 0, false));
        check(251, 1, (1, 1, true));
        check(251, 2, (1, 1, true));
        // Over the wrap.
        check(4, 10, (10, 10, true));
        check(40, 46, (46, 46, true));
        // More than the telegram holds: a gap remains.
        check(54, 60, (60, 47, true));
        // Once round, and a half more.
        check(250, 256, (256, 47, true));
        check(122, 128, (128, 47, true));
        check(122, 384, (384, 47, true));
        // Late by another way.
        check(248, -2, (-2, 47, false));
        check(10, -240, (-240, 47, false));
        // The counter has started again: the clock counts.
        check(3, 1, (1, 47, true));
        check(100, 0, (0, 47, false));
    }
}
