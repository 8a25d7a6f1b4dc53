//! Real files of the corpus, which lies beside the repository and is read, never copied. The
//! expected counts and values here were counted in the files by hand.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use metering::{Exact, UtcTime};
use protocols::Observation;
use protocols::files::{self, Collected, Encoding, FileContext, FileFormat, ReadQuality, beacon};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/files");

/// `None`, loudly, when the corpus is not there.
fn corpus(test: &str, file: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(CORPUS).join(file);
    if let Ok(bytes) = std::fs::read(&path) {
        return Some(bytes);
    }
    let reason = format!("corpus not found: {}", path.display());
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.unwrap(), "{test}: {reason}").unwrap();
    }
    None
}

fn decoded(format: FileFormat, zone: &str, bytes: &[u8]) -> Collected {
    let zone = TimeZone::get(zone).unwrap();
    let context = FileContext {
        received_at: UtcTime::parse_rfc3339("2026-11-21T20:00:00Z").unwrap(),
        zone: Some(&zone),
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: None,
    };
    assert_eq!(FileFormat::of(bytes), Some(format));
    let mut found = Collected::default();
    let facts = files::read(format, &context, bytes, &mut found).unwrap();
    assert_eq!(facts.records, found.records.len() as u64);
    found
}

/// Values per source and field, their sum, and how many of which quality; then the refusals.
fn told(found: &Collected) -> String {
    let mut series: BTreeMap<String, (u64, f64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for record in &found.records {
        for seen in &record.report.observations {
            let key = format!("{} {}", record.report.source_id, seen.field());
            let (count, sum, quality) = series.entry(key).or_default();
            for (end, value) in values(seen) {
                let said = record.quality.iter().find(|run| run.holds(end));
                let said = said.map_or(ReadQuality::Actual, |run| run.quality);
                *quality.entry(said.word()).or_default() += 1;
                *count += 1;
                *sum += value.map_or(0.0, |value| value.to_string().parse::<f64>().unwrap());
            }
        }
    }
    let mut text = String::new();
    for (key, (count, sum, quality)) in series {
        let words: Vec<String> = quality.iter().map(|(word, n)| format!("{word} {n}")).collect();
        writeln!(text, "{key}: {count} values, sum {sum:.3}; {}", words.join(", ")).unwrap();
    }
    for fault in &found.faults {
        writeln!(text, "{fault}").unwrap();
    }
    text
}

fn values(seen: &Observation) -> Vec<(UtcTime, Option<Exact>)> {
    match seen {
        Observation::Series { first_end, len_s, exponent, values, .. } => values
            .iter()
            .zip(0..)
            .map(|(value, n)| {
                let end = first_end.plus_seconds(i64::from(*len_s) * n);
                (end, value.map(|value| Exact::new(value, *exponent).unwrap()))
            })
            .collect(),
        Observation::Register { value, time, .. } | Observation::Instant { value, time, .. } => {
            vec![(time.at, *value)]
        }
    }
}

fn check(test: &str, format: FileFormat, (file, zone): (&str, &str), want: &Expect) {
    let Some(bytes) = corpus(test, file) else { return };
    want.assert_eq(&told(&decoded(format, zone, &bytes)));
}

#[test]
fn nem12_files() {
    all_nem12([
        (
            "actual_interval",
            expect![[r#"
            nmi:VABD000163 E1: 48 values, sum 53.328; actual 48
            nmi:VABD000163 Q1: 48 values, sum 106.656; actual 48
        "#]],
        ),
        (
            "substituted_interval",
            expect![[r#"
            nmi:VBCD000022 E1: 48 values, sum 110.976; final_substituted 48
            nmi:VBCD000022 Q1: 48 values, sum 47053.848; final_substituted 48
        "#]],
        ),
        (
            "multiple_quality",
            expect![[r#"
            nmi:CCCC123456 E1: 48 values, sum 896.990; actual 4, final_substituted 20, substituted 24
        "#]],
        ),
        (
            "multiple_meters",
            expect![[r#"
            nmi:NCDE001111 B1: 192 values, sum 1920.000; actual 192
            nmi:NCDE001111 E1: 192 values, sum 1920.000; actual 192
            nmi:NCDE001111 E2: 192 values, sum 19200.000; actual 192
            nmi:NCDE001111 Q1: 192 values, sum 9600.000; actual 192
            nmi:NDDD001888 B1: 192 values, sum 3840.000; actual 192
            nmi:NDDD001888 K2: 192 values, sum 9600.000; actual 192
        "#]],
        ),
        (
            "different_interval_length",
            expect![[r#"
            nmi:C123 E1: 48 values, sum 254.000; actual 48
            nmi:C123 E2: 48 values, sum 120.000; actual 48
            line 6: bad_format: `` is no unit that is known: Wh, kWh, MWh, varh, kvarh, W or kW
            line 7: bad_format: its 200 record on line 6 was refused
        "#]],
        ),
    ]);
}

#[test]
fn nem12_files_of_other_shapes() {
    all_nem12([
        (
            "month_solar",
            expect![[r#"
            nmi:NMI1234567 B1: 8928 values, sum 589.172; actual 8928
            nmi:NMI1234567 E1: 8928 values, sum 270.738; actual 8928
        "#]],
        ),
        (
            "no_scheduled_read",
            expect![[r#"
            nmi:NMI111 E1: 96 values, sum 5.840; actual 96
        "#]],
        ),
        (
            "partialchannel",
            expect![[r#"
            nmi:NMI1234567 B1: 288 values, sum 23.166; actual 288
            nmi:NMI1234567 E1: 8928 values, sum 270.738; actual 8928
        "#]],
        ),
        (
            "upper_case_units",
            expect![[r#"
            nmi:VABD000163 E1: 48 values, sum 53.328; actual 48
            nmi:VABD000163 Q1: 48 values, sum 106.656; actual 48
        "#]],
        ),
        (
            "WesternPower",
            expect![[r#"
            nmi:9999999999 B1: 48 values, sum 0.000; actual 48
            nmi:9999999999 E1: 48 values, sum 0.000; actual 48
            nmi:9999999999 K1: 48 values, sum 0.000; actual 48
            nmi:9999999999 Q1: 48 values, sum 0.000; actual 48
        "#]],
        ),
        (
            "NEM13_consumption_data",
            expect![[r#"
            nmi:VABC005890 11: 2 values, sum 13997.700; actual 2
        "#]],
        ),
        (
            "NEM13_forward_estimate",
            expect![[r#"
            nmi:VDEF005890 11: 2 values, sum 1887.000; actual 1, estimated 1
            nmi:VDEF005890 41: 2 values, sum 10965.000; actual 1, estimated 1
        "#]],
        ),
    ]);
}

fn all_nem12<const N: usize>(all: [(&str, Expect); N]) {
    for (name, want) in all {
        let file = if name.starts_with("NEM13") || name == "WesternPower" {
            format!("nem12/Example_{name}.csv")
        } else {
            format!("nem12/Example_NEM12_{name}.csv")
        };
        check("nem12_files", FileFormat::Nem12, (&file, "UTC"), &want);
    }
}

#[test]
fn cmep_keeps_decreases_and_jittered_minutes() {
    let test = "cmep_keeps_decreases_and_jittered_minutes";
    let Some(bytes) = corpus(test, "cmep/cmep_first2.dat") else { return };
    let found = decoded(FileFormat::Cmep, "America/Los_Angeles", &bytes);
    expect![[r#"
        cmep:B72842062 GALREG: 25 values, sum 83969.000; actual 25
        cmep:B72842123 GALREG: 25 values, sum 910244.000; actual 25
    "#]]
    .assert_eq(&told(&found));
    let reads: Vec<_> = found.records[1].report.observations.iter().flat_map(values).collect();
    let falls: Vec<String> = reads
        .windows(2)
        .filter(|pair| pair[1].1.unwrap().mantissa() < pair[0].1.unwrap().mantissa())
        .map(|pair| format!("{} -> {}", pair[0].1.unwrap(), pair[1].1.unwrap()))
        .collect();
    assert_eq!(falls, ["3363 -> 3362", "3376 -> 3371"]);
    let both = found.records.iter().flat_map(|record| &record.report.observations);
    let minutes: std::collections::BTreeSet<i64> =
        both.flat_map(values).map(|read| read.0.seconds() / 60 % 60).collect();
    assert_eq!(minutes.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn green_button_files() {
    for (file, len_s, want) in [
        (
            "greenbutton/TestGBDataHourlyNineDaysBinnedDaily.xml",
            3_600,
            expect![[r#"
                espi:2/2 energy_import: 216 values, sum 199563.000; actual 216
            "#]],
        ),
        (
            "greenbutton/TestGBDataOneYearDailyBinnedMonthly.xml",
            86_400,
            expect![[r#"
                espi:1/1 energy_import: 444 values, sum 9917817.000; actual 444
            "#]],
        ),
    ] {
        let Some(bytes) = corpus("green_button_files", file) else { return };
        let found = decoded(FileFormat::Espi, "UTC", &bytes);
        want.assert_eq(&told(&found));
        let lengths: BTreeMap<i32, usize> = found
            .records
            .iter()
            .flat_map(|record| &record.report.observations)
            .map(|seen| match seen {
                Observation::Series { len_s, values, .. } => (*len_s, values.len()),
                other => panic!("no series: {other:?}"),
            })
            .fold(BTreeMap::new(), |mut all, (len_s, count)| {
                *all.entry(len_s).or_default() += count;
                all
            });
        assert!(lengths[&len_s] * 10 >= lengths.values().sum::<usize>() * 9, "{lengths:?}");
    }
}

#[test]
fn beacon_rows_hold_two_units() {
    let file = ("beacon360/beacon-360-report.csv", "America/Los_Angeles");
    let test = "beacon_rows_hold_two_units";
    check(
        test,
        FileFormat::Beacon,
        file,
        &expect![[r#"
        badger:1470158170 flow: 2 values, sum 10.000; actual 2
        badger:1470158170 read: 2 values, sum 455.200; actual 2
    "#]],
    );
}

#[test]
fn a_record_alone_is_read_as_it_was_in_its_file() {
    for (format, file) in [
        (FileFormat::Nem12, "nem12/Example_NEM12_multiple_quality.csv"),
        (FileFormat::Nem12, "nem12/Example_NEM13_forward_estimate.csv"),
        (FileFormat::Cmep, "cmep/cmep_first2.dat"),
        (FileFormat::Espi, "greenbutton/TestGBDataHourlyNineDaysBinnedDaily.xml"),
        (FileFormat::Beacon, "beacon360/beacon-360-report.csv"),
    ] {
        let test = "a_record_alone_is_read_as_it_was_in_its_file";
        let Some(bytes) = corpus(test, file) else { return };
        for record in decoded(format, "America/Los_Angeles", &bytes).records {
            let again = decoded(format, "America/Los_Angeles", &record.raw);
            assert!(again.faults.is_empty(), "{file}: {:?}", again.faults);
            assert_eq!(again.records.len(), 1);
            assert_eq!(again.records[0].report, record.report);
            assert_eq!(again.records[0].quality, record.quality);
        }
    }
}
