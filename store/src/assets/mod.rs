//! The asset model: provisioning meters and collectors, and the registry that ingest loads.

mod change;
mod names;
mod provision;
mod registry;
mod rows;

use metering::{
    BatteryAsset, ChannelKind, ChannelNo, CollectorId, Commodity, CustomerClass, MeterAsset,
    MeterId, MeterRole, ReadingType, SourceId, Tag, Unit, UtcTime, ZoneAsset, ZoneKind,
};
use rust_decimal::Decimal;

use crate::batch::ChannelStateRow;

/// One meter with all that is known of it: what a group of lines of a provisioning file says.
/// Named things (utility, zone, route, transformer, collector) are made when they do not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterProvision {
    /// The utility's number of the meter; the key of provisioning.
    pub number: String,
    pub serial: String,
    /// What the device calls itself on the wire, for example `ert:44448439`.
    pub sources: Vec<SourceId>,
    pub commodity: Commodity,
    pub class: CustomerClass,
    pub address: String,
    pub account: String,
    pub account_active: bool,
    /// Code of the utility.
    pub utility: String,
    pub zone: Option<String>,
    pub route: Option<String>,
    pub transformer: Option<String>,
    /// Code of the collector through which the meter is usually heard.
    pub collector: Option<String>,
    /// IANA name of the usage point's zone.
    pub time_zone: String,
    pub tags: Vec<Tag>,
    pub battery_powered: bool,
    /// The meter is heard at least this often when all is well, in seconds.
    pub contact_every_s: i32,
    /// Water: Q3; gas: Qmax; in litres per hour. 0 = unknown.
    pub flow_rated_lph: i32,
    pub installed_at: UtcTime,
    pub facts: MeterFacts,
    pub channels: Vec<ChannelProvision>,
}

/// Facts that only some rules need; the default is "not known".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterFacts {
    pub role: MeterRole,
    /// Meters of one maker, model and firmware are one cohort.
    pub manufacturer: String,
    pub model: String,
    pub firmware: String,
    /// Code of the premises; `None`: the address. Usage points of one premises are looked at
    /// together.
    pub premises: Option<String>,
    pub battery: Option<BatteryAsset>,
    /// Dwelling units behind the meter; 0 = unknown.
    pub dwelling_units: i32,
    /// Contracted demand in mW; 0 = none.
    pub contract_demand_mw: i64,
    /// 1 to 3.
    pub phases: u8,
}

impl Default for MeterFacts {
    fn default() -> Self {
        Self {
            role: MeterRole::Customer,
            manufacturer: String::new(),
            model: String::new(),
            firmware: String::new(),
            premises: None,
            battery: None,
            dwelling_units: 0,
            contract_demand_mw: 0,
            phases: 1,
        }
    }
}

/// One part of the network. `utility` is a code; numbers as in [`ZoneAsset`], 0 = unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneProvision {
    pub code: String,
    /// Empty: the code.
    pub name: String,
    pub utility: String,
    pub kind: ZoneKind,
    pub mains_m: i32,
    pub connections: i32,
    pub private_pipe_m: i32,
    pub head_mm: i32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelProvision {
    /// Name of the value in the sender's message. One meter has each field once.
    pub field: String,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    pub unit: Unit,
    /// CT x PT x Kh, or pulse weight.
    pub multiplier: Decimal,
    /// Raw counter = value * 10^decimals.
    pub decimals: u8,
    /// The raw counter rolls over here; 0 = never.
    pub modulus: i64,
    /// Interval length; 0 for instant channels.
    pub len_s: i32,
    /// Milli-units per step.
    pub resolution: i64,
    /// Milli-units per hour; 0 = unknown.
    pub cap_per_hour: i64,
    pub delivery_lag_s: i32,
}

/// One collector. `zone` and `utility` are codes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectorProvision {
    /// Its name on the wire.
    pub code: String,
    pub name: String,
    pub utility: String,
    pub zone: Option<String>,
    pub heartbeat_s: i32,
    pub installed_at: UtcTime,
}

/// What provisioning did with one meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvisionOutcome {
    pub number: String,
    pub meter: MeterId,
    pub change: ProvisionChange,
    /// Sources that are new to this meter: their dead letters can now be replayed.
    pub new_sources: Vec<SourceId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProvisionChange {
    Created,
    Changed,
    Unchanged,
}

/// Everything that ingest needs to resolve and scale a reading.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    /// Counts changes of the asset model.
    pub version: i64,
    /// By `meter`, ascending.
    pub meters: Vec<RegistryMeter>,
    /// By `collector`, ascending.
    pub collectors: Vec<RegistryCollector>,
    /// By `zone`, ascending.
    pub zones: Vec<ZoneAsset>,
    /// By meter and channel, ascending.
    pub states: Vec<ChannelStateRow>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RegistryMeter {
    pub meter: MeterId,
    pub number: String,
    pub sources: Vec<SourceId>,
    /// As rules see it.
    pub asset: MeterAsset,
    /// By channel number, ascending; the same channels as in `asset`.
    pub channels: Vec<RegistryChannel>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RegistryChannel {
    pub channel: ChannelNo,
    pub field: String,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    pub unit: Unit,
    pub multiplier: Decimal,
    pub decimals: u8,
    pub modulus: i64,
    pub len_s: i32,
    pub resolution: i64,
    pub cap_per_hour: i64,
    pub delivery_lag_s: i32,
    pub valid_from: UtcTime,
    pub valid_to: UtcTime,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryCollector {
    pub collector: CollectorId,
    pub code: String,
    pub heartbeat_s: i32,
}
