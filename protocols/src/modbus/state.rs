//! One gateway: one connection, one request in flight, all its units in turn. Sans-io: the driver
//! says what time it is and what came back; this says what to do next (`protocols.md` 4.1).
//!
//! A poll is asked to its end before the next unit has its turn, so that its values belong
//! together. After any fault the connection is dropped. RTU has no transaction numbers and gateways
//! hold late answers back, so the first request on the next connection is one whose answer cannot be
//! mistaken for one that is still out: of another unit, or of another length.

use std::collections::VecDeque;

use metering::{EventCode, UtcTime};

use super::frame::{Framing, Request};
use super::health::{Counts, GatewayHealth, UnitHealth, UnitState};
use super::pdu::{Answer, Exception, ExceptionKind, ReadRequest};
use super::record::{EventRecord, PollRecord, ReadRecord};
use super::sunspec::Found;
use super::unit::{Gathered, Unit, UnitSettings};

/// How long a new connection of an RTU gateway is read before the first request.
const DRAIN_MS: u32 = 200;
const TIMEOUT_TCP_MS: u32 = 1_000;
const TIMEOUT_RTU_MS: u32 = 3_000;
/// Waits between attempts to connect.
const CONNECT_WAIT_S: [i64; 6] = [1, 2, 5, 10, 20, 30];
/// Waits after a busy answer.
const BUSY_WAIT_S: [i64; 3] = [1, 2, 4];
/// Requests that may still be answered late; older ones are forgotten.
const SUSPECTS_MAX: usize = 8;
/// A gateway that is a collector says so often that nothing is known against it, in seconds, where
/// the collector does not ask for more.
pub const BEAT_S: u32 = 300;
/// One that is to be announced says so a few times, reached or not, since a collector that was made
/// a moment ago may not be known to all yet. From then on it is due.
const BEGIN_S: i64 = 60;
const BEGIN_BEAT_S: i64 = 15;
/// Nothing to do is asked again after this.
const IDLE_S: i64 = 3_600;

/// One gateway, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewaySettings {
    pub name: String,
    /// Where it is reached, for people.
    pub address: String,
    pub framing: Framing,
    /// Its code in the asset model, if it is a collector there.
    pub collector: Option<String>,
    /// Says so often that it can be reached, in seconds, if it is a collector.
    pub beat_s: u32,
    /// `None`: 1 s, RTU 3 s. A profile's own wins.
    pub timeout_ms: Option<u32>,
    pub units: Vec<UnitSettings>,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Connect, then read and forget for so long.
    Connect { drain_ms: u32 },
    /// Keep silent for `gap_ms`, send, and wait for the answer.
    Send { request: Request, gap_ms: u32, timeout_ms: u32 },
    /// Nothing before this.
    Wait(UtcTime),
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The answer and its PDU.
    Answered(Answer, Vec<u8>),
    Timeout,
    /// The answer was none, or the connection ended.
    Wrong(String),
}

/// One gateway's state.
#[derive(Debug)]
pub struct Gateway {
    settings: GatewaySettings,
    units: Vec<Unit>,
    turn: usize,
    connected: bool,
    connect_at: UtcTime,
    connect_failures: usize,
    transaction: u16,
    /// What is asked, and why.
    asked: Option<Asked>,
    /// Requests whose answers may still come.
    suspects: VecDeque<(u8, ReadRequest)>,
    /// No answer has come on this connection yet.
    fresh: bool,
    records: VecDeque<PollRecord>,
    counts: Counts,
    last_fault: Option<(UtcTime, String)>,
    /// Since when it refuses connections, or answers for none of its units, if it has several: the
    /// only one may be a meter that is switched off.
    unreached: Option<UtcTime>,
    /// It was there since polling began.
    reached: bool,
    /// It says that it is there without having been reached until then.
    announced_until: UtcTime,
    beat_at: UtcTime,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: usize,
    read: ReadRequest,
    why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// Any answer will do: the unit is there, the line is clean.
    Try,
    Search,
    Poll,
}

impl Gateway {
    pub fn new(settings: GatewaySettings, now: UtcTime) -> Self {
        let units = settings.units.iter().map(|unit| Unit::new(unit.clone(), now)).collect();
        Self {
            settings,
            units,
            turn: 0,
            connected: false,
            connect_at: UtcTime::MIN,
            connect_failures: 0,
            transaction: 0,
            asked: None,
            suspects: VecDeque::new(),
            fresh: true,
            records: VecDeque::new(),
            counts: Counts::default(),
            last_fault: None,
            unreached: None,
            reached: false,
            announced_until: UtcTime::MIN,
            beat_at: UtcTime::MIN,
        }
    }

    /// Of a collector of which nobody has heard: it is told of before it is reached, so that it is
    /// due from then on. One that was heard before must be reached first: its outage would end.
    #[must_use]
    pub fn announced(mut self, now: UtcTime) -> Self {
        self.announced_until = now.plus_seconds(BEGIN_S);
        self
    }

    /// What to do now. Not to be asked while a request is out.
    pub fn next(&mut self, now: UtcTime) -> Action {
        self.beat(now);
        let Some(at) = self.choose(now) else { return Action::Wait(self.wakes_at(now)) };
        if !self.connected {
            let connect_at = self.connect_at.min(now.plus_seconds(CONNECT_WAIT_S[5]));
            if now < connect_at {
                return Action::Wait(connect_at);
            }
            let drain_ms = if self.settings.framing == Framing::Rtu { DRAIN_MS } else { 0 };
            return Action::Connect { drain_ms };
        }
        if !self.units[at].polling {
            self.units[at].begin(now);
        }
        match self.request(at) {
            Some((read, why)) => self.send(at, read, why),
            // All that was learned leaves nothing to ask.
            None => {
                self.finish(at);
                self.units[at].profile_error = true;
                Action::Wait(now.plus_seconds(1))
            }
        }
    }

    /// The connection stands.
    pub fn connected(&mut self) {
        self.connected = true;
        self.connect_failures = 0;
        self.fresh = true;
        self.counts.connections += 1;
        if self.units.len() == 1 {
            self.there();
        }
    }

    /// It could not be made, or ended between two requests.
    pub fn disconnected(&mut self, now: UtcTime, why: &str) {
        self.connected = false;
        self.counts.connection_failures += 1;
        let wait = CONNECT_WAIT_S[self.connect_failures.min(CONNECT_WAIT_S.len() - 1)];
        self.connect_failures += 1;
        self.connect_at = now.plus_seconds(wait);
        self.last_fault = Some((now, why.to_owned()));
        self.unreached.get_or_insert(now);
    }

    /// The request that [`Gateway::next`] gave has ended.
    pub fn ended(&mut self, now: UtcTime, outcome: Outcome) {
        let Some(asked) = self.asked.take() else { return };
        match outcome {
            Outcome::Answered(answer, pdu) => self.answered(now, asked, answer, pdu),
            Outcome::Timeout => {
                self.counts.timeouts += 1;
                self.fault(now, asked, "no answer in time".to_owned());
            }
            Outcome::Wrong(what) => {
                self.counts.wrong_answers += 1;
                self.fault(now, asked, what);
            }
        }
    }

    /// The next finished poll.
    pub fn take_record(&mut self) -> Option<PollRecord> {
        self.records.pop_front()
    }

    pub fn health(&self) -> GatewayHealth {
        GatewayHealth {
            name: self.settings.name.clone(),
            address: self.settings.address.clone(),
            connected: self.connected,
            counts: self.counts,
            last_fault: self.last_fault.clone(),
            unreached: self.unreached,
            units: self.units.iter().map(|unit| self.health_of(unit)).collect(),
        }
    }

    /// A unit that nobody can ask is not well, whatever it was when it was asked last.
    fn health_of(&self, unit: &Unit) -> UnitHealth {
        let mut health = unit.health();
        let unknown = matches!(health.state, UnitState::New | UnitState::Answering);
        if self.unreached.is_some() && unknown {
            health.state = UnitState::Unreached;
            health.last_fault.clone_from(&self.last_fault);
        }
        health
    }

    const fn there(&mut self) {
        self.unreached = None;
        self.reached = true;
    }

    /// Tells the collector that the gateway is that it can be reached, as far as is known: so its
    /// outage is found by the silence of every collector.
    fn beat(&mut self, now: UtcTime) {
        let Some(code) = &self.settings.collector else { return };
        let every_s = i64::from(self.settings.beat_s.max(1));
        // A clock that was set back must not silence it for hours.
        let due = self.beat_at.min(now.plus_seconds(every_s));
        let announced = (0..BEGIN_S).contains(&self.announced_until.seconds_since(now));
        if now < due || !(announced || self.beats()) {
            return;
        }
        self.beat_at = now.plus_seconds(if announced { BEGIN_BEAT_S } else { every_s });
        let beat = EventRecord { code: EventCode::Heartbeat, at: now, detail: String::new() };
        self.records.push_back(PollRecord {
            source: format!("collector:{code}"),
            gateway: self.settings.name.clone(),
            unit: 0,
            collector: Some(code.clone()),
            profile: String::new(),
            reads: Vec::new(),
            events: vec![beat],
            status: Vec::new(),
        });
    }

    /// It was reached, and nothing is known against it since.
    const fn beats(&self) -> bool {
        self.settings.collector.is_some() && self.reached && self.unreached.is_none()
    }

    /// A unit in the middle of its poll, else the next in turn that is due.
    fn choose(&self, now: UtcTime) -> Option<usize> {
        let ready = |at: &usize| self.units[*at].wants_at(now) <= now;
        let count = self.units.len();
        let in_turn = (0..count).map(|n| (self.turn + n) % count);
        let polling = in_turn.clone().find(|at| self.units[*at].polling && ready(at));
        polling.or_else(|| in_turn.into_iter().find(ready))
    }

    fn wakes_at(&self, now: UtcTime) -> UtcTime {
        let first = self.units.iter().map(|unit| unit.wants_at(now)).min();
        let beat = if self.beats() { self.beat_at } else { UtcTime::MAX };
        first.unwrap_or(UtcTime::MAX).min(beat).min(now.plus_seconds(IDLE_S))
    }

    /// What to ask unit `at`.
    fn request(&self, at: usize) -> Option<(ReadRequest, Why)> {
        let unit = &self.units[at];
        let (wanted, searching) = unit.next()?;
        let why = if searching { Why::Search } else { Why::Poll };
        let small = unit.small().filter(|_| unit.breaker.is_open());
        let first = small.map_or((wanted, why), |small| (small, Why::Try));
        if self.settings.framing == Framing::Tcp {
            return Some(first);
        }
        let of_unit: Vec<ReadRequest> = self
            .suspects
            .iter()
            .filter(|(number, _)| *number == unit.settings.unit)
            .map(|(_, read)| *read)
            .collect();
        let alike = |read: &ReadRequest| {
            of_unit.iter().any(|s| s.function == read.function && s.count() == read.count())
        };
        if !alike(&first.0) {
            return Some(first);
        }
        Some((unit.unlike(&of_unit).unwrap_or(first.0), Why::Try))
    }

    fn send(&mut self, at: usize, read: ReadRequest, why: Why) -> Action {
        self.transaction = self.transaction.wrapping_add(1);
        self.asked = Some(Asked { at, read, why });
        self.counts.requests += 1;
        let settings = &self.units[at].settings;
        let usual = match self.settings.framing {
            Framing::Tcp => TIMEOUT_TCP_MS,
            Framing::Rtu => TIMEOUT_RTU_MS,
        };
        Action::Send {
            request: Request { unit: settings.unit, read, transaction: self.transaction },
            gap_ms: settings.profile.min_request_gap_ms,
            timeout_ms: settings.profile.timeout_ms.or(self.settings.timeout_ms).unwrap_or(usual),
        }
    }

    /// No answer that can be used: whatever comes on this connection later is not to be trusted.
    fn fault(&mut self, now: UtcTime, asked: Asked, what: String) {
        self.connected = false;
        self.connect_at = now;
        let number = self.units[asked.at].settings.unit;
        self.suspects.push_back((number, asked.read));
        if self.suspects.len() > SUSPECTS_MAX {
            self.suspects.pop_front();
        }
        let what = format!("unit {number}, {}: {what}", asked.read);
        self.last_fault = Some((now, what.clone()));
        self.failed(now, asked.at, what);
        if self.units.len() > 1 && self.units.iter().all(|unit| unit.breaker.is_failing()) {
            self.unreached.get_or_insert(now);
        }
    }

    fn failed(&mut self, now: UtcTime, at: usize, what: String) {
        let unit = &mut self.units[at];
        unit.last_fault = Some((now, what.clone()));
        let given_up = unit.breaker.failure(now);
        if given_up {
            unit.tell(EventCode::PingFailed, now, format!("given up after 5 failures: {what}"));
        }
        if unit.breaker.is_open() {
            self.finish(at);
            // Its poll is made up for as soon as it answers again.
            self.units[at].due = now;
        }
        // Others have their turn before it is asked again.
        self.turn = (at + 1) % self.units.len();
    }

    fn answered(&mut self, now: UtcTime, asked: Asked, answer: Answer, pdu: Vec<u8>) {
        self.counts.answers += 1;
        self.suspects.clear();
        self.there();
        let unit = &mut self.units[asked.at];
        match answer {
            Answer::Exception(exception) => {
                self.counts.exceptions += 1;
                self.exception(now, asked, exception);
            }
            Answer::Registers(words) => {
                unit.answers(now);
                unit.last_answer = Some(now);
                unit.busy = 0;
                match asked.why {
                    Why::Try => {}
                    Why::Search => self.found(now, asked.at, Some(&words)),
                    Why::Poll => self.values(now, asked, &words, pdu),
                }
            }
        }
    }

    fn values(&mut self, now: UtcTime, asked: Asked, words: &[u16], pdu: Vec<u8>) {
        let fresh = std::mem::replace(&mut self.fresh, false);
        let unit = &mut self.units[asked.at];
        let Some(read) = unit.todo.front().cloned() else { return };
        let understood = unit.understand(&read, words);
        if understood.doubted > 0 && fresh && !unit.read_again {
            // The first answer on a new connection: it is asked once more before it is believed.
            unit.read_again = true;
            self.fresh = true;
            return;
        }
        unit.read_again = false;
        self.counts.implausible += understood.implausible;
        let request = asked.read.pdu().to_vec();
        let record = ReadRecord { at: now, request, response: pdu, values: Vec::new() };
        unit.keep(&read, understood, record);
        unit.todo.pop_front();
        if unit.todo.is_empty() {
            self.counts.polls += 1;
            self.finish(asked.at);
        }
    }

    fn found(&mut self, now: UtcTime, at: usize, words: Option<&[u16]>) {
        let unit = &mut self.units[at];
        let Some(search) = &mut unit.search else { return };
        match search.answer(words) {
            Ok(Found::More) => {}
            Ok(Found::Meter { registers, .. }) => {
                let models = unit.settings.profile.with_models(registers);
                unit.models = Some(models.into());
                unit.plan();
            }
            Err(error) => self.profile_error(now, at, &error.to_string()),
        }
    }

    fn exception(&mut self, now: UtcTime, asked: Asked, exception: Exception) {
        let at = asked.at;
        let unit = &mut self.units[at];
        let kind = exception.kind();
        let text = format!("unit {}, {}: {exception}", unit.settings.unit, asked.read);
        if kind == ExceptionKind::Gateway {
            return self.failed(now, at, text);
        }
        unit.last_answer = Some(now);
        let tried = asked.why == Why::Try;
        match kind {
            ExceptionKind::Busy => {
                unit.busy = unit.busy.saturating_add(1);
                let wait = BUSY_WAIT_S.get(usize::from(unit.busy) - 1);
                match wait {
                    Some(wait) => unit.breaker.wait_until(now.plus_seconds(*wait)),
                    None => {
                        unit.busy = 0;
                        self.failed(now, at, text);
                    }
                }
            }
            _ if tried => unit.answers(now),
            ExceptionKind::Profile if asked.why == Why::Search => {
                unit.answers(now);
                self.found(now, at, None);
            }
            ExceptionKind::Profile => {
                unit.answers(now);
                self.not_there(now, asked, &text);
            }
            _ => self.failed(now, at, text),
        }
    }

    /// A read that the device refuses is split once; a register that it refuses by itself is left
    /// out from then on, and told.
    fn not_there(&mut self, now: UtcTime, asked: Asked, text: &str) {
        let unit = &mut self.units[asked.at];
        let Some(read) = unit.todo.pop_front() else { return };
        unit.last_fault = Some((now, text.to_owned()));
        if let [only] = read.registers[..] {
            unit.learned.without.insert(only);
            let profile = unit.profile();
            let channel = profile.registers.get(only).map_or("?", |r| r.channel.as_str());
            let what = format!("{channel} of profile {} is not there: {text}", profile.name);
            unit.tell(EventCode::MeterFlag, now, format!("modbus_profile: {what}"));
        } else {
            unit.learned.alone.extend(&read.registers);
            let profile = unit.profile();
            let again = super::plan::plan(&profile, &unit.learned);
            let parts = again
                .into_iter()
                .filter(|part| part.registers.iter().all(|r| read.registers.contains(r)));
            for part in parts.collect::<Vec<_>>().into_iter().rev() {
                unit.todo.push_front(part);
            }
        }
        if unit.todo.is_empty() {
            if unit.gathered.reads.is_empty() {
                unit.profile_error = true;
            }
            self.finish(asked.at);
        }
    }

    fn profile_error(&mut self, now: UtcTime, at: usize, what: &str) {
        let unit = &mut self.units[at];
        let told = unit.last_fault.as_ref().is_some_and(|(_, text)| text == what);
        unit.last_fault = Some((now, what.to_owned()));
        if !told {
            let profile = &unit.settings.profile.name;
            let detail = format!("modbus_profile: {profile}: {what}");
            unit.tell(EventCode::MeterFlag, now, detail);
        }
        self.finish(at);
        self.units[at].profile_error = true;
    }

    fn finish(&mut self, at: usize) {
        self.turn = (at + 1) % self.units.len();
        let unit = &mut self.units[at];
        let Some(Gathered { reads, events, status }) = unit.finish() else { return };
        self.records.push_back(PollRecord {
            source: unit.settings.source.clone(),
            gateway: self.settings.name.clone(),
            unit: unit.settings.unit,
            collector: self.settings.collector.clone(),
            profile: unit.settings.profile.name.clone(),
            reads,
            events,
            status,
        });
    }
}
