//! `/payloads`: descriptions of payloads, tried out, taken live and ended.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use jiff::tz::TimeZone;
use protocols::Mapping;
use protocols::mapping::MappingFaults;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::mappings::{self, MappingRow};

use super::WebState;
use super::body::{fault, read_json};
use super::params::Params;
use super::problem::{Fault, Problem};
use super::wire::{At, List};
use crate::services::payloads::{self, PayloadError, Person, Question, wire};

/// Who acts until operators can log in.
const ACTOR: &str = "local operator";

/// A version of a mapping, as sent.
#[derive(Serialize)]
struct Version {
    number: i64,
    name: String,
    version: i32,
    live: bool,
    filter: String,
    actor: String,
    reason: String,
    applied_at: At,
    text: String,
}

impl From<MappingRow> for Version {
    fn from(row: MappingRow) -> Self {
        Self {
            number: row.mapping_no,
            name: row.name,
            version: row.version,
            live: row.live,
            filter: row.filter,
            actor: row.actor,
            reason: row.reason,
            applied_at: At(row.applied_at),
            text: row.text,
        }
    }
}

impl From<PayloadError> for Problem {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Store(error) => error.into(),
            PayloadError::Text(faults) => Self::input(at_mapping(&faults)),
            error => Self::unprocessable(error.to_string()),
        }
    }
}

fn at_mapping(faults: &MappingFaults) -> Vec<Fault> {
    let one =
        |detail: String| Fault { parameter: None, pointer: Some("/mapping".to_owned()), detail };
    faults.0.iter().map(|fault| one(fault.to_string())).collect()
}

/// `GET /payloads`: the mappings that are live.
pub(super) async fn live(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    Ok(list(mappings::live(&state.db).await?))
}

/// `GET /payloads/history`: what was taken live and ended, newest first.
pub(super) async fn history(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let limit = params.limit();
    params.finish()?;
    Ok(list(mappings::history(&state.db, limit).await?))
}

fn list(rows: Vec<MappingRow>) -> Json<List<Version>> {
    Json(List { items: rows.into_iter().map(Version::from).collect(), next_cursor: None })
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct TryBody {
    topic: String,
    payload: String,
    /// TOML.
    mapping: Option<String>,
    /// A format of `headend protocols list`.
    format: Option<String>,
    zone: Option<String>,
}

/// `POST /payloads/try`: what a message would become; nothing is stored.
pub(super) async fn try_out(
    State(state): State<WebState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let asked: TryBody = read_json(&headers, &body)?;
    let mapping = match &asked.mapping {
        Some(text) => {
            Some(Mapping::parse(text).map_err(|faults| Problem::input(at_mapping(&faults)))?)
        }
        None => None,
    };
    let format = match (&asked.format, &mapping) {
        (Some(name), _) => name
            .parse()
            .map_err(|error: protocols::FormatError| fault("/format", &error.to_string()))?,
        (None, Some(mapping)) => payloads::format_of(mapping),
        (None, None) => return Err(fault("/mapping", "write mapping or format")),
    };
    let zone = asked.zone.as_deref().map(TimeZone::get).transpose();
    let zone = zone.map_err(|_| fault("/zone", "is no IANA zone: write Europe/Berlin or UTC"))?;
    let question = Question {
        topic: asked.topic,
        payload: asked.payload.into_bytes(),
        received_at: state.now(),
        format,
        mapping: mapping.map(Arc::new),
        zone,
    };
    Ok(Json(wire::json(&payloads::try_out(&state.db, &question).await?)))
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct ApplyBody {
    mapping: String,
    reason: String,
}

/// `POST /payloads`: takes a mapping live.
pub(super) async fn apply(
    State(state): State<WebState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<impl Serialize>, Problem> {
    let asked: ApplyBody = read_json(&headers, &body)?;
    let person = Person { actor: ACTOR, reason: &asked.reason, now: state.now() };
    let row = payloads::apply(&state.db, &asked.mapping, person).await?;
    Ok(Json(Version::from(row)))
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct EndBody {
    reason: String,
}

/// `POST /payloads/{name}/end`: its topics are not read any more.
pub(super) async fn end(
    State(state): State<WebState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<impl Serialize>, Problem> {
    let asked: EndBody = read_json(&headers, &body)?;
    let person = Person { actor: ACTOR, reason: &asked.reason, now: state.now() };
    Ok(Json(Version::from(payloads::end(&state.db, &name, person).await?)))
}
