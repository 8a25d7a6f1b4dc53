//! What one poll of one unit gave, as a message: values with their time, and the bytes that they
//! came from. It travels to ingest like any other message, and so becomes a raw message, a dead
//! letter or readings; a poller elsewhere may send the same over MQTT (format `modbus`).

use metering::{EventCode, Exact, SourceId, Unit, UtcTime};
use serde::{Deserialize, Serialize};

use super::channel;
use super::frame::{of_hex, to_hex};
use super::profile::Use;
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp::{is_absurd, parse_utc};

const READS_MAX: usize = 256;
const VALUES_MAX: usize = 1_024;

/// One poll.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollRecord {
    /// The device: `modbus:GATEWAY/UNIT` unless configured otherwise.
    pub source: String,
    pub gateway: String,
    pub unit: u8,
    /// Code of the collector that the gateway is in the asset model, if any.
    pub collector: Option<String>,
    pub profile: String,
    pub reads: Vec<ReadRecord>,
    pub events: Vec<EventRecord>,
    /// Facts such as `serial_number=12345`, and values that were not believed.
    pub status: Vec<String>,
}

/// One request with its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRecord {
    /// When the answer was complete.
    pub at: UtcTime,
    /// PDUs.
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub values: Vec<ValueRecord>,
}

/// One value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueRecord {
    pub channel: String,
    pub use_: Use,
    pub unit: Unit,
    /// `None`: the device says that it has none.
    pub value: Option<Exact>,
    /// Of a float: the channel's decimals count, not the value's.
    pub float: bool,
}

/// What the poller found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRecord {
    pub code: EventCode,
    pub at: UtcTime,
    pub detail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u8,
    source: String,
    gateway: String,
    unit: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collector: Option<String>,
    profile: String,
    #[serde(default)]
    reads: Vec<WireRead>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<WireEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    status: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRead {
    at: String,
    request: String,
    response: String,
    values: Vec<WireValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireValue {
    channel: String,
    kind: String,
    unit: String,
    value: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    float: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent {
    code: String,
    at: String,
    #[serde(default)]
    detail: String,
}

impl PollRecord {
    /// Values that are there.
    pub fn values(&self) -> usize {
        self.reads.iter().flat_map(|read| &read.values).filter(|v| v.value.is_some()).count()
    }

    /// The message. Times are UTC to the microsecond, values decimal text.
    pub fn encode(&self) -> Vec<u8> {
        let value = |value: &ValueRecord| WireValue {
            channel: value.channel.clone(),
            kind: value.use_.word().to_owned(),
            unit: value.unit.to_string(),
            value: value.value.map(|value| value.to_string()),
            float: value.float,
        };
        let read = |read: &ReadRecord| WireRead {
            at: read.at.to_string(),
            request: to_hex(&read.request),
            response: to_hex(&read.response),
            values: read.values.iter().map(value).collect(),
        };
        let event = |event: &EventRecord| WireEvent {
            code: event.code.name().to_owned(),
            at: event.at.to_string(),
            detail: event.detail.clone(),
        };
        let wire = Wire {
            v: 1,
            source: self.source.clone(),
            gateway: self.gateway.clone(),
            unit: self.unit,
            collector: self.collector.clone(),
            profile: self.profile.clone(),
            reads: self.reads.iter().map(read).collect(),
            events: self.events.iter().map(event).collect(),
            status: self.status.clone(),
        };
        // Strings and numbers only: this cannot fail, and an empty message would be refused.
        serde_json::to_vec(&wire).unwrap_or_default()
    }
}

/// Reads a poll record.
pub(crate) fn decode(
    context: &DecodeContext<'_>,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    let wire: Wire = serde_json::from_slice(payload).map_err(|error| {
        let reason = match error.classify() {
            serde_json::error::Category::Data => RejectReason::BadFormat,
            _ => RejectReason::BadJson,
        };
        reason.because(error.to_string())
    })?;
    let bad = |what: String| RejectReason::BadFormat.because(what);
    if wire.v != 1 {
        return Err(bad(format!("version {} is not 1", wire.v)));
    }
    if !wire.source.split_once(':').is_some_and(|(family, id)| !family.is_empty() && !id.is_empty())
    {
        return Err(RejectReason::NoIdentity.because("`source` is no family:id"));
    }
    let values: usize = wire.reads.iter().map(|read| read.values.len()).sum();
    if wire.reads.len() > READS_MAX || values > VALUES_MAX {
        return Err(bad(format!("more than {READS_MAX} reads or {VALUES_MAX} values")));
    }
    let mut report = DeviceReport::new(
        SourceId::parse(wire.source.as_str()),
        ObservedTime::arrival(context.received_at),
    );
    report.collector =
        wire.collector.or_else(|| context.collector.map(str::to_owned)).filter(|c| !c.is_empty());
    report.raw_status = crate::format::printable(wire.status.join(" "));
    for read in &wire.reads {
        let at = time(context, &read.at)?;
        if of_hex(&read.request).is_none() || of_hex(&read.response).is_none() {
            return Err(bad("`request` and `response` are hex bytes".to_owned()));
        }
        report.heard_at = at;
        for value in &read.values {
            report.observations.push(observation(value, at)?);
        }
    }
    for event in &wire.events {
        let code = event.code.parse().map_err(|error| bad(format!("{error}")))?;
        let at = time(context, &event.at)?;
        report.events.push(ObservedEvent::once(code, at, event.detail.as_str()));
    }
    Ok(vec![report])
}

fn observation(wire: &WireValue, time: ObservedTime) -> Result<Observation, Rejected> {
    let bad = |what: String| RejectReason::BadFormat.because(what);
    let known = channel::known(&wire.channel)
        .ok_or_else(|| bad(format!("`{}` is no channel", wire.channel)))?;
    let unit: Unit = wire.unit.parse().map_err(|error| bad(format!("{error}")))?;
    if unit.base() != known.base {
        return Err(bad(format!("{} is not in {unit}", wire.channel)));
    }
    let value = match &wire.value {
        None => None,
        Some(text) => Some(text.parse::<Exact>().map_err(|error| {
            RejectReason::BadValue.because(format!("{} `{text}`: {error}", wire.channel))
        })?),
    };
    let field = std::borrow::Cow::Owned(wire.channel.clone());
    let digits = if wire.float { Digits::Float } else { Digits::Told };
    match wire.kind.as_str() {
        "cumulative" if known.counts => Ok(Observation::Register {
            digits,
            field,
            unit: Some(unit),
            value,
            modulus: None,
            time,
            history: false,
            suspect: false,
        }),
        "instant" if !known.counts => Ok(Observation::Instant {
            digits,
            field,
            unit: Some(unit),
            value,
            time,
            history: false,
        }),
        other => Err(bad(format!("{} is not `{other}`", wire.channel))),
    }
}

fn time(context: &DecodeContext<'_>, text: &str) -> Result<ObservedTime, Rejected> {
    let at = parse_utc(text)
        .ok_or_else(|| RejectReason::BadFormat.because(format!("`{text}` is no UTC time")))?;
    if is_absurd(at, context.received_at) {
        return Ok(ObservedTime::arrival(context.received_at).doubted());
    }
    Ok(ObservedTime::sure(at, TimeOrigin::Collector))
}
