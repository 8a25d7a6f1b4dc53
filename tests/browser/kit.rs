//! Shared with the other integration tests.

#[path = "../it/kit/program.rs"]
pub(crate) mod program;
#[path = "../it/kit/skip.rs"]
pub(crate) mod skip;
#[path = "../it/kit/temp.rs"]
pub(crate) mod temp;
