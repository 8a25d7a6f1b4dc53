//! The examples of `docs/bundle.md` are what the decoder takes.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use metering::{EventCode, UtcTime};
use protocols::{DecodeContext, Format, PAYLOAD_BYTES_MAX, decode};

const DOCUMENT: &str = include_str!("../../docs/bundle.md");

fn reads(payload: &str) -> u64 {
    let context = DecodeContext {
        topic: "ami/up/E-1001",
        received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
        zone: None,
        collector: None,
        mapping: None,
        options: &protocols::DecodeOptions::DEFAULT,
    };
    let reports = decode(Format::Bundle, &context, payload.as_bytes()).unwrap();
    assert!(reports.iter().all(|r| r.events.iter().all(|e| e.code != EventCode::ClockError)));
    reports.iter().map(protocols::DeviceReport::reads).sum()
}

/// The fenced blocks that begin with this text.
fn blocks(first: &str) -> Vec<&'static str> {
    let fenced = DOCUMENT.split("```").skip(1).step_by(2);
    let bodies = fenced.map(|block| block.split_once('\n').unwrap().1);
    bodies.filter(|body| body.starts_with(first)).collect()
}

#[test]
fn every_example_is_taken() {
    let json = blocks("{");
    assert_eq!(json.iter().map(|block| reads(block)).collect::<Vec<_>>(), [4, 0]);
    let csv = blocks("v1,");
    assert_eq!(csv.iter().map(|block| reads(block)).collect::<Vec<_>>(), [2]);
    let command = blocks("mosquitto_pub")[0];
    let payload = command.split_once('\'').unwrap().1.rsplit_once('\'').unwrap().0;
    assert_eq!(reads(payload), 1);
}

#[test]
fn the_document_knows_every_event_code_that_a_device_may_send() {
    for code in EventCode::ALL {
        let ours = matches!(
            code,
            EventCode::RegisterRollover
                | EventCode::RegisterDecrease
                | EventCode::RegisterReset
                | EventCode::ValueChanged
        );
        assert!(ours || DOCUMENT.contains(code.name()), "{code}");
    }
    assert_eq!(PAYLOAD_BYTES_MAX, 1 << 20);
}
