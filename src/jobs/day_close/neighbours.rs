//! Registers that came out of order: ingest derives intervals as a counter moves on, and can do
//! nothing with a read that is older than the last one. Before a day is judged, what is missing of a
//! register channel is derived from the reads that are neighbours in time, in whatever order they
//! came; it goes the way of all readings, into the log as well. What was drawn over a read that came
//! since is drawn again, as another version.

use std::collections::BTreeMap;

use metering::{
    ChannelAsset, ChannelKind, DeviceFlags, Interval, IntervalReading, LocalCalendar, MeterAsset,
    QualityStatus, Tag, UtcTime,
};
use store::day::{ChannelDays, CounterRead, CounterRequest, Redrawn};
use store::{Batch, IntervalRow, Writer};
use vee::{Agreement, Arrival, IntervalContext, Params, Verdict};

use crate::ingest::SOURCE_DERIVED;
use crate::ingest::grid::{self, Grid, Point};

/// The way of these readings, in counts of batches.
const ADAPTER: &str = "registers";
/// Most intervals that go into one transaction.
const BATCH_MAX: usize = 20_000;

/// Intervals by their end, with what the counter tells of them in milli-units.
type Told = BTreeMap<UtcTime, (Interval, i64)>;

/// A channel whose days are about to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) meter: &'a MeterAsset,
    pub(super) channel: &'a ChannelAsset,
    pub(super) calendar: &'a LocalCalendar,
    pub(super) params: &'a Params,
}

/// Asks for the counter around the days of a register channel.
pub(super) fn request(own: Own<'_>, known: &ChannelDays) -> Option<CounterRequest> {
    let (channel, len_s) = (own.channel, i64::from(own.channel.len_s));
    if channel.kind != ChannelKind::Register || len_s <= 0 {
        return None;
    }
    let days = &known.request;
    let (from, to) = (days.from.plus_seconds(-4 * len_s), days.to.plus_seconds(3 * len_s));
    Some(CounterRequest { meter: own.meter.meter, channel: channel.channel, from, to })
}

fn arrived(slot: &vee::day::DaySlot) -> bool {
    slot.arrived.status() != QualityStatus::Missing
}

/// What the reads tell of the days.
#[derive(Debug, Default)]
pub(super) struct Derived {
    /// Intervals that are missing and that two neighbouring reads tell.
    pub(super) rows: Vec<IntervalRow>,
    /// Intervals that were drawn over a read that came since.
    pub(super) redrawn: Vec<Redrawn>,
}

/// `now`: the log's time.
pub(super) fn derived(
    own: Own<'_>,
    known: &ChannelDays,
    reads: &[CounterRead],
    now: UtcTime,
) -> Derived {
    let days = &known.request;
    let net = own.meter.has_tag(Tag::NetMeter);
    let arrival = Arrival {
        received_at: now,
        installed_at: own.meter.installed_at,
        clock_ahead_s: None,
        clock_drifts: false,
    };
    let context = IntervalContext {
        arrival,
        channel: own.channel,
        calendar: Some(own.calendar),
        unit: Agreement::Agrees,
        multiplier: Agreement::NotStated,
        time_doubtful: false,
        unchecked: false,
        net,
        inherited: Verdict::default(),
    };
    let len_s = i64::from(own.channel.len_s);
    let stored = |end: UtcTime| {
        let at = known.slots.partition_point(|slot| slot.end < end);
        let slot = known.slots.get(at).filter(|slot| slot.end == end && arrived(slot))?;
        Some(slot.value)
    };
    let mut told = Told::new();
    joined(own, reads, net, |interval, value| {
        told.insert(interval.end(), (interval, value));
    });
    let redrawn = redrawn(own, (known, &told), &late(reads));
    // A read between two older ones moves the counter's course at the ends of intervals. Beside an
    // interval that was drawn on the former course the sum would no longer be the advance.
    let agrees = |end: UtcTime| {
        let is_redrawn = || redrawn.iter().any(|slot| slot.end == end);
        stored(end).is_none_or(|value| told.get(&end).is_some_and(|(_, fresh)| *fresh == value))
            || is_redrawn()
    };
    let mut rows = Vec::new();
    for (end, (interval, value)) in &told {
        let after = end.plus_seconds(len_s);
        let due = days.from < *end && *end <= days.to && stored(*end).is_none();
        if !due || !agrees(interval.start()) || !agrees(after) {
            continue;
        }
        let (interval, value) = (*interval, *value);
        let reading = IntervalReading {
            meter: own.meter.meter,
            channel: own.channel.channel,
            interval,
            value,
            flags: DeviceFlags::NONE,
        };
        rows.push(IntervalRow {
            reading: vee::judge_interval(reading, &context, own.params),
            received_at: now,
            derived: true,
            source: SOURCE_DERIVED,
        });
    }
    Derived { rows, redrawn }
}

/// When the reads were that came after one that is later than they.
fn late(reads: &[CounterRead]) -> Vec<UtcTime> {
    let mut late = Vec::new();
    let mut first: Option<UtcTime> = None;
    for read in reads.iter().rev().filter(|read| read.usable) {
        if first.is_some_and(|first| first < read.received_at) {
            late.push(read.read_at);
        }
        first = Some(first.map_or(read.received_at, |first| first.min(read.received_at)));
    }
    late
}

/// A slot as the counter tells it by now, and its value so far.
type Drawn = (Redrawn, i64);

/// Intervals as they arrived that the counter tells otherwise since a read came between. Only where
/// they take the same in all: it moves what was used from one to the other. What people decided, what
/// was doubted and what was estimated stays.
fn redrawn(own: Own<'_>, (known, told): (&ChannelDays, &Told), late: &[UtcTime]) -> Vec<Redrawn> {
    use QualityStatus::{Raw, Validated};
    let mut all = Vec::new();
    let mut run: Vec<Drawn> = Vec::new();
    for slot in known.slots.iter().filter(|_| !late.is_empty()) {
        let as_arrived = slot.arrived.status() == Raw && matches!(slot.best, Raw | Validated);
        let Some((interval, value)) = told.get(&slot.end).filter(|_| as_arrived) else {
            all.extend(moved(&std::mem::take(&mut run), late));
            continue;
        };
        if run.last().is_some_and(|(last, _)| last.end != interval.start()) {
            all.extend(moved(&std::mem::take(&mut run), late));
        }
        let redrawn = Redrawn {
            meter: own.meter.meter,
            channel: own.channel.channel,
            start: interval.start(),
            end: slot.end,
            value: *value,
            flags: slot.arrived.flags(),
            is_judged: known.request.from <= interval.start(),
        };
        run.push((redrawn, slot.value));
    }
    all.extend(moved(&run, late));
    all
}

/// The changed slots of the parts of a run that take the same in all as before and hold a late read.
fn moved(run: &[Drawn], late: &[UtcTime]) -> Vec<Redrawn> {
    let mut all = Vec::new();
    let whole = &run[balanced(run)];
    let (mut moved, mut from) = (0, 0);
    for (at, (slot, old)) in whole.iter().enumerate() {
        moved += i128::from(slot.value) - i128::from(*old);
        if moved != 0 {
            continue;
        }
        let part = &whole[from..=at];
        from = at + 1;
        let begin = part.first().map_or(slot.start, |(first, _)| first.start);
        if late.iter().any(|read| begin < *read && *read < slot.end) {
            let changed = part.iter().filter(|(slot, old)| slot.value != *old);
            all.extend(changed.map(|(slot, _)| *slot));
        }
    }
    all
}

/// The longest part of the run that takes the same in all as before. A run may begin or end in the
/// middle of a line: the rest is of the days beside these.
fn balanced(run: &[Drawn]) -> std::ops::Range<usize> {
    // By what was moved up to a slot: where it was so first.
    let mut first: BTreeMap<i128, usize> = BTreeMap::from([(0, 0)]);
    let (mut moved, mut longest) = (0, 0..0);
    for (at, (slot, old)) in run.iter().enumerate() {
        moved += i128::from(slot.value) - i128::from(*old);
        let from = *first.entry(moved).or_insert(at + 1);
        if at + 1 - from > longest.len() {
            longest = from..at + 1;
        }
    }
    longest
}

/// Follows the counter from read to read. Over a fall, and over more than the service carries,
/// nothing is told: the counter rolled over, started again, or one of the two reads is wrong. Only
/// the service's limit tells it of a counter that may run both ways.
fn joined(own: Own<'_>, reads: &[CounterRead], net: bool, mut emit: impl FnMut(Interval, i64)) {
    let len_s = own.channel.len_s;
    let grid = Grid { len_s, step: own.channel.resolution };
    let mut last: Option<(Point, Option<Point>)> = None;
    let own_reads = |read: &&CounterRead| read.usable && read.read_at >= own.meter.installed_at;
    for read in reads.iter().filter(own_reads) {
        let here = Point { at: read.read_at, total: read.value };
        let advances = last.is_none_or(|(from, _)| is_advance(own, (from, here), net));
        let boundary = match last {
            Some((from, boundary)) => grid::derive(from, here, boundary, grid, &mut |at, value| {
                if advances {
                    emit(at, value);
                }
            }),
            None => grid::start(here, len_s),
        };
        // The fallen read may be the wrong one: nothing is told from it either.
        last = advances.then_some((here, boundary));
    }
}

fn is_advance(own: Own<'_>, (from, to): (Point, Point), net: bool) -> bool {
    let advance = to.total.saturating_sub(from.total);
    let size = if net { advance.saturating_abs() } else { advance };
    let cap = own.channel.cap_per_hour;
    let elapsed_s = to.at.seconds_since(from.at).saturating_add(own.params.cap_slack_s);
    match cap {
        0 => !net && size >= 0,
        _ => size >= 0 && size <= own.params.cap(cap, elapsed_s) + own.channel.resolution,
    }
}

/// Stores what was derived. Reads that ingest stores meanwhile are no trouble: one key, one value.
pub(super) async fn keep(
    writer: &mut Writer,
    rows: Vec<IntervalRow>,
    now: UtcTime,
) -> Result<Option<i64>, store::StoreError> {
    let mut last_seq = None;
    for part in rows.chunks(BATCH_MAX) {
        let mut batch = Batch::new(ADAPTER, now);
        batch.intervals = part.to_vec();
        match writer.append(&batch).await {
            Ok(stored) => last_seq = stored.last_seq.or(last_seq),
            // Other days wait to be closed: these stay missing, and are estimated.
            Err(error) if error.is_data_fault() => tracing::error!(
                error = &error as &dyn std::error::Error,
                rows = part.len(),
                "Intervals derived from registers that came out of order cannot be stored."
            ),
            Err(error) => return Err(error),
        }
    }
    Ok(last_seq)
}
