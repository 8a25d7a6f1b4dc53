//! Sparkplug B (Eclipse Sparkplug 3.0.0): births name the metrics, data carry numbers for them.
//!
//! [`Nodes`] holds what the births said of each edge node. It is sans-io: a message in, reports
//! out, and with them what must be done: ask a node for its birth, or tell quarantined messages
//! again since the birth came. An edge node is a collector of the meters behind it
//! (`collector:GROUP.NODE`); a device is `sparkplug:GROUP/NODE/DEVICE`, metrics of the node itself
//! are those of `sparkplug:GROUP/NODE`.

mod data;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod wire;

use std::collections::BTreeMap;

use metering::{EventCode, SourceId, UtcTime};

use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::{DeviceReport, ObservedEvent, ObservedTime};
use data::Reading;
use table::Node;

/// A node is asked for its birth at most so often, in seconds.
const ASK_EVERY_S: i64 = 60;
/// Edge nodes that are known at a time.
const NODES_MAX: usize = 20_000;

/// What is known of all edge nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    nodes: BTreeMap<String, Node>,
}

/// What a message became, and what is to be done.
#[derive(Debug, Default)]
pub struct Heard {
    pub reports: Vec<DeviceReport>,
    /// Nothing of it could be used; [`RejectReason::NoBirth`] may be told again later.
    pub refused: Option<Rejected>,
    /// To be published with QoS 0 or 1, not retained.
    pub ask: Option<Command>,
    pub born: Option<Born>,
}

/// A message for an edge node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// A node was born: what it sent before and could not be read can be told again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Born {
    pub group: String,
    pub node: String,
    /// Messages that arrived before belong to another session and stay where they are.
    pub since: UtcTime,
}

/// The parts of a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Topic<'a> {
    group: &'a str,
    kind: &'a str,
    node: &'a str,
    device: Option<&'a str>,
}

/// Decodes one message without any birth before it: births and metrics with names.
///
/// # Errors
/// [`Rejected`] when nothing in it can be stored.
pub(crate) fn decode(
    context: &DecodeContext<'_>,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    let heard = Nodes::default().receive(context, payload, false);
    heard.refused.map_or(Ok(heard.reports), Err)
}

impl Nodes {
    /// Takes one message. One that arrived before the birth that is known is told again: it is
    /// read by that birth if it is of the same session.
    pub fn receive(
        &mut self,
        context: &DecodeContext<'_>,
        payload: &[u8],
        redelivered: bool,
    ) -> Heard {
        let mut heard = Heard::default();
        let outcome = match Topic::parse(context.topic) {
            Some(topic) => self.message(topic, (context, payload, redelivered), &mut heard),
            None => Err(RejectReason::BadFormat
                .because("the topic is none of Sparkplug: spBv1.0/GROUP/TYPE/NODE[/DEVICE]")),
        };
        if let Err(refused) = outcome {
            heard.reports.clear();
            heard.refused = Some(refused);
        }
        heard
    }

    /// What was received since is received again: sequence numbers prove nothing until then.
    pub fn forget_sequence(&mut self) {
        for node in self.nodes.values_mut() {
            node.seq = None;
        }
    }

    fn message(
        &mut self,
        topic: Topic<'_>,
        (context, payload, redelivered): (&DecodeContext<'_>, &[u8], bool),
        heard: &mut Heard,
    ) -> Result<(), Rejected> {
        let key = format!("{}/{}", topic.group, topic.node);
        if !self.nodes.contains_key(&key) && self.nodes.len() >= NODES_MAX {
            let what = format!("more than {NODES_MAX} edge nodes");
            return Err(RejectReason::BadFormat.because(what));
        }
        let at = context.received_at;
        let reading = Reading { topic, context };
        match (topic.kind, topic.device) {
            ("NBIRTH", None) => {
                let node = self.nodes.entry(key).or_insert_with(|| Node::new(at));
                let birth = reading.birth(payload, node)?;
                node.begin(birth, at);
                heard.born = Some(topic.born(node));
                heard.reports = reading.reports(payload, node)?;
                heard.reports.push(reading.of_collector(EventCode::LinkUp, "birth"));
            }
            ("DBIRTH", Some(device)) => {
                let node = self.nodes.entry(key).or_insert_with(|| Node::new(at));
                reading.must_be_born(node, heard)?;
                reading.device_birth(payload, device, node)?;
                reading.sequence(payload, node, redelivered, heard)?;
                heard.born = Some(topic.born(node));
                heard.reports.extend(reading.reports(payload, node)?);
            }
            ("NDATA", None) | ("DDATA", Some(_)) => {
                let node = self.nodes.entry(key).or_insert_with(|| Node::new(at));
                // Garbage is no reason to ask for a birth.
                wire::read(payload, |_, _| Ok(()))?;
                reading.must_be_born(node, heard)?;
                reading.sequence(payload, node, redelivered, heard)?;
                let reports = reading.reports(payload, node).inspect_err(|refused| {
                    if refused.reason == RejectReason::NoBirth {
                        reading.ask(node, heard);
                    }
                })?;
                heard.reports.extend(reports);
            }
            ("NDEATH", None) => {
                if let Some(node) = self.nodes.get_mut(&key) {
                    heard.reports = reading.death(payload, node)?;
                }
            }
            ("DDEATH", Some(device)) => {
                let node = self.nodes.entry(key).or_insert_with(|| Node::new(at));
                reading.must_be_born(node, heard)?;
                reading.sequence(payload, node, redelivered, heard)?;
                node.forget_device(device);
                heard.reports.push(reading.of_device(device.into(), EventCode::LinkDown, "death"));
            }
            // Commands to others, and what a host application says of itself.
            ("NCMD", None) | ("DCMD", Some(_)) => {}
            (kind, _) => {
                let kind: String = kind.chars().take(20).collect();
                let what = format!("`{kind}` is no message type of this topic's length");
                return Err(RejectReason::BadFormat.because(what));
            }
        }
        Ok(())
    }
}

impl<'a> Topic<'a> {
    fn born(&self, node: &Node) -> Born {
        let (group, name) = (self.group.to_owned(), self.node.to_owned());
        Born { group, node: name, since: node.since }
    }

    fn parse(topic: &'a str) -> Option<Self> {
        let mut levels = topic.split('/');
        if levels.next() != Some("spBv1.0") {
            return None;
        }
        let group = levels.next()?;
        let kind = levels.next()?;
        if group == "STATE" {
            // spBv1.0/STATE/HOST: as a command, nothing is made of it.
            return Some(Self { group, kind: "NCMD", node: kind, device: None });
        }
        let (node, device) = (levels.next()?, levels.next());
        let whole = levels.next().is_none() && !group.is_empty() && !node.is_empty();
        (whole && device != Some("")).then_some(Self { group, kind, node, device })
    }
}

impl Reading<'_, '_> {
    /// Without a birth the message waits; the node is asked for one.
    fn must_be_born(&self, node: &mut Node, heard: &mut Heard) -> Result<(), Rejected> {
        let at = self.context.received_at;
        let Some(born_at) = node.born_at else {
            self.ask(node, heard);
            return Err(RejectReason::NoBirth.because("the node's birth was not heard"));
        };
        if at < born_at && at < node.since {
            return Err(RejectReason::NoBirth.because("the node was born anew since"));
        }
        Ok(())
    }

    /// An NDEATH of this session: the node and its devices are silent from now on.
    fn death(&self, payload: &[u8], node: &mut Node) -> Result<Vec<DeviceReport>, Rejected> {
        if !node.dies(self.bd_seq(payload)?, self.context.received_at) {
            return Ok(Vec::new());
        }
        let dead = |device| self.of_device(device, EventCode::LinkDown, "death");
        let mut reports: Vec<DeviceReport> = node.devices().into_iter().map(dead).collect();
        reports.push(self.of_collector(EventCode::LinkDown, "death"));
        Ok(reports)
    }

    /// Numbers of a node follow one another, 255 by 0; a hole means that messages are missing.
    fn sequence(
        &self,
        payload: &[u8],
        node: &mut Node,
        redelivered: bool,
        heard: &mut Heard,
    ) -> Result<(), Rejected> {
        let Some(told) = wire::read(payload, |_, _| Ok(()))?.seq else { return Ok(()) };
        let told_again = node.born_at.is_some_and(|born| self.context.received_at < born);
        if told_again || (redelivered && node.seq.is_some_and(|seq| seq.wrapping_sub(told) < 128)) {
            return Ok(());
        }
        let expected = node.seq.map(|seq| seq.wrapping_add(1));
        node.seq = Some(told);
        if expected.is_some_and(|expected| expected != told) {
            self.ask(node, heard);
            let expected = expected.unwrap_or(0);
            let detail = format!("messages missing: seq {expected} was due, {told} came");
            heard.reports.push(self.of_collector(EventCode::MeterFlag, &detail));
        }
        Ok(())
    }

    fn ask(&self, node: &mut Node, heard: &mut Heard) {
        let at = self.context.received_at;
        if node.asked_at.is_some_and(|asked| at.seconds_since(asked).abs() < ASK_EVERY_S) {
            return;
        }
        node.asked_at = Some(at);
        let millis = u64::try_from(at.micros() / 1_000).unwrap_or(0);
        heard.ask = Some(Command {
            topic: format!("spBv1.0/{}/NCMD/{}", self.topic.group, self.topic.node),
            payload: wire::rebirth(millis),
        });
    }

    fn of_collector(&self, code: EventCode, detail: &str) -> DeviceReport {
        let code_name = format!("{}.{}", self.topic.group, self.topic.node);
        self.event_of(SourceId::new("collector", code_name), code, detail)
    }

    fn of_device(&self, device: String, code: EventCode, detail: &str) -> DeviceReport {
        let id = format!("{}/{}/{device}", self.topic.group, self.topic.node);
        self.event_of(SourceId::new("sparkplug", id), code, detail)
    }

    /// With the time of the broker: a death is told by it, not by the node.
    fn event_of(&self, source: SourceId, code: EventCode, detail: &str) -> DeviceReport {
        let at = ObservedTime::arrival(self.context.received_at);
        let mut report = DeviceReport::new(source, at);
        report.events.push(ObservedEvent::once(code, at, detail));
        report
    }
}
