//! `headend simulate --kind amr|wmbus`: meters that shout, and what collectors publish of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::{FleetSpec, HeardFleet, HeardKind, HeardSpec};

use super::{FAST_STEP_S, STEP_S};
use crate::clock::{Clock as _, SystemClock};
use crate::demo::SimPublisher;
use crate::output::remark;
use crate::verbs::SimulateOptions;

/// Publishes the last `hours` hours up to now (speed 0), or the coming ones at `speed`.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: HeardKind) -> anyhow::Result<()> {
    let now = SystemClock::new().now().floor_to(300);
    let length_s = i64::from(options.hours) * 3_600;
    let start = if options.speed == 0 { now.plus_seconds(-length_s) } else { now };
    let mut fleet = HeardFleet::new(HeardSpec {
        seed: options.seed,
        kind,
        meters: options.meters,
        collectors: FleetSpec::collectors_for(options.meters).min(99),
        start,
        faulty: true,
    })?;
    if let Some(path) = &options.provision_out {
        write(path, &fleet.provisioning())?;
        if kind == HeardKind::Wmbus {
            let keys = keys_path(path);
            write_secret(&keys, &fleet.keys())?;
            remark!("keys of the devices: {}", keys.display());
        }
    }
    let broker = &options.broker;
    let mut publisher = SimPublisher::connect(&broker.host, broker.port, "headend-simulate-heard");
    let outcome =
        publish(&options, &mut fleet, &mut publisher, (start, start.plus_seconds(length_s))).await;
    let sent = publisher.sent();
    publisher.stop().await;
    outcome?;
    if let Some(path) = &options.truth {
        write(path, &truth(&fleet))?;
    }
    writeln!(std::io::stderr(), "published {sent} messages")?;
    Ok(())
}

async fn publish(
    options: &SimulateOptions,
    fleet: &mut HeardFleet,
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
    if fast {
        // What collectors hold back comes at once.
        publisher.send(fleet.rest()).await?;
    }
    publisher.flush().await
}

/// One line a meter: its name, what its dial shows, and what was used in all slots.
fn truth(fleet: &HeardFleet) -> String {
    let mut text = "source,counter,slots,used\n".to_owned();
    for meter in fleet.truth() {
        let used: i64 = meter.slots.iter().map(|(_, used)| used).sum();
        text += &format!("{},{},{},{used}\n", meter.source, meter.counter, meter.slots.len());
    }
    text
}

/// `fleet.csv` and `fleet.keys`.
fn keys_path(provisioning: &Path) -> PathBuf {
    provisioning.with_extension("keys")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// For the account that runs this alone.
fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
