//! Loading what is known of meters and collectors.

use std::collections::BTreeMap;
use std::str::FromStr;

use metering::{
    BatteryAsset, ChannelAsset, ChannelNo, CollectorId, LogRecord, MeterAsset, MeterDetail,
    MeterId, SourceId, Tag, TransformerId, UsagePointId, ZoneAsset, ZoneId,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Registry, RegistryChannel, RegistryCollector, RegistryMeter};
use crate::batch::ChannelStateRow;
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "loading the registry of meters";

const VERSION: &str = "SELECT version FROM asset_version";

/// Meters with where they stand now (their newest installation). `$1`: these meters, or all.
const METERS: &str = "\
    SELECT m.meter_id, m.number, i.usage_point_id, m.commodity, u.class, u.time_zone, u.tags, \
        m.battery_powered, u.account_active, m.primary_collector_id, i.valid_from, \
        m.contact_every_s, m.flow_rated_lph, \
        ARRAY(SELECT s.source_id FROM meter_source s WHERE s.meter_id = m.meter_id \
            ORDER BY s.source_id), \
        m.role, u.zone_id, u.transformer_id, m.manufacturer, m.model, m.firmware, m.serial, \
        u.premises_id, m.battery_chemistry, m.battery_installed_at, m.battery_design_life_d, \
        m.battery_capacity_mah, u.dwelling_units, m.contract_demand_mw, m.phases, \
        u.address \
    FROM meter m \
    JOIN LATERAL (SELECT * FROM installation i WHERE i.meter_id = m.meter_id \
        ORDER BY i.valid_from DESC LIMIT 1) i ON true \
    JOIN usage_point u USING (usage_point_id) \
    WHERE $1::int4[] IS NULL OR m.meter_id = ANY($1) \
    ORDER BY m.meter_id";

const CHANNELS: &str = "\
    SELECT meter_id, channel, field, reading_type, kind, unit, multiplier, decimals, modulus, \
        len_s, resolution, cap_per_hour, delivery_lag_s, valid_from, valid_to \
    FROM meter_channel WHERE $1::int4[] IS NULL OR meter_id = ANY($1) ORDER BY meter_id, channel";

const COLLECTORS: &str =
    "SELECT collector_id, code, heartbeat_s FROM collector ORDER BY collector_id";

/// Zones; `$1`: these, or all.
const ZONES: &str = "\
    SELECT zone_id, kind, mains_m, connections, private_pipe_m, head_mm FROM network_zone \
    WHERE $1::int4[] IS NULL OR zone_id = ANY($1) ORDER BY zone_id";

const STATES: &str = "\
    SELECT meter_id, channel, read_at, raw, total, boundary_at, boundary_total, recent::text \
    FROM channel_state ORDER BY meter_id, channel";

impl Database {
    /// Counts changes of the asset model: load the registry again when it has grown. NOTIFY
    /// `headend_assets` says the same earlier.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn asset_version(&self) -> Result<i64, StoreError> {
        let client = self.work_client().await?;
        version(&client).await
    }

    /// Everything that ingest needs, as of one instant.
    ///
    /// # Errors
    /// When the database is away, or holds a word that this program does not know.
    pub async fn load_registry(&self) -> Result<Registry, StoreError> {
        let mut client = self.work_client().await?;
        let query = StoreError::query(WHAT);
        // One snapshot: a meter must not appear without its channels.
        let tx = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(&query)?;
        let all: Option<&[i32]> = None;
        let channels = tx.query(CHANNELS, &[&all]).await.map_err(&query)?;
        let meters = tx.query(METERS, &[&all]).await.map_err(&query)?;
        let collectors = tx.query(COLLECTORS, &[]).await.map_err(&query)?;
        let zones = tx.query(ZONES, &[&all]).await.map_err(&query)?;
        let states = tx.query(STATES, &[]).await.map_err(&query)?;
        let version = tx.query_one(VERSION, &[]).await.map_err(&query)?.get(0);
        tx.commit().await.map_err(&query)?;
        Ok(Registry {
            version,
            meters: assemble(&meters, &channels)?,
            collectors: collectors.iter().map(collector).collect(),
            zones: zones.iter().map(zone).collect::<Result<_, _>>()?,
            states: states.iter().map(state).collect(),
        })
    }
}

impl Database {
    /// One meter as ingest and rules see it; `None` when there is none or it was never installed.
    ///
    /// # Errors
    /// When the database is away, or holds a word that this program does not know.
    pub async fn load_meter(&self, meter: MeterId) -> Result<Option<RegistryMeter>, StoreError> {
        let client = self.work_client().await?;
        Ok(meters(&client, &[meter.get()]).await?.pop())
    }
}

pub(super) async fn version(client: &Connection) -> Result<i64, StoreError> {
    let row = client
        .query_one(VERSION, &[])
        .await
        .map_err(StoreError::query("reading the version of the asset model"))?;
    Ok(row.get(0))
}

/// Some meters, as seen inside the caller's transaction.
pub(super) async fn meters(
    client: &Connection,
    ids: &[i32],
) -> Result<Vec<RegistryMeter>, StoreError> {
    let query = StoreError::query(WHAT);
    let some: &(dyn ToSql + Sync) = &Some(ids);
    let channels = client.query(CHANNELS, &[some]).await.map_err(&query)?;
    let meters = client.query(METERS, &[some]).await.map_err(&query)?;
    assemble(&meters, &channels)
}

/// Both lists are in the order of meters.
fn assemble(meters: &[Row], channels: &[Row]) -> Result<Vec<RegistryMeter>, StoreError> {
    let mut by_meter: BTreeMap<i32, Vec<RegistryChannel>> = BTreeMap::new();
    for row in channels {
        by_meter.entry(row.get(0)).or_default().push(channel(row)?);
    }
    meters
        .iter()
        .map(|row| {
            let channels = by_meter.remove(&row.get(0)).unwrap_or_default();
            Ok(RegistryMeter {
                meter: MeterId::new(row.get(0)),
                number: row.get(1),
                sources: row.get::<_, Vec<String>>(13).into_iter().map(SourceId::parse).collect(),
                asset: asset(row, &channels)?,
                channels,
            })
        })
        .collect()
}

fn asset(row: &Row, channels: &[RegistryChannel]) -> Result<MeterAsset, StoreError> {
    let tags: Vec<&str> = row.get(6);
    Ok(MeterAsset {
        meter: MeterId::new(row.get(0)),
        usage_point: UsagePointId::new(row.get(2)),
        commodity: word(row, 3)?,
        class: word(row, 4)?,
        zone: row.get(5),
        tags: tags.into_iter().map(parse::<Tag>).collect::<Result<_, _>>()?,
        battery_powered: row.get(7),
        account_active: row.get(8),
        primary_collector: row.get::<_, Option<i32>>(9).map(CollectorId::new),
        installed_at: row.get::<_, Stamp>(10).0,
        contact_every_s: row.get(11),
        flow_rated_lph: row.get(12),
        detail: detail(row)?,
        channels: channels
            .iter()
            .map(|channel| ChannelAsset {
                channel: channel.channel,
                reading_type: channel.reading_type,
                kind: channel.kind,
                len_s: channel.len_s,
                resolution: channel.resolution,
                cap_per_hour: channel.cap_per_hour,
                delivery_lag_s: channel.delivery_lag_s,
            })
            .collect(),
    })
}

fn detail(row: &Row) -> Result<MeterDetail, StoreError> {
    let words: [&str; 3] = [row.get(17), row.get(18), row.get(19)];
    let known: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let battery = match row.get::<_, Option<&str>>(22).zip(row.get::<_, Option<Stamp>>(23)) {
        Some((chemistry, installed_at)) => Some(BatteryAsset {
            chemistry: parse(chemistry)?,
            installed_at: installed_at.0,
            design_life_d: row.get(24),
            capacity_mah: row.get(25),
        }),
        None => None,
    };
    Ok(MeterDetail {
        role: word(row, 14)?,
        network_zone: row.get::<_, Option<i32>>(15).map(ZoneId::new),
        transformer: row.get::<_, Option<i32>>(16).map(TransformerId::new),
        cohort: known.join(" "),
        serial: row.get(20),
        premises: row.get::<_, Option<i32>>(21).unwrap_or(0),
        street: metering::street_number(row.get(29)),
        battery,
        dwelling_units: row.get(26),
        contract_demand_mw: row.get(27),
        // The table checks 1 to 3.
        phases: u8::try_from(row.get::<_, i16>(28)).unwrap_or(1),
    })
}

/// Records of these zones, in order.
pub(super) async fn zones(client: &Connection, ids: &[i32]) -> Result<Vec<LogRecord>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let some: &(dyn ToSql + Sync) = &Some(ids);
    let rows = client.query(ZONES, &[some]).await.map_err(StoreError::query(WHAT))?;
    rows.iter().map(|row| zone(row).map(LogRecord::Zone)).collect()
}

fn zone(row: &Row) -> Result<ZoneAsset, StoreError> {
    Ok(ZoneAsset {
        zone: ZoneId::new(row.get(0)),
        kind: word(row, 1)?,
        mains_m: row.get(2),
        connections: row.get(3),
        private_pipe_m: row.get(4),
        head_mm: row.get(5),
    })
}

fn channel(row: &Row) -> Result<RegistryChannel, StoreError> {
    Ok(RegistryChannel {
        channel: ChannelNo::new(row.get(1)),
        field: row.get(2),
        reading_type: word(row, 3)?,
        kind: word(row, 4)?,
        unit: word(row, 5)?,
        multiplier: row.get(6),
        // The table checks 0 to 9.
        decimals: u8::try_from(row.get::<_, i16>(7)).unwrap_or(0),
        modulus: row.get(8),
        len_s: row.get(9),
        resolution: row.get(10),
        cap_per_hour: row.get(11),
        delivery_lag_s: row.get(12),
        valid_from: row.get::<_, Stamp>(13).0,
        valid_to: row.get::<_, Stamp>(14).0,
    })
}

fn collector(row: &Row) -> RegistryCollector {
    RegistryCollector {
        collector: CollectorId::new(row.get(0)),
        code: row.get(1),
        heartbeat_s: row.get(2),
    }
}

fn state(row: &Row) -> ChannelStateRow {
    let boundary_at: Option<Stamp> = row.get(5);
    let boundary_total: Option<i64> = row.get(6);
    ChannelStateRow {
        meter: MeterId::new(row.get(0)),
        channel: ChannelNo::new(row.get(1)),
        read_at: row.get::<_, Stamp>(2).0,
        raw: row.get(3),
        total: row.get(4),
        boundary: boundary_at.map(|at| at.0).zip(boundary_total),
        recent: row.get(7),
    }
}

fn word<T: FromStr>(row: &Row, column: usize) -> Result<T, StoreError> {
    parse(row.get(column))
}

fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt {
        what: "word of the asset model",
        detail: format!("`{text}` is unknown to this program"),
    })
}
