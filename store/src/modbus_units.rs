//! Modbus units that operators take live: every version is kept, with who and why.

use metering::UtcTime;
use tokio_postgres::Row;

use crate::assets::CollectorProvision;
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
const INSERT: &str = concat!(
    "INSERT INTO modbus_unit (source, act, gateway, address, unit, profile, every_s, actor, \
     reason, applied_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ",
    columns!()
);

/// Changes are made one after the other; whoever reads is not held up.
const ALONE: &str = "LOCK TABLE modbus_unit IN SHARE ROW EXCLUSIVE MODE";

/// Collectors of these codes, and all of names that begin with `$2` and are due.
const COLLECTORS: &str = "\
    SELECT k.code, k.name, u.code, z.code, k.heartbeat_s, k.installed_at, s.last_heartbeat_at \
    FROM collector k JOIN utility u ON u.utility_id = k.utility_id \
    LEFT JOIN network_zone z ON z.zone_id = k.zone_id \
    LEFT JOIN collector_state s ON s.collector_id = k.collector_id \
    WHERE k.code = ANY($1) OR (starts_with(k.name, $2) AND k.heartbeat_s > 0) ORDER BY k.code";

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

/// The collector that a gateway is, as the asset model has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayCollector {
    pub asset: CollectorProvision,
    pub last_heartbeat: Option<UtcTime>,
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

/// The collectors of `codes`, and those that are due and whose names begin with `name`.
///
/// # Errors
/// When the database is away.
pub async fn collectors(
    database: &Database,
    codes: &[String],
    name: &str,
) -> Result<Vec<GatewayCollector>, StoreError> {
    let query = StoreError::query("reading collectors of gateways");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(COLLECTORS).await.map_err(&query)?;
    let rows = client.query(&statement, &[&codes, &name]).await.map_err(&query)?;
    let collector = |row: &Row| GatewayCollector {
        asset: CollectorProvision {
            code: row.get(0),
            name: row.get(1),
            utility: row.get(2),
            zone: row.get(3),
            heartbeat_s: row.get(4),
            installed_at: row.get::<_, Stamp>(5).0,
        },
        last_heartbeat: row.get::<_, Option<Stamp>>(6).map(|at| at.0),
    };
    Ok(rows.iter().map(collector).collect())
}

/// Takes units live, or changes how they are polled; all or none. False, and nothing is done, when
/// anything was changed after `last`: what was looked at may not hold any more.
///
/// # Errors
/// When the database is away.
pub async fn apply(
    database: &Database,
    units: &[PolledUnit],
    last: i64,
    by: By<'_>,
) -> Result<bool, StoreError> {
    let query = StoreError::query(WHAT);
    let tx = Tx::begin(database).await?;
    tx.client().batch_execute(ALONE).await.map_err(&query)?;
    let statement = tx.client().prepare_cached(LAST).await.map_err(&query)?;
    let newest: i64 = tx.client().query_one(&statement, &[]).await.map_err(&query)?.get(0);
    if newest != last {
        tx.rollback().await;
        return Ok(false);
    }
    for unit in units {
        insert(tx.client(), unit, true, by).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Ends the polling of a unit; gives the change that ended it.
///
/// # Errors
/// `Refused` when no such unit was taken live; else when the database is away.
pub async fn end(database: &Database, source: &str, by: By<'_>) -> Result<UnitChange, StoreError> {
    let query = StoreError::query(WHAT);
    let tx = Tx::begin(database).await?;
    tx.client().batch_execute(ALONE).await.map_err(&query)?;
    let statement = tx.client().prepare_cached(NEWEST).await.map_err(&query)?;
    let row = tx.client().query_opt(&statement, &[&source]).await.map_err(&query)?;
    let Some(before) = row.as_ref().map(change).filter(|row| row.live) else {
        tx.rollback().await;
        return Err(StoreError::Refused {
            what: "ending the polling of a unit",
            detail: format!("`{source}` was not taken live here"),
        });
    };
    let ended = insert(tx.client(), &before.unit, false, by).await?;
    tx.commit().await?;
    Ok(ended)
}

async fn insert(
    client: &Connection,
    unit: &PolledUnit,
    live: bool,
    by: By<'_>,
) -> Result<UnitChange, StoreError> {
    let query = StoreError::query("keeping a polled unit");
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let act = if live { "apply" } else { "end" };
    let PolledUnit { source, gateway, address, unit, profile, every_s } = unit;
    let number = i16::from(*unit);
    let at = Stamp(by.at);
    let row = client
        .query_one(
            &statement,
            &[
                source, &act, gateway, address, &number, profile, every_s, &by.actor, &by.reason,
                &at,
            ],
        )
        .await
        .map_err(&query)?;
    Ok(change(&row))
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
