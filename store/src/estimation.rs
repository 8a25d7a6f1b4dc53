//! Estimates and edits: the record of each, the versions that it makes, and what becomes of it.
//!
//! [`apply`] keeps records of `vee::estimation` with the versions of their slots and the meter issue
//! that they belong to, in one transaction. [`supersede`] lets late actual values take their
//! place, [`act`] is what a person or a job decides of a record, [`decide`] and [`undo`] what is
//! decided of single slots. [`violations`] proves the invariants I2, I5 and I6 on what is stored.

mod act;
mod apply;
mod audit;
mod beside;
mod finality;
mod inputs;
mod issue;
mod late;
mod outages;
mod repair;
mod rows;
mod settle;
mod slots;

use metering::{ChannelNo, DeviceFlags, MeterId, QualityStatus, RuleMask, UtcTime};
use vee::estimate::MethodTrial;
use vee::estimation::{Estimation, EstimationState};

pub use act::act;
pub use apply::apply;
pub use audit::{Violation, violations};
pub use beside::{alternates, areas, exchanges, meters_of_zones, transformer_outages, was_live};
pub use finality::finalise;
pub use inputs::{
    Holes, RegisterRead, SeriesSpan, billing_series, holes, in_force, provisional_zeros, registers,
    series, unscaled,
};
pub use late::{LateActual, late_actuals, settle_proposals, supersede};
pub(crate) use late::{Slot, supersede_in};
pub use outages::circumstances;
pub use repair::{Measured, move_measured, reshape, second_values};
pub use rows::by_number;
pub use slots::{Decision, SlotRange, decide, undo, undoable};

/// A record that is to be kept.
#[derive(Clone, Debug)]
pub struct NewEstimation {
    pub record: Estimation,
    /// Every method's values side by side, for the page.
    pub alternatives: Vec<MethodTrial>,
    /// Why a person edited; empty for the engine.
    pub note: String,
}

/// What became of a record that was to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    pub estimation_no: i64,
    /// False when the same estimation was kept before: nothing was changed, or, with versions, it is
    /// in force again.
    pub is_new: bool,
    pub state: EstimationState,
    /// The meter issue that owns it; one is made when none explains the gap. `None`: an edit of
    /// what was measured, which nothing else explains.
    pub issue_id: Option<String>,
    /// Versions that were made: none for a proposal.
    pub versions: u64,
}

/// A stored record. Values and times of its slots ascend.
#[derive(Clone, Debug)]
pub struct StoredEstimation {
    pub estimation_no: i64,
    pub estimation_id: String,
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
    pub len_s: i32,
    /// Number of the method (`metering-rules` 6.4).
    pub method: i16,
    pub status: QualityStatus,
    pub state: EstimationState,
    pub scaled: bool,
    pub billing_from: UtcTime,
    /// Milli-units, one per slot.
    pub values: Vec<i64>,
    pub issue_id: Option<String>,
    pub true_up: Option<i64>,
    pub bill_ids: Vec<String>,
}

/// One slot as it stands now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BestSlot {
    pub end: UtcTime,
    pub value: i64,
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub failed: RuleMask,
    pub version: i16,
    pub method: i16,
    pub estimation_no: Option<i64>,
}
