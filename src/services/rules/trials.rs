//! Backtests that pages ask for: one runs at a time, in the background, and tells how far it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metering::UtcTime;
use store::Database;

use super::backtest::{self, Report, Version};

/// Finished trials that are kept for whoever looks again.
const KEPT: usize = 8;

/// How far a backtest is, told by the one who runs it and asked by the one who waits.
#[derive(Debug, Default)]
pub struct Progress {
    /// First instant and where it is now, in seconds; 0 before it begins.
    first: AtomicI64,
    reached: AtomicI64,
    stop: AtomicBool,
}

impl Progress {
    pub(super) fn begin(&self, first: UtcTime) {
        self.first.store(first.seconds(), Ordering::Relaxed);
        self.reach(first);
    }

    pub(super) fn reach(&self, at: UtcTime) {
        self.reached.store(at.seconds(), Ordering::Relaxed);
    }

    /// Asks for the end: what was covered by then is reported.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// First instant and the instant that is reached; `None` before it begins.
    pub fn so_far(&self) -> Option<(UtcTime, UtcTime)> {
        let first = self.first.load(Ordering::Relaxed);
        let reached = self.reached.load(Ordering::Relaxed);
        (first != 0).then(|| (UtcTime::from_seconds(first), UtcTime::from_seconds(reached)))
    }
}

/// What is tried on which stretch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub candidate: String,
    pub active: String,
    pub range: (UtcTime, UtcTime),
}

/// How a trial stands.
#[derive(Clone, Debug)]
pub enum Standing {
    Running(Arc<Progress>),
    Done(Arc<Report>),
    /// It ended early; the text says why.
    Failed(String),
}

/// One trial as a page sees it.
#[derive(Clone, Debug)]
pub struct Trial {
    pub id: u64,
    pub asked: Asked,
    pub standing: Standing,
}

/// The trials of this process, newest last.
#[derive(Clone, Debug, Default)]
pub struct Trials {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    last_id: u64,
    trials: VecDeque<Trial>,
}

impl Trials {
    /// Begins a trial and gives its id; `Err` with the id of the one that runs already.
    ///
    /// # Errors
    /// Another one runs.
    pub fn begin(
        &self,
        database: &Database,
        asked: Asked,
        (candidate, active): (String, String),
    ) -> Result<u64, u64> {
        let progress = Arc::new(Progress::default());
        let id = {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            let running = |trial: &&Trial| matches!(trial.standing, Standing::Running(_));
            if let Some(other) = book.trials.iter().find(running) {
                return Err(other.id);
            }
            book.last_id += 1;
            let id = book.last_id;
            let standing = Standing::Running(Arc::clone(&progress));
            book.trials.push_back(Trial { id, asked: asked.clone(), standing });
            while book.trials.len() > KEPT {
                book.trials.pop_front();
            }
            id
        };
        let (this, database) = (self.clone(), database.clone());
        let work = tokio::spawn(async move {
            let versions = (
                Version { version: &asked.candidate, text: &candidate },
                Version { version: &asked.active, text: &active },
            );
            backtest::run(&database, versions, asked.range, &progress).await
        });
        tokio::spawn(async move {
            // A fault of the program must not leave it running for ever: nobody could begin another.
            match work.await {
                Ok(Ok(report)) => this.end(id, Standing::Done(Arc::new(report))),
                Ok(Err(error)) => this.fail(id, &error),
                Err(error) => this.fail(id, &error),
            }
        });
        Ok(id)
    }

    fn fail(&self, id: u64, error: &(dyn std::error::Error + 'static)) {
        tracing::warn!(error, "A backtest ended early.");
        self.end(id, Standing::Failed(error.to_string()));
    }

    fn end(&self, id: u64, standing: Standing) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trial) = book.trials.iter_mut().find(|trial| trial.id == id) {
            trial.standing = standing;
        }
    }

    /// The trial with that id, unless it is too old.
    pub fn find(&self, id: u64) -> Option<Trial> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.trials.iter().find(|trial| trial.id == id).cloned()
    }

    /// The trials that are kept, newest first.
    pub fn all(&self) -> Vec<Trial> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.trials.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_the_beginning_on() {
        let progress = Progress::default();
        assert_eq!(progress.so_far(), None);
        let at = |s| UtcTime::from_seconds(s);
        progress.begin(at(1_000));
        assert_eq!(progress.so_far(), Some((at(1_000), at(1_000))));
        progress.reach(at(4_600));
        assert_eq!(progress.so_far(), Some((at(1_000), at(4_600))));
        assert!(!progress.is_stopped());
        progress.stop();
        assert!(progress.is_stopped());
    }
}
