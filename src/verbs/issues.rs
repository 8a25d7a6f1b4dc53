//! `headend issues`: the list, one issue, and what people do about it.

use jiff::tz::TimeZone;
use metering::{Severity, UtcTime};
use store::Database;
use store::views::issues::{self, IssueDetail, IssueFilter, IssueRow, IssueSet};

use super::cli::{IssuesVerb, Output, PageArgs};
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat, Record, say};

const SETS: [(&str, IssueSet); 8] = [
    ("open", IssueSet::Open),
    ("urgent", IssueSet::Urgent),
    ("unacknowledged", IssueSet::Unacknowledged),
    ("leaks", IssueSet::Leaks),
    ("silent", IssueSet::Silent),
    ("fixed-pending", IssueSet::FixedPending),
    ("snoozed", IssueSet::Snoozed),
    ("closed", IssueSet::Closed),
];

/// A saved filter by its word.
pub(super) fn set(text: &str) -> Result<IssueSet, String> {
    SETS.iter().find(|(word, _)| *word == text).map(|(_, set)| *set).ok_or_else(|| {
        let words: Vec<&str> = SETS.iter().map(|(word, _)| *word).collect();
        format!("write one of: {}", words.join(", "))
    })
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    let number = text.trim_start_matches(['P', 'p']).parse().ok();
    number.and_then(Severity::from_number).ok_or_else(|| "write 1, 2, 3 or 4".to_owned())
}

pub(super) async fn run(
    database: &Database,
    verb: &IssuesVerb,
    account: &str,
    (zone, now): (&TimeZone, UtcTime),
) -> anyhow::Result<()> {
    match verb {
        IssuesVerb::List { set, severity, query, page, output } => {
            let filter = IssueFilter {
                set: *set,
                severity: *severity,
                q: query.clone(),
                ..IssueFilter::default()
            };
            list(database, &filter, (*page, *output), zone, now).await
        }
        IssuesVerb::Show { number, output } => {
            show(&find(database, *number).await?, output.format(), zone)
        }
        act => super::issue_acts::run(database, act, account, (zone, now)).await,
    }
}

pub(super) async fn find(database: &Database, number: i64) -> anyhow::Result<IssueDetail> {
    let found = issues::by_number(database, number).await?;
    Ok(found.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no issue {number}: `headend issues list`"))
    })?)
}

async fn list(
    database: &Database,
    filter: &IssueFilter,
    (page, output): (PageArgs, Output),
    zone: &TimeZone,
    now: UtcTime,
) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "number",
        "severity",
        "cause",
        "state",
        "subject",
        "address",
        "zone",
        "since",
        "detected_at",
        "children",
        "acknowledged_by",
        "snoozed_until",
    ]);
    let mut cursor = None;
    while let Some(limit) = page.next(list.len()) {
        let rows = issues::list(database, filter, cursor.as_ref(), limit, now).await?;
        for row in &rows.items {
            list.push(line(row, zone));
        }
        cursor = rows.next;
        if cursor.is_none() {
            break;
        }
    }
    list.print(output.format())?;
    page.tell_more(cursor.is_some());
    Ok(())
}

fn line(row: &IssueRow, zone: &TimeZone) -> Vec<Cell> {
    vec![
        Cell::number(row.number),
        Cell::text(row.severity.to_string()),
        Cell::text(&row.cause),
        Cell::text(&row.state),
        Cell::text(&row.subject_name),
        Cell::text(&row.address),
        Cell::text(&row.zone_code),
        Cell::text(stamp(row.condition_start, zone)),
        Cell::text(stamp(row.detected_at, zone)),
        Cell::number(row.children),
        Cell::of(row.acknowledged_by.as_ref()),
        Cell::of(row.snoozed_until.map(|at| stamp(at, zone))),
    ]
}

fn show(issue: &IssueDetail, format: OutputFormat, zone: &TimeZone) -> anyhow::Result<()> {
    let row = &issue.row;
    let facts = row.evidence.iter().map(|fact| format!("{}: {}", fact.key, fact.text));
    let facts: Vec<String> = facts.collect();
    let ranked: Vec<&str> = issue.ranked.iter().map(|ranked| ranked.cause.as_str()).collect();
    let children: Vec<String> =
        issue.children.iter().map(|child| child.subject_name.clone()).collect();
    let record = Record::new(vec![
        ("number", Cell::number(row.number)),
        ("severity", Cell::text(row.severity.to_string())),
        ("cause", Cell::text(&row.cause)),
        ("likely_causes", Cell::text(ranked.join(", "))),
        ("state", Cell::text(&row.state)),
        ("subject", Cell::text(&row.subject_name)),
        ("address", Cell::text(&row.address)),
        ("rule", Cell::text(&issue.rule)),
        ("since", Cell::text(stamp(row.condition_start, zone))),
        ("detected_at", Cell::text(stamp(row.detected_at, zone))),
        ("acknowledged_by", Cell::of(row.acknowledged_by.as_ref())),
        ("snoozed_until", Cell::of(row.snoozed_until.map(|at| stamp(at, zone)))),
        ("part_of", Cell::count(issue.parent.as_ref().map(|parent| parent.number))),
        ("children", Cell::text(children.join(", "))),
        ("evidence", Cell::text(facts.join("; "))),
    ]);
    record.print(format)?;
    if format != OutputFormat::Table {
        return Ok(());
    }
    say!("")?;
    let mut history = List::new(&["at", "who", "what", "reason"]);
    for entry in &issue.log {
        let what = match (&entry.from_state, &entry.to_state) {
            (from, Some(to)) => format!("{} to {to}", from.as_deref().unwrap_or("new")),
            _ => entry.kind.clone(),
        };
        history.push(vec![
            Cell::text(stamp(entry.at, zone)),
            Cell::text(&entry.actor),
            Cell::text(what),
            Cell::text(&entry.reason),
        ]);
    }
    history.print(OutputFormat::Table)?;
    Ok(())
}
