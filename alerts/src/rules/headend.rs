//! Row 1 of #63: nothing arrives from anybody, so the trouble is ours. One alert on the head-end;
//! nobody else is judged silent meanwhile. Also our own clock (#7): while it is wrong, no device's
//! is judged.

use metering::{Severity, Subject};

use crate::alerts::{Active, AlertKey, Report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::timer::TimerKey;
use crate::transition::Evidence;

/// How often we look, in seconds.
const LOOK_S: i64 = 60;
/// Alerts about device clocks that are younger are taken back when it was ours.
const CLOCK_BACK_S: i64 = 3_600;

/// What is usual in this fleet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    pub(crate) meters: u32,
    /// Shortest cadence of any meter or heartbeat, in seconds.
    pub(crate) shortest_s: i64,
    /// Contacts of all per day.
    pub(crate) contacts_a_day: i64,
}

/// A record came from a device at log time `env.now`. When we were cut off until now, gives the log
/// time since when.
pub(crate) fn data_came(env: &mut Env) -> Option<i64> {
    let silent_from = env.watch.data_at;
    env.watch.data_at = env.now;
    if env.watch.timer == crate::state::channel::NO_TIMER {
        env.watch.timer = env.now + env.params.headend_silence_s;
        env.timers.set(env.watch.timer, TimerKey::Headend);
    }
    if !env.watch.cut_off {
        return None;
    }
    env.watch.cut_off = false;
    let key = AlertKey::of(Subject::Headend, RuleId::COM_CLASSIFY, None);
    env.book.clear(&key, env.now, env.at, &mut env.out);
    Some(silent_from)
}

/// Most devices are ahead of us at log time `env.now` (#7): it is our clock. What was said of theirs
/// in the last hour is taken back.
pub(crate) fn clock_wrong(at: i64, env: &mut Env) {
    let own = |(key, active): &(&AlertKey, &Active)| {
        key.rule == RuleId::ING_CLK.no && at - active.start <= CLOCK_BACK_S
    };
    let theirs: Vec<AlertKey> = env.book.iter().filter(own).map(|(key, _)| *key).collect();
    for key in theirs {
        env.book.retract(&key, env.at, &mut env.out);
    }
    let (rule, cause) = (RuleId::ING_CLK, Cause::HeadendClock);
    let mut report = Report::new(rule, Subject::Headend, cause, at);
    report.severity = Severity::P2;
    report.identified = true;
    report.annunciate = true;
    report.until = at;
    report.evidence = vec![
        Evidence::instant("window_from", crate::alerts::seconds(at)),
        Evidence::instant("window_to", env.at),
        Evidence::number("meters", i64::from(env.fleet), "meters"),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

pub(crate) fn clock_right(at: i64, env: &mut Env) {
    let key = AlertKey::of(Subject::Headend, RuleId::ING_CLK, None);
    env.book.clear(&key, at, env.at, &mut env.out);
}

pub(crate) fn clock_is_wrong(env: &Env) -> bool {
    env.book.get(&AlertKey::of(Subject::Headend, RuleId::ING_CLK, None)).is_some()
}

/// Timer: how long has nothing arrived?
pub(crate) fn check(usual: Usual, env: &mut Env) {
    // Time in which we were stopped does not count.
    let silent_from = env.watch.data_at.max(env.watch.jump_at);
    let silence_s = env.now - silent_from;
    let mean_s = 86_400 / usual.contacts_a_day.max(1);
    let limit_s = env.params.headend_silence_s.max(3 * usual.shortest_s).max(20 * mean_s);
    let due = (silent_from + limit_s).max(env.now + LOOK_S);
    env.watch.timer = due;
    env.timers.set(due, TimerKey::Headend);
    let too_few = i64::from(usual.meters) < env.params.headend_meters_min;
    if silence_s < limit_s || too_few || env.watch.cut_off {
        return;
    }
    env.watch.cut_off = true;
    let mut report = Report::new(
        RuleId::COM_CLASSIFY,
        Subject::Headend,
        Cause::HeadendOutage,
        env.watch.data_at,
    );
    report.severity = Severity::P1;
    report.identified = true;
    report.evidence = vec![
        Evidence::instant("window_from", crate::alerts::seconds(env.watch.data_at)),
        Evidence::instant("window_to", env.at),
        Evidence::number("silence", silence_s, "s"),
        Evidence::number("threshold", limit_s, "s"),
        Evidence::number("meters", i64::from(usual.meters), "meters"),
    ];
    env.book.assert(report, env.at, &mut env.out);
}
