//! What each fault of a single meter does, and how large it is.

use metering::{DeviceFlags, UtcTime};

use super::Urgent;
use super::build::{Builder, DAY_S, HOUR_S};
use super::scenario::{Place, Scenario};
use super::truth::{TimedAct, TrialAct, TrialFault};
use super::twist::Twist;
use crate::usage::Span;

/// What was planted: its end and its size.
struct Planted {
    end: Option<UtcTime>,
    magnitude: i64,
}

impl Planted {
    const fn forever(magnitude: i64) -> Self {
        Self { end: None, magnitude }
    }
}

impl Builder<'_> {
    /// Plants the fault in the meter and notes the truth.
    pub(crate) fn plant(&mut self, scenario: &'static Scenario, device: usize, onset: UtcTime) {
        let planted = match scenario.place {
            Place::Water => self.water(scenario, device, onset),
            Place::Gas => self.gas(scenario, device, onset),
            _ => self.power(scenario, device, onset),
        };
        let Some(planted) = planted else { return };
        self.faults.push(TrialFault {
            scenario,
            subject: self.subject(device),
            members: Vec::new(),
            onset,
            end: planted.end,
            magnitude: planted.magnitude,
        });
    }

    /// Holds from the onset on; the trial ends before the fault does, or it is repaired a few days
    /// after it must have been found.
    fn lasting(
        &mut self,
        scenario: &Scenario,
        device: usize,
        onset: UtcTime,
        twist: Twist,
    ) -> Planted {
        let repaired = self.stream.chance(0.5);
        let days = scenario.need_d + self.stream.between(1, 5);
        let end = onset.plus_seconds(days * DAY_S);
        let end = (repaired && end < self.end()).then_some(end);
        self.part(device, Span { from: onset, to: end.unwrap_or(UtcTime::MAX) }, twist);
        Planted { end, magnitude: 0 }
    }

    fn hours(&mut self, device: usize, onset: UtcTime, hours: i64, twist: Twist) -> Planted {
        let end = onset.plus_seconds(hours * HOUR_S);
        self.part(device, Span { from: onset, to: end }, twist);
        Planted { end: Some(end), magnitude: hours }
    }

    fn once(&mut self, device: usize, onset: UtcTime, code: &'static str, detail: i64) -> Planted {
        let span = Span { from: onset, to: UtcTime::MAX };
        self.part(device, span, Twist::Event { code, detail, every_s: 0 });
        Planted { end: None, magnitude: detail }
    }

    fn repeated(
        &mut self,
        device: usize,
        span: Span,
        (code, detail): (&'static str, i64),
        every_s: i64,
    ) -> Planted {
        self.part(device, span, Twist::Event { code, detail, every_s });
        Planted { end: Some(span.to).filter(|to| *to < self.end()), magnitude: detail }
    }

    fn water(&mut self, scenario: &Scenario, device: usize, onset: UtcTime) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        let days = |days: i64| Span { from: onset, to: onset.plus_seconds(days * DAY_S) };
        Some(match *scenario {
            Scenario::LEAK => {
                let small = self.stream.chance(0.75);
                let lph =
                    if small { self.stream.between(8, 30) } else { self.stream.between(30, 200) };
                let planted = self.lasting(scenario, device, onset, Twist::Add(lph * 1000));
                Planted { magnitude: lph, ..planted }
            }
            Scenario::LEAK_GROWING => {
                let per_day = self.stream.between(1_500, 4_000);
                self.part(device, ever, Twist::Ramp(per_day));
                Planted::forever(per_day / 1000)
            }
            Scenario::LEAK_INTERMITTENT => {
                let minutes = self.stream.between(18, 22);
                let twist = Twist::Refill { ml: 6_500, minutes };
                let planted = self.lasting(scenario, device, onset, twist);
                Planted { magnitude: 390 / minutes, ..planted }
            }
            Scenario::BURST => {
                let lph = self.stream.between(1_700, 2_900);
                let hours = self.stream.between(2, 8);
                let planted = self.hours(device, onset, hours, Twist::Add(lph * 1000));
                Planted { magnitude: lph, ..planted }
            }
            Scenario::STOPPED_WATER => {
                self.part(device, ever, Twist::Scale(0));
                Planted::forever(0)
            }
            Scenario::SLOW => {
                self.part(device, ever, Twist::Decline(60));
                Planted::forever(60)
            }
            Scenario::WINTER_BASIS => {
                let lph = self.stream.between(10, 60);
                let days = self.stream.between(12, 20);
                self.hours(device, onset, days * 24, Twist::Add(lph * 1000));
                // The basis is judged when the winter is over.
                Planted::forever(lph)
            }
            Scenario::MISSING_PULSES => {
                let permille = self.stream.between(650, 850);
                self.lasting(scenario, device, onset, Twist::Intervals(permille))
            }
            Scenario::WRONG_UNIT => self.lasting(scenario, device, onset, Twist::Unit),
            Scenario::ENCODER => {
                for day in [1, 3] {
                    let span = Span { from: onset.plus_seconds(day * DAY_S), to: UtcTime::MAX };
                    self.part(device, span, Twist::Jump(4_000));
                }
                self.part(device, ever, Twist::Jump(3_500));
                Planted::forever(3_500)
            }
            Scenario::NEGATIVE_WATER => {
                self.part(device, days(2), Twist::Backwards(300));
                Planted { end: Some(days(2).to), magnitude: 300 }
            }
            Scenario::TAMPER_WATER => {
                self.part(device, ever, Twist::Scale(450));
                self.once(device, onset, "tilt", 1);
                self.once(device, onset.plus_seconds(HOUR_S), "cable_cut", 1)
            }
            _ => return self.water_events(scenario, device, onset),
        })
    }

    /// What the water meter says of itself.
    fn water_events(
        &mut self,
        scenario: &Scenario,
        device: usize,
        onset: UtcTime,
    ) -> Option<Planted> {
        let days = |days: i64| Span { from: onset, to: onset.plus_seconds(days * DAY_S) };
        Some(match *scenario {
            Scenario::BACKFLOW_MAJOR => self.once(device, onset, "reverse_flow", 2),
            Scenario::BACKFLOW_MINOR => {
                self.repeated(device, days(30), ("reverse_flow", 1), 5 * DAY_S)
            }
            Scenario::DRY_PIPE => {
                self.part(device, days(4), Twist::Scale(0));
                self.repeated(device, days(4), ("dry", 1), HOUR_S)
            }
            Scenario::EMPTY_PIPE => {
                self.part(device, days(4), Twist::Scale(0));
                self.repeated(device, days(4), ("air_in_pipe", 1), HOUR_S)
            }
            Scenario::FREEZE => {
                let cold = Span { from: onset, to: onset.plus_seconds(14 * HOUR_S) };
                let thaw = Span { from: cold.to, to: cold.to.plus_seconds(DAY_S) };
                self.repeated(device, thaw, ("ambient_temperature", 450), HOUR_S);
                self.repeated(device, cold, ("ambient_temperature", -250), HOUR_S)
            }
            Scenario::MEMORY => self.repeated(device, days(14), ("memory_error", 1), 2 * DAY_S),
            _ => return self.battery(scenario, device, onset),
        })
    }

    fn battery(&mut self, scenario: &Scenario, device: usize, onset: UtcTime) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        Some(match *scenario {
            Scenario::BATTERY_LOW => {
                self.part(device, ever, Twist::Status("battery_low"));
                Planted::forever(0)
            }
            Scenario::BATTERY_VOLT => {
                let drop_mv = self.stream.between(390, 480);
                self.part(device, ever, Twist::Cell { drop_mv, per_day: 0 });
                Planted::forever(drop_mv)
            }
            Scenario::BATTERY_PROJ => {
                let per_day = self.stream.between(2, 4);
                self.part(device, ever, Twist::Cell { drop_mv: 0, per_day });
                Planted::forever(per_day)
            }
            Scenario::BATTERY_DEAD => {
                let hours = self.stream.between(60, 110);
                let dead = Span { from: onset.plus_seconds(hours * HOUR_S), to: UtcTime::MAX };
                self.part(device, ever, Twist::Status("battery_low"));
                self.part(device, dead, Twist::Mute);
                Planted::forever(hours)
            }
            Scenario::RF_ABRUPT_WATER => {
                self.part(device, ever, Twist::Mute);
                Planted::forever(0)
            }
            Scenario::RF_GRADUAL => {
                let span = Span { from: onset, to: onset.plus_seconds(15 * DAY_S) };
                self.part(device, span, Twist::Fading);
                Planted::forever(15)
            }
            _ => return None,
        })
    }

    fn gas(&mut self, scenario: &Scenario, device: usize, onset: UtcTime) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        Some(match *scenario {
            Scenario::STOPPED_GAS => {
                self.part(device, ever, Twist::Scale(0));
                Planted::forever(0)
            }
            Scenario::GAS_CONTINUOUS => {
                let lph = self.stream.between(500, 900);
                self.part(device, ever, Twist::Add(lph * 1000));
                Planted::forever(lph)
            }
            Scenario::GAS_HIGH => {
                let hours = self.stream.between(2, 4);
                // Above 1.1 and below 1.25 of Qmax, which no meter passes.
                let planted = self.hours(device, onset, hours, Twist::Add(6_700_000));
                Planted { magnitude: 6_700, ..planted }
            }
            Scenario::GAS_VALVE => self.once(device, onset, "valve_closed", 0),
            Scenario::GAS_TILT => self.once(device, onset, "tilt", 1),
            Scenario::GAS_PRESSURE => self.once(device, onset, "pressure_fault", 1),
            Scenario::BATTERY_PROJ => return self.battery(scenario, device, onset),
            _ => return None,
        })
    }

    fn power(&mut self, scenario: &Scenario, device: usize, onset: UtcTime) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        let days = |days: i64| Span { from: onset, to: onset.plus_seconds(days * DAY_S) };
        Some(match *scenario {
            Scenario::STOPPED_POWER => {
                self.part(device, ever, Twist::Scale(0));
                Planted::forever(0)
            }
            Scenario::STUCK => {
                let value = self.stream.between(60, 200);
                let planted = self.lasting(scenario, device, onset, Twist::Stuck(value));
                Planted { magnitude: value, ..planted }
            }
            Scenario::SPIKE => {
                self.part(device, days(9), Twist::Spike(4_500));
                Planted { end: Some(days(9).to), magnitude: 4_500 }
            }
            Scenario::DOUBLE_COUNT => {
                let permille = self.stream.between(1_250, 1_700);
                self.lasting(scenario, device, onset, Twist::Intervals(permille))
            }
            Scenario::SUM_WANDERS => {
                // A worn contact loses pulses on some days and doubles them on others.
                let (less, more) =
                    (self.stream.between(650, 900), self.stream.between(1_100, 1_350));
                let planted = self.lasting(scenario, device, onset, Twist::Wander { less, more });
                Planted { magnitude: more - less, ..planted }
            }
            Scenario::WRONG_MULTIPLIER => {
                self.lasting(scenario, device, onset, Twist::Intervals(10_000))
            }
            Scenario::BAD_READ => {
                self.part(device, ever, Twist::Jump(40_000));
                Planted::forever(40_000)
            }
            Scenario::REVERSE => {
                self.devices[device].export = true;
                if self.stream.chance(0.5) {
                    self.once(device, onset, "reverse_rotation", 1);
                }
                let value = self.stream.between(20, 60);
                self.lasting(scenario, device, onset, Twist::Export(value))
            }
            Scenario::REGISTER_DECREASE => {
                // More than a day's use, so that a daily read shows it.
                let lost = self.stream.between(40_000, 90_000);
                self.part(device, ever, Twist::Drop(lost));
                Planted::forever(lost)
            }
            Scenario::RESET => {
                self.part(device, ever, Twist::Drop(i64::MAX / 2));
                Planted::forever(0)
            }
            Scenario::HIGH => {
                let permille = self.stream.between(4_000, 6_000);
                self.lasting(scenario, device, onset, Twist::Scale(permille))
            }
            Scenario::LOW => {
                let permille = self.stream.between(40, 120);
                self.lasting(scenario, device, onset, Twist::Scale(permille))
            }
            Scenario::TAMPER => {
                self.part(device, ever, Twist::Scale(450));
                self.once(device, onset, "cover_opened", 1);
                self.once(device, onset.plus_seconds(HOUR_S), "magnetic_field", 1)
            }
            _ => return self.communication(scenario, device, onset),
        })
    }

    fn communication(
        &mut self,
        scenario: &Scenario,
        device: usize,
        onset: UtcTime,
    ) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        Some(match *scenario {
            Scenario::RF_ABRUPT => {
                self.part(device, ever, Twist::Mute);
                Planted::forever(0)
            }
            Scenario::RF_MARGINAL => {
                let permille = self.stream.between(350, 500);
                self.lasting(scenario, device, onset, Twist::Lossy(permille))
            }
            Scenario::SINGLE_OUT => {
                let hours = self.stream.between(3, 8);
                let planted = self.hours(device, onset, hours, Twist::Dark);
                self.outage_events(device, onset, planted.end);
                planted
            }
            _ => return self.device_fault(scenario, device, onset),
        })
    }

    fn device_fault(
        &mut self,
        scenario: &Scenario,
        device: usize,
        onset: UtcTime,
    ) -> Option<Planted> {
        let ever = Span { from: onset, to: UtcTime::MAX };
        Some(match *scenario {
            Scenario::OVERFLOW => {
                self.hours(device, onset, 6, Twist::Flag(DeviceFlags::OVERFLOW.bits()))
            }
            Scenario::NOT_RECORDING => {
                let twist = Twist::Flag(DeviceFlags::NOT_RECORDING.bits());
                self.lasting(scenario, device, onset, twist)
            }
            Scenario::TEST_MODE => {
                self.hours(device, onset, 9, Twist::Flag(DeviceFlags::TEST.bits()))
            }
            Scenario::HARDWARE => {
                self.lasting(scenario, device, onset, Twist::Status("hardware_fault"))
            }
            Scenario::SWAP => self.once(device, onset, "identity_changed", 1),
            Scenario::CLOCK_DRIFT => {
                let per_day = self.stream.between(35, 90);
                self.part(device, ever, Twist::Clock { step: 0, per_day });
                Planted::forever(per_day)
            }
            Scenario::CLOCK_JUMP => {
                let sign = if self.stream.chance(0.5) { 1 } else { -1 };
                let step = sign * self.stream.between(240, 3_000);
                self.part(device, ever, Twist::Clock { step, per_day: 0 });
                Planted::forever(step)
            }
            Scenario::DST => {
                self.part(device, ever, Twist::Shift(3_600));
                Planted::forever(3_600)
            }
            Scenario::PHASE => {
                let permille = self.stream.between(2_000, 3_000);
                self.lasting(scenario, device, onset, Twist::Reactive(permille))
            }
            Scenario::TOU => self.lasting(scenario, device, onset, Twist::Rates(300)),
            Scenario::DUPLICATES => self.lasting(scenario, device, onset, Twist::Contradict),
            Scenario::LENGTH => self.lasting(scenario, device, onset, Twist::Length(1_800)),
            Scenario::INACTIVE => {
                let meter = self.devices[device].number.clone();
                self.acts.push(TimedAct { at: onset, act: TrialAct::AccountEnds { meter } });
                Planted::forever(0)
            }
            _ => return None,
        })
    }

    /// The last words of a meter that loses its power, and the first when it has it again.
    pub(crate) fn outage_events(&mut self, device: usize, from: UtcTime, to: Option<UtcTime>) {
        let gasp = from.plus_seconds(self.stream.between(1, 40));
        self.urgent.push(Urgent { at: gasp, device, code: "last_gasp" });
        if let Some(to) = to {
            let back = to.plus_seconds(self.stream.between(5, 90));
            self.urgent.push(Urgent { at: back, device, code: "power_restore" });
        }
    }
}
