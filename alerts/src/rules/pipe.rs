//! #44 WTR-DRY, #46 WTR-EMPTY: no water at the meter, or in the whole street. #45 WTR-TEMP: it may
//! freeze.

use metering::{Commodity, EventCode, MeterId, Severity, Subject, Tag};

use super::device::{Told, key, look_at, report};
use crate::alerts::{Active, AlertKey, Report, Stage};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::{Meter, Silence};
use crate::state::rare::Spell;
use crate::transition::{Evidence, milli_text};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Readings of the temperature further apart than this are two spells.
const COLD_GAP_S: i64 = 6 * HOUR_S;

/// The pipe is dry, or there is air in it.
pub(crate) fn told(meter: &mut Meter, place: u32, told: Told, env: &mut Env) {
    let vacant = meter.tags.has(Tag::Vacant) || !meter.is_account_active();
    if meter.commodity != Commodity::Water || vacant {
        return;
    }
    let clear_s = env.params.dry_clear_h * HOUR_S;
    let rare = meter.rare_mut();
    if rare.is_cut() {
        return;
    }
    let (spell, rule, least_s) = if told.code == EventCode::Dry {
        (&mut rare.dry, RuleId::WTR_DRY, 0)
    } else {
        (&mut rare.air, RuleId::WTR_EMPTY, env.params.air_h * HOUR_S)
    };
    spell.see(told.at, clear_s);
    let spell = *spell;
    if spell.to - spell.from >= least_s {
        // An earlier flag came late: it began then.
        let key = key(meter, rule);
        if env.book.get(&key).is_some_and(|active| active.start > spell.from) {
            env.book.retract(&key, env.at, &mut env.out);
            // Its issue goes: the neighbours stand without it until it leads again.
            regroup(street_of(meter, place, env), env);
        }
        let mut report = report(meter, (rule, Cause::DryPipe), (spell.from, spell.to), env);
        report.severity = Severity::P3;
        let hours = (spell.to - spell.from) / HOUR_S;
        report.evidence.push(Evidence::number("duration", hours, "h"));
        join_street(meter, place, &mut report, env);
        env.book.assert(report, env.at, &mut env.out);
        regroup(street_of(meter, place, env), env);
    }
    look_at(place, RuleId::WTR_DRY, env.now + clear_s, env);
}

/// Timer: the flags stayed away.
pub(crate) fn look(meter: &mut Meter, place: u32, env: &mut Env) {
    let clear_s = env.params.dry_clear_h * HOUR_S;
    let Some((dry, air)) = meter.rare().map(|rare| (rare.dry, rare.air)) else { return };
    for (rule, spell) in [(RuleId::WTR_DRY, dry), (RuleId::WTR_EMPTY, air)] {
        let key = key(meter, rule);
        let Some(start) = env.book.get(&key).map(|active| active.start) else { continue };
        let due = spell.to + clear_s + meter.slow_s();
        if due > env.now {
            look_at(place, RuleId::WTR_DRY, due, env);
        } else if meter.silence == Silence::Lost {
            look_at(place, RuleId::WTR_DRY, env.now + DAY_S, env);
        } else {
            env.book.clear(&key, spell.to.max(start), env.at, &mut env.out);
            regroup(street_of(meter, place, env), env);
        }
    }
}

const RULES: [RuleId; 2] = [RuleId::WTR_DRY, RuleId::WTR_EMPTY];

/// It was said, and does not wait to be taken back.
fn stands(active: &Active) -> bool {
    active.stage != Stage::Pending && active.clear_end == NEVER
}

/// Since when a meter is dry, as staff were told, with its number: the least of a street leads it.
fn dry_since(id: i32, env: &Env) -> Option<(i64, i32)> {
    let subject = Subject::Meter(MeterId::new(id));
    let active = RULES.iter().filter_map(|rule| env.book.get(&AlertKey::of(subject, *rule, None)));
    let told = active.filter(|active| stands(active));
    told.map(|active| (active.start, id)).min()
}

/// Network zone and street of a meter. `None` when these leave in doubt who its neighbours are.
fn street_of(meter: &Meter, place: u32, env: &Env) -> Option<(i32, i32)> {
    let street = env.network.street(place);
    let known = street > 0 || (street < 0 && meter.network_zone != 0);
    known.then_some((meter.network_zone, street))
}

/// A street without water is one issue, on the meter that is dry for longest; its neighbours are
/// children of it.
fn join_street(meter: &Meter, place: u32, report: &mut Report, env: &mut Env) {
    let Some(street) = street_of(meter, place, env) else { return };
    let id = meter.id.get();
    let own = dry_since(id, env).map_or(report.start, |known| known.0.min(report.start));
    let dry = env.network.dry_streets.entry(street).or_default();
    dry.retain(|other| *other != id);
    let others = dry.clone();
    dry.push(id);
    let others: Vec<(i64, i32)> = others.iter().filter_map(|id| dry_since(*id, env)).collect();
    match others.iter().min() {
        Some(first) if *first < (own, id) => {
            report.parent = Some(Subject::Meter(MeterId::new(first.1)));
            report.annunciate = false;
            let told = i64::try_from(others.len()).unwrap_or(0);
            report.evidence.push(Evidence::number("neighbours", told, "meters"));
        }
        // Old news that explains what staff know is told to them.
        _ => report.annunciate |= others.iter().any(|(_, id)| is_annunciated(*id, env)),
    }
}

fn is_annunciated(id: i32, env: &Env) -> bool {
    let subject = Subject::Meter(MeterId::new(id));
    RULES.iter().any(|rule| {
        env.book.get(&AlertKey::of(subject, *rule, None)).is_some_and(|active| active.annunciated)
    })
}

/// Who is dry in the street has changed: the one that is dry for longest leads, the others are its
/// children.
fn regroup(street: Option<(i32, i32)>, env: &mut Env) {
    let Some(street) = street else { return };
    let Some(mut dry) = env.network.dry_streets.remove(&street) else { return };
    dry.retain(|id| dry_since(*id, env).is_some());
    dry.sort_unstable();
    let Some((_, first)) = dry.iter().filter_map(|id| dry_since(*id, env)).min() else { return };
    let leader = Subject::Meter(MeterId::new(first));
    // The leader first: its issue is there when the others come under it.
    for id in std::iter::once(first).chain(dry.iter().copied().filter(|id| *id != first)) {
        let subject = Subject::Meter(MeterId::new(id));
        let parent = (id != first).then_some(leader);
        for rule in RULES {
            let key = AlertKey::of(subject, rule, None);
            let Some(active) = env.book.get(&key).copied() else { continue };
            if active.parent == parent || !stands(&active) {
                continue;
            }
            let mut report = Report::new(rule, subject, active.cause, active.start);
            report.commodity = active.commodity;
            report.severity = active.severity;
            report.until = active.until;
            report.parent = parent;
            report.annunciate = parent.is_none();
            env.book.assert(report, env.at, &mut env.out);
        }
    }
    env.network.dry_streets.insert(street, dry);
}

/// An ambient temperature, in hundredths of a degree C.
pub(crate) fn temperature(meter: &mut Meter, (at, centi): (i64, i32), env: &mut Env) {
    let (below, above) = (env.params.freeze_below_cc, env.params.freeze_above_cc);
    let rare = meter.rare_mut();
    if at < rare.temperature_at {
        return;
    }
    rare.temperature_at = at;
    rare.temperature_cc = centi;
    rare.cold_cell = centi < -1_000 || (rare.cold_cell && centi <= 0);
    if meter.commodity != Commodity::Water {
        return;
    }
    let value = i64::from(centi);
    let rare = meter.rare_mut();
    follow(&mut rare.cold, at, value < below);
    follow(&mut rare.warm, at, value > above);
    let (cold, warm) = (rare.cold, rare.warm);
    let least_s = env.params.freeze_h * HOUR_S;
    if cold.is_on() && cold.to - cold.from >= least_s {
        let mut report =
            report(meter, (RuleId::WTR_TEMP, Cause::FreezeRisk), (cold.from, cold.to), env);
        report.severity = Severity::P3;
        let text = format!("{} C", milli_text(value * 10));
        report.evidence.push(Evidence::new("measured", value, "hundredths of a C", text));
        env.book.assert(report, env.at, &mut env.out);
    }
    let key = key(meter, RuleId::WTR_TEMP);
    if warm.is_on() && warm.to - warm.from >= least_s && env.book.get(&key).is_some() {
        env.book.clear(&key, warm.from, env.at, &mut env.out);
    }
}

/// The spell goes on, begins or ends with this reading.
fn follow(spell: &mut Spell, at: i64, holds: bool) {
    if holds {
        spell.see(at, COLD_GAP_S);
    } else {
        *spell = Spell::NONE;
    }
}

/// The cell is so cold that its voltage and its flag say little: it was below -10 C and is
/// not yet above 0 C.
pub(crate) fn is_freezing(meter: &Meter, at: i64) -> bool {
    meter.rare().is_some_and(|rare| {
        rare.temperature_at != NEVER && (at - rare.temperature_at).abs() <= DAY_S && rare.cold_cell
    })
}
