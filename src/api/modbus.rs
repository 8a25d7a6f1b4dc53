//! `/modbus`: gateways and units as they are polled, and units that people take live and end.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use protocols::modbus::{GatewayHealth, UnitHealth};
use serde::{Deserialize, Serialize};
use store::modbus_units::{self, By, UnitChange};

use super::WebState;
use super::body::read_json;
use super::params::Params;
use super::problem::Problem;
use super::wire::{At, List, maybe};
use crate::polling::live::LiveError;
use crate::services::modbus::{self, Wish};

/// Who acts until operators can log in.
const ACTOR: &str = "local operator";

/// A gateway, as sent.
#[derive(Serialize)]
struct Gateway {
    name: String,
    address: String,
    connected: bool,
    /// Since when it refuses, or answers for none of its units.
    not_reached_since: Option<At>,
    requests: u64,
    answers: u64,
    timeouts: u64,
    wrong_answers: u64,
    last_fault: Option<Fault>,
    units: Vec<Unit>,
}

/// A unit that is polled, as sent.
#[derive(Serialize)]
struct Unit {
    unit: u8,
    source: String,
    profile: String,
    state: &'static str,
    every_s: u32,
    polls: u64,
    last_answer: Option<At>,
    last_fault: Option<Fault>,
    values: Vec<Value>,
}

#[derive(Serialize)]
struct Fault {
    at: At,
    what: String,
}

#[derive(Serialize)]
struct Value {
    channel: String,
    /// Exact decimal; null: the device has none.
    value: Option<String>,
    unit: String,
}

/// A unit that was taken live or ended, as sent.
#[derive(Serialize)]
struct Change {
    number: i64,
    source: String,
    live: bool,
    gateway: String,
    address: String,
    unit: u8,
    profile: String,
    every_s: i32,
    actor: String,
    reason: String,
    applied_at: At,
}

impl Gateway {
    fn of(gateway: GatewayHealth) -> Self {
        let counts = gateway.counts;
        Self {
            name: gateway.name,
            address: gateway.address,
            connected: gateway.connected,
            not_reached_since: maybe(gateway.unreached),
            requests: counts.requests,
            answers: counts.answers,
            timeouts: counts.timeouts,
            wrong_answers: counts.wrong_answers,
            last_fault: gateway.last_fault.map(|(at, what)| Fault { at: At(at), what }),
            units: gateway.units.into_iter().map(Unit::of).collect(),
        }
    }
}

impl Unit {
    fn of(unit: UnitHealth) -> Self {
        let value = |(channel, value, unit): (String, Option<metering::Exact>, metering::Unit)| {
            let value = value.map(|value| value.to_string());
            Value { channel, value, unit: unit.to_string() }
        };
        Self {
            unit: unit.unit,
            source: unit.source,
            profile: unit.profile,
            state: unit.state.word(),
            every_s: unit.every_s,
            polls: unit.polls,
            last_answer: maybe(unit.last_answer),
            last_fault: unit.last_fault.map(|(at, what)| Fault { at: At(at), what }),
            values: unit.values.into_iter().map(value).collect(),
        }
    }
}

impl From<UnitChange> for Change {
    fn from(row: UnitChange) -> Self {
        Self {
            number: row.change_no,
            source: row.unit.source,
            live: row.live,
            gateway: row.unit.gateway,
            address: row.unit.address,
            unit: row.unit.unit,
            profile: row.unit.profile,
            every_s: row.unit.every_s,
            actor: row.actor,
            reason: row.reason,
            applied_at: At(row.applied_at),
        }
    }
}

impl From<LiveError> for Problem {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Store(error) => Self::of_act(error),
            LiveError::Confirm(_) => Self::conflict(format!("{error}: send \"confirm\": true")),
            error => Self::unprocessable(error.to_string()),
        }
    }
}

/// `GET /modbus`: how every gateway and unit is, with its last values.
pub(super) async fn health(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let items: Vec<Gateway> = state.polls.gateways().into_iter().map(Gateway::of).collect();
    Ok(Json(List { items, next_cursor: None }))
}

/// `GET /modbus/units`: those that were taken live, beside the configuration's.
pub(super) async fn live(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    Ok(list(modbus_units::live(&state.db).await?))
}

/// `GET /modbus/units/history`: what was taken live and ended, newest first.
pub(super) async fn history(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let limit = params.limit();
    params.finish()?;
    Ok(list(modbus_units::history(&state.db, limit).await?))
}

fn list(rows: Vec<UnitChange>) -> Json<List<Change>> {
    Json(List { items: rows.into_iter().map(Change::from).collect(), next_cursor: None })
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ApplyBody {
    gateway: String,
    address: String,
    unit: u8,
    /// Name of a profile, or the TOML of one.
    profile: String,
    every: String,
    reason: String,
    /// What is live may be pointed elsewhere.
    confirm: bool,
}

impl Default for ApplyBody {
    fn default() -> Self {
        let text = String::new;
        let (every, reason) = ("15m".to_owned(), text());
        Self {
            gateway: text(),
            address: text(),
            unit: 1,
            profile: text(),
            every,
            reason,
            confirm: false,
        }
    }
}

/// `POST /modbus/units`: takes a unit live, or changes how it is polled.
pub(super) async fn apply(
    State(state): State<WebState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<impl Serialize>, Problem> {
    let asked: ApplyBody = read_json(&headers, &body)?;
    let ApplyBody { gateway, address, profile, every, .. } = &asked;
    let profiles = modbus::profiles(&state.db, &state.polls).await?;
    let unit = Wish { gateway, address, unit: asked.unit, profile, every }.unit(&profiles)?;
    let by = By { actor: ACTOR, reason: asked.reason.trim(), at: state.now() };
    modbus::apply(&state.db, &state.polls, (&unit, asked.confirm), by).await?;
    let live = modbus_units::live(&state.db).await?;
    let mine: Vec<UnitChange> =
        live.into_iter().filter(|row| row.unit.source == unit.source).collect();
    Ok(list(mine))
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct EndBody {
    source: String,
    reason: String,
}

/// `POST /modbus/units/end`: it is not polled any more; what was stored stays.
pub(super) async fn end(
    State(state): State<WebState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<impl Serialize>, Problem> {
    let asked: EndBody = read_json(&headers, &body)?;
    let reason = asked.reason.trim();
    if reason.is_empty() {
        return Err(LiveError::NoReason.into());
    }
    let by = By { actor: ACTOR, reason, at: state.now() };
    let ended = modbus_units::end(&state.db, &asked.source, by).await;
    Ok(list(vec![ended.map_err(Problem::of_act)?]))
}
