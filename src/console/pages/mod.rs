//! The pages, one file per subject, and which of them are live.

mod alarm_words;
pub(super) mod alarms;
pub(super) mod backtest;
pub(super) mod collectors;
pub(super) mod commissioning;
pub(super) mod dead_letters;
pub(super) mod error;
pub(super) mod estimate;
pub(super) mod estimates;
pub(super) mod file;
pub(super) mod files;
pub(super) mod fleet;
mod fleet_rate;
pub(super) mod issue;
pub(super) mod issue_acts;
mod issue_chart;
mod issue_words;
pub(super) mod issue_work;
pub(super) mod issues;
pub(super) mod meter;
mod meter_chart;
mod meter_configuration;
mod meter_line;
mod meter_range;
mod meter_tabs;
pub(super) mod meters;
pub(super) mod modbus;
pub(super) mod node;
pub(super) mod nodes;
mod payload;
pub(super) mod payloads;
pub(super) mod reading_acts;
pub(super) mod reading_day;
mod reading_methods;
mod reading_words;
pub(super) mod readings;
pub(super) mod rule;
pub(super) mod rule_numbers;
pub(super) mod rule_shadow;
pub(super) mod rule_versions;
pub(super) mod rules;
pub(super) mod search;
pub(super) mod system;
pub(super) mod uploads;

use askama::Template;
use axum::extract::Query;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::views::node_list::NodeKind;

use super::frame::{Section, nav_fragment};
use super::refusal::Refusal;
use super::state::ConsoleState;

/// What a handler of a page returns.
pub(super) type Answer = Result<Response, Refusal>;

/// A template as an answer.
pub(super) fn html(template: &impl Template) -> Answer {
    Ok(Html(template.render()?).into_response())
}

/// The parameters of an address.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    Query::try_from_uri(uri).map(|Query(read)| read).map_err(|error| {
        Refusal::bad_request(format!(
            "The address holds a parameter that cannot be read: {}. Take the filters of the page.",
            error.body_text()
        ))
    })
}

/// A list of meters behind one page number and so on: rows of one screen of a table.
pub(super) const ROWS: u32 = 50;

/// An open page, as its stream knows it.
#[derive(Clone, Debug)]
pub(super) enum View {
    Fleet(Uri),
    Issues(Uri),
    Issue(i64),
    Meters(Uri),
    Meter(String, Uri),
    Readings(Uri),
    Alarms,
    Collectors,
    Collector(String),
    Nodes(NodeKind, Uri),
    Commissioning(Uri),
    DeadLetters(Uri),
    System,
}

#[derive(Deserialize)]
struct ViewQuery {
    view: String,
    #[serde(default)]
    key: String,
}

impl View {
    /// From the address of a stream: `view`, its `key`, and the page's own parameters.
    pub(super) fn parse(uri: &Uri) -> Result<Self, Refusal> {
        let asked: ViewQuery = query(uri)?;
        Ok(match asked.view.as_str() {
            "fleet" => Self::Fleet(uri.clone()),
            "issues" => Self::Issues(uri.clone()),
            "issue" => Self::Issue(
                asked
                    .key
                    .parse()
                    .map_err(|_| Refusal::bad_request("The key of an issue is its number."))?,
            ),
            "meters" => Self::Meters(uri.clone()),
            "meter" => Self::Meter(asked.key, uri.clone()),
            "alarms" => Self::Alarms,
            "readings" => Self::Readings(uri.clone()),
            "collectors" => Self::Collectors,
            "collector" => Self::Collector(asked.key),
            "zones" => Self::Nodes(NodeKind::Zone, uri.clone()),
            "transformers" => Self::Nodes(NodeKind::Transformer, uri.clone()),
            "commissioning" => Self::Commissioning(uri.clone()),
            "dead-letters" => Self::DeadLetters(uri.clone()),
            "system" => Self::System,
            _ => return Err(Refusal::not_found("There is no such live page.")),
        })
    }

    /// The parts of the page that move, always in the same order; first the navigation.
    pub(super) async fn fragments(&self, console: &ConsoleState) -> Result<Vec<String>, Refusal> {
        let (section, own) = match self {
            Self::Fleet(uri) => (Section::Fleet, fleet::fragments(console, uri).await?),
            Self::Issues(uri) => (Section::Issues, issues::fragments(console, uri).await?),
            Self::Issue(number) => (Section::Issues, issue::fragments(console, *number).await?),
            Self::Meters(uri) => (Section::Meters, meters::fragments(console, uri).await?),
            Self::Meter(number, uri) => {
                (Section::Meters, meter::fragments(console, number, uri).await?)
            }
            Self::Alarms => (Section::Alarms, alarms::fragments(console).await?),
            Self::Readings(uri) => (Section::Readings, readings::fragments(console, uri).await?),
            Self::Collectors => (Section::Collectors, collectors::fragments(console).await?),
            Self::Collector(code) => {
                (Section::Collectors, collectors::detail_fragments(console, code).await?)
            }
            Self::Nodes(kind, uri) => {
                (Section::Fleet, nodes::fragments(console, *kind, uri).await?)
            }
            Self::Commissioning(uri) => {
                (Section::Commissioning, commissioning::fragments(console, uri).await?)
            }
            Self::DeadLetters(uri) => {
                (Section::DeadLetters, dead_letters::fragments(console, uri).await?)
            }
            Self::System => (Section::System, system::fragments(console).await?),
        };
        let mut all = vec![nav_fragment(console, section).await?];
        all.extend(own);
        Ok(all)
    }
}
