//! Operators' own rules (`metering-rules` 12, tier 2), evaluated for each channel with use: at the
//! close of its day, or with each interval.
//!
//! A rule fires on true alone. False clears it; unknown leaves a raised alert as it is, and ends
//! the time that `for` counts. A rule that was unknown for more than 7 days gives one notice for
//! the whole fleet, on the head-end: "rule not evaluable".

use std::collections::BTreeMap;

use metering::{ChannelNo, Severity, Subject};

use crate::alerts::{AlertKey, Report, seconds};
use crate::bundle::{Bundle, CustomRule};
use crate::cause::Cause;
use crate::env::Env;
use crate::expr::{FeatureSource, Truth, Value};
use crate::features::{Cadence, Feature, FeatureType, Moment, OfMeter};
use crate::rule::RuleId;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};
use crate::state::days::OpenDay;
use crate::state::meter::Meter;
use crate::transition::Evidence;

/// Unknown for longer than this is told.
const UNKNOWN_S: i64 = 7 * 86_400;

/// A rule on a channel that is not evaluable: since when, and whether it counts in the notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Unknown {
    since: i64,
    told: bool,
}

snap_struct!(Unknown { since, told });

/// Rule number, place of the meter, place of the channel.
type Key = (u8, u32, u8);

/// What is remembered between evaluations: only of rules that are unknown.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct CustomState {
    unknown: BTreeMap<Key, Unknown>,
    /// Channels in the notice of each rule.
    told: BTreeMap<u8, u32>,
}

impl Snap for CustomState {
    fn save(&self, to: &mut Writer) {
        to.unsigned(self.unknown.len() as u64);
        for ((rule, meter, channel), unknown) in &self.unknown {
            rule.save(to);
            meter.save(to);
            channel.save(to);
            unknown.save(to);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut this = Self::default();
        for _ in 0..from.count()? {
            let key = (u8::load(from)?, u32::load(from)?, u8::load(from)?);
            let unknown = Unknown::load(from)?;
            if unknown.told {
                *this.told.entry(key.0).or_default() += 1;
            }
            this.unknown.insert(key, unknown);
        }
        Ok(this)
    }
}

impl CustomState {
    /// The rule is another one now.
    pub(crate) fn forget(&mut self, rule: RuleId) {
        let no = rule.no.get();
        self.unknown.retain(|key, _| key.0 != no);
        self.told.remove(&no);
    }
}

/// Rules that the new bundle does not have, or has otherwise.
pub(crate) fn changed(before: &Bundle, now: &Bundle) -> Vec<RuleId> {
    let same = |old: &CustomRule| {
        now.custom.iter().any(|new| {
            (new.id, &new.scope, &new.when, new.cadence, new.opens)
                == (old.id, &old.scope, &old.when, old.cadence, old.opens)
        })
    };
    before.custom.iter().filter(|old| !same(old)).map(|old| old.id).collect()
}

/// A local day of a channel closed.
pub(crate) fn day_closed(meter: &Meter, places: (u32, usize), slots: &OpenDay, env: &mut Env) {
    if env.active.bundle().custom.is_empty() {
        return;
    }
    let day = env.zones.day(meter.zone, slots.number);
    let window = (day.start, day.end);
    evaluate(meter, places, (Cadence::Day, Moment::Day(day, slots)), window, env);
}

/// An interval came: its end and its value in milli-units, if it may be used.
pub(crate) fn reading(
    meter: &Meter,
    places: (u32, usize),
    (end, value): (i64, Option<i64>),
    env: &mut Env,
) {
    if !env.active.has_reading_rules() {
        return;
    }
    let Some(channel) = meter.channels.get(places.1) else { return };
    if end < channel.last_end.s() {
        // Not of now: the newest reading was judged already.
        return;
    }
    let window = (end - channel.len(), end);
    evaluate(meter, places, (Cadence::Reading, Moment::Reading(value)), window, env);
}

fn evaluate(
    meter: &Meter,
    places: (u32, usize),
    (cadence, moment): (Cadence, Moment<'_>),
    window: (i64, i64),
    env: &mut Env,
) {
    let bundle = env.active.bundle();
    for rule in bundle.custom.iter().filter(|rule| rule.cadence == cadence) {
        let excluded = rule.exclude_tags.iter().any(|tag| meter.tags.has(*tag));
        if excluded || !env.params.settings(rule.id.no).enabled {
            continue;
        }
        let source = OfMeter::new(meter, meter.channels.get(places.1), moment, env);
        let truth = rule.program.truth(&source);
        let facts = if truth == Truth::True { facts(rule, &source) } else { Vec::new() };
        note(rule, places, (truth, window.1), env);
        act(rule, (meter, places.1), (truth, window, facts), env);
    }
}

fn act(
    rule: &CustomRule,
    (meter, at): (&Meter, usize),
    (truth, (start, end), facts): (Truth, (i64, i64), Vec<Evidence>),
    env: &mut Env,
) {
    let Some(channel) = meter.channels.get(at) else { return };
    let no = ChannelNo::new(channel.no);
    let key = AlertKey::of(meter.subject(), rule.id, Some(no));
    match truth {
        Truth::Unknown => env.book.forget_pending(&key),
        Truth::False => {
            if env.book.get(&key).is_some() {
                env.book.clear(&key, start, env.at, &mut env.out);
            }
        }
        Truth::True => {
            let mut report = Report::new(rule.id, meter.subject(), rule.opens, start);
            report.channel = Some(no);
            report.commodity = Some(meter.commodity);
            // Gas P1 is for the rules of the catalogue.
            let gas = meter.commodity == metering::Commodity::Gas;
            let highest = if gas { Severity::P2 } else { Severity::P1 };
            report.severity = rule.severity.max(highest);
            report.until = end;
            report.annunciate = report.severity < Severity::P4 && env.is_fresh(end, channel.lag_s);
            report.evidence = vec![
                Evidence::new("rule_name", 0, "", rule.name.clone()),
                Evidence::number("channel", i64::from(channel.no), ""),
                Evidence::instant("window_from", seconds(start)),
                Evidence::instant("window_to", seconds(end)),
            ];
            report.evidence.extend(facts);
            env.book.assert(report, env.at, &mut env.out);
        }
    }
}

/// The features that the rule looked at.
fn facts(rule: &CustomRule, source: &OfMeter<'_>) -> Vec<Evidence> {
    let mut seen: Vec<Feature> = rule.program.features().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.into_iter().filter_map(|feature| fact(feature, source.value(feature))).collect()
}

fn fact(feature: Feature, value: Value<'_>) -> Option<Evidence> {
    let info = feature.info();
    match (value, info.kind) {
        (Value::Number(number), FeatureType::Number(unit)) => {
            #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
            let milli = (number * 1_000.0).round() as i64;
            Some(Evidence::milli(info.name, milli, unit.text()))
        }
        (Value::Bool(value), _) => {
            Some(Evidence::new(info.name, i64::from(value), "", value.to_string()))
        }
        (Value::Text(text), _) => Some(Evidence::new(info.name, 0, "", text.to_owned())),
        _ => None,
    }
}

/// Keeps the notice of the rule: how many channels it could not judge for more than 7 days.
fn note(rule: &CustomRule, places: (u32, usize), (truth, at): (Truth, i64), env: &mut Env) {
    let no = rule.id.no.get();
    let key = (no, places.0, u8::try_from(places.1).unwrap_or(u8::MAX));
    if truth != Truth::Unknown {
        if env.custom.unknown.remove(&key).is_some_and(|unknown| unknown.told) {
            let left = env.custom.told.get_mut(&no).map_or(0, |told| {
                *told = told.saturating_sub(1);
                *told
            });
            if left == 0 {
                env.custom.told.remove(&no);
                let notice = notice_key(rule.id);
                env.book.clear(&notice, at, env.at, &mut env.out);
            }
        }
        return;
    }
    let unknown = env.custom.unknown.entry(key).or_insert(Unknown { since: at, told: false });
    if unknown.told || at - unknown.since <= UNKNOWN_S {
        return;
    }
    unknown.told = true;
    let since = unknown.since;
    let told = env.custom.told.entry(no).or_default();
    *told += 1;
    if *told == 1 {
        raise_notice(rule, since, env);
    }
}

fn notice_key(rule: RuleId) -> AlertKey {
    AlertKey::of(Subject::Headend, rule, None)
}

fn raise_notice(rule: &CustomRule, since: i64, env: &mut Env) {
    let mut report = Report::new(rule.id, Subject::Headend, Cause::DataGap, since);
    report.severity = Severity::P4;
    report.annunciate = false;
    report.until = env.now;
    let text = format!("rule not evaluable for more than 7 days: {}", rule.name);
    report.evidence = vec![Evidence::new("notice", 0, "", text)];
    env.book.assert(report, env.at, &mut env.out);
}
