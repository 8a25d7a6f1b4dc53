//! The description of a layout, as written in TOML and as checked.

use metering::{Exact, Ratio, Unit};
use serde::Deserialize;

use super::super::ReadQuality;
use super::super::text::decimal;

/// A checked layout.
#[derive(Clone, PartialEq, Debug)]
pub struct Layout {
    pub name: String,
    /// Family of the source id: `radix:12345678`.
    pub family: String,
    pub(super) shape: Shape,
    /// Lines at the beginning that are no records.
    pub(super) skip_lines: u64,
    /// Texts that lines of records begin with, outermost first; empty: every line is a record.
    pub(super) records: Vec<String>,
    /// Which of them carries a reading.
    pub(super) emit: usize,
    /// Lines that are neither record nor fault.
    pub(super) ignore: Vec<String>,
    pub(super) header: Option<Frame>,
    pub(super) trailer: Option<Frame>,
    pub(super) columns: Vec<Column>,
    /// Shortest line of a record, in columns.
    pub(super) width_min: usize,
    /// No column tells when the meter was read: the arrival of the file counts, and is doubted.
    pub(super) undated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Fixed,
    Csv { delimiter: u8, quote: Option<u8>, named: bool },
}

/// A header or trailer line: how it begins, and where it says how many records there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) prefix: String,
    pub(super) count: Option<(usize, usize)>,
    pub(super) required: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Column {
    /// Index into the layout's records.
    pub(super) record: usize,
    pub(super) place: Place,
    pub(super) target: Target,
    pub(super) required: bool,
    /// Texts that stand where there is nothing; of a reading: where the meter was not read.
    pub(super) absent: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Columns from 1, inclusive, as characters.
    Range(usize, usize),
    Name(String),
    /// From 1.
    Index(usize),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Target {
    Id,
    Reading(Reading),
    Date(String),
    Time(String),
    Quality(Vec<(String, ReadQuality)>),
    /// What the reader wrote down at the meter: an event, `name=value`.
    Note(String),
    /// About the meter, the route or the customer: kept with the message as `name=value`.
    About(String),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Reading {
    pub(super) field: String,
    pub(super) unit: Option<Unit>,
    pub(super) scale: Option<Ratio>,
    /// `None`: a register; else the length of the interval that ends at the time, in seconds.
    pub(super) len_s: Option<i32>,
    /// Width of the counter in digits: where it rolls over.
    pub(super) digits: Option<u32>,
}

/// A layout cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// No TOML, an unknown key, a wrong type; the text names the line.
    #[error("{0}")]
    Toml(String),
    #[error("column {number}: {what}")]
    Column { number: usize, what: String },
    #[error("{0}")]
    Whole(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    kind: String,
    family: String,
    #[serde(default)]
    delimiter: Option<String>,
    #[serde(default)]
    quote: Option<String>,
    #[serde(default)]
    column_names: bool,
    #[serde(default)]
    skip_lines: u64,
    #[serde(default)]
    width_min: usize,
    #[serde(default)]
    undated: bool,
    #[serde(default)]
    records: Vec<String>,
    #[serde(default)]
    emit: Option<String>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    header: Option<FrameFile>,
    #[serde(default)]
    trailer: Option<FrameFile>,
    columns: Vec<ColumnFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameFile {
    prefix: String,
    #[serde(default)]
    count: Option<[usize; 2]>,
    #[serde(default)]
    required: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    target: String,
    #[serde(default)]
    record: Option<String>,
    #[serde(default)]
    at: Option<[usize; 2]>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    scale: Option<String>,
    #[serde(default)]
    interval_s: Option<i32>,
    #[serde(default)]
    digits: Option<u32>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    map: std::collections::BTreeMap<String, String>,
}

/// Columns and record kinds of one layout.
const COLUMNS_MAX: usize = 200;
const RECORDS_MAX: usize = 32;

impl Layout {
    /// For one record alone, as [`super::super::FileRecord::raw`] keeps it: no line is skipped, header and
    /// trailer may be missing.
    pub fn of_record(&self) -> Self {
        let spare =
            |frame: &Option<Frame>| frame.clone().map(|frame| Frame { required: false, ..frame });
        Self {
            skip_lines: 0,
            header: spare(&self.header),
            trailer: spare(&self.trailer),
            ..self.clone()
        }
    }

    /// Reads a layout.
    ///
    /// # Errors
    /// [`LayoutError`], with the line of an unknown key.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let file: File =
            toml::from_str(text).map_err(|error| LayoutError::Toml(error.to_string()))?;
        let whole = |what: String| LayoutError::Whole(what);
        let shape = shape(&file).map_err(whole)?;
        if file.columns.len() > COLUMNS_MAX || file.records.len() > RECORDS_MAX {
            return Err(whole(format!("more than {COLUMNS_MAX} columns or {RECORDS_MAX} records")));
        }
        if file.family.is_empty()
            || !file.family.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
        {
            return Err(whole(format!("family `{}`: write small letters", file.family)));
        }
        let emit = match (&file.emit, file.records.len()) {
            (None, 0 | 1) => 0,
            (Some(name), _) => position(&file.records, name).map_err(whole)?,
            (None, _) => {
                return Err(whole("`emit` must name the record that carries the reading".into()));
            }
        };
        let mut columns = Vec::with_capacity(file.columns.len());
        for (number, column) in (1..).zip(&file.columns) {
            let column = column.checked(&file.records, shape);
            columns.push(column.map_err(|what| LayoutError::Column { number, what })?);
        }
        let has = |wanted: fn(&Target) -> bool| columns.iter().any(|column| wanted(&column.target));
        for (there, what) in [
            (has(|target| matches!(target, Target::Id)), "id"),
            (has(|target| matches!(target, Target::Reading(_))), "reading"),
            (file.undated || has(|target| matches!(target, Target::Date(_))), "date"),
        ] {
            if !there {
                return Err(whole(format!("no column has the target `{what}`")));
            }
        }
        let frame = |frame: FrameFile| Frame {
            prefix: frame.prefix,
            count: frame.count.map(|[from, to]| (from, to)),
            required: frame.required,
        };
        Ok(Self {
            name: file.name,
            family: file.family,
            shape,
            skip_lines: file.skip_lines,
            records: file.records,
            emit,
            ignore: file.ignore,
            header: file.header.map(frame),
            trailer: file.trailer.map(frame),
            columns,
            width_min: file.width_min,
            undated: file.undated,
        })
    }
}

fn shape(file: &File) -> Result<Shape, String> {
    let one = |text: &Option<String>, usual: &str| -> Result<Option<u8>, String> {
        match text.as_deref().unwrap_or(usual).as_bytes() {
            [] => Ok(None),
            [byte] if byte.is_ascii() => Ok(Some(*byte)),
            other => Err(format!("`{}`: one ASCII character", String::from_utf8_lossy(other))),
        }
    };
    match file.kind.as_str() {
        "fixed" => Ok(Shape::Fixed),
        "csv" => Ok(Shape::Csv {
            delimiter: one(&file.delimiter, ",")?.ok_or("the delimiter is empty")?,
            quote: one(&file.quote, "\"")?,
            named: file.column_names,
        }),
        other => Err(format!("kind `{other}`: write fixed or csv")),
    }
}

fn position(records: &[String], name: &str) -> Result<usize, String> {
    let found = records.iter().position(|record| record == name);
    found.ok_or_else(|| format!("`{name}` is none of the records: {}", records.join(", ")))
}

impl ColumnFile {
    fn checked(&self, records: &[String], shape: Shape) -> Result<Column, String> {
        let record = match (&self.record, records.len()) {
            (Some(name), _) => position(records, name)?,
            (None, 0 | 1) => 0,
            (None, _) => return Err("`record` must name one of the records".to_owned()),
        };
        let place = match (self.at, &self.name, self.index, shape) {
            (Some([from, to]), None, None, Shape::Fixed)
                if 1 <= from && from <= to && to <= 10_000 =>
            {
                Place::Range(from, to)
            }
            (None, Some(name), None, Shape::Csv { named: true, .. }) => Place::Name(name.clone()),
            (None, None, Some(index), Shape::Csv { .. }) if (1..=10_000).contains(&index) => {
                Place::Index(index)
            }
            _ => {
                return Err("fixed: `at = [from, to]`, from 1; csv: `index`, from 1, or, with \
                            column_names = true, `name`"
                    .to_owned());
            }
        };
        Ok(Column {
            record,
            place,
            target: self.target()?,
            required: self.required,
            absent: self.absent.clone(),
        })
    }

    fn target(&self) -> Result<Target, String> {
        let format = |usual: &str| self.format.clone().unwrap_or_else(|| usual.to_owned());
        match self.target.as_str() {
            "id" => Ok(Target::Id),
            "reading" => self.reading().map(Target::Reading),
            "date" => dated(format("YYYYMMDD"), "YMD").map(Target::Date),
            "time" => dated(format("hhmm"), "hms").map(Target::Time),
            "quality" => {
                self.map.iter().map(quality).collect::<Result<_, _>>().map(Target::Quality)
            }
            "note" => self.named().map(Target::Note),
            "about" => self.named().map(Target::About),
            other => {
                Err(format!("target `{other}`: id, reading, date, time, quality, note or about"))
            }
        }
    }

    fn named(&self) -> Result<String, String> {
        let name = self.field.clone().or_else(|| self.name.clone());
        name.ok_or_else(|| format!("{} needs a `field`: its name", self.target))
    }

    fn reading(&self) -> Result<Reading, String> {
        let unit = self.unit.as_deref().map(str::parse::<Unit>).transpose();
        let scale = match self.scale.as_deref() {
            None => None,
            Some(text) => {
                let scale = decimal(text).filter(|scale: &Exact| scale.mantissa() > 0);
                let scale = scale.ok_or_else(|| format!("scale `{text}` is no positive number"))?;
                Some(scale.times(Ratio::whole(1)).map_err(|error| error.to_string())?)
            }
        };
        if self.interval_s.is_some_and(|len_s| !(60..=31 * 86_400).contains(&len_s)) {
            return Err("interval_s: 60 seconds to 31 days".to_owned());
        }
        if self.digits.is_some_and(|digits| !(1..=15).contains(&digits)) {
            return Err("digits: 1 to 15".to_owned());
        }
        Ok(Reading {
            field: self.field.clone().unwrap_or_else(|| "reading".to_owned()),
            unit: unit.map_err(|error| error.to_string())?,
            scale,
            len_s: self.interval_s,
            digits: self.digits,
        })
    }
}

fn dated(format: String, letters: &str) -> Result<String, String> {
    let known = |c: char| letters.contains(c) || !c.is_ascii_alphabetic();
    if format.chars().all(known) && format.len() <= 20 {
        return Ok(format);
    }
    Err(format!("format `{format}`: YYYY, YY, MM and DD, or hh, mm and ss, with signs between"))
}

fn quality((text, word): (&String, &String)) -> Result<(String, ReadQuality), String> {
    let found = ReadQuality::ALL.into_iter().find(|quality| quality.word() == word);
    let words = || ReadQuality::ALL.map(ReadQuality::word).join(", ");
    found
        .map(|quality| (text.clone(), quality))
        .ok_or_else(|| format!("`{word}` is no quality: {}", words()))
}
