//! The fleet: senders that wake at their times, and the messages in the order of sending.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use metering::UtcTime;

use crate::assets::FleetAssets;
use crate::bundle::{BundleSender, SLOT_S, Sending};
use crate::calendar::Days;
use crate::collector::{Batch, heartbeat};
use crate::json::JsonText;
use crate::layout::Layout;
use crate::link::{HEARTBEAT_S, SimCollector};
use crate::meter::{Path, SimMeter};
use crate::plan::{Plan, Reread};
use crate::radio::{RadioContext, RadioSender};
use crate::rng::{Purpose, Stream};
use crate::spec::{FleetSpec, SpecError};
use crate::truth::{Truth, TruthRead};

/// Time between telegrams of a device that is not ours, in seconds.
const STRANGER_PERIOD_S: i64 = 21_600;

/// A seeded fleet. [`Fleet::messages`] moves it forward in time; nothing moves it back.
#[derive(Debug)]
pub struct Fleet {
    spec: FleetSpec,
    days: Days,
    assets: FleetAssets,
    truth: Truth,
    meters: Vec<SimMeter>,
    collectors: Vec<SimCollector>,
    /// Meters whose bundles go through collector i.
    members: Vec<Vec<usize>>,
    states: Vec<State>,
    senders: Vec<Sender>,
    schedule: BinaryHeap<Reverse<(UtcTime, usize)>>,
    outbox: Outbox,
    text: JsonText,
}

/// A message as a device or a collector publishes it (QoS 1, not retained).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimMessage {
    pub sent_at: UtcTime,
    pub topic: String,
    pub payload: Vec<u8>,
    /// Values offered: of intervals, registers and instants. Nulls, events, heartbeats are none.
    pub reads: u32,
}

/// Messages that were made but not yet handed out, and what the readings were.
#[derive(Debug)]
pub(crate) struct Outbox {
    pending: Vec<Pending>,
    /// Messages of each sender so far.
    counts: Vec<u32>,
    reads: Option<Vec<TruthRead>>,
}

#[derive(Debug)]
struct Pending {
    /// Instant, sender, number of the message within its sender: a total order.
    key: (UtcTime, usize, u32),
    message: SimMessage,
}

/// The sending side of a meter.
#[derive(Debug)]
enum State {
    Bundle(Box<BundleSender>),
    Radio(Box<RadioSender>),
}

#[derive(Clone, Copy, Debug)]
enum Sender {
    Heartbeat(usize),
    Batch(usize),
    Meter(usize),
    Reread(Reread),
    Stranger(usize),
}

impl Outbox {
    pub(crate) fn push(
        &mut self,
        sender: usize,
        sent_at: UtcTime,
        topic: String,
        payload: Vec<u8>,
        reads: u32,
    ) {
        let Some(count) = self.counts.get_mut(sender) else { return };
        *count += 1;
        let key = (sent_at, sender, *count);
        self.pending.push(Pending { key, message: SimMessage { sent_at, topic, payload, reads } });
    }

    /// Keeps a value for those who compare, when asked for.
    pub(crate) fn note(&mut self, read: impl FnOnce() -> TruthRead) {
        if let Some(reads) = &mut self.reads {
            reads.push(read());
        }
    }

    fn take_before(&mut self, to: UtcTime) -> Vec<SimMessage> {
        self.pending.sort_unstable_by_key(|pending| pending.key);
        let due = self.pending.partition_point(|pending| pending.key.0 < to);
        self.pending.drain(..due).map(|pending| pending.message).collect()
    }
}

impl Fleet {
    /// Plans the fleet with its faults. Costs about a millisecond for 200 meters.
    pub fn new(spec: FleetSpec) -> Result<Self, SpecError> {
        let calendar = spec.checked()?;
        let days = Days::new(&calendar, spec.seed, spec.history_start, spec.live_end);
        let mut layout = Layout::new(&spec);
        let Plan { truth, rereads, storms } = Plan::make(&spec, &days, &mut layout);
        let assets = layout.assets(&spec);
        let Layout { meters, collectors, strangers, .. } = layout;
        let states: Vec<State> = meters
            .iter()
            .map(|meter| match meter.path {
                Path::Radio { .. } => {
                    let mut radio = RadioSender::new(spec.seed, meter);
                    radio.storm_at =
                        storms.iter().find(|(index, _)| *index == meter.index).map(|(_, at)| *at);
                    State::Radio(Box::new(radio))
                }
                _ => State::Bundle(Box::new(BundleSender::new(
                    spec.seed,
                    meter,
                    &days,
                    spec.history_start,
                ))),
            })
            .collect();
        let mut members = vec![Vec::new(); collectors.len()];
        for meter in &meters {
            if let Path::Batch { collector, .. } = meter.path {
                members[collector].push(meter.index);
            }
        }
        let senders = all_senders(&meters, collectors.len(), &rereads, strangers.len());
        let outbox = Outbox { pending: Vec::new(), counts: vec![0; senders.len()], reads: None };
        let mut fleet = Self {
            spec,
            days,
            assets,
            truth,
            meters,
            collectors,
            members,
            states,
            senders,
            schedule: BinaryHeap::new(),
            outbox,
            text: JsonText::default(),
        };
        for index in 0..fleet.senders.len() {
            let first = fleet.first_wake(index);
            fleet.schedule.push(Reverse((first, index)));
        }
        Ok(fleet)
    }

    pub fn spec(&self) -> &FleetSpec {
        &self.spec
    }

    /// Everything that provisioning needs; `strangers` are not to be provisioned.
    pub fn assets(&self) -> &FleetAssets {
        &self.assets
    }

    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// From now on each value is also kept for [`Fleet::take_reads`] when it is sent first.
    pub fn keep_reads(&mut self) {
        self.outbox.reads.get_or_insert_default();
    }

    /// The values sent since the last call, in the order in which they were made.
    pub fn take_reads(&mut self) -> Vec<TruthRead> {
        self.outbox.reads.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All messages sent in `[from, to)`, ordered by instant and sender. Calls go forward in time;
    /// how the time is cut does not change the messages. What was sent before `from` and not asked
    /// for is dropped.
    pub fn messages(&mut self, from: UtcTime, to: UtcTime) -> Vec<SimMessage> {
        while let Some(&Reverse((at, index))) = self.schedule.peek() {
            if at >= to {
                break;
            }
            self.schedule.pop();
            if let Some(next) = self.wake(index, at) {
                self.schedule.push(Reverse((next, index)));
            }
        }
        let mut messages = self.outbox.take_before(to);
        let early = messages.partition_point(|message| message.sent_at < from);
        messages.drain(..early);
        messages
    }

    fn first_wake(&self, index: usize) -> UtcTime {
        let start = self.spec.history_start;
        let after = |len_s: i64, phase_s: i64| {
            let candidate = start.floor_to(len_s).plus_seconds(phase_s);
            if candidate < start { candidate.plus_seconds(len_s) } else { candidate }
        };
        match self.senders[index] {
            Sender::Heartbeat(c) => after(HEARTBEAT_S, self.collectors[c].heartbeat_phase_s),
            Sender::Batch(c) => after(SLOT_S, self.collectors[c].batch_phase_s),
            Sender::Meter(m) => match self.meters[m].path {
                Path::Direct { phase_s } => after(3600, phase_s),
                Path::Radio { phase_s, .. } => start.plus_seconds(phase_s),
                Path::Batch { .. } => UtcTime::MAX,
            },
            Sender::Reread(reread) => reread.at,
            Sender::Stranger(s) => {
                let mut stream = Stream::new(self.spec.seed, Purpose::Sending, s, 1);
                start.plus_seconds(stream.between(600, STRANGER_PERIOD_S))
            }
        }
    }

    /// Lets the sender act and returns its next time.
    fn wake(&mut self, index: usize, now: UtcTime) -> Option<UtcTime> {
        match self.senders[index] {
            Sender::Heartbeat(c) => {
                heartbeat(&self.collectors[c], now, index, &mut self.text, &mut self.outbox);
                Some(now.plus_seconds(HEARTBEAT_S))
            }
            Sender::Batch(c) => {
                self.batch(c, index, now, None);
                Some(now.plus_seconds(SLOT_S))
            }
            Sender::Meter(m) => Some(self.meter(m, index, now)),
            Sender::Reread(reread) => {
                self.batch(reread.collector, index, now, Some((reread.from, reread.to)));
                None
            }
            Sender::Stranger(s) => {
                self.stranger(s, index, now);
                Some(now.plus_seconds(STRANGER_PERIOD_S))
            }
        }
    }

    fn batch(
        &mut self,
        collector: usize,
        sender: usize,
        now: UtcTime,
        again: Option<(UtcTime, UtcTime)>,
    ) {
        let owner = &self.collectors[collector];
        if owner.is_down(now) {
            return;
        }
        let mut batch = Batch::new(owner, &self.days, now, sender);
        for member in &self.members[collector] {
            let meter = &self.meters[*member];
            let State::Bundle(bundle) = &mut self.states[*member] else { continue };
            match again {
                None => batch.add(meter, bundle, &mut self.text, &mut self.outbox),
                Some(stretch) => {
                    batch.add_again(meter, bundle, stretch, &mut self.text, &mut self.outbox);
                }
            }
        }
        batch.close(&mut self.text, &mut self.outbox);
    }

    fn meter(&mut self, index: usize, sender: usize, now: UtcTime) -> UtcTime {
        let meter = &self.meters[index];
        match &mut self.states[index] {
            State::Radio(radio) => {
                let context = RadioContext {
                    days: &self.days,
                    collectors: &self.collectors,
                    live_start: self.spec.live_start,
                    sender,
                };
                radio.send(meter, now, &context, &mut self.text, &mut self.outbox)
            }
            State::Bundle(bundle) => {
                let next = now.plus_seconds(3600);
                if meter.is_mute(now) || bundle.link_fails(meter) {
                    return next;
                }
                let sending = Sending { collector: None, sent: now, upto: now.floor_to(SLOT_S) };
                let reads =
                    bundle.report(meter, &self.days, sending, &mut self.text, &mut self.outbox);
                let payload = self.text.take();
                if !payload.is_empty() {
                    let topic = format!("ami/up/{}", meter.number);
                    self.outbox.push(sender, now, topic, payload, reads);
                }
                next
            }
        }
    }

    /// A telegram of a neighbour utility's meter, heard by one of our collectors.
    fn stranger(&mut self, stranger: usize, sender: usize, now: UtcTime) {
        let Some(source) = self.assets.strangers.get(stranger) else { return };
        let collector = &self.collectors[stranger % self.collectors.len()];
        if collector.is_down(now) {
            return;
        }
        let id = source.as_str().rsplit(':').next().unwrap_or("0").to_owned();
        let counter = now.seconds_since(self.spec.history_start) / 700 + 40_000;
        self.text.raw(r#"{"Time":""#);
        self.text.time_nanos(now);
        self.text.raw(r#"","Offset":0,"Length":0,"Type":"SCM","Message":{"ID":"#);
        self.text.raw(&id);
        self.text.raw(r#","Type":12,"TamperPhy":0,"TamperEnc":1,"Consumption":"#);
        self.text.int(counter);
        self.text.raw(r#","ChecksumVal":21930}}"#);
        let topic = format!("amr/{}/rtlamr", collector.code);
        let payload = self.text.take();
        self.outbox.push(sender, now.plus_seconds(1), topic, payload, 1);
    }
}

fn all_senders(
    meters: &[SimMeter],
    collectors: usize,
    rereads: &[Reread],
    strangers: usize,
) -> Vec<Sender> {
    let mut senders: Vec<Sender> = (0..collectors).map(Sender::Heartbeat).collect();
    senders.extend((0..collectors).map(Sender::Batch));
    let alone = meters.iter().filter(|meter| !matches!(meter.path, Path::Batch { .. }));
    senders.extend(alone.map(|meter| Sender::Meter(meter.index)));
    senders.extend(rereads.iter().map(|reread| Sender::Reread(*reread)));
    senders.extend((0..strangers).map(Sender::Stranger));
    senders
}

#[cfg(test)]
pub(crate) mod tests;
