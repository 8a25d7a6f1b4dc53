//! Meters that only shout, and the collectors that hear them: ERT and R900 telegrams as rtlamr
//! prints them, Wireless M-Bus telegrams as they come off the air, plain and encrypted.
//!
//! Each telegram is heard by none, one or several collectors, whose clocks differ; some lines are
//! published twice, some come late, some are damaged on the way. A collector may walk by: it hears
//! everyone, but only during its round. [`HeardFleet::truth`] tells what was metered.

mod ert;
#[cfg(test)]
mod tests;
mod wmbus;

use std::fmt::Write as _;

use metering::UtcTime;

use crate::fleet::SimMessage;
use crate::rng::{Purpose, Stream};

/// What the meters speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeardKind {
    Amr,
    Wmbus,
}

/// Equal specifications give equal messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeardSpec {
    pub seed: u64,
    pub kind: HeardKind,
    /// 1 to 20,000.
    pub meters: u32,
    /// Fixed ones, 1 to 99; one more walks by.
    pub collectors: u32,
    pub start: UtcTime,
    /// Stations of the faults: nothing is lost, late, damaged or told twice without them.
    pub faulty: bool,
}

/// The specification asks for something that cannot be simulated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} meters and {1} collectors: write 1 to 20000 meters and 1 to 99 collectors")]
pub struct HeardSpecError(u32, u32);

/// What a meter's dial shows at the end, and each slot of use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardTruth {
    pub source: String,
    /// In the counts of its telegrams.
    pub counter: i64,
    /// (end of the slot, counts used in it), oldest first.
    pub slots: Vec<(UtcTime, i64)>,
}

/// A seeded fleet; [`HeardFleet::messages`] moves it forward in time.
#[derive(Debug)]
pub struct HeardFleet {
    spec: HeardSpec,
    meters: Vec<Shouter>,
    now: UtcTime,
    /// Made and not yet due.
    late: Vec<SimMessage>,
}

/// One meter.
#[derive(Debug)]
struct Shouter {
    number: u32,
    kind: u32,
    counter: i64,
    /// Slots since the start of the fleet.
    slots: Vec<i64>,
    /// Telegrams so far.
    telegrams: u32,
    /// The collector that hears it best.
    home: u32,
}

/// Use is told in slots of this length, and each meter shouts once in one, in seconds.
const SLOT_S: i64 = 300;
/// The walker's round: so long, so often.
const ROUND_S: i64 = 1_800;
const ROUND_EVERY_S: i64 = 86_400;

impl HeardFleet {
    /// # Errors
    /// [`HeardSpecError`] says what can be simulated.
    pub fn new(spec: HeardSpec) -> Result<Self, HeardSpecError> {
        let counts = (1..=20_000).contains(&spec.meters) && (1..=99).contains(&spec.collectors);
        if !counts {
            return Err(HeardSpecError(spec.meters, spec.collectors));
        }
        // Both kinds may be simulated beside each other.
        let first = if spec.kind == HeardKind::Amr { 10_000_000 } else { 50_000_000 };
        let meters = (0..spec.meters).map(|index| {
            let mut draw = Stream::new(spec.seed, Purpose::Layout, index as usize, 0);
            let number = first + index * 1_009 + draw.below(1_000);
            let counter = draw.between(1_000, 900_000);
            let home = draw.below(spec.collectors);
            let slots = Vec::new();
            Shouter { number, kind: index, counter, slots, telegrams: 0, home }
        });
        let start = spec.start.floor_to(SLOT_S);
        Ok(Self { spec, meters: meters.collect(), now: start, late: Vec::new() })
    }

    /// What is published from `from` up to `to`, in its order. Time before `from` that was not asked
    /// for passes unheard.
    pub fn messages(&mut self, from: UtcTime, to: UtcTime) -> Vec<SimMessage> {
        let mut made = std::mem::take(&mut self.late);
        while self.now.plus_seconds(SLOT_S) <= to {
            self.now = self.now.plus_seconds(SLOT_S);
            for index in 0..self.meters.len() {
                self.shout(index, from, &mut made);
            }
        }
        made.sort_by(|a, b| {
            (a.sent_at, &a.topic, &a.payload).cmp(&(b.sent_at, &b.topic, &b.payload))
        });
        let due = made.partition_point(|message| message.sent_at <= to);
        self.late = made.split_off(due);
        made
    }

    /// Messages that come after the last call's end.
    pub fn rest(&mut self) -> Vec<SimMessage> {
        std::mem::take(&mut self.late)
    }

    /// One slot ends: the meter counts, shouts, and whoever is near publishes it.
    fn shout(&mut self, index: usize, from: UtcTime, made: &mut Vec<SimMessage>) {
        let spec = self.spec;
        let meter = &mut self.meters[index];
        let part = meter.slots.len();
        let mut draw = Stream::new(spec.seed, Purpose::Usage, index, part);
        let used = if draw.chance(0.5) { draw.between(0, 30) } else { 0 };
        meter.counter += used;
        meter.slots.push(used);
        meter.telegrams += 1;
        let mut draw = Stream::new(spec.seed, Purpose::Sending, index, part);
        let after_s = draw.between(2, 200);
        let at = self.now.plus_seconds(after_s);
        if at < from {
            return;
        }
        let telegram = match spec.kind {
            HeardKind::Amr => ert::telegram(meter, after_s),
            HeardKind::Wmbus => wmbus::telegram(meter, spec.seed, self.now),
        };
        for collector in 0..=spec.collectors {
            if hears(spec, meter, collector, at, &mut draw) {
                publish(spec, &telegram, (collector, at), &mut draw, made);
            }
        }
    }

    /// What was metered up to now.
    pub fn truth(&self) -> Vec<HeardTruth> {
        let start = self.spec.start.floor_to(SLOT_S);
        self.meters
            .iter()
            .map(|meter| HeardTruth {
                source: self.source(meter),
                counter: meter.counter,
                slots: (1..)
                    .zip(&meter.slots)
                    .map(|(n, used)| (start.plus_seconds(n * SLOT_S), *used))
                    .collect(),
            })
            .collect()
    }

    /// A provisioning file for these meters and their collectors.
    pub fn provisioning(&self) -> String {
        let mut csv = "meter,source,commodity,collector,field,reading_type,kind,unit,multiplier,\
                       decimals,modulus,interval\n"
            .to_owned();
        for meter in &self.meters {
            let rows = match self.spec.kind {
                HeardKind::Amr => ert::rows(meter),
                HeardKind::Wmbus => wmbus::rows(),
            };
            let (source, home) = (self.source(meter), collector_code(self.spec, meter.home));
            for (n, (commodity, row)) in rows.iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = match n {
                    0 => writeln!(csv, "M-{0},{source},{commodity},{home},{row}", meter.number),
                    _ => writeln!(csv, "M-{},,,,{row}", meter.number),
                };
            }
        }
        csv
    }

    /// A key file with the keys of the meters that encrypt.
    pub fn keys(&self) -> String {
        let encrypting = self
            .meters
            .iter()
            .filter(|meter| self.spec.kind == HeardKind::Wmbus && wmbus::encrypts(meter.kind));
        encrypting.fold(String::new(), |mut text, meter| {
            let key: String = wmbus::key(self.spec.seed, meter.number)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            let _ = writeln!(text, "{:08} {key}", meter.number);
            text
        })
    }

    fn source(&self, meter: &Shouter) -> String {
        match self.spec.kind {
            HeardKind::Amr => ert::source(meter),
            HeardKind::Wmbus => format!("wmbus:{:08}", meter.number),
        }
    }
}

/// The collector after the last fixed one walks by.
fn collector_code(spec: HeardSpec, collector: u32) -> String {
    if collector == spec.collectors {
        "C-WALK".to_owned()
    } else {
        format!("C-{:02}", collector + 1)
    }
}

fn hears(spec: HeardSpec, meter: &Shouter, collector: u32, at: UtcTime, draw: &mut Stream) -> bool {
    if collector == spec.collectors {
        return at.seconds().rem_euclid(ROUND_EVERY_S) < ROUND_S;
    }
    let chance = draw.unit();
    match (spec.faulty, collector == meter.home) {
        (false, at_home) => at_home,
        (true, true) => chance < 0.9,
        (true, false) => chance < 0.3,
    }
}

/// One collector's line, with what may happen to it.
fn publish(
    spec: HeardSpec,
    telegram: &Telegram,
    (collector, at): (u32, UtcTime),
    draw: &mut Stream,
    made: &mut Vec<SimMessage>,
) {
    let code = collector_code(spec, collector);
    // Clocks of collectors differ, each by its own seconds.
    let offset_s = if spec.faulty { i64::from(collector * 7 % 40) - 15 } else { 0 };
    let stamp = at.plus_seconds(offset_s);
    let rssi = draw.between(-105, -55);
    let damaged = spec.faulty && draw.chance(0.01);
    let payload = telegram.line(stamp, rssi, damaged);
    let topic = match spec.kind {
        HeardKind::Amr => format!("amr/{code}/rtlamr"),
        HeardKind::Wmbus => format!("wmbus/{code}/raw"),
    };
    let delay_s = if spec.faulty && draw.chance(0.03) { draw.between(60, 900) } else { 1 };
    let message = SimMessage {
        sent_at: at.plus_seconds(delay_s),
        topic,
        payload: payload.into_bytes(),
        reads: telegram.reads,
    };
    if spec.faulty && draw.chance(0.05) {
        made.push(message.clone());
    }
    made.push(message);
}

/// What is on the air.
#[derive(Debug)]
struct Telegram {
    content: Content,
    reads: u32,
}

#[derive(Debug)]
enum Content {
    /// Kind and members of the message, as rtlamr prints them.
    Ert { kind: &'static str, message: String },
    /// All bytes, without check sums of blocks.
    Wmbus { bytes: Vec<u8>, with_sums: bool },
}

impl Telegram {
    fn line(&self, stamp: UtcTime, rssi: i64, damaged: bool) -> String {
        match &self.content {
            Content::Ert { kind, message } => {
                let line = format!(
                    "{{\"Time\":\"{stamp}\",\"Offset\":0,\"Length\":0,\"Type\":\"{kind}\",\
                     \"Message\":{{{message}}}}}"
                );
                // A pipe that was cut.
                if damaged { line[..line.len() / 2].to_owned() } else { line }
            }
            Content::Wmbus { bytes, with_sums } => {
                wmbus::line(bytes, *with_sums, (stamp, rssi), damaged)
            }
        }
    }
}
