//! SunSpec: the device says which models it has and where; the four meter models share one layout
//! (SunSpec Information Model, models 201 to 204: single phase, split phase, wye, delta).

use metering::Unit;

use super::pdu::{Function, ReadRequest};
use super::profile::{Absent, Profile, Register, RegisterType, Scale, Use, WordOrder};

/// Where the marker "SunS" may stand, in the order looked at.
const BASES: [u16; 3] = [40_000, 0, 50_000];
const MARKER: [u16; 2] = [0x5375, 0x6E53];
const END: u16 = 0xFFFF;
/// A chain of models that goes further is none.
const REGISTERS_MAX: u32 = 10_000;
/// Model 1 says who made the device; its serial number stands here, behind the model's head.
const COMMON: u16 = 1;
const SERIAL_AT: u16 = 48;
const SERIAL_WORDS: u16 = 16;
/// Points of a meter model up to the scale factor of its energies, behind the head.
const METER_POINTS: u16 = 53;

/// The search for models: asks, is answered, and gives a profile at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovery {
    step: Step,
    serial: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Marker(usize),
    Head { base: u16, at: u16 },
}

/// Where the search stands after an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Ask [`Discovery::request`].
    More,
    /// The registers of the meter model.
    Meter { model: u16, registers: Vec<Register> },
}

/// The device has no meter that SunSpec describes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("there is no SunSpec marker at 40000, 0 or 50000")]
    NoMarker,
    #[error("the chain of models is broken at {at}: model {model} has length {length}")]
    Broken { at: u16, model: u16, length: u16 },
    #[error("none of the device's models is a meter (201 to 204)")]
    NoMeter,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { step: Step::Marker(0), serial: None }
    }
}

impl Discovery {
    /// What to ask next; `None` never happens before the end.
    pub fn request(&self) -> Option<ReadRequest> {
        let address = match self.step {
            Step::Marker(nth) => *BASES.get(nth)?,
            Step::Head { at, .. } => at,
        };
        ReadRequest::new(Function::Holding, address, 2)
    }

    /// Takes the two registers asked for, or `None` when the device has none there.
    ///
    /// # Errors
    /// [`DiscoveryError`] when the search has ended without a meter.
    pub fn answer(&mut self, words: Option<&[u16]>) -> Result<Found, DiscoveryError> {
        match self.step {
            Step::Marker(nth) => {
                if words == Some(&MARKER[..]) {
                    let base = BASES[nth];
                    self.step = Step::Head { base, at: base + 2 };
                } else if nth + 1 < BASES.len() {
                    self.step = Step::Marker(nth + 1);
                } else {
                    return Err(DiscoveryError::NoMarker);
                }
                Ok(Found::More)
            }
            Step::Head { base, at } => self.head(base, at, words),
        }
    }

    fn head(&mut self, base: u16, at: u16, words: Option<&[u16]>) -> Result<Found, DiscoveryError> {
        let Some(&[model, length]) = words else { return Err(DiscoveryError::NoMeter) };
        if model == END {
            return Err(DiscoveryError::NoMeter);
        }
        let broken = DiscoveryError::Broken { at, model, length };
        let next = u32::from(at) + 2 + u32::from(length);
        if length == 0 || next - u32::from(base) > REGISTERS_MAX {
            return Err(broken);
        }
        let body = at.checked_add(2).ok_or(broken.clone())?;
        if (201..=204).contains(&model) {
            if length < METER_POINTS {
                return Err(broken);
            }
            return Ok(Found::Meter { model, registers: meter(model, body, self.serial) });
        }
        if model == COMMON && length >= SERIAL_AT + SERIAL_WORDS {
            self.serial = body.checked_add(SERIAL_AT);
        }
        let at = u16::try_from(next).map_err(|_| broken)?;
        self.step = Step::Head { base, at };
        Ok(Found::More)
    }
}

impl Profile {
    /// This profile with the registers that a device's models gave.
    #[must_use]
    pub fn with_models(&self, registers: Vec<Register>) -> Self {
        Self { registers, sunspec: false, ..self.clone() }
    }
}

/// A point of the meter models: channel, offset behind the head, offset of its scale factor.
struct Point(&'static str, u16, u16, Unit);

const MOMENTARY: [Point; 15] = [
    Point("current_total", 0, 4, Unit::Ampere),
    Point("current_l1", 1, 4, Unit::Ampere),
    Point("current_l2", 2, 4, Unit::Ampere),
    Point("current_l3", 3, 4, Unit::Ampere),
    Point("voltage_avg", 5, 13, Unit::Volt),
    Point("voltage_l1", 6, 13, Unit::Volt),
    Point("voltage_l2", 7, 13, Unit::Volt),
    Point("voltage_l3", 8, 13, Unit::Volt),
    Point("voltage_l1_l2", 10, 13, Unit::Volt),
    Point("voltage_l2_l3", 11, 13, Unit::Volt),
    Point("frequency", 14, 15, Unit::Hertz),
    Point("power_active_total", 16, 20, Unit::Watt),
    Point("power_active_l1", 17, 20, Unit::Watt),
    Point("power_active_l2", 18, 20, Unit::Watt),
    Point("power_active_l3", 19, 20, Unit::Watt),
];

/// Energies are pairs of registers: exported first, then imported.
const COUNTERS: [Point; 8] = [
    Point("energy_active_export_total", 36, 52, Unit::WattHour),
    Point("energy_active_export_l1", 38, 52, Unit::WattHour),
    Point("energy_active_export_l2", 40, 52, Unit::WattHour),
    Point("energy_active_export_l3", 42, 52, Unit::WattHour),
    Point("energy_active_import_total", 44, 52, Unit::WattHour),
    Point("energy_active_import_l1", 46, 52, Unit::WattHour),
    Point("energy_active_import_l2", 48, 52, Unit::WattHour),
    Point("energy_active_import_l3", 50, 52, Unit::WattHour),
];

/// Phases that a model has none of say "not implemented"; those of a single-phase meter are left
/// out, so that they are not even asked for.
fn meter(model: u16, body: u16, serial: Option<u16>) -> Vec<Register> {
    let phases = match model {
        201 => 1,
        202 => 2,
        _ => 3,
    };
    let has = |point: &&Point| {
        let name = point.0;
        let beyond = |phase: &str, from: u32| name.contains(phase) && phases < from;
        !(beyond("l2", 2) || beyond("l3", 3))
    };
    let one = |point: &Point, kind: RegisterType, use_: Use| Register {
        channel: point.0.to_owned(),
        function: Function::Holding,
        address: body.saturating_add(point.1),
        kind,
        unit: point.3,
        use_,
        order: WordOrder::Big,
        scale: Scale::Register(body.saturating_add(point.2)),
        absent: if use_ == Use::Instant { vec![Absent::LowestSigned] } else { Vec::new() },
        range: None,
    };
    let momentary = MOMENTARY.iter().filter(has);
    let mut registers: Vec<Register> =
        momentary.map(|point| one(point, RegisterType::I16, Use::Instant)).collect();
    let counters = COUNTERS.iter().filter(has);
    registers.extend(counters.map(|point| one(point, RegisterType::Acc32, Use::Cumulative)));
    registers.extend(serial.map(|address| Register {
        channel: super::channel::SERIAL.to_owned(),
        function: Function::Holding,
        address,
        kind: RegisterType::Text(SERIAL_WORDS),
        unit: Unit::Count,
        use_: Use::Text,
        order: WordOrder::Big,
        scale: Scale::Power(0),
        absent: Vec::new(),
        range: None,
    }));
    registers
}
