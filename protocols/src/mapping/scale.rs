//! Values of a message as exact numbers, and the literals they are compared with.

use metering::Exact;

use super::Literal;
use crate::json::Value;

/// The number of a value, exactly; `comma`: the decimal sign of texts.
pub(super) fn number(value: &Value<'_>, comma: bool) -> Option<Exact> {
    match value {
        Value::Number(digits) => digits.parse().ok(),
        Value::Text(text) if comma => text.trim().replace(',', ".").parse().ok(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The product, exactly; `None` beyond 18 digits.
pub(crate) fn times(value: Exact, factor: Exact) -> Option<Exact> {
    let mut mantissa = i128::from(value.mantissa()).checked_mul(i128::from(factor.mantissa()))?;
    let mut exponent = i32::from(value.exponent()) + i32::from(factor.exponent());
    while mantissa != 0
        && mantissa % 10 == 0
        && (i64::try_from(mantissa).is_err() || exponent < -18)
    {
        mantissa /= 10;
        exponent += 1;
    }
    if mantissa == 0 {
        return Some(Exact::ZERO);
    }
    Exact::new(i64::try_from(mantissa).ok()?, i8::try_from(exponent).ok()?).ok()
}

/// The value in units of `10^-6`, cut; for stamps.
pub(super) fn micros_of(seconds: Exact, per_second: i32) -> Option<i64> {
    // Power of ten from the sender's unit to microseconds.
    let power = i32::from(seconds.exponent()) + 6 - per_second;
    let mantissa = i128::from(seconds.mantissa());
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    let micros = if power >= 0 { mantissa.checked_mul(factor)? } else { mantissa / factor };
    i64::try_from(micros).ok()
}

impl Literal {
    /// Numbers are compared as numbers, `5` and `5.0` alike.
    pub(crate) fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(told)) => wanted == told,
            (Self::Text(wanted), Value::Text(told)) => wanted == told.trim(),
            (Self::Number(wanted), told) => number(told, false).is_some_and(|n| same(*wanted, n)),
            // `true` and `ON` in a column of CSV are texts.
            (Self::Bool(wanted), Value::Text(told)) => told.trim() == wanted.to_string(),
            _ => false,
        }
    }
}

fn same(left: Exact, right: Exact) -> bool {
    match (left.times(metering::exact::Ratio::ONE), right.times(metering::exact::Ratio::ONE)) {
        (Ok(left), Ok(right)) => {
            let cross = |a: i128, b: i128| a.checked_mul(b);
            cross(left.num(), right.den())
                .is_some_and(|product| cross(right.num(), left.den()) == Some(product))
        }
        _ => false,
    }
}
