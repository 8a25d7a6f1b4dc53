//! `headend simulate`: a simulated fleet that publishes to any broker, for trying a head-end out.

mod edge;
mod heard;
pub mod modbus;
mod senders;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use metering::time::DAY_S;
use simulators::senders::SenderKind;
use simulators::{Fleet, FleetSpec, HeardKind, TruthWriter};

use crate::clock::{Clock as _, SystemClock};
use crate::demo::SimPublisher;
use crate::verbs::provision_file;
use crate::verbs::{SimKind, SimulateOptions};
use edge::EdgeKind;

const ZONE: &str = "Europe/Berlin";
/// Simulated time of one call to the fleet.
const STEP_S: i64 = 15;
const FAST_STEP_S: i64 = 3_600;
/// Days of life before the first message, so that slow faults have begun.
const HISTORY_DAYS: i64 = 35;

/// Publishes the last `hours` hours up to now (speed 0), or the coming ones at `speed`.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
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
    }
}

async fn fleet(options: SimulateOptions) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let now = clock.now().floor_to(900);
    let length_s = i64::from(options.hours) * 3_600;
    let start = if options.speed == 0 { now.plus_seconds(-length_s) } else { now };
    let end = start.plus_seconds(length_s.max(1));
    let spec = FleetSpec {
        seed: options.seed,
        meters: options.meters,
        collectors: FleetSpec::collectors_for(options.meters),
        zone: ZONE.to_owned(),
        history_start: start.plus_seconds(-HISTORY_DAYS * DAY_S),
        live_start: start,
        live_end: end,
    };
    let mut fleet = Fleet::new(spec.clone())?;
    if let Some(path) = &options.provision_out {
        write_provisioning(path, &fleet)?;
    }
    if let Some(path) = &options.truth {
        write_truth(path, &spec, &fleet)?;
    }
    // What happened before is not sent, but counters and faults have lived through it.
    drop(fleet.messages(spec.history_start, start));
    let broker = &options.broker;
    let mut publisher = SimPublisher::connect(&broker.host, broker.port, "headend-simulate");
    let outcome = publish(&options, &mut fleet, &mut publisher, (start, end)).await;
    let sent = publisher.sent();
    publisher.stop().await;
    outcome?;
    writeln!(std::io::stderr(), "published {sent} messages")?;
    Ok(())
}

async fn publish(
    options: &SimulateOptions,
    fleet: &mut Fleet,
    publisher: &mut SimPublisher,
    (start, end): (UtcTime, UtcTime),
) -> anyhow::Result<()> {
    let fast = options.speed == 0;
    let step_s = if fast { FAST_STEP_S } else { STEP_S };
    let real = Duration::from_secs(u64::try_from(step_s)?) / options.speed.max(1);
    let mut pace = tokio::time::interval(real.max(Duration::from_millis(1)));
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    let mut now = start;
    while now < end {
        if !fast {
            tokio::select! {
                _ = pace.tick() => {}
                outcome = &mut stop => return outcome,
            }
        }
        let to = now.plus_seconds(step_s).min(end);
        publisher.send(fleet.messages(now, to)).await?;
        now = to;
    }
    publisher.flush().await
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
