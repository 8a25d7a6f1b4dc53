//! Lines and numbers of text files.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use metering::{Exact, UtcTime};

use super::{LINE_BYTES_MAX, LineFault};
use crate::format::RejectReason;

/// How the bytes of a file spell text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// With or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1, only when told.
    Latin1,
}

/// A line, its number from 1, without its line break (CRLF or LF).
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) text: Cow<'a, str>,
}

impl Line<'_> {
    pub(super) fn fault(&self, reason: RejectReason, detail: impl Into<String>) -> LineFault {
        LineFault::new(self.number, reason, detail, &self.text)
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.chars().all(|c| c == ',' || c.is_whitespace())
    }
}

/// The lines of a file. A line that cannot be text, or is too long, is a fault in its place.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
    encoding: Encoding,
}

pub(super) const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self { rest: bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes), number: 0, encoding }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(line_of(line, self.number, self.encoding))
    }
}

fn line_of(line: &[u8], number: u64, encoding: Encoding) -> Result<Line<'_>, LineFault> {
    let head = || String::from_utf8_lossy(&line[..line.len().min(400)]).into_owned();
    if line.len() > LINE_BYTES_MAX {
        let detail = format!("{} bytes in one line, the limit is {LINE_BYTES_MAX}", line.len());
        return Err(LineFault::new(number, RejectReason::TooLarge, detail, &head()));
    }
    match text_of(line, encoding) {
        Some(text) => Ok(Line { number, text }),
        None => {
            let detail = "the line is no UTF-8: convert the file, or import it as Latin-1";
            Err(LineFault::new(number, RejectReason::BadFormat, detail, &head()))
        }
    }
}

/// `None` when the bytes are no text in this encoding.
pub(super) fn text_of(bytes: &[u8], encoding: Encoding) -> Option<Cow<'_, str>> {
    match encoding {
        Encoding::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        // Every byte is the code point of the same number.
        Encoding::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// `YYYYMMDD`.
pub(super) fn date8(text: &str) -> Option<Date> {
    let text = text.as_bytes();
    if text.len() != 8 {
        return None;
    }
    let year = i16::try_from(digits(&text[..4])?).ok()?;
    let (month, day) = (digits(&text[4..6])?, digits(&text[6..8])?);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `hhmm` or `hhmmss`; 24:00 is no time.
pub(super) fn time4(text: &str) -> Option<Time> {
    let text = text.as_bytes();
    if text.len() != 4 && text.len() != 6 {
        return None;
    }
    let two = |at: usize| i8::try_from(digits(text.get(at..at + 2)?)?).ok();
    let second = if text.len() == 6 { two(4)? } else { 0 };
    Time::new(two(0)?, two(2)?, second, 0).ok()
}

/// `YYYYMMDDhhmm` with or without seconds.
pub(super) fn stamp(text: &str) -> Option<DateTime> {
    if !text.is_ascii() || text.len() < 12 {
        return None;
    }
    let (date, time) = text.split_at(8);
    Some(DateTime::from_parts(date8(date)?, time4(time)?))
}

pub(super) fn digits(text: &[u8]) -> Option<i32> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

/// A plain decimal number: digits, at most one point, a sign in front. No exponent, no grouping;
/// `.048` and `5.` are numbers.
pub(super) fn decimal(text: &str) -> Option<Exact> {
    let text = text.trim();
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, part) = body.split_once('.').unwrap_or((body, ""));
    let part = part.trim_end_matches('0');
    if body.is_empty() || body == "." || !body.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return None;
    }
    if part.contains('.') {
        return None;
    }
    let mut mantissa: i64 = 0;
    for digit in whole.bytes().chain(part.bytes()) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    let exponent = i8::try_from(part.len()).ok()?;
    Exact::new(if negative { -mantissa } else { mantissa }, -exponent).ok()
}

/// An instant of a fixed offset from UTC, in hours.
pub(super) fn at_offset(local: DateTime, hours: i8) -> Option<UtcTime> {
    let zone = jiff::tz::Offset::from_hours(hours).ok()?;
    zone.to_timestamp(local).ok().map(UtcTime::from_jiff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_decimals() {
        let told = |text: &str| decimal(text).map(|n| (n.mantissa(), n.exponent()));
        assert_eq!(told("1.110"), Some((111, -2)));
        assert_eq!(told(".048"), Some((48, -3)));
        assert_eq!(told("006342.8"), Some((63_428, -1)));
        assert_eq!(told("-7"), Some((-7, 0)));
        assert_eq!(told("5."), Some((5, 0)));
        for bad in ["", ".", "-", "1e3", "1,2", "0x1", "NaN", "1.2.3", "99999999999999999999"] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_and_times_are_checked() {
        assert!(date8("20040229").is_some() && date8("20030229").is_none());
        assert!(date8("2004022").is_none() && date8("2004-2-9").is_none());
        assert!(stamp("200402282359").is_some() && stamp("200402282400").is_none());
        assert!(stamp("20040228235959").is_some() && stamp("2004022823595").is_none());
    }

    #[test]
    fn a_line_that_is_no_text_is_a_fault_and_the_next_is_read() {
        let lines: Vec<_> = Lines::new(b"\xEF\xBB\xBFa\r\n\xff\nb", Encoding::Utf8).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].as_ref().unwrap().text, "a");
        assert_eq!(lines[1].as_ref().unwrap_err().line, 2);
        assert_eq!(lines[2].as_ref().unwrap().text, "b");
        let latin: Vec<_> = Lines::new(b"\xe9", Encoding::Latin1).collect();
        assert_eq!(latin[0].as_ref().unwrap().text, "\u{e9}");
    }
}
