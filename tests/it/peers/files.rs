//! Files that we write at run time, with drawn values and faults, read by us and by readers that
//! others wrote: nemreader and aemo-mdff-reader for NEM12, greenbutton-objects for our feed.

use std::path::{Path, PathBuf};
use std::process::Command;

use metering::{Exact, Unit, UtcTime};
use protocols::Observation;
use protocols::files::espi::{Feed, FeedReading, FeedSeries};
use protocols::files::{self, Collected, Encoding, FileContext, FileFormat, ReadQuality, beacon};
use serde_json::Value;

use crate::kit::Random;
use crate::kit::skip::skip;
use crate::kit::temp::TempDir;

/// Where tests/run puts what comes from PyPI.
fn python(module: &str) -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_headend"));
    let python = program.parent().and_then(Path::parent)?.join("peers/venv/bin/python");
    let there = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    there.is_ok_and(|run| run.status.success()).then_some(python)
}

fn peer(python: &Path, reader: &str, file: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/read_file.py");
    let run = Command::new(python).arg(script).arg(reader).arg(file).output().unwrap();
    serde_json::from_slice(&run.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)))
}

/// NMI, suffix, end, value, whether it is actual; or why nothing of the file may be stored.
fn ours(text: &str) -> Result<Vec<String>, String> {
    let context = FileContext {
        received_at: UtcTime::from_seconds(1_900_000_000),
        zone: None,
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: None,
    };
    let mut found = Collected::default();
    files::read(FileFormat::Nem12, &context, text.as_bytes(), &mut found)
        .map_err(|fault| fault.to_string())?;
    if let Some(fault) = found.faults.first() {
        return Err(fault.to_string());
    }
    let mut rows = Vec::new();
    for record in &found.records {
        for seen in &record.report.observations {
            let Observation::Series { field, first_end, len_s, exponent, values, .. } = seen else {
                continue;
            };
            let mut end = *first_end;
            for value in values {
                let run = record.quality.iter().find(|run| run.holds(end)).unwrap();
                let nmi = record.report.source_id.as_str().trim_start_matches("nmi:");
                // The specification's day is of UTC+10.
                let local = end.plus_seconds(36_000).to_string();
                let (local, actual) =
                    (local.trim_end_matches('Z'), run.quality == ReadQuality::Actual);
                let value = value.map(|value| Exact::new(value, *exponent).unwrap().to_string());
                let value: f64 = value.map_or(0.0, |text| text.parse().unwrap());
                rows.push(format!("{nmi} {field} {local} {value:.3} {actual}"));
                end = end.plus_seconds(i64::from(*len_s));
            }
        }
    }
    rows.sort();
    Ok(rows)
}

/// The same of a peer's answer. `parts`: it tells V and not what the 400 records say.
fn theirs(answer: &Value, parts: bool) -> Result<Vec<String>, String> {
    if let Some(refused) = answer["refused"].as_str() {
        return Err(refused.to_owned());
    }
    let mut rows = Vec::new();
    for row in answer["rows"].as_array().unwrap() {
        let text = |at: usize| row[at].as_str().unwrap_or_default();
        let quality = if parts && text(4) == "V" { "?" } else { text(4) };
        let (nmi, suffix, end, value) = (text(0), text(1), text(2), row[3].as_f64().unwrap_or(0.0));
        rows.push(format!("{nmi} {suffix} {end} {value:.3} {}", quality == "A"));
    }
    rows.sort();
    Ok(rows)
}

/// A file of some meters and days with drawn values.
fn drawn(random: &mut Random, with_parts: bool) -> String {
    let mut text = String::from("100,NEM12,202607150100,MDP,RET\n");
    for meter in 0..3 {
        let minutes = [5_usize, 15, 30][usize::try_from(random.below(3)).unwrap()];
        let nmi = 1_000_000_000 + random.below(899_999_999) * 10 + meter;
        text.push_str(&format!("200,{nmi},E1,1,E1,N1,SER{meter},kWh,{minutes},\n"));
        let count = 1_440 / minutes;
        for day in 1..=4 {
            let values: Vec<String> = (0..count)
                .map(|_| format!("{}.{:03}", random.below(30), random.below(1_000)))
                .collect();
            let varied = with_parts && day == 4;
            let quality = if varied { "V" } else { ["A", "S14", "F19", "A"][day - 1] };
            text.push_str(&format!("300,202607{day:02},{},{quality},", values.join(",")));
            text.push_str(if quality.len() > 1 { "79,," } else { ",," });
            text.push_str("20260715010000,\n");
            if varied {
                let cut = 1 + usize::try_from(random.below(count as u64 - 2)).unwrap();
                text.push_str(&format!("400,1,{cut},A,,\n400,{},{count},S14,79,\n", cut + 1));
            }
        }
    }
    text + "900\n"
}

#[test]
fn nem12_agrees_with_two_foreign_readers() {
    let test = "nem12_agrees_with_two_foreign_readers";
    let readers = [("nemreader", "nemreader", true), ("mdff", "aemo_mdff_reader", false)];
    let mut random = Random::new("nem12");
    let directory = TempDir::new("nem12");
    for (reader, module, with_parts) in readers {
        let Some(python) = python(module) else {
            skip(test, &format!("{module} is not installed"));
            continue;
        };
        for round in 0..3 {
            let text = drawn(&mut random, with_parts);
            let file = directory.path().join(format!("{reader}{round}.csv"));
            std::fs::write(&file, &text).unwrap();
            let (we, they) = (ours(&text).unwrap(), theirs(&peer(&python, reader, &file), false));
            assert_eq!(we, they.unwrap(), "{reader}");
            assert!(we.len() >= 3 * 4 * 48);
        }
    }
}

/// What both must refuse, each with the fault that we planted; theirs is an answer or a refusal, ours
/// is a refusal always (nemreader is lenient with most).
#[test]
fn planted_faults_are_refused_by_us_whatever_others_do() {
    let mut random = Random::new("faults");
    let text = drawn(&mut random, false);
    let lines: Vec<&str> = text.lines().collect();
    let day = lines.iter().position(|line| line.starts_with("300,")).unwrap();
    let without_value = lines[day].replacen(',', ",,", 1).replacen(",,", ",", 1);
    let (head, rest) = without_value.split_at(13);
    let fewer = format!("{head}{}", rest.split_once(',').unwrap().1);
    let wrong = lines[day].replace(",A,", ",Q,");
    let word = lines[day].replacen('.', "x", 1);
    let directory = TempDir::new("faults");
    let mut agreed = 0;
    for (what, changed) in [
        ("count", text.replace(lines[day], &fewer)),
        ("quality", text.replace(lines[day], &wrong)),
        ("number", text.replace(lines[day], &word)),
        ("no 900", text.replace("\n900\n", "\n")),
        ("no 100", text.split_once('\n').unwrap().1.to_owned()),
        ("no 200", text.replacen(lines[1], "", 1)),
    ] {
        assert_ne!(changed, text, "{what}");
        let refused = ours(&changed);
        assert!(refused.is_err(), "{what}");
        let file = directory.path().join("fault.csv");
        std::fs::write(&file, &changed).unwrap();
        for (reader, module) in [("nemreader", "nemreader"), ("mdff", "aemo_mdff_reader")] {
            if let Some(python) = python(module) {
                agreed += u32::from(theirs(&peer(&python, reader, &file), false).is_err());
            }
        }
    }
    if python("aemo_mdff_reader").is_some() {
        assert!(agreed >= 4, "foreign readers refused {agreed} of these");
    }
}

#[test]
fn greenbutton_objects_reads_our_feed() {
    let test = "greenbutton_objects_reads_our_feed";
    let Some(python) = python("greenbutton_objects") else {
        return skip(test, "greenbutton_objects is not installed");
    };
    let mut random = Random::new("espi");
    let mut feed = Feed::new("Customer 1", "E-1", UtcTime::from_seconds(1_790_000_000));
    let mut text = String::new();
    feed.begin("Meter E-1", 0, 0, &mut text);
    let series =
        FeedSeries { number: 1, title: "import", unit: Unit::WattHour, export: false, len_s: 900 };
    feed.series(&series, &mut text).unwrap();
    let mut want = Vec::new();
    for day in 0..3_i64 {
        let readings: Vec<FeedReading> = (0..96)
            .map(|n| FeedReading {
                start: UtcTime::from_seconds(1_790_035_200 + day * 86_400 + n * 900),
                len_s: 900,
                value: i64::try_from(random.below(5_000_000)).unwrap(),
                quality: 17,
            })
            .collect();
        want.extend(readings.iter().map(|r| (r.start.seconds(), r.value)));
        feed.block(1, u32::try_from(day + 1).unwrap(), &readings, &mut text);
    }
    feed.end(&mut text);
    let directory = TempDir::new("espi");
    let file = directory.path().join("feed.xml");
    std::fs::write(&file, &text).unwrap();
    let answer = peer(&python, "greenbutton", &file);
    assert!(answer["refused"].is_null(), "{answer}");
    let mut got: Vec<(i64, f64)> = answer["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_i64().unwrap(), row[1].as_f64().unwrap()))
        .collect();
    got.sort_by_key(|row| row.0);
    assert_eq!(got.len(), want.len());
    for ((start, value), (at, milli)) in got.iter().zip(&want) {
        assert_eq!(start, at);
        let thousandths = format!("{:.0}", value * 1_000.0);
        assert_eq!(thousandths, milli.to_string());
    }
}
