//! Metrics of one message become observations.

use std::borrow::Cow;
use std::sync::Arc;

use metering::{EventCode, Exact, SourceId, UtcTime};

use super::Topic;
use super::table::{Birth, METRICS_MAX, Node};
use super::value::{Said, said};
use super::wire::{self, Head, Metric, Told};
use crate::format::{DecodeContext, RejectReason, Rejected, printable};
use crate::json::Value;
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp;

/// Values of one report; a device that tells more gets another report.
const REPORT_VALUES: usize = 256;
const VALUES_MAX: usize = 20_000;
/// Longest name of a metric, in characters.
const NAME_MAX: usize = 200;

/// One message on its way.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a, 'c> {
    pub(super) topic: Topic<'a>,
    pub(super) context: &'a DecodeContext<'c>,
}

impl Reading<'_, '_> {
    /// The table of an NBIRTH.
    pub(super) fn birth(&self, payload: &[u8], _: &Node) -> Result<Birth, Rejected> {
        let mut birth = Birth::default();
        let head = wire::read(payload, |_, metric| {
            if let (Some("bdSeq"), Told::Long(number)) = (metric.name, metric.value) {
                birth.bd_seq = Some(number);
            }
            if let (Some("bdSeq"), Told::Int(number)) = (metric.name, metric.value) {
                birth.bd_seq = Some(u64::from(number));
            }
            learn(&metric, &mut birth)
        })?;
        birth.seq = head.seq;
        Ok(birth)
    }

    pub(super) fn device_birth(
        &self,
        payload: &[u8],
        device: &str,
        node: &mut Node,
    ) -> Result<(), Rejected> {
        let mut birth = Birth::default();
        wire::read(payload, |_, metric| learn(&metric, &mut birth))?;
        if node.add_device(device, birth) {
            return Ok(());
        }
        let what = format!("more than {METRICS_MAX} metrics of one node");
        Err(RejectReason::BadFormat.because(what))
    }

    pub(super) fn bd_seq(&self, payload: &[u8]) -> Result<Option<u64>, Rejected> {
        let mut told = None;
        wire::read(payload, |_, metric| {
            match (metric.name, metric.value) {
                (Some("bdSeq"), Told::Long(number)) => told = Some(number),
                (Some("bdSeq"), Told::Int(number)) => told = Some(u64::from(number)),
                _ => {}
            }
            Ok(())
        })?;
        Ok(told)
    }

    /// The values of a birth or of data, by the births that are known.
    pub(super) fn reports(
        &self,
        payload: &[u8],
        node: &Node,
    ) -> Result<Vec<DeviceReport>, Rejected> {
        let mut reports: Vec<DeviceReport> = Vec::new();
        let mut values = 0;
        let mut refused = None;
        let head = wire::read(payload, |head, metric| {
            let known = node.metric(self.topic.device, (metric.alias, metric.name));
            let Some((name, datatype)) = known else {
                let told = match (metric.name, metric.alias) {
                    (Some(name), _) => format!("`{}`", short(name)),
                    (None, Some(alias)) => format!("alias {alias}"),
                    (None, None) => "a metric without name and alias".to_owned(),
                };
                return Err(RejectReason::NoBirth.because(format!("{told} stands in no birth")));
            };
            if metric.is_transient || is_control(&name) {
                return Ok(());
            }
            values += 1;
            if values > VALUES_MAX {
                let what = format!("more than {VALUES_MAX} metrics in one message");
                return Err(RejectReason::BadFormat.because(what));
            }
            if reports.last().is_none_or(|r| r.observations.len() >= REPORT_VALUES) {
                reports.push(self.report(head));
            }
            let Some(report) = reports.last_mut() else { return Ok(()) };
            if let Err((reason, detail)) = self.metric((&name, datatype), (head, &metric), report) {
                let detail = format!("{}: {detail}", short(&name));
                let seq = report.events.len().min(REPORT_VALUES);
                let at = report.heard_at;
                let told = format!("{reason} {detail}");
                refused.get_or_insert(reason.because(detail));
                if seq < REPORT_VALUES {
                    let event = ObservedEvent::once(EventCode::MeterFlag, at, told);
                    let seq = i32::try_from(seq).unwrap_or(i32::MAX);
                    report.events.push(ObservedEvent { seq, ..event });
                }
            }
            Ok(())
        })?;
        let useful = reports.iter().any(|report| !report.observations.is_empty());
        match refused {
            Some(refused) if !useful && values == 1 => Err(refused),
            _ => {
                if reports.is_empty() {
                    reports.push(self.report(&head));
                }
                // A node without values of its own is a collector and no meter.
                let meter = |report: &DeviceReport| {
                    self.topic.device.is_some()
                        || !report.observations.is_empty()
                        || !report.events.is_empty()
                };
                reports.retain(meter);
                Ok(reports)
            }
        }
    }

    fn report(&self, head: &Head) -> DeviceReport {
        let Topic { group, node, device, .. } = self.topic;
        let id = match device {
            Some(device) => format!("{group}/{node}/{device}"),
            None => format!("{group}/{node}"),
        };
        let heard = self.time(head.timestamp, None);
        let mut report = DeviceReport::new(SourceId::new("sparkplug", id), heard);
        let node = device.is_some().then(|| format!("{group}.{node}"));
        report.collector = self.context.collector.map(str::to_owned).or(node);
        report
    }

    /// Milliseconds of the metric, else of the payload, else the arrival.
    fn time(&self, payload: Option<u64>, metric: Option<u64>) -> ObservedTime {
        let received_at = self.context.received_at;
        let Some(millis) = metric.or(payload) else { return ObservedTime::arrival(received_at) };
        let micros = i64::try_from(millis).ok().and_then(|millis| millis.checked_mul(1_000));
        match micros.map(UtcTime::from_micros) {
            Some(at) if !stamp::is_absurd(at, received_at) => {
                ObservedTime::sure(at, TimeOrigin::Device)
            }
            _ => ObservedTime::arrival(received_at).doubted(),
        }
    }

    fn metric(
        &self,
        (name, datatype): (&Arc<str>, u32),
        (head, metric): (&Head, &Metric<'_>),
        report: &mut DeviceReport,
    ) -> Result<(), (RejectReason, String)> {
        let said = said(metric, datatype)?;
        let time = self.time(head.timestamp, metric.timestamp);
        self.events(name, &said, time, report);
        let rule = self.context.mapping.and_then(|mapping| {
            mapping.channels.iter().find(|rule| rule.path.key() == name.as_ref())
        });
        let value = match (said, rule) {
            (Said::Null, _) => None,
            (Said::Number(number), None) => Some(number),
            (Said::Number(number), Some(rule)) => {
                let digits = number.to_string();
                rule.read(&Value::Number(&digits), false)?
            }
            (Said::Text(text), Some(rule)) => {
                rule.read(&Value::Text(Cow::Borrowed(text)), false)?
            }
            // States and texts are no quantities, unless a mapping says so.
            _ => return Ok(()),
        };
        let seen = match rule {
            Some(rule) => {
                let seen = rule.observation(rule.field.clone(), value, time);
                historical(seen, metric.is_historical)
            }
            None => unmapped(name, value, time, metric.is_historical),
        };
        let is_float = matches!(metric.value, Told::Float(_) | Told::Double(_));
        report.observations.push(if is_float { seen.of_float() } else { seen });
        Ok(())
    }

    fn events(
        &self,
        name: &Arc<str>,
        said: &Said<'_>,
        time: ObservedTime,
        report: &mut DeviceReport,
    ) {
        let Some(mapping) = self.context.mapping else { return };
        let digits;
        let value = match said {
            Said::Number(number) => {
                digits = number.to_string();
                Value::Number(&digits)
            }
            Said::Bool(value) => Value::Bool(*value),
            Said::Text(text) => Value::Text(Cow::Borrowed(*text)),
            Said::Null | Said::Nothing => return,
        };
        for rule in mapping.events.iter().filter(|rule| rule.path.key() == name.as_ref()) {
            if rule.test.holds(&value) && report.events.len() < REPORT_VALUES {
                report.events.push(rule.event(&value.to_string(), "", time));
            }
        }
    }
}

fn learn(metric: &Metric<'_>, birth: &mut Birth) -> Result<(), Rejected> {
    let Some(name) = metric.name.filter(|name| !name.is_empty()) else {
        return Err(RejectReason::BadFormat.because("a birth holds a metric without a name"));
    };
    if birth.metrics.len() >= METRICS_MAX {
        let what = format!("more than {METRICS_MAX} metrics of one node");
        return Err(RejectReason::BadFormat.because(what));
    }
    birth.metrics.push((name.into(), metric.alias, metric.datatype.unwrap_or(0)));
    Ok(())
}

/// Metrics by which a node is steered, not measured.
fn is_control(name: &str) -> bool {
    name == "bdSeq" || name.starts_with("Node Control/") || name.starts_with("Device Control/")
}

fn short(name: &str) -> String {
    printable(name.chars().take(60).collect())
}

/// By its own name; the unit stands in the meter's record.
fn unmapped(
    name: &Arc<str>,
    value: Option<Exact>,
    time: ObservedTime,
    history: bool,
) -> Observation {
    let field: String = printable(name.chars().take(NAME_MAX).collect());
    Observation::Register {
        field: Cow::Owned(field),
        unit: None,
        value,
        digits: Digits::Told,
        modulus: None,
        time,
        history,
        suspect: time.doubtful,
    }
}

fn historical(seen: Observation, told: bool) -> Observation {
    match seen {
        Observation::Register { field, unit, value, digits, modulus, time, history, suspect } => {
            Observation::Register {
                field,
                unit,
                value,
                digits,
                modulus,
                time,
                history: history || told,
                suspect,
            }
        }
        Observation::Instant { field, unit, value, digits, time, history } => {
            Observation::Instant { field, unit, value, digits, time, history: history || told }
        }
        series @ Observation::Series { .. } => series,
    }
}
