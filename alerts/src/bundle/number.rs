//! Numbers of a bundle in the unit of their parameter, exactly or not at all.

use crate::expr::{Dimension, Expr, Unit, parse};

/// A decimal number as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Decimal {
    mantissa: i128,
    decimals: u32,
}

impl Decimal {
    pub(super) fn whole(number: i64) -> Self {
        Self { mantissa: i128::from(number), decimals: 0 }
    }

    /// Digits with an optional sign and point; no exponent.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
        if behind.len() > 9 || whole.len() > 19 {
            return None;
        }
        let mantissa = format!("{whole}{behind}").replace('_', "").parse().ok()?;
        Some(Self { mantissa, decimals: u32::try_from(behind.len()).ok()? })
    }

    /// Times `numerator / denominator`, when that is whole.
    fn scaled(self, numerator: i128, denominator: i128) -> Option<i64> {
        let divisor = 10_i128.checked_pow(self.decimals)?.checked_mul(denominator)?;
        let product = self.mantissa.checked_mul(numerator)?;
        if product % divisor != 0 {
            return None;
        }
        i64::try_from(product / divisor).ok()
    }

    /// Times `scale`, when that is whole.
    pub(super) fn times(self, scale: i64) -> Option<i64> {
        self.scaled(i128::from(scale), 1)
    }

    pub(super) fn as_f64(self) -> f64 {
        let mut value = self.mantissa as f64;
        for _ in 0..self.decimals {
            value /= 10.0;
        }
        value
    }
}

/// Dimension of a parameter's unit and how many thousandths of the base unit it is; `None` for
/// counts and shares.
fn unit_of(text: &str) -> Option<(Dimension, i128)> {
    let named = match text {
        "mL/h" => return Some((Dimension::Flow, 1)),
        "L/h" => "Lph",
        "m3/h" => "m3ph",
        "%" => "pct",
        other => other,
    };
    let unit = Unit::of(named).filter(|unit| !named.is_empty() && unit.factor > 0.0)?;
    Some((unit.dimension, thousandths(unit)))
}

fn thousandths(unit: Unit) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "factors are thousandths of millions")]
    let whole = (unit.factor * 1_000.0).round() as i128;
    whole
}

/// A text such as `24h` or `3.8Lph` in the unit of a parameter.
pub(super) fn in_unit(text: &str, unit: &str) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let Ok(Expr::Number(literal)) = parse(digits) else {
        return Err(format!("`{text}` is no number with a unit"));
    };
    let Some(own) = literal.unit else {
        return Err(format!("`{text}` has no unit: write it as a number, or with its unit"));
    };
    let Some((dimension, per)) = unit_of(unit) else {
        return Err(format!("`{text}`: this key takes a plain number"));
    };
    if own.dimension != dimension {
        return Err(format!("`{text}` is {}, not {}", own.dimension.word(), dimension.word()));
    }
    let digits = i128::from(literal.digits) * sign;
    let decimal = Decimal { mantissa: digits, decimals: u32::from(literal.decimals) };
    decimal
        .scaled(thousandths(own), per)
        .ok_or_else(|| format!("`{text}` is not a whole number of {unit}"))
}
