//! Scales: where a value and an instant stand, and which ticks are worth a label.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use metering::UtcTime;

use super::{ChartSpec, QualityMark};
use crate::console::measure::DisplayUnit;

/// Values from `lo` at the bottom to `hi` at the top, in milli-units.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueScale {
    pub(super) lo: i64,
    pub(super) hi: i64,
    pub(super) step: i64,
    height: f64,
}

impl ValueScale {
    /// A suspect value does not set the axis unless there is nothing else.
    pub(super) fn of(spec: &ChartSpec) -> Self {
        let usual = extremes(spec, false).or_else(|| extremes(spec, true));
        let (mut lo, mut hi) = usual.unwrap_or((0, spec.unit.milli));
        for limit in &spec.limits {
            // A limit far above all values would press them flat: it is then named, not drawn.
            if limit.at <= hi.saturating_mul(3) {
                hi = hi.max(limit.to.unwrap_or(limit.at));
            }
        }
        if let Some(top) = spec.top {
            hi = hi.min(top);
        }
        if spec.from_zero {
            lo = lo.min(0);
        }
        if hi <= lo {
            hi = lo.saturating_add(smallest_span(spec.unit));
        }
        let mut step = nice_step(hi - lo);
        if spec.whole {
            step = step.max(spec.unit.milli);
        }
        let lo = lo.div_euclid(step) * step;
        let hi = (hi + step - 1).div_euclid(step) * step;
        Self { lo, hi, step, height: f64::from(spec.height) }
    }

    /// px from the top of the plot; negative above it.
    pub(super) fn y(&self, value: i64) -> f64 {
        let share = (value - self.lo) as f64 / (self.hi - self.lo) as f64;
        self.height * (1.0 - share)
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = i64> {
        let (lo, step) = (self.lo, self.step);
        (0..=(self.hi - lo) / step).map(move |n| lo + n * step)
    }
}

fn extremes(spec: &ChartSpec, with_suspect: bool) -> Option<(i64, i64)> {
    let mut found: Option<(i64, i64)> = None;
    for point in spec.series.iter().flat_map(|series| &series.points) {
        let Some(value) = point.value else { continue };
        if point.mark == QualityMark::Suspect && !with_suspect {
            continue;
        }
        let (lo, hi) = found.unwrap_or((value.min, value.max));
        found = Some((lo.min(value.min), hi.max(value.max)));
    }
    found
}

/// An axis over nothing but zeros still has a top: one unit.
fn smallest_span(unit: DisplayUnit) -> i64 {
    unit.milli.max(1)
}

/// 1, 2 or 5 times a power of ten, so that three to six steps cover `range`.
fn nice_step(range: i64) -> i64 {
    let mut power = 1_i64;
    while range / power > 50 {
        power = power.saturating_mul(10);
    }
    [1, 2, 5, 10, 20]
        .into_iter()
        .map(|factor| power.saturating_mul(factor))
        .find(|step| range <= step.saturating_mul(5))
        .unwrap_or(power.saturating_mul(50))
}

/// Instants across the plot.
#[derive(Clone, Debug)]
pub(super) struct TimeScale {
    pub(super) from: UtcTime,
    pub(super) to: UtcTime,
    zone: TimeZone,
}

/// A labelled place on the time axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct TimeTick {
    /// Where the grid line stands; `None` when the label stands between two lines.
    pub(super) line: Option<f64>,
    pub(super) label_at: f64,
    pub(super) label: String,
}

impl TimeScale {
    pub(super) fn of(spec: &ChartSpec) -> Self {
        let to = spec.to.max(spec.from.plus_seconds(1));
        Self { from: spec.from, to, zone: spec.zone.clone() }
    }

    /// Share of the width in units of 1000, not cut.
    pub(super) fn x(&self, at: UtcTime) -> f64 {
        let whole = (self.to.micros() - self.from.micros()) as f64;
        (at.micros() - self.from.micros()) as f64 / whole * 1000.0
    }

    /// As [`TimeScale::x`], cut to the plot, in per cent.
    pub(super) fn percent(&self, at: UtcTime) -> f64 {
        self.x(at).clamp(0.0, 1000.0) / 10.0
    }

    pub(super) fn contains(&self, at: UtcTime) -> bool {
        self.from <= at && at < self.to
    }

    /// Hours within a day, days within some weeks, months beyond.
    pub(super) fn ticks(&self) -> Vec<TimeTick> {
        const HOUR: i64 = 3_600;
        let length = self.to.seconds_since(self.from);
        let steps = [(900, 2 * HOUR), (1_800, 4 * HOUR), (HOUR, 8 * HOUR), (3 * HOUR, 27 * HOUR)];
        if let Some((step, _)) = steps.iter().find(|(_, up_to)| length <= *up_to) {
            return self.hour_ticks(*step);
        }
        if length <= 54 * HOUR {
            return self.hour_ticks(6 * HOUR);
        }
        match length / 86_400 {
            0..=9 => self.day_ticks(1),
            10..=20 => self.day_ticks(2),
            21..=75 => self.day_ticks(7),
            days => self.month_ticks(if days > 300 { 2 } else { 1 }),
        }
    }

    fn hour_ticks(&self, step_s: i64) -> Vec<TimeTick> {
        let mut ticks: Vec<TimeTick> = Vec::new();
        let mut date = self.date_of(self.from);
        let last = self.date_of(self.to);
        while date <= last {
            for n in 0..86_400 / step_s {
                let Some(at) = self.wall_time(date, n * step_s) else { continue };
                if at < self.from || at > self.to {
                    continue;
                }
                let label = if n == 0 { "%a %-d" } else { "%H:%M" };
                ticks.push(self.tick(at, label));
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        ticks
    }

    /// Grid at midnights; the name stands in the middle of its day when every day is named.
    fn day_ticks(&self, every: i64) -> Vec<TimeTick> {
        let mut ticks = Vec::new();
        let mut date = self.date_of(self.from);
        let last = self.date_of(self.to);
        let mut number = 0;
        while date <= last {
            let Ok(next) = date.tomorrow() else { break };
            if number % every == 0
                && let (Some(start), Some(end)) = (self.wall_time(date, 0), self.wall_time(next, 0))
            {
                ticks.extend(self.day_tick(start, end, every == 1));
            }
            (date, number) = (next, number + 1);
        }
        ticks
    }

    fn day_tick(&self, start: UtcTime, end: UtcTime, in_the_middle: bool) -> Option<TimeTick> {
        let inside = self.contains(start);
        if !in_the_middle {
            return inside.then(|| self.tick(start, "%-d %b"));
        }
        let (left, right) = (self.percent(start), self.percent(end));
        let whole_day = self.x(end) - self.x(start);
        // A day that is mostly outside has no room for its name.
        if right - left < whole_day / 10.0 * 0.5 {
            return inside.then(|| TimeTick {
                line: Some(left),
                label_at: left,
                label: String::new(),
            });
        }
        Some(TimeTick {
            line: inside.then_some(left),
            label_at: f64::midpoint(left, right),
            label: self.local(start, "%a %-d"),
        })
    }

    fn month_ticks(&self, every: i64) -> Vec<TimeTick> {
        let mut ticks = Vec::new();
        let mut date = self.date_of(self.from).first_of_month();
        let step: Span = every.months();
        while let Some(at) = self.wall_time(date, 0).filter(|at| *at < self.to) {
            if at >= self.from {
                let january = date.month() == 1;
                ticks.push(self.tick(at, if january { "%b %Y" } else { "%b" }));
            }
            let Ok(next) = date.checked_add(step) else { break };
            date = next;
        }
        ticks
    }

    /// Instants within the range at which clocks are set, with what they do.
    pub(super) fn clock_changes(&self) -> Vec<(UtcTime, String)> {
        let mut changes = Vec::new();
        let mut before = self.zone.to_offset(self.from.to_jiff());
        for transition in self.zone.following(self.from.to_jiff()) {
            let at = UtcTime::from_jiff(transition.timestamp());
            if at >= self.to || changes.len() == 4 {
                break;
            }
            let by_s = i64::from(transition.offset().seconds() - before.seconds());
            before = transition.offset();
            let way = if by_s > 0 { "forward" } else { "back" };
            if by_s != 0 {
                let by = crate::console::words::duration(by_s.abs());
                changes.push((at, format!("clocks {way} {by}")));
            }
        }
        changes
    }

    fn tick(&self, at: UtcTime, format: &str) -> TimeTick {
        let x = self.percent(at);
        TimeTick { line: Some(x), label_at: x, label: self.local(at, format) }
    }

    fn local(&self, at: UtcTime, format: &str) -> String {
        at.to_jiff().to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    fn date_of(&self, at: UtcTime) -> Date {
        at.to_jiff().to_zoned(self.zone.clone()).date()
    }

    /// The instant of a local wall time; `None` where clocks skip it.
    fn wall_time(&self, date: Date, second_of_day: i64) -> Option<UtcTime> {
        let wall = date.to_datetime(Time::midnight()).checked_add(second_of_day.seconds()).ok()?;
        let zoned = self.zone.to_zoned(wall).ok()?;
        // Midnight may be skipped too (Beirut, Asunción): the day then starts at the next instant.
        (second_of_day == 0 || zoned.datetime() == wall)
            .then(|| UtcTime::from_jiff(zoned.timestamp()))
    }
}
