//! What stands below a meter's chart: one tab is read at a time.

use askama::Template;
use metering::{ChannelKind, DeviceFlags, RuleMask, Subject, UtcTime};
use store::views::activity;
use store::views::hearing;
use store::views::issues::{self, IssueRow};
use store::views::meters::{self, ChannelInfo, MeterDetail};
use store::views::series::{self, IntervalVersion, RegisterSource, VersionKind};

use super::ROWS;
use super::issues::IssueLine;
use super::meter_configuration::Configuration;
use super::meter_range::{MeterQuery, Range, instant};
use super::meters::cursor;
use super::payload::payload_text;
use crate::console::causes;
use crate::console::frame::{Choice, QualityWord, segment};
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Key in the address and heading of each tab.
const TABS: [(&str, &str); 6] = [
    ("readings", "Readings"),
    ("registers", "Registers"),
    ("events", "Events"),
    ("issues", "Issues"),
    ("raw", "Raw messages"),
    ("configuration", "Configuration and history"),
];

/// The open tab.
#[derive(Template)]
#[template(path = "meter_tab.html")]
pub(super) struct TabBody {
    kind: Tab,
    next: String,
    first: String,
}

enum Tab {
    Readings(Readings),
    Registers(Vec<RegisterLine>),
    Events(Vec<EventLine>),
    Issues(Vec<IssueLine>),
    Raw(Vec<RawLine>),
    Configuration(Box<Configuration>),
    /// The meter has no channel.
    Nothing,
}

#[derive(Template)]
#[template(path = "meter_readings.html")]
struct Readings {
    heading: String,
    zone: String,
    rows: Vec<ReadingLine>,
}

struct ReadingLine {
    start_s: i64,
    span: String,
    value: String,
    quality: QualityWord,
    version: i16,
    versions_href: String,
    received: String,
    note: String,
    versions: Vec<VersionLine>,
}

struct VersionLine {
    what: String,
    value: String,
    quality: QualityWord,
    at: String,
    note: String,
}

struct RegisterLine {
    at: String,
    channel: String,
    value: String,
    raw: String,
    quality: QualityWord,
    source: &'static str,
    received: String,
    note: String,
}

struct EventLine {
    at: String,
    what: String,
    detail: String,
    received: String,
}

struct RawLine {
    at: String,
    adapter: String,
    topic: String,
    size: String,
    sha256: String,
    payload: String,
}

/// The tabs as links; the issues with their number.
pub(super) fn choices(issues: &[IssueRow], asked: &MeterQuery, path: &str) -> Vec<Choice> {
    let open = issues.iter().filter(|issue| !causes::is_closed(&issue.state)).count();
    let current = if asked.tab.is_empty() { "readings" } else { asked.tab.as_str() };
    TABS.iter()
        .map(|(key, word)| Choice {
            href: format!("{}#details", asked.kept_with_range().with("tab", key).on(path)),
            word: (*word).to_owned(),
            count: (*key == "issues" && open > 0).then(|| i64::try_from(open).unwrap_or(0)),
            current: *key == current,
        })
        .collect()
}

/// Reads the tab that the address names.
pub(super) async fn body(
    console: &ConsoleState,
    meter: &MeterDetail,
    channel: Option<&ChannelInfo>,
    (asked, range): (&MeterQuery, &Range),
) -> Result<TabBody, Refusal> {
    let reader = Reader { console, meter, asked, range, now: console.now() };
    match (asked.tab.as_str(), channel) {
        ("" | "readings", Some(channel)) if channel.kind == ChannelKind::Instant => {
            reader.registers(Some(channel)).await
        }
        ("" | "readings", Some(channel)) => reader.readings(channel).await,
        ("" | "readings", None) => Ok(TabBody::of(Tab::Nothing)),
        ("registers", _) => reader.registers(None).await,
        ("events", _) => reader.events().await,
        ("issues", _) => reader.issues().await,
        ("raw", _) => reader.raw().await,
        ("configuration", _) => reader.configuration().await,
        _ => Err(Refusal::not_found("A meter's page has no such part.")),
    }
}

impl TabBody {
    fn of(kind: Tab) -> Self {
        Self { kind, next: String::new(), first: String::new() }
    }

    /// The part that is sent when something arrives. Raw messages stand still, so that one can be
    /// read while more come in.
    pub(super) fn fragment(&self) -> Result<Option<String>, Refusal> {
        match &self.kind {
            // Row by row, so that the row that a person reads stays where it is.
            Tab::Readings(readings) => Ok(Some(readings.render()?)),
            Tab::Registers(_) | Tab::Events(_) | Tab::Issues(_) => Ok(Some(self.render()?)),
            Tab::Raw(_) | Tab::Configuration(_) | Tab::Nothing => Ok(None),
        }
    }
}

struct Reader<'a> {
    console: &'a ConsoleState,
    meter: &'a MeterDetail,
    asked: &'a MeterQuery,
    range: &'a Range,
    now: UtcTime,
}

impl Reader<'_> {
    fn path(&self) -> String {
        format!("/meters/{}", segment(&self.meter.number))
    }

    fn stamp(&self, at: UtcTime) -> String {
        words::stamp(at, self.now, self.range.calendar.zone())
    }

    async fn readings(&self, channel: &ChannelInfo) -> Result<TabBody, Refusal> {
        let db = &self.console.db;
        let key = (self.meter.meter, channel.channel);
        let until = match self.asked.until.as_str() {
            "" => self.range.to,
            text => instant(text, &self.range.calendar)?.min(self.range.to),
        };
        let span = (self.range.from.min(until.plus_seconds(-1)), until);
        let rows = series::intervals(db, key, span, ROWS).await?;
        let at = match self.asked.at.as_str() {
            "" => None,
            text => Some(instant(text, &self.range.calendar)?),
        };
        let versions = match at {
            Some(at) => series::interval_versions(db, key.0, key.1, at).await?,
            None => Vec::new(),
        };
        let most = rows.iter().map(|row| row.value.abs()).max().unwrap_or(0);
        let unit = DisplayUnit::choose(channel.reading_type.base_unit(), most);
        let digits = unit.digits(rows.iter().map(|row| row.value));
        let full = rows.len() == usize::try_from(ROWS).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|last| {
            let older = self.asked.kept_with_range().with("tab", "readings");
            format!("{}#details", older.with("until", &last.start.to_string()).on(&self.path()))
        });
        let lines = rows.iter().map(|row| ReadingLine {
            start_s: row.start.seconds(),
            span: words::span(row.start, row.end, self.now, self.range.calendar.zone()),
            value: unit.fixed(row.value, digits),
            quality: row.status.into(),
            version: row.version,
            versions_href: self.versions_href(row.end),
            received: self.stamp(row.received_at),
            note: note(row.failed, row.flags, row.conflicts),
            versions: if at == Some(row.end) { self.versions(&versions, unit) } else { Vec::new() },
        });
        let heading = format!("{}, {}", measure::title(channel.reading_type), unit.symbol);
        let mut body = TabBody::of(Tab::Readings(Readings {
            heading,
            zone: self.range.zone_name.clone(),
            rows: lines.collect(),
        }));
        body.next = next.unwrap_or_default();
        if !self.asked.until.is_empty() {
            body.first = self.asked.kept_with_range().with("tab", "readings").on(&self.path());
        }
        Ok(body)
    }

    fn versions_href(&self, end: UtcTime) -> String {
        let link = self
            .asked
            .kept_with_range()
            .with("tab", "readings")
            .with("until", &self.asked.until)
            .with("at", &end.to_string());
        format!("{}#details", link.on(&self.path()))
    }

    fn versions(&self, versions: &[IntervalVersion], unit: DisplayUnit) -> Vec<VersionLine> {
        let line = |version: &IntervalVersion| VersionLine {
            what: match version.kind {
                VersionKind::Received => "as received".to_owned(),
                VersionKind::Judged => format!("version {}", version.version),
                VersionKind::Conflict => "another value, set aside".to_owned(),
            },
            value: unit.fixed(version.value, unit.digits([version.value])),
            quality: version.status.into(),
            at: self.stamp(version.at),
            note: note(version.failed, version.flags, 0),
        };
        versions.iter().map(line).collect()
    }

    async fn registers(&self, channel: Option<&ChannelInfo>) -> Result<TabBody, Refusal> {
        let key = (self.meter.meter, channel.map(|channel| channel.channel));
        let span = (self.range.from, self.range.to);
        let rows = series::registers(&self.console.db, key, span, 4 * ROWS).await?;
        let line = |row: &series::RegisterRow| {
            let counter = !matches!(self.kind_of(row.channel), Some(ChannelKind::Instant));
            let base = row.reading_type.base_unit();
            let unit = if counter {
                DisplayUnit::of_counter(base)
            } else {
                DisplayUnit::choose(base, row.value)
            };
            RegisterLine {
                at: self.stamp(row.read_at),
                channel: measure::title(row.reading_type),
                value: unit.exact(row.value),
                raw: words::thousands(row.raw),
                quality: row.status.into(),
                source: match row.source {
                    RegisterSource::Scheduled => "scheduled",
                    RegisterSource::OnDemand => "on demand",
                    RegisterSource::Removal => "at removal",
                    RegisterSource::Set => "set",
                },
                received: self.stamp(row.received_at),
                note: note(row.failed, row.flags, 0),
            }
        };
        Ok(TabBody::of(Tab::Registers(rows.iter().map(line).collect())))
    }

    fn kind_of(&self, channel: metering::ChannelNo) -> Option<ChannelKind> {
        self.meter.channels.iter().find(|known| known.channel == channel).map(|known| known.kind)
    }

    async fn events(&self) -> Result<TabBody, Refusal> {
        let after = cursor(&self.asked.cursor)?;
        let subject = Subject::Meter(self.meter.meter);
        let page = activity::events(&self.console.db, subject, after.as_ref(), ROWS).await?;
        let lines = page.items.iter().map(|event| EventLine {
            at: self.stamp(event.occurred_at),
            what: causes::event(&event.code_text),
            detail: event.detail.clone(),
            received: self.stamp(event.received_at),
        });
        let mut body = TabBody::of(Tab::Events(lines.collect()));
        self.page_links(&mut body, "events", page.next.as_ref());
        Ok(body)
    }

    async fn issues(&self) -> Result<TabBody, Refusal> {
        let subject = Subject::Meter(self.meter.meter);
        let rows = issues::of_subject(&self.console.db, subject).await?;
        let lines = rows.iter().map(|row| IssueLine::of(row, self.now, self.console));
        Ok(TabBody::of(Tab::Issues(lines.collect())))
    }

    async fn raw(&self) -> Result<TabBody, Refusal> {
        let after = cursor(&self.asked.cursor)?;
        let db = &self.console.db;
        let page = activity::raw_messages(db, self.meter.meter, after.as_ref(), 20).await?;
        let lines = page.items.iter().map(|raw| RawLine {
            at: words::instant(raw.received_at, self.range.calendar.zone()),
            adapter: raw.adapter.clone(),
            topic: raw.topic.clone(),
            size: format!("{} B", words::thousands(i64::from(raw.size_bytes))),
            sha256: raw.sha256.chars().take(16).collect(),
            payload: payload_text(&raw.payload, raw.size_bytes),
        });
        let mut body = TabBody::of(Tab::Raw(lines.collect()));
        self.page_links(&mut body, "raw", page.next.as_ref());
        Ok(body)
    }

    fn page_links(&self, body: &mut TabBody, tab: &str, next: Option<&store::views::Cursor>) {
        let base = || self.asked.kept_with_range().with("tab", tab);
        if let Some(next) = next {
            let link = base().with("cursor", &next.to_string()).on(&self.path());
            body.next = format!("{link}#details");
        }
        if !self.asked.cursor.is_empty() {
            body.first = format!("{}#details", base().on(&self.path()));
        }
    }

    async fn configuration(&self) -> Result<TabBody, Refusal> {
        let (db, meter) = (&self.console.db, self.meter.meter);
        let (places, hearers) = futures_util::future::try_join(
            meters::installations(db, meter),
            hearing::of_meter(db, meter, self.now),
        )
        .await?;
        let configuration =
            Configuration::of(self.meter, (&places, &hearers), self.now, self.range);
        Ok(TabBody::of(Tab::Configuration(Box::new(configuration))))
    }
}

/// Why a value is not plain: rules that failed it, flags of the device, rival values.
fn note(failed: RuleMask, flags: DeviceFlags, conflicts: i32) -> String {
    let mut notes: Vec<String> = failed.rules().map(rule_words).collect();
    notes.extend(flags.words().into_iter().map(str::to_owned));
    if conflicts > 0 {
        let rivals = i64::from(conflicts);
        notes.push(words::count(rivals, "other value set aside", "other values set aside"));
    }
    notes.join("; ")
}

/// What a rule of the catalogue that judges single readings found.
fn rule_words(rule: metering::RuleNo) -> String {
    let known = match rule.get() {
        2 => "time not believable",
        3 => "interval length wrong",
        4 => "unit differs from the configured one",
        5 => "multiplier wrong",
        6 => "device marked it bad",
        7 => "meter clock off",
        10 => "register rolled over",
        11 => "register fell",
        12 => "more than the meter can pass",
        20 => "negative consumption",
        number => return format!("rule #{number} failed"),
    };
    known.to_owned()
}
