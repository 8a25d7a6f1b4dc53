//! What the end of a connection means, and how long to wait before the next one.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::Error as MqttError;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use rumqttc::v5::{ConnectionError, StateError};

use super::backoff::Backoff;
use super::config::MqttConfig;
use super::stats::{MqttStats, count};

/// After 0x8E another instance runs with our client id; to return at once would take it over.
const CONFLICT_PAUSE: Duration = Duration::from_secs(30);
/// Connections in a row that the broker closed before any message: another client may use our id.
const FRUITLESS_ALARM: u32 = 3;
/// Oversized packets in a row that raise an alarm: a broker that ignores our limit.
const OVERSIZED_ALARM: u32 = 3;

/// The history of one broker's connections, as far as it decides the next delay.
#[derive(Debug)]
pub(crate) struct Reconnect {
    client_id: String,
    stats: Arc<MqttStats>,
    backoff: Backoff,
    oversized_in_a_row: u32,
    /// The connection brought a message or took one of ours.
    progress: bool,
    /// Connections in a row that the broker closed before any progress.
    fruitless: u32,
}

impl Reconnect {
    pub(crate) fn new(config: &MqttConfig, stats: Arc<MqttStats>) -> Self {
        Self {
            client_id: config.client_id.clone(),
            stats,
            backoff: Backoff::new(config.reconnect_first_ms, &config.client_id),
            oversized_in_a_row: 0,
            progress: false,
            fruitless: 0,
        }
    }

    pub(crate) fn connected(&mut self) {
        self.progress = false;
    }

    /// Only now the short delay is earned: a broker that lets us in and throws us out at once must
    /// not be called ten times a second.
    pub(crate) fn progressed(&mut self) {
        if !self.progress {
            self.progress = true;
            self.fruitless = 0;
            self.backoff.reset();
        }
    }

    pub(crate) fn pause_after(&mut self, error: &ConnectionError) -> Duration {
        let pause = self.backoff.next();
        match error {
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            }) => {
                count(&self.stats.client_id_conflicts);
                tracing::error!(
                    client_id = self.client_id,
                    "Another client took our client id over; give each instance its own."
                );
                return CONFLICT_PAUSE;
            }
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code,
                reason_string,
            }) => tracing::warn!(
                reason = ?reason_code,
                text = reason_string.as_deref().unwrap_or(""),
                "The broker ended the connection."
            ),
            ConnectionError::MqttState(
                StateError::IncomingPacketTooLarge { .. }
                | StateError::Deserialization(MqttError::PayloadSizeLimitExceeded { .. }),
            ) => {
                count(&self.stats.oversized_errors);
                self.oversized_in_a_row += 1;
                let text = error.to_string();
                if self.oversized_in_a_row >= OVERSIZED_ALARM {
                    tracing::error!(
                        text,
                        "The broker sends packets above packet_bytes_max; raise it (16 MiB at most)."
                    );
                } else {
                    tracing::warn!(text, "A packet above packet_bytes_max ended the connection.");
                }
                let doublings = self.oversized_in_a_row.min(7);
                return pause.max(Duration::from_millis(500 << (doublings - 1)));
            }
            ConnectionError::ConnectionRefused(code) => {
                tracing::error!(code = ?code, "The broker refused us; check user, password and rights.");
            }
            ConnectionError::MqttState(
                StateError::ConnectionAborted
                | StateError::Io(_)
                | StateError::Deserialization(MqttError::Io(_)),
            ) if !self.progress => {
                self.fruitless += 1;
                if self.fruitless == FRUITLESS_ALARM {
                    count(&self.stats.client_id_conflicts);
                    tracing::error!(
                        client_id = self.client_id,
                        "The broker closes our connections at once; does another client use our id?"
                    );
                } else {
                    tracing::warn!("The broker closed the connection before any message.");
                }
            }
            other => tracing::warn!(text = other.to_string(), "The connection was lost."),
        }
        self.oversized_in_a_row = 0;
        pause
    }
}
