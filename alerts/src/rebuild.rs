//! An engine that was made anew from stored readings takes up where the lost one stood.
//!
//! It has learned, but what it holds active comes from a retelling that is not the log: some inputs
//! are not stored, others came at other instants. What staff were told stands in the store, so the
//! store decides: what both hold goes on as it was told, what only the store holds is over, what
//! only the engine holds is forgotten. A rule that still sees it says it again, with its evidence.

use std::collections::BTreeSet;

use metering::{ChannelNo, RuleNo, Severity, Subject, UtcTime};

use crate::alerts::AlertKey;
use crate::cause::{Cause, Family};
use crate::engine::Engine;
use crate::rule::RuleId;
use crate::transition::{AlertTransition, Evidence, TransitionKind, alert_id};

/// An alert that was told and not taken back, as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownAlert {
    pub alert_id: String,
    pub rule: RuleNo,
    pub subject: Subject,
    pub cause: Cause,
    pub family: Family,
    pub severity: Severity,
    /// Event time.
    pub condition_start: UtcTime,
    /// An issue stands for it.
    pub has_issue: bool,
}

impl Engine {
    /// The next record that is wanted has this sequence. For an engine that learned from frames
    /// which the log does not hold; what it said of them is forgotten.
    pub fn resume_at(&mut self, seq: i64) {
        self.next_seq = seq;
        self.env.out.clear();
        self.env.book.shadow.clear();
    }

    /// Makes the active alerts those of the store, see the module. Gives what is over, to be
    /// recorded: `Cleared` at the engine's log time, by alert id.
    pub fn reconcile(&mut self, known: &[KnownAlert]) -> Vec<AlertTransition> {
        let mut order: Vec<&KnownAlert> = known.iter().collect();
        order.sort_by(|a, b| {
            b.condition_start.cmp(&a.condition_start).then_with(|| a.alert_id.cmp(&b.alert_id))
        });
        let mut kept: BTreeSet<AlertKey> = BTreeSet::new();
        let mut over = Vec::new();
        for alert in order {
            let key = self.key_of(alert);
            if !kept.contains(&key) && self.env.book.adopt(&key, alert) {
                kept.insert(key);
            } else {
                over.push((key, alert));
            }
        }
        let live = self.env.book.live().map(|(key, _)| *key);
        let strangers: Vec<AlertKey> = live.filter(|key| !kept.contains(key)).collect();
        for key in strangers {
            self.select_subject(key.subject);
            self.env.book.retract(&key, self.env.at, &mut Vec::new());
        }
        self.env.select_all();
        over.sort_by(|a, b| a.1.alert_id.cmp(&b.1.alert_id));
        over.into_iter().filter_map(|(key, alert)| self.over(key, alert)).collect()
    }

    /// The store does not keep the channel of an alert, but its id tells it.
    fn key_of(&self, known: &KnownAlert) -> AlertKey {
        let channel = RuleId::from_number(known.rule.get())
            .and_then(|rule| self.channel_of(rule, known))
            .map_or(0, ChannelNo::get);
        AlertKey { subject: known.subject, rule: known.rule, channel }
    }

    fn channel_of(&self, rule: RuleId, known: &KnownAlert) -> Option<ChannelNo> {
        let Subject::Meter(meter) = known.subject else { return None };
        let place = *self.meter_places.get(&meter)?;
        let mut channels =
            self.meters.get(place as usize)?.channels.iter().map(|own| ChannelNo::new(own.no));
        channels.find(|no| {
            alert_id(rule, known.subject, Some(*no), known.condition_start) == known.alert_id
        })
    }

    fn over(&self, key: AlertKey, known: &KnownAlert) -> Option<AlertTransition> {
        let rule = RuleId::from_number(known.rule.get())?;
        let commodity = match known.subject {
            Subject::Meter(meter) => {
                let place = self.meter_places.get(&meter);
                place.and_then(|at| self.meters.get(*at as usize)).map(|meter| meter.commodity)
            }
            _ => None,
        };
        let now = self.env.at;
        Some(AlertTransition {
            alert_id: known.alert_id.clone(),
            rule,
            kind: TransitionKind::Cleared,
            subject: known.subject,
            channel: (key.channel != 0).then(|| ChannelNo::new(key.channel)),
            commodity,
            cause: known.cause,
            family: known.family,
            ranked: vec![(known.cause, 0)],
            identified: false,
            severity: known.severity,
            condition_start: known.condition_start,
            condition_end: Some(now),
            at: now,
            annunciate: known.has_issue,
            parent: None,
            others_active: self.env.book.others(&key, known.family),
            evidence: vec![Evidence::instant("condition_end", now)],
        })
    }
}
