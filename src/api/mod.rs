//! JSON over HTTP under `/api/v1`, and the health of the program. One file per resource.
//!
//! Conventions (docs/api.md): instants in UTC, intervals named by their END, quantities as exact
//! decimal text with the unit in the field's name, lists by opaque cursors, refusals as RFC 9457
//! problem documents, every answer with `X-Request-Id`.

mod alarms;
mod body;
mod collectors;
mod csv_text;
mod export;
mod files;
mod fleet;
mod guard;
mod health;
mod intake;
mod issues;
mod meters;
mod modbus;
mod params;
mod payloads;
mod problem;
mod readings;
mod rules;
mod series;
mod state;
mod wire;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use guard::{Guard, guard};
use params::Params;
use problem::Problem;
pub use state::{PartState, Readiness, WebSettings, WebState};

/// Largest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// All routes of the API and of health, to be merged with the console's.
pub fn router(state: WebState) -> Router {
    let guarding = Guard::new(std::sync::Arc::clone(&state.clock));
    let api = Router::new()
        .route("/fleet", get(fleet::summary))
        .route("/fleet/zones", get(fleet::zones))
        .route("/fleet/rate", get(fleet::rate))
        .route("/meters", get(meters::list))
        .route("/meters.csv", get(export::meters_csv))
        .route("/meters/{number}", get(meters::one))
        .route("/meters/{number}/series", get(series::series))
        .route("/meters/{number}/intervals", get(series::intervals))
        .route("/meters/{number}/registers", get(series::registers))
        .route("/meters/{number}/gaps", get(series::gaps))
        .route("/meters/{number}/events", get(meters::events))
        .route("/meters/{number}/issues", get(meters::issues))
        .route("/meters/{number}/hearing", get(collectors::of_meter))
        .route("/meters/{number}/green-button.xml", get(files::green_button))
        .route("/reads.csv", get(export::reads_csv))
        .route(
            "/files",
            get(files::list)
                .post(files::upload)
                .layer(DefaultBodyLimit::max(files::UPLOAD_BYTES_MAX)),
        )
        .route("/files/{number}", get(files::one))
        .route("/issues", get(issues::list))
        .route("/issues/counts", get(issues::counts))
        .route("/issues/{number}", get(issues::one))
        .route("/issues/{number}/{act}", post(issues::act))
        .route("/issues/{number}/work-orders", get(alarms::orders).post(alarms::order))
        .route("/work-orders/{number}/status", post(alarms::tell))
        .route("/review", get(readings::queue))
        .route("/review/{act}", post(readings::act))
        .route("/estimates", get(readings::estimates))
        .route("/estimates/{number}", get(readings::estimate))
        .route("/estimates/{number}/{act}", post(readings::decide))
        .route("/rules", get(rules::list))
        .route("/rules/versions", get(rules::versions))
        .route("/alarms/kpis", get(alarms::kpis))
        .route("/alarms/shelves", get(alarms::shelves).post(alarms::shelve))
        .route("/alarms/shelves/{id}/end", post(alarms::unshelve))
        .route("/collectors", get(collectors::list))
        .route("/collectors/{code}", get(collectors::one))
        .route("/routes", get(collectors::routes))
        .route("/commissioning", get(intake::commissioning))
        .route("/dead-letters", get(intake::dead_letters))
        .route("/dead-letters/{sha256}", get(intake::dead_letter))
        .route("/modbus", get(modbus::health))
        .route("/modbus/units", get(modbus::live).post(modbus::apply))
        .route("/modbus/units/history", get(modbus::history))
        .route("/modbus/units/end", post(modbus::end))
        .route("/payloads", get(payloads::live).post(payloads::apply))
        .route("/payloads/history", get(payloads::history))
        .route("/payloads/try", post(payloads::try_out))
        .route("/payloads/{name}/end", post(payloads::end))
        .route("/batches", get(intake::batches))
        .fallback(async || Problem::not_found("there is no such resource: see docs/api.md"));
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(guarding, guard))
        .with_state(state)
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::new(parts.uri.query().unwrap_or_default()))
    }
}
