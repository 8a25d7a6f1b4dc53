//! The built program, run as people run it: what it prints and how it ends.

mod acts;
mod closed_pipe;
mod config;
mod files;
mod help;
mod import;
mod journey;
mod protocols;
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

/// A private database in `directory` with one meter; the verbs that only look make none.
fn begin(directory: &Path) {
    let meters = "meter,source,commodity,address,field,reading_type,kind,unit,interval\n\
                  E-1,ami:E-1,electricity,Mill Lane 4,energy_import,energy_active_import,\
                  interval,kWh,15m\n";
    std::fs::write(directory.join("first.csv"), meters).unwrap();
    let ended = headend(directory, &["meters", "provision", "first.csv"], &[]);
    assert_eq!(ended.code, 0, "{} {}", ended.stdout, ended.stderr);
}
