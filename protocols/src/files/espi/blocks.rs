//! Interval blocks: each becomes one record.

use metering::{Exact, SourceId, UtcTime};

use super::super::series::aligned;
use super::super::{FileContext, FileRecord, LineFault, QualityRun, ReadQuality, Sink};
use super::kind::{Behaviour, Kind};
use super::xml::{Met, Walk};
use super::{Index, identity};
use crate::format::RejectReason;
use crate::observation::{DeviceReport, Digits, Observation, ObservedTime, TimeOrigin};

/// One IntervalReading.
#[derive(Clone, Copy, Default)]
struct Reading {
    start: Option<i64>,
    duration: Option<i32>,
    value: Option<i64>,
    quality: Option<u16>,
}

/// A reading that is complete.
#[derive(Clone, Copy)]
struct Period {
    end: UtcTime,
    len_s: i32,
    value: Option<i64>,
    quality: Option<u16>,
}

struct Block {
    line: u64,
    from: usize,
    periods: Vec<Period>,
    fault: Option<String>,
}

pub(super) fn read(
    context: &FileContext<'_>,
    text: &str,
    index: &Index,
    sink: &mut dyn Sink,
) -> Result<(), LineFault> {
    let mut walk = Walk::new(text);
    let mut number = 0;
    let mut block: Option<Block> = None;
    let mut reading: Option<Reading> = None;
    while let Some(met) = walk.next()? {
        match met {
            Met::Open(name) => match name.as_str() {
                "entry" => number += 1,
                "IntervalBlock" => block = Some(Block::new(walk.line(), walk.position())),
                "IntervalReading" => reading = Some(Reading::default()),
                _ => {}
            },
            Met::Link(..) => {}
            Met::Close(name, value) => {
                let Some(open) = &mut block else { continue };
                match (name.as_str(), &mut reading) {
                    ("IntervalReading", _) => {
                        let line = walk.line();
                        open.add(reading.take().unwrap_or_default(), line);
                    }
                    ("IntervalBlock", _) => {
                        let raw = text.get(open.from..walk.position()).unwrap_or("");
                        match record(context, index, number, (open, raw)) {
                            Ok(record) => sink.record(record),
                            Err(fault) => sink.fault(fault),
                        }
                        block = None;
                    }
                    (name, Some(reading)) => {
                        if let Err(detail) = reading.set(name, &value) {
                            let line = walk.line();
                            open.fault.get_or_insert(format!("line {line}: {detail}"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

impl Reading {
    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let bad = || format!("{name} `{text}` is no whole number");
        match name {
            "start" => self.start = Some(text.parse().map_err(|_| bad())?),
            "duration" => self.duration = Some(text.parse().map_err(|_| bad())?),
            "value" if text.is_empty() => {}
            "value" => self.value = Some(text.parse().map_err(|_| bad())?),
            "quality" => self.quality = Some(text.parse().map_err(|_| bad())?),
            _ => {}
        }
        Ok(())
    }
}

impl Block {
    const fn new(line: u64, from: usize) -> Self {
        Self { line, from, periods: Vec::new(), fault: None }
    }

    fn add(&mut self, reading: Reading, line: u64) {
        let Reading { start, duration, value, quality } = reading;
        // Seconds from 1970 to 9999.
        let start = start.filter(|start| (0..253_402_300_800).contains(start));
        let (Some(start), Some(len_s)) = (start, duration.filter(|len_s| *len_s >= 0)) else {
            let detail = format!("line {line}: the IntervalReading has no start and duration");
            self.fault.get_or_insert(detail);
            return;
        };
        let end = UtcTime::from_seconds(start).plus_seconds(i64::from(len_s));
        self.periods.push(Period { end, len_s, value, quality });
    }
}

fn record(
    context: &FileContext<'_>,
    index: &Index,
    number: u64,
    (block, raw): (&Block, &str),
) -> Result<FileRecord, LineFault> {
    let head = || raw.chars().take(300).collect::<String>();
    let bad = |detail: String| LineFault::new(block.line, RejectReason::BadFormat, detail, &head());
    if let Some(fault) = &block.fault {
        return Err(LineFault::new(block.line, RejectReason::BadValue, fault.clone(), &head()));
    }
    let (point, kind) = index.block(number).map_err(bad)?;
    let id = identity(point).ok_or_else(|| {
        let detail = format!("the UsagePoint's self link `{point}` names no UsagePoint");
        LineFault::new(block.line, RejectReason::NoIdentity, detail, &head())
    })?;
    let unit = kind.unit().map_err(bad)?;
    let field = kind.field().map_err(bad)?;
    let behaviour = kind.behaviour().map_err(bad)?;
    let heard_at = ObservedTime::arrival(context.received_at);
    let mut report = DeviceReport::new(SourceId::new("espi", id), heard_at);
    let mut quality = Vec::new();
    match behaviour {
        Behaviour::Delta => {
            if block.periods.iter().any(|period| period.len_s == 0) {
                return Err(bad("delta data with a duration of 0".to_owned()));
            }
            for stretch in block.periods.chunk_by(|a, b| a.follows(b)) {
                report.observations.push(series(stretch, kind, (&field, unit)).ok_or_else(
                    || {
                        let detail = "the values do not fit into 63 bits";
                        LineFault::new(block.line, RejectReason::OutOfRange, detail, &head())
                    },
                )?);
                runs(stretch, &mut quality);
            }
        }
        Behaviour::Cumulative | Behaviour::Instant => {
            for period in &block.periods {
                report.observations.push(single(period, kind, behaviour, (&field, unit)));
                let told = told(period.quality);
                quality.push(QualityRun::at(period.end, told).coded(&code(period.quality)));
            }
        }
    }
    Ok(FileRecord { line: block.line, raw: alone(raw, point, kind), report, quality })
}

impl Period {
    /// The next one begins where this one ends, and is as long.
    fn follows(&self, next: &Self) -> bool {
        self.len_s == next.len_s && next.end == self.end.plus_seconds(i64::from(self.len_s))
    }
}

fn series(
    stretch: &[Period],
    kind: &Kind,
    (field, unit): (&str, metering::Unit),
) -> Option<Observation> {
    let (first, last) = (stretch.first()?, stretch.last()?);
    let mut values = Vec::with_capacity(stretch.len());
    for period in stretch {
        let value = match period.value.filter(|_| told(period.quality) != ReadQuality::Missing) {
            Some(value) => Some(Exact::new(value, kind.power_of_ten).ok()?),
            None => None,
        };
        values.push(value);
    }
    let (exponent, values) = aligned(&values)?;
    Some(Observation::Series {
        field: field.to_owned().into(),
        unit: Some(unit),
        len_s: first.len_s,
        first_end: first.end,
        exponent,
        values,
        flags: Vec::new(),
        time: ObservedTime::sure(last.end, TimeOrigin::Device),
        history: true,
    })
}

fn single(
    period: &Period,
    kind: &Kind,
    behaviour: Behaviour,
    (field, unit): (&str, metering::Unit),
) -> Observation {
    let value = period.value.and_then(|value| Exact::new(value, kind.power_of_ten).ok());
    let (field, unit) = (field.to_owned().into(), Some(unit));
    let time = ObservedTime::sure(period.end, TimeOrigin::Device);
    if behaviour == Behaviour::Instant {
        return Observation::Instant {
            digits: Digits::Told,
            field,
            unit,
            value,
            time,
            history: true,
        };
    }
    let suspect = told(period.quality) == ReadQuality::Suspect;
    Observation::Register {
        digits: Digits::Told,
        field,
        unit,
        value,
        modulus: None,
        time,
        history: false,
        suspect,
    }
}

fn runs(stretch: &[Period], quality: &mut Vec<QualityRun>) {
    for period in stretch {
        let (told, code) = (told(period.quality), code(period.quality));
        let from = period.end.plus_seconds(-i64::from(period.len_s));
        match quality.last_mut() {
            Some(last) if last.to == from && last.code == code => last.to = period.end,
            _ => quality.push(QualityRun::new(from, period.end, told).coded(&code)),
        }
    }
}

fn code(quality: Option<u16>) -> String {
    quality.map_or_else(String::new, |code| code.to_string())
}

/// QualityOfReading of the standard.
fn told(quality: Option<u16>) -> ReadQuality {
    match quality {
        // Valid, derived, raw, validated, verified, of revenue quality; or nothing is said.
        None | Some(0 | 11 | 14 | 17 | 18 | 19) => ReadQuality::Actual,
        // Reference day, interpolated, projected, normalised for weather.
        Some(8 | 9 | 12 | 15) => ReadQuality::Estimated,
        // Edited by hand.
        Some(7) => ReadQuality::Substituted,
        _ => ReadQuality::Suspect,
    }
}

/// A feed with this block alone.
fn alone(block: &str, point: &str, kind: &Kind) -> Vec<u8> {
    let point: String = point.chars().filter(|c| !"\"<>&".contains(*c)).collect();
    let mut text = String::with_capacity(block.len() + 6 * point.len() + 1_200);
    let mut entry = |own: &str, up: &str, related: &[&str], content: &str| {
        text.push_str("<entry>");
        for (rel, href) in
            [("self", own), ("up", up)].into_iter().chain(related.iter().map(|r| ("related", *r)))
        {
            text.push_str(&format!("<link rel=\"{rel}\" href=\"{href}\"/>"));
        }
        text.push_str(&format!("<content>{content}</content></entry>"));
    };
    let reading = format!("{point}/MeterReading/1");
    let (readings, blocks) = (format!("{point}/MeterReading"), format!("{reading}/IntervalBlock"));
    entry(&point, "", &[&readings], "<UsagePoint/>");
    entry(&reading, &readings, &[&blocks, "ReadingType/1"], "<MeterReading/>");
    let mut content = String::from("<ReadingType>");
    let numbers = [
        ("accumulationBehaviour", kind.accumulation.map(i64::from)),
        ("flowDirection", kind.flow.map(i64::from)),
        ("intervalLength", kind.interval_s.map(i64::from)),
        ("powerOfTenMultiplier", Some(i64::from(kind.power_of_ten))),
        ("tou", Some(i64::from(kind.tou))),
        ("uom", kind.uom.map(i64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            content.push_str(&format!("<{name}>{number}</{name}>"));
        }
    }
    content.push_str("</ReadingType>");
    entry("ReadingType/1", "", &[], &content);
    // The block's own text begins behind its opening tag; prefixes are dropped, as they were read.
    let body = without_prefixes(block);
    entry("", &blocks, &[], &format!("<IntervalBlock>{body}"));
    format!("<feed xmlns=\"http://naesb.org/espi\">{text}</feed>").into_bytes()
}

/// `<espi:value>` becomes `<value>`: the prefix was declared outside of the block.
fn without_prefixes(block: &str) -> String {
    let mut text = String::with_capacity(block.len());
    let mut rest = block;
    while let Some(open) = rest.find('<') {
        let from = if rest[open + 1..].starts_with('/') { open + 2 } else { open + 1 };
        text.push_str(&rest[..from]);
        rest = &rest[from..];
        let name = rest.find(['>', ' ', '/', '\n', '\r', '\t']).unwrap_or(rest.len());
        if let Some(colon) = rest[..name].find(':') {
            rest = &rest[colon + 1..];
        }
    }
    text.push_str(rest);
    text
}
