//! What a counter did between two reads: counted on, rolled over, fell a little, or started again.

use metering::UtcTime;

use crate::params::Params;

/// A counter at an instant, in its own steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    pub read_at: UtcTime,
    pub raw: i64,
}

/// What is known of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CounterLimits {
    /// The counter runs from 0 to `modulus - 1`; 0 = it never rolls over.
    pub modulus: i64,
    /// The most the service carries in an hour, in counter steps; 0 = unknown.
    pub cap_per_hour: i64,
    /// One register counts both directions (tag `netmeter`): it may fall.
    pub net: bool,
}

/// What the counter did since the previous read. Deltas are in counter steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advance {
    /// No earlier read is known.
    First,
    /// Not later than the read it would be compared with: neighbours are compared in event time.
    Stale,
    /// Counted on, by 0 or more. A net register may fall.
    Forward { delta: i64, over_cap: bool },
    /// Passed its modulus (REG-ROLL).
    Rollover { delta: i64 },
    /// Fell by a few steps: backflow, jitter or a repeated read. `delta` is negative.
    Decrease { delta: i64 },
    /// Fell otherwise: exchanged, reset or misread. Nothing can be said of the use in between.
    Reset,
}

impl Advance {
    /// Steps used since the previous read; `None` when that cannot be said.
    pub const fn delta(self) -> Option<i64> {
        match self {
            Self::Forward { delta, .. } | Self::Rollover { delta } | Self::Decrease { delta } => {
                Some(delta)
            }
            Self::First | Self::Stale | Self::Reset => None,
        }
    }
}

/// Decides by rules #10, #11 and #12 and the table of counter observations.
pub fn classify(
    previous: Option<Counter>,
    now: Counter,
    limits: &CounterLimits,
    params: &Params,
) -> Advance {
    let Some(previous) = previous else { return Advance::First };
    if now.read_at <= previous.read_at {
        return Advance::Stale;
    }
    let delta = now.raw.saturating_sub(previous.raw);
    if limits.net {
        return Advance::Forward { delta: nearest(delta, limits.modulus), over_cap: false };
    }
    let allowed = allowed_steps(previous, now, limits, params);
    if delta >= 0 {
        return forward(delta, allowed, limits, params);
    }
    if let Some(delta) = rollover(previous, now, limits, allowed, params) {
        return Advance::Rollover { delta };
    }
    if delta >= -params.decrease_few_max {
        return Advance::Decrease { delta };
    }
    Advance::Reset
}

/// A counter just above 0 that falls below it shows a huge value: that is a small decrease.
fn forward(delta: i64, allowed: i64, limits: &CounterLimits, params: &Params) -> Advance {
    let over_cap = delta > allowed;
    let below_zero = delta.saturating_sub(limits.modulus);
    if limits.modulus > 0 && below_zero < 0 && below_zero >= -params.decrease_few_max && over_cap {
        return Advance::Decrease { delta: below_zero };
    }
    Advance::Forward { delta, over_cap }
}

fn rollover(
    previous: Counter,
    now: Counter,
    limits: &CounterLimits,
    allowed: i64,
    params: &Params,
) -> Option<i64> {
    let modulus = limits.modulus;
    if modulus <= 0 || !(0..modulus).contains(&previous.raw) {
        return None;
    }
    let from = i128::from(previous.raw) * 100;
    if from < i128::from(modulus) * i128::from(params.rollover_from_percent) {
        return None;
    }
    let delta = (modulus - previous.raw).saturating_add(now.raw);
    // Without a known limit, a counter that came far past zero is no rollover but another counter.
    let allowed = if limits.cap_per_hour > 0 { allowed } else { modulus / 10 };
    (delta <= allowed).then_some(delta)
}

/// Steps that REG-CAP allows between the reads: one more than the cap, since a step may just
/// have been due. `i64::MAX` when no cap is known.
fn allowed_steps(previous: Counter, now: Counter, limits: &CounterLimits, params: &Params) -> i64 {
    if limits.cap_per_hour <= 0 {
        return i64::MAX;
    }
    let elapsed_s = now.read_at.seconds_since(previous.read_at).saturating_add(params.cap_slack_s);
    params.cap(limits.cap_per_hour, elapsed_s).saturating_add(1)
}

/// A net register: of the two ways round, the shorter one.
fn nearest(delta: i64, modulus: i64) -> i64 {
    if modulus <= 0 {
        return delta;
    }
    let up = delta.rem_euclid(modulus);
    if up > modulus / 2 { up - modulus } else { up }
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
