//! Readings for a file: a stream in constant memory.

use metering::{ChannelNo, MeterId, QualityStatus, ReadingType, UtcTime};

use super::meters::MeterFilter;

/// Which readings to export: `[from, to)` by interval END in `(from, to]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportFilter {
    pub meters: MeterFilter,
    /// Exact number of one meter.
    pub number: Option<String>,
    pub channel: Option<ChannelNo>,
}

/// One line of the export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRow {
    pub meter: MeterId,
    pub number: std::sync::Arc<str>,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub start: UtcTime,
    pub end: UtcTime,
    /// Milli-units.
    pub value: i64,
    pub status: QualityStatus,
    pub version: i16,
}
