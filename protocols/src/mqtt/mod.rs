//! MQTT 5 client side: what the broker delivers, and the duty to acknowledge it (`protocols.md` 2).
//!
//! [`config`] is what an operator sets; [`state`] is the pure ledger of acknowledgements;
//! [`guard`] hands a duty to whoever stores the message; the driver owns the connection;
//! [`source`] is the handle of the head-end. Rule A: a message is acknowledged after it was
//! committed, in arrival order, on the connection that brought it.

mod backoff;
pub mod config;
mod driver;
pub mod guard;
mod outbox;
mod reconnect;
pub mod source;
pub mod state;
pub mod stats;
#[cfg(test)]
mod tests;
mod topics;

pub use config::{MqttConfig, MqttConfigError, Subscription};
pub use guard::{AckGuard, Resolution, resolve_all};
pub use outbox::PublishError;
pub use source::{ArrivalClock, MqttPublisher, MqttSource, RawFrame};
pub use stats::MqttStats;
