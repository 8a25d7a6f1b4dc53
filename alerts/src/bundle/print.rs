//! The canonical text of a bundle: rules in the order of the catalogue, keys in alphabetical order,
//! numbers in the unit of their parameter. It reads back as the same bundle.

use std::fmt::{self, Display, Write};

use super::{Bundle, CustomRule, Expected, GivenValue, Patch};
use crate::expr::Truth;
use crate::local::date_of_day;
use crate::params::Mode;
use crate::rule::{CATALOGUE, RuleId};

/// A text in TOML's basic quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                other if other.is_control() => write!(f, "\\u{:04X}", u32::from(other))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

fn list<T>(f: &mut fmt::Formatter<'_>, key: &str, all: &[T]) -> fmt::Result
where
    T: AsRef<str>,
{
    write!(f, "{key} = [")?;
    for (at, one) in all.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        write!(f, "{comma}{}", Quoted(one.as_ref()))?;
    }
    f.write_str("]\n")
}

impl Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[bundle]\nversion = {}", Quoted(&self.version))?;
        if !self.note.is_empty() {
            writeln!(f, "note = {}", Quoted(&self.note))?;
        }
        if !self.holidays.is_empty() || !self.tou.is_empty() {
            f.write_str("\n[calendar]\n")?;
        }
        if !self.holidays.is_empty() {
            let dates: Vec<String> = self.holidays.iter().map(|day| date_of_day(*day)).collect();
            list(f, "holidays", &dates)?;
        }
        if !self.tou.is_empty() {
            let lines: Vec<String> = self.tou.iter().map(ToString::to_string).collect();
            list(f, "tou", &lines)?;
        }
        if !self.engine.is_empty() {
            f.write_str("\n[engine]\n")?;
            for (key, value) in &self.engine {
                writeln!(f, "{key} = {value}")?;
            }
        }
        for info in CATALOGUE {
            self.rule(info.id, f)?;
        }
        for custom in &self.custom {
            custom.fmt(f)?;
        }
        self.tests(f)
    }
}

impl Bundle {
    fn rule(&self, id: RuleId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (patch, tags) = (self.rules.get(&id.no), self.exclude_tags.get(&id.no));
        if patch.is_some() || tags.is_some() {
            writeln!(f, "\n[rules.{id}]")?;
        }
        if let Some(patch) = patch {
            patch.fmt(f)?;
        }
        if let Some(tags) = tags {
            let words: Vec<&str> = tags.iter().map(|tag| tag.word()).collect();
            list(f, "exclude_tags", &words)?;
        }
        for own in self.overrides.iter().filter(|own| own.rule == id) {
            writeln!(f, "\n[[rules.{id}.override]]")?;
            writeln!(f, "when = {}", Quoted(&own.when.to_string()))?;
            own.patch.fmt(f)?;
        }
        Ok(())
    }

    fn tests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            writeln!(f, "\n[[test]]\nname = {}", Quoted(&test.name))?;
            writeln!(f, "rule = \"{}\"", test.rule)?;
            match &test.expect {
                Expected::Truth(Truth::True) => f.write_str("expect = true\n")?,
                Expected::Truth(Truth::False) => f.write_str("expect = false\n")?,
                Expected::Truth(Truth::Unknown) => f.write_str("expect = \"unknown\"\n")?,
                Expected::Values(values) => {
                    let all: Vec<String> =
                        values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                    writeln!(f, "expect = {{ {} }}", all.join(", "))?;
                }
            }
            f.write_str("[test.given]\n")?;
            for (key, value) in &test.given {
                match value {
                    GivenValue::Bool(value) => writeln!(f, "{key} = {value}")?,
                    GivenValue::Number(number) => writeln!(f, "{key} = {number:?}")?,
                    GivenValue::Text(text) => writeln!(f, "{key} = {}", Quoted(text))?,
                }
            }
            let words: Vec<&str> = test.tags.iter().map(|tag| tag.word()).collect();
            if !words.is_empty() {
                list(f, "tags", &words)?;
            }
        }
        Ok(())
    }
}

impl Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(enabled) = self.enabled {
            writeln!(f, "enabled = {enabled}")?;
        }
        if let Some(mode) = self.mode {
            let word = if mode == Mode::Live { "live" } else { "shadow" };
            writeln!(f, "mode = \"{word}\"")?;
        }
        if let Some(severity) = self.severity {
            writeln!(f, "severity = \"{severity}\"")?;
        }
        let times = [("for", self.for_s), ("keep_for", self.keep_for_s), ("rearm", self.rearm_s)];
        for (key, seconds) in times {
            if let Some(seconds) = seconds {
                writeln!(f, "{key} = \"{seconds}s\"")?;
            }
        }
        for (key, value) in &self.values {
            writeln!(f, "{key} = {value}")?;
        }
        Ok(())
    }
}

impl Display for CustomRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[[custom]]\nid = \"{}\"\nname = {}", self.id, Quoted(&self.name))?;
        if let Some(scope) = &self.scope {
            writeln!(f, "scope = {}", Quoted(&scope.to_string()))?;
        }
        writeln!(f, "when = {}", Quoted(&self.when.to_string()))?;
        writeln!(f, "cadence = \"{}\"", self.cadence.word())?;
        writeln!(f, "severity = \"{}\"\nopens = \"{}\"", self.severity, self.opens)?;
        self.patch.fmt(f)?;
        if !self.exclude_tags.is_empty() {
            let words: Vec<&str> = self.exclude_tags.iter().map(|tag| tag.word()).collect();
            list(f, "exclude_tags", &words)?;
        }
        Ok(())
    }
}
