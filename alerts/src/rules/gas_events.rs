//! #52 GAS-VALVE: gas flows through a closed valve. #54 GAS-TILT, #55 GAS-PRESS: the gas meter says
//! that it was moved, or that its pressure or temperature is wrong. Such an alert of severity P1
//! ends with the device's own word; only staff close its issue.

use metering::{Commodity, EventCode, Severity};

use super::device::{Told, key, report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::Meter;
use crate::transition::Evidence;

/// What ends by the device's own word.
const RULES: [(EventCode, RuleId); 2] =
    [(EventCode::Tilt, RuleId::GAS_TILT), (EventCode::PressureFault, RuleId::GAS_PRESS)];
/// In the detail of a pressure event: it is the temperature that is wrong.
const OF_TEMPERATURE: i32 = 2;

pub(crate) fn told(meter: &Meter, told: Told, env: &mut Env) {
    if meter.commodity != Commodity::Gas {
        return;
    }
    let (rule, cause, severity) = if told.code == EventCode::Tilt {
        let visit_s = env.params.visit_h * 3_600;
        if meter.visited(told.at, visit_s, &[]) {
            return;
        }
        (RuleId::GAS_TILT, Cause::TamperSuspect, Severity::P1)
    } else if told.detail == OF_TEMPERATURE {
        (RuleId::GAS_PRESS, Cause::GasAnomaly, Severity::P2)
    } else {
        (RuleId::GAS_PRESS, Cause::GasAnomaly, Severity::P1)
    };
    let mut report = report(meter, (rule, cause), (told.at, told.at), env);
    report.severity = severity;
    let ended = meter.rare().map_or(NEVER, |rare| rare.ended_at[usize::from(rule != RULES[0].1)]);
    if ended >= told.at {
        // That it is over came first.
        env.book.past(&report, ended, env.at, &mut env.out);
    } else {
        env.book.assert(report, env.at, &mut env.out);
    }
}

/// The device says that an earlier event ended; `detail` is the code of that event, 0 any.
pub(crate) fn ended(meter: &mut Meter, told: Told, env: &mut Env) {
    if meter.commodity != Commodity::Gas {
        return;
    }
    for (at, (code, rule)) in RULES.into_iter().enumerate() {
        if told.detail != 0 && told.detail != i32::from(code.number()) {
            continue;
        }
        let ended = &mut meter.rare_mut().ended_at[at];
        *ended = told.at.max(*ended);
        let key = key(meter, rule);
        let begun = env.book.get(&key).is_some_and(|active| active.start <= told.at);
        if begun {
            env.book.clear(&key, told.at, env.at, &mut env.out);
        }
    }
}

/// Switch or valve: cut or joined.
pub(crate) fn switched(meter: &mut Meter, told: Told) {
    let rare = meter.rare_mut();
    match told.code {
        EventCode::ValveClosed | EventCode::SwitchOpened if told.at > rare.cut_at => {
            rare.cut_at = told.at;
            rare.cut_use = 0;
        }
        EventCode::ValveOpened | EventCode::SwitchClosed => {
            rare.joined_at = rare.joined_at.max(told.at);
        }
        _ => {}
    }
}

/// Use in a slot while the meter is cut off: counted for electricity too (#36).
pub(crate) fn used_while_cut(
    meter: &mut Meter,
    (channel, end, value): (usize, i64, i64),
    env: &mut Env,
) {
    let Some((len_s, step)) = meter.channels.get(channel).map(|c| (c.len(), c.resolution().max(1)))
    else {
        return;
    };
    let grace_s = env.params.valve_grace_s;
    let Some(rare) = meter.rare_if_any().filter(|rare| rare.is_cut()) else { return };
    if end - len_s < rare.cut_at + grace_s || value <= 0 {
        return;
    }
    if rare.cut_use == 0 {
        rare.cut_use_from = end - len_s;
    }
    rare.cut_use = rare.cut_use.saturating_add(value);
    rare.cut_use_from = rare.cut_use_from.min(end - len_s);
    let (used, from) = (rare.cut_use, rare.cut_use_from);
    if meter.commodity != Commodity::Gas || used <= env.params.valve_pulses * step {
        return;
    }
    let mut report = report(meter, (RuleId::GAS_VALVE, Cause::ValveFailure), (from, end), env);
    report.severity = Severity::P1;
    report.evidence.push(Evidence::milli("measured", used, "L"));
    env.book.assert(report, env.at, &mut env.out);
}
