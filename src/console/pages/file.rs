//! One file of the history: what became of it, what it told of, and what was wrong, line by line.

use askama::Template;
use axum::extract::{Path, State};
use metering::UtcTime;
use store::files::{FAULTS_KEPT_MAX, FaultRow, FileRow, FileState, Letters, NotedRow, ToldRow};

use super::files::{beside, bytes, frame, kind_word, number, state};
use super::{Answer, html};
use crate::console::frame::{Frame, QueryText, segment};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Channels that are listed.
const TOLD_MAX: u32 = 100;
/// Notes that are listed.
const NOTES_MAX: u32 = 500;

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    frame: Frame,
    name: String,
    say: String,
    counts: Vec<(&'static str, String)>,
    facts: Vec<(&'static str, String)>,
    letters: Vec<String>,
    waits: bool,
    notes: Vec<NoteLine>,
    notes_more: bool,
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

/// What who walked the route wrote down.
struct NoteLine {
    line: String,
    meter: String,
    /// Empty: nobody knows the device.
    href: String,
    read: &'static str,
    note: String,
    at: String,
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
    let notes = store::files::notes(&console.db, row.import_no, NOTES_MAX + 1).await?;
    let notes_more = notes.len() > NOTES_MAX as usize;
    // Also of a file without readings that wait: lines of meters that were not read wait too.
    let letters = store::files::letters(&console.db, row.import_no).await?;
    html(&FilePage {
        frame: frame(&console, &format!("File {}", row.import_no)).await?,
        say: say(&row),
        counts: counts(&row),
        facts: facts(&row, &console),
        letters: letters_say(&letters, row.counts.dead),
        waits: letters.waiting > 0,
        notes: notes.iter().take(NOTES_MAX as usize).map(|n| NoteLine::of(n, &console)).collect(),
        notes_more,
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
        FileState::Done => {
            let nothing = counts.inserted + counts.replaced + counts.dead + counts.skipped == 0;
            let told = if nothing { "Imported; it told nothing new" } else { "Imported" };
            let mut said = vec![told.to_owned()];
            if counts.refused > 0 {
                let faulty = counted(counts.refused, "faulty record", "faulty records");
                said.push(format!("{faulty} left out"));
            }
            if counts.skipped > 0 {
                let skipped = counted(counts.skipped, "meter was", "meters were");
                said.push(format!("{skipped} not read"));
            }
            said.join("; ") + "."
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    words::count(i64::try_from(count).unwrap_or(i64::MAX), one, many)
}

/// What became of the records whose device was not provisioned. `dead`: their readings at the import.
fn letters_say(letters: &Letters, dead: u64) -> Vec<String> {
    let mut said = Vec::new();
    let reads = |count| counted(count, "reading", "readings");
    let with_reads = |count| match count {
        0 => String::new(),
        count => format!(" ({})", reads(count)),
    };
    if letters.waiting > 0 {
        let records = counted(letters.waiting, "record waits", "records wait");
        said.push(format!(
            "{records} for a meter to be provisioned{}: {}.",
            with_reads(letters.waiting_reads),
            letters.devices.join(", ")
        ));
    }
    if letters.home > 0 {
        let records = counted(letters.home, "record", "records");
        let came = with_reads(letters.home_reads);
        said.push(format!(
            "{records} came home since the import{came}: the device is a meter now, and they are \
             stored."
        ));
    }
    let gone = letters.gone_reads(dead);
    if gone > 0 {
        let gone = reads(gone);
        said.push(format!(
            "{gone} of records that waited are not this file's any more: a later file told them \
             again, or the dead letters were deleted. Import it again for what is missing."
        ));
    }
    said
}

fn counts(row: &FileRow) -> Vec<(&'static str, String)> {
    let counts = &row.counts;
    let all = [
        ("Records", counts.records),
        ("Faulty records", counts.refused),
        ("Meters not read", counts.skipped),
        ("Readings stored", counts.inserted),
        ("Known already", counts.duplicate),
        ("Took another's place", counts.replaced),
        ("Kept beside another", beside(counts)),
        ("Waiting at import", counts.dead),
    ];
    all.map(|(word, count)| (word, number(count))).into()
}

fn facts(row: &FileRow, console: &ConsoleState) -> Vec<(&'static str, String)> {
    let zone = console.calendar.zone();
    let read_as = &row.read_as;
    let kind = if read_as.format.is_empty() {
        "none known".into()
    } else {
        kind_word(&read_as.format, &read_as.layout)
    };
    let mode = if row.by_record { "good records are taken" } else { "one fault refuses all" };
    let sha: String = row.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let finished = row.finished_at.map(|at| words::instant(at, zone)).unwrap_or_default();
    let made = row.said_at.map(|at| words::instant(at, zone)).unwrap_or_default();
    // A clock that is ahead must not make a file newer than all that follow.
    let counts_as = match row.said_at {
        Some(at) if at == row.made_at => String::new(),
        _ => words::instant(row.made_at, zone),
    };
    let facts = vec![
        ("State", state(row.state).word.to_owned()),
        ("Kind", kind),
        ("Read", mode.to_owned()),
        ("Came", words::instant(row.received_at, zone)),
        ("Finished", finished),
        ("Made, by its own word", made),
        ("Counts as made", counts_as),
        ("Zone of its times", read_as.zone.clone()),
        ("Column of the meter", read_as.id_column.clone()),
        ("By", row.actor.clone()),
        ("Size", bytes(row.size)),
        ("SHA-256", sha),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

impl ToldLine {
    fn of(row: &ToldRow, console: &ConsoleState) -> Self {
        let (now, zone) = (console.now(), console.calendar.zone());
        // The stretch of a read begins just before it.
        let next = UtcTime::from_micros(row.from.micros() + 1);
        let from = if next.micros() % 1_000_000 == 0 { next } else { row.from };
        Self {
            href: meter_href(&row.number, row.channel.get(), (row.from, row.to)),
            meter: row.number.clone(),
            channel: row.channel.to_string(),
            span: if from == row.to {
                words::stamp(from, now, zone)
            } else {
                words::span(from, row.to, now, zone)
            },
        }
    }
}

impl NoteLine {
    fn of(noted: &NotedRow, console: &ConsoleState) -> Self {
        let row = &noted.row;
        let meter = noted.meter.as_deref();
        Self {
            line: number(row.line),
            meter: meter.map_or_else(|| row.source.to_string(), str::to_owned),
            href: meter.map(|meter| format!("/meters/{}", segment(meter))).unwrap_or_default(),
            read: if row.skipped { "not read" } else { "read" },
            note: row.note.clone(),
            at: words::stamp(row.at, console.now(), console.calendar.zone()),
        }
    }
}

/// The meter's page over a stretch.
pub(super) fn meter_href(meter: &str, channel: i16, (from, to): (UtcTime, UtcTime)) -> String {
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
            raw: fault.raw.clone(),
        };
        Self {
            rows: faults.iter().take(FAULTS_KEPT_MAX).map(line).collect(),
            more: if more == 0 { String::new() } else { number(more) },
        }
    }
}
