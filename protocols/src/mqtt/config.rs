//! What an operator sets for one broker.

use std::time::Duration;

use rumqttc::NetworkOptions;
use rumqttc::v5::MqttOptions;

/// A larger `packet_bytes_max` is refused, in bytes.
pub const PACKET_BYTES_HARD_MAX: u32 = 16 << 20;

/// One broker and what is wanted from it.
#[derive(Clone, Debug)]
pub struct MqttConfig {
    pub host: String,
    pub port: u16,
    /// Unique per instance: two clients with one id take each other over for ever.
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub subscriptions: Vec<Subscription>,
    /// Messages in flight towards us. Rate <= `receive_maximum` / (commit + round trip).
    pub receive_maximum: u16,
    /// Announced to the broker, which drops larger messages. 4 MiB, so that a message beyond the
    /// decoders' limit still arrives and is kept as a dead letter.
    pub packet_bytes_max: u32,
    /// The broker keeps our session this long, in seconds: at least the longest planned outage.
    pub session_expiry_s: u32,
    /// At least 5 s.
    pub keep_alive_s: u16,
    /// Messages between the connection and the head-end's core. When full, reading stops.
    pub queue_max: usize,
    /// Payload bytes between the connection and the head-end's core. When exceeded, reading stops.
    pub queue_bytes_max: usize,
    /// First delay of the reconnect back-off, in milliseconds; doubles to 60 s. The first attempt
    /// is quick (100 ms), since most losses are a restart of the broker.
    pub reconnect_first_ms: u64,
    /// Acknowledgements leave at once instead of waiting for company. Costs CPU under load; pays
    /// with a broker that sends little and waits for each acknowledgement.
    pub tcp_nodelay: bool,
}

/// A topic filter; `$share/GROUP/FILTER` is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    pub filter: String,
    /// False asks for QoS 0, which may lose messages.
    pub qos1: bool,
}

/// A setting that cannot work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MqttConfigError {
    #[error("mqtt client_id is empty: give each instance its own, for example headend-1")]
    ClientIdEmpty,
    #[error("mqtt host is empty: write the broker's name or address")]
    HostEmpty,
    #[error("mqtt keep_alive of {0} s is too short: write 5 s or more")]
    KeepAlive(u16),
    #[error("mqtt receive_maximum is 0: write 1 to 65535, for example 1000")]
    ReceiveMaximum,
    #[error("mqtt packet_bytes_max of {0} exceeds {PACKET_BYTES_HARD_MAX} (16 MiB)")]
    PacketBytes(u32),
    #[error("`{0}` is no topic filter: `#` stands alone and last, `+` alone in its level")]
    Filter(String),
    #[error("mqtt queue_max is 0: write 1 or more, for example 2000")]
    Queue,
}

impl MqttConfig {
    pub fn new(host: &str, port: u16, client_id: &str) -> Self {
        Self {
            host: host.to_owned(),
            port,
            client_id: client_id.to_owned(),
            username: None,
            password: None,
            subscriptions: Vec::new(),
            receive_maximum: 1_000,
            packet_bytes_max: 4 << 20,
            session_expiry_s: 86_400,
            keep_alive_s: 30,
            queue_max: 2_000,
            queue_bytes_max: 64 << 20,
            reconnect_first_ms: 100,
            tcp_nodelay: false,
        }
    }

    /// Adds a subscription with QoS 1.
    #[must_use]
    pub fn subscribed(mut self, filter: &str) -> Self {
        self.subscriptions.push(Subscription { filter: filter.to_owned(), qos1: true });
        self
    }

    /// # Errors
    /// [`MqttConfigError`] names the first setting that cannot work.
    pub fn check(&self) -> Result<(), MqttConfigError> {
        if self.client_id.is_empty() {
            return Err(MqttConfigError::ClientIdEmpty);
        }
        if self.host.is_empty() {
            return Err(MqttConfigError::HostEmpty);
        }
        if self.keep_alive_s < 5 {
            return Err(MqttConfigError::KeepAlive(self.keep_alive_s));
        }
        if self.receive_maximum == 0 {
            return Err(MqttConfigError::ReceiveMaximum);
        }
        if self.packet_bytes_max > PACKET_BYTES_HARD_MAX {
            return Err(MqttConfigError::PacketBytes(self.packet_bytes_max));
        }
        if self.queue_max == 0 {
            return Err(MqttConfigError::Queue);
        }
        let faulty = self.subscriptions.iter().find(|s| !filter_is_valid(&s.filter));
        faulty.map_or(Ok(()), |s| Err(MqttConfigError::Filter(s.filter.clone())))
    }

    /// Acknowledgements, subscriptions and publishes share this channel to the connection.
    pub(crate) fn request_capacity(&self) -> usize {
        usize::from(self.receive_maximum) * 2 + self.subscriptions.len() + 500
    }

    pub(crate) fn options(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&self.client_id, &self.host, self.port);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(self.tcp_nodelay);
        options.set_network_options(network);
        options
            .set_keep_alive(Duration::from_secs(u64::from(self.keep_alive_s.max(5))))
            .set_clean_start(false)
            .set_session_expiry_interval(Some(self.session_expiry_s))
            .set_manual_acks(true)
            .set_receive_maximum(Some(self.receive_maximum.max(1)))
            // Explicit: the library's default of 10 KiB makes a poison message.
            .set_max_packet_size(Some(self.packet_bytes_max.min(PACKET_BYTES_HARD_MAX)));
        if let Some(username) = &self.username {
            options.set_credentials(username, self.password.as_deref().unwrap_or(""));
        }
        options
    }
}

/// MQTT 5 section 4.7.1: wildcards occupy whole levels, `#` the last one.
pub(crate) fn filter_is_valid(filter: &str) -> bool {
    let levels = filter.split('/').count();
    !filter.is_empty()
        && filter.len() <= 65_535
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(|(n, level)| match level {
            "#" => n + 1 == levels,
            "+" => true,
            level => !level.contains(['#', '+']),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_settings_are_named() {
        let good = MqttConfig::new("broker", 1883, "headend-1").subscribed("ami/up/#");
        assert_eq!(good.check(), Ok(()));
        let mut bad = good.clone();
        bad.client_id.clear();
        assert_eq!(bad.check(), Err(MqttConfigError::ClientIdEmpty));
        let bad = MqttConfig { keep_alive_s: 4, ..good.clone() };
        assert_eq!(bad.check(), Err(MqttConfigError::KeepAlive(4)));
        let bad = MqttConfig { packet_bytes_max: 17 << 20, ..good.clone() };
        assert!(bad.check().is_err());
        assert!(good.clone().subscribed("a/#/b").check().is_err());
        assert!(good.clone().subscribed("a/b+").check().is_err());
        assert!(good.subscribed("$share/g/a/+/b/#").check().is_ok());
    }
}
