use expect_test::expect;
use metering::{Unit, UtcTime};

use super::super::{Collected, Encoding, FileContext, FileFormat, ReadQuality, beacon, read};
use super::*;
use crate::observation::Observation;

fn collected(text: &str) -> Result<Collected, LineFault> {
    let context = FileContext {
        received_at: UtcTime::from_seconds(1_800_000_000),
        zone: None,
        encoding: Encoding::Utf8,
        identity: beacon::Identity::default(),
        layout: None,
    };
    let mut found = Collected::default();
    read(FileFormat::Espi, &context, text.as_bytes(), &mut found).map(|_| found)
}

fn feed() -> String {
    let mut feed = Feed::new("C & A", "E-1", UtcTime::from_seconds(1_800_000_000));
    let mut text = String::new();
    feed.begin("Meter <E-1>", 0, 3_600, &mut text);
    let series =
        FeedSeries { number: 1, title: "import", unit: Unit::WattHour, export: false, len_s: 900 };
    feed.series(&series, &mut text).unwrap();
    let reading = |n: i64, value, quality| FeedReading {
        start: UtcTime::from_seconds(1_790_000_100 + n * 900),
        len_s: 900,
        value,
        quality,
    };
    feed.block(1, 1, &[reading(0, 1_500, 17), reading(1, -2, 8), reading(3, 7, 17)], &mut text);
    feed.end(&mut text);
    text
}

#[test]
fn what_we_write_we_read() {
    let found = collected(&feed()).unwrap();
    assert!(found.faults.is_empty(), "{:?}", found.faults);
    let report = &found.records[0].report;
    assert_eq!(report.source_id.as_str(), "espi:C%20%26%20A/E-1");
    let shown: Vec<String> = report
        .observations
        .iter()
        .map(|seen| match seen {
            Observation::Series { field, first_end, exponent, values, .. } => {
                format!("{field} {} {values:?} e{exponent}", first_end.seconds() - 1_790_000_100)
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        ["energy_import 900 [Some(1500), Some(-2)] e-3", "energy_import 3600 [Some(7)] e-3"]
    );
    let told: Vec<_> = found.records[0].quality.iter().map(|run| run.quality).collect();
    assert_eq!(told, [ReadQuality::Actual, ReadQuality::Estimated, ReadQuality::Actual]);
}

#[test]
fn links_lead_in_any_order() {
    let text = feed();
    let entries: Vec<&str> = text.split("<entry>").skip(1).collect();
    let mut turned = text.split("<entry>").next().unwrap().to_owned();
    for entry in entries.iter().rev() {
        turned.push_str("<entry>");
        turned.push_str(entry.trim_end().trim_end_matches("</feed>"));
    }
    turned.push_str("</feed>");
    let (one, other) = (collected(&text).unwrap(), collected(&turned).unwrap());
    assert_eq!(one.records[0].report, other.records[0].report);
}

#[test]
fn what_is_refused_and_why() {
    let text = feed();
    let mut told = String::new();
    for (what, changed) in [
        ("DTD", text.replacen("<feed", "<!DOCTYPE feed [<!ENTITY a \"b\">]><feed", 1)),
        ("entity", text.replacen("Meter ", "&secret; ", 1)),
        ("no end", text.replacen("</feed>", "", 1)),
        ("other namespace", text.replace("http://naesb.org/espi", "http://example.org")),
        ("unit", text.replacen("<uom>72<", "<uom>250<", 1)),
        ("direction", text.replacen("<flowDirection>1<", "<flowDirection>4<", 1)),
        ("behaviour", text.replacen("haviour>4", "haviour>9", 1)),
        (
            "no type",
            text.replacen(
                "related\" href=\"/espi/1_1/resource/ReadingType/1",
                "related\" href=\"/x",
                1,
            ),
        ),
        ("value", text.replacen("<value>7<", "<value>seven<", 1)),
        ("no start", text.replacen("<start>1790002800</start></timePeriod>", "</timePeriod>", 1)),
    ] {
        assert_ne!(changed, text, "{what}");
        let line = match collected(&changed) {
            Ok(found) => {
                found.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            Err(fault) => format!("all: {fault}"),
        };
        told.push_str(&format!("{what}: {line}\n"));
    }
    expect![[r#"
        DTD: all: line 2: bad_format: a document type (DTD) is refused: send the feed without one
        entity: all: line 4: bad_format: the entity `&secret;` is refused
        no end: all: line 71: bad_format: the document ends within an element
        other namespace: all: line 0: unknown_type: no feed of the namespace http://naesb.org/espi
        unit: line 61: bad_format: unit code (uom) 250 is not known
        direction: line 61: bad_format: flowDirection 4 is neither forward (1) nor reverse (19)
        behaviour: line 61: bad_format: accumulationBehaviour 9 is none of bulk (1), cumulative (3), delta (4), instantaneous (12)
        no type: line 61: bad_format: MeterReading `/espi/1_1/resource/RetailCustomer/C%20%26%20A/UsagePoint/E-1/MeterReading/1` leads to no ReadingType
        value: line 61: bad_value: line 64: value `seven` is no whole number
        no start: line 61: bad_value: line 64: the IntervalReading has no start and duration
    "#]].assert_eq(&told);
}

#[test]
fn deep_nesting_ends_in_a_refusal() {
    let deep = format!("<feed xmlns=\"http://naesb.org/espi\">{}", "<a>".repeat(100_000));
    assert!(collected(&deep).unwrap_err().detail.contains("deeper"));
}

#[test]
fn optional_numbers_may_be_absent() {
    let text = feed()
        .replace("<flowDirection>1</flowDirection>", "<flowDirection/>")
        .replace("<intervalLength>900</intervalLength>", "")
        .replace("<accumulationBehaviour>4</accumulationBehaviour>", "<accumulationBehaviour/>");
    let found = collected(&text).unwrap();
    assert_eq!(found.records[0].report.observations[0].field(), "energy_import");
}
