//! Files of readings: uploaded, listed, with their faults; and Green Button out.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream;
use protocols::files::beacon::Column;
use protocols::files::{Encoding, FileFormat};
use serde::Serialize;
use store::StoreError;
use store::files::{FaultRow, FileCounts, FileRow, NotedRow};
use store::views::export::{self, ExportFilter};

use super::WebState;
use super::params::Params;
use super::problem::Problem;
use crate::ingest::files::{FileReport, Upload};
pub(super) use crate::services::files::UPLOAD_BYTES_MAX;
use crate::services::green_button::GreenButton;

/// Notes of one file that are given.
const NOTES_MAX: u32 = 10_000;
/// Thirteen months.
const FEED_S: i64 = 396 * 86_400;

#[derive(Serialize)]
struct FileBody {
    number: i64,
    name: String,
    format: String,
    layout: String,
    /// Of times that name none; empty where the kind needs none.
    zone: String,
    id_column: String,
    sha256: String,
    bytes: u64,
    by_record: bool,
    made_at: String,
    said_at: Option<String>,
    received_at: String,
    finished_at: Option<String>,
    state: &'static str,
    actor: String,
    detail: String,
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    records: u64,
    refused: u64,
    offered: u64,
    inserted: u64,
    duplicate: u64,
    conflicting: u64,
    replaced: u64,
    dead: u64,
    not_read: u64,
}

#[derive(Serialize)]
struct FaultBody {
    line: u64,
    reason: String,
    detail: String,
    raw: String,
}

/// What a reader on foot wrote down.
#[derive(Serialize)]
struct NoteBody {
    line: u64,
    device: String,
    meter: Option<String>,
    at: String,
    not_read: bool,
    note: String,
}

/// Records that wait for their meter, and those that came home; `gone`: told again by a later
/// file, or deleted.
#[derive(Serialize)]
struct LettersBody {
    waiting: u64,
    waiting_reads: u64,
    home: u64,
    home_reads: u64,
    gone_reads: u64,
    devices: Vec<String>,
}

#[derive(Serialize)]
struct ReportBody {
    name: String,
    format: Option<String>,
    outcome: &'static str,
    detail: String,
    number: Option<i64>,
    counts: Counts,
    unmapped: u64,
    unknown: Vec<String>,
    faults: Vec<FaultBody>,
}

pub(super) async fn list(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let before = params.parsed::<i64>("before", "a file's number").unwrap_or(0);
    let limit = params.limit();
    params.finish()?;
    let rows = store::files::list(&state.db, before, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.import_no);
    let files: Vec<FileBody> = rows.into_iter().map(file_body).collect();
    Ok(Json(serde_json::json!({ "files": files, "before": next })).into_response())
}

pub(super) async fn one(
    State(state): State<WebState>,
    Path(number): Path<i64>,
) -> Result<Response, Problem> {
    let row = store::files::by_number(&state.db, number).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no file of that number"))?;
    let faults = store::files::faults(&state.db, number).await?;
    let faults: Vec<FaultBody> = faults.into_iter().map(fault_body).collect();
    let notes = store::files::notes(&state.db, number, NOTES_MAX).await?;
    let notes: Vec<NoteBody> = notes.into_iter().map(note_body).collect();
    let letters = store::files::letters(&state.db, number).await?;
    let letters = LettersBody {
        gone_reads: letters.gone_reads(row.counts.dead),
        waiting: letters.waiting,
        waiting_reads: letters.waiting_reads,
        home: letters.home,
        home_reads: letters.home_reads,
        devices: letters.devices,
    };
    let body = serde_json::json!({
        "file": file_body(row), "letters": letters, "notes": notes, "faults": faults,
    });
    Ok(Json(body).into_response())
}

/// The body is the file itself.
pub(super) async fn upload(
    State(state): State<WebState>,
    mut params: Params,
    body: Bytes,
) -> Result<Response, Problem> {
    let zone = params.calendar(state.fleet.calendar()).zone().clone();
    let name = params.text("name").unwrap_or_else(|| "upload".to_owned());
    let format = params.parsed::<FileFormat>("format", "nem12, cmep, espi or beacon");
    let layout = params.text("layout");
    let column = params.parsed::<Column>("identity", "Meter_ID, Meter_SN or Endpoint_SN");
    let flags = ["by_record", "dry_run", "again", "latin1"].map(|flag| params.flag(flag));
    params.finish()?;
    let format = format.map(|format| format.to_string());
    let kind = layout.or(format).unwrap_or_default();
    let options = state.files.options(&kind);
    let mut options = options.map_err(|error| Problem::not_found(error.to_string()))?;
    (options.zone, options.dry_run, options.again) = (zone, flags[1], flags[2]);
    options.by_record = flags[0];
    options.identity.column = column.unwrap_or(options.identity.column);
    if flags[3] {
        options.encoding = Encoding::Latin1;
    }
    let upload = Upload { name, bytes: body, actor: "api".to_owned() };
    let reports = state.files.import(&upload, &options, &mut |_, _| {}).await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "An upload was not imported.");
        Problem::of_status(StatusCode::SERVICE_UNAVAILABLE)
    })?;
    let reports: Vec<ReportBody> = reports.into_iter().map(report_body).collect();
    Ok(Json(serde_json::json!({ "files": reports })).into_response())
}

/// A meter's intervals of thirteen months, or of `from` to `to`, as a Green Button feed.
pub(super) async fn green_button(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let calendar = params.calendar(state.fleet.calendar());
    let range = params.range(&calendar, state.now(), FEED_S);
    params.finish()?;
    let name = format!("green_button_{}.xml", super::csv_text::file_part(&number));
    let filter = ExportFilter { number: Some(number.clone()), ..ExportFilter::default() };
    let reads = export::reads(&state.db, filter, range, state.now())?;
    let who = (state.settings.utility.as_str(), number.as_str());
    let mut feed = GreenButton::new(who, reads, calendar, state.now());
    let first = feed.piece().await?;
    let rest = stream::try_unfold((feed, first), async |(mut feed, first)| {
        let piece = match first {
            Some(piece) => Some(piece),
            None => feed.piece().await?,
        };
        Ok::<_, StoreError>(piece.map(|piece| (piece, (feed, None))))
    });
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/atom+xml; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok((headers, Body::from_stream(Box::pin(rest))).into_response())
}

fn file_body(row: FileRow) -> FileBody {
    let sha256 = row.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    FileBody {
        number: row.import_no,
        name: row.name,
        format: row.read_as.format,
        layout: row.read_as.layout,
        zone: row.read_as.zone,
        id_column: row.read_as.id_column,
        sha256,
        bytes: row.size,
        by_record: row.by_record,
        made_at: row.made_at.to_string(),
        said_at: row.said_at.map(|at| at.to_string()),
        received_at: row.received_at.to_string(),
        finished_at: row.finished_at.map(|at| at.to_string()),
        state: row.state.word(),
        actor: row.actor,
        detail: row.detail,
        counts: counts(&row.counts),
    }
}

fn note_body(noted: NotedRow) -> NoteBody {
    let row = noted.row;
    NoteBody {
        line: row.line,
        device: row.source.to_string(),
        meter: noted.meter,
        at: row.at.to_string(),
        not_read: row.skipped,
        note: row.note,
    }
}

fn fault_body(row: FaultRow) -> FaultBody {
    FaultBody { line: row.line, reason: row.reason, detail: row.detail, raw: row.raw }
}

fn report_body(report: FileReport) -> ReportBody {
    ReportBody {
        name: report.name,
        format: report.format.map(|format| format.to_string()),
        outcome: report.outcome.word(),
        detail: report.outcome.detail(),
        number: report.import_no,
        counts: counts(&report.counts),
        unmapped: report.unmapped,
        unknown: report.unknown,
        faults: report.faults.into_iter().map(fault_body).collect(),
    }
}

const fn counts(counts: &FileCounts) -> Counts {
    Counts {
        records: counts.records,
        refused: counts.refused,
        offered: counts.offered,
        inserted: counts.inserted,
        duplicate: counts.duplicate,
        conflicting: counts.conflicting,
        replaced: counts.replaced,
        dead: counts.dead,
        not_read: counts.skipped,
    }
}
