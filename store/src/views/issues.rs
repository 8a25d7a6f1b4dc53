//! What do staff work on, and why is it so?

use metering::{ChannelNo, Commodity, RuleNo, Severity, Subject, UtcTime};

use super::meters::UnknownWord;

mod detail;
mod evidence;
mod list;

pub use detail::by_number;
pub(in crate::views) use evidence::evidence as evidence_of;
pub use list::{counts, list, of_subject, row, worst};

/// Saved filters of the issue list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IssueSet {
    /// Not closed, not snoozed, not folded under another issue.
    #[default]
    Open,
    /// Open P1 and P2.
    Urgent,
    /// Open and nobody acknowledged it.
    Unacknowledged,
    /// Open, family LEAK.
    Leaks,
    /// Open, family COMM.
    Silent,
    /// The condition cleared, verification runs.
    FixedPending,
    Snoozed,
    /// Final or closed, newest first.
    Closed,
}

impl IssueSet {
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Urgent,
        Self::Unacknowledged,
        Self::Leaks,
        Self::Silent,
        Self::FixedPending,
        Self::Snoozed,
        Self::Closed,
    ];

    /// Stable text, as in URLs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Urgent => "urgent",
            Self::Unacknowledged => "unacknowledged",
            Self::Leaks => "leaks",
            Self::Silent => "silent",
            Self::FixedPending => "fixed_pending",
            Self::Snoozed => "snoozed",
            Self::Closed => "closed",
        }
    }
}

impl std::str::FromStr for IssueSet {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|this| this.word() == text).ok_or(UnknownWord)
    }
}

impl IssueCounts {
    pub const fn of(&self, set: IssueSet) -> i64 {
        match set {
            IssueSet::Open => self.open,
            IssueSet::Urgent => self.urgent,
            IssueSet::Unacknowledged => self.unacknowledged,
            IssueSet::Leaks => self.leaks,
            IssueSet::Silent => self.silent,
            IssueSet::FixedPending => self.fixed_pending,
            IssueSet::Snoozed => self.snoozed,
            IssueSet::Closed => self.closed,
        }
    }
}

/// Which issues to list. Empty fields do not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IssueFilter {
    pub set: IssueSet,
    /// Cause family, such as LEAK.
    pub family: Option<String>,
    pub severity: Option<Severity>,
    pub commodity: Option<Commodity>,
    /// Code of the network zone.
    pub zone: Option<String>,
    /// Part of subject, address or cause; or the issue's number.
    pub q: Option<String>,
}

/// How many issues each saved filter holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IssueCounts {
    pub open: i64,
    pub urgent: i64,
    pub unacknowledged: i64,
    pub leaks: i64,
    pub silent: i64,
    pub fixed_pending: i64,
    pub snoozed: i64,
    pub closed: i64,
}

/// One line of the list.
#[derive(Clone, PartialEq, Debug)]
pub struct IssueRow {
    pub issue_id: String,
    pub number: i64,
    pub severity: Severity,
    /// Cause as identified, else as detected: `LEAK_CUSTOMER_SIDE`.
    pub cause: String,
    pub family: String,
    pub state: String,
    pub subject: Subject,
    /// Number of the meter, code of the collector, or `head-end`.
    pub subject_name: String,
    pub address: String,
    pub zone_code: String,
    pub zone_name: String,
    pub commodity: Option<Commodity>,
    /// IANA zone of the usage point, if any.
    pub time_zone: Option<String>,
    pub condition_start: UtcTime,
    pub detected_at: UtcTime,
    pub updated_at: UtcTime,
    pub cleared_at: Option<UtcTime>,
    pub closed_at: Option<UtcTime>,
    pub acknowledged_at: Option<UtcTime>,
    pub acknowledged_by: Option<String>,
    pub snoozed_until: Option<UtcTime>,
    pub assignee: Option<String>,
    /// Issues folded under this one that are not closed.
    pub children: i64,
    pub evidence: Vec<Evidence>,
}

/// One measured fact behind an issue: `value` in `unit`, or a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    pub key: String,
    pub value: i64,
    pub unit: String,
    pub text: String,
}

/// A possible cause with its log-odds in hundredths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RankedCause {
    pub cause: String,
    pub log_odds_x100: i16,
}

/// Everything on an issue's page.
#[derive(Clone, PartialEq, Debug)]
pub struct IssueDetail {
    pub row: IssueRow,
    pub cause_detected: String,
    pub identified_cause: Option<String>,
    pub identified_at: Option<UtcTime>,
    pub identified_by: Option<String>,
    pub ranked: Vec<RankedCause>,
    pub rule_no: Option<RuleNo>,
    pub rule: String,
    pub channel: Option<ChannelNo>,
    pub date_fixed: Option<UtcTime>,
    pub suppressed: bool,
    pub parent: Option<ParentIssue>,
    /// Children, worst first, at most 1,000.
    pub children: Vec<IssueRow>,
    pub alerts: Vec<AlertRow>,
    pub log: Vec<IssueLogRow>,
}

/// The issue under which this one is folded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParentIssue {
    pub number: i64,
    pub cause: String,
    pub subject_name: String,
}

/// What a rule said; oldest first.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertRow {
    pub alert_id: String,
    pub rule_no: Option<RuleNo>,
    pub rule: String,
    pub cause: String,
    pub severity: Severity,
    pub condition_start: UtcTime,
    pub raised_at: UtcTime,
    pub cleared_at: Option<UtcTime>,
    pub retracted_at: Option<UtcTime>,
    pub evidence: Vec<Evidence>,
}

/// One entry of the history; oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssueLogRow {
    pub seq: i32,
    /// `transition`, `overlay`, `comment` or `evidence`.
    pub kind: String,
    pub from_state: Option<String>,
    pub to_state: Option<String>,
    pub at: UtcTime,
    /// `engine`, `user` or `system`.
    pub actor_kind: String,
    pub actor: String,
    pub reason: String,
}
