//! The fleet as a whole: the same bytes each time, faults that are really there, and ordinary days
//! that no rule takes for a fault.

mod ordinary;
mod signals;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use metering::UtcTime;

use crate::fleet::{Fleet, SimMessage};
use crate::spec::FleetSpec;
use crate::truth::{FaultKind, HardNegativeKind, SubjectName};

/// 35 days of history and an hour of live time.
pub(crate) fn spec(seed: u64, meters: u32) -> FleetSpec {
    let live_start = UtcTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
    FleetSpec {
        seed,
        meters,
        collectors: FleetSpec::collectors_for(meters),
        zone: "Europe/Berlin".into(),
        history_start: live_start.plus_seconds(-35 * 86_400),
        live_start,
        live_end: live_start.plus_seconds(3_600),
    }
}

/// A whole run: the fleet, its messages, and each series as sent, by meter and field.
struct Run {
    fleet: Fleet,
    messages: Vec<SimMessage>,
    series: BTreeMap<(String, String), Vec<(UtcTime, i64)>>,
    registers: BTreeMap<(String, String), Vec<(UtcTime, i64)>>,
}

fn run(seed: u64, meters: u32) -> Run {
    let mut fleet = Fleet::new(spec(seed, meters)).unwrap();
    fleet.keep_reads();
    let (from, to) = (fleet.spec().history_start, fleet.spec().live_end);
    let messages = fleet.messages(from, to);
    let (mut series, mut registers) = (BTreeMap::new(), BTreeMap::new());
    for read in fleet.take_reads() {
        let map = if read.len_s > 0 { &mut series } else { &mut registers };
        let values: &mut Vec<_> = map.entry((read.meter, read.field)).or_default();
        values.push((read.at, read.value));
    }
    Run { fleet, messages, series, registers }
}

fn digest(messages: &[SimMessage]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for message in messages {
        (message.sent_at, &message.topic, &message.payload, message.reads).hash(&mut hasher);
    }
    hasher.finish()
}

fn whole(spec: FleetSpec, step_s: i64) -> Vec<SimMessage> {
    let (mut at, end) = (spec.history_start, spec.live_end);
    let mut fleet = Fleet::new(spec).unwrap();
    let mut messages = Vec::new();
    while at < end {
        let next = at.plus_seconds(step_s).min(end);
        messages.extend(fleet.messages(at, next));
        at = next;
    }
    messages
}

fn short(seed: u64, meters: u32) -> FleetSpec {
    let spec = spec(seed, meters);
    FleetSpec { history_start: spec.live_start.plus_seconds(-3 * 86_400), ..spec }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = digest(&whole(spec(7, 60), 400 * 86_400));
    assert_eq!(first, digest(&whole(spec(7, 60), 400 * 86_400)));
    assert_ne!(first, digest(&whole(spec(8, 60), 400 * 86_400)));
}

#[test]
fn the_size_of_the_steps_changes_nothing() {
    let want = whole(short(7, 50), 4 * 86_400);
    for step_s in [15, 61, 3_600, 21_600] {
        assert_eq!(digest(&whole(short(7, 50), step_s)), digest(&want), "steps of {step_s} s");
    }
    assert!(want.windows(2).all(|pair| pair[0].sent_at <= pair[1].sent_at));
}

#[test]
fn messages_before_the_asked_stretch_are_dropped() {
    let spec = short(7, 50);
    let later = spec.live_start;
    let all = whole(spec.clone(), 3_600);
    let want: Vec<SimMessage> =
        all.into_iter().filter(|message| message.sent_at >= later).collect();
    let mut fleet = Fleet::new(spec.clone()).unwrap();
    assert_eq!(digest(&fleet.messages(later, spec.live_end)), digest(&want));
}

#[test]
fn the_demo_fleet_stays_within_its_budget() {
    let run = run(7, 200);
    let reads: u64 = run.messages.iter().map(|message| u64::from(message.reads)).sum();
    assert!((500_000..1_100_000).contains(&reads), "{reads} reads");
    assert!(run.messages.len() < 152_000, "{} messages", run.messages.len());
    let largest = run.messages.iter().map(|message| message.payload.len()).max().unwrap();
    assert!(largest < 200_000, "{largest} bytes");
}

#[test]
fn counted_reads_are_those_in_the_payload() {
    for message in whole(short(3, 120), 3_600) {
        let payload: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let bundles = match payload {
            serde_json::Value::Array(bundles) => bundles,
            single => vec![single],
        };
        let mut reads = 0;
        for bundle in &bundles {
            reads += usize::from(bundle.get("Message").is_some());
            for series in bundle.get("series").and_then(|s| s.as_array()).into_iter().flatten() {
                let values = series["values"].as_array().unwrap();
                reads += values.iter().filter(|value| !value.is_null()).count();
            }
            for key in ["registers", "instants"] {
                reads += bundle.get(key).and_then(|list| list.as_array()).map_or(0, Vec::len);
            }
        }
        assert_eq!(usize::try_from(message.reads).unwrap(), reads, "{}", message.topic);
    }
}

#[test]
fn the_decoders_of_the_head_end_read_every_message() {
    use protocols::{DecodeContext, Format, Observation, decode};
    let mut spec = short(7, 200);
    // With an outage, so that long backlogs are among the messages.
    spec.history_start = spec.live_start.plus_seconds(-9 * 86_400);
    let fleet = Fleet::new(spec.clone()).unwrap();
    let meters = &fleet.assets().meters;
    let channels: BTreeMap<(&str, &str), _> = meters
        .iter()
        .flat_map(|meter| {
            let source = meter.sources[0].as_str();
            meter.channels.iter().map(move |channel| ((source, channel.field), channel))
        })
        .collect();
    let mut strangers = 0;
    for message in whole(spec, 86_400) {
        let radio = message.topic.starts_with("amr/");
        let format = if radio { Format::Rtlamr } else { Format::Bundle };
        let collector = message.topic.split('/').nth(1).filter(|_| radio);
        let context = DecodeContext {
            topic: &message.topic,
            received_at: message.sent_at,
            zone: None,
            collector,
            mapping: None,
            options: &protocols::DecodeOptions::DEFAULT,
        };
        let reports = decode(format, &context, &message.payload).unwrap_or_else(|rejected| {
            panic!("{rejected}: {}", String::from_utf8_lossy(&message.payload))
        });
        let reads: u64 = reports.iter().map(protocols::DeviceReport::reads).sum();
        assert_eq!(reads, u64::from(message.reads), "{}", message.topic);
        for report in &reports {
            for observation in &report.observations {
                let key = (report.source_id.as_str(), observation.field());
                let Some(channel) = channels.get(&key) else {
                    assert!(fleet.assets().strangers.contains(&report.source_id), "{key:?}");
                    strangers += 1;
                    continue;
                };
                if let Observation::Series { len_s, unit, .. } = observation {
                    assert_eq!((*len_s, *unit), (channel.len_s, Some(channel.unit)));
                }
            }
        }
    }
    assert!(strangers > 10);
}

#[test]
fn interval_values_add_up_to_the_advance_of_the_register() {
    // So small that no meter is planned whose intervals do not fit its register.
    let run = run(11, 80);
    let mut checked = 0;
    for (key, registers) in run.registers.iter().filter(|(key, _)| key.1 != "consumption") {
        let Some(series) = run.series.get(key) else { continue };
        for pair in registers.windows(2) {
            let within = |(end, _): &&(UtcTime, i64)| pair[0].0 < *end && *end <= pair[1].0;
            let slots: Vec<i64> = series.iter().filter(within).map(|slot| slot.1).collect();
            let expected = pair[1].0.seconds_since(pair[0].0) / 900;
            if i64::try_from(slots.len()).unwrap() == expected {
                assert_eq!(slots.iter().sum::<i64>(), pair[1].1 - pair[0].1, "{key:?}");
                checked += 1;
            }
        }
    }
    assert!(checked > 1_000, "{checked} days");
}

#[test]
fn every_kind_of_fault_is_planned_and_in_time() {
    for (seed, meters) in [(1, 10), (2, 20), (3, 40), (4, 50), (7, 200), (8, 200), (9, 1000)] {
        let fleet = Fleet::new(spec(seed, meters)).unwrap();
        let truth = fleet.truth();
        let spec = fleet.spec();
        let kinds = |kind| truth.faults.iter().filter(|fault| fault.kind == kind).count();
        let what = format!("seed {seed}, {meters} meters: {:?}", truth.faults);
        assert!(kinds(FaultKind::CustomerLeak) >= 1, "{what}");
        assert!(kinds(FaultKind::SilentMeter) >= 1, "{what}");
        if meters >= 40 {
            for kind in FaultKind::ALL {
                let large =
                    [FaultKind::LowConsumption, FaultKind::GarbledInterval, FaultKind::LostPulses];
                let optional = large.contains(kind) && meters < 120;
                assert!(optional || kinds(*kind) >= 1, "{kind} missing: {what}");
            }
            let live = truth.faults.iter().filter(|fault| fault.live);
            let live: std::collections::BTreeSet<FaultKind> = live.map(|f| f.kind).collect();
            assert!(live.len() >= 3, "{what}");
        }
        for fault in &truth.faults {
            assert!(fault.onset > spec.history_start && fault.onset < fault.detectable_by);
            assert!(fault.detectable_by <= spec.live_end, "{fault:?}");
            assert_eq!(fault.live, fault.onset >= spec.live_start);
        }
        let size = usize::try_from(meters).unwrap();
        assert!(truth.faults.len() <= size / 10 + 6, "{what}");
    }
}

#[test]
fn the_day_of_the_week_takes_no_fault_away() {
    for day in 0..7 {
        let base = spec(7, 200);
        let shift = |at: UtcTime| at.plus_seconds(day * 86_400 - 3 * 3_600);
        let fleet = Fleet::new(FleetSpec {
            history_start: shift(base.history_start),
            live_start: shift(base.live_start),
            live_end: shift(base.live_end),
            ..base
        });
        let fleet = fleet.unwrap();
        for kind in FaultKind::ALL {
            let planned = fleet.truth().faults.iter().any(|fault| fault.kind == *kind);
            assert!(planned, "{kind} missing on day {day}");
        }
    }
}

#[test]
fn no_subject_plays_two_parts() {
    for (seed, meters) in [(1, 10), (4, 50), (7, 200), (9, 1000)] {
        let fleet = Fleet::new(spec(seed, meters)).unwrap();
        let truth = fleet.truth();
        let mut subjects: Vec<&SubjectName> =
            truth.faults.iter().map(|fault| &fault.subject).collect();
        subjects.extend(
            truth
                .hard_negatives
                .iter()
                .map(|negative| &negative.subject)
                .filter(|subject| **subject != SubjectName::Fleet),
        );
        let count = subjects.len();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), count, "{truth:?}");
    }
}

#[test]
fn the_demo_fleet_has_every_look_alike() {
    for seed in [1, 7, 42] {
        let fleet = Fleet::new(spec(seed, 200)).unwrap();
        for kind in HardNegativeKind::ALL {
            let planned =
                fleet.truth().hard_negatives.iter().any(|negative| negative.kind == *kind);
            assert!(planned, "seed {seed}: no {kind}");
        }
    }
}

#[test]
fn a_short_live_time_moves_live_faults_into_the_history() {
    let base = spec(7, 200);
    let run = FleetSpec { live_end: base.live_start.plus_seconds(20 * 60), ..base };
    let fleet = Fleet::new(run).unwrap();
    for kind in [FaultKind::Burst, FaultKind::BatteryLow, FaultKind::CollectorOutage] {
        assert!(fleet.truth().faults.iter().any(|fault| fault.kind == kind), "{kind}");
    }
    assert!(fleet.truth().faults.iter().all(|fault| fault.detectable_by <= fleet.spec().live_end));
}

#[test]
fn a_fleet_that_lives_on_has_its_slow_faults_in_the_history() {
    let base = spec(7, 200);
    let run = FleetSpec { live_end: base.live_start.plus_seconds(30 * 86_400), ..base };
    let fleet = Fleet::new(run).unwrap();
    let limit = fleet.spec().live_start.plus_seconds(3_600);
    assert!(fleet.truth().faults.iter().all(|fault| fault.detectable_by <= limit));
    let live = fleet.truth().faults.iter().filter(|fault| fault.live);
    assert!(live.clone().count() >= 3);
    assert!(live.filter(|f| f.kind != FaultKind::BatteryLow).all(|f| f.end.is_some()));
}

#[test]
fn other_zones_seasons_and_sizes_can_be_simulated() {
    for (zone, at, meters) in [
        ("America/St_Johns", "2026-03-20T10:07:11Z", 30),
        ("Australia/Lord_Howe", "2026-10-20T22:00:00Z", 45),
        ("Asia/Kathmandu", "2026-07-01T00:00:00Z", 10),
        ("UTC", "2026-01-05T12:00:00Z", 61),
    ] {
        let live_start = UtcTime::parse_rfc3339(at).unwrap();
        let spec = FleetSpec {
            seed: 5,
            meters,
            collectors: 3,
            zone: zone.into(),
            history_start: live_start.plus_seconds(-9 * 86_400 - 1_234),
            live_start,
            live_end: live_start.plus_seconds(900),
        };
        let messages = whole(spec.clone(), 86_400);
        assert_eq!(digest(&messages), digest(&whole(spec, 7_777)), "{zone}");
        assert!(messages.len() > 1_000);
    }
}
