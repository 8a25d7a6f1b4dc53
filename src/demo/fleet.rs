//! What provisioning is told of a simulated fleet: the simulators know nothing of the store.

use anyhow::Context as _;
use simulators::{ChannelSpec, FleetAssets, MeterSpec};
use store::assets::{ChannelProvision, CollectorProvision, MeterFacts, MeterProvision};

/// The collectors of the fleet, as a utility would enter them.
pub fn collectors(assets: &FleetAssets) -> Vec<CollectorProvision> {
    assets
        .collectors
        .iter()
        .map(|collector| CollectorProvision {
            code: collector.code.clone(),
            name: collector.name.clone(),
            utility: assets.utility.code.clone(),
            zone: Some(collector.zone.clone()),
            heartbeat_s: collector.heartbeat_s,
            installed_at: collector.installed_at,
        })
        .collect()
}

/// The meters of the fleet, each with its usage point and channels.
///
/// # Errors
/// A multiplier of the fleet is no decimal number.
pub fn meters(assets: &FleetAssets) -> anyhow::Result<Vec<MeterProvision>> {
    assets.meters.iter().map(|meter| provision(assets, meter)).collect()
}

fn provision(assets: &FleetAssets, meter: &MeterSpec) -> anyhow::Result<MeterProvision> {
    let channels = meter.channels.iter().map(channel).collect::<anyhow::Result<Vec<_>>>();
    Ok(MeterProvision {
        number: meter.number.clone(),
        serial: meter.serial.clone(),
        sources: meter.sources.clone(),
        commodity: meter.commodity,
        class: meter.class,
        address: meter.address.clone(),
        account: meter.account_no.clone(),
        account_active: meter.account_active,
        utility: assets.utility.code.clone(),
        zone: Some(meter.zone.clone()),
        route: Some(meter.route.clone()),
        transformer: meter.transformer.clone(),
        collector: meter.collector.clone(),
        time_zone: assets.time_zone.clone(),
        tags: meter.tags.clone(),
        battery_powered: meter.battery_powered,
        contact_every_s: meter.contact_every_s,
        flow_rated_lph: meter.flow_rated_lph,
        installed_at: meter.installed_at,
        facts: MeterFacts {
            role: meter.detail.role,
            manufacturer: meter.manufacturer.clone(),
            model: meter.model.clone(),
            // The rest of the maker's text; the store joins it with maker and model again.
            firmware: meter.detail.cohort.clone(),
            premises: None,
            battery: meter.detail.battery,
            dwelling_units: meter.detail.dwelling_units,
            contract_demand_mw: meter.detail.contract_demand_mw,
            phases: meter.detail.phases,
        },
        channels: channels.with_context(|| format!("the channels of meter {}", meter.number))?,
    })
}

fn channel(spec: &ChannelSpec) -> anyhow::Result<ChannelProvision> {
    Ok(ChannelProvision {
        field: spec.field.to_owned(),
        reading_type: spec.reading_type,
        kind: spec.kind,
        unit: spec.unit,
        multiplier: spec
            .multiplier
            .parse()
            .with_context(|| format!("the multiplier {:?}", spec.multiplier))?,
        decimals: u8::try_from(spec.decimals).context("the decimals of a channel")?,
        modulus: spec.modulus,
        len_s: spec.len_s,
        resolution: spec.resolution,
        cap_per_hour: spec.cap_per_hour,
        delivery_lag_s: spec.delivery_lag_s,
    })
}
