//! #63 COM-CLASSIFY: why a meter is silent. The first row of the table that has its evidence wins;
//! every class keeps its log-odds, so that staff see the runner-up.
//!
//! Rows 1 and 2 (head-end, collector) are decided where they are seen, row 9 (firmware) in
//! `rules::cohort` once row 10 would have it. Rows 4 and 5 are no alert at all.

use metering::{Severity, Subject, Tag, WorkOrderKind};

use crate::alerts::AlertKey;
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::cell;
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
/// Contacts between the slow and the quick mean of the signal.
const RSSI_LAG: i64 = 240;
/// A fall of the means below this is noise, in hundredths of dB.
const RSSI_NOISE: i64 = 150;
/// Within this of the weakest signal, in hundredths of dB (row 8).
const RSSI_MARGIN: i64 = 600;
/// The ratio was 98 % or better: what its estimate shows of it, error included.
const DELIVERED_MISS: f64 = 0.04;

/// What is known of a silent meter, row by row.
#[derive(Clone, Copy, Debug)]
struct Known {
    flapping: bool,
    /// Row 6.
    battery: bool,
    /// Row 7: an event of tampering just before.
    tamper: bool,
    /// The ratio fell over the last days.
    decayed: bool,
    /// The signal falls by 1 dB a week or more.
    falls: bool,
    /// The signal is within 6 dB of the floor.
    weak: bool,
}

impl Known {
    fn of(meter: &Meter, place: u32, env: &Env) -> Self {
        let (params, past) = (&env.params, meter.past());
        let cycles = usize::try_from(params.flap_cycles).unwrap_or(3).clamp(2, 3);
        let since = meter.silent_since();
        let before = |at: i64, days: i64| at != NEVER && (0..=days * DAY_S).contains(&(since - at));
        let delivered = meter.miss_rate() <= DELIVERED_MISS;
        let (slow, quick) = (i64::from(meter.rssi_slow), i64::from(meter.rssi_quick));
        let fall = if slow == 0 { 0 } else { slow - quick };
        let per_week = fall * 7 * DAY_S / (RSSI_LAG * meter.cadence_s());
        Self {
            flapping: past.lost_at[cycles - 1] >= env.now - params.flap_days * DAY_S,
            battery: battery_explains(meter, env),
            tamper: before(past.tamper_at, params.classify_tamper_days),
            decayed: decayed(meter, place, since, env) || !delivered,
            falls: fall >= RSSI_NOISE && per_week >= params.classify_rssi_fall_cdb,
            weak: quick != 0 && quick <= params.classify_rssi_floor_dbm * 100 + RSSI_MARGIN,
        }
    }

    /// The first row from the sixth on that has its evidence.
    const fn cause(self) -> Cause {
        if self.flapping {
            Cause::RfMarginal
        } else if self.battery {
            Cause::BatteryDead
        } else if self.tamper && !self.decayed {
            Cause::TamperSuspect
        } else if self.decayed && (self.falls || self.weak) {
            Cause::RfObstructed
        } else {
            Cause::CommLost
        }
    }
}

/// Row 6: the projection, a low flag, or its age; and a voltage below the low limit.
fn battery_explains(meter: &Meter, env: &Env) -> bool {
    if !meter.is_battery_powered() {
        return false;
    }
    let (params, past) = (&env.params, meter.past());
    let flag =
        past.low_at[0] != NEVER && env.now - past.low_at[0] <= params.classify_battery_days * DAY_S;
    let ends = cell::ends_at(meter, env);
    let ending = ends.is_some_and(|at| at - env.now < params.classify_battery_days * DAY_S);
    let old = meter.cell().filter(|cell| cell.design_life_d > 0).is_some_and(|cell| {
        let life_s = i64::from(cell.design_life_d) * DAY_S;
        env.now > cell.installed_at.saturating_add(life_s / 100 * params.classify_life_pct)
    });
    let low = AlertKey::of(meter.subject(), RuleId::BAT_VOLT, None);
    let low = env.book.get(&low).is_some_and(|active| active.severity <= Severity::P2);
    flag || ending || low || old
}

/// The share of readings that arrived fell before the end: the last three whole days against the
/// five before them.
fn decayed(meter: &Meter, place: u32, since: i64, env: &Env) -> bool {
    let lens_s: Vec<i64> = meter.channels.iter().filter(|c| c.used()).map(|c| c.len()).collect();
    let Some(link) = env.network.link(place) else { return false };
    let last = i32::try_from(since.div_euclid(DAY_S) - 1).unwrap_or(0);
    let mean = |from: i32, days: i32| {
        let shares: Option<Vec<i64>> =
            (from..from + days).map(|day| link.delivered_permille(day, &lens_s)).collect();
        shares.map(|shares| shares.iter().sum::<i64>() / i64::from(days))
    };
    match (mean(last - 2, 3), mean(last - 7, 5)) {
        (Some(now), Some(before)) => now < before - 50 || now < 900,
        _ => false,
    }
}

/// A larger outage of power explains the silence, or the meter said that its own is out (row 3).
pub(crate) fn unpowered(meter: &Meter, place: u32, env: &Env) -> Option<(Cause, Option<Subject>)> {
    if let Some(area) = env.network.outage_of(meter) {
        let began = env.network.nodes.get(&area).map_or(NEVER, |node| node.out_from);
        // Who was silent long before hides another fault.
        if meter.heard_at.s() >= began - (2 * meter.cadence_s()).max(900) {
            return Some((Cause::PowerOutage, Some(area)));
        }
    }
    env.network.dark.contains_key(&place).then_some((Cause::SingleOut, None))
}

/// Rows 4 and 5: nobody is served there, or somebody was sent to take the meter away.
pub(crate) fn is_expected(meter: &Meter, env: &Env) -> bool {
    let within_s = env.params.classify_exchange_days * DAY_S;
    let kinds = [WorkOrderKind::Exchange, WorkOrderKind::Removal];
    let taken =
        meter.rare().is_some_and(|rare| rare.visited(meter.silent_since(), within_s, &kinds));
    !meter.is_account_active() || taken
}

/// `None` when silence is expected.
pub(crate) fn silent(meter: &Meter, place: u32, env: &Env) -> Option<Silent> {
    if is_expected(meter, env) {
        return None;
    }
    let known = Known::of(meter, place, env);
    let cause = known.cause();
    let ranked = ranked(meter, known, cause);
    let severity = match cause {
        Cause::TamperSuspect if meter.tags.has(Tag::Critical) => Severity::P2,
        _ => meter.silence_severity(),
    };
    let evidence = evidence(meter, env, meter.silent_since());
    Some(Silent { cause, ranked, severity, evidence })
}

/// Log-odds of each class in hundredths: how common it is, and what speaks for and against it.
fn ranked(meter: &Meter, known: Known, cause: Cause) -> Vec<(Cause, i16)> {
    let add = |holds: bool, yes: i16, no: i16| if holds { yes } else { no };
    let mut ranked = vec![(Cause::CommLost, add(known.decayed, -50, 50))];
    if meter.is_battery_powered() {
        let gradual = add(known.decayed, 60, 0);
        ranked.push((Cause::BatteryDead, add(known.battery, 350, -120) + gradual));
    }
    let abrupt = add(known.decayed, -150, 0);
    ranked.push((Cause::TamperSuspect, add(known.tamper, 250, -250) + abrupt));
    let signal = add(known.falls, 150, 0) + add(known.weak, 100, 0);
    ranked.push((Cause::RfObstructed, add(known.decayed, 60, -120) + signal - 60));
    if known.flapping {
        ranked.push((Cause::RfMarginal, 300));
    }
    // Stable: equal odds stay in the order of the table; what won stands first.
    ranked.sort_by_key(|(one, odds)| (*one != cause, -odds));
    ranked
}

fn evidence(meter: &Meter, env: &Env, since: i64) -> Vec<Evidence> {
    let past = meter.past();
    let silence_s = env.now - meter.heard_at.s();
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
        Evidence::new("miss_rate", per_mille(meter.miss_rate()), "permille", {
            let rate = per_mille(meter.miss_rate());
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
