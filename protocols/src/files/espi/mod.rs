//! Green Button: NAESB ESPI (REQ.21) in an Atom feed, in and out.
//!
//! Entries are found by their links, in any order: a UsagePoint's `related` link leads to its
//! MeterReadings, a MeterReading's to its ReadingType and its IntervalBlocks. A meter is
//! `espi:CUSTOMER/POINT` by the UsagePoint's `self` link (`espi:POINT` where the link names no
//! RetailCustomer). A channel's field is our own word for the quantity and its direction:
//! `energy_import`, `energy_export`, `volume`, `power` ([`Kind::field`]). A period is `[start, start +
//! duration)`, in UTC. A value counts times ten to the power of its multiplier, exactly. Delta data
//! (4) are intervals, bulk and cumulative data (1, 3) registers at the end of their period,
//! instantaneous data (12) momentary values. The standard's quality codes are kept; where none
//! stands, values are actual.

mod blocks;
mod kind;
mod write;
mod xml;

use std::collections::BTreeMap;

use metering::UtcTime;

pub use kind::{Behaviour, Kind};
pub use write::{Feed, FeedReading, FeedSeries};

use self::xml::{Met, Walk};
use super::text::text_of;
use super::{FileContext, LineFault, Sink};
use crate::format::RejectReason;

/// Most usage points, meter readings, reading types and interval blocks of one feed, of each.
const ENTRIES_MAX: usize = 200_000;

/// The feed without its values: which entries there are and how they hang together.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// `related` link of a usage point, to its `self` link.
    points: BTreeMap<String, String>,
    /// `related` link of a meter reading, to its `self` link.
    readings: BTreeMap<String, String>,
    /// Of each meter reading: its `up` link and its reading type.
    reading: BTreeMap<String, MeterReading>,
    types: BTreeMap<String, Kind>,
    /// `up` link of the entry with that number, where it holds interval blocks.
    blocks: BTreeMap<u64, String>,
    updated_at: Option<UtcTime>,
}

#[derive(Debug, Default)]
struct MeterReading {
    up: String,
    related: Vec<String>,
}

pub(super) fn read(
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<Option<UtcTime>, LineFault> {
    let whole = |reason, detail: &str| LineFault::new(0, reason, detail, "");
    let bytes = bytes.strip_prefix(super::text::BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = text_of(bytes, context.encoding)
        .ok_or_else(|| whole(RejectReason::BadFormat, "the feed is no UTF-8"))?;
    if !text.contains("http://naesb.org/espi") {
        return Err(whole(
            RejectReason::UnknownType,
            "no feed of the namespace http://naesb.org/espi",
        ));
    }
    let index = index(&text)?;
    if index.blocks.is_empty() {
        return Err(whole(RejectReason::BadFormat, "the feed holds no IntervalBlock"));
    }
    blocks::read(context, &text, &index, sink)?;
    Ok(index.updated_at)
}

/// What an entry of the feed says of itself.
#[derive(Default)]
struct Entry {
    own: String,
    up: String,
    related: Vec<String>,
    kind: Option<Kind>,
    what: Option<&'static str>,
}

const CONTENTS: [&str; 4] = ["UsagePoint", "MeterReading", "ReadingType", "IntervalBlock"];
/// Links of one entry.
const LINKS_MAX: usize = 64;

fn index(text: &str) -> Result<Index, LineFault> {
    let mut walk = Walk::new(text);
    let mut index = Index::default();
    let mut entry: Option<Entry> = None;
    let mut number = 0;
    while let Some(met) = walk.next()? {
        match met {
            Met::Open(name) if name == "entry" => {
                number += 1;
                entry = Some(Entry::default());
            }
            Met::Open(name) => {
                if let Some(entry) = &mut entry
                    && let Some(what) = CONTENTS.iter().find(|what| **what == name)
                {
                    entry.what.get_or_insert(what);
                    if name == "ReadingType" {
                        entry.kind = Some(Kind::default());
                    }
                }
            }
            Met::Link(rel, href) => {
                if let Some(entry) = &mut entry {
                    entry.link(&rel, href);
                }
            }
            Met::Close(name, _) if name == "entry" => {
                if let Some(done) = entry.take() {
                    let line = walk.line();
                    index.add(done, number).map_err(|fault| LineFault { line, ..fault })?;
                }
            }
            Met::Close(name, text) => {
                if let Some(kind) = entry.as_mut().and_then(|entry| entry.kind.as_mut()) {
                    kind.set(&name, &text).map_err(|detail| {
                        LineFault::new(walk.line(), RejectReason::BadFormat, detail, "")
                    })?;
                }
                if name == "updated" && entry.is_none() && index.updated_at.is_none() {
                    index.updated_at = UtcTime::parse_rfc3339(&text);
                }
            }
        }
    }
    Ok(index)
}

impl Entry {
    fn link(&mut self, rel: &str, href: String) {
        let href = href.trim_end_matches('/').to_owned();
        match rel {
            "self" => self.own = href,
            "up" => self.up = href,
            "related" if self.related.len() < LINKS_MAX => self.related.push(href),
            _ => {}
        }
    }
}

impl Index {
    fn add(&mut self, entry: Entry, number: u64) -> Result<(), LineFault> {
        let Entry { own, up, related, kind, what } = entry;
        match what {
            Some("UsagePoint") => {
                self.points.insert(format!("{own}/MeterReading"), own.clone());
                for link in related {
                    self.points.insert(link, own.clone());
                }
            }
            Some("MeterReading") => {
                self.readings.insert(format!("{own}/IntervalBlock"), own.clone());
                for link in &related {
                    if link.contains("/IntervalBlock") {
                        self.readings.insert(link.clone(), own.clone());
                    }
                }
                self.reading.insert(own, MeterReading { up, related });
            }
            Some("ReadingType") => {
                self.types.insert(own, kind.unwrap_or_default());
            }
            Some("IntervalBlock") => {
                self.blocks.insert(number, up);
            }
            _ => {}
        }
        let most = self.points.len().max(self.readings.len()).max(self.types.len());
        if most.max(self.blocks.len()) > ENTRIES_MAX {
            let detail = format!("more than {ENTRIES_MAX} entries of one kind: split the feed");
            return Err(LineFault::new(0, RejectReason::TooLarge, detail, ""));
        }
        Ok(())
    }

    /// The usage point and the kind of the block in entry `number`.
    fn block(&self, number: u64) -> Result<(&str, &Kind), String> {
        let up = self.blocks.get(&number).map_or("", String::as_str);
        let reading =
            self.readings.get(up).or_else(|| self.reading.get_key_value(up).map(|(k, _)| k));
        let reading = reading.ok_or_else(|| format!("no MeterReading leads to `{up}`"))?;
        let meter_reading = self.reading.get(reading).ok_or("the MeterReading is lost")?;
        let kind = meter_reading.related.iter().find_map(|link| self.types.get(link));
        let kind =
            kind.ok_or_else(|| format!("MeterReading `{reading}` leads to no ReadingType"))?;
        let up = &meter_reading.up;
        let point = self.points.get(up).or_else(|| self.points.get(&format!("{up}/MeterReading")));
        let point = point.ok_or_else(|| format!("no UsagePoint leads to `{up}`"))?;
        Ok((point, kind))
    }
}

/// `CUSTOMER/POINT` or `POINT`, from a UsagePoint's `self` link; `None` when it names none.
fn identity(link: &str) -> Option<String> {
    let after = |name: &str| {
        let mut parts = link.split('/').skip_while(|part| *part != name);
        parts.nth(1).filter(|part| !part.is_empty())
    };
    let point = after("UsagePoint")?;
    Some(match after("RetailCustomer") {
        Some(customer) => format!("{customer}/{point}"),
        None => point.to_owned(),
    })
}

#[cfg(test)]
mod tests;
