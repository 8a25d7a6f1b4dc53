//! The gateway against a simulated line: late, lost, swapped and wrong answers.

use super::*;
use crate::modbus::PollRecord;
use crate::modbus::frame::answer_of_pdu;

/// A device world: what each unit answers, and what goes wrong.
struct Line {
    gateway: Gateway,
    now: UtcTime,
    framing: Framing,
    /// Answers that the gateway device still holds, to be sent in place of the next one.
    held: Vec<Vec<u8>>,
    dead: Vec<u8>,
    /// Every nth answer comes after the timeout, with the next connection's first answer.
    late_every: usize,
    sent: usize,
    asked: BTreeMap<u8, usize>,
    records: Vec<PollRecord>,
    connected: usize,
}

const START: i64 = 1_800_000_000;

fn settings(framing: Framing, units: &[u8], profile: Profile) -> GatewaySettings {
    let profile = Arc::new(profile);
    GatewaySettings {
        name: "gw1".to_owned(),
        address: "tcp://gw1:502".to_owned(),
        framing,
        collector: None,
        beat_s: BEAT_S,
        timeout_ms: None,
        units: units
            .iter()
            .map(|unit| UnitSettings {
                unit: *unit,
                source: format!("modbus:gw1/{unit}"),
                profile: Arc::clone(&profile),
                every_s: 10,
            })
            .collect(),
    }
}

impl Line {
    fn new(framing: Framing, units: &[u8], profile: Profile) -> Self {
        let now = UtcTime::from_seconds(START);
        Self {
            gateway: Gateway::new(settings(framing, units, profile), now),
            now,
            framing,
            held: Vec::new(),
            dead: Vec::new(),
            late_every: 0,
            sent: 0,
            asked: BTreeMap::new(),
            records: Vec::new(),
            connected: 0,
        }
    }

    /// The register at `address` of `unit` is `unit * 1000 + address`, as a u16.
    fn answer(&self, request: &Request) -> Vec<u8> {
        let count = request.read.count();
        let mut pdu = vec![request.read.function.code(), u8::try_from(2 * count).unwrap()];
        for at in request.read.address..request.read.address + count {
            pdu.extend((u16::from(request.unit) * 1_000 + at).to_be_bytes());
        }
        self.wrap(request, &pdu)
    }

    fn wrap(&self, request: &Request, pdu: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        match self.framing {
            Framing::Tcp => {
                frame.extend(request.transaction.to_be_bytes());
                frame.extend([0, 0]);
                frame.extend(u16::try_from(pdu.len() + 1).unwrap().to_be_bytes());
                frame.push(request.unit);
                frame.extend(pdu);
            }
            Framing::Rtu => {
                frame.push(request.unit);
                frame.extend(pdu);
                frame.extend(crc16(&frame).to_le_bytes());
            }
        }
        frame
    }

    fn run_for(&mut self, seconds: i64) {
        let end = self.now.plus_seconds(seconds);
        while self.now < end {
            match self.gateway.next(self.now) {
                Action::Wait(until) => self.now = until.max(self.now.plus_seconds(1)).min(end),
                Action::Connect { .. } => {
                    self.connected += 1;
                    // A session's answers end with it; what an RTU bus still holds may be drained
                    // or not.
                    if self.framing == Framing::Tcp || self.connected.is_multiple_of(3) {
                        self.held.clear();
                    }
                    self.gateway.connected();
                }
                Action::Send { request, timeout_ms, .. } => self.exchange(request, timeout_ms),
            }
            while let Some(record) = self.gateway.take_record() {
                self.records.push(record);
            }
        }
    }

    fn exchange(&mut self, request: Request, timeout_ms: u32) {
        self.sent += 1;
        *self.asked.entry(request.unit).or_default() += 1;
        let after =
            |now: UtcTime, ms: u32| UtcTime::from_micros(now.micros() + i64::from(ms) * 1_000);
        let late = self.late_every > 0 && self.sent.is_multiple_of(self.late_every);
        if self.dead.contains(&request.unit) || late {
            if late {
                let held = self.answer(&request);
                self.held.push(held);
            }
            self.now = after(self.now, timeout_ms);
            self.gateway.ended(self.now, Outcome::Timeout);
            return;
        }
        self.now = after(self.now, 20);
        // The gateway device sends what it holds first, one frame for each request.
        let fresh = self.answer(&request);
        self.held.push(fresh);
        let bytes = self.held.remove(0);
        let outcome = match self.framing.receive(&request, &bytes) {
            Ok(Received::Whole(answer, pdu)) => {
                if self.held.is_empty() || self.framing == Framing::Rtu {
                    Outcome::Answered(answer, pdu)
                } else {
                    Outcome::Wrong("excess".to_owned())
                }
            }
            Ok(Received::Partial) => Outcome::Timeout,
            Err(fault) => Outcome::Wrong(fault.to_string()),
        };
        self.gateway.ended(self.now, outcome);
    }

    fn check_values(&self) -> usize {
        let mut values = 0;
        for record in &self.records {
            for value in record.reads.iter().flat_map(|read| &read.values) {
                let at: i64 = value
                    .channel
                    .rsplit('_')
                    .next()
                    .unwrap()
                    .trim_start_matches('t')
                    .parse()
                    .unwrap();
                let want = i64::from(record.unit) * 1_000 + 10 * at;
                assert_eq!(value.value.unwrap().mantissa(), want, "{record:?}");
                values += 1;
            }
        }
        values
    }
}

/// Four registers of one word each, each read by itself: answers of one length, the worst case.
fn apart() -> Profile {
    let registers = (1..=4).map(|n| {
        format!(
            "[[register]]\nchannel = \"pulses_t{n}\"\naddress = {}\ntype = \"u16\"\nunit = \"count\"\n",
            10 * n
        )
    });
    let check = "[[check]]\nrequest = \"03 00 0A 00 01\"\nresponse = \"03 02 00 07\"\nexpect = \"pulses_t1 7 count\"\n";
    let text = format!(
        "name = \"apart\"\nfunction = 3\nmax_gap = 0\n{}{check}",
        registers.collect::<String>()
    );
    Profile::parse(&text).unwrap()
}

#[test]
fn all_units_are_polled_in_turn_on_one_connection() {
    let mut line = Line::new(Framing::Tcp, &[1, 2, 3], apart());
    line.run_for(95);
    assert_eq!(line.connected, 1);
    assert_eq!(line.check_values(), 4 * line.records.len());
    let polls = |unit: u8| line.records.iter().filter(|record| record.unit == unit).count();
    for unit in 1..=3 {
        assert!((9..=11).contains(&polls(unit)), "{unit}: {}", polls(unit));
    }
    // The wall clock: after the first poll, all at whole periods and a stagger of at most 3 s.
    for record in &line.records[3..] {
        assert!(record.reads[0].at.seconds() % 10 <= 4, "{}", record.reads[0].at);
    }
}

#[test]
fn late_answers_never_become_values_of_other_registers() {
    for framing in [Framing::Tcp, Framing::Rtu] {
        for late_every in 3..40 {
            let mut line = Line::new(framing, &[1, 2], apart());
            line.late_every = late_every;
            line.run_for(3_600);
            let values = line.check_values();
            let least = if late_every < 6 { 1 } else { 400 };
            assert!(values > least, "{framing:?} {late_every}: {values} values");
        }
    }
}

#[test]
fn a_dead_unit_costs_its_bus_one_timeout_per_back_off_period() {
    for framing in [Framing::Tcp, Framing::Rtu] {
        let mut line = Line::new(framing, &[1, 2, 3], apart());
        line.dead = vec![2];
        line.run_for(7_200);
        // 5 in the first 15 s, then after 30, 60, 120, 240, 480 and every 900 s.
        let asked = line.asked[&2];
        assert!((5 + 5 + 6..=5 + 5 + 8).contains(&asked), "{framing:?}: {asked}");
        let health = line.gateway.health();
        assert_eq!(health.units[1].state, UnitState::Lost);
        let lost: Vec<_> = line.records.iter().filter(|record| record.unit == 2).collect();
        assert_eq!(lost.len(), 1, "told once");
        assert_eq!(lost[0].events[0].code, metering::EventCode::PingFailed);
        for unit in [1, 3] {
            let polls = line.records.iter().filter(|record| record.unit == unit).count();
            assert!(polls >= 715, "unit {unit} had {polls} polls of 720");
        }
        line.dead.clear();
        line.run_for(1_000);
        assert_eq!(line.gateway.health().units[1].state, UnitState::Answering);
        line.check_values();
        let back = |record: &&PollRecord| {
            record.unit == 2 && record.events.iter().any(|e| e.code == metering::EventCode::LinkUp)
        };
        assert_eq!(line.records.iter().filter(back).count(), 1, "told once that it is back");
    }
}

#[test]
fn a_refused_read_is_split_once_and_a_missing_register_left_out() {
    let profile = devices::builtin("eastron-sdm120").unwrap();
    let now = UtcTime::from_seconds(START);
    let mut gateway = Gateway::new(settings(Framing::Tcp, &[1], profile), now);
    let (mut requests, mut records) = (Vec::new(), Vec::new());
    let mut clock = now;
    for _ in 0..80 {
        match gateway.next(clock) {
            Action::Wait(until) => clock = until,
            Action::Connect { .. } => gateway.connected(),
            Action::Send { request, .. } => {
                let read = request.read;
                requests.push((read.address, read.count()));
                // 0x0004 and 0x0158 do not exist.
                let hole = |at: u16| read.address <= at && u32::from(at) < read.end();
                let answer = if hole(0x0004) || hole(0x0158) {
                    Outcome::Answered(Answer::Exception(Exception(2)), vec![0x84, 2])
                } else {
                    let words = vec![0; usize::from(read.count())];
                    Outcome::Answered(Answer::Registers(words), vec![4])
                };
                gateway.ended(clock, answer);
            }
        }
        records.extend(std::iter::from_fn(|| gateway.take_record()));
    }
    // First all together, then the refused ones one by one, then without the one that is missing.
    let polls = requests.iter().filter(|(at, _)| *at == 0x0046).count();
    assert!(polls > 3);
    assert_eq!(requests.iter().filter(|(at, _)| *at == 0x0158).count(), 1);
    assert_eq!(requests.iter().filter(|r| **r == (0, 14)).count(), 1);
    let events: Vec<_> = records.iter().flat_map(|record| &record.events).collect();
    assert_eq!(events.len(), 1);
    assert!(events[0].detail.contains("energy_reactive_sum_total of profile"), "{events:?}");
    let last = records.last().unwrap();
    // The frequency is 0 Hz, which cannot be: it is told and not kept.
    assert_eq!(last.reads.iter().map(|read| read.values.len()).sum::<usize>(), 11 - 2);
    assert_eq!(last.status, ["refused:frequency=0Hz"]);
}

#[test]
fn busy_is_asked_again_after_1_2_and_4_seconds_and_a_gateway_error_is_of_its_unit_alone() {
    let now = UtcTime::from_seconds(START);
    let mut gateway = Gateway::new(settings(Framing::Tcp, &[1, 2], apart()), now);
    let mut clock = now;
    let mut asked = Vec::new();
    while clock < now.plus_seconds(9) {
        match gateway.next(clock) {
            Action::Wait(until) => clock = until,
            Action::Connect { .. } => gateway.connected(),
            Action::Send { request, .. } => {
                asked.push((clock.seconds_since(now), request.unit));
                let code = if request.unit == 1 { 6 } else { 11 };
                let answer = Answer::Exception(Exception(code));
                gateway.ended(clock, Outcome::Answered(answer, vec![0x83, code]));
            }
        }
    }
    let of = |unit: u8| -> Vec<i64> {
        asked.iter().filter(|(_, u)| *u == unit).map(|(at, _)| *at).collect()
    };
    assert_eq!(of(1)[..4], [0, 1, 3, 7]);
    assert_eq!(of(2), [0, 1, 3, 7]);
    assert_eq!(gateway.health().counts.connections, 1);
}

#[test]
fn a_sunspec_meter_is_found_and_read_with_its_scale_factors() {
    let profile = devices::builtin("sunspec-meter").unwrap();
    let mut words = BTreeMap::new();
    for (request, response) in &profile.checks[0].exchange {
        let read = ReadRequest::of_pdu(request).unwrap();
        if let Answer::Registers(got) = answer_of_pdu(read, response).unwrap() {
            words.extend((read.address..).zip(got));
        }
    }
    let now = UtcTime::from_seconds(START);
    let mut gateway = Gateway::new(settings(Framing::Tcp, &[1], profile), now);
    let mut record = None;
    while record.is_none() {
        match gateway.next(now) {
            Action::Wait(_) => panic!("nothing came of it: {:?}", gateway.health()),
            Action::Connect { .. } => gateway.connected(),
            Action::Send { request, .. } => {
                let asked = request.read.address..request.read.address + request.read.count();
                let got: Option<Vec<u16>> = asked.map(|at| words.get(&at).copied()).collect();
                let answer = got.map_or(Answer::Exception(Exception(2)), Answer::Registers);
                gateway.ended(now, Outcome::Answered(answer, Vec::new()));
            }
        }
        record = gateway.take_record();
    }
    let record = record.unwrap();
    let values: Vec<String> = record
        .reads
        .iter()
        .flat_map(|read| &read.values)
        .filter_map(|v| Some(format!("{} {}", v.channel, v.value?)))
        .collect();
    assert!(values.contains(&"energy_active_import_total 12345670".to_owned()), "{values:?}");
    assert!(values.contains(&"voltage_l1 230.4".to_owned()), "{values:?}");
}

/// Asks `gateway`, whose connections fail until `up_at`, for `seconds`; its heartbeats.
fn beats(gateway: &mut Gateway, seconds: i64, up_at: i64) -> Vec<i64> {
    let start = UtcTime::from_seconds(START);
    let (mut now, mut beats) = (start, Vec::new());
    while now < start.plus_seconds(seconds) {
        match gateway.next(now) {
            Action::Wait(until) => now = until.max(now.plus_seconds(1)),
            Action::Connect { .. } if now.seconds_since(start) < up_at => {
                gateway.disconnected(now, "connection refused");
            }
            Action::Connect { .. } => gateway.connected(),
            Action::Send { request, .. } => {
                let words = vec![0; usize::from(request.read.count())];
                gateway.ended(now, Outcome::Answered(Answer::Registers(words), vec![4]));
            }
        }
        while let Some(record) = gateway.take_record() {
            if record.source == "collector:gw1" {
                assert_eq!(record.events[0].code, metering::EventCode::Heartbeat);
                beats.push(record.events[0].at.seconds_since(start));
            }
        }
    }
    beats
}

#[test]
fn a_gateway_beats_as_a_collector_while_it_can_be_reached() {
    let collector = Some("gw1".to_owned());
    let settings = GatewaySettings { collector, ..settings(Framing::Tcp, &[1, 2], apart()) };
    let start = UtcTime::from_seconds(START);
    // Of a new one some when polling begins, so that there is a due time; then silence.
    let mut refused = Gateway::new(settings.clone(), start).announced(start);
    let seen = beats(&mut refused, 7_200, i64::MAX);
    assert!(seen.len() >= 2 && seen.iter().all(|at| *at < 60), "{seen:?}");
    // One that is down when polling begins anew says nothing that would end its outage.
    let mut still_down = Gateway::new(settings.clone(), start);
    assert_eq!(beats(&mut still_down, 7_200, i64::MAX), Vec::<i64>::new());
    let health = refused.health();
    assert_eq!(health.unreached, Some(UtcTime::from_seconds(START)));
    assert!(health.units.iter().all(|unit| unit.state == UnitState::Unreached));
    assert_eq!(health.units[0].last_fault.as_ref().unwrap().1, "connection refused");

    let mut well = Gateway::new(settings.clone(), start);
    let seen = beats(&mut well, 7_200, 3_000);
    assert!(seen[0] >= 3_000, "{seen:?}");
    let apart = seen.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.clone().count() >= 12 && apart.max().unwrap() <= 301, "{seen:?}");
    assert_eq!(well.health().unreached, None);

    // A collector of whom more is asked says so more often.
    let mut often = Gateway::new(GatewaySettings { beat_s: 60, ..settings }, start);
    let seen = beats(&mut often, 3_600, 0);
    let apart = seen.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.clone().count() >= 55 && apart.max().unwrap() <= 61, "{seen:?}");
}

#[test]
fn the_only_unit_of_a_gateway_may_be_silent_without_its_gateway() {
    let collector = Some("gw1".to_owned());
    let settings = GatewaySettings { collector, ..settings(Framing::Tcp, &[1], apart()) };
    let mut line = Line::new(Framing::Tcp, &[1], apart());
    line.gateway = Gateway::new(settings, UtcTime::from_seconds(START));
    line.dead = vec![1];
    line.run_for(3_600);
    let health = line.gateway.health();
    assert_eq!((health.unreached, health.units[0].state), (None, UnitState::Lost));
    let beats = line.records.iter().filter(|record| record.source == "collector:gw1").count();
    assert!((10..=13).contains(&beats), "{beats}");
    // Refused, it is not reached, until it lets us in again.
    let now = line.now;
    line.gateway.disconnected(now, "connection refused");
    assert_eq!(line.gateway.health().unreached, Some(now));
    line.run_for(1_000);
    assert_eq!(line.gateway.health().unreached, None);
}

#[test]
fn a_gateway_whose_units_are_all_silent_is_not_reached() {
    let mut line = Line::new(Framing::Rtu, &[1, 2], apart());
    line.dead = vec![2];
    line.run_for(600);
    assert_eq!(line.gateway.health().unreached, None, "one of two answers");
    line.dead = vec![1, 2];
    line.run_for(600);
    assert!(line.gateway.health().unreached.is_some());
    line.dead.clear();
    line.run_for(1_000);
    assert_eq!(line.gateway.health().unreached, None);
}
