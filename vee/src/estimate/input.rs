//! What is known around the gaps of one channel.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use metering::{ChannelAsset, ChannelKind, Commodity, LocalCalendar, UtcTime};

use super::{Gap, Method, Series, TouInput};

/// Facts of the channel that do not change with the gap.
#[derive(Clone, Debug)]
pub struct ChannelFacts {
    pub channel: ChannelAsset,
    pub commodity: Commodity,
    /// Zone of the usage point: like days are local days.
    pub calendar: LocalCalendar,
    /// Public holidays of the utility; a holiday is like another holiday.
    pub holidays: BTreeSet<Date>,
    /// One register counts both directions: values may be negative.
    pub net: bool,
}

/// Day type (section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DayType {
    Weekday,
    Saturday,
    Sunday,
    Holiday,
}

impl DayType {
    pub fn of(date: Date, holidays: &BTreeSet<Date>) -> Self {
        if holidays.contains(&date) {
            return Self::Holiday;
        }
        match date.weekday() {
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
            _ => Self::Weekday,
        }
    }
}

impl ChannelFacts {
    pub fn day_type(&self, date: Date) -> DayType {
        DayType::of(date, &self.holidays)
    }

    pub const fn len_s(&self) -> i32 {
        self.channel.len_s
    }

    /// The step that estimates are rounded to, in milli-units.
    pub const fn step(&self) -> i64 {
        if self.channel.resolution > 0 { self.channel.resolution } else { 1 }
    }

    /// The channel is metered by a counter alone; its intervals are derived.
    pub fn is_register_only(&self) -> bool {
        self.channel.kind == ChannelKind::Register
    }
}

/// A register at two instants that bracket the gaps. Values and advance in milli-units; the
/// advance has rollover and multiplier applied and is never the plain difference after a rollover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterWindow {
    pub open_at: UtcTime,
    pub close_at: UtcTime,
    pub open: i64,
    pub close: i64,
    pub advance: i64,
}

/// A power outage of the meter `[down, up)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    pub down: UtcTime,
    /// `None`: not restored yet.
    pub up: Option<UtcTime>,
    pub evidence: OutageEvidence,
}

/// How an outage is known; decides whether zeros are final (7.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutageEvidence {
    /// Flags on the last read before and the first read after.
    Flags { power_down: bool, power_up: bool },
    /// COM-CLASSIFY row 3 (last gasp, or an outage of its transformer): provisional.
    Classified,
}

/// Mean course of a day of a customer class: relative weights by local wall slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClassProfile {
    pub id: String,
    /// Length of a wall slot in seconds; divides a day.
    pub slot_s: i32,
    /// One weight per wall slot of a day, not negative.
    pub weekday: Vec<i64>,
    pub saturday: Vec<i64>,
    pub sunday: Vec<i64>,
    /// Mean use of a day of the class in milli-units: for channels without any history.
    pub daily: i64,
}

impl ClassProfile {
    pub fn weights(&self, day: DayType) -> &[i64] {
        match day {
            DayType::Weekday => &self.weekday,
            DayType::Saturday => &self.saturday,
            DayType::Sunday | DayType::Holiday => &self.sunday,
        }
    }
}

/// Everything that an estimate of the gaps of one window is made from. It is all there is: the
/// same input gives the same bytes (I4).
#[derive(Clone, Copy, Debug)]
pub struct GapInput<'a> {
    pub facts: &'a ChannelFacts,
    /// Values around the gaps: the whole register window, the neighbours, five weeks to either side
    /// for like days and, where known, the weeks of the year before.
    pub series: &'a Series,
    /// Gaps that are to be estimated together, rising, not touching. When `registers` is given,
    /// these are all unusable slots between the registers.
    pub gaps: &'a [Gap],
    pub registers: Option<RegisterWindow>,
    /// Registers of the rates over the same window, where the meter has them.
    pub rates: Option<TouInput<'a>>,
    pub outages: &'a [Outage],
    pub profile: Option<&'a ClassProfile>,
    /// A check meter or redundant channel of the same length.
    pub check: Option<&'a Series>,
    /// Set by a person; else the ladder and the back-test choose.
    pub method: Option<Method>,
}
