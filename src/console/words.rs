//! Times, durations and numbers as people read them. Exports never use this file.

use jiff::tz::TimeZone;
use metering::UtcTime;

/// Seconds in at most two units: `42 s`, `3 min`, `3 h 10 min`, `2 d 12 h`. Negative counts as 0.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours) = (seconds / 86_400, seconds % 86_400 / 3_600);
    let (minutes, rest) = (seconds % 3_600 / 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        (1..=9, _, _) => format!("{days} d {hours} h"),
        _ => format!("{days} d"),
    }
}

/// `duration` from `then` to `now`.
pub fn age(then: UtcTime, now: UtcTime) -> String {
    duration(now.seconds_since(then))
}

/// `Thu 19 Nov, 14:03`; with the year when it is not that of `now`.
pub fn stamp(at: UtcTime, now: UtcTime, zone: &TimeZone) -> String {
    let local = at.to_jiff().to_zoned(zone.clone());
    if local.year() == now.to_jiff().to_zoned(zone.clone()).year() {
        local.strftime("%a %-d %b, %H:%M").to_string()
    } else {
        local.strftime("%-d %b %Y, %H:%M").to_string()
    }
}

/// `Thu 19 Nov, 14:03:27 CET`: the clock of the page.
pub fn clock(at: UtcTime, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%a %-d %b, %H:%M:%S %Z").to_string()
}

/// `19 Nov 2026, 14:03:27 CET`: the whole instant, for titles and details.
pub fn instant(at: UtcTime, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M:%S %Z").to_string()
}

/// `2026-11-19T14:03:27+01:00`: for `datetime` attributes.
pub fn iso(at: UtcTime, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// `19 Nov 2026`.
pub fn day(at: UtcTime, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// `Thu 19 Nov, 14:00–14:15`: an interval by its start and END. A day of any length ends at 24:00.
pub fn span(start: UtcTime, end: UtcTime, now: UtcTime, zone: &TimeZone) -> String {
    let last = end.to_jiff().to_zoned(zone.clone());
    let first = start.to_jiff().to_zoned(zone.clone());
    let hours = last.strftime("%H:%M").to_string();
    if first.time() == last.time()
        && last.time() == jiff::civil::Time::midnight()
        && first.date().tomorrow().ok() == Some(last.date())
    {
        return format!("{}–24:00", stamp(start, now, zone));
    }
    // The hour that clocks are set back occurs twice: only the zone tells the two apart.
    if first.offset() != last.offset() {
        return format!("{} {}–{hours} {}", stamp(start, now, zone), abbreviation(start, zone), {
            abbreviation(end, zone)
        });
    }
    if end.seconds_since(start) >= metering::time::DAY_S {
        return format!("{} – {}", stamp(start, now, zone), stamp(end, now, zone));
    }
    format!("{}–{hours}", stamp(start, now, zone))
}

/// The zone's short name at an instant: `CET`, `+0530`.
pub fn abbreviation(at: UtcTime, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%Z").to_string()
}

/// Digits in groups of three: `18,204`.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        out.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share in per cent with one digit, cut and not rounded, so that 100.0 means all.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "–".into();
    }
    let tenths = i128::from(part.max(0)) * 1000 / i128::from(whole);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// `1 meter`, `33 meters`: the noun in its number.
pub fn count(number: i64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// First letter in upper case.
pub fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The text with its UTC stamps told in the zone, as everything around it is.
pub fn localised(text: &str, now: UtcTime, zone: &TimeZone) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
        let at = bare.ends_with('Z').then(|| UtcTime::parse_rfc3339(bare)).flatten();
        at.map_or_else(
            || word.to_owned(),
            |at| format!("{}{}", stamp(at, now, zone), &word[bare.len()..]),
        )
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The first `chars_max` characters, with `…` when some were left out.
pub fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTime {
        UtcTime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn stamps_within_a_text_are_told_in_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-11-20T12:00:00Z");
        let told = localised("clear since 2026-11-20T07:00:00Z, for good. Z", now, &zone);
        assert!(!told.contains("T07:00") && told.contains("08:00, for good. Z"), "{told}");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let said: Vec<String> =
            [-5, 0, 42, 180, 3_600, 11_400, 172_800, 216_000, 3_024_000].map(duration).into();
        assert_eq!(
            said.join(" | "),
            "0 s | 0 s | 42 s | 3 min | 1 h | 3 h 10 min | 2 d | 2 d 12 h | 35 d"
        );
    }

    #[test]
    fn instants_are_told_in_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-11-19T13:03:27Z");
        assert_eq!(clock(now, &zone), "Thu 19 Nov, 14:03:27 CET");
        assert_eq!(stamp(at("2025-05-01T10:00:00Z"), now, &zone), "1 May 2025, 12:00");
        assert_eq!(iso(now, &zone), "2026-11-19T14:03:27+01:00");
        let quarter = span(at("2026-11-19T12:45:00Z"), at("2026-11-19T13:00:00Z"), now, &zone);
        assert_eq!(quarter, "Thu 19 Nov, 13:45–14:00");
        let back = span(at("2026-10-25T00:45:00Z"), at("2026-10-25T01:00:00Z"), now, &zone);
        assert_eq!(back, "Sun 25 Oct, 02:45 CEST–02:00 CET");
        let long = span(at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z"), now, &zone);
        assert_eq!(long, "Sun 25 Oct, 00:00–24:00");
        let day = span(at("2026-11-18T14:00:00Z"), at("2026-11-19T14:00:00Z"), now, &zone);
        assert_eq!(day, "Wed 18 Nov, 15:00 – Thu 19 Nov, 15:00");
    }

    #[test]
    fn numbers_are_grouped_and_shares_are_never_rounded_up() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(-1_000), "−1,000");
        assert_eq!(thousands(999), "999");
        assert_eq!(percent(99_999, 100_000), "99.9");
        assert_eq!(percent(7, 7), "100.0");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(count(1, "meter", "meters"), "1 meter");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(sentence_case("élan"), "Élan");
    }
}
