//! Units, and their exact value in the stored thousandths of a base unit.

use std::fmt;
use std::str::FromStr;

use crate::exact::Ratio;

/// A unit as configured or as sent. `Count` is a bare counter whose meaning is configured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    WattHour,
    KilowattHour,
    MegawattHour,
    Megajoule,
    Gigajoule,
    /// US therm, 100,000 Btu at 59 degrees Fahrenheit: 105.4804 MJ.
    Therm,
    VarHour,
    KilovarHour,
    Litre,
    Millilitre,
    CubicMetre,
    CubicFoot,
    HundredCubicFeet,
    GallonUs,
    LitrePerHour,
    CubicMetrePerHour,
    Watt,
    Kilowatt,
    /// Reactive power.
    Var,
    Kilovar,
    /// Apparent power.
    VoltAmpere,
    KilovoltAmpere,
    Volt,
    Millivolt,
    Ampere,
    Celsius,
    Hertz,
    Count,
}

const UNITS: &[(Unit, &str)] = &[
    (Unit::WattHour, "Wh"),
    (Unit::KilowattHour, "kWh"),
    (Unit::MegawattHour, "MWh"),
    (Unit::Megajoule, "MJ"),
    (Unit::Gigajoule, "GJ"),
    (Unit::Therm, "therm"),
    (Unit::VarHour, "varh"),
    (Unit::KilovarHour, "kvarh"),
    (Unit::Litre, "L"),
    (Unit::Millilitre, "mL"),
    (Unit::CubicMetre, "m3"),
    (Unit::CubicFoot, "ft3"),
    (Unit::HundredCubicFeet, "CCF"),
    (Unit::GallonUs, "gal"),
    (Unit::LitrePerHour, "L/h"),
    (Unit::CubicMetrePerHour, "m3/h"),
    (Unit::Watt, "W"),
    (Unit::Kilowatt, "kW"),
    (Unit::Var, "var"),
    (Unit::Kilovar, "kvar"),
    (Unit::VoltAmpere, "VA"),
    (Unit::KilovoltAmpere, "kVA"),
    (Unit::Volt, "V"),
    (Unit::Millivolt, "mV"),
    (Unit::Ampere, "A"),
    (Unit::Celsius, "C"),
    (Unit::Hertz, "Hz"),
    (Unit::Count, "count"),
];

impl Unit {
    pub fn symbol(self) -> &'static str {
        UNITS.iter().find(|(unit, _)| *unit == self).map_or("", |(_, symbol)| symbol)
    }

    /// The base unit whose thousandths are stored for this unit.
    pub const fn base(self) -> Self {
        match self {
            Self::WattHour
            | Self::KilowattHour
            | Self::MegawattHour
            | Self::Megajoule
            | Self::Gigajoule
            | Self::Therm => Self::WattHour,
            Self::VarHour | Self::KilovarHour => Self::VarHour,
            Self::Litre
            | Self::Millilitre
            | Self::CubicMetre
            | Self::CubicFoot
            | Self::HundredCubicFeet
            | Self::GallonUs => Self::Litre,
            Self::LitrePerHour | Self::CubicMetrePerHour => Self::LitrePerHour,
            Self::Watt | Self::Kilowatt => Self::Watt,
            Self::Var | Self::Kilovar => Self::Var,
            Self::VoltAmpere | Self::KilovoltAmpere => Self::VoltAmpere,
            Self::Volt | Self::Millivolt => Self::Volt,
            other => other,
        }
    }

    /// Stored thousandths of the base unit in one of this unit, exactly. Gallon and foot by their
    /// legal definitions (3.785411784 L; 28.316846592 L), joule by 1 Wh = 3,600 J.
    pub const fn milli_per_unit(self) -> Ratio {
        match self {
            Self::KilowattHour
            | Self::KilovarHour
            | Self::CubicMetre
            | Self::CubicMetrePerHour
            | Self::Kilowatt
            | Self::Kilovar
            | Self::KilovoltAmpere => Ratio::whole(1_000_000),
            Self::MegawattHour => Ratio::whole(1_000_000_000),
            Self::Megajoule => Ratio::new_const(2_500_000, 9),
            Self::Gigajoule => Ratio::new_const(2_500_000_000, 9),
            Self::Therm => Ratio::new_const(263_701_000, 9),
            Self::Millilitre | Self::Millivolt => Ratio::whole(1),
            Self::CubicFoot => Ratio::new_const(28_316_846_592, 1_000_000),
            Self::HundredCubicFeet => Ratio::new_const(28_316_846_592, 10_000),
            Self::GallonUs => Ratio::new_const(3_785_411_784, 1_000_000),
            _ => Ratio::whole(1_000),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// The text names no unit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no known unit: write for example kWh, Wh, m3, L, gal, ft3, CCF, V or W")]
pub struct UnitError(String);

impl FromStr for Unit {
    type Err = UnitError;

    /// Upper and lower case are the same, except that nothing is guessed from a lone prefix.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        UNITS
            .iter()
            .find(|(_, symbol)| *symbol == text)
            .or_else(|| UNITS.iter().find(|(_, symbol)| symbol.eq_ignore_ascii_case(text)))
            .map(|(unit, _)| *unit)
            .ok_or_else(|| UnitError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::Exact;

    fn check(text: &str, unit: Unit, want_milli: i64) {
        let value: Exact = text.parse().unwrap();
        let milli = value.times(unit.milli_per_unit()).unwrap().round_half_up().unwrap();
        assert_eq!(milli, want_milli, "{text} {unit}");
    }

    #[test]
    fn units_are_exact_until_the_last_milli_unit() {
        check("9652.22", Unit::KilowattHour, 9_652_220_000);
        check("3.843", Unit::CubicMetre, 3_843_000);
        check("1", Unit::GallonUs, 3_785);
        check("1000000", Unit::GallonUs, 3_785_411_784);
        check("227.6", Unit::HundredCubicFeet, 644_491_428);
        check("9", Unit::Gigajoule, 2_500_000_000);
        check("-0.0005", Unit::WattHour, 0);
        check("-0.0006", Unit::WattHour, -1);
    }

    #[test]
    fn symbols_are_read_back_in_any_case() {
        for &(unit, symbol) in UNITS {
            assert_eq!(symbol.parse::<Unit>().unwrap(), unit);
        }
        assert_eq!("kwh".parse::<Unit>().unwrap(), Unit::KilowattHour);
        assert!("parsec".parse::<Unit>().is_err());
    }
}
