//! Records of the event log: what the rule engine, the live console and other nodes read.
//!
//! A frame is appended in the transaction that stores its readings. `log_time` is stamped once, at
//! append; the rules never read a clock.

use crate::asset::{CollectorAsset, MeterAsset, WorkOrderKind, WorkOrderStatus, ZoneAsset};
use crate::event::EventCode;
use crate::ids::{ChannelNo, CollectorId, MeterId, Subject};
use crate::quality::SlotCode;
use crate::time::UtcTime;
use crate::verdict::{Outcome, RuleMask, RuleNo};

/// A frame as read back. Records stand in log order; record i has sequence `first_seq + i`.
#[derive(Clone, PartialEq, Debug)]
pub struct LoggedFrame {
    pub shard: i16,
    pub first_seq: i64,
    pub log_time: UtcTime,
    pub records: Vec<LogRecord>,
}

/// One fact, in the order in which it was committed.
#[derive(Clone, PartialEq, Debug)]
pub enum LogRecord {
    /// A new interval value (or a derived one). Ends name intervals.
    Interval {
        meter: MeterId,
        channel: ChannelNo,
        end: UtcTime,
        len_s: i32,
        value: i64,
        code: SlotCode,
        failed: RuleMask,
    },
    /// A new register value in milli-units.
    Register {
        meter: MeterId,
        channel: ChannelNo,
        read_at: UtcTime,
        value: i64,
        code: SlotCode,
        failed: RuleMask,
    },
    /// A new event of a device. `detail` is a small number such as a bin, else 0.
    Event { subject: Subject, occurred_at: UtcTime, code: EventCode, detail: i32 },
    /// The meter was heard (also by a repeated telegram), through this collector if any.
    Heard { meter: MeterId, collector: Option<CollectorId>, rssi_dbm: Option<i16> },
    /// Time passed without data; timers fire up to the frame's `log_time`.
    Tick,
    /// A meter was provisioned or changed.
    Meter(Box<MeterAsset>),
    /// A collector was provisioned or changed.
    Collector(CollectorAsset),
    /// What a check of a closed window says (rules of `vee` that need more than one reading).
    Finding(Finding),
    /// A work order was made or changed.
    WorkOrder(WorkOrder),
    /// A network zone was provisioned or changed.
    Zone(ZoneAsset),
    /// From here on these rules hold: the text of a rule bundle.
    Rules(Box<RuleBundle>),
}

/// Verdict of one rule on a window `(from, to]` of a channel or a meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    pub meter: MeterId,
    /// `None`: about the meter as a whole.
    pub channel: Option<ChannelNo>,
    pub rule: RuleNo,
    pub outcome: Outcome,
    pub from: UtcTime,
    pub to: UtcTime,
    /// Which of the rule's conditions; numbered by `vee`, 0 when there is only one.
    pub kind: u8,
    /// A number of the rule's own, for the evidence (milli-units, seconds or per mille).
    pub detail: i64,
}

/// A visit to the field, as far as rules care.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkOrder {
    /// Number in our store.
    pub number: i64,
    pub subject: Subject,
    pub kind: WorkOrderKind,
    pub status: WorkOrderStatus,
    /// Event time of the visit: planned while open, done when completed.
    pub at: UtcTime,
}

/// A version of the rules, as it was made active.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleBundle {
    pub version: String,
    /// TOML as written by the operator.
    pub text: String,
}
