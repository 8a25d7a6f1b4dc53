//! What is known of a meter before it speaks: the part of the asset model that rules need.

use std::fmt;
use std::str::FromStr;

use crate::ids::{ChannelNo, CollectorId, MeterId, TransformerId, UsagePointId, ZoneId};
use crate::reading_type::ReadingType;
use crate::time::UtcTime;

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable text, as stored and exported.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = WordError;
            fn from_str(text: &str) -> Result<Self, WordError> {
                Self::ALL.iter().find(|this| this.word() == text).copied().ok_or_else(|| WordError {
                    text: text.chars().take(40).collect(),
                    allowed: [$($text),*].join(", "),
                })
            }
        }
    };
}

/// The text is none of the allowed words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is none of: {allowed}")]
pub struct WordError {
    text: String,
    allowed: String,
}

word_enum! {
    /// What a meter meters.
    Commodity { Electricity = "electricity", Water = "water", Gas = "gas", Heat = "heat", }
}

word_enum! {
    /// Class of the customer at the usage point.
    CustomerClass {
        Residential = "residential",
        SmallCommercial = "small_commercial",
        LargeCommercial = "large_commercial",
        MultiDwelling = "multi_dwelling",
        Municipal = "municipal",
    }
}

word_enum! {
    /// What a channel carries.
    ChannelKind {
        /// The meter sends consumption per interval (and perhaps its register).
        Interval = "interval",
        /// The meter sends a cumulative counter; intervals are derived on the channel's grid.
        Register = "register",
        /// A momentary value such as a voltage; no intervals.
        Instant = "instant",
    }
}

word_enum! {
    /// Facts about a usage point that rules take into account.
    Tag {
        Hospital = "hospital",
        CoolingTower = "cooling_tower",
        Fire = "fire",
        IrrigationOnly = "irrigation_only",
        Irrigation = "irrigation",
        PoolFill = "pool_fill",
        StreetLight = "street_light",
        Telecom = "telecom",
        NetMeter = "netmeter",
        Pv = "pv",
        Ev = "ev",
        Vacant = "vacant",
        Seasonal = "seasonal",
        Critical = "critical",
        ProcessGas = "process_gas",
        Hydrant = "hydrant",
        School = "school",
    }
}

word_enum! {
    /// What a meter is for: whose use it tells.
    MeterRole {
        /// A customer's meter.
        Customer = "customer",
        /// Measures the same flow as another meter of its usage point.
        Check = "check",
        /// Measures what flows into its network zone.
        ZoneInlet = "zone_inlet",
        /// Measures what flows out of its network zone.
        ZoneOutlet = "zone_outlet",
        /// Measures what its transformer supplies.
        TransformerSupply = "transformer_supply",
        /// Measures water that does not reach the sewer (irrigation), behind the main meter.
        Deduct = "deduct",
        /// Measures sewage.
        Sewer = "sewer",
    }
}

word_enum! {
    /// Cell chemistry of a battery device.
    Chemistry { LithiumThionyl = "li_socl2", LithiumManganese = "li_mno2", Alkaline = "alkaline", }
}

/// The cell of a battery device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatteryAsset {
    pub chemistry: Chemistry,
    pub installed_at: UtcTime,
    /// Life that the maker designed for, in days.
    pub design_life_d: i32,
    /// Charge when new, in mAh; 0 = unknown.
    pub capacity_mah: i32,
}

/// Facts of a meter that only some rules need; the default is "not known".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterDetail {
    pub role: MeterRole,
    /// District metered area or feeder.
    pub network_zone: Option<ZoneId>,
    pub transformer: Option<TransformerId>,
    /// Maker, model and firmware: meters of one text are one cohort. Empty = unknown.
    pub cohort: String,
    /// Serial number of the maker; empty = unknown.
    pub serial: String,
    /// Number of the premises: usage points of one address share it. 0 = unknown.
    pub premises: i32,
    /// Number of the street, see [`street_number`]; 0 = unknown, negative = known only together
    /// with the network zone.
    pub street: i32,
    pub battery: Option<BatteryAsset>,
    /// Dwelling units behind the meter; 0 = unknown.
    pub dwelling_units: i32,
    /// Contracted demand in mW; 0 = none.
    pub contract_demand_mw: i64,
    pub phases: u8,
}

impl Default for MeterDetail {
    fn default() -> Self {
        Self {
            role: MeterRole::Customer,
            network_zone: None,
            transformer: None,
            cohort: String::new(),
            serial: String::new(),
            premises: 0,
            street: 0,
            battery: None,
            dwelling_units: 0,
            contract_demand_mw: 0,
            phases: 1,
        }
    }
}

/// Words before a number that belongs to the name of a road: `Highway 61` is no house.
const NUMBERED_ROADS: [&str; 10] =
    ["highway", "hwy", "route", "rte", "road", "rd", "cr", "sr", "us", "interstate"];

/// Number of the street that an address names: neighbours have the same. Of the first part before a
/// comma (of the next when that is a house number alone) the house number at either end does not
/// count, nor do case and punctuation. All the rest does, the town above all. Negative when nothing
/// follows that may be the town: the street is known only together with the network zone. 0 = none.
pub fn street_number(address: &str) -> i32 {
    let mut parts = address.split(',').map(words).filter(|words| !words.is_empty());
    let Some(mut street) = parts.next() else { return 0 };
    without_house(&mut street);
    if street.is_empty() {
        street = parts.next().unwrap_or_default();
        without_house(&mut street);
    }
    let rest: Vec<String> = parts.flatten().collect();
    if !street.iter().flat_map(|word| word.chars()).any(char::is_alphabetic) {
        return 0;
    }
    // FNV-1a over the words, 31 bits of it.
    let mut hash: u32 = 0x811C_9DC5;
    let (street, place) = (street.join(" "), rest.join(" "));
    for byte in street.bytes().chain(std::iter::once(0)).chain(place.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let number = i32::try_from(hash & 0x7FFF_FFFF).unwrap_or(1).max(1);
    if rest.is_empty() { -number } else { number }
}

/// The words of a part of an address, in small letters; `12-14` and `7/b` are one word.
fn words(part: &str) -> Vec<String> {
    part.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Takes the house number off: `12`, `3a`, `12-14`, but not `5th`.
fn without_house(words: &mut Vec<String>) {
    let is_house = |word: &String| {
        let letters = |part: &str| part.chars().filter(|c| c.is_alphabetic()).count();
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.split(|c: char| !c.is_alphanumeric()).all(|part| letters(part) <= 1)
    };
    if words.first().is_some_and(is_house) {
        words.remove(0);
        return;
    }
    let named = words.len().checked_sub(2).and_then(|at| words.get(at));
    let named = named.is_some_and(|word| NUMBERED_ROADS.contains(&word.as_str()));
    if !named && words.last().is_some_and(is_house) {
        words.pop();
    }
}

word_enum! {
    /// What kind of network part a zone is.
    ZoneKind { District = "district", Dma = "dma", Feeder = "feeder", }
}

/// A part of the network as the rules see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneAsset {
    pub zone: ZoneId,
    pub kind: ZoneKind,
    /// Length of mains in metres, service connections, private pipe in metres, mean pressure in mm
    /// of water head (UARL); 0 = unknown.
    pub mains_m: i32,
    pub connections: i32,
    pub private_pipe_m: i32,
    pub head_mm: i32,
}

word_enum! {
    /// What a work order asks the field for.
    WorkOrderKind {
        Inspection = "inspection",
        Exchange = "exchange",
        Removal = "removal",
        BatteryReplacement = "battery_replacement",
        ModuleReplacement = "module_replacement",
        Repair = "repair",
        Reprogramming = "reprogramming",
        DrivebyRead = "driveby_read",
    }
}

word_enum! {
    /// How far a work order is.
    WorkOrderStatus {
        Created = "created", Assigned = "assigned", Completed = "completed", Cancelled = "cancelled",
    }
}

/// A meter with its place in the network, as the rules and the normaliser see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterAsset {
    pub meter: MeterId,
    pub usage_point: UsagePointId,
    pub commodity: Commodity,
    pub class: CustomerClass,
    /// IANA name of the usage point's zone.
    pub zone: String,
    pub tags: Vec<Tag>,
    pub battery_powered: bool,
    pub account_active: bool,
    pub primary_collector: Option<CollectorId>,
    pub installed_at: UtcTime,
    /// The meter is heard at least this often when all is well, in seconds.
    pub contact_every_s: i32,
    /// Water: permanent flow rate Q3; gas: Qmax; in litres per hour. 0 = unknown.
    pub flow_rated_lph: i32,
    pub detail: MeterDetail,
    pub channels: Vec<ChannelAsset>,
}

/// One measured series of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelAsset {
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    /// Interval length in seconds; 0 for instant channels.
    pub len_s: i32,
    /// Smallest step of the channel in milli-units (one pulse, one digit).
    pub resolution: i64,
    /// No more than this can be used in an hour (REG-CAP), in milli-units. 0 = unknown.
    pub cap_per_hour: i64,
    /// A slot is missing when it has not arrived this long after its end, in seconds.
    pub delivery_lag_s: i32,
}

/// A collector as the rules see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectorAsset {
    pub collector: CollectorId,
    /// A heartbeat is due this often, in seconds. 0 = sends none.
    pub heartbeat_s: i32,
}

impl MeterAsset {
    pub fn channel(&self, channel: ChannelNo) -> Option<&ChannelAsset> {
        self.channels.iter().find(|c| c.channel == channel)
    }

    pub fn has_tag(&self, tag: Tag) -> bool {
        self.tags.contains(&tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_have_one_street_whatever_their_house_is() {
        let one = street_number("12 Elm Street, Springfield");
        assert!(one > 0);
        for same in ["3a, ELM street, Springfield", "12-14 Elm Street, Springfield."] {
            assert_eq!(street_number(same), one, "{same}");
        }
        assert_eq!(street_number("Hauptstr. 7b, Ulm"), street_number("hauptstr 112, Ulm"));
        assert!(street_number("High Street 1") < 0);
        assert_eq!((street_number(""), street_number("17"), street_number("17, 3")), (0, 0, 0));
    }

    #[test]
    fn other_streets_and_towns_are_others() {
        for (one, other) in [
            ("12 Elm Street, Springfield", "12 Elm Road, Springfield"),
            ("8 5th Avenue, Springfield", "90 6th Avenue, Springfield"),
            ("1 Main Street, Springfield", "9 Main Street, Shelbyville"),
            ("Flat 3, 12 Elm Street", "Flat 3, 40 Oak Street"),
            ("Highway 61, Springfield", "Highway 50, Springfield"),
        ] {
            assert_ne!(street_number(one), street_number(other), "{one}");
        }
        // The same house.
        assert_eq!(street_number("Flat 3, 12 Elm Street"), street_number("Flat 9, 12 Elm Street"));
    }
}
