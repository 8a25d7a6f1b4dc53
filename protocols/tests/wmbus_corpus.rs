//! The 120 telegrams of the corpus, undecoded, against what another program (wmbusmeters) made of
//! them. The corpus lies beside the repository and is read, never copied.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::amr::wmbus::{Keys, Receiver};
use protocols::{DecodeContext, DeviceReport, Observation, Rejected};
use serde_json::Value;

const CORPUS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/mqtt/wmbusmeters_dev.json");

/// Units that both programs write as the last part of a name, with the factor to one of them.
const UNITS: [(&str, &str, f64); 12] = [
    ("mj", "kwh", 1.0 / 3.6),
    ("gj", "kwh", 1_000.0 / 3.6),
    ("l", "m3", 0.001),
    ("gal", "m3", 0.003_785_411_784),
    ("ft3", "m3", 0.028_316_846_592),
    ("lh", "m3h", 0.001),
    ("mjh", "kw", 1.0 / 3.6),
    ("min", "s", 60.0),
    ("h", "s", 3_600.0),
    ("d", "s", 86_400.0),
    ("y", "s", 31_557_600.0),
    ("k", "c", 1.0),
];

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/vee/vectors.json");

fn corpus(test: &str) -> Option<Vec<Value>> {
    Some(serde_json::from_slice(&read(test, CORPUS)?).unwrap())
}

fn read(test: &str, path: &str) -> Option<Vec<u8>> {
    if let Ok(bytes) = std::fs::read(PathBuf::from(path)) {
        return Some(bytes);
    }
    let reason = format!("corpus not found: {path}");
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.unwrap(), "{test}: {reason}").unwrap();
    }
    None
}

/// A program that decodes tells some telegrams after others of the same device, comma between.
fn telegrams(entry: &Value) -> Vec<String> {
    entry["telegram"].as_str().unwrap().split(',').map(str::to_owned).collect()
}

fn keys(entries: &[Value]) -> Keys {
    let mut lines = BTreeMap::new();
    for entry in entries {
        let words: Vec<&str> = entry["args"].as_str().unwrap().split(' ').collect();
        let (id, key) = (words[words.len() - 2], words[words.len() - 1]);
        // The maker's own layer has its own cipher: a key of ours would only forbid it.
        if key.len() == 32 && entry["driver"] != "apatorna1" {
            lines.insert(id.to_owned(), key.to_owned());
        }
    }
    let text: Vec<String> = lines.iter().map(|(id, key)| format!("{id} {key}")).collect();
    Keys::parse(&text.join("\n")).unwrap()
}

fn decode(receiver: &mut Receiver, telegram: &str) -> Result<DeviceReport, Rejected> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let context = DecodeContext {
        topic: "wmbus/C-01",
        received_at: UtcTime::parse_rfc3339("2026-11-21T20:00:00Z").unwrap(),
        zone: Some(&zone),
        collector: None,
        mapping: None,
        options: &protocols::DecodeOptions::DEFAULT,
    };
    let mut reports = receiver.decode(&context, telegram.as_bytes())?;
    assert_eq!(reports.len(), 1);
    Ok(reports.remove(0))
}

fn in_base_unit(field: &str, value: f64) -> Option<(&str, f64)> {
    let (_, suffix) = field.rsplit_once('_')?;
    let known = UNITS.iter().find(|(unit, ..)| *unit == suffix);
    Some(known.map_or((suffix, value), |(_, base, factor)| (*base, value * factor)))
}

/// Numbers of the other program, those that we have too, and the names of those that we have not.
fn compare(report: &DeviceReport, json: &Value) -> (usize, usize, Vec<String>) {
    let mut ours: Vec<(&str, f64)> = Vec::new();
    for seen in &report.observations {
        let (Observation::Register { value: Some(value), .. }
        | Observation::Instant { value: Some(value), .. }) = seen
        else {
            continue;
        };
        ours.extend(in_base_unit(seen.field(), value.to_string().parse().unwrap()));
    }
    let (mut numbers, mut same, mut missing) = (0, 0, Vec::new());
    for (field, value) in json.as_object().unwrap() {
        let Some((unit, want)) = value.as_f64().and_then(|value| in_base_unit(field, value)) else {
            continue;
        };
        numbers += 1;
        // Six decimals are printed.
        let near = |have: &&(&str, f64)| {
            have.0 == unit
                && (have.1 - want).abs() <= want.abs() * 1e-6 + 6e-7 * want.abs().max(1.0)
        };
        if ours.iter().any(|have| near(&have)) {
            same += 1;
        } else {
            missing.push(format!("{field}={value}"));
        }
    }
    (numbers, same, missing)
}

/// The driver, and the numbers of a telegram with those that agree.
type Outcome = (String, Result<(usize, usize), Rejected>);

/// What was made of all of them: drivers with their outcome, and how many numbers agree.
fn run(entries: &[Value]) -> (Vec<Outcome>, String) {
    let mut receiver = Receiver::new(Arc::new(keys(entries)));
    // Short telegrams are understood once a full one of their kind was heard.
    for telegram in entries.iter().flat_map(telegrams) {
        drop(decode(&mut receiver, &telegram));
    }
    let (mut outcomes, mut differences) = (Vec::new(), String::new());
    for entry in entries {
        let (driver, json) = (entry["driver"].as_str().unwrap(), &entry["json"]);
        let last = telegrams(entry).pop().unwrap();
        let outcome = decode(&mut receiver, &last).map(|report| {
            let id = json["id"].as_str().unwrap();
            assert!(report.source_id.as_str().eq_ignore_ascii_case(&format!("wmbus:{id}")));
            let (numbers, same, missing) = compare(&report, json);
            differences.push_str(&format!("{driver} {id}: {}\n", missing.join(" ")));
            (numbers, same)
        });
        outcomes.push((driver.to_owned(), outcome));
    }
    (outcomes, differences)
}

#[test]
fn telegrams_are_decoded_or_refused_with_a_reason() {
    let Some(entries) = corpus("telegrams_are_decoded_or_refused_with_a_reason") else { return };
    assert_eq!(entries.len(), 120);
    let (outcomes, differences) = run(&entries);
    println!("{differences}");
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut decoded, mut numbers, mut same) = (0, 0, 0);
    for (driver, outcome) in &outcomes {
        match outcome {
            Ok((of, have)) => {
                decoded += 1;
                (numbers, same) = (numbers + of, same + have);
            }
            Err(rejected) => {
                println!("{driver}: {rejected}");
                let what = match rejected.detail.as_str() {
                    text if text.starts_with("the maker's own application") => "maker's layer",
                    text if text.ends_with("maker's data") => "maker's records",
                    text if text.contains("no value of a standard kind") => "no standard value",
                    text if text.contains("full telegram was not") => "short, headers unknown",
                    text if text.contains("encrypts by mode") => "unknown encryption",
                    _ => "no standard record",
                };
                *refused.entry(what).or_default() += 1;
            }
        }
    }
    println!("{decoded} decoded, {refused:?}; {same} of {numbers} numbers");
    let refused: Vec<_> = refused.into_iter().collect();
    assert_eq!(
        refused,
        [
            ("maker's layer", 11),
            ("maker's records", 9),
            ("no standard record", 1),
            ("no standard value", 6),
            ("short, headers unknown", 4),
            ("unknown encryption", 1),
        ]
    );
    assert_eq!((decoded, same, numbers), (88, 590, 698));
}

/// The vector of this id, wherever it stands.
fn by_id<'a>(tree: &'a Value, id: &str) -> Option<&'a Value> {
    match tree {
        Value::Object(members) if members.get("id").is_some_and(|own| own == id) => Some(tree),
        Value::Object(members) => members.values().find_map(|one| by_id(one, id)),
        Value::Array(items) => items.iter().find_map(|one| by_id(one, id)),
        _ => None,
    }
}

#[test]
fn rv_16_a_kamstrup_status_word() {
    let Some(bytes) = read("rv_16_a_kamstrup_status_word", VECTORS) else { return };
    let tree: Value = serde_json::from_slice(&bytes).unwrap();
    let vector = by_id(&tree, "RV-16").unwrap();
    let word = u16::try_from(vector["inputs"]["word"].as_u64().unwrap()).unwrap();
    let [low, high] = word.to_le_bytes();
    // A plain telegram of KAM, cold water: a volume and the word.
    let telegram =
        format!("1944 2d2c 78563412 1b16 7a00000000 0413 01000000 02ff20 {low:02x}{high:02x}");
    let telegram = telegram.replace(' ', "");
    let mut receiver = Receiver::new(Arc::new(Keys::parse("").unwrap()));
    let report = decode(&mut receiver, &telegram).unwrap();
    let expected = &vector["expected"];
    let held = expected["dry_bin_text"].as_str().unwrap().replace(' ', "_");
    let bits: Vec<Value> = report.events.iter().map(|event| event.detail.as_str().into()).collect();
    assert_eq!(Value::Array(bits), expected["bits"]);
    assert!(report.raw_status.ends_with(&format!(" DRY={held}")), "{}", report.raw_status);
}
