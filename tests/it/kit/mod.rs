//! What the tests share: skips that are counted, and the real things to test against.

pub(crate) mod skip;
pub(crate) mod temp;
