//! What customers use, day by day, in cells of a local day.
//!
//! A day is a pure function of seed, meter and day, so that any day can be computed again. What a
//! fault or a look-alike changes is applied on top ([`Change`]).

mod gas;
mod power;
mod water;

pub(crate) use gas::HomeGas;
pub(crate) use power::{Power, PowerKind};
pub(crate) use water::{ConstantWater, HomeWater, ShopWater};

use metering::UtcTime;

use crate::calendar::Day;
use crate::rng::Stream;

/// How a customer uses what the meter measures.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    HomeWater(HomeWater),
    ShopWater(ShopWater),
    ConstantWater(ConstantWater),
    HomeGas(HomeGas),
    Power(Power),
    /// An empty place.
    Nothing,
}

/// Use per cell in milli-units: mL by the minute, or mWh by the quarter hour.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct DayUse {
    pub(crate) import: Vec<i64>,
    /// Fed into the network; empty for all but producers.
    pub(crate) export: Vec<i64>,
}

/// A stretch of time, `from` included and `to` not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) from: UtcTime,
    pub(crate) to: UtcTime,
}

/// What happens to the use within a span, on top of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) span: Span,
    pub(crate) effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// This much more, in milli-units per hour.
    Add(i64),
    /// This share of the usual use, in thousandths.
    Scale(i64),
}

impl Span {
    pub(crate) fn contains(&self, at: UtcTime) -> bool {
        self.from <= at && at < self.to
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl Model {
    /// Length of a cell in seconds.
    pub(crate) const fn cell_s(&self) -> i64 {
        match self {
            Self::Power(_) => 900,
            _ => 60,
        }
    }

    pub(crate) fn day(&self, stream: &mut Stream, day: &Day) -> DayUse {
        let mut out = DayUse { import: vec![0; day.cells(self.cell_s())], export: Vec::new() };
        match self {
            Self::HomeWater(home) => home.fill(stream, day, &mut out.import),
            Self::ShopWater(shop) => shop.fill(stream, day, &mut out.import),
            Self::ConstantWater(constant) => constant.fill(stream, &mut out.import),
            Self::HomeGas(home) => home.fill(stream, day, &mut out.import),
            Self::Power(power) => power.fill(stream, day, &mut out),
            Self::Nothing => {}
        }
        out
    }
}

impl Change {
    /// Applies the effect to the cells of a day that begins at `start`. A cell belongs to the span
    /// when its beginning does.
    pub(crate) fn apply(&self, start: UtcTime, cell_s: i64, cells: &mut [i64]) {
        let first = self.span.from.seconds_since(start).max(0).saturating_add(cell_s - 1) / cell_s;
        let last = self.span.to.seconds_since(start).max(0).saturating_add(cell_s - 1) / cell_s;
        let first = usize::try_from(first).unwrap_or(usize::MAX).min(cells.len());
        let last = usize::try_from(last).unwrap_or(usize::MAX).min(cells.len()).max(first);
        let mut rest = 0;
        for cell in &mut cells[first..last] {
            match self.effect {
                Effect::Add(rate) => {
                    let exact = rate * cell_s + rest;
                    *cell += exact / 3600;
                    rest = exact % 3600;
                }
                Effect::Scale(permille) => *cell = *cell * permille / 1000,
            }
        }
    }
}

/// Spreads `amount` evenly over `count` cells from `first` on; what lies beyond the day is dropped.
fn pour(cells: &mut [i64], first: usize, count: usize, amount: i64) {
    let parts = i64::try_from(count.max(1)).unwrap_or(1);
    for part in 0..parts {
        let share = amount * (part + 1) / parts - amount * part / parts;
        let index = first + usize::try_from(part).unwrap_or(0);
        if let Some(cell) = cells.get_mut(index) {
            *cell += share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_adds_its_rate_exactly_and_a_stop_leaves_nothing() {
        let start = UtcTime::from_seconds(0);
        let span = Span { from: start.plus_seconds(90), to: start.plus_seconds(3600 + 90) };
        let mut cells = vec![7_i64; 120];
        Change { span, effect: Effect::Add(15_000) }.apply(start, 60, &mut cells);
        assert_eq!(cells.iter().sum::<i64>(), 120 * 7 + 15_000);
        assert_eq!((cells[1], cells[2], cells[61], cells[62]), (7, 257, 257, 7));
        let stop = Span { from: start, to: UtcTime::MAX };
        Change { span: stop, effect: Effect::Scale(0) }.apply(start, 60, &mut cells);
        assert!(cells.iter().all(|cell| *cell == 0));
    }

    #[test]
    fn a_change_outside_the_day_changes_nothing() {
        let start = UtcTime::from_seconds(86_400);
        let span = Span { from: UtcTime::from_seconds(0), to: start };
        let mut cells = vec![1_i64; 96];
        Change { span, effect: Effect::Scale(5000) }.apply(start, 900, &mut cells);
        assert_eq!(cells.iter().sum::<i64>(), 96);
    }

    #[test]
    fn pouring_loses_nothing() {
        let mut cells = vec![0; 10];
        pour(&mut cells, 2, 7, 1000);
        assert_eq!(cells.iter().sum::<i64>(), 1000);
        pour(&mut cells, 9, 5, 50);
        assert_eq!(cells[9], 10);
    }
}
