//! Provisioning: a meter with all that belongs to it, made or brought up to date by its number.

use std::collections::BTreeSet;

use metering::{CollectorAsset, CollectorId, LogRecord, UtcTime, ZoneId};

use super::change::{Change, Finish};
use super::names::{Names, PREMISES, ROUTE, TRANSFORMER, ZONE, known_collector, named, utility};
use super::rows::{self, Place};
use super::{
    CollectorProvision, MeterProvision, ProvisionChange, ProvisionOutcome, ZoneProvision, registry,
};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Makes or changes a collector; tells nothing when it is as it was.
const COLLECTOR: &str = "\
    INSERT INTO collector AS c (utility_id, code, name, zone_id, heartbeat_s, installed_at, \
        created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
    ON CONFLICT (code) DO UPDATE SET name = excluded.name, zone_id = excluded.zone_id, \
        heartbeat_s = excluded.heartbeat_s, installed_at = excluded.installed_at \
    WHERE (c.name, c.zone_id, c.heartbeat_s, c.installed_at) IS DISTINCT FROM \
        (excluded.name, excluded.zone_id, excluded.heartbeat_s, excluded.installed_at) \
    RETURNING collector_id";

/// Brings a zone up to date.
const ZONE_FACTS: &str = "\
    UPDATE network_zone SET name = $2, kind = $3, mains_m = $4, connections = $5, \
        private_pipe_m = $6, head_mm = $7 \
    WHERE zone_id = $1 AND (name, kind, mains_m, connections, private_pipe_m, head_mm) \
        IS DISTINCT FROM ($2, $3, $4, $5, $6, $7)";

impl Database {
    /// Makes meters or brings them up to date, all or none; each by its number. Tells the event
    /// log and whoever listens to `headend_assets`. Giving the same again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a source belongs to another meter or a channel would change
    /// its interval length; [`StoreError::is_data_fault`] when a value breaks a table's check.
    /// Nothing is changed then.
    pub async fn provision(
        &self,
        meters: &[MeterProvision],
        now: UtcTime,
    ) -> Result<Vec<ProvisionOutcome>, StoreError> {
        self.provision_as(meters, now, Finish::Commit).await
    }

    /// What [`Database::provision`] would do, without doing it.
    ///
    /// # Errors
    /// As [`Database::provision`].
    pub async fn provision_dry_run(
        &self,
        meters: &[MeterProvision],
        now: UtcTime,
    ) -> Result<Vec<ProvisionOutcome>, StoreError> {
        self.provision_as(meters, now, Finish::Rollback).await
    }

    async fn provision_as(
        &self,
        meters: &[MeterProvision],
        now: UtcTime,
        finish: Finish,
    ) -> Result<Vec<ProvisionOutcome>, StoreError> {
        let change = Change::begin(self, now, finish).await?;
        let mut names = Names::default();
        let mut outcomes = Vec::with_capacity(meters.len());
        for meter in meters {
            outcomes.push(one_meter(&change, meter, &mut names).await?);
        }
        let changed: BTreeSet<i32> = outcomes
            .iter()
            .filter(|outcome| outcome.change != ProvisionChange::Unchanged)
            .map(|outcome| outcome.meter.get())
            .collect();
        let changed: Vec<i32> = changed.into_iter().collect();
        let mut records = registry::zones(change.client(), &names.new_zones).await?;
        records.extend(names.new_collectors);
        let loaded = registry::meters(change.client(), &changed).await?;
        records.extend(loaded.into_iter().map(|meter| LogRecord::Meter(Box::new(meter.asset))));
        change.finish(&records).await?;
        Ok(outcomes)
    }

    /// Makes zones or brings them up to date, all or none; gives their ids in order.
    ///
    /// # Errors
    /// When the database is away or a value breaks a table's check; nothing is changed then.
    pub async fn provision_zones(
        &self,
        zones: &[ZoneProvision],
        now: UtcTime,
    ) -> Result<Vec<ZoneId>, StoreError> {
        let change = Change::begin(self, now, Finish::Commit).await?;
        let client = change.client();
        let query = StoreError::query("provisioning a zone");
        let (mut ids, mut changed) = (Vec::new(), Vec::new());
        for zone in zones {
            let utility = utility(&change, &zone.utility, "UTC").await?;
            let (id, made) = named(client, ZONE, utility, &zone.code).await?;
            let name = if zone.name.is_empty() { &zone.code } else { &zone.name };
            let statement = client.prepare_cached(ZONE_FACTS).await.map_err(&query)?;
            let ZoneProvision { kind, mains_m, connections, private_pipe_m, head_mm, .. } = zone;
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&id, name, &kind.word(), mains_m, connections, private_pipe_m, head_mm];
            if client.execute(&statement, &params).await.map_err(&query)? > 0 || made {
                changed.push(id);
            }
            ids.push(ZoneId::new(id));
        }
        let records = registry::zones(client, &changed).await?;
        change.finish(&records).await?;
        Ok(ids)
    }

    /// Makes collectors or brings them up to date, all or none; gives their ids in order.
    ///
    /// # Errors
    /// When the database is away or a value breaks a table's check; nothing is changed then.
    pub async fn provision_collectors(
        &self,
        collectors: &[CollectorProvision],
        now: UtcTime,
    ) -> Result<Vec<CollectorId>, StoreError> {
        let change = Change::begin(self, now, Finish::Commit).await?;
        let client = change.client();
        let query = StoreError::query("provisioning a collector");
        let (mut ids, mut records) = (Vec::new(), Vec::new());
        for collector in collectors {
            let utility = utility(&change, &collector.utility, "UTC").await?;
            let zone = match &collector.zone {
                Some(code) => {
                    let (zone, made) = named(client, ZONE, utility, code).await?;
                    if made {
                        records.extend(registry::zones(client, &[zone]).await?);
                    }
                    Some(zone)
                }
                None => None,
            };
            let statement = client.prepare_cached(COLLECTOR).await.map_err(&query)?;
            let changed = client
                .query_opt(
                    &statement,
                    &[
                        &utility,
                        &collector.code,
                        &collector.name,
                        &zone,
                        &collector.heartbeat_s,
                        &Stamp(collector.installed_at),
                        &Stamp(now),
                    ],
                )
                .await
                .map_err(&query)?;
            let id = match &changed {
                Some(row) => row.get(0),
                None => known_collector(client, &collector.code).await?,
            };
            let id = CollectorId::new(id);
            ids.push(id);
            if changed.is_some() {
                let heartbeat_s = collector.heartbeat_s;
                records.push(LogRecord::Collector(CollectorAsset { collector: id, heartbeat_s }));
            }
        }
        change.finish(&records).await?;
        Ok(ids)
    }
}

async fn one_meter(
    change: &Change,
    meter: &MeterProvision,
    names: &mut Names,
) -> Result<ProvisionOutcome, StoreError> {
    let utility = names.utility(change, &meter.utility, &meter.time_zone).await?;
    let zone = names.other(change, ZONE, utility, meter.zone.as_deref()).await?;
    let route = names.other(change, ROUTE, utility, meter.route.as_deref()).await?;
    let transformer =
        names.other(change, TRANSFORMER, utility, meter.transformer.as_deref()).await?;
    let collector = names.collector(change, meter, utility, zone).await?;
    let address = Some(meter.address.as_str()).filter(|address| !address.is_empty());
    let premises = meter.facts.premises.as_deref().or(address);
    let premises = names.other(change, PREMISES, utility, premises).await?;
    let place = Place { utility, zone, route, transformer, premises };
    let mut changed = rows::usage_point(change, meter, place).await?;
    let (id, made) = match rows::meter_row(change, meter, collector).await? {
        Some((id, made)) => {
            changed = true;
            (id, made)
        }
        None => (rows::known_meter(change, &meter.number).await?, false),
    };
    rows::install(change, id, meter).await?;
    let new_sources = rows::sources(change, id, meter).await?;
    changed |= !new_sources.is_empty();
    for channel in &meter.channels {
        changed |= rows::one_channel(change, id, meter, channel).await?;
    }
    let change = match (made, changed) {
        (true, _) => ProvisionChange::Created,
        (false, true) => ProvisionChange::Changed,
        (false, false) => ProvisionChange::Unchanged,
    };
    Ok(ProvisionOutcome { number: meter.number.clone(), meter: id, change, new_sources })
}
