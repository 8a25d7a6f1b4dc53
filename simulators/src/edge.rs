//! Senders that nobody foresaw: Sparkplug B edge nodes with meters behind them, and meters that
//! send JSON of their own. Written from the standard (Eclipse Sparkplug 3.0.0) and from the shapes
//! that real devices have; pure, as [`Fleet`](crate::Fleet) is.
//!
//! Planted faults: messages that are lost (a hole in the sequence), sent twice, or late, buffered
//! ones that come as historical, a node that dies and is born anew, and a counter that restarts.

use metering::UtcTime;

use crate::fleet::SimMessage;
use crate::rng::{Purpose, Stream};

/// What a fleet of such senders is.
#[derive(Clone, Debug)]
pub struct EdgeSpec {
    pub seed: u64,
    pub meters: u32,
    pub start: UtcTime,
    /// Seconds between two messages of a meter.
    pub every_s: i64,
    /// Plant faults.
    pub faults: bool,
}

/// What was metered, for whoever compares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EdgeTruth {
    /// The device as it names itself, without its family.
    pub device: String,
    pub at: UtcTime,
    /// The counter in watt-hours.
    pub wh: i64,
    /// It was sent, at once or later.
    pub sent: bool,
}

/// Messages of a stretch of time, and what was metered in it.
#[derive(Clone, Debug, Default)]
pub struct EdgeRun {
    pub messages: Vec<SimMessage>,
    pub truth: Vec<EdgeTruth>,
}

/// Meters behind one edge node.
const METERS_OF_NODE: u32 = 20;
const GROUP: &str = "Sim";

/// `steps` messages of each meter, as JSON that only its maker knows: topic
/// `workshop/METER/state`, `{"t":epoch_ms,"meter":{"kwh":1.234,"w":56},"cover":"shut"}`.
pub fn json_meters(spec: &EdgeSpec, steps: u32) -> EdgeRun {
    let mut run = EdgeRun::default();
    for meter in 0..spec.meters {
        let device = format!("press-{}", meter + 1);
        let mut source = Counter::new(spec, meter);
        for step in 0..steps {
            let at = spec.start.plus_seconds(i64::from(step) * spec.every_s);
            let (wh, watts) = source.next(spec.every_s);
            let payload = format!(
                "{{\"t\":{},\"meter\":{{\"kwh\":{}.{:03},\"w\":{watts}}},\"cover\":\"shut\"}}",
                at.micros() / 1_000,
                wh / 1_000,
                wh % 1_000
            );
            let topic = format!("workshop/{device}/state");
            let fault = if spec.faults { source.stream.below(40) } else { 40 };
            let message =
                SimMessage { sent_at: at, topic, payload: payload.into_bytes(), reads: 2 };
            match fault {
                // Lost on the air.
                0 => {}
                1 => run.messages.extend([message.clone(), message]),
                2 => run
                    .messages
                    .push(SimMessage { sent_at: at.plus_seconds(spec.every_s * 3), ..message }),
                _ => run.messages.push(message),
            }
            run.truth.push(EdgeTruth { device: device.clone(), at, wh, sent: fault != 0 });
        }
    }
    run.sort()
}

/// `steps` messages of each meter as Sparkplug B: births first, then data by alias. Metric
/// `Energy/Import` is a Double in kWh, `Power` an Int32 in W, `Cover` a Boolean.
pub fn sparkplug_nodes(spec: &EdgeSpec, steps: u32) -> EdgeRun {
    let mut run = EdgeRun::default();
    let nodes = spec.meters.div_ceil(METERS_OF_NODE);
    for node in 0..nodes {
        let first = node * METERS_OF_NODE;
        let last = (first + METERS_OF_NODE).min(spec.meters);
        Node::new(spec, node, first..last).tell(spec, steps, &mut run);
    }
    run.sort()
}

impl EdgeRun {
    fn sort(mut self) -> Self {
        self.messages.sort_by_key(|message| message.sent_at);
        self
    }
}

/// The counter of one meter.
struct Counter {
    wh: i64,
    stream: Stream,
}

impl Counter {
    fn new(spec: &EdgeSpec, meter: u32) -> Self {
        let mut stream = Stream::new(spec.seed, Purpose::Sending, meter as usize, 7_001);
        Self { wh: stream.between(0, 5_000_000), stream }
    }

    /// The next counter value and the power now.
    fn next(&mut self, over_s: i64) -> (i64, i64) {
        let watts = self.stream.between(40, 3_000);
        self.wh += watts * over_s / 3_600;
        (self.wh, watts)
    }
}

/// One edge node on its way.
struct Node {
    name: String,
    seq: u8,
    bd_seq: u64,
    counters: Vec<(String, u64, Counter)>,
    stream: Stream,
}

impl Node {
    fn new(spec: &EdgeSpec, node: u32, meters: std::ops::Range<u32>) -> Self {
        let counters = meters.clone().map(|meter| {
            let alias = u64::from(meter - meters.start) * 10;
            (format!("M-{}", meter + 1), alias, Counter::new(spec, meter))
        });
        let stream = Stream::new(spec.seed, Purpose::Sending, node as usize, 7_002);
        let name = format!("Edge-{}", node + 1);
        Self { name, seq: 0, bd_seq: 0, counters: counters.collect(), stream }
    }

    fn tell(mut self, spec: &EdgeSpec, steps: u32, run: &mut EdgeRun) {
        self.births(spec.start.plus_seconds(-1), run);
        for step in 0..steps {
            let at = spec.start.plus_seconds(i64::from(step) * spec.every_s);
            if spec.faults && step > 0 && self.stream.below(200) == 0 {
                // It dies, and is born anew at once.
                let at = at.plus_seconds(-1);
                let death = payload(None, at, &[metric_u64("bdSeq", self.bd_seq)]);
                run.push(at, format!("spBv1.0/{GROUP}/NDEATH/{}", self.name), death, 0);
                self.bd_seq = (self.bd_seq + 1) % 256;
                self.births(at, run);
            }
            self.step(spec, at, run);
        }
    }

    fn births(&mut self, at: UtcTime, run: &mut EdgeRun) {
        self.seq = 0;
        let rebirth = metric("Node Control/Rebirth", None, at, &Value::Bool(false));
        let birth = payload(Some(0), at, &[metric_u64("bdSeq", self.bd_seq), rebirth]);
        run.push(at, format!("spBv1.0/{GROUP}/NBIRTH/{}", self.name), birth, 0);
        for at_meter in 0..self.counters.len() {
            self.seq = self.seq.wrapping_add(1);
            let (device, alias, counter) = &self.counters[at_meter];
            let metrics = [
                metric("Energy/Import", Some(*alias), at, &Value::kwh(counter.wh)),
                metric("Power", Some(alias + 1), at, &Value::Int(0)),
                metric("Cover", Some(alias + 2), at, &Value::Bool(false)),
            ];
            let topic = format!("spBv1.0/{GROUP}/DBIRTH/{}/{device}", self.name);
            run.push(at, topic, payload(Some(self.seq), at, &metrics), 2);
        }
    }

    fn step(&mut self, spec: &EdgeSpec, at: UtcTime, run: &mut EdgeRun) {
        for at_meter in 0..self.counters.len() {
            let (device, alias, counter) = &mut self.counters[at_meter];
            let (wh, watts) = counter.next(spec.every_s);
            let fault = if spec.faults { self.stream.below(60) } else { 60 };
            let truth = EdgeTruth {
                device: format!("{GROUP}/{}/{device}", self.name),
                at,
                wh,
                sent: fault != 0,
            };
            self.seq = self.seq.wrapping_add(1);
            let metrics = [
                by_alias(*alias, at, &Value::kwh(wh), fault == 1),
                by_alias(*alias + 1, at, &Value::Int(watts), fault == 1),
            ];
            let topic = format!("spBv1.0/{GROUP}/DDATA/{}/{device}", self.name);
            // Buffered while the link was down, and told as old.
            let late_s = if fault == 1 { 2 } else { 0 };
            if fault != 0 {
                let message = payload(Some(self.seq), at, &metrics);
                run.push(at.plus_seconds(late_s), topic.clone(), message.clone(), 2);
                if fault == 2 {
                    run.push(at, topic, message, 2);
                }
            }
            run.truth.push(truth);
        }
    }
}

impl EdgeRun {
    fn push(&mut self, sent_at: UtcTime, topic: String, payload: Vec<u8>, reads: u32) {
        self.messages.push(SimMessage { sent_at, topic, payload, reads });
    }
}

/// A value with its datatype.
enum Value {
    Double(f64),
    Int(i64),
    Bool(bool),
}

impl Value {
    fn kwh(wh: i64) -> Self {
        // Exact to the watt-hour below 9e12 kWh.
        let whole = i32::try_from(wh / 1_000).unwrap_or(i32::MAX);
        let rest = i32::try_from(wh % 1_000).unwrap_or(0);
        let text = format!("{whole}.{rest:03}");
        Self::Double(text.parse().unwrap_or(0.0))
    }
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f).to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    into.push(value.to_le_bytes()[0]);
}

fn field(into: &mut Vec<u8>, number: u64, value: u64) {
    varint(into, number << 3);
    varint(into, value);
}

fn bytes(into: &mut Vec<u8>, number: u64, content: &[u8]) {
    varint(into, number << 3 | 2);
    varint(into, content.len() as u64);
    into.extend_from_slice(content);
}

fn millis(at: UtcTime) -> u64 {
    u64::try_from(at.micros() / 1_000).unwrap_or(0)
}

fn put_value(into: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Double(value) => {
            field(into, 4, 10);
            varint(into, 13 << 3 | 1);
            into.extend_from_slice(&value.to_le_bytes());
        }
        Value::Int(value) => {
            field(into, 4, 3);
            field(
                into,
                10,
                u64::from(u32::from_le_bytes({
                    let [a, b, c, d, ..] = value.to_le_bytes();
                    [a, b, c, d]
                })),
            );
        }
        Value::Bool(value) => {
            field(into, 4, 11);
            field(into, 14, u64::from(*value));
        }
    }
}

fn metric(name: &str, alias: Option<u64>, at: UtcTime, value: &Value) -> Vec<u8> {
    let mut metric = Vec::new();
    bytes(&mut metric, 1, name.as_bytes());
    if let Some(alias) = alias {
        field(&mut metric, 2, alias);
    }
    field(&mut metric, 3, millis(at));
    put_value(&mut metric, value);
    metric
}

fn metric_u64(name: &str, value: u64) -> Vec<u8> {
    let mut metric = Vec::new();
    bytes(&mut metric, 1, name.as_bytes());
    field(&mut metric, 4, 8);
    field(&mut metric, 11, value);
    metric
}

fn by_alias(alias: u64, at: UtcTime, value: &Value, historical: bool) -> Vec<u8> {
    let mut metric = Vec::new();
    field(&mut metric, 2, alias);
    field(&mut metric, 3, millis(at));
    if historical {
        field(&mut metric, 5, 1);
    }
    put_value(&mut metric, value);
    metric
}

fn payload(seq: Option<u8>, at: UtcTime, metrics: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, millis(at));
    for metric in metrics {
        bytes(&mut message, 2, metric);
    }
    if let Some(seq) = seq {
        field(&mut message, 3, u64::from(seq));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use metering::Exact;
    use protocols::sparkplug::Nodes;
    use protocols::{DecodeContext, DecodeOptions, Format, Mapping, Observation, decode};

    fn spec(faults: bool) -> EdgeSpec {
        let start = UtcTime::from_seconds(1_795_341_600);
        EdgeSpec { seed: 7, meters: 25, start, every_s: 900, faults }
    }

    fn context<'a>(message: &'a SimMessage, mapping: Option<&'a Mapping>) -> DecodeContext<'a> {
        DecodeContext {
            topic: &message.topic,
            received_at: message.sent_at,
            zone: None,
            collector: None,
            mapping,
            options: &DecodeOptions::DEFAULT,
        }
    }

    fn energies(reports: &[protocols::DeviceReport]) -> Vec<(String, UtcTime, Exact)> {
        let mut found = Vec::new();
        for report in reports {
            for seen in &report.observations {
                if let Observation::Register { field, value: Some(value), time, .. } = seen
                    && (field == "Energy/Import" || field == "total")
                {
                    let (_, device) = report.source_id.as_str().split_once(':').unwrap();
                    found.push((device.to_owned(), time.at, *value));
                }
            }
        }
        found
    }

    fn agrees(run: &EdgeRun, found: &[(String, UtcTime, Exact)]) {
        for truth in run.truth.iter().filter(|truth| truth.sent) {
            let same = |one: &&(String, UtcTime, Exact)| one.0 == truth.device && one.1 == truth.at;
            let told = found.iter().find(same).unwrap_or_else(|| panic!("{truth:?} is missing"));
            assert_eq!(told.2.to_decimals(3).unwrap(), (truth.wh, true), "{truth:?}");
        }
    }

    #[test]
    fn nodes_with_faults_are_read_as_metered_and_the_same_seed_gives_the_same_bytes() {
        let run = sparkplug_nodes(&spec(true), 96);
        let again = sparkplug_nodes(&spec(true), 96);
        assert!(run.messages.iter().zip(&again.messages).all(|(a, b)| a.payload == b.payload));
        let (mut nodes, mut found, mut asked) = (Nodes::default(), Vec::new(), 0);
        for message in &run.messages {
            let heard = nodes.receive(&context(message, None), &message.payload, false);
            assert!(heard.refused.is_none(), "{:?}", heard.refused);
            asked += u32::from(heard.ask.is_some());
            found.extend(energies(&heard.reports));
        }
        agrees(&run, &found);
        assert!(asked > 0, "lost messages leave holes");
    }

    #[test]
    fn json_of_its_own_is_read_by_a_description() {
        let text = "[mapping]\nname = \"w\"\nid = 2\nfamily = \"mqtt\"\n[time]\npath = \"/t\"\n\
            format = \"epoch_ms\"\n[[channel]]\nfield = \"total\"\npath = \"/meter/kwh\"\n\
            unit = \"kWh\"\nkind = \"cumulative\"\n";
        let mapping = Mapping::parse(text).unwrap();
        let run = json_meters(&spec(true), 40);
        let mut found = Vec::new();
        for message in &run.messages {
            let reports =
                decode(Format::Mapping, &context(message, Some(&mapping)), &message.payload);
            found.extend(energies(&reports.unwrap()));
        }
        agrees(&run, &found);
    }
}
