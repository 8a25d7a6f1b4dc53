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
}

snap_struct!(GroupDay { judged, high, low });

/// A group with the days that are not decided yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) commodity: Commodity,
    pub(crate) zone: u16,
    /// Longest delivery lag of its channels.
    pub(crate) lag_s: i32,
    pub(crate) days: BTreeMap<i32, GroupDay>,
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
            self.all.push(Group { commodity, zone, lag_s: 0, days: BTreeMap::new() });
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
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (commodity, zone) = (Commodity::load(from)?, u16::load(from)?);
        let lag_s = i32::load(from)?;
        let count = from.count()?;
        let days = (0..count)
            .map(|_| Ok((i32::load(from)?, GroupDay::load(from)?)))
            .collect::<Result<_, SnapshotError>>()?;
        Ok(Self { commodity, zone, lag_s, days })
    }
}
