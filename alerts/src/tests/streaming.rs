//! The same readings in other deliveries (`metering-rules` 9): killed and taken up again, and in
//! another order with duplicates.
//!
//! A stop changes nothing at all: every transition and the final state are equal, byte for byte. Another
//! order of arrival changes what is known when, so that alerts may come, go and be taken back at
//! other times; at the end the same must stand, provided that the delivery is declared as slow as it
//! is (`delivery_lag_s`): days close by it. What is compared then: of every subject and rule
//! about data (not about silence, which is the absence of arrival) the alerts that were not
//! retracted, with cause, start, and end of the condition or that it goes on.

use std::collections::BTreeMap;

use metering::{
    EventCode, Finding, LogRecord, LoggedFrame, MeterAsset, Outcome, RuleMask, RuleNo, Subject,
    UtcTime,
};
use sha2::{Digest, Sha256};

use super::{Log, at, collector, event, heard, interval, meter};
use crate::{AlertTransition, Engine, Params, RuleId, TransitionKind};

const DAYS: i64 = 20;

/// The watermark of the shuffled delivery: what takes three days must be declared to take three days.
const LAG: &str = "lag=73h";

fn fleet(lag: &str) -> Vec<MeterAsset> {
    let lines = [
        "electricity 1h node=1 area=2 via=1",
        "electricity 1h node=1 area=2 via=1 cohort=a-1",
        "electricity 1h node=1 area=2 via=1 cohort=a-1",
        "electricity 1h node=1 area=2 role=transformer_supply",
        "water 1h area=1 battery q3=2500 via=1",
        "water 1h area=1 q3=2500 via=2",
        "water 1h area=1 role=zone_inlet via=2",
        "water 15min contact=1h q3=2500 via=2",
        "gas 1h via=2 lag=30h",
        "electricity 15min contact=1h via=2",
        "electricity 1h via=2",
        "water 1h via=2 class=residential",
    ];
    (1..).zip(lines).map(|(id, line)| meter(&format!("{line} {lag} id={id}"))).collect()
}

/// A small generator, so that the log needs no other crate.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// What a slot of a meter holds, in Wh or L: a plain life with a leak, a burst, a stopped meter.
fn value(id: i32, end: UtcTime, len_s: i64, dice: &mut Dice) -> i64 {
    let hour = end.seconds().div_euclid(3_600);
    let of_day = hour.rem_euclid(24);
    let day = (end.seconds() - at("10-05").seconds()).div_euclid(86_400);
    let busy = (6..22).contains(&of_day);
    let own = if busy { 10 + i64::try_from(dice.below(8)).unwrap() } else { 0 };
    let own = own * len_s / 3_600;
    match id {
        5 if (8..12).contains(&day) => own + 25,
        8 if day == 9 && (10..13).contains(&of_day) => 400,
        10 | 11 if day >= 14 => 0,
        1..=4 | 10 | 11 => 200 + 10 * own,
        _ => own,
    }
}

/// Every reading with the time at which it was to arrive.
fn readings() -> Vec<(UtcTime, LogRecord)> {
    let mut dice = Dice(7);
    let mut records = Vec::new();
    for asset in fleet("") {
        let len_s = i64::from(asset.channels[0].len_s);
        let mut end = at("10-05").plus_seconds(len_s);
        while end <= at("10-05").plus_seconds(DAYS * 86_400) {
            let id = asset.meter.get();
            let litres = value(id, end, len_s, &mut dice);
            let mut record = interval(&asset, end, litres * 1_000, "");
            let wild = id == 6 && end.seconds().div_euclid(3_600) % 97 == 0;
            if let LogRecord::Interval { failed, .. } = &mut record
                && wild
            {
                *failed = RuleMask::EMPTY.with(RuleNo::new(12).unwrap());
            }
            records.push((end.plus_seconds(120), record));
            end = end.plus_seconds(len_s);
        }
    }
    records
}

/// Findings of the day close, in the order of the days: they come from us, not from the air.
fn findings() -> Vec<(UtcTime, LogRecord)> {
    let verdict = |day: i64, meter: i32, rule: u8, outcome| {
        let from = at("10-05").plus_seconds(day * 86_400);
        let record = LogRecord::Finding(Finding {
            meter: metering::MeterId::new(meter),
            channel: Some(super::CHANNEL),
            rule: RuleNo::new(rule).unwrap(),
            outcome,
            from,
            to: from.plus_seconds(86_400),
            kind: 1,
            detail: 60,
        });
        (from.plus_seconds(86_400 + 4 * 86_400), record)
    };
    let mut all = Vec::new();
    for day in 5..12 {
        let outcome = if day < 9 { Outcome::Fail } else { Outcome::Pass };
        all.push(verdict(day, 11, 13, outcome));
        all.push(verdict(day, 9, 21, if day == 6 { Outcome::Fail } else { Outcome::Pass }));
    }
    all
}

/// A log of these readings: a frame each half hour with what has arrived, heartbeats, a tick.
fn log_of(mut arrivals: Vec<(UtcTime, LogRecord)>, until_days: i64, lag: &str) -> Log {
    let assets = fleet(lag);
    let mut log = Log::default();
    let mut records = vec![collector(1, "15min"), collector(2, "15min")];
    records.extend(assets.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))));
    log.push(at("10-05"), records);
    arrivals.extend(findings());
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    let mut next = arrivals.into_iter().peekable();
    let mut now = at("10-05");
    while now < at("10-05").plus_seconds(until_days * 86_400) {
        now = now.plus_seconds(1_800);
        let mut records = Vec::new();
        for asset in &assets {
            records.push(heard(asset, asset.primary_collector.map(|id| id.get())));
        }
        while let Some((_, record)) = next.next_if(|(arrives, _)| *arrives <= now) {
            records.push(record);
        }
        for id in [1, 2] {
            let subject = Subject::Collector(metering::CollectorId::new(id));
            records.push(event(subject, now.plus_seconds(-30), EventCode::Heartbeat));
        }
        log.push(now.plus_seconds(-900), vec![LogRecord::Tick]);
        records.push(LogRecord::Tick);
        log.push(now, records);
    }
    log
}

fn hash(said: &[AlertTransition], state: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for transition in said {
        hasher.update(format!("{transition:?}\n"));
    }
    hasher.update(state);
    hasher.finalize().into()
}

fn straight(frames: &[LoggedFrame]) -> (Vec<AlertTransition>, Vec<u8>) {
    let mut engine = Engine::new(Params::default());
    let mut said = Vec::new();
    for frame in frames {
        engine.apply(frame, &mut said);
    }
    (said, engine.snapshot())
}

#[test]
fn killed_and_taken_up_again_at_twenty_points_says_the_same_byte_for_byte() {
    let log = log_of(readings(), DAYS + 8, "");
    let (said, state) = straight(&log.frames);
    assert!(said.len() > 10, "{}", said.len());
    let every = log.frames.len() / 20;
    let mut engine = Engine::new(Params::default());
    let mut kept = (engine.snapshot(), 0);
    let mut heard = Vec::new();
    for (number, frame) in log.frames.iter().enumerate() {
        engine.apply(frame, &mut heard);
        if number % 100 == 50 {
            kept = (engine.snapshot(), heard.len());
        }
        if number % every == every - 1 {
            // Killed: what was said since the snapshot is said again from the log.
            engine = Engine::restore(Params::default(), &kept.0).unwrap();
            heard.truncate(kept.1);
            let from = engine.position();
            for old in log.frames[..=number].iter().filter(|old| old.first_seq >= from) {
                engine.apply(old, &mut heard);
            }
        }
    }
    assert_eq!(hash(&heard, &engine.snapshot()), hash(&said, &state));
}

/// The alerts about data that stand at the end.
fn standing(said: &[AlertTransition]) -> Vec<String> {
    let silence = [RuleId::COM_STALE, RuleId::COM_MISS, RuleId::COM_COLL, RuleId::COM_CLASSIFY];
    // These two look at the slots of the last 26 h only: what comes later is not judged by them.
    let short_sighted = [RuleId::WTR_CONT, RuleId::WTR_BURST];
    let mut alerts: BTreeMap<String, String> = BTreeMap::new();
    let out = |t: &&AlertTransition| !silence.contains(&t.rule) && !short_sighted.contains(&t.rule);
    for t in said.iter().filter(out) {
        let end = t.condition_end.map_or("goes on".to_owned(), |end| end.to_string());
        let line = format!(
            "{} {} {} {} since {} until {end}",
            t.subject.kind(),
            t.subject.number(),
            t.rule,
            t.cause,
            t.condition_start
        );
        match t.kind {
            TransitionKind::Retracted => alerts.remove(&t.alert_id),
            _ => alerts.insert(t.alert_id.clone(), line),
        };
    }
    alerts.into_values().collect()
}

#[test]
fn shuffled_within_three_days_with_duplicates_leaves_the_same_alerts() {
    let in_order = straight(&log_of(readings(), DAYS + 8, LAG).frames).0;
    let mut want = standing(&in_order);
    want.sort();
    assert!(want.len() >= 6, "{want:?}");
    for seed in [1, 2, 3] {
        let mut dice = Dice(seed);
        let mut arrivals = Vec::new();
        for (arrives, record) in readings() {
            let late_s = i64::try_from(dice.below(3 * 86_400)).unwrap();
            arrivals.push((arrives.plus_seconds(late_s), record.clone()));
            if dice.below(20) == 0 {
                let later_s = late_s + i64::try_from(dice.below(86_400)).unwrap();
                arrivals.push((arrives.plus_seconds(later_s), record));
            }
        }
        let shuffled = straight(&log_of(arrivals, DAYS + 8, LAG).frames).0;
        let mut got = standing(&shuffled);
        got.sort();
        assert_eq!(got.join("\n"), want.join("\n"), "seed {seed}");
    }
}
