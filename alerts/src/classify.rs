//! #63 COM-CLASSIFY: why a meter is silent. The first row of the table that has its evidence wins;
//! the others are kept with their log-odds, so that staff see the runner-up.
//!
//! Rows 1 and 2 (head-end, collector) are decided where they are seen; row 4 (no active account) is
//! no alert at all. Rows 3, 5 and 9 need outage areas, work orders and firmware, which the log does
//! not carry yet.

use metering::{Severity, Tag};

use crate::cause::Cause;
use crate::env::Env;
use crate::state::NEVER;
use crate::state::meter::Meter;
use crate::transition::Evidence;

/// The verdict on a silent meter.
#[derive(Clone, Debug)]
pub(crate) struct Silent {
    pub(crate) cause: Cause,
    pub(crate) ranked: Vec<(Cause, i16)>,
    pub(crate) severity: Severity,
    pub(crate) evidence: Vec<Evidence>,
}

const DAY_S: i64 = 86_400;
/// A fall of the signal by this much between the slow and the quick mean, in hundredths of dB.
const RSSI_FALL: i32 = 400;
/// Within this of the weakest signal, in hundredths of dB (row 8).
const RSSI_MARGIN: i64 = 600;

/// `None` when silence is expected (row 4).
pub(crate) fn silent(meter: &Meter, env: &Env) -> Option<Silent> {
    if !meter.account_active {
        return None;
    }
    let (params, past) = (&env.params, meter.past());
    let flap_from = env.now - params.flap_days * DAY_S;
    let cycles = usize::try_from(params.flap_cycles).unwrap_or(3).clamp(2, 3);
    let flapping = past.lost_at[cycles - 1] >= flap_from;
    let low_flag =
        past.low_at[0] != NEVER && env.now - past.low_at[0] <= params.classify_battery_days * DAY_S;
    let since = meter.silent_since();
    let tamper = past.tamper_at != NEVER
        && (0..=params.classify_tamper_days * DAY_S).contains(&(since - past.tamper_at));
    let delivers = meter.p_miss <= 0.02;
    let falls = meter.rssi_slow != 0 && meter.rssi_slow - meter.rssi_quick >= RSSI_FALL;
    let weak = meter.rssi_quick != 0
        && i64::from(meter.rssi_quick) <= params.classify_rssi_floor_dbm * 100 + RSSI_MARGIN;

    let mut ranked = vec![(Cause::CommLost, 0)];
    if meter.battery_powered {
        ranked.push((Cause::BatteryDead, if low_flag { 400 } else { -70 }));
    }
    ranked.push((Cause::TamperSuspect, if tamper && delivers { 200 } else { -250 }));
    let rf = -70 + if falls { 200 } else { 0 } + if weak { 100 } else { 0 };
    ranked.push((Cause::RfObstructed, if delivers { rf - 50 } else { rf + 50 }));
    let cause = if flapping {
        ranked.push((Cause::RfMarginal, 300));
        Cause::RfMarginal
    } else if meter.battery_powered && low_flag {
        Cause::BatteryDead
    } else if tamper && delivers {
        Cause::TamperSuspect
    } else if (falls || weak) && !delivers {
        Cause::RfObstructed
    } else {
        Cause::CommLost
    };
    // Stable: equal odds stay in the order of the table; what won stands first.
    ranked.sort_by_key(|(one, odds)| (*one != cause, -odds));
    let severity = match cause {
        Cause::TamperSuspect if meter.tags.has(Tag::Critical) => Severity::P2,
        _ => meter.silence_severity(),
    };
    Some(Silent { cause, ranked, severity, evidence: evidence(meter, env, since) })
}

fn evidence(meter: &Meter, env: &Env, since: i64) -> Vec<Evidence> {
    let past = meter.past();
    let silence_s = env.now - meter.heard_at;
    let mut facts = vec![
        Evidence::instant("window_from", crate::alerts::seconds(since)),
        Evidence::instant("window_to", env.at),
        Evidence::new(
            "silence",
            silence_s,
            "s",
            format!("{} h without contact", silence_s / 3_600),
        ),
        Evidence::number("missed_contacts", silence_s / meter.cadence_s(), "contacts"),
        Evidence::number("cadence", meter.cadence_s(), "s"),
        Evidence::new("miss_rate", per_mille(meter.p_miss), "permille", {
            let rate = per_mille(meter.p_miss);
            format!("{}.{} % of contacts missed before", rate / 10, rate % 10)
        }),
    ];
    if past.low_at[0] != NEVER {
        facts.push(Evidence::instant("battery_low_at", crate::alerts::seconds(past.low_at[0])));
    }
    if past.tamper_at != NEVER {
        facts.push(Evidence::instant("tamper_at", crate::alerts::seconds(past.tamper_at)));
    }
    if meter.rssi_quick != 0 {
        let dbm = i64::from(meter.rssi_quick / 100);
        facts.push(Evidence::new("signal", dbm, "dBm", format!("{dbm} dBm at last")));
    }
    facts
}

/// A share of 0 to 1 in thousandths, by whole steps.
fn per_mille(share: f64) -> i64 {
    (0..1_000_i32).take_while(|step| f64::from(*step + 1) / 1_000.0 <= share).count() as i64
}
