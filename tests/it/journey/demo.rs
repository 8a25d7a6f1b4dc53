//! The demo proves itself by its report: the same seed gives the same data and issues, every planted
//! fault is found, and nothing else is.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::kit::program::{Program, has_postgres};
use crate::kit::{HEAVY, setting};

use crate::kit::temp::{TempDir, free_port};

/// The keys that a report has for ever.
const KEYS: [&str; 10] = [
    "offered",
    "committed",
    "duplicate",
    "conflicting",
    "dead_lettered",
    "identity_ok",
    "faults",
    "false_issues",
    "ack_latency_ms",
    "console_ready_s",
];
const FAULT_KEYS: [&str; 7] =
    ["kind", "subject", "onset", "found", "issue", "cause", "detected_after_s"];
const END_LIMIT: Duration = Duration::from_secs(400);

fn run(directory: &Path, seed: u64, meters: u64) -> Value {
    let report = directory.join(format!("report-{seed}-{meters}-{}.json", free_port()));
    let seconds = setting("HEADEND_DEMO_SECONDS", 60);
    let log = directory.join("demo.log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_headend"));
    command
        .args(["demo", "--for", &format!("{seconds}s")])
        .args(["--seed", &seed.to_string(), "--meters", &meters.to_string()])
        .args(["--port", &free_port().to_string(), "--report"])
        .arg(&report)
        .current_dir(directory);
    let mut program = Program::start(&mut command, &log);
    let status = program.wait(END_LIMIT);
    assert!(status.is_some_and(|s| s.success()), "{status:?}: {}", program.log());
    serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap()
}

/// What must hold for every seed and size.
fn check(report: &Value) {
    for key in KEYS {
        assert!(!report[key].is_null(), "no key {key}: {report}");
    }
    let number = |key: &str| report[key].as_i64().unwrap();
    let sum =
        number("committed") + number("duplicate") + number("conflicting") + number("dead_lettered");
    assert_eq!(number("offered"), sum);
    assert!(number("committed") > 0);
    assert_eq!(report["identity_ok"], true);
    let faults = report["faults"].as_array().unwrap();
    assert!(faults.len() >= 8, "{} faults are planted", faults.len());
    for fault in faults {
        for key in FAULT_KEYS {
            assert!(fault.get(key).is_some(), "no key {key}: {fault}");
        }
        assert_eq!(fault["found"], true, "{fault}");
    }
    let live = faults.iter().filter(|fault| fault["live"] == true);
    let mut kinds: Vec<&str> = live.filter_map(|fault| fault["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() >= 3, "live kinds: {kinds:?}");
    assert_eq!(report["false_issues"], Value::Array(Vec::new()));
}

#[test]
fn the_same_seed_gives_the_same_data_and_issues() {
    if !has_postgres("the_same_seed_gives_the_same_data_and_issues") {
        return;
    }
    let _turn = HEAVY.blocking_lock();
    let directory = TempDir::new("demo");
    let first = run(directory.path(), 7, 200);
    check(&first);
    let again = run(directory.path(), 7, 200);
    check(&again);
    for key in ["offered", "data_hash", "issues_hash"] {
        assert_eq!(first[key], again[key], "{key}");
    }
}

#[test]
fn another_seed_and_size_live_as_well() {
    if !has_postgres("another_seed_and_size_live_as_well") {
        return;
    }
    let _turn = HEAVY.blocking_lock();
    let directory = TempDir::new("demo");
    let seed = setting("HEADEND_SEED", 11);
    println!("seed={seed}");
    check(&run(directory.path(), seed, 60));
}
