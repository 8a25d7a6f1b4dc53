//! Files that `headend bench protocols` reads: one of each kind, as long as a small utility's day.

use std::fmt::Write as _;

use anyhow::Context as _;
use jiff::civil::date;
use jiff::tz::TimeZone;
use metering::{Unit, UtcTime};
use protocols::files::espi::{Feed, FeedReading, FeedSeries};
use protocols::files::{
    self, Encoding, FileContext, FileFormat, FileRecord, Layout, LineFault, Sink, beacon, layout,
};
use simulators::files::{FileAgent, FileKind, FileSpec};

const METERS: u32 = 60;
const SLOTS: u32 = 96;
const LEN_S: i32 = 900;
/// A fixed-width file of a handheld.
const LAYOUT: &str = "radix-a";

/// A file and how it is read.
pub(super) struct BenchFile {
    pub(super) format: FileFormat,
    pub(super) bytes: Vec<u8>,
    layout: Option<Layout>,
}

/// Counts what a reader hands out.
#[derive(Default)]
struct Counter {
    values: u64,
    faults: u64,
}

impl Sink for Counter {
    fn record(&mut self, record: FileRecord) {
        self.values += std::hint::black_box(record).report.reads();
    }

    fn fault(&mut self, _: LineFault) {
        self.faults += 1;
    }
}

impl BenchFile {
    /// Values in the file; `None` when any of it was refused.
    pub(super) fn read(&self, received_at: UtcTime, zone: &TimeZone) -> Option<u64> {
        let context = FileContext {
            received_at,
            zone: Some(zone),
            encoding: Encoding::Utf8,
            identity: beacon::Identity::default(),
            layout: self.layout.as_ref(),
        };
        let mut counter = Counter::default();
        files::read(self.format, &context, &self.bytes, &mut counter).ok()?;
        (counter.faults == 0 && counter.values > 0).then_some(counter.values)
    }
}

/// One file of each kind, told on the day of `start`.
pub(super) fn all(start: UtcTime) -> anyhow::Result<Vec<BenchFile>> {
    let file = |format, text: String| BenchFile { format, bytes: text.into_bytes(), layout: None };
    let layout = layout::preset(LAYOUT).context("a layout that the program brings")?;
    Ok(vec![
        file(FileFormat::Nem12, nem12()?),
        file(FileFormat::Cmep, cmep()),
        file(FileFormat::Espi, espi(start)?),
        file(FileFormat::Beacon, beacon()),
        BenchFile { layout: Some(layout), ..file(FileFormat::Layout, handheld()) },
    ])
}

fn nem12() -> anyhow::Result<String> {
    let first = date(2026, 9, 20);
    let spec =
        FileSpec { kind: FileKind::Nem12, seed: 7, meters: METERS, first, days: 1, faults: false };
    let agent = FileAgent::new(spec);
    Ok(agent.files().pop().context("a simulated file")?.text)
}

/// A record of each meter with the quarters of a day.
fn cmep() -> String {
    let mut text = String::new();
    for meter in 0..METERS {
        let _ = write!(
            text,
            "MEPMD01,20080501,SIM,,HE,,202609210100,METER{meter},OK,E,KWH,1,00000015,{SLOTS}"
        );
        for slot in 0..SLOTS {
            let (minutes, value) = ((slot + 1) * 15 % 1_440, 40 + (meter * 7 + slot * 13) % 500);
            let day = if slot + 1 == SLOTS { 21 } else { 20 };
            let (hour, minute) = (minutes / 60, minutes % 60);
            let _ = write!(text, ",202609{day}{hour:02}{minute:02},R0,0.{value:03}");
        }
        text.push('\n');
    }
    text
}

/// One usage point with the quarters of 30 days.
fn espi(start: UtcTime) -> anyhow::Result<String> {
    let mut feed = Feed::new("1", "1", start);
    let mut text = String::new();
    feed.begin("Simulated", 0, 0, &mut text);
    let series = FeedSeries {
        number: 1,
        title: "Import",
        unit: Unit::WattHour,
        export: false,
        len_s: LEN_S,
    };
    feed.series(&series, &mut text).context("a unit of the standard")?;
    for day in 0..30 {
        let reading = |slot: u32| FeedReading {
            start: start.plus_seconds(i64::from(day * SLOTS + slot) * i64::from(LEN_S)),
            len_s: LEN_S,
            value: i64::from(40_000 + (slot * 1_301) % 500_000),
            quality: 0,
        };
        let readings: Vec<FeedReading> = (0..SLOTS).map(reading).collect();
        feed.block(1, day + 1, &readings, &mut text);
    }
    feed.end(&mut text);
    Ok(text)
}

/// A row of each meter and hour.
fn beacon() -> String {
    let mut text =
        "\"Meter_ID\",\"Read\",\"Read_Time\",\"Read_Unit\",\"Raw_Read\",\"Flow\",\"Flow_Time\",\
        \"Flow_Unit\",\"Endpoint_SN\",\"Estimated_Flag\",\"Battery_Level\",\"Current_Leak_Rate\"\n"
            .to_owned();
    for meter in 0..METERS {
        for hour in 0..24 {
            let read = 125_000 + meter * 100 + hour * 3;
            let (whole, part) = (read / 10, read % 10);
            let _ = writeln!(
                text,
                "{meter},{whole}.{part},2026-09-20 {hour:02}:00,Gallons,{read:08},0.3,\
                 2026-09-20 {hour:02}:00,Gallons,9{meter:03},0,good,"
            );
        }
    }
    text
}

/// A line of each account on a route of a handheld.
fn handheld() -> String {
    let mut text = String::new();
    for meter in 0..METERS * 10 {
        let _ = writeln!(text, "xxx012{meter:06}.{:07}092026SER{meter:07}", 4_567 + meter * 3);
    }
    text
}
