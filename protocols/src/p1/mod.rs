//! Raw P1 telegrams of smart meters in the Netherlands, Belgium and where their standard went
//! (`protocols.md` 3.7): DSMR 2.2 to 5, e-MUCS (Fluvius), and meters of Sagemcom, Easymeter and
//! Iskra with the same lines. One payload is one telegram.
//!
//! Sources are `p1:<equipment id>`: the meter itself, and each meter on its M-Bus channels. Fields
//! have our names where many meters have the quantity, else the OBIS code as sent. Options: `crc`,
//! `tariffs`, `device_level`, and the zone of the stamps (default: the Dutch and Belgian one).

mod clock;
mod mbus;
mod meter;
mod telegram;
#[cfg(test)]
mod tests;

use crate::device::{self, Clock};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::DeviceReport;
use telegram::Telegram;

const FAMILY: &str = "p1";

/// Decodes one telegram: the meter's report first, then one for each meter on its M-Bus.
///
/// # Errors
/// [`Rejected`]: it has no end, a wrong check sum, or nothing says whose it is.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let telegram = Telegram::read(payload, context.options.crc)?;
    let clock = match telegram.value("0-0:1.0.0") {
        None => Clock::arrival(context),
        Some(text) => Clock::stamped(context, clock::stamp(context, text), text),
    };
    let id = match context.options.device_level {
        Some(level) => device::topic_level(context.topic, level).map(str::to_owned),
        None => meter::identity(&telegram),
    };
    let Some(id) = id else {
        return Err(RejectReason::NoIdentity.because(
            "no equipment identifier in the telegram: set device_level to the topic level that \
             names the meter",
        ));
    };
    let mut reports = vec![meter::report(context, &telegram, &clock, &id)];
    reports.extend(mbus::reports(context, &telegram, &clock));
    Ok(reports)
}
