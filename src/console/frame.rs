//! What stands around every page: navigation with what waits, search, the clock.

use std::fmt;
use std::sync::Arc;

use askama::Template;
use jiff::tz::TimeZone;
use metering::UtcTime;

use super::assets::Assets;
use super::refusal::Refusal;
use super::state::ConsoleState;
use super::waiting::Counts;
use super::words;

/// Which entry of the navigation is lit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    Fleet,
    Issues,
    Meters,
    Readings,
    Collectors,
    Commissioning,
    DeadLetters,
    Files,
    Alarms,
    Rules,
    System,
    /// Search and refusals.
    None,
}

/// The frame of one page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) utility: String,
    pub(super) search: String,
    pub(super) nav: Nav,
    pub(super) clock: ClockFace,
    /// Address of the stream of this page; empty when nothing on it moves.
    pub(super) stream: String,
    pub(super) assets: Arc<Assets>,
}

/// The navigation; also sent alone when a count changes.
#[derive(Clone, Debug, Template)]
#[template(path = "nav.html")]
pub(super) struct Nav {
    entries: Vec<NavEntry>,
}

#[derive(Clone, Debug)]
struct NavEntry {
    key: &'static str,
    href: &'static str,
    word: &'static str,
    waiting: i64,
    /// Of what, where it is of more than one thing.
    hint: String,
    current: bool,
    /// Behind "More" on a phone.
    wide_only: bool,
}

/// The clock of the utility; sent every second.
#[derive(Clone, Debug, Template)]
#[template(path = "clock.html")]
pub(super) struct ClockFace {
    iso: String,
    text: String,
}

impl ClockFace {
    pub(super) fn at(now: UtcTime, zone: &TimeZone) -> Self {
        Self { iso: words::iso(now, zone), text: words::clock(now, zone) }
    }
}

impl Nav {
    fn of(section: Section, counts: &Counts) -> Self {
        let waiting = &counts.nav.waiting;
        let (review, parts) = counts.review();
        let all: [(Section, &'static str, &'static str, &'static str, i64); 11] = [
            (Section::Fleet, "fleet", "/", "Fleet", 0),
            (Section::Issues, "issues", "/issues", "Issues", counts.nav.issues),
            (Section::Meters, "meters", "/meters", "Meters", 0),
            (Section::Readings, "readings", "/readings", "Readings", review),
            (Section::Collectors, "collectors", "/collectors", "Collectors", waiting.collectors),
            (
                Section::Commissioning,
                "commissioning",
                "/commissioning",
                "Commissioning",
                waiting.commissioning,
            ),
            (
                Section::DeadLetters,
                "dead-letters",
                "/dead-letters",
                "Dead letters",
                waiting.dead_letters,
            ),
            (Section::Files, "files", "/files", "Files", 0),
            (Section::Alarms, "alarms", "/alarms", "Alarms", 0),
            (Section::Rules, "rules", "/rules", "Rules", 0),
            (Section::System, "system", "/system", "System", 0),
        ];
        let entries = all.into_iter().enumerate().map(|(at, (this, key, href, word, waiting))| {
            let hint = if this == Section::Readings { parts.clone() } else { String::new() };
            let (current, wide_only) = (this == section, at >= 4);
            NavEntry { key, href, word, waiting, hint, current, wide_only }
        });
        Self { entries: entries.collect() }
    }
}

impl Frame {
    /// The frame with fresh counts.
    pub(super) async fn of(
        console: &ConsoleState,
        section: Section,
        title: impl Into<String>,
    ) -> Result<Self, Refusal> {
        let counts = console.waiting.counts(console).await?;
        Ok(Self::with_counts(console, section, title.into(), &counts))
    }

    /// The frame when the database is away: nothing is counted.
    pub(super) fn without_counts(console: &ConsoleState, title: String) -> Self {
        Self::with_counts(console, Section::None, title, &Counts::default())
    }

    fn with_counts(
        console: &ConsoleState,
        section: Section,
        title: String,
        counts: &Counts,
    ) -> Self {
        Self {
            title,
            utility: console.settings.utility.clone(),
            search: String::new(),
            nav: Nav::of(section, counts),
            clock: ClockFace::at(console.now(), console.calendar.zone()),
            stream: String::new(),
            assets: Arc::clone(&console.assets),
        }
    }

    /// Makes the page live: `view` with the parameters that say which.
    pub(super) fn live(mut self, view: &str, query: &str) -> Self {
        let joint = if query.is_empty() { "" } else { "&" };
        self.stream = format!("/stream?view={view}{joint}{query}");
        self
    }
}

/// The navigation alone, for the stream.
pub(super) async fn nav_fragment(
    console: &ConsoleState,
    section: Section,
) -> Result<String, Refusal> {
    let counts = console.waiting.counts(console).await?;
    Ok(Nav::of(section, &counts).render()?)
}

/// A severity as shown: shape, word and colour together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Level {
    pub(super) n: u8,
    pub(super) word: &'static str,
}

impl From<metering::Severity> for Level {
    fn from(severity: metering::Severity) -> Self {
        use metering::Severity;
        match severity {
            Severity::P1 => Self { n: 1, word: "P1 critical" },
            Severity::P2 => Self { n: 2, word: "P2 high" },
            Severity::P3 => Self { n: 3, word: "P3 medium" },
            Severity::P4 => Self { n: 4, word: "P4 low" },
        }
    }
}

/// A quality as shown: mark and word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct QualityWord {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
}

impl From<metering::QualityStatus> for QualityWord {
    fn from(status: metering::QualityStatus) -> Self {
        use metering::QualityStatus as Q;
        let class = match status {
            Q::Raw | Q::Validated | Q::Verified => "",
            Q::Missing => "mis",
            Q::Suspect | Q::Rejected => "sus",
            Q::Estimated | Q::OutageZero => "est",
            Q::Edited => "edi",
        };
        Self { class, word: status.word() }
    }
}

/// A link that is one of several choices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub(super) href: String,
    pub(super) word: String,
    pub(super) count: Option<i64>,
    pub(super) current: bool,
}

/// A query string being built; empty values stay out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct QueryText(String);

impl QueryText {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            if !self.0.is_empty() {
                self.0.push('&');
            }
            self.0.push_str(name);
            self.0.push('=');
            encode(&mut self.0, value);
        }
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `path?query`, or `path` alone.
    pub(super) fn on(&self, path: &str) -> String {
        if self.0.is_empty() { path.to_owned() } else { format!("{path}?{}", self.0) }
    }
}

impl fmt::Display for QueryText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path segment for a name that a person or a device chose.
pub(super) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    encode(&mut out, name);
    out
}

/// Per-cent encodes everything but the unreserved characters of RFC 3986 and `:`.
fn encode(out: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_only_what_was_chosen_and_is_encoded() {
        let query = QueryText::default().with("q", "").with("zone", "A&B").with("q", "ä/1");
        assert_eq!(query.on("/meters"), "/meters?zone=A%26B&q=%C3%A4%2F1");
        assert_eq!(QueryText::default().on("/meters"), "/meters");
        assert_eq!(segment("E 10/7"), "E%2010%2F7");
    }
}
