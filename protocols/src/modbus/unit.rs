//! One unit behind a gateway: when it is due, what of its poll is still to be asked, what its
//! answers mean.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use metering::{EventCode, Exact, Ratio, UtcTime};

use super::breaker::Breaker;
use super::health::{UnitHealth, UnitState};
use super::pdu::{REGISTERS_MAX, ReadRequest};
use super::plan::{Learned, Read, plan};
use super::profile::{Profile, Register, Use};
use super::record::{EventRecord, ReadRecord, ValueRecord};
use super::sunspec::Discovery;
use super::value::Decoded;

/// Units of one gateway are not all asked in the same second.
const STAGGER_S_MAX: i64 = 20;

/// One unit, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitSettings {
    /// Address on the bus.
    pub unit: u8,
    /// What the device is called: `modbus:GATEWAY/UNIT`.
    pub source: String,
    pub profile: Arc<Profile>,
    /// Polled so often, in seconds, aligned to the wall clock.
    pub every_s: u32,
}

/// What a poll has given so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) reads: Vec<ReadRecord>,
    pub(super) events: Vec<EventRecord>,
    pub(super) status: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) settings: UnitSettings,
    pub(super) breaker: Breaker,
    pub(super) due: UtcTime,
    /// Reads of the current poll that are still to be asked.
    pub(super) todo: VecDeque<Read>,
    pub(super) polling: bool,
    pub(super) gathered: Gathered,
    pub(super) learned: Learned,
    /// What the device's SunSpec models gave.
    pub(super) models: Option<Arc<Profile>>,
    pub(super) search: Option<Discovery>,
    /// Busy answers to the current request.
    pub(super) busy: u8,
    /// The doubted read has been asked a second time.
    pub(super) read_again: bool,
    /// Accumulators that have been more than 0.
    counted: BTreeSet<usize>,
    last: HashMap<usize, Exact>,
    pub(super) profile_error: bool,
    pub(super) last_answer: Option<UtcTime>,
    pub(super) last_fault: Option<(UtcTime, String)>,
    polls: u64,
    shown: Vec<(String, Option<Exact>, metering::Unit)>,
}

/// An answer as values.
pub(super) struct Understood {
    pub(super) values: Vec<ValueRecord>,
    pub(super) status: Vec<String>,
    /// Values that cannot be, or counters that fell.
    pub(super) doubted: u64,
    pub(super) implausible: u64,
}

impl Unit {
    /// Its first poll is at once.
    pub(super) fn new(settings: UnitSettings, now: UtcTime) -> Self {
        Self {
            settings,
            breaker: Breaker::default(),
            due: now,
            todo: VecDeque::new(),
            polling: false,
            gathered: Gathered::default(),
            learned: Learned::default(),
            models: None,
            search: None,
            busy: 0,
            read_again: false,
            counted: BTreeSet::new(),
            last: HashMap::new(),
            profile_error: false,
            last_answer: None,
            last_fault: None,
            polls: 0,
            shown: Vec::new(),
        }
    }

    pub(super) fn profile(&self) -> Arc<Profile> {
        Arc::clone(self.models.as_ref().unwrap_or(&self.settings.profile))
    }

    /// When it wants the bus.
    pub(super) fn wants_at(&self, now: UtcTime) -> UtcTime {
        let due = if self.polling { UtcTime::MIN } else { self.sane_due(now) };
        due.max(self.breaker.not_before(now))
    }

    /// A clock that was set back must not stop polling.
    fn sane_due(&self, now: UtcTime) -> UtcTime {
        self.due.min(now.plus_seconds(i64::from(self.settings.every_s) + STAGGER_S_MAX))
    }

    pub(super) fn begin(&mut self, now: UtcTime) {
        self.polling = true;
        self.due = next_due(&self.settings, now);
        self.gathered = Gathered::default();
        self.profile_error = false;
        if self.settings.profile.sunspec && self.models.is_none() {
            self.search = Some(Discovery::default());
        } else {
            self.plan();
        }
    }

    pub(super) fn plan(&mut self) {
        self.search = None;
        self.todo = plan(&self.profile(), &self.learned).into();
    }

    /// The next request of the poll; the flag says that it is part of the search for models.
    pub(super) fn next(&self) -> Option<(ReadRequest, bool)> {
        match &self.search {
            Some(search) => search.request().map(|request| (request, true)),
            None => self.todo.front().map(|read| (read.request, false)),
        }
    }

    /// One small read, for a unit that was given up.
    pub(super) fn small(&self) -> Option<ReadRequest> {
        self.hulls().next()
    }

    /// A read whose answer has another length than that of any of `suspects`.
    pub(super) fn unlike(&self, suspects: &[ReadRequest]) -> Option<ReadRequest> {
        let differs = |r: &ReadRequest| {
            suspects.iter().all(|s| s.function != r.function || s.count() != r.count())
        };
        let planned = self.todo.iter().map(|read| read.request);
        let first = self.hulls().next().or_else(|| self.next().map(|(request, _)| request))?;
        let made = (1..=REGISTERS_MAX)
            .filter_map(|count| ReadRequest::new(first.function, first.address, count));
        planned.chain(self.hulls()).find(differs).or_else(|| made.into_iter().find(differs))
    }

    fn hulls(&self) -> impl Iterator<Item = ReadRequest> {
        let profile = self.profile();
        let hulls: Vec<ReadRequest> = profile
            .registers
            .iter()
            .filter_map(|register| {
                let (from, to) = register.hull();
                let count = u16::try_from(to - u32::from(from)).ok()?;
                ReadRequest::new(register.function, from, count)
            })
            .collect();
        hulls.into_iter()
    }

    /// What the answer to `read` holds.
    pub(super) fn understand(&self, read: &Read, words: &[u16]) -> Understood {
        let profile = self.profile();
        let word = |at: u16| {
            let index = at.checked_sub(read.request.address)?;
            words.get(usize::from(index)).copied()
        };
        let mut out =
            Understood { values: Vec::new(), status: Vec::new(), doubted: 0, implausible: 0 };
        for index in &read.registers {
            let Some(register) = profile.registers.get(*index) else { continue };
            let mut value = None;
            match register.decode(word) {
                Decoded::Value(read) => {
                    out.doubted += u64::from(self.fell(*index, register, read));
                    value = Some(read);
                }
                Decoded::Text(text) => {
                    out.status.push(format!("{}={text}", register.channel));
                    continue;
                }
                Decoded::AccumulatorZero if self.counted.contains(index) => {
                    value = Some(Exact::ZERO);
                }
                Decoded::Missing | Decoded::AccumulatorZero => {}
                Decoded::Implausible(read) => {
                    let (channel, unit) = (&register.channel, register.unit);
                    out.status.push(format!("refused:{channel}={read}{unit}"));
                    out.implausible += 1;
                    continue;
                }
                Decoded::Nonsense => {
                    out.status.push(format!("refused:{}=no_number", register.channel));
                    out.implausible += 1;
                    continue;
                }
            }
            let (channel, unit, use_) = (register.channel.clone(), register.unit, register.use_);
            let float = register.kind.is_float();
            out.values.push(ValueRecord { channel, use_, unit, value, float });
        }
        out.doubted += out.implausible;
        out
    }

    fn fell(&self, index: usize, register: &Register, value: Exact) -> bool {
        let Some(last) = self.last.get(&index).filter(|_| register.use_ == Use::Cumulative) else {
            return false;
        };
        let (Ok(new), Ok(old)) = (value.times(Ratio::ONE), last.times(Ratio::ONE)) else {
            return false;
        };
        match (new.num().checked_mul(old.den()), old.num().checked_mul(new.den())) {
            (Some(new), Some(old)) => new < old,
            _ => false,
        }
    }

    /// Takes the answer to the read at the front of the poll.
    pub(super) fn keep(&mut self, read: &Read, understood: Understood, record: ReadRecord) {
        let profile = self.profile();
        for index in &read.registers {
            let Some(register) = profile.registers.get(*index) else { continue };
            let value = understood.values.iter().find(|v| v.channel == register.channel);
            let Some(value) = value.and_then(|v| v.value) else { continue };
            if register.use_ == Use::Cumulative {
                self.last.insert(*index, value);
                if value.mantissa() != 0 {
                    self.counted.insert(*index);
                }
            }
        }
        self.gathered.status.extend(understood.status);
        self.gathered.reads.push(ReadRecord { values: understood.values, ..record });
    }

    /// Ends the poll; what it gave, if anything.
    pub(super) fn finish(&mut self) -> Option<Gathered> {
        self.polling = false;
        self.todo.clear();
        self.search = None;
        self.busy = 0;
        self.read_again = false;
        let gathered = std::mem::take(&mut self.gathered);
        if !gathered.reads.is_empty() {
            self.polls += 1;
            let values = gathered.reads.iter().flat_map(|read| &read.values);
            self.shown = values.map(|v| (v.channel.clone(), v.value, v.unit)).collect();
        }
        (!gathered.reads.is_empty() || !gathered.events.is_empty()).then_some(gathered)
    }

    /// It answers, be it by an exception of its own.
    pub(super) fn answers(&mut self, now: UtcTime) {
        if self.breaker.is_open() {
            self.tell(EventCode::LinkUp, now, "answers again".to_owned());
        }
        self.breaker.success();
    }

    pub(super) fn tell(&mut self, code: EventCode, at: UtcTime, detail: String) {
        self.gathered.events.push(EventRecord { code, at, detail });
    }

    pub(super) fn health(&self) -> UnitHealth {
        let state = if self.breaker.is_open() {
            UnitState::Lost
        } else if self.profile_error {
            UnitState::ProfileError
        } else if self.breaker.is_failing() {
            UnitState::Failing
        } else if self.last_answer.is_some() {
            UnitState::Answering
        } else {
            UnitState::New
        };
        UnitHealth {
            unit: self.settings.unit,
            source: self.settings.source.clone(),
            profile: self.settings.profile.name.clone(),
            state,
            every_s: self.settings.every_s,
            next_poll: self.due,
            last_answer: self.last_answer,
            last_fault: self.last_fault.clone(),
            polls: self.polls,
            values: self.shown.clone(),
        }
    }
}

/// The next whole multiple of the period on the wall clock, and the unit's own part of a stagger.
fn next_due(settings: &UnitSettings, now: UtcTime) -> UtcTime {
    let every = i64::from(settings.every_s.max(1));
    let spread = STAGGER_S_MAX.min(every / 3).max(1);
    let mut hasher = std::hash::DefaultHasher::new();
    settings.source.hash(&mut hasher);
    let own = i64::try_from(hasher.finish() % spread.unsigned_abs()).unwrap_or(0);
    now.plus_seconds(-own).floor_to(every).plus_seconds(every + own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_follow_the_wall_clock_with_a_stagger_of_their_own() {
        let profile = Arc::new(super::super::devices::builtin("eastron-sdm120").unwrap());
        let mut seconds = BTreeSet::new();
        for unit in 1..60 {
            let source = format!("modbus:gw1/{unit}");
            let settings =
                UnitSettings { unit, source, profile: Arc::clone(&profile), every_s: 900 };
            let now = UtcTime::from_seconds(1_800_000_123);
            let due = next_due(&settings, now);
            let own = due.seconds_since(due.floor_to(900));
            assert!((0..20).contains(&own), "{own}");
            assert!(due > now && due.seconds_since(now) <= 920);
            assert_eq!(next_due(&settings, due), due.plus_seconds(900));
            seconds.insert(own);
        }
        assert!(seconds.len() > 10, "{seconds:?}");
    }
}
