//! Files of readings: take one in, and what became of those that came, by page, inbox, API or verb.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::UtcTime;
use serde::Deserialize;
use store::files::{FileCounts, FileRow, FileState};

use super::{Answer, ROWS, html, query};
use crate::console::frame::{Frame, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::ingest::files::{FileOutcome, FileReport};
use crate::services::files::UPLOAD_BYTES_MAX;
use crate::services::files::uploads::{Held, Standing};

#[derive(Template)]
#[template(path = "files.html")]
struct FilesPage {
    frame: Frame,
    say: String,
    did: String,
    faults: Vec<String>,
    form: UploadForm,
    kinds: Vec<(String, String)>,
    largest: String,
    waiting: Vec<HeldLine>,
    rows: Vec<FileLine>,
    next: String,
    first: String,
}

/// A file that was looked at, or is.
struct HeldLine {
    href: String,
    name: String,
    size: String,
    state: &'static str,
}

struct FileLine {
    href: String,
    name: String,
    kind: String,
    state: StateWord,
    faulty: String,
    stored: String,
    duplicate: String,
    replaced: String,
    beside: String,
    dead: String,
    who: String,
    when: String,
}

/// State of a file in words; what needs a person stands out.
pub(super) struct StateWord {
    pub(super) word: &'static str,
    pub(super) bad: bool,
}

/// What a person chose besides the file itself.
#[derive(Clone, Default)]
pub(super) struct UploadForm {
    pub(super) kind: String,
    pub(super) zone: String,
    pub(super) column: String,
    pub(super) latin1: bool,
}

/// What stands above the form.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) did: String,
    pub(super) faults: Vec<String>,
    /// The history ends before this file; 0: it begins with the newest.
    pub(super) before: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FilesQuery {
    did: String,
    before: Option<i64>,
}

/// `GET /files`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: FilesQuery = query(&uri)?;
    let shown = Shown {
        did: words::shortened(&asked.did, 200),
        before: asked.before.unwrap_or(0),
        ..Shown::default()
    };
    let form = UploadForm { zone: console.settings.zone.clone(), ..UploadForm::default() };
    page(&console, form, shown).await
}

pub(super) async fn page(console: &ConsoleState, form: UploadForm, shown: Shown) -> Answer {
    let now = console.now();
    let files = store::files::list(&console.db, shown.before, ROWS + 1).await?;
    let more = files.len() > ROWS as usize;
    let files = &files[..files.len().min(ROWS as usize)];
    let next = files
        .last()
        .filter(|_| more)
        .map(|last| QueryText::default().with("before", &last.import_no.to_string()).on("/files"));
    let held = console.uploads.waiting();
    let waits = |held: &&Held| match &held.standing {
        Standing::Tried(reports) => Verdict::of(reports) == Verdict::Waits,
        _ => false,
    };
    let wait = held.iter().filter(waits).count();
    let waiting: Vec<HeldLine> = held.iter().map(HeldLine::of).collect();
    html(&FilesPage {
        frame: frame(console, "Files").await?,
        say: say(files.first(), wait, now),
        did: shown.did,
        faults: shown.faults,
        form,
        kinds: kinds(console),
        largest: bytes(UPLOAD_BYTES_MAX as u64),
        waiting,
        rows: files.iter().map(|row| FileLine::of(row, now, console)).collect(),
        next: next.unwrap_or_default(),
        first: if shown.before == 0 { String::new() } else { "/files".to_owned() },
    })
}

pub(super) async fn frame(console: &ConsoleState, title: &str) -> Result<Frame, Refusal> {
    Frame::of(console, Section::Files, title).await
}

fn say(newest: Option<&FileRow>, waiting: usize, now: UtcTime) -> String {
    let last = match newest {
        None => "No file was imported yet.".to_owned(),
        Some(row) => {
            let age = words::age(row.received_at, now);
            format!("The last file came {age} ago: {}.", state(row.state).word)
        }
    };
    match i64::try_from(waiting).unwrap_or(i64::MAX) {
        0 => last,
        n => format!("{last} {} for your word.", words::count(n, "file waits", "files wait")),
    }
}

/// Value and name of what can be chosen.
pub(super) fn kinds(console: &ConsoleState) -> Vec<(String, String)> {
    let fixed = ["", "nem12", "cmep", "espi", "beacon"];
    let fixed = fixed.map(|kind| (kind.to_owned(), kind_word(kind, "")));
    let layouts = console.files.layouts().into_iter().map(|name| {
        let word = kind_word("layout", &name);
        (name, word)
    });
    fixed.into_iter().chain(layouts).collect()
}

/// A kind of file as people call it.
pub(super) fn kind_word(format: &str, layout: &str) -> String {
    match format {
        "" => "Told by the file itself".to_owned(),
        "nem12" => "NEM12, NEM13".to_owned(),
        "cmep" => "CMEP".to_owned(),
        "espi" => "Green Button".to_owned(),
        "beacon" => "BEACON 360".to_owned(),
        "layout" => format!("Layout {layout}"),
        other => other.to_owned(),
    }
}

pub(super) const fn state(state: FileState) -> StateWord {
    match state {
        FileState::Done => StateWord { word: "imported", bad: false },
        FileState::Refused => StateWord { word: "refused", bad: true },
        FileState::Open => StateWord { word: "not finished", bad: true },
    }
}

/// Values that are kept beside another one that stands.
pub(super) const fn beside(counts: &FileCounts) -> u64 {
    counts.conflicting.saturating_sub(counts.replaced)
}

pub(super) fn number(count: u64) -> String {
    words::thousands(i64::try_from(count).unwrap_or(i64::MAX))
}

/// `812 B`, `1.4 kB`, `64.0 MB`.
pub(super) fn bytes(size: u64) -> String {
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{}.{} kB", size >> 10, ((size & 1_023) * 10) >> 10),
        _ => format!("{}.{} MB", size >> 20, ((size & 1_048_575) * 10) >> 20),
    }
}

impl HeldLine {
    fn of(held: &Held) -> Self {
        Self {
            href: format!("/files/uploads/{}", held.id),
            name: words::shortened(&held.name, 80),
            size: bytes(held.size as u64),
            state: match &held.standing {
                Standing::Trying(_) => "is looked at",
                Standing::Tried(reports) => match Verdict::of(reports) {
                    Verdict::Known => "known already",
                    Verdict::Refused => "would be refused",
                    Verdict::Waits => "waits for your word",
                },
                Standing::Importing(_) => "is imported",
                Standing::Imported(_) => "imported",
                Standing::Failed(_) => "ended early",
            },
        }
    }
}

/// What can be done with a file that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Something of it would be stored.
    Waits,
    /// All of it is known already.
    Known,
    /// Nothing of it can be taken as it was read.
    Refused,
}

impl Verdict {
    pub(super) fn of(reports: &[FileReport]) -> Self {
        let known = |report: &FileReport| matches!(report.outcome, FileOutcome::Known(_));
        let good =
            |report: &FileReport| report.outcome == FileOutcome::Tried && report.counts.records > 0;
        if reports.iter().any(good) {
            Self::Waits
        } else if !reports.is_empty() && reports.iter().all(known) {
            Self::Known
        } else {
            Self::Refused
        }
    }
}

impl FileLine {
    fn of(row: &FileRow, now: UtcTime, console: &ConsoleState) -> Self {
        let counts = &row.counts;
        let kind = if row.read_as.format.is_empty() {
            "–".to_owned()
        } else {
            kind_word(&row.read_as.format, &row.read_as.layout)
        };
        Self {
            href: format!("/files/{}", row.import_no),
            name: words::shortened(&row.name, 80),
            kind,
            state: state(row.state),
            faulty: number(counts.refused),
            stored: number(counts.inserted),
            duplicate: number(counts.duplicate),
            replaced: number(counts.replaced),
            beside: number(beside(counts)),
            dead: number(counts.dead),
            who: row.actor.clone(),
            when: words::stamp(row.received_at, now, console.calendar.zone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_next_unit_down() {
        let told = [0, 1_023, 1_024, 1_500, 1_048_575, 1_048_576, 67_108_864].map(bytes);
        assert_eq!(told, ["0 B", "1023 B", "1.0 kB", "1.4 kB", "1023.9 kB", "1.0 MB", "64.0 MB"]);
    }
}
