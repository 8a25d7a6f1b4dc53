//! The desk: alerts in, announcements out.

use std::collections::{BTreeMap, BTreeSet};

use metering::{RuleNo, Severity, Subject, UtcTime};

use super::kpi::Meter;
use super::{
    Act, ActRefused, AlarmKey, AlarmState, Annunciation, DeskParams, Incident, Occasion, Route,
    Said, Shelve,
};
use crate::cause::{Cause, Family};
use crate::rule::CostClass;
use crate::transition::{AlertTransition, TransitionKind, hash32};

/// Activations of an alert that are remembered.
const ACTIVATIONS_MAX: usize = 8;
/// A latched alert stays at least this long, times its factor: for rules that look at once, and for
/// rules that look once a day.
const LATCH_S: [i64; 2] = [60, 86_400];
const LATCH_MAX: u8 = 8;

/// An alert at the desk. Times in seconds of log time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Alarm {
    pub(super) alert_id: String,
    pub(super) state: AlarmState,
    pub(super) severity: Severity,
    pub(super) cause: Cause,
    pub(super) class: Family,
    pub(super) raised_at: i64,
    pub(super) active: bool,
    /// When a latched alert may go, [`i64::MAX`] while its condition holds.
    pub(super) goes_at: i64,
    pub(super) activations: Vec<i64>,
    /// `keep_for` is this many times as long: 1, 2, 4, 8.
    pub(super) latch: u8,
    pub(super) route: Option<Route>,
}

/// An incident that is open.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    pub(super) incident: Incident,
    pub(super) lead: AlarmKey,
    pub(super) lead_cause: Cause,
    /// Announced at, 0 before the first time.
    pub(super) told_at: i64,
    pub(super) first_told_at: i64,
    /// More joined, or it got worse, since it was announced.
    pub(super) more: bool,
    pub(super) step: u8,
    /// Announcements so far.
    pub(super) count: u32,
}

/// Active alarms by incident.
pub(super) type Members = BTreeMap<Route, BTreeSet<AlarmKey>>;

/// Alert management of one head-end.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Desk {
    pub(super) params: DeskParams,
    pub(super) now: i64,
    pub(super) alarms: BTreeMap<AlarmKey, Alarm>,
    pub(super) groups: BTreeMap<Route, Group>,
    /// The active alarms of each incident, so that no transition must look through all.
    pub(super) members: Members,
    pub(super) shelves: Vec<Shelve>,
    pub(super) meter: Meter,
    /// When incidents were looked through.
    pub(super) looked_at: i64,
}

/// Incidents are looked through this often at most, unless alerts changed.
const LOOK_S: i64 = 10;

impl Desk {
    pub fn new(params: DeskParams) -> Self {
        Self { params, ..Self::default() }
    }

    /// State of an alert; `None` when it is not at the desk.
    pub fn state(&self, key: &AlarmKey) -> Option<AlarmState> {
        self.alarms.get(key).map(|alarm| alarm.state)
    }

    /// What is silent now.
    pub fn shelves(&self) -> &[Shelve] {
        &self.shelves
    }

    /// What is silent from now on, as the store keeps it.
    pub fn set_shelves(&mut self, shelves: Vec<Shelve>) {
        self.shelves = shelves;
    }

    /// Log time moves on; it never goes back.
    pub fn advance(&mut self, now: UtcTime, said: &mut Said) {
        let now = now.seconds();
        if now <= self.now {
            return;
        }
        if self.now == 0 {
            self.meter.start(now);
        }
        // At most a day of rows is made up for a time in which nobody ran.
        while let Some(row_at) = self.meter.row_due(now) {
            self.now = row_at.max(self.now);
            self.tell(said);
            let row = self.kpi_row(row_at);
            said.kpis.push(row);
        }
        self.now = now;
        if now - self.looked_at < LOOK_S {
            return;
        }
        self.looked_at = now;
        self.shelves.retain(|shelve| shelve.until.seconds() > now);
        let gone: Vec<AlarmKey> = self
            .alarms
            .iter()
            .filter(|(_, alarm)| alarm.active && alarm.goes_at <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.go(key, said);
        }
        let old = now - self.params.chatter_daily_s;
        // What nobody acknowledged for a week is forgotten.
        self.alarms.retain(|_, alarm| alarm.active || alarm.raised_at > old);
        self.tell(said);
    }

    /// The engine said something at its log time. `area` is the district or feeder of the subject.
    pub fn take(&mut self, transition: &AlertTransition, area: Option<Subject>, said: &mut Said) {
        self.advance(transition.at, said);
        let key = AlarmKey::new(transition.rule.no, transition.subject, transition.channel);
        match transition.kind {
            TransitionKind::Raised | TransitionKind::Updated => {
                self.active((key, transition), area, said);
            }
            TransitionKind::Cleared | TransitionKind::Retracted => {
                self.cleared(key, transition.kind, said);
            }
        }
    }

    /// Staff did something at log time `at`.
    ///
    /// # Errors
    /// [`ActRefused`] says why nothing was changed.
    pub fn act(&mut self, act: &Act, at: UtcTime, said: &mut Said) -> Result<(), ActRefused> {
        self.advance(at, said);
        match act {
            Act::Acknowledge { subject, class } => {
                for (key, alarm) in &mut self.alarms {
                    if key.subject == *subject
                        && alarm.class == *class
                        && alarm.state == AlarmState::UnackActive
                    {
                        alarm.state = AlarmState::AckActive;
                    }
                }
                self.alarms.retain(|key, alarm| {
                    !(alarm.state == AlarmState::UnackCleared
                        && key.subject == *subject
                        && alarm.class == *class)
                });
                self.answered();
            }
            Act::Shelve(shelve) => self.shelve(shelve)?,
            Act::Unshelve { rule, subject } => {
                self.shelves.retain(|shelve| shelve.rule != *rule || shelve.subject != *subject);
            }
            Act::Operators(count) if *count < 1 => return Err(ActRefused::Operators(*count)),
            Act::Operators(count) => self.params.operators = *count,
        }
        Ok(())
    }

    /// Incidents of which nothing is unacknowledged: what comes next escalates from the beginning.
    fn answered(&mut self) {
        let (alarms, members) = (&self.alarms, &self.members);
        let is_open = |key: &AlarmKey| {
            alarms.get(key).is_some_and(|alarm| alarm.state == AlarmState::UnackActive)
        };
        for (route, group) in &mut self.groups {
            if !members.get(route).is_some_and(|keys| keys.iter().any(is_open)) {
                group.step = 0;
            }
        }
    }

    fn shelve(&mut self, shelve: &Shelve) -> Result<(), ActRefused> {
        if shelve.rule.is_none() && shelve.subject.is_none() {
            return Err(ActRefused::Everything);
        }
        let wanted_s = shelve.until.seconds_since(shelve.from);
        if wanted_s <= 0 || shelve.until.seconds() <= self.now {
            return Err(ActRefused::NoTime);
        }
        let covers_p1 = self.alarms.iter().any(|(key, alarm)| {
            alarm.active && alarm.severity == Severity::P1 && covers(shelve, key)
        });
        let most_s = if covers_p1 { self.params.shelve_p1_s_max } else { self.params.shelve_s_max };
        if wanted_s > most_s {
            return Err(ActRefused::TooLong { wanted_s, most_s });
        }
        self.shelves.retain(|known| known.rule != shelve.rule || known.subject != shelve.subject);
        self.shelves.push(shelve.clone());
        Ok(())
    }

    /// Silent by an act of staff. A P1 that came up under a shelving is silent for its own short
    /// time only.
    fn is_silent(&self, key: &AlarmKey, alarm: &Alarm) -> bool {
        self.shelves.iter().any(|shelve| {
            let covers = covers(shelve, key) && shelve.from.seconds() <= self.now;
            let p1_over = alarm.severity == Severity::P1
                && self.now - alarm.raised_at.max(shelve.from.seconds())
                    >= self.params.shelve_p1_s_max;
            covers && !p1_over
        })
    }

    fn active(
        &mut self,
        (key, transition): (AlarmKey, &AlertTransition),
        area: Option<Subject>,
        said: &mut Said,
    ) {
        let explained = transition.parent.is_some()
            && !(transition.family == Family::Gas && transition.severity == Severity::P1);
        let told = transition.annunciate && transition.severity < Severity::P4;
        let (now, daily) = (self.now, is_daily(key.rule));
        self.meter.raised(key, now, transition.kind == TransitionKind::Raised);
        let alarm = self.alarms.entry(key).or_insert_with(|| Alarm {
            alert_id: transition.alert_id.clone(),
            state: AlarmState::Record,
            severity: transition.severity,
            cause: transition.cause,
            class: transition.family,
            raised_at: now,
            active: false,
            goes_at: i64::MAX,
            activations: Vec::new(),
            latch: 1,
            route: None,
        });
        let again = !alarm.active;
        if transition.kind == TransitionKind::Raised {
            alarm.note_activation(now, &self.params, daily);
        }
        if again {
            alarm.raised_at = now;
            alarm.alert_id.clone_from(&transition.alert_id);
        }
        (alarm.active, alarm.goes_at) = (true, i64::MAX);
        (alarm.severity, alarm.cause, alarm.class) =
            (transition.severity, transition.cause, transition.family);
        alarm.state = match (explained, told, alarm.state, again) {
            (true, ..) => AlarmState::Suppressed,
            (false, false, ..) => AlarmState::Record,
            (false, true, AlarmState::AckActive, false) => AlarmState::AckActive,
            _ => AlarmState::UnackActive,
        };
        if alarm.state == AlarmState::UnackActive {
            let node = transition.parent.or_else(|| node_of(key.subject)).or(area);
            let route = Route { class: transition.family, node };
            let left = alarm.route.replace(route).filter(|left| *left != route);
            self.members.entry(route).or_default().insert(key);
            self.join(route, key, transition);
            if let Some(left) = left {
                self.leave(left, key, said);
            }
        }
    }

    fn join(&mut self, route: Route, key: AlarmKey, transition: &AlertTransition) {
        let opened_at = UtcTime::from_seconds(self.now);
        let text = route.text();
        let group = self.groups.entry(route).or_insert_with(|| Group {
            incident: Incident {
                incident_id: hash32(&format!("incident|{text}|{}", opened_at.micros())),
                route,
                severity: transition.severity,
                opened_at,
                closed_at: None,
                alerts: 0,
                summary: String::new(),
            },
            lead: key,
            lead_cause: transition.cause,
            told_at: 0,
            first_told_at: 0,
            more: false,
            step: 0,
            count: 0,
        });
        let worse = transition.severity < group.incident.severity;
        if transition.kind == TransitionKind::Raised || group.incident.alerts == 0 {
            group.incident.alerts += 1;
        }
        if worse {
            group.incident.severity = transition.severity;
            (group.lead, group.lead_cause) = (key, transition.cause);
            group.step = 0;
            if transition.severity == Severity::P1 && group.told_at != 0 {
                // What became dangerous does not wait for the interval.
                group.told_at = self.now + self.params.group_wait_s - self.params.group_interval_s;
            }
        }
        group.more |= group.told_at != 0;
    }

    fn cleared(&mut self, key: AlarmKey, kind: TransitionKind, said: &mut Said) {
        let now = self.now;
        let Some(alarm) = self.alarms.get_mut(&key) else { return };
        if alarm.latch > 1 && kind == TransitionKind::Cleared {
            let base = LATCH_S[usize::from(is_daily(key.rule))];
            alarm.goes_at = now + base * i64::from(alarm.latch);
            return;
        }
        if now - alarm.raised_at < 60 {
            self.meter.fleeting();
        }
        self.go(key, said);
    }

    /// The alert is over.
    pub(super) fn go(&mut self, key: AlarmKey, said: &mut Said) {
        let keeps = self.now - self.params.chatter_daily_s;
        let Some(alarm) = self.alarms.get_mut(&key) else { return };
        alarm.active = false;
        alarm.goes_at = i64::MAX;
        let left = alarm.route.take();
        if alarm.state == AlarmState::UnackActive {
            alarm.state = AlarmState::UnackCleared;
        } else if alarm.activations.iter().all(|at| *at < keeps) || alarm.activations.len() < 2 {
            self.alarms.remove(&key);
        } else {
            alarm.state = AlarmState::Record;
        }
        if let Some(left) = left {
            self.leave(left, key, said);
        }
    }

    /// An alert leaves its incident, which is closed when nothing of it is active any more.
    fn leave(&mut self, route: Route, key: AlarmKey, said: &mut Said) {
        let Some(members) = self.members.get_mut(&route) else { return };
        members.remove(&key);
        if !members.is_empty() {
            return;
        }
        self.members.remove(&route);
        if let Some(mut group) = self.groups.remove(&route).filter(|group| group.told_at != 0) {
            group.incident.closed_at = Some(UtcTime::from_seconds(self.now));
            said.incidents.push(group.incident);
        }
    }

    /// The members of all incidents, from the alarms.
    pub(super) fn members_of(alarms: &BTreeMap<AlarmKey, Alarm>) -> Members {
        let mut members = Members::new();
        for (key, alarm) in alarms.iter().filter(|(_, alarm)| alarm.active) {
            if let Some(route) = alarm.route {
                members.entry(route).or_default().insert(*key);
            }
        }
        members
    }

    /// Announces what is due.
    fn tell(&mut self, said: &mut Said) {
        self.meter.flood(self.now, &self.params);
        let routes: Vec<Route> = self.groups.keys().copied().collect();
        for route in routes {
            self.tell_of(route, said);
        }
    }

    fn tell_of(&mut self, route: Route, said: &mut Said) {
        let (now, params) = (self.now, self.params);
        let Some(group) = self.groups.get(&route) else { return };
        let (since, worst) = (group.first_told_at, group.incident.severity);
        if due(group, now, Some(Unanswered { since, worst }), &params).is_none() {
            return;
        }
        let mut active = 0_u32;
        let mut unanswered: Option<Unanswered> = None;
        for key in self.members.get(&route).into_iter().flatten() {
            let Some(alarm) = self.alarms.get(key).filter(|alarm| !self.is_silent(key, alarm))
            else {
                continue;
            };
            active += 1;
            if alarm.state == AlarmState::UnackActive {
                let one = Unanswered { since: alarm.raised_at, worst: alarm.severity };
                unanswered = Some(unanswered.map_or(one, |known| known.with(one)));
            }
        }
        let Some(group) = self.groups.get(&route) else { return };
        let Some((occasion, step)) = due(group, now, unanswered, &params) else { return };
        let flood = self.meter.is_flood();
        let held = flood && group.incident.severity > Severity::P1 && active < 2;
        if active == 0 || held {
            return;
        }
        let alert_id = self.alarms.get(&group.lead).map_or(String::new(), |a| a.alert_id.clone());
        let Some(group) = self.groups.get_mut(&route) else { return };
        group.count += 1;
        group.step = group.step.max(step);
        group.told_at = now;
        if group.first_told_at == 0 {
            group.first_told_at = now;
        }
        group.more = false;
        let text = summary(group, active, step);
        group.incident.summary.clone_from(&text);
        said.incidents.push(group.incident.clone());
        let id = &group.incident.incident_id;
        said.annunciations.push(Annunciation {
            key: hash32(&format!("annunciation|{id}|{}", group.count)),
            at: UtcTime::from_seconds(now),
            incident_id: id.clone(),
            alert_id,
            occasion,
            severity: group.incident.severity,
            step,
            rule: group.lead.rule,
            cause: group.lead_cause,
            alerts: active,
            in_flood: flood,
            text,
        });
        self.meter.annunciated(now);
        self.meter.flood(now, &params);
    }
}

impl Alarm {
    /// Chattering alerts are latched, longer each time; a quiet spell takes the latch off.
    fn note_activation(&mut self, now: i64, params: &DeskParams, daily: bool) {
        let within_s = if daily { params.chatter_daily_s } else { params.chatter_s };
        self.activations.push(now);
        if self.activations.len() > ACTIVATIONS_MAX {
            self.activations.remove(0);
        }
        let recent = self.activations.iter().filter(|at| now - **at <= within_s).count();
        if recent >= params.chatter_count {
            self.latch = (self.latch * 2).min(LATCH_MAX);
        } else if recent == 1 {
            self.latch = 1;
        }
    }
}

/// What of an incident nobody acknowledged: the oldest of its worst alerts.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    since: i64,
    worst: Severity,
}

impl Unanswered {
    fn with(self, other: Self) -> Self {
        match self.worst.cmp(&other.worst) {
            std::cmp::Ordering::Less => self,
            std::cmp::Ordering::Greater => other,
            std::cmp::Ordering::Equal => Self { since: self.since.min(other.since), ..self },
        }
    }
}

/// What is due for an incident: the occasion and the step of escalation.
fn due(
    group: &Group,
    now: i64,
    unanswered: Option<Unanswered>,
    params: &DeskParams,
) -> Option<(Occasion, u8)> {
    if group.told_at == 0 {
        let waited = now - group.incident.opened_at.seconds() >= params.group_wait_s;
        return waited.then_some((Occasion::New, 0));
    }
    let since = now - group.told_at;
    if group.more && since >= params.group_interval_s {
        return Some((Occasion::More, 0));
    }
    let unanswered = unanswered?;
    let unanswered_s = now - unanswered.since.max(group.first_told_at);
    let (step, repeat_s) = match unanswered.worst {
        Severity::P1 if unanswered_s >= params.escalate_p1_manager_s => (2, params.repeat_s[0]),
        Severity::P1 if unanswered_s >= params.escalate_p1_s => (1, params.repeat_s[0]),
        Severity::P1 => (0, params.repeat_s[0]),
        Severity::P2 => (u8::from(unanswered_s >= params.escalate_p2_s), params.repeat_s[1]),
        _ => (0, params.repeat_s[2]),
    };
    if step > group.step {
        return Some((Occasion::Escalation, step));
    }
    (since >= repeat_s).then_some((Occasion::Repeat, step))
}

fn summary(group: &Group, active: u32, step: u8) -> String {
    let whom = match (step, group.incident.severity) {
        (2, _) => ", for the manager",
        (1, Severity::P1) => ", for the second on call",
        (1, _) => ", for the shift",
        _ => "",
    };
    let route = group.incident.route.text();
    let (severity, cause) = (group.incident.severity, group.lead_cause);
    if active == 1 {
        let (kind, number) = (group.lead.subject.kind(), group.lead.subject.number());
        format!("{severity} {cause} {kind} {number}{whom}")
    } else {
        format!("{severity} {route}: {active} alerts, worst {cause}{whom}")
    }
}

/// Nodes are their own group.
fn node_of(subject: Subject) -> Option<Subject> {
    (!matches!(subject, Subject::Meter(_))).then_some(subject)
}

fn covers(shelve: &Shelve, key: &AlarmKey) -> bool {
    shelve.rule.is_none_or(|rule| rule == key.rule)
        && shelve.subject.is_none_or(|subject| subject == key.subject)
}

/// The rule looks once a day or less often.
fn is_daily(rule: RuleNo) -> bool {
    crate::rule::RuleId::from_number(rule.get()).and_then(crate::rule::RuleId::info).is_some_and(
        |info| !matches!(info.cost, CostClass::O1 | CostClass::Group | CostClass::Event),
    )
}
