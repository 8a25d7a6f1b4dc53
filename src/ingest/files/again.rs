//! Records of files that became dead letters, told again once their device is a meter.

use std::collections::BTreeMap;
use std::sync::Arc;

use metering::UtcTime;
use protocols::files::{self, FileFormat, Layout};
use store::files::{FileRow, ReadAs};
use store::{DeadLetter, ReplayFilter};

use super::super::core::{Fate, IngestCore};
use super::super::dlq::{ReplayReport, Replayer};
use super::super::pipeline::core_of;
use super::super::sink::{Letter, Sink, SinkError};
use super::keep::Shelf;
use super::{FILE_ADAPTER, FileImporter, FileOptions, ImportError, letter, pass, told};

/// Finds a layout by its name.
pub type LayoutNamed<'a> = &'a (dyn Fn(&str) -> Option<Arc<Layout>> + Sync);

/// How letters are read, and the imports that were looked up.
struct Reading<'a> {
    base: &'a FileOptions,
    layout_named: LayoutNamed<'a>,
    imports: BTreeMap<Told, ReadBy>,
}

/// Who told of a letter: an import, or, where that is not known any more, a file of this topic's kind.
type Told = (Option<i64>, Option<String>);

/// One import, and how its records are read; `None`: they cannot be read here.
#[derive(Clone, Default)]
struct ReadBy {
    made_at: Option<UtcTime>,
    how: Option<(FileFormat, FileOptions)>,
}

impl FileImporter {
    /// Letters and readings that [`FileImporter::replay`] would tell again.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn waiting(&self, filter: &ReplayFilter) -> Result<(u64, u64), SinkError> {
        let (database, options) = (self.database.clone(), self.options.clone());
        Replayer::new(database, options, Arc::clone(&self.clock)).count(filter).await
    }

    /// Tells records again that became dead letters, each read as its file was: in the zone, by the
    /// column and the layout of the newest import that told of it. `base` counts where that says
    /// nothing. What the file says beside the readings is kept, and which value stands is decided,
    /// as at an import.
    ///
    /// # Errors
    /// [`ImportError`] when the store is away.
    pub async fn replay(
        &self,
        (base, layout_named): (&FileOptions, LayoutNamed<'_>),
        filter: &ReplayFilter,
    ) -> Result<ReplayReport, ImportError> {
        let mut after = None;
        let mut report = ReplayReport::default();
        let mut reading = Reading { base, layout_named, imports: BTreeMap::new() };
        loop {
            let page = self.database.letters_to_replay(FILE_ADAPTER, filter, after).await?;
            let Some(last) = page.last() else { return Ok(report) };
            after = Some(last.arrival_no);
            self.tell(&page, &mut reading, &mut report).await?;
        }
    }

    async fn tell(
        &self,
        letters: &[DeadLetter],
        reading: &mut Reading<'_>,
        report: &mut ReplayReport,
    ) -> Result<(), ImportError> {
        let mut shelf = Shelf::new(self.database.clone());
        let mut core = core_of(&self.options, &shelf.sink.registry().await?);
        let mut of_import: BTreeMap<Told, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in letters {
            of_import.entry(told_by(letter)).or_default().push(letter);
        }
        let mut used = Vec::new();
        for (told, letters) in of_import {
            let import_no = told.0;
            let read_by = reading.by(self, told).await?;
            let (batch, taken) = read(&mut core, &letters, &read_by);
            let (mut rows, side) = batch.finish(&mut core, self.clock.now()).into_parts();
            rows.dead.clear();
            rows.unknown.clear();
            rows.heard.clear();
            let import = import_no.zip(read_by.made_at);
            report.stored.add(self.keep(import, (rows, side), &mut shelf).await?.0);
            used.extend(taken);
        }
        shelf.sink.replayed(&used, self.clock.now()).await?;
        shelf.sink.rest().await;
        if !used.is_empty() {
            self.database.touch_assets(self.clock.now()).await?;
        }
        report.letters += letters.len() as u64;
        report.accepted += used.len() as u64;
        report.still_dead += (letters.len() - used.len()) as u64;
        Ok(())
    }
}

/// Reads letters of one import; gives those of which everything could be used.
fn read(
    core: &mut IngestCore,
    letters: &[&DeadLetter],
    read_by: &ReadBy,
) -> (told::FileBatch, Vec<Letter>) {
    let mut batch = told::FileBatch::begin(core, "", None);
    let mut used = Vec::new();
    for letter in letters {
        let Some(found) = read_by.records(letter) else { continue };
        let fates: Vec<Fate> = found
            .records
            .iter()
            .map(|record| batch.push_of(core, record, (&letter.topic, letter.received_at)))
            .collect();
        if fates.iter().all(|fate| *fate == Fate::Accepted) {
            used.push(Letter::from(*letter));
        }
    }
    // The lines of letters are their own: the import has kept those of its file.
    batch.forget_notes();
    (batch, used)
}

fn told_by(letter: &DeadLetter) -> Told {
    match letter.import_no {
        Some(number) => (Some(number), None),
        None => (None, letter::kind_of(&letter.topic)),
    }
}

impl Reading<'_> {
    async fn by(&mut self, importer: &FileImporter, told: Told) -> Result<ReadBy, ImportError> {
        if let Some(known) = self.imports.get(&told) {
            return Ok(known.clone());
        }
        let import: Option<FileRow> = match told.0 {
            Some(number) => store::files::by_number(&importer.database, number).await?,
            None => None,
        };
        let made_at = import.as_ref().map(|row| row.made_at);
        let kind = || told.1.clone().map(|format| ReadAs { format, ..ReadAs::default() });
        let read_as = import.map(|row| row.read_as).or_else(kind);
        let how = read_as.and_then(|as_| letter::options_of(&as_, self.base, self.layout_named));
        let read_by = ReadBy { made_at, how };
        self.imports.insert(told, read_by.clone());
        Ok(read_by)
    }
}

impl ReadBy {
    /// What the letter holds; `None` when it cannot be read.
    fn records(&self, letter: &DeadLetter) -> Option<files::Collected> {
        let (format, options) = self.how.as_ref()?;
        let mut found = files::Collected::default();
        let context = pass::context(options, letter.received_at);
        files::read(*format, &context, &letter.payload, &mut found).ok()?;
        found.faults.is_empty().then_some(found)
    }
}
