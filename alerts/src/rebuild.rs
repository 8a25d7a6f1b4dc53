//! An engine that was made anew from stored readings takes up where the lost one stood.
//!
//! It has learned, but what it holds active comes from a retelling that is not the log: some inputs
//! are not stored, others came at other instants. What staff were told stands in the store, so the
//! store decides: what both hold goes on as it was told, what only the store holds is over, what
//! only the engine holds is forgotten. A rule that still sees it says it again, with its evidence.
//! An alert that began before all that was learned can only be held by the store: it goes on, and
//! its own rule ends it.

use std::collections::BTreeSet;

use metering::{ChannelNo, CollectorId, Commodity, MeterId, RuleNo, Severity, Subject, UtcTime};

use crate::alerts::AlertKey;
use crate::cause::{Cause, Family};
use crate::engine::Engine;
use crate::rule::RuleId;
use crate::rules::{collector, silence};
use crate::state::meter::secs;
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
    /// Of WTR-CONT (#38).
    pub leak: Option<KnownLeak>,
}

/// What was told of a leak that lasts: the newest rate, and what had leaked up to `to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownLeak {
    pub ml_per_day: i64,
    /// Event time.
    pub to: UtcTime,
    pub leaked_ml: i64,
}

impl Engine {
    /// For an engine that begins to learn: the meter was heard for the last time at `at`. It is
    /// silent since then, and did not fall silent beside others that are told in the same way.
    pub fn was_heard(&mut self, id: MeterId, at: UtcTime) {
        let Some(place) = self.meter_places.get(&id).copied() else { return };
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        self.env.select(place);
        silence::long_silent(meter, place, secs(at), &mut self.env);
    }

    /// For an engine that begins to learn: the newest heartbeat of the collector is that of `at`.
    pub fn had_beaten(&mut self, id: CollectorId, at: UtcTime) {
        let place = self.collector_place(id);
        if let Some(collector) = self.collectors.get_mut(place as usize) {
            collector::beat(collector, place, secs(at), &mut self.env);
        }
    }

    /// The next record that is wanted has this sequence. For an engine that learned from frames
    /// which the log does not hold; what it said of them is forgotten.
    pub fn resume_at(&mut self, seq: i64) {
        self.next_seq = seq;
        self.env.out.clear();
        self.env.book.shadow.clear();
    }

    /// Makes the active alerts those of the store, see the module. Gives what is over, to be
    /// recorded: `Cleared` at the engine's log time, by alert id. What began before `learned_from`
    /// goes on in any case.
    pub fn reconcile(
        &mut self,
        known: &[KnownAlert],
        learned_from: UtcTime,
    ) -> Vec<AlertTransition> {
        let mut order: Vec<&KnownAlert> = known.iter().collect();
        order.sort_by(|a, b| {
            b.condition_start.cmp(&a.condition_start).then_with(|| a.alert_id.cmp(&b.alert_id))
        });
        let mut kept: BTreeSet<AlertKey> = BTreeSet::new();
        let mut over = Vec::new();
        for alert in order {
            let key = self.key_of(alert);
            let is_older = alert.condition_start < learned_from;
            if !kept.contains(&key)
                && (self.env.book.adopt(&key, alert) || (is_older && self.keep(&key, alert)))
            {
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
            self.forget_silence(key);
        }
        self.env.select_all();
        self.agree_on_outages();
        over.sort_by(|a, b| a.1.alert_id.cmp(&b.1.alert_id));
        over.into_iter().filter_map(|(key, alert)| self.over(key, alert)).collect()
    }

    /// False for a meter or a rule that is gone.
    fn keep(&mut self, key: &AlertKey, known: &KnownAlert) -> bool {
        let is_gone = RuleId::from_number(key.rule.get()).is_none()
            || matches!(key.subject, Subject::Meter(id) if !self.meter_places.contains_key(&id));
        if is_gone {
            return false;
        }
        self.select_subject(key.subject);
        let commodity = self.commodity_of(key.subject);
        self.env.book.keep(key, known, commodity)
    }

    fn forget_silence(&mut self, key: AlertKey) {
        let Subject::Meter(id) = key.subject else { return };
        if key.rule == RuleId::COM_STALE.no
            && let Some(place) = self.meter_places.get(&id).copied()
            && let Some(meter) = self.meters.get_mut(place as usize)
        {
            silence::untold(meter, place, &mut self.env);
        }
    }

    fn agree_on_outages(&mut self) {
        for (place, own) in (0_u32..).zip(&mut self.collectors) {
            let key = AlertKey::of(Subject::Collector(own.id), RuleId::COM_COLL, None);
            let told = self.env.book.get(&key).map(|active| active.start);
            collector::agree(own, place, told, &mut self.env);
        }
    }

    fn commodity_of(&self, subject: Subject) -> Option<Commodity> {
        let Subject::Meter(id) = subject else { return None };
        let place = *self.meter_places.get(&id)?;
        self.meters.get(place as usize).map(|meter| meter.commodity)
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
        let commodity = self.commodity_of(known.subject);
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
