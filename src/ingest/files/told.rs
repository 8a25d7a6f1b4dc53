//! Records of a file as rows of a batch, with what the sender says of each value.

use std::collections::BTreeMap;

use bytes::Bytes;
use metering::{ChannelNo, EventCode, JudgedReading, MeterId, QualityStatus, SlotCode, UtcTime};
use protocols::ObservedEvent;
use protocols::files::{FileRecord, QualityRun, ReadQuality};
use store::Batch;
use store::files::{Beside, NoteRow, Offered, QualityRow, SpanRow};
use vee::Rule;

use super::super::core::{Accepted, Fate, Frame, IngestCore};
use super::super::normalise::SOURCE_FILE;
use super::ChannelReads;

/// A meter whose newest value is older than this was not heard of now.
const NEWS_S: i64 = 3 * 86_400;

/// A batch of records.
pub(super) struct FileBatch {
    topic: String,
    /// What its dead letters belong to.
    import_no: Option<i64>,
    accepted: Accepted,
    side: Side,
    records: u64,
}

/// What is kept beside the readings.
#[derive(Default)]
pub(super) struct Side {
    pub(super) offered: Vec<Offered>,
    pub(super) beside: Beside,
}

/// A batch that is closed.
pub(super) struct Told {
    pub(super) batch: Batch,
    pub(super) unmapped: u64,
    unknown: Vec<String>,
    side: Side,
}

impl FileBatch {
    pub(super) fn begin(core: &IngestCore, topic: &str, import_no: Option<i64>) -> Self {
        let (topic, accepted) = (topic.to_owned(), core.begin());
        Self { topic, import_no, accepted, side: Side::default(), records: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.accepted.rows()
    }

    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn push(
        &mut self,
        core: &mut IngestCore,
        record: &FileRecord,
        received_at: UtcTime,
    ) {
        let topic = std::mem::take(&mut self.topic);
        self.push_of(core, record, (&topic, received_at));
        self.topic = topic;
    }

    /// Adds a record that came under this topic.
    pub(super) fn push_of(
        &mut self,
        core: &mut IngestCore,
        record: &FileRecord,
        (topic, received_at): (&str, UtcTime),
    ) -> Fate {
        let frame = Frame {
            topic: topic.to_owned(),
            payload: Bytes::from(record.raw.clone()),
            received_at,
            redelivered: false,
        };
        let batch = &self.accepted.batch;
        let (intervals, registers) = (batch.intervals.len(), batch.registers.len());
        let (heard, dead) = (batch.heard.len(), batch.dead.len());
        let fate = core.push_decoded(&frame, &record.report, &mut self.accepted);
        self.records += 1;
        for letter in &mut self.accepted.batch.dead[dead..] {
            letter.import_no = self.import_no;
        }
        let newest = record.report.observations.iter().map(|seen| seen.time().at).max();
        if newest.is_none_or(|at| received_at.seconds_since(at) > NEWS_S) {
            self.accepted.batch.heard.truncate(heard);
        }
        self.qualify(record, (intervals, registers));
        self.side.beside.notes.extend(note_of(record));
        fate
    }

    /// What was written down is kept with the file already.
    pub(super) fn forget_notes(&mut self) {
        self.side.beside.notes.clear();
    }

    /// Puts the sender's word on the rows that came of the record.
    fn qualify(&mut self, record: &FileRecord, (intervals, registers): (usize, usize)) {
        let batch = &mut self.accepted.batch;
        let worst = worst(&record.quality);
        for row in &mut batch.registers[registers..] {
            let run = run_at(&record.quality, row.reading.reading.read_at);
            marked(&mut row.reading, run.map_or(ReadQuality::Actual, |run| run.quality));
        }
        for row in &mut batch.intervals[intervals..] {
            let interval = row.reading.reading.interval;
            let run = run_at(&record.quality, interval.end());
            // What is derived from registers is no better than they are.
            let quality = match run {
                Some(run) if !row.derived => run.quality,
                None if !row.derived => ReadQuality::Actual,
                _ => worst,
            };
            marked(&mut row.reading, quality);
            if row.derived {
                continue;
            }
            row.source = SOURCE_FILE;
            let reading = &row.reading.reading;
            self.side.offered.push(Offered {
                meter: reading.meter,
                channel: reading.channel,
                end: interval.end(),
                len_s: interval.len_s(),
                value: reading.value,
                status: row.reading.code.status(),
                flags: reading.flags,
                failed: row.reading.failed,
                finalised: quality == ReadQuality::FinalSubstituted,
            });
        }
        self.note(record, (intervals, registers));
    }

    /// Spans of the channels that the record told of, and the stretches that are not plainly actual.
    fn note(&mut self, record: &FileRecord, (intervals, registers): (usize, usize)) {
        let batch = &self.accepted.batch;
        let sent = batch.intervals[intervals..].iter().filter(|row| !row.derived).map(|row| {
            let reading = &row.reading.reading;
            (reading.meter, reading.channel, reading.interval.start(), reading.interval.end())
        });
        let read = batch.registers[registers..].iter().map(|row| {
            let reading = &row.reading.reading;
            let before = UtcTime::from_micros(reading.read_at.micros().saturating_sub(1));
            (reading.meter, reading.channel, before, reading.read_at)
        });
        let beside = &mut self.side.beside;
        let first = beside.spans.len();
        for (meter, channel, from, to) in sent.chain(read) {
            let spans = &mut beside.spans[first..];
            match spans.iter_mut().find(|s| s.meter == meter && s.channel == channel) {
                Some(span) => (span.from, span.to) = (span.from.min(from), span.to.max(to)),
                None => beside.spans.push(SpanRow { meter, channel, from, to }),
            }
        }
        let told = |run: &&QualityRun| run.quality != ReadQuality::Actual || run.reason.is_some();
        for run in record.quality.iter().filter(told) {
            for span in &beside.spans[first..] {
                beside.said.push(QualityRow {
                    meter: span.meter,
                    channel: span.channel,
                    from: run.from,
                    to: run.to,
                    quality: run.quality.word(),
                    code: run.code.clone(),
                    reason: run.reason,
                    reason_text: run.reason_text.clone(),
                });
            }
        }
    }

    pub(super) fn finish(mut self, core: &mut IngestCore, log_time: UtcTime) -> Told {
        core.finish(&mut self.accepted, log_time);
        let unknown = &self.accepted.batch.unknown;
        let unknown = unknown.iter().map(|row| row.source_id.to_string()).collect();
        // Of one key the last counts, as it does for the store.
        let key = |span: &SpanRow| (span.meter, span.channel, span.from);
        let spans = &mut self.side.beside.spans;
        spans.sort_unstable_by_key(|span| (key(span), std::cmp::Reverse(span.to)));
        spans.dedup_by_key(|span| key(span));
        Told {
            unmapped: self.accepted.unmapped,
            batch: self.accepted.batch,
            unknown,
            side: self.side,
        }
    }
}

impl Told {
    /// Names of devices that are not provisioned.
    pub(super) fn unknown(&self) -> Vec<String> {
        self.unknown.clone()
    }

    /// Lines of meters that were not read.
    pub(super) fn skipped(&self) -> u64 {
        self.side.beside.notes.iter().filter(|note| note.skipped).count() as u64
    }

    /// What was told of each channel.
    pub(super) fn channels(&self) -> BTreeMap<(MeterId, ChannelNo), ChannelReads> {
        let intervals = self.side.offered.iter().map(|row| {
            let from = row.end.plus_seconds(-i64::from(row.len_s));
            let reads = ChannelReads { intervals: 1, registers: 0, from, to: row.end };
            ((row.meter, row.channel), reads)
        });
        let registers = self.batch.registers.iter().map(|row| {
            let reading = &row.reading.reading;
            let (from, to) = (reading.read_at, reading.read_at);
            let reads = ChannelReads { intervals: 0, registers: 1, from, to };
            ((reading.meter, reading.channel), reads)
        });
        let mut channels: BTreeMap<_, ChannelReads> = BTreeMap::new();
        for (key, reads) in intervals.chain(registers) {
            channels.entry(key).and_modify(|all| *all = all.and(reads)).or_insert(reads);
        }
        channels
    }

    pub(super) fn into_parts(self) -> (Batch, Side) {
        (self.batch, self.side)
    }
}

/// What who walked the route wrote down in this record.
fn note_of(record: &FileRecord) -> Option<NoteRow> {
    let told = |event: &&ObservedEvent| {
        [EventCode::ReadSkipped, EventCode::ReaderNote].contains(&event.code)
    };
    let event = record.report.events.iter().find(told)?;
    Some(NoteRow {
        line: record.line,
        source: record.report.source_id.clone(),
        at: event.at.at,
        skipped: event.code == EventCode::ReadSkipped,
        note: event.detail.clone(),
    })
}

fn run_at(runs: &[QualityRun], end: UtcTime) -> Option<&QualityRun> {
    runs.iter().find(|run| run.holds(end))
}

/// The least that is said of any value of the record.
fn worst(runs: &[QualityRun]) -> ReadQuality {
    let doubted = runs.iter().any(|run| run.quality == ReadQuality::Suspect);
    let estimated = runs.iter().find(|run| run.quality.is_estimate());
    match (doubted, estimated) {
        (true, _) => ReadQuality::Suspect,
        (false, Some(run)) => run.quality,
        (false, None) => ReadQuality::Actual,
    }
}

/// An estimate of the sender is stored as one, whatever the checks say of its size, unless they hold it
/// back; what the sender doubts fails ING-FLAG.
fn marked<R>(reading: &mut JudgedReading<R>, quality: ReadQuality) {
    let flags = reading.code.flags();
    let held = reading.code.status() == QualityStatus::Suspect;
    let (status, exception) = match quality {
        ReadQuality::Suspect => {
            if let Some(no) = Rule::Flag.no() {
                reading.failed = reading.failed.with(no);
            }
            (QualityStatus::Suspect, true)
        }
        quality if quality.is_estimate() && !held => {
            (QualityStatus::Estimated, reading.code.has_exception())
        }
        _ => return,
    };
    let code = SlotCode::new(status, flags);
    reading.code = if exception { code.with_exception() } else { code };
}
