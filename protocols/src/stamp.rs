//! Time stamps as senders write them, and when to distrust one (`protocols.md` 1.4).

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use metering::UtcTime;

use crate::observation::{ObservedTime, TimeOrigin};

/// Stamps before 2000-01-01T00:00:00Z are those of a clock that was never set.
const CREDIBLE_FROM: UtcTime = UtcTime::from_seconds(946_684_800);
/// A stamp may lie this far ahead of its arrival, in seconds.
const AHEAD_S_MAX: i64 = 86_400;

/// RFC 3339 with `Z` or an offset; the common `YYYY-MM-DDThh:mm:ssZ` without any library.
pub(crate) fn parse_utc(text: &str) -> Option<UtcTime> {
    parse_plain(text.as_bytes()).or_else(|| UtcTime::parse_rfc3339(text))
}

/// Exactly `YYYY-MM-DDThh:mm:ssZ`, years 1970 to 9999.
fn parse_plain(text: &[u8]) -> Option<UtcTime> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if punctuation.iter().any(|(at, want)| text[*at] != *want) {
        return None;
    }
    let two = |at: usize| -> Option<i64> {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970 by counting years from March, so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(UtcTime::from_seconds(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

/// Local date and time without a zone, `2023-04-12 19:29:46[.123]`, with a space or a `T`.
pub(crate) fn parse_local(text: &str) -> Option<DateTime> {
    text.parse().ok()
}

/// A local time in a zone. Of the two instants of a repeated hour, the one nearer to the arrival is
/// taken, since telegrams arrive soon after they are sent; a local time that the spring change
/// skipped is doubtful.
pub(crate) fn in_zone(
    local: DateTime,
    zone: &TimeZone,
    received_at: UtcTime,
    origin: TimeOrigin,
) -> Option<ObservedTime> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let instant = |offset: jiff::tz::Offset| -> Option<UtcTime> {
        offset.to_timestamp(local).ok().map(UtcTime::from_jiff)
    };
    let mut time = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => ObservedTime::sure(instant(offset)?, origin),
        AmbiguousOffset::Gap { before, .. } => {
            ObservedTime::sure(instant(before)?, origin).doubted()
        }
        AmbiguousOffset::Fold { before, after } => {
            let (first, second) = (instant(before)?, instant(after)?);
            let distance = |t: UtcTime| received_at.seconds_since(t).unsigned_abs();
            let at = if distance(second) < distance(first) { second } else { first };
            ObservedTime { ambiguous: true, ..ObservedTime::sure(at, origin) }
        }
    };
    time.zone_assumed = true;
    Some(time)
}

/// True when a stamp cannot be right: before 2000, or more than 24 h after it arrived.
pub(crate) fn is_absurd(at: UtcTime, received_at: UtcTime) -> bool {
    at < CREDIBLE_FROM || at > received_at.plus_seconds(AHEAD_S_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_path_and_the_library_agree() {
        for seconds in (0..4_102_444_800_i64).step_by(7_919 * 997) {
            let at = UtcTime::from_seconds(seconds);
            let text = at.to_string();
            assert_eq!(parse_plain(text.as_bytes()), Some(at), "{text}");
        }
        for text in [
            "2024-02-29T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "1900-01-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-1a-01T00:00:00Z",
        ] {
            let plain = parse_plain(text.as_bytes());
            if plain.is_some() || !text.starts_with("19") {
                assert_eq!(plain, UtcTime::parse_rfc3339(text), "{text}");
            }
        }
    }

    #[test]
    fn fraction_digits_of_any_number_are_cut() {
        let want = Some(UtcTime::from_micros(1_581_131_345_470_325));
        assert_eq!(parse_utc("2020-02-07T22:09:05.470325791-05:00"), want);
        assert_eq!(parse_utc("2020-02-07T22:09:05.4703257-05:00"), want);
        assert_eq!(
            parse_utc("2020-02-07T22:09:05-05:00"),
            Some(UtcTime::from_seconds(1_581_131_345))
        );
    }

    #[test]
    fn the_repeated_hour_follows_the_arrival_and_the_skipped_hour_is_doubtful() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let local = parse_local("2026-10-25 02:30:00").unwrap();
        let first = UtcTime::parse_rfc3339("2026-10-25T00:30:00Z").unwrap();
        let second = first.plus_seconds(3_600);
        for want in [first, second] {
            let time = in_zone(local, &zone, want.plus_seconds(5), TimeOrigin::Collector).unwrap();
            assert_eq!((time.at, time.ambiguous, time.doubtful), (want, true, false));
        }
        let local = parse_local("2026-03-29 02:30:00").unwrap();
        let time = in_zone(local, &zone, first, TimeOrigin::Collector).unwrap();
        assert!(time.doubtful && time.zone_assumed && !time.ambiguous);
    }
}
