//! Look-alikes, and the fleet at natural rates (`metering-rules.md` 11.1).

use metering::{CustomerClass, Tag, UtcTime};

use super::Urgent;
use super::build::{Builder, DAY_S, HOUR_S};
use super::scenario::{Place, Scenario};
use super::truth::{TimedAct, TrialAct, TrialNegative, TrialSubject};
use super::twist::Twist;
use crate::rng::{Purpose, Stream};
use crate::usage::{ConstantWater, HomeWater, Model, ShopWater, Span};

/// Events per year and 1,000 meters that can have them.
const RATES: [(&Scenario, u32); 11] = [
    (&Scenario::LEAK, 50),
    (&Scenario::LEAK_INTERMITTENT, 10),
    (&Scenario::BURST, 2),
    (&Scenario::STOPPED_WATER, 5),
    (&Scenario::STOPPED_POWER, 5),
    (&Scenario::BATTERY_DEAD, 8),
    (&Scenario::RF_ABRUPT, 8),
    (&Scenario::RF_ABRUPT_WATER, 8),
    (&Scenario::TAMPER, 3),
    (&Scenario::CLOCK_JUMP, 6),
    (&Scenario::REVERSE, 1),
];
const MORE_RATES: [(&Scenario, u32); 3] =
    [(&Scenario::RF_GRADUAL, 7), (&Scenario::WRONG_MULTIPLIER, 1), (&Scenario::TAMPER_WATER, 3)];
/// Outages of one collector in a year.
const COLLECTOR_OUTAGES: f64 = 2.0;

impl Builder<'_> {
    pub(crate) fn natural(&mut self, meters: u32) {
        let count = usize::try_from(meters).unwrap_or(0);
        self.ordinary(count);
        let years = f64::from(self.spec.days) / 365.0;
        for device in 0..count {
            let place = self.place_of(device);
            let mut stream = Stream::new(self.spec.seed, Purpose::Plan, device, 11);
            let lot = stream.real(0.0, 1000.0);
            let mut below = 0.0;
            for (scenario, rate) in RATES.iter().chain(&MORE_RATES) {
                if scenario.place != place {
                    continue;
                }
                let from = below;
                below += f64::from(*rate) * years;
                if (from..below).contains(&lot) {
                    if let Some(onset) = self.onset(scenario) {
                        self.plant(scenario, device, onset);
                    }
                    break;
                }
            }
        }
        let outages = f64::from(meters) / 40.0 * COLLECTOR_OUTAGES * years;
        self.wards(&Scenario::COLLECTOR, u32::try_from(crate::rng::whole(outages)).unwrap_or(1));
        // One in two hundred places has one of the habits that look like a fault.
        self.plan_negatives((meters / 200).max(1));
    }

    fn place_of(&self, device: usize) -> Place {
        match device % 10 {
            0..4 => Place::Home,
            4 => Place::Plant,
            5..8 => Place::Water,
            _ => Place::Gas,
        }
    }

    /// `count` look-alikes of each class, each on a meter of its own.
    pub(crate) fn plan_negatives(&mut self, count: u32) {
        let plans: [fn(&mut Self); 15] = [
            Self::pool,
            Self::vacation,
            Self::vacancy,
            Self::moved_out,
            Self::irrigation,
            Self::hospital,
            Self::net_metering,
            Self::weekend_shop,
            Self::cold_load,
            Self::storm,
            Self::field_work,
            Self::firmware_push,
            Self::rollover,
            Self::backlog,
            Self::car,
        ];
        for plan in plans {
            for _ in 0..count {
                plan(self);
            }
        }
        let odd: Vec<Span> = self
            .days
            .all()
            .iter()
            .filter(|day| day.cells(900) != 96 && day.end <= self.end())
            .map(|day| Span { from: day.start, to: day.end.plus_seconds(DAY_S) })
            .collect();
        for span in odd {
            self.negative("dst_day", TrialSubject::Meters(Vec::new()), span);
        }
    }

    fn negative(&mut self, class: &'static str, subject: TrialSubject, span: Span) {
        self.negatives.push(TrialNegative { class, subject, from: span.from, to: span.to });
    }

    fn on_meter(&mut self, class: &'static str, device: usize, span: Span) {
        let subject = self.subject(device);
        self.negative(class, subject, span);
    }

    fn whole_run(&self) -> Span {
        Span { from: self.spec.start, to: self.end() }
    }

    /// A stretch of `hours` in the trial, from its third day on.
    fn stretch(&mut self, hours: i64) -> Span {
        let first = self.spec.start.plus_seconds(3 * DAY_S);
        let room = self.end().seconds_since(first) / 60 - hours * 60 - 60;
        let from = first.plus_seconds(self.stream.between(0, room.max(1)) * 60);
        Span { from, to: from.plus_seconds(hours * HOUR_S) }
    }

    fn pool(&mut self) {
        let hours = self.stream.between(6, 10);
        let span = self.stretch(hours);
        let device = self.device(Place::Water);
        let lph = self.stream.between(600, 850);
        self.tag(device, Tag::PoolFill);
        self.part(device, span, Twist::Add(lph * 1000));
        self.on_meter("pool_fill", device, span);
    }

    /// Nobody home for two weeks; the fridge goes on.
    fn vacation(&mut self) {
        let days = self.stream.between(4, 9);
        let span = self.stretch(days * 24);
        let device = self.device(Place::Water);
        self.part(device, span, Twist::Scale(0));
        self.on_meter("vacation", device, span);
    }

    fn vacancy(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Water);
        self.devices[device].model = Model::Nothing;
        self.tag(device, Tag::Vacant);
        self.on_meter("vacancy", device, span);
    }

    /// Everybody leaves a house for good: no water runs, and of the electricity only what is never
    /// switched off.
    fn moved_out(&mut self) {
        let first = self.spec.start.plus_seconds(16 * DAY_S);
        let room = self.end().plus_seconds(-13 * DAY_S).seconds_since(first) / 60;
        let from = first.plus_seconds(self.stream.between(0, room.max(1)) * 60);
        let span = Span { from, to: self.end() };
        let (home, water) = (self.device(Place::Home), self.device(Place::Water));
        self.devices[water].premises = home;
        let permille = self.stream.between(60, 110);
        self.part(home, Span { to: UtcTime::MAX, ..span }, Twist::Scale(permille));
        self.part(water, Span { to: UtcTime::MAX, ..span }, Twist::Scale(0));
        let meters = self.numbers([home, water].into_iter());
        self.negative("moved_out", TrialSubject::Meters(meters), span);
    }

    fn irrigation(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Water);
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, device, 10);
        let lph = stream.between(400, 700);
        let home = HomeWater::draw(&mut stream).with_garden(lph);
        self.devices[device].model = Model::HomeWater(home);
        self.tag(device, Tag::Irrigation);
        self.on_meter("irrigation_season", device, span);
    }

    fn hospital(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Water);
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, device, 10);
        self.devices[device].model = Model::ConstantWater(ConstantWater::draw(&mut stream));
        self.devices[device].class = CustomerClass::LargeCommercial;
        self.devices[device].flow_rated_lph = 10_000;
        self.tag(device, Tag::Hospital);
        self.on_meter("hospital_flow", device, span);
    }

    fn weekend_shop(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Water);
        let mut stream = Stream::new(self.spec.seed, Purpose::Layout, device, 10);
        self.devices[device].model = Model::ShopWater(ShopWater::draw(&mut stream, false));
        self.devices[device].class = CustomerClass::SmallCommercial;
        self.devices[device].flow_rated_lph = 4_000;
        self.on_meter("weekend_zero", device, span);
    }

    fn net_metering(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Home);
        let watts = self.stream.real(3_000.0, 9_000.0);
        if let Model::Power(power) = &mut self.devices[device].model {
            power.solar_w = watts;
        }
        self.devices[device].export = true;
        self.devices[device].tags.extend([Tag::Pv, Tag::NetMeter]);
        self.on_meter("net_metering", device, span);
    }

    fn car(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Home);
        let watts = self.stream.real(3_600.0, 11_000.0);
        if let Model::Power(power) = &mut self.devices[device].model {
            power.car_w = watts;
        }
        self.tag(device, Tag::Ev);
        self.on_meter("electric_car", device, span);
    }

    /// The power comes back and all heaters start at once.
    fn cold_load(&mut self) {
        let span = self.stretch(3);
        let device = self.device(Place::Home);
        let restart = Span { from: span.to, to: span.to.plus_seconds(2 * HOUR_S) };
        self.part(device, span, Twist::Dark);
        self.part(device, restart, Twist::Scale(3_000));
        self.on_meter("cold_load_pickup", device, restart);
    }

    /// The lights blink three times; nothing is lost.
    fn storm(&mut self) {
        let span = self.stretch(2);
        let device = self.device(Place::Home);
        for blink in 0..3 {
            let at = span.from.plus_seconds(blink * 600);
            self.urgent.push(Urgent { at, device, code: "power_fail" });
            self.urgent.push(Urgent { at: at.plus_seconds(20), device, code: "power_restore" });
        }
        self.on_meter("storm_blink", device, span);
    }

    /// The utility's own people open the cover; there is a work order.
    fn field_work(&mut self) {
        let span = self.stretch(2);
        let device = self.device(Place::Home);
        let meter = self.devices[device].number.clone();
        for code in ["cover_opened", "magnetic_field", "terminal_cover_opened"] {
            let once = Twist::Event { code, detail: 1, every_s: 0 };
            self.part(device, Span { from: span.from, to: UtcTime::MAX }, once);
        }
        for (at, done) in [(span.from.plus_seconds(-DAY_S), false), (span.to, true)] {
            let act = TrialAct::FieldWork { meter: meter.clone(), done };
            self.acts.push(TimedAct { at, act });
        }
        self.on_meter("field_work", device, span);
    }

    /// New firmware: the meter says so and is silent for two hours.
    fn firmware_push(&mut self) {
        let span = self.stretch(2);
        let device = self.device(Place::Home);
        self.part(device, span, Twist::Mute);
        self.on_meter("firmware_push", device, span);
    }

    fn rollover(&mut self) {
        let span = self.whole_run();
        let device = self.device(Place::Water);
        let modulus = self.devices[device].modulus();
        let litres = i64::from(self.spec.days) / 2 * 300;
        self.devices[device].state.near_rollover(modulus, litres);
        self.on_meter("register_rollover", device, span);
    }

    /// No network for less than a day; everything is sent later.
    fn backlog(&mut self) {
        let hours = self.stream.between(8, 15);
        let span = self.stretch(hours);
        let device = self.device(Place::Home);
        self.part(device, span, Twist::Mute);
        self.on_meter("backlog", device, span);
    }
}
