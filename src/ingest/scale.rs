//! From a sender's number to stored integers: unit, digits and multiplier, exactly, rounded once.

use metering::{Exact, ExactError, Ratio, Unit};
use vee::Agreement;

/// How one channel's numbers become milli-units.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    unit: Unit,
    decimals: u8,
    /// Milli-units of one of the sender's units: unit factor x multiplier.
    per_unit: Ratio,
    /// Milli-units of one counter step: `per_unit / 10^decimals`.
    per_step: Ratio,
}

/// A counter value as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scaled {
    /// In the register's own steps.
    pub raw: i64,
    /// In milli-units.
    pub value: i64,
    /// The value has no more digits than the asset record says.
    pub exact: bool,
}

/// Multiplies the values of one series: an integer factor where there is one, else a fraction.
#[derive(Clone, Copy, Debug)]
pub enum SeriesScale {
    Whole(i64),
    Fraction(Ratio),
}

impl Scale {
    /// # Errors
    /// [`ExactError::Overflow`] when unit, multiplier and digits exceed 128 bits together.
    pub fn new(unit: Unit, decimals: u8, multiplier: Ratio) -> Result<Self, ExactError> {
        let per_unit = unit.milli_per_unit().times(multiplier)?;
        let per_step = per_unit.times(tenth_power(-i32::from(decimals))?)?;
        Ok(Self { unit, decimals, per_unit, per_step })
    }

    /// Does the sender state the unit of the asset record? `Count` is a bare counter: no statement.
    pub fn agreement(&self, stated: Option<Unit>) -> Agreement {
        match stated {
            None | Some(Unit::Count) => Agreement::NotStated,
            Some(unit) if unit == self.unit => Agreement::Agrees,
            Some(_) => Agreement::Differs,
        }
    }

    /// Steps and milli-units of a counter or a momentary value. A stated unit of the same quantity
    /// is converted exactly; one of another quantity is taken for the configured one (and held by
    /// ING-UOM).
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the range of stored values.
    pub fn counter(&self, value: Exact, stated: Option<Unit>) -> Result<Scaled, ExactError> {
        let factor = self.conversion(stated);
        let (raw, exact) = match factor {
            None => value.to_decimals(self.decimals)?,
            Some(factor) => {
                let steps = value.times(factor)?.times(tenth_power(i32::from(self.decimals))?)?;
                let raw = steps.round_half_up()?;
                (raw, i128::from(raw) * steps.den() == steps.num())
            }
        };
        Ok(Scaled { raw, value: self.value_of(raw)?, exact })
    }

    /// Milli-units of a counter in its own steps.
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the range of stored values.
    pub fn value_of(&self, raw: i64) -> Result<i64, ExactError> {
        if self.per_step.den() == 1
            && let Ok(factor) = i64::try_from(self.per_step.num())
            && let Some(value) = raw.checked_mul(factor)
            && value.checked_abs().is_some_and(|size| size <= metering::exact::STORED_MAX)
        {
            return Ok(value);
        }
        Ratio::whole(i128::from(raw)).times(self.per_step)?.round_half_up()
    }

    /// A whole number of the sender's units in counter steps; `None` beyond 64 bits.
    pub fn steps_of(&self, units: i64) -> Option<i64> {
        units.checked_mul(10_i64.checked_pow(u32::from(self.decimals))?)
    }

    /// Counter steps in `milli` milli-units, rounded up; for limits.
    pub fn steps_in(&self, milli: i64) -> i64 {
        let (num, den) = (self.per_step.num(), self.per_step.den());
        if num <= 0 || milli <= 0 {
            return 0;
        }
        let steps = (i128::from(milli) * den).div_euclid(num).saturating_add(1);
        i64::try_from(steps).unwrap_or(i64::MAX)
    }

    /// The factor of a whole series.
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond 128 bits.
    pub fn series(&self, exponent: i8, stated: Option<Unit>) -> Result<SeriesScale, ExactError> {
        let per_unit = match self.conversion(stated) {
            None => self.per_unit,
            Some(factor) => self.per_unit.times(factor)?,
        };
        let factor = per_unit.times(tenth_power(i32::from(exponent))?)?;
        match i64::try_from(factor.num()) {
            Ok(whole) if factor.den() == 1 => Ok(SeriesScale::Whole(whole)),
            _ => Ok(SeriesScale::Fraction(factor)),
        }
    }

    /// Configured units in one stated unit, when they differ and measure the same.
    fn conversion(&self, stated: Option<Unit>) -> Option<Ratio> {
        let stated = stated.filter(|unit| *unit != self.unit && *unit != Unit::Count)?;
        if stated.base() != self.unit.base() {
            return None;
        }
        let configured = self.unit.milli_per_unit();
        let inverse = Ratio::new(configured.den(), configured.num())?;
        stated.milli_per_unit().times(inverse).ok()
    }
}

impl SeriesScale {
    /// # Errors
    /// [`ExactError::Overflow`] beyond the range of stored values.
    pub fn value(self, count: i64) -> Result<i64, ExactError> {
        match self {
            Self::Whole(factor) => count
                .checked_mul(factor)
                .filter(|value| value.unsigned_abs() <= metering::exact::STORED_MAX.unsigned_abs())
                .ok_or(ExactError::Overflow),
            Self::Fraction(factor) => {
                Ratio::whole(i128::from(count)).times(factor)?.round_half_up()
            }
        }
    }
}

fn tenth_power(exponent: i32) -> Result<Ratio, ExactError> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs()).ok_or(ExactError::Overflow)?;
    if exponent >= 0 {
        Ok(Ratio::whole(power))
    } else {
        Ratio::new(1, power).ok_or(ExactError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unit: Unit, decimals: u8, multiplier: &str, value: &str, want: (i64, i64, bool)) {
        let multiplier = Ratio::from_decimal(multiplier.parse().unwrap());
        let scale = Scale::new(unit, decimals, multiplier).unwrap();
        let scaled = scale.counter(value.parse().unwrap(), None).unwrap();
        assert_eq!((scaled.raw, scaled.value, scaled.exact), want, "{value} {unit}");
    }

    #[test]
    fn counters_are_scaled_exactly_and_rounded_once() {
        check(Unit::KilowattHour, 2, "1", "12345.67", (1_234_567, 12_345_670_000, true));
        check(Unit::CubicMetre, 3, "1", "3.8435", (3844, 3_844_000, false));
        check(Unit::GallonUs, 1, "1", "1000.1", (10_001, 3_785_790, true));
        check(Unit::GallonUs, 0, "10", "100", (100, 3_785_412, true));
        check(Unit::KilowattHour, 0, "40", "27", (27, 1_080_000_000, true));
        check(Unit::HundredCubicFeet, 2, "0.5", "1.23", (123, 1_741_486, true));
    }

    #[test]
    fn a_stated_unit_is_converted_and_disagrees() {
        let scale = Scale::new(Unit::KilowattHour, 3, Ratio::ONE).unwrap();
        let scaled = scale.counter("1500".parse().unwrap(), Some(Unit::WattHour)).unwrap();
        assert_eq!(scaled, Scaled { raw: 1500, value: 1_500_000, exact: true });
        assert_eq!(scale.agreement(Some(Unit::WattHour)), Agreement::Differs);
        assert_eq!(scale.agreement(Some(Unit::KilowattHour)), Agreement::Agrees);
        assert_eq!(scale.agreement(Some(Unit::Count)), Agreement::NotStated);
        let series = scale.series(-1, Some(Unit::WattHour)).unwrap();
        assert_eq!(series.value(15), Ok(1500));
    }

    #[test]
    fn values_beyond_the_stored_range_are_refused() {
        let scale = Scale::new(Unit::MegawattHour, 0, Ratio::ONE).unwrap();
        assert_eq!(scale.value_of(i64::MAX), Err(ExactError::Overflow));
        assert_eq!(scale.series(3, None).unwrap().value(i64::MAX), Err(ExactError::Overflow));
        let wild = Exact::new(i64::MAX, 18).unwrap();
        assert_eq!(scale.counter(wild, None), Err(ExactError::Overflow));
    }

    #[test]
    fn limits_are_told_in_steps_rounded_up() {
        let scale = Scale::new(Unit::GallonUs, 1, Ratio::ONE).unwrap();
        assert_eq!(scale.steps_in(3_785_412), 10_001);
        assert_eq!(scale.steps_in(0), 0);
    }
}
