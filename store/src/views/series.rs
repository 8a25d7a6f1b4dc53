//! What did one channel measure: buckets for a chart, intervals for a table.

use metering::{
    ChannelKind, ChannelNo, DeviceFlags, MeterId, QualityStatus, ReadingType, RuleMask, UtcTime,
};

mod buckets;
mod intervals;
mod registers;

pub use buckets::series;
pub use intervals::{gaps, interval_versions, intervals};
pub use registers::registers;

/// Most buckets of one answer.
pub const BUCKETS_MAX: u32 = 1_000;
/// Longest range of one question, in seconds: ten years.
pub const RANGE_S_MAX: i64 = 3_660 * 86_400;

/// Which stretch of which channel, in at most how many buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeriesQuery {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
    /// At most [`BUCKETS_MAX`].
    pub max_buckets: u32,
}

/// A channel over a range, in buckets of one step.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub kind: ChannelKind,
    /// Length of one interval in seconds; 0 for instants.
    pub len_s: i32,
    pub from: UtcTime,
    pub to: UtcTime,
    /// Seconds of a bucket; a local day or several when >= 86,400 (23 to 25 h each).
    pub step_s: i64,
    /// True when each bucket holds at most one interval.
    pub full_resolution: bool,
    pub buckets: Vec<Bucket>,
    /// Sum over the range without suspect and rejected values; milli-units.
    pub total_usable: i64,
    /// Sum of the suspect values; milli-units.
    pub total_suspect: i64,
    /// Slots of the range that were due and have not arrived.
    pub missing: i64,
}

/// The values of one stretch `[start, end)`. With `n` 0 the values are 0 and mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    pub start: UtcTime,
    pub end: UtcTime,
    /// Of the interval values inside; milli-units per interval.
    pub min: i64,
    pub mean: i64,
    pub max: i64,
    /// Milli-units.
    pub sum: i64,
    /// Intervals inside that have a value: received, estimated or edited.
    pub n: i32,
    /// Slots inside that were due.
    pub expected: i32,
    /// Due slots without a value.
    pub missing: i32,
    /// Intervals inside that are suspect or rejected.
    pub suspect: i32,
    /// The least trustworthy status inside; `Missing` when nothing arrived.
    pub status: QualityStatus,
    /// All flags inside.
    pub flags: DeviceFlags,
    /// Highest version inside; 1 = as received, 0 = nothing arrived.
    pub version: i16,
}

/// One interval as now valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntervalRow {
    pub start: UtcTime,
    pub end: UtcTime,
    /// Milli-units.
    pub value: i64,
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub version: i16,
    pub received_at: UtcTime,
    /// Rules that failed it.
    pub failed: RuleMask,
    /// Other values that arrived for the same slot.
    pub conflicts: i32,
}

/// One version or rival value of an interval, oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IntervalVersion {
    pub kind: VersionKind,
    /// Version of a judged value; arrival number 2.. of a rival value.
    pub version: i16,
    pub value: i64,
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub failed: RuleMask,
    /// When it arrived or was recorded.
    pub at: UtcTime,
    /// Estimation method (`metering-rules` 6.4); 0 = none.
    pub method: i16,
    /// Why: 0 first, 1 late data, 2 re-estimated, 3 edited, 4 conflict, 5 undo, 6 day close, 7 staff.
    pub reason: i16,
    /// 1 device, 2 judged, 3 estimation, 4 staff.
    pub source: i16,
    pub estimation_no: Option<i64>,
    /// The version that this one takes back.
    pub undoes: Option<i16>,
    /// Empty for what a device sent.
    pub actor: String,
    pub note: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VersionKind {
    /// The value as first received.
    Received,
    /// A judged version (exception record).
    Judged,
    /// A later, different value for the same slot; set aside.
    Conflict,
}

/// Slots in a row that were due and have not arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    pub channel: ChannelNo,
    pub start: UtcTime,
    pub end: UtcTime,
    pub slots: i64,
}

/// A counter as read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterRow {
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub read_at: UtcTime,
    pub received_at: UtcTime,
    /// In the register's own steps.
    pub raw: i64,
    /// Digits after the point of the raw counter.
    pub decimals: i16,
    /// Milli-units, multiplier applied.
    pub value: i64,
    pub source: RegisterSource,
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub failed: RuleMask,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterSource {
    Scheduled,
    OnDemand,
    Removal,
    Set,
}
