//! The features of a meter that operators' rules may name (`metering-rules` 12), with their type,
//! unit, cadence and meaning. What is not known is unknown, never zero.

mod of_meter;

use crate::expr::{UNITS, Unit};

pub(crate) use of_meter::{Moment, OfMeter};

/// What kind of value a feature is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FeatureType {
    Bool,
    /// One of these words.
    Text(&'static [&'static str]),
    Number(Unit),
}

/// How often a feature is known anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cadence {
    /// With the asset record; only these may stand in an override of parameters.
    Asset,
    /// With each interval.
    Reading,
    /// At the close of a local day.
    Day,
}

impl Cadence {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Reading => "reading",
            Self::Day => "day",
        }
    }
}

/// Description of a feature.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FeatureInfo {
    pub name: &'static str,
    pub kind: FeatureType,
    pub cadence: Cadence,
    pub doc: &'static str,
}

impl FeatureInfo {
    /// Type and unit for people.
    pub fn type_text(&self) -> String {
        match self.kind {
            FeatureType::Bool => "true or false".to_owned(),
            FeatureType::Text(words) => words.join(", "),
            FeatureType::Number(unit) if unit.text().is_empty() => "number".to_owned(),
            FeatureType::Number(unit) => unit.text().to_owned(),
        }
    }
}

const KINDS: &[&str] = &["electricity", "water", "gas", "heat"];
const CLASSES: &[&str] =
    &["residential", "small_commercial", "large_commercial", "multi_dwelling", "municipal"];
const ROLES: &[&str] =
    &["customer", "check", "zone_inlet", "zone_outlet", "transformer_supply", "deduct", "sewer"];

/// A number of this unit; the name is one of [`UNITS`].
const fn number(name: &str) -> FeatureType {
    let mut at = 0;
    while at < UNITS.len() {
        if same(UNITS[at].name.as_bytes(), name.as_bytes()) {
            return FeatureType::Number(UNITS[at]);
        }
        at += 1;
    }
    panic!("a unit of the table was expected")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

macro_rules! features {
    ($($variant:ident $name:literal, $kind:expr, $cadence:ident, $doc:literal;)*) => {
        /// A feature by its place in [`FEATURES`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Feature { $(#[doc = $doc] $variant),* }

        impl Feature {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        /// Every feature, by cadence and kind.
        pub const FEATURES: &[FeatureInfo] = &[$(FeatureInfo {
            name: $name, kind: $kind, cadence: Cadence::$cadence, doc: $doc,
        }),*];
    };
}

features! {
    Kind "kind", FeatureType::Text(KINDS), Asset, "Commodity of the meter.";
    Class "class", FeatureType::Text(CLASSES), Asset, "Class of the customer.";
    Role "role", FeatureType::Text(ROLES), Asset, "Whose use the meter tells.";
    AccountActive "account_active", FeatureType::Bool, Asset, "The account of the usage point is active.";
    BatteryPowered "battery_powered", FeatureType::Bool, Asset, "The module has a battery.";
    Units "units", FeatureType::Number(Unit::ONE), Asset, "Dwelling units behind the meter.";
    RatedFlow "rated_flow", number("Lph"), Asset, "Permanent flow rate Q3 (water) or Qmax (gas).";
    ContactEvery "contact_min", number("min"), Asset, "How often the meter should be heard.";
    Routed "has_collector", FeatureType::Bool, Asset, "A collector is its primary route.";
    Zoned "has_zone", FeatureType::Bool, Asset, "It belongs to a district metered area or a feeder.";
    Fed "has_transformer", FeatureType::Bool, Asset, "It is fed by a known transformer.";
    Channel "channel", FeatureType::Number(Unit::ONE), Reading, "Number of the channel.";
    IntervalLength "interval_min", number("min"), Reading, "Length of the channel's intervals.";
    Resolution "resolution", FeatureType::Number(Unit::USE), Reading, "One step of the counter.";
    DeliveryLag "delivery_lag_h", number("h"), Reading, "Time in which its data arrive as a rule.";
    Age "age_y", number("y"), Reading, "Time since installation.";
    SlotUse "slot_use", FeatureType::Number(Unit::USE), Reading, "Use of the newest interval.";
    SlotRate "slot_rate", FeatureType::Number(Unit::RATE), Reading, "The same per hour.";
    ZeroRun "zero_run_h", number("h"), Reading, "Time without use up to the newest interval.";
    ZeroLimit "zero_limit_h", number("h"), Reading, "Zero run that is suspicious for this meter.";
    LastHour "last_hour", number("Lph"), Reading, "Use of the last 60 minutes (water).";
    DataAge "data_age_h", number("h"), Reading, "Age of the newest interval.";
    Silence "silence_h", number("h"), Reading, "Time since the meter was heard.";
    Delivery "delivery", number("pct"), Reading, "Share of the contacts that arrive, newest first (half-life 7 days).";
    Signal "rssi", number("dBm"), Reading, "Mean signal of the last telegrams.";
    SignalTrend "rssi_trend", FeatureType::Number(Unit::ONE), Reading, "Quick mean less slow mean of the signal, in dB.";
    IsStale "is_stale", FeatureType::Bool, Reading, "The meter is silent for longer than chance explains.";
    IsLost "is_lost", FeatureType::Bool, Reading, "The meter is lost.";
    LossAge "last_lost_d", number("d"), Reading, "Time since it was lost last.";
    Losses "losses", FeatureType::Number(Unit::ONE), Reading, "Remembered losses, at most 3.";
    BatteryFlagAge "battery_flag_d", number("d"), Reading, "Time since the newest low-battery flag.";
    BatteryFlags "battery_flags", FeatureType::Number(Unit::ONE), Reading, "Remembered low-battery flags, at most 3.";
    TamperAge "last_tamper_d", number("d"), Reading, "Time since the newest tamper event.";
    Voltage "voltage", number("V"), Reading, "Newest supply voltage, not older than a day.";
    Temperature "temperature", number("C"), Reading, "Newest ambient temperature, not older than a day.";
    BackflowLevel "backflow_level", FeatureType::Number(Unit::ONE), Reading, "Backflow flag: 0 none, 1 minor, 2 major.";
    ActiveAlerts "active_alerts", FeatureType::Number(Unit::ONE), Reading, "Alerts of the meter that staff were told.";
    WorstSeverity "worst_severity", FeatureType::Number(Unit::ONE), Reading, "Their highest severity: 1 to 4.";
    CommAlert "comm_alert", FeatureType::Bool, Reading, "A communication alert is active.";
    PowerAlert "power_alert", FeatureType::Bool, Reading, "A power alert is active.";
    MetrologyAlert "metrology_alert", FeatureType::Bool, Reading, "A metrology alert is active.";
    ConfigAlert "config_alert", FeatureType::Bool, Reading, "A configuration alert is active.";
    ClockAlert "clock_alert", FeatureType::Bool, Reading, "A clock alert is active.";
    TamperAlert "tamper_alert", FeatureType::Bool, Reading, "A tamper alert is active.";
    LeakAlert "leak_alert", FeatureType::Bool, Reading, "A leak alert is active.";
    BackflowAlert "backflow_alert", FeatureType::Bool, Reading, "A backflow alert is active.";
    BatteryAlert "battery_alert", FeatureType::Bool, Reading, "A battery alert is active.";
    GasAlert "gas_alert", FeatureType::Bool, Reading, "A gas alert is active.";
    DataAlert "data_alert", FeatureType::Bool, Reading, "A data alert is active.";
    TamperScore "tamper_score", FeatureType::Number(Unit::ONE), Day, "Points of TMP-SCORE, decayed to now.";
    BatteryDays "battery_days", number("d"), Day, "Days that the battery is expected to last (BAT-PROJ).";
    DailyTotal "daily_total", FeatureType::Number(Unit::USE), Day, "Use of the day, as if it were whole.";
    DailyEnergy "daily_energy", number("Wh"), Day, "The same of an electricity or heat meter.";
    DailyVolume "daily_volume", number("L"), Day, "The same of a water or gas meter.";
    DailyMean "daily_mean", FeatureType::Number(Unit::RATE), Day, "Use of the day per hour.";
    TotalBefore "daily_total_1d", FeatureType::Number(Unit::USE), Day, "Use of the day before.";
    TotalWeekBefore "daily_total_7d", FeatureType::Number(Unit::USE), Day, "Use of the same day a week before.";
    Sum7 "sum_7d", FeatureType::Number(Unit::USE), Day, "Use of the last 7 days; all must be known.";
    Mean7 "mean_7d", FeatureType::Number(Unit::USE), Day, "Mean day of the last 7 days.";
    Mean28 "mean_28d", FeatureType::Number(Unit::USE), Day, "Mean day of the last 28 days; 14 must be known.";
    Median28 "median_28d", FeatureType::Number(Unit::USE), Day, "Median day of the last 28 days; 14 must be known.";
    Min28 "min_28d", FeatureType::Number(Unit::USE), Day, "Smallest day of the last 28 days; 14 must be known.";
    Max28 "max_28d", FeatureType::Number(Unit::USE), Day, "Largest day of the last 28 days; 14 must be known.";
    WeekChange "week_change", number("pct"), Day, "Last 7 days against the 7 before, as growth.";
    DayChange "day_change", number("pct"), Day, "The day against the median of 28 days, as growth.";
    DaysKnown28 "days_known_28d", FeatureType::Number(Unit::ONE), Day, "Days of the last 28 that are known.";
    DaysZero28 "days_zero_28d", FeatureType::Number(Unit::ONE), Day, "Days of the last 28 without use.";
    DaysKnown7 "delivery_7d", number("pct"), Day, "Share of the last 7 days that are known.";
    ZDay "z_day", FeatureType::Number(Unit::ONE), Day, "Robust z of the day against days of its type.";
    ZMedian "z_median", FeatureType::Number(Unit::USE), Day, "Median of the days of its type.";
    ZSpread "z_spread", FeatureType::Number(Unit::USE), Day, "Median absolute deviation of the days of its type.";
    ZDays "z_days", FeatureType::Number(Unit::ONE), Day, "Days of its type that are compared with.";
    UsedDays "used_days", number("pct"), Day, "Share of judged days with use (half-life 45 days).";
    JudgedDays "judged_days", FeatureType::Number(Unit::ONE), Day, "Days that were judged for use (half-life 45 days).";
    Coverage "coverage", number("pct"), Day, "Share of the day's intervals that may be used.";
    FlowSlots "flow_slots", FeatureType::Number(Unit::ONE), Day, "Intervals of the day with use.";
    ZeroSlots "zero_slots", FeatureType::Number(Unit::ONE), Day, "Intervals of the day without use.";
    MissingSlots "missing_slots", FeatureType::Number(Unit::ONE), Day, "Intervals of the day that are missing.";
    BadSlots "bad_slots", FeatureType::Number(Unit::ONE), Day, "Intervals of the day that must not be used.";
    DaySlots "day_slots", FeatureType::Number(Unit::ONE), Day, "Intervals that the day has: 92, 96 or 100 of 15 minutes.";
    MinHour "min_hour_24h", number("Lph"), Day, "Smallest whole hour of the day that closes (water, gas where hours are kept).";
    MaxHour "max_hour_24h", number("Lph"), Day, "Largest whole hour of the day that closes.";
    MeanHour "mean_hour_24h", number("Lph"), Day, "Mean of the hours of the day that closes.";
    NightHour "night_min_hour", number("Lph"), Day, "Smallest hour from 02:00 to 04:00 local time.";
    FlowHours "flow_hours_24h", FeatureType::Number(Unit::ONE), Day, "Hours of the last 24 with flow.";
    P50Hour "p50_hour", number("Lph"), Day, "Median of the meter's own hours, 72 at least.";
    P95Hour "p95_hour", number("Lph"), Day, "95th percentile of the meter's own hours, 72 at least.";
    Weekday "weekday", FeatureType::Number(Unit::ONE), Day, "Day of the week: Monday 1 to Sunday 7.";
    Month "month", FeatureType::Number(Unit::ONE), Day, "Month of the day: 1 to 12.";
    IsWeekend "is_weekend", FeatureType::Bool, Day, "Saturday or Sunday.";
    IsHoliday "is_holiday", FeatureType::Bool, Day, "The day stands in the bundle's list of holidays.";
    IsHeating "is_heating_season", FeatureType::Bool, Day, "The month lies in the heating season.";
    DayHours "day_hours", number("h"), Day, "Length of the local day: 23, 24 or 25 h.";
}

impl Feature {
    /// Its description.
    pub fn info(self) -> &'static FeatureInfo {
        &FEATURES[self as usize]
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.info().name == name)
    }

    /// The feature whose name a slip of the pen may have meant.
    pub(crate) fn nearest(name: &str) -> Option<&'static str> {
        crate::bundle::nearest(name, FEATURES.iter().map(|info| info.name))
    }
}

#[cfg(test)]
mod tests {
    use metering::{Commodity, CustomerClass, MeterRole};

    use super::*;

    #[test]
    fn every_feature_is_found_by_its_name_and_the_words_are_those_of_the_assets() {
        for feature in Feature::ALL {
            assert_eq!(Feature::from_name(feature.info().name), Some(*feature));
            assert!(feature.info().doc.ends_with('.'));
        }
        assert!(FEATURES.len() >= 80, "{}", FEATURES.len());
        assert!(KINDS.iter().copied().eq(Commodity::ALL.iter().map(|kind| kind.word())));
        assert!(CLASSES.iter().copied().eq(CustomerClass::ALL.iter().map(|class| class.word())));
        assert!(ROLES.iter().copied().eq(MeterRole::ALL.iter().map(|role| role.word())));
        assert_eq!(Feature::nearest("daily_totl"), Some("daily_total"));
        assert_eq!(Feature::nearest("quux"), None);
    }
}
