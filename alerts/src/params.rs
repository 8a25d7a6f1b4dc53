//! Every number that a rule compares with, with its unit, range and origin.
//!
//! All are integers; the unit is in the name where it is not a count. [`PARAMS`] describes each one
//! for the configuration and for the pages ("default, not from a standard").

use sha2::{Digest, Sha256};

/// Where a number comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// From a published standard, market procedure or vendor manual.
    Std,
    /// Our own choice; shown as such.
    Default,
}

/// Description of one parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamInfo {
    /// The rule that it belongs to, as in the catalogue; `engine` for the common ones.
    pub rule: &'static str,
    pub key: &'static str,
    pub default: i64,
    pub min: i64,
    pub max: i64,
    pub mark: Mark,
    pub doc: &'static str,
}

/// A value outside its range.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParamError {
    #[error("rule {rule}: {key} = {value} is outside {min} to {max}")]
    OutOfRange { rule: &'static str, key: &'static str, value: i64, min: i64, max: i64 },
    #[error("no rule has a parameter named `{0}`")]
    Unknown(String),
}

macro_rules! params {
    ($($rule:literal {
        $($doc:literal $key:ident = $default:literal, $min:literal ..= $max:literal, $mark:ident;)*
    })*) => {
        /// The parameters of all rules.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Params { $($(#[doc = $doc] pub $key: i64,)*)* }

        impl Default for Params {
            fn default() -> Self {
                Self { $($($key: $default,)*)* }
            }
        }

        /// Every parameter, in the order of the catalogue.
        pub const PARAMS: &[ParamInfo] = &[$($(ParamInfo {
            rule: $rule, key: stringify!($key), default: $default, min: $min, max: $max,
            mark: Mark::$mark, doc: $doc,
        },)*)*];

        impl Params {
            pub fn get(&self, key: &str) -> Option<i64> {
                match key { $($(stringify!($key) => Some(self.$key),)*)* _ => None }
            }

            /// # Errors
            /// [`ParamError`] names the key and its range; nothing is changed then.
            pub fn set(&mut self, key: &str, value: i64) -> Result<(), ParamError> {
                let info = PARAMS
                    .iter()
                    .find(|info| info.key == key)
                    .ok_or_else(|| ParamError::Unknown(key.chars().take(40).collect()))?;
                if value < info.min || value > info.max {
                    return Err(ParamError::OutOfRange {
                        rule: info.rule, key: info.key, value, min: info.min, max: info.max,
                    });
                }
                match key { $($(stringify!($key) => self.$key = value,)*)* _ => {} }
                Ok(())
            }
        }
    };
}

params! {
    "engine" {
        "Data older than this many days against the newest of their channel are not judged again."
            late_days = 35, 1..=56, Default;
        "Readings this many seconds after log time are a clock error and are not used."
            ahead_s = 3600, 0..=86400, Default;
        "An alert is annunciated only while its data are younger than this plus the delivery lag, in hours."
            fresh_h = 36, 1..=720, Default;
    }
    "VAR-HIGH" {
        "High: the day's robust z exceeds this on 2 of 3 days, in hundredths."
            var_z_high_x100 = 450, 100..=5000, Default;
        "High at once: the day's robust z exceeds this, in hundredths."
            var_z_once_x100 = 800, 100..=9000, Default;
        "The alert clears when |z| is below this on 2 days, in hundredths."
            var_z_clear_x100 = 250, 50..=1000, Default;
        "Least spread, as per cent of the median."
            var_floor_pct = 5, 1..=100, Default;
        "Fewer valid days of the same type than this: not evaluable."
            var_days_min = 14, 3..=35, Default;
        "Days of the same type that are compared with."
            var_days_max = 35, 5..=40, Default;
        "A day with fewer of its intervals than this is not judged, in per cent; the total is scaled to the whole day."
            var_coverage_pct = 90, 50..=100, Default;
        "More than this share of the meters of a commodity and zone on one day: weather, in per cent."
            var_fleet_pct = 5, 1..=100, Default;
        "But never for fewer meters than this."
            var_fleet_min = 5, 2..=1000, Default;
        "Water: hours after the day in which a leak may explain it before it is raised."
            var_leak_hold_h = 26, 0..=72, Default;
    }
    "VAR-LOW" {
        "Low: the day's robust z is below minus this on 3 of 4 days, in hundredths."
            var_z_low_x100 = 450, 100..=5000, Default;
        "Of the low days so many must be weekdays before an issue is opened (a long weekend away looks the same)."
            var_low_weekdays = 3, 1..=4, Default;
    }
    "MTR-STOP" {
        "Shortest zero run, electricity, in hours (#18)."
            stop_electricity_h = 24, 1..=1080, Default;
        "Shortest zero run, water and heat, in hours (#18)."
            stop_water_h = 240, 1..=1080, Default;
        "Shortest zero run, gas outside the heating season, in hours (#18)."
            stop_gas_summer_h = 720, 1..=1080, Default;
        "Shortest zero run, gas in the heating season, in hours (#18, #53)."
            stop_gas_heating_h = 168, 1..=1080, Default;
        "The run must exceed this times the meter's own 99th percentile."
            stop_q99_times = 3, 1..=10, Default;
        "Longest zero run that is ever asked for, in hours."
            stop_max_h = 1080, 24..=2160, Default;
        "Fewer judged days before the zero run than this: not evaluable. One week has a weekend in it."
            stop_days_min = 7, 3..=90, Default;
        "Use on this many of 365 days counts as prior usage."
            stop_used_days_of_365 = 300, 1..=365, Default;
        "Evidence score at which the rule fires."
            stop_score_min = 4, 2..=8, Default;
        "Days with use after which it clears."
            stop_return_days = 3, 1..=14, Default;
        "First month of the heating season."
            heating_from_month = 10, 1..=12, Default;
        "Last month of the heating season."
            heating_to_month = 4, 1..=12, Default;
    }
    "WTR-CONT" {
        "Least hourly minimum, in mL/h: 1 gallon per hour (AquaCUE)."
            cont_min_mlph = 3800, 100..=100000, Std;
        "Window without a pause, in hours (Neptune 96/96)."
            cont_window_h = 24, 12..=24, Std;
        "Hourly minimum from which the severity is P3, in mL/h (0.5 % of Q3 2.5 m3/h)."
            cont_p3_mlph = 12500, 100..=1000000, Std;
        "Hourly minimum from which the severity is P2, in mL/h."
            cont_p2_mlph = 30000, 100..=10000000, Default;
        "Hourly minimum above which the severity is P1, in mL/h."
            cont_p1_mlph = 200000, 100..=100000000, Default;
        "No flow for this long begins the clearing, in seconds (Kamstrup)."
            cont_clear_s = 3600, 900..=14400, Std;
        "It must stay clear this long, in hours."
            cont_keep_for_h = 24, 0..=72, Default;
        "Counters coarser than this are judged in slots of 2 h, in mL."
            cont_coarse_ml = 10000, 1000..=100000, Default;
    }
    "WTR-BURST" {
        "Least flow that is a burst, in mL/h."
            burst_min_mlph = 500000, 1000..=100000000, Default;
        "Share of Q3, in per cent."
            burst_q3_pct = 50, 1..=200, Default;
        "Times the 95th percentile of the meter's own hours."
            burst_p95_times = 8, 1..=100, Default;
        "Own hours needed before the percentile counts."
            burst_hours_min = 72, 1..=2000, Default;
        "The flow must hold this long, in seconds."
            burst_for_s = 1800, 300..=14400, Default;
        "Below half the limit for this long clears it, in seconds."
            burst_clear_s = 3600, 300..=86400, Default;
    }
    "BAT-FLAG" {
        "Flagged telegrams that raise it."
            battery_flags = 3, 1..=3, Default;
        "Within this time, in hours."
            battery_window_h = 48, 1..=720, Default;
        "Without a flag for this many days it clears."
            battery_clear_days = 14, 1..=90, Default;
        "Flags in the first hours after installation are not counted."
            battery_install_h = 72, 0..=720, Default;
    }
    "COM-STALE" {
        "Least run of missed contacts."
            silence_k_min = 3, 1..=50, Default;
        "False stales tolerated in the whole fleet per day."
            silence_false_per_day = 1, 1..=1000, Default;
        "Least miss rate assumed, in thousandths."
            silence_miss_min_permille = 10, 1..=500, Default;
        "Largest miss rate assumed, in thousandths."
            silence_miss_max_permille = 500, 10..=900, Default;
        "Lost after this silence, electricity, in hours."
            lost_electricity_h = 24, 1..=720, Default;
        "Lost after this silence, water, gas and heat, in hours."
            lost_other_h = 72, 1..=720, Default;
        "Readings that show a return."
            return_readings = 3, 1..=20, Default;
        "Within this many cadences."
            return_cadences = 2, 1..=20, Default;
        "Losses within `flap_days` that make the link marginal."
            flap_cycles = 3, 2..=3, Default;
        "See `flap_cycles`; also how long the link must be good again, in days."
            flap_days = 7, 1..=30, Default;
    }
    "COM-COLL" {
        "Missed heartbeats that mean an outage."
            heartbeat_periods = 3, 2..=20, Default;
        "Least number of newly stale meters."
            collector_stale_min = 5, 2..=1000, Default;
        "And least share of the collector's meters, in per cent."
            collector_stale_pct = 30, 5..=100, Default;
        "Least background share of stale meters, in thousandths."
            collector_background_permille = 5, 1..=200, Default;
        "Chance of so many by accident must be below 10 to minus this."
            collector_chance_exp = 6, 2..=12, Default;
        "Newly stale means within this time or two cadences, in seconds."
            collector_window_s = 1800, 300..=86400, Default;
        "Share of the meters that must be heard again, in per cent."
            collector_back_pct = 80, 10..=100, Default;
        "Children not back after this many cadences become their own issue."
            collector_child_cadences = 4, 1..=50, Default;
    }
    "COM-CLASSIFY" {
        "A low-battery flag within this many days explains the silence."
            classify_battery_days = 60, 1..=365, Default;
        "A tamper event within this many days before an abrupt silence explains it."
            classify_tamper_days = 7, 1..=60, Default;
        "Weakest signal that is still received, in dBm."
            classify_rssi_floor_dbm = -115, -150..=-50, Default;
        "Nothing from anybody for this long means that we are cut off, in seconds."
            headend_silence_s = 900, 60..=86400, Default;
        "But never with fewer meters than this."
            headend_meters_min = 10, 2..=100000, Default;
        "A jump of log time longer than this means that nobody watched, unless what was sent meanwhile arrives; silence does not count through it, in seconds."
            blind_jump_s = 600, 60..=86400, Default;
    }
}

impl Params {
    /// SHA-256 over `key=value` lines; a snapshot taken with other parameters is refused.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for info in PARAMS {
            hasher.update(info.key.as_bytes());
            hasher.update(b"=");
            hasher.update(self.get(info.key).unwrap_or_default().to_le_bytes());
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_in_its_range_and_every_key_is_known_once() {
        let mut params = Params::default();
        for info in PARAMS {
            assert_eq!(params.get(info.key), Some(info.default));
            assert!(info.min <= info.default && info.default <= info.max, "{}", info.key);
            assert_eq!(PARAMS.iter().filter(|other| other.key == info.key).count(), 1);
            assert!(info.doc.ends_with('.') || info.doc.ends_with(')'), "{}", info.key);
        }
        let before = params.hash();
        assert_eq!(
            params.set("late_days", 99).unwrap_err().to_string(),
            "rule engine: late_days = 99 is outside 1 to 56"
        );
        params.set("late_days", 30).unwrap();
        assert_ne!(before, params.hash());
        assert!(params.set("lateness", 1).is_err());
    }
}
