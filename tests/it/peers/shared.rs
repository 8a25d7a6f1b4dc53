//! Shared subscriptions (`$share/GROUP/FILTER`) with Debian's broker: each message goes to one
//! member of the group.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use protocols::mqtt::{MqttConfig, MqttSource};

use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::find;
use crate::kit::skip::skip;

const LIMIT: Duration = Duration::from_secs(20);
const MESSAGES: usize = 40;

fn member(broker: &Mosquitto, name: &str) -> MqttSource {
    let config = MqttConfig::new("127.0.0.1", broker.port, name);
    let config = config.subscribed("$share/headend/p1/+/raw");
    MqttSource::start(config, Arc::new(|| UtcTime::from_seconds(1_800_000_000))).unwrap()
}

async fn subscribed(member: &MqttSource) {
    let stats = member.stats();
    let waiting = async {
        while !stats.is_subscribed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("the broker grants the subscription");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_messages() {
    let test = "two_members_share_the_messages";
    let Some(sender) = find("mosquitto_pub") else {
        return skip(test, "mosquitto_pub is not installed");
    };
    let Some(broker) = Mosquitto::start(test) else { return };
    let mut members = [member(&broker, "member-1"), member(&broker, "member-2")];
    for member in &members {
        subscribed(member).await;
    }
    let port = broker.port.to_string();
    for n in 0..MESSAGES {
        let topic = format!("p1/house-{n}/raw");
        let sent = Command::new(&sender)
            .args(["-p", &port, "-q", "1", "-V", "5", "-t", &topic, "-m", "telegram"])
            .status();
        assert!(sent.unwrap().success());
    }
    let mut heard: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let collecting = async {
        while heard[0].len() + heard[1].len() < MESSAGES {
            for (member, topics) in members.iter_mut().zip(&mut heard) {
                while let Some(frame) = member.try_recv() {
                    topics.push(frame.topic.clone());
                    frame.guard.committed();
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, collecting).await.expect("every message comes to a member");
    assert!(heard.iter().all(|topics| topics.len() >= MESSAGES / 4), "{heard:?}");
    let mut all: Vec<&String> = heard.iter().flatten().collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), MESSAGES, "no message came to both");
    for member in members {
        member.stop().await;
    }
}
