//! All that provisioning needs to know of the fleet, as plain data.

use metering::{
    ChannelKind, ChannelNo, Commodity, CustomerClass, MeterDetail, ReadingType, SourceId, Tag,
    Unit, UtcTime,
};

/// The fleet as a utility would enter it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetAssets {
    pub utility: Place,
    /// IANA name, the same for all usage points.
    pub time_zone: String,
    pub zones: Vec<Place>,
    pub routes: Vec<Place>,
    pub transformers: Vec<TransformerSpec>,
    pub collectors: Vec<CollectorSpec>,
    pub meters: Vec<MeterSpec>,
    /// Devices that are heard but belong to nobody here. They are not to be provisioned.
    pub strangers: Vec<SourceId>,
}

/// Code and name of a utility, a network zone or a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub code: String,
    pub name: String,
}

/// A transformer and the code of its zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransformerSpec {
    pub code: String,
    pub zone: String,
}

/// A collector; its code is its name on the wire and in topics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectorSpec {
    pub code: String,
    pub name: String,
    /// Code of its zone.
    pub zone: String,
    /// It says that it is alive this often, in seconds.
    pub heartbeat_s: i32,
    pub installed_at: UtcTime,
}

/// A meter with its usage point. All codes refer to the lists of [`FleetAssets`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterSpec {
    pub number: String,
    pub serial: String,
    /// What the meter calls itself in messages.
    pub sources: Vec<SourceId>,
    pub commodity: Commodity,
    pub class: CustomerClass,
    pub manufacturer: String,
    pub model: String,
    pub usage_point: String,
    pub address: String,
    pub account_no: String,
    pub account_active: bool,
    pub zone: String,
    pub route: String,
    /// Electricity only.
    pub transformer: Option<String>,
    /// The collector that the meter is expected to be heard by. `None`: it sends by itself.
    pub collector: Option<String>,
    pub tags: Vec<Tag>,
    pub battery_powered: bool,
    /// The meter is heard at least this often when all is well, in seconds.
    pub contact_every_s: i32,
    /// Water: Q3; gas: Qmax; litres per hour. 0 for electricity.
    pub flow_rated_lph: i32,
    pub installed_at: UtcTime,
    /// Zones and transformers are numbered from 1 in the order of [`FleetAssets`].
    pub detail: MeterDetail,
    pub channels: Vec<ChannelSpec>,
}

/// A channel as `meter_channel` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelSpec {
    pub channel: ChannelNo,
    /// Name of the value in the messages.
    pub field: &'static str,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    /// Unit of one count of the sender's value.
    pub unit: Unit,
    /// Exact decimal text.
    pub multiplier: &'static str,
    /// Raw counter = value * 10^decimals.
    pub decimals: i16,
    /// The raw counter rolls over at; 0 = never.
    pub modulus: i64,
    /// Interval length in seconds; 0 for instants.
    pub len_s: i32,
    /// Milli-units of one step.
    pub resolution: i64,
    /// Most that can be used in an hour, in milli-units; 0 = unknown.
    pub cap_per_hour: i64,
    /// A slot is missing when it has not arrived this long after its end, in seconds.
    pub delivery_lag_s: i32,
}

impl FleetAssets {
    /// A small utility of one zone and one route, whose meters send by themselves.
    pub(crate) fn plain(time_zone: &str, meters: Vec<MeterSpec>) -> Self {
        let place = |code: &str| Place { code: code.to_owned(), name: "Simulated".to_owned() };
        Self {
            utility: place("SIM"),
            time_zone: time_zone.to_owned(),
            zones: vec![place("Z-1")],
            routes: vec![place("R-1")],
            transformers: Vec::new(),
            collectors: Vec::new(),
            meters,
            strangers: Vec::new(),
        }
    }
}

impl MeterSpec {
    /// An electricity meter of such a utility: what is the same for all of them.
    pub(crate) fn plain(
        number: String,
        (source, serial, model): (SourceId, String, &str),
        installed_at: UtcTime,
        channels: Vec<ChannelSpec>,
    ) -> Self {
        Self {
            serial,
            sources: vec![source],
            commodity: Commodity::Electricity,
            class: CustomerClass::Residential,
            manufacturer: "Simulated Meters".to_owned(),
            model: model.to_owned(),
            usage_point: format!("UP-{number}"),
            address: String::new(),
            account_no: format!("A-{number}"),
            account_active: true,
            zone: "Z-1".to_owned(),
            route: "R-1".to_owned(),
            transformer: None,
            collector: None,
            tags: Vec::new(),
            battery_powered: false,
            contact_every_s: 3_600,
            flow_rated_lph: 0,
            installed_at,
            detail: MeterDetail::default(),
            channels,
            number,
        }
    }
}
