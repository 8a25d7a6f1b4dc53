//! A telegram's frame and lines, before any meaning.

use metering::{Exact, Unit};

use crate::format::{RejectReason, Rejected};
use crate::options::CrcRule;

/// Lines of one telegram. The longest known has 60.
const LINES_MAX: usize = 256;
/// Values of one line. A log of 13 months takes 41.
const VALUES_MAX: usize = 96;

const UNITS: [(&str, Unit); 15] = [
    ("kWh", Unit::KilowattHour),
    ("Wh", Unit::WattHour),
    ("kvarh", Unit::KilovarHour),
    ("varh", Unit::VarHour),
    ("kW", Unit::Kilowatt),
    ("W", Unit::Watt),
    ("kvar", Unit::Kilovar),
    ("var", Unit::Var),
    ("VA", Unit::VoltAmpere),
    ("V", Unit::Volt),
    ("A", Unit::Ampere),
    ("m3", Unit::CubicMetre),
    ("GJ", Unit::Gigajoule),
    ("MJ", Unit::Megajoule),
    ("Hz", Unit::Hertz),
];

/// One telegram.
#[derive(Debug)]
pub(super) struct Telegram<'a> {
    /// Maker and type, after the slash.
    pub(super) header: &'a str,
    pub(super) lines: Vec<Line<'a>>,
    /// The check sum is wrong, and the operator takes it all the same.
    pub(super) suspect: bool,
}

/// `1-0:1.8.1(001581.123*kWh)`: a code and its values. Values on a line of their own belong to the
/// line before (DSMR 3).
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// As sent, without `*255`.
    pub(super) code: &'a str,
    pub(super) values: Vec<&'a str>,
}

impl<'a> Telegram<'a> {
    /// # Errors
    /// [`Rejected`]: no telegram, a cut one, or a check sum that breaks the rule.
    pub(super) fn read(payload: &'a [u8], rule: CrcRule) -> Result<Self, Rejected> {
        let bad = |what: &str| RejectReason::BadFormat.because(what);
        let from = payload.iter().position(|byte| *byte == b'/');
        let from = from.ok_or_else(|| bad("no `/`: this is no P1 telegram"))?;
        let payload = &payload[from..];
        let end = payload.iter().position(|byte| *byte == b'!');
        let end = end.ok_or_else(|| bad("no `!`: the telegram is cut"))?;
        let suspect = check(payload, end, rule)?;
        let text = std::str::from_utf8(&payload[1..end])
            .map_err(|error| RejectReason::BadFormat.because(format!("not ASCII: {error}")))?;
        let mut rows = text.lines().map(str::trim_end);
        let header = rows.next().unwrap_or("");
        let mut lines: Vec<Line<'_>> = Vec::new();
        for row in rows.filter(|row| !row.is_empty()) {
            let (code, values) = row.split_once('(').ok_or_else(|| {
                let row: String = row.chars().take(40).collect();
                RejectReason::BadFormat.because(format!("`{row}` is no line of a P1 telegram"))
            })?;
            if lines.len() == LINES_MAX {
                return Err(RejectReason::BadFormat.because(format!("more than {LINES_MAX} lines")));
            }
            let mut list = split(values)?;
            match lines.last_mut().filter(|_| code.is_empty()) {
                Some(before) if before.values.len() + list.len() <= VALUES_MAX => {
                    before.values.append(&mut list);
                }
                Some(_) => return Err(too_many()),
                None => {
                    let code = code.split('*').next().unwrap_or(code);
                    lines.push(Line { code, values: list });
                }
            }
        }
        Ok(Self { header, lines, suspect })
    }

    /// The only value of a line.
    pub(super) fn value(&self, code: &str) -> Option<&'a str> {
        self.line(code)?.values.first().copied()
    }

    pub(super) fn line(&self, code: &str) -> Option<&Line<'a>> {
        self.lines.iter().find(|line| line.code == code)
    }
}

/// What stands between the brackets of `a)(b)(c)`.
fn split(values: &str) -> Result<Vec<&str>, Rejected> {
    let mut list = Vec::new();
    let inner = values.strip_suffix(')').unwrap_or(values);
    for value in inner.split(")(") {
        if list.len() == VALUES_MAX {
            return Err(too_many());
        }
        list.push(value);
    }
    Ok(list)
}

fn too_many() -> Rejected {
    RejectReason::BadFormat.because(format!("more than {VALUES_MAX} values in one line"))
}

/// True when the check sum is wrong and that is allowed.
fn check(payload: &[u8], end: usize, rule: CrcRule) -> Result<bool, Rejected> {
    let digits = payload[end + 1..].iter().take(4).take_while(|byte| byte.is_ascii_hexdigit());
    let told = digits.fold(None, |told: Option<u32>, digit| {
        let digit = char::from(*digit).to_digit(16).unwrap_or(0);
        Some(told.unwrap_or(0) << 4 | digit)
    });
    let Some(told) = told else {
        return match rule {
            CrcRule::Required => {
                Err(RejectReason::BadChecksum.because("no check sum after `!`, and crc = required"))
            }
            CrcRule::WhenPresent | CrcRule::Optional => Ok(false),
        };
    };
    let body = &payload[..=end];
    // A bridge that turned CRLF into LF changed what was summed.
    let bare = !body.contains(&b'\r');
    let computed = body.iter().fold(0_u16, |crc, byte| {
        let crc = if bare && *byte == b'\n' { arc(crc, b'\r') } else { crc };
        arc(crc, *byte)
    });
    if told == u32::from(computed) {
        return Ok(false);
    }
    match rule {
        CrcRule::Optional => Ok(true),
        CrcRule::WhenPresent | CrcRule::Required => Err(RejectReason::BadChecksum
            .because(format!("the check sum is {computed:04X}, the telegram says {told:04X}"))),
    }
}

/// One step of CRC-16/ARC: reflected polynomial 0x8005, start 0.
fn arc(crc: u16, byte: u8) -> u16 {
    (0..8).fold(
        crc ^ u16::from(byte),
        |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
        },
    )
}

/// `001581.123*kWh`. `None` when the text is no number, or its unit none that we know.
pub(super) fn measured(text: &str) -> Option<(Exact, Option<Unit>)> {
    match text.split_once('*') {
        None => Some((text.parse().ok()?, None)),
        Some((value, symbol)) => {
            let (_, unit) = UNITS.iter().find(|(known, _)| *known == symbol)?;
            Some((value.parse().ok()?, Some(*unit)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm() {
        assert_eq!(b"123456789".iter().fold(0, |crc, byte| arc(crc, *byte)), 0xBB3D);
    }

    #[test]
    fn values_are_split_at_their_brackets() {
        assert_eq!(split("a)(b)()").unwrap(), ["a", "b", ""]);
        assert_eq!(split(")").unwrap(), [""]);
        assert!(split(&"1)(".repeat(100)).is_err());
    }
}
