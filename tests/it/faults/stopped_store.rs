use std::time::Duration;

use super::{Rig, reached};
use crate::kit::publisher::Publisher;
use crate::kit::setting;

const METERS: u64 = 700;
const OUTSTANDING: u64 = 2_000;
const WINDOW: u16 = 2_500;
/// Long, for a machine whose disk is busy: the broker writes all of it down.
const WAIT: Duration = Duration::from_secs(90);
/// 2,100 of them exceed the 64 MiB that the head-end holds in memory.
const BIG_BYTES: usize = 40_000;

/// The database answers nothing while 2,000 messages are outstanding: all are kept, none is
/// acknowledged. Then again with messages that do not all fit the memory: reading stops, and what
/// was not read stays with the broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_messages_wait_for_a_stopped_store_and_none_is_dropped() {
    let test = "two_thousand_messages_wait_for_a_stopped_store_and_none_is_dropped";
    let rig = Rig::start(test, METERS, |settings| settings.receive_maximum = WINDOW).await;
    let Some(mut rig) = rig else { return };
    let mut publisher = Publisher::connect(rig.broker.port, "sender");
    let outstanding = usize::try_from(OUTSTANDING).unwrap();

    let frozen = rig.head_end.postgres().freeze();
    rig.send(&mut publisher, OUTSTANDING + 100, 0).await;
    let waiting = reached(WAIT, || rig.proxy.seen().unacked_most >= outstanding).await;
    assert!(waiting, "never more than {} outstanding", rig.proxy.seen().unacked_most);
    let acked = rig.proxy.seen().acked;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.proxy.seen().acked, acked, "acknowledged with a stopped store");
    drop(frozen);
    rig.must_hold_exactly_what_was_sent().await;

    let frozen = rig.head_end.postgres().freeze();
    rig.proxy.seen().unacked_most = 0;
    rig.send(&mut publisher, OUTSTANDING + 100, BIG_BYTES).await;
    // As many as fit are read, then no more.
    let full = reached(WAIT, || rig.proxy.seen().unacked_most >= 1_600).await;
    assert!(full, "never more than {} outstanding", rig.proxy.seen().unacked_most);
    // Longer than the keep-alive (`tests/nightly`), the broker ends the connection meanwhile.
    let stopped_s = setting("HEADEND_STOPPED_S", 2);
    tokio::time::sleep(Duration::from_secs(stopped_s)).await;
    drop(frozen);
    rig.must_hold_exactly_what_was_sent().await;
    rig.head_end.stop();
}
