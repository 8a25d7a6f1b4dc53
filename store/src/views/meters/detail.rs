//! Everything about one meter that does not change with every reading.

use metering::{ChannelNo, CollectorId, MeterId, UtcTime};

use super::list::{battery, status};
use super::{ChannelInfo, CollectorRef, InstallationRow, MeterDetail, UsagePointInfo};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask::{self, Columns};
use crate::views::sql::{installed_now, reporting};

/// Who is the meter with number `$2`, and where does it stand at `$1`?
const HEAD: &str = concat!(
    "SELECT m.meter_id, m.public_id::text, m.number, m.serial, m.commodity, m.manufacturer, \
     m.model, m.firmware, m.battery_powered, coalesce(s.battery_low, false), s.battery_mv, \
     s.rssi_dbm, m.flow_rated_lph, m.contact_every_s, s.last_heard_at, ",
    reporting!(),
    ", s.last_event_end, m.created_at, \
     ARRAY(SELECT source_id FROM meter_source w WHERE w.meter_id = m.meter_id ORDER BY 1), \
     k.collector_id, k.code, k.name, v.collector_id, v.code, v.name, \
     u.code, u.address, u.account_no, u.account_active, u.class, u.time_zone, \
     coalesce(z.code, ''), coalesce(z.name, ''), coalesce(t.code, ''), coalesce(f.code, ''), \
     u.tags, i.valid_from \
     FROM meter m LEFT JOIN installation i ON ",
    installed_now!(),
    " LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     LEFT JOIN network_zone z ON z.zone_id = u.zone_id \
     LEFT JOIN route t ON t.route_id = u.route_id \
     LEFT JOIN transformer f ON f.transformer_id = u.transformer_id \
     LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
     LEFT JOIN collector k ON k.collector_id = m.primary_collector_id \
     LEFT JOIN collector v ON v.collector_id = s.via_collector_id WHERE m.number = $2"
);

/// What does the meter measure?
const CHANNELS: &str = "SELECT c.channel, c.field, c.reading_type, c.kind, c.unit, \
     trim_scale(c.multiplier)::text, c.decimals, c.modulus, c.len_s, c.resolution, \
     c.cap_per_hour, c.delivery_lag_s, c.valid_from, c.valid_to, \
     coalesce(e.begins_at, greatest(c.valid_from, m.created_at)) FROM meter_channel c \
     JOIN meter m ON m.meter_id = c.meter_id \
     LEFT JOIN expected_through e ON e.meter_id = c.meter_id AND e.channel = c.channel \
     WHERE c.meter_id = $1 ORDER BY c.channel";

/// Where did the meter stand?
const INSTALLATIONS: &str = "SELECT u.code, u.address, u.account_no, i.valid_from, i.valid_to \
     FROM installation i JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     WHERE i.meter_id = $1 ORDER BY i.valid_from DESC LIMIT 1000";

/// The meter with that number, or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn by_number(
    db: &Database,
    number: &str,
    now: UtcTime,
) -> Result<Option<MeterDetail>, StoreError> {
    if number.contains('\0') {
        return Ok(None);
    }
    let head = ask::first(db, "reading a meter", HEAD, &[&Stamp(now), &number], read_head).await?;
    let Some(mut meter) = head else { return Ok(None) };
    meter.channels = channels(db, meter.meter).await?;
    Ok(Some(meter))
}

/// The channels of a meter by number.
pub(in crate::views) async fn channels(
    db: &Database,
    meter: MeterId,
) -> Result<Vec<ChannelInfo>, StoreError> {
    ask::all(db, "reading the channels of a meter", CHANNELS, &[&meter.get()], |c| {
        Ok(ChannelInfo {
            channel: ChannelNo::new(c.get()?),
            field: c.get()?,
            reading_type: c.word()?,
            kind: c.word()?,
            unit: c.get()?,
            multiplier: c.get()?,
            decimals: c.get()?,
            modulus: c.get()?,
            len_s: c.get()?,
            resolution: c.get()?,
            cap_per_hour: c.get()?,
            delivery_lag_s: c.get()?,
            valid_from: c.time()?,
            valid_to: c.time()?,
            expected_from: c.time()?,
        })
    })
    .await
}

/// The usage points at which the meter stood, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn installations(
    db: &Database,
    meter: MeterId,
) -> Result<Vec<InstallationRow>, StoreError> {
    ask::all(db, "reading where a meter stood", INSTALLATIONS, &[&meter.get()], |c| {
        Ok(InstallationRow {
            usage_point: c.get()?,
            address: c.get()?,
            account: c.get()?,
            valid_from: c.time()?,
            valid_to: c.time()?,
        })
    })
    .await
}

fn read_head(c: &mut Columns<'_>) -> Result<MeterDetail, StoreError> {
    let meter = MeterId::new(c.get()?);
    let (public_id, number, serial, commodity) = (c.get()?, c.get()?, c.get()?, c.word()?);
    let (manufacturer, model, firmware) = (c.get()?, c.get()?, c.get()?);
    let battery_powered = c.get()?;
    let battery = battery(battery_powered, c.get()?);
    let (battery_mv, rssi_dbm) = (c.get()?, c.get()?);
    let (flow_rated_lph, contact_every_s) = (c.get()?, c.get()?);
    let (last_heard, reporting) = (c.maybe_time()?, c.get()?);
    Ok(MeterDetail {
        meter,
        public_id,
        number,
        serial,
        commodity,
        manufacturer,
        model,
        firmware,
        battery_powered,
        battery,
        battery_mv,
        rssi_dbm,
        flow_rated_lph,
        contact_every_s,
        status: status(last_heard, reporting),
        last_heard,
        last_interval_end: c.maybe_time()?,
        created_at: c.time()?,
        sources: c.get()?,
        collector: collector(c)?,
        via_collector: collector(c)?,
        usage_point: usage_point(c)?,
        channels: Vec::new(),
    })
}

fn collector(c: &mut Columns<'_>) -> Result<Option<CollectorRef>, StoreError> {
    let (id, code, name): (Option<i32>, Option<String>, Option<String>) =
        (c.get()?, c.get()?, c.get()?);
    Ok(id.map(|id| CollectorRef {
        collector: CollectorId::new(id),
        code: code.unwrap_or_default(),
        name: name.unwrap_or_default(),
    }))
}

fn usage_point(c: &mut Columns<'_>) -> Result<Option<UsagePointInfo>, StoreError> {
    let Some(code) = c.get::<Option<String>>()? else { return Ok(None) };
    Ok(Some(UsagePointInfo {
        code,
        address: c.get()?,
        account: c.get()?,
        account_active: c.get()?,
        class: c.maybe_word()?,
        time_zone: c.get()?,
        zone_code: c.get()?,
        zone_name: c.get()?,
        route_code: c.get()?,
        transformer: c.get()?,
        tags: c.get()?,
        installed_at: c.time()?,
    }))
}
