//! What arrived and could not be stored: unknown devices and dead letters.

use metering::{SourceId, UtcTime};

use super::activity::{PAYLOAD_BYTES_SHOWN, hex};
use super::ask::{self, Columns, exact};
use super::page::{Cursor, LIMIT_MAX, Page, fetch_limit, page, part};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// A device that was heard and is not provisioned; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommissioningRow {
    pub source: SourceId,
    pub adapter: String,
    pub collector: Option<String>,
    pub first_seen: UtcTime,
    pub last_seen: UtcTime,
    pub messages: i64,
    pub last_topic: String,
    /// Cut to [`super::activity::PAYLOAD_BYTES_SHOWN`].
    pub last_payload: Vec<u8>,
    /// Names of the values it sent.
    pub fields: Vec<String>,
    pub ignored: bool,
}

/// A message that is kept because it could not be stored as readings; newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterRow {
    /// Hexadecimal SHA-256 of the payload; with `adapter` the key.
    pub sha256: String,
    pub adapter: String,
    pub topic: String,
    pub reason: String,
    pub detail: String,
    pub source: Option<SourceId>,
    pub first_seen: UtcTime,
    pub last_seen: UtcTime,
    pub count: i64,
    /// Readings that one copy offered.
    pub reads: i64,
    pub replayed_at: Option<UtcTime>,
    /// Cut to [`super::activity::PAYLOAD_BYTES_SHOWN`].
    pub payload: Vec<u8>,
    pub size_bytes: i32,
}

/// Which dead letters to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeadLetterFilter {
    pub reason: Option<String>,
    pub source: Option<String>,
    /// Also those that were replayed.
    pub replayed: bool,
}

/// How many dead letters wait, by reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterCount {
    pub reason: String,
    pub messages: i64,
    pub reads: i64,
}

/// Which unknown devices were heard, newest first (or the one named `$1`)?
const COMMISSIONING: &str = "SELECT source_id, adapter, collector, first_seen, last_seen, \
     messages, last_topic, substring(last_payload FROM 1 FOR $4::int4), fields, ignored \
     FROM commissioning WHERE ($1::text IS NULL OR source_id = $1) \
     AND ($2::bool IS NULL OR ignored = $2) ORDER BY last_seen DESC, source_id LIMIT $3";

/// Devices heard that nobody provisioned (or, with `ignored`, those set aside), newest first, at
/// most 1,000.
///
/// # Errors
/// When the database does not answer.
pub async fn commissioning(
    db: &Database,
    ignored: bool,
    limit: u32,
) -> Result<Vec<CommissioningRow>, StoreError> {
    let limit = i64::from(limit.clamp(1, LIMIT_MAX));
    let params: ask::Params<'_> = &[&None::<&str>, &Some(ignored), &limit, &PAYLOAD_BYTES_SHOWN];
    ask::all(db, "reading the commissioning list", COMMISSIONING, params, read_device).await
}

/// One device of the commissioning list, or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn device(
    db: &Database,
    source: &SourceId,
) -> Result<Option<CommissioningRow>, StoreError> {
    let params: ask::Params<'_> =
        &[&Some(source.as_str()), &None::<bool>, &1_i64, &PAYLOAD_BYTES_SHOWN];
    ask::first(db, "reading an unknown device", COMMISSIONING, params, read_device).await
}

fn read_device(c: &mut Columns<'_>) -> Result<CommissioningRow, StoreError> {
    Ok(CommissioningRow {
        source: SourceId::parse(c.get::<String>()?),
        adapter: c.get()?,
        collector: c.get()?,
        first_seen: c.time()?,
        last_seen: c.time()?,
        messages: c.get()?,
        last_topic: c.get()?,
        last_payload: c.get()?,
        fields: names(&c.get()?),
        ignored: c.get()?,
    })
}

/// Names out of a JSON array of names, or of objects with a `name`.
fn names(json: &serde_json::Value) -> Vec<String> {
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .filter_map(|item| item.as_str().or_else(|| item.get("name")?.as_str()))
        .map(str::to_owned)
        .collect()
}

macro_rules! dead_letter_columns {
    () => {
        "SELECT encode(sha256, 'hex'), adapter, topic, reason, detail, source_id, first_seen, \
         last_seen, count, reads, replayed_at, substring(payload FROM 1 FOR $1::int4), \
         octet_length(payload) FROM dead_letter "
    };
}

/// Which dead letters wait, newest first, before `($5, $6, $7)`?
const DEAD_LETTERS: &str = concat!(
    dead_letter_columns!(),
    "WHERE ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR source_id = $3) \
     AND ($4::bool OR replayed_at IS NULL) AND ($5::timestamptz IS NULL \
     OR (last_seen, sha256, adapter) < ($5, decode($6::text, 'hex'), $7::text)) \
     ORDER BY last_seen DESC, sha256 DESC, adapter DESC LIMIT $8"
);

/// Dead letters, newest first.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn dead_letters(
    db: &Database,
    filter: &DeadLetterFilter,
    cursor: Option<&Cursor>,
    limit: u32,
) -> Result<Page<DeadLetterRow>, StoreError> {
    let (at, sha256, adapter) = match cursor.map(Cursor::parts::<3>).transpose()? {
        Some([at, sha256, adapter]) => {
            (Some(Stamp(UtcTime::from_micros(part(at)?))), Some(hex(sha256)?), Some(adapter))
        }
        None => (None, None, None),
    };
    let (reason, source) = (exact(filter.reason.as_deref()), exact(filter.source.as_deref()));
    let fetch = fetch_limit(limit);
    let params: ask::Params<'_> =
        &[&PAYLOAD_BYTES_SHOWN, &reason, &source, &filter.replayed, &at, &sha256, &adapter, &fetch];
    let rows = ask::all(db, "reading dead letters", DEAD_LETTERS, params, read_dead).await?;
    Ok(page(rows, limit, |row| {
        Cursor::new([row.last_seen.micros().to_string(), row.sha256.clone(), row.adapter.clone()])
    }))
}

/// Which dead letter has a SHA-256 that starts with `$2`?
const DEAD_LETTER: &str = concat!(
    dead_letter_columns!(),
    "WHERE encode(sha256, 'hex') LIKE $2::text || '%' ORDER BY last_seen DESC LIMIT 1"
);

/// The newest dead letter whose SHA-256 starts with the given 8 to 64 hexadecimal digits.
///
/// # Errors
/// When the database does not answer.
pub async fn dead_letter(
    db: &Database,
    sha256_prefix: &str,
) -> Result<Option<DeadLetterRow>, StoreError> {
    let prefix = sha256_prefix.to_ascii_lowercase();
    if !(8..=64).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let params: ask::Params<'_> = &[&PAYLOAD_BYTES_SHOWN, &prefix];
    ask::first(db, "reading a dead letter", DEAD_LETTER, params, read_dead).await
}

fn read_dead(c: &mut Columns<'_>) -> Result<DeadLetterRow, StoreError> {
    Ok(DeadLetterRow {
        sha256: c.get()?,
        adapter: c.get()?,
        topic: c.get()?,
        reason: c.get()?,
        detail: c.get()?,
        source: c.get::<Option<String>>()?.map(SourceId::parse),
        first_seen: c.time()?,
        last_seen: c.time()?,
        count: c.get()?,
        reads: c.get()?,
        replayed_at: c.maybe_time()?,
        payload: c.get()?,
        size_bytes: c.get()?,
    })
}

/// Why do dead letters wait?
const DEAD_LETTER_COUNTS: &str = "SELECT reason, sum(count)::int8, sum(count * reads)::int8 \
     FROM dead_letter WHERE replayed_at IS NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100";

/// Waiting dead letters by reason, most first.
///
/// # Errors
/// When the database does not answer.
pub async fn dead_letter_counts(db: &Database) -> Result<Vec<DeadLetterCount>, StoreError> {
    ask::all(db, "counting dead letters", DEAD_LETTER_COUNTS, &[], |c| {
        Ok(DeadLetterCount { reason: c.get()?, messages: c.get()?, reads: c.get()? })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_read_in_either_shape() {
        let json = serde_json::from_str(r#"["total_m3", {"name": "flow"}, 5]"#).unwrap();
        assert_eq!(names(&json), ["total_m3", "flow"]);
        assert!(names(&serde_json::Value::Null).is_empty());
    }
}
