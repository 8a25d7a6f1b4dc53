//! The console in real Chromium. The browser is asked for what it shows, what it requested and what
//! it complained of. Pictures of all pages are left in `target/tmp/screens`, for people.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod acts;
mod demo;
mod files;
mod head_end;
mod journeys;
mod kit;
mod live;
mod modbus;
mod pages;
mod payloads;
mod webdriver;
