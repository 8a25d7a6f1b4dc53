//! One line's cells, and what they say of the meter.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use metering::{Commodity, CustomerClass, SourceId, Tag, UtcTime};
use protocols::FAMILIES;
use store::assets::MeterProvision;

use super::{COLUMNS, Defaults, INSTALLED_DEFAULT};
use crate::config::value::parse_duration;

/// The first column that says something of a channel and not of its meter.
const CHANNEL_FROM: &str = "field";
const TEXT_CHARS_MAX: usize = 200;

/// A line while it is read. Faults are collected; what could not be read is something harmless.
pub(super) struct Line<'a> {
    cells: BTreeMap<&'a str, &'a str>,
    pub(super) faults: Vec<(&'static str, String)>,
}

impl<'a> Line<'a> {
    pub(super) fn new(cells: impl Iterator<Item = (&'a String, &'a str)>) -> Self {
        let cells = cells.map(|(head, cell)| (head.as_str(), cell));
        Self { cells: cells.collect(), faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, column: &'static str, what: impl Display) {
        self.faults.push((column, what.to_string()));
    }

    /// The cell, if there is something in it.
    pub(super) fn cell(&self, column: &str) -> Option<&'a str> {
        self.cells.get(column).copied().filter(|cell| !cell.is_empty())
    }

    pub(super) fn text(&mut self, column: &'static str) -> Option<String> {
        let cell = self.cell(column)?;
        if cell.chars().any(char::is_control) || cell.chars().count() > TEXT_CHARS_MAX {
            self.fault(column, format!("write at most {TEXT_CHARS_MAX} printable characters"));
            return None;
        }
        Some(cell.to_owned())
    }

    pub(super) fn required(&mut self, column: &'static str) -> String {
        if self.cell(column).is_none() {
            self.fault(column, "is empty");
        }
        self.text(column).unwrap_or_default()
    }

    /// A value of a type that reads itself.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Option<T> {
        self.read(column, |cell| cell.parse::<T>().map_err(|error| error.to_string()))
    }

    pub(super) fn read<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match read(self.cell(column)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.fault(column, what);
                None
            }
        }
    }

    pub(super) fn seconds(&mut self, column: &'static str) -> Option<i32> {
        self.read(column, |cell| {
            let duration = parse_duration(cell)?;
            let whole = duration.subsec_nanos() == 0 && !duration.is_zero();
            i32::try_from(duration.as_secs())
                .ok()
                .filter(|_| whole)
                .ok_or_else(|| format!("`{cell}`: write whole seconds or more, at most 68 years"))
        })
    }

    fn yes(&mut self, column: &'static str) -> Option<bool> {
        self.read(column, |cell| match cell.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => Ok(true),
            "no" | "false" | "0" => Ok(false),
            _ => Err(format!("`{cell}`: write yes or no")),
        })
    }

    /// The cells that say something of the meter.
    pub(super) fn meter_cells(&self) -> BTreeMap<String, String> {
        let of_meter = COLUMNS.iter().take_while(|column| column.name != CHANNEL_FROM);
        let cells = of_meter.filter_map(|column| {
            Some((column.name.to_owned(), self.cell(column.name)?.to_owned()))
        });
        cells.collect()
    }

    /// Later lines of a meter say the same of it as the first, or nothing.
    pub(super) fn compare(&mut self, first: &BTreeMap<String, String>) {
        for column in COLUMNS.iter().take_while(|column| column.name != CHANNEL_FROM) {
            let Some(cell) = self.cell(column.name) else { continue };
            let before = first.get(column.name).map_or("nothing", String::as_str);
            if before != cell {
                let what = format!("`{cell}`, but the meter's first line says {before}");
                self.fault(column.name, what);
            }
        }
    }

    /// What the line says of its meter, and the heartbeat of its collector in seconds.
    pub(super) fn meter(
        &mut self,
        number: &str,
        defaults: &Defaults,
    ) -> (MeterProvision, Option<i32>) {
        self.required("commodity");
        let commodity = self.parsed("commodity").unwrap_or(Commodity::Electricity);
        let battery_powered = self.yes("battery").unwrap_or(commodity != Commodity::Electricity);
        let contact_default = if battery_powered { 86_400 } else { 4 * 3_600 };
        let provision = MeterProvision {
            number: number.to_owned(),
            serial: self.text("serial").unwrap_or_default(),
            sources: self.sources(number, defaults),
            commodity,
            class: self.parsed("class").unwrap_or(CustomerClass::Residential),
            address: self.text("address").unwrap_or_default(),
            account: self.text("account").unwrap_or_default(),
            account_active: self.yes("account_active").unwrap_or(true),
            utility: self.text("utility").unwrap_or_else(|| defaults.utility.clone()),
            zone: self.text("zone"),
            route: self.text("route"),
            transformer: self.text("transformer"),
            collector: self.text("collector"),
            time_zone: self.time_zone().unwrap_or_else(|| defaults.time_zone.clone()),
            tags: self.tags(),
            battery_powered,
            contact_every_s: self.seconds("contact_every").unwrap_or(contact_default),
            flow_rated_lph: self.flow_rated(),
            installed_at: self.instant("installed_at").unwrap_or(INSTALLED_DEFAULT),
            facts: self.facts(),
            channels: Vec::new(),
        };
        if provision.transformer.is_some() && provision.zone.is_none() {
            self.fault("transformer", "needs a zone: write the zone that it belongs to");
        }
        let heartbeat_s = self.seconds("collector_heartbeat");
        if heartbeat_s.is_some() && provision.collector.is_none() {
            self.fault("collector_heartbeat", "needs a collector: write its code");
        }
        (provision, heartbeat_s)
    }

    fn sources(&mut self, number: &str, defaults: &Defaults) -> Vec<SourceId> {
        let Some(cell) = self.cell("source") else { return vec![SourceId::new("ami", number)] };
        let mut sources: Vec<SourceId> = Vec::new();
        for word in cell.split_ascii_whitespace() {
            let source = SourceId::parse(word);
            let id = word.split_once(':').map_or("", |(_, id)| id);
            if id.is_empty() || source.as_str() != word {
                self.fault(
                    "source",
                    format!("`{word}`: write for example ert:44448439 or ami:E-1001"),
                );
            } else if !defaults.knows(source.family()) {
                self.fault("source", no_family(word, source.family(), defaults));
            } else if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }

    fn time_zone(&mut self) -> Option<String> {
        self.read("time_zone", |cell| match jiff::tz::TimeZone::get(cell) {
            Ok(_) => Ok(cell.to_owned()),
            Err(_) => Err(format!("`{cell}` is no zone: write for example Europe/Berlin")),
        })
    }

    fn tags(&mut self) -> Vec<Tag> {
        let mut tags: Vec<Tag> = Vec::new();
        for word in self.cell("tags").unwrap_or_default().split_ascii_whitespace() {
            match word.parse() {
                Ok(tag) if !tags.contains(&tag) => tags.push(tag),
                Ok(_) => {}
                Err(error) => self.fault("tags", error),
            }
        }
        tags
    }

    fn flow_rated(&mut self) -> i32 {
        let read = |cell: &str| match cell.parse::<i32>() {
            Ok(flow) if flow >= 0 => Ok(flow),
            _ => Err(format!("`{cell}`: write whole litres per hour, for example 2500")),
        };
        self.read("flow_rated", read).unwrap_or(0)
    }

    pub(super) fn instant(&mut self, column: &'static str) -> Option<UtcTime> {
        self.read(column, |cell| {
            let day = || UtcTime::parse_rfc3339(&format!("{cell}T00:00:00Z"));
            UtcTime::parse_rfc3339(cell).or_else(day).ok_or_else(|| {
                format!("`{cell}` is no time: write for example 2024-05-01 or 2024-05-01T10:00:00Z")
            })
        })
    }
}

/// Why no format, mapping, layout or polled unit calls a device so.
fn no_family(word: &str, family: &str, defaults: &Defaults) -> String {
    let known = FAMILIES.iter().copied().chain(defaults.families.iter().map(String::as_str));
    match crate::config::keys::nearest(family, known) {
        Some(near) => format!("`{word}`: nothing sends as `{family}`; did you mean `{near}`?"),
        None => format!(
            "`{word}`: nothing sends as `{family}`; take its mapping live first \
             (docs/mapping.md), or lay its layout in files.layouts"
        ),
    }
}
