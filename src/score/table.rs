//! The tables that a trial needs, in memory: what arrived of each channel lately, which of it is
//! new, and the records of the event log that follow, in the order of the store's write path.

use std::collections::{BTreeMap, VecDeque};

use metering::{
    ChannelNo, CollectorId, DeviceFlags, EventCode, LogRecord, MeterId, RuleMask, SlotCode,
    Subject, UtcTime,
};
use store::{Batch, IntervalRow, RegisterRow};

/// Slots that are kept of a channel, in seconds; what comes later is taken for new.
pub(super) const KEPT_S: i64 = 16 * 86_400;
const REGISTERS_KEPT: usize = 40;

/// Everything that arrived, by meter and channel.
#[derive(Debug)]
pub(super) struct Table {
    kept_s: i64,
    pub(super) channels: BTreeMap<(MeterId, ChannelNo), Series>,
    pub(super) readings: u64,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
}

/// What arrived of one channel.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Ascending by end.
    pub(super) slots: VecDeque<Slot>,
    pub(super) registers: VecDeque<Register>,
    /// Ends of slots of which something else was said again.
    pub(super) differing: Vec<UtcTime>,
    /// Oldest end that came since the days were closed last.
    pub(super) touched: Option<UtcTime>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) end: UtcTime,
    pub(super) value: i64,
    pub(super) code: SlotCode,
    pub(super) failed: RuleMask,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Register {
    pub(super) read_at: UtcTime,
    pub(super) raw: i64,
    pub(super) value: i64,
    pub(super) usable: bool,
}

enum Fate {
    New,
    Same,
    Differs,
}

impl Table {
    /// Keeps slots for so many seconds.
    pub(super) fn new(kept_s: i64) -> Self {
        Self { kept_s, channels: BTreeMap::new(), readings: 0, duplicates: 0, conflicts: 0 }
    }

    /// Stores a batch and returns its log records: heard, registers, intervals, events, and an
    /// event for each value that stands beside a stored one.
    pub(super) fn store(&mut self, batch: &Batch) -> Vec<LogRecord> {
        let mut records = heard(batch);
        let mut changed = Vec::new();
        let mut registers: Vec<&RegisterRow> = batch.registers.iter().collect();
        registers.sort_by_key(|row| {
            let r = &row.reading.reading;
            (r.meter, r.channel, r.read_at)
        });
        for row in registers {
            self.register(row, &mut records, &mut changed);
        }
        let from = changed.len();
        let mut intervals: Vec<&IntervalRow> = batch.intervals.iter().collect();
        intervals.sort_by_key(|row| {
            let r = &row.reading.reading;
            (r.meter, r.channel, r.interval.start())
        });
        for row in intervals {
            self.interval(row, &mut records, &mut changed);
        }
        // Intervals first, as the store tells them.
        changed.rotate_left(from);
        records.extend(batch.events.iter().map(|row| LogRecord::Event {
            subject: row.event.subject,
            occurred_at: row.event.occurred_at,
            code: row.event.code,
            detail: row.number,
        }));
        records.append(&mut changed);
        records
    }

    fn register(
        &mut self,
        row: &RegisterRow,
        records: &mut Vec<LogRecord>,
        changed: &mut Vec<LogRecord>,
    ) {
        let reading = row.reading.reading;
        let series = self.channels.entry((reading.meter, reading.channel)).or_default();
        let known = Register {
            read_at: reading.read_at,
            raw: reading.raw,
            value: reading.value,
            usable: row.reading.failed.is_empty(),
        };
        match series.put_register(known) {
            Fate::New => {
                self.readings += 1;
                records.push(LogRecord::Register {
                    meter: reading.meter,
                    channel: reading.channel,
                    read_at: reading.read_at,
                    value: reading.value,
                    code: row.reading.code,
                    failed: row.reading.failed,
                });
            }
            Fate::Same => self.duplicates += 1,
            Fate::Differs => {
                self.conflicts += 1;
                changed.push(value_changed(reading.meter, reading.channel, reading.read_at));
            }
        }
    }

    fn interval(
        &mut self,
        row: &IntervalRow,
        records: &mut Vec<LogRecord>,
        changed: &mut Vec<LogRecord>,
    ) {
        let reading = row.reading.reading;
        let series = self.channels.entry((reading.meter, reading.channel)).or_default();
        let end = reading.interval.end();
        let slot =
            Slot { end, value: reading.value, code: row.reading.code, failed: row.reading.failed };
        match series.put(slot, self.kept_s) {
            Fate::New => {
                self.readings += 1;
                records.push(LogRecord::Interval {
                    meter: reading.meter,
                    channel: reading.channel,
                    end,
                    len_s: reading.interval.len_s(),
                    value: reading.value,
                    code: row.reading.code,
                    failed: row.reading.failed,
                });
            }
            Fate::Same => self.duplicates += 1,
            Fate::Differs => {
                self.conflicts += 1;
                series.differing.push(end);
                changed.push(value_changed(reading.meter, reading.channel, end));
            }
        }
    }
}

impl Series {
    fn put(&mut self, slot: Slot, kept_s: i64) -> Fate {
        // Nearly every slot is the newest: a search would touch cold memory for nothing.
        let newest = self.slots.back().is_none_or(|last| last.end < slot.end);
        let at = if newest {
            self.slots.len()
        } else {
            self.slots.partition_point(|known| known.end < slot.end)
        };
        if let Some(known) = self.slots.get(at).filter(|known| known.end == slot.end) {
            let flags = |code: SlotCode| -> DeviceFlags { code.flags() };
            let same = known.value == slot.value && flags(known.code) == flags(slot.code);
            return if same { Fate::Same } else { Fate::Differs };
        }
        self.touched = Some(self.touched.map_or(slot.end, |oldest| oldest.min(slot.end)));
        self.slots.insert(at, slot);
        while let (Some(first), Some(last)) = (self.slots.front(), self.slots.back())
            && last.end.seconds_since(first.end) > kept_s
        {
            self.slots.pop_front();
        }
        Fate::New
    }

    fn put_register(&mut self, register: Register) -> Fate {
        let at = self.registers.partition_point(|known| known.read_at < register.read_at);
        if let Some(known) = self.registers.get(at).filter(|r| r.read_at == register.read_at) {
            return if known.raw == register.raw { Fate::Same } else { Fate::Differs };
        }
        self.registers.insert(at, register);
        if self.registers.len() > REGISTERS_KEPT {
            self.registers.pop_front();
        }
        Fate::New
    }
}

fn value_changed(meter: MeterId, channel: ChannelNo, at: UtcTime) -> LogRecord {
    LogRecord::Event {
        subject: Subject::Meter(meter),
        occurred_at: at,
        code: EventCode::ValueChanged,
        detail: i32::from(channel.get()),
    }
}

/// One record per meter and collector, in their order.
fn heard(batch: &Batch) -> Vec<LogRecord> {
    let mut folded: BTreeMap<(MeterId, Option<CollectorId>), Option<i16>> = BTreeMap::new();
    for row in &batch.heard {
        let known = folded.entry((row.meter, row.collector)).or_default();
        *known = row.rssi_dbm.or(*known);
    }
    folded
        .into_iter()
        .map(|((meter, collector), rssi_dbm)| LogRecord::Heard { meter, collector, rssi_dbm })
        .collect()
}
