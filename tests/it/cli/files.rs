//! Files that the program plays by itself: handed over with faults, imported as they come, and
//! given out again as Green Button.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Ended, headend};
use crate::kit::program::has_postgres;
use crate::kit::temp::TempDir;

fn done(directory: &Path, args: &[&str]) -> Ended {
    let ended = headend(directory, args, &[]);
    assert_eq!(ended.code, 0, "{args:?}: {} {}", ended.stdout, ended.stderr);
    ended
}

/// End of each interval of a meter's first channel, with its watt-hours and its quality.
fn stored(directory: &Path, meter: &str) -> BTreeMap<String, (String, String)> {
    let range = ["--from", "2026-01-01", "--zone", "UTC", "--channel", "1", "--output", "csv"];
    let ended = done(directory, &[&["reads", meter][..], &range].concat());
    let mut rows = csv::Reader::from_reader(ended.stdout.as_bytes());
    let text = |row: &csv::StringRecord, at: usize| row[at].to_owned();
    rows.records()
        .map(|row| row.unwrap())
        .map(|row| (text(&row, 3).replace("+00:00", "Z"), (text(&row, 4), text(&row, 6))))
        .collect()
}

/// Simulates the agent, takes its files in the order in which it hands them over, and compares what
/// is stored of the second meter with what was metered.
fn stored_as_metered(at: &Path, kind: &str, (meter, field): (&str, &str), zone: &[&str]) {
    let simulate = ["simulate", "--kind", kind, "--meters", "2", "--hours", "168", "--out", "in"];
    let plain = headend(at, &simulate[..7], &[]);
    assert_eq!(plain.code, 64, "{}", plain.stderr);
    assert!(plain.stderr.contains("--out DIR"), "{}", plain.stderr);
    let more = ["--truth", "truth.csv", "--provision-out", "meters.csv"];
    let told = done(at, &[&simulate[..], &more].concat()).stderr;
    assert!(told.contains("wrote 9 files"), "{told}");
    done(at, &["meters", "provision", "meters.csv"]);

    let stem = format!("{kind}_");
    let (mut cut, mut known) = (0, 0);
    for line in told.lines().filter(|line| line.starts_with(&stem)) {
        let file = format!("in/{}", line.split(':').next().unwrap());
        let ended = headend(at, &[&["import", &file][..], zone].concat(), &[]);
        assert_eq!(ended.code == 65, line.contains("cut"), "{line}: {}", ended.stderr);
        cut += u32::from(ended.code == 65);
        known += u32::from(ended.stderr.contains("imported before"));
    }
    assert_eq!((cut, known), (1, 1), "{told}");

    let truth = std::fs::read_to_string(at.join("truth.csv")).unwrap();
    let of = format!("{meter},{field},");
    let truth: BTreeMap<String, String> = truth
        .lines()
        .filter_map(|line| line.strip_prefix(&of))
        .filter_map(|line| line.split_once(','))
        .map(|(end, wh)| (end.to_owned(), wh.to_owned()))
        .collect();
    assert_eq!(truth.len(), 7 * 48);
    let reads = stored(at, meter);
    assert!(reads.values().all(|(_, quality)| quality != "estimated"), "{reads:?}");
    let reads: BTreeMap<String, String> =
        reads.into_iter().map(|(end, (wh, _))| (end, wh)).collect();
    assert_eq!(reads, truth);
}

#[test]
fn a_simulated_agents_cmep_files_give_what_was_metered() {
    let test = "a_simulated_agents_cmep_files_give_what_was_metered";
    if !has_postgres(test) {
        return;
    }
    let directory = TempDir::new("agent-cmep");
    let zone = ["--zone", "Australia/Brisbane"];
    stored_as_metered(directory.path(), "cmep", ("CMEP-2", "KWH"), &zone);
}

#[test]
fn a_simulated_agents_files_give_what_was_metered_whatever_comes_late_twice_or_cut() {
    let test = "a_simulated_agents_files_give_what_was_metered_whatever_comes_late_twice_or_cut";
    if !has_postgres(test) {
        return;
    }
    let directory = TempDir::new("agent");
    let at = directory.path();
    stored_as_metered(at, "nem12", ("NEM-2", "E1"), &[]);

    let feed = done(at, &["export", "NEM-2", "--kind", "greenbutton"]).stdout;
    assert_eq!(feed.matches("<IntervalReading>").count(), 7 * 48);
    done(at, &["export", "NEM-2", "--out", "feed.xml"]);
    let kept = std::fs::read_to_string(at.join("feed.xml")).unwrap();
    assert!(kept.ends_with("</feed>\n") || kept.ends_with("</feed>"), "{kept}");
    let again = headend(at, &["import", "feed.xml", "--dry-run"], &[]);
    assert_eq!(again.code, 0, "our own feed can be read: {}", again.stderr);
    let none = headend(at, &["export", "NEM-9"], &[]);
    assert_eq!(none.code, 65, "{}", none.stderr);
}
