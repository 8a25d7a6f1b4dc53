//! The CSV bundle: one value a row, for senders that can print but not nest.

use metering::{DeviceFlags, Exact, Unit, UtcTime};

use super::{
    LEN_S_MAX, VALUES_MAX, checked_name, device_time, field_name, note_clock, parse_stamp,
    source_of,
};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::{DeviceReport, Digits, Observation, ObservedTime};

const HEADER: [&str; 9] = ["v1", "meter", "field", "kind", "unit", "time", "len", "value", "flags"];

/// One row, read but not yet placed.
struct Row<'a> {
    collector: &'a str,
    meter: &'a str,
    field: &'a str,
    kind: &'a str,
    unit: Option<Unit>,
    time: UtcTime,
    len_s: i32,
    value: Option<Exact>,
    flags: DeviceFlags,
}

pub(super) fn decode(
    context: &DecodeContext<'_>,
    text: &str,
) -> Result<Vec<DeviceReport>, Rejected> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(text.as_bytes());
    let mut reports: Vec<DeviceReport> = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut line = 0_u64;
    loop {
        line += 1;
        let more = reader.read_record(&mut record);
        if !more.map_err(|e| RejectReason::BadFormat.because(format!("line {line}: {e}")))? {
            break;
        }
        if line == 1 {
            if record != HEADER[..] {
                return Err(RejectReason::BadFormat
                    .because(format!("the header must be `{}`", HEADER.join(","))));
            }
            continue;
        }
        let placed = row_of(&record).and_then(|row| place(context, &mut reports, &row));
        placed.map_err(|refused| {
            refused.reason.because(format!("line {line}: {}", refused.detail))
        })?;
    }
    for report in &mut reports {
        note_clock(report, context);
    }
    Ok(reports)
}

fn row_of(record: &csv::StringRecord) -> Result<Row<'_>, Rejected> {
    let cell = |n: usize| record.get(n).unwrap_or("").trim_ascii();
    let refuse = |what: String| RejectReason::BadFormat.because(what);
    let unit = match cell(4) {
        "" => None,
        unit => Some(unit.parse().map_err(|e| refuse(format!("{e}")))?),
    };
    let len_s = match cell(6) {
        "" => 0,
        len => len.parse().map_err(|_| refuse(format!("len `{len}` is no number of seconds")))?,
    };
    let value = match cell(7) {
        "" => None,
        value => Some(
            value
                .parse()
                .map_err(|e| RejectReason::BadValue.because(format!("value `{value}`: {e}")))?,
        ),
    };
    let flags = match cell(8) {
        "" => 0,
        flags => flags.parse().map_err(|_| refuse(format!("flags `{flags}` are no number")))?,
    };
    Ok(Row {
        collector: cell(0),
        meter: checked_name("meter", cell(1))?,
        field: cell(2),
        kind: cell(3),
        unit,
        time: parse_stamp("time", cell(5))?,
        len_s,
        value,
        flags: DeviceFlags::from_bits(flags),
    })
}

/// Adds the row to its meter's report; consecutive intervals grow into one series.
fn place(
    context: &DecodeContext<'_>,
    reports: &mut Vec<DeviceReport>,
    row: &Row<'_>,
) -> Result<(), Rejected> {
    let collector = match row.collector {
        "" => context.collector.map(str::to_owned),
        code => Some(checked_name("collector", code)?.to_owned()),
    };
    let source_id = source_of("ami", row.meter);
    let same = reports
        .last()
        .is_some_and(|last| last.source_id == source_id && last.collector == collector);
    if !same {
        let heard_at = ObservedTime::arrival(context.received_at);
        let report = DeviceReport { collector, ..DeviceReport::new(source_id, heard_at) };
        reports.push(report);
    }
    let Some(report) = reports.last_mut() else { return Ok(()) };
    let time = device_time(row.time, context);
    let (unit, value) = (row.unit, row.value);
    match row.kind {
        "interval" => return place_interval(context, report, row),
        "register" => report.observations.push(Observation::Register {
            digits: Digits::Told,
            field: field_name(row.field)?,
            unit,
            value,
            modulus: None,
            time,
            history: false,
            suspect: false,
        }),
        "instant" => report.observations.push(Observation::Instant {
            digits: Digits::Told,
            field: field_name(row.field)?,
            unit,
            value,
            time,
            history: false,
        }),
        kind => {
            return Err(RejectReason::BadFormat
                .because(format!("kind `{kind}` is none of interval, register, instant")));
        }
    }
    Ok(())
}

fn place_interval(
    context: &DecodeContext<'_>,
    report: &mut DeviceReport,
    row: &Row<'_>,
) -> Result<(), Rejected> {
    if !(1..=LEN_S_MAX).contains(&row.len_s) {
        return Err(RejectReason::BadFormat
            .because(format!("len `{}` must be 1 to {LEN_S_MAX} seconds", row.len_s)));
    }
    let exponent = row.value.map_or(0, Exact::exponent);
    let mantissa = row.value.map(Exact::mantissa);
    let next = device_time(row.time, context);
    if let Some(Observation::Series {
        field,
        unit,
        len_s,
        first_end,
        exponent: exp,
        values,
        flags,
        time,
        ..
    }) = report.observations.last_mut()
    {
        let steps = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let due = first_end.plus_seconds(steps.saturating_mul(i64::from(*len_s)));
        let fits = field.as_ref() == row.field
            && (*unit, *len_s, due) == (row.unit, row.len_s, row.time)
            && (mantissa.is_none() || *exp == exponent)
            && values.len() < VALUES_MAX;
        if fits {
            values.push(mantissa);
            flags.push(row.flags);
            *time = ObservedTime { doubtful: time.doubtful || next.doubtful, ..next };
            return Ok(());
        }
    }
    report.observations.push(Observation::Series {
        field: field_name(row.field)?,
        unit: row.unit,
        len_s: row.len_s,
        first_end: row.time,
        exponent,
        values: vec![mantissa],
        flags: vec![row.flags],
        time: next,
        history: false,
    });
    Ok(())
}
