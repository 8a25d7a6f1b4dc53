//! The rows of one meter: usage point, meter, sources, channels.

use metering::{MeterId, SourceId};

use super::change::Change;
use super::{ChannelProvision, MeterProvision};
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "provisioning";

/// A usage point has the code of the meter that was provisioned with it. Another account than the last
/// one known is another customer, also when the number was blank in between.
const USAGE_POINT: &str = "\
    INSERT INTO usage_point AS u (utility_id, code, address, account_no, commodity, class, \
        time_zone, zone_id, route_id, transformer_id, account_active, tags, created_at, \
        premises_id, dwelling_units, last_account_no) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $4) \
    ON CONFLICT (code) DO UPDATE SET utility_id = excluded.utility_id, \
        address = excluded.address, account_no = excluded.account_no, \
        commodity = excluded.commodity, class = excluded.class, time_zone = excluded.time_zone, \
        zone_id = excluded.zone_id, route_id = excluded.route_id, \
        transformer_id = excluded.transformer_id, account_active = excluded.account_active, \
        tags = excluded.tags, premises_id = excluded.premises_id, \
        dwelling_units = excluded.dwelling_units, \
        inactive_since = CASE WHEN u.account_active AND NOT excluded.account_active \
            THEN excluded.created_at ELSE u.inactive_since END, \
        occupied_since = CASE WHEN excluded.account_active AND NOT u.account_active \
            OR '' NOT IN (excluded.account_no, u.last_account_no) \
                AND excluded.account_no <> u.last_account_no \
            THEN excluded.created_at ELSE u.occupied_since END, \
        last_account_no = coalesce(nullif(excluded.account_no, ''), u.last_account_no) \
    WHERE (u.utility_id, u.address, u.account_no, u.commodity, u.class, u.time_zone, u.zone_id, \
        u.route_id, u.transformer_id, u.account_active, u.tags, u.premises_id, u.dwelling_units) \
        IS DISTINCT FROM \
        (excluded.utility_id, excluded.address, excluded.account_no, excluded.commodity, \
        excluded.class, excluded.time_zone, excluded.zone_id, excluded.route_id, \
        excluded.transformer_id, excluded.account_active, excluded.tags, excluded.premises_id, \
        excluded.dwelling_units) \
    RETURNING usage_point_id";

/// The columns of a meter that a file may change.
macro_rules! facts {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "serial, ",
            $prefix,
            "commodity, ",
            $prefix,
            "battery_powered, ",
            $prefix,
            "flow_rated_lph, ",
            $prefix,
            "contact_every_s, ",
            $prefix,
            "primary_collector_id, ",
            $prefix,
            "role, ",
            $prefix,
            "manufacturer, ",
            $prefix,
            "model, ",
            $prefix,
            "firmware, ",
            $prefix,
            "battery_chemistry, ",
            $prefix,
            "battery_installed_at, ",
            $prefix,
            "battery_design_life_d, ",
            $prefix,
            "battery_capacity_mah, ",
            $prefix,
            "contract_demand_mw, ",
            $prefix,
            "phases"
        )
    };
}

const METER: &str = concat!(
    "INSERT INTO meter AS m (number, created_at, ",
    facts!(""),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
     ON CONFLICT (number) DO UPDATE SET (",
    facts!(""),
    ") = (",
    facts!("excluded."),
    ") WHERE (",
    facts!("m."),
    ") IS DISTINCT FROM (",
    facts!("excluded."),
    ") RETURNING meter_id, (xmax = 0)"
);

/// A meter's first installation; later ones are another act (exchange).
const INSTALL: &str = "\
    INSERT INTO installation (meter_id, usage_point_id, valid_from) \
    SELECT $1, usage_point_id, $3 FROM usage_point WHERE code = $2 \
        AND NOT EXISTS (SELECT 1 FROM installation WHERE meter_id = $1)";

const SOURCE: &str = "\
    INSERT INTO meter_source (source_id, meter_id, created_at) VALUES ($1, $2, $3) \
    ON CONFLICT (source_id) DO NOTHING";
const SOURCE_OWNER: &str = "\
    SELECT s.meter_id, m.number FROM meter_source s JOIN meter m USING (meter_id) \
    WHERE s.source_id = $1";

/// A channel is found by its field; its interval length never changes.
const CHANNEL_KNOWN: &str =
    "SELECT channel, len_s, kind FROM meter_channel WHERE meter_id = $1 AND field = $2";
const CHANNEL_NEW: &str = "\
    INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, multiplier, \
        decimals, modulus, len_s, resolution, cap_per_hour, delivery_lag_s, valid_from) \
    SELECT $1, coalesce(max(channel), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 \
    FROM meter_channel WHERE meter_id = $1";
const CHANNEL_CHANGE: &str = "\
    UPDATE meter_channel SET reading_type = $3, unit = $4, multiplier = $5, decimals = $6, \
        modulus = $7, resolution = $8, cap_per_hour = $9, delivery_lag_s = $10 \
    WHERE meter_id = $1 AND channel = $2 AND (reading_type, unit, multiplier, decimals, modulus, \
        resolution, cap_per_hour, delivery_lag_s) IS DISTINCT FROM \
        ($3, $4, $5, $6, $7, $8, $9, $10)";

/// Devices that are provisioned now are no longer unknown.
const COMMISSIONED: &str = "DELETE FROM commissioning WHERE source_id = ANY($1)";

/// Where a usage point stands in the network.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) utility: i32,
    pub(super) zone: Option<i32>,
    pub(super) route: Option<i32>,
    pub(super) transformer: Option<i32>,
    pub(super) premises: Option<i32>,
}

/// True when the usage point is new or has changed.
pub(super) async fn usage_point(
    change: &Change,
    meter: &MeterProvision,
    place: Place,
) -> Result<bool, StoreError> {
    let query = StoreError::query("provisioning a usage point");
    let client = change.client();
    let mut tags: Vec<&str> = meter.tags.iter().map(|tag| tag.word()).collect();
    tags.sort_unstable();
    tags.dedup();
    let statement = client.prepare_cached(USAGE_POINT).await.map_err(&query)?;
    let changed = client
        .query_opt(
            &statement,
            &[
                &place.utility,
                &meter.number,
                &meter.address,
                &meter.account,
                &meter.commodity.word(),
                &meter.class.word(),
                &meter.time_zone,
                &place.zone,
                &place.route,
                &place.transformer,
                &meter.account_active,
                &tags,
                &Stamp(change.now),
                &place.premises,
                &meter.facts.dwelling_units,
            ],
        )
        .await
        .map_err(&query)?;
    Ok(changed.is_some())
}

/// The meter's id and whether it was made; `None` when it is as it was.
pub(super) async fn meter_row(
    change: &Change,
    meter: &MeterProvision,
    collector: Option<i32>,
) -> Result<Option<(MeterId, bool)>, StoreError> {
    let query = StoreError::query("provisioning a meter");
    let client = change.client();
    let statement = client.prepare_cached(METER).await.map_err(&query)?;
    let facts = &meter.facts;
    let battery = facts.battery;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 18] = [
        &meter.number,
        &Stamp(change.now),
        &meter.serial,
        &meter.commodity.word(),
        &meter.battery_powered,
        &meter.flow_rated_lph,
        &meter.contact_every_s,
        &collector,
        &facts.role.word(),
        &facts.manufacturer,
        &facts.model,
        &facts.firmware,
        &battery.map(|battery| battery.chemistry.word()),
        &battery.map(|battery| Stamp(battery.installed_at)),
        &battery.map_or(0, |battery| battery.design_life_d),
        &battery.map_or(0, |battery| battery.capacity_mah),
        &facts.contract_demand_mw,
        &i16::from(facts.phases),
    ];
    let row = client.query_opt(&statement, &params).await.map_err(&query)?;
    Ok(row.map(|row| (MeterId::new(row.get(0)), row.get(1))))
}

pub(super) async fn known_meter(change: &Change, number: &str) -> Result<MeterId, StoreError> {
    let row = change
        .client()
        .query_one("SELECT meter_id FROM meter WHERE number = $1", &[&number])
        .await
        .map_err(StoreError::query("provisioning a meter"))?;
    Ok(MeterId::new(row.get(0)))
}

pub(super) async fn install(
    change: &Change,
    id: MeterId,
    meter: &MeterProvision,
) -> Result<(), StoreError> {
    let query = StoreError::query("provisioning an installation");
    let client = change.client();
    let statement = client.prepare_cached(INSTALL).await.map_err(&query)?;
    client
        .execute(&statement, &[&id.get(), &meter.number, &Stamp(meter.installed_at)])
        .await
        .map_err(&query)?;
    Ok(())
}

/// Gives sources to the meter; those that are new to it.
pub(super) async fn sources(
    change: &Change,
    id: MeterId,
    meter: &MeterProvision,
) -> Result<Vec<SourceId>, StoreError> {
    let query = StoreError::query("provisioning what a device calls itself");
    let client = change.client();
    let add = client.prepare_cached(SOURCE).await.map_err(&query)?;
    let owner = client.prepare_cached(SOURCE_OWNER).await.map_err(&query)?;
    let mut new = Vec::new();
    for source in &meter.sources {
        let made = client
            .execute(&add, &[&source.as_str(), &id.get(), &Stamp(change.now)])
            .await
            .map_err(&query)?;
        if made == 1 {
            new.push(source.clone());
            continue;
        }
        let row = client.query_one(&owner, &[&source.as_str()]).await.map_err(&query)?;
        if row.get::<_, i32>(0) != id.get() {
            let detail = format!(
                "source `{source}` of meter `{}` belongs to meter `{}`",
                meter.number,
                row.get::<_, &str>(1)
            );
            return Err(StoreError::Refused { what: WHAT, detail });
        }
    }
    let ids: Vec<&str> = new.iter().map(SourceId::as_str).collect();
    client.execute(COMMISSIONED, &[&ids]).await.map_err(&query)?;
    Ok(new)
}

/// True when the channel is new or has changed.
pub(super) async fn one_channel(
    change: &Change,
    id: MeterId,
    meter: &MeterProvision,
    channel: &ChannelProvision,
) -> Result<bool, StoreError> {
    let query = StoreError::query("provisioning a channel");
    let client = change.client();
    let known =
        client.query_opt(CHANNEL_KNOWN, &[&id.get(), &channel.field]).await.map_err(&query)?;
    let reading_type = channel.reading_type.to_string();
    let (unit, decimals) = (channel.unit.symbol(), i16::from(channel.decimals));
    let Some(known) = known else {
        let statement = client.prepare_cached(CHANNEL_NEW).await.map_err(&query)?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
            &id.get(),
            &channel.field,
            &reading_type,
            &channel.kind.word(),
            &unit,
            &channel.multiplier,
            &decimals,
            &channel.modulus,
            &channel.len_s,
            &channel.resolution,
            &channel.cap_per_hour,
            &channel.delivery_lag_s,
            &Stamp(meter.installed_at),
        ];
        client.execute(&statement, &parameters).await.map_err(&query)?;
        return Ok(true);
    };
    let (number, len_s, kind): (i16, i32, &str) = (known.get(0), known.get(1), known.get(2));
    if len_s != channel.len_s || kind != channel.kind.word() {
        let detail = format!(
            "field `{}` of meter `{}` is {kind} of {len_s} s and cannot become {} of {} s: \
             a reprogrammed series needs another field name",
            channel.field, meter.number, channel.kind, channel.len_s
        );
        return Err(StoreError::Refused { what: WHAT, detail });
    }
    let statement = client.prepare_cached(CHANNEL_CHANGE).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 10] = [
        &id.get(),
        &number,
        &reading_type,
        &unit,
        &channel.multiplier,
        &decimals,
        &channel.modulus,
        &channel.resolution,
        &channel.cap_per_hour,
        &channel.delivery_lag_s,
    ];
    Ok(client.execute(&statement, &parameters).await.map_err(&query)? == 1)
}
