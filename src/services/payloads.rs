//! Descriptions of payloads: what a message would become, tried out before it counts, and which
//! descriptions are live. Console, API and verbs all come here.

pub mod wire;

use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use metering::{ChannelNo, MeterId, QualityStatus, ReadingType, SourceId, UtcTime};
use protocols::mapping::{MappingFaults, Preset, Shape, presets};
use protocols::{
    DecodeContext, DeviceReport, Format, Mapping, Observation, ObservedEvent, ObservedTime,
    Rejected,
};
use store::assets::RegistryMeter;
use store::mappings::{MappingRow, NewMapping};
use store::{Database, StoreError};

use crate::ingest::{Frame, IngestCore, Registry, Route, topic_matches};

/// Values of one try that are told; a message may hold more.
const TOLD_MAX: usize = 500;

/// Why a description was not taken live or ended.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Every fault of the text, a line each.
    #[error("{0}")]
    Text(#[from] MappingFaults),
    #[error("a change of what is read needs a reason: say why")]
    NoReason,
    #[error(
        "the mapping says no filter: write which topics it is for, filter = \"plant/+/energy\""
    )]
    NoFilter,
    #[error("a mapping of format object belongs to a subscription of the configuration")]
    NotAlone,
    #[error("the topics {filter} are read by the mapping `{by}` already: end it first")]
    Taken { filter: String, by: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who changes what is read, and why.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
    pub now: UtcTime,
}

/// A message to try, and how to read it.
#[derive(Clone, Debug)]
pub struct Question {
    pub topic: String,
    pub payload: Vec<u8>,
    pub received_at: UtcTime,
    pub format: Format,
    pub mapping: Option<Arc<Mapping>>,
    /// Zone of stamps that carry none.
    pub zone: Option<TimeZone>,
}

/// What a message would become.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// The mapping's own filter would bring this topic; `None`: it has none.
    pub topic_matches: Option<bool>,
    /// The whole message is refused: reason and detail.
    pub refused: Option<(String, String)>,
    pub devices: Vec<TriedDevice>,
    /// What would be stored, when the database was asked.
    pub stored: Option<Vec<StoredValue>>,
}

/// What one device said.
#[derive(Clone, Debug)]
pub struct TriedDevice {
    pub source: SourceId,
    pub collector: Option<String>,
    pub heard: ObservedTime,
    /// Number of its meter; `None` also when nobody was asked.
    pub meter: Option<String>,
    pub values: Vec<TriedValue>,
    pub events: Vec<ObservedEvent>,
    /// What it says of itself: battery in millivolts, signal in dBm.
    pub battery_mv: Option<i32>,
    pub rssi_dbm: Option<i16>,
    /// Values of the message that are not told here.
    pub more: usize,
}

/// One value as decoded.
#[derive(Clone, Debug)]
pub struct TriedValue {
    pub field: String,
    /// register, interval or instant.
    pub kind: &'static str,
    /// Exact decimal; `None`: told as not available.
    pub value: Option<String>,
    pub unit: String,
    pub time: ObservedTime,
    /// Length of an interval in seconds; else 0.
    pub len_s: i32,
    /// An old value, never the live one.
    pub history: bool,
}

/// One value as it would be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredValue {
    pub meter: String,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    /// In milli-units.
    pub value: i64,
    pub at: UtcTime,
    pub quality: QualityStatus,
}

/// Decodes the message; nothing is stored.
pub fn decode(question: &Question) -> Tried {
    let mapping = question.mapping.as_deref();
    let context = DecodeContext {
        topic: &question.topic,
        received_at: question.received_at,
        zone: question.zone.as_ref(),
        collector: None,
        mapping,
        options: &protocols::DecodeOptions::DEFAULT,
    };
    let filter = mapping.and_then(|mapping| mapping.filter.as_deref());
    let topic_matches = filter.map(|filter| topic_matches(filter, &question.topic));
    let decoded = protocols::decode(question.format, &context, &question.payload);
    match decoded {
        Ok(reports) => {
            let devices = reports.iter().map(TriedDevice::of).collect();
            Tried { topic_matches, devices, ..Tried::default() }
        }
        Err(Rejected { reason, detail }) => {
            let refused = Some((reason.label().to_owned(), detail));
            Tried { topic_matches, refused, ..Tried::default() }
        }
    }
}

/// Decodes the message and says in whose name what would be stored; nothing is.
///
/// # Errors
/// The database is away.
pub async fn try_out(database: &Database, question: &Question) -> Result<Tried, StoreError> {
    let mut tried = decode(question);
    let sources: Vec<SourceId> = tried.devices.iter().map(|d| d.source.clone()).collect();
    let owners = store::mappings::owners(database, &sources).await?;
    let mut meters: Vec<RegistryMeter> = Vec::new();
    for meter in owners {
        meters.extend(database.load_meter(meter).await?);
    }
    for device in &mut tried.devices {
        let owner = meters.iter().find(|meter| meter.sources.contains(&device.source));
        device.meter = owner.map(|meter| meter.number.clone());
    }
    tried.stored = Some(stored(question, meters));
    Ok(tried)
}

/// What ingest itself makes of the message, as if it were the first of these meters.
fn stored(question: &Question, meters: Vec<RegistryMeter>) -> Vec<StoredValue> {
    let data = store::assets::Registry { meters, ..store::assets::Registry::default() };
    let route = Route {
        filter: "#".to_owned(),
        format: question.format,
        zone: question.zone.clone(),
        collector_level: None,
        mapping: question.mapping.clone(),
        options: protocols::DecodeOptions::default(),
    };
    let mut core = IngestCore::new("try", Registry::new(&data), vec![route]);
    let frame = Frame {
        topic: question.topic.clone(),
        payload: Bytes::copy_from_slice(&question.payload),
        received_at: question.received_at,
        redelivered: false,
    };
    let batch = core.accept(&[frame], question.received_at).batch;
    let named = |id: MeterId, channel, value: i64, at, quality| {
        let meter = data.meters.iter().find(|meter| meter.meter == id)?;
        let known = meter.channels.iter().find(|known| known.channel == channel)?;
        Some(StoredValue {
            meter: meter.number.clone(),
            channel,
            reading_type: known.reading_type,
            value,
            at,
            quality,
        })
    };
    let registers = batch.registers.iter().filter_map(|row| {
        let reading = &row.reading.reading;
        let status = row.reading.code.status();
        named(reading.meter, reading.channel, reading.value, reading.read_at, status)
    });
    let intervals = batch.intervals.iter().filter(|row| !row.derived).filter_map(|row| {
        let reading = &row.reading.reading;
        let status = row.reading.code.status();
        named(reading.meter, reading.channel, reading.value, reading.interval.end(), status)
    });
    registers.chain(intervals).take(TOLD_MAX).collect()
}

impl TriedDevice {
    fn of(report: &DeviceReport) -> Self {
        let all: Vec<TriedValue> = report.observations.iter().flat_map(TriedValue::all).collect();
        let more = all.len().saturating_sub(TOLD_MAX);
        Self {
            source: report.source_id.clone(),
            collector: report.collector.clone(),
            heard: report.heard_at,
            meter: None,
            values: all.into_iter().take(TOLD_MAX).collect(),
            events: report.events.iter().take(TOLD_MAX).cloned().collect(),
            battery_mv: report.battery_mv,
            rssi_dbm: report.rssi_dbm,
            more,
        }
    }
}

impl TriedValue {
    fn all(seen: &Observation) -> Vec<Self> {
        let field = seen.field().to_owned();
        let text = |unit: &Option<metering::Unit>| unit.map_or("", |unit| unit.symbol()).to_owned();
        let one = |kind, value: Option<String>, unit, time, history| Self {
            field: field.clone(),
            kind,
            value,
            unit,
            time,
            len_s: 0,
            history,
        };
        match seen {
            Observation::Register { unit, value, time, history, .. } => {
                let value = value.map(|value| value.to_string());
                vec![one("register", value, text(unit), *time, *history)]
            }
            Observation::Instant { unit, value, time, history, .. } => {
                let value = value.map(|value| value.to_string());
                vec![one("instant", value, text(unit), *time, *history)]
            }
            Observation::Series {
                unit, len_s, first_end, exponent, values, time, history, ..
            } => {
                let mut at = *first_end;
                let mut told = Vec::new();
                for value in values {
                    let exact = value.and_then(|v| metering::Exact::new(v, *exponent).ok());
                    let value = exact.map(|exact| exact.to_string());
                    let time = ObservedTime { at, ..*time };
                    let read = one("interval", value, text(unit), time, *history);
                    told.push(Self { len_s: *len_s, ..read });
                    at = at.plus_seconds(i64::from(*len_s));
                }
                told
            }
        }
    }
}

/// Reads a description, for a live one: with a filter, and complete in itself.
///
/// # Errors
/// What is wrong with it.
pub fn ready(text: &str) -> Result<(Mapping, String), PayloadError> {
    let mapping = Mapping::parse(text)?;
    if mapping.shape == Shape::Object {
        return Err(PayloadError::NotAlone);
    }
    let filter = mapping.filter.clone().ok_or(PayloadError::NoFilter)?;
    Ok((mapping, filter))
}

/// Takes a description live: a running head-end follows within a second, without a restart.
///
/// # Errors
/// The text is wrong, other descriptions read these topics, or the database is away.
pub async fn apply(
    database: &Database,
    text: &str,
    person: Person<'_>,
) -> Result<MappingRow, PayloadError> {
    let (mapping, filter) = ready(text)?;
    person.check()?;
    let live = store::mappings::live(database).await?;
    if let Some(other) = live.iter().find(|row| row.filter == filter && row.name != mapping.name) {
        return Err(PayloadError::Taken { filter, by: other.name.clone() });
    }
    let new = NewMapping { name: &mapping.name, filter: &filter, text };
    let who = (person.actor, person.reason);
    Ok(store::mappings::apply(database, &new, who, person.now).await?)
}

/// Ends a description: its topics are not asked for any more.
///
/// # Errors
/// None of that name is live, or the database is away.
pub async fn end(
    database: &Database,
    name: &str,
    person: Person<'_>,
) -> Result<MappingRow, PayloadError> {
    person.check()?;
    let who = (person.actor, person.reason);
    Ok(store::mappings::end(database, name, who, person.now).await?)
}

/// The descriptions that are live as ingest takes them, and the change that they stand for.
///
/// # Errors
/// The database is away.
pub async fn live_routes(database: &Database) -> Result<(i64, Vec<Route>), StoreError> {
    // First the number: what changes meanwhile is asked for again.
    let last = store::mappings::last_change(database).await?;
    let rows = store::mappings::live(database).await?;
    Ok((last, rows.iter().filter_map(route).collect()))
}

fn route(row: &MappingRow) -> Option<Route> {
    match Mapping::parse(&row.text) {
        Ok(mapping) => Some(Route {
            filter: row.filter.clone(),
            format: format_of(&mapping),
            zone: None,
            collector_level: None,
            mapping: Some(Arc::new(mapping)),
            options: protocols::DecodeOptions::default(),
        }),
        Err(faults) => {
            let faults = faults.to_string();
            tracing::error!(name = row.name, faults, "A stored mapping cannot be read any more.");
            None
        }
    }
}

/// The format that reads payloads with this description.
pub fn format_of(mapping: &Mapping) -> Format {
    match mapping.shape {
        Shape::Json | Shape::Csv | Shape::Number | Shape::Object => Format::Mapping,
        Shape::Sparkplug => Format::Sparkplug,
    }
}

/// The shipped descriptions.
pub fn shipped() -> impl Iterator<Item = (Preset, Mapping)> {
    presets().iter().filter_map(|preset| Some((*preset, preset.mapping()?)))
}

impl Person<'_> {
    fn check(&self) -> Result<(), PayloadError> {
        if self.actor.trim().is_empty() || self.reason.trim().is_empty() {
            return Err(PayloadError::NoReason);
        }
        Ok(())
    }
}
