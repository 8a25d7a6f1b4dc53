//! The JSON bundle. This is the fast path of the head-end: borrowed strings, no tree of values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use metering::{DeviceFlags, EventCode, Exact, MeterEvent, Unit};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    BUNDLES_MAX, EXPONENT_MAX, ITEMS_MAX, LEN_S_MAX, SERIES_MAX, VALUES_MAX, VERSION, checked_name,
    device_time, field_name, note_clock, parse_stamp, source_of,
};
use crate::format::{DecodeContext, RejectReason, Rejected, printable};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireBundle<'a> {
    v: u8,
    #[serde(borrow, default)]
    meter: Option<Text<'a>>,
    #[serde(borrow, default)]
    collector: Option<Text<'a>>,
    #[serde(borrow, default)]
    heartbeat: Option<Text<'a>>,
    #[serde(borrow, default)]
    sent: Option<Text<'a>>,
    #[serde(default)]
    rssi: Option<i16>,
    #[serde(default)]
    battery_mv: Option<i32>,
    #[serde(borrow, default)]
    status: Bounded<Text<'a>, 32>,
    #[serde(borrow, default)]
    series: Bounded<WireSeries<'a>, SERIES_MAX>,
    #[serde(borrow, default)]
    registers: Bounded<WirePoint<'a>, ITEMS_MAX>,
    #[serde(borrow, default)]
    instants: Bounded<WirePoint<'a>, ITEMS_MAX>,
    #[serde(borrow, default)]
    events: Bounded<WireEvent<'a>, ITEMS_MAX>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSeries<'a> {
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow, default)]
    unit: Option<Text<'a>>,
    len: i32,
    #[serde(borrow)]
    end: Text<'a>,
    #[serde(default)]
    exp: i8,
    values: Bounded<Option<i64>, VALUES_MAX>,
    #[serde(default)]
    flags: Bounded<u16, VALUES_MAX>,
    #[serde(default)]
    history: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePoint<'a> {
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow, default)]
    unit: Option<Text<'a>>,
    #[serde(borrow)]
    at: Text<'a>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(default)]
    history: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    at: Text<'a>,
    #[serde(default)]
    seq: i32,
    #[serde(borrow, default)]
    detail: Option<Text<'a>>,
}

/// A string that borrows from the message unless it holds escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A list that refuses its item number `MAX + 1` before reading it into memory.
struct Bounded<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == MAX {
                        return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Items::<T, MAX>(PhantomData)).map(Self)
    }
}

/// `text` begins with `{` or `[`.
pub(super) fn decode(
    context: &DecodeContext<'_>,
    text: &str,
) -> Result<Vec<DeviceReport>, Rejected> {
    if text.starts_with('[') {
        let bundles: Bounded<WireBundle<'_>, BUNDLES_MAX> =
            serde_json::from_str(text).map_err(|e| refuse(&e))?;
        return bundles.0.into_iter().map(|bundle| report_of(context, bundle)).collect();
    }
    let bundle: WireBundle<'_> = serde_json::from_str(text).map_err(|e| refuse(&e))?;
    Ok(vec![report_of(context, bundle)?])
}

fn refuse(error: &serde_json::Error) -> Rejected {
    let reason = match error.classify() {
        serde_json::error::Category::Data => RejectReason::BadFormat,
        _ => RejectReason::BadJson,
    };
    reason.because(error.to_string())
}

fn report_of(
    context: &DecodeContext<'_>,
    bundle: WireBundle<'_>,
) -> Result<DeviceReport, Rejected> {
    if bundle.v != VERSION {
        return Err(RejectReason::BadFormat
            .because(format!("version {} is not known, write \"v\":{VERSION}", bundle.v)));
    }
    if let Some(heartbeat) = &bundle.heartbeat {
        return heartbeat_of(context, &bundle, &heartbeat.0);
    }
    let Some(meter) = &bundle.meter else {
        return Err(RejectReason::NoIdentity.because("neither `meter` nor `heartbeat`"));
    };
    let heard_at = match &bundle.sent {
        Some(sent) => device_time(parse_stamp("sent", &sent.0)?, context),
        None => ObservedTime::arrival(context.received_at),
    };
    let source_id = source_of("ami", checked_name("meter", &meter.0)?);
    let mut report = DeviceReport::new(source_id, heard_at);
    report.collector = match &bundle.collector {
        Some(code) => Some(checked_name("collector", &code.0)?.to_owned()),
        None => context.collector.map(str::to_owned),
    };
    report.rssi_dbm = bundle.rssi;
    report.battery_mv = bundle.battery_mv;
    let count = bundle.series.0.len() + bundle.registers.0.len() + bundle.instants.0.len();
    report.observations.reserve_exact(count);
    for series in bundle.series.0 {
        report.observations.push(series_of(context, series)?);
    }
    for point in bundle.registers.0 {
        report.observations.push(register_of(context, &point)?);
    }
    for point in bundle.instants.0 {
        report.observations.push(instant_of(context, &point)?);
    }
    status_into(&mut report, &bundle.status.0);
    for event in bundle.events.0 {
        report.events.push(event_of(context, &event)?);
    }
    note_clock(&mut report, context);
    Ok(report)
}

fn heartbeat_of(
    context: &DecodeContext<'_>,
    bundle: &WireBundle<'_>,
    stamp: &str,
) -> Result<DeviceReport, Rejected> {
    let Some(collector) = &bundle.collector else {
        return Err(RejectReason::NoIdentity.because("a heartbeat needs `collector`"));
    };
    let alone = bundle.meter.is_none()
        && bundle.series.0.is_empty()
        && bundle.registers.0.is_empty()
        && bundle.instants.0.is_empty()
        && bundle.events.0.is_empty();
    if !alone {
        return Err(RejectReason::BadFormat.because("a heartbeat carries no meter and no values"));
    }
    let code = checked_name("collector", &collector.0)?;
    let mut at = device_time(parse_stamp("heartbeat", stamp)?, context);
    at.origin = TimeOrigin::Collector;
    let mut report = DeviceReport::new(source_of("collector", code), at);
    report.collector = Some(code.to_owned());
    report.rssi_dbm = bundle.rssi;
    report.battery_mv = bundle.battery_mv;
    status_into(&mut report, &bundle.status.0);
    report.events.push(ObservedEvent::once(EventCode::Heartbeat, at, ""));
    note_clock(&mut report, context);
    Ok(report)
}

/// Status words are levels; a word that names no event code becomes `meter_flag`, never dropped.
fn status_into(report: &mut DeviceReport, words: &[Text<'_>]) {
    let mut unknown = 0;
    for word in words {
        let word = cut(&word.0, 60);
        if !report.raw_status.is_empty() {
            report.raw_status.push(' ');
        }
        report.raw_status.push_str(&printable(word.to_owned()));
        let event = if let Ok(code) = word.parse::<EventCode>() {
            ObservedEvent::level(code, report.heard_at, "")
        } else {
            unknown += 1;
            let event = ObservedEvent::level(EventCode::MeterFlag, report.heard_at, word);
            ObservedEvent { seq: unknown - 1, ..event }
        };
        report.events.push(event);
    }
}

fn series_of(context: &DecodeContext<'_>, series: WireSeries<'_>) -> Result<Observation, Rejected> {
    let count = series.values.0.len();
    if count == 0 {
        return Err(RejectReason::BadFormat.because("a series without values"));
    }
    if !(1..=LEN_S_MAX).contains(&series.len) {
        return Err(RejectReason::BadFormat
            .because(format!("len {} must be 1 to {LEN_S_MAX} seconds", series.len)));
    }
    if series.exp.abs() > EXPONENT_MAX {
        return Err(RejectReason::BadFormat
            .because(format!("exp {} must be -{EXPONENT_MAX} to {EXPONENT_MAX}", series.exp)));
    }
    let flags = series.flags.0;
    if !flags.is_empty() && flags.len() != count {
        return Err(
            RejectReason::BadFormat.because(format!("{} flags for {count} values", flags.len()))
        );
    }
    let first_end = parse_stamp("end", &series.end.0)?;
    let steps = i64::try_from(count - 1).unwrap_or(0);
    let last_end = first_end.plus_seconds(steps * i64::from(series.len));
    // Both ends must be credible; the older one is looked at only when the newer one is.
    let mut time = device_time(last_end, context);
    time.doubtful |= device_time(first_end, context).doubtful;
    Ok(Observation::Series {
        field: field_name(&series.field.0)?,
        unit: unit_of(series.unit.as_ref())?,
        len_s: series.len,
        first_end,
        exponent: series.exp,
        values: series.values.0,
        flags: flags.into_iter().map(DeviceFlags::from_bits).collect(),
        time,
        history: series.history,
    })
}

fn register_of(
    context: &DecodeContext<'_>,
    point: &WirePoint<'_>,
) -> Result<Observation, Rejected> {
    Ok(Observation::Register {
        digits: Digits::Told,
        field: field_name(&point.field.0)?,
        unit: unit_of(point.unit.as_ref())?,
        value: value_of(point)?,
        modulus: None,
        time: device_time(parse_stamp("at", &point.at.0)?, context),
        history: point.history,
        suspect: false,
    })
}

fn instant_of(context: &DecodeContext<'_>, point: &WirePoint<'_>) -> Result<Observation, Rejected> {
    Ok(Observation::Instant {
        digits: Digits::Told,
        field: field_name(&point.field.0)?,
        unit: unit_of(point.unit.as_ref())?,
        value: value_of(point)?,
        time: device_time(parse_stamp("at", &point.at.0)?, context),
        history: point.history,
    })
}

/// The digits as sent, from a number or a string; `null` is "not available".
fn value_of(point: &WirePoint<'_>) -> Result<Option<Exact>, Rejected> {
    let raw = point.value.get();
    if raw == "null" {
        return Ok(None);
    }
    let digits = match raw.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest),
        None => raw,
    };
    digits.parse().map(Some).map_err(|e| {
        RejectReason::BadValue.because(format!(
            "value `{}` of field `{}`: {e}",
            cut(raw, 40),
            cut(&point.field.0, 40)
        ))
    })
}

fn event_of(context: &DecodeContext<'_>, event: &WireEvent<'_>) -> Result<ObservedEvent, Rejected> {
    let at = device_time(parse_stamp("at", &event.at.0)?, context);
    let detail = event.detail.as_ref().map_or("", |detail| &detail.0);
    let mut seen = match event.code.0.parse::<EventCode>() {
        Ok(code) => ObservedEvent::once(code, at, cut(detail, MeterEvent::DETAIL_BYTES_MAX)),
        Err(_) => {
            let text = format!("{}:{detail}", event.code.0);
            let text = cut(&text, MeterEvent::DETAIL_BYTES_MAX);
            ObservedEvent::once(EventCode::MeterFlag, at, text)
        }
    };
    seen.seq = event.seq;
    Ok(seen)
}

fn unit_of(unit: Option<&Text<'_>>) -> Result<Option<Unit>, Rejected> {
    let Some(unit) = unit else { return Ok(None) };
    match unit.0.parse() {
        Ok(unit) => Ok(Some(unit)),
        Err(e) => Err(RejectReason::BadFormat.because(format!("{e}"))),
    }
}

/// At most `bytes` bytes, on a character boundary.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
