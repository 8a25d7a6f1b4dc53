//! The Things Stack v3: `v3/APP@TENANT/devices/DEV/up`, `join`, `down/...`, `service/data`.

use metering::EventCode;

use super::{FAMILY, counter, dev_eui, document, frame, object, rssi, simulated};
use crate::device::{self, Clock, Nature, word};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::{Object, Value};
use crate::observation::{DeviceReport, ObservedEvent, TimeOrigin};

/// What the server says of the downlinks of an application: nothing that a meter said.
const DOWNLINKS: [&str; 8] = [
    "downlinks",
    "downlink_queued",
    "downlink_sent",
    "downlink_ack",
    "downlink_nack",
    "downlink_failed",
    "downlink_queue_invalidated",
    "location_solved",
];

/// Decodes one message. Downlink messages are taken and give no report.
///
/// # Errors
/// [`Rejected`]: Protobuf, no device EUI, a simulated device, a message of no known kind.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let message = document(payload)?;
    if DOWNLINKS.iter().any(|key| message.get(key).is_some()) {
        return Ok(Vec::new());
    }
    let ids = message.object("end_device_ids").map_err(|_| {
        RejectReason::NoIdentity.because("`end_device_ids` is absent: this is no device's message")
    })?;
    let id = dev_eui(ids.text("dev_eui").as_deref(), "end_device_ids.dev_eui")?;
    simulated(context, &message)?;
    let part = ["uplink_message", "join_accept", "uplink_normalized", "service_data"]
        .into_iter()
        .find(|key| message.get(key).is_some());
    let Some(part) = part else {
        return Err(RejectReason::UnknownType
            .because("none of uplink_message, join_accept and the downlink messages"));
    };
    let inner = message.object(part)?;
    // The network server's time, nearer to the air than the application server's.
    let time = inner.text("received_at").or_else(|| message.text("received_at"));
    let clock = Clock::rfc3339(context, time.as_deref(), TimeOrigin::Collector);
    let mut report = clock.report(context, FAMILY, id);
    match part {
        "uplink_message" => uplink(&mut report, context, &inner, &clock)?,
        "join_accept" => {
            let address = ids.text("dev_addr").unwrap_or_default();
            let address: String = address.chars().take(40).collect();
            let detail = format!("joined as {address}");
            report.events.push(ObservedEvent::once(EventCode::LinkUp, clock.at, detail));
        }
        _ => {}
    }
    Ok(vec![report])
}

fn uplink(
    report: &mut DeviceReport,
    context: &DecodeContext<'_>,
    uplink: &Object<'_>,
    clock: &Clock,
) -> Result<(), Rejected> {
    simulated(context, uplink)?;
    report.rssi_dbm = rssi(uplink.get("rx_metadata"));
    counter(report, "f_cnt", uplink.get("f_cnt"), clock);
    word(report, "f_port", uplink.get("f_port").unwrap_or(Value::Number("0")));
    frame(report, "frm_payload", (uplink.get("f_cnt"), uplink.text("frm_payload")));
    if let Some(Value::Nested(_)) = uplink.get("last_battery_percentage") {
        let battery = uplink.object("last_battery_percentage")?;
        let kind = (Nature::Instant, None);
        device::number(report, &battery, ("value", "battery_percent".into()), kind, clock.at);
    }
    object(report, context, uplink.get("decoded_payload"), clock)
}
