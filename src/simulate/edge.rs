//! `headend simulate --kind json|sparkplug`: meters with JSON of their own, and Sparkplug B nodes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::SimMessage;
use simulators::edge::{EdgeRun, EdgeSpec, json_meters, sparkplug_nodes};

use super::pace::{Sends, Stretch, publish};
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

/// As [`super::run`] says.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: EdgeKind) -> anyhow::Result<()> {
    let stretch = Stretch::of(&options, EVERY_S);
    let spec = EdgeSpec {
        seed: options.seed,
        meters: options.meters(),
        start: stretch.start,
        every_s: EVERY_S,
        faults: true,
    };
    let steps = u32::try_from(stretch.end.seconds_since(stretch.start) / EVERY_S)?;
    let mut run = match kind {
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
    let mut prepared = Prepared(std::mem::take(&mut run.messages).into());
    publish(&options, &mut prepared, stretch).await
}

/// Messages that are all made beforehand, in their order.
struct Prepared(VecDeque<SimMessage>);

impl Sends for Prepared {
    fn messages(&mut self, _: UtcTime, to: UtcTime) -> anyhow::Result<Vec<SimMessage>> {
        let due = self.0.partition_point(|message| message.sent_at < to);
        Ok(self.0.drain(..due).collect())
    }

    fn rest(&mut self) -> Vec<SimMessage> {
        std::mem::take(&mut self.0).into()
    }
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
