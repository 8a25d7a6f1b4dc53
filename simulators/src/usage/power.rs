//! Electricity: base load and daily profile, weekends, electric cars, solar panels, cooling.

use crate::calendar::Day;
use crate::rng::{Stream, whole};

use super::DayUse;

/// How an electricity customer behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    kind: PowerKind,
    base_w: f64,
    active_w: f64,
    /// Deviation of a day's use from the usual, as a share.
    spread: f64,
    /// Charging power of a car in watts; 0 without.
    pub(crate) car_w: f64,
    /// Peak of the solar panels in watts; 0 without.
    pub(crate) solar_w: f64,
    /// Power of the air conditioning in watts; 0 without.
    pub(crate) cooling_w: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PowerKind {
    Home,
    Shop,
    Plant,
}

/// Share of the active load by local hour.
const HOME: [f64; 24] = [
    0.25, 0.15, 0.1, 0.1, 0.1, 0.2, 0.6, 1.0, 0.9, 0.6, 0.55, 0.65, 0.9, 0.75, 0.55, 0.55, 0.7,
    1.1, 1.7, 1.9, 1.7, 1.35, 0.9, 0.5,
];
const SHOP: [f64; 24] = [
    0.05, 0.05, 0.05, 0.05, 0.05, 0.1, 0.3, 0.7, 1.2, 1.5, 1.6, 1.6, 1.5, 1.5, 1.6, 1.6, 1.5, 1.4,
    1.0, 0.5, 0.2, 0.1, 0.05, 0.05,
];

/// Above this daily mean the air conditioning runs, in degrees Celsius.
const COOLING_FROM: f64 = 18.0;

impl Power {
    pub(crate) fn draw(stream: &mut Stream, kind: PowerKind) -> Self {
        let (base, active, spread) = match kind {
            PowerKind::Home => ((90.0, 240.0), (180.0, 520.0), 0.09),
            PowerKind::Shop => ((300.0, 700.0), (1_500.0, 5_000.0), 0.07),
            PowerKind::Plant => ((4_000.0, 9_000.0), (15_000.0, 45_000.0), 0.05),
        };
        Self {
            kind,
            base_w: stream.real(base.0, base.1),
            active_w: stream.real(active.0, active.1),
            spread,
            car_w: 0.0,
            solar_w: 0.0,
            cooling_w: 0.0,
        }
    }

    pub(crate) fn fill(&self, stream: &mut Stream, day: &Day, out: &mut DayUse) {
        let mut factor = 1.0 + self.spread * stream.normal();
        if day.is_weekend() {
            factor *= if self.kind == PowerKind::Home { 1.1 } else { 0.2 };
        }
        let car = self.car_hours(stream);
        if self.solar_w > 0.0 {
            out.export = vec![0; out.import.len()];
        }
        let cooling = self.cooling_w * ((day.temperature - COOLING_FROM) / 6.0).clamp(0.0, 1.0);
        for (slot, import) in out.import.iter_mut().enumerate() {
            let hour = (slot / 4) % 24;
            let profile = if self.kind == PowerKind::Home { &HOME } else { &SHOP };
            let mut watts = (self.base_w + self.active_w * profile[hour]) * factor;
            watts *= stream.real(0.75, 1.25);
            if car.is_some_and(|(first, last)| (first..last).contains(&slot)) {
                watts += self.car_w;
            }
            if (11..20).contains(&hour) {
                watts += cooling;
            }
            let solar = self.solar(stream, day, slot);
            *import = quarter_mwh(watts - solar);
            if let Some(export) = out.export.get_mut(slot) {
                *export = quarter_mwh(solar - watts);
            }
        }
    }

    /// First and last quarter hour of tonight's charging, if there is a car.
    fn car_hours(&self, stream: &mut Stream) -> Option<(usize, usize)> {
        let first = stream.index(8) + 78;
        let len = stream.index(14);
        (self.car_w > 0.0).then_some((first, first + len))
    }

    /// Power of the panels in watts: a parabola over the day, dimmed by clouds and the season.
    fn solar(&self, stream: &mut Stream, day: &Day, slot: usize) -> f64 {
        if self.solar_w <= 0.0 {
            return 0.0;
        }
        let hour = f64::from(u16::try_from(slot).unwrap_or(0)) / 4.0;
        let from_noon = (hour - 12.5) / if (4..=9).contains(&day.month) { 7.0 } else { 4.5 };
        let season = if (4..=9).contains(&day.month) { 0.9 } else { 0.45 };
        let height = (1.0 - from_noon * from_noon).max(0.0);
        let clear = 0.25 + 0.7 * day.sun;
        self.solar_w * season * height * clear * stream.real(0.8, 1.1)
    }
}

/// Energy of a quarter hour in whole watt-hours, as mWh; nothing for a negative power.
fn quarter_mwh(watts: f64) -> i64 {
    whole(watts.max(0.0) * 250.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Days;
    use crate::rng::Purpose;
    use metering::{LocalCalendar, UtcTime};

    fn day_kwh(power: &Power, seed: u64) -> Vec<(i64, i64)> {
        let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
        let from = UtcTime::parse_rfc3339("2026-06-01T00:00:00Z").unwrap();
        let days = Days::new(&calendar, seed, from, from.plus_seconds(20 * 86_400));
        let use_of = |(index, day): (usize, &Day)| {
            let mut out = DayUse { import: vec![0; day.cells(900)], export: Vec::new() };
            power.fill(&mut Stream::new(seed, Purpose::Usage, 0, index), day, &mut out);
            let kwh = |cells: &[i64]| cells.iter().sum::<i64>() / 1_000_000;
            (kwh(&out.import), kwh(&out.export))
        };
        days.all().iter().enumerate().map(use_of).collect()
    }

    #[test]
    fn homes_use_3_to_25_kwh_a_day_and_panels_feed_in() {
        for seed in 0..20 {
            let home = Power::draw(&mut Stream::new(seed, Purpose::Layout, 0, 0), PowerKind::Home);
            assert!(day_kwh(&home, seed).iter().all(|day| (3..25).contains(&day.0) && day.1 == 0));
            let solar = Power { solar_w: 6_000.0, ..home };
            assert!(day_kwh(&solar, seed).iter().any(|day| day.1 > 10));
        }
    }
}
