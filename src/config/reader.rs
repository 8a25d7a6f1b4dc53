//! Settings become typed values. A bad one is told and replaced by something harmless, so that one
//! run tells all of them.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Fault, Origin};
use super::layers::{Layers, Raw, Setting, Table};
use super::value::{format_duration, format_size, parse_duration, parse_size};

/// Reads keys by path and remembers which were asked for.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    pub(super) asked: BTreeSet<&'static str>,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers) -> Self {
        Self { layers, asked: BTreeSet::new(), faults: Vec::new() }
    }

    fn get(&mut self, path: &'static str) -> Option<&'a Setting> {
        self.asked.insert(path);
        self.layers.settings.get(path)
    }

    pub(super) fn origin(&self, path: &str) -> Origin {
        self.layers.settings.get(path).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    pub(super) fn fault(&mut self, path: &str, what: impl Display) {
        let origin = self.origin(path);
        self.faults.push(Fault::new(&origin, format!("{path}: {what}")));
    }

    pub(super) fn text(&mut self, path: &'static str) -> String {
        let Some(setting) = self.get(path) else { return String::new() };
        match text_of(setting) {
            Ok(text) => text.to_owned(),
            Err(what) => {
                self.fault(path, what);
                String::new()
            }
        }
    }

    /// An empty text means that nothing is set.
    pub(super) fn optional_text(&mut self, path: &'static str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    /// A file or directory, seen from the place where it was written.
    pub(super) fn path(&mut self, path: &'static str) -> Option<PathBuf> {
        let text = self.optional_text(path)?;
        Some(self.origin(path).resolve(&text))
    }

    /// Any type that is read from text. `None` when the text is bad, which was told, or empty.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional_text(path)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(path, what);
                None
            }
        }
    }

    pub(super) fn whole<T>(&mut self, path: &'static str, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + Copy + PartialOrd + Display,
    {
        let Some(setting) = self.get(path) else { return *range.start() };
        match whole_of(setting).and_then(|number| within(number, &range)) {
            Ok(number) => number,
            Err(what) => {
                self.fault(path, what);
                *range.start()
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        path: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(duration) = self.parsed(path, parse_duration) else { return *range.start() };
        if !range.contains(&duration) {
            let (low, high) = (format_duration(*range.start()), format_duration(*range.end()));
            self.fault(
                path,
                format!("{} is not within {low} to {high}", format_duration(duration)),
            );
        }
        duration
    }

    pub(super) fn size(&mut self, path: &'static str, range: RangeInclusive<u64>) -> u64 {
        let Some(size) = self.parsed(path, parse_size) else { return *range.start() };
        if !range.contains(&size) {
            let (low, high) = (format_size(*range.start()), format_size(*range.end()));
            self.fault(path, format!("{} is not within {low} to {high}", format_size(size)));
        }
        size
    }

    /// The tables of a list; none when it is not set.
    pub(super) fn tables(&mut self, path: &'static str) -> Option<&'a [Table]> {
        let setting = self.get(path)?;
        if let Raw::Tables(tables) = &setting.raw {
            return Some(tables);
        }
        self.fault(path, format!("write it as a list of tables: [[{path}]]"));
        None
    }

    /// All keys below a prefix, with the prefix cut off.
    pub(super) fn below(&self, prefix: &str) -> Vec<(&'a str, &'a Setting)> {
        let from = self.layers.settings.range(prefix.to_owned()..);
        let under = from.take_while(|(key, _)| key.starts_with(prefix));
        under.map(|(key, setting)| (&key[prefix.len()..], setting)).collect()
    }
}

pub(super) fn text_of(setting: &Setting) -> Result<&str, String> {
    match &setting.raw {
        Raw::Text(text) => Ok(text),
        Raw::Whole(number) => Err(format!("{number} is a number: write it in quotes")),
        Raw::Bool(yes) => Err(format!("{yes} is no text: write it in quotes")),
        Raw::Tables(_) => Err("a list stands where a text is wanted".to_owned()),
        Raw::Other(kind) => Err(format!("this {kind} stands where a text is wanted")),
    }
}

/// A yes or no; in variables and options as a word.
pub(super) fn bool_of(setting: &Setting) -> Result<bool, String> {
    match (&setting.raw, &setting.origin) {
        (Raw::Bool(yes), _) => Ok(*yes),
        (Raw::Text(text), Origin::Environment(_) | Origin::CommandLine(_)) => {
            text.trim().parse().map_err(|_| format!("`{text}` is neither true nor false"))
        }
        _ => Err("is neither true nor false".to_owned()),
    }
}

/// Variables and options carry numbers as text.
pub(super) fn whole_of(setting: &Setting) -> Result<i64, String> {
    match (&setting.raw, &setting.origin) {
        (Raw::Whole(number), _) => Ok(*number),
        (Raw::Text(text), Origin::Environment(_) | Origin::CommandLine(_)) => {
            text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))
        }
        (Raw::Text(text), _) => Err(format!("\"{text}\" is text: write a number without quotes")),
        (Raw::Bool(yes), _) => Err(format!("{yes} is no whole number")),
        (Raw::Tables(_), _) => Err("a list stands where a number is wanted".to_owned()),
        (Raw::Other(kind), _) => Err(format!("this {kind} is no whole number")),
    }
}

pub(super) fn within<T>(number: i64, range: &RangeInclusive<T>) -> Result<T, String>
where
    T: TryFrom<i64> + Copy + PartialOrd + Display,
{
    T::try_from(number)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{number} is not within {} to {}", range.start(), range.end()))
}
