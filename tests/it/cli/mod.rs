//! The built program, run as people run it: what it prints and how it ends.

mod config;
mod help;
mod journey;
mod rules;
mod verbs;

use std::path::Path;
use std::process::{Command, Output};

/// How a run of the program ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program in `directory` with nothing in its environment but `PATH` and `variables`.
fn headend(directory: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
