//! What a utility would know of these meters: units, multipliers, widths of the counters. And, apart
//! from the program's own arithmetic, what the stored value must then be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Message;

/// The radio meters whose telegrams hold bare counters.
const ERT: &str = "\
meter,source,commodity,collector,collector_heartbeat,battery,field,reading_type,kind,unit,multiplier,decimals,modulus,interval
gas-44448439,ert:44448439,gas,C-01,5m,yes,consumption,volume,register,ft3,1,0,16777216,1h
el-629848,ert:629848,electricity,C-01,,,consumption,energy_active_import,register,kWh,0.01,0,16777216,15m
el-22277181,ert:22277181,electricity,C-01,,,consumption,energy_active_import,register,kWh,0.01,0,16777216,15m
water-1563476986,r900:1563476986,water,C-01,,yes,consumption,volume,register,gal,0.1,0,16777216,1h
water-1540559732,r900:1540559732,water,C-01,,yes,consumption,volume,register,gal,0.1,0,16777216,1h
water-1111111111,r900:1111111111,water,C-01,,yes,consumption,volume,register,gal,0.1,0,16777216,1h
water-23876447,ert:23876447,water,C-02,5m,yes,consumption,volume,register,gal,10,0,16777216,1h
gas-76324406,ert:76324406,gas,C-01,,yes,consumption,volume,register,ft3,1,0,4294967296,1h
gas-78043469,ert:78043469,gas,C-01,,yes,consumption,volume,register,ft3,1,0,4294967296,1h
gas-101100604,ert:101100604,gas,C-01,,yes,consumption,volume,register,ft3,1,0,4294967296,1h
gas-54585868,ert:54585868,gas,C-01,,yes,consumption,volume,register,ft3,1,0,16777216,1h
el-33333333,ert:33333333,electricity,C-01,,,consumption,energy_active_import,register,kWh,0.01,0,16777216,15m
el-33333333,,,,,,interval,energy_active_import,interval,kWh,0.01,,,5m
el-1550406067,ert:1550406067,electricity,C-01,,,consumption_net,energy_active,register,kWh,0.01,0,4294967296,15m
el-1550406067,,,,,,generation,energy_active_export,register,kWh,0.01,0,4294967296,15m
el-1550406067,,,,,,consumption_delivered,energy_active_import,register,kWh,0.01,0,4294967296,15m
el-1550406067,,,,,,interval_net,energy_active,interval,kWh,0.01,,,5m
water-69,orion:69,water,C-01,,yes,consumption,volume,register,gal,1,0,16777216,1h
";

/// Suffix of a wmbusmeters field: reading type, kind, unit, and thousandths of the base unit in one
/// unit.
const SUFFIXES: [(&str, &str, &str, &str, i128); 10] = [
    ("m3", "volume", "register", "m3", 1_000_000),
    ("l", "volume", "register", "L", 1_000),
    ("kwh", "energy", "register", "kWh", 1_000_000),
    ("kvarh", "energy_reactive_import", "register", "kvarh", 1_000_000),
    ("kw", "power_active", "instant", "kW", 1_000_000),
    ("m3h", "volume_flow", "instant", "m3/h", 1_000_000),
    ("v", "voltage", "instant", "V", 1_000),
    ("a", "current", "instant", "A", 1_000),
    ("c", "temperature", "instant", "C", 1_000),
    ("hz", "frequency", "instant", "Hz", 1_000),
];

fn suffix(
    field: &str,
) -> Option<&'static (&'static str, &'static str, &'static str, &'static str, i128)> {
    let (_, suffix) = field.rsplit_once('_')?;
    SUFFIXES.iter().find(|(name, ..)| *name == suffix)
}

pub(super) fn ert_provisioning() -> String {
    ERT.to_owned()
}

/// Every field of every telegram that has a unit we store; the first telegram of a meter says what
/// kind of meter it is.
pub(super) fn wmbus_provisioning(messages: &[Message]) -> String {
    let mut meters: BTreeMap<&str, (&str, BTreeMap<&str, usize>)> = BTreeMap::new();
    for message in messages {
        let text = |key: &str| message.document[key].as_str().unwrap();
        let (_, fields) =
            meters.entry(text("id")).or_insert((commodity(text("media")), BTreeMap::new()));
        for (field, value) in message.document.as_object().unwrap() {
            if suffix(field).is_some() && value.is_number() {
                let digits = fields.entry(field).or_insert(3);
                *digits = (*digits).max(digits_after_point(value));
            }
        }
    }
    let mut csv =
        "meter,source,commodity,collector,field,reading_type,kind,unit,decimals\n".to_owned();
    for (id, (commodity, fields)) in &meters {
        for (number, (field, decimals)) in fields.iter().enumerate() {
            let Some((_, reading_type, kind, unit, _)) = suffix(field) else { continue };
            let reading_type = match *reading_type {
                "energy" if *commodity == "heat" => "energy_thermal",
                "energy" if field.contains("production") => "energy_active_export",
                "energy" => "energy_active_import",
                other => other,
            };
            let head = format!("wmbus:{id},{commodity},C-01");
            let head = if number == 0 { head } else { ",,".to_owned() };
            csv += &format!("wm-{id},{head},{field},{reading_type},{kind},{unit},{decimals}\n");
        }
    }
    csv
}

fn commodity(media: &str) -> &'static str {
    match media {
        "electricity" => "electricity",
        "gas" => "gas",
        "heat" | "heat/cooling load" | "heat volume at inlet" | "heat cost allocation" => "heat",
        _ => "water",
    }
}

/// Of the plain or the small form (`4.6e-5`).
fn digits_after_point(value: &Value) -> usize {
    let text = value.to_string();
    let (digits, exponent) = text.split_once("e-").unwrap_or((&text, "0"));
    let exponent: usize = exponent.parse().unwrap();
    exponent + digits.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

/// What must be stored of a telegram's field, in thousandths of the base unit: its decimal digits
/// times the unit, rounded half up. `None`: not a provisioned field.
pub(super) fn wmbus_expected(field: &str, value: &Value) -> Option<i64> {
    let (.., factor) = suffix(field)?;
    let text = value.is_number().then(|| value.to_string())?;
    let (text, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let exponent: usize = exponent.trim_start_matches('-').parse().unwrap();
    let scale = 10_i128.pow(u32::try_from(fraction.len() + exponent).unwrap());
    let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
    Some(i64::try_from((2 * digits * factor + scale).div_euclid(2 * scale)).unwrap())
}

/// The same for a bare counter: `(counter, thousandths per count as a fraction)` of each meter.
pub(super) fn ert_expected(number: &str, counter: i128) -> i64 {
    let (milli, per) = match number {
        // 1 ft3 = 28.316846592 L, a gallon 3.785411784 L.
        "water-23876447" => (37_854_117_840_i128, 1_000_000_i128),
        "water-69" => (3_785_411_784, 1_000_000),
        number if number.starts_with("gas") => (28_316_846_592, 1_000_000),
        number if number.starts_with("water") => (3_785_411_784, 10_000_000),
        _ => (10_000, 1),
    };
    i64::try_from((2 * counter * milli + per).div_euclid(2 * per)).unwrap()
}
