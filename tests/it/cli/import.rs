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
    assert_eq!((tried.code, number(&tried, "reads_new")), (0, 0), "{}", tried.stderr);
    assert_eq!(reads(at), "");
    let first = import(at, ("a.csv", &substituted), &[]);
    assert_eq!((first.code, number(&first, "reads_new")), (0, 48), "{}", first.stderr);
    assert!(reads(at).contains("estimated x48"), "{}", reads(at));
    let again = import(at, ("renamed.csv", &substituted), &[]);
    assert!(again.stderr.contains("imported before, as number 1"), "{}", again.stderr);

    // The measured values come, then an older file late, then a revision of two hours.
    let parts = "400,1,4,A,,\n400,5,48,A,,\n";
    let measured = nem12("202607030100", "NMI0000001", "0.75", "V", parts);
    let second = import(at, ("b.csv", &measured), &[]);
    assert_eq!(number(&second, "replaced"), 48, "{}{}", second.stdout, second.stderr);
    let newest = reads(at);
    assert!(newest.contains("x48") && !newest.contains("estimated"), "{newest}");
    let older = nem12("202607010100", "NMI0000001", "0.25", "A", "");
    let third = import(at, ("c.csv", &older), &[]);
    assert_eq!((number(&third, "replaced"), number(&third, "conflicting")), (0, 48));
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
    let refused = import(at, ("a.csv", &text), &[]);
    assert_eq!(refused.code, 65);
    assert!(refused.stderr.contains("a.csv:4: bad_format: value 4 is `A`"), "{}", refused.stderr);
    assert_eq!(reads(at), "");
    let partly = import(at, ("a.csv", &text), &["--by-record"]);
    assert_eq!((partly.code, number(&partly, "reads_new")), (65, 48), "{}", partly.stderr);
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
