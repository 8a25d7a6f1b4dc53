//! Who is there: meters of each kind with their customers, and collectors that hear them.

use metering::{Commodity, CustomerClass, MeterRole, Tag, UtcTime};

use super::device::{Device, Measured};
use super::scenario::{LONG, Place, Scenario};
use super::truth::{TimedAct, TrialFault, TrialNegative, TrialSubject};
use super::twist::{Part, Twist};
use super::{Blackout, TrialCollector, TrialKind, TrialSpec, Urgent};
use crate::calendar::Days;
use crate::rng::{Purpose, Stream};
use crate::usage::{HomeGas, HomeWater, Model, Power, PowerKind, Span};

pub(crate) const DAY_S: i64 = 86_400;
pub(crate) const HOUR_S: i64 = 3_600;
/// Members of an ordinary collector.
const COLLECTOR_MEMBERS: usize = 40;

/// Everything of a trial that was planned.
pub(crate) struct Builder<'a> {
    pub(crate) spec: &'a TrialSpec,
    pub(crate) days: &'a Days,
    pub(crate) stream: Stream,
    pub(crate) devices: Vec<Device>,
    pub(crate) collectors: Vec<TrialCollector>,
    pub(crate) transformers: usize,
    pub(crate) dmas: usize,
    pub(crate) cohorts: usize,
    pub(crate) faults: Vec<TrialFault>,
    pub(crate) negatives: Vec<TrialNegative>,
    pub(crate) acts: Vec<TimedAct>,
    pub(crate) urgent: Vec<Urgent>,
    pub(crate) blackouts: Vec<Blackout>,
}

/// A collector that is not known yet: the meter is given one at the end.
const NOWHERE: usize = usize::MAX;

impl<'a> Builder<'a> {
    pub(crate) fn build(spec: &'a TrialSpec, days: &'a Days) -> Self {
        let mut this = Self {
            spec,
            days,
            stream: Stream::new(spec.seed, Purpose::Plan, 0, 9),
            devices: Vec::new(),
            collectors: Vec::new(),
            transformers: 0,
            dmas: 0,
            cohorts: 20,
            faults: Vec::new(),
            negatives: Vec::new(),
            acts: Vec::new(),
            urgent: Vec::new(),
            blackouts: Vec::new(),
        };
        match spec.kind {
            TrialKind::Injected { per_cause } => this.injected(per_cause),
            TrialKind::Natural { meters } => this.natural(meters),
            TrialKind::Headend { episodes } => this.headend(episodes),
            TrialKind::Weather { spells } => this.weather(spells),
            TrialKind::Long { per_cause } => this.long(per_cause),
        }
        this.connect();
        this
    }

    fn injected(&mut self, per_cause: u32) {
        let wanted: Vec<&'static Scenario> =
            Scenario::ALL.iter().filter(|scenario| self.is_wanted(scenario)).collect();
        let wanted: Vec<&'static Scenario> =
            wanted.into_iter().filter(|one| !one.is_everybodys() && !one.is_long_only()).collect();
        for scenario in &wanted {
            let of_cause = wanted.iter().filter(|other| other.cause() == scenario.cause()).count();
            let count = per_cause.div_ceil(u32::try_from(of_cause).unwrap_or(1));
            if scenario.place == Place::Ward {
                self.wards(scenario, count);
                continue;
            }
            for _ in 0..count {
                if let Some(onset) = self.onset(scenario) {
                    let device = self.device(scenario.place);
                    self.plant(scenario, device, onset);
                }
            }
        }
        // Ordinary neighbours, a third as many as those with a fault.
        let ordinary = (self.devices.len() / 3).max(60);
        self.ordinary(ordinary);
        let only = !self.spec.only.is_empty();
        self.plan_negatives(if only { per_cause.min(4) } else { per_cause });
    }

    pub(crate) fn ordinary(&mut self, count: usize) {
        for nth in 0..count {
            let place = match nth % 10 {
                0..4 => Place::Home,
                4 => Place::Plant,
                5..8 => Place::Water,
                _ => Place::Gas,
            };
            self.device(place);
        }
    }

    /// What takes most of a year, with peers that have nothing.
    fn long(&mut self, per_cause: u32) {
        for scenario in LONG {
            let count = if self.is_wanted(scenario) { per_cause } else { 0 };
            for _ in 0..count {
                let onset = if scenario == &Scenario::WINTER_BASIS {
                    self.winter_onset(scenario)
                } else {
                    self.onset(scenario)
                };
                if let Some(onset) = onset {
                    let device = self.device(scenario.place);
                    self.plant(scenario, device, onset);
                }
            }
        }
        self.ordinary(60);
        // Who is slow is so against peers: most of them must be well.
        let slow = if self.is_wanted(&Scenario::SLOW) { per_cause } else { 0 };
        for _ in 0..3 * slow {
            self.device(Place::Water);
        }
    }

    /// In the first half of a winter's first two months, so that most of a month is concerned.
    fn winter_onset(&mut self, scenario: &Scenario) -> Option<UtcTime> {
        let from = self.spec.start.plus_seconds(scenario.before_d * DAY_S);
        let to = self.end().plus_seconds(-scenario.need_d * DAY_S);
        let months = self.days.all().windows(2).filter_map(|two| {
            let begins = two[0].month != two[1].month && matches!(two[1].month, 12 | 1);
            let fits = from <= two[1].start && two[1].start <= to;
            (begins && fits).then_some(two[1].start)
        });
        let months: Vec<UtcTime> = months.collect();
        let month = *months.get(self.stream.index(months.len().max(1)))?;
        Some(month.plus_seconds(self.stream.between(0, 8 * 24) * HOUR_S))
    }

    pub(crate) fn is_wanted(&self, scenario: &Scenario) -> bool {
        let only = &self.spec.only;
        only.is_empty() || only.iter().any(|name| name == scenario.name || name == scenario.cause())
    }

    /// When the fault begins: after the ordinary days that the rules need, early enough to be
    /// found. `None` when the trial is too short.
    pub(crate) fn onset(&mut self, scenario: &Scenario) -> Option<UtcTime> {
        if scenario == &Scenario::DST {
            let odd = self.days.all().iter().find(|day| day.cells(900) != 96)?;
            let room = odd.start.seconds_since(self.spec.start) >= scenario.before_d * DAY_S
                && odd.end.plus_seconds(scenario.need_d * DAY_S) <= self.end();
            // Both European transitions are at 01:00 UTC.
            return room.then(|| odd.start.floor_to(DAY_S).plus_seconds(25 * HOUR_S));
        }
        let mut from = self.spec.start.plus_seconds(scenario.before_d * DAY_S);
        let mut to = self.end().plus_seconds(-scenario.need_d * DAY_S);
        let heating = |day: &&crate::calendar::Day| !(5..=9).contains(&day.month);
        let first_cold = self.days.all().iter().find(heating).map_or(UtcTime::MAX, |d| d.start);
        if scenario == &Scenario::STOPPED_GAS {
            from = from.max(first_cold.plus_seconds(14 * DAY_S));
        } else if scenario == &Scenario::GAS_CONTINUOUS {
            to = to.min(first_cold.plus_seconds(-scenario.need_d * DAY_S));
        }
        let room_s = to.seconds_since(from);
        (room_s > 0).then(|| {
            let minutes = self.stream.between(0, room_s / 60 - 1);
            from.plus_seconds(minutes * 60)
        })
    }

    pub(crate) fn end(&self) -> UtcTime {
        self.spec.start.plus_seconds(i64::from(self.spec.days) * DAY_S)
    }

    /// A new meter with an ordinary customer.
    pub(crate) fn device(&mut self, place: Place) -> usize {
        let index = self.devices.len();
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, index, 9);
        let (commodity, letter) = match place {
            Place::Water => (Commodity::Water, 'W'),
            Place::Gas => (Commodity::Gas, 'G'),
            _ => (Commodity::Electricity, 'E'),
        };
        let model = match place {
            Place::Water => Model::HomeWater(HomeWater::draw(&mut stream)),
            Place::Gas => Model::HomeGas(HomeGas::draw(&mut stream)),
            Place::Plant => Model::Power(Power::draw(&mut stream, PowerKind::Plant)),
            _ => Model::Power(Power::draw(&mut stream, PowerKind::Home)),
        };
        let plant = place == Place::Plant;
        self.devices.push(Device {
            index,
            number: format!("{letter}-{}", 100_001 + index),
            premises: index,
            commodity,
            class: if plant { CustomerClass::LargeCommercial } else { CustomerClass::Residential },
            tags: Vec::new(),
            flow_rated_lph: match commodity {
                Commodity::Water => 2_500,
                Commodity::Gas => 6_000,
                _ => 0,
            },
            model,
            collector: NOWHERE,
            second: None,
            transformer: None,
            dma: None,
            role: MeterRole::Customer,
            cohort: index % 20,
            phases: if plant { 3 } else { 1 },
            sums: None,
            parts: Vec::new(),
            export: false,
            reactive: plant,
            rates: plant,
            state: Measured::new(self.spec.seed, index),
        });
        index
    }

    /// Gives each meter that has none a collector, so that meters with equal faults are spread.
    fn connect(&mut self) {
        let free: Vec<usize> = (0..self.devices.len())
            .filter(|index| self.devices[*index].collector == NOWHERE)
            .collect();
        let first = self.collectors.len();
        let count = free.len().div_ceil(COLLECTOR_MEMBERS).max(1);
        for _ in 0..count {
            self.collector();
        }
        for (nth, index) in free.into_iter().enumerate() {
            let collector = first + nth % count;
            self.devices[index].collector = collector;
            self.devices[index].second = (count > 1).then_some(first + (nth + 1) % count);
            self.collectors[collector].members.push(index);
        }
        let wards: Vec<(usize, usize)> = self
            .devices
            .iter()
            .filter(|device| !self.collectors[device.collector].members.contains(&device.index))
            .map(|device| (device.collector, device.index))
            .collect();
        for (collector, index) in wards {
            self.collectors[collector].members.push(index);
        }
    }

    pub(crate) fn collector(&mut self) -> usize {
        let index = self.collectors.len();
        self.collectors.push(TrialCollector {
            code: format!("C-{:04}", index + 1),
            outages: Vec::new(),
            cut: Vec::new(),
            members: Vec::new(),
        });
        index
    }

    pub(crate) fn part(&mut self, device: usize, span: Span, twist: Twist) {
        self.devices[device].parts.push(Part { span, twist });
    }

    pub(crate) fn tag(&mut self, device: usize, tag: Tag) {
        self.devices[device].tags.push(tag);
    }

    pub(crate) fn subject(&self, device: usize) -> TrialSubject {
        TrialSubject::Meter(self.devices[device].number.clone())
    }

    pub(crate) fn numbers(&self, devices: impl Iterator<Item = usize>) -> Vec<String> {
        devices.map(|index| self.devices[index].number.clone()).collect()
    }
}
