//! The duty to acknowledge one message (`operations.md` 10.1).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;
use tokio::sync::Notify;

use super::outbox::Outbox;
use super::state::{AckLedger, Marked, Ticket};
use super::stats::{MqttStats, count};
use super::topics::Topics;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Its values are in the store, or were there before.
    Committed,
    /// It is kept as a dead letter.
    DeadLettered,
    /// Rightly ignored (an empty retained message); acknowledged, or it would return for ever.
    Rejected,
    /// Left with the broker because we stop: not acknowledged, and none after it either. It is
    /// delivered again on the next connection.
    Abandoned,
}

/// The duty to acknowledge one message; resolve it once its fate is durable. Dropped unresolved it
/// counts in `guards_dropped` and panics in debug builds.
#[must_use = "an unresolved guard stalls the acknowledgements of its connection"]
pub struct AckGuard {
    duty: Option<(Arc<Shared>, Option<Ticket>)>,
}

/// What the connection, the guards and the source's handle share.
pub(crate) struct Shared {
    link: Mutex<Link>,
    pub(crate) stats: Arc<MqttStats>,
    /// Set by a stop: guards may then be dropped, their messages stay with the broker.
    pub(crate) closing: AtomicBool,
    /// Acknowledgements found the channel full; the driver sends them as it empties.
    pub(crate) acks_wait: AtomicBool,
    /// A SUBSCRIBE found the channel full.
    pub(crate) topics_wait: AtomicBool,
    /// Wakes the driver out of a wait when the source stops.
    pub(crate) stop: Notify,
    /// The queue got shorter.
    pub(crate) room: Notify,
    /// The outbox got shorter.
    pub(crate) outbox_room: Notify,
}

/// Guarded by one lock, so that no acknowledgement can slip past the end of its connection.
pub(crate) struct Link {
    pub(crate) ledger: AckLedger,
    pub(crate) outbox: Outbox,
    pub(crate) client: AsyncClient,
    pub(crate) topics: Topics,
    /// CONNACK seen and connection not lost since.
    pub(crate) open: bool,
}

/// How far a stop has come.
pub(crate) enum Goodbye {
    /// All acknowledgements and the DISCONNECT are with the connection.
    Said,
    NoRoom,
    NotConnected,
}

/// Resolves many guards, taking each connection's lock once per run of its messages.
pub fn resolve_all(items: impl IntoIterator<Item = (AckGuard, Resolution)>) {
    let mut duties = Vec::new();
    for (mut guard, resolution) in items {
        let Some((shared, ticket)) = guard.duty.take() else { continue };
        match (resolution, ticket) {
            (Resolution::Abandoned, _) => count(&shared.stats.abandoned),
            (_, Some(ticket)) => duties.push((shared, ticket)),
            (_, None) => {}
        }
    }
    let mut rest = duties.as_slice();
    while let Some((shared, _)) = rest.first() {
        let run = rest.iter().take_while(|(other, _)| Arc::ptr_eq(other, shared)).count();
        let mut link = shared.lock();
        for (_, ticket) in &rest[..run] {
            shared.mark(&mut link, *ticket);
        }
        shared.send_acks(&mut link);
        drop(link);
        rest = &rest[run..];
    }
}

impl AckGuard {
    pub(crate) fn new(shared: Arc<Shared>, ticket: Option<Ticket>) -> Self {
        Self { duty: Some((shared, ticket)) }
    }

    /// A guard without a duty, for messages that came from no broker (replay, bench, tests).
    pub const fn detached() -> Self {
        Self { duty: None }
    }

    /// The message's values are durable.
    pub fn committed(self) {
        resolve_all([(self, Resolution::Committed)]);
    }

    /// The message is durable as a dead letter.
    pub fn dead_lettered(self) {
        resolve_all([(self, Resolution::DeadLettered)]);
    }

    /// The message holds nothing to keep.
    pub fn rejected(self) {
        resolve_all([(self, Resolution::Rejected)]);
    }

    /// We stop before the message was stored; the broker keeps it.
    pub fn abandoned(self) {
        resolve_all([(self, Resolution::Abandoned)]);
    }
}

impl Drop for AckGuard {
    fn drop(&mut self) {
        let Some((shared, _)) = self.duty.take() else { return };
        if shared.closing.load(Ordering::Relaxed) {
            count(&shared.stats.abandoned);
            return;
        }
        count(&shared.stats.guards_dropped);
        tracing::error!("A message was dropped without a decision; its connection is stalled.");
        if cfg!(debug_assertions) && !std::thread::panicking() {
            panic!("AckGuard dropped without a resolution");
        }
    }
}

impl std::fmt::Debug for AckGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ticket = self.duty.as_ref().and_then(|(_, ticket)| *ticket);
        f.debug_struct("AckGuard").field("ticket", &ticket).finish()
    }
}

impl Shared {
    pub(crate) fn new(client: AsyncClient, topics: Topics) -> Self {
        Self {
            link: Mutex::new(Link {
                ledger: AckLedger::new(),
                outbox: Outbox::new(),
                client,
                topics,
                open: false,
            }),
            stats: Arc::default(),
            closing: AtomicBool::new(false),
            acks_wait: AtomicBool::new(false),
            topics_wait: AtomicBool::new(false),
            stop: Notify::new(),
            room: Notify::new(),
            outbox_room: Notify::new(),
        }
    }

    /// Tells the broker what is wanted, as far as there is a connection and room.
    pub(crate) fn tell_topics(&self, link: &mut Link) {
        if link.open {
            let client = link.client.clone();
            self.topics_wait.store(link.topics.tell(&client), Ordering::Relaxed);
        }
    }

    /// A thread that panicked with the lock left the ledger whole: each step is one call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mark(&self, link: &mut Link, ticket: Ticket) {
        match link.ledger.resolve(ticket) {
            Marked::Noted => {}
            Marked::Stale | Marked::Again => count(&self.stats.ack_refused_stale),
        }
    }

    /// Gives resolved acknowledgements to the connection as far as its channel has room. Never
    /// waits: a wait with the channel full and the poll task waiting for us would end everything.
    pub(crate) fn send_acks(&self, link: &mut Link) {
        let mut sent = 0;
        while let Some(pkid) = link.ledger.take_ready() {
            let publish = Publish { qos: QoS::AtLeastOnce, pkid, ..Publish::default() };
            if link.client.try_ack(&publish).is_err() {
                link.ledger.put_back(pkid);
                break;
            }
            sent += 1;
        }
        self.stats.acked.fetch_add(sent, Ordering::Relaxed);
        self.stats.outstanding.store(link.ledger.outstanding(), Ordering::Relaxed);
        self.acks_wait.store(link.ledger.has_ready(), Ordering::Relaxed);
    }

    /// The last acknowledgements, then DISCONNECT behind them in the same channel.
    pub(crate) fn say_goodbye(&self) -> Goodbye {
        let mut link = self.lock();
        if !link.open {
            return Goodbye::NotConnected;
        }
        self.send_acks(&mut link);
        if link.ledger.has_ready() || link.client.try_disconnect().is_err() {
            return Goodbye::NoRoom;
        }
        Goodbye::Said
    }

    /// Gives own messages to the connection as far as window and channel have room.
    pub(crate) fn send_outbox(&self, link: &mut Link) {
        while link.open {
            let Some(message) = link.outbox.next_to_give() else { break };
            let given = link.client.try_publish(
                message.topic.as_str(),
                QoS::AtLeastOnce,
                message.retain,
                message.payload.clone(),
            );
            if given.is_err() {
                link.outbox.not_given();
                break;
            }
        }
        self.stats.outbox_len.store(link.outbox.len(), Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("stats", &self.stats).finish_non_exhaustive()
    }
}
