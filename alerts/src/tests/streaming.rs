//! The same log in three deliveries (`metering-rules` 9): in order; killed and taken up again at
//! twenty points; shuffled within three days with 5 % duplicates.
//!
//! A stop changes nothing at all: every transition, every issue and the final state are equal, byte
//! for byte. Another order of arrival changes when things become known, so that alerts may come,
//! go and be taken back in another order; at the end the same alerts and the same issues must
//! stand, byte for byte, as text. The text has every field but those that say when a
//! delivery came: log times (detected, cleared, closed), and the evidence, which is what was known
//! when the alert was said. What was retracted, and issues that were dismissed for it, never held
//! and are left out.
//!
//! Two things are about arrival itself and are the same in both deliveries: contacts, heartbeats
//! and ticks, and all that the meter sends that falls silent. The shuffled delivery must be
//! declared as slow as it is (`delivery_lag_s`), since days close by it.

use std::collections::BTreeMap;

use metering::{
    EventCode, Finding, LogRecord, LoggedFrame, MeterAsset, Outcome, RuleMask, RuleNo, Subject,
    UtcTime,
};
use sha2::{Digest, Sha256};

use super::issues::Book;
use super::{Log, at, collector, event, heard, interval, meter};
use crate::intervals::BLIND_TO_LATE;
use crate::{AlertTransition, Engine, Params, TransitionKind};

const DAYS: i64 = 24;
/// Days without readings at the end, in which issues close.
const REST_DAYS: i64 = 20;
const START: &str = "10-05";
/// What takes three days must be declared to take three days.
const LAG: &str = "lag=73h";
/// The meter that falls silent, and when.
const SILENT: i32 = 13;
const SILENT_DAYS: std::ops::Range<i64> = 12..16;
const CUT_DAY: i64 = 15;

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
        "electricity 1h via=1",
        "water 15min contact=1h q3=2500 via=1 battery",
        "water 1h step=10 q3=2500 via=1",
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

    fn seconds(&mut self, most: i64) -> i64 {
        i64::try_from(self.below(most.unsigned_abs())).unwrap()
    }
}

fn day(number: i64) -> UtcTime {
    at(START).plus_seconds(number * 86_400)
}

/// What a slot of a meter holds, in Wh or L: a plain life with leaks, a burst, stopped meters.
fn value(id: i32, end: UtcTime, len_s: i64, dice: &mut Dice) -> i64 {
    let hour = (end.seconds() - 1).div_euclid(3_600);
    let of_day = hour.rem_euclid(24);
    let day = (end.seconds() - 1 - at(START).seconds()).div_euclid(86_400);
    let busy = (6..22).contains(&of_day);
    let own = if busy { 10 + dice.seconds(8) } else { 0 };
    let own = own * len_s / 3_600;
    match id {
        5 if (8..12).contains(&day) => own + 25,
        8 if day == 9 && (10..13).contains(&of_day) => 400,
        8 if day == 13 && of_day < 2 => 300,
        10 | 11 if day >= 14 => 0,
        1..=4 | 10 | 11 | 13 => 200 + 10 * own,
        // A leak that pauses for a quarter of an hour, later for two hours, and ends.
        14 if (7..13).contains(&day) => {
            let pause = (day == 9 && of_day == 3 && end.seconds() % 3_600 == 900)
                || (day == 11 && (4..6).contains(&of_day));
            if pause { 0 } else { own + 9 }
        }
        15 if (10..15).contains(&day) => own + 40,
        _ => own,
    }
}

fn is_silent(id: i32, end: UtcTime) -> bool {
    let day = (end.seconds() - 1 - at(START).seconds()).div_euclid(86_400);
    id == SILENT && SILENT_DAYS.contains(&day)
}

/// Every reading and event with the time at which it was to arrive, and the meter.
fn readings() -> Vec<(i32, UtcTime, LogRecord)> {
    let mut dice = Dice(7);
    let mut records = Vec::new();
    for asset in fleet("") {
        let len_s = i64::from(asset.channels[0].len_s);
        let id = asset.meter.get();
        let mut end = day(0).plus_seconds(len_s);
        while end <= day(DAYS) {
            let litres = value(id, end, len_s, &mut dice);
            let mut record = interval(&asset, end, litres * 1_000, "");
            let wild = id == 6 && end.seconds().div_euclid(3_600) % 97 == 0;
            if let LogRecord::Interval { failed, .. } = &mut record
                && wild
            {
                *failed = RuleMask::EMPTY.with(RuleNo::new(12).unwrap());
            }
            if !is_silent(id, end) {
                records.push((id, end.plus_seconds(120), record));
            }
            end = end.plus_seconds(len_s);
        }
        for (after_s, code) in signs(id) {
            let occurred = day(10).plus_seconds(after_s);
            let record = event(Subject::Meter(asset.meter), occurred, code);
            records.push((id, occurred.plus_seconds(60), record));
        }
    }
    records
}

/// What devices say of themselves, in seconds after day 10: tampering, a low cell, a wrong clock,
/// an error of the hardware, air in the pipe, water that flows back.
fn signs(id: i32) -> Vec<(i64, EventCode)> {
    let hour = 3_600;
    match id {
        1 => vec![(0, EventCode::CoverOpened), (hour, EventCode::MagneticField)],
        2 => vec![(2 * hour, EventCode::ClockError)],
        3 => vec![(5 * hour, EventCode::HardwareFault)],
        6 => vec![(0, EventCode::Dry), (3 * hour, EventCode::Dry)],
        12 => (0..3).map(|n| (n * 12 * hour, EventCode::BatteryLow)).collect(),
        9 => vec![(7 * hour, EventCode::PressureFault), (9 * hour, EventCode::Cleared)],
        _ => Vec::new(),
    }
}

/// Findings of the day close, in the order of the days: they come from us, not from the air.
fn findings() -> Vec<(UtcTime, LogRecord)> {
    let verdict = |number: i64, meter: i32, rule: u8, outcome| {
        let from = day(number);
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
    for number in 5..12 {
        let outcome = if number < 9 { Outcome::Fail } else { Outcome::Pass };
        all.push(verdict(number, 11, 13, outcome));
        all.push(verdict(number, 9, 21, if number == 6 { Outcome::Fail } else { Outcome::Pass }));
    }
    all
}

/// A log of these readings: a frame each half hour with what has arrived, heartbeats, a tick.
fn log_of(readings: Vec<(i32, UtcTime, LogRecord)>, lag: &str) -> Log {
    let assets = fleet(lag);
    let mut log = Log::default();
    let mut records = vec![collector(1, "15min"), collector(2, "15min")];
    records.extend(assets.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))));
    log.push(day(0), records);
    let mut arrivals: Vec<(UtcTime, LogRecord)> =
        readings.into_iter().map(|(_, arrives, record)| (arrives, record)).collect();
    arrivals.extend(findings());
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    let mut next = arrivals.into_iter().peekable();
    let mut now = day(0);
    while now < day(DAYS + REST_DAYS) {
        now = now.plus_seconds(1_800);
        let mut records = Vec::new();
        for asset in assets.iter().filter(|asset| !is_silent(asset.meter.get(), now)) {
            records.push(heard(asset, asset.primary_collector.map(|id| id.get())));
        }
        while let Some((_, record)) = next.next_if(|(arrives, _)| *arrives <= now) {
            records.push(record);
        }
        let cut = day(CUT_DAY) <= now && now < day(CUT_DAY).plus_seconds(4 * 3_600);
        for id in [1, 2].iter().filter(|id| !cut || **id == 2) {
            let subject = Subject::Collector(metering::CollectorId::new(*id));
            records.push(event(subject, now.plus_seconds(-30), EventCode::Heartbeat));
        }
        for before_s in [1_200, 600] {
            log.push(now.plus_seconds(-before_s), vec![LogRecord::Tick]);
        }
        records.push(LogRecord::Tick);
        log.push(now, records);
    }
    log
}

/// All transitions, the issues after all of them, and the final state.
struct Run {
    said: Vec<AlertTransition>,
    issues: Book,
    state: Vec<u8>,
}

fn run(frames: &[LoggedFrame]) -> Run {
    let mut engine = Engine::new(Params::default());
    let (mut said, mut issues) = (Vec::new(), Book::default());
    for frame in frames {
        let before = said.len();
        engine.apply(frame, &mut said);
        note(&mut issues, &said[before..], frame.log_time);
    }
    Run { said, issues, state: engine.snapshot() }
}

fn note(issues: &mut Book, said: &[AlertTransition], now: UtcTime) {
    for transition in said {
        issues.apply(transition);
    }
    issues.due(now);
}

fn hash(run: &Run) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for transition in &run.said {
        hasher.update(format!("{transition:?}\n"));
    }
    hasher.update(format!("{:?}", run.issues));
    hasher.update(&run.state);
    hasher.finalize().into()
}

#[test]
fn killed_and_taken_up_again_at_twenty_points_says_the_same_byte_for_byte() {
    let log = log_of(readings(), "");
    let straight = run(&log.frames);
    assert!(straight.said.len() > 20, "{}", straight.said.len());
    let every = log.frames.len() / 20;
    let mut engine = Engine::new(Params::default());
    let mut kept = (engine.snapshot(), 0);
    let mut said: Vec<(UtcTime, AlertTransition)> = Vec::new();
    let apply = |engine: &mut Engine, frame: &LoggedFrame, said: &mut Vec<_>| {
        let mut out = Vec::new();
        engine.apply(frame, &mut out);
        said.extend(out.into_iter().map(|one| (frame.log_time, one)));
    };
    for (number, frame) in log.frames.iter().enumerate() {
        apply(&mut engine, frame, &mut said);
        if number % 100 == 50 {
            kept = (engine.snapshot(), said.len());
        }
        if number % every == every - 1 {
            // Killed: what was said since the snapshot is said again from the log.
            engine = Engine::restore(Params::default(), &kept.0).unwrap();
            said.truncate(kept.1);
            let from = engine.position();
            for old in log.frames[..=number].iter().filter(|old| old.first_seq >= from) {
                apply(&mut engine, old, &mut said);
            }
        }
    }
    let mut issues = Book::default();
    let mut next = said.iter().peekable();
    for frame in &log.frames {
        let mut now = Vec::new();
        while let Some((_, one)) = next.next_if(|(when, _)| *when <= frame.log_time) {
            now.push(one.clone());
        }
        note(&mut issues, &now, frame.log_time);
    }
    let said = said.into_iter().map(|(_, one)| one).collect();
    assert!(hash(&Run { said, issues, state: engine.snapshot() }) == hash(&straight));
}

/// The alerts and the issues that stand at the end, one line each.
fn standing(run: &Run) -> String {
    let mut alerts: BTreeMap<&str, String> = BTreeMap::new();
    for t in &run.said {
        let end = t.condition_end.map_or("goes on".to_owned(), |end| end.to_string());
        let parent =
            t.parent.map_or(String::new(), |by| format!(" by {} {}", by.kind(), by.number()));
        let line = format!(
            "alert {} {} {:>3} {} {} {} {} ch {} since {} until {end}{parent}",
            t.alert_id,
            t.subject.kind(),
            t.subject.number(),
            t.rule,
            t.cause,
            t.family,
            t.severity,
            t.channel.map_or(0, |no| no.get()),
            t.condition_start
        );
        match t.kind {
            TransitionKind::Retracted => alerts.remove(t.alert_id.as_str()),
            _ => alerts.insert(&t.alert_id, line),
        };
    }
    let mut lines: Vec<String> = alerts.into_values().collect();
    lines.sort_by_key(|line| line[39..].to_owned());
    lines.extend(run.issues.text());
    lines.join("\n")
}

/// Each reading up to three days later, one in twenty twice.
fn shuffled(seed: u64) -> Vec<(i32, UtcTime, LogRecord)> {
    let mut dice = Dice(seed);
    let mut arrivals = Vec::new();
    for (id, arrives, record) in readings() {
        let late_s = if id == SILENT { 0 } else { dice.seconds(3 * 86_400) };
        arrivals.push((id, arrives.plus_seconds(late_s), record.clone()));
        if id != SILENT && dice.below(20) == 0 {
            arrivals.push((id, arrives.plus_seconds(late_s + dice.seconds(86_400)), record));
        }
    }
    arrivals
}

fn differences(want: &str, got: &str) -> String {
    let (want_lines, got_lines): (Vec<&str>, Vec<&str>) =
        (want.lines().collect(), got.lines().collect());
    let missing = want_lines.iter().filter(|line| !got_lines.contains(line));
    let added = got_lines.iter().filter(|line| !want_lines.contains(line));
    let lines = missing.map(|line| format!("- {line}"));
    lines.chain(added.map(|line| format!("+ {line}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn shuffled_within_three_days_with_duplicates_leaves_the_same_alerts_and_issues() {
    let want = standing(&run(&log_of(readings(), LAG).frames));
    for planted in [
        "WTR-CONT",
        "WTR-BURST",
        "MTR-STOP",
        "COM-STALE",
        "COM-COLL",
        "TMP-SCORE",
        "BAT-FLAG",
        "ING-CLK",
        "REG-SUM",
        "INT-FLAT",
        "MTR-ERR",
        "WTR-DRY",
        "GAS-PRESS",
    ] {
        assert!(want.contains(&format!(" {planted} ")), "{planted} is not among\n{want}");
    }
    for seed in 1..=10 {
        let got = standing(&run(&log_of(shuffled(seed), LAG).frames));
        assert!(got == want, "seed {seed}:\n{}", differences(&want, &got));
    }
}

/// Declared as quick as meters are: most of the shuffled slots come after their days closed, and
/// what was said is mended. Compared are the rules that look at single slots of water.
#[test]
fn slots_that_come_after_their_days_closed_mend_what_was_said_of_water() {
    let of_water = |run: &Run| {
        let lines = standing(run);
        let own = |line: &&str| line.starts_with("alert") && line.contains("WTR-CONT");
        lines.lines().filter(own).collect::<Vec<_>>().join("\n")
    };
    let want = of_water(&run(&log_of(readings(), "").frames));
    for seed in 1..=3 {
        let got = of_water(&run(&log_of(shuffled(seed), "").frames));
        assert!(got == want, "seed {seed}:\n{}", differences(&want, &got));
    }
}

#[test]
fn a_delivery_whose_late_slots_are_not_judged_is_noticed() {
    let want = standing(&run(&log_of(readings(), LAG).frames));
    BLIND_TO_LATE.set(true);
    let got = standing(&run(&log_of(shuffled(1), LAG).frames));
    BLIND_TO_LATE.set(false);
    assert!(differences(&want, &got).contains("WTR-CONT"));
}
