//! Every number that a rule compares with, with its unit, range and origin, and how each rule is
//! run ([`RuleSettings`]).
//!
//! All numbers are integers; the unit is in the name where it is not a count. [`PARAMS`] describes
//! each one for rule bundles and for the pages ("default, not from a standard"). A parameter is one
//! entry in the file of its family below; the engine reads it as a field of [`Params`].

use metering::{RuleNo, Severity};
use sha2::{Digest, Sha256};

#[macro_use]
mod engine;
#[macro_use]
mod variance;
#[macro_use]
mod health;
#[macro_use]
mod tamper;
#[macro_use]
mod water;
#[macro_use]
mod network;
#[macro_use]
mod gas;
#[macro_use]
mod battery;
#[macro_use]
mod comm;
#[macro_use]
mod sewer;

/// Where a number comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// From a published standard, market procedure or vendor manual.
    Std,
    /// Our own choice; shown as such.
    Default,
}

impl Mark {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Std => "std",
            Self::Default => "default",
        }
    }
}

/// Description of one parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamInfo {
    /// The rule that it belongs to, as in the catalogue; `engine` for the common ones.
    pub rule: &'static str,
    pub key: &'static str,
    /// Unit of the number; empty for a count or a switch (0 off, 1 on).
    pub unit: &'static str,
    pub default: i64,
    pub min: i64,
    pub max: i64,
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
    #[error("no rule has a parameter named `{0}`")]
    Unknown(String),
}

/// Whether a rule speaks to staff or only to the side list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Live,
    /// Its alerts go to [`crate::Engine::take_shadow`] and open no issue.
    Shadow,
}

/// How one rule is run: the parameters that all rules have in common (`metering-rules` 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleSettings {
    pub enabled: bool,
    pub mode: Mode,
    /// In place of the rule's own severity.
    pub severity: Option<Severity>,
    /// The condition must hold this long before it fires, in seconds.
    pub for_s: i64,
    /// It must be clear this long before it resolves, in seconds.
    pub keep_for_s: i64,
    /// After it resolved it fires again no sooner than this, in seconds.
    pub rearm_s: i64,
}

impl RuleSettings {
    /// As the catalogue has it.
    pub const DEFAULT: Self = Self {
        enabled: true,
        mode: Mode::Live,
        severity: None,
        for_s: 0,
        keep_for_s: 0,
        rearm_s: 0,
    };
}

macro_rules! params {
    ([] $($rule:literal {
        $($doc:literal $key:ident = $default:literal $unit:literal,
            $min:literal ..= $max:literal, $mark:ident;)*
    })*) => {
        /// The parameters of all rules.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Params {
            $($(#[doc = $doc] pub $key: i64,)*)*
            /// By rule number; what is beyond its end is [`RuleSettings::DEFAULT`].
            settings: Vec<RuleSettings>,
        }

        impl Default for Params {
            fn default() -> Self {
                Self { $($($key: $default,)*)* settings: Vec::new() }
            }
        }

        /// Every parameter, in the order of the catalogue.
        pub const PARAMS: &[ParamInfo] = &[$($(ParamInfo {
            rule: $rule, key: stringify!($key), unit: $unit, default: $default,
            min: $min, max: $max, mark: Mark::$mark, doc: $doc,
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

engine_params! {
    [variance_params health_params tamper_params water_params network_params gas_params
        battery_params comm_params sewer_params params]
}

impl Params {
    /// How the rule is run.
    pub fn settings(&self, rule: RuleNo) -> RuleSettings {
        self.settings.get(usize::from(rule.get())).copied().unwrap_or(RuleSettings::DEFAULT)
    }

    pub fn set_settings(&mut self, rule: RuleNo, settings: RuleSettings) {
        let at = usize::from(rule.get());
        if self.settings.len() <= at {
            self.settings.resize(at + 1, RuleSettings::DEFAULT);
        }
        if let Some(own) = self.settings.get_mut(at) {
            *own = settings;
        }
    }

    /// SHA-256 over `key=value` and the settings; a snapshot taken with others is refused.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for info in PARAMS {
            hasher.update(info.key.as_bytes());
            hasher.update(b"=");
            hasher.update(self.get(info.key).unwrap_or_default().to_le_bytes());
        }
        for (at, own) in self.settings.iter().enumerate() {
            if *own != RuleSettings::DEFAULT {
                hasher.update(format!("{at}={own:?}"));
            }
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
            "rule engine: late_days = 99 d is outside 1 to 56"
        );
        params.set("late_days", 30).unwrap();
        assert_ne!(before, params.hash());
        assert!(params.set("lateness", 1).is_err());
    }

    #[test]
    fn settings_of_a_rule_count_in_the_hash() {
        let mut params = Params::default();
        let rule = RuleNo::new(38).unwrap();
        assert_eq!(params.settings(rule), RuleSettings::DEFAULT);
        params.set_settings(rule, RuleSettings::DEFAULT);
        assert_eq!(params.hash(), Params::default().hash());
        params.set_settings(rule, RuleSettings { for_s: 60, ..RuleSettings::DEFAULT });
        assert_ne!(params.hash(), Params::default().hash());
    }
}
