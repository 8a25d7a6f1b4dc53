//! From a sender's number to stored integers: unit, digits and multiplier, exactly, rounded once.

use metering::{Exact, ExactError, Ratio, Unit};
use protocols::Digits;
use vee::Agreement;

/// A double carries 15 decimal digits.
const DOUBLE_PARTS: i128 = 1_000_000_000_000_000;

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
    /// The value states no more digits than the asset record has.
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
    /// ING-UOM). The digits of a float beyond the record's are rounded away, halves to even
    /// (`docs/decisions/0016-what-the-digits-of-a-float-say.md`).
    ///
    /// # Errors
    /// [`ExactError::Overflow`] beyond the range of stored values.
    pub fn counter(
        &self,
        value: Exact,
        stated: Option<Unit>,
        digits: Digits,
    ) -> Result<Scaled, ExactError> {
        let mut steps = value.times(tenth_power(i32::from(self.decimals))?)?;
        if let Some(factor) = self.conversion(stated) {
            steps = steps.times(factor)?;
        }
        let (raw, exact) = match digits {
            Digits::Float => (steps.round_half_even()?, true),
            Digits::Told => {
                let raw = steps.round_half_up()?;
                (raw, is_within_a_double(steps, raw))
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

/// `raw` is what was meant: as it stands, or but for digits that no double of this size can carry
/// (0.30000000000000004), which a program added on the way.
fn is_within_a_double(steps: Ratio, raw: i64) -> bool {
    let off = i128::from(raw).checked_mul(steps.den()).and_then(|raw| raw.checked_sub(steps.num()));
    match off {
        Some(0) => true,
        Some(off) => off
            .checked_abs()
            .and_then(|off| off.checked_mul(DOUBLE_PARTS))
            .is_some_and(|off| off <= steps.num().saturating_abs()),
        None => false,
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
        let scaled = scale.counter(value.parse().unwrap(), None, Digits::Told).unwrap();
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
        let scaled =
            scale.counter("1500".parse().unwrap(), Some(Unit::WattHour), Digits::Told).unwrap();
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
        assert_eq!(scale.counter(wild, None, Digits::Told), Err(ExactError::Overflow));
    }

    #[test]
    fn the_digits_of_floats_are_rounded_and_those_of_decimals_are_held_against_the_record() {
        let scale = Scale::new(Unit::KilowattHour, 3, Ratio::ONE).unwrap();
        let read = |text: &str, digits| {
            let scaled = scale.counter(text.parse().unwrap(), None, digits).unwrap();
            (scaled.raw, scaled.exact)
        };
        assert_eq!(read("408.21777", Digits::Float), (408_218, true));
        assert_eq!(read("408.21777", Digits::Told), (408_218, false));
        // Halves of a step go to the even one.
        assert_eq!(read("0.0625", Digits::Float), (62, true));
        assert_eq!(read("0.1875", Digits::Float), (188, true));
        // What a program added in doubles is no digit of the meter.
        assert_eq!(read("0.30000000000000004", Digits::Told), (300, true));
        assert_eq!(read("12345.677999999998", Digits::Told), (12_345_678, true));
        assert_eq!(read("12345.6779", Digits::Told), (12_345_678, false));
        let per_wh = scale.counter("1500.4".parse().unwrap(), Some(Unit::WattHour), Digits::Float);
        assert_eq!(per_wh.map(|scaled| scaled.raw), Ok(1500));
    }

    /// A register that comes as f32 is half a step off at most and never runs backwards. Its
    /// intervals are differences of such registers, so no rounding adds up in them.
    #[test]
    fn the_rounding_of_a_float_counter_never_adds_up() {
        let mut random = 20_261_122_u64;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % end
        };
        for case in 0..2_000 {
            let decimals = u8::try_from(case % 5).unwrap();
            let scale = Scale::new(Unit::KilowattHour, decimals, Ratio::ONE).unwrap();
            let mut tenths_of_watt_hours = below(2_000_000_000);
            let mut last = i64::MIN;
            for _ in 0..50 {
                tenths_of_watt_hours += below(90_000);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "the meter shows the nearest float"
                )]
                let shown = (tenths_of_watt_hours as f64 / 1e4) as f32;
                let exact: Exact = shown.to_string().parse().unwrap();
                let now = scale.counter(exact, None, Digits::Float).unwrap();
                assert!(now.exact);
                assert!(now.raw >= last, "{exact} fell from {last} to {}", now.raw);
                last = now.raw;
                let told = exact.times(tenth_power(i32::from(decimals)).unwrap()).unwrap();
                let off = (i128::from(now.raw) * told.den() - told.num()).abs();
                assert!(2 * off <= told.den(), "{exact} is not {} steps", now.raw);
            }
        }
    }

    #[test]
    fn limits_are_told_in_steps_rounded_up() {
        let scale = Scale::new(Unit::GallonUs, 1, Ratio::ONE).unwrap();
        assert_eq!(scale.steps_in(3_785_412), 10_001);
        assert_eq!(scale.steps_in(0), 0);
    }
}
