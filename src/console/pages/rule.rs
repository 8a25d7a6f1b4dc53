//! One rule: what it says, every number that it compares with, and what it said lately.

use askama::Template;
use axum::extract::{Path, State};
use metering::{RuleNo, UtcTime};
use store::views::rules::{self as views, RuleActivity, RuleAlert};

use super::{Answer, html};
use crate::console::causes;
use crate::console::frame::{Frame, Level, Section};
use crate::console::refusal::Refusal;
use crate::console::rule_facts::{Param, RuleFacts, Rulebook};
use crate::console::rule_words::{self, RuleText};
use crate::console::state::ConsoleState;
use crate::console::words;

use super::rules::LATELY_D;

const ALERTS_MAX: u32 = 20;
const DAY_S: i64 = 86_400;

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    frame: Frame,
    no: u8,
    id: &'static str,
    title: &'static str,
    says: &'static str,
    group: &'static str,
    group_key: &'static str,
    tags: Vec<&'static str>,
    bundle: String,
    params: Vec<Param>,
    no_params: &'static str,
    alerts: Vec<AlertLine>,
    alerts_max: u32,
    no_alerts: &'static str,
    facts: Vec<(&'static str, String)>,
}

struct AlertLine {
    issue: Option<i64>,
    subject: String,
    cause: String,
    level: Level,
    fact: String,
    raised: String,
    state: &'static str,
}

/// `GET /rules/{id}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
) -> Answer {
    let unknown =
        || Refusal::not_found("There is no rule of that name: choose one of the catalogue.");
    let (group, text) = rule_words::by_id(&id).ok_or_else(unknown)?;
    let number = RuleNo::new(text.no).ok_or_else(unknown)?;
    let now = console.now();
    let since = now.plus_seconds(-LATELY_D * DAY_S);
    let (frame, book, activity, alerts) = futures_util::future::try_join4(
        Frame::of(&console, Section::Rules, text.title),
        Rulebook::active(&console),
        async { Ok(views::activity(&console.db, since).await?) },
        async { Ok(views::recent(&console.db, number, ALERTS_MAX).await?) },
    )
    .await?;
    let facts = book.facts(text);
    let busy = activity.iter().find(|row| row.rule_no == number);
    html(&RulePage {
        frame,
        no: text.no,
        id: text.id,
        title: text.title,
        says: text.says,
        group: group.title,
        group_key: group.key,
        tags: vec![facts.mode],
        bundle: words::sentence_case(book.version()),
        facts: glance(text, &facts, busy, (now, &console)),
        params: facts.params,
        no_params: "It compares with no number of its own.",
        alerts: alerts.iter().map(|alert| AlertLine::of(alert, now, &console)).collect(),
        alerts_max: ALERTS_MAX,
        no_alerts: "This rule has raised no alert.",
    })
}

fn glance(
    text: &RuleText,
    facts: &RuleFacts,
    busy: Option<&RuleActivity>,
    (now, console): (UtcTime, &ConsoleState),
) -> Vec<(&'static str, String)> {
    let stamp = |at: UtcTime| words::stamp(at, now, console.calendar.zone());
    let count = |pick: fn(&RuleActivity) -> i64| words::thousands(busy.map_or(0, pick));
    let mut all = facts.glance();
    all.extend([
        ("Over when", text.clears.to_owned()),
        ("Fired in 30 days", count(|row| row.raised)),
        ("Taken back", count(|row| row.retracted)),
        ("Hold now", count(|row| row.active)),
        ("Last", busy.and_then(|row| row.last_raised).map_or_else(|| "never".to_owned(), stamp)),
    ]);
    all
}

impl AlertLine {
    fn of(alert: &RuleAlert, now: UtcTime, console: &ConsoleState) -> Self {
        let state = match (alert.retracted_at, alert.cleared_at) {
            (Some(_), _) => "taken back",
            (None, Some(_)) => "over",
            (None, None) => "holds",
        };
        Self {
            issue: alert.issue_number,
            subject: alert.subject_name.clone(),
            cause: causes::title(&alert.cause),
            level: alert.severity.into(),
            fact: causes::snippet(&alert.evidence),
            raised: words::stamp(alert.raised_at, now, console.calendar.zone()),
            state,
        }
    }
}
