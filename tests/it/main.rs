//! All integration tests, in one binary: each file directly in `tests/` would link everything again.

mod kit;
mod tidy;
