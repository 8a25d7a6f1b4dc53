//! Messages in, one batch out; no socket, no clock, no database. The running program, the replay
//! of dead letters and the benchmark all come through here.

use std::sync::Arc;

use bytes::Bytes;
use metering::{EventCode, MeterEvent, MeterId, SourceId, Subject, UtcTime};
use protocols::amr::wmbus::{Keys, Receiver};
use protocols::sparkplug::{Born, Command, Nodes};
use protocols::{DecodeContext, DeviceReport, Format, Rejected};
use store::{Batch, DeadRow, EventRow, HeardRow, RawRow, UnknownRow};
use vee::Rule;

use super::normalise::{Leftover, Normaliser, cut, late_s};
use super::registry::{Owner, Registry};
use super::routes::{Route, Routes, Topic};
use super::skew::Ways;
use crate::services::rules::limits::Limits;

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Frame {
    pub topic: String,
    pub payload: Bytes,
    pub received_at: UtcTime,
    /// The broker sends it again: we may have stored it and lost the acknowledgement.
    pub redelivered: bool,
}

/// What became of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Readings, events or at least the news that a device was heard.
    Accepted,
    /// Some of it; what could not be used is kept as a dead letter.
    Partly,
    /// Nothing of it could be used; it is kept as a dead letter.
    DeadLettered,
    /// An empty payload: somebody cleared a retained message.
    Empty,
}

/// A batch, and what became of each message, in their order.
#[derive(Debug)]
pub struct Accepted {
    pub batch: Batch,
    pub fates: Vec<Fate>,
    /// Values of known meters whose field no channel carries; kept with the raw message only.
    pub unmapped: u64,
    /// What must be told to senders: a node is asked for its birth.
    pub asks: Vec<Command>,
    /// Nodes whose quarantined messages can be told again.
    pub born: Vec<Born>,
}

/// Why a message became a dead letter; the words are stored.
pub mod reasons {
    /// No subscription's filter matches the topic.
    pub const NO_ROUTE: &str = "no_route";
    /// The device is not provisioned.
    pub const UNKNOWN_DEVICE: &str = "unknown_device";
    /// No channel of the meter carries any of the fields.
    pub const UNKNOWN_FIELD: &str = "unknown_field";
    /// The value exceeds what can be stored.
    pub const OUT_OF_RANGE: &str = "out_of_range";
    /// The store refused a row that came of it.
    pub const STORE_REFUSED: &str = "store_refused";
}

/// Decodes, resolves, scales and judges. Holds what was last seen of every device.
#[derive(Debug)]
pub struct IngestCore {
    registry: Registry,
    routes: Routes,
    /// What the rules that hold say of readings.
    limits: Limits,
    adapter: &'static str,
    keep_raw: bool,
    touched: Vec<(usize, usize)>,
    ways: Ways,
    /// What the births of Sparkplug nodes said.
    nodes: Nodes,
    receiver: Receiver,
}

/// Facts of the message that is being accepted.
struct Message<'a> {
    frame: &'a Frame,
    topic: &'a Topic,
}

/// What of a message could not be used; at most one dead letter per message comes of it.
#[derive(Default)]
struct Dead {
    reason: Option<&'static str>,
    reads: u32,
    /// The only device it concerns; `None` also when there are several.
    source: Option<SourceId>,
    several: bool,
    detail: String,
}

impl Accepted {
    /// Rows so far, the measure of a batch.
    pub fn rows(&self) -> usize {
        self.batch.intervals.len() + self.batch.registers.len() + self.batch.dead.len()
    }
}

impl IngestCore {
    pub fn new(adapter: &'static str, registry: Registry, routes: Vec<Route>) -> Self {
        Self {
            registry,
            routes: Routes::new(routes),
            limits: Limits::default(),
            adapter,
            keep_raw: true,
            touched: Vec::new(),
            ways: Ways::default(),
            nodes: Nodes::default(),
            receiver: Receiver::default(),
        }
    }

    /// Whether the bytes of accepted messages are kept (dead letters always are).
    #[must_use]
    pub const fn keeping_raw(mut self, keep_raw: bool) -> Self {
        self.keep_raw = keep_raw;
        self
    }

    /// Keys of devices that encrypt their telegrams.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<Keys>) -> Self {
        self.receiver = Receiver::new(keys);
        self
    }

    /// The rules that hold say this of readings from here on; `data` is the asset model at hand.
    pub fn judge_by(&mut self, limits: Limits, data: &store::assets::Registry) {
        self.limits = limits;
        self.registry.judge_by(&mut self.limits, data);
    }

    /// Descriptions that operators took live, after the subscriptions of the configuration.
    pub fn set_live_routes(&mut self, live: Vec<Route>) {
        self.routes.set_live(live);
    }

    pub const fn adapter(&self) -> &'static str {
        self.adapter
    }

    pub const fn registry_version(&self) -> i64 {
        self.registry.version()
    }

    /// The asset model changed: what was seen of the devices is kept. True when a device speaks
    /// now that was unknown before.
    pub fn reload(&mut self, data: &store::assets::Registry) -> bool {
        let older = std::mem::replace(&mut self.registry, Registry::new(data));
        let grew = self.registry.knows_more_than(&older);
        self.registry.inherit(older);
        self.registry.judge_by(&mut self.limits, data);
        grew
    }

    /// A batch was not stored: everything that was seen since is forgotten, and `data` holds.
    pub fn forget(&mut self, data: &store::assets::Registry) {
        self.registry = Registry::new(data);
        self.registry.judge_by(&mut self.limits, data);
        self.nodes.forget_sequence();
    }

    /// Makes one batch of `frames`, in their order. `log_time` stamps its frames of the event log.
    pub fn accept(&mut self, frames: &[Frame], log_time: UtcTime) -> Accepted {
        let mut accepted = self.begin();
        for frame in frames {
            self.push(frame, &mut accepted);
        }
        self.finish(&mut accepted, log_time);
        accepted
    }

    /// An empty batch.
    pub fn begin(&self) -> Accepted {
        let batch = Batch::new(self.adapter, UtcTime::MIN);
        Accepted { batch, fates: Vec::new(), unmapped: 0, asks: Vec::new(), born: Vec::new() }
    }

    /// Adds one message.
    pub fn push(&mut self, frame: &Frame, accepted: &mut Accepted) {
        let fate = self.message(frame, accepted);
        accepted.fates.push(fate);
        accepted.batch.messages += 1;
    }

    /// Adds what one device says in a record of a file, which is decoded already. The frame holds the
    /// record alone.
    pub(super) fn push_decoded(
        &mut self,
        frame: &Frame,
        report: &DeviceReport,
        accepted: &mut Accepted,
    ) -> Fate {
        let topic = Topic { name: frame.topic.as_str().into(), route: None, collector: None };
        let message = Message { frame, topic: &topic };
        let reports = std::slice::from_ref(report);
        let fate = self.reports(&message, Format::Bundle, reports, accepted);
        accepted.fates.push(fate);
        accepted.batch.messages += 1;
        fate
    }

    /// Closes the batch: the state that it leaves behind is stored with it.
    pub fn finish(&mut self, accepted: &mut Accepted, log_time: UtcTime) {
        accepted.batch.log_time = log_time;
        self.write_states(&mut accepted.batch);
    }

    fn message(&mut self, frame: &Frame, out: &mut Accepted) -> Fate {
        if frame.payload.is_empty() {
            return Fate::Empty;
        }
        let topic = self.routes.topic(&frame.topic);
        let message = Message { frame, topic: &topic };
        let Some(route) = topic.route.map(|at| self.routes.get(at)) else {
            out.batch.dead.push(message.dead_row(reasons::NO_ROUTE, "", 1));
            return Fate::DeadLettered;
        };
        let context = DecodeContext {
            topic: &frame.topic,
            received_at: frame.received_at,
            zone: route.zone.as_ref(),
            collector: topic.collector(),
            mapping: route.mapping.as_deref(),
            options: &route.options,
        };
        let format = route.format;
        if format == Format::Sparkplug {
            let heard = self.nodes.receive(&context, &frame.payload, frame.redelivered);
            out.asks.extend(heard.ask);
            out.born.extend(heard.born);
            if let Some(rejected) = heard.refused {
                out.batch.dead.push(message.refused_row(&rejected));
                return Fate::DeadLettered;
            }
            return self.reports(&message, format, &heard.reports, out);
        }
        match protocols::decode_with(format, &context, &mut self.receiver, &frame.payload) {
            Ok(reports) => self.reports(&message, format, &reports, out),
            Err(rejected) => {
                out.batch.dead.push(message.refused_row(&rejected));
                Fate::DeadLettered
            }
        }
    }

    fn reports(
        &mut self,
        message: &Message<'_>,
        format: Format,
        reports: &[DeviceReport],
        out: &mut Accepted,
    ) -> Fate {
        let mut dead = Dead::default();
        let mut heard: Option<Option<MeterId>> = None;
        let mut used = false;
        self.ways.message(message.late_of(reports), self.limits.of_all().clock_warn_s);
        for report in reports {
            match self.registry.owner(&report.source_id) {
                Owner::Meter(at) => {
                    let meter = self.meter_report(message, format, (at, report), &mut dead, out);
                    heard = Some(match heard {
                        None => Some(meter),
                        Some(other) => other.filter(|known| *known == meter),
                    });
                    used = true;
                }
                Owner::Collector(collector) => {
                    collector_events(message, Subject::Collector(collector), report, out);
                    used = true;
                }
                Owner::Unknown => unknown(message, report, &mut dead, out),
            }
        }
        if used && self.keep_raw {
            out.batch.raw.push(message.raw_row(heard.flatten()));
        }
        let Some(reason) = dead.reason else { return Fate::Accepted };
        out.batch.dead.push(DeadRow {
            source_id: dead.source,
            ..message.dead_row(reason, &dead.detail, dead.reads)
        });
        if used { Fate::Partly } else { Fate::DeadLettered }
    }

    fn meter_report(
        &mut self,
        message: &Message<'_>,
        format: Format,
        (at, report): (usize, &DeviceReport),
        dead: &mut Dead,
        out: &mut Accepted,
    ) -> MeterId {
        let collector = report.collector.as_deref().and_then(|code| {
            let known = self.registry.collector(code);
            if known.is_none() {
                out.batch.unknown.push(message.unknown_row(SourceId::new("collector", code), None));
            }
            known
        });
        let late_s = late_s(&report.heard_at, message.frame.received_at);
        let meter = self.registry.meter(at).meter;
        let limits = Arc::clone(&self.registry.meter(at).limits);
        let warn_s = limits.clock_warn_s;
        if let Some(late_s) = late_s.filter(|_| !message.frame.redelivered)
            && self.ways.own.note(meter, -late_s, warn_s)
        {
            let began = self.ways.own.is_wrong;
            out.batch.events.push(own_clock(message.frame.received_at, began));
        }
        let usual_s = late_s.and_then(|late_s| self.ways.usual(meter, collector, late_s, warn_s));
        let entry = self.registry.meter_mut(at);
        let mut normaliser = Normaliser {
            batch: &mut out.batch,
            params: &limits,
            format,
            received_at: message.frame.received_at,
            redelivered: message.frame.redelivered,
            usual_s,
            clock_trusted: !self.ways.own.is_wrong,
        };
        let leftover = normaliser.report(report, entry);
        for (channel, known) in entry.channels.iter_mut().enumerate() {
            if known.state.touched {
                known.state.touched = false;
                self.touched.push((at, channel));
            }
        }
        // That it does not answer is what the poller says, not the meter.
        let silent = report.observations.is_empty()
            && report.events.iter().any(|event| event.code == EventCode::PingFailed);
        if silent {
            return meter;
        }
        out.batch.heard.push(HeardRow {
            meter,
            collector,
            rssi_dbm: report.rssi_dbm,
            // A clock that is ahead must not make a meter heard in the future.
            at: report.heard_at.at.min(message.frame.received_at),
            count: 1,
        });
        out.unmapped += settle(report, leftover, dead);
        meter
    }

    /// The state after the whole batch, once per channel.
    fn write_states(&mut self, batch: &mut Batch) {
        self.touched.sort_unstable();
        self.touched.dedup();
        for (at, channel) in self.touched.drain(..) {
            let entry = self.registry.meter(at);
            let known = &entry.channels[channel];
            batch.states.extend(known.state.to_row(entry.meter, known.asset.channel));
        }
    }
}

/// Most devices are ahead of us, or are no longer: it is our clock.
fn own_clock(received_at: UtcTime, began: bool) -> EventRow {
    let (code, detail) = if began {
        (EventCode::ClockError, "most devices are ahead of the clock of this system")
    } else {
        (EventCode::Cleared, EventCode::ClockError.name())
    };
    let seq = i32::from(Rule::ClockDrift.number());
    let (subject, detail) = (Subject::Headend, detail.to_owned());
    let event = MeterEvent { subject, occurred_at: received_at, code, seq, detail };
    EventRow { event, received_at, number: 0 }
}

impl Message<'_> {
    /// How late each report is by its own stamp.
    fn late_of(&self, reports: &[DeviceReport]) -> impl Iterator<Item = i64> {
        let received_at = self.frame.received_at;
        reports.iter().filter_map(move |report| late_s(&report.heard_at, received_at))
    }

    fn dead_row(&self, reason: &str, detail: &str, reads: u32) -> DeadRow {
        DeadRow {
            topic: self.topic.name.clone(),
            payload: self.frame.payload.clone(),
            reason: reason.to_owned(),
            detail: cut(detail),
            source_id: None,
            received_at: self.frame.received_at,
            reads,
            import_no: None,
        }
    }

    fn refused_row(&self, rejected: &Rejected) -> DeadRow {
        self.dead_row(rejected.reason.label(), &rejected.detail, 1)
    }

    fn raw_row(&self, meter: Option<MeterId>) -> RawRow {
        RawRow {
            meter,
            received_at: self.frame.received_at,
            topic: self.topic.name.clone(),
            payload: self.frame.payload.clone(),
        }
    }

    fn unknown_row(&self, source_id: SourceId, report: Option<&DeviceReport>) -> UnknownRow {
        let fields = report.map_or_else(Vec::new, |report| {
            let mut fields: Vec<String> =
                report.observations.iter().map(|o| cut(o.field())).collect();
            fields.dedup();
            fields
        });
        UnknownRow {
            source_id,
            collector: report.and_then(|report| report.collector.as_deref().map(cut)),
            topic: self.topic.name.clone(),
            payload: self.frame.payload.clone(),
            received_at: self.frame.received_at,
            fields,
        }
    }
}

impl Dead {
    fn add(&mut self, reason: &'static str, source: &SourceId, reads: u32) {
        self.reason.get_or_insert(reason);
        self.reads = self.reads.saturating_add(reads);
        let same = self.source.as_ref().is_none_or(|known| known == source);
        self.several |= !same;
        self.source = (!self.several).then(|| source.clone());
    }
}

/// Values that are left over: fields that no channel carries are let go when the meter has a
/// channel for others of the message (a telegram holds much that nobody asked for), and become a
/// dead letter when it has none, since then the meter is provisioned wrongly.
fn settle(report: &DeviceReport, leftover: Leftover, dead: &mut Dead) -> u64 {
    if leftover.out_of_range > 0 {
        dead.add(reasons::OUT_OF_RANGE, &report.source_id, leftover.out_of_range);
    }
    let passed_by = u64::from(leftover.unmapped) + u64::from(leftover.declined);
    if leftover.unmapped == 0 || leftover.mapped + leftover.out_of_range > 0 {
        return passed_by;
    }
    dead.add(reasons::UNKNOWN_FIELD, &report.source_id, leftover.unmapped);
    if dead.detail.is_empty() {
        let fields: Vec<&str> = report.observations.iter().map(|o| o.field()).collect();
        dead.detail = cut(&format!("no channel carries: {}", fields.join(", ")));
    }
    0
}

fn unknown(message: &Message<'_>, report: &DeviceReport, dead: &mut Dead, out: &mut Accepted) {
    out.batch.unknown.push(message.unknown_row(report.source_id.clone(), Some(report)));
    // The heartbeats of a collector that nobody knows are worth a line in the list, no letter.
    if report.source_id.family() != "collector" {
        let reads = u32::try_from(report.reads()).unwrap_or(u32::MAX);
        dead.add(reasons::UNKNOWN_DEVICE, &report.source_id, reads);
    }
}

fn collector_events(
    message: &Message<'_>,
    subject: Subject,
    report: &DeviceReport,
    out: &mut Accepted,
) {
    let received_at = message.frame.received_at;
    out.batch.events.extend(report.events.iter().map(|observed| EventRow {
        event: MeterEvent {
            subject,
            occurred_at: observed.at.at,
            code: observed.code,
            seq: observed.seq,
            detail: cut(&observed.detail),
        },
        received_at,
        number: 0,
    }));
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
