//! Files of interval values and register reads, as utilities and their agents hand them over.
//!
//! One door, [`read`]: the bytes of a file in, its records one by one into a sink, each with the
//! line that it stands on, or the reason why it was refused. [`nem12`] (AEMO NEM12 and NEM13),
//! [`cmep`] (MEPMD01), [`espi`] (Green Button, in and out), [`beacon`] (Badger BEACON 360),
//! [`layout`] (fixed width and CSV by a description in TOML). [`archive`] takes the members out of a
//! zip file before. A reader never pads, never guesses a unit, and holds one record at a time.

pub mod archive;
pub mod beacon;
pub mod cmep;
pub mod espi;
pub mod layout;
pub mod nem12;
mod quality;
mod series;
mod text;

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use metering::UtcTime;

use crate::format::{RejectReason, printable};
use crate::observation::DeviceReport;

pub use layout::{Layout, LayoutError};
pub use quality::{QualityRun, ReadQuality};
pub use text::Encoding;

/// Longest line of a file, in bytes; a longer one is refused.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What kind of file it is: said by who imports it, or told by its first bytes ([`FileFormat::of`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileFormat {
    /// AEMO meter data file format: NEM12 (intervals) and NEM13 (registers).
    Nem12,
    /// California Metering Exchange Protocol, record type MEPMD01.
    Cmep,
    /// Green Button: NAESB ESPI in an Atom feed.
    Espi,
    /// Badger BEACON 360 report, CSV with a header.
    Beacon,
    /// Fixed width or CSV, as a layout says.
    Layout,
}

const FORMATS: [(FileFormat, &str); 5] = [
    (FileFormat::Nem12, "nem12"),
    (FileFormat::Cmep, "cmep"),
    (FileFormat::Espi, "espi"),
    (FileFormat::Beacon, "beacon"),
    (FileFormat::Layout, "layout"),
];

/// What a reader knows besides the bytes.
#[derive(Clone, Debug)]
pub struct FileContext<'a> {
    pub received_at: UtcTime,
    /// Zone of stamps that carry none (CMEP, BEACON, layouts).
    pub zone: Option<&'a TimeZone>,
    pub encoding: Encoding,
    /// Which column names the meter (BEACON).
    pub identity: beacon::Identity,
    /// For [`FileFormat::Layout`].
    pub layout: Option<&'a Layout>,
}

/// One record of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRecord {
    /// Line of its first line, from 1.
    pub line: u64,
    /// The record alone, as a file of the same kind: what is kept when it cannot be stored yet.
    pub raw: Vec<u8>,
    pub report: DeviceReport,
    /// What the sender says of the values; where nothing is said they are actual.
    pub quality: Vec<QualityRun>,
}

/// A record, or a line, that was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}: {detail}")]
pub struct LineFault {
    /// From 1; 0 where the fault is of the file as a whole.
    pub line: u64,
    pub reason: RejectReason,
    /// What is wrong and what is wanted, at most 300 characters.
    pub detail: String,
    /// The line; of one with more than 300 characters the first 200 and the last 97.
    pub raw: String,
}

/// What a file says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileFacts {
    /// When it was made: decides which of two files counts for a slot. `None`: it does not say.
    pub created_at: Option<UtcTime>,
    pub records: u64,
    pub refused: u64,
}

/// Takes what a reader finds, in the order of the file.
pub trait Sink {
    fn record(&mut self, record: FileRecord);
    fn fault(&mut self, fault: LineFault);
}

/// Reads a file. A fault of one record goes to the sink and the next record is read.
///
/// # Errors
/// A fault of the file as a whole (no header, no trailer, wrong counts, a DTD): nothing of it may
/// be stored, whatever the sink has got. It never panics, whatever the bytes.
pub fn read(
    format: FileFormat,
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<FileFacts, LineFault> {
    let mut counted = Counted { sink, facts: FileFacts::default() };
    if bytes.is_empty() {
        return Err(LineFault::new(0, RejectReason::Empty, "the file is empty", ""));
    }
    counted.facts.created_at = match format {
        FileFormat::Nem12 => nem12::read(context, bytes, &mut counted)?,
        FileFormat::Cmep => cmep::read(context, bytes, &mut counted)?,
        FileFormat::Espi => espi::read(context, bytes, &mut counted)?,
        FileFormat::Beacon => beacon::read(context, bytes, &mut counted)?,
        FileFormat::Layout => layout::read(context, bytes, &mut counted)?,
    };
    Ok(counted.facts)
}

/// Keeps all that a file holds; for small files and tests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    pub records: Vec<FileRecord>,
    pub faults: Vec<LineFault>,
}

impl Sink for Collected {
    fn record(&mut self, record: FileRecord) {
        self.records.push(record);
    }

    fn fault(&mut self, fault: LineFault) {
        self.faults.push(fault);
    }
}

struct Counted<'a> {
    sink: &'a mut dyn Sink,
    facts: FileFacts,
}

impl Sink for Counted<'_> {
    fn record(&mut self, record: FileRecord) {
        self.facts.records += 1;
        self.sink.record(record);
    }

    fn fault(&mut self, fault: LineFault) {
        self.facts.refused += 1;
        self.sink.fault(fault);
    }
}

impl LineFault {
    pub(crate) fn new(
        line: u64,
        reason: RejectReason,
        detail: impl Into<String>,
        raw: &str,
    ) -> Self {
        let rejected = reason.because(detail);
        Self { line, reason, detail: rejected.detail, raw: printable(both_ends(raw)) }
    }
}

/// What is wrong with a long line stands as often at its end (the quality of a day of values) as at its
/// beginning.
fn both_ends(line: &str) -> String {
    let count = line.chars().count();
    if count <= 300 {
        return line.to_owned();
    }
    let head: String = line.chars().take(200).collect();
    head + " … " + &line.chars().skip(count - 97).collect::<String>()
}

impl FileFormat {
    pub const ALL: [Self; 5] = [Self::Nem12, Self::Cmep, Self::Espi, Self::Beacon, Self::Layout];

    /// The kind that the first bytes of a file show, for an import that names none. A layout is
    /// never told by bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = &bytes[..bytes.len().min(8 << 10)];
        let head = String::from_utf8_lossy(head);
        let head = head.trim_start_matches('\u{feff}').trim_start();
        if head.starts_with("100,NEM1") {
            return Some(Self::Nem12);
        }
        if head.starts_with("MEPMD01,") {
            return Some(Self::Cmep);
        }
        if head.starts_with('<') {
            return Some(Self::Espi);
        }
        let first = head.lines().next().unwrap_or("");
        let badger =
            ["Read_Time", "Meter_ID", "Endpoint_SN"].iter().all(|name| first.contains(name));
        badger.then_some(Self::Beacon)
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMATS.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name))
    }
}

/// The text names no kind of file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no kind of file: write nem12, cmep, espi, beacon or layout")]
pub struct FileFormatError(String);

impl FromStr for FileFormat {
    type Err = FileFormatError;

    fn from_str(text: &str) -> Result<Self, FileFormatError> {
        let same = |(_, name): &&(Self, &str)| *name == text || *name == "nem12" && text == "nem13";
        let found = FORMATS.iter().find(same).map(|(format, _)| *format);
        found.ok_or_else(|| FileFormatError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests;
