//! The trial's fleet as the head-end knows it: the registry without a database, and names.

use std::collections::HashMap;

use anyhow::Context as _;
use metering::{
    ChannelAsset, CollectorAsset, CollectorId, LogRecord, MeterAsset, MeterId, Subject,
    TransformerId, UsagePointId, UtcTime, ZoneAsset, ZoneId, ZoneKind,
};
use simulators::{FleetAssets, MeterSpec, TrialSubject};
use store::assets::{Registry, RegistryChannel, RegistryCollector, RegistryMeter};

/// Numbers and names of everything in a trial.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) registry: Registry,
    pub(super) zones: Vec<ZoneAsset>,
    meters: HashMap<String, MeterId>,
    collectors: HashMap<String, CollectorId>,
    transformers: HashMap<String, TransformerId>,
    zone_ids: HashMap<String, ZoneId>,
}

impl Directory {
    /// Numbers everything from 1 in the order of the lists.
    ///
    /// # Errors
    /// A multiplier of the fleet is no decimal number.
    pub(super) fn new(assets: &FleetAssets) -> anyhow::Result<Self> {
        let collectors: HashMap<String, CollectorId> = (1..)
            .zip(&assets.collectors)
            .map(|(number, spec)| (spec.code.clone(), CollectorId::new(number)))
            .collect();
        let meters = (1..)
            .zip(&assets.meters)
            .map(|(number, spec)| meter(number, spec, assets, &collectors))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let zones: Vec<ZoneAsset> = (1..)
            .zip(&assets.zones)
            .map(|(number, zone)| ZoneAsset {
                zone: ZoneId::new(number),
                kind: if zone.code.starts_with("DMA") { ZoneKind::Dma } else { ZoneKind::District },
                mains_m: 2_000,
                connections: 15,
                private_pipe_m: 150,
                head_mm: 45_000,
            })
            .collect();
        Ok(Self {
            zones: zones.clone(),
            meters: meters.iter().map(|one| (one.number.clone(), one.meter)).collect(),
            transformers: (1..)
                .zip(&assets.transformers)
                .map(|(number, spec)| (spec.code.clone(), TransformerId::new(number)))
                .collect(),
            zone_ids: (1..)
                .zip(&assets.zones)
                .map(|(number, zone)| (zone.code.clone(), ZoneId::new(number)))
                .collect(),
            registry: Registry {
                version: 1,
                meters,
                collectors: (1..)
                    .zip(&assets.collectors)
                    .map(|(number, spec)| RegistryCollector {
                        collector: CollectorId::new(number),
                        code: spec.code.clone(),
                        heartbeat_s: spec.heartbeat_s,
                    })
                    .collect(),
                zones,
                states: Vec::new(),
            },
            collectors,
        })
    }

    pub(super) fn meter(&self, number: &str) -> Option<MeterId> {
        self.meters.get(number).copied()
    }

    /// The subjects on which an alert answers.
    pub(super) fn subjects(&self, named: &TrialSubject) -> Vec<Subject> {
        let meter = |number: &String| self.meter(number).map(Subject::Meter);
        match named {
            TrialSubject::Meter(number) => meter(number).into_iter().collect(),
            TrialSubject::Collector(code) => {
                self.collectors.get(code).copied().map(Subject::Collector).into_iter().collect()
            }
            TrialSubject::Transformer(code) => {
                self.transformers.get(code).copied().map(Subject::Transformer).into_iter().collect()
            }
            TrialSubject::Zone(code) => {
                self.zone_ids.get(code).copied().map(Subject::Zone).into_iter().collect()
            }
            TrialSubject::Headend => vec![Subject::Headend],
            TrialSubject::Meters(numbers) => numbers.iter().filter_map(meter).collect(),
        }
    }

    /// The same fleet as a database numbers it.
    pub(super) fn renumbered(mut self, registry: Registry) -> Self {
        self.meters = registry.meters.iter().map(|m| (m.number.clone(), m.meter)).collect();
        self.collectors =
            registry.collectors.iter().map(|c| (c.code.clone(), c.collector)).collect();
        self.registry = registry;
        self
    }

    /// The name of a subject, for people.
    pub(super) fn name(&self, subject: Subject) -> String {
        let number = subject.number();
        let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
        let name = match subject {
            Subject::Meter(_) => self.registry.meters.get(at).map(|one| one.number.clone()),
            Subject::Collector(_) => self.registry.collectors.get(at).map(|one| one.code.clone()),
            _ => None,
        };
        name.unwrap_or_else(|| format!("{} {number}", subject.kind()))
    }

    /// The first records of the log: what provisioning says.
    pub(super) fn records(&self) -> Vec<LogRecord> {
        let zones = self.zones.iter().copied().map(LogRecord::Zone);
        let collectors = self.registry.collectors.iter().map(|one| {
            LogRecord::Collector(CollectorAsset {
                collector: one.collector,
                heartbeat_s: one.heartbeat_s,
            })
        });
        let meters =
            self.registry.meters.iter().map(|one| LogRecord::Meter(Box::new(one.asset.clone())));
        zones.chain(collectors).chain(meters).collect()
    }
}

fn meter(
    number: i32,
    spec: &MeterSpec,
    assets: &FleetAssets,
    collectors: &HashMap<String, CollectorId>,
) -> anyhow::Result<RegistryMeter> {
    let channels: Vec<RegistryChannel> = spec
        .channels
        .iter()
        .map(|channel| {
            Ok(RegistryChannel {
                channel: channel.channel,
                field: channel.field.to_owned(),
                reading_type: channel.reading_type,
                kind: channel.kind,
                unit: channel.unit,
                multiplier: channel
                    .multiplier
                    .parse()
                    .with_context(|| format!("the multiplier of meter {}", spec.number))?,
                decimals: u8::try_from(channel.decimals).context("the decimals of a channel")?,
                modulus: channel.modulus,
                len_s: channel.len_s,
                resolution: channel.resolution,
                cap_per_hour: channel.cap_per_hour,
                delivery_lag_s: channel.delivery_lag_s,
                valid_from: UtcTime::MIN,
                valid_to: UtcTime::MAX,
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let asset = MeterAsset {
        meter: MeterId::new(number),
        usage_point: UsagePointId::new(number),
        commodity: spec.commodity,
        class: spec.class,
        zone: assets.time_zone.clone(),
        tags: spec.tags.clone(),
        battery_powered: spec.battery_powered,
        account_active: spec.account_active,
        primary_collector: spec.collector.as_ref().and_then(|code| collectors.get(code).copied()),
        installed_at: spec.installed_at,
        contact_every_s: spec.contact_every_s,
        flow_rated_lph: spec.flow_rated_lph,
        detail: spec.detail.clone(),
        channels: channels.iter().map(channel_asset).collect(),
    };
    Ok(RegistryMeter {
        meter: asset.meter,
        number: spec.number.clone(),
        sources: spec.sources.clone(),
        asset,
        channels,
    })
}

fn channel_asset(channel: &RegistryChannel) -> ChannelAsset {
    ChannelAsset {
        channel: channel.channel,
        reading_type: channel.reading_type,
        kind: channel.kind,
        len_s: channel.len_s,
        resolution: channel.resolution,
        cap_per_hour: channel.cap_per_hour,
        delivery_lag_s: channel.delivery_lag_s,
    }
}
