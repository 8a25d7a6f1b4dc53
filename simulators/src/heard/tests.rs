use std::collections::BTreeMap;
use std::sync::Arc;

use protocols::amr::wmbus::{Keys, Receiver};
use protocols::{DecodeContext, Format, Observation, decode_with};

use super::*;

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

fn fleet(kind: HeardKind, faulty: bool) -> HeardFleet {
    let start = at("2026-11-20T22:00:00Z");
    HeardFleet::new(HeardSpec { seed: 7, kind, meters: 20, collectors: 3, start, faulty }).unwrap()
}

/// Highest value of each source and field, and how many messages were taken and refused.
fn decoded(
    fleet: &HeardFleet,
    format: Format,
    messages: &[SimMessage],
) -> (BTreeMap<String, i64>, u32, u32) {
    let keys = Keys::parse(&fleet.keys()).unwrap();
    let mut receiver = Receiver::new(Arc::new(keys));
    let (mut highest, mut taken, mut refused) = (BTreeMap::new(), 0, 0);
    for message in messages {
        let context = DecodeContext {
            topic: &message.topic,
            received_at: message.sent_at,
            zone: None,
            collector: None,
            mapping: None,
            options: &protocols::DecodeOptions::DEFAULT,
        };
        let Ok(reports) = decode_with(format, &context, &mut receiver, &message.payload) else {
            refused += 1;
            continue;
        };
        taken += 1;
        for report in reports {
            let first = report.observations.first().unwrap();
            let Observation::Register { value: Some(value), .. } = first else { continue };
            let entry = highest.entry(report.source_id.to_string()).or_insert(0);
            *entry = value.mantissa().max(*entry);
        }
    }
    (highest, taken, refused)
}

#[test]
fn every_telegram_is_read_as_it_was_metered() {
    for (kind, format) in [(HeardKind::Amr, Format::Rtlamr), (HeardKind::Wmbus, Format::Wmbus)] {
        let mut fleet = fleet(kind, false);
        let (from, to) = (at("2026-11-20T22:00:00Z"), at("2026-11-21T06:00:00Z"));
        let mut messages = fleet.messages(from, to);
        messages.extend(fleet.rest());
        let (highest, taken, refused) = decoded(&fleet, format, &messages);
        // Short telegrams that come before the first full one cannot be read.
        assert!(taken > 1_900 && refused <= 40, "{kind:?}: {taken} taken, {refused} refused");
        for truth in fleet.truth() {
            assert_eq!(highest.get(&truth.source), Some(&truth.counter), "{}", truth.source);
        }
    }
}

#[test]
fn the_same_specification_gives_the_same_messages_and_faults_show() {
    for kind in [HeardKind::Amr, HeardKind::Wmbus] {
        let run = |steps: i64| {
            let mut fleet = fleet(kind, true);
            let start = at("2026-11-20T22:00:00Z");
            let mut messages = Vec::new();
            for step in 0..steps {
                let part = 7_200 / steps;
                let from = start.plus_seconds(step * part);
                messages.extend(fleet.messages(from, from.plus_seconds(part)));
            }
            messages
        };
        let messages = run(1);
        assert_eq!(run(8), messages);
        let mut unlike: Vec<_> = messages.iter().map(|m| (&m.topic, &m.payload)).collect();
        unlike.sort_unstable();
        unlike.dedup();
        assert!(unlike.len() < messages.len(), "some lines are published twice");
        let format = if kind == HeardKind::Amr { Format::Rtlamr } else { Format::Wmbus };
        let (_, _, refused) = decoded(&fleet(kind, true), format, &messages);
        assert!(refused > 0);
    }
}
