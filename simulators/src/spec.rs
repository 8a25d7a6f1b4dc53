//! What a fleet is to be: size, seed, place and time.

use metering::UtcTime;
use metering::calendar::{LocalCalendar, ZoneError};
use metering::time::DAY_S;

/// The whole input of a fleet. Equal specifications give equal messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetSpec {
    pub seed: u64,
    /// 10 to 20,000.
    pub meters: u32,
    /// 1 to 999; see [`FleetSpec::collectors_for`].
    pub collectors: u32,
    /// IANA name of the zone that all customers live in.
    pub zone: String,
    /// First message. History runs from here to `live_start`.
    pub history_start: UtcTime,
    /// Live faults begin after this instant.
    pub live_start: UtcTime,
    /// Every planned fault can be found by now.
    pub live_end: UtcTime,
}

/// The specification asks for something that cannot be simulated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpecError {
    #[error("{0} meters: write 10 to 20000")]
    Meters(u32),
    #[error("{0} collectors: write 1 to 999, and no more than there are meters")]
    Collectors(u32),
    #[error("the times are out of order: history_start < live_start <= live_end is needed")]
    Times,
    #[error("{0} days of history and live time: write at most 400")]
    TooLong(i64),
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

impl FleetSpec {
    pub const METERS_MIN: u32 = 10;
    pub const METERS_MAX: u32 = 20_000;

    /// Usual number of collectors for a fleet: one for 33 meters, two at least from 40 meters on so
    /// that one can fail while another is heard.
    pub const fn collectors_for(meters: u32) -> u32 {
        let rounded = (meters + 16) / 33;
        let least = if meters >= 40 { 2 } else { 1 };
        if rounded < least { least } else { rounded }
    }

    pub(crate) fn checked(&self) -> Result<LocalCalendar, SpecError> {
        if !(Self::METERS_MIN..=Self::METERS_MAX).contains(&self.meters) {
            return Err(SpecError::Meters(self.meters));
        }
        if !(1..=999).contains(&self.collectors) || self.collectors > self.meters {
            return Err(SpecError::Collectors(self.collectors));
        }
        if self.history_start >= self.live_start || self.live_start > self.live_end {
            return Err(SpecError::Times);
        }
        let days = self.live_end.seconds_since(self.history_start) / DAY_S;
        if days > 400 {
            return Err(SpecError::TooLong(days));
        }
        Ok(LocalCalendar::new(&self.zone)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_senseless_specification_is_refused_with_the_limit() {
        let good = crate::fleet::tests::spec(7, 200);
        assert!(good.checked().is_ok());
        let refused = |change: fn(&mut FleetSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            spec.checked().unwrap_err().to_string()
        };
        assert_eq!(refused(|s| s.meters = 3), "3 meters: write 10 to 20000");
        assert!(refused(|s| s.collectors = 0).starts_with("0 collectors"));
        assert!(refused(|s| s.live_start = s.history_start).contains("out of order"));
        assert!(refused(|s| s.zone = "Mars/Olympus".into()).contains("Mars/Olympus"));
    }

    #[test]
    fn small_fleets_have_a_collector_and_larger_ones_two() {
        let sizes = [10, 39, 40, 50, 200, 1000].map(FleetSpec::collectors_for);
        assert_eq!(sizes, [1, 1, 2, 2, 6, 30]);
    }
}
