//! Durations (`15m`, `1h 30m`) and sizes (`2GiB`) as they are written in files and on the command
//! line, and back.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `200ms`, `15m`, `1h30m` or `35d`. The unit is never left out, except for zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("`{text}` is no duration: write for example 200ms, 30s, 15m, 2h or 35d");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(refuse)?;
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (_, factor) =
            DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
        let part = number.checked_mul(*factor).ok_or_else(refuse)?;
        millis = millis.checked_add(part).ok_or_else(refuse)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration so that [`parse_duration`] reads it back; below a millisecond it is cut.
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS.iter().skip(1) {
        if millis >= *factor {
            text.push_str(&format!("{}{unit}", millis / factor));
            millis %= factor;
        }
    }
    text
}

/// Reads `512KiB`, `4MiB`, `2GiB` or a number of bytes with `B`. Binary units only, so that no
/// size means two things.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let refuse = || format!("`{text}` is no size: write for example 512KiB, 4MiB or 2GiB");
    let (number, unit) = split_number(text.trim()).ok_or_else(refuse)?;
    let unit = unit.trim_start();
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
    number.checked_mul(*factor).ok_or_else(refuse)
}

/// Writes a size with the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let whole =
        SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, written) in [
            ("15m", 900_000, "15m"),
            ("200ms", 200, "200ms"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1h 30m", 5_400_000, "1h30m"),
            ("5w", 35 * 86_400_000, "35d"),
            ("0", 0, "0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(format_duration(duration), written);
            assert_eq!(parse_duration(written).unwrap(), duration);
        }
        for text in ["", "15", "m", "15x", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [("4MiB", 4 << 20), ("2GiB", 2 << 30), ("1000B", 1000)] {
            assert_eq!(parse_size(text).unwrap(), bytes);
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(format_size(0), "0B");
        for text in ["", "4MB", "4", "GiB", "99999999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
