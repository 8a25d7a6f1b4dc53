//! Files that were imported: which, by whom, what became of them, and what their senders said of the
//! values. Readings themselves go through [`crate::readings`] like any others; [`settle`] decides then
//! which of two values of a slot stands.

mod compare;
mod letters;
mod notes;
mod settle;

use metering::{ChannelNo, MeterId, UtcTime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

pub use compare::{Comparison, compare};
pub use letters::{Letters, letters};
pub use notes::{NoteRow, NotedRow, notes};
pub use settle::{Offered, RateAt, Settled, settle};

/// Faults kept of one file; the count tells how many there were.
pub const FAULTS_KEPT_MAX: usize = 1_000;

const WHAT: &str = "keeping a file";

/// A file that is about to be imported.
#[derive(Clone, Debug)]
pub struct NewFile<'a> {
    pub sha256: [u8; 32],
    pub name: &'a str,
    pub read_as: &'a ReadAs,
    pub size: u64,
    /// Faulty records are left out and the others taken; else one fault refuses the file.
    pub by_record: bool,
    /// Its place among files: when it was made by its own word, but not after its arrival; else its
    /// arrival.
    pub made_at: UtcTime,
    /// When it was made, by its own word.
    pub said_at: Option<UtcTime>,
    pub actor: &'a str,
}

/// How the records of a file are read, beyond what their bytes say. What a kind does not need is
/// empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReadAs {
    /// `nem12`, ...; empty: no kind was known.
    pub format: String,
    pub layout: String,
    /// IANA name of the zone of times that name none.
    pub zone: String,
    /// BEACON: the column that names the meter.
    pub id_column: String,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileCounts {
    pub records: u64,
    pub refused: u64,
    pub offered: u64,
    pub inserted: u64,
    pub duplicate: u64,
    pub conflicting: u64,
    pub dead: u64,
    pub replaced: u64,
    /// Lines of meters that were not read.
    pub skipped: u64,
}

/// How the import of a file ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    Open,
    Done,
    /// Nothing of it was stored.
    Refused,
}

/// A file as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRow {
    pub import_no: i64,
    pub sha256: [u8; 32],
    pub name: String,
    pub read_as: ReadAs,
    pub size: u64,
    pub by_record: bool,
    pub made_at: UtcTime,
    pub said_at: Option<UtcTime>,
    pub received_at: UtcTime,
    pub finished_at: Option<UtcTime>,
    pub state: FileState,
    pub counts: FileCounts,
    pub actor: String,
    /// Why it was refused as a whole.
    pub detail: String,
}

/// A line that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultRow {
    pub line: u64,
    pub reason: String,
    pub detail: String,
    pub raw: String,
}

/// What the sender said of a stretch of a channel: values that end in `(from, to]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QualityRow {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
    pub quality: &'static str,
    pub code: String,
    pub reason: Option<u16>,
    pub reason_text: String,
}

/// A stretch of a channel that a file told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanRow {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
}

macro_rules! columns {
    () => {
        "SELECT import_no, sha256, name, format, layout, size, by_record, made_at, received_at, \
         finished_at, state, records, refused, offered, inserted, duplicate, conflicting, dead, \
         replaced, actor, detail, zone, id_column, said_at, skipped FROM imported_file "
    };
}

const KNOWN: &str =
    concat!(columns!(), "WHERE sha256 = $1 AND state = 'done' ORDER BY import_no DESC LIMIT 1");
const ONE: &str = concat!(columns!(), "WHERE import_no = $1");
const LIST: &str =
    concat!(columns!(), "WHERE ($1::int8 = 0 OR import_no < $1) ORDER BY import_no DESC LIMIT $2");
const BEGIN: &str = "\
    INSERT INTO imported_file (sha256, name, format, layout, size, by_record, made_at, \
        received_at, actor, zone, id_column, said_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING import_no";
const FINISH: &str = "\
    UPDATE imported_file SET state = $2, finished_at = $3, records = $4, refused = $5, \
        offered = $6, inserted = $7, duplicate = $8, conflicting = $9, dead = $10, replaced = $11, \
        skipped = $12, detail = $13 WHERE import_no = $1";
const FAULTS: &str = "\
    INSERT INTO imported_fault (import_no, seq, line, reason, detail, raw) \
    SELECT $1, u.n, u.line, u.reason, u.detail, u.raw \
    FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY \
        AS u(line, reason, detail, raw, n)";
const READ_FAULTS: &str =
    "SELECT line, reason, detail, raw FROM imported_fault WHERE import_no = $1 ORDER BY seq";
const SPANS: &str = "\
    INSERT INTO imported_span (meter_id, channel, from_at, to_at, made_at, import_no) \
    SELECT u.meter_id, u.channel, u.from_at, u.to_at, f.made_at, f.import_no \
    FROM unnest($2::int4[], $3::int2[], $4::timestamptz[], $5::timestamptz[]) \
        AS u(meter_id, channel, from_at, to_at) JOIN imported_file f ON f.import_no = $1 \
    ON CONFLICT (meter_id, channel, from_at, import_no) \
        DO UPDATE SET to_at = greatest(imported_span.to_at, excluded.to_at)";
const TOLD: &str = "\
    SELECT m.number, s.channel, min(s.from_at), max(s.to_at) \
    FROM imported_span s JOIN meter m USING (meter_id) WHERE s.import_no = $1 \
    GROUP BY m.number, s.channel ORDER BY m.number, s.channel LIMIT $2";
const QUALITY: &str = "\
    INSERT INTO sender_quality (import_no, meter_id, channel, from_at, to_at, quality, code, \
        reason, reason_text) \
    SELECT $1, u.* FROM unnest($2::int4[], $3::int2[], $4::timestamptz[], $5::timestamptz[], \
        $6::text[], $7::text[], $8::int4[], $9::text[]) AS u ON CONFLICT DO NOTHING";
const READ_QUALITY: &str = "\
    SELECT DISTINCT ON (q.from_at) q.from_at, q.to_at, q.quality, q.code, q.reason, q.reason_text \
    FROM sender_quality q JOIN imported_file f ON f.import_no = q.import_no \
    WHERE q.meter_id = $1 AND q.channel = $2 AND q.from_at < $4 AND q.to_at > $3 \
    ORDER BY q.from_at, f.made_at DESC, q.import_no DESC LIMIT 10000";

/// The newest import of these bytes that ended well.
///
/// # Errors
/// When the database is away.
pub async fn known(database: &Database, sha256: &[u8; 32]) -> Result<Option<FileRow>, StoreError> {
    one(database, KNOWN, &[&sha256.as_slice()]).await
}

/// The import with that number.
///
/// # Errors
/// When the database is away.
pub async fn by_number(database: &Database, import_no: i64) -> Result<Option<FileRow>, StoreError> {
    one(database, ONE, &[&import_no]).await
}

async fn one(
    database: &Database,
    question: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<FileRow>, StoreError> {
    let query = StoreError::query("reading the list of files");
    let client = database.client().await?;
    let statement = client.prepare_cached(question).await.map_err(&query)?;
    let row = client.query_opt(&statement, params).await.map_err(&query)?;
    row.as_ref().map(file_row).transpose()
}

/// Imports, the newest first; those before number `before`, or all for 0.
///
/// # Errors
/// When the database is away.
pub async fn list(
    database: &Database,
    before: i64,
    limit: u32,
) -> Result<Vec<FileRow>, StoreError> {
    let query = StoreError::query("reading the list of files");
    let client = database.client().await?;
    let statement = client.prepare_cached(LIST).await.map_err(&query)?;
    let rows = client.query(&statement, &[&before, &i64::from(limit)]).await.map_err(&query)?;
    rows.iter().map(file_row).collect()
}

/// Refused lines of an import, in their order; at most [`FAULTS_KEPT_MAX`].
///
/// # Errors
/// When the database is away.
pub async fn faults(database: &Database, import_no: i64) -> Result<Vec<FaultRow>, StoreError> {
    let query = StoreError::query("reading the faults of a file");
    let client = database.client().await?;
    let statement = client.prepare_cached(READ_FAULTS).await.map_err(&query)?;
    let rows = client.query(&statement, &[&import_no]).await.map_err(&query)?;
    let fault = |row: &Row| FaultRow {
        line: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
        reason: row.get(1),
        detail: row.get(2),
        raw: row.get(3),
    };
    Ok(rows.iter().map(fault).collect())
}

/// What a file told of one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToldRow {
    /// Number of the meter.
    pub number: String,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
}

/// Which channels an import told of, and from when to when; the first `limit` by meter number.
///
/// # Errors
/// When the database is away.
pub async fn told(
    database: &Database,
    import_no: i64,
    limit: u32,
) -> Result<Vec<ToldRow>, StoreError> {
    let query = StoreError::query("reading what a file told of");
    let client = database.client().await?;
    let statement = client.prepare_cached(TOLD).await.map_err(&query)?;
    let rows = client.query(&statement, &[&import_no, &i64::from(limit)]).await.map_err(&query)?;
    let row = |row: &Row| ToldRow {
        number: row.get(0),
        channel: ChannelNo::new(row.get(1)),
        from: row.get::<_, Stamp>(2).0,
        to: row.get::<_, Stamp>(3).0,
    };
    Ok(rows.iter().map(row).collect())
}

/// A stretch of a channel and the sender's word for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaidRow {
    pub from: UtcTime,
    pub to: UtcTime,
    pub quality: String,
    pub code: String,
    pub reason: Option<i32>,
    pub reason_text: String,
}

/// What senders said of the values of a channel that end in `(from, to]`, where it is not "actual";
/// the newest file's word.
///
/// # Errors
/// When the database is away.
pub async fn said(
    database: &Database,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<SaidRow>, StoreError> {
    let query = StoreError::query("reading what senders said of values");
    let client = database.client().await?;
    let statement = client.prepare_cached(READ_QUALITY).await.map_err(&query)?;
    let params: [&(dyn ToSql + Sync); 4] = [&meter.get(), &channel.get(), &Stamp(from), &Stamp(to)];
    let rows = client.query(&statement, &params).await.map_err(&query)?;
    let row = |row: &Row| SaidRow {
        from: row.get::<_, Stamp>(0).0,
        to: row.get::<_, Stamp>(1).0,
        quality: row.get(2),
        code: row.get(3),
        reason: row.get(4),
        reason_text: row.get(5),
    };
    Ok(rows.iter().map(row).collect())
}

/// Notes that a file is being imported; its number.
///
/// # Errors
/// When the database is away.
pub async fn begin(
    database: &Database,
    file: &NewFile<'_>,
    at: UtcTime,
) -> Result<i64, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(BEGIN).await.map_err(&query)?;
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    let name = file.name.replace('\0', "?");
    let read_as = file.read_as;
    let params: [&(dyn ToSql + Sync); 12] = [
        &file.sha256.as_slice(),
        &name,
        &read_as.format,
        &read_as.layout,
        &size,
        &file.by_record,
        &Stamp(file.made_at),
        &Stamp(at),
        &file.actor,
        &read_as.zone,
        &read_as.id_column,
        &file.said_at.map(Stamp),
    ];
    Ok(client.query_one(&statement, &params).await.map_err(&query)?.get(0))
}

/// What a part of a file tells beside its readings.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Beside {
    pub spans: Vec<SpanRow>,
    pub said: Vec<QualityRow>,
    pub notes: Vec<NoteRow>,
}

/// Keeps which stretches a part of the file told of, what its sender said of the values, and what a
/// reader on foot wrote down.
///
/// # Errors
/// When the database is away; nothing is kept then.
pub async fn note(database: &Database, import_no: i64, beside: &Beside) -> Result<(), StoreError> {
    let tx = Tx::begin(database).await?;
    note_spans(tx.client(), import_no, &beside.spans).await?;
    note_quality(tx.client(), import_no, &beside.said).await?;
    notes::keep(tx.client(), import_no, &beside.notes).await?;
    tx.commit().await
}

async fn note_spans(
    client: &Connection,
    import_no: i64,
    spans: &[SpanRow],
) -> Result<(), StoreError> {
    if spans.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(SPANS).await.map_err(&query)?;
    let meters: Vec<i32> = spans.iter().map(|span| span.meter.get()).collect();
    let channels: Vec<i16> = spans.iter().map(|span| span.channel.get()).collect();
    let from: Vec<Stamp> = spans.iter().map(|span| Stamp(span.from)).collect();
    let to: Vec<Stamp> = spans.iter().map(|span| Stamp(span.to)).collect();
    let params: [&(dyn ToSql + Sync); 5] = [&import_no, &meters, &channels, &from, &to];
    client.execute(&statement, &params).await.map_err(&query)?;
    Ok(())
}

async fn note_quality(
    client: &Connection,
    import_no: i64,
    said: &[QualityRow],
) -> Result<(), StoreError> {
    if said.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(QUALITY).await.map_err(&query)?;
    let meters: Vec<i32> = said.iter().map(|row| row.meter.get()).collect();
    let channels: Vec<i16> = said.iter().map(|row| row.channel.get()).collect();
    let from: Vec<Stamp> = said.iter().map(|row| Stamp(row.from)).collect();
    let to: Vec<Stamp> = said.iter().map(|row| Stamp(row.to)).collect();
    let qualities: Vec<&str> = said.iter().map(|row| row.quality).collect();
    let codes: Vec<&str> = said.iter().map(|row| row.code.as_str()).collect();
    let reasons: Vec<Option<i32>> = said.iter().map(|row| row.reason.map(i32::from)).collect();
    let texts: Vec<&str> = said.iter().map(|row| row.reason_text.as_str()).collect();
    let params: [&(dyn ToSql + Sync); 9] =
        [&import_no, &meters, &channels, &from, &to, &qualities, &codes, &reasons, &texts];
    client.execute(&statement, &params).await.map_err(&query)?;
    Ok(())
}

/// The file is done, or refused for `detail`; its faults are kept, the first [`FAULTS_KEPT_MAX`].
///
/// # Errors
/// When the database is away; the import stays open then.
pub async fn finish(
    database: &Database,
    import_no: i64,
    (counts, refused): (&FileCounts, Option<&str>),
    faults: &[FaultRow],
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query(WHAT);
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    let kept = &faults[..faults.len().min(FAULTS_KEPT_MAX)];
    let lines: Vec<i64> = kept.iter().map(|f| i64::try_from(f.line).unwrap_or(0)).collect();
    let reasons: Vec<&str> = kept.iter().map(|fault| fault.reason.as_str()).collect();
    let clean = |text: &str| text.replace('\0', "?");
    let details: Vec<String> = kept.iter().map(|fault| clean(&fault.detail)).collect();
    let raws: Vec<String> = kept.iter().map(|fault| clean(&fault.raw)).collect();
    let statement = client.prepare_cached(FAULTS).await.map_err(&query)?;
    let params: [&(dyn ToSql + Sync); 5] = [&import_no, &lines, &reasons, &details, &raws];
    client.execute(&statement, &params).await.map_err(&query)?;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let numbers = [
        counts.records,
        counts.refused,
        counts.offered,
        counts.inserted,
        counts.duplicate,
        counts.conflicting,
        counts.dead,
        counts.replaced,
        counts.skipped,
    ]
    .map(count);
    let state = if refused.is_some() { "refused" } else { "done" };
    let detail = clean(refused.unwrap_or(""));
    let stamp = Stamp(at);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&import_no, &state, &stamp];
    params.extend(numbers.iter().map(|number| number as &(dyn ToSql + Sync)));
    params.push(&detail);
    let statement = client.prepare_cached(FINISH).await.map_err(&query)?;
    client.execute(&statement, &params).await.map_err(&query)?;
    tx.commit().await
}

fn file_row(row: &Row) -> Result<FileRow, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt { what: "imported file", detail };
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    let sha: &[u8] = row.get(1);
    Ok(FileRow {
        import_no: row.get(0),
        sha256: sha.try_into().map_err(|_| corrupt(format!("hash of {} bytes", sha.len())))?,
        name: row.get(2),
        read_as: ReadAs {
            format: row.get(3),
            layout: row.get(4),
            zone: row.get(21),
            id_column: row.get(22),
        },
        size: count(5),
        by_record: row.get(6),
        made_at: row.get::<_, Stamp>(7).0,
        said_at: row.get::<_, Option<Stamp>>(23).map(|at| at.0),
        received_at: row.get::<_, Stamp>(8).0,
        finished_at: row.get::<_, Option<Stamp>>(9).map(|at| at.0),
        state: match row.get(10) {
            "open" => FileState::Open,
            "done" => FileState::Done,
            "refused" => FileState::Refused,
            other => return Err(corrupt(format!("state {other}"))),
        },
        counts: FileCounts {
            records: count(11),
            refused: count(12),
            offered: count(13),
            inserted: count(14),
            duplicate: count(15),
            conflicting: count(16),
            dead: count(17),
            replaced: count(18),
            skipped: count(24),
        },
        actor: row.get(19),
        detail: row.get(20),
    })
}

impl FileState {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}
