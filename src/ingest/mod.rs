//! From a message to an acknowledged batch.
//!
//! In the order a message travels: it waits with its duty ([`ack`], [`intake`]); which decoder
//! reads it ([`routes`]), whose it is ([`registry`]), what was measured, in milli-units
//! ([`normalise`], [`scale`]), what a counter did ([`counter`]) and which intervals that makes
//! ([`grid`], [`slots`]), copies of one telegram ([`recent`]), states that became events ([`levels`]), the
//! batch of all that ([`core`], sans-io); then into the store ([`commit`], [`sink`]), and only
//! then the acknowledgement. [`pipeline`] puts the halves together.

mod ack;
mod commit;
mod core;
mod counter;
mod dlq;
pub mod files;
pub mod grid;
mod intake;
mod levels;
mod normalise;
mod options;
mod pipeline;
mod recent;
mod registry;
mod routes;
mod scale;
mod service;
mod sink;
mod skew;
mod slots;
#[cfg(test)]
mod slots_tests;
pub mod stats;
mod store_sink;
#[cfg(test)]
mod testkit;

pub use self::core::{Accepted, Fate, Frame, IngestCore, reasons};
pub use dlq::{ReplayReport, Replayer};
pub use intake::Source;
pub use normalise::{Leftover, SOURCE_DERIVED, SOURCE_SENT};
pub use options::IngestOptions;
pub use registry::Registry;
pub use routes::{Route, topic_matches};
pub use service::Ingest;
pub use sink::{Letter, Sink, SinkError};
pub use stats::{IngestStats, Latency};
