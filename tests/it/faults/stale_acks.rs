use std::time::Duration;

use super::{Rig, reached};
use crate::kit::proxy::Plan;
use crate::kit::publisher::Publisher;
use crate::kit::{Random, setting};

const METERS: u64 = 500;
const MESSAGES: u64 = 60;
const UNACKED: usize = 50;
/// Half a keep-alive: what takes longer has stalled.
const STALLED: Duration = Duration::from_secs(15);

/// T04: the connection is cut while 50 messages wait for their commit; the commit comes when the
/// next connection is there. Its acknowledgements must not travel on that one, where the same
/// numbers mean other messages. In every fifth round the broker has forgotten the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledgements_of_a_cut_connection_are_not_sent_on_the_next() {
    let test = "T04 acknowledgements_of_a_cut_connection_are_not_sent_on_the_next";
    let Some(mut rig) = Rig::start(test, METERS, |_| {}).await else { return };
    let mut random = Random::new(test);
    let mut publisher = Publisher::connect(rig.broker.port, "sender");
    for round in 0..setting("HEADEND_T04_CUTS", 5) {
        let forget_session = round % 5 == 4;
        let frozen = rig.head_end.postgres().freeze();
        let messages = rig.ledger.lock().await.next(MESSAGES, 0);
        for (topic, payload) in &messages {
            publisher.send(topic, payload.clone()).await;
        }
        publisher.flush().await;
        let waiting = reached(STALLED, || rig.proxy.seen().unacked.len() >= UNACKED).await;
        assert!(waiting, "round {round}: {} delivered", rig.proxy.seen().unacked.len());

        let connections = rig.proxy.seen().connections;
        rig.proxy.cut(Plan { hold: random.between_ms(0, 500), forget_session });
        let again = reached(STALLED, || rig.proxy.seen().connections > connections).await;
        assert!(again, "round {round}: no new connection\n{}", rig.head_end.log_tail());
        assert_eq!(rig.proxy.seen().session_present, !forget_session);
        tokio::time::sleep(random.between_ms(0, 300)).await;
        drop(frozen);

        if forget_session {
            // The broker lost them; the meters send again what may be missing.
            rig.head_end.wait_ready();
            for (topic, payload) in messages {
                publisher.send(&topic, payload).await;
            }
            publisher.flush().await;
        }
        rig.must_settle(round).await;
    }
    rig.must_hold_exactly_what_was_sent().await;
    rig.head_end.stop();
}

impl Rig {
    /// All of the round is stored and acknowledged, each on its own connection.
    async fn must_settle(&self, round: u64) {
        let stored = self.stored().await;
        let readings = self.readings().await;
        let all = async {
            while stored.intervals().await < readings || !self.proxy.seen().unacked.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let settled = tokio::time::timeout(STALLED, all).await.is_ok();
        let seen = self.proxy.seen();
        assert!(seen.violations.is_empty(), "round {round}: {:?}", seen.violations);
        assert!(settled, "round {round}: {} acknowledgements are missing", seen.unacked.len());
    }
}
