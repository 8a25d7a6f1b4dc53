//! Which profile fits a device that stands there: each is tried, and what it gives is weighed.

use std::sync::Arc;

use protocols::modbus::driver::{Place, PollClock, poll_once};
use protocols::modbus::frame::Framing;
use protocols::modbus::profile::Use;
use protocols::modbus::{BEAT_S, GatewaySettings, PollRecord, Profile, UnitSettings};

/// A device to ask.
#[derive(Clone, Debug)]
pub struct Device {
    pub address: String,
    pub framing: Framing,
    pub place: Place,
    pub unit: u8,
    pub timeout_ms: Option<u32>,
}

/// How a profile fits.
#[derive(Clone, Debug)]
pub struct Fit {
    pub profile: Arc<Profile>,
    pub outcome: Result<PollRecord, String>,
    /// Values that the device gave.
    pub values: usize,
    /// Values that the profile names; text about the device is none.
    pub registers: usize,
    /// Values that cannot be.
    pub refused: usize,
}

impl Device {
    /// Polls it once.
    ///
    /// # Errors
    /// Why there is nothing.
    pub async fn poll(
        &self,
        profile: &Arc<Profile>,
        clock: &PollClock,
    ) -> Result<PollRecord, String> {
        let unit = UnitSettings {
            unit: self.unit,
            source: format!("modbus:{}/{}", self.address, self.unit),
            profile: Arc::clone(profile),
            every_s: 900,
        };
        let settings = GatewaySettings {
            name: self.address.clone(),
            address: self.address.clone(),
            framing: self.framing,
            collector: None,
            beat_s: BEAT_S,
            timeout_ms: self.timeout_ms,
            units: vec![unit],
        };
        poll_once(settings, &self.place, clock).await
    }

    /// Tries all of `profiles`, the one that fits best first.
    pub async fn probe(&self, profiles: &[Arc<Profile>], clock: &PollClock) -> Vec<Fit> {
        let mut fits = Vec::new();
        for profile in profiles {
            let outcome = self.poll(profile, clock).await;
            let (values, refused, asked) = outcome.as_ref().map_or((0, 0, 0), |record| {
                let refused = record.status.iter().filter(|s| s.starts_with("refused:")).count();
                let asked = record.reads.iter().map(|read| read.values.len()).sum();
                (record.values(), refused, asked)
            });
            let registers = numbers(profile).max(asked);
            fits.push(Fit { profile: Arc::clone(profile), outcome, values, registers, refused });
        }
        // One value that cannot be speaks louder than several that can.
        fits.sort_by_key(|fit| std::cmp::Reverse(fit.score()));
        fits
    }
}

fn numbers(profile: &Profile) -> usize {
    profile.registers.iter().filter(|register| register.use_ != Use::Text).count()
}

impl Fit {
    /// Thousandths of the profile's registers that the device has, less those that it belies. Of
    /// profiles that it has nearly wholly, the one that says more: a family's small meter is part of
    /// its large one.
    pub fn score(&self) -> i64 {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let parts = count(self.values) - 4 * count(self.refused);
        let share = 1_000 * parts / count(self.registers.max(1));
        let nearly_whole = self.refused == 0 && share >= 900;
        share + if nearly_whole { 1_000 * count(self.values).min(999) } else { 0 }
    }

    /// Whether the device can be this one.
    pub fn is_likely(&self) -> bool {
        self.values > 0 && self.refused == 0 && 2 * self.values >= self.registers
    }
}

#[cfg(test)]
mod tests {
    use protocols::modbus::devices;

    use super::*;

    fn fit(profile: &str, values: usize, registers: usize, refused: usize) -> Fit {
        let profile = Arc::new(devices::builtin(profile).unwrap());
        Fit { profile, outcome: Err("not asked".to_owned()), values, registers, refused }
    }

    #[test]
    fn text_of_a_profile_is_no_value_that_a_device_can_lack() {
        let profile = devices::builtin("eastron-sdm630").unwrap();
        let text = profile.registers.iter().filter(|register| register.channel == "serial_number");
        assert_eq!(numbers(&profile) + text.count(), profile.registers.len());
        assert!(numbers(&profile) < profile.registers.len());
    }

    #[test]
    fn the_profile_that_says_more_of_the_device_is_chosen() {
        let large = fit("eastron-sdm630", 26, 27, 0);
        assert!(large.score() > fit("eastron-sdm120", 11, 11, 0).score());
        // The small meter has few of the large one's registers.
        assert!(
            fit("eastron-sdm120", 11, 11, 0).score() > fit("eastron-sdm630", 14, 27, 0).score()
        );
        assert!(
            fit("eastron-sdm120", 11, 11, 0).score() > fit("eastron-sdm630", 26, 27, 1).score()
        );
    }
}
