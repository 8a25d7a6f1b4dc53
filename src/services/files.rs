//! Files of readings, as inbox, API and page import them: which kinds there are, how each is read,
//! and the files that a page holds between the look at them and their import.

pub mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use protocols::files::{FileFormat, Layout, LayoutError, layout};
use store::{Database, ReplayFilter};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::FilesConfig;
use crate::ingest::files::{
    FILE_ADAPTER, FileImporter, FileOptions, FileReport, ImportError, Progress, Upload,
};
use crate::ingest::{IngestOptions, ReplayReport};

/// Largest file that is taken over HTTP; longer ones go through the inbox or `headend import`.
pub const UPLOAD_BYTES_MAX: usize = 64 << 20;

/// Files that are read at a time, whoever brought them; an archive is one. The others wait.
const READ_AT_ONCE: usize = 2;

/// Imports files as the configuration says.
#[derive(Clone, Debug)]
pub struct Files {
    importer: FileImporter,
    turn: Arc<Semaphore>,
    /// Zone, and whether one fault refuses the file.
    base: FileOptions,
    layouts: Option<PathBuf>,
}

/// A kind of file that was asked for and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    #[error(
        "`{0}` names no format (nem12, cmep, espi, beacon) and no layout: see docs/files.md, or \
         put {0}.toml into [files] layouts"
    )]
    Unknown(String),
    #[error("the layout {0} cannot be read")]
    Unread(String, #[source] std::io::Error),
    #[error("the layout {0} is wrong: {1}")]
    Wrong(String, LayoutError),
}

impl Files {
    /// `ingest` as for the running ingest.
    pub fn new(
        database: Database,
        ingest: IngestOptions,
        config: &FilesConfig,
        (zone, clock): (TimeZone, Arc<dyn Clock>),
    ) -> Self {
        let base = FileOptions { by_record: config.by_record, ..FileOptions::new(zone) };
        Self::of(FileImporter::new(database, ingest, clock), base, config.layouts.clone())
    }

    /// Without layouts of its own, one fault refuses a file.
    pub fn plain(database: Database, zone: TimeZone, clock: Arc<dyn Clock>) -> Self {
        let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
        Self::of(FileImporter::new(database, ingest, clock), FileOptions::new(zone), None)
    }

    fn of(importer: FileImporter, base: FileOptions, layouts: Option<PathBuf>) -> Self {
        Self { importer, turn: Arc::new(Semaphore::new(READ_AT_ONCE)), base, layouts }
    }

    /// Imports a file, or each member of a zip archive, once fewer than two others are being read.
    ///
    /// # Errors
    /// As [`FileImporter::import`].
    pub async fn import(
        &self,
        upload: &Upload,
        options: &FileOptions,
        progress: Progress<'_>,
    ) -> Result<Vec<FileReport>, ImportError> {
        let turn = self.turn.acquire().await.map_err(|_| ImportError::Ended)?;
        let reports = self.importer.import(upload, options, progress).await;
        drop(turn);
        reports
    }

    /// How a file is read: `kind` is the name of a format or of a layout, or empty when the first
    /// bytes tell it.
    ///
    /// # Errors
    /// [`KindError`] when there is no such kind.
    pub fn options(&self, kind: &str) -> Result<FileOptions, KindError> {
        let mut options = self.base.clone();
        if kind.is_empty() {
            return Ok(options);
        }
        match kind.parse() {
            Ok(format) if format != FileFormat::Layout => options.format = Some(format),
            _ => options.layout = Some(Arc::new(self.layout(kind)?)),
        }
        Ok(options)
    }

    /// A layout of the utility by its name, else one of the program. It is known by the name that it
    /// was found by, whatever it calls itself: letters of its files look it up again.
    fn layout(&self, name: &str) -> Result<Layout, KindError> {
        let plain = name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
        let own = self.layouts.as_ref().filter(|_| plain);
        let own = own.map(|dir| dir.join(format!("{name}.toml"))).filter(|path| path.is_file());
        let Some(path) = own else {
            return layout::preset(name).ok_or_else(|| KindError::Unknown(name.to_owned()));
        };
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| KindError::Unread(shown.clone(), error))?;
        let mut layout = Layout::parse(&text).map_err(|error| KindError::Wrong(shown, error))?;
        name.clone_into(&mut layout.name);
        Ok(layout)
    }

    /// Tells records again that became dead letters, each read as its file was.
    ///
    /// # Errors
    /// [`ImportError`] when the store is away.
    pub async fn replay(&self, filter: &ReplayFilter) -> Result<ReplayReport, ImportError> {
        let layout_named = |name: &str| self.layout(name).ok().map(Arc::new);
        self.importer.replay((&self.base, &layout_named), filter).await
    }

    /// Letters and readings that [`Files::replay`] would tell again.
    ///
    /// # Errors
    /// [`ImportError`] when the store is away.
    pub async fn waiting(&self, filter: &ReplayFilter) -> Result<(u64, u64), ImportError> {
        Ok(self.importer.waiting(filter).await?)
    }

    /// Names of the layouts: the utility's own first, then the program's.
    pub fn layouts(&self) -> Vec<String> {
        let entries = self.layouts.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
        let name = |entry: std::fs::DirEntry| {
            let path = entry.path();
            let is_layout = path.extension().is_some_and(|suffix| suffix == "toml");
            is_layout.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
        };
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort();
        for (preset, _) in layout::PRESETS {
            if names.iter().all(|known| known != preset) {
                names.push(preset.to_owned());
            }
        }
        names
    }
}
