//! `headend simulate --kind json|sparkplug`: meters with JSON of their own, and Sparkplug B nodes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::SimMessage;
use simulators::edge::{EdgeRun, EdgeSpec, json_meters, sparkplug_nodes};

use crate::clock::{Clock as _, SystemClock};
use crate::demo::SimPublisher;
use crate::output::remark;
use crate::verbs::SimulateOptions;

/// Each meter sends so often, in seconds.
const EVERY_S: i64 = 900;

/// Which senders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EdgeKind {
    Json,
    Sparkplug,
}

/// Publishes the last `hours` hours up to now (speed 0), or the coming ones at `speed`.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: EdgeKind) -> anyhow::Result<()> {
    let now = SystemClock::new().now().floor_to(900);
    let length_s = i64::from(options.hours) * 3_600;
    let start = if options.speed == 0 { now.plus_seconds(-length_s) } else { now };
    let (seed, meters) = (options.seed, options.meters);
    let spec = EdgeSpec { seed, meters, start, every_s: EVERY_S, faults: true };
    let steps = u32::try_from(length_s / EVERY_S)?;
    let run = match kind {
        EdgeKind::Json => {
            remark!("describe workshop/+/state by a mapping: docs/mapping.md begins with it");
            json_meters(&spec, steps)
        }
        EdgeKind::Sparkplug => {
            remark!("subscribe with filter = \"spBv1.0/Sim/#\", format = \"sparkplug\"");
            sparkplug_nodes(&spec, steps)
        }
    };
    if let Some(path) = &options.provision_out {
        provisioning(path, &run, kind).with_context(|| format!("write {}", path.display()))?;
    }
    if let Some(path) = &options.truth {
        truth(path, &run).with_context(|| format!("write {}", path.display()))?;
    }
    let broker = &options.broker;
    let mut publisher = SimPublisher::connect(&broker.host, broker.port, "headend-simulate-edge");
    let outcome = publish(run.messages, (options.speed, start), &mut publisher).await;
    let sent = publisher.sent();
    publisher.stop().await;
    outcome?;
    writeln!(std::io::stderr(), "published {sent} messages")?;
    Ok(())
}

async fn publish(
    messages: Vec<SimMessage>,
    (speed, start): (u32, UtcTime),
    publisher: &mut SimPublisher,
) -> anyhow::Result<()> {
    if speed == 0 {
        publisher.send(messages).await?;
        return publisher.flush().await;
    }
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    let mut now = start;
    for message in messages {
        let wait_s = u64::try_from(message.sent_at.seconds_since(now)).unwrap_or(0);
        if wait_s > 0 {
            now = message.sent_at;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(wait_s) / speed) => {}
                outcome = &mut stop => return outcome,
            }
        }
        publisher.send(vec![message]).await?;
    }
    publisher.flush().await
}

/// The meters as a file for `headend meters provision`.
fn provisioning(path: &Path, run: &EdgeRun, kind: EdgeKind) -> std::io::Result<()> {
    let mut devices: Vec<&str> = run.truth.iter().map(|truth| truth.device.as_str()).collect();
    devices.sort_unstable();
    devices.dedup();
    let (family, field) = match kind {
        EdgeKind::Json => ("mqtt", "total"),
        EdgeKind::Sparkplug => ("sparkplug", "Energy/Import"),
    };
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "meter,source,commodity,field,reading_type,kind,unit,decimals,interval")?;
    for device in devices {
        let number = device.replace('/', "-");
        writeln!(
            out,
            "{number},{family}:{device},electricity,{field},energy_active_import,register,kWh,3,15m"
        )?;
    }
    out.flush()
}

/// What was metered, a line of JSON each.
fn truth(path: &Path, run: &EdgeRun) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for truth in &run.truth {
        let line = serde_json::json!({ "device": truth.device, "at": truth.at.to_string(),
            "wh": truth.wh, "sent": truth.sent });
        writeln!(out, "{line}")?;
    }
    out.flush()
}
