//! Meters with a format of their own on MQTT: Tasmota plugs, Shelly meters, readers on customer
//! ports, P1 telegrams, water meters behind `LoRaWAN` servers.
//!
//! Each device counts by itself and sends on its own period. Planted faults: messages that come
//! late (after newer ones), twice or never, and a counter that begins anew.

mod payload;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use metering::time::DAY_S;
use metering::{ChannelKind, ChannelNo, Commodity, ReadingType, SourceId, Unit, UtcTime};

use crate::assets::{ChannelSpec, FleetAssets, MeterSpec};
use crate::fleet::SimMessage;
use crate::rng::{Purpose, Stream};
use crate::truth::TruthRead;

/// What the devices are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SenderKind {
    Tasmota,
    Shelly,
    Amsreader,
    P1,
    Chirpstack,
    TheThings,
}

/// Who sends, and when.
#[derive(Clone, Debug)]
pub struct SenderSpec {
    pub kind: SenderKind,
    pub seed: u64,
    pub meters: u32,
    /// Devices without a zone in their stamps live here.
    pub zone: TimeZone,
    /// Name of that zone.
    pub zone_name: String,
    pub start: UtcTime,
    pub end: UtcTime,
    /// Plant faults.
    pub faults: bool,
}

/// The devices, at some time of the run.
#[derive(Debug)]
pub struct Senders {
    spec: SenderSpec,
    devices: Vec<Device>,
    /// Messages whose time has not come.
    late: Vec<SimMessage>,
}

/// Messages of a stretch of time in the order in which they are sent, and what was metered.
#[derive(Clone, Debug, Default)]
pub struct SenderRun {
    pub messages: Vec<SimMessage>,
    /// One for each reading that was sent at least once, in counts of the channel.
    pub reads: Vec<TruthRead>,
}

#[derive(Debug)]
struct Device {
    index: usize,
    name: String,
    stream: Stream,
    next: UtcTime,
    /// In milli-watt-hours, or millilitres.
    counter: i64,
    /// Since when it counts.
    since: UtcTime,
    restart_at: Option<UtcTime>,
    frame: u32,
}

/// One reading on its way into a payload.
#[derive(Clone, Copy, Debug)]
struct Reading<'d> {
    name: &'d str,
    at: UtcTime,
    counter: i64,
    /// Watts, or litres per hour.
    rate: i64,
    since: UtcTime,
    frame: u32,
}

/// One in ten devices begins to count anew in the middle of the run.
const RESTARTS: (usize, usize) = (10, 3);

impl SenderKind {
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Tasmota, "tasmota"),
        (Self::Shelly, "shelly"),
        (Self::Amsreader, "amsreader"),
        (Self::P1, "p1"),
        (Self::Chirpstack, "chirpstack"),
        (Self::TheThings, "the_things"),
    ];

    /// As `headend simulate --kind` and `format = ` have it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// What to subscribe to.
    pub const fn filter(self) -> &'static str {
        match self {
            Self::Tasmota => "tele/+/SENSOR",
            Self::Shelly => "+/events/rpc",
            Self::Amsreader => "ams/+/list3",
            Self::P1 => "dsmr/+/raw",
            Self::Chirpstack => "application/+/device/+/event/+",
            Self::TheThings => "v3/+/devices/+/up",
        }
    }

    /// Seconds between two messages of a device.
    const fn every_s(self) -> i64 {
        match self {
            Self::Tasmota => 300,
            Self::Shelly | Self::P1 => 60,
            Self::Amsreader | Self::Chirpstack | Self::TheThings => 3_600,
        }
    }

    const fn is_water(self) -> bool {
        matches!(self, Self::Chirpstack | Self::TheThings)
    }

    /// (field, unit, digits behind the point, milli-units of a count)
    const fn channel(self) -> (&'static str, Unit, i16, i64) {
        match self {
            Self::Tasmota => ("total", Unit::KilowattHour, 3, 1_000),
            Self::Shelly => ("emdata_0_total_act", Unit::WattHour, 2, 10),
            Self::Amsreader => ("tPI", Unit::KilowattHour, 2, 10_000),
            Self::P1 => ("energy_import", Unit::KilowattHour, 3, 1_000),
            Self::Chirpstack | Self::TheThings => ("volume", Unit::Litre, 0, 1_000),
        }
    }

    fn name(self, seed: u64, index: usize) -> String {
        let number = (seed % 10_000) * 100_000 + index as u64;
        match self {
            Self::Tasmota => format!("plug-{number}"),
            Self::Shelly => format!("shellypro3em-{number:012x}"),
            Self::Amsreader => format!("ams-{number:08x}"),
            Self::P1 => format!("E{number:016}"),
            Self::Chirpstack => format!("{:016x}", 0x70b3_d5e7_0000_0000 + number),
            // Other devices: both kinds may be simulated beside each other.
            Self::TheThings => format!("{:016x}", 0x70b3_d57e_0000_0000 + number),
        }
    }

    fn source(self, name: &str) -> SourceId {
        let family = match self {
            Self::Amsreader => "ams",
            Self::Chirpstack | Self::TheThings => "deveui",
            other => other.word(),
        };
        SourceId::new(family, name)
    }
}

impl Senders {
    pub fn new(spec: SenderSpec) -> Self {
        let every = spec.kind.every_s();
        let middle = spec.start.plus_seconds(spec.end.seconds_since(spec.start) / 2);
        let device = |index: usize| {
            let mut stream = Stream::new(spec.seed, Purpose::Sending, index, 41);
            let phase = stream.between(0, every - 1);
            Device {
                index,
                name: spec.kind.name(spec.seed, index),
                next: spec.start.plus_seconds(phase),
                counter: stream.between(1_000, 40_000) * 1_000_000,
                since: spec.start.plus_seconds(-stream.between(30, 900) * DAY_S),
                restart_at: (spec.faults && index % RESTARTS.0 == RESTARTS.1).then_some(middle),
                frame: 0,
                stream,
            }
        };
        let devices = (0..spec.meters as usize).map(device).collect();
        Self { spec, devices, late: Vec::new() }
    }

    /// The messages of `from..to`. The same whole stretch gives the same messages, however it is
    /// cut.
    pub fn run(&mut self, from: UtcTime, to: UtcTime) -> SenderRun {
        let mut run = SenderRun::default();
        let due = |message: &SimMessage| message.sent_at < to;
        let (now, later) = std::mem::take(&mut self.late).into_iter().partition(due);
        (run.messages, self.late) = (now, later);
        for device in &mut self.devices {
            while device.next < to {
                if device.next >= from {
                    device.send(&self.spec, &mut run);
                }
                device.next = device.next.plus_seconds(self.spec.kind.every_s());
            }
        }
        let (now, later): (Vec<_>, Vec<_>) = run.messages.into_iter().partition(due);
        run.messages = now;
        self.late.extend(later);
        run.messages.sort_by(|a, b| (a.sent_at, &a.topic).cmp(&(b.sent_at, &b.topic)));
        run
    }

    /// Messages that come late, after the end of the last stretch.
    pub fn rest(&mut self) -> Vec<SimMessage> {
        let mut late = std::mem::take(&mut self.late);
        late.sort_by(|a, b| (a.sent_at, &a.topic).cmp(&(b.sent_at, &b.topic)));
        late
    }

    /// The devices as a utility would enter them.
    pub fn assets(&self) -> FleetAssets {
        let meters = self.devices.iter().map(|device| self.meter(device)).collect();
        FleetAssets::plain(&self.spec.zone_name, meters)
    }

    fn meter(&self, device: &Device) -> MeterSpec {
        let kind = self.spec.kind;
        let known = (kind.source(&device.name), device.name.clone(), kind.word());
        let meter =
            MeterSpec::plain(self.number(device), known, device.since, vec![self.channel()]);
        let address = format!("Sender Street {}", device.index + 1);
        if !kind.is_water() {
            return MeterSpec { address, ..meter };
        }
        let (commodity, flow_rated_lph) = (Commodity::Water, 2_500);
        MeterSpec { address, commodity, flow_rated_lph, battery_powered: true, ..meter }
    }

    fn channel(&self) -> ChannelSpec {
        let (field, unit, decimals, resolution) = self.spec.kind.channel();
        let water = self.spec.kind.is_water();
        ChannelSpec {
            channel: ChannelNo::new(1),
            field,
            reading_type: if water { ReadingType::VOLUME } else { ReadingType::ENERGY_IMPORT },
            kind: ChannelKind::Register,
            unit,
            multiplier: "1",
            decimals,
            modulus: 0,
            len_s: 3_600,
            resolution,
            cap_per_hour: if water { 5_000_000 } else { 17_000_000 },
            delivery_lag_s: 14_400,
        }
    }

    fn number(&self, device: &Device) -> String {
        format!("{}-{}", self.spec.kind.word().to_ascii_uppercase(), device.index + 1)
    }
}

impl Device {
    fn send(&mut self, spec: &SenderSpec, run: &mut SenderRun) {
        let every = spec.kind.every_s();
        let at = self.next;
        if self.restart_at.is_some_and(|restart| at >= restart) {
            (self.restart_at, self.counter, self.since) = (None, 0, at);
        }
        let rate = self.rate(spec.kind, at);
        self.counter += rate * 1_000 * every / 3_600;
        self.frame += 1;
        let (lost, twice, late) = (
            self.stream.chance(0.01) && spec.faults,
            self.stream.chance(0.02) && spec.faults,
            self.stream.chance(0.01) && spec.faults,
        );
        let delay = self.stream.between(100_000, 900_000);
        let periods = self.stream.between(1, 3);
        if lost {
            return;
        }
        let (name, counter) = (self.name.as_str(), self.counter);
        let reading = Reading { name, at, counter, rate, since: self.since, frame: self.frame };
        let (topic, payload, reads) = payload::of(spec, &reading);
        let lag_s = if late { periods * every + every / 2 } else { 0 };
        let sent_at = UtcTime::from_micros(at.micros() + delay + lag_s * 1_000_000);
        let message = SimMessage { sent_at, topic, payload, reads };
        if twice {
            let again = UtcTime::from_micros(sent_at.micros() + 1_500_000);
            run.messages.push(SimMessage { sent_at: again, ..message.clone() });
        }
        run.messages.push(message);
        let (field, _, _, count) = spec.kind.channel();
        run.reads.push(TruthRead {
            meter: format!("{}-{}", spec.kind.word().to_ascii_uppercase(), self.index + 1),
            field: field.to_owned(),
            at,
            len_s: 0,
            value: self.counter / count,
        });
    }

    /// More by day than by night, never the same twice.
    fn rate(&mut self, kind: SenderKind, at: UtcTime) -> i64 {
        let hour = at.seconds().rem_euclid(DAY_S) / 3_600;
        let day = (6..22).contains(&hour);
        if kind.is_water() {
            return if day { self.stream.between(0, 60) } else { self.stream.between(0, 2) };
        }
        self.stream.between(80, 260) + if day { self.stream.between(0, 1_800) } else { 0 }
    }
}
