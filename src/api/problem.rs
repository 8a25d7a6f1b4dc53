//! Refusals as RFC 9457 problem documents. Only here do status codes of the API exist.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::StoreError;
use store::issues::ActError;

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    faults: Vec<Fault>,
}

/// One wrong part of the input: a query parameter or a JSON pointer into the body.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<String>,
    pub(super) detail: String,
}

/// As sent.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

const fn problem(
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
) -> Problem {
    Problem { status, kind, title, detail, faults: Vec::new() }
}

impl Problem {
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        problem(StatusCode::NOT_FOUND, "not-found", "There is no such thing here", detail.into())
    }

    pub(super) fn input(faults: Vec<Fault>) -> Self {
        let detail = faults.iter().map(|fault| fault.detail.as_str()).collect::<Vec<_>>();
        let detail = detail.join("; ");
        let title = "The request cannot be understood";
        Self { faults, ..problem(StatusCode::BAD_REQUEST, "bad-request", title, detail) }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        let title = "The request cannot be understood";
        problem(StatusCode::BAD_REQUEST, "bad-request", title, detail.into())
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        let title = "The act is not allowed";
        problem(StatusCode::UNPROCESSABLE_ENTITY, "not-allowed", title, detail.into())
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        problem(StatusCode::FORBIDDEN, "forbidden", "The request is refused", detail.into())
    }

    pub(super) fn precondition_required() -> Self {
        let detail = "send If-Match with the ETag of the issue as you saw it, or If-Match: *";
        let title = "The state that you saw is missing";
        problem(StatusCode::PRECONDITION_REQUIRED, "if-match-missing", title, detail.into())
    }

    pub(super) fn stale(detail: impl Into<String>) -> Self {
        let title = "It changed meanwhile";
        problem(StatusCode::PRECONDITION_FAILED, "stale", title, detail.into())
    }

    /// Something else is there already; the same request with a confirmation is taken.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        problem(StatusCode::CONFLICT, "conflict", "Something is there already", detail.into())
    }

    pub(super) fn media_type() -> Self {
        let detail = "send the body as Content-Type: application/json";
        let title = "The body is not JSON";
        problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", title, detail.into())
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        let title = "We could not do our work";
        problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail.into())
    }

    /// The document of a refusal that the router made itself.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (kind, title, detail) = match status {
            StatusCode::NOT_FOUND => {
                ("not-found", "There is no such thing here", "see docs/api.md")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method-not-allowed", "The method is not allowed here", "see the Allow header")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("too-large", "The body is too large", "send at most 64 KiB")
            }
            _ => ("refused", "The request is refused", "the log says more"),
        };
        problem(status, kind, title, detail.to_owned())
    }

    /// Makes the answer; `instance` is the request id.
    pub(super) fn respond(&self, instance: Option<&str>) -> Response {
        let document = Document {
            r#type: format!("urn:headend:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: instance.map(|id| format!("urn:headend:request:{id}")),
            errors: &self.faults,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl Problem {
    /// Of an act: what the store refuses is not allowed as things stand, however well it was asked
    /// for.
    pub(super) fn of_act(error: StoreError) -> Self {
        match error {
            StoreError::Refused { what, detail } => {
                Self::unprocessable(format!("{what}: {detail}"))
            }
            error => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::Refused { what, detail } = &error {
            return Self::bad_request(format!("{what}: {detail}"));
        }
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, source, "An API request could not be answered from the database.");
        if error.is_transient() {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "database-away",
                "The database does not answer",
                "readings that arrive now are not acknowledged and so not lost; try again"
                    .to_owned(),
            );
        }
        Self::internal(error.to_string())
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::NotFound(_) => Self::not_found(error.to_string()),
            ActError::Stale { .. } => Self::stale(error.to_string()),
            ActError::Refused(why) => Self::unprocessable(why),
            ActError::Store(error) => Self::of_act(error),
        }
    }
}

impl IntoResponse for Problem {
    /// The guard knows the request id and writes the document again with it.
    fn into_response(self) -> Response {
        let mut response = self.respond(None);
        response.extensions_mut().insert(self);
        response
    }
}
