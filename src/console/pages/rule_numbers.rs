//! Every number that a rule compares with, and whether a standard or we ourselves chose it.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use serde::Deserialize;

use super::rules::views_of;
use super::{Answer, html, query};
use crate::console::frame::{Choice, Frame, QueryText, Section};
use crate::console::rule_facts::{Param, Rulebook};
use crate::console::state::ConsoleState;

const PATH: &str = "/rules/numbers";

#[derive(Template)]
#[template(path = "rule_numbers.html")]
struct NumbersPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    marks: Vec<Choice>,
    rows: Vec<Param>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NumbersQuery {
    /// `std`, `default` or `changed`.
    mark: String,
}

/// `GET /rules/numbers`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: NumbersQuery = query(&uri)?;
    let book = Rulebook::active(&console).await?;
    let of = |mark: &str| -> Vec<Param> {
        let wanted = |param: &&Param| match mark {
            "std" => param.standard,
            "default" => !param.standard,
            "changed" => param.changed,
            _ => true,
        };
        book.params().filter(wanted).cloned().collect()
    };
    let choice = |(mark, word): (&str, &str)| Choice {
        href: match mark {
            "" => PATH.to_owned(),
            mark => QueryText::default().with("mark", mark).on(PATH),
        },
        word: word.to_owned(),
        count: i64::try_from(of(mark).len()).ok(),
        current: asked.mark == mark,
    };
    let marks = [
        ("", "All"),
        ("std", "From a standard"),
        ("default", "Our own default"),
        ("changed", "Changed here"),
    ];
    html(&NumbersPage {
        frame: Frame::of(&console, Section::Rules, "Numbers of the rules").await?,
        say: format!(
            "What the rules compare with under {}. “Default” is our own choice, not from a standard.",
            book.version()
        ),
        views: views_of(PATH),
        marks: marks.into_iter().map(choice).collect(),
        rows: of(&asked.mark),
    })
}
