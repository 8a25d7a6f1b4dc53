//! `[mqtt]`: the broker, and which topics carry what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use protocols::mapping::Preset;
use protocols::{DecodeOptions, Format, Mapping};

use super::environment::Environment;
use super::fault::Fault;
use super::keys::SUBSCRIPTIONS;
use super::layers::{Setting, Table};
use super::reader::{Reader, bool_of, text_of, whole_of, within};
use super::sections::zone;

/// `[mqtt]`.
#[derive(Clone, Debug)]
pub struct MqttConfig {
    pub url: BrokerUrl,
    /// Unique for each head-end at the broker.
    pub client_id: String,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub receive_maximum: u16,
    pub packet_bytes_max: u32,
    pub session_expiry: Duration,
    pub subscriptions: Vec<SubscriptionConfig>,
}

/// Where the broker listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerUrl {
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
}

/// `[[mqtt.subscriptions]]`: topics whose payloads have one format.
#[derive(Clone, Debug)]
pub struct SubscriptionConfig {
    pub filter: String,
    pub format: Format,
    /// Zone of time stamps that name none.
    pub zone: Option<TimeZone>,
    /// Level of the topic, from 1, that names the collector; `None`: the payload does.
    pub collector_level: Option<u8>,
    /// The operator's description of the payloads, from a file or shipped.
    pub mapping: Option<Arc<Mapping>>,
    /// What else its decoder obeys.
    pub options: DecodeOptions,
}

impl SubscriptionConfig {
    /// What a new installation listens to: bundles on `ami/up/#`.
    pub fn bundles() -> Self {
        Self {
            filter: "ami/up/#".to_owned(),
            format: Format::Bundle,
            zone: None,
            collector_level: None,
            mapping: None,
            options: DecodeOptions::default(),
        }
    }

    /// The level of `topic` that names the collector.
    pub fn collector<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let level = usize::from(self.collector_level?);
        topic.split('/').nth(level - 1).filter(|name| !name.is_empty())
    }
}

impl MqttConfig {
    pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Self {
        let credential = || environment.credential("mqtt_password");
        let hour = Duration::from_secs(3_600);
        let url = reader.parsed("mqtt.url", broker_url);
        let client_id = reader.text("mqtt.client_id");
        if client_id.is_empty() {
            reader.fault("mqtt.client_id", "is empty: the broker keeps a session by this name");
        }
        let expiry = Duration::ZERO..=hour * 24 * 365;
        Self {
            url: url.unwrap_or_else(|| BrokerUrl { host: "127.0.0.1".to_owned(), port: 1883 }),
            client_id,
            username: reader.optional_text("mqtt.username"),
            password_file: reader.path("mqtt.password_file").or_else(credential),
            receive_maximum: reader.whole("mqtt.receive_maximum", 1..=u16::MAX),
            packet_bytes_max: u32::try_from(reader.size("mqtt.packet_bytes_max", 1024..=16 << 20))
                .unwrap_or(u32::MAX),
            session_expiry: reader.duration("mqtt.session_expiry", expiry),
            subscriptions: subscriptions(reader),
        }
    }
}

fn subscriptions(reader: &mut Reader<'_>) -> Vec<SubscriptionConfig> {
    let Some(tables) = reader.tables(SUBSCRIPTIONS) else {
        return vec![SubscriptionConfig::bundles()];
    };
    let mut read: Vec<SubscriptionConfig> = Vec::new();
    for table in tables {
        let one = subscription(table, &mut reader.faults);
        if read.iter().any(|before| before.filter == one.filter) {
            let what = format!("{SUBSCRIPTIONS}: the filter {} stands twice", one.filter);
            reader.faults.push(Fault::new(&table.origin, what));
        }
        read.push(one);
    }
    read
}

fn subscription(table: &Table, faults: &mut Vec<Fault>) -> SubscriptionConfig {
    let mut fault = |setting: Option<&Setting>, what: String| {
        let origin = setting.map_or(&table.origin, |setting| &setting.origin);
        faults.push(Fault::new(origin, format!("{SUBSCRIPTIONS}: {what}")));
    };
    let mut one = SubscriptionConfig::bundles();
    match table.fields.get("filter") {
        None => fault(None, "filter is missing: write filter = \"ami/up/#\"".to_owned()),
        some @ Some(setting) => match text_of(setting).and_then(topic_filter) {
            Ok(filter) => one.filter = filter,
            Err(what) => fault(some, format!("filter: {what}")),
        },
    }
    match table.fields.get("format") {
        None => fault(None, "format is missing: write format = \"bundle\"".to_owned()),
        some @ Some(setting) => {
            let parsed = text_of(setting)
                .and_then(|text| text.parse::<Format>().map_err(|error| error.to_string()));
            match parsed {
                Ok(format) => one.format = format,
                Err(what) => fault(some, format!("format: {what}")),
            }
        }
    }
    if let some @ Some(setting) = table.fields.get("zone") {
        match text_of(setting) {
            Ok("") => {}
            text => match text.and_then(zone) {
                Ok(zone) => one.zone = Some(zone),
                Err(what) => fault(some, format!("zone: {what}")),
            },
        }
    }
    if let some @ Some(setting) = table.fields.get("collector_level") {
        match whole_of(setting).and_then(|level| within(level, &(0..=32_u8))) {
            Ok(level) => one.collector_level = (level > 0).then_some(level),
            Err(what) => fault(some, format!("collector_level: {what}")),
        }
    }
    match table.fields.get("mapping") {
        some @ Some(setting) => match mapping(setting) {
            Ok(mapping) => one.mapping = mapping,
            Err(what) => fault(some, format!("mapping: {what}")),
        },
        None if one.format == Format::Mapping => {
            let what = "mapping is missing: write the name of a file or of a shipped mapping \
                        (`headend protocols list`)";
            fault(table.fields.get("format"), what.to_owned());
        }
        None => {}
    }
    share(table, &mut one, &mut fault);
    options(table, &mut one.options, &mut fault);
    if one.format == Format::Tasmota && one.zone.is_none() {
        let what = "zone is missing: Tasmota's stamps are local, write zone = \"Europe/Berlin\"";
        fault(table.fields.get("format"), what.to_owned());
    }
    one
}

type Complain<'f> = dyn FnMut(Option<&Setting>, String) + 'f;

/// Members of a group share the messages: each goes to one of them.
fn share(table: &Table, one: &mut SubscriptionConfig, fault: &mut Complain<'_>) {
    let Some(setting) = table.fields.get("share") else { return };
    match text_of(setting) {
        Ok("") => {}
        Ok(group) if group.contains(['/', '+', '#', '\0']) => {
            fault(Some(setting), format!("share: `{group}` is no group: letters and digits"));
        }
        Ok(_) if one.filter.starts_with("$share/") => {
            fault(Some(setting), "share: the filter names a group already".to_owned());
        }
        Ok(group) => one.filter = format!("$share/{group}/{}", one.filter),
        Err(what) => fault(Some(setting), format!("share: {what}")),
    }
}

fn options(table: &Table, options: &mut DecodeOptions, fault: &mut Complain<'_>) {
    let mut read = |name: &str, take: &mut dyn FnMut(&Setting) -> Result<(), String>| {
        if let some @ Some(setting) = table.fields.get(name)
            && let Err(what) = take(setting)
        {
            fault(some, format!("{name}: {what}"));
        }
    };
    read("device_level", &mut |setting| {
        let level = within(whole_of(setting)?, &(0..=32_u8))?;
        options.device_level = (level > 0).then_some(level);
        Ok(())
    });
    read("crc", &mut |setting| {
        options.crc = text_of(setting)?.parse()?;
        Ok(())
    });
    read("tariffs", &mut |setting| {
        options.tariffs = text_of(setting)?.parse()?;
        Ok(())
    });
    read("accept_simulated", &mut |setting| {
        options.accept_simulated = bool_of(setting)?;
        Ok(())
    });
}

/// A file beside the configuration, or the name of a shipped mapping.
fn mapping(setting: &Setting) -> Result<Option<Arc<Mapping>>, String> {
    let name = text_of(setting)?;
    if name.is_empty() {
        return Ok(None);
    }
    if let Some(preset) = Preset::find(name) {
        return Ok(preset.mapping().map(Arc::new));
    }
    let path = setting.origin.resolve(name);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!("`{name}` is no shipped mapping, and {} cannot be read: {error}", path.display())
    })?;
    let read = Mapping::parse(&text).map_err(|faults| {
        format!("{}: {}", path.display(), faults.to_string().replace('\n', "; "))
    })?;
    Ok(Some(Arc::new(read)))
}

/// MQTT 5.0, section 4.7.1: `#` is the last level, `+` a whole one.
fn topic_filter(text: &str) -> Result<String, String> {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    let good = |(at, level): (usize, &&str)| {
        !level.contains(['#', '+']) || *level == "+" || (*level == "#" && at == last)
    };
    if text.is_empty() || text.contains('\0') || !levels.iter().enumerate().all(good) {
        return Err(format!("`{text}` is no topic filter: `+` is a whole level, `#` the last one"));
    }
    Ok(text.to_owned())
}

fn broker_url(text: &str) -> Result<BrokerUrl, String> {
    let refuse = || format!("`{text}` is no broker: write mqtt://host or mqtt://host:1883");
    if text.starts_with("mqtts://") || text.starts_with("ssl://") {
        return Err(
            "TLS is not in this build: let a tunnel or a broker bridge on this host carry \
                    it and write mqtt://127.0.0.1:1883"
                .to_owned(),
        );
    }
    let rest = text.strip_prefix("mqtt://").or_else(|| text.strip_prefix("tcp://"));
    let authority = rest.ok_or_else(refuse)?.trim_end_matches('/');
    if authority.contains('@') {
        return Err("the URL names a user; write mqtt.username and mqtt.password_file".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, "1883"),
        Some((host, port)) => (host, port.strip_prefix(':').ok_or_else(refuse)?),
        None => authority.split_once(':').unwrap_or((authority, "1883")),
    };
    let port = port.parse().map_err(|_| refuse())?;
    if host.is_empty() || host.contains(['/', '?', '#', ' ']) || port == 0 {
        return Err(refuse());
    }
    Ok(BrokerUrl { host: host.to_owned(), port })
}

impl std::str::FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        broker_url(text)
    }
}

impl std::fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "mqtt://{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_and_refused() {
        for (text, want) in [
            ("mqtt://broker", "mqtt://broker:1883"),
            ("mqtt://10.0.0.1:2883/", "mqtt://10.0.0.1:2883"),
            ("mqtt://[::1]:1884", "mqtt://[::1]:1884"),
        ] {
            assert_eq!(broker_url(text).unwrap().to_string(), want);
        }
        for text in ["broker", "mqtt://", "mqtt://h:0", "mqtt://u:p@h", "mqtts://h", "mqtt://h:x"] {
            assert!(broker_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_and_collector_levels() {
        for text in ["ami/up/#", "+/a/#", "#", "a//b"] {
            assert!(topic_filter(text).is_ok(), "{text}");
        }
        for text in ["", "a/#/b", "a#", "a+/b"] {
            assert!(topic_filter(text).is_err(), "{text}");
        }
        let one = SubscriptionConfig { collector_level: Some(2), ..SubscriptionConfig::bundles() };
        assert_eq!(one.collector("amr/C-01/rtlamr"), Some("C-01"));
        assert_eq!(one.collector("amr"), None);
    }
}
