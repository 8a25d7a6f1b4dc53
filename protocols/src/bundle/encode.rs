//! Writes JSON bundles: the sender's side, used by simulators and tests.

use std::fmt::Write as _;

use metering::{Exact, Unit, UtcTime};

/// One bundle to write; empty parts are left out.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bundle<'a> {
    pub meter: &'a str,
    pub collector: Option<&'a str>,
    pub sent: Option<UtcTime>,
    pub rssi_dbm: Option<i16>,
    pub battery_mv: Option<i32>,
    /// Event codes that hold now, such as `battery_low`.
    pub status: &'a [&'a str],
    pub series: &'a [SeriesPart<'a>],
    pub registers: &'a [RegisterPart<'a>],
    pub instants: &'a [InstantPart<'a>],
    pub events: &'a [EventPart<'a>],
}

/// Interval values, oldest first; `first_end` is the END of the first one.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPart<'a> {
    pub field: &'a str,
    pub unit: Option<Unit>,
    pub len_s: i32,
    pub first_end: UtcTime,
    pub exponent: i8,
    pub values: &'a [Option<i64>],
    /// Empty, or one slot-code flag set per value.
    pub flags: &'a [u16],
}

/// A cumulative counter at an instant.
#[derive(Clone, Copy, Debug)]
pub struct RegisterPart<'a> {
    pub field: &'a str,
    pub unit: Option<Unit>,
    pub at: UtcTime,
    pub value: Option<Exact>,
}

/// A momentary value.
#[derive(Clone, Copy, Debug)]
pub struct InstantPart<'a> {
    pub field: &'a str,
    pub unit: Option<Unit>,
    pub at: UtcTime,
    pub value: Option<Exact>,
}

/// A one-time event.
#[derive(Clone, Copy, Debug)]
pub struct EventPart<'a> {
    pub code: &'a str,
    pub at: UtcTime,
    pub seq: i32,
    pub detail: &'a str,
}

/// Appends the bundle to `out` as JSON.
pub fn encode(bundle: &Bundle<'_>, out: &mut Vec<u8>) {
    let mut text = Writer { out, first: true };
    text.raw("{\"v\":1");
    text.first = false;
    text.text("meter", bundle.meter);
    head(&mut text, bundle);
    list(&mut text, "series", bundle.series, series);
    list(&mut text, "registers", bundle.registers, |text, part| {
        point(text, part.field, part.unit, part.at, part.value);
    });
    list(&mut text, "instants", bundle.instants, |text, part| {
        point(text, part.field, part.unit, part.at, part.value);
    });
    list(&mut text, "events", bundle.events, |text, event| {
        text.text("code", event.code);
        text.display("at", &Quoted(event.at));
        text.display("seq", &event.seq);
        text.text("detail", event.detail);
    });
    text.raw("}");
}

/// Appends a collector's heartbeat to `out` as JSON.
pub fn encode_heartbeat(collector: &str, at: UtcTime, out: &mut Vec<u8>) {
    let mut text = Writer { out, first: false };
    text.raw("{\"v\":1");
    text.text("collector", collector);
    text.display("heartbeat", &Quoted(at));
    text.raw("}");
}

fn head(text: &mut Writer<'_>, bundle: &Bundle<'_>) {
    if let Some(collector) = bundle.collector {
        text.text("collector", collector);
    }
    if let Some(sent) = bundle.sent {
        text.display("sent", &Quoted(sent));
    }
    if let Some(rssi) = bundle.rssi_dbm {
        text.display("rssi", &rssi);
    }
    if let Some(battery) = bundle.battery_mv {
        text.display("battery_mv", &battery);
    }
    if !bundle.status.is_empty() {
        text.key("status");
        for (n, word) in bundle.status.iter().enumerate() {
            text.raw(if n == 0 { "[" } else { "," });
            text.string(word);
        }
        text.raw("]");
    }
}

fn series(text: &mut Writer<'_>, part: &SeriesPart<'_>) {
    text.text("field", part.field);
    if let Some(unit) = part.unit {
        text.text("unit", unit.symbol());
    }
    text.display("len", &part.len_s);
    text.display("end", &Quoted(part.first_end));
    if part.exponent != 0 {
        text.display("exp", &part.exponent);
    }
    text.key("values");
    for (n, value) in part.values.iter().enumerate() {
        text.raw(if n == 0 { "[" } else { "," });
        match value {
            Some(value) => text.show(value),
            None => text.raw("null"),
        }
    }
    text.raw(if part.values.is_empty() { "[]" } else { "]" });
    if !part.flags.is_empty() {
        text.key("flags");
        for (n, flags) in part.flags.iter().enumerate() {
            text.raw(if n == 0 { "[" } else { "," });
            text.show(flags);
        }
        text.raw("]");
    }
}

fn point(
    text: &mut Writer<'_>,
    field: &str,
    unit: Option<Unit>,
    at: UtcTime,
    value: Option<Exact>,
) {
    text.text("field", field);
    if let Some(unit) = unit {
        text.text("unit", unit.symbol());
    }
    text.display("at", &Quoted(at));
    match value {
        Some(value) => text.display("value", &value),
        None => {
            text.key("value");
            text.raw("null");
        }
    }
}

fn list<T>(
    text: &mut Writer<'_>,
    key: &str,
    parts: &[T],
    mut write: impl FnMut(&mut Writer<'_>, &T),
) {
    if parts.is_empty() {
        return;
    }
    text.key(key);
    for (n, part) in parts.iter().enumerate() {
        text.raw(if n == 0 { "[{" } else { ",{" });
        text.first = true;
        write(text, part);
        text.raw("}");
    }
    text.first = false;
    text.raw("]");
}

/// A value in quotes; only for texts that need no escapes.
struct Quoted(UtcTime);

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The next key is the first of its object.
    first: bool,
}

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.raw(",");
        }
        self.first = false;
        self.raw("\"");
        self.raw(key);
        self.raw("\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn display(&mut self, key: &str, value: &impl std::fmt::Display) {
        self.key(key);
        self.show(value);
    }

    fn show(&mut self, value: &impl std::fmt::Display) {
        // Writing to memory cannot fail.
        let _ = write!(Sink(self.out), "{value}");
    }

    fn string(&mut self, value: &str) {
        self.raw("\"");
        for c in value.chars() {
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                c if c.is_control() => {
                    let _ = write!(Sink(self.out), "\\u{:04x}", u32::from(c));
                }
                c => self.raw(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.raw("\"");
    }
}

struct Sink<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
