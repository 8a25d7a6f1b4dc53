//! #34 MTR-RESET: the register restarted near zero, or the configuration changed, and no visit
//! explains it. A visit that becomes known later withdraws the alert.

use metering::{EventCode, Severity, WorkOrder, WorkOrderKind, WorkOrderStatus};

use super::device::{Told, key, look_at, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::meter::Meter;

const HOLD_S: i64 = 3_600;
/// Visits that change a meter's register or configuration.
const CHANGING: [WorkOrderKind; 4] = [
    WorkOrderKind::Exchange,
    WorkOrderKind::Removal,
    WorkOrderKind::ModuleReplacement,
    WorkOrderKind::Reprogramming,
];

/// A visit explains what happened at `at`.
pub(crate) fn explained(meter: &Meter, at: i64, env: &Env) -> bool {
    let exchange_s = env.params.exchange_h * 3_600;
    let visit_s = env.params.visit_h * 3_600;
    (meter.installed_at.s() - at).abs() <= exchange_s
        || meter.visited(at, exchange_s, &CHANGING)
        || meter.visited(at, visit_s, &[])
}

pub(crate) fn told(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    env.crowd.note((told.code, 0), told.at, place);
    if told.at >= meter.rare_mut().reset_at {
        meter.rare_mut().reset_at = told.at;
        meter.rare_mut().reset_code = told.code.number();
    }
    look_at(place, RuleId::MTR_RESET, env.now + HOLD_S, env);
}

/// Timer: no visit became known and it is no crowd.
pub(crate) fn look(meter: &mut Meter, env: &mut Env) {
    let Some((at, code)) = meter.rare().map(|rare| (rare.reset_at, rare.reset_code)) else {
        return;
    };
    let of_many =
        EventCode::from_number(code).is_some_and(|code| env.crowd.is_mass(code, at, env.fleet));
    if of_many || explained(meter, at, env) {
        return;
    }
    let mut report = report(meter, (RuleId::MTR_RESET, Cause::UnplannedReset), (at, at), env);
    report.severity = Severity::P2;
    env.book.assert(report, env.at, &mut env.out);
}

/// A visit: it explains what happened around it, or repairs what happened before it.
pub(crate) fn ordered(meter: &Meter, order: &WorkOrder, env: &mut Env) {
    let key = key(meter, RuleId::MTR_RESET);
    let Some(start) = env.book.get(&key).map(|active| active.start) else { return };
    if explained(meter, start, env) {
        env.book.retract(&key, env.at, &mut env.out);
    } else if order.status == WorkOrderStatus::Completed && order.at.seconds() >= start {
        env.book.clear(&key, order.at.seconds(), env.at, &mut env.out);
    }
}
