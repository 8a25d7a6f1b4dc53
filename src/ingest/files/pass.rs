//! The two passes over the bytes of a file: first everything is looked at, then records are handed
//! over one by one, so that a file of any size takes little memory.

use metering::UtcTime;
use protocols::files::{self, FileContext, FileFormat, FileRecord, LineFault, Sink};
use store::files::{FAULTS_KEPT_MAX, FaultRow};
use tokio::sync::mpsc;

use super::{FileOptions, FileOutcome, FileReport, ImportError, Upload, letter};

/// Records that wait for the committer.
const WAITING_MAX: usize = 256;

/// One file on its way.
pub(super) struct Pass {
    upload: Upload,
    options: FileOptions,
    format: FileFormat,
    received_at: UtcTime,
    topic: String,
    said_at: Option<UtcTime>,
}

impl Pass {
    pub(super) fn new(
        upload: &Upload,
        options: &FileOptions,
        format: FileFormat,
        received_at: UtcTime,
    ) -> Self {
        Self {
            upload: upload.clone(),
            options: options.clone(),
            format,
            received_at,
            topic: letter::topic_of(format, &upload.name),
            said_at: None,
        }
    }

    pub(super) const fn received_at(&self) -> UtcTime {
        self.received_at
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Its place among files: when it was made, as far as that can be; else its arrival.
    pub(super) fn made_at(&self) -> UtcTime {
        self.said_at.map_or(self.received_at, |at| at.min(self.received_at))
    }

    /// When it was made, by its own word.
    pub(super) const fn said_at(&self) -> Option<UtcTime> {
        self.said_at
    }

    pub(super) const fn is_whole(&self) -> bool {
        !self.options.by_record
    }

    /// The first pass: what is wrong with it.
    pub(super) async fn check(&mut self) -> Result<FileReport, ImportError> {
        let (upload, options) = (self.upload.clone(), self.options.clone());
        let (format, received_at) = (self.format, self.received_at);
        let (facts, faults) = tokio::task::spawn_blocking(move || {
            let mut checker = Checker::default();
            let facts =
                files::read(format, &context(&options, received_at), &upload.bytes, &mut checker);
            (facts, checker.faults)
        })
        .await
        .map_err(|_| ImportError::Ended)?;
        let mut report = FileReport::new("", Some(self.format), FileOutcome::Imported);
        report.faults = faults;
        match facts {
            Err(fault) => {
                report.outcome = FileOutcome::Refused(fault.to_string());
                report.counts.refused = report.faults.len() as u64;
            }
            Ok(facts) => {
                self.said_at = facts.created_at;
                report.counts.records = facts.records;
                report.counts.refused = facts.refused;
                if facts.refused > 0 && self.is_whole() {
                    report.outcome = FileOutcome::Refused(format!(
                        "{} of {} records are faulty, so none was taken: mend the file, or import \
                         it record by record",
                        facts.refused,
                        facts.records + facts.refused
                    ));
                } else if facts.records == 0 {
                    report.outcome = FileOutcome::Refused("it holds no record".to_owned());
                }
            }
        }
        Ok(report)
    }

    /// The second pass: the records, as they are asked for.
    pub(super) fn records(&self) -> mpsc::Receiver<FileRecord> {
        let (hand, records) = mpsc::channel(WAITING_MAX);
        let (upload, options) = (self.upload.clone(), self.options.clone());
        let (format, received_at) = (self.format, self.received_at);
        tokio::task::spawn_blocking(move || {
            let mut hand = Hand(hand);
            let context = context(&options, received_at);
            // The first pass has found the faults.
            let _ = files::read(format, &context, &upload.bytes, &mut hand);
        });
        records
    }
}

pub(super) fn context(options: &FileOptions, received_at: UtcTime) -> FileContext<'_> {
    FileContext {
        received_at,
        zone: Some(&options.zone),
        encoding: options.encoding,
        identity: options.identity,
        layout: options.layout.as_deref(),
    }
}

#[derive(Default)]
struct Checker {
    faults: Vec<FaultRow>,
}

impl Sink for Checker {
    fn record(&mut self, _: FileRecord) {}

    fn fault(&mut self, fault: LineFault) {
        if self.faults.len() < FAULTS_KEPT_MAX {
            self.faults.push(FaultRow {
                line: fault.line,
                reason: fault.reason.label().to_owned(),
                detail: fault.detail,
                raw: fault.raw,
            });
        }
    }
}

struct Hand(mpsc::Sender<FileRecord>);

impl Sink for Hand {
    fn record(&mut self, record: FileRecord) {
        // The importer has gone: the rest is read for nothing.
        let _ = self.0.blocking_send(record);
    }

    fn fault(&mut self, _: LineFault) {}
}
