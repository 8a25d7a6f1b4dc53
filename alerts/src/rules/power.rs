//! #62 PWR-AREA: the power is out, for a transformer, a feeder section or a single meter.
//!
//! Losses of power are counted by event time: three meters and 30 % of a transformer, or ten and
//! 20 % of a feeder section, within 120 s. A meter alone is out when it gave its last gasp (its
//! module waits 30 to 45 s before it does) and stayed dark, or when it told a power failure and
//! nobody reaches it. An outage is over when nine tenths of its meters are back; who is left over
//! stays out by himself.

use std::collections::BTreeMap;

use metering::{Severity, Subject};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::NEVER;
use crate::state::meter::Meter;
use crate::state::network::{Dark, Is, Node};
use crate::timer::TimerKey;
use crate::transition::Evidence;

/// Losses of power are remembered this long, in event time.
const KEPT_S: i64 = 86_400;
/// A loss that is told later than this is history: it never pages.
const FRESH_S: i64 = 2 * 3_600;
/// From this many meters on an outage is P1 wherever it is.
const MASS_METERS: usize = 50;

/// The meter said at event time `at` that it lost power; `gasp`: with its last breath.
pub(crate) fn lost(meter: &mut Meter, place: u32, (at, gasp): (i64, bool), env: &mut Env) {
    if meter.commodity != metering::Commodity::Electricity || at > env.now + env.params.ahead_s {
        return;
    }
    let old = env.now - at > FRESH_S || meter.data_at.s() > at;
    if !old {
        let dark = env.network.dark.entry(place).or_insert(Dark {
            at,
            seen: env.now,
            ping_failed: false,
            gasp,
        });
        dark.gasp |= gasp;
        if let Some(link) = env.network.link_mut(place) {
            link.set(Is::DARK, true);
        }
        env.timers.set(env.now + env.params.outage_single_s, TimerKey::Dark { meter: place });
    }
    for subject in nodes_of(meter) {
        let members = env.network.nodes.get_mut(&subject).map_or(0, |node| {
            node.fails.retain(|(known, _)| at - known <= KEPT_S);
            if let Err(gap) = node.fails.binary_search(&(at, place)) {
                node.fails.insert(gap, (at, place));
            }
            node.members.len()
        });
        if members > 0 {
            judge(subject, env);
        }
    }
}

/// Somebody asked the meter and got no answer.
pub(crate) fn ping_failed(place: u32, env: &mut Env) {
    if let Some(dark) = env.network.dark.get_mut(&place) {
        dark.ping_failed = true;
        env.timers.set(dark.seen + env.params.outage_single_s, TimerKey::Dark { meter: place });
    }
}

fn nodes_of(meter: &Meter) -> Vec<Subject> {
    let mut nodes = Vec::new();
    if meter.network_zone != 0 {
        nodes.push(Subject::Zone(metering::ZoneId::new(meter.network_zone)));
    }
    if meter.transformer != 0 {
        nodes.push(Subject::Transformer(metering::TransformerId::new(meter.transformer)));
    }
    nodes
}

/// The meters that failed together, most of them, and since when.
fn together(node: &Node, window_s: i64) -> (i64, Vec<u32>) {
    let fails = &node.fails;
    // How often each meter stands in the window `first..next`, and the fullest window.
    let mut within: BTreeMap<u32, u32> = BTreeMap::new();
    let (mut next, mut best, mut most) = (0, 0..0, 0);
    for (first, (from, left)) in fails.iter().enumerate() {
        while let Some((at, place)) = fails.get(next).filter(|(at, _)| at - from <= window_s) {
            debug_assert!(at >= from, "losses are in order");
            *within.entry(*place).or_insert(0) += 1;
            next += 1;
        }
        if within.len() > most {
            (best, most) = (first..next, within.len());
        }
        if let Some(count) = within.get_mut(left) {
            *count -= 1;
            if *count == 0 {
                within.remove(left);
            }
        }
    }
    let from = fails.get(best.start).filter(|_| most > 0).map_or(NEVER, |(at, _)| *at);
    let mut places: Vec<u32> = fails[best].iter().map(|(_, place)| *place).collect();
    places.sort_unstable();
    places.dedup();
    (from, places)
}

fn is_area(subject: Subject, failed: usize, members: usize, env: &Env) -> bool {
    let params = &env.params;
    let (least, share) = match subject {
        Subject::Zone(_) => (params.outage_feeder_min, params.outage_feeder_pct),
        _ => (params.outage_transformer_min, params.outage_transformer_pct),
    };
    let failed = i64::try_from(failed).unwrap_or(i64::MAX);
    failed >= least && failed * 100 >= i64::try_from(members).unwrap_or(0) * share
}

fn judge(subject: Subject, env: &mut Env) {
    let Some(node) = env.network.nodes.get(&subject) else { return };
    let members = node.members.len();
    if node.out_from != NEVER {
        extend(subject, env);
        return;
    }
    let (from, places) = together(node, env.params.outage_window_s);
    if !is_area(subject, places.len(), members, env) {
        return;
    }
    let over = places.iter().all(|place| !env.network.dark.contains_key(place));
    raise(subject, from, places, env);
    if over {
        finish(subject, from + env.params.outage_window_s, env);
    }
}

/// More meters go dark while the node is out.
fn extend(subject: Subject, env: &mut Env) {
    let Some(node) = env.network.nodes.get_mut(&subject) else { return };
    let from = node.out_from;
    for (at, place) in &node.fails {
        if *at >= from
            && let Err(gap) = node.hit.binary_search(place)
        {
            node.hit.insert(gap, *place);
        }
    }
}

fn raise(subject: Subject, from: i64, places: Vec<u32>, env: &mut Env) {
    let (failed, members, transformers) = {
        let Some(node) = env.network.nodes.get_mut(&subject) else { return };
        node.out_from = from;
        node.hit.clone_from(&places);
        (places.len(), node.members.len(), inside(subject, &places, env))
    };
    let parent = transformers.1;
    let mut report = Report::new(RuleId::PWR_AREA, subject, Cause::PowerOutage, from);
    report.commodity = Some(metering::Commodity::Electricity);
    let mass = matches!(subject, Subject::Zone(_)) || failed >= MASS_METERS;
    report.severity = if mass { Severity::P1 } else { Severity::P2 };
    report.identified = true;
    report.until = env.now;
    report.parent = parent;
    report.annunciate = parent.is_none() && env.now - from <= FRESH_S;
    let (failed, members) = (int(failed), int(members));
    report.evidence = vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(from + env.params.outage_window_s)),
        Evidence::number("meters_dark", failed, "meters"),
        Evidence::number("meters", members, "meters"),
    ];
    env.book.assert(report, env.at, &mut env.out);
    for child in transformers.0 {
        become_child(child, subject, env);
    }
}

/// Of a zone that went dark: the alerts of its transformers and meters that stand already. Of a
/// transformer: the zone that explains it.
fn inside(subject: Subject, places: &[u32], env: &Env) -> (Vec<Subject>, Option<Subject>) {
    let parent = match subject {
        Subject::Transformer(_) => env.network.nodes.iter().find_map(|(other, node)| {
            let explains = matches!(other, Subject::Zone(_))
                && node.out_from != NEVER
                && places.iter().all(|place| node.members.binary_search(place).is_ok());
            explains.then_some(*other)
        }),
        _ => None,
    };
    let covered = |other: &Subject, node: &Node| {
        matches!(subject, Subject::Zone(_))
            && matches!(other, Subject::Transformer(_))
            && node.out_from != NEVER
            && node.hit.iter().any(|place| places.binary_search(place).is_ok())
    };
    let children = env
        .network
        .nodes
        .iter()
        .filter(|(other, node)| covered(other, node))
        .map(|(other, _)| *other)
        .collect();
    (children, parent)
}

/// An alert that stood alone is explained by the area now.
fn become_child(child: Subject, parent: Subject, env: &mut Env) {
    let key = AlertKey::of(child, RuleId::PWR_AREA, None);
    let Some(active) = env.book.get(&key).copied() else { return };
    let mut report = Report::new(RuleId::PWR_AREA, child, active.cause, active.start);
    report.commodity = active.commodity;
    report.severity = active.severity;
    report.until = active.until;
    report.parent = Some(parent);
    report.annunciate = false;
    env.book.assert(report, env.at, &mut env.out);
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Timer: is the meter still dark, and alone?
pub(crate) fn check_single(meter: &Meter, place: u32, env: &mut Env) {
    let Some(dark) = env.network.dark.get(&place).copied() else { return };
    if env.network.outage_of(meter).is_some() {
        return;
    }
    let waited_s = env.now - dark.seen;
    let patience_s = if dark.ping_failed || dark.gasp {
        env.params.outage_single_s
    } else {
        env.params.outage_single_s.max(2 * meter.cadence_s())
    };
    if waited_s < patience_s {
        env.timers.set(dark.seen + patience_s, TimerKey::Dark { meter: place });
        return;
    }
    if env.watch.cut_off {
        env.timers.set(env.now + patience_s, TimerKey::Dark { meter: place });
        return;
    }
    single(meter.subject(), dark, env);
}

fn single(subject: Subject, dark: Dark, env: &mut Env) {
    let mut report = Report::new(RuleId::PWR_AREA, subject, Cause::SingleOut, dark.at);
    report.commodity = Some(metering::Commodity::Electricity);
    report.until = env.now;
    report.annunciate = env.now - dark.at <= FRESH_S.max(env.params.outage_single_s * 2);
    let told = if dark.gasp { "last gasp" } else { "power failure" };
    report.evidence = vec![
        Evidence::instant("window_from", seconds(dark.at)),
        Evidence::instant("window_to", env.at),
        Evidence::new("told", i64::from(dark.gasp), "", told.to_owned()),
        Evidence::number("ping_failed", i64::from(dark.ping_failed), ""),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

/// The meter told that the power is back, or a value of it ends at `at`.
pub(crate) fn alive(meter: &Meter, place: u32, at: i64, env: &mut Env) {
    let Some(dark) = env.network.dark.get(&place).copied() else { return };
    if at <= dark.at {
        return;
    }
    env.network.dark.remove(&place);
    if let Some(link) = env.network.link_mut(place) {
        link.set(Is::DARK, false);
    }
    let key = AlertKey::of(meter.subject(), RuleId::PWR_AREA, None);
    env.book.clear(&key, at, env.at, &mut env.out);
    for subject in nodes_of(meter) {
        let Some(node) = env.network.nodes.get(&subject) else { continue };
        if node.out_from == NEVER || node.hit.is_empty() {
            continue;
        }
        let dark = node.hit.iter().filter(|hit| env.network.dark.contains_key(hit)).count();
        let back = int(node.hit.len() - dark);
        if back * 100 >= int(node.hit.len()) * env.params.outage_back_pct {
            finish(subject, at, env);
        }
    }
}

/// Nine tenths are back: the outage is over. What is nested in it and still dark stays out.
fn finish(subject: Subject, at: i64, env: &mut Env) {
    let Some(node) = env.network.nodes.get_mut(&subject) else { return };
    node.out_from = NEVER;
    node.fails.clear();
    let hit = std::mem::take(&mut node.hit);
    // Who fell silent with it gave perhaps no last gasp.
    for place in &node.members {
        env.timers.set(env.now + 4 * 3_600, TimerKey::Child { meter: *place });
    }
    let key = AlertKey::of(subject, RuleId::PWR_AREA, None);
    env.book.clear(&key, at, env.at, &mut env.out);
    for place in hit {
        if let Some(dark) = env.network.dark.get_mut(&place) {
            dark.seen = env.now;
            env.timers.set(env.now + env.params.outage_single_s, TimerKey::Dark { meter: place });
        }
    }
    if matches!(subject, Subject::Zone(_)) {
        nested_stay(subject, env);
    }
}

/// Transformers that are out themselves stand alone once the zone around them is back.
fn nested_stay(zone: Subject, env: &mut Env) {
    let out: Vec<Subject> = env
        .network
        .nodes
        .iter()
        .filter(|(other, node)| matches!(other, Subject::Transformer(_)) && node.out_from != NEVER)
        .map(|(other, _)| *other)
        .collect();
    for subject in out {
        let key = AlertKey::of(subject, RuleId::PWR_AREA, None);
        let Some(active) = env.book.get(&key).copied().filter(|a| a.parent == Some(zone)) else {
            continue;
        };
        let mut report = Report::new(RuleId::PWR_AREA, subject, active.cause, active.start);
        report.commodity = active.commodity;
        report.severity = active.severity;
        report.until = env.now;
        env.book.assert(report, env.at, &mut env.out);
    }
}
