//! Registers to intervals: where the counter stood at each grid point, and what lies between.
//!
//! The counter at a grid point is the straight line between the two reads around it, rounded down
//! to what the counter can show: a counter of whole litres moves by whole litres, and estimates that
//! must add up to it stay on its steps. Each interval is the difference of two such points, so that intervals add up
//! to the advance of the register exactly. Over a longer silence no line is drawn: those slots
//! stay missing, and nobody mistakes a guess for a measurement.

use metering::exact::STORED_MAX;
use metering::{Interval, UtcTime};

/// A counter's unrolled total in milli-units, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    pub at: UtcTime,
    pub total: i64,
}

/// The grid of a channel: interval length in seconds since the epoch, and the step of its counter in
/// milli-units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    pub len_s: i32,
    pub step: i64,
}

/// Reads further apart than this many intervals are not joined.
const JOINED_INTERVALS_MAX: i64 = 2;

/// Emits every interval whose two ends are known once the counter went from `from` to `to`, and
/// returns the last grid point that is known. `boundary` is what the previous call returned.
/// `to` is later than `from`.
pub fn derive(
    from: Point,
    to: Point,
    boundary: Option<Point>,
    grid: Grid,
    mut emit: impl FnMut(Interval, i64),
) -> Option<Point> {
    let len_s = grid.len_s;
    let len = i64::from(len_s);
    if to.at.micros().saturating_sub(from.at.micros()) > len * JOINED_INTERVALS_MAX * 1_000_000 {
        return start(to, len_s);
    }
    let mut known = boundary;
    let mut at = from.at.floor_to(len).plus_seconds(len);
    while at <= to.at {
        let point = Point { at, total: between((from, to), at, grid.step) };
        if let Some(before) = known.filter(|before| before.at.plus_seconds(len) == at)
            && let Some(interval) = Interval::ending_at(at, len_s)
            && point.total.abs_diff(before.total) <= STORED_MAX.unsigned_abs()
        {
            emit(interval, point.total - before.total);
        }
        known = Some(point);
        at = at.plus_seconds(len);
    }
    known
}

/// The first known grid point of a counter that starts, or starts again, at `point`.
pub fn start(point: Point, len_s: i32) -> Option<Point> {
    (point.at.floor_to(i64::from(len_s)) == point.at).then_some(point)
}

/// The counter at `at` on the line from `from` to `to`, rounded down to its step. At a read it is
/// what was read, and it never leaves what lies between the two.
fn between((from, to): (Point, Point), at: UtcTime, step: i64) -> i64 {
    if at == to.at {
        return to.total;
    }
    let span = i128::from(to.at.micros()) - i128::from(from.at.micros());
    let part = i128::from(at.micros()) - i128::from(from.at.micros());
    let rise = i128::from(to.total) - i128::from(from.total);
    let step = i128::from(step.max(1));
    // Counted from `from`, which the counter did show.
    let steps = (rise * part).div_euclid(span.max(1)).div_euclid(step);
    let risen = (steps * step).max(rise.min(0));
    // Between two totals of 63 bits lies a total of 63 bits.
    i64::try_from(i128::from(from.total) + risen).unwrap_or(to.total)
}

#[cfg(test)]
#[path = "grid_tests.rs"]
mod tests;
