//! Pages and API, called through the router without a socket.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod api;
mod call;
mod console;
mod console_stream;
mod html;
