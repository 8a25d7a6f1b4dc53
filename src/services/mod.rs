//! What API and console both need and neither owns: answers that are dear enough to keep for a
//! while, and what people decide of intervals.

pub mod files;
pub mod fleet;
pub mod green_button;
pub mod modbus;
pub mod payloads;
pub mod rules;
pub mod vee;
