//! ChirpStack v4: `application/APP/device/DEV_EUI/event/EVENT`.

use metering::EventCode;

use super::{FAMILY, counter, dev_eui, document, frame, object, rssi, simulated};
use crate::device::{self, Clock, Nature, word};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Object, Value};
use crate::observation::{DeviceReport, ObservedEvent, TimeOrigin};

/// Decodes one event. `txack` is the gateway's word, not the device's: it is taken and gives none.
///
/// # Errors
/// [`Rejected`]: Protobuf, no device EUI, a simulated device, an event of no known name.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let message = document(payload)?;
    let event = context.topic.rsplit('/').next().unwrap_or("");
    let device = message.object("deviceInfo").map_err(|_| {
        RejectReason::NoIdentity.because("`deviceInfo` is absent: this is no event of a device")
    })?;
    let id = dev_eui(device.text("devEui").as_deref(), "deviceInfo.devEui")?;
    simulated(context, &message)?;
    let clock = Clock::rfc3339(context, message.text("time").as_deref(), TimeOrigin::Collector);
    let mut report = clock.report(context, FAMILY, id);
    match event {
        "up" => uplink(&mut report, context, &message, &clock)?,
        "status" => status(&mut report, &message, &clock),
        "join" => {
            let address = message.text("devAddr").unwrap_or_default();
            let detail = format!("joined as {}", cut(&address));
            report.events.push(ObservedEvent::once(EventCode::LinkUp, clock.at, detail));
        }
        "log" => log(&mut report, &message, &clock),
        "ack" => {
            let taken = message.get("acknowledged") == Some(Value::Bool(true));
            word(&mut report, "downlink_acknowledged", taken);
        }
        "integration" => object(&mut report, context, message.get("object"), &clock)?,
        "location" => {}
        "txack" => return Ok(Vec::new()),
        other => {
            return Err(RejectReason::UnknownType.because(format!(
                "event {} is none of up, status, join, log, ack, txack, location, integration",
                cut(other)
            )));
        }
    }
    Ok(vec![report])
}

fn uplink(
    report: &mut DeviceReport,
    context: &DecodeContext<'_>,
    message: &Object<'_>,
    clock: &Clock,
) -> Result<(), Rejected> {
    report.rssi_dbm = rssi(message.get("rxInfo"));
    counter(report, "f_cnt", message.get("fCnt"), clock);
    word(report, "f_port", message.get("fPort").unwrap_or(Value::Number("0")));
    frame(report, "data", (message.get("fCnt"), message.text("data")));
    object(report, context, message.get("object"), clock)
}

/// Battery in percent, and how the device hears its gateway.
fn status(report: &mut DeviceReport, message: &Object<'_>, clock: &Clock) {
    let external = message.get("externalPowerSource") == Some(Value::Bool(true));
    word(report, "external_power", external);
    let unknown = message.get("batteryLevelUnavailable") == Some(Value::Bool(true));
    if !external && !unknown {
        // Omitted when it is zero.
        let level = message.get("batteryLevel").unwrap_or(Value::Number("0"));
        let kind = (Nature::Instant, None);
        device::number_value(report, &level, "battery_percent".into(), kind, clock.at);
    }
    let margin = message.get("margin").unwrap_or(Value::Number("0"));
    device::number_value(report, &margin, "margin".into(), (Nature::Instant, None), clock.at);
}

/// Errors of the server about a device: a wrong key, a counter that fell.
fn log(report: &mut DeviceReport, message: &Object<'_>, clock: &Clock) {
    let part = |key: &str| message.text(key).unwrap_or_default();
    let detail = format!(
        "{} {} {}",
        cut(&part("level")),
        cut(&part("code")),
        part("description").chars().take(200).collect::<String>()
    );
    if part("level") != "ERROR" {
        return word(report, "log", cut(&part("code")));
    }
    report.events.push(ObservedEvent::once(EventCode::MeterFlag, clock.at, detail));
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
