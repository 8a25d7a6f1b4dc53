//! Each rule by itself: facts in, outcome out.

use metering::{DeviceFlags, Interval, LocalCalendar, Outcome, Quantity, ReadingType, UtcTime};

use crate::params::Params;
use crate::register::Advance;
use crate::validate::{Agreement, Arrival};

/// Flags with which a value must not be used (#6; overflow, skipped, test mode, ...).
pub const FLAGS_FAIL: DeviceFlags = DeviceFlags::SKIPPED
    .union(DeviceFlags::OVERFLOW)
    .union(DeviceFlags::TEST)
    .union(DeviceFlags::CONFIG_CHANGED)
    .union(DeviceFlags::NOT_RECORDING);
/// Flags that are worth a mark only (#6; partial, long, clock changed, power fail).
pub const FLAGS_WARN: DeviceFlags = DeviceFlags::PARTIAL
    .union(DeviceFlags::LONG)
    .union(DeviceFlags::CLOCK_CHANGED)
    .union(DeviceFlags::POWER_FAIL);

const DAY_S: i64 = 86_400;

/// #2 ING-TIME for an instant: not from the future, not ancient, not before the installation.
pub fn time(at: UtcTime, doubtful: bool, arrival: &Arrival, params: &Params) -> Outcome {
    let latest = arrival.received_at.plus_seconds(params.future_max_s);
    let earliest = arrival.received_at.plus_seconds(-params.age_max_s);
    // An installation is known by its date, so its whole day counts.
    let installed = arrival.installed_at.floor_to(DAY_S);
    if doubtful || at > latest || at < earliest || at < installed {
        return Outcome::Fail;
    }
    Outcome::Pass
}

/// #2 ING-TIME for an interval: also on the grid of its length, in UTC or in local time.
pub fn interval_time(
    interval: Interval,
    doubtful: bool,
    arrival: &Arrival,
    calendar: Option<&LocalCalendar>,
    params: &Params,
) -> Outcome {
    if time(interval.end(), doubtful, arrival, params) == Outcome::Fail {
        return Outcome::Fail;
    }
    let on_grid =
        interval.on_grid() || calendar.is_some_and(|local| on_local_grid(interval, local));
    if on_grid { Outcome::Pass } else { Outcome::Fail }
}

/// Intervals of a day or of hours may follow the local clock, which differs from UTC by quarter
/// hours at the finest.
fn on_local_grid(interval: Interval, calendar: &LocalCalendar) -> bool {
    let midnight = calendar.day_containing(interval.end()).start;
    let micros = interval.end().micros() - midnight.micros();
    micros.rem_euclid(i64::from(interval.len_s()) * 1_000_000) == 0
}

/// #3 ING-SIZE.
pub fn size(len_s: i32, configured_len_s: i32) -> Outcome {
    if len_s == configured_len_s { Outcome::Pass } else { Outcome::Fail }
}

/// #4 ING-UOM and #5 ING-MULT.
pub fn agreement(agreement: Agreement) -> Outcome {
    match agreement {
        Agreement::Agrees => Outcome::Pass,
        Agreement::Differs => Outcome::Fail,
        Agreement::NotStated => Outcome::NotEvaluable,
    }
}

/// #6 ING-FLAG. `unchecked`: the receiver could not check the telegram (CRC, decoding error).
pub fn flag(flags: DeviceFlags, unchecked: bool) -> Outcome {
    if unchecked || flags.bits() & FLAGS_FAIL.bits() != 0 {
        Outcome::Fail
    } else if flags.bits() & FLAGS_WARN.bits() != 0 {
        Outcome::Warn
    } else {
        Outcome::Pass
    }
}

/// #7 ING-CLK. A message may arrive late for many reasons: whoever asks passes a clock that is
/// behind only when it was told from a delay, else `None`.
pub fn clock(ahead_s: Option<i64>, time_of_use: bool, params: &Params) -> Outcome {
    let fail_s = if time_of_use { params.clock_fail_tou_s } else { params.clock_fail_s };
    match ahead_s.map(i64::saturating_abs) {
        None => Outcome::NotEvaluable,
        Some(off_s) if off_s > fail_s => Outcome::Fail,
        Some(off_s) if off_s > params.clock_warn_s => Outcome::Warn,
        Some(_) => Outcome::Pass,
    }
}

/// #11 REG-DEC.
pub fn decrease(advance: Advance, params: &Params) -> Outcome {
    match advance {
        Advance::First | Advance::Stale => Outcome::NotEvaluable,
        Advance::Forward { .. } | Advance::Rollover { .. } => Outcome::Pass,
        Advance::Decrease { delta } if delta >= -params.decrease_pass_max => Outcome::Pass,
        Advance::Decrease { .. } | Advance::Reset => Outcome::Fail,
    }
}

/// #12 REG-CAP for a register read; `cap_known`: the asset record has a limit.
pub fn register_cap(advance: Advance, cap_known: bool) -> Outcome {
    match advance {
        Advance::Forward { over_cap: true, .. } => Outcome::Fail,
        Advance::Forward { .. } | Advance::Rollover { .. } if cap_known => Outcome::Pass,
        _ => Outcome::NotEvaluable,
    }
}

/// #12 REG-CAP for the use within one interval, in milli-units; `cap_per_hour` 0 = unknown.
pub fn interval_cap(value: i64, len_s: i32, cap_per_hour: i64, params: &Params) -> Outcome {
    if cap_per_hour <= 0 {
        Outcome::NotEvaluable
    } else if value > params.cap(cap_per_hour, i64::from(len_s)) {
        Outcome::Fail
    } else {
        Outcome::Pass
    }
}

/// #20 INT-NEG. Only quantities that are used up can be "negative"; a temperature may.
pub fn negative(value: i64, reading_type: ReadingType, net: bool) -> Outcome {
    let consumed = matches!(
        reading_type.quantity,
        Quantity::EnergyActive | Quantity::EnergyThermal | Quantity::Volume
    );
    if net || !consumed {
        Outcome::NotEvaluable
    } else if value < 0 {
        Outcome::Fail
    } else {
        Outcome::Pass
    }
}
