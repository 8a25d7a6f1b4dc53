//! What flows out through a leak was told with its alert. A rate that changed is told again, once a
//! day at most, and what leaked is summed by the rates of its time. Between two of these tellings,
//! and up to the first, the newest rate counts: of a leak that is told only when it has lasted long,
//! as late data show it, the sum is that of its last window's rate.

use super::{AlertBook, AlertKey, Report};
use crate::rebuild::KnownLeak;
use crate::snapshot::snap_struct;
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// A rate is told again when it differs from the one told by this share of it, in per cent.
const CHANGED_PCT: i64 = 20;

/// The least flow between two instants of event time, in mL/h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) mlph: i64,
}

/// What was told last: the rate, up to when it was known, and what had leaked by then, in mL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ToldRate {
    pub(crate) to: i64,
    pub(crate) mlph: i64,
    leaked: i64,
}

snap_struct!(ToldRate { to, mlph, leaked });

fn volume(mlph: i64, (from, to): (i64, i64)) -> i64 {
    let flowed = i128::from(mlph) * i128::from((to - from).max(0)) / i128::from(HOUR_S);
    i64::try_from(flowed).unwrap_or(i64::MAX / 2)
}

impl Rate {
    /// Told of a leak that began at `start`: the rate told before ran until this one is seen.
    fn after(self, told: Option<&ToldRate>, start: i64) -> ToldRate {
        let Rate { from, to, mlph } = self;
        let leaked = match told {
            None => volume(mlph, (start, to)),
            Some(told) => {
                let turn = from.clamp(told.to, to.max(told.to));
                let before = volume(told.mlph, (told.to, turn));
                told.leaked.saturating_add(before).saturating_add(volume(mlph, (turn, to)))
            }
        };
        let to = told.map_or(to, |told| to.max(told.to));
        ToldRate { to, mlph, leaked }
    }

    /// What is told of a leak that began at `start` and is over.
    pub(super) fn told_once(self, start: i64) -> [Evidence; 2] {
        self.after(None, start).facts()
    }
}

impl ToldRate {
    fn facts(self) -> [Evidence; 2] {
        [
            Evidence::milli("leak_per_day", self.mlph.saturating_mul(24), "L"),
            Evidence::milli("leaked", self.leaked, "L"),
        ]
    }
}

impl AlertBook {
    /// Whether what was told of the rate is not true any more.
    pub(super) fn rate_changed(&self, key: &AlertKey, report: &Report) -> bool {
        let Some(rate) = report.rate else { return false };
        self.rates.get(key).is_none_or(|told| {
            rate.to >= told.to.saturating_add(DAY_S)
                && (rate.mlph - told.mlph).saturating_abs() * 100
                    > told.mlph.saturating_mul(CHANGED_PCT)
        })
    }

    /// The store knows what was told of the rate. Without that the sum of the alert begins anew, for
    /// the store has none either.
    pub(super) fn know_rate(&mut self, key: &AlertKey, known: Option<KnownLeak>) {
        match known {
            Some(KnownLeak { ml_per_day, to, leaked_ml }) => {
                let told = ToldRate { to: to.seconds(), mlph: ml_per_day / 24, leaked: leaked_ml };
                self.rates.insert(*key, told);
            }
            None => drop(self.rates.remove(key)),
        }
    }

    /// Adds to the report of an alert that began at `start` what has leaked; it is told.
    pub(super) fn tell_rate(&mut self, key: &AlertKey, start: i64, report: &mut Report) {
        let Some(rate) = report.rate else { return };
        let told = rate.after(self.rates.get(key), start);
        report.evidence.extend(told.facts());
        self.rates.insert(*key, told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaked_is_the_sum_of_the_rates_of_their_time() {
        let rate = |from, to, mlph| Rate { from: from * DAY_S, to: to * DAY_S, mlph };
        let first = rate(0, 1, 10_000).after(None, 0);
        assert_eq!(first, ToldRate { to: DAY_S, mlph: 10_000, leaked: 240_000 });
        // Two days later twice as much has flowed for a day.
        let next = rate(2, 3, 20_000).after(Some(&first), 0);
        assert_eq!(next.leaked, 240_000 + 240_000 + 480_000);
        // Told of what was told before: nothing leaks twice.
        let again = rate(1, 2, 30_000).after(Some(&next), 0);
        assert_eq!((again.leaked, again.to), (next.leaked, next.to));
        // The window began before what was told ended.
        let overlap = rate(2, 4, 5_000).after(Some(&next), 0);
        assert_eq!(overlap.leaked, next.leaked + 120_000);
    }
}
