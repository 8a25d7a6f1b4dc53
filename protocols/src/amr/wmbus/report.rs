//! Records become observations: a name from quantity, tariff, part of the device and storage; a
//! stored value belongs to the date of the same storage.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use metering::EventCode;

use super::frame::Identity;
use super::kamstrup;
use super::layers::Message;
use super::record::{self, Function, Record, Value};
use super::vif::{Kind, Meaning};
use crate::amr::Heard;
use crate::format::{RejectReason, Rejected};
use crate::observation::{
    DeviceReport, Digits, Observation, ObservedEvent, ObservedTime, TimeOrigin,
};
use crate::stamp;

const POWER_LOW: u8 = 0x04;
const PERMANENT_ERROR: u8 = 0x08;
const TEMPORARY_ERROR: u8 = 0x10;

pub(super) fn make(
    heard: &Heard<'_>,
    message: &Message,
    body: &[u8],
) -> Result<DeviceReport, Rejected> {
    let (records, left_out) = record::records(body);
    let mut report = heard.report("wmbus", message.identity.digits());
    let making =
        Making { heard, faulty: message.status & PERMANENT_ERROR != 0, dates: dates(&records) };
    for (at, record) in records.iter().enumerate() {
        // A device may have several values with the same header: their order tells them apart.
        let same = |other: &&Record| other.is_like(record);
        let nth = records[..at].iter().filter(same).count() + 1;
        report.observations.extend(making.observe(record, nth));
    }
    if report.observations.is_empty() {
        let left_out = left_out.unwrap_or("no value of a standard kind");
        return Err(RejectReason::Undecoded.because(format!("{}: {left_out}", message.identity)));
    }
    status(&mut report, message, &records, heard.at);
    if let Some(left_out) = left_out {
        report.raw_status.push_str(&format!(" rest={}", left_out.replace(' ', "_")));
    }
    making.device_clock(&mut report);
    Ok(report)
}

struct Making<'a> {
    heard: &'a Heard<'a>,
    faulty: bool,
    /// By storage number: the date that its values belong to.
    dates: BTreeMap<u64, DateTime>,
}

fn dates(records: &[Record]) -> BTreeMap<u64, DateTime> {
    let mut dates = BTreeMap::new();
    for record in records {
        if let Value::Date(date) = record.value
            && record.function == Function::Now
            && record.tariff == 0
        {
            dates.entry(record.storage).or_insert(date);
        }
    }
    dates
}

impl Making<'_> {
    fn observe(&self, record: &Record, nth: usize) -> Option<Observation> {
        let meaning = record.meaning.as_ref()?;
        let value = match record.value {
            Value::Number(value) => Some(value),
            Value::Absent => None,
            Value::Date(_) | Value::Other => return None,
        };
        let field = name(record, meaning, nth).into();
        let history = record.storage > 0 || record.function == Function::Error;
        let time = if history { self.stored_at(record) } else { self.heard.at };
        let unit = meaning.unit;
        // The maximum of a counter is no counter.
        let counts = !matches!(record.function, Function::Maximum | Function::Minimum);
        match meaning.kind {
            Kind::Cumulative if counts => Some(Observation::Register {
                digits: Digits::Told,
                field,
                unit,
                value,
                modulus: None,
                time,
                history,
                suspect: self.faulty || time.doubtful,
            }),
            Kind::Cumulative | Kind::Momentary => Some(Observation::Instant {
                digits: Digits::Told,
                field,
                unit,
                value,
                time,
                history,
            }),
            _ => None,
        }
    }

    /// Without a date nobody knows of when a stored value is.
    fn stored_at(&self, record: &Record) -> ObservedTime {
        let date = self.dates.get(&record.storage).filter(|_| record.storage > 0);
        date.and_then(|date| self.local(*date)).unwrap_or_else(|| self.heard.at.doubted())
    }

    /// Device dates carry no zone: the subscription's, else UTC.
    fn local(&self, date: DateTime) -> Option<ObservedTime> {
        let context = self.heard.context;
        let utc = TimeZone::UTC;
        let zone = context.zone.unwrap_or(&utc);
        stamp::in_zone(date, zone, context.received_at, TimeOrigin::Device)
    }

    /// The meter's clock is told in minutes without a zone: only a senseless one is an event.
    fn device_clock(&self, report: &mut DeviceReport) {
        let Some(clock) = self.dates.get(&0) else { return };
        let Some(time) = self.local(*clock) else { return };
        let known = report.events.iter().any(|event| event.code == EventCode::ClockError);
        if !known && stamp::is_absurd(time.at, self.heard.context.received_at) {
            let detail = format!("device clock {clock}");
            report.events.push(ObservedEvent::level(EventCode::ClockError, self.heard.at, detail));
        }
    }
}

/// `total_m3`, `total_tariff_1_kwh`, `voltage_l1_v`, `max_power_kw`, `history_1_total_m3`;
/// the second one of a name is `total_nr_2_kwh`.
fn name(record: &Record, meaning: &Meaning, nth: usize) -> String {
    let mut name = String::with_capacity(32);
    if record.storage > 0 {
        // Writing to a string cannot fail.
        let _ = write!(name, "history_{}_", record.storage);
    }
    name.push_str(match record.function {
        Function::Now => "",
        Function::Maximum => "max_",
        Function::Minimum => "min_",
        Function::Error => "error_",
    });
    name.push_str(meaning.base);
    for word in &meaning.words {
        name.push('_');
        name.push_str(word);
    }
    if record.tariff > 0 {
        let _ = write!(name, "_tariff_{}", record.tariff);
    }
    if record.device > 0 {
        let _ = write!(name, "_part_{}", record.device);
    }
    if nth > 1 {
        let _ = write!(name, "_nr_{nth}");
    }
    name.push('_');
    name.push_str(meaning.suffix);
    name
}

/// The status byte (EN 13757-7, 7.5.6) and the device's own error bits.
fn status(report: &mut DeviceReport, message: &Message, records: &[Record], at: ObservedTime) {
    let identity = &message.identity;
    report.raw_status = format!(
        "maker={} version={:02x} medium={:02x} status={:02x} mode={} {}",
        identity.letters(),
        identity.version,
        identity.medium,
        message.status,
        message.mode,
        message.trust.word()
    );
    for (bit, code) in [
        (POWER_LOW, EventCode::BatteryLow),
        (PERMANENT_ERROR, EventCode::HardwareFault),
        (TEMPORARY_ERROR, EventCode::HardwareWarning),
    ] {
        if message.status & bit != 0 {
            let detail = format!("status={:02x}", message.status);
            report.events.push(ObservedEvent::level(code, at, detail));
        }
    }
    for record in records.iter().filter(|record| record.storage == 0) {
        let (Some(meaning), Value::Number(value)) = (record.meaning.as_ref(), &record.value) else {
            continue;
        };
        match meaning.kind {
            Kind::Errors if value.mantissa() != 0 => {
                let detail = format!("error_flags={:x}", value.mantissa());
                let _ = write!(report.raw_status, " {detail}");
                report.events.push(ObservedEvent::level(EventCode::MeterFlag, at, detail));
            }
            Kind::BatteryDays => {
                let detail = format!("days={value}");
                report.events.push(ObservedEvent::counter(EventCode::BatteryDays, at, detail));
            }
            Kind::Fabrication => {
                let _ = write!(report.raw_status, " fabrication={value}");
            }
            Kind::KamstrupStatus if is_kamstrup_water(identity) => {
                let word = u16::try_from(value.mantissa().rem_euclid(1 << 16)).unwrap_or(0);
                for flag in kamstrup::flags(word).into_iter().filter(|flag| flag.is_set) {
                    let held = flag.held.replace(' ', "_");
                    let _ = write!(report.raw_status, " {}={held}", flag.word);
                    report.events.push(ObservedEvent::level(flag.code, at, flag.word.to_owned()));
                }
            }
            _ => {}
        }
    }
}

/// Media 06, 07 and 16: warm, plain and cold water.
fn is_kamstrup_water(identity: &Identity) -> bool {
    identity.letters() == "KAM" && matches!(identity.medium, 0x06 | 0x07 | 0x16)
}
