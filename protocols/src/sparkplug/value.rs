//! A metric's value as a number, by its datatype (Eclipse Sparkplug 3.0.0, section 6.4.16).

use metering::Exact;

use super::wire::{Metric, Told};
use crate::format::RejectReason;

/// What a metric says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said<'a> {
    /// Explicitly not available.
    Null,
    Number(Exact),
    Bool(bool),
    Text(&'a str),
    /// Times, bytes, data sets, templates.
    Nothing,
}

/// The value, by the datatype of the birth.
///
/// # Errors
/// It cannot be kept: reason and detail.
pub(super) fn said<'a>(
    metric: &Metric<'a>,
    datatype: u32,
) -> Result<Said<'a>, (RejectReason, String)> {
    if metric.is_null {
        return Ok(Said::Null);
    }
    match (datatype, metric.value) {
        (_, Told::Nothing) => Ok(Said::Null),
        (1..=8, Told::Int(bits)) => integer(datatype, u64::from(bits)),
        (1..=8, Told::Long(bits)) => integer(datatype, bits),
        (9 | 10, Told::Float(value)) => float(format!("{value:e}"), value.is_finite()),
        (9 | 10, Told::Double(value)) => float(format!("{value:e}"), value.is_finite()),
        (11, Told::Bool(value)) => Ok(Said::Bool(value)),
        (12 | 14 | 15, Told::Text(text)) => Ok(Said::Text(text)),
        (13 | 16..=34, _) => Ok(Said::Nothing),
        (known, _) => {
            let why = format!("the value does not fit datatype {known} of the birth");
            Err((RejectReason::BadValue, why))
        }
    }
}

fn integer(datatype: u32, bits: u64) -> Result<Said<'static>, (RejectReason, String)> {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    let value = match datatype {
        1 => i64::from(i8::from_le_bytes([a])),
        2 => i64::from(i16::from_le_bytes([a, b])),
        3 => i64::from(i32::from_le_bytes([a, b, c, d])),
        4 => i64::from_le_bytes(bits.to_le_bytes()),
        5 => i64::from(a),
        6 => i64::from(u16::from_le_bytes([a, b])),
        7 => i64::from(u32::from_le_bytes([a, b, c, d])),
        _ => i64::try_from(bits).map_err(|_| {
            let why = format!("a UInt64 of {bits} exceeds {}", i64::MAX);
            (RejectReason::OutOfRange, why)
        })?,
    };
    Ok(Said::Number(Exact::whole(value)))
}

/// The shortest decimal that names this float; no other digits are invented.
fn float(text: String, finite: bool) -> Result<Said<'static>, (RejectReason, String)> {
    if !finite {
        // NaN is how floats say "not available"; it is never 0.
        return Ok(Said::Null);
    }
    let number: Result<Exact, _> = text.parse();
    number.map(Said::Number).map_err(|error| (RejectReason::BadValue, format!("{text}: {error}")))
}
