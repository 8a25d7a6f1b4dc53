//! All integration tests, in one binary: each file directly in `tests/` would link everything again.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod cli;
mod faults;
mod ingest;
mod jobs;
mod journey;
mod kit;
mod peers;
mod score;
mod tidy;
mod web;
