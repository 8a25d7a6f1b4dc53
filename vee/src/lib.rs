//! Validation of readings: what the rules #1 to #24 of the catalogue say of one reading and its
//! neighbours.
//!
//! In the order a reading is judged: the limits ([`params`]), the catalogue of rules that run here
//! ([`rules`]), what a counter did since its last read ([`register`]), each rule by itself
//! ([`checks`]) and the door that makes one verdict of all of them ([`validate`]).
//!
//! Judging never fails and never drops: a wrong reading is a reading with a quality. Rules that
//! need a whole local day (spike, zero run, sum check, day shape) run when the day closes ([`day`]).
//! This crate reads no clock, no environment and no random source, and does no I/O.

pub mod checks;
pub mod day;
pub mod estimate;
pub mod estimation;
pub mod params;
pub mod register;
pub mod rules;
pub mod status;
pub mod validate;

pub use day::{DayInput, DaySlot, DaySummary, DayVerdict, close_day};
pub use params::{Mark, PARAMS, ParamError, ParamInfo, Params};
pub use register::{Advance, Counter, CounterLimits, classify};
pub use rules::Rule;
pub use validate::{
    Agreement, Arrival, Finding, IntervalContext, RegisterContext, Verdict, judge_interval,
    judge_register,
};
