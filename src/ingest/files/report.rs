//! What became of a file, as verb, inbox, API and page tell it.

use std::collections::BTreeMap;

use metering::{ChannelNo, MeterId, UtcTime};
use protocols::files::FileFormat;
use store::files::{FaultRow, FileCounts, FileRow};

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileOutcome {
    Imported,
    /// Its content was imported before: nothing was done.
    Known(Box<FileRow>),
    /// It was only tried.
    Tried,
    /// Nothing of it was stored.
    Refused(String),
}

impl FileOutcome {
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Known(_) => "known",
            Self::Tried => "tried",
            Self::Refused(_) => "refused",
        }
    }

    /// What the word leaves open; empty when it says all.
    pub fn detail(&self) -> String {
        match self {
            Self::Imported => String::new(),
            Self::Tried => "nothing was changed".to_owned(),
            Self::Refused(detail) => detail.clone(),
            Self::Known(row) => {
                let (stored, faulty) = (row.counts.inserted, row.counts.refused);
                let left_out = match faulty {
                    0 => String::new(),
                    1 => ", 1 faulty record left out".to_owned(),
                    n => format!(", {n} faulty records left out"),
                };
                let readings = if stored == 1 { "reading" } else { "readings" };
                format!(
                    "this content was imported before, as file {} ({stored} {readings} \
                     stored{left_out}): nothing was changed",
                    row.import_no
                )
            }
        }
    }
}

/// What became of a file, with its faults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileReport {
    pub name: String,
    pub format: Option<FileFormat>,
    pub outcome: FileOutcome,
    pub import_no: Option<i64>,
    pub counts: FileCounts,
    /// Values of known meters whose field no channel carries.
    pub unmapped: u64,
    /// Devices that are not provisioned, by name; the first hundred.
    pub unknown: Vec<String>,
    /// What the file holds for each channel; empty when it was known or refused.
    pub channels: BTreeMap<(MeterId, ChannelNo), ChannelReads>,
    /// The first [`store::files::FAULTS_KEPT_MAX`].
    pub faults: Vec<FaultRow>,
}

/// Values of one channel in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelReads {
    /// Intervals as sent, without those that registers make.
    pub intervals: u64,
    pub registers: u64,
    /// Start of the first interval, or the first read.
    pub from: UtcTime,
    pub to: UtcTime,
}

impl ChannelReads {
    /// The two together; neither holds the other's values.
    pub fn and(self, other: Self) -> Self {
        Self {
            intervals: self.intervals + other.intervals,
            registers: self.registers + other.registers,
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

impl FileReport {
    pub(super) fn new(name: &str, format: Option<FileFormat>, outcome: FileOutcome) -> Self {
        Self {
            name: name.to_owned(),
            format,
            outcome,
            import_no: None,
            counts: FileCounts::default(),
            unmapped: 0,
            unknown: Vec::new(),
            channels: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Of a file whose content was imported before. Its counts are of now: nothing.
    pub(super) fn known(name: &str, row: FileRow) -> Self {
        let format = row.read_as.format.parse().ok();
        let import_no = Some(row.import_no);
        Self { import_no, ..Self::new(name, format, FileOutcome::Known(Box::new(row))) }
    }

    /// Adds what one batch of the file holds for a channel.
    pub(super) fn add(&mut self, key: (MeterId, ChannelNo), reads: ChannelReads) {
        self.channels.entry(key).and_modify(|all| *all = all.and(reads)).or_insert(reads);
    }
}
