//! Stored milli-units as exact decimals in a unit that suits the eye. No digit is lost or invented.

use metering::{ReadingType, Unit};

use super::words;

/// A unit to show values in: its symbol and its size in stored milli-units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DisplayUnit {
    pub symbol: &'static str,
    pub milli: i64,
}

const MILLI_BASE: i64 = 1_000;
const MILLI_KILO: i64 = 1_000_000;

impl DisplayUnit {
    /// The unit for values up to `largest` milli-units: Wh or kWh, L or m³. Chosen once per chart or
    /// table, never per value.
    pub fn choose(base: Unit, largest: i64) -> Self {
        let (small, big) = symbols(base);
        match big {
            Some(big) if largest.abs() >= MILLI_KILO => Self { symbol: big, milli: MILLI_KILO },
            _ => Self { symbol: small, milli: MILLI_BASE },
        }
    }

    /// The unit of a counter: kWh, m³, whatever the value.
    pub fn of_counter(base: Unit) -> Self {
        Self::choose(base, MILLI_KILO)
    }

    /// Decimals that show every one of `values` exactly, and no more.
    pub fn digits(self, values: impl IntoIterator<Item = i64>) -> usize {
        let most = if self.milli == MILLI_KILO { 6 } else { 3 };
        let mut digits = 0;
        for value in values {
            while digits < most && value % (self.milli / 10_i64.pow(count_of(digits))) != 0 {
                digits += 1;
            }
        }
        digits
    }

    /// The value with `digits` decimals, grouped. A value with more decimals is rounded half up;
    /// with [`DisplayUnit::digits`] of it nothing is rounded.
    pub fn fixed(self, value: i64, digits: usize) -> String {
        let step = i128::from(self.milli) / 10_i128.pow(count_of(digits));
        let step = step.max(1);
        let scaled = (i128::from(value).abs() + step / 2) / step;
        let per_unit = i128::from(self.milli) / step;
        let whole = i64::try_from(scaled / per_unit).unwrap_or(i64::MAX);
        let sign = if value < 0 && scaled != 0 { "−" } else { "" };
        if digits == 0 {
            return format!("{sign}{}", words::thousands(whole));
        }
        format!("{sign}{}.{:0>digits$}", words::thousands(whole), scaled % per_unit)
    }

    /// The value to three digits, with its unit: `1,616 L/h`, `9.02 kWh`. For sentences.
    pub fn rough(self, value: i64) -> String {
        let whole = value.unsigned_abs() / self.milli.unsigned_abs();
        let room = match whole {
            0..=9 => 2,
            10..=99 => 1,
            _ => 0,
        };
        let digits = self.digits([value]).min(room);
        format!("{} {}", self.fixed(value, digits), self.symbol)
    }

    /// The value exactly, with its unit: `14,226.13 kWh`.
    pub fn exact(self, value: i64) -> String {
        format!("{} {}", self.fixed(value, self.digits([value])), self.symbol)
    }
}

/// A value exactly in the unit that suits it: `0.17 kWh`, `38 L`.
pub fn quantity(reading_type: ReadingType, value: i64) -> String {
    DisplayUnit::choose(reading_type.base_unit(), value).exact(value)
}

/// What the series is called over a chart.
pub fn title(reading_type: ReadingType) -> String {
    use metering::{Flow, Quantity};
    let noun = match reading_type.quantity {
        Quantity::EnergyActive => "Energy",
        Quantity::EnergyReactive => "Reactive energy",
        Quantity::EnergyThermal => "Heat",
        Quantity::Volume => "Volume",
        Quantity::VolumeFlow => "Flow",
        Quantity::PowerActive => "Power",
        Quantity::Voltage => "Voltage",
        Quantity::Current => "Current",
        Quantity::Temperature => "Temperature",
        Quantity::Frequency => "Frequency",
    };
    let flow = match reading_type.flow {
        Flow::Import => " in",
        Flow::Export => " out",
        Flow::None => "",
    };
    let tariff = match reading_type.tariff {
        0 => String::new(),
        tariff => format!(", tariff {tariff}"),
    };
    format!("{noun}{flow}{tariff}")
}

fn symbols(base: Unit) -> (&'static str, Option<&'static str>) {
    match base {
        Unit::WattHour => ("Wh", Some("kWh")),
        Unit::VarHour => ("varh", Some("kvarh")),
        Unit::Litre => ("L", Some("m³")),
        Unit::LitrePerHour => ("L/h", Some("m³/h")),
        Unit::Watt => ("W", Some("kW")),
        Unit::Celsius => ("°C", None),
        Unit::Count => ("", None),
        other => (other.symbol(), None),
    }
}

fn count_of(digits: usize) -> u32 {
    u32::try_from(digits).unwrap_or(6).min(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: Unit, value: i64, want: &str) {
        assert_eq!(DisplayUnit::choose(base, value).exact(value), want);
    }

    #[test]
    fn every_stored_digit_is_shown_and_no_other() {
        check(Unit::WattHour, 170_000, "170 Wh");
        check(Unit::WattHour, 14_226_130_000, "14,226.13 kWh");
        check(Unit::WattHour, 1_000_001, "1.000001 kWh");
        check(Unit::Litre, 38_000, "38 L");
        check(Unit::Litre, 412_386_000, "412.386 m³");
        check(Unit::Litre, 3_785, "3.785 L");
        check(Unit::Litre, -500, "−0.5 L");
        check(Unit::Volt, 230_400_000, "230,400 V");
        check(Unit::Volt, 0, "0 V");
        check(Unit::WattHour, i64::MAX / 2, "4,611,686,018,427.387903 kWh");
    }

    #[test]
    fn sentences_have_three_digits() {
        let rough = |base, value| DisplayUnit::choose(base, value).rough(value);
        assert_eq!(rough(Unit::WattHour, 9_019_392), "9.02 kWh");
        assert_eq!(rough(Unit::WattHour, 51_118_080), "51.1 kWh");
        assert_eq!(rough(Unit::LitrePerHour, 34_000), "34 L/h");
        assert_eq!(rough(Unit::LitrePerHour, 3_800), "3.8 L/h");
        assert_eq!(rough(Unit::LitrePerHour, 815_872), "816 L/h");
    }

    #[test]
    fn a_column_has_one_number_of_decimals() {
        let unit = DisplayUnit::choose(Unit::WattHour, 2_330_000);
        let digits = unit.digits([2_330_000, 500_000, 0]);
        assert_eq!(digits, 2);
        assert_eq!(unit.fixed(500_000, digits), "0.50");
        assert_eq!(unit.fixed(-4_000, 2), "0.00");
        assert_eq!(unit.fixed(5_000, 2), "0.01");
    }
}
