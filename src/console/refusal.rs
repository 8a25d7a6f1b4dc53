//! A request that is not served, in words that say what to do. Only here do status codes exist.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use store::StoreError;

use super::words;

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
}

/// The words of a refusal, carried to the page that shows them.
#[derive(Clone, Debug)]
pub(super) struct Said(pub(super) String);

impl Refusal {
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, text: text.into() }
    }

    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, text: text.into() }
    }

    pub(super) fn busy(text: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text: text.into() }
    }

    /// Says what was done before the refusal came.
    pub(super) fn after(self, done: &str) -> Self {
        Self { status: StatusCode::FAILED_DEPENDENCY, text: format!("{} {done}", self.text) }
    }

    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, text: text.into() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if let StoreError::Refused { what, detail } = &error {
            return Self::bad_request(words::sentence_case(&format!("{what}: {detail}.")));
        }
        tracing::warn!(%error, source = ?std::error::Error::source(&error), "A page could not be read from the database.");
        if error.is_transient() {
            return Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                text: "The database does not answer at the moment. Readings that arrive are not \
                       acknowledged and so not lost. Try again in a minute; see the log of the \
                       program when it lasts."
                    .into(),
            };
        }
        Self::internal(format!(
            "The database could not answer: {error}. The log of the program says more."
        ))
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "A page could not be written.");
        Self::internal("This page could not be written. The log of the program says more.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text.clone()).into_response();
        response.extensions_mut().insert(Said(self.text));
        response
    }
}
