//! A rule bundle: what an operator writes about the rules, as TOML (`metering-rules` 12).
//!
//! ```toml
//! [bundle]
//! version = "2026-11-21.1"
//!
//! [rules.WTR-CONT]
//! cont_min_mlph = "3.8Lph"
//! exclude_tags = ["hospital"]
//!
//! [[custom]]
//! id = "OP-0007"
//! name = "night gas in closed school"
//! scope = 'kind == "gas" && has_tag("school")'
//! when = 'daily_volume > 2m3 && is_holiday'
//! cadence = "day"
//! for = "2d"
//! severity = "P3"
//! opens = "HIGH_CONSUMPTION"
//! ```
//!
//! What a bundle does not name is as in the catalogue. An unknown key is an error, with the rule,
//! the key, its unit and its range; all errors of a text are told at once.

mod asset;
mod custom;
mod error;
mod number;
mod order;
mod print;
mod read;
mod rules;
#[cfg(test)]
mod tests;
mod tou;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use metering::{RuleNo, Severity, Tag};
use sha2::{Digest, Sha256};

use crate::cause::Cause;
use crate::expr::{Expr, Program, Truth};
use crate::features::Cadence;
use crate::params::{Mode, ParamInfo, Params};
use crate::rule::RuleId;

pub use asset::Conditions;
pub use error::{BundleError, BundleErrors, nearest};
pub use tou::{TouError, TouTime};
pub use trial::Failed;

/// The version that holds when no bundle was applied.
pub const BUILT_IN: &str = "built-in";
/// Longest text, in bytes.
pub const TEXT_MAX: usize = 256 * 1_024;
/// Overrides and exclusions by tags together.
pub const CONDITIONS_MAX: usize = 64;

/// Parameters of rules that another crate judges (#1 to #24).
#[derive(Clone, Copy, Debug)]
pub enum Foreign<'a> {
    /// Checked against these.
    Known(&'a [ParamInfo]),
    /// Taken as they are: they were checked when the bundle was applied.
    Ignore,
}

/// What a bundle says of one rule; `None` and absent keys are as in the catalogue.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Patch {
    pub enabled: Option<bool>,
    pub mode: Option<Mode>,
    pub severity: Option<Severity>,
    pub for_s: Option<i64>,
    pub keep_for_s: Option<i64>,
    pub rearm_s: Option<i64>,
    /// Parameters by key, in the unit of the parameter.
    pub values: BTreeMap<String, i64>,
}

/// Other parameters for some meters.
#[derive(Clone, PartialEq, Debug)]
pub struct Override {
    pub rule: RuleId,
    pub when: Expr,
    pub(crate) program: Program,
    pub patch: Patch,
}

/// An operator's own rule.
#[derive(Clone, PartialEq, Debug)]
pub struct CustomRule {
    pub id: RuleId,
    pub name: String,
    /// The meters that it concerns; `None`: all.
    pub scope: Option<Expr>,
    pub when: Expr,
    pub cadence: Cadence,
    pub severity: Severity,
    pub opens: Cause,
    /// Mode, `for`, `keep_for`, `rearm`, `enabled`.
    pub patch: Patch,
    /// Tags whose meters it leaves out.
    pub exclude_tags: BTreeSet<Tag>,
    pub(crate) program: Program,
}

impl CustomRule {
    /// Operations of one evaluation.
    pub fn cost(&self) -> usize {
        self.program.cost()
    }
}

/// A value given to a feature by a test.
#[derive(Clone, PartialEq, Debug)]
pub enum GivenValue {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What a test expects.
#[derive(Clone, PartialEq, Debug)]
pub enum Expected {
    /// Of an operator's own rule.
    Truth(Truth),
    /// Parameters of a rule of the catalogue, with overrides.
    Values(BTreeMap<String, i64>),
}

/// A unit test inside the bundle.
#[derive(Clone, PartialEq, Debug)]
pub struct BundleTest {
    pub name: String,
    pub rule: RuleId,
    /// Features by name; what is not named is unknown.
    pub given: BTreeMap<String, GivenValue>,
    pub tags: BTreeSet<Tag>,
    pub expect: Expected,
    /// Line of the text, from 1.
    pub line: usize,
}

/// A bundle, checked.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Bundle {
    pub version: String,
    pub note: String,
    /// Days since 1970-01-01.
    pub holidays: BTreeSet<i32>,
    /// When the rates of registers count; empty: not known.
    pub tou: Vec<TouTime>,
    /// Parameters that all rules share.
    pub engine: BTreeMap<String, i64>,
    /// By the rule's number.
    pub rules: BTreeMap<RuleNo, Patch>,
    /// Tags whose meters a rule leaves out, besides those of the catalogue.
    pub exclude_tags: BTreeMap<RuleNo, BTreeSet<Tag>>,
    pub overrides: Vec<Override>,
    pub custom: Vec<CustomRule>,
    pub tests: Vec<BundleTest>,
}

impl Bundle {
    /// Reads and checks a text.
    ///
    /// # Errors
    /// [`BundleErrors`]: every fault with its line.
    pub fn parse(text: &str, foreign: Foreign<'_>) -> Result<Self, BundleErrors> {
        read::bundle(text, foreign)
    }

    /// SHA-256 of the canonical text: two texts that say the same have the same.
    pub fn hash(&self) -> String {
        use std::fmt::Write;
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(self.to_string().as_bytes()) {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// `base` with what the bundle says of all meters. Values of rules that another crate judges
    /// are left out.
    pub fn params(&self, base: &Params) -> Params {
        let mut params = base.clone();
        for (key, value) in &self.engine {
            // Checked when the bundle was read.
            let _ = params.set(key, *value);
        }
        for (rule, patch) in &self.rules {
            patch.apply(*rule, &mut params);
        }
        for rule in &self.custom {
            rule.patch.apply(rule.id.no, &mut params);
        }
        params
    }

    /// Values for rules of the catalogue that another crate judges, by rule and key.
    pub fn foreign_values(&self) -> impl Iterator<Item = (RuleId, &str, i64)> {
        let by_rule = self.rules.iter().filter(|(rule, _)| rule.get() <= 24);
        by_rule.flat_map(|(rule, patch)| {
            let rule = RuleId::from_number(rule.get());
            patch.values.iter().filter_map(move |(key, value)| Some((rule?, key.as_str(), *value)))
        })
    }
}

impl Patch {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn apply(&self, rule: RuleNo, params: &mut Params) {
        for (key, value) in &self.values {
            let _ = params.set(key, *value);
        }
        let mut settings = params.settings(rule);
        settings.enabled = self.enabled.unwrap_or(settings.enabled);
        settings.mode = self.mode.unwrap_or(settings.mode);
        settings.severity = self.severity.or(settings.severity);
        settings.for_s = self.for_s.unwrap_or(settings.for_s);
        settings.keep_for_s = self.keep_for_s.unwrap_or(settings.keep_for_s);
        settings.rearm_s = self.rearm_s.unwrap_or(settings.rearm_s);
        if settings != params.settings(rule) {
            params.set_settings(rule, settings);
        }
    }
}
