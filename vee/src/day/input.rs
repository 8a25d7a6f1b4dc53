//! What a closed local day is judged by.

use metering::{
    ChannelAsset, DayShape, MeterAsset, QualityStatus, Quantity, RuleMask, SlotCode, UtcTime,
};

use crate::rules::Rule;

/// An interval of which something is known. The checks judge what arrived; estimates and edits that
/// stand in its place never change what a check says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DaySlot {
    pub end: UtcTime,
    /// In milli-units, as it arrived; of a slot that did not arrive, or whose best version was
    /// measured in another shape, its best value.
    pub value: i64,
    /// Status (raw or suspect) and flags as judged on arrival; missing when nothing arrived.
    pub arrived: SlotCode,
    /// Status of the best version now, operational lane.
    pub best: QualityStatus,
    /// Failed rules of the best version; empty without an exception record.
    pub failed: RuleMask,
    /// The best version was measured, in another shape or under another time: `value` is its own.
    pub measured: bool,
}

/// A register read. Rates and totals have channels of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterPoint {
    pub read_at: UtcTime,
    /// In milli-units, multiplier applied.
    pub value: i64,
    /// One step of the counter in milli-units.
    pub step: i64,
    /// False when a rule forbids its use.
    pub usable: bool,
}

/// The register of one rate of the channel's quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateRegister<'a> {
    pub tariff: u8,
    pub points: &'a [RegisterPoint],
}

/// What later days need of a closed day. One row per channel and local day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DaySummary {
    pub from: UtcTime,
    pub to: UtcTime,
    /// Sum of the valid actuals in milli-units; scale it by `slots / actual` for the whole day.
    pub total: i64,
    /// Highest valid actual, in milli-units.
    pub peak: i64,
    /// Intervals that the day has.
    pub slots: u16,
    /// Of these: valid actuals.
    pub actual: u16,
    /// Of these: suspect, by arrival or by the day's checks.
    pub suspect: u16,
    /// True when the day's raw intervals without an exception count as validated.
    pub validated: bool,
    /// The day's actuals include an outage (power-fail flag).
    pub outage: bool,
    /// Rules that failed and rules that warned.
    pub failing: RuleMask,
    pub warned: RuleMask,
    /// Since when every actual was zero.
    pub zero_since: Option<UtcTime>,
    /// Longest zero run that ended within the day, in seconds.
    pub zero_longest_s: i32,
    /// Since when every actual had the same value, that value, and in how many slots.
    pub flat_since: Option<UtcTime>,
    pub flat_value: i64,
    pub flat_slots: i32,
    /// Since when there was reactive energy without active energy.
    pub reactive_since: Option<UtcTime>,
    /// Power factor of the day in per mille; 0 = unknown.
    pub pf_permille: i16,
    /// The switch or valve was open (or shut) when the day ended.
    pub switched_off: bool,
    /// Days up to this one without actuals.
    pub lacking_days: u16,
}

/// Facts beside the channel's own series. The default is "nothing is known".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Around<'a> {
    /// Intervals of the day that came again with another value, and those of them that lie within
    /// an hour of a clock change.
    pub differing: u16,
    pub differing_at_change: u16,
    /// Most events that the device's counter skipped at once while readings arrived.
    pub messages_skipped: u16,
    /// The disconnect switch or valve was open (or shut) all day; when the day ended.
    pub switched_off: bool,
    pub switched_off_after: bool,
    /// Voltage was seen during the day.
    pub voltage_present: bool,
    /// Since when the account is inactive, or was before somebody came.
    pub inactive_since: Option<UtcTime>,
    /// Use before this belongs to another customer or plant.
    pub occupied_since: Option<UtcTime>,
    /// Average daily use to compare with, in milli-units: same cycle of last year or class profile.
    pub reference_adu: Option<i64>,
    /// Expected use by weather, in per mille of the reference; 0 = unknown.
    pub weather_permille: u16,
    /// A reading cycle ends with this day and began so many days ago; 0 = none ends.
    pub cycle_days: u16,
    /// Intervals further back than [`LOOK_BACK_S`], ascending and without a hole before the slots
    /// of the day: those since the last register read, when that is older.
    pub before: &'a [DaySlot],
    /// The reactive channel's intervals of the same stretch, ascending.
    pub reactive: &'a [DaySlot],
    /// Rate registers beside this total register.
    pub rates: &'a [RateRegister<'a>],
}

/// A channel's local day after its end and its neighbours' facts. All slices are ascending in time.
#[derive(Clone, Copy, Debug)]
pub struct DayInput<'a> {
    pub meter: &'a MeterAsset,
    pub channel: &'a ChannelAsset,
    pub day: DayShape,
    /// The clock change within the day, if any (`LocalCalendar::change_within`).
    pub change: Option<UtcTime>,
    /// Intervals of the day and of [`LOOK_BACK_S`] before it.
    pub slots: &'a [DaySlot],
    /// Reads of the channel's register, from before the first slot to the end of the day.
    pub registers: &'a [RegisterPoint],
    /// Closed days before this one, up to [`HISTORY_DAYS`].
    pub history: &'a [DaySummary],
    /// What an earlier close of this day said.
    pub closed: Option<&'a DaySummary>,
    pub around: Around<'a>,
}

/// Days of summaries that the checks look back at most.
pub const HISTORY_DAYS: i64 = 91;
/// Seconds of intervals before the day that the checks look back: a local day of 25 hours.
pub const LOOK_BACK_S: i64 = 25 * 3_600;

impl DaySlot {
    /// A slot as it arrived, not judged since.
    pub fn arrived(end: UtcTime, value: i64, code: SlotCode, failed: RuleMask) -> Self {
        Self { end, value, arrived: code, best: code.status(), failed, measured: false }
    }

    /// The value when it arrived and nothing forbade its use then or by hand since.
    pub fn actual(&self) -> Option<i64> {
        let usable = match self.best {
            _ if self.measured => true,
            QualityStatus::Verified => true,
            QualityStatus::Rejected | QualityStatus::Edited => false,
            _ => self.arrived.status() == QualityStatus::Raw,
        };
        usable.then_some(self.value)
    }
}

impl DaySummary {
    /// Use of the whole day in milli-units, when at least `percent` of it is valid.
    pub fn daily_use(&self, percent: i64) -> Option<i64> {
        let (actual, slots) = (i64::from(self.actual), i64::from(self.slots));
        if actual == 0 || actual * 100 < slots * percent {
            return None;
        }
        let scaled = i128::from(self.total) * i128::from(slots) / i128::from(actual);
        i64::try_from(scaled).ok()
    }

    /// A day that failed #13 REG-SUM or #21 INT-FLAT tells nothing of the customer's use.
    pub const fn tells_use(&self) -> bool {
        self.failing.bits() & (Rule::Sum.mask().bits() | Rule::Flat.mask().bits()) == 0
    }

    /// True when the day before `day` is this one.
    pub fn precedes(&self, day: DayShape) -> bool {
        self.to == day.start
    }
}

impl DayInput<'_> {
    /// Counts use in one direction, so that reasonableness can be told.
    pub fn is_consumption(&self) -> bool {
        let quantity = self.channel.reading_type.quantity;
        matches!(quantity, Quantity::EnergyActive | Quantity::EnergyThermal | Quantity::Volume)
            && self.channel.reading_type.flow != metering::Flow::Export
            && self.channel.reading_type.tariff == 0
            && !self.meter.has_tag(metering::Tag::NetMeter)
    }

    /// The day before, when it is closed.
    pub fn yesterday(&self) -> Option<&DaySummary> {
        self.history.last().filter(|summary| summary.precedes(self.day))
    }
}
