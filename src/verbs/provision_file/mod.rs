//! The provisioning file: CSV, one line for each channel of a meter. `docs/provisioning.md` says
//! the same for people; a test compares the columns.
//!
//! Columns may stand in any order; those that are not required may be left out. What is said of a
//! meter stands on its first line; on its other lines the same columns are empty or equal. A meter
//! is taken whole or not at all.

mod channel;
mod facts;
mod fields;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use metering::UtcTime;
use store::assets::{CollectorProvision, MeterProvision, ZoneProvision};

use fields::Line;
pub use write::write;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// What an empty cell means.
    pub default: &'static str,
    pub about: &'static str,
}

const fn column(name: &'static str, default: &'static str, about: &'static str) -> Column {
    Column { name, default, about }
}

/// All columns, in the order in which they are written. Default `required`: never empty.
#[rustfmt::skip] // one line each, as a table
pub const COLUMNS: &[Column] = &[
    column("meter", "required", "The utility's number of the meter."),
    column("serial", "none", "Serial number on the meter."),
    column("source", "ami:METER", "What the device calls itself on the wire, `FAMILY:ID` as the commissioning list says it: `ert:ID`, `wmbus:ID`, `ami:NAME`, `sparkplug:GROUP/NODE/DEVICE`, or as a live [mapping](mapping.md), a layout of [files](files.md) or a polled Modbus unit says; any other family is taken for a typing error. Several are separated by spaces."),
    column("commodity", "required", "`electricity`, `water`, `gas` or `heat`."),
    column("class", "residential", "`residential`, `small_commercial`, `large_commercial`, `multi_dwelling` or `municipal`."),
    column("address", "none", "Where the meter stands."),
    column("account", "none", "Number of the customer's account."),
    column("account_active", "yes", "`no` when nobody should be using anything there."),
    column("utility", "[utility] name", "Whose meter it is."),
    column("zone", "none", "Network zone: pressure zone, feeder, district."),
    column("route", "none", "Reading route."),
    column("transformer", "none", "Transformer that feeds the meter; needs `zone`."),
    column("collector", "none; of a polled Modbus device: its gateway", "Code of the collector through which the meter is usually heard."),
    column("collector_heartbeat", "none", "How often that collector reports that it is alive; stands once for each collector."),
    column("time_zone", "[utility] zone", "IANA zone of the place, for local days."),
    column("tags", "none", "Facts that rules use, separated by spaces: for example `hospital irrigation pool_fill pv vacant critical`."),
    column("battery", "yes; electricity: no", "`yes` when the meter runs on a battery."),
    column("contact_every", "battery: 1d, else 4h", "The meter is heard at least so often when all is well."),
    column("flow_rated", "0 (unknown)", "Water: Q3, gas: Qmax, in litres per hour."),
    column("installed_at", "2000-01-01T00:00:00Z", "Since when the meter stands there; readings before are not its."),
    column("role", "customer", "`customer`, `check`, `zone_inlet`, `zone_outlet`, `transformer_supply`, `deduct` or `sewer`: whose use the meter tells."),
    column("manufacturer", "none", "Maker of the meter; meters of one maker, model and firmware are one cohort."),
    column("model", "none", "Model of the meter."),
    column("firmware", "none", "Firmware of the meter or its radio module."),
    column("premises", "the address", "Usage points of one premises are looked at together: gas or water used where the electricity is off."),
    column("battery_chemistry", "none", "`li_socl2`, `li_mno2` or `alkaline`; needs `battery_installed_at`."),
    column("battery_installed_at", "none", "Since when the cell is in the meter."),
    column("battery_life_days", "0 (unknown)", "Life that the maker designed for, in days: 15 years are 5479."),
    column("battery_capacity_mah", "0 (unknown)", "Charge of the cell when new."),
    column("dwelling_units", "0 (unknown)", "Dwellings behind the meter."),
    column("contract_demand_kw", "0 (none)", "Demand that the customer has contracted."),
    column("phases", "1", "`1`, `2` or `3`."),
    column("zone_kind", "district", "`district`, `dma` or `feeder`. This and the next four stand once for each zone."),
    column("zone_mains_m", "0 (unknown)", "Length of the mains of the zone in metres."),
    column("zone_connections", "0 (unknown)", "Service connections of the zone."),
    column("zone_private_pipe_m", "0 (unknown)", "Length of the private service pipes of the zone in metres."),
    column("zone_head_m", "0 (unknown)", "Mean pressure of the zone in metres of water, for example `45.5`."),
    column("field", "required", "Name of the value in the sender's message: `consumption` for rtlamr and rtl_433, the JSON name for wmbusmeters (`total_m3`), the sender's choice in bundles."),
    column("reading_type", "required", "What is measured: `energy_active_import`, `energy_active_export`, `volume`, `voltage` and so on."),
    column("kind", "register; of momentary types: instant", "`interval`: consumption of each interval; `register`: a counter; `instant`: a momentary value."),
    column("unit", "required", "Unit of the sender's value: `kWh`, `Wh`, `m3`, `L`, `gal`, `ft3`, `CCF`, `V` and so on."),
    column("multiplier", "1", "The sender's value is multiplied by it (CT x PT, pulse weight)."),
    column("decimals", "register: required, else 3", "Digits after the point of the sender's value; for a bare counter of 0.01 m3 write unit `m3`, multiplier `0.01`, decimals 0."),
    column("modulus", "0 (never)", "The counter goes on from 0 here, in its last digit: 16777216 for a 24-bit counter."),
    column("interval", "15m; register of water, gas, heat: 1h", "Length of an interval; of a register: the grid on which intervals are made of it."),
    column("resolution", "one step of the last digit", "Smallest step of the value, in `unit`."),
    column("cap_per_hour", "0 (unknown)", "More than this in an hour cannot be, in `unit`."),
    column("delivery_lag", "6h", "An interval that has not come so long after its end is a gap."),
];

/// What the file leaves out is taken from here.
#[derive(Clone, Debug)]
pub struct Defaults {
    pub utility: String,
    pub time_zone: String,
    /// What devices are called by mappings, layouts and polled units: what stands before the
    /// colon, beside the families of formats.
    pub families: BTreeSet<String>,
    /// Collectors of devices that are polled, by what the device is called.
    pub collectors: BTreeMap<String, String>,
}

impl Defaults {
    fn knows(&self, family: &str) -> bool {
        protocols::FAMILIES.contains(&family) || self.families.contains(family)
    }
}

/// A file, read.
#[derive(Clone, Default, Debug)]
pub struct ProvisionFile {
    /// Meters without a fault, in the order of their first lines.
    pub meters: Vec<MeterProvision>,
    /// Collectors that those meters name with a heartbeat.
    pub collectors: Vec<CollectorProvision>,
    /// Zones of which those meters say more than the code.
    pub zones: Vec<ZoneProvision>,
    /// First line of each meter, by number.
    pub lines: BTreeMap<String, u64>,
    /// Numbers of the meters with a fault.
    pub refused: BTreeSet<String>,
    pub faults: Vec<LineFault>,
}

/// What is wrong in a line: `FILE:LINE: column: what is wrong, what to write`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineFault {
    pub file: String,
    pub line: u64,
    pub column: String,
    pub what: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.column, self.what)
    }
}

/// Reads the text of a file. `name` stands in the faults.
pub fn read(name: &str, text: &str, defaults: &Defaults) -> ProvisionFile {
    let mut reading =
        Reading { name, defaults, file: ProvisionFile::default(), meters: Vec::new() };
    let text = text.trim_start_matches('\u{feff}');
    let head = text.lines().next().unwrap_or_default();
    // Spreadsheets of many countries write semicolons.
    let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let Some(heads) = reading.heads(&mut csv) else { return reading.file };
    for record in csv.records() {
        match record {
            Ok(record) => reading.line(&heads, &record),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                reading.fault(
                    line,
                    "line",
                    "is no CSV: a quote is not closed, or bytes are not UTF-8",
                );
            }
        }
    }
    reading.finish()
}

/// A meter while its lines are read.
struct MeterLines {
    line: u64,
    provision: MeterProvision,
    /// Cells of the first line, to compare the others with.
    first: BTreeMap<String, String>,
    heartbeat_s: Option<i32>,
    zone: Option<ZoneProvision>,
    good: bool,
}

struct Reading<'a> {
    name: &'a str,
    defaults: &'a Defaults,
    file: ProvisionFile,
    meters: Vec<MeterLines>,
}

impl Reading<'_> {
    fn fault(&mut self, line: u64, column: &str, what: impl Into<String>) {
        self.file.faults.push(LineFault {
            file: self.name.to_owned(),
            line,
            column: column.to_owned(),
            what: what.into(),
        });
    }

    fn heads(&mut self, csv: &mut csv::Reader<&[u8]>) -> Option<Vec<String>> {
        let heads: Vec<String> = match csv.headers() {
            Ok(heads) => heads.iter().map(str::to_owned).collect(),
            Err(_) => Vec::new(),
        };
        for (at, head) in heads.iter().enumerate() {
            if heads[..at].contains(head) {
                self.fault(1, head, "stands twice in the head line");
            }
            if !COLUMNS.iter().any(|column| column.name == head) {
                let near = crate::config::keys::nearest(head, COLUMNS.iter().map(|c| c.name));
                let what = near
                    .map_or("no such column; docs/provisioning.md lists them".to_owned(), |name| {
                        format!("no such column; did you mean {name}?")
                    });
                self.fault(1, head, what);
            }
        }
        for column in COLUMNS.iter().filter(|column| column.default == "required") {
            if !heads.iter().any(|head| head == column.name) {
                self.fault(1, column.name, "the column is missing in the head line");
            }
        }
        self.file.faults.is_empty().then_some(heads)
    }

    fn line(&mut self, heads: &[String], record: &csv::StringRecord) {
        let number = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            return;
        }
        if record.len() > heads.len() {
            let what = format!("{} cells under {} heads", record.len(), heads.len());
            self.fault(number, "line", what);
        }
        let cells = heads.iter().zip(record.iter().chain(std::iter::repeat("")));
        let mut line = Line::new(cells);
        let meter = line.required("meter");
        let known = self.meters.iter().position(|one| one.provision.number == meter);
        let index = match known {
            Some(index) => {
                line.compare(&self.meters[index].first);
                index
            }
            None => {
                let (mut provision, heartbeat_s) = line.meter(&meter, self.defaults);
                if provision.collector.is_none() {
                    let known = &self.defaults.collectors;
                    let mut polled = provision.sources.iter();
                    provision.collector = polled.find_map(|one| known.get(one.as_str()).cloned());
                }
                let zone = line.zone(&provision);
                let first = line.meter_cells();
                self.meters.push(MeterLines {
                    line: number,
                    provision,
                    first,
                    heartbeat_s,
                    zone,
                    good: true,
                });
                self.meters.len() - 1
            }
        };
        let commodity = self.meters[index].provision.commodity;
        let channel = line.channel(commodity);
        if let Some(channel) = channel {
            let channels = &mut self.meters[index].provision.channels;
            if channels.iter().any(|before| before.field == channel.field) {
                line.fault("field", format!("the meter has `{}` already", channel.field));
            } else {
                channels.push(channel);
            }
        }
        for (column, what) in line.faults {
            self.meters[index].good = false;
            self.fault(number, column, what);
        }
    }

    fn finish(mut self) -> ProvisionFile {
        self.check_sources();
        let mut heartbeats: BTreeMap<String, CollectorProvision> = BTreeMap::new();
        let mut zones: BTreeMap<(String, String), ZoneProvision> = BTreeMap::new();
        for one in std::mem::take(&mut self.meters) {
            self.file.lines.insert(one.provision.number.clone(), one.line);
            if !one.good {
                self.file.refused.insert(one.provision.number);
                continue;
            }
            if let (Some(heartbeat_s), Some(code)) = (one.heartbeat_s, &one.provision.collector) {
                let collector = collector_of(code, &one.provision, heartbeat_s);
                heartbeats.entry(code.clone()).or_insert(collector);
            }
            if let Some(zone) = one.zone {
                zones.entry((zone.utility.clone(), zone.code.clone())).or_insert(zone);
            }
            self.file.meters.push(one.provision);
        }
        self.file.collectors = heartbeats.into_values().collect();
        self.file.zones = zones.into_values().collect();
        self.file.faults.sort_by_key(|fault| fault.line);
        self.file
    }

    /// A device belongs to one meter.
    fn check_sources(&mut self) {
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for (at, one) in self.meters.iter().enumerate() {
            for source in &one.provision.sources {
                if let Some(owner) = owners.get(source.as_str()) {
                    let owner = &self.meters[*owner].provision.number;
                    faults.push((at, format!("{source} belongs to the meter {owner} already")));
                } else {
                    owners.insert(source.to_string(), at);
                }
            }
        }
        for (at, what) in faults {
            self.meters[at].good = false;
            let line = self.meters[at].line;
            self.fault(line, "source", what);
        }
    }
}

fn collector_of(code: &str, meter: &MeterProvision, heartbeat_s: i32) -> CollectorProvision {
    CollectorProvision {
        code: code.to_owned(),
        name: String::new(),
        utility: meter.utility.clone(),
        zone: meter.zone.clone(),
        heartbeat_s,
        installed_at: meter.installed_at,
    }
}

/// Before any reading of a living meter.
pub(super) const INSTALLED_DEFAULT: UtcTime = UtcTime::from_seconds(946_684_800);

#[cfg(test)]
mod tests;
