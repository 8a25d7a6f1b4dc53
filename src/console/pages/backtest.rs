//! A version of the rules tried on stored readings: it runs in the background, tells how far it is,
//! and can be stopped, which reports what was covered by then.

use std::sync::Arc;

use alerts::BUILT_IN;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect};
use metering::{Subject, UtcTime};
use serde::Deserialize;
use store::views::names;

use super::issues::{SelectOption, options};
use super::rules::views_of;
use super::{Answer, html};
use crate::console::frame::{Choice, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::rules;
use crate::services::rules::backtest::{Report, Said};
use crate::services::rules::trials::{Asked, Progress, Standing, Trial};

const VERSIONS: u32 = 100;
const DAY_S: i64 = 86_400;
const DAYS: [(&str, &str); 4] =
    [("7", "7 days"), ("14", "14 days"), ("31", "31 days"), ("90", "90 days")];
const DAYS_MAX: i64 = 90;
/// A page of a trial that runs is asked for again after so many seconds.
const AGAIN_S: &str = "2";

#[derive(Template)]
#[template(path = "rule_backtest.html")]
struct BacktestPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    versions: Vec<SelectOption>,
    days: Vec<SelectOption>,
    running: Option<Running>,
    failed: Option<String>,
    report: Option<ReportLines>,
    earlier: Vec<Choice>,
}

struct Running {
    id: u64,
    what: String,
    percent: i64,
    reached: String,
}

struct ReportLines {
    range: String,
    /// What was left out when it was stopped.
    cut: String,
    candidate: String,
    active: String,
    rows: Vec<(&'static str, String, String)>,
    rules: Vec<(String, String, String, String)>,
    top: Vec<(String, String)>,
}

/// `GET /rules/backtest`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>) -> Answer {
    page(&console, None).await
}

/// `GET /rules/backtest/{id}`.
pub(in crate::console) async fn one(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
) -> Answer {
    let found = id.parse().ok().and_then(|id| console.trials.find(id));
    let trial = found
        .ok_or_else(|| Refusal::not_found("That backtest is not kept any more. Run it again."))?;
    page(&console, Some(trial)).await
}

async fn page(console: &ConsoleState, trial: Option<Trial>) -> Answer {
    let known = store::rules::versions(&console.db, VERSIONS).await?;
    let chosen = trial.as_ref().map_or(BUILT_IN, |trial| &trial.asked.candidate);
    let mut versions = vec![(BUILT_IN.to_owned(), "built-in".to_owned(), chosen == BUILT_IN)];
    for row in &known {
        if versions.iter().all(|option| option.0 != row.version) {
            versions.push((row.version.clone(), row.version.clone(), chosen == row.version));
        }
    }
    let days = trial
        .as_ref()
        .map_or(7, |trial| trial.asked.range.1.seconds_since(trial.asked.range.0) / DAY_S);
    let (mut running, mut failed, mut report) = (None, None, None);
    if let Some(trial) = &trial {
        match &trial.standing {
            Standing::Running(progress) => running = Some(Running::of(trial, progress, console)),
            Standing::Failed(why) => failed = Some(why.clone()),
            Standing::Done(done) => report = Some(ReportLines::of(done, console).await?),
        }
    }
    let again = running.is_some();
    let mut answer = html(&BacktestPage {
        frame: Frame::of(console, Section::Rules, "Backtest").await?,
        say: "What a version would have said of readings that are stored, beside the active one."
            .to_owned(),
        views: views_of("/rules/backtest"),
        versions,
        days: options(DAYS, &days.to_string()),
        running,
        failed,
        report,
        earlier: earlier(console, trial.as_ref()),
    })?;
    if again {
        answer.headers_mut().insert(header::REFRESH, HeaderValue::from_static(AGAIN_S));
    }
    Ok(answer)
}

fn earlier(console: &ConsoleState, current: Option<&Trial>) -> Vec<Choice> {
    let choice = |trial: Trial| Choice {
        href: format!("/rules/backtest/{}", trial.id),
        word: title(&trial.asked, console),
        count: None,
        current: current.is_some_and(|current| current.id == trial.id),
    };
    console.trials.all().into_iter().map(choice).collect()
}

fn title(asked: &Asked, console: &ConsoleState) -> String {
    let (from, to) = asked.range;
    let zone = console.calendar.zone();
    format!("{}, {} – {}", asked.candidate, words::day(from, zone), words::day(to, zone))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct BeginForm {
    version: String,
    days: String,
}

/// `POST /rules/backtest`: begins one and sends the browser to it.
pub(in crate::console) async fn begin(
    State(console): State<ConsoleState>,
    Form(form): Form<BeginForm>,
) -> Answer {
    let days = form.days.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
    let days: i64 = days.ok_or_else(|| {
        Refusal::bad_request(format!("A backtest looks back 1 to {DAYS_MAX} days."))
    })?;
    let (active, _) = rules::active(&console.db).await?;
    let texts = (text_of(&console, &form.version).await?, text_of(&console, &active).await?);
    let to = console.now();
    let range = (to.plus_seconds(-days * DAY_S), to);
    let asked = Asked { candidate: form.version, active, range };
    // Whoever asks while one runs is shown that one.
    let id = console.trials.begin(&console.db, asked, texts).unwrap_or_else(|running| running);
    Ok(Redirect::to(&format!("/rules/backtest/{id}")).into_response())
}

async fn text_of(console: &ConsoleState, version: &str) -> Result<String, Refusal> {
    match store::rules::by_version(&console.db, version).await? {
        Some(row) => Ok(row.text),
        None if version == BUILT_IN => Ok(String::new()),
        None => Err(Refusal::not_found("There is no such version of the rules.")),
    }
}

/// `POST /rules/backtest/{id}`: ends it with what was covered by now.
pub(in crate::console) async fn stop(
    State(console): State<ConsoleState>,
    Path(id): Path<u64>,
) -> Answer {
    if let Some(Trial { standing: Standing::Running(progress), .. }) = console.trials.find(id) {
        progress.stop();
    }
    Ok(Redirect::to(&format!("/rules/backtest/{id}")).into_response())
}

impl Running {
    fn of(trial: &Trial, progress: &Arc<Progress>, console: &ConsoleState) -> Self {
        let (percent, reached) = match progress.so_far() {
            None => (0, "reading what is stored".to_owned()),
            Some((first, at)) => {
                let total = trial.asked.range.1.seconds_since(first).max(1);
                let percent = (100 * at.seconds_since(first) / total).clamp(0, 100);
                let told = words::instant(at, console.calendar.zone());
                let what = if at < trial.asked.range.0 { "learning, at" } else { "judging, at" };
                (percent, format!("{what} {told}"))
            }
        };
        Self { id: trial.id, what: title(&trial.asked, console), percent, reached }
    }
}

impl ReportLines {
    async fn of(report: &Report, console: &ConsoleState) -> Result<Self, Refusal> {
        let (now, zone) = (console.now(), console.calendar.zone());
        let (a, b) = (&report.candidate, &report.active);
        let stamp = |at: UtcTime| words::stamp(at, now, zone);
        let cut = if report.to < report.asked_to {
            format!(
                "Stopped early: {} – {} was not looked at.",
                stamp(report.to),
                stamp(report.asked_to)
            )
        } else {
            String::new()
        };
        let subjects: Vec<Subject> = a.top.iter().map(|(subject, _)| *subject).collect();
        let known = names::of(&console.db, subjects).await?;
        let name = |subject: &Subject| match (subject, known.get(subject)) {
            (Subject::Headend, _) => "head-end".to_owned(),
            (other, Some(name)) => format!("{} {name}", other.kind()),
            (other, None) => format!("{} {}, not known any more", other.kind(), other.number()),
        };
        Ok(Self {
            range: format!(
                "{} – {}, learned from {} on, {}",
                stamp(report.from),
                stamp(report.to),
                stamp(report.learned_from),
                words::abbreviation(now, zone)
            ),
            cut,
            candidate: a.version.clone(),
            active: format!("{} (active)", b.version),
            rows: figures(report),
            rules: by_rule(a, b),
            top: a.top.iter().map(|(subject, n)| (name(subject), thousands(*n))).collect(),
        })
    }
}

fn figures(report: &Report) -> Vec<(&'static str, String, String)> {
    let (a, b) = (&report.candidate, &report.active);
    let pair = |word, pick: fn(&Said) -> u64| (word, thousands(pick(a)), thousands(pick(b)));
    let flood =
        |said: &Said| words::percent(signed(said.flood_windows), signed(said.windows.max(1)));
    let days = report.to.seconds_since(report.from).max(1);
    let per_day = |said: &Said| {
        let tenths = signed(said.annunciated()) * 10 * DAY_S / days;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let count = |count: usize| thousands(u64::try_from(count).unwrap_or(u64::MAX));
    vec![
        pair("Firings announced", Said::annunciated),
        ("Announced a day", per_day(a), per_day(b)),
        pair("of these critical", |said| said.by_severity[0]),
        pair("of these high", |said| said.by_severity[1]),
        pair("of these medium", |said| said.by_severity[2]),
        pair("of these low", |said| said.by_severity[3]),
        pair("For the record only", |said| said.record_only),
        pair("In shadow", |said| said.shadow),
        pair("Taken back", |said| said.retracted),
        ("Time in flood, %", flood(a), flood(b)),
        ("Said by both", count(report.both), count(report.both)),
        ("Said by one alone", count(report.only_candidate), count(report.only_active)),
    ]
}

/// Rule, its page, and how often each side said it.
fn by_rule(a: &Said, b: &Said) -> Vec<(String, String, String, String)> {
    let mut names: Vec<&'static str> = a.by_rule.keys().chain(b.by_rule.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let of = |said: &Said, name: &str| thousands(said.by_rule.get(name).copied().unwrap_or(0));
    let line = |name: &&'static str| {
        let title = rule_words::by_id(name).map(|(_, text)| text.title);
        let href = title.map(|_| format!("/rules/{name}")).unwrap_or_default();
        let said = title.map_or_else(|| (*name).to_owned(), |title| format!("{title} ({name})"));
        (said, href, of(a, name), of(b, name))
    };
    names.iter().map(line).collect()
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn thousands(count: u64) -> String {
    words::thousands(signed(count))
}
