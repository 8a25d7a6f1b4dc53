//! `headend simulate`: meters and collectors that publish to any broker, and a bus that answers, for
//! trying a head-end out.

mod edge;
mod files;
mod heard;
pub mod modbus;
mod pace;
mod senders;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use metering::time::DAY_S;
use simulators::files::FileKind;
use simulators::senders::SenderKind;
use simulators::{Fleet, FleetSpec, HeardKind, TruthWriter};

use crate::verbs::provision_file;
use crate::verbs::{SimKind, SimulateOptions};
use edge::EdgeKind;
use pace::{Stretch, publish};

const ZONE: &str = "Europe/Berlin";
/// Days of life before the first message, so that slow faults have begun.
const HISTORY_DAYS: i64 = 35;

/// Publishes the last `hours` hours up to now (speed 0), or the coming ones at `speed`; a bus is
/// served until it is stopped.
///
/// # Errors
/// A file cannot be written, the broker does not answer, or the bus's port is taken.
pub async fn run(options: SimulateOptions) -> anyhow::Result<()> {
    match options.kind {
        SimKind::Fleet => fleet(options).await,
        SimKind::Amr => heard::run(options, HeardKind::Amr).await,
        SimKind::Wmbus => heard::run(options, HeardKind::Wmbus).await,
        SimKind::Tasmota => senders::run(options, SenderKind::Tasmota).await,
        SimKind::Shelly => senders::run(options, SenderKind::Shelly).await,
        SimKind::Amsreader => senders::run(options, SenderKind::Amsreader).await,
        SimKind::P1 => senders::run(options, SenderKind::P1).await,
        SimKind::Chirpstack => senders::run(options, SenderKind::Chirpstack).await,
        SimKind::TheThings => senders::run(options, SenderKind::TheThings).await,
        SimKind::Json => edge::run(options, EdgeKind::Json).await,
        SimKind::Sparkplug => edge::run(options, EdgeKind::Sparkplug).await,
        SimKind::Nem12 => files::run(options, FileKind::Nem12).await,
        SimKind::Cmep => files::run(options, FileKind::Cmep).await,
        SimKind::Modbus => modbus::run(options.bus()?).await,
    }
}

async fn fleet(options: SimulateOptions) -> anyhow::Result<()> {
    let stretch = Stretch::of(&options, 900);
    let meters = options.meters();
    let spec = FleetSpec {
        seed: options.seed,
        meters,
        collectors: FleetSpec::collectors_for(meters),
        zone: ZONE.to_owned(),
        history_start: stretch.start.plus_seconds(-HISTORY_DAYS * DAY_S),
        live_start: stretch.start,
        live_end: stretch.end,
    };
    let mut fleet = Fleet::new(spec.clone())?;
    if let Some(path) = &options.provision_out {
        write_provisioning(path, &fleet)?;
    }
    if let Some(path) = &options.truth {
        write_truth(path, &spec, &fleet)?;
    }
    // What happened before is not sent, but counters and faults have lived through it.
    drop(fleet.messages(spec.history_start, stretch.start));
    publish(&options, &mut fleet, stretch).await
}

fn write_provisioning(path: &Path, fleet: &Fleet) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let assets = fleet.assets();
    let collectors = crate::demo::collectors(assets);
    provision_file::write(&crate::demo::meters(assets)?, &collectors, &[], &mut out)?;
    out.flush().with_context(|| format!("write {}", path.display()))
}

fn write_truth(path: &Path, spec: &FleetSpec, fleet: &Fleet) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut writer = TruthWriter::new(BufWriter::new(file));
    writer.plan(spec, fleet.truth())?;
    writer.finish()?;
    Ok(())
}
