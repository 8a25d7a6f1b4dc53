//! The outcome of a try as text and as JSON; verbs, console and API show the same.

use protocols::ObservedTime;
use serde_json::{Value, json};

use super::{StoredValue, Tried, TriedDevice, TriedValue};

/// As the API sends it.
pub fn json(tried: &Tried) -> Value {
    let refused = tried
        .refused
        .as_ref()
        .map(|(reason, detail)| json!({ "reason": reason, "detail": detail }));
    let stored = tried.stored.as_ref().map(|all| all.iter().map(stored).collect::<Vec<_>>());
    json!({
        "topic_matches": tried.topic_matches,
        "refused": refused,
        "devices": tried.devices.iter().map(device).collect::<Vec<_>>(),
        "stored": stored,
    })
}

fn device(device: &TriedDevice) -> Value {
    let values: Vec<Value> = device.values.iter().map(value).collect();
    let events: Vec<Value> = device
        .events
        .iter()
        .map(|event| {
            json!({ "event": event.code.name(), "at": event.at.at.to_string(),
                "detail": event.detail, "state": event.level })
        })
        .collect();
    json!({
        "source": device.source.as_str(), "meter": device.meter, "collector": device.collector,
        "heard_at": device.heard.at.to_string(), "values": values, "events": events,
        "battery_mv": device.battery_mv, "rssi_dbm": device.rssi_dbm,
        "more": device.more,
    })
}

fn value(value: &TriedValue) -> Value {
    json!({
        "field": value.field, "kind": value.kind, "value": value.value, "unit": value.unit,
        "at": value.time.at.to_string(), "time": time_words(value.time),
        "interval_s": (value.len_s > 0).then_some(value.len_s), "history": value.history,
    })
}

fn stored(one: &StoredValue) -> Value {
    json!({
        "meter": one.meter, "channel": one.channel.get(),
        "reading_type": one.reading_type.to_string(), "value": quantity(one),
        "at": one.at.to_string(), "quality": one.quality.word(),
    })
}

/// The stored value in its base unit, exactly.
pub fn quantity(one: &StoredValue) -> String {
    let unit = one.reading_type.base_unit().symbol();
    format!("{} {unit}", crate::output::decimal_of_milli(one.value))
}

/// Whose clock a time is of, and what is known against it.
pub fn time_words(time: ObservedTime) -> String {
    let mut words = format!("{} clock", time.origin);
    for (set, word) in [
        (time.zone_assumed, ", zone of the subscription"),
        (time.ambiguous, ", repeated hour"),
        (time.doubtful, ", not to be believed"),
    ] {
        words.push_str(if set { word } else { "" });
    }
    words
}

/// What happens to a value, in words.
pub fn value_words(value: &TriedValue) -> String {
    let told = match &value.value {
        Some(number) => format!("{number} {}", value.unit),
        None => "not available".to_owned(),
    };
    let over = if value.len_s > 0 { format!(" over {} s", value.len_s) } else { String::new() };
    let old = if value.history { ", told as old" } else { "" };
    format!("{} {} = {told}{over}{old}", value.kind, value.field)
}

/// What the device says of itself beside its values: name and value.
pub fn own_words(device: &TriedDevice) -> Vec<(String, String)> {
    let battery = device.battery_mv.map(|mv| ("battery".to_owned(), format!("{mv} mV")));
    let signal = device.rssi_dbm.map(|dbm| ("signal".to_owned(), format!("{dbm} dBm")));
    battery.into_iter().chain(signal).collect()
}

/// As people read it, a line each.
pub fn lines(tried: &Tried) -> Vec<String> {
    let mut lines = Vec::new();
    if tried.topic_matches == Some(false) {
        lines.push("the filter of the mapping does not match this topic".to_owned());
    }
    if let Some((reason, detail)) = &tried.refused {
        lines.push(format!("REFUSED {reason}: {detail}"));
    }
    for device in &tried.devices {
        let owner = match (&device.meter, tried.stored.is_some()) {
            (Some(number), _) => format!(", meter {number}"),
            (None, true) => ", no meter yet: it would wait for commissioning".to_owned(),
            (None, false) => String::new(),
        };
        let via = device.collector.as_ref().map(|code| format!(" via {code}")).unwrap_or_default();
        lines.push(format!("{}{via}{owner}", device.source));
        for value in &device.values {
            let time = value.time;
            let what = value_words(value);
            lines.push(format!("  {what} at {} ({})", time.at, time_words(time)));
        }
        for (name, value) in own_words(device) {
            lines.push(format!("  {name} {value}"));
        }
        for event in &device.events {
            let state = if event.level { "state" } else { "event" };
            lines.push(format!("  {state} {}: {}", event.code, event.detail));
        }
        if device.more > 0 {
            lines.push(format!("  and {} values more", device.more));
        }
    }
    for one in tried.stored.iter().flatten() {
        lines.push(format!(
            "would store: {} channel {} {} = {} at {}, {}",
            one.meter,
            one.channel.get(),
            one.reading_type,
            quantity(one),
            one.at,
            one.quality.word()
        ));
    }
    lines
}
