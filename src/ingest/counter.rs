//! A register channel follows its counter: unrolls it over rollovers, starts again after resets,
//! and derives intervals on the channel's grid.

use metering::{ChannelKind, EventCode, IntervalReading, MeterEvent, Subject, UtcTime};
use vee::{Advance, Counter, CounterLimits, Rule, Verdict};

use super::grid::{self, Grid, Point};
use super::normalise::{Around, Normaliser, Told, interval_context};
use super::registry::{ChannelEntry, CounterState};
use super::scale::{Scale, Scaled};

/// A judged value, about to move the channel's state on.
pub(super) struct Step<'a> {
    pub(super) at: UtcTime,
    pub(super) scaled: Scaled,
    pub(super) advance: Advance,
    pub(super) verdict: Verdict,
    pub(super) told: &'a Told,
    pub(super) modulus: i64,
}

/// A counter that shows less than this part of what it showed has started again (MTR-RESET).
const NEAR_ZERO: i64 = 50;
/// It may also show what was used since it started again, up to this part of what it showed and so
/// many times its usual pace.
const STARTED_PART: i64 = 4;
const STARTED_PACES: i64 = 2;
const DAY_S: i64 = 86_400;
/// Reads that are nearer to one another say little of a day.
const PACE_S: i64 = 20 * 3_600;

/// How many steps a counter usually advances in a day, measured over about a day at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pace {
    from: Option<(UtcTime, i64)>,
    /// 0 = unknown.
    per_day: i64,
}

impl Pace {
    fn follow(&mut self, at: UtcTime, raw: i64, advance: Advance) {
        let Some((since, before)) =
            self.from.filter(|_| matches!(advance, Advance::Forward { .. }))
        else {
            self.from = Some((at, raw));
            return;
        };
        let elapsed_s = at.seconds_since(since);
        if elapsed_s >= PACE_S {
            let steps = raw.saturating_sub(before).max(0);
            self.per_day = steps.saturating_mul(DAY_S) / elapsed_s;
            self.from = Some((at, raw));
        }
    }

    /// A counter that fell from `before` to `raw` started at zero within these seconds.
    fn started_again(self, before: i64, raw: i64, elapsed_s: i64) -> bool {
        let used = self.per_day.saturating_mul(elapsed_s).saturating_mul(STARTED_PACES) / DAY_S;
        raw <= before / NEAR_ZERO || raw <= used.min(before / STARTED_PART)
    }
}

/// Limits of the counter, in its own steps. Where the telegram's field wraps earlier than the
/// dial, it is the field that rolls over.
pub(super) fn limits(channel: &ChannelEntry, told: &Told, net: bool) -> CounterLimits {
    let field = told.modulus.and_then(|modulus| channel.scale.steps_of(modulus));
    let modulus = match (channel.modulus, field) {
        (0, field) => field.unwrap_or(0),
        (dial, Some(field)) => dial.min(field),
        (dial, None) => dial,
    };
    CounterLimits { modulus, cap_per_hour: channel.cap_steps_per_hour, net }
}

/// What the counter did since the last read that counts. Values of the past and values whose time
/// cannot be trusted are compared with nothing.
pub(super) fn classify(
    channel: &ChannelEntry,
    told: &Told,
    raw: i64,
    limits: &CounterLimits,
    normaliser: &Normaliser<'_>,
) -> Advance {
    let latest = normaliser.received_at.plus_seconds(normaliser.params.future_max_s);
    if told.history || told.time.doubtful || told.time.at > latest {
        return Advance::Stale;
    }
    let counter = channel.state.counter;
    let previous = counter.map(|state| Counter { read_at: state.read_at, raw: state.raw });
    let now = Counter { read_at: told.time.at, raw };
    vee::classify(previous, now, limits, normaliser.params)
}

/// Moves the channel's state to the new read; emits derived intervals and events.
pub(super) fn follow(
    normaliser: &mut Normaliser<'_>,
    channel: &mut ChannelEntry,
    around: &Around<'_>,
    step: &Step<'_>,
) {
    if channel.asset.kind == ChannelKind::Instant {
        remember(channel, step);
        return;
    }
    if step.advance == Advance::Stale {
        return;
    }
    tell(normaliser, channel, around, step);
    channel.state.pace.follow(step.at, step.scaled.raw, step.advance);
    if channel.asset.kind == ChannelKind::Interval {
        // The meter sends its intervals itself; the register is only watched.
        remember(channel, step);
        return;
    }
    let before = channel.state.counter;
    let total = before.and_then(|before| next_total(&channel.scale, before, step));
    let len_s = channel.asset.len_s;
    let (total, boundary) = match (before, total) {
        (Some(before), Some(total)) if len_s > 0 => {
            let to = Point { at: step.at, total };
            (total, derive(normaliser, channel, around, (before, to, step)))
        }
        (_, Some(total)) => (total, None),
        // First read, or nothing can be said of the use in between: start here.
        (before, None) => {
            let total = before.map_or(step.scaled.value, |before| before.total);
            let here = Point { at: step.at, total };
            channel.state.open = Verdict::default();
            (total, if len_s > 0 { grid::start(here, len_s) } else { None })
        }
    };
    channel.state.counter =
        Some(CounterState { read_at: step.at, raw: step.scaled.raw, total, boundary });
    channel.state.touched = true;
}

/// Channels without derived intervals keep their last value only to know repeated telegrams.
fn remember(channel: &mut ChannelEntry, step: &Step<'_>) {
    let newer = channel.state.counter.is_none_or(|known| known.read_at < step.at);
    if newer {
        let Scaled { raw, value, .. } = step.scaled;
        channel.state.counter =
            Some(CounterState { read_at: step.at, raw, total: value, boundary: None });
    }
}

/// The unrolled total: the dial plus what earlier rollovers and resets put beside it, so that it
/// is rounded once and differences of totals add up.
fn next_total(scale: &Scale, before: CounterState, step: &Step<'_>) -> Option<i64> {
    let delta = step.advance.delta()?;
    let beside = before.total.checked_sub(scale.value_of(before.raw).ok()?)?;
    let wrapped = delta.checked_sub(step.scaled.raw.checked_sub(before.raw)?)?;
    let turns = if wrapped == 0 { 0 } else { wrapped.checked_div(step.modulus)? };
    let turned =
        if turns == 0 { 0 } else { scale.value_of(step.modulus).ok()?.checked_mul(turns)? };
    step.scaled.value.checked_add(beside)?.checked_add(turned)
}

fn derive(
    normaliser: &mut Normaliser<'_>,
    channel: &mut ChannelEntry,
    around: &Around<'_>,
    (before, to, step): (CounterState, Point, &Step<'_>),
) -> Option<Point> {
    let from = Point { at: before.read_at, total: before.total };
    let mut context = interval_context(around, channel, step.told.unit, step.told.time.doubtful);
    // The first interval also holds what happened between its start and the previous read.
    let mut open = channel.state.open;
    let grid = Grid { len_s: channel.asset.len_s, step: channel.asset.resolution };
    let boundary = grid::derive(from, to, before.boundary, grid, |interval, value| {
        context.inherited = step.verdict.union(std::mem::take(&mut open));
        let reading = IntervalReading {
            meter: around.meter,
            channel: channel.asset.channel,
            interval,
            value,
            flags: metering::DeviceFlags::NONE,
        };
        normaliser.interval(reading, &context, true);
    });
    let closed = boundary.is_some_and(|point| point.at == to.at);
    let crossed = boundary.map(|point| point.at) != before.boundary.map(|point| point.at);
    channel.state.open = match (closed, crossed) {
        (true, _) => Verdict::default(),
        (false, true) => step.verdict,
        (false, false) => channel.state.open.union(step.verdict),
    };
    boundary
}

/// What the counter did is an event of the meter, since nobody else will tell.
fn tell(
    normaliser: &mut Normaliser<'_>,
    channel: &ChannelEntry,
    around: &Around<'_>,
    step: &Step<'_>,
) {
    let counter = channel.state.counter;
    let before = counter.map_or(0, |counter| counter.raw);
    let elapsed_s = counter.map_or(0, |counter| step.at.seconds_since(counter.read_at));
    let code = match step.advance {
        Advance::Rollover { .. } => EventCode::RegisterRollover,
        Advance::Decrease { .. } if fails(step.verdict, Rule::Decrease) => {
            EventCode::RegisterDecrease
        }
        // A counter that starts again starts near zero; any other fall is a decrease.
        Advance::Reset if channel.state.pace.started_again(before, step.scaled.raw, elapsed_s) => {
            EventCode::RegisterReset
        }
        Advance::Reset => EventCode::RegisterDecrease,
        _ => return,
    };
    normaliser.event(MeterEvent {
        subject: Subject::Meter(around.meter),
        occurred_at: step.at,
        code,
        seq: i32::from(channel.asset.channel.get()),
        detail: format!("channel {} {before} -> {}", channel.asset.channel, step.scaled.raw),
    });
}

fn fails(verdict: Verdict, rule: Rule) -> bool {
    rule.no().is_some_and(|no| verdict.failed.contains(no))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> UtcTime {
        UtcTime::from_seconds(number * DAY_S)
    }

    #[test]
    fn a_counter_that_started_again_may_show_a_days_use() {
        let forward = Advance::Forward { delta: 10_000, over_cap: false };
        let mut pace = Pace::default();
        assert!(
            pace.started_again(500_000, 10_000, DAY_S) && !pace.started_again(90_000, 9_000, 60)
        );
        pace.follow(day(0), 480_000, Advance::First);
        pace.follow(day(1), 490_000, forward);
        pace.follow(day(2), 500_000, forward);
        assert_eq!(pace.per_day, 10_000);
        assert!(pace.started_again(100_000, 19_000, DAY_S), "twice a day's use at most");
        assert!(!pace.started_again(100_000, 21_000, DAY_S));
        assert!(pace.started_again(100_000, 24_000, 2 * DAY_S), "two days without a read");
        assert!(!pace.started_again(30_000, 10_000, DAY_S), "it lost too little");
        pace.follow(day(3), 4_000, Advance::Reset);
        assert_eq!((pace.from, pace.per_day), (Some((day(3), 4_000)), 10_000));
    }
}
