//! What happens at a log time without data. Ordered by due time, then by key, so that the order in
//! which timers were set does not matter.

use std::collections::BTreeSet;

use metering::{MeterId, RuleNo, Subject};

use crate::alerts::AlertKey;
use crate::state::sec::Sec;

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
    /// An alert of a meter found in old data: is it still true?
    Annunciate { meter: MeterId, rule: RuleNo, channel: i16 },
    /// A rule by its number looks at a meter again.
    Look { meter: u32, rule: u8 },
}

impl TimerKey {
    /// A second look at an alert of a meter; others have none.
    pub(crate) fn annunciate(key: &AlertKey) -> Option<Self> {
        let Subject::Meter(meter) = key.subject else { return None };
        Some(Self::Annunciate { meter, rule: key.rule, channel: key.channel })
    }
}

/// Pending timers, in seconds of log time.
#[derive(Clone, Default, Debug)]
pub(crate) struct Timers {
    due: BTreeSet<(Sec, TimerKey)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: i64, key: TimerKey) {
        self.due.insert((Sec::of(at), key));
    }

    pub(crate) fn cancel(&mut self, at: i64, key: TimerKey) {
        self.due.remove(&(Sec::of(at), key));
    }

    /// Takes the first timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<TimerKey> {
        let first = *self.due.first()?;
        (first.0.s() <= now).then(|| {
            self.due.remove(&first);
            first.1
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &TimerKey)> {
        self.due.iter().map(|(due, key)| (due.s(), key))
    }

    /// Bytes of the timers: the nodes of the tree are two thirds full in the mean.
    pub(crate) fn bytes(&self) -> usize {
        self.due.len() * size_of::<(Sec, TimerKey)>() * 3 / 2
    }
}
