//! The program: puts the crates together, talks HTTP, keeps time.
//!
//! The map, in the order a reading travels: [`ingest`](crate) takes frames from the adapters and
//! commits them, [`jobs`](crate) feed the rules and keep the issues, `api` and `console` show them,
//! `demo` runs all of it against a simulated utility.

pub mod api;
pub mod app;
pub mod bench;
pub mod clock;
pub mod config;
pub mod console;
pub mod demo;
pub mod ingest;
pub mod jobs;
pub mod output;
pub mod polling;
pub mod score;
pub mod services;
pub mod simulate;
pub mod telemetry;
pub mod verbs;
