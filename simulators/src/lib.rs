//! Fleets of simulated meters: what they meter, what they send, and what is wrong with them.
//!
//! A [`Fleet`] is a pure generator. From a [`FleetSpec`] it plans who is there ([`assets`]), which
//! faults and which look-alikes of faults happen ([`truth`]), and gives the messages of any stretch
//! of time in the order in which they are sent. The same specification gives the same bytes,
//! however the time is cut into steps.
//!
//! The crate shares no code with what it tests: the wire formats are written here by hand, from the
//! same description that a maker of meters would read (`docs/bundle.md`). It reads no clock, no
//! environment and no random source.

pub mod assets;
mod bundle;
mod calendar;
mod collector;
pub mod edge;
pub mod files;
mod fleet;
pub mod heard;
mod json;
mod layout;
mod link;
mod meter;
pub mod modbus;
mod plan;
mod provision;
mod radio;
mod rng;
pub mod senders;
mod spec;
pub mod trial;
pub mod truth;
pub mod truth_file;
mod usage;

pub use assets::{ChannelSpec, CollectorSpec, FleetAssets, MeterSpec, Place, TransformerSpec};
pub use fleet::{Fleet, SimMessage};
pub use heard::{HeardFleet, HeardKind, HeardSpec, HeardSpecError, HeardTruth};
pub use spec::{FleetSpec, SpecError};
pub use trial::scenario::{HEADEND_NAMES, LONG_NAMES, Scenario, WEATHER_NAMES, spells_in};
pub use trial::truth::{TimedAct, TrialAct, TrialFault, TrialNegative, TrialSubject};
pub use trial::{Trial, TrialKind, TrialSpec};
pub use truth::{
    Fault, FaultKind, HardNegative, HardNegativeKind, Magnitude, SubjectName, Truth, TruthRead,
};
pub use truth_file::{TruthFileError, TruthReader, TruthRecord, TruthWriter};
