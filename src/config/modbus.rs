//! `[modbus]`: meters that are asked, behind their gateways.

use std::path::PathBuf;
use std::time::Duration;

use protocols::modbus::frame::Framing;
use protocols::modbus::serial::Parity;

use super::fault::Fault;
use super::keys::{GATEWAYS, UNITS};
use super::layers::{Setting, Table};
use super::reader::{Reader, text_of, whole_of, within};
use super::value::parse_duration;

/// Devices on a bus have 1 to 247 (Serial Line V1.02, 2.2); over TCP gateways answer themselves at 0
/// and 255.
const UNIT_MAX: u8 = 255;

/// `[modbus]`.
#[derive(Clone, Default, Debug)]
pub struct ModbusConfig {
    /// Where profiles of one's own are.
    pub profiles: Option<PathBuf>,
    pub gateways: Vec<GatewayConfig>,
}

/// `[[modbus.gateways]]` with its `[[modbus.units]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayConfig {
    pub name: String,
    pub address: GatewayAddress,
    pub collector: Option<String>,
    pub timeout: Option<Duration>,
    pub baud: u32,
    pub parity: Parity,
    pub stop_bits: u8,
    pub units: Vec<UnitConfig>,
}

/// How a gateway is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GatewayAddress {
    Tcp { host: String, port: u16, framing: Framing },
    Serial(PathBuf),
}

/// `[[modbus.units]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitConfig {
    pub unit: u8,
    pub profile: String,
    pub every: Duration,
    /// What the device is called.
    pub source: String,
}

impl GatewayAddress {
    /// A unit that nobody behind this address can be.
    ///
    /// # Errors
    /// What is wrong: 0 on a bus, which is for all devices, so that none answers (Serial Line V1.02,
    /// 2.1).
    pub fn check_unit(&self, unit: u8) -> Result<(), String> {
        let is_bus = !matches!(self, Self::Tcp { framing: Framing::Tcp, .. });
        if is_bus && unit == 0 {
            return Err(
                "unit 0 is the broadcast of a bus, which no device answers: a bus has 1 to \
                        247, only Modbus TCP (tcp://) has a unit 0"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl GatewayConfig {
    /// A gateway with the standard's settings and no units.
    pub fn new(name: &str, address: GatewayAddress) -> Self {
        Self {
            name: name.to_owned(),
            address,
            collector: None,
            timeout: None,
            baud: 19_200,
            parity: Parity::Even,
            stop_bits: 1,
            units: Vec::new(),
        }
    }
}

impl ModbusConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let profiles = reader.path("modbus.profiles");
        let mut gateways: Vec<GatewayConfig> = Vec::new();
        for table in reader.tables(GATEWAYS).unwrap_or_default() {
            let one = gateway(&Fields { list: GATEWAYS, table }, &mut reader.faults);
            if gateways.iter().any(|before| before.name == one.name) {
                let what = format!("{GATEWAYS}: the name {} stands twice", one.name);
                reader.faults.push(Fault::new(&table.origin, what));
            }
            gateways.push(one);
        }
        for table in reader.tables(UNITS).unwrap_or_default() {
            unit(&Fields { list: UNITS, table }, &mut gateways, &mut reader.faults);
        }
        Self { profiles, gateways }
    }
}

/// One table's fields, each read or told to be wrong.
struct Fields<'a> {
    list: &'static str,
    table: &'a Table,
}

impl Fields<'_> {
    fn read<T>(
        &self,
        name: &str,
        faults: &mut Vec<Fault>,
        read: impl FnOnce(&Setting) -> Result<T, String>,
    ) -> Option<T> {
        let setting = self.table.fields.get(name)?;
        match read(setting) {
            Ok(value) => Some(value),
            Err(what) => {
                let what = format!("{}: {name}: {what}", self.list);
                faults.push(Fault::new(&setting.origin, what));
                None
            }
        }
    }

    /// As [`Fields::read`], of a text that may be empty for "not set".
    fn text<T>(
        &self,
        name: &str,
        faults: &mut Vec<Fault>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(name, faults, |setting| match text_of(setting)? {
            "" => Ok(None),
            text => read(text).map(Some),
        })
        .flatten()
    }

    fn must(&self, name: &str, example: &str, faults: &mut Vec<Fault>) {
        if !self.table.fields.contains_key(name) {
            let what = format!("{}: {name} is missing: write {name} = {example}", self.list);
            faults.push(Fault::new(&self.table.origin, what));
        }
    }
}

fn gateway(fields: &Fields<'_>, faults: &mut Vec<Fault>) -> GatewayConfig {
    fields.must("name", "\"gw1\"", faults);
    fields.must("address", "\"tcp://192.0.2.7:502\"", faults);
    let name = fields.text("name", faults, short_name).unwrap_or_default();
    let nowhere = GatewayAddress::Serial(PathBuf::new());
    let address = fields.text("address", faults, str::parse).unwrap_or(nowhere);
    let mut one = GatewayConfig::new(&name, address);
    one.collector = fields.text("collector", faults, |text| Ok(text.to_owned()));
    one.timeout = fields.text("timeout", faults, |text| {
        let timeout = parse_duration(text).map_err(|error| error.to_string())?;
        let sane = Duration::from_millis(50)..=Duration::from_secs(60);
        sane.contains(&timeout).then_some(timeout).ok_or_else(|| "write 50ms to 60s".to_owned())
    });
    if let Some(baud) = fields.read("baud", faults, |setting| {
        whole_of(setting).and_then(|baud| within(baud, &(300..=1_000_000_u32)))
    }) {
        one.baud = baud;
    }
    if let Some(parity) = fields.text("parity", faults, str::parse) {
        one.parity = parity;
    }
    if let Some(bits) = fields.read("stop_bits", faults, |setting| {
        whole_of(setting).and_then(|bits| within(bits, &(1..=2_u8)))
    }) {
        one.stop_bits = bits;
    }
    one
}

fn unit(fields: &Fields<'_>, gateways: &mut [GatewayConfig], faults: &mut Vec<Fault>) {
    fields.must("gateway", "\"gw1\"", faults);
    fields.must("unit", "1", faults);
    fields.must("profile", "\"eastron-sdm630\"", faults);
    let unit = fields.read("unit", faults, |setting| {
        whole_of(setting).and_then(|unit| within(unit, &(0..=UNIT_MAX)))
    });
    let profile = fields.text("profile", faults, |text| Ok(text.to_owned()));
    let every = fields.text("every", faults, |text| {
        let every = parse_duration(text).map_err(|error| error.to_string())?;
        let sane = Duration::from_secs(1)..=Duration::from_secs(86_400);
        let good = sane.contains(&every) && every.subsec_nanos() == 0;
        good.then_some(every).ok_or_else(|| "write whole seconds, 1s to 1d".to_owned())
    });
    let source = fields.text("source", faults, |text| match text.split_once(':') {
        Some((family, id)) if !family.is_empty() && !id.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no family:id")),
    });
    let name = fields.text("gateway", faults, |text| Ok(text.to_owned()));
    let (Some(unit), Some(profile), Some(name)) = (unit, profile, name) else { return };
    let mut fault = |what: String| {
        faults.push(Fault::new(&fields.table.origin, format!("{UNITS}: {what}")));
    };
    let Some(gateway) = gateways.iter_mut().find(|gateway| gateway.name == name) else {
        return fault(format!("there is no [[{GATEWAYS}]] with name = \"{name}\""));
    };
    if gateway.units.iter().any(|before| before.unit == unit) {
        return fault(format!("unit {unit} stands twice behind {name}"));
    }
    if let Err(what) = gateway.address.check_unit(unit) {
        return fault(what);
    }
    gateway.units.push(UnitConfig {
        unit,
        profile,
        every: every.unwrap_or(Duration::from_secs(900)),
        source: source.unwrap_or_else(|| format!("modbus:{name}/{unit}")),
    });
}

fn short_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.len() <= 40 && text.chars().all(good) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}`: write up to 40 letters, digits, `-`, `_` and `.`"))
    }
}

impl std::str::FromStr for GatewayAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!(
                "`{text}` is no gateway: write tcp://HOST:502 (Modbus TCP), rtutcp://HOST:PORT \
                 (RTU inside TCP) or /dev/ttyUSB0"
            )
        };
        if text.starts_with('/') {
            return Ok(Self::Serial(PathBuf::from(text)));
        }
        let (framing, authority) = match text.split_once("://") {
            Some(("tcp", rest)) => (Framing::Tcp, rest),
            Some(("rtutcp", rest)) => (Framing::Rtu, rest),
            _ => return Err(refuse()),
        };
        let authority = authority.trim_end_matches('/');
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, "502"),
            Some((host, port)) => (host, port.strip_prefix(':').ok_or_else(refuse)?),
            None => authority.rsplit_once(':').unwrap_or((authority, "502")),
        };
        let port = port.parse().map_err(|_| refuse())?;
        if host.is_empty() || host.contains(['/', '?', '#', ' ', '@']) || port == 0 {
            return Err(refuse());
        }
        Ok(Self::Tcp { host: host.to_owned(), port, framing })
    }
}

impl std::fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port, framing } => {
                let scheme = if *framing == Framing::Rtu { "rtutcp" } else { "tcp" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, want) in [
            ("tcp://10.0.0.7", "tcp://10.0.0.7:502"),
            ("rtutcp://gw.example:4001/", "rtutcp://gw.example:4001"),
            ("tcp://[::1]:1502", "tcp://[::1]:1502"),
            ("/dev/ttyUSB0", "/dev/ttyUSB0"),
        ] {
            assert_eq!(text.parse::<GatewayAddress>().unwrap().to_string(), want);
        }
        for text in ["10.0.0.7:502", "udp://h:1", "tcp://", "tcp://h:0", "tcp://h:x", "tcp://u@h:1"]
        {
            assert!(text.parse::<GatewayAddress>().is_err(), "{text}");
        }
    }
}
