//! #35 MTR-SWAP: another device answers than the asset record says, or one serial at two places.
//!
//! Devices speak for themselves as soon as they answer. Serials are compared once a day, among
//! meters of one commodity: makers of different commodities number alike.

use std::collections::BTreeSet;

use metering::{Commodity, Severity, WorkOrderKind};

use super::device::{Told, key, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::meter::Meter;
use crate::transition::Evidence;

const EXCHANGES: [WorkOrderKind; 3] =
    [WorkOrderKind::Exchange, WorkOrderKind::Removal, WorkOrderKind::ModuleReplacement];

/// Mark of an alert that is about two records, not about a device that answered.
const TWICE: i64 = 1;

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

/// The daily look: one serial at two places. Both are told, and both are over when one is corrected.
pub(crate) fn look(meters: &[Meter], env: &mut Env) {
    let mut held: Vec<(u64, Commodity, u32)> = (0_u32..)
        .zip(meters)
        .filter(|(_, meter)| meter.serial_hash != 0)
        .map(|(place, meter)| (meter.serial_hash, meter.commodity, place))
        .collect();
    held.sort_unstable();
    let mut now: BTreeSet<u32> = BTreeSet::new();
    for same in held.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
        if same.len() > 1 {
            now.extend(same.iter().map(|(_, _, place)| *place));
        }
    }
    for place in &now {
        let own = &meters[*place as usize];
        let twin = twin_of(own, *place, (&held, meters));
        // A device that moves stands in both records until the papers are done.
        let moving =
            explained(own, env.now, env) || twin.is_some_and(|t| explained(t, env.now, env));
        if let Some(twin) = twin.filter(|_| !moving) {
            env.select(*place);
            twice(own, twin, env);
        }
    }
    for (place, meter) in (0_u32..).zip(meters) {
        let key = key(meter, RuleId::MTR_SWAP);
        let by_serial = env.book.get(&key).is_some_and(|active| active.mark == TWICE);
        if by_serial && !now.contains(&place) {
            env.select(place);
            env.book.clear(&key, env.now, env.at, &mut env.out);
        }
    }
}

/// The first other meter with the serial.
fn twin_of<'a>(
    own: &Meter,
    place: u32,
    (held, meters): (&[(u64, Commodity, u32)], &'a [Meter]),
) -> Option<&'a Meter> {
    let first = (own.serial_hash, own.commodity, 0);
    held[held.partition_point(|one| *one < first)..]
        .iter()
        .take_while(|one| (one.0, one.1) == (own.serial_hash, own.commodity))
        .find(|one| one.2 != place)
        .and_then(|one| meters.get(one.2 as usize))
}

fn twice(meter: &Meter, twin: &Meter, env: &mut Env) {
    let key = key(meter, RuleId::MTR_SWAP);
    if env.book.get(&key).is_some() {
        return;
    }
    let mut report =
        report(meter, (RuleId::MTR_SWAP, Cause::AssetMismatch), (env.now, env.now), env);
    report.severity = Severity::P2;
    report.evidence.push(Evidence::new(
        "same_serial",
        i64::from(twin.id.get()),
        "",
        format!("meter {} has the same serial number", twin.id.get()),
    ));
    env.book.assert(report, env.at, &mut env.out);
    if let Some(active) = env.book.get_mut(&key) {
        active.mark = TWICE;
    }
}
