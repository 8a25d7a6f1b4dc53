//! What of a file waits for its meter: records that became dead letters, and those that came home.

use crate::database::Database;
use crate::error::StoreError;

/// Devices that are named.
const DEVICES_MAX: usize = 20;

/// The dead letters of an import. A record that a later import told again is that one's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Letters {
    /// Records that wait, and their readings.
    pub waiting: u64,
    pub waiting_reads: u64,
    /// Records that were told again once their device was a meter, and their readings.
    pub home: u64,
    pub home_reads: u64,
    /// The first devices that are waited for, by name.
    pub devices: Vec<String>,
}

impl Letters {
    /// Readings that are neither here nor home: a later import told them again, or the letters
    /// were deleted. `dead`: those that became dead letters at the import.
    pub const fn gone_reads(&self, dead: u64) -> u64 {
        dead.saturating_sub(self.waiting_reads + self.home_reads)
    }
}

const LETTERS: &str = "\
    SELECT count(*) FILTER (WHERE replayed_at IS NULL), \
        coalesce(sum(reads * count) FILTER (WHERE replayed_at IS NULL), 0)::int8, \
        count(*) FILTER (WHERE replayed_at IS NOT NULL), \
        coalesce(sum(reads * count) FILTER (WHERE replayed_at IS NOT NULL), 0)::int8, \
        coalesce(array_agg(DISTINCT source_id) FILTER \
            (WHERE replayed_at IS NULL AND source_id IS NOT NULL), '{}') \
    FROM dead_letter WHERE import_no = $1";

/// What of a file waits, and what came home.
///
/// # Errors
/// When the database is away.
pub async fn letters(database: &Database, import_no: i64) -> Result<Letters, StoreError> {
    let query = StoreError::query("reading the dead letters of a file");
    let client = database.client().await?;
    let statement = client.prepare_cached(LETTERS).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&import_no]).await.map_err(&query)?;
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    let mut devices: Vec<String> = row.get(4);
    devices.truncate(DEVICES_MAX);
    Ok(Letters {
        waiting: count(0),
        waiting_reads: count(1),
        home: count(2),
        home_reads: count(3),
        devices,
    })
}
