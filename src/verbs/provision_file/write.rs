//! Writes a provisioning file, for simulated fleets.

use std::collections::BTreeMap;
use std::io;

use metering::Unit;
use store::assets::{ChannelProvision, CollectorProvision, MeterProvision, ZoneProvision};

use super::COLUMNS;
use super::facts::in_units;
use crate::config::value::format_duration;

/// Writes every column of every channel, so that reading the file gives the same meters. Of
/// `collectors` and `zones`, what is known is written with the first meter that names them.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    meters: &[MeterProvision],
    collectors: &[CollectorProvision],
    zones: &[ZoneProvision],
    out: impl io::Write,
) -> io::Result<()> {
    let mut heartbeats: BTreeMap<&str, i32> =
        collectors.iter().map(|one| (one.code.as_str(), one.heartbeat_s)).collect();
    let mut zones: BTreeMap<(&str, &str), &ZoneProvision> =
        zones.iter().map(|zone| ((zone.utility.as_str(), zone.code.as_str()), zone)).collect();
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS.iter().map(|column| column.name))?;
    for meter in meters {
        let heartbeat = meter.collector.as_deref().and_then(|code| heartbeats.remove(code));
        let zone = meter.zone.as_deref().and_then(|code| zones.remove(&(&meter.utility, code)));
        for (at, channel) in meter.channels.iter().enumerate() {
            let heartbeat = heartbeat.filter(|seconds| at == 0 && *seconds > 0);
            csv.write_record(COLUMNS.iter().map(|column| match column.name {
                "collector_heartbeat" => heartbeat.map_or(String::new(), duration),
                name if name.starts_with("zone_") => {
                    zone.filter(|_| at == 0).map_or(String::new(), |zone| zone_cell(name, zone))
                }
                name => cell(name, meter, channel),
            }))?;
        }
    }
    csv.flush()
}

fn cell(column: &str, meter: &MeterProvision, channel: &ChannelProvision) -> String {
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let words = |words: Vec<String>| words.join(" ");
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    match column {
        "meter" => meter.number.clone(),
        "serial" => meter.serial.clone(),
        "source" => words(meter.sources.iter().map(ToString::to_string).collect()),
        "commodity" => meter.commodity.to_string(),
        "class" => meter.class.to_string(),
        "address" => meter.address.clone(),
        "account" => meter.account.clone(),
        "account_active" => yes(meter.account_active),
        "utility" => meter.utility.clone(),
        "zone" => optional(&meter.zone),
        "route" => optional(&meter.route),
        "transformer" => optional(&meter.transformer),
        "collector" => optional(&meter.collector),
        "time_zone" => meter.time_zone.clone(),
        "tags" => words(meter.tags.iter().map(ToString::to_string).collect()),
        "battery" => yes(meter.battery_powered),
        "contact_every" => duration(meter.contact_every_s),
        "flow_rated" => meter.flow_rated_lph.to_string(),
        "installed_at" => meter.installed_at.to_string(),
        "field" => channel.field.clone(),
        "reading_type" => channel.reading_type.to_string(),
        "kind" => channel.kind.to_string(),
        "unit" => channel.unit.to_string(),
        "multiplier" => channel.multiplier.to_string(),
        "decimals" => channel.decimals.to_string(),
        "modulus" => channel.modulus.to_string(),
        "interval" if channel.len_s == 0 => String::new(),
        "interval" => duration(channel.len_s),
        "resolution" => in_unit(channel.resolution, channel.unit),
        "cap_per_hour" => in_unit(channel.cap_per_hour, channel.unit),
        "delivery_lag" => duration(channel.delivery_lag_s),
        name => fact(name, meter),
    }
}

fn fact(column: &str, meter: &MeterProvision) -> String {
    let facts = &meter.facts;
    let battery =
        |of: fn(metering::BatteryAsset) -> String| facts.battery.map_or(String::new(), of);
    match column {
        "role" => facts.role.to_string(),
        "manufacturer" => facts.manufacturer.clone(),
        "model" => facts.model.clone(),
        "firmware" => facts.firmware.clone(),
        "premises" => facts.premises.clone().unwrap_or_default(),
        "battery_chemistry" => battery(|battery| battery.chemistry.to_string()),
        "battery_installed_at" => battery(|battery| battery.installed_at.to_string()),
        "battery_life_days" => battery(|battery| battery.design_life_d.to_string()),
        "battery_capacity_mah" => battery(|battery| battery.capacity_mah.to_string()),
        "dwelling_units" => facts.dwelling_units.to_string(),
        "contract_demand_kw" => in_units(facts.contract_demand_mw, 1_000_000),
        "phases" => facts.phases.to_string(),
        _ => String::new(),
    }
}

fn zone_cell(column: &str, zone: &ZoneProvision) -> String {
    match column {
        "zone_kind" => zone.kind.to_string(),
        "zone_mains_m" => zone.mains_m.to_string(),
        "zone_connections" => zone.connections.to_string(),
        "zone_private_pipe_m" => zone.private_pipe_m.to_string(),
        "zone_head_m" => in_units(i64::from(zone.head_mm), 1_000),
        _ => String::new(),
    }
}

fn duration(seconds: i32) -> String {
    format_duration(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Milli-units as a decimal of the unit with 12 digits after the point: enough to come back as the
/// same milli-units for every unit.
fn in_unit(milli: i64, unit: Unit) -> String {
    const SCALE: i128 = 1_000_000_000_000;
    let factor = unit.milli_per_unit();
    let scaled = i128::from(milli) * factor.den() * SCALE / factor.num();
    let text = format!("{}.{:012}", scaled / SCALE, scaled % SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
