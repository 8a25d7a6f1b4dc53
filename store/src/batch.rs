//! The contract with ingest: what one acknowledgement batch holds, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use metering::{
    ChannelNo, CollectorId, IntervalReading, JudgedReading, MeterEvent, MeterId, RegisterReading,
    SourceId, UtcTime,
};

/// Everything that one acknowledgement batch stores, in one transaction. Rows stand in arrival
/// order; of two rows with one key the first wins and a differing later one is a conflict.
#[derive(Clone, Debug)]
pub struct Batch {
    pub adapter: &'static str,
    /// Stamp of the event-log frames (the injected clock at append).
    pub log_time: UtcTime,
    pub messages: u32,
    /// Readings that ingest found to be repeats and left out; they count as offered duplicates.
    pub folded: u32,
    pub intervals: Vec<IntervalRow>,
    pub registers: Vec<RegisterRow>,
    pub events: Vec<EventRow>,
    pub heard: Vec<HeardRow>,
    pub raw: Vec<RawRow>,
    pub dead: Vec<DeadRow>,
    pub unknown: Vec<UnknownRow>,
    pub states: Vec<ChannelStateRow>,
}

#[derive(Clone, Copy, Debug)]
pub struct IntervalRow {
    pub reading: JudgedReading<IntervalReading>,
    pub received_at: UtcTime,
    /// Made by us from registers: counted apart, not offered by a device.
    pub derived: bool,
    /// Adapter's own number of the way it came, kept with a conflict.
    pub source: i16,
}

#[derive(Clone, Copy, Debug)]
pub struct RegisterRow {
    pub reading: JudgedReading<RegisterReading>,
    pub received_at: UtcTime,
}

#[derive(Clone, Debug)]
pub struct EventRow {
    pub event: MeterEvent,
    pub received_at: UtcTime,
    /// The small number of the log record, such as a bin; else 0.
    pub number: i32,
}

/// The meter was heard `count` times, last at `at`.
#[derive(Clone, Copy, Debug)]
pub struct HeardRow {
    pub meter: MeterId,
    pub collector: Option<CollectorId>,
    pub rssi_dbm: Option<i16>,
    pub at: UtcTime,
    pub count: u32,
}

/// The bytes behind readings, kept by arrival.
#[derive(Clone, Debug)]
pub struct RawRow {
    pub meter: Option<MeterId>,
    pub received_at: UtcTime,
    pub topic: Arc<str>,
    pub payload: Bytes,
}

/// Bytes that could not become readings.
#[derive(Clone, Debug)]
pub struct DeadRow {
    pub topic: Arc<str>,
    pub payload: Bytes,
    /// Stable word, for example `unknown_device`.
    pub reason: String,
    pub detail: String,
    pub source_id: Option<SourceId>,
    pub received_at: UtcTime,
    /// Readings that this copy offered; 1 when it could not be decoded.
    pub reads: u32,
    /// Of a record of a file: the import that told of it.
    pub import_no: Option<i64>,
}

/// A device that nobody has provisioned was heard.
#[derive(Clone, Debug)]
pub struct UnknownRow {
    pub source_id: SourceId,
    /// Code of the collector that heard it.
    pub collector: Option<String>,
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub received_at: UtcTime,
    pub fields: Vec<String>,
}

/// Last known counter of a register channel; the last row of a channel in the batch wins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStateRow {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub read_at: UtcTime,
    pub raw: i64,
    /// Unrolled total in milli-units.
    pub total: i64,
    /// Last grid point and the total there.
    pub boundary: Option<(UtcTime, i64)>,
    /// The last telegrams as JSON, to know repeats.
    pub recent: String,
}

/// What became of a batch. `offered == inserted + duplicate + conflicting + dead`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Stored {
    /// Values that devices offered: folded ones and dead letters included, derived ones not.
    pub offered: u64,
    pub inserted: u64,
    /// Folded ones included.
    pub duplicate: u64,
    pub conflicting: u64,
    pub dead: u64,
    pub derived: u64,
    pub derived_duplicate: u64,
    pub derived_conflicting: u64,
    /// New events.
    pub events: u64,
    /// Sequences of the log records of this batch; `None` when it held no new fact.
    pub first_seq: Option<i64>,
    pub last_seq: Option<i64>,
}

impl Batch {
    pub fn new(adapter: &'static str, log_time: UtcTime) -> Self {
        Self {
            adapter,
            log_time,
            messages: 0,
            folded: 0,
            intervals: Vec::new(),
            registers: Vec::new(),
            events: Vec::new(),
            heard: Vec::new(),
            raw: Vec::new(),
            dead: Vec::new(),
            unknown: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Values that devices offered in this batch.
    pub fn offered(&self) -> u64 {
        let sent = self.intervals.iter().filter(|row| !row.derived).count();
        let dead: u64 = self.dead.iter().map(|row| u64::from(row.reads)).sum();
        (sent + self.registers.len()) as u64 + u64::from(self.folded) + dead
    }

    /// True when nothing at all would be stored or counted.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
            && self.offered() == 0
            && self.intervals.is_empty()
            && self.events.is_empty()
            && self.heard.is_empty()
            && self.raw.is_empty()
            && self.unknown.is_empty()
            && self.states.is_empty()
    }
}

impl Stored {
    /// The identity that every batch must satisfy.
    pub const fn reconciles(&self) -> bool {
        self.offered == self.inserted + self.duplicate + self.conflicting + self.dead
    }

    /// Sums counts; keeps the outermost sequences.
    pub fn add(&mut self, other: Self) {
        self.offered += other.offered;
        self.inserted += other.inserted;
        self.duplicate += other.duplicate;
        self.conflicting += other.conflicting;
        self.dead += other.dead;
        self.derived += other.derived;
        self.derived_duplicate += other.derived_duplicate;
        self.derived_conflicting += other.derived_conflicting;
        self.events += other.events;
        self.first_seq = self.first_seq.or(other.first_seq);
        self.last_seq = other.last_seq.or(self.last_seq);
    }
}
