//! What must hold for every log: cutting it into frames, taking it up from a snapshot, delivering a
//! frame twice or a slot twice changes nothing.

use metering::{CollectorId, EventCode, LogRecord, LoggedFrame, MeterAsset, Subject};
use proptest::prelude::*;

use super::{Log, at, collector, event, heard, interval, meter};
use crate::{AlertTransition, Engine, Params, SnapshotError};

/// What happens in a step of one hour or of six: who is heard, what flows.
#[derive(Clone, Debug)]
struct Step {
    hours: i64,
    /// Of the meters, bit by bit.
    heard: u16,
    flow: Vec<u8>,
    beat: bool,
    battery: bool,
    suspect: bool,
    tick: bool,
    late: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        prop_oneof![4 => Just(1_i64), 1 => Just(6)],
        prop_oneof![3 => Just(u16::MAX), 1 => any::<u16>(), 1 => Just(0)],
        prop::collection::vec(prop_oneof![Just(0_u8), Just(3), Just(9), Just(250)], 6),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(step, 30..160).prop_map(|steps| {
        let flat = |s: (i64, u16, Vec<u8>, bool, bool, bool, bool, bool)| Step {
            hours: s.0,
            heard: s.1,
            flow: s.2,
            beat: s.3,
            battery: s.4,
            suspect: s.5,
            tick: s.6,
            late: s.7,
        };
        steps.into_iter().map(flat).collect()
    })
}

fn fleet() -> Vec<MeterAsset> {
    let mut meters = Vec::new();
    for id in 1..=12 {
        meters.push(meter(&match id % 4 {
            0 => format!("electricity 15min id={id} via=1 contact=1h"),
            1 => format!("water 1h id={id} via=2 battery q3=2500 contact=15min"),
            2 => format!("water 15min id={id} via=1 battery contact=1h zone=Europe/Berlin"),
            _ => format!("gas 1h id={id} via=1 lag=30h"),
        }));
    }
    meters
}

/// The log that the steps make. Each step may repeat and delay what it carries.
fn log_of(steps: &[Step]) -> Log {
    let meters = fleet();
    let mut log = Log::default();
    let mut records = vec![collector(1, "15min"), collector(2, "1h")];
    records.extend(meters.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))));
    log.push(at("10-20"), records);
    let mut now = at("10-20");
    let mut delayed: Vec<LogRecord> = Vec::new();
    for step in steps {
        let from = now;
        now = now.plus_seconds(step.hours * 3_600);
        let mut records: Vec<LogRecord> = Vec::new();
        for (index, asset) in meters.iter().enumerate() {
            if step.heard >> index & 1 == 0 {
                continue;
            }
            records.push(heard(asset, Some(1 + i32::try_from(index % 2).unwrap())));
            let len_s = i64::from(asset.channels[0].len_s);
            let mut end = from.plus_seconds(len_s);
            while end <= now {
                let slot = usize::try_from(end.seconds() / len_s).unwrap();
                let value = i64::from(step.flow[(slot + index) % step.flow.len()]) * 1_000;
                let status = if step.suspect && slot % 3 == 0 { "?" } else { "" };
                let record = interval(asset, end, value, status);
                if step.late && index == 2 {
                    delayed.push(record);
                } else {
                    records.push(record);
                }
                end = end.plus_seconds(len_s);
            }
            if step.battery {
                records.push(event(Subject::Meter(asset.meter), now, EventCode::BatteryLow));
            }
        }
        if step.beat {
            for id in [1, 2] {
                let subject = Subject::Collector(CollectorId::new(id));
                records.push(event(subject, now.plus_seconds(-30), EventCode::Heartbeat));
            }
        } else {
            records.append(&mut delayed);
        }
        if step.tick {
            records.push(LogRecord::Tick);
        }
        if !records.is_empty() {
            log.push(now, records);
        }
    }
    log
}

fn run(frames: &[LoggedFrame]) -> (Vec<AlertTransition>, Vec<u8>) {
    let mut engine = Engine::new(Params::default());
    let mut out = Vec::new();
    for frame in frames {
        engine.apply(frame, &mut out);
    }
    (out, engine.snapshot())
}

/// The same records in frames of at most `most`.
fn split(frames: &[LoggedFrame], most: usize) -> Vec<LoggedFrame> {
    let mut parts = Vec::new();
    for frame in frames {
        for (n, records) in frame.records.chunks(most).enumerate() {
            parts.push(LoggedFrame {
                shard: frame.shard,
                first_seq: frame.first_seq + i64::try_from(n * most).unwrap(),
                log_time: frame.log_time,
                records: records.to_vec(),
            });
        }
    }
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn frames_may_be_cut_anywhere(steps in steps(), most in 1_usize..9) {
        let log = log_of(&steps);
        prop_assert_eq!(run(&log.frames), run(&split(&log.frames, most)));
    }

    #[test]
    fn a_snapshot_and_the_tail_are_a_run_without_a_break(
        steps in steps(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let frames = split(&log_of(&steps).frames, 5);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(frames.len())).collect();
        cuts.sort_unstable();
        let mut engine = Engine::new(Params::default());
        let mut out = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            if cuts.contains(&n) {
                let bytes = engine.snapshot();
                engine = Engine::restore(Params::default(), &bytes).unwrap();
                prop_assert_eq!(engine.snapshot(), bytes);
                prop_assert_eq!(engine.position(), frame.first_seq);
            }
            engine.apply(frame, &mut out);
        }
        prop_assert_eq!((out, engine.snapshot()), run(&frames));
    }

    #[test]
    fn a_frame_may_come_twice_and_a_slot_too(steps in steps(), every in 1_usize..4) {
        let log = log_of(&steps);
        let twice: Vec<LoggedFrame> =
            log.frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
        prop_assert_eq!(run(&log.frames), run(&twice));
        // A stored slot that is sent again with another value is a conflict: the first one stays.
        let mut again = Log::default();
        for (n, frame) in log.frames.iter().enumerate() {
            let mut records = frame.records.clone();
            if n % every == 0 {
                records = records.into_iter().flat_map(|record| match record {
                    LogRecord::Interval { value, .. } => {
                        let mut other = record.clone();
                        if let LogRecord::Interval { value: changed, .. } = &mut other {
                            *changed = value + 7_000;
                        }
                        vec![record, other]
                    }
                    record => vec![record],
                }).collect();
            }
            again.push(frame.log_time, records);
        }
        prop_assert_eq!(log.run(), again.run());
    }

    #[test]
    fn slots_of_one_frame_may_come_in_any_order_of_meters(
        steps in steps(), seed in any::<u64>(),
    ) {
        let log = log_of(&steps);
        let mut other = Log::default();
        for frame in &log.frames {
            let mut records = frame.records.clone();
            // Meters change places, the records of each stay in order; the tick stays last.
            records.sort_by_key(|record| match record {
                LogRecord::Interval { meter, .. } | LogRecord::Heard { meter, .. } => {
                    u64::from(meter.get().unsigned_abs()).wrapping_mul(seed | 1) >> 8
                }
                LogRecord::Event { subject: Subject::Meter(meter), .. } => {
                    u64::from(meter.get().unsigned_abs()).wrapping_mul(seed | 1) >> 8
                }
                _ => u64::MAX,
            });
            other.push(frame.log_time, records);
        }
        let sorted = |mut out: Vec<AlertTransition>| {
            out.sort_by_key(|t| (t.at, t.alert_id.clone(), t.kind.word()));
            out
        };
        prop_assert_eq!(sorted(log.run()), sorted(other.run()));
    }

    #[test]
    fn alerts_are_raised_before_they_change_and_only_once(steps in steps()) {
        let mut active = std::collections::BTreeSet::new();
        for t in log_of(&steps).run() {
            match t.kind.word() {
                "raised" => prop_assert!(active.insert((t.rule, t.subject, t.channel)), "{:?}", t),
                "updated" => prop_assert!(active.contains(&(t.rule, t.subject, t.channel))),
                _ => prop_assert!(active.remove(&(t.rule, t.subject, t.channel))),
            }
            prop_assert_eq!(t.ranked.first().map(|(cause, _)| *cause), Some(t.cause));
            prop_assert_eq!(t.cause.family(), Some(t.family));
            prop_assert!(t.condition_start <= t.at);
        }
    }

    #[test]
    fn damaged_snapshots_are_refused(steps in steps(), at in any::<prop::sample::Index>()) {
        let (_, mut bytes) = run(&log_of(&steps).frames);
        let at = at.index(bytes.len());
        bytes[at] ^= 0x10;
        prop_assert!(Engine::restore(Params::default(), &bytes).is_err());
        bytes[at] ^= 0x10;
        bytes.truncate(at);
        prop_assert!(Engine::restore(Params::default(), &bytes).is_err());
    }
}

#[test]
fn a_snapshot_of_other_parameters_is_refused() {
    let bytes = Engine::new(Params::default()).snapshot();
    let mut other = Params::default();
    other.set("stop_days_min", 9).unwrap();
    let refused = Engine::restore(other, &bytes).map(|engine| engine.position());
    assert_eq!(refused, Err(SnapshotError::OtherParams));
    assert!(Engine::restore(Params::default(), b"AMIR").is_err());
    assert!(Engine::restore(Params::default(), b"").is_err());
}
