//! The alerts that are active, and how they change: rules say "this holds" as often as they like,
//! and a transition is made only when something changed.

use std::collections::BTreeMap;

use metering::{ChannelNo, CollectorId, Commodity, RuleNo, Severity, Subject, UtcTime};

use crate::cause::{Cause, Family};
use crate::rule::RuleId;
use crate::transition::{AlertTransition, Evidence, TransitionKind, alert_id};

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

/// An active alert. Times in seconds; `mark` belongs to the rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Active {
    pub(crate) cause: Cause,
    pub(crate) severity: Severity,
    pub(crate) start: i64,
    pub(crate) commodity: Option<Commodity>,
    pub(crate) annunciated: bool,
    pub(crate) parent: Option<CollectorId>,
    /// Event time up to which the data were known that raised it.
    pub(crate) until: i64,
    pub(crate) mark: i64,
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
    pub(crate) parent: Option<CollectorId>,
    pub(crate) evidence: Vec<Evidence>,
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
        }
    }

    pub(crate) fn key(&self) -> AlertKey {
        AlertKey::of(self.subject, self.rule, self.channel)
    }
}

/// All active alerts.
#[derive(Clone, Default, Debug)]
pub(crate) struct AlertBook {
    active: BTreeMap<AlertKey, Active>,
}

impl AlertBook {
    pub(crate) fn get(&self, key: &AlertKey) -> Option<&Active> {
        self.active.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &AlertKey) -> Option<&mut Active> {
        self.active.get_mut(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AlertKey, &Active)> {
        self.active.iter()
    }

    pub(crate) fn restore(&mut self, key: AlertKey, active: Active) {
        self.active.insert(key, active);
    }

    /// The condition holds. Raises it, or updates it when it is worse, of another cause, explained
    /// otherwise or now to be annunciated; else says nothing.
    pub(crate) fn assert(&mut self, report: Report, now: UtcTime, out: &mut Vec<AlertTransition>) {
        let key = report.key();
        let (kind, start) = match self.active.get_mut(&key) {
            None => {
                let active = Active {
                    cause: report.cause,
                    severity: report.severity,
                    start: report.start,
                    commodity: report.commodity,
                    annunciated: report.annunciate,
                    parent: report.parent,
                    until: report.until,
                    mark: 0,
                };
                self.active.insert(key, active);
                (TransitionKind::Raised, report.start)
            }
            Some(active) => {
                let changed = report.severity < active.severity
                    || report.cause != active.cause
                    || report.parent != active.parent
                    || (report.annunciate && !active.annunciated);
                if !changed {
                    return;
                }
                active.severity = active.severity.min(report.severity);
                active.cause = report.cause;
                active.parent = report.parent;
                active.annunciated |= report.annunciate;
                (TransitionKind::Updated, active.start)
            }
        };
        let (severity, annunciate) = self
            .active
            .get(&key)
            .map_or((report.severity, report.annunciate), |a| (a.severity, a.annunciated));
        let family = family_of(report.cause);
        out.push(AlertTransition {
            alert_id: alert_id(report.rule, report.subject, report.channel, seconds(start)),
            rule: report.rule,
            kind,
            subject: report.subject,
            channel: report.channel,
            commodity: report.commodity,
            cause: report.cause,
            family,
            ranked: report.ranked,
            identified: report.identified,
            severity,
            condition_start: seconds(start),
            condition_end: None,
            at: now,
            annunciate,
            parent: report.parent.map(Subject::Collector),
            others_active: self.others(&key, family),
            evidence: report.evidence,
        });
    }

    /// The condition is over since `end` (event time, seconds).
    pub(crate) fn clear(
        &mut self,
        key: &AlertKey,
        end: i64,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        self.finish(key, TransitionKind::Cleared, Some(end), now, out);
    }

    /// The condition never held.
    pub(crate) fn retract(&mut self, key: &AlertKey, now: UtcTime, out: &mut Vec<AlertTransition>) {
        self.finish(key, TransitionKind::Retracted, None, now, out);
    }

    fn finish(
        &mut self,
        key: &AlertKey,
        kind: TransitionKind,
        end: Option<i64>,
        now: UtcTime,
        out: &mut Vec<AlertTransition>,
    ) {
        let (Some(active), Some(rule)) =
            (self.active.remove(key), RuleId::from_number(key.rule.get()))
        else {
            return;
        };
        let channel = (key.channel != 0).then(|| ChannelNo::new(key.channel));
        let family = family_of(active.cause);
        let mut evidence = Vec::new();
        if let Some(end) = end {
            evidence.push(Evidence::instant("condition_end", seconds(end)));
        }
        out.push(AlertTransition {
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
            parent: active.parent.map(Subject::Collector),
            others_active: self.others(key, family),
            evidence,
        });
    }

    /// Active alerts of the subject in this family, without `key` itself.
    fn others(&self, key: &AlertKey, family: Family) -> u16 {
        let count = self
            .of_subject(key.subject)
            .filter(|(other, active)| *other != key && family_of(active.cause) == family)
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

    /// Whether an alert of this family is active for the subject.
    pub(crate) fn has_family(&self, subject: Subject, family: Family) -> bool {
        self.of_subject(subject).any(|(_, active)| family_of(active.cause) == family)
    }
}

const FIRST_RULE: RuleNo = match RuleNo::new(1) {
    Some(first) => first,
    None => panic!("1 is a rule number"),
};

/// Every cause that a rule reports has a family.
fn family_of(cause: Cause) -> Family {
    cause.family().unwrap_or(Family::Data)
}

pub(crate) fn seconds(at: i64) -> UtcTime {
    UtcTime::from_seconds(at)
}
