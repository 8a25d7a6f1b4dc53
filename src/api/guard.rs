//! What every answer of the API carries, and who may change something.
//!
//! Until operators can log in, the program listens on loopback only. A browser on the same machine
//! is still a way in for foreign pages, so a request that says it comes from another origin, or
//! that names this machine by a foreign name (DNS rebinding), is refused. Programs such as curl
//! send neither header and are taken; they need a JSON content type, which a foreign page cannot
//! send without asking first.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::health::KeepBody;
use super::problem::Problem;
use crate::clock::Clock;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Numbers the requests of this process.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    clock: Arc<dyn Clock>,
    count: Arc<AtomicU64>,
}

impl Guard {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, count: Arc::default() }
    }

    /// The caller's id if it is harmless, else one of ours.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        match given {
            Some(id) if is_plain(id) => id.to_owned(),
            _ => {
                let count = self.count.fetch_add(1, Ordering::Relaxed);
                format!("{:x}-{count:x}", self.clock.now().micros())
            }
        }
    }
}

fn is_plain(id: &str) -> bool {
    (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Refuses foreign requests, names each request, and turns every refusal into a problem document.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let id = guard.request_id(request.headers());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match refusal(request.headers(), changes) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    if refused && response.extensions().get::<KeepBody>().is_none() {
        let known = response.extensions_mut().remove::<Problem>();
        let allow = response.headers().get(header::ALLOW).cloned();
        let document = known.unwrap_or_else(|| Problem::of_status(status));
        response = document.respond(Some(&id));
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    add_headers(response.headers_mut(), &id);
    response
}

fn refusal(headers: &HeaderMap, changes: bool) -> Option<Problem> {
    if !host_is_here(headers) {
        let detail = "this head-end answers to 127.0.0.1, [::1] and localhost only";
        return Some(Problem::forbidden(detail));
    }
    if changes && !comes_from_here(headers) {
        let detail = "the request comes from a page of another origin; nothing was changed";
        return Some(Problem::forbidden(detail));
    }
    None
}

/// True when the request names this machine. Requests without `Host` come from no browser.
fn host_is_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
}

/// True unless the browser says that a page of another origin sent it.
fn comes_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    let Some(origin) = text("origin") else { return true };
    let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    match (name, text("host")) {
        (Some(name), Some(host)) => name.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn add_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_may_not_change_anything() {
        let check = |pairs: &[(&'static str, &'static str)], want: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(refusal(&headers, true).is_none(), want, "{pairs:?}");
        };
        let host = ("host", "127.0.0.1:8090");
        check(&[host], true);
        check(&[host, ("origin", "http://127.0.0.1:8090")], true);
        check(&[host, ("sec-fetch-site", "same-origin")], true);
        check(&[host, ("sec-fetch-site", "none")], true);
        check(&[host, ("origin", "http://127.0.0.1:8091")], false);
        check(&[host, ("origin", "null")], false);
        check(&[host, ("sec-fetch-site", "same-site")], false);
        check(
            &[host, ("origin", "http://127.0.0.1:8090"), ("sec-fetch-site", "cross-site")],
            false,
        );
        check(&[("host", "rebound.example:8090")], false);
        check(&[("host", "192.0.2.7")], false);
        check(&[("host", "[::1]:8090")], true);
    }

    #[test]
    fn only_harmless_request_ids_are_echoed() {
        assert!(is_plain("3f2a-1"));
        assert!(!is_plain("a\nb"));
        assert!(!is_plain(""));
        assert!(!is_plain(&"a".repeat(65)));
    }
}
