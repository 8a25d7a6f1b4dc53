//! What rules in shadow would have said: a list beside the issues, which opens none.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::UtcTime;
use serde::Deserialize;
use store::views::rules::{self as views, ShadowAlert};

use super::rules::views_of;
use super::{Answer, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section, segment};
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;

const SHOWN: u32 = 200;

#[derive(Template)]
#[template(path = "rule_shadow.html")]
struct ShadowPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    rules: Vec<Choice>,
    rows: Vec<ShadowLine>,
}

struct ShadowLine {
    subject: String,
    href: String,
    rule: String,
    rule_href: String,
    cause: String,
    level: Level,
    raised: String,
    state: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ShadowQuery {
    /// Only of this rule.
    rule: String,
}

/// `GET /rules/shadow`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: ShadowQuery = query(&uri)?;
    let now = console.now();
    let rule = Some(asked.rule.as_str()).filter(|rule| !rule.is_empty());
    let (all, version) = futures_util::future::try_join(
        views::shadow(&console.db, None, SHOWN),
        store::rules::shadow(&console.db),
    )
    .await?;
    let rows = match rule {
        None => all.clone(),
        some => views::shadow(&console.db, some, SHOWN).await?,
    };
    html(&ShadowPage {
        frame: Frame::of(&console, Section::Rules, "Shadow").await?,
        say: match version {
            Some(row) => format!(
                "Version {} runs beside the active one since {}. What it says opens no issue.",
                row.version,
                words::stamp(row.applied_at, now, console.calendar.zone())
            ),
            None => {
                "No version runs in shadow. What single rules in shadow mode say opens no issue."
                    .to_owned()
            }
        },
        views: views_of("/rules/shadow"),
        rules: chips(&all, rule),
        rows: rows.iter().map(|row| ShadowLine::of(row, now, &console)).collect(),
    })
}

/// The rules of the list, each with its count.
fn chips(all: &[ShadowAlert], chosen: Option<&str>) -> Vec<Choice> {
    let mut names: Vec<&str> = all.iter().map(|row| row.rule.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let path = "/rules/shadow";
    let every = Choice {
        href: path.to_owned(),
        word: "All".to_owned(),
        count: None,
        current: chosen.is_none(),
    };
    let one = |name: &str| Choice {
        href: QueryText::default().with("rule", name).on(path),
        word: name.to_owned(),
        count: None,
        current: chosen == Some(name),
    };
    std::iter::once(every).chain(names.into_iter().map(one)).collect()
}

impl ShadowLine {
    fn of(row: &ShadowAlert, now: UtcTime, console: &ConsoleState) -> Self {
        let zone = console.calendar.zone();
        let place = match row.subject {
            metering::Subject::Meter(_) => "/meters/",
            metering::Subject::Collector(_) => "/collectors/",
            metering::Subject::Zone(_) => "/zones/",
            metering::Subject::Transformer(_) => "/transformers/",
            metering::Subject::Headend => "",
        };
        let href = match place {
            "" => String::new(),
            place => format!("{place}{}", segment(&row.subject_name)),
        };
        let known = rule_words::by_id(&row.rule);
        Self {
            subject: row.subject_name.clone(),
            href,
            rule: row.rule.clone(),
            rule_href: known.map(|(_, text)| format!("/rules/{}", text.id)).unwrap_or_default(),
            cause: causes::title(&row.cause),
            level: row.severity.into(),
            raised: words::stamp(row.raised_at, now, zone),
            state: match row.cleared_at {
                Some(at) => format!("over since {}", words::stamp(at, now, zone)),
                None => "holds".to_owned(),
            },
        }
    }
}
