//! Trouble becomes one issue: alerts are planned against what is open and written down.

use alerts::AlertTransition;
use metering::UtcTime;
use store::issues::{Applied, Issues, Standing};
use store::{Database, Offset, StoreError};

/// Keeps the book of issues in step with the rules.
#[derive(Debug)]
pub struct IssueJob {
    issues: Issues,
}

impl IssueJob {
    pub fn new(database: Database) -> Self {
        Self { issues: Issues::new(database) }
    }

    /// # Errors
    /// The database is away; nothing was stored and the same call may be repeated.
    pub async fn apply(
        &self,
        consumer: &str,
        offset: Offset,
        said: &[AlertTransition],
    ) -> Result<Applied, StoreError> {
        let applied = self.issues.apply(consumer, offset, said).await?;
        if applied != Applied::default() {
            tracing::debug!(opened = applied.opened, changed = applied.changed, "Issues changed.");
        }
        Ok(applied)
    }

    /// The alerts that were told and not taken back.
    ///
    /// # Errors
    /// The database is away.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        self.issues.standing().await
    }

    /// These alerts, which nobody can judge, are over at log time `at`.
    ///
    /// # Errors
    /// The database is away.
    pub async fn end_unreadable(&self, ids: &[String], at: UtcTime) -> Result<(), StoreError> {
        self.issues.end_unreadable(ids, at).await
    }

    /// Steps that are due at log time `now`: closing after verification, the end of a snooze.
    ///
    /// # Errors
    /// The database is away.
    pub async fn apply_due(&self, now: UtcTime, seq: i64) -> Result<Applied, StoreError> {
        self.issues.apply_due(now, seq).await
    }
}
