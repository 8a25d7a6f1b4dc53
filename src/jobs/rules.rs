//! Feeds the event log to the rule engine, and what the engine says to the issues.
//!
//! The engine's state is a snapshot and the replay of the log behind it. Frames that were dealt
//! with before a restart are replayed for their state alone; the offset moves in the transaction
//! that stores what the rules said, so nothing is said twice. Without a snapshot the rules learn
//! anew ([`rebuild`]).

mod rebuild;

use std::sync::Arc;
use std::time::Duration;

use alerts::manage::Kpis;
use alerts::{AlertTransition, Engine, Params};
use metering::{LoggedFrame, UtcTime};
use store::issues::Standing;
use store::{Database, EventLog as _, Offset, PgLog, Snapshot, StoreError};
use tokio::sync::{Notify, watch};

use super::alarms::AlarmJob;
use super::issues::IssueJob;
use super::shadow::ShadowJob;
use rebuild::{Learning, Rebuild};

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
    /// Transitions that the book of issues could not take; must stay 0.
    pub refused: u64,
}

/// The engine with its place in the log.
#[derive(Debug)]
pub struct RuleJob {
    database: Database,
    log: PgLog,
    issues: IssueJob,
    alarms: AlarmJob,
    shadow: ShadowJob,
    engine: Engine,
    /// `None`: the engine goes on from a snapshot, or has learned all.
    rebuild: Option<Rebuild>,
    /// Up to here the issues know what the rules said.
    offset: i64,
    /// Said by the engine and not yet with the issues,
    /// with the last sequence of the frame that made it.
    pending: Vec<(i64, AlertTransition)>,
    progress: Progress,
    snapshot_at: Option<UtcTime>,
    snapshot_every_s: i64,
    told: watch::Sender<Progress>,
    wake: Arc<Notify>,
}

/// What others may know and do of a running [`RuleJob`].
#[derive(Clone, Debug)]
pub struct RuleHandle {
    progress: watch::Receiver<Progress>,
    kpis: watch::Receiver<Kpis>,
    wake: Arc<Notify>,
}

impl RuleJob {
    /// Loads the newest readable snapshot, or starts at the beginning of the log. Without either
    /// [`Self::run`] begins with what the stored readings teach.
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
        let shadow = ShadowJob::new(database.clone(), params.clone());
        let (engine, learning) = restore(&database, &log, params).await?;
        let alarms = AlarmJob::load(database.clone(), &log, &engine).await?;
        let seq = learning.as_ref().map_or(engine.position() - 1, Learning::position);
        let progress = Progress { seq, ..Progress::default() };
        Ok(Self {
            issues: IssueJob::new(database.clone()),
            database,
            alarms,
            shadow,
            engine,
            rebuild: learning.map(Rebuild::Learning),
            offset: offset.seq,
            pending: Vec::new(),
            progress,
            snapshot_at: None,
            snapshot_every_s: i64::try_from(snapshot_every.as_secs()).unwrap_or(i64::MAX),
            told: watch::Sender::new(progress),
            wake: Arc::new(Notify::new()),
            log,
        })
    }

    pub fn handle(&self) -> RuleHandle {
        RuleHandle {
            progress: self.told.subscribe(),
            kpis: self.alarms.kpis(),
            wake: Arc::clone(&self.wake),
        }
    }

    /// Runs until `stop` says so; a failure of the database is waited out.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.step().await {
                Ok(true) => continue,
                Ok(false) => POLL,
                Err(error) => {
                    self.complain(&error);
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
        if self.learn().await? {
            return Ok(true);
        }
        let frames = self.log.read(store::event_log::SHARD, self.progress.seq, FRAMES_MAX).await?;
        for frame in &frames {
            let end = end_of(frame);
            if end.seq > self.offset {
                self.reconcile().await?;
                self.enter_minute(end).await?;
            }
            let mut said = Vec::new();
            self.engine.apply(frame, &mut said);
            if self.rebuild.is_none() {
                self.alarms.hear(&self.engine, &said, end.log_time);
            }
            self.shadow.hear(&mut self.engine, frame, end.seq > self.offset);
            self.progress.seq = end.seq;
            self.progress.log_time = end.log_time;
            if end.seq > self.offset {
                self.pending.extend(said.into_iter().map(|one| (end.seq, one)));
            }
        }
        if self.progress.seq >= self.offset {
            self.reconcile().await?;
        }
        self.settle().await?;
        self.alarms.tell().await?;
        if !frames.is_empty() {
            self.shadow.tell(&self.engine).await?;
        }
        if !frames.is_empty() {
            self.snapshot_when_due().await?;
        }
        self.told.send_replace(self.progress);
        Ok(!frames.is_empty())
    }

    /// The next stretch of what the stored readings teach; false when there is nothing to learn.
    async fn learn(&mut self) -> Result<bool, StoreError> {
        let Some(Rebuild::Learning(learning)) = &mut self.rebuild else { return Ok(false) };
        let is_more = learning.step(&self.database, &self.log, &mut self.engine).await?;
        let learned_from = learning.learned_from();
        if !is_more {
            self.progress.seq = self.engine.position() - 1;
            self.progress.log_time = self.engine.log_time();
            self.rebuild = Some(Rebuild::Replaying { learned_from });
        }
        Ok(true)
    }

    /// An engine that was made anew stands at the offset: what staff were told decides what is
    /// active, and what is over is told. Does nothing else.
    async fn reconcile(&mut self) -> Result<(), StoreError> {
        let Some(Rebuild::Replaying { learned_from }) = self.rebuild else { return Ok(()) };
        let Standing { known, unreadable } = self.issues.standing().await?;
        if !unreadable.is_empty() {
            tracing::warn!(
                alerts = ?unreadable,
                "Alerts of rules or causes that this program does not know are over; their issues \
                 are left to staff."
            );
            self.issues.end_unreadable(&unreadable, self.engine.log_time()).await?;
        }
        let over = self.engine.reconcile(&known, learned_from);
        self.alarms.agree(&self.log, &self.engine).await?;
        tracing::info!(
            active = known.len() - over.len(),
            over = over.len(),
            "The rules go on with the alerts that staff were told."
        );
        let offset = self.offset;
        self.pending.extend(over.into_iter().map(|one| (offset, one)));
        self.rebuild = None;
        self.save().await
    }

    /// Hands what the rules said to the issues, and moves the offset with it. One transition that
    /// the book of issues can never take must not stop all others: it is told and left out.
    async fn settle(&mut self) -> Result<(), StoreError> {
        // Frame by frame: an entry of a history names the frame that made it.
        while let Some(seq) = self.pending.first().map(|(seq, _)| *seq) {
            let count = self.pending.iter().take_while(|(of, _)| *of == seq).count();
            let said: Vec<AlertTransition> =
                self.pending[..count].iter().map(|(_, one)| one.clone()).collect();
            let offset = Offset { seq, epoch: 1 };
            match self.issues.apply(CONSUMER, offset, &said).await {
                Err(error) if error.is_permanent() => self.settle_one_by_one(offset, count).await?,
                outcome => {
                    outcome?;
                    self.progress.transitions += said.len() as u64;
                    self.pending.drain(..count);
                }
            }
            self.offset = seq;
        }
        Ok(())
    }

    async fn settle_one_by_one(&mut self, offset: Offset, count: usize) -> Result<(), StoreError> {
        for _ in 0..count {
            let Some((_, transition)) = self.pending.first() else { break };
            match self.issues.apply(CONSUMER, offset, std::slice::from_ref(transition)).await {
                Ok(_) => self.progress.transitions += 1,
                Err(error) if error.is_permanent() => {
                    self.progress.refused += 1;
                    tracing::error!(
                        error = crate::telemetry::chain(&error),
                        rule = transition.rule.name,
                        alert = transition.alert_id,
                        "An alert cannot be recorded; it is left out so that the others are."
                    );
                }
                Err(error) => return Err(error),
            }
            self.pending.remove(0);
        }
        Ok(())
    }

    fn complain(&self, error: &StoreError) {
        let (error, seq) = (crate::telemetry::chain(error), self.progress.seq);
        tracing::warn!(error, seq, "The rules wait for the store.");
    }

    /// Before the first frame of each minute of log time: what is due by the mere passing of time.
    /// The minute is told by the log alone, so it does not matter where we were stopped; what was
    /// done already is not due again.
    async fn enter_minute(&mut self, end: FrameEnd) -> Result<(), StoreError> {
        let minute = |at: UtcTime| at.seconds().div_euclid(DUE_EVERY_S);
        if minute(self.engine.log_time()) == minute(end.log_time) {
            return Ok(());
        }
        self.settle().await?;
        self.issues.apply_due(end.log_time, end.seq).await?;
        self.alarms.look(end.log_time).await
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
        // What the engine said and the issues have not must not fall behind the offset.
        self.settle().await?;
        self.alarms.tell().await?;
        if self.progress.seq == 0 || self.rebuild.is_some() {
            return Ok(());
        }
        if self.progress.seq > self.offset {
            self.log.advance(CONSUMER, Offset { seq: self.progress.seq, epoch: 1 }).await?;
            self.offset = self.progress.seq;
        }
        let taken_at = self.progress.log_time;
        let snapshot = Snapshot { seq: self.progress.seq, taken_at, state: self.engine.snapshot() };
        // The desk first: an engine that finds no desk of its own must tell all anew.
        self.alarms.save(&self.log, snapshot.seq, taken_at).await?;
        self.log.save_snapshot(CONSUMER, &snapshot).await?;
        self.snapshot_at = Some(taken_at);
        Ok(())
    }
}

/// The newest snapshot that can be read, else a new engine. The log is kept for days only, so a new
/// engine over an old log has to learn first.
async fn restore(
    database: &Database,
    log: &PgLog,
    params: Params,
) -> Result<(Engine, Option<Learning>), StoreError> {
    for snapshot in log.snapshots(CONSUMER).await? {
        match Engine::restore(params.clone(), &snapshot.state) {
            Ok(engine) => return Ok((engine, None)),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                seq = snapshot.seq,
                "A snapshot of the rules cannot be used; an older one or the whole log is replayed."
            ),
        }
    }
    let oldest = log.read(store::event_log::SHARD, 0, 1).await?;
    // Killed before the first snapshot: the log still has all, and its replay gives the same.
    let whole = oldest.first().is_some_and(|frame| frame.first_seq == 1);
    if log.offset(CONSUMER).await?.seq == 0 || whole {
        return Ok((Engine::new(params), None));
    }
    let (engine, learning) = Learning::begin(database, log, params).await?;
    Ok((engine, Some(learning)))
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

impl RuleHandle {
    /// Something was appended.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// How much staff are told, as of now.
    pub fn kpis(&self) -> Kpis {
        self.kpis.borrow().clone()
    }

    /// False when the job has ended.
    pub fn is_running(&self) -> bool {
        self.progress.has_changed().is_ok()
    }

    /// Waits until the rules have applied record `seq`; false when they have ended.
    pub async fn reached(&mut self, seq: i64) -> bool {
        self.progress.wait_for(|progress| progress.seq >= seq).await.is_ok()
    }
}
