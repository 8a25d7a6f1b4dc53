//! A file that a page took: what would be stored and what is wrong, before anything is; then its
//! import.

use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use jiff::tz::TimeZone;
use metering::Subject;
use protocols::files::Encoding;
use serde::Deserialize;
use store::files::FileCounts;
use store::views::names;

use super::file::{FaultLines, meter_href};
use super::files::{
    Shown, UploadForm, Verdict, beside, bytes, frame, kind_word, kinds, number, page,
};
use super::readings::ACTOR;
use super::{Answer, html};
use crate::console::frame::{Frame, QueryText};
use crate::console::multipart::{self, Part};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::ingest::files::{ChannelReads, FileOptions, FileOutcome, FileReport, Upload};
use crate::services::files::UPLOAD_BYTES_MAX;
use crate::services::files::uploads::{Held, Standing};

/// The file and the fields beside it.
pub(in crate::console) const BODY_BYTES_MAX: usize = UPLOAD_BYTES_MAX + (64 << 10);
/// A small file is done within this time, and its page needs no second look.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Seconds until the page of a file that is under way looks again.
const AGAIN_S: &str = "1";
const CHANNELS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "upload.html")]
struct UploadPage {
    frame: Frame,
    id: u64,
    name: String,
    about: String,
    say: String,
    /// Per cent and words.
    moving: Option<(u64, String)>,
    /// Offered when the look found something to store.
    act: Option<ImportAct>,
    can_forget: bool,
    /// Offered while nothing of it is stored: what else the file may be, and as what it was read.
    kinds: Vec<(String, String)>,
    kind: String,
    reports: Vec<ReportLines>,
}

struct ImportAct {
    by_record: bool,
    word: String,
    hint: String,
}

/// One file, or one member of an archive.
struct ReportLines {
    name: String,
    say: String,
    bad: bool,
    /// The file in the history.
    href: String,
    channels: Vec<ChannelLine>,
    channels_more: String,
    unknown: Vec<String>,
    unmapped: String,
    faults: FaultLines,
}

struct ChannelLine {
    meter: String,
    href: String,
    channel: String,
    intervals: String,
    registers: String,
    span: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct ImportForm {
    by_record: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct LookForm {
    kind: String,
}

/// `POST /files/try`: the files are looked at; nothing is stored.
pub(in crate::console) async fn take(
    State(console): State<ConsoleState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Refusal::bad_request(format!(
                "The page takes files up to {}. Put this one into the inbox, or run headend \
                 import on it.",
                bytes(UPLOAD_BYTES_MAX as u64)
            ));
        }
        Refusal::bad_request("The file did not arrive whole. Send it again.")
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let parts = multipart::parts(kind.unwrap_or_default(), &body)
        .map_err(|error| Refusal::bad_request(format!("The form cannot be read: {error}.")))?;
    let form = UploadForm::of(&parts);
    let chosen: Vec<&Part> =
        parts.iter().filter(|part| part.name == "file" && !part.file_name.is_empty()).collect();
    let options = match options(&console, &form) {
        Ok(_) if chosen.is_empty() => Err("Choose a file, or drop one onto the field.".to_owned()),
        other => other,
    };
    let options = match options {
        Ok(options) => options,
        Err(fault) => {
            let shown = Shown { faults: vec![fault], ..Shown::default() };
            return page(&console, form, shown).await;
        }
    };
    let mut ids = Vec::with_capacity(chosen.len());
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    for part in chosen {
        let upload = Upload {
            name: part.file_name.clone(),
            bytes: part.bytes.clone(),
            actor: ACTOR.to_owned(),
        };
        match console.uploads.take(&console.files, upload, (&form.kind, options.clone())) {
            Ok(id) => {
                ids.push(id);
                taken.push(words::shortened(&part.file_name, 80));
            }
            Err(full) => {
                left_out.push(format!("{}: {full}.", words::shortened(&part.file_name, 80)))
            }
        }
    }
    if !left_out.is_empty() {
        let shown = Shown { did: taken_say(&taken), faults: left_out, ..Shown::default() };
        return page(&console, form, shown).await;
    }
    if let [id] = ids[..] {
        console.uploads.settled(id, PATIENCE).await;
        return Ok(Redirect::to(&address(id)).into_response());
    }
    Ok(Redirect::to("/files").into_response())
}

/// Those that had room are not to be sent again.
fn taken_say(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("{name} was taken, and waits below"),
        names => format!("{} were taken, and wait below", names.join(", ")),
    }
}

fn options(console: &ConsoleState, form: &UploadForm) -> Result<FileOptions, String> {
    let kind = console.files.options(&form.kind);
    let mut options = kind.map_err(|error| words::sentence_case(&format!("{error}.")))?;
    if !form.zone.is_empty() {
        options.zone = TimeZone::get(&form.zone).map_err(|_| {
            format!("“{}” is no zone: write its IANA name.", words::shortened(&form.zone, 40))
        })?;
    }
    if !form.column.is_empty() {
        options.identity.column =
            form.column.parse().map_err(|_| "BEACON has no such column.".to_owned())?;
    }
    if form.latin1 {
        options.encoding = Encoding::Latin1;
    }
    Ok(options)
}

fn address(id: u64) -> String {
    format!("/files/uploads/{id}")
}

fn gone() -> Refusal {
    Refusal::not_found(
        "This file is not held any more: it was imported or forgotten, gave way to newer ones, or \
         the program was restarted. Files shows what was imported; choose the file again for the \
         rest.",
    )
}

/// `POST /files/uploads/{id}/import`.
pub(in crate::console) async fn import(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
    Form(form): Form<ImportForm>,
) -> Answer {
    let id = id.parse().map_err(|_| gone())?;
    if !console.uploads.import(&console.files, id, form.by_record == "true") {
        return Err(gone());
    }
    let held = console.uploads.settled(id, PATIENCE).await;
    // One file: its place is in the history from now on.
    if let Some(Held { standing: Standing::Imported(reports), .. }) = &held
        && let [report] = reports.as_slice()
        && let Some(number) = report.import_no
    {
        return Ok(Redirect::to(&format!("/files/{number}")).into_response());
    }
    Ok(Redirect::to(&address(id)).into_response())
}

/// `POST /files/uploads/{id}/look`: the same file, read as another kind; nothing is stored.
pub(in crate::console) async fn look(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
    Form(form): Form<LookForm>,
) -> Answer {
    let id = id.parse().map_err(|_| gone())?;
    let options = console
        .files
        .options(&form.kind)
        .map_err(|error| Refusal::bad_request(words::sentence_case(&format!("{error}."))))?;
    if !console.uploads.look_again(&console.files, id, (&form.kind, options)) {
        return Err(gone());
    }
    console.uploads.settled(id, PATIENCE).await;
    Ok(Redirect::to(&address(id)).into_response())
}

/// `POST /files/uploads/{id}/forget`.
pub(in crate::console) async fn forget(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
) -> Answer {
    let id = id.parse().map_err(|_| gone())?;
    let held = console.uploads.find(id).ok_or_else(gone)?;
    if held.is_moving() {
        return Err(Refusal::conflict("The file is being worked on: wait until that is done."));
    }
    console.uploads.forget(id);
    let did = format!("{} was forgotten; nothing of it was stored", held.name);
    Ok(Redirect::to(&QueryText::default().with("did", &did).on("/files")).into_response())
}

/// `GET /files/uploads/{id}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(id): Path<String>,
) -> Answer {
    let held = id.parse().ok().and_then(|id| console.uploads.find(id)).ok_or_else(gone)?;
    let reports = match &held.standing {
        Standing::Tried(reports) | Standing::Imported(reports) => reports.as_slice(),
        _ => &[],
    };
    let is_done = matches!(held.standing, Standing::Imported(_));
    let act = match &held.standing {
        Standing::Tried(_) => ImportAct::of(reports),
        Standing::Failed(_) => Some(ImportAct::again()),
        _ => None,
    };
    let mut lines = Vec::with_capacity(reports.len());
    for report in reports {
        lines.push(ReportLines::of(report, is_done, &console).await?);
    }
    let size = bytes(held.size as u64);
    let mut answer = html(&UploadPage {
        frame: frame(&console, &held.name).await?,
        id: held.id,
        about: if held.kind.is_empty() { size } else { format!("{}, {size}", held.kind) },
        say: say(&held),
        moving: moving(&held.standing),
        act,
        can_forget: !held.is_moving() && !is_done,
        kinds: if held.is_moving() || is_done { Vec::new() } else { kinds(&console) },
        kind: held.kind.clone(),
        reports: lines,
        name: held.name.clone(),
    })?;
    if held.is_moving() {
        answer.headers_mut().insert(header::REFRESH, HeaderValue::from_static(AGAIN_S));
    }
    Ok(answer)
}

fn say(held: &Held) -> String {
    match &held.standing {
        Standing::Trying(_) => "It is looked at; nothing is stored.".to_owned(),
        Standing::Importing(_) => "It is imported.".to_owned(),
        Standing::Tried(reports) => match Verdict::of(reports) {
            Verdict::Waits => "Nothing is stored yet. This is what would be.",
            Verdict::Known => "It was imported before: nothing is left to store.",
            Verdict::Refused => {
                "It would be refused, so nothing can be stored. If it is of another kind, or of \
                 a layout, choose that below and look again."
            }
        }
        .to_owned(),
        Standing::Imported(_) => "It is imported.".to_owned(),
        Standing::Failed(why) => format!(
            "It ended early: {why}. What was stored until then is known when the file comes again."
        ),
    }
}

fn moving(standing: &Standing) -> Option<(u64, String)> {
    let (Standing::Trying(progress) | Standing::Importing(progress)) = standing else {
        return None;
    };
    Some(match progress.so_far() {
        (_, 0) => (0, "looking for faults".to_owned()),
        (done, of) if done >= of => (100, format!("all {} records read, storing", number(of))),
        (done, of) => (100 * done / of, format!("{} of {} records", number(done), number(of))),
    })
}

impl UploadForm {
    fn of(parts: &[Part]) -> Self {
        let text = |name: &str| {
            let part = parts.iter().find(|part| part.name == name);
            let text = part.map(|part| String::from_utf8_lossy(&part.bytes).trim().to_owned());
            text.unwrap_or_default()
        };
        Self {
            kind: text("kind"),
            zone: text("zone"),
            column: text("column"),
            latin1: !text("latin1").is_empty(),
        }
    }
}

impl ImportAct {
    /// `None` when nothing of it would be stored.
    fn of(reports: &[FileReport]) -> Option<Self> {
        let tried = || reports.iter().filter(|report| report.outcome == FileOutcome::Tried);
        let good: u64 = tried().map(|report| report.counts.records).sum();
        let faulty: u64 = tried().map(|report| report.counts.refused).sum();
        if good == 0 {
            return None;
        }
        if faulty == 0 {
            return Some(Self {
                by_record: false,
                word: format!("Import {}", count(good, "record", "records")),
                hint: "What is stored already is not stored twice.".to_owned(),
            });
        }
        let left_out = count(faulty, "faulty record is", "faulty records are");
        Some(Self {
            by_record: true,
            word: format!("Import the {}", count(good, "good record", "good records")),
            hint: format!("{left_out} left out then. Or mend the file and choose it again."),
        })
    }

    fn again() -> Self {
        Self { by_record: true, word: "Look at it again".to_owned(), hint: String::new() }
    }
}

impl ReportLines {
    async fn of(
        report: &FileReport,
        is_done: bool,
        console: &ConsoleState,
    ) -> Result<Self, Refusal> {
        let listed = report.channels.iter().take(CHANNELS_MAX);
        let meters = listed.clone().map(|((meter, _), _)| Subject::Meter(*meter));
        let names = names::of(&console.db, meters).await?;
        let channels = listed.map(|((meter, channel), reads)| {
            let name = names.get(&Subject::Meter(*meter)).cloned();
            let name = name.unwrap_or_else(|| meter.get().to_string());
            ChannelLine::of(name, channel.get(), reads, console)
        });
        let more = report.channels.len().saturating_sub(CHANNELS_MAX) as u64;
        let (say, bad) = report_say(report, is_done);
        let number_of = report.import_no.filter(|_| report.outcome != FileOutcome::Tried);
        Ok(Self {
            name: report.name.clone(),
            say,
            bad,
            href: number_of.map(|number| format!("/files/{number}")).unwrap_or_default(),
            channels: channels.collect(),
            channels_more: if more == 0 { String::new() } else { number(more) },
            unknown: report.unknown.clone(),
            unmapped: if report.unmapped == 0 { String::new() } else { number(report.unmapped) },
            faults: FaultLines::of(&report.faults, report.counts.refused),
        })
    }
}

fn report_say(report: &FileReport, is_done: bool) -> (String, bool) {
    let format = report.format.map(|format| format.to_string()).unwrap_or_default();
    let kind = if format == "layout" { "Layout".to_owned() } else { kind_word(&format, "") };
    let counts = &report.counts;
    let is_faulty = counts.refused > 0;
    match &report.outcome {
        FileOutcome::Refused(detail) if is_done => (format!("Refused: {detail}."), true),
        FileOutcome::Refused(detail) => (format!("It would be refused: {detail}."), true),
        FileOutcome::Known(_) => {
            (words::sentence_case(&format!("{}.", report.outcome.detail())), false)
        }
        FileOutcome::Imported => {
            let faulty = count(counts.refused, "record", "records");
            (format!("{}; {faulty} faulty.", readings_say(counts, true)), is_faulty)
        }
        FileOutcome::Tried => {
            let good = count(counts.records, "good record", "good records");
            let faulty = number(counts.refused);
            let reads = readings_say(counts, false);
            (format!("{kind}: {good} and {faulty} faulty; {reads}."), is_faulty)
        }
    }
}

/// `48 readings would be stored, 3 known already, 2 of another value than what is stored`. Which of
/// two values stands is known once it was decided.
fn readings_say(counts: &FileCounts, is_done: bool) -> String {
    let done = if is_done { "stored" } else { "would be stored" };
    let mut said = format!("{} {done}", count(counts.inserted, "reading", "readings"));
    let differing = if is_done { 0 } else { counts.conflicting };
    for (reads, what) in [
        (counts.duplicate, "known already"),
        (differing, "of another value than what is stored"),
        (if is_done { counts.replaced } else { 0 }, "took another's place"),
        (if is_done { beside(counts) } else { 0 }, "kept beside another"),
        (counts.dead, "of devices that are no meters yet"),
    ] {
        if reads > 0 {
            said.push_str(&format!(", {} {what}", number(reads)));
        }
    }
    match counts.skipped {
        0 => said,
        n => format!("{said}; {} not read", count(n, "meter", "meters")),
    }
}

fn count(count: u64, one: &str, many: &str) -> String {
    words::count(i64::try_from(count).unwrap_or(i64::MAX), one, many)
}

impl ChannelLine {
    fn of(meter: String, channel: i16, reads: &ChannelReads, console: &ConsoleState) -> Self {
        let (now, zone) = (console.now(), console.calendar.zone());
        Self {
            href: meter_href(&meter, channel, (reads.from, reads.to)),
            meter,
            channel: channel.to_string(),
            intervals: number(reads.intervals),
            registers: number(reads.registers),
            span: words::span(reads.from, reads.to, now, zone),
        }
    }
}
