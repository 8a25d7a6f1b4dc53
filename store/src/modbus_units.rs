//! Modbus units that operators take live: every version is kept, with who and why.

use metering::UtcTime;
use tokio_postgres::Row;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "reading polled units";

macro_rules! columns {
    () => {
        "change_no, source, act, gateway, address, unit, profile, every_s, actor, reason, applied_at"
    };
}

const LIVE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT DISTINCT ON (source) * FROM modbus_unit ORDER BY source, change_no DESC) newest \
     WHERE act = 'apply' ORDER BY source"
);
const HISTORY: &str =
    concat!("SELECT ", columns!(), " FROM modbus_unit ORDER BY change_no DESC LIMIT $1");
const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM modbus_unit WHERE source = $1 ORDER BY change_no DESC LIMIT 1"
);
const LAST: &str = "SELECT coalesce(max(change_no), 0) FROM modbus_unit";
const INSERT: &str = "\
    INSERT INTO modbus_unit (source, act, gateway, address, unit, profile, every_s, actor, reason, \
    applied_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A unit to poll.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolledUnit {
    /// What the device is called.
    pub source: String,
    pub gateway: String,
    pub address: String,
    pub unit: u8,
    /// Name of a known profile, or the TOML of one.
    pub profile: String,
    pub every_s: i32,
}

/// What was done with a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitChange {
    /// Counts the changes of all units, from 1.
    pub change_no: i64,
    /// False: it ended with this row.
    pub live: bool,
    pub unit: PolledUnit,
    pub actor: String,
    pub reason: String,
    pub applied_at: UtcTime,
}

/// Who changes it, and why.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
    pub at: UtcTime,
}

/// Units that are polled, by source.
///
/// # Errors
/// When the database is away.
pub async fn live(database: &Database) -> Result<Vec<UnitChange>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.client().await?;
    let statement = client.prepare_cached(LIVE).await.map_err(&query)?;
    Ok(client.query(&statement, &[]).await.map_err(&query)?.iter().map(change).collect())
}

/// What was done, newest first.
///
/// # Errors
/// When the database is away.
pub async fn history(database: &Database, limit: u32) -> Result<Vec<UnitChange>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.client().await?;
    let statement = client.prepare_cached(HISTORY).await.map_err(&query)?;
    let rows = client.query(&statement, &[&i64::from(limit)]).await.map_err(&query)?;
    Ok(rows.iter().map(change).collect())
}

/// Grows with every change of any unit; 0 at first.
///
/// # Errors
/// When the database is away.
pub async fn last_change(database: &Database) -> Result<i64, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(LAST).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[]).await.map_err(&query)?.get(0))
}

/// Takes units live, or changes how they are polled; all or none.
///
/// # Errors
/// When the database is away.
pub async fn apply(
    database: &Database,
    units: &[PolledUnit],
    by: By<'_>,
) -> Result<(), StoreError> {
    let tx = Tx::begin(database).await?;
    for unit in units {
        insert(tx.client(), unit, true, by).await?;
    }
    tx.commit().await
}

/// Ends the polling of a unit.
///
/// # Errors
/// `Refused` when no such unit was taken live; else when the database is away.
pub async fn end(database: &Database, source: &str, by: By<'_>) -> Result<PolledUnit, StoreError> {
    let query = StoreError::query(WHAT);
    let tx = Tx::begin(database).await?;
    let statement = tx.client().prepare_cached(NEWEST).await.map_err(&query)?;
    let row = tx.client().query_opt(&statement, &[&source]).await.map_err(&query)?;
    let Some(before) = row.as_ref().map(change).filter(|row| row.live) else {
        tx.rollback().await;
        return Err(StoreError::Refused {
            what: "ending the polling of a unit",
            detail: format!("`{source}` was not taken live here"),
        });
    };
    insert(tx.client(), &before.unit, false, by).await?;
    tx.commit().await?;
    Ok(before.unit)
}

async fn insert(
    client: &Connection,
    unit: &PolledUnit,
    live: bool,
    by: By<'_>,
) -> Result<(), StoreError> {
    let query = StoreError::query("keeping a polled unit");
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let act = if live { "apply" } else { "end" };
    let PolledUnit { source, gateway, address, unit, profile, every_s } = unit;
    let number = i16::from(*unit);
    let at = Stamp(by.at);
    client
        .execute(
            &statement,
            &[
                source, &act, gateway, address, &number, profile, every_s, &by.actor, &by.reason,
                &at,
            ],
        )
        .await
        .map_err(&query)?;
    Ok(())
}

fn change(row: &Row) -> UnitChange {
    UnitChange {
        change_no: row.get(0),
        live: row.get::<_, &str>(2) == "apply",
        unit: PolledUnit {
            source: row.get(1),
            gateway: row.get(3),
            address: row.get(4),
            unit: u8::try_from(row.get::<_, i16>(5)).unwrap_or(0),
            profile: row.get(6),
            every_s: row.get(7),
        },
        actor: row.get(8),
        reason: row.get(9),
        applied_at: row.get::<_, Stamp>(10).0,
    }
}
