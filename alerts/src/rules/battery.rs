//! #56 BAT-FLAG: the module says that its battery is low.
//!
//! Three flagged telegrams within 48 h, or two on consecutive days for meters that report daily. A
//! telegram that is repeated within minutes is one. Clears after 14 days without a flag, unless the
//! meter fell silent meanwhile. A flag in hard frost says little and does not count.

use crate::alerts::{AlertKey, Report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::{Meter, Silence};
use crate::timer::TimerKey;
use crate::transition::Evidence;

/// Flags closer together than this are repeats of one telegram.
const REPEAT_S: i64 = 600;
const DAY_S: i64 = 86_400;

/// A telegram of event time `at` carried the low-battery flag.
pub(crate) fn flagged(meter: &mut Meter, place: u32, at: i64, env: &mut Env) {
    let past = meter.past();
    let too_new = at < meter.installed_at.s() + env.params.battery_install_h * 3_600;
    let repeat = past.low_at.iter().any(|known| (at - known).abs() < REPEAT_S);
    let cold = super::pipe::is_freezing(meter, at);
    if cold || too_new || repeat || at > env.now + env.params.ahead_s || at <= past.low_at[2] {
        return;
    }
    let was_first = past.low_at[0] == NEVER;
    let after_pause = at - past.low_at[0] > env.params.battery_clear_days * DAY_S;
    let past = meter.past_mut();
    if was_first || after_pause {
        past.low_since = at;
        past.low_at = [NEVER; 3];
    }
    past.low_since = past.low_since.min(at);
    past.low_at[2] = at;
    past.low_at.sort_unstable_by(|a, b| b.cmp(a));
    if was_first {
        env.timers.set(clear_due(meter, env), TimerKey::Battery { meter: place });
    }
    judge(meter, env);
}

fn clear_due(meter: &Meter, env: &Env) -> i64 {
    meter.past().low_at[0] + env.params.battery_clear_days * DAY_S
}

fn judge(meter: &Meter, env: &mut Env) {
    let past = meter.past();
    let flags = usize::try_from(env.params.battery_flags).unwrap_or(3).clamp(1, 3);
    let oldest = past.low_at[flags - 1];
    let within = oldest != NEVER && past.low_at[0] - oldest <= env.params.battery_window_h * 3_600;
    let daily = meter.cadence_s() >= DAY_S / 2
        && past.low_at[1] != NEVER
        && past.low_at[0] - past.low_at[1] <= DAY_S + DAY_S / 2;
    if !within && !daily {
        return;
    }
    let mut report =
        Report::new(RuleId::BAT_FLAG, meter.subject(), Cause::BatteryLow, past.low_since);
    report.commodity = Some(meter.commodity);
    report.annunciate = env.is_fresh(past.low_at[0], meter.lag_s());
    let known = past.low_at.iter().filter(|at| **at != NEVER).count();
    report.evidence = vec![
        Evidence::number("flagged_telegrams", i64::try_from(known).unwrap_or(0), "telegrams"),
        Evidence::instant("window_from", crate::alerts::seconds(past.low_since)),
        Evidence::instant("window_to", crate::alerts::seconds(past.low_at[0])),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

/// Timer: were there flags in the last 14 days?
pub(crate) fn check(meter: &mut Meter, place: u32, env: &mut Env) {
    let due = clear_due(meter, env);
    if due > env.now {
        env.timers.set(due, TimerKey::Battery { meter: place });
        return;
    }
    if meter.silence == Silence::Lost {
        // No news is no good news: look again tomorrow.
        env.timers.set(env.now + DAY_S, TimerKey::Battery { meter: place });
        return;
    }
    let past = meter.past_mut();
    let end = past.low_at[0];
    past.low_at = [NEVER; 3];
    let key = AlertKey::of(meter.subject(), RuleId::BAT_FLAG, None);
    env.book.clear(&key, end, env.at, &mut env.out);
}
