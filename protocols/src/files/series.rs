//! Decimal numbers of one stretch as integers with one exponent.

use metering::{Exact, Ratio};

/// The values as integers times ten to the power that comes first. `None` when they do not fit into
/// 63 bits together.
pub(super) fn aligned(values: &[Option<Exact>]) -> Option<(i8, Vec<Option<i64>>)> {
    let exponent = values.iter().flatten().map(|value| value.exponent()).min().unwrap_or(0).min(0);
    let value = |value: &Option<Exact>| -> Option<Option<i64>> {
        let Some(value) = value else { return Some(None) };
        let shift = u32::try_from(i16::from(value.exponent()) - i16::from(exponent)).ok()?;
        Some(Some(value.mantissa().checked_mul(10_i64.checked_pow(shift)?)?))
    };
    let mut integers = Vec::with_capacity(values.len());
    for one in values {
        integers.push(value(one)?);
    }
    Some((exponent, integers))
}

/// A fraction as a decimal; `None` where it is none, or has more digits than 18.
pub(super) fn decimal_of(value: Ratio) -> Option<Exact> {
    let (mut num, mut den, mut exponent) = (value.num(), value.den(), 0_i8);
    while den > 1 && exponent > -18 {
        let part = [10, 5, 2].into_iter().find(|part| den % part == 0)?;
        num = num.checked_mul(10 / part)?;
        den /= part;
        exponent -= 1;
    }
    let mantissa = i64::try_from(num).ok().filter(|_| den == 1)?;
    Exact::new(mantissa, exponent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finest_value_gives_the_exponent() {
        let exact = |mantissa, exponent| Exact::new(mantissa, exponent).ok();
        let values = [exact(5, 0), None, exact(25, -2), exact(1, 3)];
        assert_eq!(aligned(&values), Some((-2, vec![Some(500), None, Some(25), Some(100_000)])));
        assert_eq!(aligned(&[exact(i64::MAX, 0), exact(1, -1)]), None);
    }

    #[test]
    fn decimals_come_back_out_of_fractions() {
        let told = |num, den| decimal_of(Ratio::new(num, den).unwrap());
        assert_eq!(told(1, 8), Exact::new(125, -3).ok());
        assert_eq!(told(7, 20), Exact::new(35, -2).ok());
        assert_eq!(told(12, 1), Exact::new(12, 0).ok());
        assert_eq!(told(1, 3), None);
    }
}
