//! One issue: what is wrong in plain words, why we think so, what was done, and what can be done.

use alerts::issue::{Actor, allowed};
use askama::Template;
use axum::extract::{Path, State};
use futures_util::future::try_join3;
use metering::{Severity, Subject, UtcTime};
use store::views::collectors::{self, CollectorRow};
use store::views::issues::{self as views, IssueDetail, RankedCause};
use store::views::meters::{self, MeterDetail};
use store::views::orders;

use super::issue_chart::{self, EvidenceCard};
use super::issue_words::{
    alert_words, collector_facts, evidence_words, likelihoods, log_words, meter_facts, next_words,
    say,
};
use super::issue_work::Work;
use super::issues::{IssueLine, state_words, subject_href};
use super::{Answer, html};
use crate::console::causes;
use crate::console::frame::{Frame, Level, Section, segment};
use crate::console::refusal::Refusal;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Other issues of a subject that are offered for merging.
const OTHERS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "issue.html")]
struct IssuePage {
    frame: Frame,
    acts: Acts,
    evidence: Option<EvidenceCard>,
    side: Side,
    head: HeadLine,
    work: Work,
    children: Children,
    timeline: Timeline,
}

/// Title and sentence; sent again when the state changes.
#[derive(Template)]
#[template(path = "issue_head.html")]
struct HeadLine {
    number: i64,
    level: Level,
    title: String,
    subject: String,
    subject_href: String,
    state: String,
    acknowledged: String,
    say: String,
    assignee: String,
    parent: Option<(i64, String)>,
    merged: Option<i64>,
}

#[derive(Template)]
#[template(path = "issue_acts.html")]
struct Acts {
    number: i64,
    state: String,
    closed: bool,
    acknowledged: bool,
    assignee: String,
    /// The table of states lets it be merged into another.
    mergeable: bool,
    /// Other open issues of the subject, and what holds this one back: number and title.
    others: Vec<(i64, String)>,
    snooze: Vec<(i64, &'static str)>,
    findings: Vec<(&'static str, String, bool)>,
}

/// Causes, facts and the subject.
struct Side {
    ranked: Vec<(String, String)>,
    rule: String,
    /// The page of the rule; empty for an operator's own rule.
    rule_href: String,
    facts: Vec<(String, String)>,
    subject_title: String,
    subject: Vec<(&'static str, String)>,
    subject_href: String,
}

#[derive(Template)]
#[template(path = "issue_children.html")]
struct Children {
    rows: Vec<IssueLine>,
}

#[derive(Template)]
#[template(path = "issue_timeline.html")]
struct Timeline {
    entries: Vec<TimelineEntry>,
}

struct TimelineEntry {
    at: String,
    iso: String,
    text: String,
    quote: String,
    /// Not yet: what comes next.
    next: bool,
}

/// `GET /issues/{number}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(number): Path<String>,
) -> Answer {
    let detail = read(&console, parse_number(&number)?).await?;
    let now = console.now();
    let title = format!("Issue {} {}", detail.row.number, causes::title(&detail.row.cause));
    let (frame, meter, collector) = try_join3(
        Frame::of(&console, Section::Issues, title),
        meter_of(&console, &detail),
        collector_of(&console, &detail),
    )
    .await?;
    let work = Work::of(&console, &detail).await?;
    let others = others(&console, &detail).await?;
    let evidence = match &meter {
        Some(meter) => issue_chart::card(&console, &detail, meter).await?,
        None => None,
    };
    html(&IssuePage {
        frame: frame.live("issue", &format!("key={}", detail.row.number)),
        acts: Acts::of(&detail, others),
        side: Side::of(&detail, meter.as_ref(), collector.as_ref(), (now, &console)),
        head: HeadLine { merged: work.merged(), ..HeadLine::of(&detail, now, &console) },
        work,
        children: Children::of(&detail, now, &console),
        timeline: Timeline::of(&detail, now, &console),
        evidence,
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, number: i64) -> Result<Vec<String>, Refusal> {
    let detail = read(console, number).await?;
    let now = console.now();
    let facts = orders::facts(&console.db, number, now).await?;
    let head = HeadLine { merged: facts.merged_into, ..HeadLine::of(&detail, now, console) };
    let mut parts = vec![
        head.render()?,
        Acts::of(&detail, others(console, &detail).await?).render()?,
        Timeline::of(&detail, now, console).render()?,
        Children::of(&detail, now, console).render()?,
    ];
    if let Some(meter) = meter_of(console, &detail).await?
        && let Some(card) = issue_chart::card(console, &detail, &meter).await?
    {
        parts.push(card.render()?);
    }
    Ok(parts)
}

pub(super) fn parse_number(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::not_found("Issues are known by their number: choose one from the list.")
    })
}

async fn read(console: &ConsoleState, number: i64) -> Result<IssueDetail, Refusal> {
    let found = views::by_number(&console.db, number).await?;
    found.ok_or_else(|| Refusal::not_found(format!("There is no issue {number}.")))
}

/// What this issue may be a duplicate of: its parent, and what else is open of its subject.
async fn others(
    console: &ConsoleState,
    detail: &IssueDetail,
) -> Result<Vec<(i64, String)>, Refusal> {
    let row = &detail.row;
    let rows = views::of_subject(&console.db, row.subject).await?;
    let parent = detail.parent.iter().map(|parent| {
        (parent.number, format!("{} {}", causes::title(&parent.cause), parent.subject_name))
    });
    let open = rows
        .iter()
        .filter(|other| other.number != row.number && !causes::is_closed(&other.state))
        .map(|other| (other.number, causes::title(&other.cause)))
        .take(OTHERS_MAX);
    Ok(parent.chain(open).collect())
}

async fn meter_of(
    console: &ConsoleState,
    detail: &IssueDetail,
) -> Result<Option<MeterDetail>, Refusal> {
    match detail.row.subject {
        Subject::Meter(_) => {
            Ok(meters::by_number(&console.db, &detail.row.subject_name, console.now()).await?)
        }
        _ => Ok(None),
    }
}

async fn collector_of(
    console: &ConsoleState,
    detail: &IssueDetail,
) -> Result<Option<CollectorRow>, Refusal> {
    match detail.row.subject {
        Subject::Collector(_) => {
            let name = &detail.row.subject_name;
            let found = collectors::by_code(&console.db, name, console.now()).await?;
            Ok(found.map(|found| found.row))
        }
        _ => Ok(None),
    }
}

impl HeadLine {
    fn of(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> Self {
        let row = &detail.row;
        let state = state_words(row, now, console);
        let by = row.acknowledged_by.as_ref().map(|by| format!("acknowledged by {by}"));
        // One tag where two would say the same.
        let (state, acknowledged) = match (row.state.as_str(), by) {
            ("OPEN", Some(by)) if row.snoozed_until.is_none_or(|until| until <= now) => {
                (by, String::new())
            }
            ("DETECTED", None) => ("not acknowledged".to_owned(), String::new()),
            (_, Some(by)) => (state, by),
            (_, None) => (state, String::new()),
        };
        Self {
            number: row.number,
            level: row.severity.into(),
            title: causes::title(&row.cause),
            subject: row.subject_name.clone(),
            subject_href: subject_href(row),
            state,
            acknowledged,
            say: say(detail, now, console),
            assignee: row.assignee.clone().unwrap_or_default(),
            merged: None,
            parent: detail.parent.as_ref().map(|parent| {
                (parent.number, format!("{} {}", causes::title(&parent.cause), parent.subject_name))
            }),
        }
    }
}

impl Acts {
    fn of(detail: &IssueDetail, others: Vec<(i64, String)>) -> Self {
        let row = &detail.row;
        let state: Option<alerts::issue::State> = row.state.parse().ok();
        let snooze = match row.severity {
            // A critical issue must not be forgotten over a shift.
            Severity::P1 => vec![(1_800, "30 min"), (3_600, "1 h")],
            _ => vec![(14_400, "4 h"), (86_400, "1 day"), (259_200, "3 days"), (604_800, "7 days")],
        };
        let likely = detail.identified_cause.as_ref().unwrap_or(&detail.cause_detected);
        let mut findings = causes::findings(&row.family);
        if findings.iter().all(|(word, _)| word != likely)
            && let Some(known) = alerts::Cause::ALL.iter().find(|cause| cause.word() == likely)
        {
            findings.insert(0, (known.word(), causes::title(likely)));
        }
        Self {
            number: row.number,
            state: row.state.clone(),
            closed: causes::is_closed(&row.state),
            acknowledged: row.acknowledged_at.is_some(),
            assignee: row.assignee.clone().unwrap_or_default(),
            mergeable: state.is_some_and(|state| {
                allowed(Some(state), alerts::issue::State::Merged, Actor::User)
            }),
            others,
            snooze,
            findings: findings
                .into_iter()
                .map(|(word, said)| (word, said, word == likely))
                .collect(),
        }
    }
}

impl Side {
    fn of(
        detail: &IssueDetail,
        meter: Option<&MeterDetail>,
        collector: Option<&CollectorRow>,
        (now, console): (UtcTime, &ConsoleState),
    ) -> Self {
        let row = &detail.row;
        let rule = match detail.rule_no {
            Some(number) => format!("{} (#{})", detail.rule, number.get()),
            None => detail.rule.clone(),
        };
        let subject = match (meter, collector) {
            (Some(meter), _) => meter_facts(meter, (now, console)),
            (None, Some(collector)) => collector_facts(collector, (now, console)),
            (None, None) => Vec::new(),
        };
        let kind = match row.subject {
            Subject::Meter(_) => "Meter ",
            Subject::Collector(_) => "Collector ",
            Subject::Transformer(_) => "Transformer ",
            Subject::Zone(_) => "Zone ",
            Subject::Headend => "",
        };
        let odds: Vec<i16> = detail.ranked.iter().map(|one| one.log_odds_x100).collect();
        let title = |ranked: &RankedCause| causes::title(&ranked.cause);
        Self {
            ranked: detail.ranked.iter().map(title).zip(likelihoods(&odds)).collect(),
            rule,
            rule_href: rule_words::by_id(&detail.rule)
                .map(|(_, text)| format!("/rules/{}", text.id))
                .unwrap_or_default(),
            facts: issue_chart::evidence_of(detail)
                .iter()
                .filter(|fact| !matches!(fact.key.as_str(), "condition" | "channel"))
                .map(|fact| evidence_words((&detail.rule, fact), now, console))
                .collect(),
            subject_title: format!("{kind}{}", row.subject_name),
            subject,
            subject_href: subject_href(row),
        }
    }
}

impl Children {
    fn of(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> Self {
        Self { rows: detail.children.iter().map(|row| IssueLine::of(row, now, console)).collect() }
    }
}

impl Timeline {
    /// Everything that happened, oldest first, then what is expected next.
    fn of(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> Self {
        let row = &detail.row;
        let zone = console.calendar.zone();
        let entry = |at: UtcTime, text: String, quote: String| TimelineEntry {
            at: words::stamp(at, now, zone),
            iso: words::iso(at, zone),
            text,
            quote,
            next: false,
        };
        let mut all: Vec<(UtcTime, TimelineEntry)> = vec![(
            row.condition_start,
            entry(row.condition_start, "The condition began".to_owned(), String::new()),
        )];
        for alert in &detail.alerts {
            for (at, text) in alert_words(alert) {
                all.push((at, entry(at, text, String::new())));
            }
        }
        for log in &detail.log {
            let (text, quote) = log_words(log);
            let local = |text: String| words::localised(&text, now, zone);
            all.push((log.at, entry(log.at, local(text), local(quote))));
        }
        all.sort_by_key(|(at, _)| *at);
        let mut entries: Vec<TimelineEntry> = all.into_iter().map(|(_, entry)| entry).collect();
        entries.extend(next_words(detail).into_iter().map(|(when, text)| TimelineEntry {
            at: when.to_owned(),
            iso: String::new(),
            text: text.to_owned(),
            quote: String::new(),
            next: true,
        }));
        Self { entries }
    }
}

/// The page of an issue.
pub(super) fn address(number: i64) -> String {
    format!("/issues/{}", segment(&number.to_string()))
}
