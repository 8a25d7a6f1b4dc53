//! `headend ... | head`: who reads leaves early, and the program ends quietly.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{begin, headend};
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

const BUNDLE: &str = "[bundle]\nversion = \"1\"\n[rules.WTR-CONT]\ncont_min_mlph = \"5Lph\"\n";

/// Runs the program with an output that nobody reads.
fn unread(directory: &Path, args: &[&str]) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_headend"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{args:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("pipe"), "{args:?}: {said}");
}

#[test]
fn verbs_that_need_no_database_end_quietly() {
    let here = TempDir::new("pipe");
    std::fs::write(here.path().join("rules.toml"), BUNDLE).unwrap();
    for args in [
        &["rules", "check", "rules.toml"][..],
        &["rules", "test", "rules.toml"],
        &["rules", "features"],
        &["rules", "features", "--output", "csv"],
        &["rules", "features", "--json"],
        &["config", "sample"],
        &["config", "show"],
        &["--help"],
        &["issues", "--help"],
    ] {
        unread(here.path(), args);
    }
}

#[test]
fn verbs_that_ask_the_database_end_quietly() {
    if !has_postgres("verbs_that_ask_the_database_end_quietly") {
        return;
    }
    let here = TempDir::new("pipe-db");
    begin(here.path());
    for args in [
        &["meters", "list", "--json"][..],
        &["meters", "show", "E-1"],
        &["issues", "list", "--output", "csv"],
        &["rules", "list"],
        &["rules", "show", "WTR-CONT"],
        &["rules", "shadow", "list"],
        &["vee", "queue"],
    ] {
        unread(here.path(), args);
    }
    let list = headend(here.path(), &["rules", "shadow", "list", "--output", "csv"], &[]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    assert!(list.stdout.starts_with("raised_at,rule,severity,"), "{}", list.stdout);
}

#[test]
fn a_directory_without_a_database_is_told_and_left_alone() {
    let here = TempDir::new("nothing");
    for args in [
        &["issues", "list"][..],
        &["issues", "acknowledge", "7"],
        &["meters", "list"],
        &["vee", "queue"],
        &["rules", "history"],
        &["dlq", "list"],
    ] {
        let ended = headend(here.path(), args, &[]);
        assert_eq!(ended.code, 69, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("there is no database in"), "{}", ended.stderr);
        assert!(ended.stderr.contains("headend serve"), "{}", ended.stderr);
        assert!(!here.path().join("data").exists(), "{args:?} made a database");
    }
}
