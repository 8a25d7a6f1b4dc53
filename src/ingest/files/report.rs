//! What became of a file, as verb, inbox, API and page tell it.

use std::collections::BTreeMap;

use metering::{ChannelNo, MeterId, UtcTime};
use protocols::files::FileFormat;
use store::files::{FaultRow, FileCounts, FileRow};

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileOutcome {
    Imported,
    /// Its content was imported before, by that number: nothing was done.
    Known(i64),
    /// It was only tried.
    Tried,
    /// Nothing of it was stored.
    Refused(String),
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

    /// Of a file whose content was imported before.
    pub(super) fn known(row: FileRow) -> Self {
        let outcome = FileOutcome::Known(row.import_no);
        Self {
            import_no: Some(row.import_no),
            counts: row.counts,
            ..Self::new(&row.name, row.format.parse().ok(), outcome)
        }
    }

    /// Adds what one batch of the file holds for a channel.
    pub(super) fn add(&mut self, key: (MeterId, ChannelNo), reads: ChannelReads) {
        self.channels.entry(key).and_modify(|all| *all = all.and(reads)).or_insert(reads);
    }
}
