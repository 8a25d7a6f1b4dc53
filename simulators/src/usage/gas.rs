//! Gas: heating by outdoor temperature, and hot water.

use crate::calendar::Day;
use crate::rng::{Stream, whole};

use super::pour;

/// A house with gas heating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HomeGas {
    /// Litres of gas per hour and degree of heating. Boilers run throttled: the first cold days
    /// cost most, further cold adds little.
    litres_per_degree: f64,
    people: i64,
    wakes: i64,
}

/// No heating above this daily mean, in degrees Celsius.
const HEATING_LIMIT: f64 = 16.0;

/// From May to September the heating runs in the morning and in the evening only: 8 hours burn as
/// much as the whole day of winter would.
const MILD_SHARE: f64 = 3.01;

/// Share of a day's unusual warmth or cold that reaches the heating; walls keep the rest out.
const INERTIA: f64 = 0.15;

impl HomeGas {
    pub(crate) fn draw(stream: &mut Stream) -> Self {
        Self {
            litres_per_degree: stream.real(15.0, 32.0),
            people: stream.between(1, 4),
            wakes: stream.between(335, 420),
        }
    }

    pub(crate) fn fill(&self, stream: &mut Stream, day: &Day, cells: &mut [i64]) {
        let factor = 1.0 + 0.08 * stream.normal();
        let season = (HEATING_LIMIT - day.usual_temperature).max(0.0);
        let throttled = 6.0 * season / (season + 2.0) + 0.25 * season;
        let degrees = (throttled + INERTIA * (day.usual_temperature - day.temperature)).max(0.0);
        let degrees = if season > 0.0 { degrees } else { 0.0 };
        let mild = (5..=9).contains(&day.month);
        let mut rest = 0.0;
        for (minute, cell) in cells.iter_mut().enumerate() {
            let share = match minute {
                360..540 | 1020..1320 if mild => MILD_SHARE,
                _ if mild => 0.0,
                330..1350 => 1.15,
                _ => 0.65,
            };
            rest += self.litres_per_degree * degrees * factor * share * 1000.0 / 60.0;
            let amount = whole(rest.floor());
            rest -= rest.floor();
            *cell += amount;
        }
        for _ in 0..self.people + 1 {
            let evening = stream.chance(0.45);
            let from = if evening { 1080 } else { self.wakes };
            let minute = stream.between(from, from + 150);
            let minutes = stream.between(5, 9);
            let first = usize::try_from(minute).unwrap_or(0);
            pour(cells, first, usize::try_from(minutes).unwrap_or(1), minutes * 32_000);
        }
    }
}
