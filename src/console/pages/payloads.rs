//! Payloads that nobody foresaw: described, tried out and taken live, without code or a restart.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use metering::UtcTime;
use protocols::Mapping;
use protocols::mapping::{Preset, presets};
use serde::Deserialize;
use store::mappings::{self, MappingRow};

use super::readings::ACTOR;
use super::{Answer, html, query};
use crate::console::frame::{Frame, QueryText, Section};
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::payloads::{self, PayloadError, Person, Question, Tried, TriedDevice, wire};

const HISTORY: u32 = 20;

/// What an empty form begins with.
const BLANK: &str = r#"[mapping]
name = "my-meters"
filter = "plant/+/energy"
id = "/meter"

[time]
path = "/time"
format = "rfc3339"

[[channel]]
field = "energy_import"
path = "/energy/total"
unit = "kWh"
kind = "cumulative"
"#;

#[derive(Template)]
#[template(path = "payloads.html")]
struct PayloadsPage {
    frame: Frame,
    say: String,
    did: String,
    faults: Vec<String>,
    wanting: String,
    tried: Option<TriedLines>,
    form: PayloadForm,
    presets: Vec<(String, &'static str)>,
    live: Vec<MappingLine>,
    history: Vec<MappingLine>,
}

struct MappingLine {
    name: String,
    version: i32,
    href: String,
    filter: String,
    act: &'static str,
    since: String,
    who: String,
}

struct TriedLines {
    good: bool,
    remarks: Vec<String>,
    devices: Vec<DeviceLines>,
    stored: Vec<String>,
}

struct DeviceLines {
    source: String,
    meter: String,
    /// Field, value with unit, kind, time.
    values: Vec<(String, String, String, String)>,
    /// Event, detail.
    events: Vec<(String, String)>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(in crate::console) struct PayloadForm {
    topic: String,
    payload: String,
    mapping: String,
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct EndForm {
    name: String,
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PayloadsQuery {
    preset: String,
    name: String,
    did: String,
}

/// `GET /payloads`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: PayloadsQuery = query(&uri)?;
    let mut form = PayloadForm { mapping: BLANK.to_owned(), ..PayloadForm::default() };
    if let Some(preset) = Preset::find(&asked.preset) {
        preset.text.clone_into(&mut form.mapping);
    } else if !asked.name.is_empty() {
        let live = mappings::live(&console.db).await?;
        let found = live.into_iter().find(|row| row.name == asked.name);
        let found = found.ok_or_else(|| {
            Refusal::not_found(format!(
                "No mapping “{}” is live. Choose one of the list.",
                words::shortened(&asked.name, 40)
            ))
        })?;
        form.mapping = found.text;
    }
    let did = words::shortened(&asked.did, 200);
    page(&console, form, Shown { did, ..Shown::default() }).await
}

/// `POST /payloads/try`.
pub(in crate::console) async fn try_out(
    State(console): State<ConsoleState>,
    Form(form): Form<PayloadForm>,
) -> Answer {
    let mapping = match Mapping::parse(&form.mapping) {
        Ok(mapping) => mapping,
        Err(faults) => {
            let faults = faults.0.iter().map(ToString::to_string).collect();
            return page(&console, form, Shown { faults, ..Shown::default() }).await;
        }
    };
    let question = Question {
        topic: form.topic.clone(),
        // A browser sends every line break of a form as CR LF.
        payload: form.payload.replace("\r\n", "\n").into_bytes(),
        received_at: console.now(),
        format: payloads::format_of(&mapping),
        mapping: Some(Arc::new(mapping)),
        zone: None,
    };
    let tried = payloads::try_out(&console.db, &question).await?;
    let tried = Some(TriedLines::of(&tried, &console));
    page(&console, form, Shown { tried, ..Shown::default() }).await
}

/// `POST /payloads/apply`.
pub(in crate::console) async fn apply(
    State(console): State<ConsoleState>,
    Form(form): Form<PayloadForm>,
) -> Answer {
    let text = form.mapping.replace("\r\n", "\n");
    match payloads::apply(&console.db, &text, person(&console, &form.reason)).await {
        Ok(row) => {
            let did = format!("{} is live: {} is read from now on", row.name, row.filter);
            Ok(back(&row.name, &did))
        }
        Err(PayloadError::Store(error)) => Err(error.into()),
        Err(PayloadError::Text(faults)) => {
            let faults = faults.0.iter().map(ToString::to_string).collect();
            page(&console, form, Shown { faults, ..Shown::default() }).await
        }
        Err(error) => {
            let wanting = words::sentence_case(&error.to_string());
            page(&console, form, Shown { wanting, ..Shown::default() }).await
        }
    }
}

/// `POST /payloads/end`.
pub(in crate::console) async fn end(
    State(console): State<ConsoleState>,
    Form(form): Form<EndForm>,
) -> Answer {
    let person = person(&console, &form.reason);
    match payloads::end(&console.db, &form.name, person).await {
        Ok(row) => {
            let did = format!("{} ended: {} is not read any more", row.name, row.filter);
            Ok(Redirect::to(&QueryText::default().with("did", &did).on("/payloads"))
                .into_response())
        }
        Err(PayloadError::Store(error)) => Err(error.into()),
        Err(error) => Err(Refusal::bad_request(words::sentence_case(&error.to_string()))),
    }
}

fn person<'a>(console: &ConsoleState, reason: &'a str) -> Person<'a> {
    Person { actor: ACTOR, reason: reason.trim(), now: console.now() }
}

fn back(name: &str, did: &str) -> axum::response::Response {
    let query = QueryText::default().with("name", name).with("did", did);
    Redirect::to(&query.on("/payloads")).into_response()
}

/// What stands above the form.
#[derive(Default)]
struct Shown {
    did: String,
    faults: Vec<String>,
    /// What is missing, although the mapping is good.
    wanting: String,
    tried: Option<TriedLines>,
}

async fn page(console: &ConsoleState, form: PayloadForm, shown: Shown) -> Answer {
    let now = console.now();
    let live = mappings::live(&console.db).await?;
    let history = mappings::history(&console.db, HISTORY).await?;
    let say = match live.len() {
        0 => "Payloads of meters that no format knows: describe where the values stand, try it, \
              take it live."
            .to_owned(),
        n => {
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            format!("{} live.", words::count(n, "mapping is", "mappings are"))
        }
    };
    let line = |row: &MappingRow| MappingLine::of(row, now, console);
    html(&PayloadsPage {
        frame: Frame::of(console, Section::Commissioning, "Payloads").await?,
        say,
        did: shown.did,
        faults: shown.faults,
        wanting: shown.wanting,
        tried: shown.tried,
        form,
        presets: presets()
            .iter()
            .map(|p| (QueryText::default().with("preset", p.name).on("/payloads"), p.name))
            .collect(),
        live: live.iter().map(line).collect(),
        history: history.iter().map(line).collect(),
    })
}

impl MappingLine {
    fn of(row: &MappingRow, now: UtcTime, console: &ConsoleState) -> Self {
        Self {
            name: row.name.clone(),
            version: row.version,
            href: QueryText::default().with("name", &row.name).on("/payloads"),
            filter: row.filter.clone(),
            act: if row.live { "taken live" } else { "ended" },
            since: words::stamp(row.applied_at, now, console.calendar.zone()),
            who: format!("{}: {}", row.actor, row.reason),
        }
    }
}

impl TriedLines {
    fn of(tried: &Tried, console: &ConsoleState) -> Self {
        let mut remarks = Vec::new();
        if let Some((reason, detail)) = &tried.refused {
            remarks.push(format!("Refused, {reason}: {detail}"));
        }
        if tried.topic_matches == Some(false) {
            remarks.push("The filter of the mapping does not match this topic.".to_owned());
        }
        let stored = tried.stored.iter().flatten().map(|one| {
            format!(
                "meter {}, channel {}: {} {} at {}, {}",
                one.meter,
                one.channel.get(),
                measure::title(one.reading_type),
                measure::quantity(one.reading_type, one.value),
                words::iso(one.at, console.calendar.zone()),
                one.quality.word()
            )
        });
        Self {
            good: tried.refused.is_none(),
            remarks,
            devices: tried.devices.iter().map(|device| DeviceLines::of(device, console)).collect(),
            stored: stored.collect(),
        }
    }
}

impl DeviceLines {
    fn of(device: &TriedDevice, console: &ConsoleState) -> Self {
        let values = device.values.iter().map(|value| {
            let told = match &value.value {
                Some(number) => format!("{number} {}", value.unit),
                None => "not available".to_owned(),
            };
            let kind = match value.len_s {
                0 => value.kind.to_owned(),
                len_s => format!("{} of {}", value.kind, words::duration(i64::from(len_s))),
            };
            let time = words::iso(value.time.at, console.calendar.zone());
            let time = format!("{time}, {}", wire::time_words(value.time));
            (value.field.clone(), told, kind, time)
        });
        let own = wire::own_words(device);
        let events = device.events.iter().map(|e| (e.code.name().to_owned(), e.detail.clone()));
        Self {
            source: device.source.to_string(),
            meter: device.meter.clone().unwrap_or_default(),
            values: values.collect(),
            events: own.into_iter().chain(events).collect(),
        }
    }
}
