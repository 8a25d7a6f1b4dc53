//! The store on a real PostgreSQL: one cluster per run, a database per test.

mod assets;
mod embedded;
mod event_log;
mod gaps;
mod identity;
mod issues;
mod partitions;
mod support;
mod views;
