//! Where what a device says of itself goes: events, momentary values, and the second look that some
//! rules take. Also what a work order or a new asset record ends.

use metering::{Commodity, EventCode, WorkOrder, WorkOrderKind, WorkOrderStatus};

use crate::alerts::{AlertKey, Report};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::{
    backflow, cell, demand, gas_events, hardware, identity, leak, pipe, reset, reverse, stopped,
    tamper,
};
use crate::state::channel::Sort;
use crate::state::meter::Meter;
use crate::timer::TimerKey;

const DAY_S: i64 = 86_400;

/// An event of a meter as it comes from the log. Times in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) at: i64,
    pub(crate) code: EventCode,
    pub(crate) detail: i32,
}

/// A meter told something of itself.
pub(crate) fn event(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    let late = told.at < env.now - env.params.late_days * DAY_S;
    if late || told.at > env.now + env.params.ahead_s {
        return;
    }
    tamper::told(meter, place, told, env);
    match told.code {
        EventCode::HardwareFault
        | EventCode::HardwareWarning
        | EventCode::MemoryError
        | EventCode::InvalidRead => hardware::told(meter, place, told, env),
        EventCode::RegisterReset | EventCode::ConfigChanged => {
            reset::told(meter, place, told, env);
        }
        EventCode::IdentityChanged => identity::told(meter, told, env),
        EventCode::ReverseRotation => reverse::told(meter, told, env),
        EventCode::ReverseFlow => backflow::told(meter, place, told, env),
        EventCode::Dry | EventCode::AirInPipe => pipe::told(meter, place, told, env),
        EventCode::AmbientTemperature => {
            pipe::temperature(meter, (told.at, told.detail), env);
        }
        EventCode::Tilt | EventCode::PressureFault => gas_events::told(meter, told, env),
        EventCode::ValveClosed
        | EventCode::ValveOpened
        | EventCode::SwitchOpened
        | EventCode::SwitchClosed => gas_events::switched(meter, told),
        EventCode::Cleared => gas_events::ended(meter, told, env),
        EventCode::PowerRestore => demand::told(meter, told),
        EventCode::LoadSideCurrent => {
            let rare = meter.rare_mut();
            rare.load_at = rare.load_at.max(told.at);
        }
        EventCode::BatteryVoltage => {
            cell::voltage(meter, (told.at, i64::from(told.detail)), env);
        }
        EventCode::BatteryDays => cell::vendor(meter, told, env),
        _ => {}
    }
}

/// A momentary value, or a register of a channel beside the one that carries use: in milli-units.
pub(crate) fn instant(meter: &mut Meter, channel: i16, (at, value): (i64, i64), env: &mut Env) {
    if at > env.now + env.params.ahead_s {
        return;
    }
    let Some(sort) = meter.channel_at(channel).map(|at| meter.channels[at].sort) else { return };
    if matches!(sort, Sort::Use | Sort::Export | Sort::Other) {
        env.registers.note((meter.id, channel), (at, value));
    }
    match sort {
        Sort::Export => reverse::register(meter, (at, value), env),
        Sort::Voltage if meter.commodity == Commodity::Electricity => {
            let rare = meter.rare_mut();
            if at >= rare.volt_at {
                (rare.volt_at, rare.volt_mv) = (at, value);
            }
        }
        Sort::Voltage => cell::voltage(meter, (at, value), env),
        Sort::Temperature => {
            let centi = i32::try_from(value / 10).unwrap_or(0);
            pipe::temperature(meter, (at, centi), env);
        }
        Sort::Use | Sort::Other => {}
    }
}

/// Timer: a rule looks at the meter again.
pub(crate) fn look(meter: &mut Meter, place: u32, rule: u8, env: &mut Env) {
    match RuleId::from_number(rule) {
        Some(RuleId::MTR_ERR) => hardware::look(meter, place, env),
        Some(RuleId::MTR_RESET) => reset::look(meter, env),
        Some(RuleId::TMP_SCORE) => tamper::look(meter, place, env),
        Some(RuleId::WTR_BACK) => backflow::look(meter, place, env),
        Some(RuleId::WTR_DRY) => pipe::look(meter, place, env),
        _ => {}
    }
}

/// A work order for the meter was made or changed; the meter knows it already.
pub(crate) fn ordered(meter: &mut Meter, place: u32, order: &WorkOrder, env: &mut Env) {
    reset::ordered(meter, order, env);
    identity::ordered(meter, env);
    if order.status != WorkOrderStatus::Completed {
        return;
    }
    let at = order.at.seconds();
    match order.kind {
        WorkOrderKind::Exchange => {
            stopped::exchanged(meter, at, env);
            cell::replaced(meter, at, env);
            end(meter, &[RuleId::MTR_SLOW, RuleId::MTR_ERR, RuleId::MTR_REV], at, env);
        }
        WorkOrderKind::BatteryReplacement | WorkOrderKind::ModuleReplacement => {
            cell::replaced(meter, at, env);
        }
        WorkOrderKind::Repair => leak::repaired(meter, at, env),
        _ => {}
    }
    tamper::look(meter, place, env);
}

/// Clears what the visit ended.
fn end(meter: &Meter, rules: &[RuleId], at: i64, env: &mut Env) {
    for rule in rules {
        clear_all(meter, *rule, at, env);
    }
}

/// Clears the alerts of this rule, of the meter and of its channels.
pub(crate) fn clear_all(meter: &Meter, rule: RuleId, at: i64, env: &mut Env) {
    let channels = meter.channels.iter().map(|channel| channel.no);
    for channel in std::iter::once(0).chain(channels) {
        let key = AlertKey { subject: meter.subject(), rule: rule.no, channel };
        let Some(start) = env.book.get(&key).map(|active| active.start) else { continue };
        if at >= start {
            env.book.clear(&key, at, env.at, &mut env.out);
        }
    }
}

/// A report about the meter as a whole, from data of `start` to `until`.
pub(crate) fn report(
    meter: &Meter,
    (rule, cause): (RuleId, Cause),
    (start, until): (i64, i64),
    env: &Env,
) -> Report {
    let mut report = Report::new(rule, meter.subject(), cause, start);
    report.commodity = Some(meter.commodity);
    report.until = until;
    report.annunciate = env.is_fresh(until, meter.lag_s());
    report.evidence = vec![
        crate::transition::Evidence::instant("window_from", crate::alerts::seconds(start)),
        crate::transition::Evidence::instant("window_to", crate::alerts::seconds(until)),
    ];
    report
}

pub(crate) fn key(meter: &Meter, rule: RuleId) -> AlertKey {
    AlertKey::of(meter.subject(), rule, None)
}

/// Sets the timer of a second look; never in the past.
pub(crate) fn look_at(place: u32, rule: RuleId, at: i64, env: &mut Env) {
    env.timers.set(at.max(env.now + 1), TimerKey::Look { meter: place, rule: rule.no.get() });
}
