//! `headend simulate --kind tasmota|shelly|amsreader|p1|chirpstack|the_things`: devices with a
//! format of their own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::senders::{SenderKind, SenderRun, SenderSpec, Senders};

use super::{FAST_STEP_S, STEP_S, ZONE};
use crate::clock::{Clock as _, SystemClock};
use crate::demo::SimPublisher;
use crate::output::remark;
use crate::verbs::{SimulateOptions, provision_file};

/// Publishes the last `hours` hours up to now (speed 0), or the coming ones at `speed`.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: SenderKind) -> anyhow::Result<()> {
    let now = SystemClock::new().now().floor_to(60);
    let length_s = i64::from(options.hours) * 3_600;
    let start = if options.speed == 0 { now.plus_seconds(-length_s) } else { now };
    let mut senders = Senders::new(SenderSpec {
        kind,
        seed: options.seed,
        meters: options.meters,
        zone: jiff::tz::TimeZone::get(ZONE).context("the simulated devices' zone")?,
        zone_name: ZONE.to_owned(),
        start,
        end: start.plus_seconds(length_s),
        faults: true,
    });
    if let Some(path) = &options.provision_out {
        write_provisioning(path, &senders)?;
    }
    remark!("subscribe with filter = \"{}\", format = \"{}\"", kind.filter(), kind.word());
    let broker = &options.broker;
    let mut publisher =
        SimPublisher::connect(&broker.host, broker.port, "headend-simulate-senders");
    let end = start.plus_seconds(length_s);
    let outcome = publish(&options, &mut senders, &mut publisher, (start, end)).await;
    let sent = publisher.sent();
    publisher.stop().await;
    outcome?;
    writeln!(std::io::stderr(), "published {sent} messages")?;
    Ok(())
}

async fn publish(
    options: &SimulateOptions,
    senders: &mut Senders,
    publisher: &mut SimPublisher,
    (start, end): (UtcTime, UtcTime),
) -> anyhow::Result<()> {
    let fast = options.speed == 0;
    let step_s = if fast { FAST_STEP_S } else { STEP_S };
    let real = Duration::from_secs(u64::try_from(step_s)?) / options.speed.max(1);
    let mut pace = tokio::time::interval(real.max(Duration::from_millis(1)));
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    let mut truth = options.truth.as_deref().map(Truth::create).transpose()?;
    let mut now = start;
    while now < end {
        if !fast {
            tokio::select! {
                _ = pace.tick() => {}
                outcome = &mut stop => return outcome,
            }
        }
        let to = now.plus_seconds(step_s).min(end);
        let run = senders.run(now, to);
        if let Some(truth) = &mut truth {
            truth.add(&run)?;
        }
        publisher.send(run.messages).await?;
        now = to;
    }
    if let Some(truth) = truth {
        truth.finish()?;
    }
    publisher.flush().await
}

/// One line a reading: meter, field, time, counts of the channel.
struct Truth(BufWriter<File>);

impl Truth {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
        let mut out = BufWriter::new(file);
        writeln!(out, "meter,field,at,value")?;
        Ok(Self(out))
    }

    fn add(&mut self, run: &SenderRun) -> anyhow::Result<()> {
        for read in &run.reads {
            writeln!(self.0, "{},{},{},{}", read.meter, read.field, read.at, read.value)?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.0.flush().context("write the truth file")
    }
}

fn write_provisioning(path: &Path, senders: &Senders) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let assets = senders.assets();
    provision_file::write(&crate::demo::meters(&assets)?, &[], &[], &mut out)?;
    out.flush().with_context(|| format!("write {}", path.display()))
}
