//! The streaming rule engine: what is wrong, since when, and what staff should work on.
//!
//! It reads the event log in sequence and says [`AlertTransition`]s; [`issue`] turns them into
//! changes of meter issues. Two times: *event time* (interval ends, stamps of events) for what a
//! rule measures, *log time* (stamped once at append) for timers. The same log gives the same
//! transitions, byte for byte, however it is cut into frames.
//!
//! This crate reads no clock, no environment, no random source and does no I/O.

pub mod cause;
pub mod issue;
pub mod rule;
pub mod transition;

pub use cause::{Cause, Family, UnknownWord};
pub use rule::RuleId;
pub use transition::{AlertTransition, Evidence, TransitionKind, alert_id};
