//! Visits to the field: ordered for issues, told how far they are, and what was found.
//!
//! One order may serve many issues and one issue may need many orders. What the field tells is
//! taken once by (number, status, time). An order moves its issues by the closed table, its
//! findings identify their cause, and each change is told to the event log in the same transaction.

mod change;
mod reads;

use metering::{ChannelNo, Severity, Subject, UtcTime, WorkOrderKind, WorkOrderStatus};

pub use change::{create, tell};

/// An order on its way in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewWorkOrder {
    pub subject: Subject,
    pub kind: WorkOrderKind,
    pub severity: Severity,
    /// When the visit is planned.
    pub at: UtcTime,
    /// Numbers of the issues that it serves.
    pub issues: Vec<i64>,
    /// What is to be done, with what, and what to beware of.
    pub action: String,
    pub parts: String,
    pub safety: String,
    pub assignee: Option<String>,
    /// Name and number in another system; empty: ours alone.
    pub ext_system: String,
    pub ext_id: String,
}

/// What the field tells of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub status: WorkOrderStatus,
    /// When it was so.
    pub at: UtcTime,
    pub note: String,
    pub findings: Option<Findings>,
}

/// What was found and done; belongs to a completed order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// What was wrong, one of the causes that can be identified.
    pub cause: Option<alerts::Cause>,
    /// `exchanged`, `battery_replaced`, `module_replaced`, `reprogrammed`, `reseated`, `wiring`,
    /// `valve_or_leak_repaired`, `network_restored`, `no_fault_found`.
    pub fix_action: Option<String>,
    pub new_serial: Option<String>,
    /// Final read of the old meter and initial read of the new one, in the counter's own steps.
    pub final_read: Option<FieldRead>,
    pub initial_read: Option<FieldRead>,
}

/// A counter as read by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldRead {
    pub channel: ChannelNo,
    pub read_at: UtcTime,
    pub raw: i64,
}

/// What became of what the field told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// False when the same was told before: nothing was changed.
    pub is_new: bool,
    /// Issues that moved.
    pub moved: u32,
    /// Reads that were stored.
    pub reads: u32,
}

/// Which fix actions are known.
pub const FIX_ACTIONS: [&str; 10] = [
    "exchanged",
    "battery_replaced",
    "module_replaced",
    "reprogrammed",
    "reseated",
    "wiring",
    "valve_or_leak_repaired",
    "network_restored",
    "no_fault_found",
    "self_recovered",
];
