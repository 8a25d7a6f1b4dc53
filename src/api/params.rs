//! Query parameters, read with every fault in one answer. An unknown parameter is a fault: a
//! mistyped filter must not quietly list everything.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use metering::{LocalCalendar, UtcTime};
use store::views::page::{LIMIT_DEFAULT, LIMIT_MAX};
use store::views::{Cursor, CursorError};

use super::problem::{Fault, Problem};

/// The parameters of one request, and what was wrong with them.
#[derive(Debug)]
pub(super) struct Params {
    given: Vec<(String, String)>,
    taken: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Params {
    pub(super) fn new(query: &str) -> Self {
        let given = form_pairs(query);
        Self { given, taken: Vec::new(), faults: Vec::new() }
    }

    /// The value of a parameter; blank is absent.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.taken.push(name);
        let value = self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A value of a known kind; `expected` says what to write.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(name, format!("`{}` is not {expected}", shortened(&text)));
        }
        value
    }

    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("0" | "false" | "no") => false,
            Some("1" | "true" | "yes") => true,
            Some(_) => {
                self.fault(name, "write 1 or 0".to_owned());
                false
            }
        }
    }

    pub(super) fn limit(&mut self) -> u32 {
        match self.parsed::<u32>("limit", "a number from 1 to 1000") {
            Some(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
            Some(_) => {
                self.fault("limit", "write a number from 1 to 1000".to_owned());
                LIMIT_DEFAULT
            }
            None => LIMIT_DEFAULT,
        }
    }

    pub(super) fn cursor(&mut self) -> Option<Cursor> {
        let text = self.text("cursor")?;
        match text.parse() {
            Ok(cursor) => Some(cursor),
            Err(error @ CursorError) => {
                self.fault("cursor", error.to_string());
                None
            }
        }
    }

    /// The zone in which days are counted and times are written: `tz`, else `default`.
    pub(super) fn calendar(&mut self, default: &LocalCalendar) -> LocalCalendar {
        let Some(name) = self.text("tz") else { return default.clone() };
        match LocalCalendar::new(&name) {
            Ok(calendar) => calendar,
            Err(error) => {
                self.fault("tz", error.to_string());
                default.clone()
            }
        }
    }

    /// An instant (RFC 3339), a local time or a local date in the zone of `calendar`.
    pub(super) fn time(&mut self, name: &'static str, calendar: &LocalCalendar) -> Option<UtcTime> {
        let text = self.text(name)?;
        let time = read_time(&text, calendar);
        if time.is_none() {
            let what = "is no time: write 2026-06-01, 2026-06-01T14:00 or 2026-06-01T12:00:00Z";
            self.fault(name, format!("`{}` {what}", shortened(&text)));
        }
        time
    }

    /// `from` and `to`; without them the last `default_s` seconds before `now`.
    pub(super) fn range(
        &mut self,
        calendar: &LocalCalendar,
        now: UtcTime,
        default_s: i64,
    ) -> (UtcTime, UtcTime) {
        let to = self.time("to", calendar).unwrap_or(now);
        let from = self.time("from", calendar).unwrap_or(to.plus_seconds(-default_s));
        if to <= from {
            self.fault("to", "`to` must be later than `from`".to_owned());
        }
        (from, to)
    }

    pub(super) fn fault(&mut self, name: &str, detail: String) {
        let fault = Fault {
            parameter: Some(name.to_owned()),
            pointer: None,
            detail: format!("{name}: {detail}"),
        };
        self.faults.push(fault);
    }

    /// Refuses the request when anything was wrong or unknown.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.given) {
            if !self.taken.contains(&name.as_str()) {
                let known = self.taken.join(", ");
                self.fault(&shortened(&name), format!("not known here; known are: {known}"));
            }
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::input(self.faults)) }
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn read_time(text: &str, calendar: &LocalCalendar) -> Option<UtcTime> {
    // A `+` of an offset arrives as a blank when the sender forgot to write it as %2B.
    let text = text.replace(' ', "+");
    if let Some(instant) = UtcTime::parse_rfc3339(&text) {
        return Some(instant);
    }
    if let Ok(date) = text.parse::<Date>()
        && text.len() <= 10
    {
        return Some(calendar.day_start(date));
    }
    let local: DateTime = text.parse().ok()?;
    let zoned = local.to_zoned(calendar.zone().clone()).ok()?;
    Some(UtcTime::from_jiff(zoned.timestamp()))
}

/// Names and values of `application/x-www-form-urlencoded` text.
fn form_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], hex) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::new(query)
    }

    #[test]
    fn every_fault_is_told_at_once_and_unknown_names_are_faults() {
        let mut params = params("limit=0&cursor=xyz&tz=Mars%2FOlympus&zoen=N");
        let utc = LocalCalendar::new("UTC").unwrap();
        params.limit();
        params.cursor();
        params.calendar(&utc);
        assert_eq!(params.faults.len(), 3);
        assert!(params.finish().is_err());
    }

    #[test]
    fn times_are_instants_or_local_to_the_zone() {
        let berlin = LocalCalendar::new("Europe/Berlin").unwrap();
        let check = |text: &str, want: Option<&str>| {
            let read = read_time(text, &berlin).map(|time| time.to_string());
            assert_eq!(read.as_deref(), want, "{text}");
        };
        check("2026-06-01", Some("2026-05-31T22:00:00Z"));
        check("2026-06-01T14:00", Some("2026-06-01T12:00:00Z"));
        check("2026-06-01T14:00:00Z", Some("2026-06-01T14:00:00Z"));
        check("2026-06-01T14:00:00 02:00", Some("2026-06-01T12:00:00Z"));
        check("yesterday", None);
    }

    #[test]
    fn form_text_is_decoded() {
        let pairs = form_pairs("q=a%20b+c&empty=&%C3%A9=1&bad=%zz&cut=%2");
        let want = [("q", "a b c"), ("empty", ""), ("é", "1"), ("bad", "%zz"), ("cut", "%2")];
        let read: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, want);
    }
}
