//! The log in PostgreSQL.

use metering::{LogRecord, LoggedFrame, UtcTime};

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::{EventLog, SHARD};
use crate::frame;
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::{Day, Stamp};

/// Appends `$1` records in frames `$5..$7` and wakes the readers at COMMIT. The UPDATE locks the
/// head row to COMMIT, which is what keeps sequences in order.
const APPEND: &str = "\
    WITH head AS ( \
        UPDATE event_log_head SET next_seq = next_seq + $1 WHERE shard = $2 \
        RETURNING next_seq - $1 AS first), \
    frames AS ( \
        INSERT INTO event_log (appended_at, seq, appended_on, shard, kind, n, frame) \
        SELECT $3, head.first + f.behind, $4, $2, 1, f.n, f.frame \
        FROM head, unnest($5::int8[], $6::int4[], $7::bytea[]) AS f(behind, n, frame)) \
    SELECT head.first, \
        pg_notify('headend_log', $2::int2 || ':' || (head.first + $1 - 1))::text FROM head";

/// The next frames of a shard, in order.
const READ: &str = "\
    SELECT seq, frame FROM event_log WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// The sequence of the last record of a shard.
const HEAD: &str = "SELECT next_seq - 1 FROM event_log_head WHERE shard = $1";

/// The newest log time that is still kept.
const LAST_TIME: &str = "SELECT max(appended_at) FROM event_log";

/// The log in the tables `event_log` and `event_log_head`.
#[derive(Clone, Debug)]
pub struct PgLog {
    database: Database,
}

/// An open transaction that frames are appended in.
#[derive(Debug)]
pub struct LogTx<'a> {
    pub(crate) client: &'a Connection,
}

impl PgLog {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Log time of the newest frame that is kept; the earliest instant for an empty log.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn last_log_time(&self) -> Result<UtcTime, StoreError> {
        let query = StoreError::query("reading the last log time");
        let client = self.database.work_client().await?;
        let row = client.query_one(LAST_TIME, &[]).await.map_err(&query)?;
        Ok(row.get::<_, Option<Stamp>>(0).map_or(UtcTime::default(), |stamp| stamp.0))
    }

    /// Appends records in a transaction of their own: ticks, and whatever belongs to no batch.
    /// Gives the sequences of the first and the last record; `None` without records.
    ///
    /// # Errors
    /// When the database refuses or is away; nothing is appended then.
    pub async fn append_now(
        &self,
        log_time: UtcTime,
        records: &[LogRecord],
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let mut touched = Touched::default();
        touched.add(Table::EventLog, log_day(log_time));
        self.database.ensure_partitions(&touched).await?;
        let tx = Tx::begin(&self.database).await?;
        let span = append_records(tx.client(), log_time, records).await?;
        tx.commit().await?;
        Ok(span)
    }
}

impl EventLog for PgLog {
    type Tx<'a> = LogTx<'a>;

    /// The caller has made the partition of `log_time`'s day.
    async fn append(
        &self,
        tx: &mut Self::Tx<'_>,
        shard: i16,
        log_time: UtcTime,
        records: &[LogRecord],
    ) -> Result<i64, StoreError> {
        if shard != SHARD {
            return Err(StoreError::Refused {
                what: "appending to the event log",
                detail: format!("there is no shard {shard}"),
            });
        }
        match append_records(tx.client, log_time, records).await? {
            Some((first, _)) => Ok(first),
            None => Err(StoreError::Refused {
                what: "appending to the event log",
                detail: "a frame holds at least one record".to_owned(),
            }),
        }
    }

    async fn read(
        &self,
        shard: i16,
        after_seq: i64,
        frames_max: usize,
    ) -> Result<Vec<LoggedFrame>, StoreError> {
        let client = self.database.work_client().await?;
        let query = StoreError::query("reading the event log");
        let statement = client.prepare_cached(READ).await.map_err(&query)?;
        let limit = i64::try_from(frames_max).unwrap_or(i64::MAX);
        let rows = client.query(&statement, &[&shard, &after_seq, &limit]).await.map_err(&query)?;
        rows.iter()
            .map(|row| {
                let seq: i64 = row.get(0);
                let (log_time, records) = frame::decode(row.get(1))
                    .map_err(|source| StoreError::Frame { seq, source })?;
                Ok(LoggedFrame { shard, first_seq: seq, log_time, records })
            })
            .collect()
    }

    async fn head_seq(&self, shard: i16) -> Result<i64, StoreError> {
        let client = self.database.work_client().await?;
        let query = StoreError::query("reading the head of the event log");
        let statement = client.prepare_cached(HEAD).await.map_err(&query)?;
        let row = client.query_opt(&statement, &[&shard]).await.map_err(&query)?;
        Ok(row.map_or(0, |row| row.get(0)))
    }
}

/// The partition day of a log time.
pub(crate) const fn log_day(log_time: UtcTime) -> i64 {
    log_time.utc_day()
}

/// Appends records as frames in the open transaction; gives first and last sequence.
pub(crate) async fn append_records(
    client: &Connection,
    log_time: UtcTime,
    records: &[LogRecord],
) -> Result<Option<(i64, i64)>, StoreError> {
    if records.is_empty() {
        return Ok(None);
    }
    let (mut behind, mut counts, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    let mut total = 0_i64;
    for part in frame::split(records) {
        behind.push(total);
        counts.push(i32::try_from(part.len()).unwrap_or(i32::MAX));
        total += i64::try_from(part.len()).unwrap_or(i64::MAX);
        frames.push(frame::encode(log_time, part));
    }
    let query = StoreError::query("appending to the event log");
    let statement = client.prepare_cached(APPEND).await.map_err(&query)?;
    let day = Day(log_day(log_time));
    let row = client
        .query_one(&statement, &[&total, &SHARD, &Stamp(log_time), &day, &behind, &counts, &frames])
        .await
        .map_err(&query)?;
    let first: i64 = row.get(0);
    Ok(Some((first, first + total - 1)))
}
