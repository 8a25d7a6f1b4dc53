//! The head-end's handle of one broker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use metering::UtcTime;
use rumqttc::v5::AsyncClient;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::config::{MqttConfig, MqttConfigError};
use super::driver::Driver;
use super::guard::{AckGuard, Goodbye, Shared};
use super::outbox::{Message, PublishError};
use super::stats::MqttStats;
use super::topics::Topics;

/// Time for the last acknowledgements and the DISCONNECT at a stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// The clock that stamps arrivals.
pub type ArrivalClock = Arc<dyn Fn() -> UtcTime + Send + Sync>;

/// One message as the broker delivered it.
#[derive(Debug)]
pub struct RawFrame {
    pub topic: String,
    pub payload: Bytes,
    pub received_at: UtcTime,
    /// The same on a clock that never jumps, for latencies only.
    pub arrived: tokio::time::Instant,
    /// The broker's stored copy: current state, never a new reading.
    pub retain: bool,
    /// The broker says that it may have sent this before (DUP).
    pub redelivered: bool,
    pub guard: AckGuard,
}

/// Messages of one broker in arrival order, each with the duty to acknowledge it.
#[derive(Debug)]
pub struct MqttSource {
    shared: Arc<Shared>,
    frames: mpsc::Receiver<RawFrame>,
    driver: JoinHandle<()>,
}

/// Publishes through a source's connection, from anywhere.
#[derive(Clone, Debug)]
pub struct MqttPublisher {
    shared: Arc<Shared>,
}

impl MqttSource {
    /// Connects in the background, for ever, and subscribes on each connection. Call it inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`MqttConfigError`] when a setting cannot work; no connection is tried.
    pub fn start(config: MqttConfig, clock: ArrivalClock) -> Result<Self, MqttConfigError> {
        config.check()?;
        let (client, events) = AsyncClient::new(config.options(), config.request_capacity());
        let shared = Arc::new(Shared::new(client, Topics::new(&config.subscriptions)));
        let (queue, frames) = mpsc::channel(config.queue_max);
        let driver = Driver::new(config, Arc::clone(&shared), queue, clock);
        let driver = tokio::spawn(driver.run(events));
        Ok(Self { shared, frames, driver })
    }

    /// The next message; `None` after a stop.
    pub async fn recv(&mut self) -> Option<RawFrame> {
        let frame = self.frames.recv().await?;
        self.left(1, frame.payload.len());
        Some(frame)
    }

    /// The next message if one waits.
    pub fn try_recv(&mut self) -> Option<RawFrame> {
        let frame = self.frames.try_recv().ok()?;
        self.left(1, frame.payload.len());
        Some(frame)
    }

    /// Waits for a message, then appends all that wait, at most `max`. Returns how many; 0 after a
    /// stop.
    pub async fn recv_many(&mut self, frames: &mut Vec<RawFrame>, max: usize) -> usize {
        let before = frames.len();
        let taken = self.frames.recv_many(frames, max).await;
        let bytes = frames[before..].iter().map(|frame| frame.payload.len()).sum();
        self.left(taken, bytes);
        taken
    }

    pub fn stats(&self) -> Arc<MqttStats> {
        Arc::clone(&self.shared.stats)
    }

    /// Wants these topics beside those of the configuration, from now on; all others are ended.
    pub fn listen(&self, filters: &[String]) {
        let mut link = self.shared.lock();
        link.topics.listen(filters);
        self.shared.tell_topics(&mut link);
    }

    pub fn publisher(&self) -> MqttPublisher {
        MqttPublisher { shared: Arc::clone(&self.shared) }
    }

    /// See [`MqttPublisher::publish`].
    ///
    /// # Errors
    /// [`PublishError`] when the message can never be sent.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<(), PublishError> {
        self.publisher().publish(topic, payload, retain).await
    }

    /// Sends the acknowledgements of all that was resolved, then DISCONNECT; at most 2 s. What was
    /// not resolved stays with the broker; its guards may then be dropped.
    pub async fn stop(mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.stop.notify_one();
        let shared = Arc::clone(&self.shared);
        let goodbye = async {
            loop {
                match shared.say_goodbye() {
                    Goodbye::Said => break,
                    Goodbye::NoRoom => tokio::time::sleep(Duration::from_millis(5)).await,
                    Goodbye::NotConnected => {
                        self.driver.abort();
                        break;
                    }
                }
            }
            let _ = (&mut self.driver).await;
        };
        if tokio::time::timeout(STOP_MAX, goodbye).await.is_err() {
            tracing::warn!("The broker did not take our leave within 2 s; it keeps the session.");
        }
    }

    fn left(&self, frames: usize, bytes: usize) {
        self.shared.stats.queue_len.fetch_sub(frames, Ordering::Relaxed);
        self.shared.stats.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.room.notify_one();
    }
}

impl Drop for MqttSource {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.outbox_room.notify_waiters();
        self.driver.abort();
    }
}

impl MqttPublisher {
    /// Hands a message (QoS 1) to the outbox, which sends it again until the broker has it. Waits
    /// while the outbox is full.
    ///
    /// # Errors
    /// [`PublishError`] when the message can never be sent.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<(), PublishError> {
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['#', '+', '\0']) {
            return Err(PublishError::Topic(topic.chars().take(80).collect()));
        }
        let message = Message { topic: topic.to_owned(), payload: payload.into(), retain };
        loop {
            let room = self.shared.outbox_room.notified();
            tokio::pin!(room);
            // Registered before the look, so that no wake-up falls between look and wait.
            room.as_mut().enable();
            if self.shared.closing.load(Ordering::Relaxed) {
                return Err(PublishError::Stopped);
            }
            {
                let mut link = self.shared.lock();
                if link.outbox.has_room() {
                    link.outbox.check_size(&message)?;
                    link.outbox.push(message);
                    self.shared.send_outbox(&mut link);
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Waits until the broker has acknowledged everything published so far.
    ///
    /// # Errors
    /// [`PublishError::Stopped`] when the source stops before.
    pub async fn flushed(&self) -> Result<(), PublishError> {
        loop {
            let room = self.shared.outbox_room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.shared.lock().outbox.len() == 0 {
                return Ok(());
            }
            if self.shared.closing.load(Ordering::Relaxed) {
                return Err(PublishError::Stopped);
            }
            room.await;
        }
    }
}
