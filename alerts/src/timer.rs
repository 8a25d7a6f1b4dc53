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

/// Pending timers, in seconds of log time. The two that nearly every meter has stand by
/// themselves, where they take less.
#[derive(Clone, Default, Debug)]
pub(crate) struct Timers {
    due: BTreeSet<(Sec, TimerKey)>,
    /// [`TimerKey::Silence`] of a meter.
    silences: BTreeSet<(Sec, u32)>,
    /// [`TimerKey::DayClose`] of a meter's first channel.
    closes: BTreeSet<(Sec, u32)>,
}

/// In the order in which timers of one instant fire.
fn silence(&(at, meter): &(Sec, u32)) -> (Sec, TimerKey) {
    (at, TimerKey::Silence { meter })
}

fn close(&(at, meter): &(Sec, u32)) -> (Sec, TimerKey) {
    (at, TimerKey::DayClose { meter, channel: 0 })
}

impl Timers {
    pub(crate) fn set(&mut self, at: i64, key: TimerKey) {
        let at = Sec::of(at);
        match key {
            TimerKey::Silence { meter } => self.silences.insert((at, meter)),
            TimerKey::DayClose { meter, channel: 0 } => self.closes.insert((at, meter)),
            _ => self.due.insert((at, key)),
        };
    }

    pub(crate) fn cancel(&mut self, at: i64, key: TimerKey) {
        self.remove(&(Sec::of(at), key));
    }

    fn remove(&mut self, (at, key): &(Sec, TimerKey)) {
        match *key {
            TimerKey::Silence { meter } => self.silences.remove(&(*at, meter)),
            TimerKey::DayClose { meter, channel: 0 } => self.closes.remove(&(*at, meter)),
            _ => self.due.remove(&(*at, *key)),
        };
    }

    /// Takes the first timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<TimerKey> {
        let common = self.silences.first().map(silence).into_iter();
        let common = common.chain(self.closes.first().map(close));
        let first = common.chain(self.due.first().copied()).min()?;
        (first.0.s() <= now).then(|| {
            self.remove(&first);
            first.1
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len() + self.silences.len() + self.closes.len()
    }

    /// All of them, in an order that depends on nothing but what they are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, TimerKey)> {
        let common = self.silences.iter().map(silence).chain(self.closes.iter().map(close));
        common.chain(self.due.iter().copied()).map(|(due, key)| (due.s(), key))
    }

    /// Bytes of the timers: the nodes of the trees are two thirds full in the mean.
    pub(crate) fn bytes(&self) -> usize {
        let common = self.silences.len() + self.closes.len();
        let all = self.due.len() * size_of::<(Sec, TimerKey)>() + common * size_of::<(Sec, u32)>();
        all * 3 / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_one_instant_fire_in_the_order_of_their_keys() {
        let mut timers = Timers::default();
        let keys = [
            TimerKey::Headend,
            TimerKey::DayClose { meter: 1, channel: 0 },
            TimerKey::DayClose { meter: 1, channel: 1 },
            TimerKey::DayClose { meter: 2, channel: 0 },
            TimerKey::Silence { meter: 0 },
            TimerKey::Silence { meter: 3 },
            TimerKey::Daily,
        ];
        keys.iter().rev().for_each(|key| timers.set(100, *key));
        timers.set(99, TimerKey::Silence { meter: 9 });
        timers.set(98, TimerKey::Daily);
        timers.cancel(98, TimerKey::Daily);
        timers.set(101, TimerKey::DayClose { meter: 0, channel: 0 });
        assert_eq!((timers.len(), timers.iter().count()), (9, 9));
        assert_eq!(timers.pop_due(99), Some(TimerKey::Silence { meter: 9 }));
        let fired: Vec<TimerKey> = std::iter::from_fn(|| timers.pop_due(100)).collect();
        assert_eq!(fired, keys);
        assert_eq!(timers.len(), 1);
    }
}
