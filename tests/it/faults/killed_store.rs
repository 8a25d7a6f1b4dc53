use std::time::Duration;

use super::{Load, Rig, reached};
use crate::kit::{Random, setting};

const METERS: u64 = 2_000;
const HEALED: Duration = Duration::from_secs(30);

/// T02: the database server is killed while readings arrive. The last time it freezes first, and
/// the head-end is killed with it: what was acknowledged in between would be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_database_loses_and_doubles_nothing() {
    let test = "T02 a_killed_database_loses_and_doubles_nothing";
    let Some(mut rig) = Rig::start(test, METERS, |_| {}).await else { return };
    let mut random = Random::new(test);
    let kills = setting("HEADEND_T02_KILLS", 1);
    let load = Load::start(&rig);
    for _ in 0..kills {
        tokio::time::sleep(random.between_ms(500, 2_000)).await;
        let old = rig.head_end.postgres().pid();
        rig.head_end.postgres().kill_hard();
        let acked = rig.proxy.seen().acked;
        let healed = reached(HEALED, || {
            rig.head_end.postgres().pid() != old && rig.proxy.seen().acked > acked + 100
        });
        assert!(healed.await, "nothing was stored after the kill: {}", rig.head_end.log_tail());
        assert!(rig.head_end.is_running());
    }
    let frozen = rig.head_end.postgres().freeze();
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.head_end.kill_hard();
    frozen.kill_hard();
    rig.head_end.start();
    rig.head_end.wait_ready();
    load.stop().await;
    rig.must_hold_exactly_what_was_sent().await;
    rig.head_end.stop();
}
