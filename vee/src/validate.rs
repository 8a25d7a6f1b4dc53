//! The door: a reading and what is known around it in, a judged reading out.

use metering::{
    ChannelAsset, IntervalReading, JudgedReading, LocalCalendar, Outcome, QualityStatus,
    RegisterReading, RuleMask, SlotCode, UtcTime,
};

use crate::checks;
use crate::params::Params;
use crate::register::Advance;
use crate::rules::Rule;

/// Facts of the message that brought the reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    pub received_at: UtcTime,
    pub installed_at: UtcTime,
    /// Device clock minus ours at contact, in seconds, when the message says when it was sent.
    /// `None` also when nothing can be told: the message may only have been late.
    pub clock_ahead_s: Option<i64>,
    /// The device's clock gains or loses too much a day, whatever it shows now.
    pub clock_drifts: bool,
}

/// Does the message state the same as the asset record?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    Agrees,
    Differs,
    NotStated,
}

/// What is known around an interval value.
#[derive(Clone, Copy, Debug)]
pub struct IntervalContext<'a> {
    pub arrival: Arrival,
    pub channel: &'a ChannelAsset,
    /// Zone of the usage point, for grids that follow the local clock.
    pub calendar: Option<&'a LocalCalendar>,
    pub unit: Agreement,
    pub multiplier: Agreement,
    /// The codec marked the time as not to be trusted.
    pub time_doubtful: bool,
    /// The receiver could not check the telegram.
    pub unchecked: bool,
    /// One register counts both directions (tag `netmeter`).
    pub net: bool,
    /// Verdict on the register reads that a derived interval comes from.
    pub inherited: Verdict,
}

/// What is known around a register value.
#[derive(Clone, Copy, Debug)]
pub struct RegisterContext<'a> {
    pub arrival: Arrival,
    pub channel: &'a ChannelAsset,
    pub unit: Agreement,
    pub multiplier: Agreement,
    pub time_doubtful: bool,
    pub unchecked: bool,
    /// What the counter did since its previous read. [`Advance::First`] for momentary values.
    pub advance: Advance,
    pub cap_known: bool,
}

/// The sum of all rules on one reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    pub failed: RuleMask,
    /// True when a failed rule forbids to use the value: it is stored as suspect.
    pub hold: bool,
}

/// What one rule says of one reading, and whether its Fail forbids to use the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    pub rule: Rule,
    pub outcome: Outcome,
    pub holds: bool,
}

impl Verdict {
    #[must_use]
    pub fn with(mut self, finding: Finding) -> Self {
        if finding.outcome == Outcome::Fail {
            if let Some(no) = finding.rule.no() {
                self.failed = self.failed.with(no);
            }
            self.hold |= finding.holds;
        }
        self
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            failed: RuleMask::from_bits(self.failed.bits() | other.failed.bits()),
            hold: self.hold || other.hold,
        }
    }

    fn code(self, flags: metering::DeviceFlags) -> SlotCode {
        let status = if self.hold { QualityStatus::Suspect } else { QualityStatus::Raw };
        let code = SlotCode::new(status, flags);
        if self.failed.is_empty() { code } else { code.with_exception() }
    }
}

/// The findings of all rules that run on an interval value, in catalogue order.
pub fn interval_findings(
    reading: &IntervalReading,
    context: &IntervalContext<'_>,
    params: &Params,
) -> [Finding; 8] {
    let interval = reading.interval;
    let channel = context.channel;
    let len_s = interval.len_s();
    let cap_per_hour = channel.cap_per_hour;
    [
        finding(
            Rule::Time,
            checks::interval_time(
                interval,
                context.time_doubtful,
                &context.arrival,
                context.calendar,
                params,
            ),
        ),
        finding(Rule::Size, checks::size(len_s, channel.len_s)),
        finding(Rule::UnitOfMeasure, checks::agreement(context.unit)),
        finding(Rule::Multiplier, checks::agreement(context.multiplier)),
        finding(Rule::Flag, checks::flag(reading.flags, context.unchecked)),
        clock_finding(&context.arrival, channel, len_s, params),
        finding(Rule::Cap, checks::interval_cap(reading.value, len_s, cap_per_hour, params)),
        finding(Rule::Negative, checks::negative(reading.value, channel.reading_type, context.net)),
    ]
}

/// The findings of all rules that run on a register value, in catalogue order.
pub fn register_findings(
    reading: &RegisterReading,
    context: &RegisterContext<'_>,
    params: &Params,
) -> [Finding; 7] {
    let time = checks::time(reading.read_at, context.time_doubtful, &context.arrival, params);
    [
        finding(Rule::Time, time),
        finding(Rule::UnitOfMeasure, checks::agreement(context.unit)),
        finding(Rule::Multiplier, checks::agreement(context.multiplier)),
        finding(Rule::Flag, checks::flag(reading.flags, context.unchecked)),
        clock_finding(&context.arrival, context.channel, context.channel.len_s, params),
        finding(Rule::Decrease, checks::decrease(context.advance, params)),
        finding(Rule::Cap, checks::register_cap(context.advance, context.cap_known)),
    ]
}

/// Judges an interval value: Raw when no rule forbids its use, else Suspect; failed rules are
/// marked either way.
pub fn judge_interval(
    reading: IntervalReading,
    context: &IntervalContext<'_>,
    params: &Params,
) -> JudgedReading<IntervalReading> {
    let verdict = interval_findings(&reading, context, params)
        .into_iter()
        .filter_map(|finding| in_force(finding, params))
        .fold(context.inherited, Verdict::with);
    JudgedReading { reading, code: verdict.code(reading.flags), failed: verdict.failed }
}

/// Judges a register value, and tells the verdict that intervals derived from it inherit.
pub fn judge_register(
    reading: RegisterReading,
    context: &RegisterContext<'_>,
    params: &Params,
) -> (JudgedReading<RegisterReading>, Verdict) {
    let verdict = register_findings(&reading, context, params)
        .into_iter()
        .filter_map(|finding| in_force(finding, params))
        .fold(Verdict::default(), Verdict::with);
    let code = verdict.code(reading.flags);
    (JudgedReading { reading, code, failed: verdict.failed }, verdict)
}

/// `None` for a rule that is off for this meter; one in shadow tells and holds nothing.
fn in_force(finding: Finding, params: &Params) -> Option<Finding> {
    let bit = finding.rule.mask().bits();
    let shadow = params.shadow.bits() & bit != 0;
    (params.off.bits() & bit == 0).then_some(Finding { holds: finding.holds && !shadow, ..finding })
}

const fn finding(rule: Rule, outcome: Outcome) -> Finding {
    Finding { rule, outcome, holds: true }
}

/// A clock that is wrong by up to half an interval is a mark; beyond that the value stands in
/// the wrong slot.
fn clock_finding(
    arrival: &Arrival,
    channel: &ChannelAsset,
    len_s: i32,
    params: &Params,
) -> Finding {
    let ahead_s = arrival.clock_ahead_s;
    let by_now = checks::clock(ahead_s, channel.reading_type.tariff > 0, params);
    let outcome = if arrival.clock_drifts { Outcome::Fail } else { by_now };
    let hold_s = params.clock_fail_s.max(i64::from(len_s) / 2);
    let holds = ahead_s.is_some_and(|ahead| ahead.saturating_abs() > hold_s);
    Finding { rule: Rule::ClockDrift, outcome, holds }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
