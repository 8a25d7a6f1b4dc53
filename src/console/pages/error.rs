//! A refusal as a page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::console::frame::Frame;
use crate::console::state::ConsoleState;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
    status: u16,
    /// The page of ours that asked; empty: none is known.
    back: &'a str,
}

pub(in crate::console) async fn page(
    console: &ConsoleState,
    status: StatusCode,
    (text, back): (&str, &str),
) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Refused",
        StatusCode::FAILED_DEPENDENCY => "Done in part",
        StatusCode::CONFLICT => "Nothing was changed",
        StatusCode::SERVICE_UNAVAILABLE => "Not available now",
        status if status.is_client_error() => "Not understood",
        _ => "Something failed here",
    };
    // Nothing is asked of the database: it may be the reason for this page.
    let frame = Frame::without_counts(console, title.to_owned());
    let page = ErrorPage { frame, title, text, status: status.as_u16(), back };
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, text.to_owned()).into_response(),
    }
}
