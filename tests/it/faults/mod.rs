//! What must survive: the built program under load, while it, its database or its connection dies.
//! Counts come from the environment (`HEADEND_T01_KILLS` and so on); `tests/run` sets the full ones.
//! Each test turns red under the sabotage feature that `tests/sabotage` names beside it.

mod big_messages;
mod killed_head_end;
mod killed_store;
mod stale_acks;
mod stopped_store;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;

use crate::kit::HEAVY;
use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::ledger::Ledger;
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::has_postgres;
use crate::kit::proxy::Proxy;
use crate::kit::publisher::Publisher;

/// Messages per second, sent in ticks.
const RATE: u64 = 400;
const TICK: Duration = Duration::from_millis(20);
/// Nothing new was stored for so long: what is missing will not come.
const STILL: Duration = Duration::from_secs(45);

/// A broker, a proxy before it, a head-end behind that with its meters, and the truth.
struct Rig {
    head_end: HeadEnd,
    proxy: Proxy,
    broker: Mosquitto,
    ledger: Arc<Mutex<Ledger>>,
    _turn: MutexGuard<'static, ()>,
}

impl Rig {
    /// `None` after saying that the test is skipped. The head-end is ready.
    async fn start(test: &str, meters: u64, adapt: impl FnOnce(&mut Settings)) -> Option<Self> {
        let turn = HEAVY.lock().await;
        if !has_postgres(test) {
            return None;
        }
        let broker = Mosquitto::start(test)?;
        let proxy = Proxy::start(broker.port).await;
        let mut settings = Settings::bundles(proxy.port);
        adapt(&mut settings);
        let mut head_end = HeadEnd::new(&settings);
        let ledger = Ledger::create(head_end.path(), meters);
        head_end.provision(&ledger.provisioning());
        head_end.start();
        head_end.wait_ready();
        let ledger = Arc::new(Mutex::new(ledger));
        Some(Self { head_end, proxy, broker, ledger, _turn: turn })
    }

    /// Sends the next messages of the ledger and waits until the broker has them.
    async fn send(&self, publisher: &mut Publisher, count: u64, bytes_min: usize) {
        for (topic, payload) in self.ledger.lock().await.next(count, bytes_min) {
            publisher.send(&topic, payload).await;
        }
        publisher.flush().await;
    }

    async fn readings(&self) -> i64 {
        self.ledger.lock().await.readings()
    }

    async fn stored(&self) -> Stored {
        Stored::open(&self.head_end.data()).await
    }

    /// Waits until as many readings are stored as were sent, or until nothing moves any more; then
    /// compares each of them.
    async fn must_hold_exactly_what_was_sent(&self) {
        let stored = self.stored().await;
        let ledger = self.ledger.lock().await;
        let (mut last, mut still) = (-1, Duration::ZERO);
        let pause = Duration::from_millis(100);
        while still < STILL {
            let now = stored.intervals().await;
            if now >= ledger.readings() && self.proxy.seen().unacked.is_empty() {
                break;
            }
            still = if now == last { still + pause } else { Duration::ZERO };
            last = now;
            tokio::time::sleep(pause).await;
        }
        let difference = stored.difference(&ledger.expected()).await;
        println!("{difference:?}");
        difference.must_be_none(ledger.readings());
        let violations = &self.proxy.seen().violations;
        assert!(violations.is_empty(), "acknowledgements: {violations:?}");
    }
}

/// A steady stream of messages.
struct Load {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(rig: &Rig) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (broker, ledger) = (rig.broker.port, Arc::clone(&rig.ledger));
        let task = tokio::spawn(async move {
            let mut publisher = Publisher::connect(broker, "load");
            let mut ticks = tokio::time::interval(TICK);
            let each = RATE * u64::try_from(TICK.as_millis()).unwrap() / 1_000;
            while !*stopped.borrow() {
                ticks.tick().await;
                for (topic, payload) in ledger.lock().await.next(each, 0) {
                    publisher.send(&topic, payload).await;
                }
            }
            publisher.flush().await;
        });
        Self { stop, task }
    }

    /// Ends when the broker has acknowledged all of it.
    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

/// Waits for a state; false when the limit passes first.
async fn reached(limit: Duration, mut state: impl FnMut() -> bool) -> bool {
    let wait = async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, wait).await.is_ok()
}
