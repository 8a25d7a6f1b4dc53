//! Radio telegrams of water and gas meters, as rtlamr prints them at each collector that hears
//! them.

use metering::{Commodity, UtcTime};

use crate::calendar::Days;
use crate::fleet::Outbox;
use crate::json::JsonText;
use crate::link::SimCollector;
use crate::meter::{Path, Protocol, Register, SimMeter};
use crate::rng::{Purpose, Stream};
use crate::truth::TruthRead;

/// A collector forwards one telegram of a meter in this time, in seconds; keeps the history small.
const HISTORY_PERIOD_S: i64 = 3_000;
/// The same in live time.
const LIVE_PERIOD_S: i64 = 900;
/// Copies that a storm prints of one telegram.
const STORM_COPIES: i64 = 40;

/// The sending side of one radio meter, with its links to the collectors that can hear it.
#[derive(Debug)]
pub(crate) struct RadioSender {
    register: Register,
    stream: Stream,
    links: Vec<Link>,
    tamper: [i64; 2],
    /// The next telegram from here on is printed over and over.
    pub(crate) storm_at: Option<UtcTime>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    collector: usize,
    miss: f64,
    /// Telegrams that are still lost in the present fade.
    fading: u32,
}

/// A telegram as one collector heard it.
#[derive(Clone, Copy, Debug)]
struct Heard<'a> {
    collector: &'a SimCollector,
    at: UtcTime,
    counter: i64,
}

/// What the senders share while they run.
#[derive(Debug)]
pub(crate) struct RadioContext<'a> {
    pub(crate) days: &'a Days,
    pub(crate) collectors: &'a [SimCollector],
    pub(crate) live_start: UtcTime,
    /// Place of the sender in the order of senders.
    pub(crate) sender: usize,
}

impl RadioSender {
    pub(crate) fn new(seed: u64, meter: &SimMeter) -> Self {
        let mut stream = Stream::new(seed, Purpose::Sending, meter.index, 0);
        let heard_by = match &meter.path {
            Path::Radio { heard_by, .. } => heard_by.as_slice(),
            _ => &[],
        };
        let link = |collector: &usize| Link {
            collector: *collector,
            miss: stream.real(0.01, 0.03),
            fading: 0,
        };
        let links = heard_by.iter().map(link).collect();
        let tamper = [stream.between(0, 3), stream.between(0, 3)];
        Self { register: Register::new(seed, meter), stream, links, tamper, storm_at: None }
    }

    /// Sends the telegram of this instant and returns when the next one is due.
    pub(crate) fn send(
        &mut self,
        meter: &SimMeter,
        now: UtcTime,
        context: &RadioContext<'_>,
        text: &mut JsonText,
        outbox: &mut Outbox,
    ) -> UtcTime {
        let period = if now < context.live_start { HISTORY_PERIOD_S } else { LIVE_PERIOD_S };
        let next = now.plus_seconds(period + self.stream.between(-30, 30));
        let air = UtcTime::from_micros(now.micros() + self.stream.between(0, 400_000));
        let muted = meter.is_mute(now);
        let counts = self.register.counts_at(meter, context.days, now);
        let counter = meter.dial.shown(counts[0]);
        let mut is_new = true;
        for index in 0..self.links.len() {
            let lost = self.is_lost(index, meter);
            let delay = self.stream.between(100_000, 2_400_000);
            let repeat =
                self.stream.chance(0.03).then(|| self.stream.between(1_500_000, 20_000_000));
            let Some(collector) = context.collectors.get(self.links[index].collector) else {
                continue;
            };
            if muted || collector.is_down(air) || (lost && !meter.good_link) {
                continue;
            }
            if std::mem::take(&mut is_new) {
                outbox.note(|| read(meter, air, counter));
            }
            let mut copies = vec![0];
            copies.extend(repeat);
            if self.storm_at.is_some_and(|at| now >= at) {
                self.storm_at = None;
                copies = (0..STORM_COPIES).map(|copy| copy * 1_900_000).collect();
            }
            for copy in copies {
                let at = UtcTime::from_micros(air.micros() + copy);
                let sent_at = UtcTime::from_micros(at.micros() + delay);
                self.write(meter, Heard { collector, at, counter }, text);
                let topic = format!("amr/{}/rtlamr", collector.code);
                outbox.push(context.sender, sent_at, topic, text.take(), 1);
            }
        }
        next
    }

    fn is_lost(&mut self, index: usize, meter: &SimMeter) -> bool {
        let lost = self.stream.chance(self.links[index].miss);
        let fade = if self.stream.chance(0.001) { 1 + self.stream.below(3) } else { 0 };
        let link = &mut self.links[index];
        if meter.good_link {
            return false;
        }
        link.fading = link.fading.saturating_sub(1).max(fade);
        lost || link.fading > 0
    }

    fn write(&self, meter: &SimMeter, heard: Heard<'_>, text: &mut JsonText) {
        let Path::Radio { protocol, id, .. } = &meter.path else { return };
        let stamp = heard.at.micros() + heard.collector.clock_offset_us;
        text.raw(r#"{"Time":""#);
        text.time_nanos(UtcTime::from_micros(stamp));
        text.raw(r#"","Offset":0,"Length":0,"Type":""#);
        let check = (i64::from(*id) ^ heard.counter) & 0xffff;
        match protocol {
            Protocol::Scm => {
                text.raw(r#"SCM","Message":{"#);
                let kind = if meter.commodity == Commodity::Gas { 12 } else { 13 };
                let [phy, enc] = self.tamper;
                members(
                    text,
                    &[
                        ("ID", i64::from(*id)),
                        ("Type", kind),
                        ("TamperPhy", phy),
                        ("TamperEnc", enc),
                        ("Consumption", heard.counter),
                        ("ChecksumVal", check),
                    ],
                );
            }
            Protocol::ScmPlus => {
                text.raw(r#"SCM+","Message":{"#);
                members(
                    text,
                    &[
                        ("FrameSync", 5_795),
                        ("ProtocolID", 30),
                        ("EndpointType", 171),
                        ("EndpointID", i64::from(*id)),
                        ("Consumption", heard.counter),
                        ("Tamper", self.tamper[0] * 256),
                        ("PacketCRC", check),
                    ],
                );
            }
            Protocol::R900 => {
                text.raw(r#"R900","Message":{"#);
                members(
                    text,
                    &[
                        ("ID", i64::from(*id)),
                        ("Unkn1", 163),
                        ("NoUse", 0),
                        ("BackFlow", 0),
                        ("Consumption", heard.counter),
                        ("Unkn3", 0),
                        ("Leak", 0),
                        ("LeakNow", 0),
                    ],
                );
            }
        }
        text.raw("}}");
    }
}

fn members(text: &mut JsonText, members: &[(&str, i64)]) {
    for (index, (name, value)) in members.iter().enumerate() {
        text.raw(if index == 0 { "\"" } else { ",\"" });
        text.raw(name);
        text.raw("\":");
        text.int(*value);
    }
}

fn read(meter: &SimMeter, at: UtcTime, value: i64) -> TruthRead {
    TruthRead { meter: meter.number.clone(), field: "consumption".to_owned(), at, len_s: 0, value }
}
