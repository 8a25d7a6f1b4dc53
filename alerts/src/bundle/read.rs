//! TOML into a [`Bundle`].

use std::collections::BTreeSet;
use std::ops::Range;

use metering::Tag;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::nearest;
use super::number::Decimal;
use super::{Bundle, BundleError, BundleErrors, Foreign, TEXT_MAX, custom, rules};

const TOP: [&str; 6] = ["bundle", "calendar", "engine", "rules", "custom", "test"];

/// Collects faults while a text is read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) foreign: Foreign<'a>,
    errors: Vec<BundleError>,
}

pub(super) type Field<'t> = &'t Spanned<DeValue<'t>>;

pub(super) fn bundle(text: &str, foreign: Foreign<'_>) -> Result<Bundle, BundleErrors> {
    let mut reader = Reader { text, foreign, errors: Vec::new() };
    let mut bundle = Bundle::default();
    if text.len() > TEXT_MAX {
        let message = format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len());
        return Err(BundleErrors(vec![BundleError { line: 1, message }]));
    }
    match DeTable::parse(text) {
        Ok(table) => reader.top(table.get_ref(), &mut bundle),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.fault(at..at, error.message());
        }
    }
    if reader.errors.is_empty() {
        return Ok(bundle);
    }
    reader.errors.sort();
    reader.errors.dedup();
    Err(BundleErrors(reader.errors))
}

impl Reader<'_> {
    pub(super) fn line_of(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        let line = self.line_of(span.start);
        self.errors.push(BundleError { line, message: message.into() });
    }

    fn top(&mut self, table: &DeTable<'_>, bundle: &mut Bundle) {
        self.known_keys(table, "the bundle", &TOP);
        if let Some(head) = self.table(table, "bundle") {
            self.known_keys(head, "[bundle]", &["version", "note"]);
            bundle.version = self.text_of(head, "version", "[bundle]").unwrap_or_default();
            bundle.note = self.text_of(head, "note", "[bundle]").unwrap_or_default();
        }
        let version = &bundle.version;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if version.is_empty() || version.len() > 40 || !version.chars().all(plain) {
            let message = "[bundle] version must be 1 to 40 letters, digits, dots and hyphens";
            self.fault(0..0, message);
        } else if version == super::BUILT_IN {
            self.fault(0..0, "[bundle] version: `built-in` is what holds without a bundle");
        }
        if let Some(calendar) = self.table(table, "calendar") {
            self.known_keys(calendar, "[calendar]", &["holidays", "tou"]);
            self.holidays(calendar, bundle);
            self.rates(calendar, bundle);
        }
        if let Some(engine) = self.table(table, "engine") {
            rules::engine(self, engine, bundle);
        }
        if let Some(all) = self.table(table, "rules") {
            rules::all(self, all, bundle);
        }
        for (span, one) in self.tables(table, "custom") {
            custom::rule(self, (span, one), bundle);
        }
        for (span, one) in self.tables(table, "test") {
            custom::test(self, (span, one), bundle);
        }
        super::order::check(self, bundle);
    }

    fn holidays(&mut self, calendar: &DeTable<'_>, bundle: &mut Bundle) {
        let Some(list) = self.list(calendar, "holidays", "[calendar]") else { return };
        for one in list {
            let text = match one.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Datetime(date) => date.to_string(),
                _ => String::new(),
            };
            match crate::local::day_of_date(&text) {
                Some(day) => {
                    bundle.holidays.insert(day);
                }
                None => self.fault(one.span(), "[calendar] holidays are dates such as 2026-12-25"),
            }
        }
    }

    fn rates(&mut self, calendar: &DeTable<'_>, bundle: &mut Bundle) {
        let Some(list) = self.list(calendar, "tou", "[calendar]") else { return };
        for one in list {
            let text = match one.get_ref() {
                DeValue::String(text) => text.to_string(),
                _ => String::new(),
            };
            match text.parse() {
                Ok(time) => bundle.tou.push(time),
                Err(error) => {
                    let error: super::tou::TouError = error;
                    self.fault(one.span(), error.to_string());
                }
            }
        }
    }

    /// Faults for keys that are not known, with the one that was meant.
    pub(super) fn known_keys(&mut self, table: &DeTable<'_>, what: &str, known: &[&'static str]) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys are {}", known.join(", ")),
                };
                self.fault(key.span(), format!("{what} has no key `{name}`; {hint}"));
            }
        }
    }

    fn wrong_type(&mut self, span: Range<usize>, what: &str, key: &str, wanted: &str) {
        self.fault(span, format!("{what}: {key} must be {wanted}"));
    }

    fn table<'t>(&mut self, table: &'t DeTable<'t>, key: &str) -> Option<&'t DeTable<'t>> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => {
                self.wrong_type(field.span(), "the bundle", key, "a table");
                None
            }
        }
    }

    /// Tables of an array of tables.
    pub(super) fn tables<'t>(
        &mut self,
        table: &'t DeTable<'t>,
        key: &str,
    ) -> Vec<(Range<usize>, &'t DeTable<'t>)> {
        let Some(field) = table.get(key) else { return Vec::new() };
        let DeValue::Array(list) = field.get_ref() else {
            let wanted = format!("a list of tables: [[{key}]]");
            self.wrong_type(field.span(), "the bundle", key, &wanted);
            return Vec::new();
        };
        list.iter()
            .filter_map(|one| match one.get_ref() {
                DeValue::Table(inner) => Some((one.span(), inner)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn list<'t>(
        &mut self,
        table: &'t DeTable<'t>,
        key: &str,
        what: &str,
    ) -> Option<&'t DeArray<'t>> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::Array(list) => Some(list),
            _ => {
                self.wrong_type(field.span(), what, key, "a list");
                None
            }
        }
    }

    pub(super) fn text_of(&mut self, table: &DeTable<'_>, key: &str, what: &str) -> Option<String> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong_type(field.span(), what, key, "a text");
                None
            }
        }
    }

    pub(super) fn bool_of(&mut self, table: &DeTable<'_>, key: &str, what: &str) -> Option<bool> {
        let field = table.get(key)?;
        match field.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                self.wrong_type(field.span(), what, key, "true or false");
                None
            }
        }
    }

    /// Seconds of a duration such as `24h`.
    pub(super) fn seconds_of(&mut self, table: &DeTable<'_>, key: &str, what: &str) -> Option<i64> {
        const LONGEST_S: i64 = 400 * 86_400;
        let field = table.get(key)?;
        let found = match field.get_ref() {
            DeValue::String(text) => super::number::in_unit(text, "s"),
            _ => Err("it is written as text".to_owned()),
        };
        match found {
            Ok(seconds) if (0..=LONGEST_S).contains(&seconds) => Some(seconds),
            Ok(_) => {
                self.fault(field.span(), format!("{what}: {key} is 0s to 400d"));
                None
            }
            Err(why) => {
                let message = format!("{what}: {key} is a duration such as \"24h\": {why}");
                self.fault(field.span(), message);
                None
            }
        }
    }

    pub(super) fn tags_of(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        what: &str,
    ) -> Option<BTreeSet<Tag>> {
        let list = self.list(table, key, what)?;
        let mut tags = BTreeSet::new();
        for one in list {
            let word = one.get_ref().as_str().unwrap_or_default();
            match word.parse::<Tag>() {
                Ok(tag) => {
                    tags.insert(tag);
                }
                Err(_) => {
                    let known: Vec<&str> = Tag::ALL.iter().map(|tag| tag.word()).collect();
                    let known = known.join(", ");
                    let message = format!("{what}: `{word}` is no tag; the tags are {known}");
                    self.fault(one.span(), message);
                }
            }
        }
        Some(tags)
    }
}

/// A number of TOML as written.
pub(super) fn decimal(value: &DeValue<'_>) -> Option<Decimal> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => {
            number.as_str().parse().ok().map(Decimal::whole)
        }
        DeValue::Float(number) => Decimal::from_text(number.as_str()),
        _ => None,
    }
}
