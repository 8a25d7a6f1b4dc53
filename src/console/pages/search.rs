//! Search: one box for meters, issues and collectors; an exact hit opens at once.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use store::views::meters::{self, FoundIssue, FoundMeter, SearchResults};

use super::issue::address;
use super::{Answer, html, query};
use crate::console::causes;
use crate::console::frame::{Frame, Level, Section, segment};
use crate::console::state::ConsoleState;

/// Results of each kind.
const EACH: u32 = 20;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    say: String,
    meters: Vec<MeterHit>,
    issues: Vec<IssueHit>,
    collectors: Vec<(String, String, String)>,
}

struct MeterHit {
    href: String,
    number: String,
    what: String,
    commodity: &'static str,
}

struct IssueHit {
    href: String,
    level: Level,
    title: String,
    subject: String,
    state: &'static str,
}

#[derive(Deserialize, Default)]
struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// `GET /search?q=`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: SearchQuery = query(&uri)?;
    let text = asked.q.trim();
    let found = meters::search(&console.db, text, EACH).await?;
    if let Some(href) = only_hit(&found, text) {
        return Ok(Redirect::to(&href).into_response());
    }
    let mut frame = Frame::of(&console, Section::None, "Search").await?;
    text.clone_into(&mut frame.search);
    html(&SearchPage {
        frame,
        say: say(&found, text),
        meters: found.meters.iter().map(MeterHit::of).collect(),
        issues: found.issues.iter().map(IssueHit::of).collect(),
        collectors: found
            .collectors
            .iter()
            .map(|found| {
                let href = format!("/collectors/{}", segment(&found.code));
                (href, found.code.clone(), found.name.clone())
            })
            .collect(),
    })
}

/// The page of what was named in full, or of the single result.
fn only_hit(found: &SearchResults, text: &str) -> Option<String> {
    let same = |name: &str| name.eq_ignore_ascii_case(text);
    if let Some(meter) = found.meters.iter().find(|meter| same(&meter.number)) {
        return Some(format!("/meters/{}", segment(&meter.number)));
    }
    if let Some(collector) = found.collectors.iter().find(|collector| same(&collector.code)) {
        return Some(format!("/collectors/{}", segment(&collector.code)));
    }
    let number = text.trim_start_matches('#');
    if let Some(issue) = found.issues.iter().find(|issue| issue.number.to_string() == number) {
        return Some(address(issue.number));
    }
    match (found.meters.as_slice(), found.issues.as_slice(), found.collectors.as_slice()) {
        ([meter], [], []) => Some(format!("/meters/{}", segment(&meter.number))),
        _ => None,
    }
}

fn say(found: &SearchResults, text: &str) -> String {
    if text.is_empty() {
        return "Type a meter number, serial number, address, account, issue or collector.".into();
    }
    let all = found.meters.len() + found.issues.len() + found.collectors.len();
    match all {
        0 => format!(
            "Nothing fits “{text}”. Meter numbers, serials, addresses, accounts, wire names, issue numbers and causes were searched."
        ),
        n => format!("{n} results for “{text}”, at most {EACH} of each kind."),
    }
}

impl MeterHit {
    fn of(found: &FoundMeter) -> Self {
        let parts = [&found.address, &found.account, &found.serial];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        Self {
            href: format!("/meters/{}", segment(&found.number)),
            number: found.number.clone(),
            what: parts.join(" · "),
            commodity: found.commodity.word(),
        }
    }
}

impl IssueHit {
    fn of(found: &FoundIssue) -> Self {
        Self {
            href: address(found.number),
            level: found.severity.into(),
            title: causes::title(&found.cause),
            subject: found.subject.clone(),
            state: causes::state(&found.state),
        }
    }
}
