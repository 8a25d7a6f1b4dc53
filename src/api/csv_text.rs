//! CSV as RFC 4180 wants it, and as a spreadsheet must not be able to abuse.

use csv::{Terminator, WriterBuilder};
use metering::{LocalCalendar, UtcTime};

/// Collects lines until a piece of the file is full.
#[derive(Debug)]
pub(super) struct CsvText {
    writer: csv::Writer<Vec<u8>>,
}

impl CsvText {
    pub(super) fn new() -> Self {
        let writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        Self { writer }
    }

    /// Adds one line; every cell is as it shall stand ([`guarded`] text or a number).
    pub(super) fn line<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        // Writing into memory fails only when lines differ in their number of cells.
        if let Err(error) = self.writer.write_record(cells) {
            tracing::error!(%error, "A line of a CSV export was left out.");
        }
    }

    /// The bytes so far.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner().unwrap_or_default()
    }
}

/// A text cell. A leading `=`, `+`, `-`, `@`, tab, carriage return or NUL gets an apostrophe before
/// it, since spreadsheets would run it as a formula (OWASP ASVS v5.0.0-1.2.10). Numbers are not
/// texts.
pub(super) fn guarded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']) {
        return format!("'{text}").into();
    }
    text.into()
}

/// ISO 8601 with the numeric offset of the zone at that instant: `2026-06-10T14:00:00+02:00`.
pub(super) fn local_time(at: UtcTime, calendar: &LocalCalendar) -> String {
    let zoned = at.to_jiff().to_zoned(calendar.zone().clone());
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A part of a file name: letters, digits, dots, dashes; the rest becomes a dash.
pub(super) fn file_part(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    text.chars().take(60).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cells_cannot_be_formulas_and_numbers_stay_numbers() {
        for (text, want) in [
            ("=1+1", "'=1+1"),
            ("@cmd", "'@cmd"),
            ("-5", "'-5"),
            ("\tx", "'\tx"),
            ("M-1042", "M-1042"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), want);
        }
        let mut csv = CsvText::new();
        csv.line([guarded("=a,\"b\"").as_ref(), "-1.5"]);
        assert_eq!(String::from_utf8(csv.into_bytes()).unwrap(), "\"'=a,\"\"b\"\"\",-1.5\r\n");
    }

    #[test]
    fn the_hour_that_comes_twice_is_told_apart_by_its_offset() {
        let berlin = LocalCalendar::new("Europe/Berlin").unwrap();
        let at = |text: &str| UtcTime::parse_rfc3339(text).unwrap();
        let first = local_time(at("2026-10-25T00:30:00Z"), &berlin);
        let second = local_time(at("2026-10-25T01:30:00Z"), &berlin);
        assert_eq!(first, "2026-10-25T02:30:00+02:00");
        assert_eq!(second, "2026-10-25T02:30:00+01:00");
        assert_eq!(file_part("Europe/Berlin"), "Europe-Berlin");
    }
}
