//! How gateways and their units are, for pages and metrics.

use metering::{Exact, Unit, UtcTime};

/// One gateway as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GatewayHealth {
    pub name: String,
    /// Where it is reached.
    pub address: String,
    pub connected: bool,
    pub counts: Counts,
    /// What went wrong last, and when.
    pub last_fault: Option<(UtcTime, String)>,
    /// Since when it refuses connections, or answers for none of its units.
    pub unreached: Option<UtcTime>,
    pub units: Vec<UnitHealth>,
}

/// Totals since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub requests: u64,
    pub answers: u64,
    pub exceptions: u64,
    pub timeouts: u64,
    /// Answers that belonged to no request, or were cut or damaged.
    pub wrong_answers: u64,
    pub connections: u64,
    pub connection_failures: u64,
    pub polls: u64,
    /// Values that could not be and were not kept.
    pub implausible: u64,
}

/// One unit as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitHealth {
    pub unit: u8,
    pub source: String,
    pub profile: String,
    pub state: UnitState,
    pub every_s: u32,
    pub next_poll: UtcTime,
    pub last_answer: Option<UtcTime>,
    pub last_fault: Option<(UtcTime, String)>,
    pub polls: u64,
    /// Of the last poll, in its order: channel, value, unit.
    pub values: Vec<(String, Option<Exact>, Unit)>,
}

/// What can be said of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnitState {
    /// Not asked yet.
    New,
    Answering,
    /// The last request failed; it is tried again soon.
    Failing,
    /// Five failures in a row: asked rarely, so that others do not wait for it.
    Lost,
    /// It answers, but not to what the profile asks.
    ProfileError,
    /// Its gateway cannot be reached.
    Unreached,
}

impl UnitState {
    pub const ALL: [Self; 6] = [
        Self::New,
        Self::Answering,
        Self::Failing,
        Self::Lost,
        Self::ProfileError,
        Self::Unreached,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Answering => "answering",
            Self::Failing => "failing",
            Self::Lost => "lost",
            Self::ProfileError => "profile_error",
            Self::Unreached => "unreached",
        }
    }
}
