//! A metering agent that hands files over: NEM12 (AEMO, Meter Data File Format) or CMEP (record
//! MEPMD01), one file for each day with every meter in it, days of UTC+10.
//!
//! Planted faults, by the day: a file that comes after the next one, one that comes twice under two
//! names, a day of which a part is estimated and told again, measured, in the next file, and a file
//! that is cut before it comes whole. CMEP has no end of a file, so there the cut goes through the
//! last record, which its count then gives away.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use metering::{ChannelKind, ChannelNo, ReadingType, SourceId, Unit, UtcTime};

use crate::assets::{ChannelSpec, FleetAssets, MeterSpec};
use crate::rng::{Purpose, Stream};
use crate::truth::TruthRead;

/// Half hours of a day.
const SLOTS: usize = 48;
const SLOT_S: i32 = 1_800;
/// Slots of a day that are estimated first.
const ESTIMATED: usize = 12;
/// The agent's clock: UTC+10 the year round.
const OFFSET: Offset = Offset::constant(10);
/// Faults return after so many days.
const ROUND: u32 = 7;

/// How the files are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileKind {
    Nem12,
    /// Import only, since the format names no direction.
    Cmep,
}

/// Which files are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSpec {
    pub kind: FileKind,
    pub seed: u64,
    pub meters: u32,
    /// First day of the agent.
    pub first: Date,
    pub days: u32,
    /// Plant faults.
    pub faults: bool,
}

/// What is wrong with a file, or with its coming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFault {
    None,
    /// It comes after the file of the next day.
    Late,
    /// It came before under another name.
    Repeated,
    /// A part of it is estimated.
    Estimated,
    /// It tells the day before again, measured.
    Overlapping,
    /// Its end is missing; the whole file follows.
    Cut,
}

/// A file as it is handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimFile {
    pub sent_at: UtcTime,
    pub name: String,
    pub text: String,
    pub fault: FileFault,
}

/// The agent and its meters.
#[derive(Clone, Debug)]
pub struct FileAgent {
    spec: FileSpec,
    meters: Vec<AgentMeter>,
}

#[derive(Clone, Debug)]
struct AgentMeter {
    /// What the files call it.
    name: String,
    number: String,
    /// Field (NEM12: the suffix), and watt-hours of each slot.
    channels: Vec<(&'static str, Vec<i64>)>,
}

impl FileAgent {
    pub fn new(spec: FileSpec) -> Self {
        let slots = spec.days as usize * SLOTS;
        let meter = |index: usize| {
            let fields: &[&'static str] = match (spec.kind, index % 3) {
                (FileKind::Cmep, _) => &["KWH"],
                // Every third one feeds in too.
                (FileKind::Nem12, 2) => &["E1", "B1"],
                (FileKind::Nem12, _) => &["E1"],
            };
            let values = |part: usize| {
                let mut stream = Stream::new(spec.seed, Purpose::Usage, index, 60 + part);
                (0..slots).map(|slot| use_wh(&mut stream, slot % SLOTS, part)).collect()
            };
            let channels = fields.iter().enumerate();
            let (name, number) = match spec.kind {
                FileKind::Nem12 => ("NM", "NEM"),
                FileKind::Cmep => ("CM", "CMEP"),
            };
            AgentMeter {
                name: format!("{name}{:02}{:06}", spec.seed % 100, index + 1),
                number: format!("{number}-{}", index + 1),
                channels: channels.map(|(part, field)| (*field, values(part))).collect(),
            }
        };
        let meters = (0..spec.meters as usize).map(meter).collect();
        Self { spec, meters }
    }

    /// All files in the order in which they are handed over.
    pub fn files(&self) -> Vec<SimFile> {
        let mut files: Vec<SimFile> =
            (0..self.spec.days).flat_map(|day| self.of_day(day)).collect();
        files.sort_by(|a, b| (a.sent_at, &a.name).cmp(&(b.sent_at, &b.name)));
        files
    }

    fn of_day(&self, day: u32) -> Vec<SimFile> {
        let name = format!("{}_{}.csv", self.format(), date8(self.date(day)));
        let sent_at = instant(self.date(day + 1), 1);
        let file = |fault, hours: i64, name: &str, text: String| SimFile {
            sent_at: sent_at.plus_seconds(hours * 3_600),
            name: name.to_owned(),
            text,
            fault,
        };
        let whole = || self.text(day, &[(day, false)]);
        let plain = || vec![file(FileFault::None, 0, &name, whole())];
        if !self.spec.faults {
            return plain();
        }
        match day % ROUND {
            1 => vec![file(FileFault::Late, 26, &name, whole())],
            2 => {
                let copy = name.replace(".csv", "_copy.csv");
                let again = file(FileFault::Repeated, 2, &copy, whole());
                [plain(), vec![again]].concat()
            }
            // The next day tells it again, so there has to be one.
            3 if day + 1 < self.spec.days => {
                vec![file(FileFault::Estimated, 0, &name, self.text(day, &[(day, true)]))]
            }
            4 => {
                let text = self.text(day, &[(day - 1, false), (day, false)]);
                vec![file(FileFault::Overlapping, 0, &name, text)]
            }
            5 => {
                let text = whole();
                let cut = text[..self.cut(&text)].to_owned();
                let again = name.replace(".csv", "_again.csv");
                vec![file(FileFault::Cut, 0, &name, cut), file(FileFault::None, 3, &again, text)]
            }
            _ => plain(),
        }
    }

    fn format(&self) -> &'static str {
        match self.spec.kind {
            FileKind::Nem12 => "nem12",
            FileKind::Cmep => "cmep",
        }
    }

    /// How much of a file is there of which the end is missing.
    fn cut(&self, text: &str) -> usize {
        match self.spec.kind {
            FileKind::Nem12 => text.len() * 2 / 3,
            FileKind::Cmep => {
                let last = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
                usize::midpoint(last, text.len())
            }
        }
    }

    /// The file that is made after `day` and tells of these days; of some a part is estimated.
    fn text(&self, day: u32, told: &[(u32, bool)]) -> String {
        let made = date8(self.date(day + 1));
        match self.spec.kind {
            FileKind::Nem12 => self.nem12(&made, told),
            FileKind::Cmep => self.cmep(&made, told),
        }
    }

    /// A record for each meter and day; stamps are those of the ends of intervals.
    fn cmep(&self, made: &str, told: &[(u32, bool)]) -> String {
        let mut text = String::new();
        for meter in &self.meters {
            let name = &meter.name;
            for (field, values) in &meter.channels {
                for (day, estimated) in told {
                    let _ = write!(
                        text,
                        "MEPMD01,20080501,SIMAGENT,,SIMRET,A-{name},{made}0100,{name},OK,E,{field},\
                         1,00000030,{SLOTS}"
                    );
                    let first = *day as usize * SLOTS;
                    for (slot, wh) in values[first..first + SLOTS].iter().enumerate() {
                        let guessed = *estimated && slot < ESTIMATED;
                        let (flag, wh) = if guessed { ("E0", guess(*wh)) } else { ("R0", *wh) };
                        let (hour, minute) = (slot.div_ceil(2), (slot + 1) % 2 * 30);
                        let date = date8(self.date(day + u32::from(hour == 24)));
                        let (hour, kwh) = (hour % 24, wh / 1_000);
                        let _ = write!(text, ",{date}{hour:02}{minute:02},{flag},");
                        let _ = write!(text, "{kwh}.{:03}", wh % 1_000);
                    }
                    text.push('\n');
                }
            }
        }
        text
    }

    fn nem12(&self, made: &str, told: &[(u32, bool)]) -> String {
        let mut text = format!("100,NEM12,{made}0100,SIMAGENT,SIMRET\n");
        for meter in &self.meters {
            for (suffix, values) in &meter.channels {
                let nmi = &meter.name;
                let all: String = meter.channels.iter().map(|(suffix, _)| *suffix).collect();
                let _ = writeln!(text, "200,{nmi},{all},1,{suffix},N1,S{nmi},kWh,30,");
                for (day, estimated) in told {
                    let first = *day as usize * SLOTS;
                    let values = &values[first..first + SLOTS];
                    self.record(&mut text, (*day, values), *estimated, made);
                }
            }
        }
        text.push_str("900\n");
        text
    }

    fn record(&self, text: &mut String, (day, values): (u32, &[i64]), estimated: bool, made: &str) {
        let _ = write!(text, "300,{}", date8(self.date(day)));
        for (slot, wh) in values.iter().enumerate() {
            let wh = if estimated && slot < ESTIMATED { guess(*wh) } else { *wh };
            let _ = write!(text, ",{}.{:03}", wh / 1_000, wh % 1_000);
        }
        let quality = if estimated { "V" } else { "A" };
        let _ = writeln!(text, ",{quality},,,{made}010000,");
        if estimated {
            let _ = writeln!(text, "400,1,{ESTIMATED},S14,32,");
            let _ = writeln!(text, "400,{},{SLOTS},A,,", ESTIMATED + 1);
        }
    }

    /// Every interval as it was metered, in counts of its channel, by meter and time.
    pub fn truth(&self) -> Vec<TruthRead> {
        let start = instant(self.spec.first, 0);
        let reads = self.meters.iter().flat_map(|meter| {
            meter.channels.iter().flat_map(move |(suffix, values)| {
                let read = move |(slot, value): (usize, &i64)| TruthRead {
                    meter: meter.number.clone(),
                    field: (*suffix).to_owned(),
                    at: start.plus_seconds((slot as i64 + 1) * i64::from(SLOT_S)),
                    len_s: SLOT_S,
                    value: *value,
                };
                values.iter().enumerate().map(read)
            })
        });
        reads.collect()
    }

    /// The meters as a utility would enter them.
    pub fn assets(&self) -> FleetAssets {
        let meters = self.meters.iter().map(|meter| self.meter(meter)).collect();
        FleetAssets::plain("Australia/Brisbane", meters)
    }

    fn meter(&self, meter: &AgentMeter) -> MeterSpec {
        let channels = meter.channels.iter().zip(1..);
        let channels = channels.map(|((field, _), number)| channel(field, number)).collect();
        let family = match self.spec.kind {
            FileKind::Nem12 => "nmi",
            FileKind::Cmep => "cmep",
        };
        let source = SourceId::new(family, &meter.name);
        let known = (source, format!("S{}", meter.name), self.format());
        let since = instant(self.spec.first, 0).plus_seconds(-86_400);
        let number = meter.number.rsplit('-').next().unwrap_or_default();
        MeterSpec {
            address: format!("Agent Street {number}"),
            contact_every_s: 172_800,
            ..MeterSpec::plain(meter.number.clone(), known, since, channels)
        }
    }

    fn date(&self, day: u32) -> Date {
        let after = jiff::Span::new().days(i64::from(day));
        self.spec.first.checked_add(after).unwrap_or(Date::MAX)
    }
}

fn channel(field: &'static str, number: i16) -> ChannelSpec {
    let export = field.starts_with('B');
    ChannelSpec {
        channel: ChannelNo::new(number),
        field,
        reading_type: if export { ReadingType::ENERGY_EXPORT } else { ReadingType::ENERGY_IMPORT },
        kind: ChannelKind::Interval,
        unit: Unit::KilowattHour,
        multiplier: "1",
        decimals: 3,
        modulus: 0,
        len_s: SLOT_S,
        resolution: 1_000,
        cap_per_hour: 17_000_000,
        delivery_lag_s: 172_800,
    }
}

/// The agent's estimate, which is never the truth.
const fn guess(wh: i64) -> i64 {
    wh / 2 + 1
}

/// Import: more in the evening; export: only by day.
fn use_wh(stream: &mut Stream, slot: usize, part: usize) -> i64 {
    match (part, slot) {
        (0, 34..44) => stream.between(300, 1_400),
        (0, _) => stream.between(40, 500),
        (_, 14..34) => stream.between(100, 900),
        _ => 0,
    }
}

fn date8(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

/// An hour of the agent's day.
fn instant(date: Date, hour: i8) -> UtcTime {
    let local: DateTime = date.at(hour, 0, 0, 0);
    OFFSET.to_timestamp(local).map_or(UtcTime::from_seconds(0), UtcTime::from_jiff)
}
