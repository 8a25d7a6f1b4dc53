//! #35 MTR-SWAP: another device answers than the asset record says, or one serial at two places.

use metering::{Severity, WorkOrderKind};

use super::device::{Told, key, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::meter::Meter;

const EXCHANGES: [WorkOrderKind; 3] =
    [WorkOrderKind::Exchange, WorkOrderKind::Removal, WorkOrderKind::ModuleReplacement];

/// The papers of an exchange may follow it, or go before it.
fn explained(meter: &Meter, at: i64, env: &Env) -> bool {
    let within_s = env.params.exchange_h * 3_600;
    (meter.installed_at.s() - at).abs() <= within_s || meter.visited(at, within_s, &EXCHANGES)
}

pub(crate) fn told(meter: &Meter, told: Told, env: &mut Env) {
    if explained(meter, told.at, env) {
        return;
    }
    let mut report =
        report(meter, (RuleId::MTR_SWAP, Cause::AssetMismatch), (told.at, told.at), env);
    report.severity = Severity::P2;
    env.book.assert(report, env.at, &mut env.out);
}

/// A visit became known.
pub(crate) fn ordered(meter: &Meter, env: &mut Env) {
    let key = key(meter, RuleId::MTR_SWAP);
    let Some(start) = env.book.get(&key).map(|active| active.start) else { return };
    if explained(meter, start, env) {
        env.book.retract(&key, env.at, &mut env.out);
    }
}

/// The asset record names another device than before.
pub(crate) fn corrected(meter: &Meter, env: &mut Env) {
    let key = key(meter, RuleId::MTR_SWAP);
    env.book.clear(&key, env.now, env.at, &mut env.out);
}
