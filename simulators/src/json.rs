//! Writes JSON as small devices do: by hand, into a byte buffer.

use metering::UtcTime;
use metering::time::DAY_S;

/// A message in the making. The text of the current date is kept, since most stamps share it.
#[derive(Debug, Default)]
pub(crate) struct JsonText {
    bytes: Vec<u8>,
    date_of: Option<i64>,
    date: String,
}

impl JsonText {
    /// Takes the finished message; the writer is ready for the next one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn int(&mut self, value: i64) {
        if value < 0 {
            self.bytes.push(b'-');
        }
        let mut digits = [0_u8; 20];
        let (mut rest, mut first) = (value.unsigned_abs(), digits.len());
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&digits[first..]);
    }

    /// `2026-11-21T10:00:03Z`; parts of a second are dropped.
    pub(crate) fn time(&mut self, at: UtcTime) {
        self.date_and_clock(at);
        self.raw("Z");
    }

    /// `2026-11-21T10:00:03.250000000Z`, as rtlamr prints it.
    pub(crate) fn time_nanos(&mut self, at: UtcTime) {
        self.date_and_clock(at);
        self.raw(".");
        self.padded(at.micros().rem_euclid(1_000_000), 100_000);
        self.raw("000Z");
    }

    fn date_and_clock(&mut self, at: UtcTime) {
        let day = at.utc_day();
        if self.date_of != Some(day) {
            self.date_of = Some(day);
            self.date = at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        }
        self.bytes.extend_from_slice(self.date.as_bytes());
        let second = at.seconds().rem_euclid(DAY_S);
        for (mark, part) in [("T", second / 3600), (":", second / 60 % 60), (":", second % 60)] {
            self.raw(mark);
            self.padded(part, 10);
        }
    }

    /// With leading zeros; `unit` is 10 for two digits, 100 for three.
    fn padded(&mut self, value: i64, mut unit: i64) {
        while unit > 0 {
            self.bytes.push(b'0' + u8::try_from(value / unit % 10).unwrap_or(0));
            unit /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_stamps_are_written_as_usual() {
        let mut text = JsonText::default();
        for value in [0, 7, -7, 1_000_000, i64::MAX, i64::MIN] {
            text.int(value);
            assert_eq!(String::from_utf8(text.take()).unwrap(), value.to_string());
        }
        for stamp in ["2026-11-21T10:00:03Z", "2026-12-31T23:59:59Z", "1969-12-31T00:00:01Z"] {
            text.time(UtcTime::parse_rfc3339(stamp).unwrap());
            assert_eq!(String::from_utf8(text.take()).unwrap(), stamp);
        }
        text.time_nanos(UtcTime::parse_rfc3339("2026-11-21T10:00:03.25Z").unwrap());
        assert_eq!(String::from_utf8(text.take()).unwrap(), "2026-11-21T10:00:03.250000000Z");
    }
}
