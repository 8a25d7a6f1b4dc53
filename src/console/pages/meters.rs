//! Meters: which are there, and how is each? Filters, sort, columns and page stand in the address.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::{Commodity, UtcTime};
use serde::Deserialize;
use store::views::meters::{
    self as views, FilterChoices, MeterFilter, MeterRow, MeterSort, MeterStatus,
};
use store::views::{Cursor, Page};

use super::issues::{SelectOption, named_options, options};
use super::meter_line::MeterLine;
use super::{Answer, ROWS, html, query};
use crate::console::frame::{Frame, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "meters.html")]
struct MetersPage {
    frame: Frame,
    say: String,
    csv: String,
    q: String,
    kinds: Vec<SelectOption>,
    zones: Vec<SelectOption>,
    routes: Vec<SelectOption>,
    collectors: Vec<SelectOption>,
    tags: Vec<SelectOption>,
    issues: Vec<SelectOption>,
    statuses: Vec<SelectOption>,
    sort: String,
    columns: Vec<ColumnHead>,
    rows: MeterRows,
    next: String,
    first: String,
}

/// A column that can be chosen.
struct ColumnHead {
    key: &'static str,
    word: &'static str,
    number: bool,
    shown: bool,
    /// Address of the list sorted by it; empty when it cannot be.
    href: String,
    sorted: bool,
}

#[derive(Template)]
#[template(path = "meter_rows.html")]
struct MeterRows {
    rows: Vec<MeterLine>,
    columns: Shown,
    empty: &'static str,
}

#[derive(Deserialize, Default)]
struct MetersQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    route: String,
    #[serde(default)]
    collector: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    issue: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    cursor: String,
}

/// Key, heading, right-aligned, shown unless other columns are chosen, key of its sort order.
const COLUMNS: [(&str, &str, bool, bool, &str); 13] = [
    ("kind", "Kind", false, true, ""),
    ("address", "Address", false, true, "address"),
    ("account", "Account", false, false, ""),
    ("zone", "Zone", false, true, ""),
    ("route", "Route", false, false, ""),
    ("collector", "Collector", false, false, ""),
    ("class", "Class", false, false, ""),
    ("last", "Last interval", true, true, ""),
    ("age", "Age", true, true, "last-heard"),
    ("quality", "Good in 24 h, %", true, true, ""),
    ("spark", "7 days", false, true, ""),
    ("battery", "Battery", false, true, ""),
    ("signal", "Signal", false, true, ""),
];

/// Which columns a page shows.
#[derive(Clone, Debug)]
pub(super) struct Shown(Vec<&'static str>);

impl Shown {
    /// From `cols=a&cols=b` of the address; the usual ones when none is named.
    fn of(uri: &Uri) -> Self {
        let named: Vec<&str> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.strip_prefix("cols="))
            .collect();
        let chosen =
            COLUMNS.iter().filter(
                |(key, _, _, usual, _)| {
                    if named.is_empty() { *usual } else { named.contains(key) }
                },
            );
        Self(chosen.map(|column| column.0).collect())
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains(&key)
    }

    fn is_usual(&self) -> bool {
        COLUMNS.iter().filter(|column| column.3).map(|column| column.0).eq(self.0.iter().copied())
    }

    fn count(&self) -> usize {
        self.0.len() + 2
    }
}

/// The page that an address names; a foreign cursor is refused.
pub(super) fn cursor(text: &str) -> Result<Option<Cursor>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Refusal::bad_request("This page of the list does not exist. Go to its first page.")
    })
}

impl MetersQuery {
    fn filter(&self) -> Result<MeterFilter, Refusal> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let commodity = match self.kind.as_str() {
            "" => None,
            text => Some(text.parse::<Commodity>().map_err(|error| {
                Refusal::bad_request(format!("The kind of meter cannot be read: {error}."))
            })?),
        };
        let status = match self.status.as_str() {
            "" => None,
            "reporting" => Some(MeterStatus::Reporting),
            "silent" => Some(MeterStatus::Silent),
            "never-heard" => Some(MeterStatus::NeverHeard),
            _ => return Err(Refusal::bad_request("A state is reporting, silent or never-heard.")),
        };
        Ok(MeterFilter {
            q: some(&self.q),
            commodity,
            zone: some(&self.zone),
            route: some(&self.route),
            collector: some(&self.collector),
            tag: some(&self.tag),
            issue: some(&self.issue),
            status,
        })
    }

    fn order(&self) -> MeterSort {
        match self.sort.as_str() {
            "address" => MeterSort::Address,
            "last-heard" => MeterSort::LastHeard,
            "issue" => MeterSort::Issue,
            _ => MeterSort::Number,
        }
    }

    /// The filters without sort, columns and page.
    fn filters(&self) -> QueryText {
        QueryText::default()
            .with("q", &self.q)
            .with("kind", &self.kind)
            .with("zone", &self.zone)
            .with("route", &self.route)
            .with("collector", &self.collector)
            .with("tag", &self.tag)
            .with("issue", &self.issue)
            .with("status", &self.status)
    }

    fn address(&self, shown: &Shown) -> QueryText {
        with_columns(self.filters().with("sort", &self.sort), shown)
    }
}

fn with_columns(mut query: QueryText, shown: &Shown) -> QueryText {
    if !shown.is_usual() {
        for key in &shown.0 {
            query = query.with("cols", key);
        }
    }
    query
}

/// `GET /meters`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: MetersQuery = query(&uri)?;
    let shown = Shown::of(&uri);
    let now = console.now();
    let (page, choices) = futures_util::future::try_join(list(&console, &asked, now), async {
        Ok(views::choices(&console.db).await?)
    })
    .await?;
    let frame = Frame::of(&console, Section::Meters, "Meters").await?;
    let address = asked.address(&shown);
    let live = address.clone().with("cursor", &asked.cursor);
    let next = page
        .next
        .as_ref()
        .map(|cursor| address.clone().with("cursor", &cursor.to_string()).on("/meters"));
    html(&MetersPage {
        frame: frame.live("meters", live.as_str()),
        say: say(&asked, &page),
        csv: csv_address(&asked),
        q: asked.q.clone(),
        sort: asked.sort.clone(),
        kinds: options(Commodity::ALL.iter().map(|c| (c.word(), c.word())), &asked.kind),
        statuses: options(
            [("reporting", "reporting"), ("silent", "silent"), ("never-heard", "never heard")],
            &asked.status,
        ),
        issues: options(
            [
                ("any", "any open issue"),
                ("LEAK", "leak"),
                ("COMM", "communication"),
                ("METROLOGY", "metering part"),
                ("BATTERY", "battery"),
                ("DATA", "data"),
            ],
            &asked.issue,
        ),
        zones: named_options(&choices.zones, &asked.zone),
        routes: named_options(&choices.routes, &asked.route),
        collectors: named_options(&choices.collectors, &asked.collector),
        tags: tag_options(&choices, &asked.tag),
        columns: column_heads(&asked, &shown),
        rows: meter_rows(&page.items, shown, now, &console),
        next: next.unwrap_or_default(),
        first: if asked.cursor.is_empty() { String::new() } else { address.on("/meters") },
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let asked: MetersQuery = query(uri)?;
    let now = console.now();
    let page = list(console, &asked, now).await?;
    Ok(vec![meter_rows(&page.items, Shown::of(uri), now, console).render()?])
}

async fn list(
    console: &ConsoleState,
    asked: &MetersQuery,
    now: UtcTime,
) -> Result<Page<MeterRow>, Refusal> {
    let (filter, cursor) = (asked.filter()?, cursor(&asked.cursor)?);
    let order = (asked.order(), cursor.as_ref());
    Ok(views::list(&console.db, &filter, order, ROWS, now).await?)
}

fn meter_rows(
    items: &[MeterRow],
    columns: Shown,
    now: UtcTime,
    console: &ConsoleState,
) -> MeterRows {
    MeterRows {
        rows: items.iter().map(|row| MeterLine::of(row, now, console)).collect(),
        columns,
        empty: "No meter fits these filters. Clear some, or provision meters with \
                “headend meters provision FILE.csv”.",
    }
}

fn say(asked: &MetersQuery, page: &Page<MeterRow>) -> String {
    let shown = i64::try_from(page.items.len()).unwrap_or(i64::MAX);
    let more = if page.next.is_some() { ", more follow" } else { "" };
    let filtered =
        if asked.filters() == QueryText::default() { "" } else { " that fit the filters" };
    let page_words = if asked.cursor.is_empty() { "" } else { " on this page" };
    format!("{}{filtered}{page_words}{more}.", words::count(shown, "meter", "meters"))
}

/// The meters that fit the filters, as a file of the API.
fn csv_address(asked: &MetersQuery) -> String {
    QueryText::default()
        .with("q", &asked.q)
        .with("commodity", &asked.kind)
        .with("zone", &asked.zone)
        .with("route", &asked.route)
        .with("collector", &asked.collector)
        .with("tag", &asked.tag)
        .with("issue", &asked.issue)
        .with("status", &asked.status.replace('-', "_"))
        .on("/api/v1/meters.csv")
}

fn tag_options(choices: &FilterChoices, chosen: &str) -> Vec<SelectOption> {
    options(choices.tags.iter().map(|tag| (tag.as_str(), tag.as_str())), chosen)
}

fn column_heads(asked: &MetersQuery, shown: &Shown) -> Vec<ColumnHead> {
    COLUMNS
        .iter()
        .map(|(key, word, number, _, sort)| ColumnHead {
            key,
            word,
            number: *number,
            shown: shown.has(key),
            href: if sort.is_empty() {
                String::new()
            } else {
                with_columns(asked.filters().with("sort", sort), shown).on("/meters")
            },
            sorted: !sort.is_empty() && asked.sort == *sort,
        })
        .collect()
}
