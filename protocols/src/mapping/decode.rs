//! A message by its description.

use std::borrow::Cow;
use std::collections::BTreeMap;

use metering::{EventCode, Exact, MeterEvent, SourceId, Unit};

use super::path::Record;
use super::scale::{number, times};
use super::{ChannelRule, EventRule, Identity, Kind, Mapping, Observed, RefusedField, Shape, Test};
use crate::format::{DecodeContext, RejectReason, Rejected, printable};
use crate::json::{Items, Value};
use crate::observation::{DeviceReport, Observation, ObservedEvent, ObservedTime};

/// Records of one message, unless it is long.
const RECORDS_MAX: usize = 512;
/// Values of one report; a device that tells more gets another report.
const REPORT_VALUES: usize = 256;
/// Values of one message.
const VALUES_MAX: usize = 20_000;
/// Longest identifier, in characters.
const ID_MAX: usize = 64;

/// Decodes a whole message with the mapping of the context.
///
/// # Errors
/// [`Rejected`] when nothing in it can be stored.
pub(crate) fn decode(
    context: &DecodeContext<'_>,
    payload: &[u8],
) -> Result<Vec<DeviceReport>, Rejected> {
    let Some(mapping) = context.mapping else {
        return Err(RejectReason::BadFormat.because("the subscription names no mapping"));
    };
    let mut message = Message::new(mapping, context);
    match mapping.shape {
        Shape::Json | Shape::Object => message.json(payload)?,
        Shape::Csv => message.csv(payload)?,
        Shape::Number => {
            let text = utf8(payload)?.trim();
            let record = Record::Number(text.trim_matches('"'));
            message.record((&record, &record))?;
        }
        Shape::Sparkplug => {
            let what = "a mapping of shape sparkplug belongs to a subscription of that format";
            return Err(RejectReason::BadFormat.because(what));
        }
    }
    message.finish()
}

fn utf8(payload: &[u8]) -> Result<&str, Rejected> {
    std::str::from_utf8(payload)
        .map_err(|error| RejectReason::BadFormat.because(format!("not UTF-8: {error}")))
}

impl Mapping {
    /// What one JSON object holds; `heard` is the time of values that carry none. `id`, `records`
    /// and the topic play no part: another decoder knows who speaks.
    ///
    /// # Errors
    /// [`RejectReason::BadJson`], or a local time without zone.
    pub fn observe(
        &self,
        context: &DecodeContext<'_>,
        json: &str,
        heard: ObservedTime,
    ) -> Result<Observed, Rejected> {
        let value = Value::document(json.as_bytes())?;
        let record = Record::Json(&value);
        self.observe_record((&record, &record), context, heard).map(|(observed, _)| observed)
    }

    fn observe_record(
        &self,
        (record, document): (&Record<'_>, &Record<'_>),
        context: &DecodeContext<'_>,
        heard: ObservedTime,
    ) -> Result<(Observed, ObservedTime), Rejected> {
        let stamped = self.time.of((record, document), context, heard)?;
        let mut observed = Observed::default();
        if let Some(stamp) = stamped.fault {
            let detail = cut(format!("stamp {stamp}"));
            observed.events.push(ObservedEvent::level(EventCode::ClockError, stamped.at, detail));
        }
        for channel in &self.channels {
            for found in channel.path.find(record)? {
                let field = match found.suffix.as_str() {
                    "" => channel.field.clone(),
                    suffix => format!("{}.{suffix}", channel.field),
                };
                match channel.read(&found.value, self.decimal_comma) {
                    Ok(value) => {
                        let one = channel.observation(printable(field), value, stamped.at);
                        observed.observations.push(one);
                    }
                    Err((reason, detail)) => {
                        observed.refused.push(RefusedField { field, reason, detail });
                    }
                }
            }
        }
        for rule in &self.events {
            rule.events(record, stamped.at, &mut observed.events)?;
        }
        observed.battery_mv = match &self.battery {
            Some((path, unit)) => millivolts(path.first(record)?, *unit),
            None => None,
        };
        if let Some(path) = &self.rssi {
            let told = path.first(record)?.and_then(|value| number(&value, false));
            let whole = told.and_then(|number| number.to_decimals(0).ok());
            observed.rssi_dbm = whole.and_then(|(dbm, _)| i16::try_from(dbm).ok());
        }
        Ok((observed, stamped.at))
    }
}

fn millivolts(value: Option<Value<'_>>, unit: Unit) -> Option<i32> {
    let told = number(&value?, false)?;
    let millis = told.times(unit.milli_per_unit()).ok()?.round_half_up().ok()?;
    i32::try_from(millis).ok()
}

impl ChannelRule {
    /// The value, `None` for "not available".
    pub(crate) fn read(
        &self,
        value: &Value<'_>,
        comma: bool,
    ) -> Result<Option<Exact>, (RejectReason, String)> {
        if *value == Value::Null || self.absent.iter().any(|absent| absent.is(value)) {
            return Ok(None);
        }
        let quoted: String = printable(value.to_string().chars().take(40).collect());
        let Some(told) = number(value, comma) else {
            return Err((RejectReason::BadValue, format!("`{quoted}` is no number")));
        };
        self.scaled(told).map(Some)
    }

    /// The checks and the multiplier; before it, a counter lies within its width.
    pub(crate) fn scaled(&self, told: Exact) -> Result<Exact, (RejectReason, String)> {
        if self.kind == Kind::Cumulative && told.is_negative() {
            return Err((RejectReason::BadValue, format!("a counter of {told} is negative")));
        }
        if let Some(modulus) = self.modulus
            && told.to_decimals(0).map_or(true, |(whole, _)| whole >= modulus)
        {
            let why = format!("{told} exceeds the width of the counter, {modulus}");
            return Err((RejectReason::OutOfRange, why));
        }
        let Some(factor) = self.multiplier else { return Ok(told) };
        times(told, factor).ok_or_else(|| {
            (RejectReason::OutOfRange, format!("{told} times {factor} has too many digits"))
        })
    }

    pub(crate) fn observation(
        &self,
        field: String,
        value: Option<Exact>,
        time: ObservedTime,
    ) -> Observation {
        let field = Cow::Owned(field);
        match self.kind {
            Kind::Cumulative => Observation::Register {
                field,
                unit: self.unit,
                value,
                digits: self.digits,
                // After a multiplier the counter wraps at another number: the asset record has it.
                modulus: self.modulus.filter(|_| self.multiplier.is_none()),
                time,
                history: self.history,
                suspect: time.doubtful,
            },
            Kind::Instant => Observation::Instant {
                field,
                unit: self.unit,
                value,
                digits: self.digits,
                time,
                history: self.history,
            },
            Kind::Interval => Observation::Series {
                field,
                unit: self.unit,
                len_s: self.len_s,
                first_end: time.at,
                exponent: value.map_or(0, Exact::exponent),
                values: vec![value.map(Exact::mantissa)],
                flags: Vec::new(),
                time,
                history: self.history,
            },
        }
    }
}

impl EventRule {
    fn events(
        &self,
        record: &Record<'_>,
        at: ObservedTime,
        events: &mut Vec<ObservedEvent>,
    ) -> Result<(), Rejected> {
        for found in self.path.find(record)? {
            if self.test.holds(&found.value) {
                events.push(self.event(&found.value.to_string(), &found.suffix, at));
            }
        }
        Ok(())
    }

    pub(crate) fn event(&self, value: &str, suffix: &str, at: ObservedTime) -> ObservedEvent {
        let joint = if suffix.is_empty() { "" } else { "." };
        let detail = cut(format!("{}{joint}{suffix}={value}", self.path.as_str()));
        if self.once {
            ObservedEvent::once(self.code, at, detail)
        } else {
            ObservedEvent::level(self.code, at, detail)
        }
    }
}

impl Test {
    pub(crate) fn holds(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Equals(wanted) => wanted.iter().any(|literal| literal.is(value)),
            Self::OtherThan(usual) => {
                *value != Value::Null && !usual.iter().any(|literal| literal.is(value))
            }
            Self::Mask(mask) => value.uint().is_some_and(|bits| bits & mask != 0),
        }
    }
}

fn cut(mut text: String) -> String {
    while text.len() > MeterEvent::DETAIL_BYTES_MAX {
        text.pop();
    }
    text
}

/// The reports of one message as they come together.
struct Message<'a> {
    mapping: &'a Mapping,
    context: &'a DecodeContext<'a>,
    reports: Vec<DeviceReport>,
    /// The newest report of each device.
    of_device: BTreeMap<SourceId, usize>,
    values: usize,
    /// Something that can be kept was found.
    useful: bool,
    refused: Vec<RefusedField>,
    no_identity: Option<String>,
}

impl<'a> Message<'a> {
    const fn new(mapping: &'a Mapping, context: &'a DecodeContext<'a>) -> Self {
        Self {
            mapping,
            context,
            reports: Vec::new(),
            of_device: BTreeMap::new(),
            values: 0,
            useful: false,
            refused: Vec::new(),
            no_identity: None,
        }
    }

    fn json(&mut self, payload: &[u8]) -> Result<(), Rejected> {
        let document = Value::document(payload)?;
        let whole = Record::Json(&document);
        let Some(path) = &self.mapping.records else { return self.record((&whole, &whole)) };
        let told = path.first(&whole)?;
        let Some(Value::Nested(text)) = told.filter(|told| told.is_list()) else {
            let what = format!("there is no list at `{}`", path.as_str());
            return Err(RejectReason::BadFormat.because(what));
        };
        let items = Items::parse(text)?;
        let max = RECORDS_MAX.max(payload.len() / 64);
        if items.len() > max {
            let what = format!("{} records, at most {max} are read", items.len());
            return Err(RejectReason::BadFormat.because(what));
        }
        for item in items.values() {
            self.record((&Record::Json(&item), &whole))?;
        }
        Ok(())
    }

    fn csv(&mut self, payload: &[u8]) -> Result<(), Rejected> {
        let text = utf8(payload)?;
        let shape = self.mapping.csv;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(shape.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let bad = |error: csv::Error| RejectReason::BadFormat.because(error.to_string());
        let mut header = None;
        let mut row = csv::StringRecord::new();
        let (mut rows, max) = (0, RECORDS_MAX.max(payload.len() / 64));
        while reader.read_record(&mut row).map_err(bad)? {
            if row.len() > 512 {
                return Err(RejectReason::BadFormat.because("a row of more than 512 columns"));
            }
            if shape.header && header.is_none() {
                header = Some(row.clone());
                continue;
            }
            rows += 1;
            if rows > max {
                return Err(RejectReason::BadFormat.because(format!("more than {max} rows")));
            }
            let record = Record::Row { header: header.as_ref(), row: &row };
            self.record((&record, &record))?;
        }
        Ok(())
    }

    fn record(&mut self, both: (&Record<'_>, &Record<'_>)) -> Result<(), Rejected> {
        let source = match self.source(both)? {
            Ok(source) => source,
            Err(why) => {
                self.no_identity.get_or_insert(why);
                return Ok(());
            }
        };
        let arrival = ObservedTime::arrival(self.context.received_at);
        let (observed, at) = self.mapping.observe_record(both, self.context, arrival)?;
        self.values += observed.observations.len();
        if self.values > VALUES_MAX {
            let what = format!("more than {VALUES_MAX} values in one message");
            return Err(RejectReason::BadFormat.because(what));
        }
        let stamp_faults = observed.events.iter().filter(|e| e.code == EventCode::ClockError);
        self.useful |= !observed.observations.is_empty()
            || observed.battery_mv.is_some()
            || observed.events.len() > stamp_faults.count();
        let report = self.report_of(source, at);
        report.observations.extend(observed.observations);
        for mut event in observed.events {
            let before = report.events.iter().filter(|e| e.code == event.code && e.at == event.at);
            event.seq = i32::try_from(before.count()).unwrap_or(i32::MAX);
            if report.events.len() < REPORT_VALUES {
                report.events.push(event);
            }
        }
        report.battery_mv = observed.battery_mv.or(report.battery_mv);
        report.rssi_dbm = observed.rssi_dbm.or(report.rssi_dbm);
        for refused in &observed.refused {
            note_refused(report, refused);
        }
        if self.refused.len() < REPORT_VALUES {
            self.refused.extend(observed.refused);
        }
        Ok(())
    }

    fn report_of(&mut self, source: SourceId, at: ObservedTime) -> &mut DeviceReport {
        let known = self.of_device.get(&source).copied();
        let known = known.filter(|at| self.reports[*at].observations.len() < REPORT_VALUES);
        let place = known.unwrap_or_else(|| {
            let mut report = DeviceReport::new(source.clone(), at);
            let named = self.mapping.collector(self.context.topic).or(self.context.collector);
            report.collector = named.map(str::to_owned);
            self.reports.push(report);
            self.reports.len() - 1
        });
        self.of_device.insert(source, place);
        let report = &mut self.reports[place];
        if at.at > report.heard_at.at {
            report.heard_at = at;
        }
        report
    }

    fn source(
        &self,
        (record, document): (&Record<'_>, &Record<'_>),
    ) -> Result<Result<SourceId, String>, Rejected> {
        let id = match &self.mapping.id {
            Some(Identity::Fixed(id)) => Ok(id.clone()),
            Some(Identity::Level(level)) => {
                let told = self.context.topic.split('/').nth(level - 1).unwrap_or("");
                if told.is_empty() {
                    Err(format!("level {level} of the topic is empty"))
                } else {
                    Ok(told.to_owned())
                }
            }
            Some(Identity::Path(path)) => {
                let record = if path.is_of_document() { document } else { record };
                match path.first(record)? {
                    Some(Value::Text(text)) if !text.trim().is_empty() => {
                        Ok(text.trim().to_owned())
                    }
                    Some(Value::Number(digits)) => Ok(digits.to_owned()),
                    _ => Err(format!("no identifier at `{}`", path.as_str())),
                }
            }
            None => Err("the mapping says no `id`".to_owned()),
        };
        Ok(id.and_then(|id| {
            if id.chars().count() > ID_MAX {
                return Err(format!("the identifier has more than {ID_MAX} characters"));
            }
            Ok(SourceId::new(&self.mapping.family, id))
        }))
    }

    fn finish(self) -> Result<Vec<DeviceReport>, Rejected> {
        if self.useful {
            return Ok(self.reports);
        }
        if let Some(refused) = self.refused.first() {
            let detail = format!("{}: {}", refused.field, refused.detail);
            return Err(refused.reason.because(detail));
        }
        match self.no_identity {
            Some(why) if self.reports.is_empty() => Err(RejectReason::NoIdentity.because(why)),
            // Heard, and nothing said that anybody wanted to know.
            _ if !self.reports.is_empty() && self.mapping.partial => Ok(self.reports),
            _ if !self.reports.is_empty() => {
                let paths: Vec<&str> =
                    self.mapping.channels.iter().map(|rule| rule.path.as_str()).collect();
                let what = format!("nothing stands at any path: {}", paths.join(", "));
                Err(RejectReason::BadFormat.because(what))
            }
            _ => Err(RejectReason::BadFormat.because("no record in the message")),
        }
    }
}

/// A value that is refused while the rest is kept: visible as an event.
fn note_refused(report: &mut DeviceReport, refused: &RefusedField) {
    let at = report.heard_at;
    let detail = cut(format!("{} {}: {}", refused.reason, refused.field, refused.detail));
    let seq = report.events.iter().filter(|e| e.code == EventCode::MeterFlag).count();
    let event = ObservedEvent::once(EventCode::MeterFlag, at, detail);
    if report.events.len() < REPORT_VALUES {
        report.events.push(ObservedEvent { seq: i32::try_from(seq).unwrap_or(i32::MAX), ..event });
    }
}
