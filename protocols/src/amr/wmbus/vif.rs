//! What a value information block means (EN 13757-3, tables of primary VIFs, of the extensions FB
//! and FD, and of combinable VIFEs).

use metering::Unit;

/// How a value is to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A counter that only grows.
    Cumulative,
    /// A momentary or measured value.
    Momentary,
    /// Date (type G) or date and time (types F, I).
    Date,
    /// Bits of the device's own error state.
    Errors,
    /// Days that the battery will last.
    BatteryDays,
    /// The number printed on the device.
    Fabrication,
    /// Kamstrup's status word; of another maker's devices it means something else.
    KamstrupStatus,
    /// Neither measured nor used: names, versions, durations of sending.
    Other,
}

/// Meaning of a VIF: `value * 10^exponent * factor` of the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Meaning {
    pub(super) base: &'static str,
    /// Unit as the last part of a field's name.
    pub(super) suffix: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) exponent: i8,
    pub(super) factor: i64,
    pub(super) kind: Kind,
    /// Words that VIFEs add to the name.
    pub(super) words: Vec<String>,
}

use Kind::{BatteryDays, Cumulative, Date, Errors, Fabrication, Momentary, Other};

/// Suffixes of durations by the two low bits of their VIF.
const DURATION: [&str; 4] = ["s", "min", "h", "d"];

impl Meaning {
    fn new(base: &'static str, suffix: &'static str, unit: Option<Unit>, kind: Kind) -> Self {
        Self { base, suffix, unit, exponent: 0, factor: 1, kind, words: Vec::new() }
    }

    const fn by(mut self, exponent: i8) -> Self {
        self.exponent = exponent;
        self
    }

    const fn times(mut self, factor: i64) -> Self {
        self.factor = factor;
        self
    }

    fn other() -> Self {
        Self::new("", "", None, Other)
    }
}

/// Low bits of a VIF: a power of ten.
fn low(code: u8, bits: u8) -> i8 {
    i8::try_from(code & ((1 << bits) - 1)).unwrap_or(0)
}

/// A VIB, its VIFEs without their extension bits. `None`: the maker's own.
pub(super) fn meaning(vif: u8, vifes: &[u8]) -> Option<Meaning> {
    let (mut meaning, rest) = match (vif, vifes) {
        (0xFD, [code, rest @ ..]) => (extension_fd(*code), rest),
        (0xFB, [code, rest @ ..]) => (extension_fb(*code), rest),
        (0x7C | 0xFC, rest) => (Meaning::other(), rest),
        (0xFF, [super::kamstrup::VIFE]) => {
            (Meaning::new("", "", None, Kind::KamstrupStatus), &[][..])
        }
        (0x7F | 0xFF | 0xFD | 0xFB, _) => return None,
        (code, rest) => (primary(code & 0x7F), rest),
    };
    combine(&mut meaning, rest);
    Some(meaning)
}

fn primary(code: u8) -> Meaning {
    let some = Meaning::new;
    match code {
        0x00..=0x07 => {
            some("total", "kwh", Some(Unit::KilowattHour), Cumulative).by(low(code, 3) - 6)
        }
        0x08..=0x0F => some("total", "mj", Some(Unit::Megajoule), Cumulative).by(low(code, 3) - 6),
        0x10..=0x17 => some("total", "m3", Some(Unit::CubicMetre), Cumulative).by(low(code, 3) - 6),
        0x18..=0x1F => some("total", "kg", None, Cumulative).by(low(code, 3) - 3),
        0x20..=0x23 => some("on_time", duration(code), None, Momentary),
        0x24..=0x27 => some("operating_time", duration(code), None, Momentary),
        0x28..=0x2F => some("power", "kw", Some(Unit::Kilowatt), Momentary).by(low(code, 3) - 6),
        0x30..=0x37 => some("power", "mjh", None, Momentary).by(low(code, 3) - 6),
        0x38..=0x3F => flow().by(low(code, 3) - 6),
        0x40..=0x47 => flow().by(low(code, 3) - 7).times(60),
        0x48..=0x4F => flow().by(low(code, 3) - 9).times(3_600),
        0x50..=0x57 => some("flow", "kgh", None, Momentary).by(low(code, 3) - 3),
        0x58..=0x5B => celsius("flow_temperature").by(low(code, 2) - 3),
        0x5C..=0x5F => celsius("return_temperature").by(low(code, 2) - 3),
        0x60..=0x63 => some("temperature_difference", "k", None, Momentary).by(low(code, 2) - 3),
        0x64..=0x67 => celsius("external_temperature").by(low(code, 2) - 3),
        0x68..=0x6B => some("pressure", "bar", None, Momentary).by(low(code, 2) - 3),
        0x6C | 0x6D => some("", "", None, Date),
        0x6E => some("total", "hca", Some(Unit::Count), Cumulative),
        0x70..=0x73 => some("averaging_duration", duration(code), None, Momentary),
        0x74..=0x77 => some("actuality_duration", duration(code), None, Momentary),
        0x78 => some("", "", None, Fabrication),
        _ => Meaning::other(),
    }
}

fn extension_fd(code: u8) -> Meaning {
    let some = Meaning::new;
    match code & 0x7F {
        0x17 => some("", "", None, Errors),
        0x3A => some("dimensionless", "counter", Some(Unit::Count), Momentary),
        code @ 0x40..=0x4F => {
            some("voltage", "v", Some(Unit::Volt), Momentary).by(low(code, 4) - 9)
        }
        code @ 0x50..=0x5F => {
            some("current", "a", Some(Unit::Ampere), Momentary).by(low(code, 4) - 12)
        }
        0x60 => some("reset", "counter", Some(Unit::Count), Momentary),
        0x61 => some("cumulation", "counter", Some(Unit::Count), Momentary),
        0x74 => some("battery", "d", None, BatteryDays),
        _ => Meaning::other(),
    }
}

fn extension_fb(code: u8) -> Meaning {
    let some = Meaning::new;
    match code & 0x7F {
        code @ 0x00..=0x01 => {
            some("total", "kwh", Some(Unit::KilowattHour), Cumulative).by(low(code, 1) + 2)
        }
        code @ 0x02..=0x03 => {
            some("total_reactive", "kvarh", Some(Unit::KilovarHour), Cumulative).by(low(code, 1))
        }
        code @ 0x04..=0x07 => some("total_apparent", "kvah", None, Cumulative).by(low(code, 2)),
        code @ 0x08..=0x09 => {
            some("total", "mj", Some(Unit::Megajoule), Cumulative).by(low(code, 1) + 2)
        }
        code @ 0x10..=0x11 => {
            some("total", "m3", Some(Unit::CubicMetre), Cumulative).by(low(code, 1) + 2)
        }
        code @ 0x14..=0x17 => {
            some("power_reactive", "kvar", Some(Unit::Kilovar), Momentary).by(low(code, 2) - 3)
        }
        code @ 0x18..=0x19 => some("total", "kg", None, Cumulative).by(low(code, 1) + 5),
        code @ 0x1A..=0x1B => some("relative_humidity", "rh", None, Momentary).by(low(code, 1) - 1),
        0x20 => some("total", "ft3", Some(Unit::CubicFoot), Cumulative).by(-1),
        0x21 => some("total", "ft3", Some(Unit::CubicFoot), Cumulative),
        0x22 => some("total", "gal", Some(Unit::GallonUs), Cumulative).by(-1),
        0x23 => some("total", "gal", Some(Unit::GallonUs), Cumulative),
        code @ 0x28..=0x29 => {
            some("power", "kw", Some(Unit::Kilowatt), Momentary).by(low(code, 1) + 2)
        }
        code @ 0x2C..=0x2F => {
            some("frequency", "hz", Some(Unit::Hertz), Momentary).by(low(code, 2) - 3)
        }
        code @ 0x34..=0x37 => some("power_apparent", "kva", Some(Unit::KilovoltAmpere), Momentary)
            .by(low(code, 2) - 3),
        _ => Meaning::other(),
    }
}

fn flow() -> Meaning {
    Meaning::new("flow", "m3h", Some(Unit::CubicMetrePerHour), Momentary)
}

fn celsius(base: &'static str) -> Meaning {
    Meaning::new(base, "c", Some(Unit::Celsius), Momentary)
}

fn duration(code: u8) -> &'static str {
    DURATION[usize::from(code & 3)]
}

/// Combinable VIFEs: factors change the value; anything else must stay visible in the name, so
/// that a backward or limited value never looks like the ordinary one.
fn combine(meaning: &mut Meaning, vifes: &[u8]) {
    let mut rest = vifes.iter().map(|code| code & 0x7F);
    while let Some(code) = rest.next() {
        let word = match code {
            0x70..=0x77 => {
                meaning.exponent = meaning.exponent.saturating_add(low(code, 3) - 6);
                continue;
            }
            0x7D => {
                meaning.exponent = meaning.exponent.saturating_add(3);
                continue;
            }
            0x3B => "forward".to_owned(),
            0x3C => "backward".to_owned(),
            // Values of many intervals in one record.
            0x13 | 0x1E | 0x1F => {
                meaning.kind = Other;
                "profile".to_owned()
            }
            0x7C => match rest.next() {
                Some(0x01) => "l1".to_owned(),
                Some(0x02) => "l2".to_owned(),
                Some(0x03) => "l3".to_owned(),
                Some(0x04) => "n".to_owned(),
                Some(0x05) => "l1_l2".to_owned(),
                Some(0x06) => "l2_l3".to_owned(),
                Some(0x07) => "l3_l1".to_owned(),
                Some(0x10) => "absolute".to_owned(),
                Some(code) => format!("vife_7c{code:02x}"),
                None => continue,
            },
            0x7F => {
                let codes: String = rest.by_ref().map(|code| format!("{code:02x}")).collect();
                format!("maker_{codes}")
            }
            code => format!("vife_{code:02x}"),
        };
        meaning.words.push(word);
    }
}
