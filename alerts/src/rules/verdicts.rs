//! #1 to #24: what validation found becomes alerts.
//!
//! Verdicts come in two ways: as the rules that failed a single reading (its mask), and as
//! [`Finding`]s about a closed window. One bad reading is a record of that reading; an alert needs
//! what [`policy`] says, and it ends as the catalogue says: after so much time or so many windows
//! without the failure. A window that is judged anew because late data came takes its failure back,
//! and the alert with it when nothing else holds it.
//!
//! `vee` gives conditions numbers ([`kind`]); a test of the program compares them.

mod causes;
mod kept;
mod policy;

use metering::{
    ChannelNo, Commodity, DeviceFlags, Finding, Outcome, RuleMask, Severity, WorkOrderKind,
};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::device::Told;
use crate::rules::{headend, registers};
use crate::state::NEVER;
use crate::state::meter::Meter;
use crate::state::network::Is;
use crate::transition::Evidence;
use causes::{named, runner_up};
pub(crate) use kept::Verdicts;
use kept::{Fail, Kept, Key, Marked};
use policy::{Clear, Policy, policy};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Failures that are remembered for one rule of a channel.
const FAILS_MAX: usize = 12;

/// Conditions of findings, as `vee` numbers them.
pub mod kind {
    pub const FLAG_SHARE: u8 = 1;
    pub const FLAG_OVERFLOW: u8 = 2;
    pub const FLAG_TEST: u8 = 3;
    pub const SUM_CONFIG: u8 = 1;
    pub const SUM_MISSING_PULSES: u8 = 2;
    pub const SUM_DOUBLE_COUNT: u8 = 3;
    pub const HIGH: u8 = 1;
    pub const LOW: u8 = 2;
    pub const CYCLE_HIGH: u8 = 3;
    pub const CYCLE_LOW: u8 = 4;
    pub const ZERO_LIVE: u8 = 1;
    pub const PROLONG_WARN: u8 = 1;
    pub const PROLONG_FAIL: u8 = 2;
    pub const PROLONG_URGENT: u8 = 3;
    /// Ours: a register that fell by what was fed in, or by a hundredth of a day.
    pub(crate) const DEC_FED_IN: u8 = 198;
    pub(crate) const DEC_LITTLE: u8 = 199;
    /// Ours: a device event said so.
    pub(crate) const EVENT: u8 = 200;
    pub(crate) const EVENT_TEST: u8 = 201;
}

/// The masks of single readings speak for these; all other rules speak by findings.
const BY_READING: [RuleId; 8] = [
    RuleId::ING_TIME,
    RuleId::ING_SIZE,
    RuleId::ING_UOM,
    RuleId::ING_MULT,
    RuleId::ING_CLK,
    RuleId::REG_DEC,
    RuleId::REG_CAP,
    RuleId::INT_NEG,
];

/// What is wrong with the reading is seen in its value.
const SHOWS_VALUE: [RuleId; 5] =
    [RuleId::ING_SIZE, RuleId::ING_UOM, RuleId::ING_MULT, RuleId::REG_CAP, RuleId::INT_NEG];

/// A meter with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) place: u32,
    /// `None`: the meter as a whole.
    pub(crate) channel: Option<ChannelNo>,
}

impl Whose<'_> {
    fn key(&self, rule: RuleId) -> Key {
        (self.place, rule.no.get(), self.channel.map_or(0, ChannelNo::get))
    }

    fn lag_s(&self) -> i32 {
        let own = self.channel.and_then(|no| self.meter.channel_at(no.get()));
        let channel = own.or(Some(0)).and_then(|at| self.meter.channels.get(at));
        channel.map_or(7_200, |channel| channel.lag_s)
    }
}

/// A reading that ends at `to` came with the rules that failed it.
/// `value` is what it shows; a register has no length.
pub(crate) fn reading(
    whose: Whose<'_>,
    (from, to): (i64, i64),
    (failed, value): (RuleMask, i64),
    env: &mut Env,
) {
    let judged = env.network.is(whose.place, Is::JUDGED);
    if failed.is_empty() && !judged {
        return;
    }
    for rule in BY_READING {
        if failed.contains(rule.no) {
            // A wrong stamp says nothing about when it was.
            let wild = matches!(rule, RuleId::ING_TIME | RuleId::ING_CLK);
            let (from, to) = if wild { (env.now, env.now) } else { (from, to) };
            let (kind, detail) = match rule {
                RuleId::REG_DEC if from == to => registers::turned_back(whose, (to, value), env),
                rule if SHOWS_VALUE.contains(&rule) => (0, value),
                _ => (0, 0),
            };
            let fail = Fail { from, to, at: env.now, kind, detail };
            fails(whose, rule, fail, env);
            if !wild {
                passed_since(whose, rule, env);
            }
        } else if judged && to <= env.now + env.params.ahead_s {
            passes(whose, rule, (from, to), env);
        }
    }
    if judged && !failed.contains(RuleId::ING_FLAG.no) {
        passes(whose, RuleId::ING_FLAG, (from, to), env);
    }
    forget_if_clean(whose.place, env);
}

/// Nothing is remembered of the meter any more: its readings need no look.
fn forget_if_clean(place: u32, env: &mut Env) {
    let first = (place, 0, i16::MIN);
    let kept = env.verdicts.kept.range(first..).next().is_some_and(|(key, _)| key.0 == place);
    if let Some(link) = env.network.link_mut(place).filter(|_| !kept) {
        link.set(Is::JUDGED, false);
    }
}

/// A slot is flagged: test mode that lasts four hours is left on, also over midnight.
pub(crate) fn flagged(whose: Whose<'_>, (from, to): (i64, i64), flags: DeviceFlags, env: &mut Env) {
    let (test, overflow) =
        (flags.contains(DeviceFlags::TEST), flags.contains(DeviceFlags::OVERFLOW));
    if !test && !overflow {
        return;
    }
    let marked = env.verdicts.marked.entry(whose.place).or_insert(Marked {
        test_from: NEVER,
        test_to: NEVER,
        overflow_to: NEVER,
    });
    if overflow {
        marked.overflow_to = marked.overflow_to.max(to);
    }
    if !test {
        return;
    }
    if from - marked.test_to > HOUR_S {
        marked.test_from = from;
    }
    marked.test_to = marked.test_to.max(to);
    let (from, to) = (marked.test_from, marked.test_to);
    if to - from >= TEST_MODE_S {
        let fail = Fail { from, to, at: env.now, kind: kind::EVENT_TEST, detail: to - from };
        fails(whose, RuleId::ING_FLAG, fail, env);
    }
}

/// A share of flagged slots that test mode or overflow explains is told as those.
fn is_told_otherwise(whose: Whose<'_>, finding: &Finding, env: &Env) -> bool {
    let within =
        |at: i64| at > finding.from.seconds() && at - DAY_S < finding.to.seconds() && at != NEVER;
    finding.rule == RuleId::ING_FLAG.no
        && finding.kind == kind::FLAG_SHARE
        && env
            .verdicts
            .marked
            .get(&whose.place)
            .is_some_and(|marked| within(marked.test_to) || within(marked.overflow_to))
}

/// A window was judged.
pub(crate) fn finding(whose: Whose<'_>, finding: &Finding, env: &mut Env) {
    let Some(rule) = RuleId::from_number(finding.rule.get()) else { return };
    if rule == RuleId::COM_BACKFILL {
        backfilled(whose, finding, env);
        return;
    }
    if finding.outcome != Outcome::Pass && is_told_otherwise(whose, finding, env) {
        return;
    }
    let (from, to) = (finding.from.seconds(), finding.to.seconds());
    match finding.outcome {
        Outcome::Fail | Outcome::Warn => {
            let fail = Fail { from, to, at: env.now, kind: finding.kind, detail: finding.detail };
            let counts = finding.outcome == Outcome::Fail || rule == RuleId::INT_PROLONG;
            if counts {
                fails(whose, rule, fail, env);
            } else {
                passes(whose, rule, (from, to), env);
            }
        }
        Outcome::Pass => passes(whose, rule, (from, to), env),
        Outcome::NotEvaluable => {}
    }
}

/// #64: late values took the place of estimates, as the store says; for the record.
fn backfilled(whose: Whose<'_>, finding: &Finding, env: &mut Env) {
    let (from, to) = (finding.from.seconds(), finding.to.seconds());
    let mut report = Report::new(RuleId::COM_BACKFILL, whose.meter.subject(), Cause::DataGap, from);
    report.channel = whose.channel;
    report.commodity = Some(whose.meter.commodity);
    report.severity = Severity::P4;
    report.until = to;
    report.annunciate = false;
    report.evidence = vec![
        Evidence::number("channel", i64::from(whose.channel.map_or(0, ChannelNo::get)), ""),
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(to)),
        Evidence::number("intervals", finding.detail, "intervals"),
    ];
    env.book.past(&report, to, env.at, &mut env.out);
}

/// A device event speaks for a rule: the clock is wrong, a memory error, test mode.
pub(crate) fn event(whose: Whose<'_>, rule: RuleId, (at, detail): (i64, i32), env: &mut Env) {
    let detail = i64::from(detail);
    // A clock that is ahead stamps its events in the future.
    let at = if rule == RuleId::ING_CLK { at.min(env.now) } else { at };
    let fail = Fail { from: at, to: at, at: env.now, kind: kind::EVENT, detail };
    fails(whose, rule, fail, env);
}

/// The device's clock is off by the change of the local clock (#8), or no longer. Its stamps are
/// wrong for that reason and no other.
pub(crate) fn shifted(whose: Whose<'_>, told: Told, env: &mut Env) {
    if told.detail == 0 {
        over(whose, RuleId::ING_DST, told.at.min(env.now), env);
        return;
    }
    for rule in [RuleId::ING_TIME, RuleId::ING_CLK] {
        let alert = AlertKey::of(whose.meter.subject(), rule, whose.channel);
        let begun = env.book.get(&alert).is_some_and(|active| env.now - active.start < HOUR_S);
        if begun {
            env.book.retract(&alert, env.at, &mut env.out);
            env.verdicts.kept.remove(&whose.key(rule));
        }
    }
    event(whose, RuleId::ING_DST, (told.at.min(env.now), told.detail), env);
}

/// A rule's failure is over, whatever its windows say.
fn over(whose: Whose<'_>, rule: RuleId, at: i64, env: &mut Env) {
    env.verdicts.kept.remove(&whose.key(rule));
    let alert = AlertKey::of(whose.meter.subject(), rule, whose.channel);
    env.book.clear(&alert, at, env.at, &mut env.out);
}

/// Nobody ended the test mode that an event told of.
pub(crate) fn left_in_test_mode(whose: Whose<'_>, env: &mut Env) {
    let from = env.now - TEST_MODE_S;
    if whose.meter.rare().is_some_and(|rare| rare.visited(from, TEST_MODE_S, &[])) {
        return;
    }
    let fail = Fail { from, to: env.now, at: env.now, kind: kind::EVENT_TEST, detail: TEST_MODE_S };
    fails(whose, RuleId::ING_FLAG, fail, env);
}

/// A meter that was exchanged or is about to be: its registers and settings jump.
fn in_exchange(meter: &Meter, rule: RuleId, at: i64) -> bool {
    const JUMPS: [RuleId; 6] = [
        RuleId::ING_SIZE,
        RuleId::ING_UOM,
        RuleId::ING_MULT,
        RuleId::REG_DEC,
        RuleId::REG_CAP,
        RuleId::REG_SUM,
    ];
    let kinds = [WorkOrderKind::Exchange, WorkOrderKind::Removal];
    JUMPS.contains(&rule)
        && (meter.rare().is_some_and(|rare| rare.visited(at, 2 * DAY_S, &kinds))
            || (0..2 * DAY_S).contains(&(at - meter.installed_at.s())))
}

/// The address has been empty since the zeros of #18 began: #30 says that this is no stopped meter.
fn nobody_is_in(meter: &Meter, fail: &Fail, env: &mut Env) -> bool {
    let began = env.zones.day_at(meter.zone, fail.to - fail.detail.max(0) - 1).number;
    env.premises.is_empty_since(meter.premises, meter.commodity, began)
}

fn fails(whose: Whose<'_>, rule: RuleId, fail: Fail, env: &mut Env) {
    let demand_billed = env.network.is(whose.place, Is::DEMAND_BILLED);
    let Some(policy) = policy(rule, demand_billed) else { return };
    let untrusted = rule == RuleId::ING_CLK && headend::clock_is_wrong(env);
    // What flows into a district or through a node is judged by its balance.
    let nobodys = rule == RuleId::INT_HILO && !whose.meter.is_customers();
    let away = rule == RuleId::INT_ZERO && nobody_is_in(whose.meter, &fail, env);
    if untrusted || nobodys || away || in_exchange(whose.meter, rule, fail.to) {
        return;
    }
    if let Some(link) = env.network.link_mut(whose.place) {
        link.set(Is::JUDGED, true);
    }
    let kept = env.verdicts.kept.entry(whose.key(rule)).or_default();
    match kept.fails.binary_search_by_key(&(fail.to, fail.kind), |known| (known.to, known.kind)) {
        // A reading that came twice says nothing new.
        Ok(_) if BY_READING.contains(&rule) => return,
        Ok(at) => kept.fails[at] = Fail { at: kept.fails[at].at, ..fail },
        Err(at) => kept.fails.insert(at, fail),
    }
    if kept.fails.len() > FAILS_MAX {
        kept.fails.remove(0);
    }
    kept.passes = 0;
    let holds = holding(kept, rule, policy);
    let Some(first) = holds else { return };
    let fails = kept.fails.clone();
    raise(whose, rule, (first, &fails), env);
}

/// A failure that came late: readings after it arrived before it, and end it at once.
fn passed_since(whose: Whose<'_>, rule: RuleId, env: &mut Env) {
    let at = whose.channel.and_then(|no| whose.meter.channel_at(no.get()));
    let Some(channel) = at.and_then(|at| whose.meter.channels.get(at)) else { return };
    let Some(policy) = policy(rule, false) else { return };
    let Some(kept) = env.verdicts.kept.get(&whose.key(rule)) else { return };
    let Some(newest) = kept.fails.last().map(|fail| fail.to) else { return };
    let since_s = channel.last_end.s() - newest;
    let over = match policy.clear {
        Clear::CleanFor(clean_s) => since_s >= clean_s,
        Clear::Passes(passes) => since_s >= i64::from(passes) * channel.len().max(1),
    };
    if over {
        let alert = AlertKey::of(whose.meter.subject(), rule, whose.channel);
        env.book.clear(&alert, newest, env.at, &mut env.out);
    }
}

/// The first of the failures that together are an alert.
fn holding(kept: &Kept, rule: RuleId, policy: Policy) -> Option<Fail> {
    let newest = kept.fails.last()?;
    let need = match (rule, newest.kind) {
        // A memory error twice in a week.
        (RuleId::ING_FLAG, kind::EVENT) => 2,
        _ => policy.need,
    };
    let within_s = if need == policy.need { policy.within_s } else { 7 * DAY_S };
    let together: Vec<&Fail> =
        kept.fails.iter().filter(|fail| newest.to - fail.to <= within_s).collect();
    let days: usize = if rule == RuleId::INT_SPIKE && need > 1 {
        let mut days: Vec<i64> = together.iter().map(|f| (f.to - 1).div_euclid(DAY_S)).collect();
        days.dedup();
        days.len()
    } else {
        together.len()
    };
    (days >= need).then(|| **together.first().unwrap_or(&newest))
}

fn passes(whose: Whose<'_>, rule: RuleId, (from, to): (i64, i64), env: &mut Env) {
    let key = whose.key(rule);
    let Some(kept) = env.verdicts.kept.get_mut(&key) else { return };
    let demand_billed = env.network.is(whose.place, Is::DEMAND_BILLED);
    let Some(policy) = policy(rule, demand_billed) else { return };
    let known = kept.fails.len();
    let taken_back = |fail: &Fail| fail.to == to && fail.from == from && from < to;
    let is_window = !BY_READING.contains(&rule);
    kept.fails.retain(|fail| !(is_window && taken_back(fail)));
    let alert = AlertKey::of(whose.meter.subject(), rule, whose.channel);
    if kept.fails.len() < known {
        if holding(kept, rule, policy).is_none() {
            env.book.retract(&alert, env.at, &mut env.out);
        }
        if kept.fails.is_empty() {
            env.verdicts.kept.remove(&key);
        }
        return;
    }
    let Some(newest) = kept.fails.last().copied() else { return };
    if to <= newest.to.max(kept.passed) {
        return;
    }
    kept.passed = to;
    let by_event = matches!(newest.kind, kind::EVENT | kind::EVENT_TEST);
    let clear = match (rule, by_event, from + DAY_S / 2 <= to) {
        // What an event told ends with clean readings, what a day showed with a clean day.
        (RuleId::ING_FLAG, true, _) => Clear::CleanFor(DAY_S),
        (RuleId::ING_FLAG, false, false) => return,
        // A clock that did not follow the change is proven right by the next change only.
        (RuleId::ING_DST, true, _) if from <= newest.to => return,
        _ => policy.clear,
    };
    kept.passes = kept.passes.saturating_add(1);
    let over = match clear {
        Clear::CleanFor(clean_s) => to - newest.to >= clean_s,
        Clear::Passes(passes) => kept.passes >= passes,
    };
    if !over {
        return;
    }
    env.book.clear(&alert, newest.to, env.at, &mut env.out);
    // What counts over days must be remembered as long.
    let long = matches!(rule, RuleId::REG_CAP | RuleId::INT_SPIKE | RuleId::ING_FLAG);
    if !long || to - newest.to > 7 * DAY_S {
        env.verdicts.kept.remove(&key);
    }
}

fn raise(whose: Whose<'_>, rule: RuleId, (first, fails): (Fail, &[Fail]), env: &mut Env) {
    let (cause, severity) = named(whose, rule, fails, env);
    let newest = fails.last().copied().unwrap_or(first);
    // #24 counts days up to the window's own: the gap began with the first of them.
    let before = if rule == RuleId::INT_PROLONG { (first.detail - 1).clamp(0, 400) } else { 0 };
    let start = first.from - before * DAY_S;
    let mut report = Report::new(rule, whose.meter.subject(), cause, start);
    report.channel = whose.channel;
    report.commodity = Some(whose.meter.commodity);
    report.severity = severity;
    report.until = newest.to;
    report.annunciate = severity < Severity::P4 && env.is_fresh(newest.to, whose.lag_s());
    report.ranked.extend(runner_up(rule, cause));
    report.evidence = vec![
        Evidence::number("channel", i64::from(whose.channel.map_or(0, ChannelNo::get)), ""),
        Evidence::instant("window_from", seconds(first.from)),
        Evidence::instant("window_to", seconds(newest.to)),
        Evidence::number("failures", i64::try_from(fails.len()).unwrap_or(0), "windows"),
        Evidence::number("condition", i64::from(newest.kind), ""),
        measured((rule, whose.meter.commodity), newest.detail),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

fn measured((rule, commodity): (RuleId, Commodity), detail: i64) -> Evidence {
    if rule == RuleId::REG_DEC {
        let energy = matches!(commodity, Commodity::Electricity | Commodity::Heat);
        let unit = if energy { "Wh" } else { "L" };
        Evidence::milli("fell_by", detail, unit)
    } else if SHOWS_VALUE.contains(&rule) {
        Evidence::milli("measured", detail, "")
    } else {
        Evidence::number("measured", detail, "")
    }
}

/// A meter was exchanged: what its forerunner did is over.
pub(crate) fn exchanged(whose: Whose<'_>, env: &mut Env) {
    let first = (whose.place, 0, i16::MIN);
    let keys: Vec<Key> = env
        .verdicts
        .kept
        .range(first..)
        .take_while(|((place, _, _), _)| *place == whose.place)
        .map(|(key, _)| *key)
        .collect();
    for (place, rule, channel) in keys {
        env.verdicts.kept.remove(&(place, rule, channel));
        let Some(rule) = RuleId::from_number(rule) else { continue };
        let channel = (channel != 0).then(|| ChannelNo::new(channel));
        let alert = AlertKey::of(whose.meter.subject(), rule, channel);
        env.book.clear(&alert, whose.meter.installed_at.s(), env.at, &mut env.out);
    }
}

/// Test mode that nobody ended within this is an alert.
pub(crate) const TEST_MODE_S: i64 = 4 * HOUR_S;
