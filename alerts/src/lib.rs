//! The streaming rule engine: what is wrong, since when, and what staff should work on.
//!
//! It reads the event log in sequence ([`engine`]): an interval value finds its slot and its local
//! day (`intervals`, `local`, `state`), the `rules` look, timers watch what does not arrive
//! (`timer`, `classify`), and what changed becomes an [`AlertTransition`]. [`issue`] says what a
//! transition does to a meter issue. Two times: *event time* (interval ends, stamps of events) for what a rule
//! measures, *log time* (stamped once at append) for timers. The same log gives the same
//! transitions, byte for byte, however it is cut into frames and wherever it is taken up again from
//! a snapshot.
//!
//! This crate reads no clock, no environment, no random source and does no I/O. Rules #1 to #24 are
//! `vee`'s; their verdicts travel in the log.

mod active;
mod alerts;
pub mod bundle;
pub mod cause;
mod classify;
mod crowd;
mod custom;
pub mod engine;
mod env;
pub mod expr;
pub mod features;
mod groups;
mod intervals;
pub mod issue;
mod local;
pub mod manage;
mod network;
pub mod params;
mod rebuild;
mod restore;
pub mod rule;
mod rules;
mod snapshot;
mod state;
mod stats;
mod switch;
#[cfg(test)]
mod tests;
mod timer;
pub mod transition;
mod trend;

pub use bundle::{BUILT_IN, Bundle, BundleErrors};
pub use cause::{Cause, Family, UnknownWord};
pub use engine::Engine;
pub use params::{Mark, Mode, PARAMS, ParamError, ParamInfo, Params, RuleSettings};
pub use rebuild::{KnownAlert, KnownLeak};
pub use rule::{CATALOGUE, RuleId, RuleInfo};
pub use rules::dma::{
    ili_x100, leak_per_day_ml, net_night_flow_mlph, uarl_gal_per_day, uarl_l_per_day, water_losses,
};
pub use rules::projection::{Pricing, project_usage};
pub use rules::sewer::{winter_average, winter_mean_truncated};
pub use rules::verdicts::kind as finding_kind;
pub use snapshot::SnapshotError;
pub use transition::{AlertTransition, Evidence, TransitionKind, alert_id};
