//! Exact numbers on the way from a meter's digits to stored integers: no float touches a quantity.

use std::fmt;
use std::str::FromStr;

/// A decimal number as sent: `mantissa * 10^exponent`. Exponent -18 to 18.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Exact {
    mantissa: i64,
    exponent: i8,
}

/// An exact fraction; the denominator is positive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ratio {
    num: i128,
    den: i128,
}

/// Why a number could not be kept exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExactError {
    #[error("not a decimal number")]
    NotANumber,
    #[error("the number has more digits than 18")]
    TooLong,
    #[error("the result exceeds the range of stored values, 2^62 - 1 milli-units")]
    Overflow,
}

/// Largest stored magnitude, 2^62 - 1 (the check in the tables).
pub const STORED_MAX: i64 = 4_611_686_018_427_387_903;
const EXPONENT_MAX: i8 = 18;

const fn pow10(exponent: u32) -> i128 {
    10_i128.pow(exponent)
}

impl Exact {
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    pub const fn whole(value: i64) -> Self {
        Self { mantissa: value, exponent: 0 }
    }

    /// # Errors
    /// [`ExactError::TooLong`] when the exponent is outside -18 to 18.
    pub fn new(mantissa: i64, exponent: i8) -> Result<Self, ExactError> {
        if !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
            return Err(ExactError::TooLong);
        }
        Ok(Self { mantissa, exponent })
    }

    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    pub const fn exponent(self) -> i8 {
        self.exponent
    }

    /// The product with a fraction, exactly.
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond 128 bits.
    pub fn times(self, factor: Ratio) -> Result<Ratio, ExactError> {
        let ratio = if self.exponent >= 0 {
            Ratio {
                num: i128::from(self.mantissa)
                    .checked_mul(pow10(u32::from(self.exponent.unsigned_abs())))
                    .ok_or(ExactError::Overflow)?,
                den: 1,
            }
        } else {
            Ratio {
                num: i128::from(self.mantissa),
                den: pow10(u32::from(self.exponent.unsigned_abs())),
            }
        };
        ratio.times(factor)
    }

    /// The number in units of `10^-decimals`, and whether that was exact (else rounded half up).
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the stored range.
    pub fn to_decimals(self, decimals: u8) -> Result<(i64, bool), ExactError> {
        let scaled = self.times(Ratio::whole(pow10(u32::from(decimals.min(18)))))?;
        let rounded = scaled.round_half_up()?;
        Ok((rounded, scaled.num == i128::from(rounded) * scaled.den))
    }

    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }
}

impl FromStr for Exact {
    type Err = ExactError;

    /// Reads JSON numbers and plain decimals: `-12.50`, `1e-3`, `007`.
    fn from_str(text: &str) -> Result<Self, ExactError> {
        let (digits, power) = match text.split_once(['e', 'E']) {
            Some((digits, power)) => {
                (digits, power.parse::<i32>().map_err(|_| ExactError::NotANumber)?)
            }
            None => (text, 0),
        };
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => (-1_i64, rest),
            None => (1, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(ExactError::NotANumber);
        }
        let mut mantissa = 0_i64;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return Err(ExactError::NotANumber);
            }
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(i64::from(digit - b'0')))
                .ok_or(ExactError::TooLong)?;
        }
        let fraction_len = i32::try_from(fraction.len()).map_err(|_| ExactError::TooLong)?;
        let exponent = power.checked_sub(fraction_len).ok_or(ExactError::TooLong)?;
        Self { mantissa: sign * mantissa, exponent: 0 }.scaled_by(exponent)
    }
}

impl Exact {
    fn scaled_by(mut self, mut exponent: i32) -> Result<Self, ExactError> {
        if self.mantissa == 0 {
            return Ok(Self::ZERO);
        }
        while exponent < -i32::from(EXPONENT_MAX) && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            exponent += 1;
        }
        let exponent = i8::try_from(exponent).map_err(|_| ExactError::TooLong)?;
        Self::new(self.mantissa, exponent)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exponent >= 0 {
            let value = i128::from(self.mantissa) * pow10(u32::from(self.exponent.unsigned_abs()));
            return value.fmt(f);
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl Ratio {
    pub const ONE: Self = Self::whole(1);

    pub const fn whole(value: i128) -> Self {
        Self { num: value, den: 1 }
    }

    /// For constants; a non-positive denominator does not compile in a constant.
    pub const fn new_const(num: i128, den: i128) -> Self {
        assert!(den > 0);
        Self { num, den }
    }

    /// `None` unless the denominator is positive.
    pub const fn new(num: i128, den: i128) -> Option<Self> {
        if den > 0 { Some(Self { num, den }) } else { None }
    }

    /// From a decimal multiplier (CT x PT x Kh, or pulse weight).
    pub fn from_decimal(value: rust_decimal::Decimal) -> Self {
        Self { num: value.mantissa(), den: pow10(value.scale()) }.reduced()
    }

    pub const fn num(self) -> i128 {
        self.num
    }

    pub const fn den(self) -> i128 {
        self.den
    }

    /// # Errors
    /// [`ExactError::Overflow`] beyond 128 bits.
    pub fn times(self, other: Self) -> Result<Self, ExactError> {
        let num = self.num.checked_mul(other.num);
        let den = self.den.checked_mul(other.den);
        match (num, den) {
            (Some(num), Some(den)) => Ok(Self { num, den }.reduced()),
            _ => Err(ExactError::Overflow),
        }
    }

    /// The nearest integer; halves go up (towards positive). The one rounding place of a reading.
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the stored range.
    pub fn round_half_up(self) -> Result<i64, ExactError> {
        let doubled = self
            .num
            .checked_mul(2)
            .and_then(|n| n.checked_add(self.den))
            .ok_or(ExactError::Overflow)?;
        let rounded = doubled.div_euclid(self.den.checked_mul(2).ok_or(ExactError::Overflow)?);
        match i64::try_from(rounded) {
            Ok(value) if value.abs() <= STORED_MAX => Ok(value),
            _ => Err(ExactError::Overflow),
        }
    }

    /// The nearest integer; of two that are equally near, the even one. For values that came as
    /// floats, so that halves do not all go one way.
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the stored range.
    pub fn round_half_even(self) -> Result<i64, ExactError> {
        let up = self.round_half_up()?;
        let twice = self.num.checked_mul(2).ok_or(ExactError::Overflow)?;
        let half = (i128::from(up) * 2 - 1).checked_mul(self.den) == Some(twice);
        Ok(if half && up % 2 != 0 { up - 1 } else { up })
    }

    fn reduced(self) -> Self {
        let (mut a, mut b) = (self.num.unsigned_abs(), self.den.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        match i128::try_from(a) {
            Ok(divisor) if divisor > 1 => Self { num: self.num / divisor, den: self.den / divisor },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_least_exponent_is_refused_like_any_other_too_small_one() {
        assert_eq!(Exact::new(1, i8::MIN), Err(ExactError::TooLong));
    }

    #[test]
    fn digits_are_kept() {
        assert_eq!("12345.678".parse(), Exact::new(12_345_678, -3));
        assert_eq!("1e-3".parse(), Exact::new(1, -3));
        assert_eq!("-0".parse::<Exact>(), Ok(Exact::ZERO));
        assert_eq!("NaN".parse::<Exact>(), Err(ExactError::NotANumber));
        assert_eq!(".".parse::<Exact>(), Err(ExactError::NotANumber));
        assert_eq!("99999999999999999999".parse::<Exact>(), Err(ExactError::TooLong));
        assert_eq!("1e99".parse::<Exact>(), Err(ExactError::TooLong));
        assert_eq!(Exact::new(-5, -3).unwrap().to_string(), "-0.005");
        assert_eq!("3.8430".parse::<Exact>().unwrap().to_decimals(3), Ok((3843, true)));
        assert_eq!("3.8435".parse::<Exact>().unwrap().to_decimals(3), Ok((3844, false)));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let even = |num, den| Ratio::new(num, den).unwrap().round_half_even().unwrap();
        assert_eq!(
            [even(1, 2), even(3, 2), even(5, 2), even(-1, 2), even(-3, 2)],
            [0, 2, 2, 0, -2]
        );
        assert_eq!([even(7, 5), even(8, 5), even(-7, 5), even(4, 1)], [1, 2, -1, 4]);
    }

    proptest! {
        #[test]
        fn text_is_read_back(mantissa in any::<i64>(), exponent in -18_i8..=0) {
            prop_assume!(mantissa != i64::MIN);
            let value = Exact::new(mantissa, exponent).unwrap();
            let read: Exact = value.to_string().parse().unwrap();
            prop_assert_eq!(read.times(Ratio::ONE), value.times(Ratio::ONE));
        }

        #[test]
        fn any_text_gives_a_number_or_a_reason(text in "\\PC{0,30}") {
            let _ = text.parse::<Exact>();
        }
    }
}
