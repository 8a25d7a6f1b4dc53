//! How many failures are an alert, and what ends it.

use super::DAY_S;
use crate::rule::RuleId;

/// When a rule's failures are an alert, and when it is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Policy {
    pub(super) need: usize,
    pub(super) within_s: i64,
    pub(super) clear: Clear,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Clear {
    /// Readings without the failure for this long.
    CleanFor(i64),
    /// So many readings or windows in a row without it.
    Passes(u8),
}

const fn once(clear: Clear) -> Policy {
    Policy { need: 1, within_s: DAY_S, clear }
}

/// `None` for rules that never raise an alert of their own.
pub(super) fn policy(rule: RuleId, demand_billed: bool) -> Option<Policy> {
    let policy = match rule {
        RuleId::ING_TIME => Policy { need: 3, within_s: DAY_S, clear: Clear::CleanFor(DAY_S) },
        RuleId::ING_SIZE | RuleId::INT_NEG => once(Clear::CleanFor(DAY_S)),
        RuleId::REG_DEC => once(Clear::CleanFor(7 * DAY_S)),
        RuleId::ING_DUP
        | RuleId::ING_UOM
        | RuleId::ING_MULT
        | RuleId::ING_CLK
        | RuleId::REG_CAP
        | RuleId::REG_SUM
        | RuleId::REG_TOU => once(Clear::Passes(2)),
        RuleId::INT_HILO => once(Clear::Passes(7)),
        RuleId::INT_SPIKE if demand_billed => once(Clear::Passes(1)),
        RuleId::INT_SPIKE => Policy { need: 3, within_s: 7 * DAY_S, clear: Clear::Passes(1) },
        RuleId::ING_FLAG
        | RuleId::ING_DST
        | RuleId::REG_DELTA
        | RuleId::INT_ZERO
        | RuleId::INT_INACT
        | RuleId::INT_FLAT
        | RuleId::INT_KVARH
        | RuleId::INT_PROLONG => once(Clear::Passes(1)),
        _ => return None,
    };
    Some(policy)
}
