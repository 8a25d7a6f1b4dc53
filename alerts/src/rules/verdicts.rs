//! #1 to #24: what validation found becomes alerts.
//!
//! Verdicts come in two ways: as the rules that failed a single reading (its mask), and as
//! [`Finding`]s about a closed window. One bad reading is a record of that reading; an alert needs
//! what [`policy`] says, and it ends as the catalogue says: after so much time or so many windows
//! without the failure. A window that is judged anew because late data came takes its failure back,
//! and the alert with it when nothing else holds it.
//!
//! `vee` gives conditions numbers ([`kind`]); a test of the program compares them.

use std::collections::BTreeMap;

use metering::{
    ChannelNo, Commodity, DeviceFlags, Finding, Outcome, RuleMask, Severity, WorkOrderKind,
};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::{Cause, Family};
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::device::Told;
use crate::rules::{headend, registers};
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};
use crate::state::NEVER;
use crate::state::meter::Meter;
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// A time-of-use clock that differs by more than this is urgent (`vee`'s `clock_large_s`).
const CLOCK_LARGE_S: i64 = 900;
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

/// When a rule's failures are an alert, and when it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Policy {
    need: usize,
    within_s: i64,
    clear: Clear,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clear {
    /// Readings without the failure for this long.
    CleanFor(i64),
    /// So many readings or windows in a row without it.
    Passes(u8),
}

const fn once(clear: Clear) -> Policy {
    Policy { need: 1, within_s: DAY_S, clear }
}

/// `None` for rules that never raise an alert of their own.
fn policy(rule: RuleId, demand_billed: bool) -> Option<Policy> {
    let policy = match rule {
        RuleId::ING_TIME => Policy { need: 3, within_s: DAY_S, clear: Clear::CleanFor(DAY_S) },
        RuleId::ING_SIZE | RuleId::INT_NEG => once(Clear::CleanFor(DAY_S)),
        RuleId::REG_DEC => once(Clear::CleanFor(7 * DAY_S)),
        RuleId::ING_DUP
        | RuleId::ING_UOM
        | RuleId::ING_MULT
        | RuleId::ING_CLK
        | RuleId::REG_CAP
        | RuleId::REG_SUM
        | RuleId::REG_TOU => once(Clear::Passes(2)),
        RuleId::INT_HILO => once(Clear::Passes(7)),
        RuleId::INT_SPIKE if demand_billed => once(Clear::Passes(1)),
        RuleId::INT_SPIKE => Policy { need: 3, within_s: 7 * DAY_S, clear: Clear::Passes(1) },
        RuleId::ING_FLAG
        | RuleId::ING_DST
        | RuleId::REG_DELTA
        | RuleId::INT_ZERO
        | RuleId::INT_INACT
        | RuleId::INT_FLAT
        | RuleId::INT_KVARH
        | RuleId::INT_PROLONG => once(Clear::Passes(1)),
        _ => return None,
    };
    Some(policy)
}

/// One failure: the window that shows it, when we were told, which condition, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fail {
    from: i64,
    to: i64,
    at: i64,
    kind: u8,
    detail: i64,
}

snap_struct!(Fail { from, to, at, kind, detail });

/// What is remembered of one rule of a channel.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Kept {
    /// In the order of their windows.
    fails: Vec<Fail>,
    /// Windows without the failure since the newest one with it, and the end of the last of them.
    passes: u8,
    passed: i64,
}

snap_struct!(Kept { fails, passes, passed });

/// Place of the meter, rule, channel (0: the meter as a whole).
type Key = (u32, u8, i16);

/// The failures of all meters; most have none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Verdicts {
    kept: BTreeMap<Key, Kept>,
    /// Spells of test mode and of overflow by meter: first and last end of a slot.
    marked: BTreeMap<u32, Marked>,
}

/// What the flags of slots say; [`NEVER`] where they said nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Marked {
    test_from: i64,
    test_to: i64,
    overflow_to: i64,
}

snap_struct!(Marked { test_from, test_to, overflow_to });

impl Snap for Key {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
        self.2.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((u32::load(from)?, u8::load(from)?, i16::load(from)?))
    }
}

impl Snap for Verdicts {
    fn save(&self, to: &mut Writer) {
        self.kept.save(to);
        self.marked.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self { kept: Snap::load(from)?, marked: Snap::load(from)? })
    }
}

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
/// `read` is what its register showed.
pub(crate) fn reading(
    whose: Whose<'_>,
    (from, to): (i64, i64),
    (failed, read): (RuleMask, Option<i64>),
    env: &mut Env,
) {
    let judged = env.network.link(whose.place).is_some_and(|link| link.judged);
    if failed.is_empty() && !judged {
        return;
    }
    for rule in BY_READING {
        if failed.contains(rule.no) {
            // A wrong stamp says nothing about when it was.
            let wild = matches!(rule, RuleId::ING_TIME | RuleId::ING_CLK);
            let (from, to) = if wild { (env.now, env.now) } else { (from, to) };
            let (kind, detail) = match read.filter(|_| rule == RuleId::REG_DEC) {
                Some(read) => registers::turned_back(whose, (to, read), env),
                None => (0, 0),
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
        link.judged = false;
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

fn fails(whose: Whose<'_>, rule: RuleId, fail: Fail, env: &mut Env) {
    let link = env.network.link(whose.place);
    let demand_billed = link.is_some_and(|link| link.demand_billed);
    let Some(policy) = policy(rule, demand_billed) else { return };
    let untrusted = rule == RuleId::ING_CLK && headend::clock_is_wrong(env);
    if untrusted || in_exchange(whose.meter, rule, fail.to) {
        return;
    }
    if let Some(link) = env.network.link_mut(whose.place) {
        link.judged = true;
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
    let link = env.network.link(whose.place);
    let demand_billed = link.is_some_and(|link| link.demand_billed);
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

/// The cause that a failure names, with its severity.
fn named(whose: Whose<'_>, rule: RuleId, fails: &[Fail], env: &Env) -> (Cause, Severity) {
    use Severity::{P1, P2, P3, P4};
    let newest = fails.last().map_or(0, |fail| fail.kind);
    let detail = fails.last().map_or(0, |fail| fail.detail);
    let electric = whose.meter.commodity == Commodity::Electricity;
    match rule {
        RuleId::ING_DUP => (Cause::DuplicateSource, P3),
        RuleId::ING_TIME if follows_no_change(whose, env) => (Cause::DstConfig, P3),
        RuleId::ING_CLK if urgent_clock(whose, detail, env) => (Cause::ClockError, P2),
        RuleId::ING_TIME | RuleId::ING_CLK => (Cause::ClockError, P3),
        RuleId::ING_SIZE => (Cause::ProgrammingError, P3),
        RuleId::ING_UOM | RuleId::ING_MULT => (Cause::ConfigMismatch, P2),
        RuleId::ING_FLAG => match newest {
            kind::FLAG_OVERFLOW => (Cause::PulseOverflow, P3),
            kind::FLAG_TEST | kind::EVENT_TEST => (Cause::LeftInTestMode, P3),
            _ => (Cause::MeterHardware, P3),
        },
        RuleId::ING_DST => (Cause::DstConfig, P3),
        RuleId::REG_DEC => match newest {
            kind::DEC_FED_IN => (Cause::ReverseRotation, P2),
            kind::DEC_LITTLE => (Cause::Backflow, P2),
            _ => (Cause::RegisterDecrease, P2),
        },
        RuleId::REG_CAP if several_in_a_week(fails) => (Cause::EncoderFault, P2),
        RuleId::REG_CAP => (Cause::BadRead, P2),
        RuleId::REG_SUM => {
            let severity = if detail.abs() > 50 { P2 } else { P3 };
            let cause = match newest {
                kind::SUM_CONFIG => Cause::ConfigMismatch,
                kind::SUM_MISSING_PULSES => Cause::MissingPulses,
                kind::SUM_DOUBLE_COUNT => Cause::DoubleCount,
                _ => Cause::SumMismatch,
            };
            (cause, severity)
        }
        RuleId::REG_TOU => (Cause::TouProgramError, P3),
        RuleId::REG_DELTA | RuleId::INT_HILO => match newest {
            kind::HIGH | kind::CYCLE_HIGH => (Cause::HighConsumption, P3),
            // Somebody is away: for the record, unless a whole bill is low.
            kind::LOW => (Cause::LowConsumption, P4),
            _ => (Cause::LowConsumption, P3),
        },
        RuleId::INT_SPIKE => {
            let demand = env.network.link(whose.place).is_some_and(|link| link.demand_billed);
            (Cause::Spike, if demand { P2 } else { P3 })
        }
        // #30 MTR-STOP weighs it and opens the issue.
        RuleId::INT_ZERO => (Cause::StoppedMeter, P4),
        RuleId::INT_INACT if whose.meter.commodity == Commodity::Gas => {
            (Cause::UsageOnInactive, P1)
        }
        RuleId::INT_INACT => (Cause::UsageOnInactive, P2),
        RuleId::INT_NEG if electric => (Cause::ReverseRotation, P3),
        RuleId::INT_NEG => (Cause::Backflow, P3),
        RuleId::INT_FLAT => (Cause::StuckValue, P3),
        RuleId::INT_KVARH => (Cause::PhaseOrCtFault, P3),
        RuleId::INT_PROLONG => {
            let severity = match newest {
                kind::PROLONG_WARN => P4,
                kind::PROLONG_FAIL => P3,
                _ => P2,
            };
            (prolonged_cause(whose, env), severity)
        }
        _ => (Cause::DataGap, P4),
    }
}

/// The clock is known not to follow the change of the local clock.
fn follows_no_change(whose: Whose<'_>, env: &Env) -> bool {
    let alert = AlertKey::of(whose.meter.subject(), RuleId::ING_DST, whose.channel);
    env.book.get(&alert).is_some()
}

/// A time-of-use meter that is off by minutes books into wrong rates.
fn urgent_clock(whose: Whose<'_>, off_s: i64, env: &Env) -> bool {
    let time_of_use = env.network.link(whose.place).is_some_and(|link| link.time_of_use);
    time_of_use && off_s.abs() > CLOCK_LARGE_S
}

fn several_in_a_week(fails: &[Fail]) -> bool {
    let newest = fails.last().map_or(0, |fail| fail.to);
    fails.iter().filter(|fail| newest - fail.to <= 7 * DAY_S).count() >= 2
}

/// #24 keeps the issue that explains why there are no actuals, and makes it worse.
fn prolonged_cause(whose: Whose<'_>, env: &Env) -> Cause {
    let explains = |cause: Cause| {
        matches!(
            cause.family(),
            Some(Family::Comm | Family::Power | Family::Metrology | Family::Clock | Family::Config)
        ) || cause == Cause::BatteryDead
    };
    env.book
        .of_subject(whose.meter.subject())
        .filter(|(key, active)| key.rule != RuleId::INT_PROLONG.no && explains(active.cause))
        .min_by_key(|(key, active)| (active.severity, **key))
        .map_or(Cause::DataGap, |(_, active)| active.cause)
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
        Evidence::number("measured", newest.detail, ""),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

fn runner_up(rule: RuleId, cause: Cause) -> Option<(Cause, i16)> {
    let other = match rule {
        RuleId::REG_DEC if cause == Cause::RegisterDecrease => Cause::UnplannedReset,
        RuleId::REG_DEC => Cause::RegisterDecrease,
        RuleId::REG_CAP if cause == Cause::BadRead => Cause::EncoderFault,
        RuleId::REG_SUM if cause != Cause::SumMismatch => Cause::SumMismatch,
        RuleId::INT_FLAT => Cause::StoppedMeter,
        RuleId::INT_NEG => Cause::ConfigMismatch,
        RuleId::INT_SPIKE => Cause::BadRead,
        _ => return None,
    };
    Some((other, -150))
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
