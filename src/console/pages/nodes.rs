//! The zones and the transformers: which of them is in trouble?

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use serde::Deserialize;
use store::views::node_list::{self as views, NodeKind, NodeLine, NodeList};

use super::{Answer, ROWS, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section, segment};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "nodes.html")]
struct NodesPage {
    frame: Frame,
    /// `Zones` or `Transformers`.
    title: &'static str,
    path: &'static str,
    views: Vec<Choice>,
    say: String,
    q: String,
    rows: NodeRows,
    next: String,
    first: String,
}

#[derive(Template)]
#[template(path = "node_rows.html")]
struct NodeRows {
    zones: bool,
    rows: Vec<Line>,
    empty: &'static str,
}

struct Line {
    key: String,
    code: String,
    href: String,
    name: String,
    /// What kind of zone, or in which zone a transformer stands.
    place: String,
    place_href: String,
    meters: String,
    reporting: String,
    reporting_low: bool,
    measured: &'static str,
    issues: i64,
    worst: Option<Level>,
    own: Option<(i64, Level, String)>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodesQuery {
    q: String,
    /// Rows left out, for further pages.
    skip: String,
}

impl NodesQuery {
    fn skip(&self) -> u32 {
        self.skip.parse().unwrap_or(0)
    }

    fn address(&self) -> QueryText {
        QueryText::default().with("q", &self.q)
    }

    async fn read(
        &self,
        console: &ConsoleState,
        kind: NodeKind,
        limit: u32,
    ) -> Result<NodeList, Refusal> {
        let q = (!self.q.is_empty()).then_some(self.q.as_str());
        Ok(views::list(&console.db, kind, q, (limit, self.skip()), console.now()).await?)
    }
}

/// `GET /zones`.
pub(in crate::console) async fn zones(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    page(&console, NodeKind::Zone, &uri).await
}

/// `GET /transformers`.
pub(in crate::console) async fn transformers(
    State(console): State<ConsoleState>,
    uri: Uri,
) -> Answer {
    page(&console, NodeKind::Transformer, &uri).await
}

async fn page(console: &ConsoleState, kind: NodeKind, uri: &Uri) -> Answer {
    let asked: NodesQuery = query(uri)?;
    let mut list = asked.read(console, kind, ROWS + 1).await?;
    let more = list.rows.len() > ROWS as usize;
    list.rows.truncate(ROWS as usize);
    let (title, path, view) = named(kind);
    let on = asked.address().with("skip", &(asked.skip() + ROWS).to_string()).on(path);
    let live = asked.address().with("skip", &asked.skip);
    let choice = |kind: NodeKind| {
        let (word, href, _) = named(kind);
        Choice { href: href.to_owned(), word: word.to_owned(), count: None, current: href == path }
    };
    html(&NodesPage {
        frame: Frame::of(console, Section::Fleet, title).await?.live(view, live.as_str()),
        title,
        path,
        views: [NodeKind::Zone, NodeKind::Transformer].map(choice).to_vec(),
        say: say(kind, &list, &asked),
        q: asked.q.clone(),
        rows: node_rows(kind, &list, &asked),
        next: if more { on } else { String::new() },
        first: if asked.skip() == 0 { String::new() } else { asked.address().on(path) },
    })
}

/// What moves on a list.
pub(super) async fn fragments(
    console: &ConsoleState,
    kind: NodeKind,
    uri: &Uri,
) -> Result<Vec<String>, Refusal> {
    let asked: NodesQuery = query(uri)?;
    let list = asked.read(console, kind, ROWS).await?;
    Ok(vec![node_rows(kind, &list, &asked).render()?])
}

/// Title, address and name of the live view.
const fn named(kind: NodeKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        NodeKind::Zone => ("Zones", "/zones", "zones"),
        NodeKind::Transformer => ("Transformers", "/transformers", "transformers"),
    }
}

fn say(kind: NodeKind, list: &NodeList, asked: &NodesQuery) -> String {
    let (one, many) = match kind {
        NodeKind::Zone => ("zone", "zones"),
        NodeKind::Transformer => ("transformer", "transformers"),
    };
    let which = if asked.q.is_empty() { "" } else { " found" };
    match (list.nodes, list.troubled) {
        (0, _) if asked.q.is_empty() && asked.skip() == 0 => format!("No {one} is recorded."),
        (0, _) => format!("No {one} is listed here."),
        (all, 0) => format!("{}{which}; none has an open issue.", words::count(all, one, many)),
        (all, n) => format!(
            "{}{which}; {} with open issues, the worst first.",
            words::count(all, one, many),
            words::thousands(n)
        ),
    }
}

fn node_rows(kind: NodeKind, list: &NodeList, asked: &NodesQuery) -> NodeRows {
    let empty = match (asked.q.is_empty(), kind) {
        (false, _) => "No code or name holds this text.",
        (true, NodeKind::Zone) => "No zone yet: zones come with the first provisioned meters.",
        (true, NodeKind::Transformer) => {
            "No transformer yet: they come with the provisioning file, in the column of the \
             transformer."
        }
    };
    NodeRows {
        zones: kind == NodeKind::Zone,
        rows: list.rows.iter().map(|row| Line::of(kind, row)).collect(),
        empty,
    }
}

impl Line {
    fn of(kind: NodeKind, row: &NodeLine) -> Self {
        let place = match row.kind.as_str() {
            "dma" => "district metered area",
            "transformer" => row.zone_code.as_str(),
            other => other,
        };
        Self {
            key: segment(&row.code),
            code: row.code.clone(),
            href: format!("{}/{}", named(kind).1, segment(&row.code)),
            name: if row.name == row.code { String::new() } else { row.name.clone() },
            place: place.to_owned(),
            place_href: if row.zone_code.is_empty() {
                String::new()
            } else {
                format!("/zones/{}", segment(&row.zone_code))
            },
            meters: words::thousands(row.meters),
            reporting: if row.meters > 0 {
                words::percent(row.reporting, row.meters)
            } else {
                String::new()
            },
            reporting_low: row.meters > 0 && row.reporting * 100 < row.meters * 90,
            measured: if row.measuring > 0 { "yes" } else { "no" },
            issues: row.issues,
            worst: row.worst.map(Level::from),
            own: row.own.as_ref().map(|(number, severity, cause)| {
                (*number, (*severity).into(), causes::title(cause))
            }),
        }
    }
}
