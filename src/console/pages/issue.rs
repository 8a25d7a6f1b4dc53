//! One issue: what is wrong in plain words, why we think so, what was done, and what can be done.

use askama::Template;
use axum::extract::{Path, State};
use futures_util::future::try_join3;
use metering::{Severity, Subject, UtcTime};
use store::views::collectors::{self, CollectorRow};
use store::views::issues::{self as views, AlertRow, Evidence, IssueDetail, IssueLogRow};
use store::views::meters::{self, MeterDetail};

use super::issue_chart::{self, EvidenceCard};
use super::issues::{IssueLine, state_words, subject_href};
use super::{Answer, html};
use crate::console::causes;
use crate::console::frame::{Frame, Level, Section, segment};
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "issue.html")]
struct IssuePage {
    frame: Frame,
    acts: Acts,
    evidence: Option<EvidenceCard>,
    side: Side,
    head: HeadLine,
    children: Children,
    timeline: Timeline,
    collector: Vec<(&'static str, String)>,
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
    parent: Option<(i64, String)>,
}

#[derive(Template)]
#[template(path = "issue_acts.html")]
struct Acts {
    number: i64,
    state: String,
    closed: bool,
    acknowledged: bool,
    snooze: Vec<(i64, &'static str)>,
    findings: Vec<(&'static str, String, bool)>,
}

/// Causes, facts and the subject.
struct Side {
    ranked: Vec<(String, String)>,
    rule: String,
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
    let evidence = match &meter {
        Some(meter) => issue_chart::card(&console, &detail, meter).await?,
        None => None,
    };
    html(&IssuePage {
        frame: frame.live("issue", &format!("key={}", detail.row.number)),
        acts: Acts::of(&detail),
        side: Side::of(&detail, meter.as_ref(), collector.as_ref(), (now, &console)),
        head: HeadLine::of(&detail, now, &console),
        children: Children::of(&detail, now, &console),
        timeline: Timeline::of(&detail, now, &console),
        collector: collector.map(|row| collector_facts(&row, (now, &console))).unwrap_or_default(),
        evidence,
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, number: i64) -> Result<Vec<String>, Refusal> {
    let detail = read(console, number).await?;
    let now = console.now();
    let mut parts = vec![
        HeadLine::of(&detail, now, console).render()?,
        Acts::of(&detail).render()?,
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

async fn meter_of(
    console: &ConsoleState,
    detail: &IssueDetail,
) -> Result<Option<MeterDetail>, Refusal> {
    match detail.row.subject {
        Subject::Meter(_) => {
            Ok(meters::by_number(&console.db, &detail.row.subject_name, console.now()).await?)
        }
        Subject::Collector(_) | Subject::Headend => Ok(None),
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
        Subject::Meter(_) | Subject::Headend => Ok(None),
    }
}

impl HeadLine {
    fn of(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> Self {
        let row = &detail.row;
        let acknowledged = match (&row.acknowledged_by, causes::is_closed(&row.state)) {
            (Some(by), _) => format!("acknowledged by {by}"),
            (None, false) => "not acknowledged".to_owned(),
            (None, true) => String::new(),
        };
        Self {
            number: row.number,
            level: row.severity.into(),
            title: causes::title(&row.cause),
            subject: row.subject_name.clone(),
            subject_href: subject_href(row),
            state: state_words(row, now, console),
            acknowledged,
            say: say(detail, now, console),
            parent: detail.parent.as_ref().map(|parent| {
                (parent.number, format!("{} {}", causes::title(&parent.cause), parent.subject_name))
            }),
        }
    }
}

/// What is wrong, since when, how bad, and what it probably is.
fn say(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> String {
    let row = &detail.row;
    let zone = console.calendar.zone();
    let since = words::stamp(row.condition_start, now, zone);
    let lasted = words::age(row.condition_start, row.cleared_at.unwrap_or(now));
    let what = what_words(detail, (&since, &lasted), now, console);
    let held = match row.children {
        0 => String::new(),
        n => format!(" {} held back by it.", words::count(n, "meter is", "meters are")),
    };
    let over = match row.cleared_at {
        Some(at) => format!(" It has been over since {}.", words::stamp(at, now, zone)),
        None => String::new(),
    };
    let found = match &detail.identified_cause {
        Some(cause) if *cause != detail.cause_detected => {
            format!(" Found: {}.", causes::title(cause).to_lowercase())
        }
        _ => String::new(),
    };
    let meaning = causes::meaning(&row.cause);
    format!("{what}{held}{over} {meaning}{found}").trim_end().to_owned()
}

/// The condition in the words of its cause.
fn what_words(
    detail: &IssueDetail,
    (since, lasted): (&str, &str),
    now: UtcTime,
    console: &ConsoleState,
) -> String {
    let row = &detail.row;
    let zone = console.calendar.zone();
    let fact = |key: &str| causes::fact(&row.evidence, key).map(causes::said);
    let when =
        |key: &str| causes::instant(&row.evidence, key).map(|at| words::stamp(at, now, zone));
    let measured = fact("measured").unwrap_or_default();
    let limit = fact("threshold").map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    match row.cause.as_str() {
        "LEAK_CUSTOMER_SIDE" | "LEAK_INTERMITTENT" => format!(
            "Water has not stopped flowing since {since}, {lasted} by now; the least was \
             {measured}{limit}."
        ),
        "BURST_CUSTOMER_SIDE" => {
            format!("Since {since} water flows at {measured}{limit}, far above what is usual here.")
        }
        "HIGH_CONSUMPTION" | "LOW_CONSUMPTION" => {
            let day = causes::instant(&row.evidence, "window_from").unwrap_or(row.condition_start);
            let usual = fact("median").map(|usual| format!(", where {usual} is usual"));
            format!(
                "{} came to {measured}{}; it began {since}.",
                words::day(day, zone),
                usual.unwrap_or_default()
            )
        }
        "BATTERY_DEAD" => format!(
            "Nothing has been heard of this meter since {}; it had reported a low battery on {}.",
            when("window_from").unwrap_or_else(|| since.to_owned()),
            when("battery_low_at").unwrap_or_else(|| since.to_owned())
        ),
        "STOPPED_METER" => {
            format!("The meter answers but has counted nothing since {since}, {lasted} by now.")
        }
        "BATTERY_LOW" => format!("The module has reported a low battery since {since}."),
        "COLLECTOR_OUTAGE" | "BACKHAUL" => {
            format!("{} has been silent since {since}, {lasted} by now.", row.subject_name)
        }
        "HEADEND_OUTAGE" => format!("Nothing has arrived from any device since {since}."),
        _ if row.family == "COMM" => {
            format!("Nothing has been heard of this meter since {since}, {lasted} by now.")
        }
        _ if measured.is_empty() => format!("It began {since} and has lasted {lasted}."),
        _ => format!("It began {since} and has lasted {lasted}; measured: {measured}{limit}."),
    }
}

impl Acts {
    fn of(detail: &IssueDetail) -> Self {
        let row = &detail.row;
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
            Subject::Headend => "",
        };
        Self {
            ranked: detail
                .ranked
                .iter()
                .map(|ranked| (causes::title(&ranked.cause), log_odds(ranked.log_odds_x100)))
                .collect(),
            rule,
            facts: row.evidence.iter().map(|fact| evidence_words(fact, now, console)).collect(),
            subject_title: format!("{kind}{}", row.subject_name),
            subject,
            subject_href: subject_href(row),
        }
    }
}

/// `+2.9`: how much the evidence speaks for a cause.
fn log_odds(hundredths: i16) -> String {
    let sign = if hundredths < 0 { "−" } else { "+" };
    let tenths = (i32::from(hundredths).unsigned_abs() + 5) / 10;
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// A fact by name, and its value as people read it.
fn evidence_words(fact: &Evidence, now: UtcTime, console: &ConsoleState) -> (String, String) {
    let name = words::sentence_case(&fact.key.replace('_', " "));
    let value = if fact.unit == "us" {
        words::stamp(UtcTime::from_micros(fact.value), now, console.calendar.zone())
    } else if let Some(exact) = causes::exact(fact) {
        exact
    } else if fact.text.is_empty() {
        format!("{} {}", words::thousands(fact.value), fact.unit).trim_end().to_owned()
    } else {
        fact.text.clone()
    };
    (name, value)
}

fn meter_facts(
    meter: &MeterDetail,
    (now, console): (UtcTime, &ConsoleState),
) -> Vec<(&'static str, String)> {
    let point = meter.usage_point.as_ref();
    let heard = meter.last_heard.map_or_else(
        || "never".to_owned(),
        |at| {
            let stamp = words::stamp(at, now, console.calendar.zone());
            format!("{} ago, {stamp}", words::age(at, now))
        },
    );
    let measures: Vec<String> =
        meter.channels.iter().map(|channel| measure::title(channel.reading_type)).collect();
    let facts = vec![
        ("Address", point.map(|point| point.address.clone()).unwrap_or_default()),
        ("Account", point.map(|point| point.account.clone()).unwrap_or_default()),
        ("Kind", meter.commodity.word().to_owned()),
        ("Measures", measures.join(", ")),
        ("Last heard", heard),
        ("Battery", super::meters::battery_word(meter.battery).to_owned()),
        ("Signal", super::meters::signal_word(meter.rssi_dbm)),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn collector_facts(
    row: &CollectorRow,
    (now, console): (UtcTime, &ConsoleState),
) -> Vec<(&'static str, String)> {
    let ago = |at: Option<UtcTime>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| {
                let stamp = words::stamp(at, now, console.calendar.zone());
                format!("{} ago, {stamp}", words::age(at, now))
            },
        )
    };
    vec![
        ("Name", row.name.clone()),
        ("Zone", row.zone_name.clone()),
        ("Last heartbeat", ago(row.last_heartbeat)),
        ("Last delivered", ago(row.last_heard)),
        ("Meters behind it", words::thousands(row.meters)),
        ("Heard in some way", words::thousands(row.meters_reporting)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
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
            all.push((log.at, entry(log.at, text, quote)));
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

fn alert_words(alert: &AlertRow) -> Vec<(UtcTime, String)> {
    let severity = Level::from(alert.severity).word;
    let mut said = vec![(alert.raised_at, format!("Rule {} fired ({severity})", alert.rule))];
    if let Some(at) = alert.cleared_at {
        said.push((at, format!("Rule {}: the condition is over", alert.rule)));
    }
    if let Some(at) = alert.retracted_at {
        said.push((at, format!("Rule {}: taken back, late readings explain it", alert.rule)));
    }
    said
}

fn log_words(log: &IssueLogRow) -> (String, String) {
    let who = match log.actor_kind.as_str() {
        "engine" => "by the rules".to_owned(),
        "system" => "by the system".to_owned(),
        _ => format!("by {}", log.actor),
    };
    match (log.kind.as_str(), &log.to_state) {
        ("comment", _) => (format!("Comment {who}"), log.reason.clone()),
        ("transition", Some(to)) if to == "DETECTED" => {
            (format!("Issue opened {who}"), String::new())
        }
        ("transition", Some(to)) => {
            let state = words::sentence_case(causes::state(to));
            (format!("{state} {who}"), log.reason.clone())
        }
        ("evidence", _) => (format!("New evidence {who}"), log.reason.clone()),
        _ => (format!("{} {who}", words::sentence_case(&log.reason)), String::new()),
    }
}

/// What a person or the rules do next.
fn next_words(detail: &IssueDetail) -> Vec<(&'static str, &'static str)> {
    let row = &detail.row;
    if causes::is_closed(&row.state) {
        return Vec::new();
    }
    let mut next = Vec::new();
    if row.acknowledged_at.is_none() {
        next.push(("waiting", "Acknowledge"));
    }
    next.push(match (row.cleared_at.is_some(), row.family.as_str()) {
        (true, _) => ("by itself", "Closes when it has stayed well for the time its kind needs"),
        (false, "LEAK") => {
            ("after the repair", "Closes by itself: 1 h without flow, then 24 h well")
        }
        (false, "COMM") => {
            ("when it is heard", "Closes by itself after 3 readings and a week of good delivery")
        }
        (false, "BATTERY") => ("after the exchange", "Is watched for 30 days, then closes"),
        (false, "TAMPER") => ("after the inspection", "Staff close it with what they found"),
        (false, _) => ("when it is over", "Closes by itself when the readings are well again"),
    });
    next
}

/// The page of an issue.
pub(super) fn address(number: i64) -> String {
    format!("/issues/{}", segment(&number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_told_in_tenths() {
        assert_eq!(log_odds(288), "+2.9");
        assert_eq!(log_odds(-180), "−1.8");
        assert_eq!(log_odds(4), "+0.0");
    }
}
