//! Runs the tests that stand inside a bundle.

use metering::Tag;

use super::{Bundle, BundleTest, Expected, GivenValue};
use crate::expr::{FeatureSource, Truth, Value};
use crate::features::Feature;
use crate::params::Params;

/// A test that found something else than it expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub name: String,
    pub line: usize,
    /// What was expected and what was found.
    pub why: String,
}

impl FeatureSource for BundleTest {
    fn value(&self, feature: Feature) -> Value<'_> {
        match self.given.get(feature.info().name) {
            Some(GivenValue::Bool(value)) => Value::Bool(*value),
            Some(GivenValue::Number(number)) => Value::Number(*number),
            Some(GivenValue::Text(text)) => Value::Text(text),
            None => Value::Unknown,
        }
    }

    fn has_tag(&self, tag: Tag) -> bool {
        self.tags.contains(&tag)
    }
}

impl Bundle {
    /// The tests that fail; empty when all pass.
    pub fn run_tests(&self) -> Vec<Failed> {
        self.tests.iter().filter_map(|test| self.run_test(test)).collect()
    }

    fn run_test(&self, test: &BundleTest) -> Option<Failed> {
        let why = match &test.expect {
            Expected::Truth(wanted) => {
                let rule = self.custom.iter().find(|rule| rule.id == test.rule)?;
                let found = rule.program.truth(test);
                if found == *wanted {
                    return None;
                }
                format!("expected {}, found {}", word(*wanted), word(found))
            }
            Expected::Values(wanted) => {
                let mut params = self.params(&Params::default());
                let own = self.overrides.iter().filter(|own| own.rule == test.rule);
                for one in own.filter(|own| own.program.truth(test) == Truth::True) {
                    one.patch.apply(one.rule.no, &mut params);
                }
                let wrong = wanted.iter().find(|(key, value)| params.get(key) != Some(**value));
                let (key, value) = wrong?;
                let found = params.get(key).unwrap_or_default();
                format!("{key}: expected {value}, found {found}")
            }
        };
        Some(Failed { name: test.name.clone(), line: test.line, why })
    }
}

fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}
