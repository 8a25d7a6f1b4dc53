//! Counters of one broker connection, read by telemetry and by tests.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// All counters only rise, except the gauges `queue_len`, `queue_bytes`, `outstanding` and `epoch`.
#[derive(Debug, Default)]
pub struct MqttStats {
    /// PUBLISH packets received.
    pub received: AtomicU64,
    /// Of these, sent again by the broker (dup).
    pub redelivered: AtomicU64,
    /// Acknowledgements handed to the connection.
    pub acked: AtomicU64,
    /// Acknowledgements of an older connection, dropped.
    pub ack_refused_stale: AtomicU64,
    /// Connections lost or refused.
    pub reconnects: AtomicU64,
    /// CONNACKs so far.
    pub epoch: AtomicU64,
    pub connected: AtomicBool,
    /// All subscriptions of the current connection were granted.
    pub subscribed: AtomicBool,
    /// Packets beyond `packet_bytes_max` that the broker sent nevertheless.
    pub oversized_errors: AtomicU64,
    /// Messages between the connection and the core.
    pub queue_len: AtomicUsize,
    /// Payload bytes between the connection and the core.
    pub queue_bytes: AtomicUsize,
    /// QoS 1 messages of this connection that are not acknowledged.
    pub outstanding: AtomicUsize,
    /// Reconnects on which the broker had lost our session: messages may be missing.
    pub possible_gaps: AtomicU64,
    /// Subscriptions that the broker refused or granted with less than asked.
    pub suback_failures: AtomicU64,
    /// QoS 0 messages dropped because the queue was full.
    pub dropped_qos0: AtomicU64,
    /// Guards dropped without a resolution; must stay 0.
    pub guards_dropped: AtomicU64,
    /// Messages left with the broker at a stop.
    pub abandoned: AtomicU64,
    /// Times that reading stopped because the queue was full.
    pub queue_full: AtomicU64,
    /// Another client took our client id over (0x8E).
    pub client_id_conflicts: AtomicU64,
    /// Own messages that the broker acknowledged.
    pub published: AtomicU64,
    /// Own messages waiting to be sent or acknowledged.
    pub outbox_len: AtomicUsize,
    /// Times that a stuck connection was replaced by the watchdog.
    pub rebuilt: AtomicU64,
}

impl MqttStats {
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Relaxed)
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
