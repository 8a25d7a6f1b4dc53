//! What can be done with a batch without the database: sorting, folding, filling buffers.
//!
//! None of it waits, so it can run on another thread while the batch before is in the server.

use std::collections::{BTreeMap, HashMap};

use metering::{ChannelNo, CollectorId, DeviceFlags, MeterId, UtcTime};
use sha2::{Digest, Sha256};

use super::copy::{CopyData, CopyRows};
use crate::batch::{
    Batch, ChannelStateRow, DeadRow, EventRow, HeardRow, IntervalRow, RawRow, RegisterRow,
    UnknownRow,
};
use crate::event_log::log_day;
use crate::partitions::{Table, Touched};

/// Bytes of one interval row in COPY's format: a count of 6 fields, their lengths and values.
pub(super) const INTERVAL_ROW_LEN: usize = 2 + 6 * 4 + 3 * 8 + 4 + 2 + 2;
/// Bytes of one register row: 9 fields.
pub(super) const REGISTER_ROW_LEN: usize = 2 + 9 * 4 + 4 * 8 + 4 + 2 + 2 + 2 + 8;
/// `register_read.source` of a scheduled reading.
pub(super) const SOURCE_SCHEDULED: i16 = 1;
/// A commissioning row shows the last payload up to here.
const LAST_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const DETAIL_BYTES_MAX: usize = 1_000;
pub(super) const FIELDS_MAX: usize = 64;

/// A batch ready to be sent. Can be appended again after a transient failure.
#[derive(Clone, Debug)]
pub struct PreparedBatch {
    /// The batch without what is held below.
    pub(super) batch: Batch,
    pub(super) offered: u64,
    pub(super) derived_offered: u64,
    pub(super) intervals: Unique<IntervalRow>,
    pub(super) interval_copy: CopyData,
    pub(super) registers: Unique<RegisterRow>,
    pub(super) register_copy: CopyData,
    pub(super) heard: Vec<HeardRow>,
    pub(super) raw_copy: CopyData,
    pub(super) dead: Vec<DeadLetterRow>,
    pub(super) unknown: Vec<CommissioningRow>,
    pub(super) states: Vec<ChannelStateRow>,
    pub(super) touched: Touched,
}

/// Rows by key, one each; what else was said of a key stands apart.
#[derive(Clone, Debug)]
pub(super) struct Unique<R> {
    /// Sorted by key; of equal keys the first to arrive.
    pub(super) rows: Vec<R>,
    /// Differing rows of keys that are in `rows`.
    pub(super) later: Vec<R>,
    /// Equal rows left out.
    pub(super) folded: u64,
    pub(super) folded_derived: u64,
}

/// A dead letter with all its copies in the batch.
#[derive(Clone, Debug)]
pub(super) struct DeadLetterRow {
    pub(super) sha256: [u8; 32],
    pub(super) row: DeadRow,
    pub(super) count: i64,
    /// Which of the batch its first copy was.
    pub(super) nth: i64,
}

/// An unknown device with all its messages in the batch.
#[derive(Clone, Debug)]
pub(super) struct CommissioningRow {
    pub(super) row: UnknownRow,
    pub(super) messages: i64,
}

pub(super) type Key = (MeterId, ChannelNo, i64);

/// A row with the unique key of its table.
pub(super) trait Keyed: Copy {
    /// Meter, channel and the instant that the table names it by, in microseconds.
    fn key(&self) -> Key;
    /// Says the same as another row of the same key.
    fn same_as(&self, other: &Self) -> bool;
    fn derived(&self) -> bool;
}

impl Keyed for IntervalRow {
    fn key(&self) -> Key {
        let reading = &self.reading.reading;
        (reading.meter, reading.channel, reading.interval.start().micros())
    }

    /// Our own judgement does not make a reading another one: only value and device flags do.
    fn same_as(&self, other: &Self) -> bool {
        self.reading.reading.value == other.reading.reading.value
            && device_flags(self.reading.code.to_i16()) == device_flags(other.reading.code.to_i16())
    }

    fn derived(&self) -> bool {
        self.derived
    }
}

impl Keyed for RegisterRow {
    fn key(&self) -> Key {
        let reading = &self.reading.reading;
        (reading.meter, reading.channel, reading.read_at.micros())
    }

    fn same_as(&self, other: &Self) -> bool {
        self.reading.reading.raw == other.reading.reading.raw
    }

    fn derived(&self) -> bool {
        false
    }
}

/// The device's part of a stored slot code.
pub(super) const fn device_flags(code: i16) -> u16 {
    DeviceFlags::from_bits(code.cast_unsigned()).bits()
}

impl<R: Keyed> Unique<R> {
    fn new(rows: &[R]) -> Self {
        let mut order: Vec<(Key, usize)> =
            rows.iter().enumerate().map(|(i, row)| (row.key(), i)).collect();
        order.sort_unstable();
        let mut unique: Vec<R> = Vec::with_capacity(rows.len());
        let (mut later, mut folded, mut folded_derived) = (Vec::new(), 0, 0);
        for same_key in order.chunk_by(|a, b| a.0 == b.0) {
            let Some(((_, first), rest)) = same_key.split_first() else { continue };
            unique.push(rows[*first]);
            for (_, other) in rest {
                let row = rows[*other];
                if !row.same_as(&rows[*first]) {
                    later.push(row);
                } else if row.derived() {
                    folded_derived += 1;
                } else {
                    folded += 1;
                }
            }
        }
        Self { rows: unique, later, folded, folded_derived }
    }

    /// Position of a key in `rows`.
    pub(super) fn find(&self, key: Key) -> Option<usize> {
        self.rows.binary_search_by_key(&key, Keyed::key).ok()
    }
}

impl PreparedBatch {
    /// Sorts, folds and encodes. Takes about 0.2 us per reading and no lock.
    pub fn new(mut batch: Batch) -> Self {
        let offered = batch.offered();
        let derived = batch.intervals.iter().filter(|row| row.derived).count();
        let intervals = Unique::new(&std::mem::take(&mut batch.intervals));
        let registers = Unique::new(&std::mem::take(&mut batch.registers));
        let raw = std::mem::take(&mut batch.raw);
        let touched = touched(&batch, &intervals.rows, &registers.rows, &raw);
        Self {
            offered,
            derived_offered: derived as u64,
            interval_copy: interval_copy(&intervals.rows),
            register_copy: register_copy(&registers.rows),
            intervals,
            registers,
            heard: fold_heard(&std::mem::take(&mut batch.heard)),
            raw_copy: raw_copy(&raw, batch.adapter),
            dead: fold_dead(std::mem::take(&mut batch.dead)),
            unknown: fold_unknown(std::mem::take(&mut batch.unknown)),
            states: fold_states(std::mem::take(&mut batch.states)),
            touched,
            batch: Batch { raw, ..batch },
        }
    }

    /// Values that devices offered in this batch.
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    pub(crate) const fn log_time(&self) -> UtcTime {
        self.batch.log_time
    }

    pub(crate) fn heard(&self) -> &[HeardRow] {
        &self.heard
    }

    pub(crate) fn interval_rows(&self) -> &[IntervalRow] {
        &self.intervals.rows
    }

    pub(crate) fn register_rows(&self) -> &[RegisterRow] {
        &self.registers.rows
    }

    pub(crate) fn event_rows(&self) -> &[EventRow] {
        &self.batch.events
    }
}

fn touched(
    batch: &Batch,
    intervals: &[IntervalRow],
    registers: &[RegisterRow],
    raw: &[RawRow],
) -> Touched {
    let mut touched = Touched::default();
    // Runs of one day are the rule: ask the set once per run.
    let mut last = None;
    for row in intervals {
        let day = row.reading.reading.interval.start().utc_day();
        let exception = row.reading.code.has_exception();
        if last != Some((day, exception)) {
            touched.add(Table::ReadInterval, day);
            if exception {
                touched.add(Table::IntervalException, day);
            }
            last = Some((day, exception));
        }
    }
    for row in registers {
        touched.add(Table::RegisterRead, row.reading.reading.read_at.utc_day());
    }
    for row in &batch.events {
        touched.add(Table::DeviceEvent, row.event.occurred_at.utc_day());
    }
    for row in raw {
        touched.add(Table::RawMessage, row.received_at.utc_day());
    }
    touched.add(Table::EventLog, log_day(batch.log_time));
    touched
}

fn interval_copy(rows: &[IntervalRow]) -> CopyData {
    let mut copy = CopyRows::new(rows.len() * INTERVAL_ROW_LEN);
    for row in rows {
        let reading = &row.reading.reading;
        copy.row(6);
        copy.stamp(reading.interval.start());
        copy.stamp(row.received_at);
        copy.int8(reading.value);
        copy.int4(reading.meter.get());
        copy.int2(reading.channel.get());
        copy.int2(row.reading.code.to_i16());
    }
    copy.finish()
}

fn register_copy(rows: &[RegisterRow]) -> CopyData {
    let mut copy = CopyRows::new(rows.len() * REGISTER_ROW_LEN);
    for row in rows {
        let reading = &row.reading.reading;
        copy.row(9);
        copy.stamp(reading.read_at);
        copy.stamp(row.received_at);
        copy.int8(reading.raw);
        copy.int8(reading.value);
        copy.int4(reading.meter.get());
        copy.int2(reading.channel.get());
        copy.int2(SOURCE_SCHEDULED);
        copy.int2(row.reading.code.to_i16());
        copy.int8(row.reading.failed.bits().cast_signed());
    }
    copy.finish()
}

fn raw_copy(rows: &[RawRow], adapter: &str) -> CopyData {
    let size = rows.iter().map(|row| 100 + row.topic.len() + row.payload.len()).sum();
    let mut copy = CopyRows::new(size);
    for row in rows {
        copy.row(6);
        copy.stamp(row.received_at);
        match row.meter {
            Some(meter) => copy.int4(meter.get()),
            None => copy.null(),
        }
        copy.blob(adapter.as_bytes());
        copy.blob(storable(&row.topic).as_bytes());
        copy.blob(&Sha256::digest(&row.payload));
        copy.blob(&row.payload);
    }
    copy.finish()
}

/// One row per meter and collector, in their order.
fn fold_heard(rows: &[HeardRow]) -> Vec<HeardRow> {
    let mut folded: BTreeMap<(MeterId, Option<CollectorId>), HeardRow> = BTreeMap::new();
    for row in rows {
        folded
            .entry((row.meter, row.collector))
            .and_modify(|known| {
                known.count = known.count.saturating_add(row.count);
                known.at = known.at.max(row.at);
                known.rssi_dbm = row.rssi_dbm.or(known.rssi_dbm);
            })
            .or_insert(*row);
    }
    folded.into_values().collect()
}

fn fold_dead(rows: Vec<DeadRow>) -> Vec<DeadLetterRow> {
    let mut folded: BTreeMap<[u8; 32], DeadLetterRow> = BTreeMap::new();
    for (nth, mut row) in (0..).zip(rows) {
        row.topic = storable(&row.topic).as_ref().into();
        row.reason = storable(&row.reason).into_owned();
        row.detail = cut(storable(&row.detail).into_owned(), DETAIL_BYTES_MAX);
        // A record of a file is the same under any name of the file, and however it is read.
        let topic = row.import_no.map_or(row.topic.as_ref(), |_| "file");
        let sha256 = dead_letter_key(topic, &row.payload);
        folded
            .entry(sha256)
            .and_modify(|known| {
                known.count += 1;
                known.row.received_at = known.row.received_at.max(row.received_at);
            })
            .or_insert(DeadLetterRow { sha256, row, count: 1, nth });
    }
    folded.into_values().collect()
}

/// The key of a dead letter: the same bytes under another topic may be decoded in another way.
pub fn dead_letter_key(topic: &str, payload: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(topic.as_bytes());
    hash.update([0]);
    hash.update(payload);
    hash.finalize().into()
}

fn fold_unknown(rows: Vec<UnknownRow>) -> Vec<CommissioningRow> {
    let mut folded: BTreeMap<String, CommissioningRow> = BTreeMap::new();
    for mut row in rows {
        row.topic = storable(&row.topic).as_ref().into();
        row.payload.truncate(LAST_PAYLOAD_BYTES_MAX);
        row.fields.truncate(FIELDS_MAX);
        row.fields.iter_mut().for_each(|field| *field = storable(field).into_owned());
        row.collector = row.collector.map(|code| storable(&code).into_owned());
        let key = row.source_id.as_str().to_owned();
        match folded.get_mut(&key) {
            Some(known) => {
                known.messages += 1;
                // A device may send its values in turn.
                row.fields.append(&mut known.row.fields);
                row.fields.sort_unstable();
                row.fields.dedup();
                row.fields.truncate(FIELDS_MAX);
                known.row = row;
            }
            None => {
                folded.insert(key, CommissioningRow { row, messages: 1 });
            }
        }
    }
    folded.into_values().collect()
}

fn fold_states(rows: Vec<ChannelStateRow>) -> Vec<ChannelStateRow> {
    let mut last: HashMap<(MeterId, ChannelNo), ChannelStateRow> = HashMap::new();
    for row in rows {
        last.insert((row.meter, row.channel), row);
    }
    let mut rows: Vec<ChannelStateRow> = last.into_values().collect();
    // Two writers must lock rows in one order.
    rows.sort_unstable_by_key(|row| (row.meter, row.channel));
    rows
}

/// PostgreSQL's text cannot hold NUL; one such topic must not poison a batch.
pub(super) fn storable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
