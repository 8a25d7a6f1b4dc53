//! `/commissioning`, `/dead-letters`, `/batches`: what arrived, and what became of it.

use axum::Json;
use axum::extract::{Path, State};
use metering::SourceId;
use serde::Serialize;
use store::views::intake::{self, CommissioningRow, DeadLetterFilter, DeadLetterRow};
use store::views::system;

use super::WebState;
use super::fleet::Readings;
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At, List, maybe};

/// An unknown device, as sent.
#[derive(Serialize)]
struct Device {
    source: String,
    adapter: String,
    collector: Option<String>,
    first_seen: At,
    last_seen: At,
    messages: i64,
    fields: Vec<String>,
    last_topic: String,
    /// As text; bytes that are no UTF-8 are replaced.
    last_payload: String,
    ignored: bool,
}

impl Device {
    fn of(row: CommissioningRow) -> Self {
        Self {
            source: row.source.as_str().to_owned(),
            adapter: row.adapter,
            collector: row.collector,
            first_seen: At(row.first_seen),
            last_seen: At(row.last_seen),
            messages: row.messages,
            fields: row.fields,
            last_topic: row.last_topic,
            last_payload: String::from_utf8_lossy(&row.last_payload).into_owned(),
            ignored: row.ignored,
        }
    }
}

pub(super) async fn commissioning(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let (ignored, limit) = (params.flag("ignored"), params.limit());
    params.finish()?;
    let rows = intake::commissioning(&state.db, ignored, limit).await?;
    let items: Vec<Device> = rows.into_iter().map(Device::of).collect();
    Ok(Json(List { items, next_cursor: None }))
}

/// A dead letter, as sent.
#[derive(Serialize)]
struct DeadLetter {
    sha256: String,
    adapter: String,
    topic: String,
    reason: String,
    detail: String,
    source: Option<String>,
    first_seen: At,
    last_seen: At,
    count: i64,
    reads: i64,
    replayed_at: Option<At>,
    size_bytes: i32,
    /// The first 4,096 bytes as text; bytes that are no UTF-8 are replaced.
    payload: String,
}

impl DeadLetter {
    fn of(row: DeadLetterRow) -> Self {
        Self {
            sha256: row.sha256,
            adapter: row.adapter,
            topic: row.topic,
            reason: row.reason,
            detail: row.detail,
            source: row.source.as_ref().map(SourceId::to_string),
            first_seen: At(row.first_seen),
            last_seen: At(row.last_seen),
            count: row.count,
            reads: row.reads,
            replayed_at: maybe(row.replayed_at),
            size_bytes: row.size_bytes,
            payload: String::from_utf8_lossy(&row.payload).into_owned(),
        }
    }
}

pub(super) async fn dead_letters(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let filter = DeadLetterFilter {
        reason: params.text("reason"),
        source: params.text("source"),
        replayed: params.flag("replayed"),
    };
    let (cursor, limit) = (params.cursor(), params.limit());
    params.finish()?;
    let page = intake::dead_letters(&state.db, &filter, cursor.as_ref(), limit).await?;
    Ok(Json(wire::list(page, DeadLetter::of)))
}

pub(super) async fn dead_letter(
    State(state): State<WebState>,
    Path(sha256): Path<String>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let found = intake::dead_letter(&state.db, &sha256).await?;
    let what = "there is no such dead letter: name it by 8 to 64 digits of its SHA-256";
    Ok(Json(DeadLetter::of(found.ok_or_else(|| Problem::not_found(what))?)))
}

/// A committed batch, as sent.
#[derive(Serialize)]
struct Batch {
    batch: i64,
    committed_at: At,
    adapter: String,
    first_seq: Option<i64>,
    last_seq: Option<i64>,
    readings: Readings,
}

pub(super) async fn batches(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let limit = params.limit();
    params.finish()?;
    let rows = system::batches(&state.db, limit).await?;
    let items = rows.into_iter().map(|row| Batch {
        batch: row.batch_id,
        committed_at: At(row.committed_at),
        adapter: row.adapter,
        first_seq: row.first_seq,
        last_seq: row.last_seq,
        readings: Readings::of(&row.identity),
    });
    Ok(Json(List { items: items.collect::<Vec<_>>(), next_cursor: None }))
}
