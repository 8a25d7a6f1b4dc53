//! What was planted in a trial.

use metering::UtcTime;

use super::scenario::Scenario;

/// Whom a fault or a look-alike concerns; indices and codes as in the trial's assets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrialSubject {
    /// Number of the meter.
    Meter(String),
    /// Code of the collector.
    Collector(String),
    /// Code of the transformer.
    Transformer(String),
    /// Code of the network zone.
    Zone(String),
    Headend,
    /// A cohort of meters: the fault is answered on any of them, or on the fleet.
    Meters(Vec<String>),
}

/// A fault with its truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrialFault {
    pub scenario: &'static Scenario,
    pub subject: TrialSubject,
    /// Meters that are silent, dark or otherwise moved by it: alerts on them are consequences.
    pub members: Vec<String>,
    pub onset: UtcTime,
    /// `None`: lasts to the end of the trial.
    pub end: Option<UtcTime>,
    /// In the unit of the scenario: litres per hour, thousandths, seconds or hours.
    pub magnitude: i64,
}

impl TrialFault {
    /// Litres that a customer's leak or burst lost until `to`; 0 for other faults.
    pub fn litres(&self, to: UtcTime) -> i64 {
        let seconds = to.seconds_since(self.onset).max(0);
        match self.scenario.name {
            "leak_continuous" | "leak_intermittent" | "burst" => self.magnitude * seconds / 3_600,
            // Its size is litres per hour, more with each day.
            "leak_growing" => {
                let days = seconds / 86_400;
                self.magnitude * 24 * days * (days + 1) / 2
            }
            _ => 0,
        }
    }
}

/// A look-alike: no alert may be raised for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrialNegative {
    /// Stable text of its class.
    pub class: &'static str,
    pub subject: TrialSubject,
    pub from: UtcTime,
    pub to: UtcTime,
}

/// What is known to the head-end without a message of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrialAct {
    /// The customer of this meter has left.
    AccountEnds { meter: String },
    /// Somebody of the utility works at this meter at the time of the act.
    FieldWork { meter: String, done: bool },
}

/// An act at its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimedAct {
    pub at: UtcTime,
    pub act: TrialAct,
}
