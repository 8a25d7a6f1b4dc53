//! `/healthz`, `/readyz`, `/metrics`: for the machines that watch us.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::views::system;
use tokio::sync::Mutex;

use super::WebState;
use super::problem::Problem;
use super::state::PartState;

/// How long the database may take to answer before it counts as away.
const DATABASE_WAIT: Duration = Duration::from_secs(2);
/// How long figures of the whole fleet are kept between scrapes.
const GAUGES_FOR: Duration = Duration::from_secs(10);

/// The event loop turns: that we answer is the answer.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Readiness, as sent.
#[derive(Serialize)]
struct Ready {
    /// `ready` or `waiting`.
    state: &'static str,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

/// 200 when all parts work, else 503; the body lists them.
pub(super) async fn ready(State(state): State<WebState>) -> Response {
    let mut parts: Vec<Part> = state
        .readiness
        .parts()
        .into_iter()
        .map(|(name, part)| match part {
            PartState::Ready => Part { name, ready: true, why: String::new() },
            PartState::Waiting(why) => Part { name, ready: false, why },
        })
        .collect();
    let answer = tokio::time::timeout(DATABASE_WAIT, system::answers(&state.db)).await;
    let why = match answer {
        Ok(Ok(())) => String::new(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", DATABASE_WAIT.as_secs()),
    };
    parts.push(Part { name: "database", ready: why.is_empty(), why });
    let ready = parts.iter().all(|part| part.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Ready { state: if ready { "ready" } else { "waiting" }, parts };
    // Not a problem document: the list of parts is the answer in either case.
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(KeepBody);
    response
}

/// Marks an answer that the guard must not rewrite.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepBody;

/// When the figures of the whole fleet were read last.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    read_at: Mutex<Option<Duration>>,
}

/// Prometheus text. Figures of the fleet are read from the database at most every ten seconds; when
/// it is away they keep their last values, and the rest is told.
pub(super) async fn metrics(State(state): State<WebState>) -> Result<Response, Problem> {
    read_gauges(&state).await;
    let text = state.telemetry.text();
    let text = text.map_err(|error| Problem::internal(format!("metrics: {error}")))?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn read_gauges(state: &WebState) {
    let mut read_at = state.gauges.read_at.lock().await;
    let now = state.clock.monotonic();
    if read_at.is_some_and(|last| now.saturating_sub(last) < GAUGES_FOR) {
        return;
    }
    *read_at = Some(now);
    match tokio::time::timeout(DATABASE_WAIT, state.fleet.summary(&state.db)).await {
        Ok(Ok(summary)) => state.telemetry.show_fleet(&summary),
        Ok(Err(error)) => tracing::warn!(%error, "Figures of the fleet are old."),
        Err(_) => tracing::warn!("Figures of the fleet are old: the database is slow."),
    }
}
