//! The record of an estimation: what was written in place of what, why, by whom, and what became
//! of it.
//!
//! In the order of its life: when an estimate may be made ([`horizon`]) and when an area is too
//! ill for any ([`storm`]), which gaps are estimated together ([`plan`]), the record with its
//! deterministic id ([`record`]), the codes under which markets know it ([`codes`]), and the closed
//! table of its states ([`states`]), and the versions of slots that it writes and takes back
//! ([`book`]). What a late actual value means for a bill is a [`TrueUp`].

pub mod book;
pub mod codes;
pub mod horizon;
pub mod plan;
pub mod record;
pub mod states;
pub mod storm;

pub use book::{Book, BookError, SlotVersion};
pub use codes::{Nem12, Reason, iec_codes, nem12};
pub use horizon::{billing_from, is_final_horizon, provisional_from};
pub use plan::{Counter, RegisterTotal, Window, windows};
pub use record::{Estimation, EstimationId, Origin, TrueUp, true_up};
pub use states::{EstimationState, TransitionError, Trigger, first_state, next_state};
