//! Messages out of the source, batches to the committer. A batch takes what waits and closes when
//! the input is drained; under load it fills while the one before commits.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocols::mqtt::{MqttSource, RawFrame};
use protocols::sparkplug::{Born, Command};
use store::assets::Registry;
use tokio::sync::{Mutex, mpsc, watch};

use super::ack::Duties;
use super::commit::{Ready, Shared, Work};
use super::core::Frame;
use super::options::IngestOptions;
use super::routes::Route;
use super::sink::{Letter, Sink};
use super::stats::IngestStats;
use crate::clock::Clock;
use crate::services::rules::limits::Limits;

#[cfg(all(feature = "sabotage-ack-before-commit", not(debug_assertions)))]
compile_error!("a sabotage feature proves that tests can fail; it does not belong into a release");

/// Messages of one collection; the broker holds back at its receive maximum long before.
const COLLECTED_MAX: usize = 20_000;

/// Where messages come from: a broker, or a test.
pub trait Source: Send + 'static {
    /// Waits for a message, then appends all that wait, at most `max`; 0 after the end. Nothing is
    /// lost when the wait is given up.
    fn recv_many(
        &mut self,
        frames: &mut Vec<RawFrame>,
        max: usize,
    ) -> impl Future<Output = usize> + Send;

    /// The next message if one waits.
    fn try_recv(&mut self) -> Option<RawFrame>;

    /// Wants these topics too, beside those of the configuration.
    fn listen(&self, filters: &[String]) {
        let _ = filters;
    }

    /// Publishes these when there is room.
    fn send(&self, commands: Vec<Command>) {
        drop(commands);
    }

    /// Sends the last acknowledgements and takes leave.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

impl Source for MqttSource {
    async fn recv_many(&mut self, frames: &mut Vec<RawFrame>, max: usize) -> usize {
        Self::recv_many(self, frames, max).await
    }

    fn try_recv(&mut self) -> Option<RawFrame> {
        Self::try_recv(self)
    }

    fn listen(&self, filters: &[String]) {
        Self::listen(self, filters);
    }

    fn send(&self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let publisher = self.publisher();
        // It may have to wait for room, and nobody shall wait for it.
        tokio::spawn(async move {
            for Command { topic, payload } in commands {
                if let Err(error) = publisher.publish(&topic, payload, false).await {
                    tracing::warn!(%error, topic, "A node could not be asked for its birth.");
                }
            }
        });
    }

    async fn stop(self) {
        Self::stop(self).await;
    }
}

/// The asset model or the rules changed; and the dead letters that may be readings now.
#[derive(Clone, Debug, Default)]
pub(super) struct Assets {
    pub(super) registry: Option<Arc<Registry>>,
    /// What the rules that hold now say of readings, when they changed.
    pub(super) limits: Option<Limits>,
    /// Descriptions of payloads that operators took live, when they changed.
    pub(super) live: Option<Vec<Route>>,
}

/// Asks for dead letters that may be readings now, page by page: those after `after`.
pub(super) trait Letters: Send + Sync + 'static {
    fn page(&self, after: Option<&Letter>) -> impl Future<Output = Option<Vec<Letter>>> + Send;

    /// The same for messages that waited for the birth of their node; `None`: of any node.
    fn unborn(
        &self,
        born: Option<&Born>,
        after: Option<&Letter>,
    ) -> impl Future<Output = Option<Vec<Letter>>> + Send {
        let _ = (born, after);
        async { Some(Vec::new()) }
    }

    /// Devices that the asset model knows are unknown no longer, also where a message came between
    /// their provisioning and the take-over of the model; tells how many those of this adapter, or
    /// of `all`, were.
    fn settle(&self, all: bool) -> impl Future<Output = u64> + Send {
        let _ = all;
        async { 0 }
    }
}

/// Which dead letters are told again.
enum Again {
    /// Of devices that are provisioned now.
    Known,
    /// That waited for a birth: of this node, or of any.
    Unborn(Option<Born>),
}

/// The receiving half of the pipeline.
pub(super) struct Intake<S: Sink, L: Letters> {
    pub(super) options: IngestOptions,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) stats: Arc<IngestStats>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) assets: watch::Receiver<Assets>,
    pub(super) letters: L,
    pub(super) works: mpsc::Sender<Work<S::Prepared>>,
    /// Works that the committer has done.
    pub(super) done: watch::Receiver<u64>,
    pub(super) sent: u64,
}

/// The committer is gone, or we shall stop.
struct Ended;

impl<S: Sink, L: Letters> Intake<S, L> {
    /// Runs until we shall stop or the source ends; returns the source, for its leave.
    pub(super) async fn run<M: Source>(mut self, mut source: M) -> M {
        let mut waiting = VecDeque::new();
        let mut going = self.resume().await;
        while going.is_ok() {
            going = self.turn(&mut source, &mut waiting).await;
        }
        for raw in waiting {
            raw.guard.abandoned();
        }
        source
    }

    /// What came for a device that was provisioned just before the last end was never told again.
    async fn resume(&mut self) -> Result<(), Ended> {
        if self.letters.settle(false).await > 0 {
            self.replay(&Again::Known).await?;
        }
        Ok(())
    }

    async fn turn<M: Source>(
        &mut self,
        source: &mut M,
        waiting: &mut VecDeque<RawFrame>,
    ) -> Result<(), Ended> {
        if self.assets.has_changed().unwrap_or(false) {
            self.reload(source).await?;
        }
        // First room, then messages: what arrives while the committer works makes one batch.
        let room = tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|stop| *stop) => return Err(Ended),
            room = self.works.clone().reserve_owned() => room.map_err(|_| Ended)?,
        };
        if waiting.is_empty() {
            let mut fresh = Vec::new();
            let taken = tokio::select! {
                biased;
                _ = self.shutdown.wait_for(|stop| *stop) => return Err(Ended),
                changed = self.assets.changed() => {
                    self.assets.mark_changed();
                    return changed.map_err(|_| Ended);
                }
                taken = source.recv_many(&mut fresh, COLLECTED_MAX) => taken,
            };
            if taken == 0 {
                return Err(Ended);
            }
            self.take(fresh, waiting);
        }
        if !self.options.linger.is_zero() && waiting.len() < self.options.batch_rows_max {
            tokio::time::sleep(self.options.linger).await;
        }
        let (work, born) = self.batch(source, waiting).await;
        if !work.frames.is_empty() {
            room.send(work);
            self.sent += 1;
        }
        for node in born {
            self.replay(&Again::Unborn(Some(node))).await?;
        }
        Ok(())
    }

    /// The broker's stored copies are current state, never a new reading.
    fn take(&self, fresh: Vec<RawFrame>, waiting: &mut VecDeque<RawFrame>) {
        let before = waiting.len();
        for raw in fresh {
            if raw.retain {
                self.stats.retained.fetch_add(1, Ordering::Relaxed);
                raw.guard.rejected();
            } else {
                waiting.push_back(raw);
            }
        }
        let taken = (waiting.len() - before) as u64;
        self.stats.in_flight.fetch_add(taken, Ordering::Relaxed);
    }

    /// Fills a batch until it is full, its time is up or the input is drained.
    async fn batch<M: Source>(
        &mut self,
        source: &mut M,
        waiting: &mut VecDeque<RawFrame>,
    ) -> (Work<S::Prepared>, Vec<Born>) {
        let started = self.clock.monotonic();
        let shared = Arc::clone(&self.shared);
        let mut shared = shared.lock().await;
        let (mut frames, mut duties) = (Vec::with_capacity(waiting.len()), Duties::default());
        let mut accepted = shared.core.begin();
        let max = self.options.batch_rows_max;
        while accepted.rows() < max && frames.len() < max {
            if waiting.is_empty()
                && self.clock.monotonic().saturating_sub(started) < self.options.batch_wait_max
            {
                self.take(source.try_recv().into_iter().collect(), waiting);
            }
            let Some(raw) = waiting.pop_front() else { break };
            let frame = duties.take(raw);
            shared.core.push(&frame, &mut accepted);
            frames.push(frame);
        }
        shared.core.finish(&mut accepted, self.clock.now());
        if cfg!(feature = "sabotage-ack-before-commit") {
            duties.resolve(&accepted.fates, &self.stats.ack_latency);
        }
        let generation = shared.generation;
        drop(shared);
        source.send(std::mem::take(&mut accepted.asks));
        let born = std::mem::take(&mut accepted.born);
        let batch = Ready::new::<S>(accepted, generation);
        (Work { frames, duties, batch, letters: Vec::new() }, born)
    }

    /// Takes the new asset model over, then tells the dead letters of devices that are known now
    /// before anything newer of them.
    async fn reload<M: Source>(&mut self, source: &M) -> Result<(), Ended> {
        let (data, limits, live) = {
            let news = self.assets.borrow_and_update();
            (news.registry.clone(), news.limits.clone(), news.live.clone())
        };
        let Some(data) = data else { return Ok(()) };
        let grew = {
            let core = &mut self.shared.lock().await.core;
            let grew = core.reload(&data);
            if let Some(live) = live {
                // First the way to decode, then the topics.
                let filters: Vec<String> = live.iter().map(|route| route.filter.clone()).collect();
                core.set_live_routes(live);
                source.listen(&filters);
            }
            if let Some(limits) = limits {
                core.judge_by(limits, &data);
            }
            grew
        };
        tracing::info!(
            version = data.version,
            meters = data.meters.len(),
            "Took over the asset model."
        );
        self.committed().await?;
        self.letters.settle(true).await;
        if grew {
            self.replay(&Again::Known).await?;
            self.replay(&Again::Unborn(None)).await?;
        }
        Ok(())
    }

    /// Waits until everything that was sent is in the store: what was made with the old model can be
    /// asked for from then on.
    async fn committed(&mut self) -> Result<(), Ended> {
        let sent = self.sent;
        tokio::select! {
            _ = self.shutdown.wait_for(|stop| *stop) => Err(Ended),
            done = self.done.wait_for(|done| *done >= sent) => done.map(|_| ()).map_err(|_| Ended),
        }
    }

    async fn replay(&mut self, which: &Again) -> Result<(), Ended> {
        self.committed().await?;
        let mut last: Option<Letter> = None;
        loop {
            let page = match which {
                Again::Known => self.letters.page(last.as_ref()).await,
                Again::Unborn(born) => self.letters.unborn(born.as_ref(), last.as_ref()).await,
            };
            let Some(page) = page else { return Ok(()) };
            if page.is_empty() {
                return Ok(());
            }
            last = page.last().cloned();
            let frames: Vec<Frame> = page.iter().map(Letter::frame).collect();
            let ready = {
                let mut shared = self.shared.lock().await;
                let mut accepted = shared.core.accept(&frames, self.clock.now());
                // That a device was heard back then is no news of today.
                accepted.batch.heard.clear();
                accepted.batch.dead.clear();
                accepted.batch.unknown.clear();
                Ready::new::<S>(accepted, shared.generation)
            };
            let work = Work { frames, duties: Duties::default(), batch: ready, letters: page };
            self.works.send(work).await.map_err(|_| Ended)?;
            self.sent += 1;
        }
    }
}

impl Letter {
    pub(super) fn frame(&self) -> Frame {
        Frame {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            received_at: self.received_at,
            redelivered: false,
        }
    }
}
