//! Files of readings, on the path that messages take: known by their content, read by
//! [`protocols::files`], normalised and judged like a telegram, stored in acknowledged batches, and
//! settled against what is there (`metering-rules` 6.5). The verb, the inbox, the page and the API
//! all come through [`FileImporter::import`].

mod again;
mod keep;
mod letter;
mod pass;
mod report;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::files::{Encoding, FileFormat, Layout, archive, beacon};
use sha2::{Digest, Sha256};
use store::Database;
use store::files::{FileCounts, FileRow, NewFile, ReadAs};

use super::options::IngestOptions;
use super::pipeline::core_of;
use super::sink::{Sink, SinkError};
use crate::clock::Clock;
pub use again::LayoutNamed;
use keep::Shelf;
use pass::Pass;
pub use report::{ChannelReads, FileOutcome, FileReport};

/// A file that is taken as a whole is stored in one transaction up to so many batches of the
/// ingest; a longer one in several, so that its size is no question of memory. All of it was looked at
/// before, and when the store goes away in between, the file completes when it comes again.
const WHOLE_BATCHES: usize = 50;
/// A longer name of a file is cut: each of its letters carries it.
const NAME_CHARS_MAX: usize = 255;
/// Records between two words on how far it is.
const TOLD_EVERY: u64 = 64;
/// Name of the adapter that files arrive by.
pub const FILE_ADAPTER: &str = "file";

/// How files are read where their own bytes do not say.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// `None`: told by the first bytes.
    pub format: Option<FileFormat>,
    pub layout: Option<Arc<Layout>>,
    /// Zone of stamps that carry none.
    pub zone: TimeZone,
    pub encoding: Encoding,
    pub identity: beacon::Identity,
    /// Faulty records are left out and the others taken; else one fault refuses the file.
    pub by_record: bool,
    /// Nothing is stored.
    pub dry_run: bool,
    /// Also when the same content was imported before.
    pub again: bool,
}

impl FileOptions {
    /// Told by the first bytes, one fault refuses the file.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            format: None,
            layout: None,
            zone,
            encoding: Encoding::Utf8,
            identity: beacon::Identity::default(),
            by_record: false,
            dry_run: false,
            again: false,
        }
    }
}

/// A file to import.
#[derive(Clone, Debug)]
pub struct Upload {
    pub name: String,
    pub bytes: Bytes,
    /// Who imports it.
    pub actor: String,
}

impl Upload {
    /// With a name that can be kept and shown: of bounded length, without control characters.
    fn named(&self) -> Self {
        let shown = |c: char| if c.is_control() { '?' } else { c };
        let name = self.name.chars().take(NAME_CHARS_MAX).map(shown).collect();
        Self { name, ..self.clone() }
    }
}

/// Hears how many records are done, and of how many.
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// A file could not be imported, and may be later.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("the store is away")]
    Store(#[from] store::StoreError),
    #[error("reading the file ended unexpectedly")]
    Ended,
}

/// Imports files, one after the other.
#[derive(Clone, Debug)]
pub struct FileImporter {
    database: Database,
    options: IngestOptions,
    clock: Arc<dyn Clock>,
}

impl FileImporter {
    /// `options` as for the running ingest; routes and adapter are its own.
    pub fn new(database: Database, mut options: IngestOptions, clock: Arc<dyn Clock>) -> Self {
        options.adapter = FILE_ADAPTER;
        options.routes = Vec::new();
        Self { database, options, clock }
    }

    /// Imports a file, or each member of a zip archive, one after the other.
    ///
    /// # Errors
    /// [`ImportError`] when the store is away: what was stored so far is known when the file comes
    /// again. A file that is refused is no error.
    pub async fn import(
        &self,
        upload: &Upload,
        options: &FileOptions,
        progress: Progress<'_>,
    ) -> Result<Vec<FileReport>, ImportError> {
        let upload = &upload.named();
        if !archive::is_zip(&upload.bytes) {
            return Ok(vec![self.one(upload, options, progress).await?]);
        }
        let bytes = upload.bytes.clone();
        let members = tokio::task::spawn_blocking(move || archive::members(&bytes)).await;
        let members = match members.map_err(|_| ImportError::Ended)? {
            Ok(members) => members,
            Err(fault) => {
                let detail = fault.detail;
                return Ok(vec![self.refused_unread(upload, options, detail).await?]);
            }
        };
        let mut reports = Vec::with_capacity(members.len());
        for (name, bytes) in members {
            let member = Upload {
                name: format!("{}/{name}", upload.name),
                bytes: bytes.into(),
                actor: upload.actor.clone(),
            }
            .named();
            reports.push(self.one(&member, options, progress).await?);
        }
        Ok(reports)
    }

    async fn one(
        &self,
        upload: &Upload,
        options: &FileOptions,
        progress: Progress<'_>,
    ) -> Result<FileReport, ImportError> {
        let sha256: [u8; 32] = Sha256::digest(&upload.bytes).into();
        let layout = options.layout.as_ref().map(|_| FileFormat::Layout);
        let told = options.format.or(layout).or_else(|| FileFormat::of(&upload.bytes));
        let read_as = told.map(|format| letter::read_as(format, options)).unwrap_or_default();
        let before = store::files::known(&self.database, &sha256).await?;
        if let Some(known) = &before
            && !options.again
            && self.is_done(known, &read_as).await?
        {
            return Ok(FileReport::known(&upload.name, known.clone()));
        }
        let Some(format) = told else {
            let detail =
                "its first bytes are of no kind that is known: name the format or a layout";
            return self.refused_unread(upload, options, detail.to_owned()).await;
        };
        let mut pass = Pass::new(upload, options, format, self.clock.now());
        let mut report = pass.check().await?;
        report.name.clone_from(&upload.name);
        // Read another way its times and values are others: the later reading counts.
        let other = before.filter(|known| !letter::is_same(&known.read_as, &read_as));
        let after = other.map_or(i64::MIN, |known| known.made_at.micros() + 1);
        let made_at = pass.made_at().max(UtcTime::from_micros(after));
        let refused = match &report.outcome {
            FileOutcome::Refused(detail) => Some(detail.clone()),
            _ => None,
        };
        if options.dry_run {
            if refused.is_none() {
                self.fill(&mut pass, None, &mut report, progress).await?;
                report.outcome = FileOutcome::Tried;
            }
            return Ok(report);
        }
        let file = NewFile {
            sha256,
            name: &upload.name,
            read_as: &read_as,
            size: upload.bytes.len() as u64,
            by_record: options.by_record,
            made_at,
            said_at: pass.said_at(),
            actor: &upload.actor,
        };
        let number = store::files::begin(&self.database, &file, self.clock.now()).await?;
        report.import_no = Some(number);
        if refused.is_none() {
            self.fill(&mut pass, Some((number, made_at)), &mut report, progress).await?;
            report.outcome = FileOutcome::Imported;
        }
        let counts = (&report.counts, refused.as_deref());
        let now = self.clock.now();
        store::files::finish(&self.database, number, counts, &report.faults, now).await?;
        if report.counts.inserted > 0 {
            // A running head-end takes the counters over that were moved here.
            self.database.touch_assets(now).await?;
        }
        Ok(report)
    }

    /// Whether the content would change nothing: it was read in this very way, and all of it was
    /// used or waits for its meter.
    async fn is_done(&self, known: &FileRow, read_as: &ReadAs) -> Result<bool, ImportError> {
        let dead = known.counts.dead;
        let same = letter::is_same(&known.read_as, read_as);
        if dead == 0 || !same {
            return Ok(same);
        }
        let letters = store::files::letters(&self.database, known.import_no).await?;
        Ok(letters.gone_reads(dead) == 0)
    }

    /// A file of which not even the kind is known.
    async fn refused_unread(
        &self,
        upload: &Upload,
        options: &FileOptions,
        detail: String,
    ) -> Result<FileReport, ImportError> {
        let counts = FileCounts::default();
        let outcome = FileOutcome::Refused(detail.clone());
        let mut report = FileReport::new(&upload.name, None, outcome);
        if options.dry_run {
            return Ok(report);
        }
        let now = self.clock.now();
        let file = NewFile {
            sha256: Sha256::digest(&upload.bytes).into(),
            name: &upload.name,
            read_as: &ReadAs::default(),
            size: upload.bytes.len() as u64,
            by_record: options.by_record,
            made_at: now,
            said_at: None,
            actor: &upload.actor,
        };
        let number = store::files::begin(&self.database, &file, now).await?;
        store::files::finish(&self.database, number, (&counts, Some(&detail)), &[], now).await?;
        report.import_no = Some(number);
        Ok(report)
    }

    /// The second pass: records become rows, batch by batch. Without a number nothing is stored.
    async fn fill(
        &self,
        pass: &mut Pass,
        import: Option<(i64, UtcTime)>,
        report: &mut FileReport,
        progress: Progress<'_>,
    ) -> Result<(), ImportError> {
        let mut shelf = Shelf::new(self.database.clone());
        let mut core = core_of(&self.options, &shelf.sink.registry().await?);
        let registry = self.database.load_registry().await?;
        if let Ok((_, bundle)) = crate::services::rules::active(&self.database).await {
            core.judge_by(crate::services::rules::limits::Limits::new(bundle), &registry);
        }
        // What is only tried is compared in as large parts as may be: a slot may stand twice in a file.
        let parts = if pass.is_whole() || import.is_none() { WHOLE_BATCHES } else { 1 };
        let rows_max = self.options.batch_rows_max.saturating_mul(parts);
        let mut records = pass.records();
        let mut done = 0;
        loop {
            let mut batch = told::FileBatch::begin(&core, pass.topic(), import.map(|one| one.0));
            while batch.rows() < rows_max {
                let Some(record) = records.recv().await else { break };
                batch.push(&mut core, &record, pass.received_at());
                if batch.records().is_multiple_of(TOLD_EVERY) {
                    progress(done + batch.records(), report.counts.records);
                }
            }
            let taken = batch.records();
            if taken == 0 {
                break;
            }
            done += taken;
            let told = batch.finish(&mut core, self.clock.now());
            report.unmapped += told.unmapped;
            report.counts.skipped += told.skipped();
            for (key, reads) in told.channels() {
                report.add(key, reads);
            }
            for source in told.unknown() {
                if report.unknown.len() < 100 && !report.unknown.contains(&source) {
                    report.unknown.push(source);
                }
            }
            match import {
                None => self.try_out(&told.batch, report).await?,
                Some(import) => self.store(import, told.into_parts(), &mut shelf, report).await?,
            }
            progress(done, report.counts.records);
        }
        shelf.sink.rest().await;
        Ok(())
    }

    /// Counts what would become of a batch.
    async fn try_out(
        &self,
        batch: &store::Batch,
        report: &mut FileReport,
    ) -> Result<(), ImportError> {
        let would = store::files::compare(&self.database, batch).await?;
        let counts = &mut report.counts;
        counts.offered += batch.offered();
        counts.inserted += would.fresh;
        counts.duplicate += would.known;
        counts.conflicting += would.differing;
        counts.dead += batch.dead.iter().map(|letter| u64::from(letter.reads)).sum::<u64>();
        Ok(())
    }

    async fn store(
        &self,
        import: (i64, UtcTime),
        parts: (store::Batch, told::Side),
        shelf: &mut Shelf,
        report: &mut FileReport,
    ) -> Result<(), ImportError> {
        let (stored, settled) = self.keep(Some(import), parts, shelf).await?;
        let counts = &mut report.counts;
        counts.replaced += settled.taken;
        counts.offered += stored.offered;
        counts.inserted += stored.inserted;
        counts.duplicate += stored.duplicate;
        counts.conflicting += stored.conflicting;
        counts.dead += stored.dead;
        Ok(())
    }
}
