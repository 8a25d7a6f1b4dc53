//! Bodies of requests: JSON, every fault with its pointer.

use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::problem::{Fault, Problem};

/// Reads a JSON body; an empty one is the default of all fields.
pub(super) fn read_json<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::media_type());
    }
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| fault("", &error.to_string()))
}

/// One wrong field, by its JSON pointer.
pub(super) fn fault(pointer: &str, detail: &str) -> Problem {
    let fault =
        Fault { parameter: None, pointer: Some(pointer.to_owned()), detail: detail.to_owned() };
    Problem::input(vec![fault])
}
