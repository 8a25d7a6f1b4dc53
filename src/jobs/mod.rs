//! What runs beside ingest: rules and issues behind the event log, ticks when the log is quiet, the
//! calendar of expected reads, and the upkeep of tables.
//!
//! [`rules`] and [`issues`] know log time only; the others are told the time by their caller, so
//! that the demo can drive them by its stepped clock.

mod alarms;
pub mod calendar;
pub mod day_close;
pub mod estimation;
pub mod inbox;
pub mod issues;
pub mod rules;
mod shadow;
pub mod ticks;
pub mod upkeep;
