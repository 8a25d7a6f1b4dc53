//! The write path: one transaction per acknowledgement batch holds readings, conflicts, events,
//! raw bytes, dead letters, log frames and counts. `inserted + duplicate + conflicting + dead ==
//! offered`, or the batch is rolled back.
//!
//! The split path (`docs/decisions`): keys that the writer has not seen go by COPY straight into
//! the tables, seen ones are compared first. The hint may be wrong: a unique violation rolls the
//! batch back and replays it with every key compared.

mod copy;
mod intervals;
mod prepare;
mod registers;
mod side;
mod slots;

use std::collections::BTreeSet;

use metering::{ChannelNo, EventCode, LogRecord, MeterId, Subject};
use tokio_postgres::Statement;

use self::intervals::IntervalFates;
use self::prepare::Keyed;
use self::registers::{LastReads, RegisterFates};
use self::side::DeadLetters;
use self::slots::SeenSlots;
use crate::batch::{Batch, EventRow, Stored};
use crate::database::{Connection, Database};
use crate::day::{note_touched, note_touched_meters};
use crate::error::StoreError;
use crate::event_log::{SHARD, append_records};
use crate::partitions::Table;
use crate::presence::Presence;
use crate::tx::Tx;
use crate::types::Stamp;

pub(crate) use intervals::PROBE_SETTINGS;
pub use prepare::{PreparedBatch, dead_letter_key};
pub use side::COMMISSIONING_ROWS_MAX;

/// Counts of a batch. The table checks the identity once more.
const BATCH: &str = "\
    INSERT INTO ingest_batch (committed_at, adapter, messages, offered, folded, inserted, \
        duplicate, conflicting, dead, derived, events, first_seq, last_seq) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
        CASE WHEN $12::int8 > 0 THEN h.next_seq - $12 END, \
        CASE WHEN $12::int8 > 0 THEN h.next_seq - 1 END \
    FROM event_log_head h WHERE h.shard = $13";

/// Presence is written when so much log time has passed.
const PRESENCE_EVERY_S: u64 = 10;

/// What became of one row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Inserted,
    Duplicate,
    Conflicting,
    /// Neither stored now nor stored before: the batch must not be committed.
    Lost,
}

/// How keys are treated that the hint has not seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    Split,
    ProbeAll,
}

/// Stores batches, one after another. Each writer keeps a hint of what it has seen; several may
/// write at the same time.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    seen: SeenSlots,
    last_reads: LastReads,
    dead_letters: DeadLetters,
    presence: Presence,
}

impl Writer {
    pub fn new(database: Database) -> Self {
        Self {
            database,
            seen: SeenSlots::default(),
            last_reads: LastReads::default(),
            dead_letters: DeadLetters::default(),
            presence: Presence::default(),
        }
    }

    /// The part of the work that needs no database; run it on another thread if it pays.
    pub fn prepare(batch: Batch) -> PreparedBatch {
        PreparedBatch::new(batch)
    }

    /// Stores a batch in one transaction.
    ///
    /// # Errors
    /// Nothing is stored then. [`StoreError::is_transient`]: the same batch may succeed later.
    /// [`StoreError::is_data_fault`]: one of its rows never will.
    pub async fn append(&mut self, batch: &Batch) -> Result<Stored, StoreError> {
        self.append_prepared(&PreparedBatch::new(batch.clone())).await
    }

    /// Stores a prepared batch; see [`Writer::append`].
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub async fn append_prepared(
        &mut self,
        prepared: &PreparedBatch,
    ) -> Result<Stored, StoreError> {
        self.database.ensure_partitions(&prepared.touched).await?;
        self.seen.begin();
        let outcome = match self.attempt(prepared, Path::Split).await {
            Err(error) if error.is_unique_violation() => {
                tracing::debug!("another writer was here first: comparing the whole batch");
                self.attempt(prepared, Path::ProbeAll).await
            }
            outcome => outcome,
        };
        match outcome {
            Ok(stored) => {
                self.presence.note(prepared);
                self.flush_presence_when_due(prepared).await;
                Ok(stored)
            }
            Err(error) => {
                if error.is_data_fault() {
                    // A dropped partition looks like one: look again before the next batch.
                    self.database.partitions().forget();
                }
                Err(error)
            }
        }
    }

    /// Writes what is shown beside meters and collectors (last heard, signal strength). Call it
    /// when ingest stops; while batches arrive it happens by itself.
    ///
    /// # Errors
    /// When the database is away. No reading depends on it.
    pub async fn flush_presence(&mut self) -> Result<(), StoreError> {
        self.presence.flush(&self.database).await
    }

    async fn flush_presence_when_due(&mut self, prepared: &PreparedBatch) {
        if self.presence.is_due(prepared.batch.log_time, PRESENCE_EVERY_S)
            && let Err(error) = self.presence.flush(&self.database).await
        {
            tracing::warn!(%error, "Could not note when meters were last heard; will try again.");
        }
    }

    async fn attempt(
        &mut self,
        prepared: &PreparedBatch,
        path: Path,
    ) -> Result<Stored, StoreError> {
        let tx = Tx::begin(&self.database).await?;
        match self.fill(tx.client(), prepared, path).await {
            Ok(stored) => {
                tx.committed();
                Ok(stored)
            }
            Err(error) => {
                tx.rollback().await;
                for day in prepared.touched.days(Table::ReadInterval) {
                    self.seen.forget(day);
                }
                self.last_reads.forget(&prepared.registers.rows);
                Err(error)
            }
        }
    }

    /// Everything between BEGIN and COMMIT, and COMMIT itself.
    async fn fill(
        &mut self,
        client: &Connection,
        prepared: &PreparedBatch,
        path: Path,
    ) -> Result<Stored, StoreError> {
        let rows = &prepared.intervals.rows;
        let split = path == Path::Split;
        if split {
            let unknown: Vec<i64> = prepared
                .touched
                .days(Table::ReadInterval)
                .filter(|day| !self.seen.knows_day(*day))
                .collect();
            let empty = if unknown.is_empty() {
                Vec::new()
            } else {
                self.database.partitions().empty_days(client, &unknown).await?
            };
            intervals::warm(client, &empty, rows, &mut self.seen).await?;
        }
        let hint = split.then_some(&mut self.seen);
        let intervals =
            intervals::store(client, &prepared.intervals, &prepared.interval_copy, hint).await?;
        let hint = split.then_some(&mut self.last_reads);
        let registers =
            registers::store(client, &prepared.registers, &prepared.register_copy, hint).await?;
        let events = side::store(client, prepared, &intervals.rows, &mut self.dead_letters).await?;
        note_touched(client, &touched_days(prepared, &intervals, &registers), prepared.log_time())
            .await?;
        let switched = touched_meters(prepared, &events);
        note_touched_meters(client, &switched, prepared.log_time()).await?;
        let mut stored = count(prepared, &intervals, &registers, events.len())?;
        let records = records(prepared, &intervals, &registers, &events);
        finish(client, prepared, &records, &mut stored).await?;
        Ok(stored)
    }
}

/// Series and UTC days whose closed local day this batch may change: what is younger than this is
/// closed later anyway.
const SURELY_OPEN_S: i64 = 2 * 3_600;

fn touched_days(
    prepared: &PreparedBatch,
    intervals: &IntervalFates,
    registers: &RegisterFates,
) -> Vec<(MeterId, ChannelNo, i64)> {
    let young = prepared.log_time().plus_seconds(-SURELY_OPEN_S);
    let news = |fate: &Fate| *fate == Fate::Inserted;
    // Rows are sorted by series: repeats stand side by side.
    let mut days: Vec<(MeterId, ChannelNo, i64)> = Vec::new();
    let mut note = |day| {
        if days.last() != Some(&day) {
            days.push(day);
        }
    };
    for (row, _) in prepared.intervals.rows.iter().zip(&intervals.rows).filter(|(_, f)| news(f)) {
        let reading = &row.reading.reading;
        let start = reading.interval.start();
        if start < young {
            note((reading.meter, reading.channel, start.utc_day()));
        }
    }
    for (row, _) in prepared.registers.rows.iter().zip(&registers.rows).filter(|(_, f)| news(f)) {
        let reading = &row.reading.reading;
        if reading.read_at < young {
            note((reading.meter, reading.channel, reading.read_at.utc_day()));
        }
    }
    // A rival of a value that stands is a finding of its day as well.
    for key in &intervals.new_conflicts {
        let start = metering::UtcTime::from_micros(key.2);
        if start < young {
            days.push((key.0, key.1, start.utc_day()));
        }
    }
    days.sort_unstable();
    days.dedup();
    days
}

/// Meters and UTC days whose closed days are judged by a switch or valve of which they heard only
/// now.
fn touched_meters(prepared: &PreparedBatch, events: &[&EventRow]) -> BTreeSet<(MeterId, i64)> {
    let young = prepared.log_time().plus_seconds(-SURELY_OPEN_S);
    let judged = |code| {
        use EventCode::{SwitchClosed, SwitchOpened, ValveClosed, ValveOpened};
        matches!(code, SwitchClosed | SwitchOpened | ValveClosed | ValveOpened)
    };
    let day = |row: &&EventRow| match row.event.subject {
        Subject::Meter(meter) if judged(row.event.code) && row.event.occurred_at < young => {
            Some((meter, row.event.occurred_at.utc_day()))
        }
        _ => None,
    };
    events.iter().filter_map(day).collect()
}

/// Sums the fates and checks the identity.
fn count(
    prepared: &PreparedBatch,
    intervals: &IntervalFates,
    registers: &RegisterFates,
    events: usize,
) -> Result<Stored, StoreError> {
    let mut stored = Stored {
        offered: prepared.offered,
        duplicate: u64::from(prepared.batch.folded)
            + prepared.intervals.folded
            + prepared.registers.folded,
        dead: prepared
            .dead
            .iter()
            .map(|dead| u64::from(dead.row.reads) * dead.count.unsigned_abs())
            .sum(),
        derived_duplicate: prepared.intervals.folded_derived,
        events: events as u64,
        ..Stored::default()
    };
    let rows = prepared.intervals.rows.iter().chain(&prepared.intervals.later);
    for (row, fate) in rows.zip(intervals.rows.iter().chain(&intervals.later)) {
        match (fate, row.derived()) {
            (Fate::Inserted, false) => stored.inserted += 1,
            (Fate::Duplicate, false) => stored.duplicate += 1,
            (Fate::Conflicting, false) => stored.conflicting += 1,
            (Fate::Inserted, true) => stored.derived += 1,
            (Fate::Duplicate, true) => stored.derived_duplicate += 1,
            (Fate::Conflicting, true) => stored.derived_conflicting += 1,
            (Fate::Lost, _) => {}
        }
    }
    for fate in registers.rows.iter().chain(&registers.later) {
        match fate {
            Fate::Inserted => stored.inserted += 1,
            Fate::Duplicate => stored.duplicate += 1,
            Fate::Conflicting => stored.conflicting += 1,
            Fate::Lost => {}
        }
    }
    let derived = stored.derived + stored.derived_duplicate + stored.derived_conflicting;
    if stored.reconciles() && derived == prepared.derived_offered {
        Ok(stored)
    } else {
        Err(StoreError::Unreconciled {
            offered: stored.offered,
            inserted: stored.inserted,
            duplicate: stored.duplicate,
            conflicting: stored.conflicting,
            dead: stored.dead,
        })
    }
}

/// The new facts of the batch in log order: heard, registers, intervals, events, and an event for
/// each value that now stands beside a stored one.
fn records(
    prepared: &PreparedBatch,
    intervals: &IntervalFates,
    registers: &RegisterFates,
    events: &[&EventRow],
) -> Vec<LogRecord> {
    let mut records = Vec::with_capacity(
        prepared.heard.len() + registers.rows.len() + intervals.rows.len() + events.len(),
    );
    records.extend(prepared.heard.iter().map(|heard| LogRecord::Heard {
        meter: heard.meter,
        collector: heard.collector,
        rssi_dbm: heard.rssi_dbm,
    }));
    let new = |fate: &Fate| *fate == Fate::Inserted;
    for (row, _) in prepared.registers.rows.iter().zip(&registers.rows).filter(|(_, f)| new(f)) {
        let reading = &row.reading.reading;
        records.push(LogRecord::Register {
            meter: reading.meter,
            channel: reading.channel,
            read_at: reading.read_at,
            value: reading.value,
            code: row.reading.code,
            failed: row.reading.failed,
        });
    }
    for (row, _) in prepared.intervals.rows.iter().zip(&intervals.rows).filter(|(_, f)| new(f)) {
        let reading = &row.reading.reading;
        records.push(LogRecord::Interval {
            meter: reading.meter,
            channel: reading.channel,
            end: reading.interval.end(),
            len_s: reading.interval.len_s(),
            value: reading.value,
            code: row.reading.code,
            failed: row.reading.failed,
        });
    }
    records.extend(events.iter().map(|row| LogRecord::Event {
        subject: row.event.subject,
        occurred_at: row.event.occurred_at,
        code: row.event.code,
        detail: row.number,
    }));
    let changed = intervals
        .new_conflicts
        .iter()
        .filter_map(|key| intervals::end_of(&prepared.intervals, *key).map(|end| (key, end)));
    let counters =
        registers.new_conflicts.iter().map(|key| (key, metering::UtcTime::from_micros(key.2)));
    records.extend(changed.chain(counters).map(|((meter, channel, _), at)| LogRecord::Event {
        subject: Subject::Meter(*meter),
        occurred_at: at,
        code: EventCode::ValueChanged,
        detail: i32::from(channel.get()),
    }));
    records
}

/// Appends the log frames, then sends counts and COMMIT in one round trip: the statement is
/// prepared before, so the two leave in this order.
async fn finish(
    client: &Connection,
    prepared: &PreparedBatch,
    records: &[LogRecord],
    stored: &mut Stored,
) -> Result<(), StoreError> {
    let batch = &prepared.batch;
    let append = append_records(client, batch.log_time, records).await?;
    if let Some((first, last)) = append {
        stored.first_seq = Some(first);
        stored.last_seq = Some(last);
    }
    let query = StoreError::query("committing a batch");
    let statement: Statement = client.prepare_cached(BATCH).await.map_err(&query)?;
    // A batch is bounded far below 2^31; the table's check would refuse what does not fit.
    let int4 = |count: u64| i32::try_from(count).unwrap_or(i32::MAX);
    let folded = u64::from(batch.folded) + prepared.intervals.folded + prepared.registers.folded;
    let facts = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
        &Stamp(batch.log_time),
        &batch.adapter,
        &int4(u64::from(batch.messages)),
        &int4(stored.offered),
        &int4(folded),
        &int4(stored.inserted),
        &int4(stored.duplicate - folded),
        &int4(stored.conflicting),
        &int4(stored.dead),
        &int4(stored.derived),
        &int4(stored.events),
        &facts,
        &SHARD,
    ];
    futures_util::future::try_join(
        client.execute(&statement, &parameters),
        client.batch_execute("COMMIT"),
    )
    .await
    .map_err(&query)?;
    Ok(())
}
