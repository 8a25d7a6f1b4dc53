//! Badger BEACON 360 report: CSV with a header, columns found by name.
//!
//! Source: the 48 columns of a BEACON 360 export. A meter is `badger:` and the column that
//! [`Identity`] names. `Read` in `Read_Unit` is the register (field `read`); `Raw_Read` is the same
//! number without its point, and a row where the two differ is suspect. `Flow` in `Flow_Unit` is the
//! use of the interval that ends at `Flow_Time` (field `flow`); its length is the report's and
//! stands in no column. Times are local. `Estimated_Flag`, `Battery_Level` and `Current_Leak_Rate`
//! become quality and events.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use metering::{EventCode, Exact, SourceId, Unit, UtcTime};

use super::text::{decimal, text_of};
use super::{FileContext, FileRecord, LineFault, QualityRun, ReadQuality, Sink};
use crate::format::RejectReason;
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp::{in_zone, parse_local};

/// Which column names the meter, and how long an interval of the report is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub column: Column,
    /// Seconds that one `Flow` covers; `None`: flows are not taken.
    pub flow_s: Option<i32>,
}

/// The column that names the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Column {
    /// Serial of the meter; empty in many exports.
    MeterSn,
    #[default]
    MeterId,
    EndpointSn,
}

const COLUMNS: [(Column, &str); 3] = [
    (Column::MeterSn, "Meter_SN"),
    (Column::MeterId, "Meter_ID"),
    (Column::EndpointSn, "Endpoint_SN"),
];
/// A longer row is refused, in bytes: the parser would keep a number of eight bytes for each comma of
/// a row, however long it is. Rows of the 48 columns have some 600.
const ROW_BYTES_MAX: usize = 6 << 10;
const READ_AHEAD_BYTES: usize = 2 << 10;
const COLUMNS_MAX: usize = 256;
/// Without these no row can be read.
const NEEDED: [&str; 3] = ["Read", "Read_Time", "Read_Unit"];

impl Default for Identity {
    fn default() -> Self {
        Self { column: Column::default(), flow_s: Some(3_600) }
    }
}

/// The text names no column that identifies a meter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no identity of a meter: write Meter_SN, Meter_ID or Endpoint_SN")]
pub struct ColumnError(String);

impl FromStr for Column {
    type Err = ColumnError;

    fn from_str(text: &str) -> Result<Self, ColumnError> {
        let found = COLUMNS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.map(|(column, _)| *column).ok_or_else(|| ColumnError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(COLUMNS.iter().find(|(column, _)| column == self).map_or("", |(_, name)| name))
    }
}

pub(super) fn read(
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<Option<UtcTime>, LineFault> {
    let whole = |reason, detail: String| LineFault::new(1, reason, detail, "");
    let Some(zone) = context.zone else {
        let detail = "BEACON times have no zone: name the one of the utility";
        return Err(whole(RejectReason::NoZone, detail.to_owned()));
    };
    let bytes = bytes.strip_prefix(super::text::BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = text_of(bytes, context.encoding)
        .ok_or_else(|| whole(RejectReason::BadFormat, "the file is no UTF-8".to_owned()))?;
    let left = Cell::new(ROW_BYTES_MAX);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(READ_AHEAD_BYTES)
        .from_reader(RowBound { text: text.as_bytes(), left: &left });
    let mut row = csv::StringRecord::new();
    match reader.read_record(&mut row) {
        Ok(true) => {}
        Ok(false) => return Err(whole(RejectReason::Empty, "the file has no header".to_owned())),
        Err(error) => return Err(whole(RejectReason::BadFormat, error.to_string())),
    }
    if row.len() > COLUMNS_MAX {
        let detail = format!("the header has {} columns, the limit is {COLUMNS_MAX}", row.len());
        return Err(whole(RejectReason::BadFormat, detail));
    }
    let head = row.clone();
    let columns: BTreeMap<&str, usize> =
        head.iter().enumerate().map(|(at, name)| (name.trim(), at)).collect();
    let identity = context.identity.column.to_string();
    for name in NEEDED.into_iter().chain([identity.as_str()]) {
        if !columns.contains_key(name) {
            return Err(whole(
                RejectReason::BadFormat,
                format!("the header has no column `{name}`"),
            ));
        }
    }
    let header = text.get(..at(&reader)).unwrap_or("");
    loop {
        let (from, line) = (at(&reader), reader.position().line());
        left.set(ROW_BYTES_MAX);
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.is_io_error() => {
                let detail = format!("a row of more than {ROW_BYTES_MAX} bytes: is a quote open?");
                return Err(LineFault::new(line, RejectReason::TooLarge, detail, ""));
            }
            Err(error) => {
                sink.fault(LineFault::new(line, RejectReason::BadFormat, error.to_string(), ""));
                continue;
            }
        }
        let raw = text.get(from..at(&reader)).unwrap_or("");
        let line = row.position().map_or(line, csv::Position::line);
        let row =
            Row { columns: &columns, fields: &row, width: head.len(), line, raw, zone, context };
        match row.record(header) {
            Ok(record) => sink.record(record),
            Err(fault) => sink.fault(fault),
        }
    }
}

/// A text that gives no more of a row than is allowed.
struct RowBound<'t> {
    text: &'t [u8],
    left: &'t Cell<usize>,
}

impl Read for RowBound<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !self.text.is_empty() {
            return Err(io::Error::other("the first row is too long"));
        }
        let some = into.len().min(left);
        let read = self.text.read(&mut into[..some])?;
        self.left.set(left - read);
        Ok(read)
    }
}

fn at(reader: &csv::Reader<RowBound<'_>>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

struct Row<'r> {
    columns: &'r BTreeMap<&'r str, usize>,
    fields: &'r csv::StringRecord,
    width: usize,
    line: u64,
    raw: &'r str,
    zone: &'r jiff::tz::TimeZone,
    context: &'r FileContext<'r>,
}

impl Row<'_> {
    fn get(&self, name: &str) -> &str {
        self.columns.get(name).and_then(|at| self.fields.get(*at)).map_or("", str::trim)
    }

    fn fault(&self, reason: RejectReason, detail: impl Into<String>) -> LineFault {
        LineFault::new(self.line, reason, detail, self.raw)
    }

    fn record(&self, header: &str) -> Result<FileRecord, LineFault> {
        if self.fields.len() != self.width {
            let detail = format!("{} fields, the header has {}", self.fields.len(), self.width);
            return Err(self.fault(RejectReason::BadFormat, detail));
        }
        let id = self.get(&self.context.identity.column.to_string());
        if id.is_empty() {
            let detail = format!("{} is empty", self.context.identity.column);
            return Err(self.fault(RejectReason::NoIdentity, detail));
        }
        let heard_at = ObservedTime::arrival(self.context.received_at);
        let mut report = DeviceReport::new(SourceId::new("badger", id), heard_at);
        let mut quality = Vec::new();
        let told = match self.get("Estimated_Flag") {
            "" | "0" | "false" | "False" | "N" => ReadQuality::Actual,
            "1" | "true" | "True" | "Y" => ReadQuality::Estimated,
            _ => ReadQuality::Suspect,
        };
        self.register(&mut report, told, &mut quality)?;
        self.flow(&mut report, told, &mut quality)?;
        if report.observations.is_empty() {
            return Err(self.fault(RejectReason::BadValue, "neither Read nor Flow holds a value"));
        }
        self.status(&mut report);
        let raw = format!("{header}{}", self.raw).into_bytes();
        Ok(FileRecord { line: self.line, raw, report, quality })
    }

    fn register(
        &self,
        report: &mut DeviceReport,
        told: ReadQuality,
        quality: &mut Vec<QualityRun>,
    ) -> Result<(), LineFault> {
        let Some(value) = self.number("Read")? else { return Ok(()) };
        let time = self.time("Read_Time")?;
        let raw = self.get("Raw_Read");
        let agrees = raw.is_empty() || decimal(raw).is_some_and(|raw| same_digits(raw, value));
        let told = if agrees { told } else { ReadQuality::Suspect };
        report.observations.push(Observation::Register {
            digits: Digits::Told,
            field: "read".into(),
            unit: Some(self.unit("Read_Unit")?),
            value: Some(value),
            modulus: None,
            time,
            history: false,
            suspect: !agrees,
        });
        quality.push(QualityRun::at(time.at, told).coded(self.get("Estimated_Flag")));
        Ok(())
    }

    fn flow(
        &self,
        report: &mut DeviceReport,
        told: ReadQuality,
        quality: &mut Vec<QualityRun>,
    ) -> Result<(), LineFault> {
        let (Some(len_s), Some(value)) = (self.context.identity.flow_s, self.number("Flow")?)
        else {
            return Ok(());
        };
        let time = self.time("Flow_Time")?;
        let len = i64::from(len_s);
        // Radio reads are stamped some minutes beside the hour that they close.
        let end = time.at.plus_seconds(len / 2).floor_to(len);
        report.observations.push(Observation::Series {
            field: "flow".into(),
            unit: Some(self.unit("Flow_Unit")?),
            len_s,
            first_end: end,
            exponent: value.exponent(),
            values: vec![Some(value.mantissa())],
            flags: Vec::new(),
            time: ObservedTime { at: end, ..time },
            history: true,
        });
        let run = QualityRun::new(end.plus_seconds(-len), end, told);
        quality.push(run.coded(self.get("Estimated_Flag")));
        Ok(())
    }

    fn number(&self, name: &str) -> Result<Option<Exact>, LineFault> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || self.fault(RejectReason::BadValue, format!("{name} `{text}` is no number"));
        decimal(text).map(Some).ok_or_else(bad)
    }

    fn time(&self, name: &str) -> Result<ObservedTime, LineFault> {
        let text = self.get(name);
        let bad = || {
            let detail = format!("{name} `{text}` is no time YYYY-MM-DD hh:mm");
            self.fault(RejectReason::BadFormat, detail)
        };
        let local = parse_local(text).or_else(|| parse_local(&format!("{text}:00")));
        let local = local.ok_or_else(bad)?;
        in_zone(local, self.zone, self.context.received_at, TimeOrigin::Device).ok_or_else(bad)
    }

    fn unit(&self, name: &str) -> Result<Unit, LineFault> {
        let text = self.get(name);
        let unit = match text.to_ascii_lowercase().as_str() {
            "gallons" | "gallon" | "gal" => Some(Unit::GallonUs),
            "ccf" => Some(Unit::HundredCubicFeet),
            "cf" | "cubic feet" | "ft3" => Some(Unit::CubicFoot),
            "cubic meters" | "cubic metres" | "cm" | "m3" => Some(Unit::CubicMetre),
            "liters" | "litres" | "l" => Some(Unit::Litre),
            _ => None,
        };
        let detail =
            || format!("{name} `{text}` is no unit that is known: Gallons, CCF, CF, m3 or L");
        unit.ok_or_else(|| self.fault(RejectReason::BadFormat, detail()))
    }

    fn status(&self, report: &mut DeviceReport) {
        let at = report.observations.first().map_or(report.heard_at, Observation::time);
        let (battery, leak) = (self.get("Battery_Level"), self.get("Current_Leak_Rate"));
        let battery_bad = !["", "good", "ok", "normal", "unknown"]
            .contains(&battery.to_ascii_lowercase().as_str());
        if battery_bad {
            let detail = format!("battery level {battery}");
            report.events.push(ObservedEvent::level(EventCode::BatteryLow, at, detail));
        }
        if decimal(leak).is_some_and(|rate| rate.mantissa() > 0) {
            let detail = format!("leak rate {leak} since {}", self.get("Current_Leak_Start_Date"));
            report.events.push(ObservedEvent::level(EventCode::Leak, at, detail));
        }
        let mut words = Vec::new();
        for name in ["Battery_Level", "Signal_Strength", "Estimated_Flag", "Raw_Read"] {
            let value: String = self.get(name).chars().take(40).collect();
            if !value.is_empty() {
                words.push(format!("{name}={value}"));
            }
        }
        report.raw_status = crate::format::printable(words.join(" "));
    }
}

/// The same digits, whatever the place of the point and the zeros around them.
fn same_digits(left: Exact, right: Exact) -> bool {
    let bare = |number: Exact| {
        let mut mantissa = number.mantissa();
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
        }
        mantissa
    };
    bare(left) == bare(right)
}
