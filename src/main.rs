//! The program `headend`. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    headend::verbs::run(std::env::args_os())
}
