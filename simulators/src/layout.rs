//! Who is there: meters of each kind, collectors, and how they hear each other.

use metering::{Commodity, CustomerClass, SourceId, Tag};

use crate::link::{HEARTBEAT_S, SimCollector};
use crate::meter::{Dial, Path, Protocol, SimMeter};
use crate::rng::{Purpose, Stream};
use crate::spec::FleetSpec;
use crate::usage::{HomeGas, HomeWater, Model, Power, PowerKind, ShopWater};

/// The devices before anything goes wrong.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) meters: Vec<SimMeter>,
    pub(crate) collectors: Vec<SimCollector>,
    pub(crate) strangers: Vec<SourceId>,
}

/// What a meter is bought as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    DirectPower,
    MeshPower,
    MeshWater,
    RadioWater,
    RadioGas,
}

impl Layout {
    pub(crate) fn new(spec: &FleetSpec) -> Self {
        let mut stream = Stream::new(spec.seed, Purpose::Layout, 0, 0);
        let mut layout = Self { meters: Vec::new(), collectors: Vec::new(), strangers: Vec::new() };
        for index in 0..spec.collectors {
            layout.collectors.push(SimCollector {
                code: format!("C-{:02}", index + 1),
                heartbeat_phase_s: stream.between(5, HEARTBEAT_S - 5),
                batch_phase_s: stream.between(35, 170),
                clock_offset_us: stream.between(-600_000, 90_000),
                outages: Vec::new(),
            });
        }
        for (kind, count) in mix(spec.meters) {
            for nth in 0..count {
                layout.add(spec, kind, nth);
            }
        }
        for stranger in 0..spec.meters / 100 {
            layout.strangers.push(SourceId::new("ert", 61_000_000 + stranger * 977));
        }
        layout
    }

    fn add(&mut self, spec: &FleetSpec, kind: Kind, nth: u32) {
        let index = self.meters.len();
        let mut stream = Stream::new(spec.seed, Purpose::Layout, index, 1);
        let collector = index % self.collectors.len();
        let (commodity, prefix, base) = match kind {
            Kind::DirectPower => (Commodity::Electricity, 'E', 1_001),
            Kind::MeshPower => (Commodity::Electricity, 'E', 1_001 + mix(spec.meters)[0].1),
            Kind::MeshWater => (Commodity::Water, 'W', 2_001),
            Kind::RadioWater => (Commodity::Water, 'W', 2_001 + mix(spec.meters)[2].1),
            Kind::RadioGas => (Commodity::Gas, 'G', 3_001),
        };
        let (path, dial) = match kind {
            Kind::DirectPower => (Path::Direct { phase_s: stream.between(15, 1_200) }, Dial::UNIT),
            Kind::MeshPower => {
                (Path::Batch { collector, quarter: Some(i64::from(nth % 4)) }, Dial::UNIT)
            }
            Kind::MeshWater => (Path::Batch { collector, quarter: None }, Dial::UNIT),
            Kind::RadioWater | Kind::RadioGas => self.radio(&mut stream, kind, index),
        };
        let mut meter = SimMeter {
            index,
            number: format!("{prefix}-{}", base + nth),
            commodity,
            class: CustomerClass::Residential,
            tags: Vec::new(),
            flow_rated_lph: match commodity {
                Commodity::Water => 2_500,
                Commodity::Gas => 6_000,
                _ => 0,
            },
            path,
            model: Model::Nothing,
            dial,
            start: [stream.between(20_000, 900_000), stream.between(0, 90_000)],
            changes: Vec::new(),
            silent_from: None,
            fades: Vec::new(),
            battery_low_from: None,
            battery_events: false,
            garbles: Vec::new(),
            good_link: false,
            clock_offset_s: stream.between(-24, 4),
            rssi_dbm: stream.between(-104, -71),
        };
        settle(&mut stream, &mut meter, kind);
        self.meters.push(meter);
    }

    fn radio(&self, stream: &mut Stream, kind: Kind, index: usize) -> (Path, Dial) {
        let all = self.collectors.len();
        let primary = index % all;
        let mut heard_by = vec![primary];
        if all > 1 && stream.chance(0.3) {
            heard_by.push((primary + 1) % all);
            if all > 2 && stream.chance(0.3) {
                heard_by.push((primary + 2) % all);
            }
        }
        let protocol = match (kind, stream.below(10)) {
            (Kind::RadioGas, _) | (_, 0..2) => Protocol::Scm,
            (_, 2..6) => Protocol::ScmPlus,
            _ => Protocol::R900,
        };
        let serial = u32::try_from(index).unwrap_or(0) * 1_117 + stream.below(1_117);
        let (id, dial) = match protocol {
            // 1 gal, or 0.01 m3 for gas.
            Protocol::Scm => (
                20_000_000 + serial,
                Dial {
                    step_micro: if kind == Kind::RadioGas { 10_000_000 } else { 3_785_412 },
                    modulus: 1 << 24,
                },
            ),
            Protocol::ScmPlus => {
                (68_000_000 + serial, Dial { step_micro: 1_000_000, modulus: 1 << 32 })
            }
            // 0.1 gal.
            Protocol::R900 => {
                (1_540_000_000 + serial, Dial { step_micro: 378_541, modulus: 1 << 24 })
            }
        };
        let phase_s = stream.between(20, 2_600);
        (Path::Radio { protocol, id, heard_by, phase_s }, dial)
    }
}

impl Dial {
    /// One Wh, or one litre; never rolls over within the life of a meter.
    const UNIT: Self = Self { step_micro: 1_000_000, modulus: 0 };
}

/// Meters of each kind; the counts add up to `meters`.
fn mix(meters: u32) -> [(Kind, u32); 5] {
    let share = |permille: u32| (meters * permille + 500) / 1000;
    let (mesh_water, radio_water, radio_gas) = (share(325), share(125), share(100));
    let power = meters - mesh_water - radio_water - radio_gas;
    let direct = power * 45 / 100;
    [
        (Kind::DirectPower, direct),
        (Kind::MeshPower, power - direct),
        (Kind::MeshWater, mesh_water),
        (Kind::RadioWater, radio_water),
        (Kind::RadioGas, radio_gas),
    ]
}

/// Gives the meter its customer.
fn settle(stream: &mut Stream, meter: &mut SimMeter, kind: Kind) {
    let lot = stream.below(100);
    match kind {
        Kind::DirectPower | Kind::MeshPower => {
            let kind = match lot {
                0..82 => PowerKind::Home,
                82..97 => PowerKind::Shop,
                _ => PowerKind::Plant,
            };
            let mut power = Power::draw(stream, kind);
            meter.class = match kind {
                PowerKind::Home => CustomerClass::Residential,
                PowerKind::Shop => CustomerClass::SmallCommercial,
                PowerKind::Plant => CustomerClass::LargeCommercial,
            };
            match lot {
                0..9 => {
                    power.solar_w = stream.real(3_000.0, 9_000.0);
                    meter.tags.extend([Tag::Pv, Tag::NetMeter]);
                }
                9..16 => {
                    power.car_w = stream.real(3_600.0, 11_000.0);
                    meter.tags.push(Tag::Ev);
                }
                16..26 => power.cooling_w = stream.real(800.0, 2_500.0),
                _ => {}
            }
            meter.model = Model::Power(power);
        }
        Kind::MeshWater | Kind::RadioWater if lot >= 90 => {
            meter.class = CustomerClass::SmallCommercial;
            meter.flow_rated_lph = 4_000;
            meter.model = Model::ShopWater(ShopWater::draw(stream, true));
        }
        Kind::MeshWater | Kind::RadioWater => {
            meter.model = Model::HomeWater(HomeWater::draw(stream));
        }
        Kind::RadioGas => meter.model = Model::HomeGas(HomeGas::draw(stream)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_device_has_its_own_name() {
        for meters in [10, 50, 200, 1000, 3000] {
            let layout = Layout::new(&crate::fleet::tests::spec(5, meters));
            let wanted = usize::try_from(meters).unwrap();
            let numbers: BTreeSet<&str> =
                layout.meters.iter().map(|meter| meter.number.as_str()).collect();
            assert_eq!(numbers.len(), wanted);
            let ids: Vec<u32> = layout
                .meters
                .iter()
                .filter_map(|meter| match &meter.path {
                    Path::Radio { id, .. } => Some(*id),
                    _ => None,
                })
                .collect();
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
            assert!(layout.meters.iter().enumerate().all(|(index, meter)| meter.index == index));
        }
    }
}
