//! What every answer of the console carries, and who may send a form.
//!
//! The console has no login yet, so it is bound to loopback and also refuses what reaches loopback
//! by a detour: a foreign page that posts a form (the browser says where it came from), and a name
//! that somebody else pointed at this machine (DNS rebinding shows in `Host`).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::pages::error;
use super::refusal::{Refusal, Said};
use super::state::ConsoleState;

/// Nothing but our own files; no inline code anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses foreign requests, adds the headers, and makes a page of every refusal.
pub(super) async fn guard(
    State(console): State<ConsoleState>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = host_is_here(request.headers())
        && (is_safe(request.method()) || is_same_origin(request.headers()));
    let wants_page = !request.uri().path().starts_with("/assets/");
    let acts = !is_safe(request.method());
    let back = came_from(request.headers(), request.uri().path());
    let mut response = if allowed {
        next.run(request).await
    } else {
        Refusal::forbidden(
            "This request did not come from a page of this console, so nothing was changed. \
             Open the console at its own address (http://127.0.0.1:PORT) and try again.",
        )
        .into_response()
    };
    if acts {
        console.waiting.forget().await;
    }
    if wants_page && is_refusal(&response) {
        response = as_page(&console, response, &back).await;
    }
    add_headers(response.headers_mut());
    response
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Ours to dress as a page: refusals of handlers and of the router, never finished pages.
fn is_refusal(response: &Response) -> bool {
    let status = response.status();
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/html")));
    (status.is_client_error() || status.is_server_error()) && !is_html
}

async fn as_page(console: &ConsoleState, response: Response, back: &str) -> Response {
    let status = response.status();
    let said = response.extensions().get::<Said>().cloned();
    let text = said.map_or_else(|| plain_words(status).to_owned(), |said| said.0);
    error::page(console, status, (&text, back)).await
}

/// The page of ours from which this was asked: its path and query. Empty when the browser does not
/// say, or when that page is the one that is refused.
fn came_from(headers: &HeaderMap, own_path: &str) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(from), Some(host)) = (text(header::REFERER), text(header::HOST)) else {
        return String::new();
    };
    let rest = from.strip_prefix("http://").or_else(|| from.strip_prefix("https://"));
    let path = rest.and_then(|rest| rest.strip_prefix(host)).unwrap_or_default();
    let is_page = path.starts_with('/') && !path.starts_with("//");
    if !is_page || path.split(['?', '#']).next() == Some(own_path) {
        return String::new();
    }
    path.to_owned()
}

fn plain_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is no page at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not take that kind of request.",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            "The address or the form holds something that cannot be read."
        }
        _ => "The request was refused.",
    }
}

fn add_headers(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages change by the minute; only assets may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// True when the request names this machine. Requests without `Host` come from no browser.
fn host_is_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = without_port(host);
    let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// True when the browser says that a page of ours sent it. Who says nothing is refused.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    let origin = text("origin").and_then(|origin| {
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    });
    match (origin, text("host")) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        (None, _) => text("origin").is_none() && text("sec-fetch-site").is_some(),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_refusal_leads_back_to_the_page_of_ours_that_asked() {
        let asked = |from: &'static str| {
            came_from(&headers(&[("host", "127.0.0.1:8080"), ("referer", from)]), "/issues/7/close")
        };
        assert_eq!(asked("http://127.0.0.1:8080/issues/7?tab=work"), "/issues/7?tab=work");
        assert_eq!(asked("http://127.0.0.1:8080/issues/7/close"), "", "the refused page itself");
        assert_eq!(asked("http://127.0.0.1:80801/issues/7"), "");
        assert_eq!(asked("http://elsewhere.example/issues/7"), "");
        assert_eq!(asked("http://127.0.0.1:8080//elsewhere.example"), "");
    }

    #[test]
    fn forms_are_taken_from_our_own_pages_only() {
        let check = |pairs: &[(&'static str, &'static str)], want: bool| {
            assert_eq!(is_same_origin(&headers(pairs)), want, "{pairs:?}");
        };
        let host = ("host", "127.0.0.1:8080");
        check(&[host, ("origin", "http://127.0.0.1:8080")], true);
        check(&[host, ("sec-fetch-site", "same-origin")], true);
        check(&[host], false);
        check(&[host, ("origin", "http://127.0.0.1:8081")], false);
        check(&[host, ("origin", "http://evil.example")], false);
        check(&[host, ("origin", "null")], false);
        check(&[host, ("origin", "null"), ("sec-fetch-site", "same-origin")], false);
        check(
            &[host, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "cross-site")],
            false,
        );
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_refused() {
        for (host, want) in [
            ("127.0.0.1:8080", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("[::1]:8080", true),
            ("127.9.9.9", true),
            ("evil.example:8080", false),
            ("10.0.0.5:8080", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(host_is_here(&headers(&[("host", host)])), want, "{host}");
        }
    }
}
