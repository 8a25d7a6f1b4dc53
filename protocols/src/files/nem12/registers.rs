//! NEM13: the previous and the current read of a register, in one 250 record.

use metering::{Exact, SourceId, UtcTime};

use super::super::text::{at_offset, decimal, stamp};
use super::super::{FileRecord, LineFault, QualityRun, ReadQuality};
use super::{Fields, OFFSET_HOURS, Reader, nmi, serial, told, unit};
use crate::format::RejectReason;
use crate::observation::{DeviceReport, Digits, Observation, ObservedTime, TimeOrigin};

struct Read {
    at: UtcTime,
    value: Exact,
    run: QualityRun,
}

pub(super) fn read(fields: &Fields<'_>, reader: &Reader<'_>) -> Result<FileRecord, LineFault> {
    let (nmi, suffix) = (nmi(fields)?, fields.get(4));
    if suffix.is_empty() || suffix.len() > 4 {
        return Err(fields.fault(format!("`{suffix}` is no NMI suffix such as 11 or E1")));
    }
    if !["E", "I"].contains(&fields.get(7)) {
        let detail = format!("`{}` is no direction: E (export to customer) or I", fields.get(7));
        return Err(fields.fault(detail));
    }
    let unit = unit(fields, fields.get(19))?;
    let quantity = fields.get(18);
    if decimal(quantity).is_none() {
        return Err(fields.bad_value(format!("the quantity `{quantity}` is no number")));
    }
    let (before, now) = (one(fields, 8)?, one(fields, 13)?);
    if now.at <= before.at {
        return Err(fields.fault("the current read is not later than the previous one"));
    }
    let source = SourceId::new("nmi", nmi);
    let mut report = DeviceReport::new(source, ObservedTime::arrival(reader.context.received_at));
    report.raw_status = format!("{} quantity={quantity}", serial(fields.get(6), fields.get(3)));
    let mut quality = Vec::with_capacity(2);
    for read in [before, now] {
        let missing = read.run.quality == ReadQuality::Missing;
        report.observations.push(Observation::Register {
            digits: Digits::Told,
            field: suffix.to_owned().into(),
            unit: Some(unit),
            value: (!missing).then_some(read.value),
            modulus: None,
            time: ObservedTime::sure(read.at, TimeOrigin::Device),
            history: false,
            suspect: false,
        });
        quality.push(read.run);
    }
    let line = fields.line.text.trim_end_matches(',');
    let raw = format!("{}\n{line}\n900\n", reader.header).into_bytes();
    Ok(FileRecord { line: fields.line.number, raw, report, quality })
}

/// Read, date-time, quality, reason code and text from field `at` on.
fn one(fields: &Fields<'_>, at: usize) -> Result<Read, LineFault> {
    let text = fields.get(at);
    let value = decimal(text).filter(|value| !value.is_negative());
    let value = value.ok_or_else(|| fields.bad_value(format!("`{text}` is no register read")))?;
    let time = fields.get(at + 1);
    let when = stamp(time).filter(|_| time.len() == 14);
    let when = when.and_then(|local| at_offset(local, OFFSET_HOURS));
    let when = when.ok_or_else(|| {
        let detail = format!("`{time}` is no read time YYYYMMDDhhmmss");
        fields.line.fault(RejectReason::BadFormat, detail)
    })?;
    let told = told(fields, at + 2, false)?;
    let mut run = QualityRun::at(when, told.quality.unwrap_or(ReadQuality::Suspect));
    run = run.coded(&told.code);
    (run.reason, run.reason_text) = (told.reason, told.reason_text);
    Ok(Read { at: when, value, run })
}
