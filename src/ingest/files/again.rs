//! Records of files that became dead letters, told again once their device is a meter.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocols::files::{self, Layout};
use store::{DeadLetter, ReplayFilter};

use super::super::core::Fate;
use super::super::dlq::{ReplayReport, Replayer};
use super::super::pipeline::core_of;
use super::super::sink::{Letter, Sink, SinkError};
use super::super::store_sink::StoreSink;
use super::{FILE_ADAPTER, FileImporter, FileOptions, ImportError, letter, pass, told};

/// Finds a layout by its name.
pub type LayoutNamed<'a> = &'a (dyn Fn(&str) -> Option<Arc<Layout>> + Sync);

/// How letters are read, and the layouts that were looked up.
struct Reading<'a> {
    base: &'a FileOptions,
    layout_named: LayoutNamed<'a>,
    layouts: BTreeMap<String, Option<Arc<Layout>>>,
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
    /// column and the layout that it was imported with. `base` counts for letters that do not say.
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
        let mut reading = Reading { base, layout_named, layouts: BTreeMap::new() };
        loop {
            let page = self.database.letters_to_replay(FILE_ADAPTER, filter, after).await?;
            let Some(last) = page.last() else { return Ok(report) };
            after = Some((last.received_at, last.sha256));
            self.tell(&page, &mut reading, &mut report).await?;
        }
    }

    async fn tell(
        &self,
        letters: &[DeadLetter],
        reading: &mut Reading<'_>,
        report: &mut ReplayReport,
    ) -> Result<(), ImportError> {
        let mut sink = StoreSink::new(self.database.clone(), FILE_ADAPTER);
        let mut core = core_of(&self.options, &sink.registry().await?);
        let mut used = Vec::new();
        let mut batch = told::FileBatch::begin(&core, "");
        for letter in letters {
            let Some(found) = reading.records(letter) else { continue };
            let fates: Vec<Fate> = found
                .records
                .iter()
                .map(|record| batch.push_of(&mut core, record, (&letter.topic, letter.received_at)))
                .collect();
            if fates.iter().all(|fate| *fate == Fate::Accepted) {
                used.push(Letter::from(letter));
            }
        }
        let (mut rows, _) = batch.finish(&mut core, self.clock.now()).into_parts();
        rows.dead.clear();
        rows.unknown.clear();
        rows.heard.clear();
        report.stored.add(sink.commit(&StoreSink::prepare(rows)).await?);
        sink.replayed(&used, self.clock.now()).await?;
        sink.rest().await;
        if !used.is_empty() {
            self.database.touch_assets(self.clock.now()).await?;
        }
        report.letters += letters.len() as u64;
        report.accepted += used.len() as u64;
        report.still_dead += (letters.len() - used.len()) as u64;
        Ok(())
    }
}

impl Reading<'_> {
    /// What the letter holds; `None` when it cannot be read.
    fn records(&mut self, letter: &DeadLetter) -> Option<files::Collected> {
        let mut layout_named = |name: &str| {
            let found = || (self.layout_named)(name);
            self.layouts.entry(name.to_owned()).or_insert_with(found).clone()
        };
        let (format, options) = letter::options_of(&letter.topic, self.base, &mut layout_named)?;
        let mut found = files::Collected::default();
        let context = pass::context(&options, letter.received_at);
        files::read(format, &context, &letter.payload, &mut found).ok()?;
        found.faults.is_empty().then_some(found)
    }
}
