//! `headend import`: a file is read, stored, known again, and replaced by a newer one.

use std::fmt::Write as _;
use std::path::Path;

use super::{Ended, headend};
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

const METERS: &str = "meter,source,commodity,address,field,reading_type,kind,unit,interval\n\
    N-1,nmi:NMI0000001,electricity,Mill Lane 4,E1,energy_active_import,interval,kWh,30m\n";

/// A NEM12 file of one day; `lines` stand behind the 300 record.
fn nem12(created: &str, nmi: &str, value: &str, quality: &str, lines: &str) -> String {
    let values = vec![value; 48].join(",");
    format!(
        "100,NEM12,{created},MDP,RET\n200,{nmi},E1,1,E1,N1,SER1,kWh,30,\n\
         300,20260701,{values},{quality},,,{created}00,\n{lines}900\n"
    )
}

fn import(directory: &Path, (name, text): (&str, &str), more: &[&str]) -> Ended {
    std::fs::write(directory.join(name), text).unwrap();
    let args = [&["import", name, "--json"][..], more].concat();
    headend(directory, &args, &[])
}

fn number(ended: &Ended, key: &str) -> u64 {
    let told: serde_json::Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|_| panic!("{} {}", ended.stdout, ended.stderr));
    told[key].as_u64().unwrap_or_else(|| panic!("{key}: {told}"))
}

/// Value and quality of each interval, counted.
fn reads(directory: &Path) -> String {
    let args = [
        "reads",
        "N-1",
        "--from",
        "2026-06-30T00:00:00Z",
        "--to",
        "2026-07-02T00:00:00Z",
        "--output",
        "csv",
    ];
    let ended = headend(directory, &args, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let mut rows = csv::Reader::from_reader(ended.stdout.as_bytes());
    let heads = rows.headers().unwrap().clone();
    let at = |name: &str| {
        heads.iter().position(|head| head == name).unwrap_or_else(|| panic!("{heads:?}"))
    };
    let (value, quality) = (at("value"), at("quality"));
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for row in rows.records() {
        let row = row.unwrap();
        *counts.entry(format!("{} {}", &row[value], &row[quality])).or_default() += 1;
    }
    counts.into_iter().fold(String::new(), |mut text, (what, count)| {
        write!(text, "{what} x{count}; ").unwrap();
        text
    })
}

#[test]
fn a_file_is_imported_once_and_replaced_by_a_newer_one() {
    if !has_postgres("a_file_is_imported_once_and_replaced_by_a_newer_one") {
        return;
    }
    let directory = TempDir::new("import");
    let at = directory.path();
    std::fs::write(at.join("meters.csv"), METERS).unwrap();
    let ended = headend(at, &["meters", "provision", "meters.csv"], &[]);
    assert_eq!(ended.code, 0, "{} {}", ended.stdout, ended.stderr);

    let substituted = nem12("202607020100", "NMI0000001", "0.5", "S14", "");
    let tried = import(at, ("a.csv", &substituted), &["--dry-run"]);
    assert_eq!((tried.code, number(&tried, "reads_new")), (0, 48), "{}", tried.stderr);
    assert_eq!(reads(at), "");
    let first = import(at, ("a.csv", &substituted), &[]);
    assert_eq!((first.code, number(&first, "reads_new")), (0, 48), "{}", first.stderr);
    assert!(reads(at).contains("estimated x48"), "{}", reads(at));
    let again = import(at, ("renamed.csv", &substituted), &[]);
    assert!(again.stderr.contains("imported before, as file 1 (48 readings"), "{}", again.stderr);
    assert_eq!((again.code, number(&again, "reads_new")), (0, 0), "nothing was stored now");
    // What a revision of one half hour would do, before it does.
    let revised = substituted.replacen("0.5,", "0.625,", 1);
    let tried = import(at, ("r.csv", &revised), &["--dry-run"]);
    let would = ["reads_new", "duplicate", "conflicting"].map(|key| number(&tried, key));
    assert_eq!(would, [0, 47, 1], "{}", tried.stdout);

    // The measured values come, then an older file late, then a revision of two hours.
    let parts = "400,1,4,A,,\n400,5,48,A,,\n";
    let measured = nem12("202607030100", "NMI0000001", "0.75", "V", parts);
    let second = import(at, ("b.csv", &measured), &[]);
    assert_eq!(number(&second, "replaced"), 48, "{}{}", second.stdout, second.stderr);
    assert_eq!((number(&second, "conflicting"), number(&second, "kept_beside")), (48, 0));
    let newest = reads(at);
    assert!(newest.contains("x48") && !newest.contains("estimated"), "{newest}");
    let older = nem12("202607010100", "NMI0000001", "0.25", "A", "");
    let third = import(at, ("c.csv", &older), &[]);
    assert_eq!((number(&third, "replaced"), number(&third, "kept_beside")), (0, 48));
    assert_eq!(reads(at), newest);
    // The same content of the superseded file again changes nothing either.
    let fourth = import(at, ("a.csv", &substituted), &["--again"]);
    assert_eq!(number(&fourth, "replaced"), 0);
    assert_eq!(reads(at), newest);
}

#[test]
fn faults_name_their_line_and_nothing_is_stored_unless_by_record() {
    if !has_postgres("faults_name_their_line_and_nothing_is_stored_unless_by_record") {
        return;
    }
    let directory = TempDir::new("import");
    let at = directory.path();
    std::fs::write(at.join("meters.csv"), METERS).unwrap();
    assert_eq!(headend(at, &["meters", "provision", "meters.csv"], &[]).code, 0);
    let text = nem12("202607020100", "NMI0000001", "0.5", "A", "300,20260702,1,2,3,A,,,,\n");
    let tried = import(at, ("a.csv", &text), &["--by-record", "--dry-run"]);
    assert_eq!(number(&tried, "reads_new"), 48, "{}", tried.stdout);
    let refused = import(at, ("a.csv", &text), &[]);
    assert_eq!(refused.code, 65);
    assert!(refused.stderr.contains("a.csv:4: bad_format: value 4 is `A`"), "{}", refused.stderr);
    assert_eq!(reads(at), "");
    let partly = import(at, ("a.csv", &text), &["--by-record"]);
    assert_eq!((partly.code, number(&partly, "reads_new")), (65, 48), "{}", partly.stderr);
    // Known now, with or without its faulty record: nothing is wrong with doing nothing.
    for how in [&[][..], &["--by-record"]] {
        let known = import(at, ("b.csv", &text), how);
        assert_eq!((known.code, number(&known, "reads_new")), (0, 0), "{}", known.stderr);
        assert!(known.stderr.contains("1 faulty record left out"), "{}", known.stderr);
    }
    // A device that nobody knows: a dead letter, and the file may come again.
    let unknown = nem12("202607020100", "NMI0000009", "0.5", "A", "");
    let dead = import(at, ("u.csv", &unknown), &[]);
    assert_eq!((dead.code, number(&dead, "dead")), (0, 48), "{}", dead.stderr);
    assert!(dead.stderr.contains("nmi:NMI0000009"));
    let waiting = headend(at, &["dlq", "replay", "--all", "--dry-run", "--json"], &[]);
    assert_eq!((number(&waiting, "letters"), number(&waiting, "reads")), (1, 48));
    std::fs::write(
        at.join("more.csv"),
        METERS.replace("N-1,", "N-9,").replace("0001", "0009").replace("Lane 4", "Lane 9"),
    )
    .unwrap();
    let known = headend(at, &["meters", "provision", "more.csv", "--json"], &[]);
    assert_eq!(number(&known, "reads_replayed"), 48, "{}", known.stderr);
    let nothing = import(at, ("x.txt", "hello\n"), &[]);
    assert_eq!(nothing.code, 65);
    assert!(nothing.stderr.contains("name the format or a layout"), "{}", nothing.stderr);
}

/// The layout that the manual gives to begin with.
fn hand_layout() -> String {
    let manual = include_str!("../../../docs/amr.md");
    let from = manual.find("name = \"hand\"").unwrap();
    manual[from..].split("```").next().unwrap().to_owned()
}

#[test]
fn a_route_with_meters_that_were_not_read_is_taken_with_what_the_reader_wrote() {
    if !has_postgres("a_route_with_meters_that_were_not_read_is_taken_with_what_the_reader_wrote") {
        return;
    }
    let directory = TempDir::new("route");
    let at = directory.path();
    let meters = "meter,source,commodity,address,field,reading_type,kind,unit,decimals,interval\n\
        H-1,hand:S1,water,Mill Lane 1,consumption,volume,register,gal,0,1d\n\
        H-2,hand:S2,water,Mill Lane 2,consumption,volume,register,gal,0,1d\n";
    std::fs::write(at.join("meters.csv"), meters).unwrap();
    std::fs::write(at.join("headend.toml"), "[files]\nlayouts = \"layouts\"\n").unwrap();
    std::fs::create_dir(at.join("layouts")).unwrap();
    std::fs::write(at.join("layouts/hand.toml"), hand_layout()).unwrap();
    let ended = headend(at, &["meters", "provision", "meters.csv"], &[]);
    assert_eq!(ended.code, 0, "{} {}", ended.stdout, ended.stderr);
    let route = "serial,date,time,reading,code,note\n\
        S1,20261101,0915,1234,A,glass broken\n\
        S2,20261101,0920,SKIP,A,dog\n";
    let taken = import(at, ("R-12.csv", route), &["--layout", "hand"]);
    assert_eq!(taken.code, 0, "{} {}", taken.stdout, taken.stderr);
    let counts = ["records", "refused", "not_read", "reads_new"].map(|key| number(&taken, key));
    assert_eq!(counts, [2, 0, 1, 1], "{}", taken.stdout);
    let notes = headend(at, &["files", "notes", "1", "--output", "csv"], &[]);
    let lines: Vec<&str> = notes.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", notes.stdout);
    assert!(lines[1].starts_with("2,hand:S1,H-1,") && lines[1].ends_with(",yes,note=glass broken"));
    assert!(lines[2].ends_with(",no,SKIP note=dog"), "{}", lines[2]);
    let shown = headend(at, &["files", "show", "1", "--json"], &[]);
    assert_eq!((number(&shown, "not_read"), number(&shown, "dead")), (1, 0), "{}", shown.stdout);
    let listed = headend(at, &["files", "list", "--output", "csv"], &[]);
    assert!(listed.stdout.contains("1,R-12.csv,layout,done,2,0,1,1,"), "{}", listed.stdout);
    let none = headend(at, &["files", "show", "9"], &[]);
    assert_eq!(none.code, 65, "{}", none.stderr);
}
