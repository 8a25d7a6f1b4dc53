//! The only SQL of the program.
//!
//! In the order a reading meets them: a private PostgreSQL when none is configured ([`embedded`]),
//! the database and its schema ([`database`]), who meters what ([`assets`]), what a batch is
//! ([`batch`]) and how it is stored in one transaction ([`readings`]) with its frames ([`frame`]) of
//! the event log ([`event_log`]), what rules and staff make of it ([`issues`]), what did not arrive
//! ([`gaps`]), what could not be read ([`replay`]), what is past its keeping ([`upkeep`]), and
//! questions by subject ([`views`]). [`testing`] gives tests a database of their own.
//!
//! Tables name an interval by its START; everything outside this crate, and every argument and
//! answer here, names it by its END. The conversion is made in this crate only.

#[cfg(all(feature = "sabotage-no-dedupe", not(debug_assertions)))]
compile_error!("a sabotage build is for tests alone, never for a release");

pub mod alarms;
pub mod assets;
pub mod batch;
pub mod bench;
pub mod database;
pub mod day;
pub mod embedded;
mod error;
pub mod estimation;
pub mod event_log;
pub mod files;
pub mod frame;
pub mod gaps;
pub mod issues;
pub mod mappings;
mod migrate;
pub mod modbus_units;
mod partitions;
mod presence;
mod purge;
pub mod readings;
pub mod replay;
pub mod report;
pub mod rules;
pub mod testing;
mod tx;
mod types;
pub mod upkeep;
mod versions;
pub mod views;
pub mod work_orders;

pub use batch::{
    Batch, ChannelStateRow, DeadRow, EventRow, HeardRow, IntervalRow, RawRow, RegisterRow, Stored,
    UnknownRow,
};
pub use database::{Connection, Database, DatabaseConfig};
pub use embedded::{EmbeddedOptions, EmbeddedServer, LaunchError, ServerState};
pub use error::StoreError;
pub use event_log::{EventLog, MemoryLog, Offset, PgLog, Snapshot};
pub use migrate::schema_version;
pub use purge::PurgeFilter;
pub use readings::{PreparedBatch, Writer};
pub use replay::{DeadLetter, ReplayFilter};
pub use types::{Day, Stamp};
pub use versions::{Reason as VersionReason, Source as VersionSource};
