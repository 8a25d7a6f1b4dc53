//! Has anything happened since a page was drawn?

use crate::database::Database;
use crate::error::StoreError;

use super::ask::{self, Columns};

/// How far the event log and the console's events are. Both only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heads {
    /// Sequence that the next log record gets.
    pub log_seq: i64,
    /// Number of the newest console event; 0 before the first.
    pub event_id: i64,
}

/// Where do the log and the console's events end?
const HEADS: &str = "SELECT coalesce((SELECT max(next_seq) FROM event_log_head), 0)::int8, \
     coalesce((SELECT max(event_id) FROM console_event), 0)::int8";

/// The present heads: two index look-ups, meant to be asked often.
///
/// # Errors
/// When the database does not answer.
pub async fn heads(db: &Database) -> Result<Heads, StoreError> {
    const WHAT: &str = "looking whether anything happened";
    let read =
        |columns: &mut Columns<'_>| Ok(Heads { log_seq: columns.get()?, event_id: columns.get()? });
    Ok(ask::first(db, WHAT, HEADS, &[], read).await?.unwrap_or_default())
}
