//! What who walked a route wrote down, line by line of the file that brought it. The meter has each
//! as an event too; here it stands beside its line.

use metering::{SourceId, UtcTime};

use super::WHAT;
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::types::Stamp;

/// A note of one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteRow {
    pub line: u64,
    pub source: SourceId,
    pub at: UtcTime,
    /// The meter was not read.
    pub skipped: bool,
    pub note: String,
}

/// A note with the meter that it is about, once there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotedRow {
    pub row: NoteRow,
    pub meter: Option<String>,
}

const KEEP: &str = "\
    INSERT INTO imported_note (import_no, line, source_id, noted_at, skipped, note) \
    SELECT $1, u.* FROM unnest($2::int8[], $3::text[], $4::timestamptz[], $5::bool[], $6::text[]) \
        AS u ON CONFLICT DO NOTHING";

/// What was written down in file `$1`, and about which meter?
const READ: &str = "\
    SELECT n.line, n.source_id, n.noted_at, n.skipped, n.note, m.number FROM imported_note n \
    LEFT JOIN meter_source s ON s.source_id = n.source_id \
    LEFT JOIN meter m ON m.meter_id = s.meter_id \
    WHERE n.import_no = $1 ORDER BY n.line LIMIT $2";

pub(super) async fn keep(
    client: &Connection,
    import_no: i64,
    notes: &[NoteRow],
) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(KEEP).await.map_err(&query)?;
    let lines: Vec<i64> = notes.iter().map(|n| i64::try_from(n.line).unwrap_or(0)).collect();
    let sources: Vec<&str> = notes.iter().map(|note| note.source.as_str()).collect();
    let times: Vec<Stamp> = notes.iter().map(|note| Stamp(note.at)).collect();
    let skipped: Vec<bool> = notes.iter().map(|note| note.skipped).collect();
    let texts: Vec<&str> = notes.iter().map(|note| note.note.as_str()).collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&import_no, &lines, &sources, &times, &skipped, &texts];
    client.execute(&statement, &params).await.map_err(&query)?;
    Ok(())
}

/// What was written down in a file, in the order of its lines; the first `limit`.
///
/// # Errors
/// When the database is away.
pub async fn notes(
    database: &Database,
    import_no: i64,
    limit: u32,
) -> Result<Vec<NotedRow>, StoreError> {
    let query = StoreError::query("reading the notes of a file");
    let client = database.client().await?;
    let statement = client.prepare_cached(READ).await.map_err(&query)?;
    let rows = client.query(&statement, &[&import_no, &i64::from(limit)]).await.map_err(&query)?;
    let noted = |row: &tokio_postgres::Row| NotedRow {
        row: NoteRow {
            line: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
            source: SourceId::parse(row.get::<_, String>(1)),
            at: row.get::<_, Stamp>(2).0,
            skipped: row.get(3),
            note: row.get(4),
        },
        meter: row.get(5),
    };
    Ok(rows.iter().map(noted).collect())
}
