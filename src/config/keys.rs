//! Every key of the configuration: its default, its unit and one sentence. `config sample` prints
//! this table; a test compares it with what the section structs read.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`.
    pub path: &'static str,
    /// As it is written in the file.
    pub default: &'static str,
    /// What the value is.
    pub unit: &'static str,
    pub about: &'static str,
}

const fn key(
    path: &'static str,
    default: &'static str,
    unit: &'static str,
    about: &'static str,
) -> Key {
    Key { path, default, unit, about }
}

/// Prefix of the free table of PostgreSQL settings.
pub const SETTINGS: &str = "embedded.settings.";
/// The list of topics.
pub const SUBSCRIPTIONS: &str = "mqtt.subscriptions";

/// The gateways to Modbus units.
pub const GATEWAYS: &str = "modbus.gateways";
/// The Modbus units behind them.
pub const UNITS: &str = "modbus.units";

/// Every list of tables with the keys of one table.
pub const LISTS: &[(&str, &[Key])] =
    &[(SUBSCRIPTIONS, SUBSCRIPTION_KEYS), (GATEWAYS, GATEWAY_KEYS), (UNITS, UNIT_KEYS)];

/// The keys of a list's tables; `None` when it is no list.
pub(crate) fn list_keys(path: &str) -> Option<&'static [Key]> {
    LISTS.iter().find(|(list, _)| *list == path).map(|(_, keys)| *keys)
}

/// In the order of the sample.
pub const KEYS: &[Key] = &[
    key("utility.name", "\"Utility\"", "text", "Name of the utility, in page heads and exports."),
    key(
        "utility.zone",
        "\"UTC\"",
        "IANA zone",
        "Zone of local days where a usage point names none.",
    ),
    key(
        "data.dir",
        "\"data\"",
        "directory",
        "Where the private database lives. As a service: /var/lib/headend.",
    ),
    key(
        "database.url",
        "\"\"",
        "postgresql:// URL",
        "Your PostgreSQL; empty: the program runs a private server in data.dir.",
    ),
    key(
        "database.password_file",
        "\"\"",
        "file",
        "Password for database.url; empty: credential db_password, or none.",
    ),
    key("database.pool_max", "16", "connections", "Most connections that the program opens."),
    key(
        "database.statement_timeout",
        "\"30s\"",
        "duration",
        "A question of a page or verb that takes longer is cancelled.",
    ),
    key(
        "embedded.user",
        "\"\"",
        "account",
        "Account for the private server when started as root; empty: postgres, else nobody.",
    ),
    key(
        "ingest.batch_rows_max",
        "10000",
        "readings",
        "A transaction takes at most so many readings.",
    ),
    key(
        "ingest.batch_wait_max",
        "\"200ms\"",
        "duration",
        "A batch waits at most so long for more; it closes at once when the input is drained.",
    ),
    key("ingest.raw_keep", "\"90d\"", "duration", "Raw messages are kept so long; 0 keeps none."),
    key(
        "ingest.wmbus_keys_file",
        "\"\"",
        "file",
        "AES keys of Wireless M-Bus devices, one device a line: 8 digits, 32 hex digits.",
    ),
    key(
        "mqtt.url",
        "\"mqtt://127.0.0.1:1883\"",
        "mqtt:// URL",
        "The broker. TLS is not in this build: put a tunnel or a broker bridge between.",
    ),
    key(
        "mqtt.client_id",
        "\"headend-1\"",
        "text",
        "Name of the session at the broker; two head-ends never share one.",
    ),
    key("mqtt.username", "\"\"", "text", "User at the broker; empty: anonymous."),
    key(
        "mqtt.password_file",
        "\"\"",
        "file",
        "Password of mqtt.username; empty: credential mqtt_password, or none.",
    ),
    key(
        "mqtt.receive_maximum",
        "1000",
        "messages",
        "The broker sends at most so many messages ahead of our acknowledgements.",
    ),
    key("mqtt.packet_bytes_max", "\"4MiB\"", "size", "Longer packets are not sent by the broker."),
    key(
        "mqtt.session_expiry",
        "\"1d\"",
        "duration",
        "The broker keeps what arrives so long while the head-end is away.",
    ),
    key(
        "modbus.profiles",
        "\"\"",
        "directory",
        "Device profiles of your own, one .toml file each; empty: those that come with the program.",
    ),
    key(
        "files.inbox",
        "\"\"",
        "directory",
        "Files of readings dropped here are imported and moved to done or failed; empty: none.",
    ),
    key(
        "files.layouts",
        "\"\"",
        "directory",
        "Own layouts of files, NAME.toml; the inbox takes them in a folder of that name.",
    ),
    key(
        "files.mode",
        "\"file\"",
        "file|record",
        "file: one faulty record refuses its file; record: the others are taken.",
    ),
    key(
        "console.listen",
        "\"127.0.0.1:8080\"",
        "address:port",
        "Where pages and API are served; loopback only until operators can log in.",
    ),
    key(
        "rules.snapshot_every",
        "\"5m\"",
        "duration",
        "State of the rules is saved so often; a restart replays what came after.",
    ),
    key(
        "log.format",
        "\"auto\"",
        "auto|pretty|json",
        "auto is pretty on a terminal and JSON elsewhere.",
    ),
    key(
        "log.level",
        "\"info\"",
        "level or target=level list",
        "error, warn, info, debug or trace; for example info,headend::ingest=debug.",
    ),
];

/// Keys of one `[[mqtt.subscriptions]]` table; the default is an example here.
pub const SUBSCRIPTION_KEYS: &[Key] = &[
    key("filter", "\"ami/up/#\"", "MQTT topic filter", "Which topics."),
    key("format", "\"bundle\"", "see headend protocols list", "What their payloads are."),
    key(
        "zone",
        "\"\"",
        "IANA zone",
        "Zone of time stamps that name none; empty: such messages become dead letters.",
    ),
    key(
        "collector_level",
        "0",
        "topic level, from 1",
        "The level of the topic that names the collector; 0: the payload does.",
    ),
    key(
        "mapping",
        "\"\"",
        "file or shipped mapping",
        "Description of the payloads for format = \"mapping\", docs/mapping.md.",
    ),
    key(
        "share",
        "\"\"",
        "group name",
        "Head-ends of one group share the messages ($share/GROUP/FILTER); empty: each gets all.",
    ),
    key(
        "device_level",
        "0",
        "topic level, from 1",
        "The level of the topic that names the device, for tasmota, shelly, amsreader and p1; 0: \
         the format's own rule, docs/protocols.md.",
    ),
    key(
        "crc",
        "\"when_present\"",
        "when_present|required|optional",
        "P1: what a check sum must be; optional takes a wrong one, with suspect values.",
    ),
    key(
        "tariffs",
        "\"low_first\"",
        "low_first|high_first",
        "P1: what tariff 1 counts; low_first in the Netherlands, high_first in Belgium.",
    ),
    key("accept_simulated", "false", "true|false", "LoRaWAN: take messages of simulated devices."),
];

/// Keys of one `[[modbus.gateways]]` table; the default is an example here.
pub const GATEWAY_KEYS: &[Key] = &[
    key("name", "\"gw1\"", "text", "Short name; its units are modbus:NAME/UNIT."),
    key(
        "address",
        "\"tcp://192.0.2.7:502\"",
        "tcp://, rtutcp:// or /dev/",
        "Modbus TCP, RTU inside TCP, or a serial line such as /dev/ttyUSB0.",
    ),
    key("collector", "\"\"", "code", "The collector that it is in the asset model; empty: none."),
    key(
        "timeout",
        "\"\"",
        "duration",
        "An answer is waited for so long; empty: 1s, RTU 3s, or what the profile says.",
    ),
    key("baud", "19200", "bit/s", "Serial lines only: speed."),
    key("parity", "\"even\"", "none|even|odd", "Serial lines only: parity."),
    key("stop_bits", "1", "1 or 2", "Serial lines only: stop bits."),
];

/// Keys of one `[[modbus.units]]` table; the default is an example here.
pub const UNIT_KEYS: &[Key] = &[
    key("gateway", "\"gw1\"", "name", "Behind which gateway."),
    key("unit", "1", "address, 1 to 247 on a bus, 0 to 255 over TCP", "Its address."),
    key(
        "profile",
        "\"eastron-sdm630\"",
        "name",
        "What device it is: `headend modbus profiles` lists them.",
    ),
    key(
        "every",
        "\"15m\"",
        "duration",
        "Polled so often, at whole multiples of it on the clock, and up to 20 s later.",
    ),
    key("source", "\"\"", "family:id", "What the device is called; empty: modbus:GATEWAY/UNIT."),
];

/// The key whose path is nearest to `path`, when one is near enough to be meant.
pub(crate) fn nearest<'a>(path: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = among.map(|name| (distance(path, name), name)).min()?;
    (distance <= 2.max(path.len() / 3)).then_some(name)
}

/// Edit distance (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found() {
        let near = |path| nearest(path, KEYS.iter().map(|key| key.path));
        assert_eq!(near("ingest.batch_row_max"), Some("ingest.batch_rows_max"));
        assert_eq!(near("databse.url"), Some("database.url"));
        assert_eq!(near("wholly.different_thing"), None);
    }
}
