//! Reads a file by a layout.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use metering::{EventCode, Exact, SourceId, UtcTime};

use super::super::series::decimal_of;
use super::super::text::{Line, Lines, decimal, digits};
use super::super::{FileContext, FileRecord, LineFault, QualityRun, ReadQuality, Sink};
use super::config::{Column, Frame, Layout, Place, Reading, Shape, Target};
use crate::format::{RejectReason, printable};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp::in_zone;

pub(in super::super) fn read(
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<Option<UtcTime>, LineFault> {
    let whole = |reason, detail: &str| LineFault::new(0, reason, detail, "");
    let layout = context
        .layout
        .ok_or_else(|| whole(RejectReason::BadFormat, "no layout is given: name one"))?;
    let zone = context
        .zone
        .ok_or_else(|| whole(RejectReason::NoZone, "the times have no zone: name the sender's"))?;
    let mut run = Run {
        layout,
        context,
        zone,
        names: Vec::new(),
        head: String::new(),
        open: vec![None; layout.records.len().max(1)],
        records: 0,
        header: false,
        trailer: None,
    };
    let mut last = 0;
    for line in Lines::new(bytes, context.encoding) {
        match line {
            Ok(line) => {
                last = line.number;
                run.line(&line, sink)?;
            }
            Err(fault) => sink.fault(fault),
        }
    }
    run.emit(sink);
    run.end(last)?;
    Ok(None)
}

/// A line that is open: its number, text and fields.
#[derive(Clone)]
struct Held {
    line: u64,
    text: String,
    fields: Vec<String>,
}

struct Run<'r> {
    layout: &'r Layout,
    context: &'r FileContext<'r>,
    zone: &'r TimeZone,
    /// Column names of a CSV.
    names: Vec<String>,
    /// The line that they stand on.
    head: String,
    /// The last line of each kind of record, outermost first.
    open: Vec<Option<Held>>,
    records: u64,
    header: bool,
    trailer: Option<u64>,
}

impl Run<'_> {
    fn line(&mut self, line: &Line<'_>, sink: &mut dyn Sink) -> Result<(), LineFault> {
        let layout = self.layout;
        if line.number <= layout.skip_lines || line.text.trim().is_empty() {
            return Ok(());
        }
        if matches!(layout.shape, Shape::Csv { named: true, .. }) && self.names.is_empty() {
            self.names = fields(layout.shape, &line.text);
            self.head = line.text.clone().into_owned();
            return Ok(());
        }
        let begins = |frame: &Option<Frame>| {
            frame.as_ref().is_some_and(|frame| line.text.starts_with(frame.prefix.as_str()))
        };
        if begins(&layout.header) {
            self.header = true;
            return Ok(());
        }
        if begins(&layout.trailer) {
            self.emit(sink);
            self.trailer = Some(line.number);
            return self.counted(line);
        }
        if layout.ignore.iter().any(|prefix| line.text.starts_with(prefix.as_str())) {
            return Ok(());
        }
        let kind = if layout.records.is_empty() {
            Some(0)
        } else {
            layout.records.iter().position(|prefix| line.text.starts_with(prefix.as_str()))
        };
        let Some(kind) = kind else {
            let detail = format!("no record begins so: {}", layout.records.join(", "));
            sink.fault(line.fault(RejectReason::UnknownType, detail));
            return Ok(());
        };
        if kind <= layout.emit {
            self.emit(sink);
            self.open[kind..].fill(None);
        }
        if line.text.chars().count() < layout.width_min {
            let detail = format!("the line is shorter than {} columns", layout.width_min);
            sink.fault(line.fault(RejectReason::BadFormat, detail));
            return Ok(());
        }
        self.open[kind] = Some(Held {
            line: line.number,
            text: line.text.clone().into_owned(),
            fields: if layout.shape == Shape::Fixed {
                Vec::new()
            } else {
                fields(layout.shape, &line.text)
            },
        });
        Ok(())
    }

    /// The trailer's count must be the number of readings before it.
    fn counted(&self, line: &Line<'_>) -> Result<(), LineFault> {
        let Some((from, to)) = self.layout.trailer.as_ref().and_then(|frame| frame.count) else {
            return Ok(());
        };
        let text = range(&line.text, from, to);
        let stated = digits(text.trim().as_bytes()).and_then(|count| u64::try_from(count).ok());
        if stated == Some(self.records) {
            return Ok(());
        }
        let detail = format!("the trailer counts `{}`, there are {}", text.trim(), self.records);
        Err(line.fault(RejectReason::BadFormat, detail))
    }

    fn end(&self, last: u64) -> Result<(), LineFault> {
        let wants = |frame: &Option<Frame>| frame.as_ref().is_some_and(|frame| frame.required);
        for (lacks, what) in [
            (wants(&self.layout.header) && !self.header, "the header is missing"),
            (wants(&self.layout.trailer) && self.trailer.is_none(), "the trailer is missing"),
        ] {
            if lacks {
                return Err(LineFault::new(last, RejectReason::BadFormat, what, ""));
            }
        }
        Ok(())
    }

    /// Everything of the reading is there: hands it on.
    fn emit(&mut self, sink: &mut dyn Sink) {
        let emit = self.layout.emit;
        if self.open.get(emit).is_none_or(Option::is_none) {
            return;
        }
        self.records += 1;
        match self.record() {
            Ok(record) => sink.record(record),
            Err(fault) => sink.fault(fault),
        }
        self.open[emit..].fill(None);
    }

    fn fault(&self, reason: RejectReason, detail: impl Into<String>) -> LineFault {
        let held = self.open.get(self.layout.emit).and_then(Option::as_ref);
        let (line, text) = held.map_or((0, ""), |held| (held.line, held.text.as_str()));
        LineFault::new(line, reason, detail, text)
    }

    fn record(&self) -> Result<FileRecord, LineFault> {
        let heard_at = ObservedTime::arrival(self.context.received_at);
        let (mut id, mut date, mut time, mut told) = (None, None, None, None);
        let (mut about, mut notes) = (String::new(), String::new());
        for column in &self.layout.columns {
            let Some(text) = self.text(column)? else { continue };
            match &column.target {
                Target::Id => id = Some(text),
                Target::Date(format) => date = Some(self.date(format, &text)?),
                Target::Time(format) => time = Some(self.clock(format, &text)?),
                Target::Quality(map) => told = Some(quality(map, &text)),
                Target::About(name) => add_word(&mut about, name, &text),
                Target::Note(name) => {
                    add_word(&mut about, name, &text);
                    add_word(&mut notes, name, &text);
                }
                Target::Reading(_) => {}
            }
        }
        let id =
            id.ok_or_else(|| self.fault(RejectReason::NoIdentity, "the identifier is empty"))?;
        let mut report = DeviceReport::new(SourceId::new(&self.layout.family, id), heard_at);
        report.raw_status = printable(about);
        let mut runs = Vec::new();
        let (quality, code) = told.unwrap_or((ReadQuality::Actual, String::new()));
        let mut at = self.instant(date, time);
        for column in &self.layout.columns {
            let Target::Reading(reading) = &column.target else { continue };
            let Some(text) = self.text(column)? else { continue };
            let value = self.value(reading, &text)?;
            let (observation, run) = reading.observed(value, at.clone()?, quality);
            report.observations.push(observation);
            runs.push(run.coded(&code));
        }
        if report.observations.is_empty() {
            notes = self.skipped(&notes)?;
            if date.is_none() {
                at = Ok(ObservedTime::arrival(self.context.received_at));
            }
            report.events.push(ObservedEvent::once(EventCode::ReadSkipped, at?, notes));
        } else if !notes.is_empty() {
            report.events.push(ObservedEvent::once(EventCode::ReaderNote, at?, notes));
        }
        let (line, raw) = self.alone();
        Ok(FileRecord { line, raw, report, quality: runs })
    }

    /// Why the meter was not read: what stands in the columns of its readings, then the notes. A line
    /// without readings is a fault where nobody says that they may be absent.
    fn skipped(&self, notes: &str) -> Result<String, LineFault> {
        let mut why = String::new();
        let mut foreseen = !notes.is_empty();
        for column in &self.layout.columns {
            if !matches!(column.target, Target::Reading(_)) {
                continue;
            }
            let text = self.held_text(column).trim();
            foreseen |= column.absent.iter().any(|absent| absent == text);
            if !text.is_empty() && !why.split(' ').any(|word| word == text) {
                add_space(&mut why);
                why.push_str(text);
            }
        }
        if !foreseen {
            let detail = "no reading: its columns are empty, and the layout does not name that \
                          under `absent`";
            return Err(self.fault(RejectReason::BadValue, detail));
        }
        if !notes.is_empty() {
            add_space(&mut why);
        }
        Ok(why + notes)
    }

    /// The record as a file of its own, and the line that it ends on.
    fn alone(&self) -> (u64, Vec<u8>) {
        let held = || self.open.iter().flatten();
        let mut raw = String::new();
        if !self.names.is_empty() {
            raw.push_str(&self.head);
            raw.push('\n');
        }
        for held in held() {
            raw.push_str(&held.text);
            raw.push('\n');
        }
        (held().map(|held| held.line).max().unwrap_or(0), raw.into_bytes())
    }

    fn instant(&self, date: Option<Date>, time: Option<Time>) -> Result<ObservedTime, LineFault> {
        let Some(date) = date else {
            if self.layout.undated {
                return Ok(ObservedTime::arrival(self.context.received_at).doubted());
            }
            return Err(self.fault(RejectReason::BadFormat, "the date is empty"));
        };
        let local = date.to_datetime(time.unwrap_or(Time::midnight()));
        in_zone(local, self.zone, self.context.received_at, TimeOrigin::Device)
            .ok_or_else(|| self.fault(RejectReason::BadFormat, "the date does not exist"))
    }

    /// What stands in the column.
    fn held_text(&self, column: &Column) -> &str {
        let held = self.open.get(column.record).and_then(Option::as_ref);
        held.map_or("", |held| match &column.place {
            Place::Range(from, to) => range(&held.text, *from, *to),
            Place::Index(index) => held.fields.get(index - 1).map_or("", String::as_str),
            Place::Name(name) => {
                let at = self.names.iter().position(|known| known.trim() == name);
                at.and_then(|at| held.fields.get(at)).map_or("", String::as_str)
            }
        })
    }

    /// The column's text, trimmed; `None` where it is absent.
    fn text(&self, column: &Column) -> Result<Option<String>, LineFault> {
        let text = self.held_text(column).trim();
        if !text.is_empty() && !column.absent.iter().any(|absent| absent == text) {
            return Ok(Some(text.to_owned()));
        }
        if column.required {
            let place = match &column.place {
                Place::Range(from, to) => format!("columns {from} to {to}"),
                Place::Name(name) => format!("column `{name}`"),
                Place::Index(index) => format!("column {index}"),
            };
            return Err(
                self.fault(RejectReason::BadFormat, format!("{place}: empty, but required"))
            );
        }
        Ok(None)
    }

    fn date(&self, format: &str, text: &str) -> Result<Date, LineFault> {
        let today = self.context.received_at.to_jiff().to_zoned(self.zone.clone()).date();
        parsed_date(format, text, today).ok_or_else(|| {
            self.fault(RejectReason::BadFormat, format!("`{text}` is no date {format}"))
        })
    }

    fn clock(&self, format: &str, text: &str) -> Result<Time, LineFault> {
        let bad = || self.fault(RejectReason::BadFormat, format!("`{text}` is no time {format}"));
        let part = |letter| part(format, text, letter);
        let small = |number: Option<i32>| i8::try_from(number.unwrap_or(0)).ok();
        let (hour, minute, second) = (part('h'), part('m'), part('s'));
        if hour.is_none() || format.chars().count() != text.chars().count() {
            return Err(bad());
        }
        let time = small(hour).zip(small(minute)).zip(small(second));
        time.and_then(|((h, m), s)| Time::new(h, m, s, 0).ok()).ok_or_else(bad)
    }

    fn value(&self, reading: &Reading, text: &str) -> Result<Exact, LineFault> {
        let bad = || self.fault(RejectReason::BadValue, format!("`{text}` is no number"));
        let value = decimal(text).ok_or_else(bad)?;
        let Some(scale) = reading.scale else { return Ok(value) };
        let scaled = value.times(scale).ok().and_then(decimal_of);
        scaled.ok_or_else(|| {
            self.fault(
                RejectReason::OutOfRange,
                format!("`{text}` times its scale has too many digits"),
            )
        })
    }
}

impl Reading {
    fn observed(
        &self,
        value: Exact,
        at: ObservedTime,
        told: ReadQuality,
    ) -> (Observation, QualityRun) {
        let kept = Some(value).filter(|_| told != ReadQuality::Missing);
        let (field, unit) = (self.field.clone().into(), self.unit);
        let Some(len_s) = self.len_s else {
            let register = Observation::Register {
                digits: Digits::Told,
                field,
                unit,
                value: kept,
                modulus: self.digits.and_then(|digits| 10_i64.checked_pow(digits)),
                time: at,
                history: false,
                suspect: told == ReadQuality::Suspect,
            };
            return (register, QualityRun::at(at.at, told));
        };
        let series = Observation::Series {
            field,
            unit,
            len_s,
            first_end: at.at,
            exponent: value.exponent(),
            values: vec![kept.map(Exact::mantissa)],
            flags: Vec::new(),
            time: at,
            history: true,
        };
        let from = at.at.plus_seconds(-i64::from(len_s));
        (series, QualityRun::new(from, at.at, told))
    }
}

/// Adds `name=value` while there is room: at most 60 characters of a value, about 400 bytes in all.
fn add_word(words: &mut String, name: &str, text: &str) {
    if words.len() < 400 {
        add_space(words);
        words.push_str(name);
        words.push('=');
        words.extend(text.chars().take(60));
    }
}

fn add_space(words: &mut String) {
    if !words.is_empty() {
        words.push(' ');
    }
}

fn quality(map: &[(String, ReadQuality)], text: &str) -> (ReadQuality, String) {
    let found = map.iter().find(|(known, _)| known == text).map(|(_, quality)| *quality);
    (found.unwrap_or(ReadQuality::Suspect), text.to_owned())
}

fn fields(shape: Shape, line: &str) -> Vec<String> {
    let Shape::Csv { delimiter, quote, .. } = shape else { return Vec::new() };
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).delimiter(delimiter).quoting(quote.is_some());
    if let Some(quote) = quote {
        reader.quote(quote);
    }
    let mut row = csv::StringRecord::new();
    match reader.from_reader(line.as_bytes()).read_record(&mut row) {
        Ok(true) => row.iter().take(10_000).map(|field| field.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// Columns `from` to `to`, from 1, in characters; what lies behind the end of the line is empty.
fn range(text: &str, from: usize, to: usize) -> &str {
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    text.get(at(from - 1)..at(to)).unwrap_or("")
}

/// The number that stands where the format has this letter.
fn part(format: &str, text: &str, letter: char) -> Option<i32> {
    let places = format.chars().zip(text.chars()).filter(|(place, _)| *place == letter);
    let found: String = places.map(|(_, c)| c).collect();
    digits(found.as_bytes())
}

/// A date; of one without a year the latest that does not lie in the future; a year of two digits
/// is of this century, or of the last if it would lie in the future.
fn parsed_date(format: &str, text: &str, today: Date) -> Option<Date> {
    if format.chars().count() != text.chars().count() {
        return None;
    }
    let signs = format.chars().zip(text.chars());
    if signs.clone().any(|(place, c)| !"YMD".contains(place) && place != c) {
        return None;
    }
    let month = i8::try_from(part(format, text, 'M')?).ok()?;
    let day = i8::try_from(part(format, text, 'D')?).ok()?;
    let years = format.chars().filter(|c| *c == 'Y').count();
    let of = |year: i16| Date::new(year, month, day).ok();
    match (years, part(format, text, 'Y')) {
        (0, _) => (0..=4).find_map(|back| of(today.year() - back).filter(|date| *date <= today)),
        (4, Some(year)) => of(i16::try_from(year).ok()?),
        (2, Some(year)) => {
            let year = today.year() / 100 * 100 + i16::try_from(year).ok()?;
            let tomorrow = today.tomorrow().unwrap_or(today);
            of(year).filter(|date| *date <= tomorrow).or_else(|| of(year - 100))
        }
        _ => None,
    }
}
