//! A trial is what it says: the same bytes however it is cut, one fault per meter, all in time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use metering::UtcTime;

use super::truth::TrialSubject;
use super::{Trial, TrialKind, TrialSpec};

fn spec(days: u32, kind: TrialKind) -> TrialSpec {
    TrialSpec {
        seed: 5,
        start: UtcTime::parse_rfc3339("2026-08-10T00:00:00Z").unwrap(),
        days,
        zone: "Europe/Berlin".into(),
        kind,
        delivery: 980,
        only: Vec::new(),
    }
}

fn digest(trial: &mut Trial, step_h: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut now = trial.spec().start;
    while now < trial.end() {
        now = now.plus_seconds(step_h * 3_600).min(trial.end());
        for message in trial.messages(now) {
            (message.sent_at, &message.topic, &message.payload).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[test]
fn the_same_specification_gives_the_same_bytes_however_it_is_cut() {
    let kind = TrialKind::Injected { per_cause: 1 };
    let mut first = Trial::new(spec(10, kind)).unwrap();
    let mut second = Trial::new(spec(10, kind)).unwrap();
    assert_eq!(digest(&mut first, 1), digest(&mut second, 6));
}

#[test]
fn a_meter_has_one_fault_and_every_fault_has_time_to_be_found() {
    let trial = Trial::new(spec(120, TrialKind::Injected { per_cause: 3 })).unwrap();
    let mut meters = BTreeSet::new();
    for fault in trial.faults() {
        if let TrialSubject::Meter(number) = &fault.subject {
            assert!(meters.insert(number.clone()), "{number} has two faults");
        }
        let need_s = fault.scenario.need_d * 86_400;
        assert!(fault.onset.plus_seconds(need_s) <= trial.end(), "{}", fault.scenario);
    }
    let planted: BTreeSet<&str> = trial.faults().iter().map(|f| f.scenario.name).collect();
    // Only what needs most of a year, or the head-end for itself, is left out of a winter.
    assert_eq!(planted.len(), super::scenario::Scenario::ALL.len() - 5, "{planted:?}");
    assert!(!planted.contains("slow_meter"));
    let of = |days, kind| -> BTreeSet<&str> {
        let trial = Trial::new(spec(days, kind)).unwrap();
        trial.faults().iter().map(|f| f.scenario.name).collect()
    };
    let headend = of(20, TrialKind::Headend { episodes: 2 });
    assert!(headend.iter().copied().eq(["headend_clock", "headend_outage"]), "{headend:?}");
    let weather = of(120, TrialKind::Weather { spells: super::scenario::spells_in(120) });
    assert!(weather.iter().copied().eq(["weather_spell"]), "{weather:?}");
    let long = of(400, TrialKind::Long { per_cause: 2 });
    assert!(
        long.iter().copied().eq(["battery_projection", "slow_meter", "winter_basis"]),
        "{long:?}"
    );
}

#[test]
fn a_trial_has_room_for_the_spells_that_it_is_asked_for() {
    for days in [20, 33, 34, 45, 120] {
        let spells = super::scenario::spells_in(days);
        let trial = Trial::new(spec(days, TrialKind::Weather { spells })).unwrap();
        assert_eq!(trial.faults().len(), usize::try_from(spells).unwrap(), "{days} days");
        assert!(trial.faults().windows(2).all(|two| two[0].end.unwrap() < two[1].onset));
    }
    assert_eq!([33, 34, 120].map(super::scenario::spells_in), [0, 1, 7]);
}

#[test]
fn the_meters_of_a_house_that_is_left_have_one_address() {
    let trial = Trial::new(spec(40, TrialKind::Injected { per_cause: 2 })).unwrap();
    let left: Vec<_> = trial.negatives().iter().filter(|one| one.class == "moved_out").collect();
    assert_eq!(left.len(), 2);
    for one in left {
        let TrialSubject::Meters(numbers) = &one.subject else { panic!("{:?}", one.subject) };
        let premises: BTreeSet<i32> = trial
            .assets()
            .meters
            .iter()
            .filter(|meter| numbers.contains(&meter.number))
            .map(|meter| meter.detail.premises)
            .collect();
        assert_eq!((numbers.len(), premises.len()), (2, 1));
    }
}

#[test]
fn nothing_passes_while_the_headend_is_cut_off() {
    let mut trial = Trial::new(spec(20, TrialKind::Headend { episodes: 3 })).unwrap();
    let outage = trial.faults().iter().find(|f| f.scenario.name == "headend_outage").unwrap();
    let (from, to) = (outage.onset, outage.end.unwrap());
    let messages = trial.messages(trial.end());
    assert!(messages.iter().all(|message| !(from..to).contains(&message.sent_at)));
    assert!(messages.iter().any(|message| message.sent_at >= to));
}

#[test]
fn a_natural_fleet_has_few_faults() {
    let trial = Trial::new(spec(120, TrialKind::Natural { meters: 2_000 })).unwrap();
    let faults = trial.faults().len();
    assert!((15..80).contains(&faults), "{faults}");
    assert!(trial.assets().meters.len() >= 2_000);
}

#[test]
fn every_message_is_json() {
    let mut trial = Trial::new(spec(3, TrialKind::Injected { per_cause: 1 })).unwrap();
    for message in trial.messages(trial.end()) {
        let text = std::str::from_utf8(&message.payload).unwrap();
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
        assert!(parsed.is_ok(), "{parsed:?} {}", text.chars().take(600).collect::<String>());
    }
}
