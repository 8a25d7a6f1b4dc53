//! The limits of the rules: every number that a check compares with, with its unit, range and
//! origin.
//!
//! All are integers. [`PARAMS`] describes each one for rule bundles and for the pages ("default, not
//! from a standard").

use metering::RuleMask;

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
    /// The rule that it belongs to, as in the catalogue.
    pub rule: &'static str,
    pub key: &'static str,
    /// Unit of the number; empty for a count or a switch (0 off, 1 on).
    pub unit: &'static str,
    pub min: i64,
    pub max: i64,
    pub default: i64,
    pub mark: Mark,
    pub doc: &'static str,
}

/// A value that is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParamError {
    #[error("rule {rule}: {key} = {value} {unit} is outside {min} to {max}")]
    OutOfRange {
        rule: &'static str,
        key: &'static str,
        unit: &'static str,
        value: i64,
        min: i64,
        max: i64,
    },
    #[error("no check has a parameter named `{0}`")]
    Unknown(String),
}

macro_rules! params {
    ($($rule:literal {
        $($doc:literal $key:ident = $default:literal $unit:literal,
            $min:literal ..= $max:literal, $mark:ident;)*
    })*) => {
        /// The limits of all checks; the defaults are those of the rule catalogue.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Params {
            $($(#[doc = $doc] pub $key: i64,)*)*
            /// Rules that are switched off: they are not looked at.
            pub off: RuleMask,
            /// Rules that run in shadow: they tell, and hold nothing.
            pub shadow: RuleMask,
        }

        impl Default for Params {
            fn default() -> Self {
                Self { $($($key: $default,)*)* off: RuleMask::EMPTY, shadow: RuleMask::EMPTY }
            }
        }

        /// Every parameter, in the order of the catalogue.
        pub const PARAMS: &[ParamInfo] = &[$($(ParamInfo {
            rule: $rule, key: stringify!($key), unit: $unit, min: $min, max: $max,
            default: $default, mark: Mark::$mark, doc: $doc,
        },)*)*];

        impl Params {
            pub fn get(&self, key: &str) -> Option<i64> {
                match key { $($(stringify!($key) => Some(self.$key),)*)* _ => None }
            }

            /// # Errors
            /// [`ParamError`] names the rule, the key, its unit and its range; nothing is changed
            /// then.
            pub fn set(&mut self, key: &str, value: i64) -> Result<(), ParamError> {
                let info = PARAMS
                    .iter()
                    .find(|info| info.key == key)
                    .ok_or_else(|| ParamError::Unknown(key.chars().take(40).collect()))?;
                if value < info.min || value > info.max {
                    return Err(ParamError::OutOfRange {
                        rule: info.rule, key: info.key, unit: info.unit, value,
                        min: info.min, max: info.max,
                    });
                }
                match key { $($(stringify!($key) => self.$key = value,)*)* _ => {} }
                Ok(())
            }
        }
    };
}

params! {
    "ING-DUP" {
        "More than this share of a day's readings came again with another value."
            dup_differ_pct = 1 "%", 0..=100, Default;
    }
    "ING-TIME" {
        "An interval may end this long after its arrival (clocks differ)."
            future_max_s = 300 "s", 0..=86400, Default;
        "An interval may be this old at its arrival (store and forward)."
            age_max_s = 34560000 "s", 86400..=63072000, Default;
    }
    "ING-FLAG" {
        "More than this share of a day's intervals carry a flag that fails."
            flag_share_pct = 5 "%", 0..=100, Default;
        "Test mode for longer than this was left on."
            flag_test_max_s = 14400 "s", 0..=604800, Default;
    }
    "ING-CLK" {
        "A device clock that differs by more than this warns."
            clock_warn_s = 60 "s", 1..=3600, Default;
        "A device clock that differs by more than this fails."
            clock_fail_s = 180 "s", 1..=3600, Default;
        "The same for a channel of a time-of-use register."
            clock_fail_tou_s = 60 "s", 1..=3600, Default;
        "A clock that gains or loses more than this fails."
            clock_rate_s_per_day = 5 "s/day", 1..=3600, Default;
        "A time-of-use clock that differs by more than this is urgent."
            clock_large_s = 900 "s", 60..=86400, Default;
        "The clock is right again when it differs by less than this at two contacts."
            clock_clear_s = 30 "s", 1..=3600, Default;
        "Weight of the newest contact in the smoothed difference."
            clock_weight_pct = 20 "%", 1..=100, Default;
    }
    "ING-MSG" {
        "The event counter of the device may skip this many while readings arrive."
            msg_skip_max = 1 "", 0..=1000, Default;
    }
    "REG-ROLL" {
        "A rollover starts from a counter of at least this share of its modulus."
            rollover_from_percent = 90 "%", 50..=99, Default;
    }
    "REG-DEC" {
        "A decrease of up to this many counter steps passes (a dial on the edge of a digit)."
            decrease_pass_max = 1 "steps", 0..=100, Default;
        "A decrease of up to this many counter steps is backflow or jitter, a larger one a reset."
            decrease_few_max = 10 "steps", 0..=10000, Default;
    }
    "REG-CAP" {
        "Factor on what the service can carry."
            cap_percent = 125 "%", 100..=1000, Default;
        "Added to the time between two register reads: collectors' clocks differ."
            cap_slack_s = 60 "s", 0..=3600, Default;
    }
    "REG-SUM" {
        "Intervals and register may differ by this many steps of the register."
            sum_steps = 2 "steps", 0..=1000, Default;
        "Or by this share of the register's advance."
            sum_permille = 1 "per mille", 0..=1000, Default;
        "A difference of more than this share is urgent."
            sum_large_permille = 50 "per mille", 0..=1000, Default;
        "A ratio this near to a whole number is a wrong factor."
            sum_ratio_permille = 10 "per mille", 0..=200, Default;
    }
    "REG-TOU" {
        "The rate registers may differ from the total by this many steps for each register."
            tou_steps = 1 "steps", 0..=1000, Default;
    }
    "REG-DELTA" {
        "Change against the previous advance, of equal time, that warns."
            delta_warn_pct = 100 "%", 1..=100000, Default;
        "Change against the previous advance, of equal time, that fails."
            delta_fail_pct = 300 "%", 1..=100000, Default;
    }
    "INT-SPIKE" {
        "Residential: the highest exceeds the third highest by more than this share of it."
            spike_residential_pct = 2000 "%", 10..=100000, Default;
        "Small commercial: the highest exceeds the third highest by more than this share of it."
            spike_small_pct = 400 "%", 10..=100000, Default;
        "Large commercial: the highest exceeds the third highest by more than this share of it."
            spike_large_pct = 180 "%", 10..=100000, Default;
        "A day with fewer slots is not judged."
            spike_slots_min = 20 "slots", 3..=96, Default;
        "A highest value below this mean power is no spike."
            spike_floor_mw = 1000000 "mW", 0..=1000000000, Default;
        "Water and gas are judged too (1) or not (0)."
            spike_volume = 0 "", 0..=1, Default;
    }
    "INT-HILO" {
        "High: average daily use above this share of the reference."
            hilo_high_pct = 300 "%", 100..=10000, Default;
        "Low: average daily use below this share of the reference."
            hilo_low_pct = 25 "%", 0..=100, Default;
        "Clear when at least this share of the reference."
            hilo_clear_low_pct = 50 "%", 0..=100, Default;
        "Clear when at most this share of the reference."
            hilo_clear_high_pct = 200 "%", 100..=10000, Default;
        "Days of which the current average daily use is taken."
            hilo_days = 7 "days", 1..=31, Default;
        "Days of a cycle when no reading cycle is known."
            hilo_cycle_days = 30 "days", 7..=100, Default;
        "Share of the days of a window that must be valid."
            hilo_valid_pct = 80 "%", 1..=100, Default;
        "With fewer days of history the class average counts."
            hilo_history_days = 60 "days", 7..=400, Default;
        "Electricity, heat: differences below this a day are ignored (also REG-DELTA)."
            abs_min_mwh_per_day = 5000000 "mWh/day", 0..=1000000000, Default;
        "Water: differences below this a day are ignored (also REG-DELTA)."
            abs_min_water_ml_per_day = 200000 "mL/day", 0..=1000000000, Default;
        "Gas: differences below this a day are ignored (also REG-DELTA)."
            abs_min_gas_ml_per_day = 2000000 "mL/day", 0..=1000000000, Default;
    }
    "INT-ZERO" {
        "Electricity: a zero run is never too long below this."
            zero_min_electricity_h = 24 "h", 1..=1080, Default;
        "Water: a zero run is never too long below this."
            zero_min_water_h = 240 "h", 1..=1080, Default;
        "Gas and heat in summer: a zero run is never too long below this."
            zero_min_summer_h = 720 "h", 1..=1080, Default;
        "Gas and heat in the heating season: a zero run is never too long below this."
            zero_min_heating_h = 168 "h", 1..=1080, Default;
        "A zero run of this length is always too long."
            zero_max_h = 1080 "h", 24..=8760, Default;
        "Longest usual zero run of this meter times this."
            zero_factor = 3 "", 1..=20, Default;
        "First month of the heating season."
            heating_from_month = 10 "month", 1..=12, Default;
        "Last month of the heating season."
            heating_to_month = 4 "month", 1..=12, Default;
    }
    "INT-INACT" {
        "Use of a day that counts, in steps of the register."
            inact_steps = 2 "steps", 0..=1000, Default;
        "Electricity, heat: use of a day that counts."
            inact_mwh = 500000 "mWh", 0..=1000000000, Default;
        "Water: use of a day that counts."
            inact_water_ml = 50000 "mL", 0..=1000000000, Default;
        "Gas: use of a day that counts."
            inact_gas_ml = 100000 "mL", 0..=1000000000, Default;
        "Grace after the final read."
            inact_grace_days = 5 "days", 0..=60, Default;
    }
    "INT-FLAT" {
        "The same value for this long is stuck."
            flat_h = 24 "h", 1..=336, Default;
        "Electricity: and in so many slots."
            flat_slots_electricity = 96 "slots", 2..=1000, Default;
        "A spread below this share of the mean over two days is flat."
            flat_spread_permille = 5 "per mille", 0..=100, Default;
        "Values of up to this many steps are quantisation."
            flat_steps = 4 "steps", 0..=1000, Default;
    }
    "INT-KVARH" {
        "A power factor below this fails."
            pf_min_permille = 500 "per mille", 1..=1000, Default;
        "A lasting change of the power factor by more than this fails."
            pf_jump_permille = 250 "per mille", 1..=1000, Default;
        "Intervals below this share of the day's peak are not judged."
            pf_peak_pct = 5 "%", 0..=100, Default;
        "Reactive energy without active energy for this long fails."
            pf_reactive_only_h = 4 "h", 1..=168, Default;
    }
    "INT-PROLONG" {
        "Days without actuals that warn."
            prolong_warn_days = 5 "days", 1..=365, Default;
        "Days without actuals that fail."
            prolong_fail_days = 15 "days", 1..=365, Default;
        "Days without actuals that are urgent."
            prolong_urgent_days = 30 "days", 1..=365, Default;
        "A day with fewer actual intervals than this is a day without actuals."
            prolong_actual_pct = 50 "%", 1..=100, Default;
    }
}

impl Params {
    /// The most that `per_hour` allows in `seconds`, with the factor of REG-CAP. In the unit of
    /// `per_hour`; saturates.
    pub fn cap(&self, per_hour: i64, seconds: i64) -> i64 {
        let product =
            i128::from(per_hour) * i128::from(seconds.max(0)) * i128::from(self.cap_percent);
        i64::try_from(product / 360_000).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    #[test]
    fn every_parameter_belongs_to_a_check_and_its_default_lies_in_its_range() {
        let mut params = Params::default();
        for info in PARAMS {
            assert!(Rule::ALL.iter().any(|rule| rule.id() == info.rule), "{}", info.rule);
            assert!((info.min..=info.max).contains(&info.default), "{}", info.key);
            assert_eq!(PARAMS.iter().filter(|other| other.key == info.key).count(), 1);
            assert_eq!(params.get(info.key), Some(info.default));
            assert!(params.set(info.key, info.max).is_ok());
            assert_eq!(params.get(info.key), Some(info.max));
            assert!(info.doc.ends_with('.') && info.doc.len() < 100, "{}", info.key);
        }
    }

    #[test]
    fn a_refused_value_changes_nothing_and_the_refusal_says_what_is_allowed() {
        let mut params = Params::default();
        let error = params.set("clock_warn_s", 0).unwrap_err();
        assert_eq!(error.to_string(), "rule ING-CLK: clock_warn_s = 0 s is outside 1 to 3600");
        assert_eq!(params, Params::default());
        assert_eq!(
            params.set("clock_wran_s", 1).unwrap_err().to_string(),
            "no check has a parameter named `clock_wran_s`"
        );
    }
}
