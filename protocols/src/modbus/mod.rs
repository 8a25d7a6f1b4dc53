//! Modbus: meters that are asked. TCP, RTU inside TCP, RTU on a serial line; reading only.
//!
//! From the wire up: [`pdu`] (what is asked and answered) in a [`frame`]; a [`profile`] says which
//! registers a kind of device has, [`plan`] which are read together, [`value`] what they mean;
//! [`sunspec`] finds them in devices that describe themselves; [`state`] is one gateway with its
//! units, sans-io; [`record`] is what a poll gives to ingest. [`driver`] (feature `modbus`) is the
//! socket. `docs/modbus.md` tells the same for people.

mod breaker;
pub mod channel;
pub mod devices;
#[cfg(feature = "modbus")]
pub mod driver;
pub mod frame;
pub mod health;
mod parse;
pub mod pdu;
pub mod plan;
pub mod profile;
pub mod record;
#[cfg(feature = "modbus")]
pub mod serial;
pub mod state;
pub mod sunspec;
#[cfg(test)]
mod tests;
mod unit;
pub mod value;
mod verify;

pub use health::{Counts, GatewayHealth, UnitHealth, UnitState};
pub use parse::ProfileError;
pub use profile::Profile;
pub use record::PollRecord;
pub use state::{Action, BEAT_S, Gateway, GatewaySettings, Outcome};
pub use unit::UnitSettings;
pub use verify::CheckError;
