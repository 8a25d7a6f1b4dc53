//! What the devices send is read back by the head-end's decoders, and says what was metered.

use std::collections::{HashMap, HashSet};

use protocols::{DecodeContext, DecodeOptions, Format, Mapping, Observation, decode};

use super::*;

const OBJECT: &str = r#"
[mapping]
name = "water"
format = "object"

[[channel]]
path = "/volume_l"
field = "volume"
unit = "L"
kind = "cumulative"
"#;

fn spec(kind: SenderKind) -> SenderSpec {
    let start = UtcTime::parse_rfc3339("2026-10-24T18:00:00Z").unwrap();
    SenderSpec {
        kind,
        seed: 7,
        meters: 14,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        zone_name: "Europe/Berlin".to_owned(),
        start,
        end: start.plus_seconds(48 * 3_600),
        faults: true,
    }
}

fn whole(spec: &SenderSpec, step_s: i64) -> SenderRun {
    let mut senders = Senders::new(spec.clone());
    let mut run = SenderRun::default();
    let mut from = spec.start;
    while from < spec.end {
        let to = from.plus_seconds(step_s).min(spec.end);
        let part = senders.run(from, to);
        run.messages.extend(part.messages);
        run.reads.extend(part.reads);
        from = to;
    }
    run
}

#[test]
fn every_message_is_decoded_and_its_counter_is_the_truth() {
    let mapping = Mapping::parse(OBJECT).unwrap();
    for (kind, word) in SenderKind::ALL {
        let spec = spec(kind);
        let run = whole(&spec, 3_600);
        let numbers: HashMap<String, String> = Senders::new(spec.clone())
            .assets()
            .meters
            .into_iter()
            .map(|meter| (meter.sources[0].as_str().to_owned(), meter.number))
            .collect();
        let (field, _, decimals, _) = kind.channel();
        let truth: HashSet<_> =
            run.reads.iter().map(|read| (read.meter.clone(), read.at, read.value)).collect();
        let mut told = HashSet::new();
        for message in &run.messages {
            let context = DecodeContext {
                topic: &message.topic,
                received_at: message.sent_at,
                zone: Some(&spec.zone),
                collector: None,
                mapping: Some(&mapping),
                options: &DecodeOptions::DEFAULT,
            };
            let format: Format = word.parse().unwrap();
            let reports = decode(format, &context, &message.payload).unwrap_or_else(|refused| {
                panic!("{refused}: {}", String::from_utf8_lossy(&message.payload))
            });
            let reads: u64 = reports.iter().map(protocols::DeviceReport::reads).sum();
            assert_eq!(reads, u64::from(message.reads), "{}", message.topic);
            let number = &numbers[reports[0].source_id.as_str()];
            let counter = reports[0].observations.iter().find(|seen| seen.field() == field);
            let Some(Observation::Register { value: Some(value), time, .. }) = counter else {
                panic!("{word}: no {field}");
            };
            let decimals = u8::try_from(decimals).unwrap();
            let value = value.to_decimals(decimals).unwrap();
            assert!(value.1, "{word}: finer than its channel");
            told.insert((number.clone(), time.at, value.0));
        }
        assert_eq!(told, truth, "{word}");
        assert!(run.messages.len() > run.reads.len(), "{word}: some are sent twice");
        let fell =
            |pair: &[TruthRead]| pair[0].meter == pair[1].meter && pair[1].value < pair[0].value;
        let mut by_meter = run.reads.clone();
        by_meter.sort_by(|a, b| (&a.meter, a.at).cmp(&(&b.meter, b.at)));
        assert_eq!(by_meter.windows(2).filter(|pair| fell(pair)).count(), 2, "{word}: restarts");
    }
}

#[test]
fn the_cut_of_the_time_changes_nothing() {
    let spec = spec(SenderKind::Tasmota);
    let key = |run: &SenderRun| {
        let mut list: Vec<_> =
            run.messages.iter().map(|m| (m.sent_at, m.payload.clone())).collect();
        list.sort();
        list
    };
    assert_eq!(key(&whole(&spec, 900)), key(&whole(&spec, 86_400)));
}
