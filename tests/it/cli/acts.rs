//! What verbs answer when something was done, and when it was not.

use expect_test::expect;

use super::headend;
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

const CONFIG: &str = "[utility]\nzone = \"Europe/Berlin\"\n\
    [[modbus.gateways]]\nname = \"gw1\"\naddress = \"rtutcp://127.0.0.1:1\"\n\
    [[modbus.units]]\ngateway = \"gw1\"\nunit = 3\nprofile = \"eastron-sdm630\"\n";

const METERS: &str = "\
meter,source,commodity,field,reading_type,kind,unit,decimals,interval,cap_per_hour\n\
E-1,,electricity,energy_import,energy_active_import,interval,kWh,,15m,10\n\
M-3,modbus:gw1/3,electricity,energy_active_import_total,energy_active_import,register,kWh,3,15m,\n";

#[test]
fn an_edit_tells_what_changed_in_the_unit_of_its_values_and_how_it_is_undone() {
    if !has_postgres("an_edit_tells_what_changed_in_the_unit_of_its_values_and_how_it_is_undone") {
        return;
    }
    let here = TempDir::new("acts");
    std::fs::write(here.path().join("headend.toml"), CONFIG).unwrap();
    std::fs::write(here.path().join("meters.csv"), METERS).unwrap();
    let run = |args: &[&str]| headend(here.path(), args, &[]);
    let done = run(&["meters", "provision", "meters.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);

    // A polled device is heard by its gateway.
    let list = run(&["meters", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[1]["number"], "M-3");
    assert_eq!((&list[0]["collector"], &list[1]["collector"]), (&().into(), &"gw1".into()));

    // A device of another meter is told by its column, and once.
    let taken = METERS.replace("E-1,,", "E-2,ami:E-1,");
    std::fs::write(here.path().join("taken.csv"), taken).unwrap();
    let refused = run(&["meters", "provision", "taken.csv"]);
    assert_eq!(refused.code, 65);
    let told = "taken.csv:2: source: `ami:E-1` of meter `E-2` belongs to meter `E-1`\n";
    assert!(refused.stderr.starts_with(told), "{}", refused.stderr);

    let span = ["E-1", "--from", "2026-11-20T06:00", "--to", "2026-11-20T06:30", "--reason", "x"];
    let edit = |values: &str| run(&[&["vee", "edit"][..], &span, &["--values", values]].concat());
    let absurd = edit("100,16875");
    assert_eq!((absurd.code, absurd.stdout.as_str()), (65, ""));
    expect![[r#"
        headend: the value of the interval that ends at 2026-11-20T06:30:00+01:00 is more than the meter's connection lets through (3125 Wh in 15 min: 1.25 times its `cap_per_hour`); where it lets through more, provision the meter with the right `cap_per_hour` first
    "#]]
    .assert_eq(&absurd.stderr);
    let less = edit("-5,250");
    assert_eq!((less.code, less.stdout.as_str()), (65, ""));
    expect![[r#"
        headend: the channel counts one direction only: the value of the interval that ends at 2026-11-20T06:15:00+01:00 cannot be negative
    "#]]
    .assert_eq(&less.stderr);
    let edited = edit("100,250");
    assert_eq!(edited.code, 0, "{}", edited.stderr);
    expect![[r#"
        E-1, energy_import: 2026-11-20T06:00:00+01:00 to 2026-11-20T06:30:00+01:00
        before: 2 intervals missing; now: 350 Wh in 2 intervals
        `headend vee undo E-1 --channel 1 --from 2026-11-20T06:00:00+01:00 --to 2026-11-20T06:30:00+01:00 --reason ...` takes it back
    "#]]
    .assert_eq(&edited.stdout);
    let command = edited.stdout.split('`').nth(1).unwrap();
    let undo: Vec<&str> = command.split(' ').skip(1).collect();
    let undone = run(&undo);
    assert_eq!((undone.code, undone.stdout.as_str()), (0, "took back 2 intervals\n"));

    // What nothing stored could make right is a fault of the command line.
    let past = ["issues", "snooze", "1", "--until", "2026-01-01"];
    assert_eq!(run(&past).code, 64);
    assert_eq!(run(&["issues", "close", "1", "--cause", "NOPE"]).code, 64);
    assert_eq!(run(&["issues", "snooze", "1", "--until", "1h"]).code, 65);
}
