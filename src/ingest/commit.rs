//! Batches into the store, one after the other: commit, acknowledge, count. While the store is
//! away nothing is acknowledged and the same batch is tried again for ever; a batch that the store
//! refuses is halved until the message that spoils it stands alone.

use std::sync::Arc;
use std::time::Duration;

use metering::SourceId;
use store::{Batch, DeadRow, Stored};
use tokio::sync::{Mutex, MutexGuard, mpsc, watch};

use super::ack::Duties;
use super::core::{Accepted, Fate, Frame, IngestCore, reasons};
use super::sink::{Letter, Sink, SinkError};
use super::stats::IngestStats;
use crate::clock::Clock;

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A commit that takes longer than this says that the store is away.
const SLOW: Duration = Duration::from_secs(10);
/// A commit that runs when we are asked to stop may take this long.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// When nothing came for so long, the sink writes what it had put off.
const QUIET: Duration = Duration::from_secs(2);
/// A batch that is refused is tried this often before it is halved: what looks like a fault of
/// the rows may have been one of the moment.
const ATTEMPTS: u32 = 3;

/// The core, and how often it had to forget what it saw.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) core: IngestCore,
    pub(super) generation: u64,
}

/// A batch on its way to the store.
pub(super) struct Work<P> {
    pub(super) frames: Vec<Frame>,
    pub(super) duties: Duties,
    pub(super) batch: Ready<P>,
    /// Dead letters that this batch tells again; empty for live messages.
    pub(super) letters: Vec<Letter>,
}

/// What the core made of the frames.
pub(super) struct Ready<P> {
    pub(super) prepared: P,
    pub(super) fates: Vec<Fate>,
    pub(super) unmapped: u64,
    pub(super) messages: u32,
    /// Value of [`Shared::generation`] that it was made in.
    pub(super) generation: u64,
}

/// The committing half of the pipeline.
pub(super) struct Committer<S: Sink> {
    pub(super) sink: S,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) stats: Arc<IngestStats>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shutdown: watch::Receiver<bool>,
    /// Works done so far.
    pub(super) done: watch::Sender<u64>,
}

/// The store is away and we are asked to stop.
#[derive(Debug)]
struct Stopped;

impl<P> Ready<P> {
    pub(super) fn new<S: Sink<Prepared = P>>(accepted: Accepted, generation: u64) -> Self {
        let Accepted { batch, fates, unmapped, .. } = accepted;
        let messages = batch.messages;
        Self { prepared: S::prepare(batch), fates, unmapped, messages, generation }
    }
}

impl<S: Sink> Committer<S> {
    /// Commits until the intake ends, or until we shall stop and the store is away.
    pub(super) async fn run(mut self, mut works: mpsc::Receiver<Work<S::Prepared>>) {
        while let Some(mut work) = self.next(&mut works).await {
            match self.work(&mut work).await {
                Ok(()) => self.done.send_modify(|done| *done += 1),
                Err(Stopped) => {
                    tracing::warn!(
                        messages = work.duties.len(),
                        "Stopped while the store was away; the broker keeps what was not stored."
                    );
                    return;
                }
            }
        }
        self.sink.rest().await;
    }

    async fn next(
        &mut self,
        works: &mut mpsc::Receiver<Work<S::Prepared>>,
    ) -> Option<Work<S::Prepared>> {
        if let Ok(work) = tokio::time::timeout(QUIET, works.recv()).await {
            return work;
        }
        self.sink.rest().await;
        works.recv().await
    }

    async fn work(&mut self, work: &mut Work<S::Prepared>) -> Result<(), Stopped> {
        let shared = Arc::clone(&self.shared);
        self.renew(&shared, work).await;
        let mut refused = 0;
        loop {
            match self.patient_commit(&work.batch.prepared).await? {
                Ok(stored) => {
                    self.done_with(&work.batch, &stored);
                    break;
                }
                Err(error) => {
                    refused += 1;
                    tracing::error!(
                        error = chain(&error),
                        messages = work.frames.len(),
                        "The store refused a batch."
                    );
                }
            }
            if refused >= ATTEMPTS {
                let mut shared = shared.lock().await;
                work.batch.fates = self.halve(&mut shared, &work.frames).await?;
                break;
            }
        }
        let count = work.duties.len() as u64;
        work.duties.resolve(&work.batch.fates, &self.stats.ack_latency);
        self.stats.in_flight.fetch_sub(count, std::sync::atomic::Ordering::Relaxed);
        self.mark_replayed(work).await;
        Ok(())
    }

    /// A batch that was made of what the core has forgotten since is made anew.
    async fn renew(&mut self, shared: &Mutex<Shared>, work: &mut Work<S::Prepared>) {
        let mut shared = shared.lock().await;
        if work.batch.generation != shared.generation {
            work.batch = self.accept(&mut shared, &work.frames);
        }
    }

    /// Tries until the store takes it, refuses it, or we shall stop.
    async fn patient_commit(
        &mut self,
        prepared: &S::Prepared,
    ) -> Result<Result<Stored, SinkError>, Stopped> {
        let mut wait = RETRY_FIRST;
        loop {
            let outcome = self.commit(prepared).await?;
            match outcome {
                Err(SinkError::Away(error)) => self.away(&*error, &mut wait).await?,
                outcome => {
                    self.stats.set_store_away(false);
                    return Ok(outcome);
                }
            }
        }
    }

    /// One try. A store that does not answer at all counts as away while we wait for it.
    async fn commit(
        &mut self,
        prepared: &S::Prepared,
    ) -> Result<Result<Stored, SinkError>, Stopped> {
        let mut shutdown = self.shutdown.clone();
        let mut commit = std::pin::pin!(self.sink.commit(prepared));
        let mut stopped = std::pin::pin!(too_long_after_stop(&mut shutdown));
        let mut slow = std::pin::pin!(tokio::time::sleep(SLOW));
        let mut is_slow = false;
        loop {
            tokio::select! {
                biased;
                outcome = &mut commit => return Ok(outcome),
                // Whether it is stored or not we shall not learn; the broker sends it again, and
                // what is stored by then is known.
                () = &mut stopped => return Err(Stopped),
                () = &mut slow, if !is_slow => {
                    is_slow = true;
                    self.stats.set_store_away(true);
                    tracing::warn!(seconds = SLOW.as_secs(),
                        "The store has not answered for long; nothing is acknowledged meanwhile.");
                }
            }
        }
    }

    /// Waits before the next try; ends when we shall stop.
    async fn away(
        &mut self,
        error: &(dyn std::error::Error + Send + Sync + 'static),
        wait: &mut Duration,
    ) -> Result<(), Stopped> {
        if !self.stats.is_store_away() {
            tracing::warn!(
                error = chain(error),
                "The store is away; nothing is acknowledged until it is back."
            );
        }
        self.stats.set_store_away(true);
        self.stats.retries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            _ = self.shutdown.wait_for(|stop| *stop) => return Err(Stopped),
        }
        *wait = (*wait * 2).min(RETRY_MAX);
        Ok(())
    }

    /// Stores what can be stored of a refused batch and sets the rest aside. The core starts from
    /// the stored states again, since it saw messages that were not stored; batches that wait
    /// behind this one were made of what it saw, and are made anew.
    async fn halve(
        &mut self,
        shared: &mut MutexGuard<'_, Shared>,
        frames: &[Frame],
    ) -> Result<Vec<Fate>, Stopped> {
        shared.generation += 1;
        self.forget(shared).await?;
        let mut fates = Vec::with_capacity(frames.len());
        // Parts still to do, the first one last. A part of one message is not halved any more.
        let mut parts = match frames.len() {
            0 | 1 => vec![frames],
            count => vec![&frames[count / 2..], &frames[..count / 2]],
        };
        while let Some(part) = parts.pop() {
            let ready = self.accept(shared, part);
            match self.patient_commit(&ready.prepared).await? {
                Ok(stored) => {
                    self.done_with(&ready, &stored);
                    fates.extend(ready.fates);
                }
                Err(error) if part.len() <= 1 => {
                    self.forget(shared).await?;
                    for poison in part {
                        self.set_aside(shared.core.adapter(), poison, &error).await?;
                        fates.push(Fate::DeadLettered);
                    }
                }
                Err(_) => {
                    self.forget(shared).await?;
                    parts.extend([&part[part.len() / 2..], &part[..part.len() / 2]]);
                }
            }
        }
        Ok(fates)
    }

    /// The message alone spoils a batch: it is kept as a dead letter with the store's reason.
    async fn set_aside(
        &mut self,
        adapter: &'static str,
        poison: &Frame,
        error: &SinkError,
    ) -> Result<(), Stopped> {
        let mut batch = Batch::new(adapter, self.clock.now());
        batch.messages = 1;
        batch.dead.push(DeadRow {
            topic: poison.topic.replace('\0', "?").into(),
            payload: poison.payload.clone(),
            reason: reasons::STORE_REFUSED.to_owned(),
            detail: chain(error).replace('\0', "?").chars().take(300).collect(),
            source_id: None::<SourceId>,
            received_at: poison.received_at,
            reads: 1,
            import_no: None,
        });
        self.stats.poisoned.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let fates = vec![Fate::DeadLettered];
        let accepted = Accepted { batch, fates, unmapped: 0, asks: Vec::new(), born: Vec::new() };
        let ready = Ready::new::<S>(accepted, 0);
        loop {
            match self.patient_commit(&ready.prepared).await? {
                Ok(stored) => {
                    self.done_with(&ready, &stored);
                    return Ok(());
                }
                Err(error) => {
                    // Even the letter is refused: nothing is acknowledged before somebody looks.
                    tracing::error!(
                        error = chain(&error),
                        topic = poison.topic,
                        "A dead letter was refused by the store; ingest waits."
                    );
                    self.away(&error, &mut RETRY_MAX.clone()).await?;
                }
            }
        }
    }

    async fn forget(&mut self, shared: &mut MutexGuard<'_, Shared>) -> Result<(), Stopped> {
        let mut wait = RETRY_FIRST;
        loop {
            match self.sink.registry().await {
                Ok(data) => {
                    shared.core.forget(&data);
                    return Ok(());
                }
                Err(error) => self.away(&error, &mut wait).await?,
            }
        }
    }

    fn accept(&self, shared: &mut MutexGuard<'_, Shared>, frames: &[Frame]) -> Ready<S::Prepared> {
        let generation = shared.generation;
        Ready::new::<S>(shared.core.accept(frames, self.clock.now()), generation)
    }

    fn done_with(&self, ready: &Ready<S::Prepared>, stored: &Stored) {
        let empty = ready.fates.iter().filter(|fate| **fate == Fate::Empty).count() as u64;
        self.stats.empty.fetch_add(empty, std::sync::atomic::Ordering::Relaxed);
        self.stats.unmapped.fetch_add(ready.unmapped, std::sync::atomic::Ordering::Relaxed);
        self.stats.stored(ready.messages, stored, self.clock.now());
    }

    /// A mark that fails is made at the next replay: the readings are known by then.
    async fn mark_replayed(&mut self, work: &Work<S::Prepared>) {
        let used: Vec<Letter> = work
            .letters
            .iter()
            .zip(&work.batch.fates)
            .filter(|(_, fate)| **fate == Fate::Accepted)
            .map(|(letter, _)| letter.clone())
            .collect();
        if used.is_empty() {
            return;
        }
        match self.sink.replayed(&used, self.clock.now()).await {
            Ok(()) => {
                let count = used.len() as u64;
                self.stats.replayed.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "Dead letters could not be marked as replayed."
                );
            }
        }
    }
}

/// Ends once we were asked to stop and the last commit had its time.
async fn too_long_after_stop(shutdown: &mut watch::Receiver<bool>) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(STOP_GRACE).await;
}

/// The error with all its causes, once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
