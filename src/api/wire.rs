//! How values look in JSON: instants in UTC, quantities as exact decimals whose unit is part of the
//! field's name.

use metering::{Quantity, ReadingType, UtcTime};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// An instant as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct At(pub(super) UtcTime);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// `None` for an instant that never comes.
pub(super) fn ending(at: UtcTime) -> Option<At> {
    (at < UtcTime::MAX).then_some(At(at))
}

pub(super) fn maybe(at: Option<UtcTime>) -> Option<At> {
    at.map(At)
}

/// A page of a list, as sent.
#[derive(Serialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

/// Turns a page of the store into one of the API.
pub(super) fn list<T, U>(page: store::views::Page<T>, row: impl Fn(T) -> U) -> List<U> {
    let next_cursor = page.next.map(|cursor| cursor.to_string());
    List { items: page.items.into_iter().map(row).collect(), next_cursor }
}

/// Name of the field that holds a value of this type: `energy_wh`, `volume_l`.
pub(super) const fn field(reading_type: ReadingType) -> &'static str {
    match reading_type.quantity {
        Quantity::EnergyActive | Quantity::EnergyThermal => "energy_wh",
        Quantity::EnergyReactive => "energy_varh",
        Quantity::Volume => "volume_l",
        Quantity::VolumeFlow => "flow_l_per_h",
        Quantity::PowerActive => "power_w",
        Quantity::Voltage => "voltage_v",
        Quantity::Current => "current_a",
        Quantity::Temperature => "temperature_c",
        Quantity::Frequency => "frequency_hz",
    }
}

/// Milli-units as a decimal of the base unit, exactly: `-1.5`, `100`.
pub(super) fn decimal(milli: i64) -> String {
    let (whole, rest) = (milli.unsigned_abs() / 1_000, milli.unsigned_abs() % 1_000);
    let sign = if milli < 0 { "-" } else { "" };
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:03}");
    text.trim_end_matches('0').to_owned()
}

/// Puts a quantity under its own field name. Text, since a JSON number would be read as a float.
pub(super) fn put(
    into: &mut Map<String, Value>,
    reading_type: ReadingType,
    suffix: &str,
    milli: i64,
) {
    let name = format!("{}{suffix}", field(reading_type));
    into.insert(name, Value::String(decimal(milli)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (milli, want) in [
            (0, "0"),
            (5, "0.005"),
            (-1_500, "-1.5"),
            (100_000, "100"),
            (-7, "-0.007"),
            (metering::exact::STORED_MAX, "4611686018427387.903"),
        ] {
            assert_eq!(decimal(milli), want);
        }
        assert_eq!(field(ReadingType::VOLUME), "volume_l");
    }
}
