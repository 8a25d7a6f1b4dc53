//! Descriptions of payloads that operators take live: every version is kept, with who and why.

use metering::{MeterId, SourceId, UtcTime};
use tokio_postgres::Row;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "reading descriptions of payloads";

macro_rules! columns {
    () => {
        "mapping_no, name, version, act, filter, text, actor, reason, applied_at"
    };
}

const LIVE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT DISTINCT ON (name) * FROM payload_mapping ORDER BY name, mapping_no DESC) newest \
     WHERE act = 'apply' ORDER BY name"
);
const HISTORY: &str =
    concat!("SELECT ", columns!(), " FROM payload_mapping ORDER BY mapping_no DESC LIMIT $1");
const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM payload_mapping WHERE name = $1 ORDER BY mapping_no DESC LIMIT 1"
);
const LAST: &str = "SELECT coalesce(max(mapping_no), 0) FROM payload_mapping";
const INSERT: &str = "\
    INSERT INTO payload_mapping (name, version, act, filter, text, actor, reason, applied_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING mapping_no";

const OWNERS: &str =
    "SELECT DISTINCT meter_id FROM meter_source WHERE source_id = ANY($1) ORDER BY 1";

/// A description on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewMapping<'a> {
    pub name: &'a str,
    /// MQTT topic filter.
    pub filter: &'a str,
    /// TOML as the operator wrote it.
    pub text: &'a str,
}

/// A version of a description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappingRow {
    /// Counts what was done with any description, from 1.
    pub mapping_no: i64,
    pub name: String,
    /// Counts what was done with this one, from 1.
    pub version: i32,
    /// False: it ended with this row.
    pub live: bool,
    pub filter: String,
    pub text: String,
    pub actor: String,
    pub reason: String,
    pub applied_at: UtcTime,
}

/// Descriptions that hold, by name.
///
/// # Errors
/// When the database is away.
pub async fn live(database: &Database) -> Result<Vec<MappingRow>, StoreError> {
    rows(database, LIVE, &[]).await
}

/// What was done, newest first.
///
/// # Errors
/// When the database is away.
pub async fn history(database: &Database, limit: u32) -> Result<Vec<MappingRow>, StoreError> {
    rows(database, HISTORY, &[&i64::from(limit)]).await
}

/// Grows with every change of any description; 0 at first.
///
/// # Errors
/// When the database is away.
pub async fn last_change(database: &Database) -> Result<i64, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(LAST).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[]).await.map_err(&query)?.get(0))
}

/// Meters that speak by any of these names.
///
/// # Errors
/// When the database is away.
pub async fn owners(database: &Database, sources: &[SourceId]) -> Result<Vec<MeterId>, StoreError> {
    let query = StoreError::query("asking whose device it is");
    let client = database.client().await?;
    let statement = client.prepare_cached(OWNERS).await.map_err(&query)?;
    let sources: Vec<&str> = sources.iter().map(SourceId::as_str).collect();
    let rows = client.query(&statement, &[&sources]).await.map_err(&query)?;
    Ok(rows.iter().map(|row| MeterId::new(row.get(0))).collect())
}

/// Takes a description live. One that holds already, text and all, is given back as it is.
///
/// # Errors
/// When the database is away.
pub async fn apply(
    database: &Database,
    new: &NewMapping<'_>,
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<MappingRow, StoreError> {
    let tx = begin(database).await?;
    let before = newest(tx.client(), new.name).await?;
    if let Some(now) = &before
        && now.live
        && now.text == new.text
    {
        let now = now.clone();
        tx.rollback().await;
        return Ok(now);
    }
    let version = before.map_or(1, |row| row.version + 1);
    let row = insert(tx.client(), (new, version, true), (actor, reason), at).await?;
    tx.commit().await?;
    Ok(row)
}

/// Ends a description.
///
/// # Errors
/// `Refused` when none of that name is live; else when the database is away.
pub async fn end(
    database: &Database,
    name: &str,
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<MappingRow, StoreError> {
    let tx = begin(database).await?;
    let before = newest(tx.client(), name).await?.filter(|row| row.live);
    let Some(before) = before else {
        tx.rollback().await;
        return Err(StoreError::Refused {
            what: "ending a description of payloads",
            detail: format!("none named `{name}` is live"),
        });
    };
    let new = NewMapping { name, filter: &before.filter, text: &before.text };
    let row = insert(tx.client(), (&new, before.version + 1, false), (actor, reason), at).await?;
    tx.commit().await?;
    Ok(row)
}

async fn begin(database: &Database) -> Result<Tx, StoreError> {
    let tx = Tx::begin(database).await?;
    // Of two who change at once the second sees the first.
    tx.client()
        .batch_execute("LOCK TABLE payload_mapping IN SHARE ROW EXCLUSIVE MODE")
        .await
        .map_err(StoreError::query("changing descriptions of payloads"))?;
    Ok(tx)
}

async fn insert(
    client: &Connection,
    (new, version, live): (&NewMapping<'_>, i32, bool),
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<MappingRow, StoreError> {
    let query = StoreError::query("keeping a description of payloads");
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let act = if live { "apply" } else { "end" };
    let NewMapping { name, filter, text } = new;
    let row = client
        .query_one(&statement, &[name, &version, &act, filter, text, &actor, &reason, &Stamp(at)])
        .await
        .map_err(&query)?;
    Ok(MappingRow {
        mapping_no: row.get(0),
        name: (*name).to_owned(),
        version,
        live,
        filter: (*filter).to_owned(),
        text: (*text).to_owned(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        applied_at: at,
    })
}

async fn newest(client: &Connection, name: &str) -> Result<Option<MappingRow>, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(NEWEST).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&name]).await.map_err(&query)?;
    Ok(row.as_ref().map(mapping))
}

async fn rows(
    database: &Database,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<MappingRow>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.client().await?;
    let statement = client.prepare_cached(sql).await.map_err(&query)?;
    let rows = client.query(&statement, params).await.map_err(&query)?;
    Ok(rows.iter().map(mapping).collect())
}

fn mapping(row: &Row) -> MappingRow {
    MappingRow {
        mapping_no: row.get(0),
        name: row.get(1),
        version: row.get(2),
        live: row.get::<_, &str>(3) == "apply",
        filter: row.get(4),
        text: row.get(5),
        actor: row.get(6),
        reason: row.get(7),
        applied_at: row.get::<_, Stamp>(8).0,
    }
}
