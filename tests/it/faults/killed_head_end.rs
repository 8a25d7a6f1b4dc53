use std::time::Duration;

use super::{Load, Rig};
use crate::kit::proxy::Plan;
use crate::kit::{Random, setting};

const METERS: u64 = 2_000;

/// T01: SIGKILL again and again under 400 messages/s of 24 readings. Its private database dies with
/// it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_head_end_loses_and_doubles_nothing() {
    let test = "T01 a_killed_head_end_loses_and_doubles_nothing";
    let Some(mut rig) = Rig::start(test, METERS, |_| {}).await else { return };
    let mut random = Random::new(test);
    let kills = setting("HEADEND_T01_KILLS", 3);
    // Some acknowledgements are always on the way when it dies: their messages come again.
    rig.proxy.delay_acks(Duration::from_millis(30));
    let load = Load::start(&rig);
    for _ in 0..kills {
        tokio::time::sleep(random.between_ms(200, 3_000)).await;
        rig.proxy.cut(Plan::default());
        rig.head_end.kill_hard();
        rig.head_end.start();
        rig.head_end.wait_ready();
    }
    load.stop().await;
    let redelivered = rig.proxy.seen().delivered;
    println!("{kills} kills, {redelivered} deliveries for {} readings", rig.readings().await);
    rig.must_hold_exactly_what_was_sent().await;
    let again = "SELECT coalesce(sum(duplicate + folded), 0)::int8 FROM ingest_batch";
    let again = rig.stored().await.number(again).await;
    println!("{again} readings came again after they were stored");
    assert!(again > 0, "the test did not try what it should");
    rig.head_end.stop();
}
