//! Who may know whom, from `cargo metadata` and the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::tree::{no_findings, root, sources};

/// What each crate of ours may import, of ours.
const LAW: [(&str, &[&str]); 8] = [
    ("metering", &[]),
    ("vee", &["metering"]),
    ("alerts", &["metering"]),
    ("protocols", &["metering"]),
    ("store", &["metering", "vee", "alerts", "billing"]),
    ("simulators", &["metering", "protocols"]),
    ("headend", &["metering", "vee", "alerts", "protocols", "store", "simulators", "billing"]),
    ("browser", &[]),
];

/// Crates that pure crates never see.
const IMPURE: [&str; 8] =
    ["tokio", "tokio-postgres", "axum", "rumqttc", "deadpool-postgres", "tracing", "rand", "clap"];
const PURE: [&str; 3] = ["metering", "vee", "alerts"];

/// Never in the tree: a second crypto library, C builds, what was weighed and left.
const BANNED: [&str; 8] = [
    "aws-lc-sys",
    "aws-lc-rs",
    "openssl-sys",
    "native-tls",
    "sqlx",
    "chrono-tz",
    "protobuf",
    "time-macros-impl",
];
const CRATES_MAX: usize = 380;

fn direct_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().unwrap().to_owned();
            let dependencies = package["dependencies"].as_array().unwrap();
            let normal = dependencies
                .iter()
                .filter(|d| d["kind"].is_null())
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .collect();
            (name, normal)
        })
        .collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let ours: BTreeSet<&str> = LAW.iter().map(|(name, _)| *name).collect();
    let mut findings = Vec::new();
    for (name, dependencies) in direct_dependencies() {
        let Some((_, allowed)) = LAW.iter().find(|(crate_name, _)| *crate_name == name) else {
            findings.push(format!("{name} stands in no line of the dependency law"));
            continue;
        };
        for dependency in dependencies.iter().filter(|d| ours.contains(d.as_str())) {
            if !allowed.contains(&dependency.as_str()) {
                findings.push(format!("{name} must not import {dependency}"));
            }
        }
    }
    no_findings("the dependency law", &findings);
}

#[test]
fn pure_crates_depend_on_nothing_that_acts() {
    let mut findings = Vec::new();
    for (name, dependencies) in direct_dependencies() {
        if PURE.contains(&name.as_str()) {
            for impure in IMPURE.iter().filter(|crate_name| dependencies.contains(**crate_name)) {
                findings.push(format!("{name} depends on {impure}"));
            }
        }
    }
    no_findings("pure crates", &findings);
}

#[test]
fn the_simulator_shares_no_code_with_what_it_tests() {
    for source in sources(&[".rs"]) {
        if source.path.starts_with("simulators/") {
            for name in ["store::", "vee::", "alerts::", "headend::"] {
                let used = source
                    .text
                    .lines()
                    .any(|l| l.trim_start().starts_with("use ") && l.contains(name));
                assert!(!used, "{} uses {name}", source.path);
            }
        }
    }
}

#[test]
fn the_tree_of_crates_stays_small_and_clean() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let names: Vec<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).collect();
    assert!(names.len() <= CRATES_MAX, "{} crates in Cargo.lock", names.len());
    let found: Vec<String> =
        BANNED.iter().filter(|name| names.contains(*name)).map(ToString::to_string).collect();
    no_findings("banned crates in Cargo.lock", &found);
    let foreign: Vec<String> = lock
        .lines()
        .filter(|line| line.starts_with("source = ") && !line.contains("rust-lang/crates.io-index"))
        .map(ToOwned::to_owned)
        .collect();
    no_findings("crates from elsewhere than the official registry", &foreign);
}
