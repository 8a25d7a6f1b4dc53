//! Versions of the rules: what was made active, what each changed, and what rules in shadow would
//! have said; and a version tried on stored readings.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::{Subject, UtcTime};
use serde::Deserialize;
use store::rules::{BundleAct, BundleRow};
use store::views::rules::{self as views, ShadowAlert};

use super::issues::{SelectOption, options};
use super::rules::views_of;
use super::{Answer, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::rules::backtest::{self, Report, Said, Version};
use crate::services::rules::{self, Difference};

const VERSIONS: u32 = 100;
const SHADOW: u32 = 100;
const DAY_S: i64 = 86_400;
/// A page must answer; longer ranges belong to the command line.
const BACKTEST_FOR: Duration = Duration::from_secs(60);
const DAYS: [(&str, &str); 3] = [("7", "7 days"), ("14", "14 days"), ("31", "31 days")];

#[derive(Template)]
#[template(path = "rule_versions.html")]
struct VersionsPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    rows: Vec<VersionLine>,
    shown: Option<(String, Vec<Difference>, String)>,
    shadow: Vec<ShadowLine>,
    shadow_said: String,
}

struct VersionLine {
    version: String,
    href: String,
    act: &'static str,
    at: String,
    actor: String,
    reason: String,
    changed: String,
    log_seq: String,
    active: bool,
}

struct ShadowLine {
    subject: String,
    rule: String,
    cause: String,
    level: Level,
    raised: String,
    state: &'static str,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VersionsQuery {
    /// Number of the act that is shown.
    no: String,
}

/// `GET /rules/versions`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: VersionsQuery = query(&uri)?;
    let now = console.now();
    let (versions, active, shadow_version) = futures_util::future::try_join3(
        store::rules::versions(&console.db, VERSIONS),
        store::rules::active(&console.db),
        store::rules::shadow(&console.db),
    )
    .await?;
    let shadow = views::shadow(&console.db, SHADOW).await?;
    let mut rows = Vec::new();
    let mut shown = None;
    for (at, row) in versions.iter().enumerate() {
        let differences = changed(row, before(&versions[at + 1..], row))?;
        let is_active = active.as_ref().is_some_and(|active| active.bundle_no == row.bundle_no);
        rows.push(VersionLine::of(row, differences.len(), is_active, (now, &console)));
        if asked.no == row.bundle_no.to_string() {
            shown = Some((row.version.clone(), differences, row.text.clone()));
        }
    }
    html(&VersionsPage {
        frame: Frame::of(&console, Section::Rules, "Versions of the rules").await?,
        say: match &active {
            Some(row) => format!(
                "Version {} holds since {}.",
                row.version,
                words::stamp(row.applied_at, now, console.calendar.zone())
            ),
            None => "The built-in version holds; no other was ever applied.".to_owned(),
        },
        views: views_of("/rules/versions"),
        rows,
        shown,
        shadow: shadow.iter().map(|row| ShadowLine::of(row, now, &console)).collect(),
        shadow_said: shadow_version.map_or_else(
            || "no version runs in shadow; single rules may".to_owned(),
            |row| format!("version {} runs beside the active one and opens nothing", row.version),
        ),
    })
}

/// The version that held before: shadows change nothing.
fn before<'a>(older: &'a [BundleRow], row: &BundleRow) -> Option<&'a BundleRow> {
    let own = |other: &&BundleRow| matches!(other.act, BundleAct::Apply | BundleAct::Rollback);
    older.iter().filter(own).find(|other| other.bundle_no < row.bundle_no)
}

fn changed(row: &BundleRow, before: Option<&BundleRow>) -> Result<Vec<Difference>, Refusal> {
    let old = before.map(rules::of_row).transpose()?.unwrap_or_default();
    Ok(rules::differences(&old, &rules::of_row(row)?))
}

impl VersionLine {
    fn of(
        row: &BundleRow,
        changed: usize,
        active: bool,
        (now, console): (UtcTime, &ConsoleState),
    ) -> Self {
        let act = match row.act {
            BundleAct::Apply => "applied",
            BundleAct::Rollback => "taken up again",
            BundleAct::Shadow => "shadow began",
            BundleAct::EndShadow => "shadow ended",
        };
        let no = row.bundle_no.to_string();
        Self {
            version: row.version.clone(),
            href: format!("{}#shown", QueryText::default().with("no", &no).on("/rules/versions")),
            act,
            at: words::stamp(row.applied_at, now, console.calendar.zone()),
            actor: row.actor.clone(),
            reason: row.reason.clone(),
            changed: changed.to_string(),
            log_seq: words::thousands(row.log_seq),
            active,
        }
    }
}

impl ShadowLine {
    fn of(row: &ShadowAlert, now: UtcTime, console: &ConsoleState) -> Self {
        Self {
            subject: row.subject_name.clone(),
            rule: row.rule.clone(),
            cause: causes::title(&row.cause),
            level: row.severity.into(),
            raised: words::stamp(row.raised_at, now, console.calendar.zone()),
            state: if row.cleared_at.is_some() { "over" } else { "holds" },
        }
    }
}

#[derive(Template)]
#[template(path = "rule_backtest.html")]
struct BacktestPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    versions: Vec<SelectOption>,
    days: Vec<SelectOption>,
    report: Option<ReportLines>,
}

struct ReportLines {
    range: String,
    candidate: String,
    active: String,
    rows: Vec<(&'static str, String, String)>,
    rules: Vec<(String, String, String)>,
    top: Vec<(String, String)>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BacktestQuery {
    version: String,
    days: String,
}

/// `GET /rules/backtest`: runs only when a version was chosen.
pub(in crate::console) async fn backtest(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: BacktestQuery = query(&uri)?;
    let known = store::rules::versions(&console.db, VERSIONS).await?;
    let (active_version, _) = rules::active(&console.db).await?;
    let mut versions = vec![(alerts::BUILT_IN.to_owned(), "built-in".to_owned(), false)];
    for row in &known {
        if versions.iter().all(|option| option.0 != row.version) {
            versions.push((row.version.clone(), row.version.clone(), false));
        }
    }
    for option in &mut versions {
        option.2 = option.0 == asked.version;
    }
    let report = match asked.version.as_str() {
        "" => None,
        version => Some(run(&console, (version, &active_version), &asked.days).await?),
    };
    let days = if asked.days.is_empty() { "7" } else { asked.days.as_str() };
    html(&BacktestPage {
        frame: Frame::of(&console, Section::Rules, "Backtest").await?,
        say: "What a version would have said of readings that are stored, beside the active one."
            .to_owned(),
        views: views_of("/rules/backtest"),
        versions,
        days: options(DAYS, days),
        report,
    })
}

async fn run(
    console: &ConsoleState,
    (candidate, active): (&str, &str),
    days: &str,
) -> Result<ReportLines, Refusal> {
    let days: i64 = days.parse().ok().filter(|days| (1..=31).contains(days)).unwrap_or(7);
    let to = console.now();
    let from = to.plus_seconds(-days * DAY_S);
    let text = |version: String| async move {
        let row = store::rules::by_version(&console.db, &version).await?;
        match row {
            Some(row) => Ok(row.text),
            None if version == alerts::BUILT_IN => Ok(String::new()),
            None => Err(Refusal::not_found("There is no such version of the rules.")),
        }
    };
    let (own, held) = (text(candidate.to_owned()).await?, text(active.to_owned()).await?);
    let versions =
        (Version { version: candidate, text: &own }, Version { version: active, text: &held });
    let done = tokio::time::timeout(BACKTEST_FOR, backtest::run(&console.db, versions, (from, to)));
    let report = done.await.map_err(|_| {
        Refusal::busy(
            "That took more than a minute. Ask for fewer days, or run `headend rules backtest` on \
             the command line.",
        )
    })??;
    Ok(ReportLines::of(&report, to, console))
}

impl ReportLines {
    fn of(report: &Report, now: UtcTime, console: &ConsoleState) -> Self {
        let zone = console.calendar.zone();
        let (a, b) = (&report.candidate, &report.active);
        let pair = |word, pick: fn(&Said) -> u64| (word, thousands(pick(a)), thousands(pick(b)));
        let flood =
            |said: &Said| words::percent(signed(said.flood_windows), signed(said.windows.max(1)));
        let mut rows = vec![
            pair("Announced", Said::annunciated),
            pair("critical", |said| said.by_severity[0]),
            pair("high", |said| said.by_severity[1]),
            pair("medium", |said| said.by_severity[2]),
            pair("low", |said| said.by_severity[3]),
            pair("For the record only", |said| said.record_only),
            pair("In shadow", |said| said.shadow),
            pair("Taken back", |said| said.retracted),
        ];
        rows.push(("Time in flood, %", flood(a), flood(b)));
        let count = |count: usize| thousands(u64::try_from(count).unwrap_or(u64::MAX));
        rows.push(("Said by both", count(report.both), count(report.both)));
        rows.push(("Said by one alone", count(report.only_candidate), count(report.only_active)));
        let mut names: Vec<&str> = a.by_rule.keys().chain(b.by_rule.keys()).copied().collect();
        names.sort_unstable();
        names.dedup();
        let of = |said: &Said, name| thousands(said.by_rule.get(name).copied().unwrap_or(0));
        Self {
            range: format!(
                "{} – {}; learned from {}",
                words::stamp(report.from, now, zone),
                words::stamp(report.to, now, zone),
                words::stamp(report.learned_from, now, zone)
            ),
            candidate: a.version.clone(),
            active: format!("{} (active)", b.version),
            rules: names
                .iter()
                .map(|name| ((*name).to_owned(), of(a, name), of(b, name)))
                .collect(),
            top: a.top.iter().map(|(subject, n)| (subject_said(*subject), thousands(*n))).collect(),
            rows,
        }
    }
}

fn subject_said(subject: Subject) -> String {
    match subject {
        Subject::Headend => "head-end".to_owned(),
        other => format!("{} {}", other.kind(), other.number()),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn thousands(count: u64) -> String {
    words::thousands(signed(count))
}
