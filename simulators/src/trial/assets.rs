//! The trial's fleet as a utility would enter it.

use metering::{
    BatteryAsset, ChannelKind, ChannelNo, Chemistry, Commodity, CustomerClass, Flow, MeterDetail,
    Quantity, ReadingType, SourceId, TransformerId, Unit, ZoneId,
};

use super::build::{Builder, DAY_S};
use super::device::{Device, SLOT_S};
use super::wards::{dma_code, transformer_code};
use super::{HEARTBEAT_S, REPORT_S, TrialSpec};
use crate::assets::{ChannelSpec, CollectorSpec, FleetAssets, MeterSpec, Place, TransformerSpec};

/// District of everything that is in no district metered area. Its number is 1.
const DISTRICT: &str = "Z-1";
/// A slot is missing when it has not arrived this long after its end, in seconds.
const LAG_S: i32 = 14_400;

pub(crate) fn assets(spec: &TrialSpec, built: &Builder<'_>) -> FleetAssets {
    let mut zones = vec![Place { code: DISTRICT.into(), name: "District 1".into() }];
    zones.extend(
        (0..built.dmas)
            .map(|dma| Place { code: dma_code(dma), name: format!("Metered area {}", dma + 1) }),
    );
    FleetAssets {
        utility: Place { code: "TRIAL".into(), name: "Trial Utilities".into() },
        time_zone: spec.zone.clone(),
        zones,
        routes: vec![Place { code: "R-1".into(), name: "Route 1".into() }],
        transformers: (0..built.transformers)
            .map(|at| TransformerSpec { code: transformer_code(at), zone: DISTRICT.into() })
            .collect(),
        collectors: built
            .collectors
            .iter()
            .map(|collector| CollectorSpec {
                code: collector.code.clone(),
                name: format!("Collector {}", collector.code),
                zone: DISTRICT.into(),
                heartbeat_s: i32::try_from(HEARTBEAT_S).unwrap_or(0),
                installed_at: spec.start.plus_seconds(-900 * DAY_S),
            })
            .collect(),
        meters: built.devices.iter().map(|device| meter(spec, built, device)).collect(),
        strangers: Vec::new(),
    }
}

fn meter(spec: &TrialSpec, built: &Builder<'_>, device: &Device) -> MeterSpec {
    let power = device.commodity == Commodity::Electricity;
    let installed_at = spec.start.plus_seconds(-800 * DAY_S);
    MeterSpec {
        number: device.number.clone(),
        serial: format!("{:08}", 50_000_000 + device.index * 131),
        sources: vec![SourceId::new("ami", &device.number)],
        commodity: device.commodity,
        class: device.class,
        manufacturer: "Trial Meters".into(),
        model: format!("M-{}", device.cohort),
        usage_point: format!("UP-{}", device.number),
        address: format!("Trial Road {}", device.premises + 1),
        account_no: format!("A-{}", 500_001 + device.index),
        account_active: true,
        zone: device.dma.map_or(DISTRICT.to_owned(), dma_code),
        route: "R-1".into(),
        transformer: device.transformer.map(transformer_code),
        collector: built.collectors.get(device.collector).map(|one| one.code.clone()),
        tags: device.tags.clone(),
        battery_powered: !power,
        contact_every_s: i32::try_from(REPORT_S).unwrap_or(0),
        flow_rated_lph: device.flow_rated_lph,
        installed_at,
        detail: detail(device, installed_at),
        channels: channels(device),
    }
}

fn detail(device: &Device, installed_at: metering::UtcTime) -> MeterDetail {
    let number = |index: usize| i32::try_from(index + 1).unwrap_or(0);
    MeterDetail {
        role: device.role,
        network_zone: device.dma.map(|dma| ZoneId::new(number(dma + 1))),
        transformer: device.transformer.map(|at| TransformerId::new(number(at))),
        cohort: format!("Trial Meters M-{} 1.0", device.cohort),
        serial: format!("{:08}", 50_000_000 + device.index * 131),
        premises: number(device.premises),
        street: 0,
        battery: (device.commodity != Commodity::Electricity).then_some(BatteryAsset {
            chemistry: Chemistry::LithiumThionyl,
            installed_at,
            design_life_d: 5_475,
            capacity_mah: 0,
        }),
        dwelling_units: 0,
        contract_demand_mw: 0,
        phases: device.phases,
    }
}

fn channels(device: &Device) -> Vec<ChannelSpec> {
    let power = device.commodity == Commodity::Electricity;
    let typed = |quantity, flow, tariff| ReadingType { quantity, flow, tariff };
    let interval = |channel, field, reading_type, unit| ChannelSpec {
        channel: ChannelNo::new(channel),
        field,
        reading_type,
        kind: ChannelKind::Interval,
        unit,
        multiplier: "1",
        decimals: 0,
        modulus: device.modulus(),
        len_s: i32::try_from(SLOT_S).unwrap_or(0),
        resolution: 1_000,
        cap_per_hour: cap_per_hour(device),
        delivery_lag_s: LAG_S,
    };
    if !power {
        return vec![interval(1, "volume", ReadingType::VOLUME, Unit::Litre)];
    }
    let mut channels =
        vec![interval(1, "energy_import", ReadingType::ENERGY_IMPORT, Unit::WattHour)];
    if device.export {
        let channel = interval(2, "energy_export", ReadingType::ENERGY_EXPORT, Unit::WattHour);
        channels.push(channel);
    }
    channels.push(ChannelSpec {
        kind: ChannelKind::Instant,
        decimals: 1,
        len_s: 0,
        resolution: 100,
        cap_per_hour: 0,
        ..interval(3, "voltage", typed(Quantity::Voltage, Flow::None, 0), Unit::Volt)
    });
    if device.reactive {
        let reactive = typed(Quantity::EnergyReactive, Flow::Import, 0);
        channels.push(interval(4, "reactive_import", reactive, Unit::VarHour));
    }
    if device.rates {
        for (channel, field, tariff) in [(5, "energy_import_t1", 1), (6, "energy_import_t2", 2)] {
            let rate = typed(Quantity::EnergyActive, Flow::Import, tariff);
            channels.push(ChannelSpec {
                kind: ChannelKind::Register,
                len_s: 0,
                ..interval(channel, field, rate, Unit::WattHour)
            });
        }
    }
    channels
}

/// REG-CAP: 1.25 times the largest flow (Q4 = 1.25 Q3 for water), or the fuse of the connection.
fn cap_per_hour(device: &Device) -> i64 {
    let rated = i64::from(device.flow_rated_lph) * 1000;
    match device.commodity {
        Commodity::Water => rated * 25 / 16,
        Commodity::Gas => rated * 5 / 4,
        _ if device.sums.is_some() => 800_000_000,
        _ if device.class == CustomerClass::Residential => 54_000_000,
        _ => 430_000_000,
    }
}
