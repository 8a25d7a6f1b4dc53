//! Which cause a failure names, how urgent it is, and what else it may be.

use metering::{Commodity, Severity};

use super::{DAY_S, Fail, Whose, kind};
use crate::alerts::AlertKey;
use crate::cause::{Cause, Family};
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::network::Is;

/// A time-of-use clock that differs by more than this is urgent (`vee`'s `clock_large_s`).
const CLOCK_LARGE_S: i64 = 900;

/// The cause that a failure names, with its severity.
pub(super) fn named(
    whose: Whose<'_>,
    rule: RuleId,
    fails: &[Fail],
    env: &Env,
) -> (Cause, Severity) {
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
                _ if disagree_both_ways(fails) => Cause::SumMismatch,
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
            let demand = env.network.is(whose.place, Is::DEMAND_BILLED);
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
    let time_of_use = env.network.is(whose.place, Is::TIME_OF_USE);
    time_of_use && off_s.abs() > CLOCK_LARGE_S
}

fn several_in_a_week(fails: &[Fail]) -> bool {
    let newest = fails.last().map_or(0, |fail| fail.to);
    fails.iter().filter(|fail| newest - fail.to <= 7 * DAY_S).count() >= 2
}

/// The intervals tell less than the register on some days of a week and more on others: no lost
/// pulse and no doubled one does that.
fn disagree_both_ways(fails: &[Fail]) -> bool {
    let newest = fails.last().map_or(0, |fail| fail.to);
    let told =
        |kind: u8| fails.iter().any(|fail| fail.kind == kind && newest - fail.to <= 7 * DAY_S);
    told(kind::SUM_MISSING_PULSES) && told(kind::SUM_DOUBLE_COUNT)
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

pub(super) fn runner_up(rule: RuleId, cause: Cause) -> Option<(Cause, i16)> {
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
