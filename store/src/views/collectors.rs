//! Which collectors are there, and do they hear their meters?

use jiff::civil::Date;
use metering::{CollectorId, MeterId, UtcTime};

use super::meters::OpenIssue;

/// One collector.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectorRow {
    pub collector: CollectorId,
    pub code: String,
    pub name: String,
    pub zone_code: String,
    pub zone_name: String,
    /// Seconds between heartbeats; 0 = sends none.
    pub heartbeat_s: i32,
    pub installed_at: UtcTime,
    pub last_heartbeat: Option<UtcTime>,
    /// When it last delivered anything.
    pub last_heard: Option<UtcTime>,
    /// Meters whose primary collector it is.
    pub meters: i64,
    /// Those heard within three of their contact periods, by whatever way.
    pub meters_reporting: i64,
    /// Different meters heard through it on the current UTC day.
    pub heard_today: i64,
    pub issue: Option<OpenIssue>,
}

/// A collector with the meters behind it.
#[derive(Clone, PartialEq, Debug)]
pub struct CollectorDetail {
    pub row: CollectorRow,
    /// Meters that it is the primary collector of or heard in the last days, at most 1,000.
    pub meters: Vec<HeardMeter>,
    /// Meters and telegrams heard by UTC day, oldest first, at most 35 days.
    pub days: Vec<HearingDay>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardMeter {
    pub meter: MeterId,
    pub number: String,
    pub address: String,
    pub primary: bool,
    pub last_heard: Option<UtcTime>,
    /// Telegrams through this collector in the last 7 UTC days.
    pub heard_7d: i64,
    pub rssi_dbm: Option<i16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HearingDay {
    pub day: Date,
    pub meters: i64,
    pub telegrams: i64,
}
