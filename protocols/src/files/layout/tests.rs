use expect_test::expect;
use jiff::tz::TimeZone;
use metering::UtcTime;

use super::super::{Collected, Encoding, FileContext, FileFormat, beacon, read as read_file};
use super::*;
use crate::observation::Observation;

fn told(layout: &Layout, text: &str) -> String {
    let context = FileContext {
        received_at: UtcTime::parse_rfc3339("2026-03-02T12:00:00Z").unwrap(),
        zone: Some(&TimeZone::UTC),
        encoding: Encoding::Latin1,
        identity: beacon::Identity::default(),
        layout: Some(layout),
    };
    let mut found = Collected::default();
    let facts = read_file(FileFormat::Layout, &context, text.as_bytes(), &mut found);
    let mut told = String::new();
    for record in &found.records {
        let report = &record.report;
        told.push_str(&format!(
            "line {}: {} `{}`\n",
            record.line, report.source_id, report.raw_status
        ));
        for (seen, run) in report.observations.iter().zip(&record.quality) {
            let at = seen.time();
            let shown = match seen {
                Observation::Register { field, value, modulus, .. } => {
                    format!("{field} {value:?} {modulus:?}")
                }
                Observation::Series { field, values, exponent, .. } => {
                    format!("{field} {values:?} e{exponent}")
                }
                Observation::Instant { field, .. } => field.to_string(),
            };
            let doubt = if at.doubtful { " doubtful" } else { "" };
            told.push_str(&format!("  {} {shown} {}{doubt}\n", at.at, run.quality.word()));
        }
        for event in &report.events {
            told.push_str(&format!("  {} {} `{}`\n", event.at.at, event.code, event.detail));
        }
    }
    for fault in &found.faults {
        told.push_str(&format!("{fault}\n"));
    }
    if let Err(fault) = facts {
        told.push_str(&format!("refused: {fault}\n"));
    }
    told
}

/// A line of blanks with texts at columns, from 1.
fn at(width: usize, texts: &[(usize, &str)]) -> String {
    let mut line = vec![' '; width];
    for (column, text) in texts {
        for (n, c) in text.chars().enumerate() {
            line[column - 1 + n] = c;
        }
    }
    line.into_iter().collect::<String>() + "\r\n"
}

/// Lines of each preset: whole, without a reading, and empty.
fn lines_of_presets() -> [(&'static str, String); 5] {
    [
        (
            "radix-a",
            at(
                36,
                &[(4, "012"), (7, "123456"), (14, "0004567"), (21, "022826"), (27, "SER0000001")],
            ) + &at(36, &[(7, "123457"), (21, "022826"), (27, "SER0000002")])
                + &at(36, &[(27, "SER0000003")])
                + &at(36, &[(14, "0004567"), (27, "SER0000004")]),
        ),
        (
            "sensus-autoread",
            at(155, &[(21, "12345678"), (29, "77"), (105, "0000001234"), (146, "S1")])
                + &at(155, &[(21, "12345679"), (146, "S2")]),
        ),
        (
            "sensus-k3",
            at(91, &[(1, "77"), (13, "S2"), (44, "000004567"), (53, "1231")])
                + &at(91, &[(13, "S3"), (44, "000000001"), (53, "0302")])
                + &at(91, &[(13, "S4"), (43, "L"), (53, "0302")])
                + &at(91, &[(13, "S5")]),
        ),
        (
            "neptune-ezroute",
            at(480, &[(1, "R1"), (29, "N1"), (69, "0000001234"), (136, "030126"), (468, "A1")])
                + &at(480, &[(1, "R1"), (29, "N4"), (135, "K"), (136, "030126")])
                + &at(480, &[(1, "R1"), (29, "N5")]),
        ),
        (
            "neptune-equinox-s",
            at(60, &[(1, "RTEHD"), (24, "20260301")])
                + &at(130, &[(1, "PRMDT"), (104, "ACC1")])
                + &at(60, &[(1, "MTRDT"), (6, "1"), (38, "N2")])
                + &at(100, &[(1, "RDGDT"), (50, "06"), (89, "123456")])
                + &at(20, &[(1, "ORDST"), (6, "20260302")])
                + &at(60, &[(1, "MTRDT"), (6, "2"), (38, "N3")])
                + &at(100, &[(1, "RDGDT"), (89, "654321")])
                + &at(60, &[(1, "MTRDT"), (6, "3"), (38, "N6")])
                + &at(100, &[(1, "RDGDT"), (50, "06")])
                + &at(20, &[(1, "ZZZZZ")]),
        ),
    ]
}

#[test]
fn every_preset_is_a_good_layout_and_reads_a_line() {
    for (name, text) in PRESETS {
        assert_eq!(Layout::parse(text).unwrap().name, name);
    }
    let mut all = String::new();
    for (name, text) in lines_of_presets() {
        all.push_str(&format!("{name}\n{}", told(&preset(name).unwrap(), &text)));
    }
    expect![[r#"
        radix-a
        line 1: radix:SER0000001 `route=012 account=123456`
          2026-02-28T00:00:00Z reading Some(Exact { mantissa: 4567, exponent: 0 }) Some(10000000) actual
        line 2: radix:SER0000002 `account=123457`
          2026-02-28T00:00:00Z read_skipped ``
        line 3: radix:SER0000003 ``
          2026-03-02T12:00:00Z read_skipped ``
        line 4: bad_format: the date is empty
        sensus-autoread
        line 1: sensus:12345678 `account=77 serial=S1`
          2026-03-02T12:00:00Z reading Some(Exact { mantissa: 1234, exponent: 0 }) None actual doubtful
        line 2: sensus:12345679 `serial=S2`
          2026-03-02T12:00:00Z read_skipped ``
        sensus-k3
        line 1: sensus:S2 `account=77`
          2025-12-31T00:00:00Z reading Some(Exact { mantissa: 4567, exponent: 0 }) None actual
        line 2: sensus:S3 ``
          2026-03-02T00:00:00Z reading Some(Exact { mantissa: 1, exponent: 0 }) None actual
        line 3: sensus:S4 `code=L`
          2026-03-02T00:00:00Z read_skipped ``
        line 4: sensus:S5 ``
          2026-03-02T12:00:00Z read_skipped ``
        neptune-ezroute
        line 1: neptune:N1 `route=R1 account=A1`
          2026-03-01T00:00:00Z reading Some(Exact { mantissa: 1234, exponent: 0 }) None actual
        line 2: neptune:N4 `route=R1 code=K`
          2026-03-01T00:00:00Z read_skipped ``
        line 3: neptune:N5 `route=R1`
          2026-03-02T12:00:00Z read_skipped ``
        neptune-equinox-s
        line 5: neptune:N2 `account=ACC1 sequence=1 dials=06`
          2026-03-02T00:00:00Z reading Some(Exact { mantissa: 123456, exponent: 0 }) None actual
        line 7: neptune:N3 `account=ACC1 sequence=2`
          2026-03-01T00:00:00Z reading Some(Exact { mantissa: 654321, exponent: 0 }) None actual
        line 9: neptune:N6 `account=ACC1 sequence=3 dials=06`
          2026-03-01T00:00:00Z read_skipped ``
        line 10: unknown_type: no record begins so: RTEHD, PRMDT, MTRDT, RDGDT, ORDST
    "#]].assert_eq(&all);
}

const CSV: &str = r#"
name = "reads"
kind = "csv"
family = "own"
delimiter = ";"
column_names = true
header = { prefix = "H", required = true }
trailer = { prefix = "T", count = [2, 5], required = true }
columns = [
  { target = "id", name = "Serial", required = true },
  { target = "date", name = "Day", format = "DD.MM.YYYY", required = true },
  { target = "time", name = "At", format = "hh:mm" },
  { target = "reading", name = "Reading", field = "volume", unit = "m3", scale = "0.1", absent = ["---"] },
  { target = "reading", name = "Use", field = "use", unit = "L", interval_s = 3600 },
  { target = "quality", name = "Q", map = { A = "actual", G = "estimated" } },
]
"#;

#[test]
fn a_csv_with_header_and_counting_trailer() {
    let layout = Layout::parse(CSV).unwrap();
    let text = "Serial;Day;At;Reading;Use;Q\nH;x\n\
        1;01.03.2026;06:00;123;45;A\n\
        \"2\";01.03.2026;06:00;---;;A\n\
        3;31.02.2026;06:00;123;;A\n\
        ;01.03.2026;06:00;123;;A\n\
        4;01.03.2026;25:00;123;;A\n\
        5;01.03.2026;06:00;12,3;;G\n\
        6;01.03.2026;;7;;Z\n\
        T0007\n";
    expect![[r#"
        line 3: own:1 ``
          2026-03-01T06:00:00Z volume Some(Exact { mantissa: 123, exponent: -1 }) None actual
          2026-03-01T06:00:00Z use [Some(45)] e0 actual
        line 4: own:2 ``
          2026-03-01T06:00:00Z read_skipped `---`
        line 9: own:6 ``
          2026-03-01T00:00:00Z volume Some(Exact { mantissa: 7, exponent: -1 }) None suspect
        line 5: bad_format: `31.02.2026` is no date DD.MM.YYYY
        line 6: bad_format: column `Serial`: empty, but required
        line 7: bad_format: `25:00` is no time hh:mm
        line 8: bad_value: `12,3` is no number
    "#]]
    .assert_eq(&told(&layout, text));
    let wrong = text.replace("T0007", "T0008");
    assert!(
        told(&layout, &wrong).contains("refused: line 10: bad_format: the trailer counts `0008`")
    );
    let cut = text.replace("T0007\n", "");
    assert!(told(&layout, &cut).contains("refused: line 9: bad_format: the trailer is missing"));
}

#[test]
fn a_bad_layout_says_what_is_wrong() {
    let mut all = String::new();
    for (from, to) in [
        ("kind = \"csv\"", "kind = \"excel\""),
        ("family = \"own\"", "family = \"Own!\""),
        ("delimiter = \";\"", "delimeter = \";\""),
        ("target = \"id\"", "target = \"serial\""),
        ("unit = \"m3\"", "unit = \"bushel\""),
        ("scale = \"0.1\"", "scale = \"-1\""),
        ("format = \"DD.MM.YYYY\"", "format = \"%d\""),
        ("A = \"actual\"", "A = \"good\""),
        ("name = \"Serial\"", "at = [1, 5]"),
    ] {
        let text = CSV.replacen(from, to, 1);
        assert_ne!(text, CSV);
        let error = Layout::parse(&text).unwrap_err().to_string();
        all.push_str(&format!("{to}: {}\n", error.lines().next().unwrap_or("")));
    }
    expect![[r#"
        kind = "excel": kind `excel`: write fixed or csv
        family = "Own!": family `Own!`: write small letters
        delimeter = ";": TOML parse error at line 5, column 1
        target = "serial": column 1: target `serial`: id, reading, date, time, quality, note or about
        unit = "bushel": column 4: `bushel` is no known unit: write for example kWh, Wh, m3, L, gal, ft3, CCF, V or W
        scale = "-1": column 4: scale `-1` is no positive number
        format = "%d": column 2: format `%d`: YYYY, YY, MM and DD, or hh, mm and ss, with signs between
        A = "good": column 6: `good` is no quality: actual, estimated, substituted, final_substituted, missing, suspect
        at = [1, 5]: column 1: fixed: `at = [from, to]`, from 1; csv: `index`, from 1, or, with column_names = true, `name`
    "#]].assert_eq(&all);
}

/// The layout that `docs/amr.md` tells readers to begin with.
fn layout_of_the_manual() -> Layout {
    let manual = include_str!("../../../../docs/amr.md");
    let from = manual.find("name = \"hand\"").unwrap();
    let text = &manual[from..];
    Layout::parse(&text[..text.find("```").unwrap()]).unwrap()
}

#[test]
fn a_meter_that_was_not_read_is_no_fault_and_its_note_is_an_event() {
    let text = "serial,date,time,reading,code,note\n\
        H1,20260301,0915,123,A,glass broken\n\
        H2,20260301,0920,SKIP,A,dog\n\
        H3,20260301,,,,\n\
        H4,20260301,0930,124,A,\n\
        H5,20260301,0935,none,A,locked\n";
    expect![[r#"
        line 2: hand:H1 `note=glass broken`
          2026-03-01T09:15:00Z consumption Some(Exact { mantissa: 123, exponent: 0 }) None actual
          2026-03-01T09:15:00Z reader_note `note=glass broken`
        line 3: hand:H2 `note=dog`
          2026-03-01T09:20:00Z read_skipped `SKIP note=dog`
        line 4: hand:H3 ``
          2026-03-01T00:00:00Z read_skipped ``
        line 5: hand:H4 ``
          2026-03-01T09:30:00Z consumption Some(Exact { mantissa: 124, exponent: 0 }) None actual
        line 6: bad_value: `none` is no number
    "#]]
    .assert_eq(&told(&layout_of_the_manual(), text));
}

#[test]
fn an_empty_reading_is_a_fault_where_neither_layout_nor_reader_foresees_it() {
    let absent = |own: &str| CSV.replace("absent = [\"---\"]", &format!("absent = [{own}]"));
    let text = "Serial;Day;At;Reading;Use;Q;Said\nH\n\
        1;01.03.2026;;;;;\n\
        2;01.03.2026;;;;;no access\n\
        3;01.03.2026;;---;;;\nT0003\n";
    let noted = "  { target = \"note\", name = \"Said\" },\n]";
    let of = |own: &str| Layout::parse(&absent(own).replace("\n]", &format!("\n{noted}"))).unwrap();
    expect![[r#"
        line 4: own:2 `Said=no access`
          2026-03-01T00:00:00Z read_skipped `Said=no access`
        line 5: own:3 ``
          2026-03-01T00:00:00Z read_skipped `---`
        line 3: bad_value: no reading: its columns are empty, and the layout does not name that under `absent`
    "#]].assert_eq(&told(&of("\"---\""), text));
    let all = told(&of("\"\", \"---\""), text);
    assert_eq!(all.matches("read_skipped").count(), 3, "{all}");
}

#[test]
fn families_of_presets_are_known() {
    for (name, _) in PRESETS {
        let family = preset(name).unwrap().family;
        assert!(crate::FAMILIES.contains(&family.as_str()), "{name}: {family}");
    }
}

#[test]
fn a_record_alone_reads_as_it_did_in_its_file() {
    let layout = Layout::parse(
        "name = \"rounds\"\nkind = \"csv\"\nfamily = \"own\"\ndelimiter = \";\"\n\
         column_names = true\nskip_lines = 1\nheader = { prefix = \"H\", required = true }\n\
         trailer = { prefix = \"T\", required = true }\ncolumns = [\n\
         { target = \"id\", name = \"Serial\", required = true },\n\
         { target = \"date\", name = \"Day\", format = \"YYYY-MM-DD\", required = true },\n\
         { target = \"reading\", name = \"Read, L\", field = \"total\", unit = \"L\" },\n]\n",
    )
    .unwrap();
    let (zone, alone) = (TimeZone::UTC, layout.of_record());
    let context = |layout| FileContext {
        received_at: UtcTime::parse_rfc3339("2026-03-02T12:00:00Z").unwrap(),
        zone: Some(&zone),
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: Some(layout),
    };
    let text = "round 7\nSerial;Day;Read, L\nH\nS1;2026-03-01;100\nT\n";
    let mut found = Collected::default();
    read_file(FileFormat::Layout, &context(&layout), text.as_bytes(), &mut found).unwrap();
    let [record] = found.records.as_slice() else { panic!("{found:?}") };
    let mut again = Collected::default();
    read_file(FileFormat::Layout, &context(&alone), &record.raw, &mut again).unwrap();
    assert_eq!(again.faults, []);
    let [same] = again.records.as_slice() else { panic!("{again:?}") };
    assert_eq!(same.report, record.report);
}
