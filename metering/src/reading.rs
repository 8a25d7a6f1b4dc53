//! Readings of known meters, in stored integers.

use crate::ids::{ChannelNo, MeterId};
use crate::interval::Interval;
use crate::quality::{DeviceFlags, SlotCode};
use crate::time::UtcTime;
use crate::verdict::RuleMask;

/// Consumption within one interval, in milli-units (mWh, mL).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntervalReading {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub interval: Interval,
    pub value: i64,
    pub flags: DeviceFlags,
}

/// A counter as read. `raw` counts in the register's own steps, `value` is in milli-units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterReading {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub read_at: UtcTime,
    pub raw: i64,
    pub value: i64,
    pub flags: DeviceFlags,
}

/// A reading with what the rules said of it: status and flags in `code`, failed rules in `failed`.
/// Judging never fails; it marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JudgedReading<R> {
    pub reading: R,
    pub code: SlotCode,
    pub failed: RuleMask,
}
