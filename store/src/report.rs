//! What a run left behind, in a form that two runs can be compared by.

use metering::UtcTime;
use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Order-free sums of row hashes of everything that was read; arrival times are left out.
const DATA: &str = "\
    SELECT coalesce(sum(hashtextextended(concat_ws(',', meter_id, channel, \
        extract(epoch FROM starts_at), value, flags), 0)::numeric), 0)::text, count(*) \
    FROM read_interval \
    UNION ALL \
    SELECT coalesce(sum(hashtextextended(concat_ws(',', meter_id, channel, \
        extract(epoch FROM read_at), raw, value, source, flags, rule_mask), 0)::numeric), 0)::text, \
        count(*) FROM register_read \
    UNION ALL \
    SELECT coalesce(sum(hashtextextended(concat_ws(',', subject_kind, subject_id, \
        extract(epoch FROM occurred_at), code, seq, detail), 0)::numeric), 0)::text, count(*) \
    FROM device_event";

/// Every issue with the name of its subject, in the order of opening.
const ISSUES: &str = "\
    SELECT i.number, i.subject_kind, coalesce(m.number, c.code, ''), i.family, \
        coalesce(i.identified_cause, i.cause_detected), i.severity, i.state, i.suppressed, \
        i.condition_start, i.detected_at \
    FROM meter_issue i \
    LEFT JOIN meter m ON i.subject_kind = 'meter' AND m.meter_id = i.subject_id \
    LEFT JOIN collector c ON i.subject_kind = 'collector' AND c.collector_id = i.subject_id \
    ORDER BY i.number";

/// An issue as a report names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssueFact {
    pub number: i64,
    /// `meter`, `collector` or `headend`.
    pub subject_kind: String,
    /// Number of the meter or code of the collector.
    pub subject: String,
    pub family: String,
    pub cause: String,
    pub severity: i16,
    pub state: String,
    pub suppressed: bool,
    pub condition_start: UtcTime,
    pub detected_at: UtcTime,
}

/// The questions of a report.
#[derive(Clone, Debug)]
pub struct RunReport {
    database: Database,
}

impl RunReport {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Hash over all intervals, registers and events, without the times of their arrival.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn data_hash(&self) -> Result<String, StoreError> {
        let query = StoreError::query("hashing the readings");
        let client = self.database.work_client().await?;
        let mut hasher = Sha256::new();
        for row in client.query(DATA, &[]).await.map_err(&query)? {
            let (sum, rows): (String, i64) = (row.get(0), row.get(1));
            hasher.update(format!("{sum}|{rows}\n").as_bytes());
        }
        let digest = hasher.finalize();
        Ok(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// # Errors
    /// When the database is away.
    pub async fn issues(&self) -> Result<Vec<IssueFact>, StoreError> {
        let query = StoreError::query("listing all issues");
        let client = self.database.work_client().await?;
        let rows = client.query(ISSUES, &[]).await.map_err(&query)?;
        Ok(rows
            .iter()
            .map(|row| IssueFact {
                number: row.get(0),
                subject_kind: row.get(1),
                subject: row.get(2),
                family: row.get(3),
                cause: row.get(4),
                severity: row.get(5),
                state: row.get(6),
                suppressed: row.get(7),
                condition_start: row.get::<_, Stamp>(8).0,
                detected_at: row.get::<_, Stamp>(9).0,
            })
            .collect())
    }
}
