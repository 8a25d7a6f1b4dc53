//! Meters of one commodity and time zone: whether a strange day is the meter's or everybody's.

use std::collections::BTreeMap;

use metering::Commodity;

use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};

/// What was seen of one local day of a group.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct GroupDay {
    /// Channels that were judged.
    pub(crate) judged: u32,
    /// Meter and channel by their places, high ones and low ones.
    pub(crate) high: Vec<(u32, u8)>,
    pub(crate) low: Vec<(u32, u8)>,
    pub(crate) crowd: Crowd,
}

snap_struct!(GroupDay { judged, high, low, crowd });

/// The day's use of all judged channels of a group, each as a share of what is usual there:
/// channels
/// in steps of 5 %, the last step open.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Crowd {
    steps: Vec<u32>,
}

snap_struct!(Crowd { steps });

const STEP_PERMILLE: i64 = 50;
const STEPS: usize = 160;

/// How a whole group used a decided day, in thousandths of what is usual.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Moved {
    pub(crate) median: i64,
    /// Median absolute deviation of the shares.
    pub(crate) mad: i64,
    pub(crate) judged: u32,
}

snap_struct!(Moved { median, mad, judged });

impl Crowd {
    /// A channel used `total` where `usual` is usual.
    pub(crate) fn note(&mut self, total: i64, usual: i64) {
        let permille = i128::from(total.max(0)) * 1_000 / i128::from(usual.max(1));
        let step = usize::try_from(permille / i128::from(STEP_PERMILLE)).unwrap_or(STEPS);
        let step = step.min(STEPS - 1);
        if self.steps.len() <= step {
            self.steps.resize(step + 1, 0);
        }
        self.steps[step] += 1;
    }

    pub(crate) fn moved(&self) -> Moved {
        let shares: Vec<(i64, u32)> = (0..)
            .map(|step: i64| step * STEP_PERMILLE + STEP_PERMILLE / 2)
            .zip(self.steps.iter().copied())
            .collect();
        let median = weighted_median(&shares);
        let mut away: Vec<(i64, u32)> =
            shares.iter().map(|(share, count)| ((share - median).abs(), *count)).collect();
        away.sort_unstable();
        Moved { median, mad: weighted_median(&away), judged: self.steps.iter().sum() }
    }
}

/// Of ascending values with their counts. 0 when empty.
fn weighted_median(sorted: &[(i64, u32)]) -> i64 {
    let half = sorted.iter().map(|(_, count)| u64::from(*count)).sum::<u64>().div_ceil(2);
    let mut below = 0;
    let middle = sorted.iter().find(|(_, count)| {
        below += u64::from(*count);
        half > 0 && below >= half
    });
    middle.map_or(0, |(value, _)| *value)
}

/// A group with the days that are not decided yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) commodity: Commodity,
    pub(crate) zone: u16,
    /// Longest delivery lag of its channels.
    pub(crate) lag_s: i32,
    pub(crate) days: BTreeMap<i32, GroupDay>,
    /// The newest decided days, for late values.
    pub(crate) decided: BTreeMap<i32, Moved>,
}

/// Days after which a late value raises nothing anew.
const DECIDED_DAYS: usize = 8;

impl Group {
    pub(crate) fn keep_decided(&mut self, number: i32, moved: Moved) {
        self.decided.insert(number, moved);
        while self.decided.len() > DECIDED_DAYS {
            self.decided.pop_first();
        }
    }
}

/// All groups, by number.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Groups {
    pub(crate) all: Vec<Group>,
}

impl Groups {
    pub(crate) fn number_of(&mut self, commodity: Commodity, zone: u16) -> u16 {
        let known =
            self.all.iter().position(|group| group.commodity == commodity && group.zone == zone);
        let at = known.unwrap_or_else(|| {
            let (days, decided) = (BTreeMap::new(), BTreeMap::new());
            self.all.push(Group { commodity, zone, lag_s: 0, days, decided });
            self.all.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    pub(crate) fn get_mut(&mut self, number: u16) -> Option<&mut Group> {
        self.all.get_mut(usize::from(number))
    }
}

impl Snap for (u32, u8) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((u32::load(from)?, u8::load(from)?))
    }
}

impl Snap for Group {
    fn save(&self, to: &mut Writer) {
        self.commodity.save(to);
        self.zone.save(to);
        self.lag_s.save(to);
        to.unsigned(self.days.len() as u64);
        for (number, day) in &self.days {
            number.save(to);
            day.save(to);
        }
        to.unsigned(self.decided.len() as u64);
        for (number, moved) in &self.decided {
            number.save(to);
            moved.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (commodity, zone) = (Commodity::load(from)?, u16::load(from)?);
        let lag_s = i32::load(from)?;
        let count = from.count()?;
        let days = (0..count)
            .map(|_| Ok((i32::load(from)?, GroupDay::load(from)?)))
            .collect::<Result<_, SnapshotError>>()?;
        let count = from.count()?;
        let decided = (0..count)
            .map(|_| Ok((i32::load(from)?, Moved::load(from)?)))
            .collect::<Result<_, SnapshotError>>()?;
        Ok(Self { commodity, zone, lag_s, days, decided })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_knows_how_far_it_moved() {
        let mut crowd = Crowd::default();
        assert_eq!(crowd.moved(), Moved::default());
        for use_ in [900, 1_000, 1_010, 1_020, 1_100, 9_000_000] {
            crowd.note(use_, 1_000);
        }
        let moved = crowd.moved();
        assert_eq!((moved.median, moved.mad, moved.judged), (1_025, 0, 6));
    }
}
