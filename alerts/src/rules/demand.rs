//! #28 VAR-DMD: the demand of an interval is far above the largest of the last twelve months, or
//! above the contract. Commercial electricity only. It marks the bill, staff are told, and it opens no issue.
//! After rules have learned anew, the months are those that they learned from: the evidence says
//! how many.

use metering::{ChannelNo, Commodity, EventCode, Severity};

use super::device::{Told, report};
use crate::alerts::AlertKey;
use crate::cause::Cause;
use crate::env::Env;
use crate::local::month_index;
use crate::rule::RuleId;
use crate::state::meter::Meter;
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
/// The load that was waiting for the supply is no excursion.
const RESTORE_S: i64 = 2 * HOUR_S;

fn concerns(meter: &Meter) -> bool {
    meter.commodity == Commodity::Electricity && meter.is_customers() && meter.is_business()
}

/// Supply came back.
pub(crate) fn told(meter: &mut Meter, told: Told) {
    if told.code == EventCode::PowerRestore
        && let Some(demand) = meter.demand_if_any()
    {
        demand.restored_at = demand.restored_at.max(told.at);
    }
}

/// A slot with use.
pub(crate) fn slot_filled(meter: &mut Meter, at: usize, (end, value): (i64, i64), env: &mut Env) {
    if !concerns(meter) {
        return;
    }
    let Some(len_s) = meter.channels.get(at).map(|channel| channel.len()) else { return };
    let power = value.saturating_mul(HOUR_S) / len_s;
    let number = env.zones.day_at(meter.zone, end - len_s).number;
    let demand = meter.demand_mut();
    if (0..RESTORE_S).contains(&(end - len_s - demand.restored_at)) {
        return;
    }
    let month = month_index(number);
    let (most, months) = demand.largest.largest();
    let own = demand.largest.get(month).unwrap_or(0);
    let contract = demand.contract;
    if power > own {
        demand.largest.put(month, power);
    }
    let params = &env.params;
    let history = if months >= 2 { most.saturating_mul(params.demand_pct) / 100 } else { i64::MAX };
    let limit = if contract > 0 { history.min(contract) } else { history };
    if power <= limit {
        return;
    }
    let Some(no) = meter.channels.get(at).map(|channel| channel.no) else { return };
    let rule = (RuleId::VAR_DMD, Cause::HighConsumption);
    let mut report = report(meter, rule, (end - len_s, end), env);
    report.channel = Some(ChannelNo::new(no));
    report.severity = Severity::P3;
    report.evidence.push(Evidence::milli("measured", power, "W"));
    report.evidence.push(Evidence::milli("threshold", limit, "W"));
    let known = i64::try_from(months).unwrap_or_default();
    report.evidence.push(Evidence::number(
        "months_known",
        known,
        if known == 1 { "month" } else { "months" },
    ));
    env.book.assert(report, env.at, &mut env.out);
}

/// The next cycle clears it.
pub(crate) fn day_closed(meter: &Meter, at: usize, number: i32, env: &mut Env) {
    let Some(channel) = meter.channels.get(at) else { return };
    let key = AlertKey::of(meter.subject(), RuleId::VAR_DMD, Some(ChannelNo::new(channel.no)));
    let Some(start) = env.book.get(&key).map(|active| active.start) else { return };
    let first = env.zones.day_at(meter.zone, start).number;
    if month_index(number) > month_index(first) {
        let end = env.zones.day(meter.zone, number).start;
        env.book.clear(&key, end, env.at, &mut env.out);
    }
}
