//! Which meters are there, and how is each?

use jiff::civil::Date;
use metering::{
    ChannelKind, ChannelNo, CollectorId, Commodity, CustomerClass, MeterId, QualityStatus,
    ReadingType, Severity, UtcTime,
};

mod detail;
mod list;
mod search;

pub(super) use detail::channels;
pub use detail::{by_number, installations};
pub use list::{choices, list};
pub(super) use list::{date, open_issue};
pub use search::search;

/// Which meters to list. Empty fields do not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MeterFilter {
    /// Part of number, serial, address, account or wire identity.
    pub q: Option<String>,
    pub commodity: Option<Commodity>,
    /// Code of the network zone.
    pub zone: Option<String>,
    /// Code of the route.
    pub route: Option<String>,
    /// Code of the primary collector.
    pub collector: Option<String>,
    pub tag: Option<String>,
    /// Cause family or cause of an open issue; `any` for meters with some open issue.
    pub issue: Option<String>,
    pub status: Option<MeterStatus>,
}

/// Whether a meter is heard as often as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeterStatus {
    /// Heard within three contact periods.
    Reporting,
    /// Heard before, but not within three contact periods.
    Silent,
    /// Installed, never heard.
    NeverHeard,
}

/// The text names no status or order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the word is not known here")]
pub struct UnknownWord;

/// Order of the list. Each has one direction: what staff look for stands first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MeterSort {
    #[default]
    Number,
    Address,
    /// Longest unheard first, never heard at the very first.
    LastHeard,
    /// Worst open issue first.
    Issue,
}

impl MeterSort {
    /// Stable text, as in URLs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Address => "address",
            Self::LastHeard => "last_heard",
            Self::Issue => "issue",
        }
    }
}

impl std::str::FromStr for MeterSort {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Number, Self::Address, Self::LastHeard, Self::Issue]
            .into_iter()
            .find(|this| this.word() == text)
            .ok_or(UnknownWord)
    }
}

/// One line of the list.
#[derive(Clone, PartialEq, Debug)]
pub struct MeterRow {
    pub meter: MeterId,
    pub number: String,
    pub commodity: Commodity,
    pub address: String,
    pub account: String,
    pub zone_code: String,
    pub zone_name: String,
    pub route_code: String,
    pub collector: Option<String>,
    pub class: Option<CustomerClass>,
    /// IANA zone of the usage point; `UTC` without one.
    pub time_zone: String,
    pub status: MeterStatus,
    /// When its newest message came; of what came otherwise (files, letters that came home) the
    /// newest time that it is of.
    pub last_heard: Option<UtcTime>,
    pub last: Option<LastValue>,
    /// Per cent of the slots due in the last 24 h that arrived and stand as measured: neither
    /// suspect nor rejected nor estimated instead. Suspect values of a later time count against it.
    /// `None` when nothing was due.
    pub quality_24h: Option<i16>,
    pub battery: Battery,
    pub rssi_dbm: Option<i16>,
    /// The worst open issue.
    pub issue: Option<OpenIssue>,
    pub open_issues: i64,
    /// Totals of the last seven local days, oldest first, of the main channel.
    pub spark: Vec<SparkDay>,
}

/// Newest interval (or instant) value of the main channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastValue {
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    /// Milli-units.
    pub value: i64,
    pub end: UtcTime,
    pub len_s: i32,
    pub status: QualityStatus,
}

/// What is known of the battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Battery {
    /// Fed by the mains.
    Mains,
    Good,
    Low,
}

/// An open issue in a line about something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenIssue {
    pub number: i64,
    pub severity: Severity,
    pub cause: String,
    pub condition_start: UtcTime,
}

/// Total of one local day. `n` slots arrived of `expected` due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SparkDay {
    pub date: Date,
    /// Milli-units.
    pub total: i64,
    pub n: i32,
}

/// What the filters of the list can be set to; each at most 1,000.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FilterChoices {
    /// Code and name.
    pub zones: Vec<(String, String)>,
    pub routes: Vec<(String, String)>,
    pub collectors: Vec<(String, String)>,
    pub tags: Vec<String>,
}

impl MeterStatus {
    /// Stable text, as in URLs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reporting => "reporting",
            Self::Silent => "silent",
            Self::NeverHeard => "never_heard",
        }
    }
}

impl std::str::FromStr for MeterStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Reporting, Self::Silent, Self::NeverHeard]
            .into_iter()
            .find(|this| this.word() == text)
            .ok_or(UnknownWord)
    }
}

/// Everything in the head of a meter's page.
#[derive(Clone, PartialEq, Debug)]
pub struct MeterDetail {
    pub meter: MeterId,
    pub public_id: String,
    pub number: String,
    pub serial: String,
    pub commodity: Commodity,
    pub manufacturer: String,
    pub model: String,
    pub firmware: String,
    pub battery_powered: bool,
    pub battery: Battery,
    pub battery_mv: Option<i32>,
    pub rssi_dbm: Option<i16>,
    /// Litres per hour, 0 unknown.
    pub flow_rated_lph: i32,
    pub contact_every_s: i32,
    pub collector: Option<CollectorRef>,
    /// Through which it was heard last.
    pub via_collector: Option<CollectorRef>,
    pub usage_point: Option<UsagePointInfo>,
    pub status: MeterStatus,
    /// As in [`MeterRow`].
    pub last_heard: Option<UtcTime>,
    pub last_interval_end: Option<UtcTime>,
    /// What it calls itself on the wire.
    pub sources: Vec<String>,
    pub channels: Vec<ChannelInfo>,
    pub created_at: UtcTime,
}

/// A collector in a line about something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectorRef {
    pub collector: CollectorId,
    pub code: String,
    pub name: String,
}

/// Where the meter stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsagePointInfo {
    pub code: String,
    pub address: String,
    pub account: String,
    pub account_active: bool,
    pub class: Option<CustomerClass>,
    /// IANA name.
    pub time_zone: String,
    pub zone_code: String,
    pub zone_name: String,
    pub route_code: String,
    pub transformer: String,
    pub tags: Vec<String>,
    pub installed_at: UtcTime,
}

/// One measured series, with its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelInfo {
    pub channel: ChannelNo,
    /// Name of the value in the sender's message.
    pub field: String,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    /// Unit of one count of the sender's value.
    pub unit: String,
    /// Exact decimal text.
    pub multiplier: String,
    pub decimals: i16,
    /// Raw counter rolls over at; 0 never.
    pub modulus: i64,
    /// Seconds; 0 for instants.
    pub len_s: i32,
    /// Milli-units per step.
    pub resolution: i64,
    /// Milli-units per hour, 0 unknown.
    pub cap_per_hour: i64,
    pub delivery_lag_s: i32,
    pub valid_from: UtcTime,
    /// `UtcTime::MAX` when in use.
    pub valid_to: UtcTime,
    /// Slots are expected from here on: the channel is valid and its meter was entered, or the
    /// first reading that had waited for that began. Earlier history may be imported, but nobody
    /// misses it.
    pub expected_from: UtcTime,
}

/// One stretch of the installation history; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstallationRow {
    pub usage_point: String,
    pub address: String,
    pub account: String,
    pub valid_from: UtcTime,
    /// `UtcTime::MAX` when it stands there now.
    pub valid_to: UtcTime,
}

/// Results of the search box, grouped; each group holds at most the asked number.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SearchResults {
    pub meters: Vec<FoundMeter>,
    pub issues: Vec<FoundIssue>,
    pub collectors: Vec<CollectorRef>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundMeter {
    pub number: String,
    pub serial: String,
    pub commodity: Commodity,
    pub address: String,
    pub account: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundIssue {
    pub number: i64,
    pub severity: Severity,
    pub cause: String,
    pub state: String,
    /// Number of the meter or code of the collector.
    pub subject: String,
}
