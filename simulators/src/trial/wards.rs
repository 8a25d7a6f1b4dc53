//! Faults of more than one meter. Each has devices of its own, so that faults do not touch, and
//! comes several times where its members recover.

use metering::{MeterRole, UtcTime};

use super::Blackout;
use super::build::{Builder, DAY_S, HOUR_S};
use super::scenario::{Place, SPELLS_APART_W, Scenario};
use super::truth::{TrialFault, TrialSubject};
use super::twist::Twist;
use crate::usage::{Model, Span};

/// Members of a collector that fails, of a transformer, of a district, and of a cohort.
const COLLECTOR_MEMBERS: usize = 24;
const TRANSFORMER_MEMBERS: usize = 10;
const DMA_MEMBERS: usize = 14;
const COHORT_MEMBERS: usize = 6;
/// Homes that a spell of weather concerns, and meters of others that it does not.
const WEATHER_HOMES: usize = 20;
const WEATHER_OTHERS: usize = 10;
/// Meters of a head-end that has trouble itself.
const HEADEND_METERS: usize = 40;

impl Builder<'_> {
    /// As many wards as it takes for `count` events.
    pub(crate) fn wards(&mut self, scenario: &'static Scenario, count: u32) {
        let mut left = usize::try_from(count).unwrap_or(0);
        while left > 0 {
            let planted = match *scenario {
                Scenario::COLLECTOR | Scenario::BACKHAUL => self.collector_ward(scenario, left),
                Scenario::COHORT => self.cohort_ward(scenario),
                Scenario::POWER_AREA => self.power_ward(scenario, left),
                Scenario::TRANSFORMER => self.transformer_ward(scenario),
                Scenario::DMA_LEAK | Scenario::DMA_UNMETERED => self.dma_ward(scenario),
                Scenario::SEWER_RAIN => self.sewer_ward(scenario, left),
                _ => 0,
            };
            if planted == 0 {
                return;
            }
            left = left.saturating_sub(planted);
        }
    }

    /// Onsets that are at least `apart` days from one another, at most `most`.
    fn onsets(&mut self, scenario: &Scenario, apart: i64, most: usize) -> Vec<UtcTime> {
        let mut onsets = Vec::new();
        let mut from = self.spec.start.plus_seconds(scenario.before_d * DAY_S);
        while onsets.len() < most {
            let onset = from.plus_seconds(self.stream.between(0, DAY_S / 60) * 60);
            if onset.plus_seconds(scenario.need_d * DAY_S) >= self.end() {
                break;
            }
            onsets.push(onset);
            from = from.plus_seconds(apart * DAY_S);
        }
        onsets
    }

    fn fault(
        &mut self,
        scenario: &'static Scenario,
        subject: TrialSubject,
        members: Vec<String>,
        (onset, end, magnitude): (UtcTime, Option<UtcTime>, i64),
    ) {
        self.faults.push(TrialFault { scenario, subject, members, onset, end, magnitude });
    }

    fn collector_ward(&mut self, scenario: &'static Scenario, most: usize) -> usize {
        let onsets = self.onsets(scenario, 6, most);
        if onsets.is_empty() {
            return 0;
        }
        let (collector, other) = (self.collector(), self.collector());
        let first = self.devices.len();
        for nth in 0..COLLECTOR_MEMBERS {
            let device = self.device(if nth % 2 == 0 { Place::Home } else { Place::Water });
            self.devices[device].collector = collector;
            self.devices[device].second = Some(other);
        }
        let members = self.numbers(first..first + COLLECTOR_MEMBERS);
        for onset in &onsets {
            let hours = self.stream.between(4, 12);
            let end = onset.plus_seconds(hours * HOUR_S);
            let span = Span { from: *onset, to: end };
            let code = self.collectors[collector].code.clone();
            if scenario == &Scenario::COLLECTOR {
                self.collectors[collector].outages.push(span);
            } else {
                self.collectors[collector].cut.push(span);
            }
            let subject = TrialSubject::Collector(code);
            self.fault(scenario, subject, members.clone(), (*onset, Some(end), hours));
        }
        onsets.len()
    }

    fn cohort_ward(&mut self, scenario: &'static Scenario) -> usize {
        let Some(onset) = self.onset(scenario) else { return 0 };
        let cohort = self.cohorts;
        self.cohorts += 1;
        let first = self.devices.len();
        for nth in 0..COHORT_MEMBERS {
            let device = self.device(Place::Home);
            self.devices[device].cohort = cohort;
            // One of the cohort was not updated.
            if nth > 0 {
                let at = onset.plus_seconds(self.stream.between(0, 3 * HOUR_S));
                self.part(device, Span { from: at, to: UtcTime::MAX }, Twist::Mute);
            }
        }
        let members = self.numbers(first..first + COHORT_MEMBERS);
        let subject = TrialSubject::Meters(members.clone());
        self.fault(scenario, subject, members, (onset, None, 0));
        1
    }

    fn transformer(&mut self, members: usize) -> (usize, usize) {
        let transformer = self.transformers;
        self.transformers += 1;
        let first = self.devices.len();
        for _ in 0..members {
            let device = self.device(Place::Home);
            self.devices[device].transformer = Some(transformer);
        }
        (transformer, first)
    }

    fn power_ward(&mut self, scenario: &'static Scenario, most: usize) -> usize {
        let onsets = self.onsets(scenario, 7, most);
        if onsets.is_empty() {
            return 0;
        }
        let (transformer, first) = self.transformer(TRANSFORMER_MEMBERS);
        let members = self.numbers(first..first + TRANSFORMER_MEMBERS);
        for onset in &onsets {
            let hours = self.stream.between(2, 6);
            let end = onset.plus_seconds(hours * HOUR_S);
            for device in first..first + TRANSFORMER_MEMBERS {
                self.part(device, Span { from: *onset, to: end }, Twist::Dark);
                self.outage_events(device, *onset, Some(end));
            }
            let subject = TrialSubject::Transformer(transformer_code(transformer));
            self.fault(scenario, subject, members.clone(), (*onset, Some(end), hours));
        }
        onsets.len()
    }

    fn transformer_ward(&mut self, scenario: &'static Scenario) -> usize {
        let Some(onset) = self.onset(scenario) else { return 0 };
        let (transformer, first) = self.transformer(TRANSFORMER_MEMBERS);
        let supply = self.sum_meter(Place::Home, first..first + TRANSFORMER_MEMBERS);
        self.devices[supply].role = MeterRole::TransformerSupply;
        self.devices[supply].transformer = Some(transformer);
        // Ordinary losses of the iron and the wires.
        let always = Span { from: UtcTime::MIN, to: UtcTime::MAX };
        self.part(supply, always, Twist::Scale(1_025));
        let permille = self.stream.between(1_120, 1_250);
        self.part(supply, Span { from: onset, to: UtcTime::MAX }, Twist::Scale(permille));
        let subject = TrialSubject::Transformer(transformer_code(transformer));
        let members = self.numbers(first..=supply);
        self.fault(scenario, subject, members, (onset, None, permille - 1_000));
        1
    }

    fn dma_ward(&mut self, scenario: &'static Scenario) -> usize {
        let Some(onset) = self.onset(scenario) else { return 0 };
        let dma = self.dmas;
        self.dmas += 1;
        let first = self.devices.len();
        for _ in 0..DMA_MEMBERS {
            let device = self.device(Place::Water);
            self.devices[device].dma = Some(dma);
        }
        let inlet = self.sum_meter(Place::Water, first..first + DMA_MEMBERS);
        self.devices[inlet].role = MeterRole::ZoneInlet;
        self.devices[inlet].dma = Some(dma);
        self.devices[inlet].flow_rated_lph = 40_000;
        // Mains always lose a little.
        let always = Span { from: UtcTime::MIN, to: UtcTime::MAX };
        self.part(inlet, always, Twist::Add(25_000));
        // A leak runs day and night; water that nobody meters follows demand.
        let (size, twist) = if scenario == &Scenario::DMA_LEAK {
            let lph = self.stream.between(150, 500);
            (lph, Twist::Add(lph * 1000))
        } else {
            let permille = self.stream.between(1_700, 2_200);
            (permille, Twist::Scale(permille))
        };
        self.part(inlet, Span { from: onset, to: UtcTime::MAX }, twist);
        let members = self.numbers(first..=inlet);
        self.fault(scenario, TrialSubject::Zone(dma_code(dma)), members, (onset, None, size));
        1
    }

    /// Rain finds its way into the sewer of a district, for a week each time: the ground
    /// gives it back slowly.
    fn sewer_ward(&mut self, scenario: &'static Scenario, most: usize) -> usize {
        let onsets = self.onsets(scenario, 18, most);
        if onsets.is_empty() {
            return 0;
        }
        let dma = self.dmas;
        self.dmas += 1;
        let first = self.devices.len();
        for _ in 0..DMA_MEMBERS {
            let device = self.device(Place::Water);
            self.devices[device].dma = Some(dma);
        }
        let sewer = self.sum_meter(Place::Water, first..first + DMA_MEMBERS);
        self.devices[sewer].role = MeterRole::Sewer;
        self.devices[sewer].dma = Some(dma);
        self.devices[sewer].flow_rated_lph = 40_000;
        let always = Span { from: UtcTime::MIN, to: UtcTime::MAX };
        self.part(sewer, always, Twist::Scale(900));
        let members = self.numbers(first..=sewer);
        for onset in &onsets {
            let end = onset.plus_seconds(self.stream.between(192, 240) * HOUR_S);
            let permille = self.stream.between(4_500, 8_000);
            self.part(sewer, Span { from: *onset, to: end }, Twist::Scale(permille));
            let subject = TrialSubject::Zone(dma_code(dma));
            self.fault(scenario, subject, members.clone(), (*onset, Some(end), permille));
        }
        onsets.len()
    }

    /// The head-end is cut off or has a wrong clock, by turns, a day and a half apart.
    pub(crate) fn headend(&mut self, episodes: u32) {
        let both = [&Scenario::HEADEND_OUTAGE, &Scenario::HEADEND_CLOCK];
        let wanted: Vec<&'static Scenario> =
            both.into_iter().filter(|scenario| self.is_wanted(scenario)).collect();
        self.ordinary(HEADEND_METERS);
        let members = self.numbers(0..HEADEND_METERS);
        let count = usize::try_from(episodes).unwrap_or(0) * wanted.len();
        let mut from = self.spec.start.plus_seconds(3 * DAY_S);
        for scenario in wanted.iter().cycle().take(count) {
            let onset = from.plus_seconds(self.stream.between(0, 600) * 60);
            let (hours, behind_s) = if *scenario == &Scenario::HEADEND_OUTAGE {
                (self.stream.between(2, 5), None)
            } else {
                (self.stream.between(10, 14), Some(self.stream.between(400, 1_500)))
            };
            let end = onset.plus_seconds(hours * HOUR_S);
            if end.plus_seconds(DAY_S) > self.end() {
                break;
            }
            let span = Span { from: onset, to: end };
            self.blackouts.push(Blackout { span, behind_s });
            if let Some(step) = behind_s {
                for device in 0..HEADEND_METERS {
                    self.part(device, span, Twist::Clock { step, per_day: 0 });
                }
            }
            let size = behind_s.unwrap_or(hours);
            self.fault(scenario, TrialSubject::Headend, members.clone(), (onset, Some(end), size));
            from = from.plus_seconds(36 * HOUR_S);
        }
    }

    /// Spells of one or two days in which all heaters run, or all coolers, some more than others.
    /// They begin on Wednesdays: weekends have not been seen often enough.
    pub(crate) fn weather(&mut self, spells: u32) {
        let scenario = &Scenario::WEATHER_SPELL;
        let homes: Vec<usize> = (0..WEATHER_HOMES).map(|_| self.device(Place::Home)).collect();
        for _ in 0..WEATHER_OTHERS {
            self.device(Place::Water);
        }
        if !self.is_wanted(scenario) {
            return;
        }
        // A Wednesday is among the last six of the days before.
        let first = self.spec.start.plus_seconds((scenario.before_d - 6) * DAY_S);
        let last = self.end().plus_seconds(-scenario.need_d * DAY_S);
        let days = self.days.all();
        let begins = |day: &crate::calendar::Day| {
            day.weekday == jiff::civil::Weekday::Wednesday
                && first <= day.start
                && day.start <= last
        };
        let all: Vec<usize> = (0..days.len()).filter(|at| begins(&days[*at])).collect();
        let (apart, most) = (usize::try_from(SPELLS_APART_W), usize::try_from(spells));
        for at in all.into_iter().step_by(apart.unwrap_or(1)).take(most.unwrap_or(0)) {
            let more = self.stream.index(2);
            let span = Span { from: days[at].start, to: days[at + more].end };
            for home in &homes {
                let permille = self.stream.between(1_500, 2_500);
                self.part(*home, span, Twist::Scale(permille));
            }
            let size = i64::try_from(more).unwrap_or(0) + 1;
            let planted = (span.from, Some(span.to), size);
            self.fault(scenario, TrialSubject::Headend, Vec::new(), planted);
        }
    }

    fn sum_meter(&mut self, place: Place, members: std::ops::Range<usize>) -> usize {
        let device = self.device(place);
        self.devices[device].model = Model::Nothing;
        self.devices[device].sums = Some(members);
        device
    }
}

pub(crate) fn transformer_code(transformer: usize) -> String {
    format!("T-{:04}", transformer + 1)
}

pub(crate) fn dma_code(dma: usize) -> String {
    format!("DMA-{:04}", dma + 1)
}
