//! The running head-end: ingest, rules, jobs and pages around one database.
//!
//! [`Parts`] is inert; [`App::start`] connects and binds; [`App::drain`] stops receiving, stores
//! and acknowledges what was received, keeps a snapshot of the rules and closes the pages.

pub mod parts;
mod serve;
mod systemd;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use protocols::mqtt::{MqttSource, MqttStats};
use store::PgLog;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::ingest::stats::IngestStats;
use crate::jobs::day_close::DayCloseJob;
use crate::jobs::rules::{RuleHandle, RuleJob};
use crate::jobs::{calendar, estimation, ticks, upkeep};
use crate::polling::source::WithPolls;
use crate::polling::{Polling, Watch, live};
pub use parts::{Parts, Time};
pub use serve::{serve, stop_signal};

/// Longest wait for each part of a drain; what is not stored then stays with the broker.
const DRAIN_LIMIT: Duration = Duration::from_secs(3);

/// A running head-end.
#[derive(Debug)]
pub struct App {
    pub ingest: Arc<IngestStats>,
    pub mqtt: Arc<MqttStats>,
    pub rules: RuleHandle,
    pub polls: Watch,
    /// Where the console answers.
    pub address: SocketAddr,
    clock: Arc<dyn Clock>,
    log: PgLog,
    stop_intake: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    intake: JoinHandle<()>,
    rule_task: JoinHandle<()>,
    stop_polling: watch::Sender<bool>,
    polling: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts all parts over a migrated database.
    ///
    /// # Errors
    /// A setting that cannot work, a port in use, or the database is away.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { database, clock, time, .. } = &parts;
        let (stop_intake, intake_stopped) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        upkeep::once(database, parts.keep, clock.now()).await?;
        let job =
            RuleJob::load(database.clone(), parts.rules.clone(), parts.snapshot_every).await?;
        let rules = job.handle();
        let rule_task = tokio::spawn(job.run(stopped.clone()));

        let ingest = Ingest::new(database.clone(), parts.ingest.clone(), Arc::clone(clock));
        let stats = ingest.stats();
        let arrival = Arc::clone(clock);
        let source = MqttSource::start(parts.mqtt.clone(), Arc::new(move || arrival.now()))
            .context("the MQTT settings")?;
        let mqtt = source.stats();
        let (polling, polled) = Polling::new(Arc::clone(clock), parts.polls.profiles.clone());
        let source = WithPolls::new(source, polled, Arc::clone(clock));
        let polls = polling.watch();
        let watched = web::Watched {
            ingest: Arc::clone(&stats),
            mqtt: Arc::clone(&mqtt),
            rules: rules.clone(),
            polls: polls.clone(),
        };
        let (address, web) = web::start(&parts, watched, stopped.clone()).await?;
        let intake = tokio::spawn(ingest.run(source, intake_stopped));
        let (stop_polling, polling_stopped) = watch::channel(false);
        let polling = live::run(polling, parts.polls.clone(), database.clone(), polling_stopped);
        let polling = tokio::spawn(polling);

        let waker = wake_rules(Arc::clone(&stats), rules.clone(), stopped.clone());
        let mut tasks = vec![web, tokio::spawn(waker)];
        if *time == Time::Flows {
            let (db, clock) = (database.clone(), Arc::clone(clock));
            tasks.push(tokio::spawn(ticks::run(
                db.clone(),
                Arc::clone(&clock),
                rules.clone(),
                stopped.clone(),
            )));
            let days = DayCloseJob::new(db.clone());
            tasks.push(tokio::spawn(days.run(rules.clone(), stopped.clone())));
            tasks.push(tokio::spawn(estimation::run(db.clone(), rules.clone(), stopped.clone())));
            tasks.push(tokio::spawn(calendar::run(
                db.clone(),
                Arc::clone(&clock),
                stopped.clone(),
            )));
            tasks.push(tokio::spawn(upkeep::run(db, clock, parts.keep, stopped)));
        }
        Ok(Self {
            ingest: stats,
            mqtt,
            rules,
            polls,
            stop_polling,
            polling,
            address,
            clock: Arc::clone(clock),
            log: PgLog::new(database.clone()),
            stop_intake,
            stop,
            intake,
            rule_task,
            tasks,
        })
    }

    /// Lets time pass in the log up to the clock's now; gives the tick's sequence.
    ///
    /// # Errors
    /// The database is away.
    pub async fn tick(&self) -> anyhow::Result<i64> {
        Ok(ticks::tick(&self.log, self.clock.now(), &self.rules).await?)
    }

    /// Resolves when ingest or the rules have ended although nobody stopped them.
    pub async fn broken(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.intake => "ingest",
            _ = &mut self.rule_task => "the rules",
        }
    }

    /// Stops in order; each part has a bounded time.
    pub async fn drain(mut self) {
        self.stop_polling.send_replace(true);
        limited("polling", &mut self.polling).await;
        self.stop_intake.send_replace(true);
        limited("ingest", &mut self.intake).await;
        self.stop.send_replace(true);
        self.rules.wake();
        limited("the rules", &mut self.rule_task).await;
        for task in &mut self.tasks {
            limited("a job", task).await;
        }
    }
}

/// The rules read as soon as something was committed.
async fn wake_rules(stats: Arc<IngestStats>, rules: RuleHandle, mut stop: watch::Receiver<bool>) {
    let mut seen = 0;
    while !*stop.borrow() {
        let batches = stats.batches.load(Ordering::Relaxed);
        if batches != seen {
            seen = batches;
            rules.wake();
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn limited(what: &str, task: &mut JoinHandle<()>) {
    if task.is_finished() {
        return;
    }
    if tokio::time::timeout(DRAIN_LIMIT, &mut *task).await.is_err() {
        tracing::debug!(what, "Ended by force at the end of its time.");
        task.abort();
    }
}
