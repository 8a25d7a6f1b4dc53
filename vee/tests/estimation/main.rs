//! Tests of estimation through its public door: the published vectors, the invariants, the ladder
//! and the repairs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod ladder;
mod properties;
mod repairs;
mod rig;
mod vectors;
