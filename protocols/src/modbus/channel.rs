//! The names that a profile may give to what it reads, and the units that each can have.

use metering::{Exact, Unit};

/// What a channel name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Base unit that the register's unit must have.
    pub base: Unit,
    /// Counts up: only such a channel may be cumulative.
    pub counts: bool,
    /// What no device of this world shows, inclusive, in the base unit.
    pub range: (i64, i64),
}

/// Text registers have this name and no unit.
pub const SERIAL: &str = "serial_number";

/// What stands before phase or tariff.
const STEMS: [(&str, Unit, bool, (i64, i64)); 21] = [
    ("energy_active_import", Unit::WattHour, true, (0, 1_000_000_000_000_000)),
    ("energy_active_export", Unit::WattHour, true, (0, 1_000_000_000_000_000)),
    ("energy_active_sum", Unit::WattHour, true, (0, 1_000_000_000_000_000)),
    ("energy_active_net", Unit::WattHour, true, (-1_000_000_000_000_000, 1_000_000_000_000_000)),
    ("energy_reactive_import", Unit::VarHour, true, (0, 1_000_000_000_000_000)),
    ("energy_reactive_export", Unit::VarHour, true, (0, 1_000_000_000_000_000)),
    ("energy_reactive_sum", Unit::VarHour, true, (0, 1_000_000_000_000_000)),
    ("energy_thermal", Unit::WattHour, true, (0, 1_000_000_000_000_000)),
    ("volume", Unit::Litre, true, (0, 1_000_000_000_000)),
    ("volume_flow", Unit::LitrePerHour, false, (-1_000_000_000, 1_000_000_000)),
    ("power_active", Unit::Watt, false, (-10_000_000_000, 10_000_000_000)),
    ("power_reactive", Unit::Var, false, (-10_000_000_000, 10_000_000_000)),
    ("power_apparent", Unit::VoltAmpere, false, (-10_000_000_000, 10_000_000_000)),
    ("voltage", Unit::Volt, false, (-1_000, 1_000_000)),
    ("current", Unit::Ampere, false, (-1_000_000, 1_000_000)),
    ("frequency", Unit::Hertz, false, (40, 70)),
    ("temperature", Unit::Celsius, false, (-100, 1_000)),
    ("power_factor", Unit::Count, false, (-1, 1)),
    ("pulses", Unit::Count, true, (0, 1_000_000_000_000_000)),
    ("operating_hours", Unit::Count, true, (0, 10_000_000)),
    ("count", Unit::Count, true, (0, 1_000_000_000_000_000)),
];

/// What may follow a stem.
const PARTS: [&str; 20] = [
    "total", "avg", "l1", "l2", "l3", "n", "l1_l2", "l2_l3", "l3_l1", "t1", "t2", "t3", "t4",
    "supply", "return", "1", "2", "3", "4", "ambient",
];

/// `None` when no channel has the name.
pub fn known(name: &str) -> Option<Known> {
    let of = |(stem, base, counts, range): &(&str, Unit, bool, (i64, i64))| {
        let rest = name.strip_prefix(stem)?;
        let fits = rest.is_empty() || rest.strip_prefix('_').is_some_and(|p| PARTS.contains(&p));
        fits.then_some(Known { base: *base, counts: *counts, range: *range })
    };
    STEMS.iter().find_map(of)
}

/// The stems, for messages.
pub fn stems() -> String {
    STEMS.map(|(stem, ..)| stem).join(", ")
}

impl Known {
    /// Whether a value in `unit` can be.
    pub fn holds(&self, value: Exact, unit: Unit) -> bool {
        let Ok(milli) = value.times(unit.milli_per_unit()) else { return false };
        let within = |limit: i64| i128::from(limit) * 1_000 * milli.den();
        (within(self.range.0)..=within(self.range.1)).contains(&milli.num())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_stem_and_a_part() {
        for name in ["energy_active_import_total", "voltage_l1_l2", "frequency", "volume_flow"] {
            assert!(known(name).is_some(), "{name}");
        }
        for name in ["energy", "voltage_l9", "voltagel1", "power_active_", ""] {
            assert!(known(name).is_none(), "{name}");
        }
        let hertz = known("frequency").unwrap();
        assert!(hertz.holds("49.98".parse().unwrap(), Unit::Hertz));
        assert!(!hertz.holds("230.2".parse().unwrap(), Unit::Hertz));
        let energy = known("energy_active_import").unwrap();
        assert!(!energy.holds("-0.001".parse().unwrap(), Unit::KilowattHour));
    }
}
