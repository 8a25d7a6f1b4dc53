use std::collections::HashSet;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use metering::UtcTime;
use protocols::mqtt::{AckGuard, RawFrame};
use store::{Batch, Stored};

use super::*;
use crate::clock::SystemClock;
use crate::ingest::core::{Frame, reasons};
use crate::ingest::sink::{Letter, SinkError};
use crate::ingest::testkit::{core, frame, registry, scm};

const METERS: [&str; 1] = ["ert:7; ; consumption register gal 1 0 0 900 0"];
const DEADLINE: Duration = Duration::from_secs(20);

/// What a store that can be told to fail has kept.
#[derive(Default)]
struct Kept {
    batches: Vec<Batch>,
    /// So many commits find the store away.
    away: u32,
    /// A batch with this counter is refused.
    poison: Option<i64>,
    registry: store::assets::Registry,
    replayed: usize,
    /// How often it was told that no batch follows.
    rests: usize,
}

#[derive(Clone)]
struct FakeStore(Arc<StdMutex<Kept>>);

impl FakeStore {
    fn new(data: &store::assets::Registry) -> Self {
        let kept = Kept { registry: data.clone(), ..Kept::default() };
        Self(Arc::new(StdMutex::new(kept)))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Kept) -> T) -> T {
        ask(&mut self.0.lock().unwrap())
    }

    fn counters(&self) -> Vec<i64> {
        self.with(|kept| {
            let rows = kept.batches.iter().flat_map(|batch| &batch.registers);
            rows.map(|row| row.reading.reading.raw).collect()
        })
    }

    fn derived_sum(&self) -> i64 {
        self.with(|kept| {
            let rows = kept.batches.iter().flat_map(|batch| &batch.intervals);
            rows.map(|row| row.reading.reading.value).sum()
        })
    }
}

impl Sink for FakeStore {
    type Prepared = Batch;

    fn prepare(batch: Batch) -> Batch {
        batch
    }

    async fn commit(&mut self, batch: &Batch) -> Result<Stored, SinkError> {
        tokio::task::yield_now().await;
        self.with(|kept| {
            if kept.away > 0 {
                kept.away -= 1;
                return Err(SinkError::Away("gone for a moment".into()));
            }
            if batch.registers.iter().any(|row| Some(row.reading.reading.raw) == kept.poison) {
                return Err(SinkError::Refused("value out of range".into()));
            }
            for row in &batch.states {
                let same = |known: &store::ChannelStateRow| {
                    (known.meter, known.channel) == (row.meter, row.channel)
                };
                kept.registry.states.retain(|known| !same(known));
                kept.registry.states.push(row.clone());
            }
            let dead = batch.dead.iter().map(|row| u64::from(row.reads)).sum();
            let duplicate = u64::from(batch.folded);
            let stored = Stored {
                offered: batch.offered(),
                inserted: batch.offered() - dead - duplicate,
                duplicate,
                dead,
                ..Stored::default()
            };
            kept.batches.push(batch.clone());
            Ok(stored)
        })
    }

    async fn registry(&self) -> Result<store::assets::Registry, SinkError> {
        Ok(self.with(|kept| kept.registry.clone()))
    }

    async fn rest(&mut self) {
        self.with(|kept| kept.rests += 1);
    }

    async fn replayed(&self, letters: &[Letter], _at: UtcTime) -> Result<(), SinkError> {
        self.with(|kept| kept.replayed += letters.len());
        Ok(())
    }
}

/// All dead letters of unknown devices, in one page.
impl Letters for FakeStore {
    async fn page(&self, after: Option<&Letter>) -> Option<Vec<Letter>> {
        if after.is_some() {
            return None;
        }
        Some(self.with(|kept| {
            let dead = kept.batches.iter().flat_map(|batch| &batch.dead);
            let letter = |row: &store::DeadRow| Letter {
                sha256: [0; 32],
                topic: row.topic.to_string(),
                payload: row.payload.clone(),
                received_at: row.received_at,
                arrival_no: 0,
            };
            dead.filter(|row| row.reason == reasons::UNKNOWN_DEVICE).map(letter).collect()
        }))
    }
}

struct Messages(mpsc::Receiver<RawFrame>);

impl Source for Messages {
    async fn recv_many(&mut self, frames: &mut Vec<RawFrame>, max: usize) -> usize {
        self.0.recv_many(frames, max).await
    }

    fn try_recv(&mut self) -> Option<RawFrame> {
        self.0.try_recv().ok()
    }

    async fn stop(self) {}
}

struct Rig {
    store: FakeStore,
    stats: Arc<IngestStats>,
    messages: mpsc::Sender<RawFrame>,
    assets: watch::Sender<Assets>,
    shutdown: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn start(meters: &[&str]) -> Self {
        let data = registry(meters);
        let store = FakeStore::new(&data);
        let stats: Arc<IngestStats> = Arc::default();
        let mut options = IngestOptions::new("test", Vec::new());
        options.batch_rows_max = 16;
        let parts = Parts { options, clock: SystemClock::shared(), stats: Arc::clone(&stats) };
        let (messages, queue) = mpsc::channel(1000);
        let (assets, see_assets) = watch::channel(Assets::default());
        let (shutdown, see_shutdown) = watch::channel(false);
        let running = tokio::spawn(run_with(
            parts,
            (core(&data), store.clone(), store.clone()),
            Messages(queue),
            (see_assets, see_shutdown),
        ));
        Self { store, stats, messages, assets, shutdown, running }
    }

    async fn send(&self, frame: Frame) {
        let raw = RawFrame {
            topic: frame.topic,
            payload: frame.payload,
            received_at: frame.received_at,
            arrived: tokio::time::Instant::now(),
            retain: false,
            redelivered: false,
            guard: AckGuard::detached(),
        };
        self.messages.send(raw).await.unwrap();
    }

    /// Telegrams of meter 7, one a minute; counter = number.
    async fn send_counters(&self, counters: std::ops::Range<i64>) {
        for counter in counters {
            self.send(telegram(7, counter)).await;
        }
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while !reached(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited in vain until {what}");
    }

    async fn stop(self) -> FakeStore {
        self.shutdown.send_replace(true);
        tokio::time::timeout(DEADLINE, self.running).await.unwrap().unwrap();
        self.store
    }
}

fn telegram(id: u32, counter: i64) -> Frame {
    let time = format!("{:02}:{:02}:00", 1 + counter / 60, counter % 60);
    frame("amr/C-01/rtlamr", &scm(id, counter, &time), "23:59")
}

fn messages(rig: &Rig) -> u64 {
    rig.stats.messages.load(std::sync::atomic::Ordering::SeqCst)
}

#[tokio::test]
async fn messages_are_stored_in_order_and_counted() {
    let rig = Rig::start(&METERS);
    rig.send_counters(0..300).await;
    rig.until("300 messages are stored", |rig| messages(rig) == 300).await;
    assert!(rig.stats.reconciles());
    assert_eq!(rig.stats.ack_latency.count(), 300);
    assert_eq!(rig.stats.in_flight.load(std::sync::atomic::Ordering::SeqCst), 0);
    let store = rig.stop().await;
    assert_eq!(store.counters(), (0..300).collect::<Vec<_>>());
    assert!(store.with(|kept| kept.batches.iter().all(|batch| batch.registers.len() <= 16)));
}

#[tokio::test]
async fn when_nothing_follows_what_was_put_off_is_written_once() {
    let rig = Rig::start(&METERS);
    rig.send_counters(0..3).await;
    let rests = |rig: &Rig| rig.store.with(|kept| kept.rests);
    rig.until("the last batch is followed by none", |rig| rests(rig) == 1).await;
    assert_eq!(messages(&rig), 3);
    rig.send_counters(3..4).await;
    rig.until("the next pause", |rig| rests(rig) == 2).await;
    rig.stop().await;
}

#[tokio::test]
async fn while_the_store_is_away_the_same_batch_is_tried_again() {
    let rig = Rig::start(&METERS);
    rig.store.with(|kept| kept.away = 3);
    rig.send_counters(0..50).await;
    rig.until("the store is away", |rig| rig.stats.is_store_away()).await;
    assert_eq!(messages(&rig), 0);
    rig.until("50 messages are stored", |rig| messages(rig) == 50).await;
    assert!(!rig.stats.is_store_away());
    assert_eq!(rig.stop().await.counters(), (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_message_that_the_store_refuses_is_set_aside_and_the_others_are_stored_once() {
    for poison in [0, 7, 15, 16, 99] {
        let rig = Rig::start(&METERS);
        rig.store.with(|kept| kept.poison = Some(poison));
        rig.send_counters(0..100).await;
        rig.until("100 messages are done with", |rig| messages(rig) == 100).await;
        assert!(rig.stats.reconciles());
        let store = rig.stop().await;
        let want: Vec<i64> = (0..100).filter(|counter| *counter != poison).collect();
        assert_eq!(store.counters(), want, "poison {poison}");
        let reasons: Vec<String> = store.with(|kept| {
            let dead = kept.batches.iter().flat_map(|batch| &batch.dead);
            dead.map(|row| row.reason.clone()).collect()
        });
        assert_eq!(reasons, [reasons::STORE_REFUSED], "poison {poison}");
        // Intervals are derived as if the poison had never come: from 01:00, or 01:15 without the
        // first telegram, to 02:30. Totals are rounded once.
        let total = |gallons: i64| (gallons * 3_785_411_784 + 500_000) / 1_000_000;
        let from = if poison == 0 { 15 } else { 0 };
        assert_eq!(store.derived_sum(), total(90) - total(from), "poison {poison}");
    }
}

#[tokio::test]
async fn a_stop_while_the_store_is_away_leaves_the_rest_with_the_broker() {
    let rig = Rig::start(&METERS);
    rig.store.with(|kept| kept.away = u32::MAX);
    rig.send_counters(0..100).await;
    rig.until("the store is away", |rig| rig.stats.is_store_away()).await;
    assert!(rig.stop().await.counters().is_empty());
}

#[tokio::test]
async fn a_device_that_becomes_known_tells_again_what_it_had_sent() {
    let rig = Rig::start(&METERS);
    for counter in 0..40 {
        rig.send(telegram(8, counter)).await;
    }
    rig.until("40 messages are dead letters", |rig| messages(rig) == 40).await;
    let mut data = registry(&[METERS[0], "ert:8; ; consumption register gal 1 0 0 900 0"]);
    data.version = 2;
    rig.assets.send_replace(Assets { registry: Some(Arc::new(data)), ..Assets::default() });
    rig.until("40 letters are told again", |rig| messages(rig) == 80).await;
    for counter in 40..50 {
        rig.send(telegram(8, counter)).await;
    }
    rig.until("10 more are stored", |rig| messages(rig) == 90).await;
    assert!(rig.stats.reconciles());
    assert_eq!(rig.stats.replayed.load(std::sync::atomic::Ordering::SeqCst), 40);
    let store = rig.stop().await;
    assert_eq!(store.counters(), (0..50).collect::<Vec<_>>());
    let ends: HashSet<UtcTime> = store.with(|kept| {
        let rows = kept.batches.iter().flat_map(|batch| &batch.intervals);
        rows.map(|row| row.reading.reading.interval.end()).collect()
    });
    assert_eq!(ends.len(), 3, "01:15, 01:30 and 01:45 are derived across the replay");
    assert_eq!(store.with(|kept| kept.replayed), 40);
}
