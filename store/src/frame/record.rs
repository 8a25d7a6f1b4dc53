//! Sections: records of one kind as columns.

use metering::{
    ChannelNo, CollectorAsset, CollectorId, EventCode, LogRecord, MeterId, RuleMask, SlotCode,
    Subject, TransformerId, UtcTime, ZoneId,
};

use super::FrameError;
use super::asset::{put_meter, take_meter};
use super::bytes::{Reader, put_uv};
use super::columns::{put_deltas, put_runs, take_deltas, take_runs};
use super::rare::{FINDING, RULES, WORK_ORDER, ZONE, put_rare, take_rare};

const INTERVAL: u8 = 1;
const REGISTER: u8 = 2;
const EVENT: u8 = 3;
const HEARD: u8 = 4;
const TICK: u8 = 5;
const METER: u8 = 6;
const COLLECTOR: u8 = 7;

/// No collector, no signal strength: outside the range of what is told.
const ABSENT: i64 = i64::MIN;

pub(super) const fn kind(record: &LogRecord) -> u8 {
    match record {
        LogRecord::Interval { .. } => INTERVAL,
        LogRecord::Register { .. } => REGISTER,
        LogRecord::Event { .. } => EVENT,
        LogRecord::Heard { .. } => HEARD,
        LogRecord::Tick => TICK,
        LogRecord::Meter(_) => METER,
        LogRecord::Collector(_) => COLLECTOR,
        LogRecord::Finding(_) => FINDING,
        LogRecord::WorkOrder(_) => WORK_ORDER,
        LogRecord::Zone(_) => ZONE,
        LogRecord::Rules(_) => RULES,
    }
}

/// One column of a section: the value of each record, 0 for a record of another kind (which a
/// section does not hold).
macro_rules! column {
    ($records:expr, $pattern:pat => $value:expr) => {
        $records.iter().map(|record| match record {
            $pattern => $value,
            _ => 0,
        })
    };
}

pub(super) fn put_section(out: &mut Vec<u8>, records: &[LogRecord]) {
    let Some(first) = records.first() else { return };
    out.push(kind(first));
    put_uv(out, records.len() as u64);
    match first {
        LogRecord::Interval { .. } => put_intervals(out, records),
        LogRecord::Register { .. } => put_registers(out, records),
        LogRecord::Event { .. } => put_events(out, records),
        LogRecord::Heard { .. } => put_heard(out, records),
        LogRecord::Tick => {}
        LogRecord::Meter(_) => {
            for record in records {
                if let LogRecord::Meter(asset) = record {
                    put_meter(out, asset);
                }
            }
        }
        LogRecord::Collector(_) => put_collectors(out, records),
        LogRecord::Finding(_)
        | LogRecord::WorkOrder(_)
        | LogRecord::Zone(_)
        | LogRecord::Rules(_) => put_rare(out, records),
    }
}

pub(super) fn take_section(
    reader: &mut Reader<'_>,
    count_max: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let kind = reader.byte()?;
    let count = reader.count(count_max)?;
    if count == 0 {
        return Err(FrameError::Value("empty section"));
    }
    match kind {
        INTERVAL => take_intervals(reader, count, records),
        REGISTER => take_registers(reader, count, records),
        EVENT => take_events(reader, count, records),
        HEARD => take_heard(reader, count, records),
        TICK => {
            records.extend(std::iter::repeat_n(LogRecord::Tick, count));
            Ok(())
        }
        METER => {
            for _ in 0..count {
                records.push(LogRecord::Meter(Box::new(take_meter(reader)?)));
            }
            Ok(())
        }
        COLLECTOR => take_collectors(reader, count, records),
        FINDING | WORK_ORDER | ZONE | RULES => take_rare(kind, reader, count, records),
        _ => Err(FrameError::Value("kind of record")),
    }
}

fn put_intervals(out: &mut Vec<u8>, records: &[LogRecord]) {
    use LogRecord::Interval;
    put_deltas(out, column!(records, Interval { meter, .. } => i64::from(meter.get())));
    put_runs(out, column!(records, Interval { channel, .. } => i64::from(channel.get())));
    put_deltas(out, column!(records, Interval { end, .. } => end.micros()));
    put_runs(out, column!(records, Interval { len_s, .. } => i64::from(*len_s)));
    put_deltas(out, column!(records, Interval { value, .. } => *value));
    put_runs(out, column!(records, Interval { code, .. } => i64::from(code.to_i16())));
    put_runs(out, column!(records, Interval { failed, .. } => failed.bits().cast_signed()));
}

fn take_intervals(
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let meters = take_deltas(reader, count)?;
    let channels = take_runs(reader, count)?;
    let ends = take_deltas(reader, count)?;
    let lens = take_runs(reader, count)?;
    let values = take_deltas(reader, count)?;
    let codes = take_runs(reader, count)?;
    let failed = take_runs(reader, count)?;
    for i in 0..count {
        records.push(LogRecord::Interval {
            meter: meter_id(meters[i])?,
            channel: channel_no(channels[i])?,
            end: UtcTime::from_micros(ends[i]),
            len_s: i32_of(lens[i])?,
            value: values[i],
            code: slot_code(codes[i])?,
            failed: RuleMask::from_bits(failed[i].cast_unsigned()),
        });
    }
    Ok(())
}

fn put_registers(out: &mut Vec<u8>, records: &[LogRecord]) {
    use LogRecord::Register;
    put_deltas(out, column!(records, Register { meter, .. } => i64::from(meter.get())));
    put_runs(out, column!(records, Register { channel, .. } => i64::from(channel.get())));
    put_deltas(out, column!(records, Register { read_at, .. } => read_at.micros()));
    put_deltas(out, column!(records, Register { value, .. } => *value));
    put_runs(out, column!(records, Register { code, .. } => i64::from(code.to_i16())));
    put_runs(out, column!(records, Register { failed, .. } => failed.bits().cast_signed()));
}

fn take_registers(
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let meters = take_deltas(reader, count)?;
    let channels = take_runs(reader, count)?;
    let times = take_deltas(reader, count)?;
    let values = take_deltas(reader, count)?;
    let codes = take_runs(reader, count)?;
    let failed = take_runs(reader, count)?;
    for i in 0..count {
        records.push(LogRecord::Register {
            meter: meter_id(meters[i])?,
            channel: channel_no(channels[i])?,
            read_at: UtcTime::from_micros(times[i]),
            value: values[i],
            code: slot_code(codes[i])?,
            failed: RuleMask::from_bits(failed[i].cast_unsigned()),
        });
    }
    Ok(())
}

fn put_events(out: &mut Vec<u8>, records: &[LogRecord]) {
    use LogRecord::Event;
    put_runs(out, column!(records, Event { subject, .. } => subject_kind(*subject)));
    put_deltas(out, column!(records, Event { subject, .. } => i64::from(subject.number())));
    put_deltas(out, column!(records, Event { occurred_at, .. } => occurred_at.micros()));
    put_runs(out, column!(records, Event { code, .. } => i64::from(code.number())));
    put_runs(out, column!(records, Event { detail, .. } => i64::from(*detail)));
}

fn take_events(
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let kinds = take_runs(reader, count)?;
    let numbers = take_deltas(reader, count)?;
    let times = take_deltas(reader, count)?;
    let codes = take_runs(reader, count)?;
    let details = take_runs(reader, count)?;
    for i in 0..count {
        let number = i32_of(numbers[i])?;
        let subject = subject_of(kinds[i], number)?;
        let code = u16::try_from(codes[i]).ok().and_then(EventCode::from_number);
        records.push(LogRecord::Event {
            subject,
            occurred_at: UtcTime::from_micros(times[i]),
            code: code.ok_or(FrameError::Value("event code"))?,
            detail: i32_of(details[i])?,
        });
    }
    Ok(())
}

fn put_heard(out: &mut Vec<u8>, records: &[LogRecord]) {
    use LogRecord::Heard;
    put_deltas(out, column!(records, Heard { meter, .. } => i64::from(meter.get())));
    put_runs(
        out,
        column!(records, Heard { collector, .. } =>
            collector.map_or(ABSENT, |collector| i64::from(collector.get()))),
    );
    put_runs(out, column!(records, Heard { rssi_dbm, .. } => rssi_dbm.map_or(ABSENT, i64::from)));
}

fn take_heard(
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let meters = take_deltas(reader, count)?;
    let collectors = take_runs(reader, count)?;
    let strengths = take_runs(reader, count)?;
    for i in 0..count {
        let collector = match collectors[i] {
            ABSENT => None,
            number => Some(CollectorId::new(i32_of(number)?)),
        };
        let rssi_dbm = match strengths[i] {
            ABSENT => None,
            dbm => Some(i16::try_from(dbm).map_err(|_| FrameError::Value("signal strength"))?),
        };
        records.push(LogRecord::Heard { meter: meter_id(meters[i])?, collector, rssi_dbm });
    }
    Ok(())
}

fn put_collectors(out: &mut Vec<u8>, records: &[LogRecord]) {
    use LogRecord::Collector;
    put_deltas(out, column!(records, Collector(asset) => i64::from(asset.collector.get())));
    put_runs(out, column!(records, Collector(asset) => i64::from(asset.heartbeat_s)));
}

fn take_collectors(
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    let numbers = take_deltas(reader, count)?;
    let heartbeats = take_runs(reader, count)?;
    for (number, heartbeat) in numbers.into_iter().zip(heartbeats) {
        records.push(LogRecord::Collector(CollectorAsset {
            collector: CollectorId::new(i32_of(number)?),
            heartbeat_s: i32_of(heartbeat)?,
        }));
    }
    Ok(())
}

pub(super) const fn subject_kind(subject: Subject) -> i64 {
    match subject {
        Subject::Headend => 0,
        Subject::Meter(_) => 1,
        Subject::Collector(_) => 2,
        Subject::Transformer(_) => 3,
        Subject::Zone(_) => 4,
    }
}

pub(super) const fn subject_of(kind: i64, number: i32) -> Result<Subject, FrameError> {
    Ok(match kind {
        0 => Subject::Headend,
        1 => Subject::Meter(MeterId::new(number)),
        2 => Subject::Collector(CollectorId::new(number)),
        3 => Subject::Transformer(TransformerId::new(number)),
        4 => Subject::Zone(ZoneId::new(number)),
        _ => return Err(FrameError::Value("subject")),
    })
}

fn i32_of(value: i64) -> Result<i32, FrameError> {
    i32::try_from(value).map_err(|_| FrameError::Value("number beyond 32 bits"))
}

fn meter_id(value: i64) -> Result<MeterId, FrameError> {
    i32_of(value).map(MeterId::new)
}

pub(super) fn channel_no(value: i64) -> Result<ChannelNo, FrameError> {
    i16::try_from(value).map(ChannelNo::new).map_err(|_| FrameError::Value("channel"))
}

fn slot_code(value: i64) -> Result<SlotCode, FrameError> {
    i16::try_from(value).ok().and_then(SlotCode::from_i16).ok_or(FrameError::Value("slot code"))
}
