//! The store on a real PostgreSQL: one cluster per run, a database per test.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic, as tests do")]

mod assets;
mod days;
mod dead_letters;
mod embedded;
mod estimates;
mod event_log;
mod field;
mod gaps;
mod handover;
mod identity;
mod issues;
mod mappings;
mod partitions;
mod support;
mod upkeep;
mod views;
