//! Named things of the network, made when a meter first names them.

use std::collections::BTreeMap;

use metering::{CollectorAsset, CollectorId, LogRecord};

use super::MeterProvision;
use super::change::Change;
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// The id of a named thing of a utility, made if there is none.
pub(super) const ZONE: &str = "\
    WITH made AS (INSERT INTO network_zone (utility_id, code, name) VALUES ($1, $2, $2) \
        ON CONFLICT DO NOTHING RETURNING zone_id) \
    SELECT zone_id, true FROM made UNION ALL \
    SELECT zone_id, false FROM network_zone WHERE utility_id = $1 AND code = $2 LIMIT 1";
pub(super) const ROUTE: &str = "\
    WITH made AS (INSERT INTO route (utility_id, code, name) VALUES ($1, $2, $2) \
        ON CONFLICT DO NOTHING RETURNING route_id) \
    SELECT route_id FROM made UNION ALL \
    SELECT route_id FROM route WHERE utility_id = $1 AND code = $2 LIMIT 1";
pub(super) const PREMISES: &str = "\
    WITH made AS (INSERT INTO premises (utility_id, code) VALUES ($1, $2) \
        ON CONFLICT DO NOTHING RETURNING premises_id) \
    SELECT premises_id FROM made UNION ALL \
    SELECT premises_id FROM premises WHERE utility_id = $1 AND code = $2 LIMIT 1";
pub(super) const TRANSFORMER: &str = "\
    WITH made AS (INSERT INTO transformer (utility_id, code) VALUES ($1, $2) \
        ON CONFLICT DO NOTHING RETURNING transformer_id) \
    SELECT transformer_id FROM made UNION ALL \
    SELECT transformer_id FROM transformer WHERE utility_id = $1 AND code = $2 LIMIT 1";
const UTILITY: &str = "\
    WITH made AS (INSERT INTO utility (code, name, zone) VALUES ($1, $1, $2) \
        ON CONFLICT DO NOTHING RETURNING utility_id) \
    SELECT utility_id FROM made UNION ALL SELECT utility_id FROM utility WHERE code = $1 LIMIT 1";

/// A collector that a meter names without more being known of it.
const COLLECTOR_NAMED: &str = "\
    INSERT INTO collector (utility_id, code, zone_id, installed_at, created_at) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO NOTHING RETURNING collector_id, heartbeat_s";
const COLLECTOR_KNOWN: &str = "SELECT collector_id FROM collector WHERE code = $1";

/// Ids of named things that this change has asked for already.
#[derive(Default)]
pub(super) struct Names {
    utilities: BTreeMap<String, i32>,
    others: BTreeMap<(&'static str, i32, String), i32>,
    collectors: BTreeMap<String, i32>,
    /// Told to the log with the change.
    pub(super) new_collectors: Vec<LogRecord>,
    /// Zones that this change made.
    pub(super) new_zones: Vec<i32>,
}

impl Names {
    pub(super) async fn utility(
        &mut self,
        change: &Change,
        code: &str,
        zone: &str,
    ) -> Result<i32, StoreError> {
        if let Some(id) = self.utilities.get(code) {
            return Ok(*id);
        }
        let id = utility(change, code, zone).await?;
        self.utilities.insert(code.to_owned(), id);
        Ok(id)
    }

    pub(super) async fn other(
        &mut self,
        change: &Change,
        statement: &'static str,
        utility: i32,
        code: Option<&str>,
    ) -> Result<Option<i32>, StoreError> {
        let Some(code) = code else { return Ok(None) };
        let key = (statement, utility, code.to_owned());
        if let Some(id) = self.others.get(&key) {
            return Ok(Some(*id));
        }
        let (id, made) = named(change.client(), statement, utility, code).await?;
        if made {
            self.new_zones.push(id);
        }
        self.others.insert(key, id);
        Ok(Some(id))
    }

    pub(super) async fn collector(
        &mut self,
        change: &Change,
        meter: &MeterProvision,
        utility: i32,
        zone: Option<i32>,
    ) -> Result<Option<i32>, StoreError> {
        let Some(code) = &meter.collector else { return Ok(None) };
        if let Some(id) = self.collectors.get(code) {
            return Ok(Some(*id));
        }
        let client = change.client();
        let query = StoreError::query("provisioning a collector");
        let statement = client.prepare_cached(COLLECTOR_NAMED).await.map_err(&query)?;
        let installed_at = Stamp(meter.installed_at);
        let made = client
            .query_opt(&statement, &[&utility, code, &zone, &installed_at, &Stamp(change.now)])
            .await
            .map_err(&query)?;
        let id = match made {
            Some(row) => {
                self.new_collectors.push(LogRecord::Collector(CollectorAsset {
                    collector: CollectorId::new(row.get(0)),
                    heartbeat_s: row.get(1),
                }));
                row.get(0)
            }
            None => known_collector(client, code).await?,
        };
        self.collectors.insert(code.clone(), id);
        Ok(Some(id))
    }
}

pub(super) async fn utility(change: &Change, code: &str, zone: &str) -> Result<i32, StoreError> {
    let query = StoreError::query("provisioning a utility");
    let client = change.client();
    let statement = client.prepare_cached(UTILITY).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&code, &zone]).await.map_err(&query)?;
    Ok(row.get(0))
}

/// The id, and whether a zone was made for it.
pub(super) async fn named(
    client: &Connection,
    statement: &str,
    utility: i32,
    code: &str,
) -> Result<(i32, bool), StoreError> {
    let query = StoreError::query("provisioning a zone, route, transformer or premises");
    let statement = client.prepare_cached(statement).await.map_err(&query)?;
    let row = client.query_one(&statement, &[&utility, &code]).await.map_err(&query)?;
    let made = row.columns().len() > 1 && row.get(1);
    Ok((row.get(0), made))
}

pub(super) async fn known_collector(client: &Connection, code: &str) -> Result<i32, StoreError> {
    let query = StoreError::query("provisioning a collector");
    let statement = client.prepare_cached(COLLECTOR_KNOWN).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[&code]).await.map_err(&query)?.get(0))
}
