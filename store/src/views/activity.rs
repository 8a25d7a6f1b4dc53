//! What a device reported and sent: events and raw messages.

use metering::{EventCode, MeterId, Subject, UtcTime};

use super::ask::{self, Columns};
use super::page::{Cursor, CursorError, Page, fetch_limit, page, part};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Bytes of a payload that a list shows.
pub const PAYLOAD_BYTES_SHOWN: i32 = 4_096;

/// An event of a meter or collector; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRow {
    pub occurred_at: UtcTime,
    pub received_at: UtcTime,
    /// `None` when a newer program wrote a code that this one does not know; see `code_text`.
    pub code: Option<EventCode>,
    pub code_text: String,
    pub seq: i32,
    pub detail: String,
}

/// The bytes behind readings, cut to [`PAYLOAD_BYTES_SHOWN`]; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawMessageRow {
    pub received_at: UtcTime,
    pub adapter: String,
    pub topic: String,
    /// Hexadecimal SHA-256 of the whole payload.
    pub sha256: String,
    pub payload: Vec<u8>,
    /// Bytes of the whole payload.
    pub size_bytes: i32,
}

/// Which events did the subject report, newest first, before `($3, $4, $5)`?
const EVENTS: &str = "SELECT occurred_at, received_at, code, seq, detail FROM device_event \
     WHERE subject_kind = $1 AND subject_id = $2 AND ($3::timestamptz IS NULL \
     OR (occurred_at, code, seq) < ($3, $4::text, $5::int4)) \
     ORDER BY occurred_at DESC, code DESC, seq DESC LIMIT $6";

/// Which events happened in `[$3, $4)`?
const EVENTS_BETWEEN: &str = "SELECT occurred_at, received_at, code, seq, detail \
     FROM device_event WHERE subject_kind = $1 AND subject_id = $2 \
     AND occurred_at >= $3 AND occurred_at < $4 AND code <> 'heartbeat' \
     ORDER BY occurred_at, code, seq LIMIT 500";

/// Events of a meter or collector, newest first.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn events(
    db: &Database,
    subject: Subject,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<EventRow>, StoreError> {
    let after = cursor.map(Cursor::parts::<3>).transpose()?;
    let (at, code, seq) = match after {
        Some([at, code, seq]) => {
            (Some(Stamp(UtcTime::from_micros(part(at)?))), Some(code), Some(part::<i32>(seq)?))
        }
        None => (None, None, None),
    };
    let (kind, number, fetch) = (subject.kind(), subject.number(), fetch_limit(limit));
    let params: ask::Params<'_> = &[&kind, &number, &at, &code, &seq, &fetch];
    let rows = ask::all(db, "reading events", EVENTS, params, read_event).await?;
    Ok(page(rows, limit, |row| {
        let at = row.occurred_at.micros().to_string();
        Cursor::new([at, row.code_text.clone(), row.seq.to_string()])
    }))
}

/// Events in `[from, to)` without heartbeats, oldest first, at most 500: flags on a chart.
///
/// # Errors
/// When the database does not answer.
pub async fn events_between(
    db: &Database,
    subject: Subject,
    from: UtcTime,
    to: UtcTime,
) -> Result<Vec<EventRow>, StoreError> {
    let (kind, number, from, to) = (subject.kind(), subject.number(), Stamp(from), Stamp(to));
    let params: ask::Params<'_> = &[&kind, &number, &from, &to];
    ask::all(db, "reading events of a range", EVENTS_BETWEEN, params, read_event).await
}

fn read_event(c: &mut Columns<'_>) -> Result<EventRow, StoreError> {
    let (occurred_at, received_at, code_text) = (c.time()?, c.time()?, c.get::<String>()?);
    Ok(EventRow {
        occurred_at,
        received_at,
        code: code_text.parse().ok(),
        code_text,
        seq: c.get()?,
        detail: c.get()?,
    })
}

/// Which messages of the meter are kept, newest first, before `($2, $3)`?
const RAW: &str = "SELECT received_at, adapter, topic, encode(sha256, 'hex'), \
     substring(payload FROM 1 FOR $5::int4), octet_length(payload) FROM raw_message \
     WHERE meter_id = $1 AND ($2::timestamptz IS NULL OR (received_at, sha256) \
     < ($2, decode($3::text, 'hex'))) ORDER BY received_at DESC, sha256 DESC LIMIT $4";

/// The messages behind a meter's readings, newest first.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn raw_messages(
    db: &Database,
    meter: MeterId,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<RawMessageRow>, StoreError> {
    let after = cursor.map(Cursor::parts::<2>).transpose()?;
    let (at, sha256) = match after {
        Some([at, sha256]) => (Some(Stamp(UtcTime::from_micros(part(at)?))), Some(hex(sha256)?)),
        None => (None, None),
    };
    let (meter, fetch) = (meter.get(), fetch_limit(limit));
    let params: ask::Params<'_> = &[&meter, &at, &sha256, &fetch, &PAYLOAD_BYTES_SHOWN];
    let rows = ask::all(db, "reading raw messages", RAW, params, |c| {
        Ok(RawMessageRow {
            received_at: c.time()?,
            adapter: c.get()?,
            topic: c.get()?,
            sha256: c.get()?,
            payload: c.get()?,
            size_bytes: c.get()?,
        })
    })
    .await?;
    Ok(page(rows, limit, |row| {
        Cursor::new([row.received_at.micros().to_string(), row.sha256.clone()])
    }))
}

/// A whole SHA-256 in hexadecimal from a cursor.
pub(super) fn hex(text: &str) -> Result<&str, CursorError> {
    let whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole { Ok(text) } else { Err(CursorError) }
}
