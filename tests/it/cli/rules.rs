//! `headend rules`: a bundle is checked, tried, applied and taken back.

use super::{begin, headend};
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

const BUNDLE: &str = r#"
[bundle]
version = "1"
[rules.WTR-CONT]
cont_min_mlph = "5Lph"
[[custom]]
id = "OP-0001"
name = "weekend use"
when = 'is_weekend && daily_total > 100'
opens = "HIGH_CONSUMPTION"
[[test]]
name = "fires"
rule = "OP-0001"
given = { is_weekend = true, daily_total = 200 }
expect = true
"#;

#[test]
fn a_file_is_checked_and_tested_without_a_database() {
    let here = TempDir::new("rules-check");
    let run = |text: &str, verb: &str| {
        std::fs::write(here.path().join("rules.toml"), text).unwrap();
        headend(here.path(), &["rules", verb, "rules.toml"], &[])
    };
    let ended = run(BUNDLE, "check");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("rules.toml: ok, version 1, hash "), "{}", ended.stdout);
    assert_eq!(run(BUNDLE, "test").stdout, "rules.toml: 1 test passed\n");
    let failed = run(&BUNDLE.replace("expect = true", "expect = false"), "test");
    assert_eq!(failed.code, 65);
    assert!(failed.stderr.contains("rules.toml:11: test `fires`"), "{}", failed.stderr);
    let wrong = run(&BUNDLE.replace("cont_min_mlph", "cont_min"), "check");
    assert_eq!(wrong.code, 65);
    assert!(wrong.stderr.contains("rules.toml:5: rule WTR-CONT has no key"), "{}", wrong.stderr);
    assert!(!here.path().join("data").exists());
}

#[test]
fn the_built_in_rules_are_listed_without_a_database() {
    let here = TempDir::new("rules-catalogue");
    let run = |args: &[&str]| headend(here.path(), args, &[]);
    let listed = run(&["rules", "list", "--output", "csv"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("WTR-CONT"), "{}", listed.stdout);
    assert!(listed.stderr.contains("the built-in rules"), "{}", listed.stderr);
    let by_name = run(&["rules", "show", "wtr-cont", "--output", "csv"]);
    assert!(by_name.stdout.contains("cont_min_mlph,3800,mL/h"), "{}", by_name.stdout);
    let by_number = run(&["rules", "show", "#38", "--output", "csv"]);
    assert_eq!((by_number.code, by_number.stdout), (0, by_name.stdout));
    let wrong = run(&["rules", "show", "WTR-CONTT"]);
    assert_eq!(wrong.code, 65);
    assert!(wrong.stderr.contains("did you mean WTR-CONT?"), "{}", wrong.stderr);
    assert!(!here.path().join("data").exists());
}

#[test]
fn a_bundle_is_applied_and_taken_back() {
    if !has_postgres("a_bundle_is_applied_and_taken_back") {
        return;
    }
    let here = TempDir::new("rules-apply");
    begin(here.path());
    std::fs::write(here.path().join("rules.toml"), BUNDLE).unwrap();
    let run = |args: &[&str]| {
        let args: Vec<&str> = ["rules"].iter().chain(args).copied().collect();
        headend(here.path(), &args, &[])
    };
    let dry = run(&["apply", "rules.toml", "--dry-run", "--output", "csv"]);
    assert!(dry.stdout.contains("WTR-CONT,cont_min_mlph,3800,5000,mL/h"), "{}", dry.stdout);
    assert_eq!(run(&["apply", "rules.toml"]).code, 64, "a change has a reason");
    let done = run(&["apply", "rules.toml", "--reason", "leaks", "--as", "ada"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains(" hold since 20") && done.stdout.contains("(log record "));
    let shown = run(&["show", "WTR-CONT", "--output", "csv"]).stdout;
    assert!(shown.contains("cont_min_mlph,5000,mL/h"), "{shown}");
    let back = run(&["rollback", "built-in", "--reason", "noise", "--as", "ada"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    let shown = run(&["show", "WTR-CONT", "--output", "csv"]).stdout;
    assert!(shown.contains("cont_min_mlph,3800,mL/h"), "{shown}");
    let tried = run(&["backtest", "rules.toml", "--from", "2026-11-01", "--to", "2026-11-02"]);
    assert_eq!(tried.code, 0, "{}", tried.stderr);
    let recent = run(&["backtest", "rules.toml"]);
    assert_eq!(recent.code, 0, "{}", recent.stderr);
    assert!(recent.stderr.starts_with("backtest of 20"), "{}", recent.stderr);
    let history = run(&["history", "--output", "csv"]).stdout;
    assert_eq!(history.lines().count(), 3, "{history}");
    assert!(history.contains("rollback"), "going back is told as such: {history}");
    let live = BUNDLE.replace("version = \"1\"", "version = \"2\"");
    let live = live.replace("opens =", "mode = \"live\"\nopens =");
    std::fs::write(here.path().join("rules.toml"), live).unwrap();
    let early = run(&["apply", "rules.toml", "--reason", "soon", "--as", "ada"]);
    assert_eq!(early.code, 65, "an operator's rule is watched first");
    assert!(early.stderr.contains("7 days in shadow"), "{}", early.stderr);
}

/// Rules that hold bills change only when two people want it, also on the way back.
#[test]
fn what_holds_bills_needs_a_second_person() {
    if !has_postgres("what_holds_bills_needs_a_second_person") {
        return;
    }
    let here = TempDir::new("rules-approve");
    begin(here.path());
    let text = "[bundle]\nversion = \"h1\"\n[rules.MTR-STOP]\nstop_score_min = 5\n";
    std::fs::write(here.path().join("rules.toml"), text).unwrap();
    let run = |args: &[&str]| {
        let args: Vec<&str> = ["rules"].iter().chain(args).copied().collect();
        headend(here.path(), &args, &[])
    };
    let dry = run(&["apply", "rules.toml", "--dry-run"]);
    assert!(dry.stderr.contains("MTR-STOP hold bills"), "{}", dry.stderr);
    let go = ["apply", "rules.toml", "--reason", "fewer", "--as", "ada"];
    let alone = run(&go);
    assert_eq!(alone.code, 65, "{}", alone.stderr);
    let wanted = alone.stderr.contains("MTR-STOP") && alone.stderr.contains("--approved-by NAME");
    assert!(wanted, "{}", alone.stderr);
    let same = run(&[&go[..], &["--approved-by", "Ada"]].concat());
    assert_eq!(same.code, 65);
    assert!(same.stderr.contains("cannot approve what they do themselves"), "{}", same.stderr);
    assert_eq!(run(&["history", "--output", "csv"]).stdout.lines().count(), 1, "nothing held");
    let both = run(&[&go[..], &["--approved-by", "bea"]].concat());
    assert_eq!(both.code, 0, "{}", both.stderr);
    let history = run(&["history", "--output", "csv"]).stdout;
    assert!(history.contains(",ada,bea,fewer,"), "{history}");
    let back = run(&["rollback", "built-in", "--reason", "noise", "--as", "ada"]);
    assert_eq!(back.code, 65, "{}", back.stderr);
    let back = ["rollback", "built-in", "--reason", "noise", "--as", "ada", "--approved-by", "bea"];
    assert_eq!(run(&back).code, 0);
}
