//! Files that a page took: looked at in the background, held until somebody imports them, imported
//! in the background. They live in memory: a restart forgets them; what was imported is in the
//! history.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::Files;
use crate::ingest::files::{FileOptions, FileReport, ImportError, Upload};

/// Uploads that are remembered.
const KEPT: usize = 16;
/// Bytes of files that are held, all together; the oldest that wait for a person give way.
const BYTES_KEPT_MAX: usize = 128 << 20;

/// How far a file is: records done, and of how many (0 while that is not known).
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    of: AtomicU64,
}

impl Progress {
    fn reach(&self, done: u64, of: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
    }

    pub fn so_far(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }
}

/// What is worked on leaves no room for another file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{KEPT} files and {} MiB are worked on at a time, and so many are: wait until some are done",
    BYTES_KEPT_MAX >> 20
)]
pub struct Full;

/// How an upload stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It is looked at; nothing is stored.
    Trying(Arc<Progress>),
    /// What would be stored, record by record, and what is wrong.
    Tried(Arc<Vec<FileReport>>),
    Importing(Arc<Progress>),
    Imported(Arc<Vec<FileReport>>),
    /// It ended early; the text says why. What was stored so far is known when the file comes
    /// again.
    Failed(String),
}

/// One upload as a page sees it.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: u64,
    pub name: String,
    pub size: usize,
    /// As chosen; empty: told by the first bytes.
    pub kind: String,
    pub standing: Standing,
}

struct Entry {
    held: Held,
    options: FileOptions,
    actor: String,
    /// `None`: imported, or given way.
    bytes: Option<Bytes>,
}

/// The uploads of this process.
#[derive(Clone, Default)]
pub struct Uploads {
    book: Arc<Mutex<Book>>,
    moved: Arc<Notify>,
}

#[derive(Default)]
struct Book {
    last_id: u64,
    entries: VecDeque<Entry>,
}

impl Uploads {
    /// Takes a file and begins to look at it; gives its id.
    ///
    /// # Errors
    /// [`Full`] when those that are worked on leave no room for it.
    pub fn take(
        &self,
        files: &Files,
        upload: Upload,
        (kind, options): (&str, FileOptions),
    ) -> Result<u64, Full> {
        let progress = Arc::new(Progress::default());
        let id = {
            let mut book = self.book();
            book.has_room(upload.bytes.len())?;
            book.last_id += 1;
            let id = book.last_id;
            let held = Held {
                id,
                name: upload.name.clone(),
                size: upload.bytes.len(),
                kind: kind.to_owned(),
                standing: Standing::Trying(Arc::clone(&progress)),
            };
            let (options, actor) = (options.clone(), upload.actor.clone());
            book.entries.push_back(Entry {
                held,
                options,
                actor,
                bytes: Some(upload.bytes.clone()),
            });
            book.make_room();
            id
        };
        // Record by record, so that one fault does not hide what the rest would become.
        let options = FileOptions { dry_run: true, by_record: true, ..options };
        self.run(id, files, (upload, options), progress);
        Ok(id)
    }

    /// Begins the import of a file that was looked at, or looks again at one whose work ended early;
    /// false when its bytes are not held any more.
    pub fn import(&self, files: &Files, id: u64, by_record: bool) -> bool {
        let progress = Arc::new(Progress::default());
        let work = {
            let mut book = self.book();
            let Some(entry) = book.entries.iter_mut().find(|entry| entry.held.id == id) else {
                return false;
            };
            let again = matches!(entry.held.standing, Standing::Failed(_));
            if !again && !matches!(entry.held.standing, Standing::Tried(_)) {
                // Pressed twice: it is under way.
                return true;
            }
            let Some(bytes) = entry.bytes.clone() else { return false };
            let told = Arc::clone(&progress);
            entry.held.standing =
                if again { Standing::Trying(told) } else { Standing::Importing(told) };
            let by_record = by_record || again;
            let upload =
                Upload { name: entry.held.name.clone(), bytes, actor: entry.actor.clone() };
            (upload, FileOptions { dry_run: again, by_record, ..entry.options.clone() })
        };
        self.run(id, files, work, progress);
        true
    }

    /// Looks again at a file that waits, as another kind; zone, column and encoding stay. False when
    /// its bytes are not held any more.
    pub fn look_again(&self, files: &Files, id: u64, (kind, options): (&str, FileOptions)) -> bool {
        let progress = Arc::new(Progress::default());
        let work = {
            let mut book = self.book();
            let Some(entry) = book.entries.iter_mut().find(|entry| entry.held.id == id) else {
                return false;
            };
            if entry.held.is_moving() {
                // Pressed twice: it is under way.
                return true;
            }
            let Some(bytes) = entry.bytes.clone() else { return false };
            kind.clone_into(&mut entry.held.kind);
            entry.options.format = options.format;
            entry.options.layout = options.layout;
            entry.held.standing = Standing::Trying(Arc::clone(&progress));
            let upload =
                Upload { name: entry.held.name.clone(), bytes, actor: entry.actor.clone() };
            let options = entry.options.clone();
            (upload, FileOptions { dry_run: true, by_record: true, ..options })
        };
        self.run(id, files, work, progress);
        true
    }

    fn run(
        &self,
        id: u64,
        files: &Files,
        (upload, options): (Upload, FileOptions),
        told: Arc<Progress>,
    ) {
        let (this, files, dry_run) = (self.clone(), files.clone(), options.dry_run);
        let work = tokio::spawn(async move {
            let mut progress = |done, of| told.reach(done, of);
            files.import(&upload, &options, &mut progress).await
        });
        tokio::spawn(async move {
            // A fault of the program must not leave it under way for ever.
            let outcome = work.await.unwrap_or(Err(ImportError::Ended));
            let standing = match outcome {
                Ok(reports) if dry_run => Standing::Tried(Arc::new(reports)),
                Ok(reports) => Standing::Imported(Arc::new(reports)),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "An upload ended early."
                    );
                    Standing::Failed(error.to_string())
                }
            };
            this.end(id, standing);
        });
    }

    fn end(&self, id: u64, standing: Standing) {
        let mut book = self.book();
        if let Some(entry) = book.entries.iter_mut().find(|entry| entry.held.id == id) {
            if matches!(standing, Standing::Imported(_)) {
                entry.bytes = None;
            }
            entry.held.standing = standing;
        }
        drop(book);
        self.moved.notify_waiters();
    }

    /// Forgets a file that waits; one that is under way stays.
    pub fn forget(&self, id: u64) {
        self.book().entries.retain(|entry| entry.held.id != id || entry.held.is_moving());
    }

    /// The upload with that id, unless it is too old.
    pub fn find(&self, id: u64) -> Option<Held> {
        let book = self.book();
        book.entries.iter().find(|entry| entry.held.id == id).map(|entry| entry.held.clone())
    }

    /// Waits until nothing moves in it any more, at most so long.
    pub async fn settled(&self, id: u64, limit: Duration) -> Option<Held> {
        let wait = async {
            loop {
                let moved = self.moved.notified();
                let mut moved = std::pin::pin!(moved);
                moved.as_mut().enable();
                match self.find(id) {
                    Some(held) if held.is_moving() => moved.await,
                    found => return found,
                }
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(found) => found,
            Err(_) => self.find(id),
        }
    }

    /// Those that are not imported, newest first.
    pub fn waiting(&self) -> Vec<Held> {
        let book = self.book();
        let open = book.entries.iter().rev().map(|entry| &entry.held);
        open.filter(|held| !matches!(held.standing, Standing::Imported(_))).cloned().collect()
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Something works on it.
    pub const fn is_moving(&self) -> bool {
        matches!(self.standing, Standing::Trying(_) | Standing::Importing(_))
    }
}

impl Book {
    /// What is worked on never gives way: with this file it must not be too much.
    fn has_room(&self, more: usize) -> Result<(), Full> {
        let moving = self.entries.iter().filter(|entry| entry.held.is_moving());
        let bytes: usize = moving.clone().filter_map(|e| e.bytes.as_ref()).map(Bytes::len).sum();
        if moving.count() < KEPT && bytes + more <= BYTES_KEPT_MAX { Ok(()) } else { Err(Full) }
    }

    /// Forgets the oldest that nothing works on until few enough are left.
    fn make_room(&mut self) {
        let newest = self.last_id;
        loop {
            let bytes: usize =
                self.entries.iter().filter_map(|entry| entry.bytes.as_ref()).map(Bytes::len).sum();
            if self.entries.len() <= KEPT && bytes <= BYTES_KEPT_MAX {
                return;
            }
            let idle = |entry: &Entry| !entry.held.is_moving() && entry.held.id != newest;
            let Some(at) = self.entries.iter().position(idle) else { return };
            self.entries.remove(at);
        }
    }
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.book().entries.iter().map(|entry| &entry.held)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, bytes: usize, standing: Standing) -> Entry {
        let held = Held { id, name: String::new(), size: bytes, kind: String::new(), standing };
        let options = FileOptions::new(jiff::tz::TimeZone::UTC);
        let bytes = Some(Bytes::from(vec![0; bytes]));
        Entry { held, options, actor: String::new(), bytes }
    }

    #[test]
    fn the_oldest_idle_upload_gives_way() {
        let mut book = Book { last_id: 4, entries: VecDeque::new() };
        let tried = || Standing::Tried(Arc::default());
        book.entries.push_back(entry(1, 60 << 20, Standing::Importing(Arc::default())));
        book.entries.push_back(entry(2, 40 << 20, tried()));
        book.entries.push_back(entry(3, 10 << 20, tried()));
        book.entries.push_back(entry(4, 60 << 20, Standing::Trying(Arc::default())));
        book.make_room();
        let left: Vec<u64> = book.entries.iter().map(|entry| entry.held.id).collect();
        assert_eq!(left, [1, 4], "what is under way and what just came stay");
    }

    #[test]
    fn what_is_worked_on_is_bounded() {
        let mut book = Book { last_id: 0, entries: VecDeque::new() };
        let moving = || Standing::Importing(Arc::default());
        book.entries.push_back(entry(1, 100 << 20, Standing::Tried(Arc::default())));
        book.entries.push_back(entry(2, 64 << 20, moving()));
        assert_eq!(book.has_room(64 << 20), Ok(()), "what waits gives way");
        assert_eq!(book.has_room((64 << 20) + 1), Err(Full));
        for id in 3..=17 {
            assert_eq!(book.has_room(1), Ok(()));
            book.entries.push_back(entry(id, 1, moving()));
        }
        assert_eq!(book.has_room(1), Err(Full), "sixteen are worked on");
        let text = Full.to_string();
        assert!(text.starts_with("16 files and 128 MiB are worked on at a time"), "{text}");
    }
}
