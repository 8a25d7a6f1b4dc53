//! Events that many meters send in one hour: a firmware push or a storm, and no matter of one meter.

use std::collections::BTreeMap;

use metering::EventCode;

use crate::snapshot::{Reader, Snap, SnapshotError, Writer};

const HOUR_S: i64 = 3_600;
/// Hours that are remembered, behind the newest.
const KEPT_H: i64 = 24 * 3;
/// Fewer meters than this are no crowd.
const LEAST: usize = 10;

/// Meters by event code, scope (0 the fleet, else a network zone or, negative, a transformer) and
/// hour of event time.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Crowd {
    seen: BTreeMap<(i64, u16, i32), Vec<u32>>,
    /// Crowds that were told of: hour and code.
    told: Vec<(i64, u16)>,
}

impl Crowd {
    pub(crate) fn note(&mut self, (code, scope): (EventCode, i32), at: i64, place: u32) {
        let hour = at.div_euclid(HOUR_S);
        let newest = self.seen.last_key_value().map_or(hour, |(key, _)| key.0.max(hour));
        if hour < newest - KEPT_H {
            return;
        }
        let gone = (newest - KEPT_H, 0, i32::MIN);
        self.seen = self.seen.split_off(&gone);
        let meters = self.seen.entry((hour, code.number(), scope)).or_default();
        if let Err(gap) = meters.binary_search(&place) {
            meters.insert(gap, place);
        }
    }

    /// Meters that sent it within the hour of `at` or one beside it, in order.
    pub(crate) fn meters(&self, (code, scope): (EventCode, i32), at: i64) -> Vec<u32> {
        let hour = at.div_euclid(HOUR_S);
        let near =
            (hour - 1..=hour + 1).filter_map(|hour| self.seen.get(&(hour, code.number(), scope)));
        let mut meters: Vec<u32> = near.flatten().copied().collect();
        meters.sort_unstable();
        meters.dedup();
        meters
    }

    /// When the first hour begins in which they sent it.
    pub(crate) fn begins(&self, (code, scope): (EventCode, i32), at: i64) -> i64 {
        let hour = at.div_euclid(HOUR_S);
        let sent = |hour: &i64| self.seen.contains_key(&(*hour, code.number(), scope));
        (hour - 1..=hour).find(sent).unwrap_or(hour) * HOUR_S
    }

    /// So many they are.
    pub(crate) fn count(&self, scope: (EventCode, i32), at: i64) -> usize {
        self.meters(scope, at).len()
    }

    /// A crowd is told of once.
    pub(crate) fn tell(&mut self, code: EventCode, at: i64) -> bool {
        let hour = at.div_euclid(HOUR_S);
        let near = |known: &(i64, u16)| known.1 == code.number() && (known.0 - hour).abs() <= 2;
        if self.told.iter().any(near) {
            return false;
        }
        self.told.retain(|known| known.0 >= hour - KEPT_H);
        self.told.push((hour, code.number()));
        true
    }

    /// More than one in a hundred of the fleet.
    pub(crate) fn is_mass(&self, code: EventCode, at: i64, fleet: u32) -> bool {
        let limit = usize::try_from(fleet / 100).unwrap_or(0).max(LEAST);
        self.count((code, 0), at) > limit
    }
}

impl Snap for Crowd {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.seen.len() as u64);
        for ((hour, code, scope), meters) in &self.seen {
            hour.save(to);
            code.save(to);
            scope.save(to);
            meters.save(to);
        }
        to.unsigned(self.told.len() as u64);
        for (hour, code) in &self.told {
            hour.save(to);
            code.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut seen = BTreeMap::new();
        for _ in 0..from.count()? {
            let key = (i64::load(from)?, u16::load(from)?, i32::load(from)?);
            seen.insert(key, Vec::load(from)?);
        }
        let mut told = Vec::new();
        for _ in 0..from.count()? {
            told.push((i64::load(from)?, u16::load(from)?));
        }
        Ok(Self { seen, told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_more_than_ten_and_one_in_a_hundred() {
        let mut crowd = Crowd::default();
        for place in 0..11 {
            crowd.note((EventCode::Tilt, 0), 7_200 + i64::from(place), place);
            crowd.note((EventCode::Tilt, 0), 7_200, place);
        }
        assert!(crowd.is_mass(EventCode::Tilt, 7_000, 100));
        assert!(!crowd.is_mass(EventCode::Tilt, 7_000, 2_000));
        assert!(!crowd.is_mass(EventCode::Tilt, 20_000, 100));
        crowd.note((EventCode::Tilt, 0), 100 * 86_400, 1);
        assert_eq!(crowd.count((EventCode::Tilt, 0), 7_200), 0);
    }
}
