//! Units of literals and features: what may be compared with what.

/// What a number measures. `Use` and `Rate` are energy and power, or volume and flow, as the meter
/// has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dimension {
    /// A bare number: takes the unit of what it is compared with.
    Bare,
    /// A count, a score, a ratio.
    One,
    Time,
    Energy,
    Volume,
    Use,
    Power,
    Flow,
    Rate,
    Voltage,
    Temperature,
    Signal,
    Share,
}

impl Dimension {
    /// For messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bare => "a bare number",
            Self::One => "a count",
            Self::Time => "a duration",
            Self::Energy => "an energy",
            Self::Volume => "a volume",
            Self::Use => "a use",
            Self::Power => "a power",
            Self::Flow => "a flow",
            Self::Rate => "a use per hour",
            Self::Voltage => "a voltage",
            Self::Temperature => "a temperature",
            Self::Signal => "a signal level",
            Self::Share => "a percentage",
        }
    }

    /// Whether two numbers may be added or compared.
    pub fn fits(self, other: Self) -> bool {
        let wide = |wide: Self, narrow: Self| match wide {
            Self::Bare => true,
            Self::Use => matches!(narrow, Self::Energy | Self::Volume),
            Self::Rate => matches!(narrow, Self::Power | Self::Flow),
            _ => false,
        };
        self == other || wide(self, other) || wide(other, self)
    }
}

/// A unit: its dimension and how many base units (s, Wh, L, W, L/h, V, C, dBm, %) it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Unit {
    pub name: &'static str,
    pub dimension: Dimension,
    pub factor: f64,
}

const fn unit(name: &'static str, dimension: Dimension, factor: f64) -> Unit {
    Unit { name, dimension, factor }
}

/// The units that a literal may carry: `24h`, `3.8Lph`, `20pct`.
pub const UNITS: &[Unit] = &[
    unit("s", Dimension::Time, 1.0),
    unit("min", Dimension::Time, 60.0),
    unit("h", Dimension::Time, 3_600.0),
    unit("d", Dimension::Time, 86_400.0),
    unit("w", Dimension::Time, 604_800.0),
    unit("y", Dimension::Time, 31_557_600.0),
    unit("Wh", Dimension::Energy, 1.0),
    unit("kWh", Dimension::Energy, 1_000.0),
    unit("MWh", Dimension::Energy, 1_000_000.0),
    unit("mL", Dimension::Volume, 0.001),
    unit("L", Dimension::Volume, 1.0),
    unit("m3", Dimension::Volume, 1_000.0),
    unit("W", Dimension::Power, 1.0),
    unit("kW", Dimension::Power, 1_000.0),
    unit("MW", Dimension::Power, 1_000_000.0),
    unit("Lph", Dimension::Flow, 1.0),
    unit("m3ph", Dimension::Flow, 1_000.0),
    unit("mV", Dimension::Voltage, 0.001),
    unit("V", Dimension::Voltage, 1.0),
    unit("C", Dimension::Temperature, 1.0),
    unit("dBm", Dimension::Signal, 1.0),
    unit("pct", Dimension::Share, 1.0),
];

impl Unit {
    /// A bare number.
    pub const BARE: Self = unit("", Dimension::Bare, 1.0);
    /// A count.
    pub const ONE: Self = unit("", Dimension::One, 1.0);
    /// Energy in Wh or volume in L, as the meter has it.
    pub const USE: Self = unit("Wh or L", Dimension::Use, 1.0);
    /// Power in W or flow in L/h, as the meter has it.
    pub const RATE: Self = unit("W or L/h", Dimension::Rate, 1.0);

    /// The unit of this name.
    pub fn of(name: &str) -> Option<Self> {
        UNITS.iter().find(|unit| unit.name == name).copied()
    }

    /// How a person reads it.
    pub const fn text(self) -> &'static str {
        match self.name.as_bytes() {
            b"Lph" => "L/h",
            b"m3ph" => "m3/h",
            b"pct" => "%",
            _ => self.name,
        }
    }
}
