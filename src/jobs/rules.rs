//! Feeds the event log to the rule engine, and what the engine says to the issues.
//!
//! The engine's state is a snapshot and the replay of the log behind it. Frames that were dealt
//! with before a restart are replayed for their state alone; the offset moves in the transaction
//! that stores what the rules said, so nothing is said twice.

use std::sync::Arc;
use std::time::Duration;

use alerts::{AlertTransition, Engine, Params};
use metering::{LogRecord, LoggedFrame, UtcTime};
use store::{Database, EventLog as _, Offset, PgLog, Snapshot, StoreError};
use tokio::sync::{Notify, watch};

use super::issues::IssueJob;

/// Name under which the rules keep their place in the log.
pub const CONSUMER: &str = "rules";
const FRAMES_MAX: usize = 256;
/// Wakes come by notice; this is only the longest wait without one.
const POLL: Duration = Duration::from_secs(1);
const DUE_EVERY_S: i64 = 60;
const RETRY: Duration = Duration::from_secs(1);

/// How far the rules have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Last record that was applied.
    pub seq: i64,
    /// Log time of its frame.
    pub log_time: UtcTime,
    pub transitions: u64,
}

/// The engine with its place in the log.
#[derive(Debug)]
pub struct RuleJob {
    log: PgLog,
    issues: IssueJob,
    engine: Engine,
    /// Up to here the issues know what the rules said.
    offset: i64,
    /// Said by the engine and not yet with the issues.
    pending: Vec<AlertTransition>,
    progress: Progress,
    due_at: Option<UtcTime>,
    snapshot_at: Option<UtcTime>,
    snapshot_every_s: i64,
    told: watch::Sender<Progress>,
    wake: Arc<Notify>,
}

/// What others may know and do of a running [`RuleJob`].
#[derive(Clone, Debug)]
pub struct RuleHandle {
    progress: watch::Receiver<Progress>,
    wake: Arc<Notify>,
}

impl RuleJob {
    /// Loads the newest readable snapshot, or starts at the beginning of the log.
    ///
    /// # Errors
    /// The database is away.
    pub async fn load(
        database: Database,
        params: Params,
        snapshot_every: Duration,
    ) -> Result<Self, StoreError> {
        let log = PgLog::new(database.clone());
        let offset = log.offset(CONSUMER).await?;
        let engine = restore(&log, params).await?;
        let progress = Progress { seq: engine.position() - 1, ..Progress::default() };
        Ok(Self {
            issues: IssueJob::new(database),
            engine,
            offset: offset.seq,
            pending: Vec::new(),
            progress,
            due_at: None,
            snapshot_at: None,
            snapshot_every_s: i64::try_from(snapshot_every.as_secs()).unwrap_or(i64::MAX),
            told: watch::Sender::new(progress),
            wake: Arc::new(Notify::new()),
            log,
        })
    }

    pub fn handle(&self) -> RuleHandle {
        RuleHandle { progress: self.told.subscribe(), wake: Arc::clone(&self.wake) }
    }

    /// Runs until `stop` says so; a failure of the database is waited out.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.step().await {
                Ok(true) => continue,
                Ok(false) => POLL,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "The rules wait.");
                    RETRY
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
        if let Err(error) = self.save().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "The rules could not keep a snapshot; the next start replays more."
            );
        }
    }

    /// Takes the next frames; false when there are none. After an error the same call goes on
    /// where it stood: what the engine said is kept until the issues have it.
    async fn step(&mut self) -> Result<bool, StoreError> {
        self.settle().await?;
        let frames = self.log.read(store::event_log::SHARD, self.progress.seq, FRAMES_MAX).await?;
        for frame in &frames {
            let end = end_of(frame);
            let before = self.pending.len();
            self.engine.apply(frame, &mut self.pending);
            self.progress.seq = end.seq;
            self.progress.log_time = end.log_time;
            if end.seq <= self.offset {
                self.pending.truncate(before);
            } else if has_tick(frame) {
                self.settle().await?;
                self.apply_due(end).await?;
            }
        }
        self.settle().await?;
        if !frames.is_empty() {
            self.snapshot_when_due().await?;
        }
        self.told.send_replace(self.progress);
        Ok(!frames.is_empty())
    }

    /// Hands what the rules said to the issues, and moves the offset with it.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let offset = Offset { seq: self.progress.seq, epoch: 1 };
        self.issues.apply(CONSUMER, offset, &self.pending).await?;
        self.offset = offset.seq;
        self.progress.transitions += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Once a minute of log time.
    async fn apply_due(&mut self, end: FrameEnd) -> Result<(), StoreError> {
        if self.due_at.is_none_or(|at| end.log_time.seconds_since(at) >= DUE_EVERY_S) {
            self.issues.apply_due(end.log_time, end.seq).await?;
            self.due_at = Some(end.log_time);
        }
        Ok(())
    }

    async fn snapshot_when_due(&mut self) -> Result<(), StoreError> {
        let now = self.progress.log_time;
        let due = match self.snapshot_at {
            Some(at) => now.seconds_since(at) >= self.snapshot_every_s,
            None => {
                self.snapshot_at = Some(now);
                false
            }
        };
        if due { self.save().await } else { Ok(()) }
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        if self.progress.seq == 0 {
            return Ok(());
        }
        if self.progress.seq > self.offset {
            self.log.advance(CONSUMER, Offset { seq: self.progress.seq, epoch: 1 }).await?;
            self.offset = self.progress.seq;
        }
        let taken_at = self.progress.log_time;
        let snapshot = Snapshot { seq: self.progress.seq, taken_at, state: self.engine.snapshot() };
        self.log.save_snapshot(CONSUMER, &snapshot).await?;
        self.snapshot_at = Some(taken_at);
        Ok(())
    }
}

async fn restore(log: &PgLog, params: Params) -> Result<Engine, StoreError> {
    for snapshot in log.snapshots(CONSUMER).await? {
        match Engine::restore(params.clone(), &snapshot.state) {
            Ok(engine) => return Ok(engine),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                seq = snapshot.seq,
                "A snapshot of the rules cannot be used; an older one or the whole log is replayed."
            ),
        }
    }
    Ok(Engine::new(params))
}

#[derive(Clone, Copy)]
struct FrameEnd {
    seq: i64,
    log_time: UtcTime,
}

fn end_of(frame: &LoggedFrame) -> FrameEnd {
    let records = i64::try_from(frame.records.len()).unwrap_or(i64::MAX);
    FrameEnd { seq: frame.first_seq + records - 1, log_time: frame.log_time }
}

fn has_tick(frame: &LoggedFrame) -> bool {
    frame.records.iter().any(|record| matches!(record, LogRecord::Tick))
}

impl RuleHandle {
    /// Something was appended.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until the rules have applied record `seq`; false when they have ended.
    pub async fn reached(&mut self, seq: i64) -> bool {
        self.progress.wait_for(|progress| progress.seq >= seq).await.is_ok()
    }
}
