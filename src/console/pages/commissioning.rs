//! Commissioning: devices that are heard and that nobody has provisioned.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::{SourceId, UtcTime};
use serde::Deserialize;
use store::views::intake::{self, CommissioningRow};

use super::payload::payload_text;
use super::{Answer, html, query};
use crate::console::frame::{Choice, Frame, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "commissioning.html")]
struct CommissioningPage {
    frame: Frame,
    say: String,
    sets: Vec<Choice>,
    rows: DeviceRows,
    chosen: Option<Device>,
}

#[derive(Template)]
#[template(path = "commissioning_rows.html")]
struct DeviceRows {
    rows: Vec<DeviceLine>,
    empty: &'static str,
}

struct DeviceLine {
    source: String,
    href: String,
    current: bool,
    age: String,
    what: String,
}

struct Device {
    source: String,
    said: String,
    topic: String,
    payload: String,
    fields: Vec<String>,
    csv: String,
}

#[derive(Deserialize, Default)]
struct CommissioningQuery {
    #[serde(default)]
    source: String,
    #[serde(default)]
    set: String,
}

/// `GET /commissioning`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: CommissioningQuery = query(&uri)?;
    let now = console.now();
    let devices = list(&console, &asked).await?;
    let chosen = match asked.source.as_str() {
        "" => devices.first().cloned(),
        source => {
            let found = intake::device(&console.db, &SourceId::parse(source)).await?;
            Some(found.ok_or_else(|| {
                Refusal::not_found(format!(
                    "“{}” is not waiting: it was never heard, or is provisioned by now.",
                    words::shortened(source, 60)
                ))
            })?)
        }
    };
    let frame = Frame::of(&console, Section::Commissioning, "Commissioning").await?;
    let live = QueryText::default().with("set", &asked.set).with("source", &asked.source);
    let current = chosen.as_ref().map(|device| device.source.clone());
    html(&CommissioningPage {
        frame: frame.live("commissioning", live.as_str()),
        say: say(devices.len(), asked.set == "ignored"),
        sets: sets(&asked),
        rows: rows(&devices, current.as_ref(), (&asked, now)),
        chosen: chosen.map(|device| Device::of(&device, now, &console)),
    })
}

/// What moves on the page: the list. The device that is being read stands still.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let asked: CommissioningQuery = query(uri)?;
    let devices = list(console, &asked).await?;
    let current = match asked.source.as_str() {
        "" => devices.first().map(|device| device.source.clone()),
        source => Some(SourceId::parse(source)),
    };
    Ok(vec![rows(&devices, current.as_ref(), (&asked, console.now())).render()?])
}

async fn list(
    console: &ConsoleState,
    asked: &CommissioningQuery,
) -> Result<Vec<CommissioningRow>, Refusal> {
    Ok(intake::commissioning(&console.db, asked.set == "ignored", 200).await?)
}

fn say(count: usize, ignored: bool) -> String {
    match (i64::try_from(count).unwrap_or(i64::MAX), ignored) {
        (0, true) => "No device is ignored.".to_owned(),
        (n, true) => format!("{} ignored.", words::count(n, "device is", "devices are")),
        (0, false) => "Every device that is heard is provisioned.".to_owned(),
        (n, false) => format!(
            "{} heard that no meter record knows. What they send is kept and is read again once they are provisioned.",
            words::count(n, "device is", "devices are")
        ),
    }
}

fn sets(asked: &CommissioningQuery) -> Vec<Choice> {
    [("", "Waiting"), ("ignored", "Ignored")]
        .into_iter()
        .map(|(key, word)| Choice {
            href: QueryText::default().with("set", key).on("/commissioning"),
            word: word.to_owned(),
            count: None,
            current: asked.set == key,
        })
        .collect()
}

fn rows(
    devices: &[CommissioningRow],
    current: Option<&SourceId>,
    (asked, now): (&CommissioningQuery, UtcTime),
) -> DeviceRows {
    let line = |device: &CommissioningRow| DeviceLine {
        source: device.source.to_string(),
        href: QueryText::default()
            .with("set", &asked.set)
            .with("source", device.source.as_str())
            .on("/commissioning"),
        current: current == Some(&device.source),
        age: words::age(device.first_seen, now),
        what: what(device),
    };
    DeviceRows {
        rows: devices.iter().map(line).collect(),
        empty: "Nothing waits. A device that is heard without a meter record appears here by itself.",
    }
}

/// How it is heard, and how often.
fn what(device: &CommissioningRow) -> String {
    let via = device.collector.as_ref().map(|code| format!("via {code}"));
    let often = often(device.messages, device.last_seen.seconds_since(device.first_seen));
    let parts = [Some(device.adapter.clone()), via, Some(often)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// How often messages came, of which the first and the last are `span_s` apart.
fn often(messages: i64, span_s: i64) -> String {
    match messages {
        0 | 1 => "once".to_owned(),
        many => match span_s / (many - 1) {
            0 if span_s == 0 => format!("{many} times at once"),
            0 => "more than once a second".to_owned(),
            every_s => format!("about every {}", words::duration(every_s)),
        },
    }
}

impl Device {
    fn of(device: &CommissioningRow, now: UtcTime, console: &ConsoleState) -> Self {
        let zone = console.calendar.zone();
        Self {
            source: device.source.to_string(),
            said: format!(
                "{} since {} · last {}",
                words::count(device.messages, "message", "messages"),
                words::stamp(device.first_seen, now, zone),
                words::clock(device.last_seen, zone)
            ),
            topic: device.last_topic.clone(),
            payload: payload_text(
                &device.last_payload,
                i32::try_from(device.last_payload.len()).unwrap_or(i32::MAX),
            ),
            fields: device.fields.clone(),
            csv: format!(
                "headend meters provision meters.csv --dry-run   # column source: {}",
                device.source
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_a_device_is_heard_is_told_as_it_was() {
        let told = [(1, 0), (3, 0), (12_000, 600), (11, 600)].map(|(n, span_s)| often(n, span_s));
        assert_eq!(
            told,
            ["once", "3 times at once", "more than once a second", "about every 1 min"]
        );
    }
}
