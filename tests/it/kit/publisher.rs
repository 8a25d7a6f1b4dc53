//! A sender: QoS 1, in order, one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use tokio::task::JoinHandle;

const CONFIRM_LIMIT: Duration = Duration::from_secs(60);
const PACKET_BYTES_MAX: u32 = 16 << 20;

/// Its connection must live as long as it does: the broker is never killed under it.
#[derive(Debug)]
pub(crate) struct Publisher {
    client: AsyncClient,
    confirmed: Arc<AtomicU64>,
    sent: u64,
    task: JoinHandle<()>,
}

impl Publisher {
    pub(crate) fn connect(port: u16, client_id: &str) -> Self {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(Some(PACKET_BYTES_MAX));
        let (client, mut events) = AsyncClient::new(options, 1_000);
        let confirmed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&confirmed);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::PubAck(_))) => {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        eprintln!("the sender lost its broker: {error}");
                        return;
                    }
                }
            }
        });
        Self { client, confirmed, sent: 0, task }
    }

    pub(crate) async fn send(&mut self, topic: &str, payload: Vec<u8>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        self.sent += 1;
    }

    /// Waits until the broker has acknowledged all.
    pub(crate) async fn flush(&self) {
        let all = async {
            while self.confirmed.load(Ordering::Relaxed) < self.sent {
                assert!(!self.task.is_finished(), "the sender's connection ended");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(CONFIRM_LIMIT, all).await;
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        assert!(done.is_ok(), "the broker acknowledged {confirmed} of {}", self.sent);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
