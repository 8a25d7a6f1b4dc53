//! The close of a local day: what the checks need of many channels at once, and what they say.
//!
//! A channel has a cursor up to which its days are closed. [`due`] tells whose next day has ended,
//! [`touched`] which closed days got data since; [`load`] gives stretches of days in bulk, in the
//! words of `vee::day`; [`commit`] keeps verdicts in one transaction: one row per channel-day, a
//! version for each slot that changed, findings in their table and in the event log. Committing
//! the same verdict again changes nothing and tells nothing.

mod beside;
mod commit;
mod due;
mod findings;
mod holds;
mod load;
mod neighbours;
mod redraw;

use metering::{ChannelNo, EventCode, MeterId, UtcTime};
use vee::day::{DaySlot, DaySummary, DayVerdict, RegisterPoint};

pub use beside::YEAR_S;
pub use commit::commit;
pub use due::{due, move_cursors, touched};
pub(crate) use due::{note_touched, note_touched_meters};
pub(crate) use holds::without_held;
pub use holds::{DayHold, holds, release_holds};
pub use load::load;
pub(crate) use load::status_of;
pub use neighbours::{CounterRead, CounterRequest, counters};
pub use redraw::{Redrawn, redraw};

/// A channel whose next local day may have ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueChannel {
    pub meter: MeterId,
    pub channel: ChannelNo,
    /// IANA name of the usage point's zone: days are local.
    pub time_zone: String,
    /// Start of the first day that is not closed; `None`: no day was closed yet.
    pub closed_through: Option<UtcTime>,
    /// Without a cursor: where the channel's data or its calendar begins, whichever is earlier.
    pub start: UtcTime,
    pub len_s: i32,
    /// A day may be closed when this long has passed since its end.
    pub delivery_lag_s: i32,
}

/// A UTC day of a channel that got data after the local day was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TouchedDay {
    pub meter: MeterId,
    pub channel: ChannelNo,
    /// Days since 1970-01-01; the local days that overlap it are to be judged again.
    pub utc_day: i64,
    /// Goes back with [`Verdicts::seen`], so that data that arrives meanwhile is not forgotten.
    pub touched: i64,
}

/// Local days of a channel in a row that are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayRequest {
    pub meter: MeterId,
    pub channel: ChannelNo,
    /// Start of the first day and end of the last, in UTC.
    pub from: UtcTime,
    pub to: UtcTime,
    /// Instants at which registers are wanted: bounds of days.
    pub edges: Vec<UtcTime>,
}

/// What is stored of a channel around the days that were asked for. All lists ascend in time.
#[derive(Clone, Debug)]
pub struct ChannelDays {
    pub request: DayRequest,
    /// Slots with a value of whatever kind that end in `(from - look-back, to]`, and those since the
    /// last register read before it, when the register is read within the days.
    pub slots: Vec<DaySlot>,
    /// By channel number: reads of the meter's counters nearest to each edge, before and after it.
    pub registers: Vec<RegisterSeries>,
    /// Closed days of the look-back and, if they were judged before, the days asked for.
    pub history: Vec<DaySummary>,
    /// Events of the meter from two days before `from` up to `to`.
    pub events: Vec<DayEvent>,
    /// Ends of intervals that came again with another value.
    pub differing: Vec<UtcTime>,
    /// Ends of the days on which the meter's voltage was seen.
    pub live: Vec<UtcTime>,
    /// When the last customer left, whether or not another one came since; `None`: not known.
    pub inactive_since: Option<UtcTime>,
    /// Use before this is another customer's, or of another place.
    pub occupied_since: Option<UtcTime>,
    /// Closed days about [`YEAR_S`] before those that were asked for.
    pub last_year: Vec<DaySummary>,
}

/// Reads of one counter of the meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterSeries {
    pub channel: ChannelNo,
    pub points: Vec<RegisterPoint>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayEvent {
    pub at: UtcTime,
    pub code: EventCode,
    /// The device's own number of it; 0 = none.
    pub seq: i32,
}

/// The verdict on one local day of one channel.
#[derive(Clone, Debug)]
pub struct JudgedDay {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub len_s: i32,
    pub verdict: DayVerdict,
}

/// Where a channel's cursor goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CursorMove {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub closed_through: UtcTime,
    /// When the next day is to be closed, by log time.
    pub due_at: UtcTime,
}

/// What one transaction keeps.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    pub days: Vec<JudgedDay>,
    pub cursors: Vec<CursorMove>,
    /// Touched days that these verdicts have seen.
    pub seen: Vec<TouchedDay>,
}

/// What a commit changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    /// Days whose verdict is new or other than before.
    pub days: u64,
    /// New versions of slots.
    pub versions: u64,
    /// Findings that are new or other than before; they are in the log.
    pub findings: u64,
    /// Last sequence that was appended.
    pub last_seq: Option<i64>,
}
