//! Is data coming in, is anything burning, what waits for a person?

use metering::{Commodity, UtcTime};

/// State of the whole fleet at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetSummary {
    pub at: UtcTime,
    /// Installed meters.
    pub meters: i64,
    /// Those heard within three of their contact periods.
    pub reporting: i64,
    /// Slots of the local day whose due time has passed (expected-read calendar).
    pub due_today: i64,
    /// Those of them that have not arrived.
    pub missing_today: i64,
    /// Median age of the newest interval end over meters that report, in seconds.
    pub behind_s: Option<i64>,
    /// Open issues that are not folded under another, by severity.
    pub issues: SeverityCounts,
    pub waiting: Waiting,
    /// Counts of batches committed in the local day.
    pub today: Identity,
}

/// Issues by severity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeverityCounts {
    pub p1: i64,
    pub p2: i64,
    pub p3: i64,
    pub p4: i64,
}

/// What waits for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Devices heard that nobody provisioned or ignored.
    pub commissioning: i64,
    /// Messages kept aside, except those of devices to commission.
    pub dead_letters: i64,
    /// Open issues that nobody acknowledged.
    pub unacknowledged: i64,
    /// Collectors with an open issue.
    pub collectors: i64,
}

/// Readings offered, and what became of them: `offered = committed + duplicate + conflicting +
/// dead` for everything that was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    pub batches: i64,
    pub messages: i64,
    pub offered: i64,
    pub committed: i64,
    /// Including those folded within a batch.
    pub duplicate: i64,
    pub conflicting: i64,
    pub dead: i64,
    /// Intervals derived from registers; not offered.
    pub derived: i64,
    /// Events of devices; not offered.
    pub events: i64,
}

/// Readings that were committed within one stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateBucket {
    pub start: UtcTime,
    pub end: UtcTime,
    pub offered: i64,
    pub messages: i64,
}

/// One network zone; meters without a zone form the zone with an empty code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneRow {
    pub code: String,
    pub name: String,
    pub meters: i64,
    pub reporting: i64,
    pub issues: i64,
    /// Worst severity among the open issues.
    pub worst: Option<metering::Severity>,
    pub usage: Vec<ZoneUsage>,
}

/// Use of one commodity in a zone since local midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneUsage {
    pub commodity: Commodity,
    /// Milli-units since local midnight.
    pub today: i64,
    /// Mean of the same part of the same weekday over the weeks that have data; milli-units.
    pub usual: Option<i64>,
    /// Weeks that `usual` is made of, at most 4.
    pub weeks: i16,
}
