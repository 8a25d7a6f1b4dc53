//! What registers showed last, of the channels that have one.

use std::collections::BTreeMap;

use metering::MeterId;

use super::sec::Sec;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};

/// Meter and number of its channel.
type Key = (MeterId, i16);

/// A good reading: when, and what it showed in milli-units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    at: Sec,
    pub(crate) value: i64,
}

snap_struct!(Shown { at, value });

impl Shown {
    /// Seconds.
    pub(crate) fn at(self) -> i64 {
        self.at.s()
    }
}

/// The newest of each channel.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Registers(BTreeMap<Key, Shown>);

impl Registers {
    /// What is older than the newest is passed over.
    pub(crate) fn note(&mut self, key: Key, (at, value): (i64, i64)) {
        let shown = self.0.entry(key).or_insert(Shown { at: Sec::NEVER, value });
        if at >= shown.at() {
            *shown = Shown { at: Sec::of(at), value };
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Shown> {
        self.0.get(&key).copied()
    }

    /// The largest of the meter's.
    pub(crate) fn largest(&self, meter: MeterId) -> Option<i64> {
        self.of(meter).map(|(_, shown)| shown.value).max()
    }

    /// Forgets the channels of the meter that are there no more.
    pub(crate) fn keep(&mut self, meter: MeterId, is_there: impl Fn(i16) -> bool) {
        let gone: Vec<Key> =
            self.of(meter).map(|(key, _)| *key).filter(|(_, no)| !is_there(*no)).collect();
        for key in gone {
            self.0.remove(&key);
        }
    }

    fn of(&self, meter: MeterId) -> impl Iterator<Item = (&Key, &Shown)> {
        self.0.range((meter, i16::MIN)..=(meter, i16::MAX))
    }

    /// The nodes of the tree are two thirds full in the mean.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * size_of::<(Key, Shown)>() * 3 / 2
    }
}

impl Snap for Registers {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.0.len() as u64);
        for ((meter, no), shown) in &self.0 {
            meter.save(to);
            no.save(to);
            shown.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut this = Self::default();
        for _ in 0..from.count()? {
            let key = (MeterId::load(from)?, i16::load(from)?);
            this.0.insert(key, Shown::load(from)?);
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_counts_and_a_channel_that_is_gone_is_forgotten() {
        let mut registers = Registers::default();
        let [own, other] = [7, 8].map(MeterId::new);
        registers.note((own, 1), (200, 5_000));
        registers.note((own, 1), (100, 9_000));
        registers.note((own, 2), (100, 8_000));
        registers.note((other, 1), (100, 90_000));
        assert_eq!(registers.get((own, 1)).map(|s| (s.at(), s.value)), Some((200, 5_000)));
        assert_eq!(
            (registers.largest(own), registers.largest(MeterId::new(9))),
            (Some(8_000), None)
        );
        registers.keep(own, |no| no == 1);
        assert_eq!((registers.largest(own), registers.largest(other)), (Some(5_000), Some(90_000)));
    }
}
