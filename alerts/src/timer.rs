//! What happens at a log time without data. Ordered by due time, then by key, so that the order in
//! which timers were set does not matter.

use std::collections::BTreeSet;

use crate::alerts::AlertKey;

/// What a timer is for. Meters and collectors are named by their place in the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum TimerKey {
    /// Nothing arrives from anybody.
    Headend,
    /// A local day of a channel is over and its stragglers too.
    DayClose { meter: u32, channel: u8 },
    /// A meter may have become stale or lost.
    Silence { meter: u32 },
    /// A collector may have lost its heartbeat, or recovered.
    Collector { collector: u32 },
    /// A child of an outage that is over should be back.
    Child { meter: u32 },
    /// The low-battery flag stayed away.
    Battery { meter: u32 },
    /// All meters of a group have had time to close a day.
    Variance { group: u16, day: i32 },
    /// Once a day: what looks at whole days of many meters.
    Daily,
    /// A meter that lost power: is it still dark?
    Dark { meter: u32 },
    /// A meter was put into test mode hours ago.
    TestMode { meter: u32 },
    /// An alert found in old data: is it still true?
    Annunciate(AlertKey),
    /// A rule by its number looks at a meter again.
    Look { meter: u32, rule: u8 },
}

/// Pending timers, in seconds of log time.
#[derive(Clone, Default, Debug)]
pub(crate) struct Timers {
    due: BTreeSet<(i64, TimerKey)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: i64, key: TimerKey) {
        self.due.insert((at, key));
    }

    pub(crate) fn cancel(&mut self, at: i64, key: TimerKey) {
        self.due.remove(&(at, key));
    }

    /// Takes the first timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<TimerKey> {
        let first = *self.due.first()?;
        (first.0 <= now).then(|| {
            self.due.remove(&first);
            first.1
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(i64, TimerKey)> {
        self.due.iter()
    }
}
