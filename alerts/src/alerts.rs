//! The alerts that are active, and how they change: rules say "this holds" as often as they like,
//! and a transition is made only when something changed.

mod adopt;
mod rates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metering::{ChannelNo, Commodity, RuleNo, Severity, Subject, UtcTime};

use crate::cause::{Cause, Family};
use crate::params::{Mode, Params, RuleSettings};
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::transition::{AlertTransition, Evidence, TransitionKind, alert_id};

pub(crate) use rates::{Rate, ToldRate};

/// One alert at a time exists for each key. `channel` is 0 for rules about the whole meter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct AlertKey {
    pub(crate) subject: Subject,
    pub(crate) rule: RuleNo,
    pub(crate) channel: i16,
}

impl AlertKey {
    pub(crate) fn of(subject: Subject, rule: RuleId, channel: Option<ChannelNo>) -> Self {
        Self { subject, rule: rule.no, channel: channel.map_or(0, ChannelNo::get) }
    }
}

/// How far an alert is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// The condition holds, but not for long enough yet: nobody was told.
    Pending = 0,
    Live = 1,
    /// Said to the side list only.
    Shadow = 2,
}

/// An alert that was asserted and has not cleared. Times in seconds; `mark` belongs to the rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Active {
    pub(crate) cause: Cause,
    pub(crate) severity: Severity,
    pub(crate) start: i64,
    pub(crate) commodity: Option<Commodity>,
    pub(crate) annunciated: bool,
    pub(crate) parent: Option<Subject>,
    /// Event time up to which the data were known that raised it.
    pub(crate) until: i64,
    pub(crate) mark: i64,
    pub(crate) stage: Stage,
    /// Event time at which the condition ended, while `keep_for` runs; else [`NEVER`].
    pub(crate) clear_end: i64,
    /// Log time at which `for` or `keep_for` has run, else [`NEVER`].
    pub(crate) due: i64,
}

impl Active {
    pub(crate) fn family(&self) -> Family {
        family_in(self.cause, self.commodity, self.severity)
    }

    fn of(report: &Report) -> Self {
        Self {
            cause: report.cause,
            severity: report.severity,
            start: report.start,
            commodity: report.commodity,
            annunciated: report.annunciate,
            parent: report.parent,
            until: report.until,
            mark: 0,
            stage: Stage::Pending,
            clear_end: NEVER,
            due: NEVER,
        }
    }
}

/// What a rule says of a condition that holds.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) rule: RuleId,
    pub(crate) subject: Subject,
    pub(crate) channel: Option<ChannelNo>,
    pub(crate) commodity: Option<Commodity>,
    pub(crate) cause: Cause,
    pub(crate) ranked: Vec<(Cause, i16)>,
    pub(crate) identified: bool,
    pub(crate) severity: Severity,
    /// Event time, in seconds.
    pub(crate) start: i64,
    /// End of the data that show it, in seconds.
    pub(crate) until: i64,
    pub(crate) annunciate: bool,
    pub(crate) parent: Option<Subject>,
    pub(crate) evidence: Vec<Evidence>,
    /// What flows out, of a leak that is summed.
    pub(crate) rate: Option<Rate>,
}

impl Report {
    /// A plain report: one cause, no parent.
    pub(crate) fn new(rule: RuleId, subject: Subject, cause: Cause, start: i64) -> Self {
        Self {
            rule,
            subject,
            channel: None,
            commodity: None,
            cause,
            ranked: vec![(cause, 0)],
            identified: false,
            severity: Severity::P3,
            start,
            until: start,
            annunciate: true,
            parent: None,
            evidence: Vec::new(),
            rate: None,
        }
    }

    pub(crate) fn key(&self) -> AlertKey {
        AlertKey::of(self.subject, self.rule, self.channel)
    }
}

/// All alerts that were asserted, and the way from "it holds" to "staff are told": the settings
/// `enabled`, `mode`, `severity`, `for`, `keep_for` and `rearm` act here and nowhere else.
#[derive(Clone, Default, Debug)]
pub(crate) struct AlertBook {
    /// Of the meter at hand, else of all.
    pub(crate) params: Arc<Params>,
    active: BTreeMap<AlertKey, Active>,
    /// [`Active::due`] of those that have one.
    due: BTreeSet<(i64, AlertKey)>,
    /// Log time before which a resolved alert does not fire again.
    pub(crate) resting: BTreeMap<AlertKey, i64>,
    /// Leaks of customers that were said and are over: start and end. For #65, which looks days
    /// later.
    pub(crate) leaks: BTreeMap<AlertKey, Vec<(i64, i64)>>,
    /// What was said of #27 in a month, and by how much it was too high, in per cent.
    pub(crate) notices: BTreeMap<AlertKey, (i32, i64)>,
    /// What was told of the rate of leaks that last.
    pub(crate) rates: BTreeMap<AlertKey, ToldRate>,
    /// What rules in shadow mode said.
    pub(crate) shadow: Vec<AlertTransition>,
}

impl AlertBook {
    /// The alert, pending ones too: a rule must see those to clear them.
    pub(crate) fn get(&self, key: &AlertKey) -> Option<&Active> {
        self.active.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &AlertKey) -> Option<&mut Active> {
        self.active.get_mut(key)
    }

    /// All of them, pending and shadow ones too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AlertKey, &Active)> {
        self.active.iter()
    }

    /// Those that staff were told.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&AlertKey, &Active)> {
        self.active.iter().filter(|(_, active)| active.stage == Stage::Live)
    }

    /// What staff were told and is not over, as if it were raised now.
    pub(crate) fn as_raised(&self, now: UtcTime) -> Vec<AlertTransition> {
        let one = |(key, active): (&AlertKey, &Active)| {
            let rule = RuleId::from_number(key.rule.get())?;
            let mut report = Report::new(rule, key.subject, active.cause, active.start);
            report.channel = (key.channel != 0).then(|| ChannelNo::new(key.channel));
            report.commodity = active.commodity;
            report.parent = active.parent;
            Some(self.transition(*key, *active, report, (TransitionKind::Raised, now)))
        };
        self.live().filter_map(one).collect()
    }

    pub(crate) fn restore(&mut self, key: AlertKey, active: Active) {
        if active.due != NEVER {
            self.due.insert((active.due, key));
        }
        self.active.insert(key, active);
    }

    /// The condition holds. Raises it once it held for long enough; updates it when it is worse, of
    /// another cause, of another rate, explained otherwise or now to be annunciated; else says
    /// nothing.
    pub(crate) fn assert(
        &mut self,
        mut report: Report,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        let settings = self.params.settings(report.rule.no);
        if !settings.enabled {
            return;
        }
        if let Some(severity) = settings.severity {
            let was_record = report.severity == Severity::P4;
            report.severity = severity;
            let of_now = now.seconds() - report.until <= self.params.fresh_h * 3_600;
            report.annunciate =
                severity < Severity::P4 && (report.annunciate || (was_record && of_now));
        }
        let key = report.key();
        match self.active.get(&key).map(|active| active.stage) {
            None => {
                self.active.insert(key, Active::of(&report));
                self.pend(key, report, settings, (now, out));
            }
            Some(Stage::Pending) => self.pend(key, report, settings, (now, out)),
            Some(Stage::Live | Stage::Shadow) => {
                self.stop_clearing(&key);
                self.update(key, report, now, out);
            }
        }
    }

    /// A pending alert fires when its condition held for `for`, in event time or since it was first
    /// asserted, and its rest is over.
    fn pend(
        &mut self,
        key: AlertKey,
        report: Report,
        settings: RuleSettings,
        (now, out): (UtcTime, &mut Vec<AlertTransition>),
    ) {
        let rest_until = self.resting.get(&key).copied().unwrap_or(NEVER);
        let Some(active) = self.active.get_mut(&key) else { return };
        active.start = active.start.min(report.start);
        active.until = active.until.max(report.until);
        let held = settings.for_s == 0 || active.until - active.start >= settings.for_s;
        if held && rest_until <= now.seconds() {
            self.raise(key, report, settings.mode, (now, out));
            return;
        }
        active.severity = report.severity;
        active.cause = report.cause;
        active.parent = report.parent;
        active.annunciated |= report.annunciate;
        if active.due == NEVER {
            let due = rest_until.max(now.seconds() + if held { 0 } else { settings.for_s });
            active.due = due;
            self.due.insert((due, key));
        }
    }

    fn raise(
        &mut self,
        key: AlertKey,
        report: Report,
        mode: Mode,
        (now, out): (UtcTime, &mut Vec<AlertTransition>),
    ) {
        self.forget_due(&key);
        self.resting.remove(&key);
        let Some(active) = self.active.get_mut(&key) else { return };
        let (start, mark) = (active.start, active.mark);
        let until = active.until;
        *active = Active { start, mark, until, ..Active::of(&report) };
        active.stage = if mode == Mode::Shadow { Stage::Shadow } else { Stage::Live };
        self.say(key, report, TransitionKind::Raised, (now, out));
    }

    fn update(
        &mut self,
        key: AlertKey,
        mut report: Report,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        let rate_changed = self.rate_changed(&key, &report);
        let Some(active) = self.active.get_mut(&key) else { return };
        let changed = rate_changed
            || report.severity < active.severity
            || report.cause != active.cause
            || report.parent != active.parent
            || (report.annunciate && !active.annunciated);
        if !changed {
            return;
        }
        let severity = active.severity.min(report.severity);
        let moved = family_in(report.cause, active.commodity, severity) != active.family();
        if moved {
            // Another issue is concerned: the former one is over.
            let (end, settings) = (now.seconds(), self.params.settings(key.rule));
            let (annunciated, until, mark) = (active.annunciated, active.until, active.mark);
            report.annunciate |= annunciated && report.parent.is_none();
            self.finish(&key, TransitionKind::Cleared, Some(end), now, out);
            self.resting.remove(&key);
            let renewed = Active { until, mark, severity, ..Active::of(&report) };
            report.severity = severity;
            self.active.insert(key, renewed);
            self.raise(key, report, settings.mode, (now, out));
            return;
        }
        active.severity = severity;
        active.cause = report.cause;
        active.parent = report.parent;
        active.annunciated |= report.annunciate;
        self.say(key, report, TransitionKind::Updated, (now, out));
    }

    /// Says what was reported of an alert that is live or in shadow.
    fn say(
        &mut self,
        key: AlertKey,
        mut report: Report,
        kind: TransitionKind,
        (now, out): (UtcTime, &mut Vec<AlertTransition>),
    ) {
        let Some(active) = self.active.get(&key).copied() else { return };
        self.tell_rate(&key, active.start, &mut report);
        let transition = self.transition(key, active, report, (kind, now));
        self.tell(active.stage, transition, out);
    }

    fn transition(
        &self,
        key: AlertKey,
        active: Active,
        report: Report,
        (kind, now): (TransitionKind, UtcTime),
    ) -> AlertTransition {
        let family = active.family();
        AlertTransition {
            alert_id: alert_id(report.rule, report.subject, report.channel, seconds(active.start)),
            rule: report.rule,
            kind,
            subject: report.subject,
            channel: report.channel,
            commodity: report.commodity,
            cause: report.cause,
            family,
            ranked: report.ranked,
            identified: report.identified,
            severity: active.severity,
            condition_start: seconds(active.start),
            condition_end: None,
            at: now,
            annunciate: active.annunciated,
            parent: report.parent,
            others_active: self.others(&key, family),
            evidence: report.evidence,
        }
    }

    fn tell(&mut self, stage: Stage, transition: AlertTransition, out: &mut Vec<AlertTransition>) {
        if stage == Stage::Shadow { self.shadow.push(transition) } else { out.push(transition) }
    }

    /// The condition is over since `end` (event time, seconds). What was pending was noise; what
    /// was said is taken back once `keep_for` has run.
    pub(crate) fn clear(
        &mut self,
        key: &AlertKey,
        end: i64,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        let keep_for_s = self.params.settings(key.rule).keep_for_s;
        if let Some(active) = self.active.get_mut(key)
            && active.stage != Stage::Pending
            && keep_for_s > 0
        {
            if active.clear_end == NEVER {
                active.clear_end = end;
                active.due = now.seconds() + keep_for_s;
                self.due.insert((active.due, *key));
            }
            return;
        }
        self.finish(key, TransitionKind::Cleared, Some(end), now, out);
    }

    /// The condition never held.
    pub(crate) fn retract(&mut self, key: &AlertKey, now: UtcTime, out: &mut Vec<AlertTransition>) {
        self.finish(key, TransitionKind::Retracted, None, now, out);
    }

    /// Late data show a condition that is over since `end`: it is said, and that it ended, without
    /// touching the alert that is active now.
    pub(crate) fn past(
        &mut self,
        report: &Report,
        end: i64,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        for (kind, end) in [(TransitionKind::Raised, None), (TransitionKind::Cleared, Some(end))] {
            let stage = self.say_past(report, (kind, end), now, out);
            if let Some(end) = end.filter(|_| stage == Some(Stage::Live)) {
                self.leak_over(report.key(), report.cause, (report.start, end));
            }
        }
    }

    /// Late data show that a condition which was said, and is over, never held.
    pub(crate) fn withdraw(
        &mut self,
        report: &Report,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        if let Some(leaks) = self.leaks.get_mut(&report.key()) {
            leaks.retain(|(start, _)| *start != report.start);
        }
        self.say_past(report, (TransitionKind::Retracted, None), now, out);
    }

    /// A leak that staff were told is over.
    fn leak_over(&mut self, key: AlertKey, cause: Cause, (start, end): (i64, i64)) {
        if cause.is_customers_leak() {
            let leaks = self.leaks.entry(key).or_default();
            leaks.retain(|(known, _)| *known != start);
            leaks.push((start, end));
        }
    }

    /// Whether a leak of the meter that staff were told lies between these instants.
    pub(crate) fn leaked(&self, subject: Subject, (from, to): (i64, i64)) -> bool {
        let lasts = self.of_subject(subject).any(|(_, active)| {
            active.stage == Stage::Live && active.cause.is_customers_leak() && active.start < to
        });
        let first = AlertKey { subject, rule: FIRST_RULE, channel: i16::MIN };
        let mut over = self.leaks.range(first..).take_while(|(key, _)| key.subject == subject);
        lasts || over.any(|(_, leaks)| leaks.iter().any(|(start, end)| *start < to && *end > from))
    }

    fn say_past(
        &mut self,
        report: &Report,
        (kind, end): (TransitionKind, Option<i64>),
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) -> Option<Stage> {
        let key = report.key();
        let settings = self.params.settings(key.rule);
        let held =
            settings.for_s == 0 || end.is_none_or(|end| end - report.start >= settings.for_s);
        if !settings.enabled || !held {
            return None;
        }
        let severity = settings.severity.unwrap_or(report.severity);
        let family = family_in(report.cause, report.commodity, severity);
        let mut evidence = report.evidence.clone();
        evidence.extend(report.rate.iter().flat_map(|rate| rate.told_once(report.start)));
        evidence.extend(end.map(|end| Evidence::instant("condition_end", seconds(end))));
        let transition = AlertTransition {
            alert_id: alert_id(report.rule, report.subject, report.channel, seconds(report.start)),
            rule: report.rule,
            kind,
            subject: report.subject,
            channel: report.channel,
            commodity: report.commodity,
            cause: report.cause,
            family,
            ranked: report.ranked.clone(),
            identified: report.identified,
            severity,
            condition_start: seconds(report.start),
            condition_end: end.map(seconds),
            at: now,
            annunciate: report.annunciate && severity < Severity::P4,
            parent: report.parent,
            others_active: self.all_of(report.subject, family),
            evidence,
        };
        let stage = if settings.mode == Mode::Shadow { Stage::Shadow } else { Stage::Live };
        self.tell(stage, transition, out);
        Some(stage)
    }

    /// Rests that are over, and leaks that ended before `before`, are forgotten.
    pub(crate) fn forget(&mut self, (now, before): (i64, i64)) {
        self.resting.retain(|_, until| *until > now);
        self.leaks.retain(|_, leaks| {
            leaks.retain(|(_, end)| *end >= before);
            !leaks.is_empty()
        });
    }

    fn all_of(&self, subject: Subject, family: Family) -> u16 {
        let live = self
            .of_subject(subject)
            .filter(|(key, active)| keeps_open(key, active) && active.family() == family);
        u16::try_from(live.count()).unwrap_or(u16::MAX)
    }

    /// A pending alert is forgotten: its condition is not known any more.
    pub(crate) fn forget_pending(&mut self, key: &AlertKey) {
        if self.active.get(key).is_some_and(|active| active.stage == Stage::Pending) {
            self.forget_due(key);
            self.active.remove(key);
        }
    }

    fn stop_clearing(&mut self, key: &AlertKey) {
        self.forget_due(key);
        if let Some(active) = self.active.get_mut(key) {
            active.clear_end = NEVER;
        }
    }

    fn forget_due(&mut self, key: &AlertKey) {
        if let Some(active) = self.active.get_mut(key)
            && active.due != NEVER
        {
            self.due.remove(&(active.due, *key));
            active.due = NEVER;
        }
    }

    /// The first alert whose `for` or `keep_for` has run at log time `now`.
    pub(crate) fn first_due(&self, now: i64) -> Option<AlertKey> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, key)| *key)
    }

    /// `for` or `keep_for` of the alert has run: raises or clears it. An operator's own rule is
    /// raised by its next evaluation only, since it must be known to hold.
    pub(crate) fn ripen(&mut self, key: &AlertKey, now: UtcTime, out: &mut Vec<AlertTransition>) {
        self.forget_due(key);
        let Some(active) = self.active.get(key).copied() else { return };
        if active.stage != Stage::Pending {
            self.finish(key, TransitionKind::Cleared, Some(active.clear_end), now, out);
            return;
        }
        let Some(rule) = RuleId::from_number(key.rule.get()).filter(|rule| !rule.is_operators())
        else {
            return;
        };
        let mut report = Report::new(rule, key.subject, active.cause, active.start);
        report.channel = (key.channel != 0).then(|| ChannelNo::new(key.channel));
        report.commodity = active.commodity;
        report.severity = active.severity;
        report.until = active.until;
        report.annunciate = active.annunciated;
        report.parent = active.parent;
        report.evidence = vec![
            Evidence::number("channel", i64::from(key.channel), ""),
            Evidence::instant("window_from", seconds(active.start)),
            Evidence::instant("window_to", seconds(active.until)),
        ];
        let mode = self.params.settings(key.rule).mode;
        self.raise(*key, report, mode, (now, out));
    }

    /// The rules changed: what is off now, or speaks to others now, is taken back at once.
    pub(crate) fn recheck(&mut self, key: &AlertKey, now: UtcTime, out: &mut Vec<AlertTransition>) {
        let Some(active) = self.active.get(key) else { return };
        let settings = self.params.settings(key.rule);
        let stage = match settings.mode {
            Mode::Live => Stage::Live,
            Mode::Shadow => Stage::Shadow,
        };
        if !settings.enabled || (active.stage != Stage::Pending && active.stage != stage) {
            self.take_back(key, now, out);
        }
    }

    /// Clears it whatever `keep_for` says: nobody judges it any more.
    pub(crate) fn take_back(
        &mut self,
        key: &AlertKey,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        self.finish(key, TransitionKind::Cleared, Some(now.seconds()), now, out);
    }

    fn finish(
        &mut self,
        key: &AlertKey,
        kind: TransitionKind,
        end: Option<i64>,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        self.forget_due(key);
        self.rates.remove(key);
        let (Some(active), Some(rule)) =
            (self.active.remove(key), RuleId::from_number(key.rule.get()))
        else {
            return;
        };
        if active.stage == Stage::Pending {
            return;
        }
        let rearm_s = self.params.settings(key.rule).rearm_s;
        if rearm_s > 0 && kind == TransitionKind::Cleared {
            self.resting.insert(*key, now.seconds() + rearm_s);
        }
        let channel = (key.channel != 0).then(|| ChannelNo::new(key.channel));
        let family = active.family();
        if let Some(end) = end.filter(|_| active.stage == Stage::Live) {
            self.leak_over(*key, active.cause, (active.start, end));
        }
        let mut evidence = Vec::new();
        if let Some(end) = end {
            evidence.push(Evidence::instant("condition_end", seconds(end)));
        }
        let transition = AlertTransition {
            alert_id: alert_id(rule, key.subject, channel, seconds(active.start)),
            rule,
            kind,
            subject: key.subject,
            channel,
            commodity: active.commodity,
            cause: active.cause,
            family,
            ranked: vec![(active.cause, 0)],
            identified: false,
            severity: active.severity,
            condition_start: seconds(active.start),
            condition_end: end.map(seconds),
            at: now,
            annunciate: active.annunciated,
            parent: active.parent,
            others_active: self.others(key, family),
            evidence,
        };
        self.tell(active.stage, transition, out);
    }

    /// Active alerts of the subject in this family, without `key` itself.
    pub(crate) fn others(&self, key: &AlertKey, family: Family) -> u16 {
        let count = self
            .of_subject(key.subject)
            .filter(|(other, active)| *other != key && keeps_open(other, active))
            .filter(|(_, active)| active.family() == family)
            .count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    pub(crate) fn of_subject(
        &self,
        subject: Subject,
    ) -> impl Iterator<Item = (&AlertKey, &Active)> {
        let first = AlertKey { subject, rule: FIRST_RULE, channel: i16::MIN };
        self.active.range(first..).take_while(move |(key, _)| key.subject == subject)
    }

    /// Whether staff were told an alert of this family for the subject.
    pub(crate) fn has_family(&self, subject: Subject, family: Family) -> bool {
        self.of_subject(subject)
            .any(|(_, active)| active.stage == Stage::Live && active.family() == family)
    }
}

/// Staff were told, by a rule that opens issues: the issue is not over.
fn keeps_open(key: &AlertKey, active: &Active) -> bool {
    active.stage == Stage::Live
        && RuleId::from_number(key.rule.get()).is_some_and(RuleId::opens_issues)
}

const FIRST_RULE: RuleNo = match RuleNo::new(1) {
    Some(first) => first,
    None => panic!("1 is a rule number"),
};

/// Every cause that a rule reports has a family. Whatever is P1 on gas belongs to the family GAS.
fn family_in(cause: Cause, commodity: Option<Commodity>, severity: Severity) -> Family {
    if commodity == Some(Commodity::Gas) && severity == Severity::P1 {
        return Family::Gas;
    }
    cause.family().unwrap_or(Family::Data)
}

pub(crate) fn seconds(at: i64) -> UtcTime {
    UtcTime::from_seconds(at)
}
