//! Which stretch of time a meter's page shows, in which zone: all of it from the address.

use jiff::civil::{Date, DateTime};
use metering::{LocalCalendar, UtcTime};
use serde::Deserialize;

use crate::console::frame::{Choice, QueryText};
use crate::console::refusal::Refusal;
use crate::console::words;

/// The parameters of a meter's page.
#[derive(Deserialize, Default, Clone, Debug)]
pub(super) struct MeterQuery {
    #[serde(default)]
    pub(super) channel: String,
    #[serde(default)]
    pub(super) range: String,
    #[serde(default)]
    pub(super) from: String,
    #[serde(default)]
    pub(super) to: String,
    #[serde(default)]
    pub(super) tz: String,
    #[serde(default)]
    pub(super) compare: String,
    #[serde(default)]
    pub(super) tab: String,
    /// END of the interval whose versions are shown.
    #[serde(default)]
    pub(super) at: String,
    /// Readings that start before this instant.
    #[serde(default)]
    pub(super) until: String,
    #[serde(default)]
    pub(super) cursor: String,
}

/// The stretch `[from, to)` in a zone.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) from: UtcTime,
    pub(super) to: UtcTime,
    pub(super) zone_name: String,
    pub(super) calendar: LocalCalendar,
    /// `from` and `to` were given, so the view stands still.
    pub(super) fixed: bool,
}

/// Local days of a named range.
const RANGES: [(&str, &str, i64); 4] =
    [("day", "Day", 1), ("week", "Week", 7), ("month", "Month", 31), ("year", "Year", 366)];

impl MeterQuery {
    /// Everything that stays when a link changes one thing.
    pub(super) fn kept(&self) -> QueryText {
        QueryText::default().with("channel", &self.channel).with("tz", &self.tz)
    }

    /// The stretch as in the address, for links that keep it.
    pub(super) fn kept_with_range(&self) -> QueryText {
        self.kept()
            .with("range", &self.range)
            .with("from", &self.from)
            .with("to", &self.to)
            .with("compare", &self.compare)
    }

    /// The stretch to show; `home` is the zone of the usage point.
    pub(super) fn resolve(&self, home: &str, now: UtcTime) -> Result<Range, Refusal> {
        let zone_name = if self.tz.is_empty() { home } else { self.tz.as_str() }.to_owned();
        let calendar = LocalCalendar::new(&zone_name)
            .map_err(|error| Refusal::bad_request(words::sentence_case(&error.to_string())))?;
        let fixed = !self.from.is_empty() || !self.to.is_empty();
        let (from, to) = if fixed {
            let to = if self.to.is_empty() { now } else { instant(&self.to, &calendar)? };
            let from = if self.from.is_empty() {
                to.plus_seconds(-7 * 86_400)
            } else {
                instant(&self.from, &calendar)?
            };
            (from, to)
        } else {
            named(&self.range, now, &calendar)
        };
        if from >= to {
            return Err(Refusal::bad_request("The range is empty: “from” must be before “to”."));
        }
        if to.seconds_since(from) > store::views::series::RANGE_S_MAX {
            return Err(Refusal::bad_request("The range is longer than ten years; ask for less."));
        }
        Ok(Range { from, to, zone_name, calendar, fixed })
    }
}

fn named(range: &str, now: UtcTime, calendar: &LocalCalendar) -> (UtcTime, UtcTime) {
    let days = RANGES.iter().find(|known| known.0 == range).map_or(7, |known| known.2);
    if days == 1 {
        // The last 24 h to the next full hour: a calendar day would be empty after midnight.
        let to = UtcTime::from_seconds(now.floor_to(3_600).seconds() + 3_600);
        return (to.plus_seconds(-86_400), to);
    }
    let today = calendar.day_containing(now);
    let mut first = today.date;
    for _ in 1..days {
        first = first.yesterday().unwrap_or(first);
    }
    (calendar.day_start(first), today.end)
}

/// An instant of an address: RFC 3339, or a local date or time of the page's zone.
pub(super) fn instant(text: &str, calendar: &LocalCalendar) -> Result<UtcTime, Refusal> {
    if let Some(at) = UtcTime::parse_rfc3339(text) {
        return Ok(at);
    }
    let local = text
        .parse::<DateTime>()
        .ok()
        .or_else(|| text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0)))
        .and_then(|wall| wall.to_zoned(calendar.zone().clone()).ok());
    local.map(|zoned| UtcTime::from_jiff(zoned.timestamp())).ok_or_else(|| {
        Refusal::bad_request(format!(
            "“{}” is no instant: write 2026-11-19T14:00, or with an offset 2026-11-19T14:00:00+01:00.",
            words::shortened(text, 40)
        ))
    })
}

impl Range {
    /// `2026-11-19T14:00` in the zone, for the fields of the form.
    pub(super) fn field(&self, at: UtcTime) -> String {
        at.to_jiff().to_zoned(self.calendar.zone().clone()).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    /// The ranges, then the neighbours of the one shown.
    pub(super) fn choices(&self, asked: &MeterQuery, path: &str) -> Vec<Choice> {
        let current = if asked.range.is_empty() { "week" } else { asked.range.as_str() };
        let mut choices: Vec<Choice> = RANGES
            .iter()
            .map(|(key, word, _)| Choice {
                href: asked.kept().with("range", key).with("tab", &asked.tab).on(path),
                word: (*word).to_owned(),
                count: None,
                current: !self.fixed && *key == current,
            })
            .collect();
        let length = self.to.seconds_since(self.from);
        for (word, by) in [("‹", -length), ("›", length)] {
            let (from, to) = (self.from.plus_seconds(by), self.to.plus_seconds(by));
            choices.push(Choice {
                href: asked
                    .kept()
                    .with("from", &from.to_string())
                    .with("to", &to.to_string())
                    .with("tab", &asked.tab)
                    .on(path),
                word: word.to_owned(),
                count: None,
                current: false,
            });
        }
        choices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTime {
        UtcTime::parse_rfc3339(text).unwrap()
    }

    fn check(query: MeterQuery, now: &str, want: &str) {
        let range = query.resolve("Europe/Berlin", at(now)).map(|r| format!("{} {}", r.from, r.to));
        assert_eq!(range.unwrap_or_else(|_| "refused".to_owned()), want);
    }

    fn ranged(from: &str, to: &str, tz: &str) -> MeterQuery {
        MeterQuery { from: from.into(), to: to.into(), tz: tz.into(), ..MeterQuery::default() }
    }

    #[test]
    fn a_week_is_seven_local_days_also_when_clocks_are_set() {
        let week = MeterQuery::default();
        check(week, "2026-10-28T12:00:00Z", "2026-10-21T22:00:00Z 2026-10-28T23:00:00Z");
    }

    #[test]
    fn local_times_are_read_in_the_zone_of_the_page() {
        let noon = ranged("2026-11-01T12:00", "2026-11-02", "");
        check(noon, "2026-11-19T12:00:00Z", "2026-11-01T11:00:00Z 2026-11-01T23:00:00Z");
        let york = ranged("2026-11-02", "2026-11-03T00:00:00Z", "America/New_York");
        check(york, "2026-11-19T12:00:00Z", "2026-11-02T05:00:00Z 2026-11-03T00:00:00Z");
        check(ranged("2026-11-04", "2026-11-03", ""), "2026-11-19T12:00:00Z", "refused");
        let tokyo = ranged("2026-11-02", "2026-11-03T00:00:00Z", "Asia/Tokyo");
        check(tokyo, "2026-11-19T12:00:00Z", "2026-11-01T15:00:00Z 2026-11-03T00:00:00Z");
        check(ranged("x", "", ""), "2026-11-19T12:00:00Z", "refused");
        check(ranged("1111-11-11", "", ""), "2026-11-19T12:00:00Z", "refused");
        check(ranged("", "", "Mars/Olympus"), "2026-11-19T12:00:00Z", "refused");
    }
}
