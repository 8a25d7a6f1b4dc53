//! A small utility behind the API's router, and short ways to ask it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use headend::api::{self, Readiness, WebSettings, WebState};
use headend::clock::SteppedClock;
use headend::telemetry::Telemetry;
use metering::UtcTime;
use serde_json::Value;
use store::Database;
use tower::ServiceExt as _;

use crate::kit::database::fresh;

/// 14:00 in Berlin, as the rows of the seed expect.
pub(super) const NOW: &str = "2026-06-10T12:00:00Z";
const SEED: &str = include_str!("../../../store/tests/store/views/seed.sql");
const QUARTERS: &str = include_str!("../../../store/tests/store/views/quarters.sql");

/// An API over a database of its own.
pub(super) struct Rig {
    router: Router,
    pub(super) readiness: Arc<Readiness>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Rig {
    /// `None` after saying that the test is skipped.
    pub(super) async fn seeded(test: &str) -> Option<Self> {
        let database = fresh(test).await?;
        let client = database.client().await.unwrap();
        client.batch_execute(SEED).await.unwrap();
        client.batch_execute(QUARTERS).await.unwrap();
        Some(Self::over(database))
    }

    pub(super) fn over(database: Database) -> Self {
        let clock = SteppedClock::starting_at(UtcTime::parse_rfc3339(NOW).unwrap());
        let settings =
            WebSettings { utility: "Northmoor".to_owned(), zone: "Europe/Berlin".to_owned() };
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let state = WebState::new(database, clock, telemetry, settings).unwrap();
        Self { readiness: Arc::clone(&state.readiness), router: api::router(state) }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// The JSON of an answer that must be 200.
    pub(super) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// Posts JSON with headers.
    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
