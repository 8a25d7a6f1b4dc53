//! Upkeep: partitions for the days to come, and what is past its keeping goes.

use metering::UtcTime;
use metering::time::DAY_S;

use crate::database::Database;
use crate::error::StoreError;
use crate::partitions::{Table, Touched};
use crate::types::{Day, Stamp};

const DAYS_AHEAD: i64 = 14;
const LOG_DAYS_AHEAD: i64 = 3;

/// Up to which sequence has every reader of the log come, and from which could the oldest kept
/// snapshot go on? NULL until there are both.
const READ_THROUGH: &str = "\
    SELECT CASE WHEN o.seq IS NULL OR s.seq IS NULL THEN NULL ELSE least(o.seq, s.seq) END \
    FROM (SELECT min(seq) AS seq FROM event_log_offset) o, \
        (SELECT min(seq) AS seq FROM rule_snapshot) s";

/// What goes by age, in portions, so that no statement holds locks for long.
const SWEEPS: [(&str, i64); 9] = [
    (
        "DELETE FROM ingest_batch WHERE batch_id IN (SELECT batch_id FROM ingest_batch \
         WHERE committed_at < $1 ORDER BY batch_id LIMIT 20000)",
        30,
    ),
    (
        "DELETE FROM console_event WHERE event_id IN (SELECT event_id FROM console_event \
         WHERE at < $1 ORDER BY event_id LIMIT 20000)",
        2,
    ),
    (
        "DELETE FROM dead_letter WHERE ctid IN (SELECT ctid FROM dead_letter \
         WHERE replayed_at < $1 LIMIT 20000)",
        90,
    ),
    (
        "DELETE FROM read_gap WHERE ctid IN (SELECT ctid FROM read_gap \
         WHERE filled_at < $1 LIMIT 20000)",
        90,
    ),
    (
        "DELETE FROM collector_hearing WHERE ctid IN (SELECT ctid FROM collector_hearing \
         WHERE day < $1::timestamptz LIMIT 20000)",
        90,
    ),
    (
        "DELETE FROM finding WHERE ctid IN (SELECT ctid FROM finding \
         WHERE to_at < $1 LIMIT 20000)",
        400,
    ),
    ("DELETE FROM alarm_kpi WHERE at IN (SELECT at FROM alarm_kpi WHERE at < $1 LIMIT 20000)", 400),
    (
        "DELETE FROM annunciation WHERE annunciation_id IN (SELECT annunciation_id \
         FROM annunciation WHERE at < $1 ORDER BY at LIMIT 20000)",
        400,
    ),
    (
        "DELETE FROM shadow_alert WHERE alert_id IN (SELECT alert_id FROM shadow_alert \
         WHERE raised_at < $1 LIMIT 20000)",
        90,
    ),
];

/// The last sequence that was appended before a day; NULL when there is none.
const LAST_BEFORE: &str = "SELECT max(seq + n - 1) FROM event_log WHERE appended_on < $1";

/// How long things are kept, in days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Bytes of messages, by arrival.
    pub raw_days: i64,
    /// Log frames, by log time, and only behind the slowest reader.
    pub log_days: i64,
}

/// The job.
#[derive(Clone, Debug)]
pub struct Upkeep {
    database: Database,
}

impl Upkeep {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Makes partitions ahead and drops those past their keeping.
    ///
    /// # Errors
    /// When the database is away or a partition is in use for longer than the lock timeout.
    pub async fn run(&self, keep: Keep, now: UtcTime) -> Result<(), StoreError> {
        self.database.ensure_partitions(&ahead(now)).await?;
        self.sweep(now).await?;
        let today = now.utc_day();
        self.drop_before(Table::RawMessage, today - keep.raw_days).await?;
        let log_day = today - keep.log_days;
        if self.log_is_read_before(log_day).await? {
            self.drop_before(Table::EventLog, log_day).await?;
        }
        Ok(())
    }

    async fn sweep(&self, now: UtcTime) -> Result<(), StoreError> {
        let query = StoreError::query("sweeping what is past its keeping");
        let client = self.database.work_client().await?;
        for (sql, days) in SWEEPS {
            let before = Stamp(now.plus_seconds(-days * DAY_S));
            client.execute(sql, &[&before]).await.map_err(&query)?;
        }
        Ok(())
    }

    async fn drop_before(&self, table: Table, day: i64) -> Result<(), StoreError> {
        let dropped = self.database.partitions().drop_before(&self.database, table, day).await?;
        if dropped > 0 {
            tracing::info!(
                table = table.name(),
                partitions = dropped,
                "Dropped what is past its keeping."
            );
        }
        Ok(())
    }

    async fn log_is_read_before(&self, day: i64) -> Result<bool, StoreError> {
        let query = StoreError::query("looking how far the log was read");
        let client = self.database.work_client().await?;
        let through = client.query_one(READ_THROUGH, &[]).await.map_err(&query)?;
        let last = client.query_one(LAST_BEFORE, &[&Day(day)]).await.map_err(&query)?;
        let (through, last): (Option<i64>, Option<i64>) = (through.get(0), last.get(0));
        Ok(last.is_some_and(|last| through.is_some_and(|through| last <= through)))
    }
}

fn ahead(now: UtcTime) -> Touched {
    let mut touched = Touched::default();
    let today = now.utc_day();
    for day in today..=today + DAYS_AHEAD {
        touched.add(Table::ReadInterval, day);
    }
    for day in today..=today + LOG_DAYS_AHEAD {
        for table in [Table::EventLog, Table::RawMessage] {
            touched.add(table, day);
        }
        for table in [Table::DeviceEvent, Table::RegisterRead, Table::IntervalException] {
            touched.add(table, day + DAYS_AHEAD);
            touched.add(table, day);
        }
    }
    touched
}
