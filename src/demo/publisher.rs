//! One MQTT connection through which all simulated meters speak, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use simulators::SimMessage;
use tokio::task::JoinHandle;

/// Messages handed over and not yet sent.
const QUEUE_MESSAGES: usize = 2_000;
const PACKET_BYTES_MAX: u32 = 4 << 20;
const CONFIRM_WAIT: Duration = Duration::from_secs(30);

/// The sender of a simulated fleet.
#[derive(Debug)]
pub struct Publisher {
    client: AsyncClient,
    confirmed: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    sent: u64,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Connects to a broker without authentication; retries while the program runs.
    pub fn connect(host: &str, port: u16, client_id: &str) -> Self {
        let mut options = MqttOptions::new(client_id, host, port);
        options.set_keep_alive(Duration::from_secs(30));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        options.set_max_packet_size(Some(PACKET_BYTES_MAX));
        let (client, mut events) = AsyncClient::new(options, QUEUE_MESSAGES);
        let confirmed = Arc::new(AtomicU64::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let (counter, stop) = (Arc::clone(&confirmed), Arc::clone(&stopping));
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::PubAck(_))) => {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        if !stop.load(Ordering::Relaxed) {
                            tracing::warn!(%error, "The simulated meters lost their broker.");
                            tokio::time::sleep(Duration::from_millis(500)).await;
                        }
                    }
                }
            }
        });
        Self { client, confirmed, stopping, sent: 0, task }
    }

    /// Queues the messages with QoS 1, in order; waits while the queue is full.
    ///
    /// # Errors
    /// The connection's task has ended.
    pub async fn send(&mut self, messages: Vec<SimMessage>) -> anyhow::Result<()> {
        for message in messages {
            self.client
                .publish(message.topic, QoS::AtLeastOnce, false, message.payload)
                .await
                .context("publish a simulated message")?;
            self.sent += 1;
        }
        Ok(())
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Waits until the broker has confirmed all that was sent.
    ///
    /// # Errors
    /// Nothing was confirmed for 30 s.
    pub async fn flush(&self) -> anyhow::Result<()> {
        let mut last = self.confirmed.load(Ordering::Relaxed);
        let mut quiet = Duration::ZERO;
        let pause = Duration::from_millis(5);
        while last < self.sent {
            tokio::time::sleep(pause).await;
            let now = self.confirmed.load(Ordering::Relaxed);
            quiet = if now > last { Duration::ZERO } else { quiet + pause };
            last = now;
            anyhow::ensure!(
                quiet < CONFIRM_WAIT,
                "the broker confirmed {last} of {} messages and then nothing for 30 s",
                self.sent
            );
        }
        Ok(())
    }

    pub async fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.disconnect()).await;
        self.task.abort();
    }
}
