//! Shared with the other integration tests.

#[path = "../it/kit/mosquitto.rs"]
pub(crate) mod mosquitto;
#[path = "../it/kit/program.rs"]
pub(crate) mod program;
#[path = "../it/kit/skip.rs"]
pub(crate) mod skip;
#[path = "../it/kit/temp.rs"]
pub(crate) mod temp;
