//! ReadingType: what the numbers of a meter reading are.

use metering::Unit;

/// A ReadingType, as far as it decides what a number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kind {
    pub accumulation: Option<u16>,
    pub flow: Option<u16>,
    pub power_of_ten: i8,
    pub uom: Option<u16>,
    pub interval_s: Option<i32>,
    pub tou: u16,
}

/// What the numbers count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// The use of the period.
    Delta,
    /// A register at the end of the period.
    Cumulative,
    Instant,
}

struct Uom {
    code: u16,
    unit: Unit,
    name: &'static str,
    /// Import and export are told apart.
    directed: bool,
}

const fn uom(code: u16, unit: Unit, name: &'static str, directed: bool) -> Uom {
    Uom { code, unit, name, directed }
}

/// Unit codes of the standard (UnitSymbolKind).
const UOMS: [Uom; 15] = [
    uom(5, Unit::Ampere, "current", false),
    uom(29, Unit::Volt, "voltage", false),
    uom(33, Unit::Hertz, "frequency", false),
    uom(38, Unit::Watt, "power", true),
    uom(42, Unit::CubicMetre, "volume", false),
    uom(61, Unit::VoltAmpere, "apparent_power", false),
    uom(63, Unit::Var, "reactive_power", true),
    uom(72, Unit::WattHour, "energy", true),
    uom(73, Unit::VarHour, "reactive", true),
    uom(119, Unit::CubicFoot, "volume", false),
    uom(125, Unit::CubicMetrePerHour, "flow", false),
    uom(128, Unit::GallonUs, "volume", false),
    uom(134, Unit::Litre, "volume", false),
    uom(137, Unit::LitrePerHour, "flow", false),
    uom(169, Unit::Therm, "energy", true),
];

impl Kind {
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let number = || -> Result<Option<i32>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|_| format!("{name} `{text}` is no whole number"))
        };
        let small = |number: Option<i32>| number.and_then(|number| u16::try_from(number).ok());
        match name {
            "accumulationBehaviour" => self.accumulation = small(number()?),
            "flowDirection" => self.flow = small(number()?),
            "uom" => self.uom = small(number()?),
            "intervalLength" => self.interval_s = number()?,
            "tou" => self.tou = small(number()?).unwrap_or(0),
            "powerOfTenMultiplier" => {
                let power = number()?.unwrap_or(0);
                let fits = i8::try_from(power).ok().filter(|power| (-12..=12).contains(power));
                self.power_of_ten = fits.ok_or_else(|| format!("powerOfTenMultiplier {power}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// # Errors
    /// The code, when the standard has it and we do not, or there is none.
    pub fn unit(&self) -> Result<Unit, String> {
        self.known().map(|uom| uom.unit)
    }

    /// Name of the channel's field.
    ///
    /// # Errors
    /// As [`Kind::unit`]; and a direction that is neither forward nor reverse.
    pub fn field(&self) -> Result<String, String> {
        let uom = self.known()?;
        let side = match self.flow {
            _ if !uom.directed => "",
            None | Some(0 | 1) => "_import",
            Some(19) => "_export",
            Some(other) => {
                return Err(format!(
                    "flowDirection {other} is neither forward (1) nor reverse (19)"
                ));
            }
        };
        let tariff = if self.tou > 0 { format!("_t{}", self.tou) } else { String::new() };
        Ok(format!("{}{side}{tariff}", uom.name))
    }

    /// Delta data where nothing is said: that is what interval blocks hold.
    ///
    /// # Errors
    /// A code that is none of the four.
    pub fn behaviour(&self) -> Result<Behaviour, String> {
        match self.accumulation {
            None | Some(4) => Ok(Behaviour::Delta),
            Some(1 | 3) => Ok(Behaviour::Cumulative),
            Some(12) => Ok(Behaviour::Instant),
            Some(other) => Err(format!(
                "accumulationBehaviour {other} is none of bulk (1), cumulative (3), delta (4), \
                 instantaneous (12)"
            )),
        }
    }

    fn known(&self) -> Result<&'static Uom, String> {
        let code = self.uom.ok_or("the ReadingType has no uom")?;
        let known = UOMS.iter().find(|uom| uom.code == code);
        known.ok_or_else(|| format!("unit code (uom) {code} is not known"))
    }
}

/// The standard's code of a base unit, for feeds that we write.
pub(super) fn code_of(unit: Unit) -> Option<u16> {
    UOMS.iter().find(|uom| uom.unit == unit).map(|uom| uom.code)
}
