//! The catalogue: every rule by chapter, what it looks for, and how busy it was.

use std::collections::BTreeMap;

use alerts::Mode;
use alerts::bundle::CustomRule;
use askama::Template;
use axum::extract::State;
use metering::UtcTime;
use store::views::rules::{self as views, RuleActivity};

use super::{Answer, html};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Section};
use crate::console::rule_facts::{RuleFacts, Rulebook};
use crate::console::rule_words::{self, RuleText};
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::rules;

const DAY_S: i64 = 86_400;
/// How far back "fired" looks.
pub(super) const LATELY_D: i64 = 30;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    groups: Vec<GroupLine>,
    /// Rules that operators wrote, of the active version.
    own: Vec<OwnLine>,
}

struct OwnLine {
    id: String,
    name: String,
    scope: String,
    when: String,
    mode: &'static str,
    severity: String,
    opens: String,
    said: String,
}

struct GroupLine {
    key: &'static str,
    title: &'static str,
    rules: Vec<RuleLine>,
}

struct RuleLine {
    no: u8,
    id: &'static str,
    title: &'static str,
    says: &'static str,
    mode: &'static str,
    numbers: usize,
    own: usize,
    raised: String,
    active: String,
    last: String,
}

/// The pages about rules, as chips.
pub(super) fn views_of(current: &str) -> Vec<Choice> {
    let known = [
        ("/rules", "Catalogue"),
        ("/rules/numbers", "Numbers"),
        ("/rules/versions", "Versions"),
        ("/rules/shadow", "Shadow"),
        ("/rules/backtest", "Backtest"),
    ];
    let choice = |(href, word): (&str, &str)| Choice {
        href: href.to_owned(),
        word: word.to_owned(),
        count: None,
        current: href == current,
    };
    known.into_iter().map(choice).collect()
}

/// `GET /rules`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>) -> Answer {
    let now = console.now();
    let since = now.plus_seconds(-LATELY_D * DAY_S);
    let (frame, activity, book) = futures_util::future::try_join3(
        Frame::of(&console, Section::Rules, "Rules"),
        async { Ok(views::activity(&console.db, since).await?) },
        Rulebook::active(&console),
    )
    .await?;
    let busy: BTreeMap<u8, RuleActivity> =
        activity.into_iter().map(|row| (row.rule_no.get(), row)).collect();
    let groups = rule_words::GROUPS
        .iter()
        .map(|group| GroupLine {
            key: group.key,
            title: group.title,
            rules: group
                .rules
                .iter()
                .map(|text| {
                    RuleLine::of(text, &book.facts(text), busy.get(&text.no), (now, &console))
                })
                .collect(),
        })
        .collect();
    let (_, bundle) = rules::active(&console.db).await?;
    let own = bundle.custom.iter().map(|rule| OwnLine::of(rule, &busy)).collect();
    html(&RulesPage { frame, say: say(&book, &busy), views: views_of("/rules"), groups, own })
}

fn say(book: &Rulebook, busy: &BTreeMap<u8, RuleActivity>) -> String {
    let live = rule_words::all().filter(|text| book.facts(text).mode == "live").count();
    let own = book.params().filter(|param| !param.standard).count();
    let all = book.params().count();
    let holding = busy.values().filter(|row| row.active > 0).count();
    format!(
        "{live} of {} rules are live under {}; {holding} of them hold alerts now. Of {all} numbers \
         {own} are our own defaults, not from a standard.",
        rule_words::all().count(),
        book.version(),
    )
}

impl OwnLine {
    fn of(rule: &CustomRule, busy: &BTreeMap<u8, RuleActivity>) -> Self {
        let live = rule.patch.mode == Some(Mode::Live);
        let off = rule.patch.enabled == Some(false);
        let raised = busy.get(&rule.id.no.get()).map_or(0, |row| row.raised);
        Self {
            id: rule.id.to_string(),
            name: rule.name.clone(),
            scope: rule.scope.as_ref().map(ToString::to_string).unwrap_or_default(),
            when: rule.when.to_string(),
            mode: match (off, live) {
                (true, _) => "off",
                (false, true) => "live",
                (false, false) => "shadow",
            },
            severity: rule.severity.to_string(),
            opens: causes::title(rule.opens.word()),
            said: if live { words::thousands(raised) } else { String::new() },
        }
    }
}

impl RuleLine {
    fn of(
        text: &'static RuleText,
        facts: &RuleFacts,
        busy: Option<&RuleActivity>,
        (now, console): (UtcTime, &ConsoleState),
    ) -> Self {
        let zero = String::new;
        let last = busy.and_then(|row| row.last_raised);
        Self {
            no: text.no,
            id: text.id,
            title: text.title,
            says: text.says,
            mode: facts.mode,
            numbers: facts.params.len(),
            own: facts.params.iter().filter(|param| !param.standard).count(),
            raised: busy.map_or_else(zero, |row| words::thousands(row.raised)),
            active: busy.map_or_else(zero, |row| words::thousands(row.active)),
            last: last.map(|at| words::stamp(at, now, console.calendar.zone())).unwrap_or_default(),
        }
    }
}
