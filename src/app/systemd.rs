//! What systemd is told: ready once the subscriptions are granted, what is waited for until then,
//! and, for its watchdog, that work goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use protocols::mqtt::MqttStats;
use sd_notify::NotifyState;

use crate::ingest::stats::IngestStats;

const LOOK_EVERY: Duration = Duration::from_millis(200);
const WITHOUT_WATCHDOG: Duration = Duration::from_secs(10);

/// Tells until it is dropped. Without systemd nobody listens, which is fine.
pub(super) async fn tell(ingest: &IngestStats, mqtt: &MqttStats) {
    notify(&[NotifyState::Status("waiting for the broker")]);
    while !mqtt.subscribed.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    notify(&[NotifyState::Ready, NotifyState::Status("taking readings")]);
    // Three times within the watchdog's patience.
    let pause = sd_notify::watchdog_enabled().map_or(WITHOUT_WATCHDOG, |patience| patience / 3);
    let mut seen = Work::of(ingest);
    loop {
        tokio::time::sleep(pause).await;
        let now = Work::of(ingest);
        if now.goes_on_since(&seen) {
            notify(&[NotifyState::Watchdog, NotifyState::Status(now.status(mqtt))]);
        }
        seen = now;
    }
}

/// Tells that we are about to end.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told.");
    }
}

/// How far ingest has come.
struct Work {
    batches: u64,
    /// Attempts while the store was away: the loop turns, and a restart would not help.
    retries: u64,
    in_flight: u64,
    store_away: bool,
}

impl Work {
    fn of(ingest: &IngestStats) -> Self {
        Self {
            batches: ingest.batches.load(Ordering::Relaxed),
            retries: ingest.retries.load(Ordering::Relaxed),
            in_flight: ingest.in_flight.load(Ordering::Relaxed),
            store_away: ingest.is_store_away(),
        }
    }

    /// Something was committed, or tried again, or there is nothing to do.
    const fn goes_on_since(&self, before: &Self) -> bool {
        self.batches != before.batches || self.retries != before.retries || self.in_flight == 0
    }

    fn status(&self, mqtt: &MqttStats) -> &'static str {
        if self.store_away {
            "waiting for the database"
        } else if !mqtt.connected.load(Ordering::Relaxed) {
            "waiting for the broker"
        } else {
            "taking readings"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_unless_messages_wait_and_nothing_moves() {
        let work = |batches, retries, in_flight| Work {
            batches,
            retries,
            in_flight,
            store_away: retries > 0,
        };
        assert!(work(2, 0, 5).goes_on_since(&work(1, 0, 5)));
        assert!(work(1, 2, 5).goes_on_since(&work(1, 1, 5)));
        assert!(work(1, 0, 0).goes_on_since(&work(1, 0, 0)));
        assert!(!work(1, 0, 5).goes_on_since(&work(1, 0, 5)));
    }
}
