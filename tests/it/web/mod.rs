//! Pages and API, called through the router without a socket.

mod api;
mod call;
mod console;
mod console_stream;
mod files;
mod html;
mod modbus;
mod review;
