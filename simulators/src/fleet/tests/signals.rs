//! Each planned fault and look-alike is really in the messages.

use std::collections::BTreeMap;

use metering::UtcTime;
use serde_json::Value;

use super::{Run, run};
use crate::truth::{Fault, FaultKind, HardNegative, HardNegativeKind, SubjectName};

/// A run with the messages parsed: bundles by meter, telegrams by device, heartbeats by collector.
struct Parsed {
    run: Run,
    bundles: BTreeMap<String, Vec<(UtcTime, Value)>>,
    telegrams: BTreeMap<String, Vec<(UtcTime, i64)>>,
    heartbeats: BTreeMap<String, Vec<UtcTime>>,
}

fn parsed(seed: u64, meters: u32) -> Parsed {
    let run = run(seed, meters);
    let mut numbers = BTreeMap::new();
    for meter in &run.fleet.assets().meters {
        numbers.insert(meter.sources[0].as_str().to_owned(), meter.number.clone());
    }
    let (mut bundles, mut telegrams) = (BTreeMap::new(), BTreeMap::new());
    let mut heartbeats = BTreeMap::new();
    for message in &run.messages {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap();
        if let Some(code) = message.topic.strip_suffix("/heartbeat") {
            let code = code.trim_start_matches("ami/up/").to_owned();
            heartbeats.entry(code).or_insert_with(Vec::new).push(message.sent_at);
        } else if message.topic.starts_with("amr/") {
            let body = &payload["Message"];
            let (family, id) = match payload["Type"].as_str().unwrap() {
                "R900" => ("r900", &body["ID"]),
                "SCM" => ("ert", &body["ID"]),
                _ => ("ert", &body["EndpointID"]),
            };
            let Some(number) = numbers.get(&format!("{family}:{id}")) else { continue };
            let counter = body["Consumption"].as_i64().unwrap();
            let heard = telegrams.entry(number.clone()).or_insert_with(Vec::new);
            heard.push((message.sent_at, counter));
        } else {
            let list = match payload {
                Value::Array(list) => list,
                single => vec![single],
            };
            for bundle in list {
                let number = bundle["meter"].as_str().unwrap().to_owned();
                bundles.entry(number).or_insert_with(Vec::new).push((message.sent_at, bundle));
            }
        }
    }
    Parsed { run, bundles, telegrams, heartbeats }
}

impl Parsed {
    /// When the meter was heard.
    fn heard(&self, number: &str) -> Vec<UtcTime> {
        let bundles = self.bundles.get(number).into_iter().flatten().map(|(at, _)| *at);
        bundles.chain(self.telegrams.get(number).into_iter().flatten().map(|(at, _)| *at)).collect()
    }

    /// Values of the meter's first series, by end.
    fn slots(&self, number: &str) -> Vec<(UtcTime, i64)> {
        ["energy_import", "volume"]
            .iter()
            .find_map(|field| self.run.series.get(&(number.to_owned(), (*field).to_owned())))
            .cloned()
            .unwrap_or_default()
    }
}

#[test]
fn every_fault_is_in_the_messages() {
    for (seed, meters) in [(7, 200), (21, 50)] {
        let parsed = parsed(seed, meters);
        for fault in &parsed.run.fleet.truth().faults {
            check_fault(&parsed, fault);
        }
    }
}

fn check_fault(parsed: &Parsed, fault: &Fault) {
    let name = fault.subject.name();
    let (onset, end) = (fault.onset, parsed.run.fleet.spec().live_end);
    match fault.kind {
        FaultKind::SilentMeter => {
            let heard = parsed.heard(name);
            assert!(heard.iter().any(|at| *at < onset), "{fault:?}");
            // A telegram that was already in the air may still arrive.
            assert!(heard.iter().all(|at| *at < onset.plus_seconds(60)), "{fault:?}");
        }
        FaultKind::CollectorOutage => {
            let until = fault.end.unwrap_or(end);
            let beats = &parsed.heartbeats[name];
            let during = |at: &&UtcTime| onset <= **at && **at < until;
            assert_eq!(beats.iter().filter(during).count(), 0, "{fault:?}");
            let before = beats.iter().filter(|at| **at < onset).max().unwrap();
            assert!(onset.seconds_since(*before) <= 660);
            assert_eq!(fault.end.is_some(), beats.iter().any(|at| *at >= until));
        }
        FaultKind::CustomerLeak => check_leak(parsed, fault),
        FaultKind::Burst => {
            let full = |(slot, _): &&(UtcTime, i64)| *slot >= onset.plus_seconds(900);
            let slots: Vec<i64> =
                parsed.slots(name).iter().filter(full).map(|slot| slot.1).collect();
            assert!(slots.len() >= 2, "{fault:?}");
            assert!(slots.iter().all(|litres| litres * 4 > 1_250), "{fault:?} {slots:?}");
        }
        FaultKind::BatteryLow | FaultKind::BatteryDead => {
            let until = fault.silent_from.unwrap_or(fault.detectable_by);
            let flagged = parsed.bundles[name]
                .iter()
                .filter(|(_, bundle)| bundle["status"][0] == "battery_low")
                .map(|(at, _)| *at)
                .collect::<Vec<_>>();
            assert!(flagged.iter().all(|at| *at >= onset), "{fault:?}");
            assert!(flagged.iter().filter(|at| **at <= until).count() >= 3, "{fault:?}");
            if let Some(silent) = fault.silent_from {
                assert!(parsed.heard(name).iter().all(|at| *at < silent), "{fault:?}");
            }
        }
        FaultKind::StoppedMeter => {
            let slots = parsed.slots(name);
            let after = slots.iter().filter(|(slot, _)| slot.plus_seconds(-900) >= onset);
            assert!(after.clone().all(|slot| slot.1 == 0), "{fault:?}");
            assert!(after.count() >= 96, "{fault:?}");
            assert!(slots.iter().any(|(slot, value)| *slot < onset && *value > 0));
        }
        FaultKind::HighConsumption | FaultKind::LowConsumption => check_share(parsed, fault),
        FaultKind::GarbledInterval => {
            let next = onset.plus_seconds(900);
            let sent = parsed.slots(name).iter().find(|(end, _)| *end == next).map(|slot| slot.1);
            assert!(sent.is_some_and(|sent| sent >= fault.magnitude.value), "{fault:?}");
        }
        FaultKind::LostPulses => {
            let key = (name.to_owned(), "energy_import".to_owned());
            let day = (onset, onset.plus_seconds(86_400));
            let read = |at| parsed.run.registers[&key].iter().find(|(read, _)| *read == at);
            let counted = read(day.1).unwrap().1 - read(day.0).unwrap().1;
            let slots = parsed.slots(name);
            let within = slots.iter().filter(|(end, _)| day.0 < *end && *end <= day.1);
            let sent: i64 = within.map(|slot| slot.1).sum();
            assert!(sent * 10 < counted * 8 && sent > 0, "{sent} of {counted}: {fault:?}");
        }
    }
}

fn check_leak(parsed: &Parsed, fault: &Fault) {
    let name = fault.subject.name();
    let slots = parsed.slots(name);
    if slots.is_empty() {
        // A radio meter: its counter rises from each telegram to the next.
        let heard = &parsed.telegrams[name];
        let later: Vec<&(UtcTime, i64)> =
            heard.iter().filter(|(at, _)| *at > fault.onset.plus_seconds(120)).collect();
        let rises = |pair: &[&(UtcTime, i64)]| {
            pair[1].0.seconds_since(pair[0].0) < 120 || pair[1].1 > pair[0].1
        };
        assert!(later.windows(2).all(rises), "{fault:?}");
        return;
    }
    let after = slots.iter().filter(|(slot, _)| slot.plus_seconds(-900) >= fault.onset);
    assert!(after.clone().count() >= 96, "{fault:?}");
    assert!(after.clone().all(|slot| slot.1 > 0), "{fault:?}");
    let before = slots.iter().filter(|(slot, _)| *slot < fault.onset);
    assert!(before.into_iter().any(|slot| slot.1 == 0), "{fault:?}");
}

/// The use of the first days of the fault, against the same number of days a week before.
fn check_share(parsed: &Parsed, fault: &Fault) {
    let slots = parsed.slots(fault.subject.name());
    let sum = |shift: i64| -> i64 {
        let from = fault.onset.plus_seconds(-shift);
        let within = |(end, _): &&(UtcTime, i64)| from < *end && *end <= from.plus_seconds(172_800);
        slots.iter().filter(within).map(|slot| slot.1).sum()
    };
    let permille = sum(0) * 1000 / sum(7 * 86_400).max(1);
    let wanted = fault.magnitude.value;
    assert!((wanted * 6 / 10..wanted * 16 / 10).contains(&permille), "{permille} {fault:?}");
}

#[test]
fn every_look_alike_is_in_the_messages() {
    let parsed = parsed(7, 200);
    for negative in &parsed.run.fleet.truth().hard_negatives {
        check_negative(&parsed, negative);
    }
}

fn check_negative(parsed: &Parsed, negative: &HardNegative) {
    let name = negative.subject.name();
    let inside = |at: UtcTime| negative.from <= at && at < negative.to;
    let slots = parsed.slots(name);
    let values = || slots.iter().filter(|(end, _)| inside(end.plus_seconds(-900)));
    match negative.kind {
        HardNegativeKind::PoolFill => assert!(values().all(|slot| slot.1 >= 140)),
        HardNegativeKind::Vacation => assert!(values().all(|slot| slot.1 == 0)),
        HardNegativeKind::IrrigationSeason => assert!(values().any(|slot| slot.1 > 80)),
        HardNegativeKind::ConstantFlow => {
            assert!(slots.is_empty() || values().all(|slot| slot.1 > 20));
        }
        HardNegativeKind::WeekendZero => assert!(parsed.heard(name).len() > 500),
        HardNegativeKind::Vacant => assert!(values().all(|slot| slot.1 == 0)),
        HardNegativeKind::RebroadcastStorm => {
            let heard = &parsed.telegrams[name];
            let copies = heard.iter().filter(|(at, _)| inside(*at)).count();
            assert!(copies >= 40, "{copies}");
        }
        HardNegativeKind::RegisterRollover => {
            let heard = &parsed.telegrams[name];
            let falls = heard.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
            assert_eq!(falls, 1);
            let fall = heard.windows(2).find(|pair| pair[1].1 < pair[0].1).unwrap();
            assert!(inside(fall[1].0) && fall[0].1 > 16_000_000 && fall[1].1 < 100_000);
        }
        HardNegativeKind::RadioFade | HardNegativeKind::Backlog => {
            let heard = parsed.heard(name);
            // What was in the air when the fade began still arrives.
            let muted = |at: &UtcTime| inside(*at) && !inside(at.plus_seconds(-30));
            assert!(!heard.iter().any(|at| inside(*at) && !muted(at)), "{negative:?}");
            assert!(heard.iter().any(|at| *at >= negative.to));
        }
        HardNegativeKind::MassReread => {
            let again = |meter: &&crate::assets::MeterSpec| {
                meter.collector.as_deref() == Some(name)
                    && parsed.bundles.get(&meter.number).is_some_and(|bundles| {
                        bundles.iter().any(|(at, bundle)| {
                            inside(*at)
                                && bundle["series"][0]["values"].as_array().unwrap().len() >= 90
                        })
                    })
            };
            assert!(parsed.run.fleet.assets().meters.iter().filter(again).count() > 5);
        }
        HardNegativeKind::CollectorHiccup => {
            let beats = &parsed.heartbeats[name];
            let gap = beats.windows(2).map(|pair| pair[1].seconds_since(pair[0])).max().unwrap();
            assert_eq!(gap, 1_200);
        }
        HardNegativeKind::DstDay => {
            assert_eq!(negative.subject, SubjectName::Fleet);
            assert_eq!(negative.to.seconds_since(negative.from), 25 * 3600);
        }
    }
}

#[test]
fn a_slot_that_is_sent_again_has_the_same_value() {
    let parsed = parsed(7, 200);
    let mut again = 0;
    for bundles in parsed.bundles.values() {
        let mut known = BTreeMap::new();
        for (_, bundle) in bundles {
            for series in bundle["series"].as_array().unwrap() {
                let first = UtcTime::parse_rfc3339(series["end"].as_str().unwrap()).unwrap();
                let values = series["values"].as_array().unwrap();
                for (index, value) in (0_i64..).zip(values) {
                    let end = first.plus_seconds(900 * index);
                    let key = (series["field"].as_str().unwrap().to_owned(), end);
                    if let Some(before) = known.insert(key, value.clone()) {
                        assert_eq!(before, *value);
                        again += 1;
                    }
                }
            }
        }
    }
    assert!(again > 1_000, "{again}");
}
