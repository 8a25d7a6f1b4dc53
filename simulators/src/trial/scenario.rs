//! What can be wrong, as a catalogue: which cause is the right answer, what the fault brings with
//! it,
//! and how long the rules may need (`metering-rules.md` 2 and 4.3).

use std::fmt;

/// Kind of place that a fault is planted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Home,
    /// Three phases, with a reactive channel.
    Plant,
    Water,
    Gas,
    /// Devices of its own: a collector, a transformer, a district with its members.
    Ward,
    /// The head-end: everybody is concerned, so a trial of its own.
    Headend,
    /// The weather, which moves whole fleets: the same.
    Weather,
}

/// One way in which something goes wrong. Several may share a cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Stable text, as printed in reports.
    pub name: &'static str,
    /// Right answers, best first; the scorecard counts the scenario under the first.
    pub causes: &'static [&'static str],
    /// True, if not the answer: an alert with one of these causes is neither right nor false.
    pub consequences: &'static [&'static str],
    pub(crate) place: Place,
    /// Days of ordinary life that the rules must have seen.
    pub(crate) before_d: i64,
    /// Days from the onset until the rules must have answered.
    pub(crate) need_d: i64,
}

macro_rules! scenarios {
    ($($konst:ident = $name:literal, $place:ident, $before:literal, $need:literal,
       [$($cause:literal),+], [$($more:literal),*];)*) => {
        impl Scenario {
            $(pub(crate) const $konst: Self = Self {
                name: $name,
                causes: &[$($cause),+],
                consequences: &[$($more),*],
                place: Place::$place,
                before_d: $before,
                need_d: $need,
            };)*

            pub const ALL: &'static [Self] = &[$(Self::$konst),*];
        }
    };
}

// name, place, days before, days needed, [right answers], [what it brings with it]
scenarios! {
    LEAK = "leak_continuous", Water, 3, 5, ["LEAK_CUSTOMER_SIDE"],
        ["LEAK_INTERMITTENT", "HIGH_CONSUMPTION", "STUCK_VALUE"];
    LEAK_GROWING = "leak_growing", Water, 30, 14, ["LEAK_CUSTOMER_SIDE"],
        ["LEAK_INTERMITTENT", "HIGH_CONSUMPTION"];
    LEAK_INTERMITTENT = "leak_intermittent", Water, 3, 7, ["LEAK_INTERMITTENT"],
        ["LEAK_CUSTOMER_SIDE", "HIGH_CONSUMPTION"];
    BURST = "burst", Water, 3, 1, ["BURST_CUSTOMER_SIDE"],
        ["LEAK_CUSTOMER_SIDE", "LEAK_INTERMITTENT", "HIGH_CONSUMPTION", "SPIKE"];
    BACKFLOW_MAJOR = "backflow_major", Water, 2, 1, ["BACKFLOW"], ["REGISTER_DECREASE"];
    BACKFLOW_MINOR = "backflow_minor", Water, 2, 16, ["BACKFLOW"], ["REGISTER_DECREASE"];
    DRY_PIPE = "dry_pipe", Water, 2, 2, ["DRY_PIPE"], ["STOPPED_METER", "LOW_CONSUMPTION"];
    EMPTY_PIPE = "air_in_pipe", Water, 2, 3, ["DRY_PIPE"], ["STOPPED_METER", "LOW_CONSUMPTION"];
    FREEZE = "freeze", Water, 2, 1, ["FREEZE_RISK", "FREEZE"], [];
    STOPPED_WATER = "stopped_water", Water, 16, 13, ["STOPPED_METER"], ["LOW_CONSUMPTION"];
    STOPPED_POWER = "stopped_power", Home, 16, 4, ["STOPPED_METER"], ["LOW_CONSUMPTION"];
    STOPPED_GAS = "stopped_gas", Gas, 16, 11, ["STOPPED_METER"], ["LOW_CONSUMPTION"];
    SLOW = "slow_meter", Water, 60, 300, ["SLOW_METER"], ["LOW_CONSUMPTION"];
    STUCK = "stuck_value", Home, 3, 4, ["STUCK_VALUE"], ["LOW_CONSUMPTION", "HIGH_CONSUMPTION"];
    SPIKE = "spike", Plant, 10, 9, ["SPIKE"],
        ["HIGH_CONSUMPTION", "DOUBLE_COUNT", "SUM_MISMATCH", "CONFIG_MISMATCH"];
    MISSING_PULSES = "missing_pulses", Water, 3, 4, ["MISSING_PULSES", "SUM_MISMATCH"],
        ["LOW_CONSUMPTION"];
    DOUBLE_COUNT = "double_count", Home, 3, 4, ["DOUBLE_COUNT", "SUM_MISMATCH"],
        ["HIGH_CONSUMPTION"];
    SUM_WANDERS = "sum_wanders", Home, 3, 5, ["SUM_MISMATCH"],
        ["MISSING_PULSES", "DOUBLE_COUNT", "HIGH_CONSUMPTION", "LOW_CONSUMPTION"];
    WRONG_MULTIPLIER = "wrong_multiplier", Home, 3, 4, ["CONFIG_MISMATCH"],
        ["SUM_MISMATCH", "HIGH_CONSUMPTION", "DOUBLE_COUNT", "SPIKE"];
    WRONG_UNIT = "wrong_unit", Water, 3, 2, ["CONFIG_MISMATCH"], ["SUM_MISMATCH"];
    OVERFLOW = "pulse_overflow", Home, 2, 2, ["PULSE_OVERFLOW"], [];
    BAD_READ = "bad_read", Home, 2, 2, ["BAD_READ"],
        ["ENCODER_FAULT", "HIGH_CONSUMPTION", "SPIKE", "SUM_MISMATCH"];
    ENCODER = "encoder_fault", Water, 2, 7, ["ENCODER_FAULT", "BAD_READ"],
        ["HIGH_CONSUMPTION", "SUM_MISMATCH", "SPIKE", "BURST_CUSTOMER_SIDE"];
    NEGATIVE_WATER = "negative_water", Water, 2, 3, ["BACKFLOW"],
        ["REGISTER_DECREASE", "SUM_MISMATCH"];
    REVERSE = "reverse_rotation", Home, 3, 5, ["REVERSE_ROTATION"],
        ["TAMPER_SUSPECT", "LOW_CONSUMPTION", "SUM_MISMATCH"];
    REGISTER_DECREASE = "register_decrease", Home, 3, 3, ["REGISTER_DECREASE"],
        ["SUM_MISMATCH", "UNPLANNED_RESET"];
    RESET = "register_reset", Home, 3, 3, ["UNPLANNED_RESET"],
        ["REGISTER_DECREASE", "SUM_MISMATCH"];
    HARDWARE = "hardware_error", Home, 2, 2, ["METER_HARDWARE"], [];
    MEMORY = "memory_error", Water, 2, 6, ["METER_HARDWARE"], [];
    SWAP = "meter_swap", Home, 2, 3, ["ASSET_MISMATCH"], [];
    CLOCK_DRIFT = "clock_drift", Home, 3, 8, ["CLOCK_ERROR"], [];
    CLOCK_JUMP = "clock_jump", Home, 2, 2, ["CLOCK_ERROR"], [];
    DST = "dst_config", Home, 2, 3, ["DST_CONFIG"], ["CLOCK_ERROR", "DATA_GAP"];
    PHASE = "phase_fault", Plant, 3, 3, ["PHASE_OR_CT_FAULT"], ["LOW_CONSUMPTION"];
    INACTIVE = "usage_on_inactive", Home, 3, 8, ["USAGE_ON_INACTIVE"], ["TAMPER_SUSPECT"];
    TAMPER = "tamper", Home, 16, 9, ["TAMPER_SUSPECT"], ["LOW_CONSUMPTION", "BYPASS"];
    TAMPER_WATER = "tamper_water", Water, 16, 9, ["TAMPER_SUSPECT"], ["LOW_CONSUMPTION"];
    BATTERY_LOW = "battery_low", Water, 2, 2, ["BATTERY_LOW"], [];
    BATTERY_VOLT = "battery_voltage", Water, 8, 7, ["BATTERY_LOW"], [];
    BATTERY_PROJ = "battery_projection", Gas, 5, 75, ["BATTERY_LOW"], [];
    BATTERY_DEAD = "battery_dead", Water, 4, 9, ["BATTERY_DEAD", "BATTERY_LOW"], ["COMM_LOST"];
    RF_ABRUPT = "rf_loss_abrupt", Home, 3, 3, ["COMM_LOST", "COMM_LOST_UNKNOWN"], [];
    RF_ABRUPT_WATER = "rf_loss_water", Water, 3, 5, ["COMM_LOST", "COMM_LOST_UNKNOWN"], [];
    RF_GRADUAL = "rf_loss_gradual", Water, 7, 24, ["RF_OBSTRUCTED", "RF_MARGINAL"], ["COMM_LOST"];
    RF_MARGINAL = "rf_marginal", Home, 8, 9, ["RF_MARGINAL"], ["COMM_LOST", "RF_OBSTRUCTED"];
    DUPLICATES = "duplicates", Home, 2, 3, ["DUPLICATE_SOURCE"], [];
    LENGTH = "interval_length", Home, 2, 2, ["PROGRAMMING_ERROR"], ["DATA_GAP", "RF_MARGINAL"];
    TOU = "tou_program", Plant, 4, 4, ["TOU_PROGRAM_ERROR"], [];
    TEST_MODE = "test_mode", Home, 2, 2, ["LEFT_IN_TEST_MODE"], [];
    HIGH = "high_consumption", Home, 24, 7, ["HIGH_CONSUMPTION"], [];
    LOW = "low_consumption", Home, 24, 9, ["LOW_CONSUMPTION"], ["STOPPED_METER"];
    GAS_CONTINUOUS = "gas_continuous", Gas, 20, 5, ["GAS_CONTINUOUS_FLOW"], ["HIGH_CONSUMPTION"];
    GAS_HIGH = "gas_high", Gas, 16, 1, ["GAS_HIGH_FLOW"],
        ["HIGH_CONSUMPTION", "GAS_CONTINUOUS_FLOW", "BAD_READ", "SPIKE"];
    GAS_VALVE = "gas_valve", Gas, 2, 1, ["VALVE_FAILURE"], ["USAGE_ON_INACTIVE"];
    GAS_TILT = "gas_tilt", Gas, 2, 1, ["TAMPER_SUSPECT"], [];
    GAS_PRESSURE = "gas_pressure", Gas, 2, 1, ["GAS_ANOMALY"], [];
    COLLECTOR = "collector_outage", Ward, 3, 1, ["COLLECTOR_OUTAGE"], ["BACKHAUL"];
    BACKHAUL = "backhaul", Ward, 3, 1, ["BACKHAUL"], ["COLLECTOR_OUTAGE"];
    COHORT = "firmware_cohort", Ward, 5, 4, ["FIRMWARE_COHORT"], ["COMM_LOST"];
    POWER_AREA = "power_area", Ward, 3, 1, ["POWER_OUTAGE"], ["SINGLE_OUT"];
    SINGLE_OUT = "single_out", Home, 3, 1, ["SINGLE_OUT", "POWER_OUTAGE"], [];
    TRANSFORMER = "transformer_loss", Ward, 25, 11, ["UNACCOUNTED_ENERGY"], [];
    DMA_LEAK = "dma_leak", Ward, 30, 9, ["DMA_LEAK", "UNACCOUNTED_WATER"], [];
    DMA_UNMETERED = "dma_unmetered", Ward, 40, 12, ["UNACCOUNTED_WATER", "DMA_LEAK"], [];
    SEWER_RAIN = "sewer_rain", Ward, 14, 10, ["SEWER_INFLOW"], [];
    NOT_RECORDING = "not_recording", Home, 3, 18, ["METER_HARDWARE", "DATA_GAP"], [];
    WINTER_BASIS = "winter_basis", Water, 60, 130, ["DATA_GAP"],
        ["LEAK_CUSTOMER_SIDE", "LEAK_INTERMITTENT", "HIGH_CONSUMPTION", "STUCK_VALUE"];
    HEADEND_OUTAGE = "headend_outage", Headend, 3, 1, ["HEADEND_OUTAGE"],
        ["COLLECTOR_OUTAGE", "BACKHAUL"];
    HEADEND_CLOCK = "headend_clock", Headend, 3, 1, ["HEADEND_CLOCK"], [];
    WEATHER_SPELL = "weather_spell", Weather, 30, 3, ["WEATHER_EVENT"], [];
}

/// Scenarios that take most of a year; a trial of their own has the room.
pub(crate) const LONG: [&Scenario; 3] =
    [&Scenario::SLOW, &Scenario::WINTER_BASIS, &Scenario::BATTERY_PROJ];

/// Scenarios and causes of [`super::TrialKind::Long`], of [`super::TrialKind::Headend`] and of
/// [`super::TrialKind::Weather`].
pub const LONG_NAMES: [&str; 6] =
    ["slow_meter", "SLOW_METER", "winter_basis", "DATA_GAP", "battery_projection", "BATTERY_LOW"];
pub const HEADEND_NAMES: [&str; 4] =
    ["headend_outage", "HEADEND_OUTAGE", "headend_clock", "HEADEND_CLOCK"];
pub const WEATHER_NAMES: [&str; 2] = ["weather_spell", "WEATHER_EVENT"];

/// Weeks from one spell of weather to the next: what comes every week is usual.
pub(crate) const SPELLS_APART_W: u32 = 2;

/// Spells that a trial of so many days has room for.
pub fn spells_in(days: u32) -> u32 {
    let span = u32::try_from(Scenario::WEATHER_SPELL.days()).unwrap_or(0);
    days.checked_sub(span).map_or(0, |room| 1 + room / (7 * SPELLS_APART_W))
}

impl Scenario {
    pub fn from_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|scenario| scenario.name == name)
    }

    /// Everybody is concerned: it has a trial of its own.
    pub(crate) fn is_everybodys(&self) -> bool {
        matches!(self.place, Place::Headend | Place::Weather)
    }

    /// Left to the trial of most of a year, however long an ordinary one is.
    pub(crate) fn is_long_only(&self) -> bool {
        self == &Self::SLOW || self == &Self::WINTER_BASIS
    }

    /// Days that a trial must last for it.
    pub const fn days(&self) -> i64 {
        self.before_d + self.need_d + 1
    }

    /// The cause under which the scorecard counts it.
    pub fn cause(&self) -> &'static str {
        self.causes.first().copied().unwrap_or("")
    }

    pub fn is_answered_by(&self, cause: &str) -> bool {
        self.causes.contains(&cause)
    }

    pub fn explains(&self, cause: &str) -> bool {
        self.is_answered_by(cause) || self.consequences.contains(&cause)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_differ() {
        for (at, scenario) in Scenario::ALL.iter().enumerate() {
            assert_eq!(Scenario::from_name(scenario.name), Some(scenario));
            assert!(Scenario::ALL[at + 1..].iter().all(|other| other.name != scenario.name));
            assert!(!scenario.causes.is_empty());
        }
    }
}
