use std::time::Duration;

use super::Rig;
use crate::kit::publisher::Publisher;
use crate::kit::setting;

const WAIT: Duration = Duration::from_secs(20);

/// A message of 20 KB is handled; one of 3 MB, which no decoder takes, becomes a dead letter; one
/// of 5 MB is more than the broker may send us. What is sent behind each of them arrives.
///
/// The sabotage is the usual default of MQTT libraries: `HEADEND_SABOTAGE_PACKET_BYTES=10240`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn big_messages_hold_up_nothing_behind_them() {
    let test = "big_messages_hold_up_nothing_behind_them";
    let limit = setting("HEADEND_SABOTAGE_PACKET_BYTES", 4 << 20);
    let rig = Rig::start(test, 50, |settings| settings.packet_bytes_max = format!("{limit}B"));
    let Some(mut rig) = rig.await else { return };
    let mut publisher = Publisher::connect(rig.broker.port, "sender");
    rig.send(&mut publisher, 1, 0).await;
    rig.send(&mut publisher, 1, 20_000).await;
    rig.send(&mut publisher, 5, 0).await;
    publisher.send("ami/up/T-0000", vec![b' '; 3_000_000]).await;
    rig.send(&mut publisher, 5, 0).await;
    publisher.send("ami/up/T-0000", vec![b' '; 5_000_000]).await;
    rig.send(&mut publisher, 5, 0).await;
    rig.must_hold_exactly_what_was_sent().await;

    let stored = rig.stored().await;
    let letters = async {
        while stored.number("SELECT count(*) FROM dead_letter").await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT, letters).await.is_ok(), "no dead letter of 3 MB");
    let list = rig.head_end.run(&["dlq", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list[0]["reason"], "too_large", "{list}");
    let kept = "SELECT octet_length(payload)::int8 FROM dead_letter";
    assert_eq!(stored.number(kept).await, 3_000_000);
    rig.head_end.stop();
}
