//! What the engine says: an alert was raised, changed, cleared or withdrawn.

use std::fmt;

use metering::{ChannelNo, Commodity, Severity, Subject, UtcTime};
use sha2::{Digest, Sha256};

use crate::cause::{Cause, Family};
use crate::rule::RuleId;

/// What happened to an alert.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TransitionKind {
    Raised,
    /// Still active; severity, cause, evidence or `annunciate` changed.
    Updated,
    Cleared,
    /// Late data showed that the condition never held.
    Retracted,
}

impl TransitionKind {
    /// Stable text, as stored and exported.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Updated => "updated",
            Self::Cleared => "cleared",
            Self::Retracted => "retracted",
        }
    }
}

impl fmt::Display for TransitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One step in the life of an alert. The same log always gives the same transitions, byte for byte.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertTransition {
    /// [`alert_id`] of rule, subject, channel and condition start.
    pub alert_id: String,
    pub rule: RuleId,
    pub kind: TransitionKind,
    pub subject: Subject,
    pub channel: Option<ChannelNo>,
    /// Of the subject; `None` for collectors and the head-end.
    pub commodity: Option<Commodity>,
    pub cause: Cause,
    pub family: Family,
    /// Causes with their log-odds in hundredths, best first; [`Self::cause`] stands at the top.
    pub ranked: Vec<(Cause, i16)>,
    /// The cause is certain (rows 1 to 5 of COM-CLASSIFY).
    pub identified: bool,
    pub severity: Severity,
    /// Event time at which the condition began.
    pub condition_start: UtcTime,
    /// Event time at which the condition ended: with [`TransitionKind::Cleared`], else `None`.
    pub condition_end: Option<UtcTime>,
    /// Log time of this transition.
    pub at: UtcTime,
    /// False: for the record only, no issue is opened for it. The condition is already over or of
    /// long ago (backfill never pages), it is severity P4, or the parent explains it.
    pub annunciate: bool,
    /// What explains this alert: a collector, a transformer or zone without power, or the first meter
    /// of a firmware cohort.
    pub parent: Option<Subject>,
    /// Other alerts of the same subject and family that are active after this transition.
    pub others_active: u16,
    pub evidence: Vec<Evidence>,
}

impl AlertTransition {
    /// Family of the parent's issue: a node without power, else communications.
    pub const fn parent_family(&self) -> Family {
        match self.parent {
            Some(Subject::Transformer(_) | Subject::Zone(_)) => Family::Power,
            // Neighbours in a street without water.
            Some(Subject::Meter(_)) if matches!(self.family, Family::Supply) => Family::Supply,
            _ => Family::Comm,
        }
    }
}

/// One measured fact behind an alert, enough to draw it. Quantities are in milli-units of `unit`
/// unless the unit says otherwise; instants (`unit` = "us") in microseconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    pub key: &'static str,
    pub value: i64,
    pub unit: &'static str,
    /// The fact for people, with its unit.
    pub text: String,
}

impl Evidence {
    pub(crate) fn new(key: &'static str, value: i64, unit: &'static str, text: String) -> Self {
        Self { key, value, unit, text }
    }

    /// A bare number with its unit.
    pub(crate) fn number(key: &'static str, value: i64, unit: &'static str) -> Self {
        Self { key, value, unit, text: format!("{value} {unit}").trim_end().to_owned() }
    }

    /// An instant, in microseconds since 1970.
    pub fn instant(key: &'static str, at: UtcTime) -> Self {
        Self { key, value: at.micros(), unit: "us", text: at.to_string() }
    }

    /// A quantity in thousandths of `unit`, shown with three digits or fewer.
    pub fn milli(key: &'static str, milli: i64, unit: &'static str) -> Self {
        let text = format!("{} {unit}", milli_text(milli)).trim_end().to_owned();
        Self { key, value: milli, unit, text }
    }
}

/// Thousandths as a decimal number without trailing zeros.
pub(crate) fn milli_text(milli: i64) -> String {
    let sign = if milli < 0 { "-" } else { "" };
    let magnitude = milli.unsigned_abs();
    let text = format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Deterministic identity of an alert: the first 32 hexadecimal digits of SHA-256.
pub fn alert_id(
    rule: RuleId,
    subject: Subject,
    channel: Option<ChannelNo>,
    condition_start: UtcTime,
) -> String {
    let channel = channel.map_or(0, ChannelNo::get);
    hash32(&format!(
        "alert|{}|{}|{}|{channel}|{}",
        rule.no.get(),
        subject.kind(),
        subject.number(),
        condition_start.micros()
    ))
}

pub(crate) fn hash32(text: &str) -> String {
    use fmt::Write;
    let digest = Sha256::digest(text.as_bytes());
    let mut hex = String::with_capacity(32);
    for byte in digest.iter().take(16) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_shown_without_trailing_zeros() {
        assert_eq!(milli_text(3_800), "3.8");
        assert_eq!(milli_text(-5), "-0.005");
        assert_eq!(milli_text(12_000), "12");
    }
}
