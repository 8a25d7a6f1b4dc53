//! Dead letters that nobody wants any more are deleted, by an operator's hand only.

use metering::{SourceId, UtcTime};

use crate::database::Database;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

/// Deletes by source, reason and age; what is NULL does not restrict.
const PURGE: &str = "\
    DELETE FROM dead_letter WHERE ($1::text IS NULL OR source_id = $1) \
        AND ($2::text IS NULL OR reason = $2) AND ($3::timestamptz IS NULL OR last_seen < $3)";

/// Which dead letters are deleted; empty fields do not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PurgeFilter {
    pub source: Option<SourceId>,
    pub reason: Option<String>,
    /// Only those last seen before.
    pub before: Option<UtcTime>,
}

impl Database {
    /// Deletes dead letters, replayed ones too; gives their number. With `dry_run` it does the
    /// same and takes it back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge_dead_letters(
        &self,
        filter: &PurgeFilter,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let query = StoreError::query("deleting dead letters");
        let tx = Tx::begin(self).await?;
        let source = filter.source.as_ref().map(SourceId::as_str);
        let before = filter.before.map(Stamp);
        let purged =
            tx.client().execute(PURGE, &[&source, &filter.reason, &before]).await.map_err(query)?;
        if dry_run {
            tx.rollback().await;
        } else {
            tx.commit().await?;
        }
        Ok(purged)
    }
}
