use super::{Load, Rig};
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
    let load = Load::start(&rig);
    for _ in 0..kills {
        tokio::time::sleep(random.between_ms(200, 3_000)).await;
        rig.head_end.kill_hard();
        rig.head_end.start();
        rig.head_end.wait_ready();
    }
    load.stop().await;
    let redelivered = rig.proxy.seen().delivered;
    println!("{kills} kills, {redelivered} deliveries for {} readings", rig.readings().await);
    rig.must_hold_exactly_what_was_sent().await;
    rig.head_end.stop();
}
