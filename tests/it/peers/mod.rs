//! Programs that others wrote, and messages of real devices.

mod corpus;
mod files;
mod handheld;
mod meters;
mod modbus;
mod real_input;
mod rtl_433;
mod serial;
mod shared;
mod simulated;
mod sparkplug;
mod table;

use std::process::Command;
use std::time::Duration;

use crate::kit::database::Stored;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{find, has_postgres};
use crate::kit::skip::skip;

/// Stamps without a zone are of this one.
const ZONE: &str = "Europe/Berlin";
const STORED_LIMIT: Duration = Duration::from_secs(20);

/// One message as a receiver publishes it.
#[derive(Clone, Debug)]
struct Message {
    /// What the table calls it.
    label: String,
    topic: String,
    document: serde_json::Value,
}

/// Debian's broker and sender, and a head-end that takes all three receivers' messages.
struct Receivers {
    head_end: HeadEnd,
    broker: Mosquitto,
    stored: Stored,
    sender: std::path::PathBuf,
    sent: i64,
}

impl Receivers {
    /// `None` after saying that the test is skipped.
    async fn start(test: &str, provisioning: &str) -> Option<Self> {
        if !has_postgres(test) {
            return None;
        }
        let Some(sender) = find("mosquitto_pub") else {
            skip(test, "mosquitto_pub is not installed");
            return None;
        };
        let broker = Mosquitto::start(test)?;
        let settings = Settings {
            subscriptions: vec![
                ("amr/+/rtlamr", "rtlamr", 2),
                ("rtl_433/+/events", "rtl_433", 2),
                ("wmbusmeters/+/+", "wmbusmeters", 2),
            ],
            zone: ZONE,
            ..Settings::bundles(broker.port)
        };
        let mut head_end = HeadEnd::new(&settings);
        head_end.provision(provisioning);
        head_end.start();
        head_end.wait_ready();
        let stored = Stored::open(&head_end.data()).await;
        Some(Self { head_end, broker, stored, sender, sent: 0 })
    }

    /// Publishes one message and waits until it is stored, in whatever form.
    async fn send(&mut self, message: &Message) {
        let port = self.broker.port.to_string();
        let payload = message.document.to_string();
        let sent = Command::new(&self.sender)
            .args(["-p", &port, "-q", "1", "-V", "5", "-t", &message.topic, "-m", &payload])
            .status();
        assert!(sent.unwrap().success(), "mosquitto_pub failed for {}", message.label);
        self.sent += 1;
        let all = async {
            while self.messages().await < self.sent {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(STORED_LIMIT, all).await;
        assert!(done.is_ok(), "{} was not stored: {}", message.label, self.head_end.log_tail());
    }

    async fn messages(&self) -> i64 {
        self.stored.number("SELECT coalesce(sum(messages), 0)::int8 FROM ingest_batch").await
    }
}
