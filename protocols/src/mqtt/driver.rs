//! The task that owns the connection. It parses nothing and waits for nothing but the network and
//! room in the queue: never for an acknowledgement to be sent.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, Publish, SubAck};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior};

use super::config::MqttConfig;
use super::guard::{AckGuard, Shared};
use super::reconnect::Reconnect;
use super::source::{ArrivalClock, RawFrame};
use super::stats::count;

/// The watchdog looks this often,
const WATCH_EVERY: Duration = Duration::from_secs(10);
/// and replaces a connection that made no progress with the outbox in so many looks.
const WATCH_LOOKS: u32 = 6;

pub(crate) struct Driver {
    config: MqttConfig,
    shared: Arc<Shared>,
    queue: mpsc::Sender<RawFrame>,
    clock: ArrivalClock,
    reconnect: Reconnect,
    watch: Watch,
}

/// Finds a connection that no longer sends (id collision or in-flight leak in the library).
#[derive(Default)]
struct Watch {
    published: u64,
    looks: u32,
}

/// Why the loop over one event loop ended.
enum End {
    Stopped,
    Stuck,
}

impl Driver {
    pub(crate) fn new(
        config: MqttConfig,
        shared: Arc<Shared>,
        queue: mpsc::Sender<RawFrame>,
        clock: ArrivalClock,
    ) -> Self {
        let reconnect = Reconnect::new(&config, Arc::clone(&shared.stats));
        Self { config, shared, queue, clock, reconnect, watch: Watch::default() }
    }

    pub(crate) async fn run(mut self, mut events: EventLoop) {
        loop {
            match self.drive(&mut events).await {
                End::Stopped => break,
                End::Stuck => {
                    tracing::error!("Nothing was sent for 60 s; the connection is replaced.");
                    count(&self.shared.stats.rebuilt);
                    let (client, fresh) =
                        AsyncClient::new(self.config.options(), self.config.request_capacity());
                    self.lost(&mut events);
                    let mut link = self.shared.lock();
                    link.outbox.session_lost();
                    link.client = client;
                    drop(link);
                    events = fresh;
                }
            }
        }
        self.lost(&mut events);
    }

    async fn drive(&mut self, events: &mut EventLoop) -> End {
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Some(polled) = self.poll(events, &mut ticks).await else { return End::Stuck };
            match polled {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return End::Stopped,
                Ok(event) => self.handle(event).await,
                Err(error) => {
                    self.lost(events);
                    count(&self.shared.stats.reconnects);
                    let pause = self.reconnect.pause_after(&error);
                    if self.closing() || self.stopped_within(pause).await {
                        return End::Stopped;
                    }
                }
            }
            if self.shared.topics_wait.load(Ordering::Relaxed) {
                self.shared.tell_topics(&mut self.shared.lock());
            }
            if self.shared.acks_wait.load(Ordering::Relaxed) {
                let mut link = self.shared.lock();
                self.shared.send_acks(&mut link);
            }
        }
    }

    /// One event; `None` when the watchdog gives the connection up. The poll is never cancelled
    /// otherwise: a request taken from the channel but not yet written would be lost with it.
    async fn poll(
        &mut self,
        events: &mut EventLoop,
        ticks: &mut Interval,
    ) -> Option<Result<Event, ConnectionError>> {
        let mut poll = pin!(events.poll());
        loop {
            tokio::select! {
                biased;
                polled = &mut poll => return Some(polled),
                _ = ticks.tick() => {
                    if self.watch.is_stuck(&self.shared) {
                        return None;
                    }
                }
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::Publish(publish)) => self.deliver(publish).await,
            Event::Incoming(Packet::ConnAck(ack)) => self.connected(&ack),
            Event::Incoming(Packet::SubAck(ack)) => self.granted(&ack),
            Event::Incoming(Packet::PingResp(_)) => self.reconnect.progressed(),
            Event::Incoming(Packet::PubAck(ack)) => {
                self.reconnect.progressed();
                let mut link = self.shared.lock();
                if link.outbox.acknowledged(ack.pkid) {
                    count(&self.shared.stats.published);
                }
                self.shared.send_outbox(&mut link);
                drop(link);
                self.shared.outbox_room.notify_waiters();
            }
            Event::Outgoing(Outgoing::Publish(pkid)) if pkid != 0 => {
                let mut link = self.shared.lock();
                link.outbox.sent(pkid);
                // The channel has room again.
                self.shared.send_outbox(&mut link);
            }
            _ => {}
        }
    }

    fn connected(&mut self, ack: &ConnAck) {
        let properties = ack.properties.as_ref();
        let mut link = self.shared.lock();
        link.ledger.connected();
        link.open = true;
        let epoch = link.ledger.epoch();
        let dropped = link.outbox.connected(
            ack.session_present,
            properties.and_then(|p| p.receive_max),
            properties.and_then(|p| p.max_packet_size),
        );
        link.topics.connected();
        let subscribed = link.topics.is_empty();
        drop(link);
        let stats = &self.shared.stats;
        stats.epoch.store(epoch, Ordering::Relaxed);
        stats.connected.store(true, Ordering::Relaxed);
        stats.subscribed.store(subscribed, Ordering::Relaxed);
        if dropped > 0 {
            tracing::error!(
                dropped,
                "The broker takes no packets of this size; own messages lost."
            );
        }
        if ack.session_present {
            tracing::info!(epoch, "Connected to the broker, which kept our session.");
        } else if epoch > 1 {
            count(&stats.possible_gaps);
            tracing::warn!(epoch, "The broker lost our session: messages may be missing.");
        } else {
            tracing::info!(epoch, "Connected to the broker with a new session.");
        }
        self.reconnect.connected();
        let mut link = self.shared.lock();
        self.shared.tell_topics(&mut link);
        self.shared.send_outbox(&mut link);
    }

    /// Compares what the broker granted with what was asked; the library only logs it.
    fn granted(&mut self, ack: &SubAck) {
        let refused = self.shared.lock().topics.granted(&ack.return_codes);
        for (filter, code) in refused.iter().flatten() {
            count(&self.shared.stats.suback_failures);
            tracing::error!(
                filter,
                code = ?code,
                "The broker refused a subscription; check its access rules."
            );
        }
        let all = refused.is_some_and(|refused| refused.is_empty());
        self.shared.stats.subscribed.store(all, Ordering::Relaxed);
    }

    async fn deliver(&mut self, publish: Publish) {
        self.reconnect.progressed();
        let stats = &self.shared.stats;
        count(&stats.received);
        if publish.dup {
            count(&stats.redelivered);
        }
        let qos1 = publish.qos != QoS::AtMostOnce;
        let ticket = qos1.then(|| self.shared.lock().ledger.received(publish.pkid));
        let frame = RawFrame {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            received_at: (self.clock)(),
            arrived: tokio::time::Instant::now(),
            retain: publish.retain,
            redelivered: publish.dup,
            guard: AckGuard::new(Arc::clone(&self.shared), ticket),
            payload: publish.payload,
        };
        if self.closing() {
            frame.guard.abandoned();
            return;
        }
        let bytes = frame.payload.len();
        let fits = stats.queue_bytes.load(Ordering::Relaxed) + bytes <= self.config.queue_bytes_max;
        let frame = if fits || stats.queue_len.load(Ordering::Relaxed) == 0 {
            self.entered(bytes);
            match self.queue.try_send(frame) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(frame)) => {
                    self.withdrawn(bytes);
                    frame
                }
                Err(mpsc::error::TrySendError::Closed(frame)) => {
                    self.withdrawn(bytes);
                    return frame.guard.abandoned();
                }
            }
        } else {
            frame
        };
        if qos1 && cfg!(not(feature = "sabotage-drop-when-full")) {
            count(&stats.queue_full);
            self.deliver_late(frame, bytes).await;
        } else {
            count(&stats.dropped_qos0);
            frame.guard.rejected();
        }
    }

    /// The queue is full: nothing is read from the broker until there is room. If that takes
    /// longer than the keep-alive, the broker closes the connection and delivers again.
    async fn deliver_late(&self, frame: RawFrame, bytes: usize) {
        let stats = &self.shared.stats;
        loop {
            let room = self.shared.room.notified();
            let len = stats.queue_len.load(Ordering::Relaxed);
            let held = stats.queue_bytes.load(Ordering::Relaxed);
            if len == 0 || held + bytes <= self.config.queue_bytes_max {
                break;
            }
            tokio::select! {
                () = room => {}
                () = self.shared.stop.notified() => return frame.guard.abandoned(),
            }
        }
        tokio::select! {
            permit = self.queue.reserve() => match permit {
                Ok(permit) => {
                    self.entered(bytes);
                    permit.send(frame);
                }
                Err(_) => frame.guard.abandoned(),
            },
            () = self.shared.stop.notified() => frame.guard.abandoned(),
        }
    }

    fn entered(&self, bytes: usize) {
        self.shared.stats.queue_len.fetch_add(1, Ordering::Relaxed);
        self.shared.stats.queue_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn withdrawn(&self, bytes: usize) {
        self.shared.stats.queue_len.fetch_sub(1, Ordering::Relaxed);
        self.shared.stats.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The connection ended. First the ledger refuses its acknowledgements, then the channel is
    /// cleared of those that were in it: in this order none can get onto the next connection.
    fn lost(&self, events: &mut EventLoop) {
        let mut link = self.shared.lock();
        link.ledger.disconnected();
        link.open = false;
        drop(link);
        events.clean();
        self.shared.stats.connected.store(false, Ordering::Relaxed);
        self.shared.stats.subscribed.store(false, Ordering::Relaxed);
        self.shared.stats.outstanding.store(0, Ordering::Relaxed);
    }

    fn closing(&self) -> bool {
        self.shared.closing.load(Ordering::Relaxed)
    }

    async fn stopped_within(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => self.closing(),
            () = self.shared.stop.notified() => self.closing(),
        }
    }
}

impl Watch {
    fn is_stuck(&mut self, shared: &Shared) -> bool {
        let published = shared.stats.published.load(Ordering::Relaxed);
        let waits = {
            let link = shared.lock();
            link.open && link.outbox.len() > 0
        };
        if !waits || published != self.published {
            self.looks = 0;
        } else {
            self.looks += 1;
        }
        self.published = published;
        if self.looks >= WATCH_LOOKS {
            self.looks = 0;
            return true;
        }
        false
    }
}
