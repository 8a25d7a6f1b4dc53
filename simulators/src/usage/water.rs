//! Water: toilets, taps, showers, washing machines, gardens; shops; places that never stop.

use crate::calendar::Day;
use crate::rng::{Stream, whole};

use super::pour;

/// A household. Nobody uses water for four hours each night, since a house without such a pause has
/// a leak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HomeWater {
    people: i64,
    /// Minutes after local midnight.
    wakes: i64,
    sleeps: i64,
    toilet_ml: i64,
    shower_ml_per_min: i64,
    machine_ml: i64,
    /// Chance of a machine load per day.
    machine: f64,
    /// Litres per hour of the garden's watering each morning; 0 without.
    garden_lph: i64,
}

/// A shop or an office, open on weekdays and perhaps on Saturday.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShopWater {
    opens: i64,
    closes: i64,
    lph: i64,
    saturdays: bool,
}

/// A hospital or a cooling tower: flow around the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConstantWater {
    lph: i64,
}

/// Uses per head and day.
const TOILETS: i64 = 5;
const TAPS: i64 = 9;
/// Nobody uses water from this minute of the day until the household wakes.
const QUIET_FROM: i64 = 80;

impl HomeWater {
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        Self {
            people: stream.between(1, 5),
            wakes: stream.between(335, 440),
            sleeps: stream.between(1320, 1410),
            toilet_ml: stream.between(5_500, 8_500),
            shower_ml_per_min: stream.between(7_000, 9_500),
            machine_ml: stream.between(42_000, 60_000),
            machine: stream.real(0.42, 0.58),
            garden_lph: 0,
        }
    }

    pub(crate) fn with_garden(mut self, lph: i64) -> Self {
        self.garden_lph = lph;
        self
    }

    pub(crate) fn fill(&self, stream: &mut Stream, day: &Day, cells: &mut [i64]) {
        let factor = 1.0 + 0.11 * stream.normal() + if day.is_weekend() { 0.1 } else { 0.0 };
        for _ in 0..self.people * TOILETS + stream.between(-1, 1) {
            self.draw_off(stream, cells, self.toilet_ml, 1);
        }
        for _ in 0..self.people * TAPS {
            let amount = stream.between(600, 3_400);
            self.draw_off(stream, cells, amount, 1);
        }
        for _ in 0..self.people {
            if stream.chance(0.8) {
                let minutes = stream.between(4, 8);
                self.draw_off(stream, cells, minutes * self.shower_ml_per_min, minutes);
            }
        }
        if stream.chance(self.machine) {
            let first = stream.between(self.wakes + 30, 1200);
            for fill in 0..3 {
                at(cells, first + fill * 22, 4, self.machine_ml / 3);
            }
        }
        if stream.chance(0.2) {
            let first = stream.between(5, QUIET_FROM - 10);
            at(cells, first, 1, self.toilet_ml);
        }
        scale_to(cells, whole(self.usual_ml() * factor));
        if self.garden_lph > 0 {
            let minutes = stream.between(15, 90);
            at(cells, self.wakes + 5, minutes, self.garden_lph * 1000 * minutes / 60);
        }
    }

    /// Mean of a day. Each day is scaled to it within about a quarter, since people who shower
    /// twice on a day are not news; what differs is when and how.
    fn usual_ml(&self) -> f64 {
        let per_head = TOILETS * self.toilet_ml + TAPS * 2_000 + 5 * self.shower_ml_per_min;
        let machine = real(self.machine_ml) * self.machine;
        real(self.people * per_head) + machine
    }

    /// One use at a time of day when people are awake: mostly mornings and evenings.
    fn draw_off(&self, stream: &mut Stream, cells: &mut [i64], amount: i64, minutes: i64) {
        let minute = match stream.below(100) {
            0..35 => stream.between(self.wakes, self.wakes + 120),
            35..60 => stream.between(self.wakes + 120, 1020),
            _ => stream.between(1020, self.sleeps),
        };
        at(cells, minute, minutes, amount);
    }
}

impl ShopWater {
    pub(crate) fn draw(stream: &mut Stream, saturdays: bool) -> Self {
        Self {
            opens: stream.between(420, 540),
            closes: stream.between(1050, 1170),
            lph: stream.between(60, 260),
            saturdays,
        }
    }

    pub(crate) fn fill(&self, stream: &mut Stream, day: &Day, cells: &mut [i64]) {
        let open = match day.weekday {
            jiff::civil::Weekday::Sunday => false,
            jiff::civil::Weekday::Saturday => self.saturdays,
            _ => true,
        };
        if !open {
            return;
        }
        let factor = 1.0 + 0.08 * stream.normal();
        for hour in self.opens / 60..=self.closes / 60 {
            let amount = whole(real(self.lph) * 1000.0 * factor * stream.real(0.8, 1.2));
            let minute = stream.between(0, 20);
            at(cells, hour * 60 + minute, 35, amount);
        }
    }
}

impl ConstantWater {
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        Self { lph: stream.between(280, 700) }
    }

    pub(crate) fn fill(&self, stream: &mut Stream, cells: &mut [i64]) {
        let factor = 1.0 + 0.06 * stream.normal();
        for (minute, cell) in cells.iter_mut().enumerate() {
            let busy = if (360..1320).contains(&minute) { 1.3 } else { 0.8 };
            *cell +=
                whole(real(self.lph) * factor * busy * stream.real(0.85, 1.15) * 1000.0 / 60.0);
        }
    }
}

/// Makes the day's total this amount, up to rounding.
fn scale_to(cells: &mut [i64], amount: i64) {
    let total: i64 = cells.iter().sum();
    if total > 0 {
        cells.iter_mut().for_each(|cell| *cell = *cell * amount / total);
    }
}

fn real(amount: i64) -> f64 {
    f64::from(i32::try_from(amount).unwrap_or(i32::MAX))
}

fn at(cells: &mut [i64], minute: i64, minutes: i64, amount: i64) {
    let first = usize::try_from(minute.max(0)).unwrap_or(0);
    pour(cells, first, usize::try_from(minutes).unwrap_or(1), amount);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Days;
    use crate::rng::Purpose;
    use metering::{LocalCalendar, UtcTime};

    #[test]
    fn a_house_has_a_quiet_night_and_a_plausible_day() {
        let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
        let from = UtcTime::parse_rfc3339("2026-10-17T00:00:00Z").unwrap();
        let days = Days::new(&calendar, 3, from, from.plus_seconds(35 * 86_400));
        for house in 0..50 {
            let mut stream = Stream::new(3, Purpose::Layout, house, 0);
            let home = HomeWater::draw(&mut stream);
            let mut total = 0;
            for (index, day) in days.all().iter().enumerate() {
                let mut cells = vec![0; day.cells(60)];
                let mut stream = Stream::new(3, Purpose::Usage, house, index);
                home.fill(&mut stream, day, &mut cells);
                let quiet = usize::try_from(QUIET_FROM).unwrap()..335;
                assert!(cells[quiet].iter().all(|cell| *cell == 0), "house {house} day {index}");
                total += cells.iter().sum::<i64>();
            }
            let mean_l = total / 1000 / i64::try_from(days.all().len()).unwrap();
            assert!((70..900).contains(&mean_l), "house {house}: {mean_l} L/d");
        }
    }
}
