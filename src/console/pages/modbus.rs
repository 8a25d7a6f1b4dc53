//! Modbus: which gateways and units are polled, how they are, and a form that tries a device and
//! takes it live without code or a restart.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use metering::UtcTime;
use protocols::modbus::driver::PollClock;
use protocols::modbus::{GatewayHealth, PollRecord, UnitHealth, UnitState};
use serde::Deserialize;
use store::modbus_units::{self, By, PolledUnit, UnitChange};

use super::readings::ACTOR;
use super::{Answer, html, query};
use crate::config::{GatewayAddress, GatewayConfig};
use crate::console::frame::{Frame, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::polling::live::{self, LiveError};
use crate::polling::place;
use crate::polling::probe::Device;
use crate::polling::profiles::Profiles;

const HISTORY: u32 = 20;

#[derive(Template)]
#[template(path = "modbus.html")]
struct ModbusPage {
    frame: Frame,
    say: String,
    did: String,
    faults: Vec<String>,
    tried: Option<Vec<ValueLine>>,
    form: UnitForm,
    profiles: Vec<(String, String)>,
    gateways: Vec<GatewayLine>,
    live: Vec<ChangeLine>,
    history: Vec<ChangeLine>,
}

struct GatewayLine {
    name: String,
    address: String,
    state: &'static str,
    counts: String,
    fault: String,
    units: Vec<UnitLine>,
}

struct UnitLine {
    unit: u8,
    source: String,
    profile: String,
    state: &'static str,
    good: bool,
    last: String,
    fault: String,
    values: Vec<ValueLine>,
}

struct ValueLine {
    channel: String,
    value: String,
}

struct ChangeLine {
    source: String,
    what: String,
    act: &'static str,
    since: String,
    who: String,
}

#[derive(Deserialize, Clone)]
#[serde(default)]
pub(in crate::console) struct UnitForm {
    gateway: String,
    address: String,
    unit: String,
    profile: String,
    own: String,
    every: String,
    reason: String,
}

impl Default for UnitForm {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            gateway: text("gw1"),
            address: String::new(),
            unit: text("1"),
            profile: String::new(),
            own: String::new(),
            every: text("15m"),
            reason: String::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct EndForm {
    source: String,
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ModbusQuery {
    did: String,
}

/// What stands above the form.
#[derive(Default)]
struct Shown {
    did: String,
    faults: Vec<String>,
    tried: Option<Vec<ValueLine>>,
}

/// `GET /modbus`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: ModbusQuery = query(&uri)?;
    let did = words::shortened(&asked.did, 200);
    page(&console, UnitForm::default(), Shown { did, ..Shown::default() }).await
}

/// `POST /modbus/try`: polls the device once and stores nothing.
pub(in crate::console) async fn try_out(
    State(console): State<ConsoleState>,
    Form(form): Form<UnitForm>,
) -> Answer {
    let clock = Arc::clone(&console.clock);
    let clock: PollClock = Arc::new(move || clock.now());
    let outcome = async {
        let unit = form.unit(&console)?;
        let address: GatewayAddress = unit.address.parse().map_err(LiveError::Address)?;
        let (framing, place) = place(&GatewayConfig::new(&unit.gateway, address));
        let profile = live::profile(&console.polls.profiles(), &unit.profile)?;
        let device =
            Device { address: unit.address, framing, place, unit: unit.unit, timeout_ms: None };
        device.poll(&profile, &clock).await.map_err(LiveError::Value)
    };
    let shown = match outcome.await {
        Ok(record) => Shown { tried: Some(lines(&record)), ..Shown::default() },
        Err(error) => Shown { faults: vec![told(&error)], ..Shown::default() },
    };
    page(&console, form, shown).await
}

/// `POST /modbus/apply`.
pub(in crate::console) async fn apply(
    State(console): State<ConsoleState>,
    Form(form): Form<UnitForm>,
) -> Answer {
    let by = By { actor: ACTOR, reason: form.reason.trim(), at: console.now() };
    let outcome = async {
        let unit = form.unit(&console)?;
        live::apply(&console.db, &console.polls.profiles(), &unit, by).await?;
        Ok(unit)
    };
    match outcome.await {
        Ok(unit) => Ok(back(&format!("{} is polled from now on", unit.source))),
        Err(LiveError::Store(error)) => Err(error.into()),
        Err(error) => {
            page(&console, form, Shown { faults: vec![told(&error)], ..Shown::default() }).await
        }
    }
}

/// `POST /modbus/end`.
pub(in crate::console) async fn end(
    State(console): State<ConsoleState>,
    Form(form): Form<EndForm>,
) -> Answer {
    let reason = form.reason.trim();
    if reason.is_empty() {
        return Err(Refusal::bad_request("Say why it ends."));
    }
    let by = By { actor: ACTOR, reason, at: console.now() };
    let unit = modbus_units::end(&console.db, &form.source, by).await?;
    Ok(back(&format!("{} is not polled any more", unit.source)))
}

fn back(did: &str) -> axum::response::Response {
    Redirect::to(&QueryText::default().with("did", did).on("/modbus")).into_response()
}

fn told(error: &LiveError) -> String {
    words::sentence_case(&error.to_string())
}

impl UnitForm {
    fn unit(&self, console: &ConsoleState) -> Result<PolledUnit, LiveError> {
        let bad = |what: &str| LiveError::Value(what.to_owned());
        let gateway = self.gateway.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if gateway.is_empty() || gateway.len() > 40 || !gateway.chars().all(plain) {
            return Err(bad("name the gateway with letters, digits, `-`, `_` and `.`"));
        }
        let unit: u8 = self
            .unit
            .trim()
            .parse()
            .ok()
            .filter(|unit| *unit > 0)
            .ok_or_else(|| bad("the unit is its address on the bus, 1 to 255"))?;
        let address = self.address.trim();
        let address = if address.contains("://") || address.starts_with('/') {
            address.to_owned()
        } else {
            format!("tcp://{address}")
        };
        let address: GatewayAddress = address.parse().map_err(LiveError::Address)?;
        let every = crate::config::value::parse_duration(self.every.trim())
            .map_err(|error| LiveError::Value(error.to_string()))?;
        let every_s = i32::try_from(every.as_secs()).ok().filter(|s| (1..=86_400).contains(s));
        let own = self.own.replace("\r\n", "\n");
        let profile = if own.trim().is_empty() { self.profile.clone() } else { own + "\n" };
        live::profile(&console.polls.profiles(), &profile)?;
        Ok(PolledUnit {
            source: format!("modbus:{gateway}/{unit}"),
            gateway: gateway.to_owned(),
            address: address.to_string(),
            unit,
            profile,
            every_s: every_s.ok_or_else(|| bad("poll it every 1s to 1d"))?,
        })
    }
}

async fn page(console: &ConsoleState, form: UnitForm, shown: Shown) -> Answer {
    let now = console.now();
    let gateways = console.polls.gateways();
    let live = modbus_units::live(&console.db).await?;
    let history = modbus_units::history(&console.db, HISTORY).await?;
    let change = |row: &UnitChange| ChangeLine::of(row, now, console);
    html(&ModbusPage {
        frame: Frame::of(console, Section::System, "Modbus").await?,
        say: say(&gateways),
        did: shown.did,
        faults: shown.faults,
        tried: shown.tried,
        form,
        profiles: profiles(&console.polls.profiles()),
        gateways: gateways.iter().map(|gateway| GatewayLine::of(gateway, now)).collect(),
        live: live.iter().map(change).collect(),
        history: history.iter().map(change).collect(),
    })
}

fn profiles(profiles: &Profiles) -> Vec<(String, String)> {
    let line =
        |p: &crate::polling::profiles::Known| (p.profile.name.clone(), p.profile.title.clone());
    profiles.iter().map(line).collect()
}

fn say(gateways: &[GatewayHealth]) -> String {
    let units: Vec<&UnitHealth> = gateways.iter().flat_map(|gateway| &gateway.units).collect();
    if units.is_empty() {
        return "No Modbus meter is polled. Try one below, and take it live.".to_owned();
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let bad = units.iter().filter(|unit| is_bad(unit.state)).count();
    let all = words::count(count(units.len()), "unit is polled", "units are polled");
    let trouble = match bad {
        0 => "all of them answer or were not asked yet".to_owned(),
        n => format!("{} not", words::count(count(n), "does", "do")),
    };
    format!("{all}; {trouble}.")
}

const fn is_bad(state: UnitState) -> bool {
    matches!(state, UnitState::Failing | UnitState::Lost | UnitState::ProfileError)
}

impl GatewayLine {
    fn of(gateway: &GatewayHealth, now: UtcTime) -> Self {
        let counts = gateway.counts;
        Self {
            name: gateway.name.clone(),
            address: gateway.address.clone(),
            state: if gateway.connected { "connected" } else { "not connected" },
            counts: format!(
                "{} requests, {} answers, {} timeouts, {} wrong answers, connected {}",
                counts.requests,
                counts.answers,
                counts.timeouts,
                counts.wrong_answers,
                words::count(
                    i64::try_from(counts.connections).unwrap_or(i64::MAX),
                    "time",
                    "times"
                )
            ),
            fault: fault(gateway.last_fault.as_ref(), now),
            units: gateway.units.iter().map(|unit| UnitLine::of(unit, now)).collect(),
        }
    }
}

impl UnitLine {
    fn of(unit: &UnitHealth, now: UtcTime) -> Self {
        Self {
            unit: unit.unit,
            source: unit.source.clone(),
            profile: unit.profile.clone(),
            state: match unit.state {
                UnitState::New => "not asked yet",
                UnitState::Answering => "answers",
                UnitState::Failing => "fails",
                UnitState::Lost => "lost",
                UnitState::ProfileError => "profile does not fit",
            },
            good: !is_bad(unit.state),
            last: unit
                .last_answer
                .map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::age(at, now))),
            fault: if is_bad(unit.state) {
                fault(unit.last_fault.as_ref(), now)
            } else {
                String::new()
            },
            values: unit
                .values
                .iter()
                .map(|(channel, value, unit)| ValueLine {
                    channel: channel.clone(),
                    value: value.map_or_else(|| "-".to_owned(), |value| format!("{value} {unit}")),
                })
                .collect(),
        }
    }
}

fn fault(last: Option<&(UtcTime, String)>, now: UtcTime) -> String {
    last.map_or_else(String::new, |(at, what)| format!("{} ago: {what}", words::age(*at, now)))
}

fn lines(record: &PollRecord) -> Vec<ValueLine> {
    let values = record.reads.iter().flat_map(|read| &read.values).map(|value| ValueLine {
        channel: value.channel.clone(),
        value: value.value.map_or_else(|| "-".to_owned(), |v| format!("{v} {}", value.unit)),
    });
    let status = record.status.iter().map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        ValueLine { channel: name.to_owned(), value: value.to_owned() }
    });
    values.chain(status).collect()
}

impl ChangeLine {
    fn of(row: &UnitChange, now: UtcTime, console: &ConsoleState) -> Self {
        let unit = &row.unit;
        let profile = match unit.profile.contains('\n') {
            true => "a profile of its own",
            false => unit.profile.as_str(),
        };
        Self {
            source: unit.source.clone(),
            what: format!("{}, unit {}, {profile}", unit.address, unit.unit),
            act: if row.live { "taken live" } else { "ended" },
            since: words::stamp(row.applied_at, now, console.calendar.zone()),
            who: format!("{}: {}", row.actor, row.reason),
        }
    }
}
