//! Billing harm (`metering-rules.md` 11.3): values that were withheld from the bill although
//! nothing was wrong, and wrong values that were let through.

use std::collections::{BTreeMap, HashMap, HashSet};

use metering::{MeterId, UtcTime};
use serde::Serialize;
use simulators::TrialFault;
use vee::day::{DaySlot, DayVerdict};

use super::fleet::Directory;

const DAY_S: i64 = 86_400;
/// What a fault brings with it may be withheld for so long after its end.
const AFTER_S: i64 = 10 * DAY_S;

/// Faults while which the intervals themselves say what was not used.
const WRONG_VALUES: [&str; 10] = [
    "stuck_value",
    "missing_pulses",
    "double_count",
    "sum_wanders",
    "wrong_multiplier",
    "negative_water",
    "reverse_rotation",
    "test_mode",
    "pulse_overflow",
    "not_recording",
];

/// Of these a zero is right all the same: nothing was used, and nothing times anything is nothing.
const RIGHT_AT_ZERO: [&str; 5] =
    ["missing_pulses", "double_count", "sum_wanders", "wrong_multiplier", "negative_water"];

/// Intervals of the first channel of each meter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
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
    /// By what was wrong, most released first.
    pub by_fault: Vec<FaultHarm>,
}

/// Wrong intervals of one kind of fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FaultHarm {
    pub fault: &'static str,
    pub wrong: u64,
    pub released: u64,
}

/// What day closes said, as far as the bill is concerned.
#[derive(Debug, Default)]
pub(super) struct Bills {
    watched: HashSet<MeterId>,
    intervals: u64,
    /// Ends of what is held, and whether it is zero.
    suspect: HashMap<(MeterId, UtcTime), Vec<(UtcTime, bool)>>,
    /// The same of what was validated, of watched meters.
    released: HashMap<(MeterId, UtcTime), Vec<(UtcTime, bool)>>,
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

    /// A day was closed, or closed again, over these slots.
    pub(super) fn note(
        &mut self,
        meter: MeterId,
        (start, len_s, again): (UtcTime, i32, bool),
        verdict: &DayVerdict,
        slots: &[DaySlot],
    ) {
        if !again {
            self.intervals += verdict.validated.len() as u64;
        }
        let key = (meter, start);
        let is_zero = |end: UtcTime| {
            let at = slots.binary_search_by_key(&end, |slot| slot.end);
            at.is_ok_and(|at| slots[at].value == 0)
        };
        if verdict.suspect.is_empty() {
            if again {
                self.suspect.remove(&key);
            }
        } else {
            let held = verdict.suspect.iter().map(|slot| (slot.end, is_zero(slot.end)));
            self.suspect.insert(key, held.collect());
        }
        if self.watched.contains(&meter) {
            let ends = (1..).map(|nth: i64| start.plus_seconds(nth * i64::from(len_s)));
            let released = ends.zip(&verdict.validated).filter(|(_, ok)| **ok);
            self.released.insert(key, released.map(|(end, _)| (end, is_zero(end))).collect());
        }
    }

    pub(super) fn judge(
        &self,
        faults: &[TrialFault],
        directory: &Directory,
        trial_end: UtcTime,
    ) -> BillingHarm {
        self.harm(&windows(faults, directory, trial_end))
    }

    fn harm(&self, windows: &HashMap<MeterId, Vec<Window>>) -> BillingHarm {
        let of = |meter: &MeterId| windows.get(meter).map_or(&[][..], Vec::as_slice);
        let mut harm = BillingHarm { intervals: self.intervals, ..BillingHarm::default() };
        let mut by_fault: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        for ((meter, _), ends) in &self.suspect {
            for (end, zero) in ends {
                let windows = of(meter);
                harm.held += 1;
                harm.wrongly_held += u64::from(!windows.iter().any(|window| window.excuses(*end)));
                if let Some(fault) = windows.iter().find_map(|window| window.wrong(*end, *zero)) {
                    by_fault.entry(fault).or_default().0 += 1;
                }
            }
        }
        for ((meter, _), ends) in &self.released {
            for (end, zero) in ends {
                let fault = of(meter).iter().find_map(|window| window.wrong(*end, *zero));
                if let Some((wrong, released)) = fault.map(|name| by_fault.entry(name).or_default())
                {
                    *wrong += 1;
                    *released += 1;
                }
            }
        }
        let by_fault = by_fault.into_iter();
        let one = |(fault, (wrong, released))| FaultHarm { fault, wrong, released };
        harm.by_fault = by_fault.map(one).collect();
        harm.sum_up();
        harm
    }
}

/// When a fault held, at one of its meters.
#[derive(Clone, Copy, Debug)]
struct Window {
    fault: &'static str,
    from: UtcTime,
    to: UtcTime,
    has_wrong_values: bool,
}

impl Window {
    fn excuses(&self, end: UtcTime) -> bool {
        self.from < end && end <= self.to.plus_seconds(AFTER_S)
    }

    /// The fault that made the interval wrong.
    fn wrong(&self, end: UtcTime, zero: bool) -> Option<&'static str> {
        let right = zero && RIGHT_AT_ZERO.contains(&self.fault);
        let inside = self.from < end && end <= self.to;
        (self.has_wrong_values && inside && !right).then_some(self.fault)
    }
}

fn windows(
    faults: &[TrialFault],
    directory: &Directory,
    trial_end: UtcTime,
) -> HashMap<MeterId, Vec<Window>> {
    let mut windows: HashMap<MeterId, Vec<Window>> = HashMap::new();
    for fault in faults {
        let window = Window {
            fault: fault.scenario.name,
            from: fault.onset,
            to: fault.end.unwrap_or(trial_end),
            has_wrong_values: has_wrong_values(fault),
        };
        let members = fault.members.iter().filter_map(|number| directory.meter(number));
        let own = directory.subjects(&fault.subject).into_iter();
        let own = own.filter_map(|subject| match subject {
            metering::Subject::Meter(meter) => Some(meter),
            _ => None,
        });
        for meter in own.chain(members) {
            windows.entry(meter).or_default().push(window);
        }
    }
    windows
}

fn has_wrong_values(fault: &TrialFault) -> bool {
    WRONG_VALUES.contains(&fault.scenario.name)
}

impl BillingHarm {
    pub(super) fn join(&mut self, other: &Self) {
        self.intervals += other.intervals;
        self.held += other.held;
        self.wrongly_held += other.wrongly_held;
        for one in &other.by_fault {
            match self.by_fault.iter_mut().find(|known| known.fault == one.fault) {
                Some(known) => {
                    known.wrong += one.wrong;
                    known.released += one.released;
                }
                None => self.by_fault.push(one.clone()),
            }
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.by_fault.sort_by_key(|one| (std::cmp::Reverse(one.released), one.fault));
        self.wrong = self.by_fault.iter().map(|one| one.wrong).sum();
        self.wrongly_released = self.by_fault.iter().map(|one| one.released).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_right_whether_it_was_held_or_released() {
        let end = UtcTime::from_seconds(3_600);
        let (from, to) = (UtcTime::default(), end);
        let window = Window { fault: "double_count", from, to, has_wrong_values: true };
        assert_eq!(window.wrong(end, true), None);
        assert_eq!(window.wrong(end, false), Some("double_count"));
        let mut bills = Bills::default();
        let key = (MeterId::new(1), from);
        bills.suspect.insert(key, vec![(end, true)]);
        bills.released.insert(key, vec![(end, false)]);
        let windows = HashMap::from([(MeterId::new(1), vec![window])]);
        let harm = bills.harm(&windows);
        assert_eq!((harm.held, harm.wrong, harm.wrongly_released), (1, 1, 1));
    }
}
