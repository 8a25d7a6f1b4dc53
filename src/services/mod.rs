//! What API and console both need and neither owns: answers that are dear enough to keep for a
//! while.

pub mod fleet;
