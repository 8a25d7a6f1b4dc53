//! Modbus: which gateways and units are polled, how they are, and a form that tries a device and
//! takes it live without code or a restart.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use jiff::tz::TimeZone;
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
use crate::polling::profiles::{Known, Origin, Profiles, name_of};
use crate::services::modbus::{self as service, Wish};

const HISTORY: u32 = 20;

#[derive(Template)]
#[template(path = "modbus.html")]
struct ModbusPage {
    frame: Frame,
    say: String,
    did: String,
    faults: Vec<String>,
    /// What would be pointed elsewhere, before it is.
    asked: Vec<String>,
    confirm: String,
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
    state: String,
    unreached: bool,
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
    /// What was confirmed, as [`place_of`] has it.
    confirm: String,
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
            confirm: String::new(),
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
    asked: Vec<String>,
    confirm: String,
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
        let profiles = service::profiles(&console.db, &console.polls).await?;
        let unit = form.unit(&profiles)?;
        let address: GatewayAddress = unit.address.parse().map_err(LiveError::Address)?;
        let (framing, place) = place(&GatewayConfig::new(&unit.gateway, address));
        let profile = live::profile(&profiles, &unit.profile)?;
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
    let mut confirm = String::new();
    let outcome = async {
        let unit = form.unit(&service::profiles(&console.db, &console.polls).await?)?;
        confirm = place_of(&unit);
        let confirmed = form.confirm == confirm;
        service::apply(&console.db, &console.polls, (&unit, confirmed), by).await?;
        Ok(unit)
    };
    match outcome.await {
        Ok(unit) => Ok(back(&format!("{} is polled from now on", unit.source))),
        Err(LiveError::Store(error)) => Err(error.into()),
        Err(LiveError::Confirm(asked)) => {
            let asked = asked.iter().map(|what| words::sentence_case(what)).collect();
            page(&console, form, Shown { asked, confirm, ..Shown::default() }).await
        }
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
    let ended = modbus_units::end(&console.db, &form.source, by).await?;
    Ok(back(&format!("{} is not polled any more", ended.unit.source)))
}

fn back(did: &str) -> axum::response::Response {
    Redirect::to(&QueryText::default().with("did", did).on("/modbus")).into_response()
}

/// What a confirmation is for: another address or profile chosen after it needs its own. Of the
/// profile, which may be a page of TOML, it has a hash.
fn place_of(unit: &PolledUnit) -> String {
    let mut hasher = DefaultHasher::new();
    unit.profile.hash(&mut hasher);
    format!("{} {} {:016x}", unit.source, unit.address, hasher.finish())
}

fn told(error: &LiveError) -> String {
    words::sentence_case(&error.to_string())
}

impl UnitForm {
    fn unit(&self, profiles: &Profiles) -> Result<PolledUnit, LiveError> {
        let unit = self.unit.trim().parse().map_err(|_| {
            let what = "the unit is its address: 1 to 247 on a bus, 0 to 255 over Modbus TCP";
            LiveError::Value(what.to_owned())
        })?;
        let own = self.own.replace("\r\n", "\n");
        let profile = if own.trim().is_empty() { self.profile.clone() } else { own + "\n" };
        let (gateway, address, every) = (&self.gateway, &self.address, &self.every);
        Wish { gateway, address, unit, profile: &profile, every }.unit(profiles)
    }
}

async fn page(console: &ConsoleState, form: UnitForm, shown: Shown) -> Answer {
    let now = console.now();
    let gateways = console.polls.gateways();
    let live = modbus_units::live(&console.db).await?;
    let history = modbus_units::history(&console.db, HISTORY).await?;
    let change = |row: &UnitChange| ChangeLine::of(row, now, console);
    let line = |gateway: &GatewayHealth| GatewayLine::of(gateway, now, console.calendar.zone());
    html(&ModbusPage {
        frame: Frame::of(console, Section::System, "Modbus").await?,
        say: say(&gateways, live.len()),
        did: shown.did,
        faults: shown.faults,
        asked: shown.asked,
        confirm: shown.confirm,
        tried: shown.tried,
        form,
        profiles: profiles(&console.polls.profiles().with_live(&live)),
        gateways: gateways.iter().map(line).collect(),
        live: live.iter().map(change).collect(),
        history: history.iter().map(change).collect(),
    })
}

fn profiles(profiles: &Profiles) -> Vec<(String, String)> {
    let title = |known: &Known| match known.origin {
        Origin::Live(_) => format!("{} (taken live here)", known.profile.title),
        _ => known.profile.title.clone(),
    };
    profiles.iter().map(|known| (known.profile.name.clone(), title(known))).collect()
}

fn say(gateways: &[GatewayHealth], live: usize) -> String {
    let units: Vec<&UnitHealth> = gateways.iter().flat_map(|gateway| &gateway.units).collect();
    if units.is_empty() && live > 0 {
        let units = words::count(i64::try_from(live).unwrap_or(0), "unit was", "units were");
        return format!("{units} taken live; polling begins within seconds.");
    }
    if units.is_empty() {
        return "No Modbus meter is polled. Try one below, and take it live.".to_owned();
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let bad = units.iter().filter(|unit| is_bad(unit.state)).count();
    let all = words::count(count(units.len()), "unit is polled", "units are polled");
    let new = units.iter().filter(|unit| unit.state == UnitState::New).count();
    let trouble = match (bad, new) {
        (0, 0) => "all of them answer".to_owned(),
        (0, n) => format!("{} not asked yet", words::count(count(n), "was", "were")),
        (n, _) => format!("{} not answer", words::count(count(n), "does", "do")),
    };
    let unreached = gateways.iter().filter(|gateway| gateway.unreached.is_some()).count();
    match count(unreached) {
        0 => format!("{all}; {trouble}."),
        n => {
            let gateways = words::count(n, "gateway is", "gateways are");
            format!("{all}; {trouble}, and {gateways} not reached.")
        }
    }
}

const fn is_bad(state: UnitState) -> bool {
    !matches!(state, UnitState::New | UnitState::Answering)
}

fn told_count(count: u64, one: &str, many: &str) -> String {
    words::count(i64::try_from(count).unwrap_or(i64::MAX), one, many)
}

impl GatewayLine {
    fn of(gateway: &GatewayHealth, now: UtcTime, zone: &TimeZone) -> Self {
        let counts = gateway.counts;
        Self {
            name: gateway.name.clone(),
            address: gateway.address.clone(),
            state: match gateway.unreached {
                Some(since) => {
                    format!("not reached since {}", words::stamp(since, now, zone))
                }
                None if gateway.connected => "connected".to_owned(),
                None => "not connected".to_owned(),
            },
            unreached: gateway.unreached.is_some(),
            counts: format!(
                "{}, {}, {}, {}, connected {}",
                told_count(counts.requests, "request", "requests"),
                told_count(counts.answers, "answer", "answers"),
                told_count(counts.timeouts, "timeout", "timeouts"),
                told_count(
                    counts.wrong_answers,
                    "wrong or broken answer",
                    "wrong or broken answers"
                ),
                told_count(counts.connections, "time", "times")
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
                UnitState::Unreached => "gateway not reached",
            },
            good: !is_bad(unit.state),
            last: unit.last_answer.map_or_else(
                || "none since the start".to_owned(),
                |at| format!("{} ago", words::age(at, now)),
            ),
            // Of a gateway that is not reached, its own line says why.
            fault: if is_bad(unit.state) && unit.state != UnitState::Unreached {
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
        let profile = name_of(&unit.profile);
        Self {
            source: unit.source.clone(),
            what: format!("{}, unit {}, {profile}", unit.address, unit.unit),
            act: if row.live { "taken live" } else { "ended" },
            since: words::stamp(row.applied_at, now, console.calendar.zone()),
            who: format!("{}: {}", row.actor, row.reason),
        }
    }
}
