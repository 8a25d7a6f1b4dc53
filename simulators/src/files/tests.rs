//! The files are read back by the head-end's reader, and say what was metered.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use protocols::Observation;
use protocols::files::{self, Collected, Encoding, FileContext, FileFormat, ReadQuality, beacon};

use super::*;

const KINDS: [FileKind; 2] = [FileKind::Nem12, FileKind::Cmep];

fn agent(kind: FileKind, faults: bool) -> FileAgent {
    let first = jiff::civil::date(2026, 10, 1);
    FileAgent::new(FileSpec { kind, seed: 7, meters: 4, first, days: 14, faults })
}

type ReadValue = ((String, String, UtcTime), (i64, ReadQuality));

/// Meter, field and end of each value of a file, with the value in watt-hours and its quality;
/// `None` when the file is refused, as a whole or for one of its records.
fn read(kind: FileKind, file: &SimFile) -> Option<Vec<ReadValue>> {
    let (format, zone) = match kind {
        FileKind::Nem12 => (FileFormat::Nem12, None),
        FileKind::Cmep => (FileFormat::Cmep, Some(TimeZone::fixed(OFFSET))),
    };
    assert_eq!(FileFormat::of(file.text.as_bytes()), Some(format), "{}", file.name);
    let context = FileContext {
        received_at: file.sent_at,
        zone: zone.as_ref(),
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: None,
    };
    let mut found = Collected::default();
    files::read(format, &context, file.text.as_bytes(), &mut found).ok()?;
    if kind == FileKind::Cmep && file.fault == FileFault::Cut {
        // All but the last record of the file are good.
        assert_eq!((found.records.len(), found.faults.len()), (3, 1), "{}", file.name);
        return None;
    }
    assert!(found.faults.is_empty(), "{}: {:?}", file.name, found.faults);
    let mut reads = Vec::new();
    for record in &found.records {
        for seen in &record.report.observations {
            let Observation::Series { field, first_end, exponent, values, .. } = seen else {
                panic!("{seen:?}");
            };
            for (slot, value) in values.iter().enumerate() {
                let end = first_end.plus_seconds(slot as i64 * i64::from(SLOT_S));
                let wh = value.unwrap() * 10_i64.pow(u32::try_from(exponent + 3).unwrap());
                let run = record.quality.iter().find(|run| run.holds(end));
                let quality = run.map_or(ReadQuality::Actual, |run| run.quality);
                let key = (record.report.source_id.to_string(), field.to_string(), end);
                reads.push((key, (wh, quality)));
            }
        }
    }
    Some(reads)
}

#[test]
fn every_day_is_told_in_the_end_as_it_was_metered() {
    for (kind, faults) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let agent = agent(kind, faults);
        let sources: BTreeMap<String, String> = agent
            .assets()
            .meters
            .iter()
            .map(|meter| (meter.sources[0].to_string(), meter.number.clone()))
            .collect();
        let mut told = BTreeMap::new();
        for file in agent.files() {
            let reads = read(kind, &file);
            assert_eq!(reads.is_none(), file.fault == FileFault::Cut, "{}", file.name);
            for ((source, field, at), (wh, quality)) in reads.into_iter().flatten() {
                let key = (sources[&source].clone(), field, at);
                // What is measured stands, whatever comes later.
                if quality == ReadQuality::Actual || !told.contains_key(&key) {
                    told.insert(key, wh);
                }
            }
        }
        let truth: BTreeMap<_, i64> = agent
            .truth()
            .into_iter()
            .map(|read| ((read.meter, read.field, read.at), read.value))
            .collect();
        assert_eq!(told, truth);
        // Four meters, in NEM12 one of them with two channels.
        let channels = if kind == FileKind::Nem12 { 5 } else { 4 };
        assert_eq!(truth.len(), channels * 14 * SLOTS);
    }
}

#[test]
fn faults_come_in_turn_and_without_them_every_day_has_one_file() {
    KINDS.into_iter().for_each(faults_in_turn);
}

fn faults_in_turn(kind: FileKind) {
    let agent = |faults| agent(kind, faults);
    let count = |fault| agent(true).files().iter().filter(|file| file.fault == fault).count();
    let planted = [
        FileFault::Late,
        FileFault::Repeated,
        FileFault::Estimated,
        FileFault::Overlapping,
        FileFault::Cut,
    ];
    assert_eq!(planted.map(count), [2; 5]);
    let plain = agent(false).files();
    assert_eq!(plain.len(), 14);
    assert!(plain.iter().all(|file| file.fault == FileFault::None));
    assert_eq!(agent(true).files(), agent(true).files());
    let late = agent(true).files();
    let place = |name: &str| late.iter().position(|file| file.name == name).unwrap();
    let name = |day: u32| format!("{}_2026100{day}.csv", agent(true).format());
    assert!(place(&name(2)) > place(&name(3)));
}
