//! Alert management (`metering-rules` 3): what staff are told of the alerts, when, and how often.
//!
//! Alerts that belong together are one [`Incident`]: those of one class under the same parent node,
//! else of one class in the same district or feeder, else of one class. An incident is announced
//! half a minute after its first alert, again when more join, and again while nobody acknowledges
//! it. What a parent explains is inhibited, what is shelved or out of service is silent until its
//! end, what chatters is latched, and in a flood only P1 and summaries of groups are announced.
//! The rules and the issues go on under all of it.
//!
//! [`Desk`] is a state machine over log time: transitions, acts of staff and the passing of time in,
//! [`Said`] out. The same input gives the same output, and a snapshot and the tail a straight run.

mod agree;
mod desk;
mod kpi;
mod save;
#[cfg(test)]
mod tests;

use metering::{ChannelNo, RuleNo, Severity, Subject, UtcTime};

pub use desk::Desk;
pub use kpi::{KpiRow, Kpis};

use crate::cause::{Cause, Family};
use crate::snapshot::snap_struct;

/// What the desk goes by. All `default` but the two group timers (shipped Alertmanager samples).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeskParams {
    /// People who share the load.
    pub operators: i64,
    pub group_wait_s: i64,
    pub group_interval_s: i64,
    /// Announced again while unacknowledged: P1, P2, P3.
    pub repeat_s: [i64; 3],
    /// P1 to the second on call, P1 to the manager, P2 to the shift.
    pub escalate_p1_s: i64,
    pub escalate_p1_manager_s: i64,
    pub escalate_p2_s: i64,
    /// A flood opens above so many announcements in ten minutes and per operator, and ends below.
    pub flood_from: i64,
    pub flood_until: i64,
    /// So many activations within the time below are chattering.
    pub chatter_count: usize,
    pub chatter_s: i64,
    /// For rules that look once a day.
    pub chatter_daily_s: i64,
    /// Longest shelving, and that of P1.
    pub shelve_s_max: i64,
    pub shelve_p1_s_max: i64,
    /// Unacknowledged P1 and P2 are stale after this.
    pub stale_s: i64,
}

impl Default for DeskParams {
    fn default() -> Self {
        Self {
            operators: 1,
            group_wait_s: 30,
            group_interval_s: 300,
            repeat_s: [4 * 3_600, 24 * 3_600, 7 * 86_400],
            escalate_p1_s: 900,
            escalate_p1_manager_s: 1_800,
            escalate_p2_s: 4 * 3_600,
            flood_from: 10,
            flood_until: 5,
            chatter_count: 3,
            chatter_s: 60,
            chatter_daily_s: 7 * 86_400,
            shelve_s_max: 7 * 86_400,
            shelve_p1_s_max: 3_600,
            stale_s: 86_400,
        }
    }
}

/// State of an alert at the desk (in the manner of ISA-18.2). Silence by shelving or being out of
/// service lies over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmState {
    /// Active and for the record only: nobody is told.
    Record,
    UnackActive,
    AckActive,
    /// Returned to normal before anybody acknowledged it.
    UnackCleared,
    /// Explained by its parent.
    Suppressed,
}

/// One alert at the desk: rule, subject and channel (0: the meter as a whole).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AlarmKey {
    pub rule: RuleNo,
    pub subject: Subject,
    pub channel: i16,
}

impl AlarmKey {
    pub fn new(rule: RuleNo, subject: Subject, channel: Option<ChannelNo>) -> Self {
        Self { rule, subject, channel: channel.map_or(0, ChannelNo::get) }
    }
}

snap_struct!(AlarmKey { rule, subject, channel });

/// What an incident is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Route {
    pub class: Family,
    /// Parent node, else district or feeder, else nothing.
    pub node: Option<Subject>,
}

snap_struct!(Route { class, node });

impl Route {
    /// For people and tables: `COMM at collector 3`.
    pub fn text(&self) -> String {
        match self.node {
            Some(node) => format!("{} at {} {}", self.class, node.kind(), node.number()),
            None => self.class.to_string(),
        }
    }
}

/// Alerts that staff are told of together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    pub incident_id: String,
    pub route: Route,
    /// The worst of its alerts so far.
    pub severity: Severity,
    pub opened_at: UtcTime,
    pub closed_at: Option<UtcTime>,
    /// Alerts that were ever part of it.
    pub alerts: u32,
    pub summary: String,
}

/// Why somebody is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Occasion {
    /// A new incident.
    New,
    /// More alerts joined it, or it got worse.
    More,
    /// Still unacknowledged.
    Repeat,
    /// Unacknowledged for too long: step 1 second on call (P2: shift), step 2 manager.
    Escalation,
}

impl Occasion {
    pub const ALL: &'static [Self] = &[Self::New, Self::More, Self::Repeat, Self::Escalation];

    /// Stable text, as stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::More => "more",
            Self::Repeat => "repeat",
            Self::Escalation => "escalation",
        }
    }
}

/// Somebody is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Annunciation {
    /// The same log gives the same keys; a key is told once.
    pub key: String,
    pub at: UtcTime,
    pub incident_id: String,
    /// The alert that the incident opened or worsened with.
    pub alert_id: String,
    pub occasion: Occasion,
    pub severity: Severity,
    /// 0 operator, 1 second on call or shift, 2 manager.
    pub step: u8,
    pub rule: RuleNo,
    pub cause: Cause,
    /// Active alerts of the incident that it speaks of.
    pub alerts: u32,
    pub in_flood: bool,
    pub text: String,
}

/// What the desk gives.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Said {
    pub annunciations: Vec<Annunciation>,
    /// Incidents that opened, changed or closed, by their newest state.
    pub incidents: Vec<Incident>,
    /// One for each ten minutes of log time that ended.
    pub kpis: Vec<KpiRow>,
}

/// What is silent until an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shelve {
    /// `None`: all rules, or all subjects; not both.
    pub rule: Option<RuleNo>,
    pub subject: Option<Subject>,
    pub from: UtcTime,
    pub until: UtcTime,
    pub who: String,
    pub why: String,
    /// Taken out of service, for works; else shelved.
    pub out_of_service: bool,
}

/// What staff do at the desk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Staff know of the alerts of this class of the subject (its issue was acknowledged).
    Acknowledge {
        subject: Subject,
        class: Family,
    },
    Shelve(Shelve),
    /// Ends what was shelved for this rule and subject.
    Unshelve {
        rule: Option<RuleNo>,
        subject: Option<Subject>,
    },
    Operators(i64),
}

/// An act that is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ActRefused {
    #[error("shelving needs a rule or a subject: shelving everything hides what is dangerous")]
    Everything,
    #[error("shelving ends before it begins: give a later end")]
    NoTime,
    #[error("shelving lasts {wanted_s} s, at most {most_s} s are allowed: give an earlier end")]
    TooLong { wanted_s: i64, most_s: i64 },
    #[error("{0} operators cannot share the load: give at least one")]
    Operators(i64),
}
