//! Billing harm (`metering-rules.md` 11.3): values that were withheld from the bill although
//! nothing
//! was wrong, and wrong values that were let through.

use std::collections::{HashMap, HashSet};

use metering::{MeterId, UtcTime};
use serde::Serialize;
use simulators::TrialFault;
use vee::day::DayVerdict;

use super::fleet::Directory;

const DAY_S: i64 = 86_400;
/// What a fault brings with it may be withheld for so long after its end.
const AFTER_S: i64 = 10 * DAY_S;

/// Faults while which the intervals themselves say what was not used.
const WRONG_VALUES: [&str; 9] = [
    "stuck_value",
    "missing_pulses",
    "double_count",
    "wrong_multiplier",
    "negative_water",
    "reverse_rotation",
    "test_mode",
    "pulse_overflow",
    "not_recording",
];

/// Intervals of the first channel of each meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BillingHarm {
    pub intervals: u64,
    /// Not usable for billing, by the close of their day.
    pub held: u64,
    /// Of these: no fault explains it.
    pub wrongly_held: u64,
    /// Wrong by the truth.
    pub wrong: u64,
    /// Of these: validated all the same.
    pub wrongly_released: u64,
}

/// What day closes said, as far as the bill is concerned.
#[derive(Debug, Default)]
pub(super) struct Bills {
    watched: HashSet<MeterId>,
    intervals: u64,
    suspect: HashMap<(MeterId, UtcTime), Vec<UtcTime>>,
    /// Of watched meters: ends of what was validated.
    released: HashMap<(MeterId, UtcTime), Vec<UtcTime>>,
}

impl Bills {
    /// Remembers what is needed to judge these faults later.
    pub(super) fn watch(&mut self, faults: &[TrialFault], directory: &Directory) {
        let wrong = faults.iter().filter(|fault| has_wrong_values(fault));
        self.watched = wrong
            .flat_map(|fault| directory.subjects(&fault.subject))
            .filter_map(|subject| match subject {
                metering::Subject::Meter(meter) => Some(meter),
                _ => None,
            })
            .collect();
    }

    /// A day was closed, or closed again.
    pub(super) fn note(
        &mut self,
        meter: MeterId,
        (start, len_s, again): (UtcTime, i32, bool),
        verdict: &DayVerdict,
    ) {
        if !again {
            self.intervals += verdict.validated.len() as u64;
        }
        let key = (meter, start);
        if verdict.suspect.is_empty() {
            if again {
                self.suspect.remove(&key);
            }
        } else {
            self.suspect.insert(key, verdict.suspect.iter().map(|slot| slot.end).collect());
        }
        if self.watched.contains(&meter) {
            let ends = (1..).map(|nth: i64| start.plus_seconds(nth * i64::from(len_s)));
            let released = ends.zip(&verdict.validated).filter(|(_, ok)| **ok);
            self.released.insert(key, released.map(|(end, _)| end).collect());
        }
    }

    pub(super) fn judge(
        &self,
        faults: &[TrialFault],
        directory: &Directory,
        trial_end: UtcTime,
    ) -> BillingHarm {
        let mut windows: HashMap<MeterId, Vec<(UtcTime, UtcTime, bool)>> = HashMap::new();
        for fault in faults {
            let to = fault.end.unwrap_or(trial_end);
            let members = fault.members.iter().filter_map(|number| directory.meter(number));
            let own = directory.subjects(&fault.subject).into_iter();
            let own = own.filter_map(|subject| match subject {
                metering::Subject::Meter(meter) => Some(meter),
                _ => None,
            });
            for meter in own.chain(members) {
                let window = (fault.onset, to, has_wrong_values(fault));
                windows.entry(meter).or_default().push(window);
            }
        }
        let of = |meter: &MeterId| windows.get(meter).map_or(&[][..], Vec::as_slice);
        let mut harm = BillingHarm { intervals: self.intervals, ..BillingHarm::default() };
        for ((meter, _), ends) in &self.suspect {
            for end in ends {
                let windows = of(meter);
                let excused = |(from, to, _): &(UtcTime, UtcTime, bool)| {
                    from < end && *end <= to.plus_seconds(AFTER_S)
                };
                let is_wrong = |(from, to, wrong): &(UtcTime, UtcTime, bool)| {
                    *wrong && from < end && end <= to
                };
                harm.held += 1;
                harm.wrongly_held += u64::from(!windows.iter().any(excused));
                harm.wrong += u64::from(windows.iter().any(is_wrong));
            }
        }
        for ((meter, _), ends) in &self.released {
            let windows = of(meter);
            let wrong = ends.iter().filter(|end| {
                windows.iter().any(|(from, to, wrong)| *wrong && from < *end && *end <= to)
            });
            let wrong = wrong.count() as u64;
            harm.wrong += wrong;
            harm.wrongly_released += wrong;
        }
        harm
    }
}

fn has_wrong_values(fault: &TrialFault) -> bool {
    WRONG_VALUES.contains(&fault.scenario.name)
}

impl BillingHarm {
    pub(super) fn join(&mut self, other: &Self) {
        self.intervals += other.intervals;
        self.held += other.held;
        self.wrongly_held += other.wrongly_held;
        self.wrong += other.wrong;
        self.wrongly_released += other.wrongly_released;
    }
}
