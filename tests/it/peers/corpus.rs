//! Real messages. They lie beside the repository, not in it: they are read, never copied.

use std::path::Path;

use metering::UtcTime;
use serde_json::Value;

use super::Message;
use crate::kit::skip::skip;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/mqtt");
/// The stamps of wmbusmeters' own tests say year 1111; the first message gets this one, each
/// further one comes an hour later.
const FIRST_STAMP: &str = "2026-01-15T12:00:00Z";

fn read(test: &str, file: &str) -> Option<Value> {
    let path = Path::new(CORPUS).join(file);
    let Ok(text) = std::fs::read(&path) else {
        skip(test, &format!("corpus not found: {}", path.display()));
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().unwrap().iter()
}

/// rtlamr and rtl_433. `None` after saying that the test is skipped.
pub(super) fn ert(test: &str) -> Option<Vec<Message>> {
    let real = read(test, "rtlamr_real.json")?;
    let bridge = read(test, "rtlamr2mqtt_conftest_lines.json")?;
    let events = read(test, "rtl433_events.json")?;
    let rtlamr =
        list(&real, "lines").flat_map(|line| list(line, "msgs")).chain(list(&bridge, "msgs"));
    let rtlamr = rtlamr.map(|document| Message {
        label: format!("rtlamr {}", document["Type"].as_str().unwrap()),
        topic: "amr/C-01/rtlamr".to_owned(),
        document: document.clone(),
    });
    let rtl_433 = list(&events, "msgs").map(|document| Message {
        label: format!("rtl_433 {}", document["model"].as_str().unwrap()),
        topic: "rtl_433/C-01/events".to_owned(),
        document: document.clone(),
    });
    Some(rtlamr.chain(rtl_433).collect())
}

/// wmbusmeters, with stamps as they are.
pub(super) fn wmbusmeters(test: &str) -> Option<Vec<Message>> {
    let entries = read(test, "wmbusmeters_dev.json")?;
    let messages = entries.as_array().unwrap().iter().map(|entry| {
        let document = entry["json"].clone();
        let text = |key: &str| document[key].as_str().unwrap().to_owned();
        Message {
            label: format!("wmbusmeters {} {}", text("meter"), text("id")),
            topic: format!("wmbusmeters/C-01/{}", text("id")),
            document,
        }
    });
    Some(messages.collect())
}

/// The same with possible stamps.
pub(super) fn stamped(mut messages: Vec<Message>) -> Vec<Message> {
    let first = UtcTime::parse_rfc3339(FIRST_STAMP).unwrap();
    for (hour, message) in (0_i64..).zip(&mut messages) {
        let stamp = first.plus_seconds(hour * 3_600);
        message.document["timestamp"] = Value::from(stamp.to_string());
    }
    messages
}
