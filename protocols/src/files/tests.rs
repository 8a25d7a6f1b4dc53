use expect_test::{Expect, expect};
use jiff::tz::TimeZone;

use super::*;
use crate::observation::Observation;

const ZONE: &str = "America/New_York";

fn collected(format: FileFormat, bytes: &[u8]) -> (Result<FileFacts, LineFault>, Collected) {
    let zone = TimeZone::get(ZONE).unwrap();
    let context = FileContext {
        received_at: UtcTime::parse_rfc3339("2026-11-21T20:00:00Z").unwrap(),
        zone: Some(&zone),
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: None,
    };
    let mut found = Collected::default();
    let facts = read(format, &context, bytes, &mut found);
    (facts, found)
}

fn check(format: FileFormat, text: &str, want: &Expect) {
    let (facts, found) = collected(format, text.as_bytes());
    let mut told = String::new();
    for record in &found.records {
        told.push_str(&format!("line {}: {}\n", record.line, record.report.source_id));
        for seen in &record.report.observations {
            told.push_str(&format!("  {}\n", line(seen)));
        }
        for run in &record.quality {
            let code = if run.code.is_empty() { "-" } else { &run.code };
            let reason = run.reason.map_or(String::new(), |n| format!(" {n} {}", run.reason_text));
            let word = run.quality.word();
            told.push_str(&format!("  {} .. {} {word} {code}{reason}\n", run.from, run.to));
        }
        for event in &record.report.events {
            told.push_str(&format!("  event {} {}\n", event.code.name(), event.detail));
        }
    }
    for fault in &found.faults {
        told.push_str(&format!("{fault}\n"));
    }
    match facts {
        Ok(facts) => {
            told.push_str(&format!("{} records, {} refused\n", facts.records, facts.refused))
        }
        Err(fault) => told.push_str(&format!("refused: {fault}\n")),
    }
    want.assert_eq(&told);
}

fn line(seen: &Observation) -> String {
    match seen {
        Observation::Series { field, unit, len_s, first_end, exponent, values, .. } => {
            let shown: Vec<String> =
                values.iter().take(4).map(|v| v.map_or("-".into(), |v| v.to_string())).collect();
            let (count, shown) = (values.len(), shown.join(" "));
            format!("{field} {len_s} s from {first_end}: {count} x e{exponent} {unit:?}: {shown}")
        }
        Observation::Register { field, unit, value, time, suspect, .. } => {
            let value = value.map_or("-".into(), |v| v.to_string());
            format!("{field} {value} {unit:?} at {} suspect {suspect}", time.at)
        }
        Observation::Instant { field, unit, value, time, .. } => {
            format!("{field} {value:?} {unit:?} at {}", time.at)
        }
    }
}

/// A day of half hours: `n.5`, with quality fields behind.
fn day(date: &str, behind: &str) -> String {
    let values: Vec<String> = (0..48).map(|n| format!("{n}.5")).collect();
    format!("300,{date},{},{behind}", values.join(","))
}

fn nem12(records: &[&str]) -> String {
    let mut text = String::from("100,NEM12,202611210101,MDP,RET\r\n");
    for record in records {
        text.push_str(record);
        text.push_str("\r\n");
    }
    text + "900\r\n"
}

const STREAM: &str = "200,NMI0000001,E1,1,E1,N1,SER1,kWh,30,";

#[test]
fn nem12_days_and_their_qualities() {
    let (plain, varied, null) = (
        day("20260701", "S14,76,check meter,20260702010101,"),
        day("20260702", "V,,,20260703010101,"),
        day("20260703", "N,78,,,").replace(",0.5,", ",,"),
    );
    let text = nem12(&[
        STREAM,
        &plain,
        &varied,
        "400,1,20,F14,76,",
        "400,21,24,A,,",
        "400,25,48,N,0,gone",
        "500,O,S01009,20260703120000,001123.5",
        &null,
    ]);
    check(
        FileFormat::Nem12,
        &text,
        &expect![[r#"
        line 3: nmi:NMI0000001
          E1 1800 s from 2026-06-30T14:30:00Z: 48 x e-1 Some(KilowattHour): 5 15 25 35
          2026-06-30T14:00:00Z .. 2026-07-01T14:00:00Z substituted S14 76 check meter
        line 4: nmi:NMI0000001
          E1 1800 s from 2026-07-01T14:30:00Z: 48 x e-1 Some(KilowattHour): 5 15 25 35
          2026-07-01T14:00:00Z .. 2026-07-02T00:00:00Z final_substituted F14 76 
          2026-07-02T00:00:00Z .. 2026-07-02T02:00:00Z actual A
          2026-07-02T02:00:00Z .. 2026-07-02T14:00:00Z missing N 0 gone
        line 9: nmi:NMI0000001
          E1 1800 s from 2026-07-02T14:30:00Z: 48 x e-1 Some(KilowattHour): - - - -
          2026-07-02T14:00:00Z .. 2026-07-03T14:00:00Z missing N 78 
        3 records, 0 refused
    "#]],
    );
}

#[test]
fn nem12_refusals_name_the_line_and_what_is_wanted() {
    let good = day("20260701", "A,,,,");
    let short = format!("300,20260701,{},A,,,,", ["1"; 47].join(","));
    let long = format!("300,20260701,{},A,,,,", ["1"; 49].join(","));
    let negative = good.replace(",3.5,", ",-3.5,");
    let word = good.replace(",3.5,", ",many,");
    let letter = day("20260701", "X,,,,");
    let hole = day("20260701", "V,,,,");
    let blank = good.replace(",3.5,", ",,");
    let records = [
        good.as_str(),
        STREAM,
        &short,
        &long,
        &negative,
        &word,
        &letter,
        &blank,
        &day("20260230", "A,,,,"),
        &hole,
        "400,1,20,A,,",
        "400,22,48,A,,",
        &hole,
        "400,1,20,A,,",
        &good,
        "400,1,48,A,,",
        "200,NMI0000001,E1,1,E1,N1,SER1,kWh,60,",
        &good,
        "200,NMI0000001,E1,1,E1,N1,SER1,furlong,30,",
        "200,NMI-1,E1,1,E1,N1,SER1,kWh,30,",
        "600,what",
    ];
    check(
        FileFormat::Nem12,
        &nem12(&records),
        &expect![[r#"
        line 2: bad_format: a 300 record before any 200 record
        line 4: bad_format: value 48 is `A`: 48 values of 30 minutes are wanted (200 record on line 3)
        line 5: bad_format: there are more values than wanted: 48 values of 30 minutes are wanted (200 record on line 3)
        line 6: bad_value: value 4 is negative: -3.5
        line 7: bad_value: value 4 is `many`, no number
        line 8: bad_format: `X` is no quality: A, E, F, N, S or V and a method
        line 9: bad_value: value 4 is empty, but its quality is not N
        line 10: bad_format: `20260230` is no date YYYYMMDD
        line 13: bad_format: intervals 22 to 48: the 400 records must follow one another from 1 to 48, 21 is next
        line 14: bad_format: quality V: 400 records end at interval 20 of 48
        line 17: bad_format: a 400 record on line 17, but the quality is A, not V
        line 18: bad_format: `60` is no interval length: 5, 15 or 30
        line 19: bad_format: its 200 record on line 18 was refused
        line 20: bad_format: `furlong` is no unit that is known: Wh, kWh, MWh, varh, kvarh, W or kW
        line 21: no_identity: `NMI-1` is no NMI: up to 11 letters and digits
        line 22: bad_format: `600` is no record of NEM12 in this place
        0 records, 16 refused
    "#]],
    );
}

#[test]
fn nem12_files_that_are_refused_whole() {
    for (text, want) in [
        (
            "200,NMI0000001,E1,1,E1,N1,SER1,kWh,30,\n900\n",
            expect![[r#"
            refused: line 1: bad_format: the first record must be 100,NEM12 or 100,NEM13
        "#]],
        ),
        (
            "100,NEM12,202611210101,MDP,RET\n",
            expect![[r#"
            refused: line 1: bad_format: no 900 record: the file is cut off; ask for it again
        "#]],
        ),
        (
            "100,NEM12,,MDP,RET\n900\n",
            expect![[r#"
            refused: line 1: bad_format: `` is no creation time YYYYMMDDhhmm
        "#]],
        ),
        (
            "100,NEM12,202611210101,A,B\n900\n100,NEM12,202611210101,A,B\n900\n",
            expect![[r#"
            refused: line 3: bad_format: there is a record after the 900 record
        "#]],
        ),
        (
            "\n\n",
            expect![[r#"
            refused: line 0: bad_format: no 100 record: the file is empty
        "#]],
        ),
        (
            "",
            expect![[r#"
            refused: line 0: empty: the file is empty
        "#]],
        ),
    ] {
        check(FileFormat::Nem12, text, &want);
    }
}

#[test]
fn nem13_registers() {
    let text = "100,NEM13,202601010101,MDP,RET\n\
        250,NMI0000002,11,1,11,11,SER2,E,000100.5,20260101103000,A,,,000150.5,20260401103000,E64,77,soon,50,KWH,20260701,,\n\
        550,N,,A,\n\
        250,NMI0000002,11,1,11,11,SER2,X,1,20260101103000,A,,,2,20260401103000,A,,,1,kWh,,,\n\
        250,NMI0000002,11,1,11,11,SER2,E,2,20260401103000,A,,,3,20260101103000,A,,,1,kWh,,,\n\
        250,NMI0000002,11,1,11,11,SER2,E,x,20260101103000,A,,,3,20260401103000,A,,,1,kWh,,,\n\
        300,20260101,1\n\
        900\n";
    check(
        FileFormat::Nem12,
        text,
        &expect![[r#"
        line 2: nmi:NMI0000002
          11 100.5 Some(KilowattHour) at 2026-01-01T00:30:00Z suspect false
          11 150.5 Some(KilowattHour) at 2026-04-01T00:30:00Z suspect false
          2026-01-01T00:29:59.999999Z .. 2026-01-01T00:30:00Z actual A
          2026-04-01T00:29:59.999999Z .. 2026-04-01T00:30:00Z estimated E64 77 soon
        line 4: bad_format: `X` is no direction: E (export to customer) or I
        line 5: bad_format: the current read is not later than the previous one
        line 6: bad_value: `x` is no register read
        line 7: bad_format: `300` is no record of NEM13 in this place
        1 records, 4 refused
    "#]],
    );
}

#[test]
fn cmep_records() {
    let head = "MEPMD01,20080501,S,SC,R,METER1,202611210101,,OK,E";
    let text = format!(
        "{head},KWH,2.5,00000100,3,202607010100,R0,1.2,,R0,1.3,202607010401,E0,2\n\
         {head},GALREG,1,00000100,2,202607010101,R0,100,202607010202,X9,99\n\
         {head},KWH,1,00000100,3,202607010100,R0,1\n\
         {head},KWH,1,00000100,1,202607010100,R0,1,202607010200,R0,1\n\
         {head},KWH,1,00000100,1,202607010100,R0,1e3\n\
         {head},BTU,1,00000100,1,202607010100,R0,1\n\
         {head},KWH,1,,1,202607010100,R0,1\n\
         MEPLF01,1,2\n\
         MEPMD01,20080501,S,SC,R,,202611210101,,OK,E,KWH,1,00000100,1,202607010100,R0,1\n"
    );
    check(
        FileFormat::Cmep,
        &text,
        &expect![[r#"
        line 1: cmep:METER1
          KWH 3600 s from 2026-07-01T05:00:00Z: 2 x e-2 Some(KilowattHour): 300 325
          KWH 3600 s from 2026-07-01T08:00:00Z: 1 x e0 Some(KilowattHour): 5
          2026-07-01T04:00:00Z .. 2026-07-01T06:00:00Z actual R0
          2026-07-01T07:00:00Z .. 2026-07-01T08:00:00Z estimated E0
        line 2: cmep:METER1
          GALREG 100 Some(GallonUs) at 2026-07-01T05:01:00Z suspect false
          GALREG 99 Some(GallonUs) at 2026-07-01T06:02:00Z suspect true
          2026-07-01T05:00:59.999999Z .. 2026-07-01T05:01:00Z actual R0
          2026-07-01T06:01:59.999999Z .. 2026-07-01T06:02:00Z suspect X9
        line 3: bad_format: 1 triplets, the count says 3
        line 4: bad_format: more than the 1 triplets that the count says
        line 5: bad_value: value 1, `1e3`, is no number
        line 6: bad_format: `BTU` is no unit that is known, such as KWH or GALREG
        line 7: bad_format: interval values need an interval of days, hours or minutes
        line 8: bad_format: the record ends within its 14 header fields
        line 9: no_identity: neither the meter (field 8) nor the receiver's customer (field 6) is named
        2 records, 7 refused
    "#]],
    );
}

#[test]
fn beacon_rows() {
    let text = "\"Meter_ID\",\"Read\",\"Read_Time\",\"Read_Unit\",\"Raw_Read\",\"Flow\",\"Flow_Time\",\"Flow_Unit\",\"Endpoint_SN\",\"Estimated_Flag\",\"Battery_Level\",\"Current_Leak_Rate\"\n\
        7,12.5,2026-07-01 01:00,CCF,00125,3.5,2026-07-01 01:04,Gallons,9,0,good,\n\
        8,12.5,2026-07-01 01:00,CCF,00126,,,,9,1,low,2.5\n\
        ,12.5,2026-07-01 01:00,CCF,00125,,,,9,0,,\n\
        9,12.5,2026-07-01,bushel,,,,,9,0,,\n\
        9,12.5\n\
        9,x,2026-07-01 01:00,CCF,,,,,9,0,,\n";
    check(
        FileFormat::Beacon,
        text,
        &expect![[r#"
        line 2: badger:7
          read 12.5 Some(HundredCubicFeet) at 2026-07-01T05:00:00Z suspect false
          flow 3600 s from 2026-07-01T05:00:00Z: 1 x e-1 Some(GallonUs): 35
          2026-07-01T04:59:59.999999Z .. 2026-07-01T05:00:00Z actual 0
          2026-07-01T04:00:00Z .. 2026-07-01T05:00:00Z actual 0
        line 3: badger:8
          read 12.5 Some(HundredCubicFeet) at 2026-07-01T05:00:00Z suspect true
          2026-07-01T04:59:59.999999Z .. 2026-07-01T05:00:00Z suspect 1
          event battery_low battery level low
          event leak leak rate 2.5 since 
        line 4: no_identity: Meter_ID is empty
        line 5: bad_format: Read_Unit `bushel` is no unit that is known: Gallons, CCF, CF, m3 or L
        line 6: bad_format: 2 fields, the header has 12
        line 7: bad_value: Read `x` is no number
        2 records, 4 refused
    "#]],
    );
}

#[test]
fn beacon_rows_without_end_are_refused() {
    let head = "Meter_ID,Read,Read_Time,Read_Unit";
    let row = "7,12.5,2026-07-01 01:00,CCF";
    for (text, want) in [
        (format!("{head}\n{row}\n7,\"{}", ",".repeat(9_000)), "line 3: too_large: a row of more"),
        (format!("{head}\n{row}\n{}", ",".repeat(9_000)), "line 3: too_large: a row of more"),
        (format!("{head}{}\n", ",".repeat(9_000)), "the first row is too long"),
        (format!("{head}{}\n", ",".repeat(300)), "the header has 304 columns, the limit is 256"),
    ] {
        let (facts, found) = collected(FileFormat::Beacon, text.as_bytes());
        let told = facts.unwrap_err().to_string();
        assert!(told.contains(want), "{told}");
        assert!(found.records.len() <= 1);
    }
    // Long files of good rows are not cut.
    let text = format!("{head}\n{}", format!("{row}\n").repeat(2_000));
    assert_eq!(collected(FileFormat::Beacon, text.as_bytes()).1.records.len(), 2_000);
}

#[test]
fn kinds_are_told_by_their_first_bytes() {
    let of = |text: &str| FileFormat::of(text.as_bytes());
    assert_eq!(of("\u{feff}100,NEM13,2026"), Some(FileFormat::Nem12));
    assert_eq!(of("MEPMD01,2008"), Some(FileFormat::Cmep));
    assert_eq!(of("<?xml version=\"1.0\"?><feed/>"), Some(FileFormat::Espi));
    assert_eq!(of("\"Meter_ID\",\"Read_Time\",\"Endpoint_SN\"\n"), Some(FileFormat::Beacon));
    assert_eq!(of("a,b,c\n"), None);
    for format in FileFormat::ALL {
        assert_eq!(format.to_string().parse::<FileFormat>().unwrap(), format);
    }
    assert!("nem14".parse::<FileFormat>().is_err());
}
