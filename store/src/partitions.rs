//! Partitions for any date, made before the transaction that needs them.
//!
//! Interval rows, raw messages and log frames have a partition per UTC day, the others one per
//! month. Real files are years old, so nothing is refused for its age. A batch that touches an
//! absurd number of old days gets months or years for those that have no partition yet, so that
//! one batch of broken clocks cannot make ten thousand tables. The ingest transaction never runs
//! DDL: that would lock out readers and, with TimescaleDB, has deadlocked.

mod range;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use self::range::{NEW_PER_LOG_DAY_MAX, Range, Ranges, Step, name, parse_suffix, plan};
use crate::database::{Connection, Database};
use crate::error::StoreError;

/// Key of the advisory lock under which partitions are made.
const LOCK_KEY: i64 = 0x7061_7274; // "part"
/// Statements in one DDL transaction: each holds locks to its end.
const TABLES_PER_TRANSACTION: usize = 50;
/// The partitioned tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Table {
    ReadInterval,
    IntervalException,
    RegisterRead,
    DeviceEvent,
    RawMessage,
    EventLog,
    ClosedDay,
}

const TABLES: [Table; 7] = [
    Table::ReadInterval,
    Table::IntervalException,
    Table::RegisterRead,
    Table::DeviceEvent,
    Table::RawMessage,
    Table::EventLog,
    Table::ClosedDay,
];

impl Table {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReadInterval => "read_interval",
            Self::IntervalException => "interval_exception",
            Self::RegisterRead => "register_read",
            Self::DeviceEvent => "device_event",
            Self::RawMessage => "raw_message",
            Self::EventLog => "event_log",
            Self::ClosedDay => "closed_day",
        }
    }

    const fn by(self) -> Step {
        match self {
            Self::ReadInterval | Self::RawMessage | Self::EventLog => Step::Day,
            Self::IntervalException | Self::RegisterRead | Self::DeviceEvent | Self::ClosedDay => {
                Step::Month
            }
        }
    }

    /// Bounds of this table's partitions are dates, not instants.
    const fn by_date(self) -> bool {
        matches!(self, Self::EventLog)
    }
}

/// The UTC days that a piece of work writes to, by table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    days: BTreeMap<Table, BTreeSet<i64>>,
}

impl Touched {
    pub(crate) fn add(&mut self, table: Table, day: i64) {
        self.days.entry(table).or_default().insert(day);
    }

    pub(crate) fn days(&self, table: Table) -> impl Iterator<Item = i64> {
        self.days.get(&table).into_iter().flatten().copied()
    }
}

/// What is known to exist; a hint that is refreshed before anything is made.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    known: Mutex<Known>,
    /// Day of log time, and how many partitions may still be made on it.
    budget: Mutex<Option<(i64, usize)>>,
}

#[derive(Debug, Default)]
struct Known {
    by_table: BTreeMap<Table, Ranges>,
}

impl Partitions {
    /// Makes the partitions that are missing. Cheap when there are none.
    pub(crate) async fn ensure(
        &self,
        database: &Database,
        touched: &Touched,
    ) -> Result<(), StoreError> {
        if self.all_known(touched) {
            return Ok(());
        }
        let mut client = database.work_client().await?;
        let mut known = load(&client).await?;
        let mut budget = self.budget(touched);
        for (table, days) in &touched.days {
            let ranges = known.by_table.entry(*table).or_default();
            let mut missing = plan(*table, days, ranges, &mut budget)?;
            while !missing.is_empty() {
                let rest = missing.split_off(missing.len().min(TABLES_PER_TRANSACTION));
                make(&mut client, *table, &missing).await?;
                missing = rest;
            }
        }
        self.spend(touched, budget);
        // Read again: another program may have made some of them in other steps than planned.
        known = load(&client).await?;
        let complete = touched.days.iter().all(|(table, days)| {
            let ranges = known.by_table.get(table);
            days.iter().all(|day| ranges.is_some_and(|ranges| ranges.containing(*day).is_some()))
        });
        *self.lock() = known;
        if complete {
            Ok(())
        } else {
            Err(StoreError::Corrupt {
                what: "partitions",
                detail: "another program changed them at the same time".to_owned(),
            })
        }
    }

    /// What may still be made on the log day of the work (work without one counts on the last).
    fn budget(&self, touched: &Touched) -> usize {
        let known = self.budget.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let log_day = touched.days(Table::EventLog).min();
        match *known {
            Some((day, left)) if log_day.is_none_or(|log_day| log_day == day) => left,
            _ => NEW_PER_LOG_DAY_MAX,
        }
    }

    fn spend(&self, touched: &Touched, left: usize) {
        let mut known = self.budget.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = known.map(|(day, _)| day);
        if let Some(day) = touched.days(Table::EventLog).min().or(before) {
            *known = Some((day, left));
        }
    }

    /// Of these days, those whose interval partition holds nothing yet.
    pub(crate) async fn empty_days(
        &self,
        client: &Connection,
        days: &[i64],
    ) -> Result<Vec<i64>, StoreError> {
        let names: Vec<String> = {
            let known = self.lock();
            let ranges = known.by_table.get(&Table::ReadInterval);
            let name = |day: &i64| {
                ranges
                    .and_then(|ranges| ranges.containing(*day))
                    .and_then(|range| name(Table::ReadInterval, range).ok())
                    .unwrap_or_default()
            };
            days.iter().map(name).collect()
        };
        // Which of these tables has never had a page?
        const EMPTY: &str = "SELECT t.i - 1 FROM unnest($1::text[]) WITH ORDINALITY t(name, i) \
             WHERE pg_relation_size(to_regclass(t.name)) = 0";
        let query = StoreError::query("looking for empty days");
        let statement = client.prepare_cached(EMPTY).await.map_err(&query)?;
        let rows = client.query(&statement, &[&names]).await.map_err(&query)?;
        Ok(rows
            .iter()
            .filter_map(|row| usize::try_from(row.get::<_, i64>(0)).ok())
            .filter_map(|i| days.get(i).copied())
            .collect())
    }

    /// Drops the partitions of `table` that end before `day`; gives their number.
    pub(crate) async fn drop_before(
        &self,
        database: &Database,
        table: Table,
        day: i64,
    ) -> Result<usize, StoreError> {
        let client = database.work_client().await?;
        let known = load(&client).await?;
        let ranges = known.by_table.get(&table);
        let old: Vec<Range> = ranges
            .into_iter()
            .flat_map(|ranges| ranges.by_start.values().copied())
            .filter(|range| range.end <= day)
            .collect();
        let query = StoreError::query("dropping partitions");
        finish_interrupted(&client, table, day).await?;
        for range in &old {
            let name = name(table, *range)?;
            let parent = table.name();
            // DETACH CONCURRENTLY waits for readers instead of locking them out.
            let detach = format!("ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY");
            client.batch_execute(&detach).await.map_err(&query)?;
            client.batch_execute(&format!("DROP TABLE {name}")).await.map_err(&query)?;
        }
        if !old.is_empty() {
            self.forget();
        }
        Ok(old.len())
    }

    /// After a failure that a dropped partition may have caused: look again next time.
    pub(crate) fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn all_known(&self, touched: &Touched) -> bool {
        let known = self.lock();
        touched.days.iter().all(|(table, days)| {
            let ranges = known.by_table.get(table);
            days.iter().all(|day| ranges.is_some_and(|ranges| ranges.containing(*day).is_some()))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Which partitions exist?
async fn load(client: &Connection) -> Result<Known, StoreError> {
    const EXISTING: &str = "SELECT parent.relname::text, child.relname::text FROM pg_inherits i \
         JOIN pg_class parent ON parent.oid = i.inhparent \
         JOIN pg_class child ON child.oid = i.inhrelid \
         WHERE parent.relname = ANY($1) AND parent.relkind = 'p'";
    let query = StoreError::query("listing partitions");
    let names: Vec<&str> = TABLES.iter().map(|table| table.name()).collect();
    let statement = client.prepare_cached(EXISTING).await.map_err(&query)?;
    let rows = client.query(&statement, &[&names]).await.map_err(&query)?;
    let mut known = Known::default();
    for row in &rows {
        let (parent, child): (&str, &str) = (row.get(0), row.get(1));
        let Some(table) = TABLES.into_iter().find(|table| table.name() == parent) else { continue };
        let suffix = child.strip_prefix(parent).and_then(|rest| rest.strip_prefix('_'));
        if let Some(range) = suffix.and_then(parse_suffix) {
            known.by_table.entry(table).or_default().insert(range);
        }
    }
    Ok(known)
}

/// Ends what a drop that was interrupted left behind: partitions half detached, and tables that no
/// longer belong to their parent.
async fn finish_interrupted(client: &Connection, table: Table, day: i64) -> Result<(), StoreError> {
    const PENDING: &str = "SELECT child.relname::text FROM pg_inherits i \
         JOIN pg_class parent ON parent.oid = i.inhparent \
         JOIN pg_class child ON child.oid = i.inhrelid \
         WHERE i.inhdetachpending AND parent.relname = $1";
    const LOOSE: &str = "SELECT relname::text FROM pg_class \
         WHERE relkind = 'r' AND NOT relispartition AND starts_with(relname, $1 || '_')";
    let query = StoreError::query("finishing an interrupted drop of partitions");
    let parent = table.name();
    for row in client.query(PENDING, &[&parent]).await.map_err(&query)? {
        let name: &str = row.get(0);
        let finalize = format!("ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE");
        client.batch_execute(&finalize).await.map_err(&query)?;
    }
    for row in client.query(LOOSE, &[&parent]).await.map_err(&query)? {
        let name: &str = row.get(0);
        let suffix = name.strip_prefix(parent).and_then(|rest| rest.strip_prefix('_'));
        if suffix.and_then(parse_suffix).is_some_and(|range| range.end <= day) {
            client.batch_execute(&format!("DROP TABLE {name}")).await.map_err(&query)?;
        }
    }
    Ok(())
}

/// Makes stand-alone tables and attaches them: unlike `CREATE TABLE .. PARTITION OF`, that does not
/// lock readers and writers of the parent out.
async fn make(client: &mut Connection, table: Table, ranges: &[Range]) -> Result<(), StoreError> {
    let query = StoreError::query("making partitions");
    let tx = client.transaction().await.map_err(&query)?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK_KEY]).await.map_err(&query)?;
    for range in ranges {
        let name = name(table, *range)?;
        const ATTACHED: &str = "SELECT relispartition FROM pg_class WHERE oid = to_regclass($1)";
        let there = tx.query_opt(ATTACHED, &[&name]).await.map_err(&query)?;
        let (parent, from, to) = (table.name(), bound(table, range.start), bound(table, range.end));
        let create = match there.map(|row| row.get::<_, bool>(0)) {
            Some(true) => continue,
            // Left by a drop that was interrupted: its rows count again until they are dropped.
            Some(false) => String::new(),
            None => format!("CREATE TABLE {name} (LIKE {parent} INCLUDING ALL);"),
        };
        tx.batch_execute(&format!(
            "{create} ALTER TABLE {parent} ATTACH PARTITION {name} \
             FOR VALUES FROM ({from}) TO ({to})"
        ))
        .await
        .map_err(&query)?;
    }
    tx.commit().await.map_err(&query)
}

/// An expression, since text of a date before year 1 or after 9999 is spelled differently.
fn bound(table: Table, day: i64) -> String {
    if table.by_date() {
        format!("date '1970-01-01' + ({day})")
    } else {
        format!("to_timestamp(86400.0 * ({day}))")
    }
}
