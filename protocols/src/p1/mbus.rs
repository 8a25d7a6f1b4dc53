//! Gas, water and heat meters that the meter at the port reads over M-Bus.

use std::collections::BTreeMap;

use metering::{EventCode, Unit};

use super::meter::{doubt, serial};
use super::telegram::{Line, Telegram, measured};
use super::{FAMILY, clock};
use crate::device::{self, Clock, word};
use crate::format::DecodeContext;
use crate::observation::{DeviceReport, ObservedEvent, ObservedTime};

/// What one channel's lines say.
#[derive(Default)]
struct Channel<'a> {
    kind: Option<&'a str>,
    serial: Option<&'a str>,
    valve: Option<&'a str>,
    /// (stamp, value with unit)
    reading: Option<(&'a str, Told<'a>)>,
}

#[derive(Clone, Copy)]
enum Told<'a> {
    /// `00981.443*m3`
    Together(&'a str),
    /// DSMR 3: the unit stands in the header line, the value on its own.
    Apart { value: &'a str, unit: &'a str },
}

/// One report per channel with a meter and a reading.
pub(super) fn reports(
    context: &DecodeContext<'_>,
    telegram: &Telegram<'_>,
    clock: &Clock,
) -> Vec<DeviceReport> {
    let mut channels: BTreeMap<u8, Channel<'_>> = BTreeMap::new();
    for line in &telegram.lines {
        if let Some((number, code)) = channel_of(line.code) {
            channels.entry(number).or_default().take(code, line);
        }
    }
    let mut reports: Vec<DeviceReport> = Vec::new();
    for (number, channel) in &channels {
        if let Some(mut report) = channel.report(context, clock, *number) {
            if telegram.suspect {
                doubt(&mut report);
            }
            reports.push(report);
        }
    }
    reports
}

/// `0-1:24.2.1` is channel 1 and `24.2.1`.
fn channel_of(code: &str) -> Option<(u8, &str)> {
    let (channel, code) = code.strip_prefix("0-")?.split_once(':')?;
    let number = channel.parse().ok().filter(|number| (1..=9).contains(number))?;
    Some((number, code))
}

impl<'a> Channel<'a> {
    fn take(&mut self, code: &str, line: &Line<'a>) {
        let first = line.values.first().copied();
        match (code, &line.values[..]) {
            ("24.1.0", _) => self.kind = first,
            ("96.1.0" | "96.1.1", _) => self.serial = first,
            ("24.4.0", _) => self.valve = first,
            // (stamp)(00)(60)(1)(0-1:24.2.1)(m3)(value)
            ("24.3.0", [stamp, .., unit, value]) if line.values.len() >= 4 => {
                self.reading = Some((stamp, Told::Apart { value, unit }));
            }
            ("24.2.1" | "24.2.2" | "24.2.3", [stamp, value]) => {
                self.reading = Some((stamp, Told::Together(value)));
            }
            _ => {}
        }
    }

    /// `None`: no meter is on this channel, or it was never read.
    fn report(
        &self,
        context: &DecodeContext<'_>,
        telegram: &Clock,
        number: u8,
    ) -> Option<DeviceReport> {
        let id = serial(self.serial?)?;
        let (stamp, told) = self.reading?;
        let (value, read) = match told {
            // `(700101010000W)(00000000)` has no unit: there is no meter.
            Told::Together(text) if !text.contains('*') => return None,
            Told::Together(text) => (text, measured(text)),
            Told::Apart { value, unit } => (value, measured(&format!("{value}*{unit}"))),
        };
        let clock = Clock::stamped(context, clock::stamp(context, stamp), stamp);
        let mut report = clock.report(context, FAMILY, id);
        if let Some(kind) = self.kind {
            word(&mut report, "type", kind);
        }
        word(&mut report, "channel", number);
        match read {
            Some((exact, unit)) => {
                let field = field_of(unit);
                report.observations.push(device::register(field, unit, Some(exact), clock.at));
            }
            None => device::refused(&mut report, clock.at, "24.2.1", value),
        }
        self.valve(&mut report, telegram.at);
        Some(report)
    }

    fn valve(&self, report: &mut DeviceReport, at: ObservedTime) {
        let Some(valve) = self.valve else { return };
        word(report, "valve", valve);
        if valve == "0" {
            report.events.push(ObservedEvent::level(EventCode::ValveClosed, at, "valve=0"));
        }
    }
}

const fn field_of(unit: Option<Unit>) -> &'static str {
    match unit {
        Some(Unit::Gigajoule | Unit::Megajoule | Unit::KilowattHour | Unit::WattHour) => "energy",
        _ => "volume",
    }
}
