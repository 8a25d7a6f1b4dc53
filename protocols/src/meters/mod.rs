//! Meters and readers that speak JSON over MQTT by themselves: [`tasmota`] plugs and reader heads,
//! [`shelly`] meters of the second generation, [`amsreader`] on Nordic and other DLMS ports.
//!
//! They name themselves in the topic or the message, carry a clock that may not be set, and tell
//! the broker when their link ends.

pub mod amsreader;
pub mod shelly;
pub mod tasmota;
#[cfg(test)]
mod tests;

use metering::EventCode;

use crate::device::Clock;
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::observation::{DeviceReport, ObservedEvent};

/// A device's link to the broker, as its birth message and last will say.
fn link(
    context: &DecodeContext<'_>,
    (family, id): (&str, &str),
    payload: &[u8],
    (up, down): (&str, &str),
) -> Result<Vec<DeviceReport>, Rejected> {
    let code = match std::str::from_utf8(payload).map(str::trim) {
        Ok(text) if text.eq_ignore_ascii_case(up) => EventCode::LinkUp,
        Ok(text) if text.eq_ignore_ascii_case(down) => EventCode::LinkDown,
        _ => {
            return Err(RejectReason::BadFormat.because(format!("neither {up} nor {down}")));
        }
    };
    let clock = Clock::arrival(context);
    let mut report = clock.report(context, family, id);
    report.events.push(ObservedEvent::once(code, clock.at, ""));
    Ok(vec![report])
}

fn no_identity(what: &str) -> Rejected {
    RejectReason::NoIdentity
        .because(format!("{what}: set device_level to the topic level that names the device"))
}
