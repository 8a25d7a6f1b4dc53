//! What is measured (CIM `ReadingType`), without how it arrived.

use std::fmt;
use std::str::FromStr;

use crate::unit::Unit;

/// The physical quantity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Quantity {
    EnergyActive,
    EnergyReactive,
    EnergyThermal,
    Volume,
    VolumeFlow,
    PowerActive,
    Voltage,
    Current,
    Temperature,
    Frequency,
}

/// Direction seen from the customer: import is +A (C = 1), export is -A (C = 2), IEC 62056-6-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Flow {
    Import,
    Export,
    /// The quantity has no direction (voltage) or nets both.
    None,
}

/// A measured series: quantity, direction and tariff (0 = total). Text form: `energy_active_import`,
/// `volume`, `energy_active_import_t2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadingType {
    pub quantity: Quantity,
    pub flow: Flow,
    pub tariff: u8,
}

const QUANTITIES: [(Quantity, &str); 10] = [
    (Quantity::EnergyActive, "energy_active"),
    (Quantity::EnergyReactive, "energy_reactive"),
    (Quantity::EnergyThermal, "energy_thermal"),
    (Quantity::Volume, "volume"),
    (Quantity::VolumeFlow, "volume_flow"),
    (Quantity::PowerActive, "power_active"),
    (Quantity::Voltage, "voltage"),
    (Quantity::Current, "current"),
    (Quantity::Temperature, "temperature"),
    (Quantity::Frequency, "frequency"),
];

impl Quantity {
    pub fn name(self) -> &'static str {
        QUANTITIES.iter().find(|(quantity, _)| *quantity == self).map_or("", |(_, name)| name)
    }

    /// The unit whose thousandth is stored.
    pub const fn base_unit(self) -> Unit {
        match self {
            Self::EnergyActive | Self::EnergyThermal => Unit::WattHour,
            Self::EnergyReactive => Unit::VarHour,
            Self::Volume => Unit::Litre,
            Self::VolumeFlow => Unit::LitrePerHour,
            Self::PowerActive => Unit::Watt,
            Self::Voltage => Unit::Volt,
            Self::Current => Unit::Ampere,
            Self::Temperature => Unit::Celsius,
            Self::Frequency => Unit::Hertz,
        }
    }
}

impl ReadingType {
    pub const ENERGY_IMPORT: Self =
        Self { quantity: Quantity::EnergyActive, flow: Flow::Import, tariff: 0 };
    pub const ENERGY_EXPORT: Self =
        Self { quantity: Quantity::EnergyActive, flow: Flow::Export, tariff: 0 };
    pub const VOLUME: Self = Self { quantity: Quantity::Volume, flow: Flow::None, tariff: 0 };

    pub const fn base_unit(self) -> Unit {
        self.quantity.base_unit()
    }
}

impl fmt::Display for ReadingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.quantity.name())?;
        match self.flow {
            Flow::Import => f.write_str("_import")?,
            Flow::Export => f.write_str("_export")?,
            Flow::None => {}
        }
        if self.tariff == 0 { Ok(()) } else { write!(f, "_t{}", self.tariff) }
    }
}

/// The text names no reading type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is no reading type: write for example energy_active_import, energy_active_export, volume or volume_t2"
)]
pub struct ReadingTypeError(String);

impl FromStr for ReadingType {
    type Err = ReadingTypeError;

    fn from_str(text: &str) -> Result<Self, ReadingTypeError> {
        let refuse = || ReadingTypeError(text.chars().take(40).collect());
        let (rest, tariff) = match text.rsplit_once("_t") {
            Some((rest, digits)) if digits.parse::<u8>().is_ok_and(|tariff| tariff > 0) => {
                (rest, digits.parse().map_err(|_| refuse())?)
            }
            _ => (text, 0),
        };
        let (rest, flow) = if let Some(rest) = rest.strip_suffix("_import") {
            (rest, Flow::Import)
        } else if let Some(rest) = rest.strip_suffix("_export") {
            (rest, Flow::Export)
        } else {
            (rest, Flow::None)
        };
        let (quantity, _) = QUANTITIES.iter().find(|(_, name)| *name == rest).ok_or_else(refuse)?;
        Ok(Self { quantity: *quantity, flow, tariff })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (quantity, _) in QUANTITIES {
            for flow in [Flow::Import, Flow::Export, Flow::None] {
                for tariff in [0, 1, 12] {
                    let this = ReadingType { quantity, flow, tariff };
                    assert_eq!(this.to_string().parse::<ReadingType>().unwrap(), this);
                }
            }
        }
        assert!("kwh".parse::<ReadingType>().is_err());
    }
}
