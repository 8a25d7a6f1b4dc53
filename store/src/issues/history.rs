//! The history of an issue: only appended to, chained so that a change shows.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;
use metering::UtcTime;

/// The last entry of an issue's history.
const LAST: &str =
    "SELECT seq, hash FROM meter_issue_log WHERE issue_id = $1 ORDER BY seq DESC LIMIT 1";

const APPEND: &str = "\
    INSERT INTO meter_issue_log (issue_id, seq, kind, from_state, to_state, at, log_seq, \
        actor_kind, actor, reason, entry, hash) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// The whole history of an issue in order.
const ALL: &str = "\
    SELECT seq, kind, from_state, to_state, at, log_seq, actor_kind, actor, reason, entry, hash \
    FROM meter_issue_log WHERE issue_id = $1 ORDER BY seq";

/// One entry, before it has its place in the chain.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// `transition`, `overlay`, `comment` or `evidence`.
    pub(super) kind: &'static str,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) at: UtcTime,
    pub(super) log_seq: Option<i64>,
    pub(super) actor_kind: &'a str,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
    pub(super) facts: Value,
}

/// Where a history no longer agrees with its chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainBreak {
    pub issue_id: String,
    /// First entry whose hash does not follow from the one before.
    pub seq: i32,
}

pub(super) async fn append(
    client: &Connection,
    issue_id: &str,
    entry: &Entry<'_>,
) -> Result<(), StoreError> {
    let query = StoreError::query("appending to the history of an issue");
    let last = client.prepare_cached(LAST).await.map_err(&query)?;
    let (seq, previous) = match client.query_opt(&last, &[&issue_id]).await.map_err(&query)? {
        Some(row) => (row.get::<_, i32>(0) + 1, row.get::<_, Vec<u8>>(1)),
        None => (1, Vec::new()),
    };
    let hash = link(&previous, issue_id, seq, entry);
    let statement = client.prepare_cached(APPEND).await.map_err(&query)?;
    client
        .execute(
            &statement,
            &[
                &issue_id,
                &seq,
                &entry.kind,
                &entry.from,
                &entry.to,
                &Stamp(entry.at),
                &entry.log_seq,
                &entry.actor_kind,
                &entry.actor,
                &entry.reason,
                &entry.facts,
                &hash,
            ],
        )
        .await
        .map_err(&query)?;
    Ok(())
}

/// `SHA-256(previous hash || fields)`, each field with its length, so that none can move into
/// another. The facts are JSON with sorted keys.
fn link(previous: &[u8], issue_id: &str, seq: i32, entry: &Entry<'_>) -> Vec<u8> {
    let facts = entry.facts.to_string();
    let (seq, at) = (seq.to_string(), entry.at.micros().to_string());
    let log_seq = entry.log_seq.map_or_else(String::new, |seq| seq.to_string());
    let fields: [&str; 11] = [
        issue_id,
        &seq,
        entry.kind,
        entry.from.unwrap_or("-"),
        entry.to.unwrap_or("-"),
        &at,
        &log_seq,
        entry.actor_kind,
        entry.actor,
        entry.reason,
        &facts,
    ];
    let mut hasher = Sha256::new();
    hasher.update(previous);
    for field in fields {
        hasher.update(field.len().to_string().as_bytes());
        hasher.update(b":");
        hasher.update(field.as_bytes());
    }
    hasher.finalize().to_vec()
}

pub(super) async fn verify(
    client: &Connection,
    issue_id: &str,
) -> Result<Option<ChainBreak>, StoreError> {
    let query = StoreError::query("reading the history of an issue");
    let statement = client.prepare_cached(ALL).await.map_err(&query)?;
    let mut previous = Vec::new();
    let rows = client.query(&statement, &[&issue_id]).await.map_err(&query)?;
    for (expected, row) in (1..).zip(rows) {
        let seq: i32 = row.get(0);
        let broken = Some(ChainBreak { issue_id: issue_id.to_owned(), seq });
        let Some(kind) = known_kind(row.get(1)) else { return Ok(broken) };
        let entry = Entry {
            kind,
            from: row.get(2),
            to: row.get(3),
            at: row.get::<_, Stamp>(4).0,
            log_seq: row.get(5),
            actor_kind: row.get(6),
            actor: row.get(7),
            reason: row.get(8),
            facts: row.get(9),
        };
        let hash: Vec<u8> = row.get(10);
        if seq != expected || hash != link(&previous, issue_id, seq, &entry) {
            return Ok(broken);
        }
        previous = hash;
    }
    Ok(None)
}

fn known_kind(kind: &str) -> Option<&'static str> {
    ["transition", "overlay", "comment", "evidence"].into_iter().find(|known| *known == kind)
}
