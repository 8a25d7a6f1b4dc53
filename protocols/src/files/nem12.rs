//! AEMO meter data files: NEM12 (interval data) and NEM13 (accumulated data).
//!
//! Source: AEMO, Meter Data File Format Specification NEM12 & NEM13, sections 4 and 5. All times are
//! UTC+10 the year round. A meter is `nmi:NMI`; a channel's field is the NMI suffix (`E1`, `B1`,
//! `Q1`; of NEM13 the suffix too). A 300 record gives one series of 1440 / length values, of which
//! value n covers (n - 1) * length .. n * length minutes after midnight. A 250 record gives the
//! previous and the current read of its register. Quality letters become
//! [`super::ReadQuality`]; the method number and the reason stay beside them. Index reads of 500 and 550
//! records are kept with the raw bytes only.

mod registers;

use jiff::civil::Date;
use metering::{SourceId, Unit, UtcTime};

use super::series::aligned;
use super::text::{Line, Lines, at_offset, date8, decimal, stamp};
use super::{FileContext, FileRecord, LineFault, QualityRun, ReadQuality, Sink};
use crate::format::RejectReason;
use crate::observation::{DeviceReport, Observation, ObservedTime, TimeOrigin};

/// UTC+10, without daylight saving, by the specification.
const OFFSET_HOURS: i8 = 10;
const DAY_MINUTES: i32 = 1_440;
/// Most 400 records of one day: one for each five minutes.
const PARTS_MAX: usize = 288;
/// The 100 and the 200 record are kept with each of their days.
const HEAD_BYTES_MAX: usize = 1_000;

pub(super) fn read(
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<Option<UtcTime>, LineFault> {
    let mut reader: Option<Reader<'_>> = None;
    let mut last = 0;
    for line in Lines::new(bytes, context.encoding) {
        let line = match line {
            Ok(line) => line,
            Err(fault) if reader.is_none() => return Err(fault),
            Err(fault) => {
                last = fault.line;
                sink.fault(fault);
                continue;
            }
        };
        last = line.number;
        if line.is_blank() {
            continue;
        }
        match &mut reader {
            None => reader = Some(Reader::new(&line, context)?),
            Some(reader) => reader.line(&line, sink)?,
        }
    }
    let reader = reader.ok_or_else(|| {
        LineFault::new(0, RejectReason::BadFormat, "no 100 record: the file is empty", "")
    })?;
    if reader.ended {
        return Ok(reader.created_at);
    }
    let detail = "no 900 record: the file is cut off; ask for it again";
    Err(LineFault::new(last, RejectReason::BadFormat, detail, ""))
}

/// Fields of one record.
struct Fields<'l> {
    line: &'l Line<'l>,
    fields: Vec<&'l str>,
}

impl<'l> Fields<'l> {
    /// Most fields of a record: a 300 record of five-minute values has 295; some senders add empty
    /// columns.
    const MAX: usize = 512;

    fn new(line: &'l Line<'l>) -> Result<Self, LineFault> {
        let fields: Vec<&str> = line.text.splitn(Self::MAX + 1, ',').map(str::trim).collect();
        if fields.len() > Self::MAX {
            let detail = format!("more than {} fields", Self::MAX);
            return Err(line.fault(RejectReason::BadFormat, detail));
        }
        Ok(Self { line, fields })
    }

    fn get(&self, at: usize) -> &'l str {
        self.fields.get(at).copied().unwrap_or("")
    }

    fn fault(&self, detail: impl Into<String>) -> LineFault {
        self.line.fault(RejectReason::BadFormat, detail)
    }

    fn bad_value(&self, detail: impl Into<String>) -> LineFault {
        self.line.fault(RejectReason::BadValue, detail)
    }
}

/// A 200 record: what the 300 records after it are about.
struct Stream {
    line: u64,
    text: String,
    source: SourceId,
    field: String,
    unit: Unit,
    minutes: i32,
    status: String,
}

/// A 300 record that waits for its 400 records.
struct Day {
    line: u64,
    raw: String,
    date: Date,
    values: Vec<Option<metering::Exact>>,
    blanks: Vec<usize>,
    quality: Told,
    parts: Vec<Part>,
    /// What is wrong with it; told once, when it ends.
    fault: Option<LineFault>,
}

/// A 400 record: values `from` to `to`, from 1.
struct Part {
    line: u64,
    from: usize,
    to: usize,
    told: Told,
}

/// A quality as sent.
#[derive(Clone)]
struct Told {
    /// `None`: V, see the 400 records.
    quality: Option<ReadQuality>,
    code: String,
    reason: Option<u16>,
    reason_text: String,
}

struct Reader<'c> {
    context: &'c FileContext<'c>,
    header: String,
    is_nem13: bool,
    created_at: Option<UtcTime>,
    stream: Option<Stream>,
    /// The line of a 200 record that was refused; its 300 records go with it.
    refused_stream: Option<u64>,
    day: Option<Day>,
    ended: bool,
}

impl<'c> Reader<'c> {
    fn new(line: &Line<'_>, context: &'c FileContext<'c>) -> Result<Self, LineFault> {
        let fields = Fields::new(line)?;
        let version = fields.get(1);
        if fields.get(0) != "100" || !["NEM12", "NEM13"].contains(&version) {
            return Err(fields.fault("the first record must be 100,NEM12 or 100,NEM13"));
        }
        if line.text.trim_end_matches(',').len() > HEAD_BYTES_MAX {
            return Err(fields.fault(format!("a 100 record of more than {HEAD_BYTES_MAX} bytes")));
        }
        let created_at = stamp(fields.get(2)).and_then(|local| at_offset(local, OFFSET_HOURS));
        if created_at.is_none() {
            return Err(
                fields.fault(format!("`{}` is no creation time YYYYMMDDhhmm", fields.get(2)))
            );
        }
        Ok(Self {
            context,
            header: line.text.trim_end_matches(',').to_owned(),
            is_nem13: version == "NEM13",
            created_at,
            stream: None,
            refused_stream: None,
            day: None,
            ended: false,
        })
    }

    fn line(&mut self, line: &Line<'_>, sink: &mut dyn Sink) -> Result<(), LineFault> {
        let fields = match Fields::new(line) {
            Ok(fields) => fields,
            Err(fault) => {
                sink.fault(fault);
                return Ok(());
            }
        };
        if self.ended {
            return Err(fields.fault("there is a record after the 900 record"));
        }
        if !["400", "500"].contains(&fields.get(0)) {
            self.end_day(sink);
        }
        let done = match (fields.get(0), self.is_nem13) {
            ("200", false) => self.stream_begins(&fields),
            ("300", false) => self.day_begins(&fields),
            ("400", false) => self.part(&fields),
            ("500", false) if self.stream.is_some() || self.refused_stream.is_some() => {
                if let Some(day) = &mut self.day {
                    day.raw.push_str(line.text.trim_end_matches(','));
                    day.raw.push('\n');
                }
                Ok(())
            }
            ("250", true) => {
                let read = registers::read(&fields, self);
                read.map(|record| sink.record(record))
            }
            ("550", true) => Ok(()),
            ("900", _) => {
                self.ended = true;
                Ok(())
            }
            ("100", _) => return Err(fields.fault("a second 100 record: two files in one")),
            (kind, nem13) => {
                let version = if nem13 { "NEM13" } else { "NEM12" };
                Err(fields.fault(format!("`{kind}` is no record of {version} in this place")))
            }
        };
        if let Err(fault) = done {
            sink.fault(fault);
        }
        Ok(())
    }

    fn stream_begins(&mut self, fields: &Fields<'_>) -> Result<(), LineFault> {
        self.stream = None;
        self.refused_stream = Some(fields.line.number);
        let (nmi, suffix) = (nmi(fields)?, fields.get(4));
        if fields.line.text.trim_end_matches(',').len() > HEAD_BYTES_MAX {
            return Err(fields.fault(format!("a 200 record of more than {HEAD_BYTES_MAX} bytes")));
        }
        if suffix.is_empty() || suffix.len() > 4 {
            return Err(fields.fault(format!("`{suffix}` is no NMI suffix such as E1 or B1")));
        }
        let unit = unit(fields, fields.get(7))?;
        let minutes = match fields.get(8) {
            "5" => 5,
            "15" => 15,
            "30" => 30,
            other => {
                return Err(fields.fault(format!("`{other}` is no interval length: 5, 15 or 30")));
            }
        };
        self.stream = Some(Stream {
            line: fields.line.number,
            text: fields.line.text.trim_end_matches(',').to_owned(),
            source: SourceId::new("nmi", nmi),
            field: suffix.to_owned(),
            unit,
            minutes,
            status: serial(fields.get(6), fields.get(3)),
        });
        self.refused_stream = None;
        Ok(())
    }

    fn day_begins(&mut self, fields: &Fields<'_>) -> Result<(), LineFault> {
        let Some(stream) = &self.stream else {
            return Err(match self.refused_stream {
                Some(line) => fields.fault(format!("its 200 record on line {line} was refused")),
                None => fields.fault("a 300 record before any 200 record"),
            });
        };
        let date = date8(fields.get(1))
            .ok_or_else(|| fields.fault(format!("`{}` is no date YYYYMMDD", fields.get(1))))?;
        let mut day = Day {
            line: fields.line.number,
            raw: format!("{}\n", fields.line.text.trim_end_matches(',')),
            date,
            values: Vec::new(),
            blanks: Vec::new(),
            quality: Told {
                quality: None,
                code: String::new(),
                reason: None,
                reason_text: String::new(),
            },
            parts: Vec::new(),
            fault: None,
        };
        if let Err(fault) = day.fill(fields, stream) {
            day.fault = Some(fault);
        }
        self.day = Some(day);
        Ok(())
    }

    fn part(&mut self, fields: &Fields<'_>) -> Result<(), LineFault> {
        let Some(day) = &mut self.day else {
            if self.refused_stream.is_some() {
                return Ok(());
            }
            return Err(fields.fault("a 400 record without a 300 record before it"));
        };
        day.raw.push_str(fields.line.text.trim_end_matches(','));
        day.raw.push('\n');
        if day.fault.is_some() {
            return Ok(());
        }
        match part_of(fields, day) {
            Ok(part) => day.parts.push(part),
            Err(fault) => day.fault = Some(fault),
        }
        Ok(())
    }

    /// The 300 record and all its 400 records are there.
    fn end_day(&mut self, sink: &mut dyn Sink) {
        let Some(mut day) = self.day.take() else { return };
        let Some(stream) = &self.stream else { return };
        let fault = day.fault.take();
        match fault.map_or_else(|| day.runs(stream), Err) {
            Ok(quality) => match day.report(stream, &quality, self.context) {
                Ok(report) => sink.record(FileRecord {
                    line: day.line,
                    raw: format!("{}\n{}\n{}900\n", self.header, stream.text, day.raw).into_bytes(),
                    report,
                    quality,
                }),
                Err(fault) => sink.fault(fault),
            },
            Err(fault) => sink.fault(fault),
        }
    }
}

impl Day {
    fn fill(&mut self, fields: &Fields<'_>, stream: &Stream) -> Result<(), LineFault> {
        let count = usize::try_from(DAY_MINUTES / stream.minutes).unwrap_or(0);
        let wanted = || {
            format!(
                "{count} values of {} minutes are wanted (200 record on line {})",
                stream.minutes, stream.line
            )
        };
        self.values.reserve(count);
        for at in 0..count {
            let text = fields.get(2 + at);
            if text.is_empty() {
                self.blanks.push(at + 1);
                self.values.push(None);
                continue;
            }
            let Some(value) = decimal(text) else {
                if text.starts_with(|c: char| "AEFNSV".contains(c)) {
                    return Err(fields.fault(format!(
                        "value {} is `{text}`: {}",
                        at + 1,
                        wanted()
                    )));
                }
                return Err(fields.bad_value(format!("value {} is `{text}`, no number", at + 1)));
            };
            if value.is_negative() {
                return Err(fields.bad_value(format!("value {} is negative: {text}", at + 1)));
            }
            self.values.push(Some(value));
        }
        let letter = fields.get(2 + count);
        if letter.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(fields.fault(format!("there are more values than wanted: {}", wanted())));
        }
        self.quality = told(fields, 2 + count, true)?;
        let rest = fields.fields.get(2 + count + 5..).unwrap_or(&[]);
        if let Some(extra) = rest.iter().find(|text| !text.is_empty()) {
            return Err(
                fields.fault(format!("`{extra}` stands behind the last field of the record"))
            );
        }
        Ok(())
    }

    /// The quality of all values, in their order.
    fn runs(&self, stream: &Stream) -> Result<Vec<QualityRun>, LineFault> {
        let fault = |line: u64, detail: String| {
            LineFault::new(
                line,
                RejectReason::BadFormat,
                detail,
                self.raw.lines().next().unwrap_or(""),
            )
        };
        let count = self.values.len();
        let end =
            |n: usize| self.end(stream, n).ok_or_else(|| fault(self.line, "no such day".into()));
        let mut runs = Vec::new();
        if let Some(quality) = self.quality.quality {
            if let Some(part) = self.parts.first() {
                let detail = format!(
                    "a 400 record on line {}, but the quality is {}, not V",
                    part.line, self.quality.code
                );
                return Err(fault(part.line, detail));
            }
            runs.push(run(end(0)?, end(count)?, quality, &self.quality));
        } else {
            let mut next = 1;
            for part in &self.parts {
                if part.from != next || part.to < part.from || part.to > count {
                    let detail = format!(
                        "intervals {} to {}: the 400 records must follow one another from 1 to \
                         {count}, {next} is next",
                        part.from, part.to
                    );
                    return Err(fault(part.line, detail));
                }
                next = part.to + 1;
                let quality = part.told.quality.unwrap_or(ReadQuality::Suspect);
                runs.push(run(end(part.from - 1)?, end(part.to)?, quality, &part.told));
            }
            if next != count + 1 {
                let detail =
                    format!("quality V: 400 records end at interval {} of {count}", next - 1);
                return Err(fault(self.line, detail));
            }
        }
        for blank in &self.blanks {
            let at = end(*blank)?;
            if !runs.iter().any(|run| run.holds(at) && run.quality == ReadQuality::Missing) {
                let detail = format!("value {blank} is empty, but its quality is not N");
                return Err(LineFault {
                    reason: RejectReason::BadValue,
                    ..fault(self.line, detail)
                });
            }
        }
        Ok(runs)
    }

    /// End of value n; of 0 the beginning of the day.
    fn end(&self, stream: &Stream, n: usize) -> Option<UtcTime> {
        let midnight = at_offset(self.date.at(0, 0, 0, 0), OFFSET_HOURS)?;
        Some(midnight.plus_seconds(i64::try_from(n).ok()? * i64::from(stream.minutes) * 60))
    }

    fn report(
        &self,
        stream: &Stream,
        quality: &[QualityRun],
        context: &FileContext<'_>,
    ) -> Result<DeviceReport, LineFault> {
        let fault =
            |detail: &str| LineFault::new(self.line, RejectReason::OutOfRange, detail, &self.raw);
        let (exponent, mut values) =
            aligned(&self.values).ok_or_else(|| fault("the values do not fit into 63 bits"))?;
        let first_end = self.end(stream, 1).ok_or_else(|| fault("no such day"))?;
        let last_end = self.end(stream, values.len()).ok_or_else(|| fault("no such day"))?;
        for run in quality.iter().filter(|run| run.quality == ReadQuality::Missing) {
            for (n, value) in values.iter_mut().enumerate() {
                if self.end(stream, n + 1).is_some_and(|end| run.holds(end)) {
                    *value = None;
                }
            }
        }
        let heard_at = ObservedTime::arrival(context.received_at);
        let mut report = DeviceReport::new(stream.source.clone(), heard_at);
        report.raw_status.clone_from(&stream.status);
        report.observations.push(Observation::Series {
            field: stream.field.clone().into(),
            unit: Some(stream.unit),
            len_s: stream.minutes * 60,
            first_end,
            exponent,
            values,
            flags: Vec::new(),
            time: ObservedTime::sure(last_end, TimeOrigin::Device),
            history: true,
        });
        Ok(report)
    }
}

fn run(from: UtcTime, to: UtcTime, quality: ReadQuality, told: &Told) -> QualityRun {
    let mut run = QualityRun::new(from, to, quality).coded(&told.code);
    run.reason = told.reason;
    run.reason_text.clone_from(&told.reason_text);
    run
}

fn part_of(fields: &Fields<'_>, day: &Day) -> Result<Part, LineFault> {
    if day.parts.len() >= PARTS_MAX {
        return Err(fields.fault(format!("more than {PARTS_MAX} 400 records of one day")));
    }
    let number = |at: usize| -> Result<usize, LineFault> {
        let text = fields.get(at);
        let number: Option<usize> = text.parse().ok().filter(|n| (1..=PARTS_MAX).contains(n));
        number.ok_or_else(|| fields.fault(format!("`{text}` is no interval number from 1")))
    };
    let (from, to) = (number(1)?, number(2)?);
    let told = told(fields, 3, false)?;
    Ok(Part { line: fields.line.number, from, to, told })
}

/// Quality and method, reason code, reason text, from field `at` on.
fn told(fields: &Fields<'_>, at: usize, variable: bool) -> Result<Told, LineFault> {
    let code = fields.get(at);
    let (letter, method) = code.split_at_checked(1).unwrap_or((code, ""));
    let quality = match letter {
        "A" => Some(ReadQuality::Actual),
        "E" => Some(ReadQuality::Estimated),
        "S" => Some(ReadQuality::Substituted),
        "F" => Some(ReadQuality::FinalSubstituted),
        "N" => Some(ReadQuality::Missing),
        "V" if variable => None,
        _ => {
            let letters = if variable { "A, E, F, N, S or V" } else { "A, E, F, N or S" };
            return Err(fields.fault(format!("`{code}` is no quality: {letters} and a method")));
        }
    };
    let has_method = quality.is_some_and(ReadQuality::is_estimate);
    let good = method.is_empty() || has_method && method.len() == 2 && is_number(method);
    if !good {
        return Err(fields.fault(format!("`{code}`: the method is two digits behind E, F or S")));
    }
    let reason = fields.get(at + 1);
    if !reason.is_empty() && !is_number(reason) {
        return Err(fields.fault(format!("`{reason}` is no reason code")));
    }
    let reason_text: String = fields.get(at + 2).chars().take(240).collect();
    Ok(Told {
        quality,
        code: code.to_owned(),
        reason: reason.parse().ok(),
        reason_text: crate::format::printable(reason_text),
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.bytes().all(|c| c.is_ascii_digit())
}

fn nmi<'l>(fields: &Fields<'l>) -> Result<&'l str, LineFault> {
    let nmi = fields.get(1);
    // Ten characters, or eleven with the check digit; samples have fewer.
    if nmi.is_empty() || nmi.len() > 11 || !nmi.bytes().all(|c| c.is_ascii_alphanumeric()) {
        let detail = format!("`{nmi}` is no NMI: up to 11 letters and digits");
        return Err(fields.line.fault(RejectReason::NoIdentity, detail));
    }
    Ok(nmi)
}

fn unit(fields: &Fields<'_>, text: &str) -> Result<Unit, LineFault> {
    const UNITS: [(&str, Unit); 7] = [
        ("WH", Unit::WattHour),
        ("KWH", Unit::KilowattHour),
        ("MWH", Unit::MegawattHour),
        ("VARH", Unit::VarHour),
        ("KVARH", Unit::KilovarHour),
        ("W", Unit::Watt),
        ("KW", Unit::Kilowatt),
    ];
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let detail =
        || format!("`{text}` is no unit that is known: Wh, kWh, MWh, varh, kvarh, W or kW");
    known.map(|(_, unit)| *unit).ok_or_else(|| fields.fault(detail()))
}

fn serial(serial: &str, register: &str) -> String {
    let mut text = String::new();
    for (name, value) in [("serial", serial), ("register", register)] {
        if !value.is_empty() {
            let space = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{space}{name}={}", value.chars().take(40).collect::<String>()));
        }
    }
    crate::format::printable(text)
}
