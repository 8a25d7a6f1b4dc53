//! Estimates: what was filled in, by which method, and how far it is to be trusted.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::{Commodity, UtcTime};
use serde::Deserialize;
use store::views::estimates::{self as views, EstimateFilter, EstimateRow};
use vee::estimate::Method;
use vee::estimation::EstimationState;

use super::issues::{SelectOption, options};
use super::{Answer, ROWS, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, QueryText, Section};
use crate::console::measure::DisplayUnit;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "estimates.html")]
struct EstimatesPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    states: Vec<Choice>,
    state: String,
    q: String,
    methods: Vec<SelectOption>,
    classes: Vec<SelectOption>,
    commodities: Vec<SelectOption>,
    rows: Vec<EstimateLine>,
    empty: &'static str,
    next: String,
    first: String,
}

/// One estimate in a list, in words.
#[derive(Clone, Debug)]
pub(super) struct EstimateLine {
    pub(super) no: i64,
    pub(super) meter: String,
    pub(super) span: String,
    pub(super) intervals: String,
    pub(super) method: String,
    pub(super) class: String,
    pub(super) total: String,
    pub(super) scaled: &'static str,
    pub(super) state: String,
    pub(super) issue: Option<(i64, String)>,
    pub(super) made: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EstimatesQuery {
    state: String,
    method: String,
    class: String,
    commodity: String,
    q: String,
    issue: String,
    cursor: String,
}

/// Kinds of meters as in addresses.
pub(super) const COMMODITIES: [(&str, &str); 4] =
    [("electricity", "electricity"), ("water", "water"), ("gas", "gas"), ("heat", "heat")];

const CLASSES: [(&str, &str); 4] = [
    ("A", "A: up to 5 %"),
    ("B", "B: up to 15 %"),
    ("C", "C: up to 40 %"),
    ("D", "D: unknown or more"),
];

/// The pages about readings, as chips.
pub(super) fn views_of(current: &str, waiting: i64, proposals: i64) -> Vec<Choice> {
    let choice = |href: &str, word: &str, count| Choice {
        href: href.to_owned(),
        word: word.to_owned(),
        count,
        current: href == current,
    };
    vec![
        choice("/readings", "Days to review", Some(waiting)),
        choice("/estimates?state=PROPOSED", "Proposals", Some(proposals)),
        choice("/estimates", "Estimates", None),
    ]
}

impl EstimatesQuery {
    fn filter(&self) -> Result<EstimateFilter, Refusal> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let unknown = |what: &str| Refusal::bad_request(format!("There is no such {what}."));
        let number = |text: &String, what| {
            some(text).map(|text| text.parse().map_err(|_| unknown(what))).transpose()
        };
        Ok(EstimateFilter {
            state: some(&self.state)
                .map(|text| text.parse::<EstimationState>().map_err(|_| unknown("state")))
                .transpose()?
                .map(|state| state.word().to_owned()),
            method: number(&self.method, "method")?.map(|n: i64| i16::try_from(n).unwrap_or(-1)),
            confidence: some(&self.class)
                .map(|class| match CLASSES.iter().any(|known| known.0 == class) {
                    true => Ok(class),
                    false => Err(unknown("error class")),
                })
                .transpose()?,
            commodity: some(&self.commodity)
                .map(|text| text.parse::<Commodity>().map_err(|_| unknown("kind of meter")))
                .transpose()?,
            q: some(&self.q),
            issue: number(&self.issue, "issue")?,
            meter: None,
        })
    }

    fn address(&self) -> QueryText {
        QueryText::default()
            .with("state", &self.state)
            .with("method", &self.method)
            .with("class", &self.class)
            .with("commodity", &self.commodity)
            .with("q", &self.q)
            .with("issue", &self.issue)
    }
}

/// `GET /estimates`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: EstimatesQuery = query(&uri)?;
    let filter = asked.filter()?;
    let now = console.now();
    let cursor = super::meters::cursor(&asked.cursor)?;
    let (page, counts, waiting) = futures_util::future::try_join3(
        views::list(&console.db, &filter, cursor.as_ref(), ROWS),
        views::counts(&console.db),
        store::views::review::waiting(&console.db, now),
    )
    .await?;
    let count = |state: &str| counts.get(state).copied().unwrap_or(0);
    let all: i64 = counts.values().sum();
    let mut states = vec![state_choice(&asked, "", "All", all)];
    states.extend(EstimationState::ALL.iter().map(|state| {
        let word = state.word();
        state_choice(&asked, word, &words::sentence_case(state_words(word)), count(word))
    }));
    let address = asked.address();
    let next = page
        .next
        .as_ref()
        .map(|next| asked.address().with("cursor", &next.to_string()).on("/estimates"));
    let view = if asked.state == "PROPOSED" { "/estimates?state=PROPOSED" } else { "/estimates" };
    html(&EstimatesPage {
        frame: Frame::of(&console, Section::Readings, "Estimates").await?,
        say: say(all, count("PROPOSED")),
        views: views_of(view, waiting, count("PROPOSED")),
        states,
        methods: options(
            Method::ALL
                .iter()
                .map(|method| (NUMBERS[usize::from(method.number())], method.title())),
            &asked.method,
        ),
        classes: options(CLASSES, &asked.class),
        commodities: options(COMMODITIES, &asked.commodity),
        rows: page.items.iter().map(|row| EstimateLine::of(row, now)).collect(),
        empty: "No estimate fits. Gaps are estimated when their retry time is over.",
        next: next.unwrap_or_default(),
        first: if asked.cursor.is_empty() { String::new() } else { address.on("/estimates") },
        state: asked.state,
        q: asked.q,
    })
}

/// Numbers of methods as text, for options.
const NUMBERS: [&str; 13] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

fn state_choice(asked: &EstimatesQuery, state: &str, word: &str, count: i64) -> Choice {
    let href = QueryText::default()
        .with("state", state)
        .with("method", &asked.method)
        .with("class", &asked.class)
        .with("commodity", &asked.commodity)
        .with("q", &asked.q)
        .on("/estimates");
    Choice { href, word: word.to_owned(), count: Some(count), current: asked.state == state }
}

fn say(all: i64, proposed: i64) -> String {
    match (all, proposed) {
        (0, _) => "Nothing has been estimated.".to_owned(),
        (_, 0) => "Every number here is an estimate; none waits for a person.".to_owned(),
        (_, n) => format!(
            "Every number here is an estimate; {} for a person.",
            words::count(n, "proposal waits", "proposals wait")
        ),
    }
}

/// A state as staff say it.
pub(super) fn state_words(state: &str) -> &'static str {
    match state {
        "PROPOSED" => "proposed",
        "APPLIED" => "in force",
        "REJECTED" => "rejected",
        "SUPERSEDED_BY_ACTUAL" => "replaced by the real value",
        "SUPERSEDED_BY_ESTIMATE" => "replaced by another estimate",
        "EDITED" => "edited by a person",
        "FINAL" => "final",
        "REVERSED" => "taken back",
        _ => "in an unknown state",
    }
}

/// A method by its stored number.
pub(super) fn method_title(number: i16) -> String {
    let method = u8::try_from(number).ok().and_then(Method::from_number);
    method.map_or_else(|| format!("method {number}"), |method| words::sentence_case(method.title()))
}

/// `B, about 9.4 %`.
pub(super) fn class_words(class: &str, error_permille: Option<i32>) -> String {
    match error_permille {
        Some(error) => format!("{class}, ±{} %", tenths(error)),
        None => format!("{class}, not measured"),
    }
}

/// Thousandths as per cent with one digit.
pub(super) fn tenths(permille: i32) -> String {
    let sign = if permille < 0 { "−" } else { "" };
    format!("{sign}{}.{}", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10)
}

impl EstimateLine {
    pub(super) fn of(row: &EstimateRow, now: UtcTime) -> Self {
        let zone = jiff::tz::TimeZone::get(&row.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let title = |cause: &String| causes::title(cause);
        let state = state_words(&row.state).to_owned();
        Self {
            no: row.no,
            meter: row.number.clone(),
            span: words::span(row.starts_at, row.ends_at, now, &zone),
            intervals: words::thousands(i64::from(row.intervals)),
            method: method_title(row.method),
            class: class_words(&row.confidence, row.error_permille),
            total: DisplayUnit::choose(row.reading_type.base_unit(), row.total).rough(row.total),
            scaled: if row.scaled { "yes" } else { "no" },
            state: if row.provisional { format!("{state}, for display only") } else { state },
            issue: row.issue_number.zip(row.issue_cause.as_ref().map(title)),
            made: words::stamp(row.created_at, now, &zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_method_has_words() {
        for state in EstimationState::ALL {
            assert_ne!(state_words(state.word()), "in an unknown state");
        }
        for method in Method::ALL {
            assert_eq!(NUMBERS[usize::from(method.number())], method.number().to_string());
        }
        assert_eq!(class_words("B", Some(94)), "B, ±9.4 %");
    }
}
