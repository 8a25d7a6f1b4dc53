//! The log: one event a line on stderr, for people on a terminal and as JSON elsewhere.
//!
//! Of one event (same place in the program, same message) at most one line is written in 10 s; the
//! next line says how many were left out. Messages are whole sentences; what can be queried stands
//! in fields with the unit in their names. Fields hold no secret, no personal name and no payload.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::chain;
use crate::clock::{Clock, SystemClock};
use crate::config::{LogConfig, LogFormat};

/// Repeats of one event are left out for this long.
const QUIET: Duration = Duration::from_secs(10);
/// Different events that are watched for repeats at one time.
const WATCHED_MAX: usize = 1_024;

/// Sends events of the whole program to stderr from now on.
///
/// # Errors
/// When a log was set up before in this process.
pub fn init(config: &LogConfig, no_color: bool) -> Result<(), TryInitError> {
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let lines = Lines {
        json,
        color: terminal && !no_color && !json,
        clock: SystemClock::shared(),
        repeats: Mutex::default(),
    };
    let layer = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_writer(std::io::stderr)
        .with_filter(config.level.clone());
    tracing_subscriber::registry().with(layer).try_init()
}

/// Writes events as lines. Log time is real time, also when the readings' clock is simulated.
#[derive(Debug)]
struct Lines {
    json: bool,
    color: bool,
    clock: Arc<dyn Clock>,
    repeats: Mutex<Repeats>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::of(event);
        let mut hasher = DefaultHasher::new();
        (event.metadata().callsite(), &line.message).hash(&mut hasher);
        let now = self.clock.monotonic();
        let admitted = {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            repeats.admit(hasher.finish(), now)
        };
        let Some(left_out) = admitted else { return Ok(()) };
        if left_out > 0 {
            line.fields.push(("repeats", serde_json::Value::from(left_out)));
        }
        if self.json { self.write_json(&line, &mut out) } else { self.write_text(&line, &mut out) }
    }
}

impl Lines {
    fn write_json(&self, line: &Line, out: &mut Writer<'_>) -> fmt::Result {
        let text = |text: &str| serde_json::Value::from(text);
        let time = self.clock.now().to_string();
        write!(out, "{{\"time\":\"{time}\",\"level\":\"{}\"", line.level)?;
        write!(out, ",\"target\":{},\"message\":{}", text(&line.target), text(&line.message))?;
        for (name, value) in &line.fields {
            write!(out, ",{}:{value}", text(name))?;
        }
        writeln!(out, "}}")
    }

    fn write_text(&self, line: &Line, out: &mut Writer<'_>) -> fmt::Result {
        let clock = self.clock.now().to_jiff().strftime("%H:%M:%S").to_string();
        let (start, end) = match line.level {
            _ if !self.color => ("", ""),
            Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
            Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        write!(out, "{clock} {start}{:5}{end} ", line.level)?;
        write_printable(out, &line.message)?;
        for (name, value) in &line.fields {
            write!(out, " {name}=")?;
            match value {
                serde_json::Value::String(text) if !text.contains(' ') => {
                    write_printable(out, text)?;
                }
                other => write_printable(out, &other.to_string())?,
            }
        }
        writeln!(out)
    }
}

/// Fields may quote a sender; a terminal must not obey it.
fn write_printable(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| out.write_char(if c.is_control() { '?' } else { c }))
}

/// An event, read into its parts.
struct Line {
    level: Level,
    target: String,
    message: String,
    fields: Vec<(&'static str, serde_json::Value)>,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    fn push(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        if field.name().starts_with("log.") {
            return;
        }
        self.fields.push((field.name(), value.into()));
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            // Libraries that log through another crate: the rest says where in their source.
            "log.target" => value.clone_into(&mut self.target),
            _ => self.push(field, value),
        }
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, chain(value));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Which events were written lately, and how many repeats were left out since.
#[derive(Default, Debug)]
struct Repeats {
    seen: BTreeMap<u64, (Duration, u64)>,
}

impl Repeats {
    /// Whether the event is written; with how many left out before it.
    fn admit(&mut self, event: u64, now: Duration) -> Option<u64> {
        if let Some((written, left_out)) = self.seen.get_mut(&event) {
            if now < *written + QUIET {
                *left_out += 1;
                return None;
            }
            let before = *left_out;
            (*written, *left_out) = (now, 0);
            return Some(before);
        }
        if self.seen.len() >= WATCHED_MAX {
            self.seen.retain(|_, (written, _)| now < *written + QUIET);
        }
        if self.seen.len() < WATCHED_MAX {
            self.seen.insert(event, (now, 0));
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_left_out_for_ten_seconds_and_counted() {
        let at = Duration::from_secs;
        let mut repeats = Repeats::default();
        assert_eq!(repeats.admit(1, at(0)), Some(0));
        assert_eq!(repeats.admit(1, at(5)), None);
        assert_eq!(repeats.admit(2, at(5)), Some(0));
        assert_eq!(repeats.admit(1, at(9)), None);
        assert_eq!(repeats.admit(1, at(10)), Some(2));
        assert_eq!(repeats.admit(1, at(21)), Some(0));
    }

    #[test]
    fn memory_is_bounded_when_every_event_differs() {
        let mut repeats = Repeats::default();
        for event in 0..5_000 {
            assert_eq!(repeats.admit(event, Duration::from_secs(1)), Some(0));
        }
        assert_eq!(repeats.seen.len(), WATCHED_MAX);
    }
}
