//! CMEP, record type MEPMD01: metering data as lines of comma-separated fields.
//!
//! Source: California Metering Exchange Protocol, record MEPMD01: 14 header fields (record type,
//! version, sender, sender's customer, receiver, receiver's customer, time stamp, meter, purpose,
//! commodity, unit, constant, interval as MMDDHHMM, count), then `count` triplets of time, flag and
//! value. A meter is `cmep:METER` by field 8 or, where that is empty, field 6; a channel's field the
//! unit as sent (`GALREG`, `KWH`). A unit that ends in REG is a cumulative register, read at the time
//! that stands there; any other is the use of the interval that ends there, placed in the nearest
//! slot. Values are multiplied by the constant. Times are local, in the configured zone; an empty one
//! is the previous plus the interval.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use metering::{Exact, Ratio, SourceId, Unit, UtcTime};

use super::series::{aligned, decimal_of};
use super::text::{Line, Lines, decimal, digits, stamp};
use super::{FileContext, FileRecord, LineFault, QualityRun, ReadQuality, Sink};
use crate::format::RejectReason;
use crate::observation::{DeviceReport, Digits, Observation, ObservedTime, TimeOrigin};
use crate::stamp::in_zone;

const HEADER: usize = 14;
/// Most triplets of one record: a month of minutes.
const COUNT_MAX: usize = 44_640;

pub(super) fn read(
    context: &FileContext<'_>,
    bytes: &[u8],
    sink: &mut dyn Sink,
) -> Result<Option<UtcTime>, LineFault> {
    let Some(zone) = context.zone else {
        let detail = "CMEP times have no zone: name the one of the sender";
        return Err(LineFault::new(0, RejectReason::NoZone, detail, ""));
    };
    let mut created_at = None;
    for line in Lines::new(bytes, context.encoding) {
        let outcome = line.and_then(|line| {
            if line.is_blank() {
                return Ok(());
            }
            let (record, stamped) = record(&line, zone, context.received_at)?;
            created_at = created_at.max(stamped);
            sink.record(record);
            Ok(())
        });
        if let Err(fault) = outcome {
            sink.fault(fault);
        }
    }
    Ok(created_at)
}

/// What the header says.
struct Header<'l> {
    unit: Unit,
    field: &'l str,
    is_register: bool,
    constant: Option<Ratio>,
    /// Seconds; `None` where the record gives none, or months.
    interval_s: Option<i64>,
    count: usize,
}

struct Triplet {
    /// As sent.
    local: DateTime,
    at: ObservedTime,
    quality: ReadQuality,
    code: String,
    value: Option<Exact>,
}

fn record(
    line: &Line<'_>,
    zone: &TimeZone,
    received_at: UtcTime,
) -> Result<(FileRecord, Option<UtcTime>), LineFault> {
    let mut fields = line.text.split(',').map(str::trim);
    let mut head = [""; HEADER];
    for place in &mut head {
        *place = fields.next().ok_or_else(|| {
            line.fault(RejectReason::BadFormat, "the record ends within its 14 header fields")
        })?;
    }
    let header = header(line, &head)?;
    let triplets = triplets(line, &header, fields, (zone, received_at))?;
    let meter = [head[7], head[5]].into_iter().find(|name| !name.is_empty()).ok_or_else(|| {
        let detail = "neither the meter (field 8) nor the receiver's customer (field 6) is named";
        line.fault(RejectReason::NoIdentity, detail)
    })?;
    let heard_at = ObservedTime::arrival(received_at);
    let mut report = DeviceReport::new(SourceId::new("cmep", meter), heard_at);
    report.raw_status = crate::format::printable(
        format!("receiver={} commodity={} constant={}", head[5], head[9], head[11])
            .chars()
            .take(200)
            .collect(),
    );
    let mut quality = Vec::new();
    if header.is_register {
        registers(&header, &triplets, &mut report, &mut quality);
    } else {
        intervals(line, &header, &triplets, &mut report, &mut quality)?;
    }
    let stamped = stamp(head[6]).and_then(|local| local_time(local, zone, received_at));
    let raw = format!("{}\n", line.text).into_bytes();
    let record = FileRecord { line: line.number, raw, report, quality };
    Ok((record, stamped.map(|time| time.at)))
}

fn header<'l>(line: &Line<'_>, head: &[&'l str; HEADER]) -> Result<Header<'l>, LineFault> {
    let bad = |detail: String| line.fault(RejectReason::BadFormat, detail);
    if head[0] != "MEPMD01" {
        return Err(line.fault(
            RejectReason::UnknownType,
            format!("`{}` is no record that is known: MEPMD01", head[0]),
        ));
    }
    let (unit, is_register) = unit(head[10]).ok_or_else(|| {
        bad(format!("`{}` is no unit that is known, such as KWH or GALREG", head[10]))
    })?;
    let constant = match head[11] {
        "" => None,
        text => {
            let constant = decimal(text).filter(|c| c.mantissa() > 0);
            let constant = constant
                .ok_or_else(|| bad(format!("the constant `{text}` is no positive number")))?;
            (constant != Exact::whole(1)).then(|| constant.times(Ratio::whole(1)).ok()).flatten()
        }
    };
    let count = digits(head[13].as_bytes()).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| (1..=COUNT_MAX).contains(count)).ok_or_else(|| {
        bad(format!("the count `{}` is no number from 1 to {COUNT_MAX}", head[13]))
    })?;
    let interval_s = interval(head[12]).map_err(bad)?;
    Ok(Header { unit, field: head[10], is_register, constant, interval_s, count })
}

/// MMDDHHMM: months, days, hours, minutes.
fn interval(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || format!("the interval `{text}` is not MMDDHHMM");
    if text.len() != 8 || !text.is_ascii() {
        return Err(bad());
    }
    let part = |at: usize| digits(&text.as_bytes()[at..at + 2]).map(i64::from).ok_or_else(bad);
    let (months, days, hours, minutes) = (part(0)?, part(2)?, part(4)?, part(6)?);
    let seconds = days * 86_400 + hours * 3_600 + minutes * 60;
    Ok((months == 0 && seconds > 0).then_some(seconds))
}

fn triplets<'l>(
    line: &Line<'_>,
    header: &Header<'_>,
    mut fields: impl Iterator<Item = &'l str>,
    (zone, received_at): (&TimeZone, UtcTime),
) -> Result<Vec<Triplet>, LineFault> {
    let bad = |detail: String| line.fault(RejectReason::BadFormat, detail);
    // Never more than the line can hold, whatever it says of itself.
    let mut found: Vec<Triplet> = Vec::with_capacity(header.count.min(line.text.len() / 32 + 1));
    while let Some(time) = fields.next() {
        let (Some(flag), Some(value)) = (fields.next(), fields.next()) else {
            if time.is_empty() && found.len() == header.count {
                break;
            }
            return Err(bad(format!("triplet {} is cut off", found.len() + 1)));
        };
        if time.is_empty() && flag.is_empty() && value.is_empty() && found.len() == header.count {
            continue;
        }
        let n = found.len() + 1;
        if n > header.count {
            return Err(bad(format!(
                "more than the {} triplets that the count says",
                header.count
            )));
        }
        let local = match (time, found.last(), header.interval_s) {
            ("", Some(before), Some(seconds)) => {
                before.local.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
            }
            (text, ..) => stamp(text),
        };
        let local =
            local.ok_or_else(|| bad(format!("time {n} is `{time}`: YYYYMMDDHHMM is wanted")))?;
        let at = local_time(local, zone, received_at)
            .ok_or_else(|| bad(format!("time {n}, `{time}`, does not exist")))?;
        found.push(Triplet {
            local,
            at,
            quality: quality(flag),
            code: flag.to_owned(),
            value: scaled(line, header, (n, value))?,
        });
    }
    if found.len() != header.count {
        return Err(bad(format!("{} triplets, the count says {}", found.len(), header.count)));
    }
    Ok(found)
}

fn scaled(
    line: &Line<'_>,
    header: &Header<'_>,
    (n, text): (usize, &str),
) -> Result<Option<Exact>, LineFault> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        |what: &str| line.fault(RejectReason::BadValue, format!("value {n}, `{text}`, {what}"));
    let value = decimal(text).ok_or_else(|| wrong("is no number"))?;
    let Some(constant) = header.constant else { return Ok(Some(value)) };
    // Both are decimal, so the product is.
    let product = value.times(constant).ok().and_then(decimal_of);
    product.map(Some).ok_or_else(|| wrong("times the constant has too many digits"))
}

/// The earlier of the two instants of a repeated hour when the arrival does not tell.
fn local_time(local: DateTime, zone: &TimeZone, received_at: UtcTime) -> Option<ObservedTime> {
    in_zone(local, zone, received_at, TimeOrigin::Device)
}

/// The first letter: R is raw, E an estimate; of others nothing is known.
fn quality(flag: &str) -> ReadQuality {
    match flag.as_bytes().first() {
        Some(b'R') => ReadQuality::Actual,
        Some(b'E') => ReadQuality::Estimated,
        Some(b'N') => ReadQuality::Missing,
        _ => ReadQuality::Suspect,
    }
}

fn registers(
    header: &Header<'_>,
    triplets: &[Triplet],
    report: &mut DeviceReport,
    quality: &mut Vec<QualityRun>,
) {
    for triplet in triplets {
        report.observations.push(Observation::Register {
            digits: Digits::Told,
            field: header.field.to_owned().into(),
            unit: Some(header.unit),
            value: triplet.value.filter(|_| triplet.quality != ReadQuality::Missing),
            modulus: None,
            time: triplet.at,
            history: false,
            suspect: triplet.quality == ReadQuality::Suspect,
        });
        quality.push(QualityRun::at(triplet.at.at, triplet.quality).coded(&triplet.code));
    }
}

/// Interval values: each in its nearest slot; a stretch without a hole is one series.
fn intervals(
    line: &Line<'_>,
    header: &Header<'_>,
    triplets: &[Triplet],
    report: &mut DeviceReport,
    quality: &mut Vec<QualityRun>,
) -> Result<(), LineFault> {
    let bad = |detail: String| line.fault(RejectReason::BadFormat, detail);
    let Some(len) = header.interval_s else {
        return Err(bad("interval values need an interval of days, hours or minutes".to_owned()));
    };
    let len_s = i32::try_from(len).map_err(|_| bad("the interval is too long".to_owned()))?;
    let slot = |at: UtcTime| at.plus_seconds(len / 2).floor_to(len);
    let mut open: Vec<(&Triplet, UtcTime)> = Vec::new();
    let mut close = |open: &mut Vec<(&Triplet, UtcTime)>| -> Result<(), LineFault> {
        let (Some(first), Some(last)) = (open.first(), open.last()) else { return Ok(()) };
        let (first_end, time) = (first.1, ObservedTime { at: last.1, ..last.0.at });
        let values: Vec<Option<Exact>> = open
            .iter()
            .map(|(triplet, _)| triplet.value.filter(|_| triplet.quality != ReadQuality::Missing))
            .collect();
        let (exponent, values) = aligned(&values).ok_or_else(|| {
            line.fault(RejectReason::OutOfRange, "the values do not fit into 63 bits")
        })?;
        report.observations.push(Observation::Series {
            field: header.field.to_owned().into(),
            unit: Some(header.unit),
            len_s,
            first_end,
            exponent,
            values,
            flags: Vec::new(),
            time,
            history: true,
        });
        open.clear();
        Ok(())
    };
    for triplet in triplets {
        let end = slot(triplet.at.at);
        if open.last().is_some_and(|(_, before)| before.plus_seconds(len) != end) {
            close(&mut open)?;
        }
        open.push((triplet, end));
        let mut run = QualityRun::new(end.plus_seconds(-len), end, triplet.quality);
        run = run.coded(&triplet.code);
        match quality.last_mut() {
            Some(last) if last.to == run.from && last.code == run.code => last.to = run.to,
            _ => quality.push(run),
        }
    }
    close(&mut open)
}

/// The unit, and whether it is a register.
fn unit(text: &str) -> Option<(Unit, bool)> {
    const UNITS: [(&str, Unit); 14] = [
        ("KWH", Unit::KilowattHour),
        ("SKWH", Unit::KilowattHour),
        ("WH", Unit::WattHour),
        ("MWH", Unit::MegawattHour),
        ("KVARH", Unit::KilovarHour),
        ("KVAR", Unit::KilovarHour),
        ("THERM", Unit::Therm),
        ("GAL", Unit::GallonUs),
        ("CF", Unit::CubicFoot),
        ("FT3", Unit::CubicFoot),
        ("CCF", Unit::HundredCubicFeet),
        ("M3", Unit::CubicMetre),
        ("CM", Unit::CubicMetre),
        ("L", Unit::Litre),
    ];
    let upper = text.to_ascii_uppercase();
    let (name, is_register) = match upper.strip_suffix("REG") {
        Some(name) => (name, true),
        None => (upper.as_str(), false),
    };
    UNITS.iter().find(|(known, _)| *known == name).map(|(_, unit)| (*unit, is_register))
}
