//! Issues: what staff work on, worst first, with saved filters as links.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::{Severity, Subject, UtcTime};
use serde::Deserialize;
use store::views::issues::{self as views, IssueCounts, IssueFilter, IssueRow, IssueSet};
use store::views::meters as meter_views;

use super::{Answer, ROWS, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section, segment};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// One issue in a list, in words.
#[derive(Clone, Debug)]
pub(super) struct IssueLine {
    pub(super) number: i64,
    pub(super) level: Level,
    pub(super) title: String,
    pub(super) subject: String,
    pub(super) subject_href: String,
    pub(super) children: i64,
    pub(super) zone: String,
    pub(super) since: String,
    pub(super) age: String,
    /// What was measured, in short.
    pub(super) fact: String,
    pub(super) owner: String,
    pub(super) state: String,
    /// Second line where there is room for one line only.
    pub(super) what: String,
}

impl IssueLine {
    pub(super) fn of(row: &IssueRow, now: UtcTime, console: &ConsoleState) -> Self {
        let zone = if row.zone_name.is_empty() { &row.zone_code } else { &row.zone_name };
        let fact = causes::snippet(&row.evidence);
        let state = state_words(row, now, console);
        let held = (row.children > 0)
            .then(|| words::count(row.children, "meter held back", "meters held back"));
        let line = [held.as_deref().unwrap_or(""), &fact, zone, &state];
        let what = line.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        Self {
            number: row.number,
            level: row.severity.into(),
            title: causes::title(&row.cause),
            subject: row.subject_name.clone(),
            subject_href: subject_href(row),
            children: row.children,
            zone: zone.clone(),
            since: words::stamp(row.condition_start, now, console.calendar.zone()),
            age: words::age(row.condition_start, row.cleared_at.unwrap_or(now)),
            fact,
            owner: row.acknowledged_by.clone().or_else(|| row.assignee.clone()).unwrap_or_default(),
            state,
            what,
        }
    }
}

/// State in words; a snooze that runs is said first, since it explains why nothing rings.
pub(super) fn state_words(row: &IssueRow, now: UtcTime, console: &ConsoleState) -> String {
    match row.snoozed_until.filter(|until| *until > now) {
        Some(until) => {
            format!("snoozed until {}", words::stamp(until, now, console.calendar.zone()))
        }
        // One that came back is worked on again before anybody acknowledged it.
        None if row.state == "OPEN" && row.acknowledged_by.is_none() => "open".to_owned(),
        None => causes::state(&row.state).to_owned(),
    }
}

/// The page of the subject; empty for the head-end.
pub(super) fn subject_href(row: &IssueRow) -> String {
    subject_page(row.subject, &row.subject_name)
}

/// The page of a subject by the name people know; empty for the head-end.
pub(super) fn subject_page(subject: Subject, name: &str) -> String {
    let list = match subject {
        Subject::Meter(_) => "meters",
        Subject::Collector(_) => "collectors",
        Subject::Zone(_) => "zones",
        Subject::Transformer(_) => "transformers",
        Subject::Headend => return String::new(),
    };
    format!("/{list}/{}", segment(name))
}

#[derive(Template)]
#[template(path = "issues.html")]
struct IssuesPage {
    frame: Frame,
    say: String,
    chips: Chips,
    rows: IssueRows,
    caption: String,
    set: String,
    q: String,
    families: Vec<SelectOption>,
    severities: Vec<SelectOption>,
    zones: Vec<SelectOption>,
    next: String,
    first: String,
}

/// Value, words, chosen.
pub(super) type SelectOption = (String, String, bool);

#[derive(Template)]
#[template(path = "issue_chips.html")]
struct Chips {
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "issue_rows.html")]
struct IssueRows {
    rows: Vec<IssueLine>,
    empty: String,
}

#[derive(Deserialize, Default)]
struct IssuesQuery {
    #[serde(default)]
    set: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
}

/// Saved filters: key in the address, words.
const SETS: [(IssueSet, &str, &str); 8] = [
    (IssueSet::Open, "open", "All open"),
    (IssueSet::Urgent, "urgent", "Urgent"),
    (IssueSet::Unacknowledged, "unacknowledged", "Not acknowledged"),
    (IssueSet::Leaks, "leaks", "Leaks"),
    (IssueSet::Silent, "silent", "Silent"),
    (IssueSet::FixedPending, "fixed-pending", "Being verified"),
    (IssueSet::Snoozed, "snoozed", "Snoozed"),
    (IssueSet::Closed, "closed", "Closed"),
];

/// Cause families in words.
pub(super) const FAMILIES: [(&str, &str); 12] = [
    ("COMM", "communication"),
    ("POWER", "power"),
    ("METROLOGY", "metering part"),
    ("CONFIG", "configuration"),
    ("CLOCK", "clock"),
    ("TAMPER", "tamper"),
    ("LEAK", "leak"),
    ("BACKFLOW", "backflow"),
    ("BATTERY", "battery"),
    ("GAS", "gas"),
    ("DATA", "data"),
    ("SUPPLY", "no water"),
];

impl IssuesQuery {
    fn filter(&self) -> Result<IssueFilter, Refusal> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let set =
            match self.set.as_str() {
                "" => IssueSet::Open,
                set => SETS.iter().find(|known| known.1 == set).map(|known| known.0).ok_or_else(
                    || Refusal::bad_request(format!("There is no saved filter “{set}”.")),
                )?,
            };
        let severity = match self.severity.as_str() {
            "" => None,
            text => Some(text.parse().ok().and_then(Severity::from_number).ok_or_else(|| {
                Refusal::bad_request("A severity is a number from 1 (P1, critical) to 4 (P4, low).")
            })?),
        };
        Ok(IssueFilter {
            set,
            family: some(&self.family),
            severity,
            commodity: None,
            zone: some(&self.zone),
            q: some(&self.q),
        })
    }

    /// The address of this list without the page.
    fn address(&self) -> QueryText {
        QueryText::default()
            .with("set", &self.set)
            .with("family", &self.family)
            .with("severity", &self.severity)
            .with("zone", &self.zone)
            .with("q", &self.q)
    }
}

/// `GET /issues`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: IssuesQuery = query(&uri)?;
    let filter = asked.filter()?;
    let now = console.now();
    let cursor = super::meters::cursor(&asked.cursor)?;
    let (page, counts, choices) = futures_util::future::try_join3(
        views::list(&console.db, &filter, cursor.as_ref(), ROWS, now),
        views::counts(&console.db, now),
        meter_views::choices(&console.db),
    )
    .await?;
    let frame = Frame::of(&console, Section::Issues, "Issues").await?;
    let address = asked.address();
    let live = address.clone().with("cursor", &asked.cursor);
    let next = page.next.as_ref().map(ToString::to_string).unwrap_or_default();
    let next =
        if next.is_empty() { next } else { address.clone().with("cursor", &next).on("/issues") };
    let first = if asked.cursor.is_empty() { String::new() } else { address.on("/issues") };
    html(&IssuesPage {
        frame: frame.live("issues", live.as_str()),
        say: say(&counts, now, &console),
        chips: chips(&asked, &filter, &counts),
        rows: rows(&page.items, now, &console),
        caption: "Issues, worst first, then oldest".to_owned(),
        set: asked.set.clone(),
        q: asked.q.clone(),
        families: options(FAMILIES, &asked.family),
        severities: options(
            [("1", "P1 critical"), ("2", "P2 high"), ("3", "P3 medium"), ("4", "P4 low")],
            &asked.severity,
        ),
        zones: named_options(&choices.zones, &asked.zone),
        next,
        first,
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let asked: IssuesQuery = query(uri)?;
    let filter = asked.filter()?;
    let now = console.now();
    let cursor = super::meters::cursor(&asked.cursor)?;
    let (page, counts) = futures_util::future::try_join(
        views::list(&console.db, &filter, cursor.as_ref(), ROWS, now),
        views::counts(&console.db, now),
    )
    .await?;
    Ok(vec![chips(&asked, &filter, &counts).render()?, rows(&page.items, now, console).render()?])
}

fn rows(items: &[IssueRow], now: UtcTime, console: &ConsoleState) -> IssueRows {
    IssueRows {
        rows: items.iter().map(|row| IssueLine::of(row, now, console)).collect(),
        empty: format!(
            "Nothing here. Checked {}; the rules run on every reading that arrives.",
            words::clock(now, console.calendar.zone())
        ),
    }
}

fn say(counts: &IssueCounts, now: UtcTime, console: &ConsoleState) -> String {
    let checked = words::clock(now, console.calendar.zone());
    match counts.open {
        0 => format!("No issue is open. Checked {checked}."),
        open => format!(
            "{} open: {} urgent, {} not acknowledged.",
            words::count(open, "issue is", "issues are"),
            counts.urgent,
            counts.unacknowledged
        ),
    }
}

fn chips(asked: &IssuesQuery, filter: &IssueFilter, counts: &IssueCounts) -> Chips {
    let choices = SETS.iter().map(|(set, key, word)| {
        let count = match set {
            IssueSet::Open => counts.open,
            IssueSet::Urgent => counts.urgent,
            IssueSet::Unacknowledged => counts.unacknowledged,
            IssueSet::Leaks => counts.leaks,
            IssueSet::Silent => counts.silent,
            IssueSet::FixedPending => counts.fixed_pending,
            IssueSet::Snoozed => counts.snoozed,
            IssueSet::Closed => counts.closed,
        };
        // The other filters stay; only the set changes.
        let href = QueryText::default()
            .with("set", key)
            .with("family", &asked.family)
            .with("severity", &asked.severity)
            .with("zone", &asked.zone)
            .with("q", &asked.q)
            .on("/issues");
        Choice { href, word: (*word).to_owned(), count: Some(count), current: *set == filter.set }
    });
    Chips { choices: choices.collect() }
}

/// Fixed choices of a select.
pub(super) fn options<'a>(
    known: impl IntoIterator<Item = (&'a str, &'a str)>,
    chosen: &str,
) -> Vec<SelectOption> {
    known
        .into_iter()
        .map(|(value, word)| (value.to_owned(), word.to_owned(), value == chosen))
        .collect()
}

/// Choices with a code and perhaps a name.
pub(super) fn named_options(known: &[(String, String)], chosen: &str) -> Vec<SelectOption> {
    known
        .iter()
        .map(|(code, name)| {
            let words = if name.is_empty() || name == code {
                code.clone()
            } else {
                format!("{code} {name}")
            };
            (code.clone(), words, code == chosen)
        })
        .collect()
}
