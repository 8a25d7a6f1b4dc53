//! When a record says it was measured.

use jiff::civil::DateTime;
use metering::UtcTime;

use super::path::Record;
use super::scale::{micros_of, number};
use super::{TimeFormat, TimeRule};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::Value;
use crate::observation::{ObservedTime, TimeOrigin};
use crate::stamp;

/// A time, and the stamp when it could not be believed.
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) at: ObservedTime,
    pub(super) fault: Option<String>,
}

impl TimeRule {
    /// The time of a record; `otherwise` where the rule names none.
    ///
    /// # Errors
    /// A local time without a configured zone.
    pub(super) fn of(
        &self,
        (record, document): (&Record<'_>, &Record<'_>),
        context: &DecodeContext<'_>,
        otherwise: ObservedTime,
    ) -> Result<Stamped, Rejected> {
        let sure = |at| Ok(Stamped { at, fault: None });
        let (Some(path), false) = (&self.path, self.format == TimeFormat::Arrival) else {
            return sure(otherwise);
        };
        let record = if path.is_of_document() { document } else { record };
        let told = path.first(record)?;
        let parsed = match &told {
            None | Some(Value::Null) => None,
            Some(value) => self.read(value, context)?,
        };
        match parsed {
            Some(time) if !stamp::is_absurd(time.at, context.received_at) => sure(time),
            _ => {
                let text = told.map_or_else(|| "absent".to_owned(), |value| value.to_string());
                let fault = Some(text.chars().take(60).collect());
                Ok(Stamped { at: ObservedTime::arrival(context.received_at).doubted(), fault })
            }
        }
    }

    fn read(
        &self,
        value: &Value<'_>,
        context: &DecodeContext<'_>,
    ) -> Result<Option<ObservedTime>, Rejected> {
        let instant = |micros| ObservedTime::sure(UtcTime::from_micros(micros), self.origin);
        let text = || match value {
            Value::Text(text) => Some(text.trim()),
            _ => None,
        };
        let local = match &self.format {
            TimeFormat::EpochS | TimeFormat::EpochMs => {
                let power = if self.format == TimeFormat::EpochS { 0 } else { 3 };
                let micros = number(value, false).and_then(|number| micros_of(number, power));
                return Ok(micros.map(instant));
            }
            TimeFormat::Rfc3339 => {
                let at = text().and_then(stamp::parse_utc);
                return Ok(at.map(|at| ObservedTime::sure(at, self.origin)));
            }
            TimeFormat::Arrival => None,
            TimeFormat::Local => text().and_then(stamp::parse_local),
            TimeFormat::Layout(layout) => {
                // Digits alone (20261122074500) are a number in JSON.
                let digits = match value {
                    Value::Number(digits) => Some(*digits),
                    _ => text(),
                };
                digits.and_then(|text| DateTime::strptime(layout.as_bytes(), text).ok())
            }
        };
        let Some(local) = local else { return Ok(None) };
        self.placed(local, context)
    }

    fn placed(
        &self,
        local: DateTime,
        context: &DecodeContext<'_>,
    ) -> Result<Option<ObservedTime>, Rejected> {
        let Some(zone) = self.zone.as_ref().or(context.zone) else {
            return Err(RejectReason::NoZone
                .because(format!("`{local}` has no zone: write zone in [time] of the mapping")));
        };
        let time = stamp::in_zone(local, zone, context.received_at, self.origin);
        // The zone is told, not assumed: it stands in the description.
        Ok(time.map(|time| ObservedTime { zone_assumed: self.zone.is_none(), ..time }))
    }
}

impl Default for TimeRule {
    fn default() -> Self {
        Self { path: None, format: TimeFormat::Arrival, zone: None, origin: TimeOrigin::Device }
    }
}
