//! Verbs that need a database: they start the private server for as long as they take.

use expect_test::expect;

use super::{begin, headend};
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

const METERS: &str = "\
meter,source,commodity,address,zone,collector,\
collector_heartbeat,field,reading_type,kind,unit,decimals,modulus,interval\n\
W-1,ert:1,water,Mill Lane 4,North,C-01,5m,consumption,volume,register,gal,0,16777216,1h\n\
E-1,,electricity,Mill Lane 4,North,,,energy_import,energy_active_import,interval,kWh,,,15m\n\
E-1,,,,,,,energy_export,energy_active_export,interval,kWh,,,15m\n";

#[test]
fn a_database_that_is_away_ends_with_69_and_starts_no_other() {
    let here = TempDir::new("away");
    let args = ["meters", "list", "--database-url", "postgresql://nobody@127.0.0.1:1/none"];
    let ended = headend(here.path(), &args, &[]);
    assert_eq!(ended.code, 69, "{}", ended.stderr);
    assert!(ended.stderr.contains("127.0.0.1"), "{}", ended.stderr);
    assert!(!here.path().join("data").exists());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, mostly its expected texts")]
fn meters_are_provisioned_listed_and_shown() {
    if !has_postgres("meters_are_provisioned_listed_and_shown") {
        return;
    }
    let here = TempDir::new("meters");
    let file = here.path().join("meters.csv");
    let provision = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let args: Vec<&str> =
            ["meters", "provision", "meters.csv"].iter().chain(more).copied().collect();
        headend(here.path(), &args, &[])
    };
    let dry = provision(METERS, &["--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    expect![[r#"
        created         2
        changed         0
        unchanged       0
        refused         0
        reads replayed  0
    "#]]
    .assert_eq(&dry.stdout);
    assert_eq!(headend(here.path(), &["meters", "list", "--json"], &[]).stdout, "[]\n");

    let done = provision(METERS, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    expect![[r#"
        created         2
        changed         0
        unchanged       0
        refused         0
        reads replayed  0
    "#]]
    .assert_eq(&done.stdout);
    expect![[r#"
        created         0
        changed         0
        unchanged       2
        refused         0
        reads replayed  0
    "#]]
    .assert_eq(&provision(METERS, &[]).stdout);

    let bad = METERS.replace("E-1,,electricity", "E-2,ami:E-2,electric")
        + &METERS[METERS.find("W-1").unwrap()..].replace("W-1,ert:1", "W-9,ert:9");
    let partly = provision(&bad, &[]);
    assert_eq!(partly.code, 65);
    expect![[r#"
        meters.csv:3: commodity: `electric` is none of: electricity, water, gas, heat
        meters.csv:4: commodity: is empty
        meters.csv:6: commodity: `electricity`, but the meter's first line says nothing
        meters.csv:6: address: `Mill Lane 4`, but the meter's first line says nothing
        meters.csv:6: zone: `North`, but the meter's first line says nothing
        meters.csv:7: field: the meter has `energy_export` already
        headend: 2 of 4 meters were refused
    "#]]
    .assert_eq(&partly.stderr);
    expect![[r#"
        created         1
        changed         0
        unchanged       1
        refused         2
        reads replayed  0
    "#]]
    .assert_eq(&partly.stdout);

    let list = headend(here.path(), &["meters", "list", "--output", "csv"], &[]);
    expect![[r#"
        number,commodity,address,zone,collector,class,status,last_heard,last_end,last_value,unit,quality_24h_percent,battery,issue,cause
        E-1,electricity,Mill Lane 4,North,,residential,never_heard,,,,,,mains,,
        W-1,water,Mill Lane 4,North,C-01,residential,never_heard,,,,,,good,,
        W-9,water,Mill Lane 4,North,C-01,residential,never_heard,,,,,,good,,
    "#]].assert_eq(&list.stdout.replace('\r', ""));
    let show = headend(here.path(), &["meters", "show", "E-1", "--json"], &[]);
    let meter: serde_json::Value = serde_json::from_str(&show.stdout).unwrap();
    assert_eq!(meter["sources"], "ami:E-1");
    let none = headend(here.path(), &["meters", "show", "X"], &[]);
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (65, "headend: no meter X: `headend meters list`\n")
    );
}

#[test]
fn empty_lists_are_printed_in_every_form() {
    if !has_postgres("empty_lists_are_printed_in_every_form") {
        return;
    }
    let here = TempDir::new("lists");
    begin(here.path());
    for verb in [["issues", "list"], ["dlq", "list"]] {
        let of = |format: &str| {
            let args = [verb[0], verb[1], "--output", format];
            let ended = headend(here.path(), &args, &[]);
            assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
            ended.stdout
        };
        assert_eq!(of("json"), "[]\n");
        assert_eq!(of("csv").lines().count(), 1);
        assert_eq!(of("table").lines().count(), 1);
    }
    let unknown = headend(here.path(), &["issues", "acknowledge", "7"], &[]);
    assert_eq!(unknown.code, 65);
    let refused = headend(here.path(), &["dlq", "purge", "--all"], &[]);
    assert_eq!(refused.code, 64, "no terminal and no --yes: {}", refused.stderr);
}
