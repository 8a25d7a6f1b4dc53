//! The fleet as a utility would enter it, made from the simulated devices.

use metering::time::DAY_S;
use metering::{
    ChannelKind, ChannelNo, Commodity, Quantity, ReadingType, SourceId, Tag, Unit, UtcTime,
};

use crate::assets::{ChannelSpec, CollectorSpec, FleetAssets, MeterSpec, Place, TransformerSpec};
use crate::bundle::{fields, flow_of};
use crate::layout::Layout;
use crate::link::HEARTBEAT_S;
use crate::meter::{Path, Protocol, SimMeter};
use crate::rng::{Purpose, Stream};
use crate::spec::FleetSpec;

/// Electricity meters on one transformer.
const METERS_PER_TRANSFORMER: usize = 15;
const STREETS: [&str; 12] = [
    "Harbour Road",
    "Mill Lane",
    "Station Street",
    "Orchard Way",
    "Church Hill",
    "Quarry Road",
    "Weir Street",
    "Market Square",
    "Linden Avenue",
    "Old Bridge Road",
    "Meadow View",
    "Kiln Yard",
];

impl Layout {
    pub(crate) fn assets(&self, spec: &FleetSpec) -> FleetAssets {
        let zones = usize::try_from(spec.meters / 60).unwrap_or(1).clamp(1, 12);
        let transformers = self.meters.len() / METERS_PER_TRANSFORMER + 1;
        FleetAssets {
            utility: Place { code: "SIM".into(), name: "Simulated Utilities".into() },
            time_zone: spec.zone.clone(),
            zones: (0..zones)
                .map(|zone| Place { code: zone_code(zone), name: format!("District {}", zone + 1) })
                .collect(),
            routes: (0..=self.collectors.len())
                .map(|route| Place {
                    code: route_code(route),
                    name: if route == 0 {
                        "Own connection".to_owned()
                    } else {
                        format!("Around C-{route:02}")
                    },
                })
                .collect(),
            transformers: (0..transformers)
                .map(|index| TransformerSpec {
                    code: transformer_code(index),
                    zone: zone_code(index % zones),
                })
                .collect(),
            collectors: self
                .collectors
                .iter()
                .enumerate()
                .map(|(index, collector)| CollectorSpec {
                    code: collector.code.clone(),
                    name: format!("Collector {}", STREETS[index % STREETS.len()]),
                    zone: zone_code(index % zones),
                    heartbeat_s: i32::try_from(HEARTBEAT_S).unwrap_or(0),
                    installed_at: spec.history_start.plus_seconds(-900 * DAY_S),
                })
                .collect(),
            meters: self.meters.iter().map(|meter| self.meter(spec, meter, zones)).collect(),
            strangers: self.strangers.clone(),
        }
    }

    fn meter(&self, spec: &FleetSpec, meter: &SimMeter, zones: usize) -> MeterSpec {
        let mut stream = Stream::new(spec.seed, Purpose::Layout, meter.index, 2);
        let collector = meter.collector();
        let house = stream.between(1, 140);
        let days = stream.between(300, 2_400);
        let transformer = meter.index / METERS_PER_TRANSFORMER;
        let power = meter.commodity == Commodity::Electricity;
        MeterSpec {
            number: meter.number.clone(),
            serial: format!("{:08}", 30_000_000 + meter.index * 131),
            sources: vec![source_of(meter)],
            commodity: meter.commodity,
            class: meter.class,
            manufacturer: "Simulated Meters".into(),
            model: model_name(meter).into(),
            usage_point: format!("UP-{}", meter.number),
            address: format!("{} {house}", STREETS[stream.index(STREETS.len())]),
            account_no: format!("A-{}", 100_001 + meter.index),
            account_active: true,
            zone: zone_code(if power { transformer } else { collector.unwrap_or(0) } % zones),
            route: route_code(collector.map_or(0, |index| index + 1)),
            transformer: power.then(|| transformer_code(transformer)),
            collector: collector.map(|index| self.collectors[index].code.clone()),
            tags: tags_of(meter),
            battery_powered: !power,
            contact_every_s: match &meter.path {
                Path::Batch { quarter: None, .. } => 900,
                _ => 3_600,
            },
            flow_rated_lph: meter.flow_rated_lph,
            installed_at: installed(spec.history_start, days),
            detail: metering::MeterDetail::default(),
            channels: channels_of(meter),
        }
    }
}

fn installed(history_start: UtcTime, days: i64) -> UtcTime {
    history_start.plus_seconds(-days * DAY_S).floor_to(3600)
}

fn zone_code(zone: usize) -> String {
    format!("Z-{}", zone + 1)
}

fn route_code(route: usize) -> String {
    format!("R-{route:02}")
}

fn transformer_code(index: usize) -> String {
    format!("T-{:03}", index + 1)
}

fn tags_of(meter: &SimMeter) -> Vec<Tag> {
    let mut tags = meter.tags.clone();
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn source_of(meter: &SimMeter) -> SourceId {
    match &meter.path {
        Path::Radio { protocol: Protocol::R900, id, .. } => SourceId::new("r900", id),
        Path::Radio { id, .. } => SourceId::new("ert", id),
        _ => SourceId::new("ami", &meter.number),
    }
}

fn model_name(meter: &SimMeter) -> &'static str {
    match (&meter.path, meter.commodity) {
        (Path::Direct { .. }, _) => "TOU-4G",
        (_, Commodity::Electricity) => "TOU-Mesh",
        (Path::Batch { .. }, _) => "Ultrasonic-Mesh",
        (Path::Radio { protocol: Protocol::Scm, .. }, _) => "ERT-SCM",
        (Path::Radio { protocol: Protocol::ScmPlus, .. }, _) => "ERT-SCM+",
        (Path::Radio { protocol: Protocol::R900, .. }, _) => "R900",
    }
}

fn channels_of(meter: &SimMeter) -> Vec<ChannelSpec> {
    let cap_per_hour = cap_per_hour(meter);
    if let Path::Radio { protocol, .. } = &meter.path {
        let (unit, multiplier) = match (protocol, meter.commodity) {
            (_, Commodity::Gas) => (Unit::CubicMetre, "0.01"),
            (Protocol::Scm, _) => (Unit::GallonUs, "1"),
            (Protocol::ScmPlus, _) => (Unit::Litre, "1"),
            (Protocol::R900, _) => (Unit::GallonUs, "0.1"),
        };
        return vec![ChannelSpec {
            channel: ChannelNo::new(1),
            field: "consumption",
            reading_type: ReadingType::VOLUME,
            kind: ChannelKind::Register,
            unit,
            multiplier,
            decimals: 0,
            modulus: meter.dial.modulus,
            len_s: 3_600,
            resolution: meter.dial.step_micro / 1000,
            cap_per_hour,
            delivery_lag_s: 14_400,
        }];
    }
    let power = meter.commodity == Commodity::Electricity;
    let mut channels = Vec::new();
    for (channel, field) in (1_i16..).zip(fields(meter)) {
        let quantity = if power { Quantity::EnergyActive } else { Quantity::Volume };
        channels.push(ChannelSpec {
            channel: ChannelNo::new(channel),
            field,
            reading_type: ReadingType { quantity, flow: flow_of(field), tariff: 0 },
            kind: ChannelKind::Interval,
            unit: if power { Unit::WattHour } else { Unit::Litre },
            multiplier: "1",
            decimals: 0,
            modulus: meter.dial.modulus,
            len_s: 900,
            resolution: 1_000,
            cap_per_hour,
            delivery_lag_s: 14_400,
        });
    }
    if power {
        channels.push(ChannelSpec {
            channel: ChannelNo::new(3),
            field: "voltage",
            reading_type: ReadingType {
                quantity: Quantity::Voltage,
                flow: metering::Flow::None,
                tariff: 0,
            },
            kind: ChannelKind::Instant,
            unit: Unit::Volt,
            multiplier: "1",
            decimals: 1,
            modulus: 0,
            len_s: 0,
            resolution: 100,
            cap_per_hour: 0,
            delivery_lag_s: 14_400,
        });
    }
    channels
}

/// REG-CAP: 1.25 times the largest flow (Q4 = 1.25 Q3 for water), or the fuse of the connection.
fn cap_per_hour(meter: &SimMeter) -> i64 {
    let rated = i64::from(meter.flow_rated_lph) * 1000;
    match meter.commodity {
        Commodity::Water => rated * 25 / 16,
        Commodity::Gas => rated * 5 / 4,
        _ => match meter.class {
            metering::CustomerClass::Residential => 54_000_000,
            metering::CustomerClass::SmallCommercial => 110_000_000,
            _ => 430_000_000,
        },
    }
}
