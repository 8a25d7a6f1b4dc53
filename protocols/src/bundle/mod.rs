//! Our own compact bundle, JSON or CSV, described for senders in `docs/bundle.md`. The first byte
//! tells which. Strict: unknown and duplicate keys are refused, integers are integers, decimals are
//! kept exactly, everything has a bound.

mod csv;
mod encode;
mod json;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use metering::{EventCode, SourceId};

pub use encode::{
    Bundle, EventPart, InstantPart, RegisterPart, SeriesPart, encode, encode_heartbeat,
};

use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::{DeviceReport, ObservedEvent, ObservedTime, TimeOrigin};
use crate::stamp;

/// Version of the bundle that this decoder reads.
pub const VERSION: u8 = 1;
/// Bundles in one message.
pub const BUNDLES_MAX: usize = 1_000;
/// Values of one series.
pub const VALUES_MAX: usize = 4_000;
/// Series of one bundle.
pub const SERIES_MAX: usize = 64;
/// Registers, instants or events of one bundle.
pub const ITEMS_MAX: usize = 1_000;
/// Bytes of a meter, collector or field name.
pub const NAME_BYTES_MAX: usize = 64;
/// Seconds of an interval: one second to 31 days.
pub const LEN_S_MAX: i32 = 31 * 86_400;
/// Powers of ten by which a series may be scaled.
pub const EXPONENT_MAX: i8 = 12;

/// Decodes one message of this format.
///
/// # Errors
/// [`Rejected`] when the message breaks any rule; a bundle is taken whole or not at all.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let text = std::str::from_utf8(payload)
        .map_err(|e| RejectReason::BadJson.because(format!("not UTF-8: {e}")))?;
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{' | b'[') => json::decode(context, text.trim_ascii_start()),
        Some(b'v') => csv::decode(context, text),
        _ => Err(RejectReason::BadFormat.because(
            "the first byte must be `{` or `[` (JSON) or `v` (CSV header `v1,meter,...`)",
        )),
    }
}

/// Well-known fields without an allocation each.
fn field_name(field: &str) -> Result<Cow<'static, str>, Rejected> {
    const KNOWN: [&str; 8] = [
        "energy_import",
        "energy_export",
        "volume",
        "voltage",
        "consumption",
        "interval",
        "power",
        "temperature",
    ];
    if let Some(known) = KNOWN.iter().find(|known| **known == field) {
        return Ok(Cow::Borrowed(known));
    }
    checked_name("field", field).map(|field| Cow::Owned(field.to_owned()))
}

/// A name of 1 to [`NAME_BYTES_MAX`] printable bytes.
fn checked_name<'a>(what: &str, name: &'a str) -> Result<&'a str, Rejected> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    if fits && name.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return Ok(name);
    }
    Err(RejectReason::BadFormat.because(format!(
        "{what} `{}` must be 1 to {NAME_BYTES_MAX} printable ASCII characters",
        name.chars().take(40).collect::<String>()
    )))
}

fn source_of(family: &str, name: &str) -> SourceId {
    let mut text = String::with_capacity(family.len() + 1 + name.len());
    text.push_str(family);
    text.push(':');
    text.push_str(name);
    SourceId::parse(text)
}

fn parse_stamp(key: &str, text: &str) -> Result<metering::UtcTime, Rejected> {
    stamp::parse_utc(text).ok_or_else(|| {
        RejectReason::BadFormat.because(format!(
            "{key} `{}` is no time: write 2026-11-21T10:00:00Z",
            text.chars().take(40).collect::<String>()
        ))
    })
}

/// Device time, marked as doubtful when it is absurd. The stamp itself is kept: it is the key of
/// the value, and a redelivered bundle must meet its own first copy.
fn device_time(at: metering::UtcTime, context: &DecodeContext<'_>) -> ObservedTime {
    let time = ObservedTime::sure(at, TimeOrigin::Device);
    if stamp::is_absurd(at, context.received_at) { time.doubted() } else { time }
}

/// One clock event for a report with doubtful stamps, whatever their number.
fn note_clock(report: &mut DeviceReport, context: &DecodeContext<'_>) {
    let doubtful = report.observations.iter().map(crate::Observation::time);
    let doubtful = doubtful.chain(report.events.iter().map(|e| e.at)).find(|time| time.doubtful);
    let suspect = if report.heard_at.doubtful { Some(report.heard_at) } else { doubtful };
    let Some(time) = suspect else { return };
    let arrival = ObservedTime::arrival(context.received_at);
    report.events.push(ObservedEvent::level(
        EventCode::ClockError,
        arrival,
        format!("stamp {}", time.at),
    ));
    if report.heard_at.doubtful {
        report.heard_at = arrival.doubted();
    }
}
