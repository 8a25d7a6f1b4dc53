//! One file of the history: what became of it, what it told of, and what was wrong, line by line.

use askama::Template;
use axum::extract::{Path, State};
use store::files::{FAULTS_KEPT_MAX, FaultRow, FileRow, FileState, ToldRow};

use super::files::{bytes, frame, kind_word, number, state};
use super::{Answer, html};
use crate::console::frame::{Frame, QueryText, segment};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Channels that are listed.
const TOLD_MAX: u32 = 100;

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    frame: Frame,
    name: String,
    say: String,
    counts: Vec<(&'static str, String)>,
    facts: Vec<(&'static str, String)>,
    dead: bool,
    told: Vec<ToldLine>,
    told_more: bool,
    faults: FaultLines,
}

struct ToldLine {
    meter: String,
    href: String,
    channel: String,
    span: String,
}

/// Faults of a file, as the page of an upload shows them too.
#[derive(Template, Default)]
#[template(path = "file_faults.html")]
pub(super) struct FaultLines {
    pub(super) rows: Vec<FaultLine>,
    /// Faults that are not kept.
    pub(super) more: String,
}

pub(super) struct FaultLine {
    pub(super) line: String,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) raw: String,
}

/// `GET /files/{number}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(asked): Path<String>,
) -> Answer {
    let known = match asked.parse() {
        Ok(number) => store::files::by_number(&console.db, number).await?,
        Err(_) => None,
    };
    let row = known.ok_or_else(|| {
        Refusal::not_found("There is no file of that number. Files lists those that came.")
    })?;
    let faults = store::files::faults(&console.db, row.import_no).await?;
    let told = store::files::told(&console.db, row.import_no, TOLD_MAX + 1).await?;
    let told_more = told.len() > TOLD_MAX as usize;
    html(&FilePage {
        frame: frame(&console, &format!("File {}", row.import_no)).await?,
        say: say(&row),
        counts: counts(&row),
        facts: facts(&row, &console),
        dead: row.counts.dead > 0,
        told: told.iter().take(TOLD_MAX as usize).map(|t| ToldLine::of(t, &console)).collect(),
        told_more,
        faults: FaultLines::of(&faults, row.counts.refused),
        name: row.name,
    })
}

fn say(row: &FileRow) -> String {
    let counts = &row.counts;
    match row.state {
        FileState::Refused => format!("Refused, nothing of it was stored: {}.", row.detail),
        FileState::Open => "It is being imported, or its import was broken off: import it again, \
             what was stored already is known then."
            .to_owned(),
        FileState::Done if counts.inserted + counts.replaced == 0 && counts.dead == 0 => {
            "Imported; it told nothing new.".to_owned()
        }
        FileState::Done if counts.refused > 0 => {
            let faulty = i64::try_from(counts.refused).unwrap_or(i64::MAX);
            let faulty = words::count(faulty, "faulty record", "faulty records");
            format!("Imported; {faulty} left out.")
        }
        FileState::Done => "Imported.".to_owned(),
    }
}

fn counts(row: &FileRow) -> Vec<(&'static str, String)> {
    let counts = &row.counts;
    let all = [
        ("Records", counts.records),
        ("Faulty records", counts.refused),
        ("Readings stored", counts.inserted),
        ("Known already", counts.duplicate),
        ("Took another's place", counts.replaced),
        ("Kept beside another", counts.conflicting.saturating_sub(counts.replaced)),
        ("Dead letters", counts.dead),
    ];
    all.map(|(word, count)| (word, number(count))).into()
}

fn facts(row: &FileRow, console: &ConsoleState) -> Vec<(&'static str, String)> {
    let zone = console.calendar.zone();
    let kind = if row.format.is_empty() {
        "none known".into()
    } else {
        kind_word(&row.format, &row.layout)
    };
    let mode = if row.by_record { "good records are taken" } else { "one fault refuses all" };
    let sha: String = row.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let finished = row.finished_at.map(|at| words::instant(at, zone)).unwrap_or_default();
    let facts = vec![
        ("State", state(row.state).word.to_owned()),
        ("Kind", kind),
        ("Read", mode.to_owned()),
        ("Came", words::instant(row.received_at, zone)),
        ("Finished", finished),
        ("Made, by its own word", words::instant(row.made_at, zone)),
        ("By", row.actor.clone()),
        ("Size", bytes(row.size)),
        ("SHA-256", sha),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

impl ToldLine {
    fn of(row: &ToldRow, console: &ConsoleState) -> Self {
        let (now, zone) = (console.now(), console.calendar.zone());
        Self {
            href: meter_href(&row.number, row.channel.get(), (row.from, row.to)),
            meter: row.number.clone(),
            channel: row.channel.to_string(),
            span: words::span(row.from, row.to, now, zone),
        }
    }
}

/// The meter's page over a stretch.
pub(super) fn meter_href(
    meter: &str,
    channel: i16,
    (from, to): (metering::UtcTime, metering::UtcTime),
) -> String {
    QueryText::default()
        .with("channel", &channel.to_string())
        .with("from", &from.to_string())
        .with("to", &to.to_string())
        .on(&format!("/meters/{}", segment(meter)))
}

impl FaultLines {
    /// `all`: how many there are, with those that are not kept.
    pub(super) fn of(faults: &[FaultRow], all: u64) -> Self {
        let more = all.saturating_sub(faults.len() as u64);
        let line = |fault: &FaultRow| FaultLine {
            line: if fault.line == 0 { "file".to_owned() } else { number(fault.line) },
            reason: words::sentence_case(&fault.reason.replace('_', " ")),
            detail: fault.detail.clone(),
            raw: words::shortened(&fault.raw, 160),
        };
        Self {
            rows: faults.iter().take(FAULTS_KEPT_MAX).map(line).collect(),
            more: if more == 0 { String::new() } else { number(more) },
        }
    }
}
