//! Whole runs: a simulated fleet, its broker, the head-end, its database.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod demo;
