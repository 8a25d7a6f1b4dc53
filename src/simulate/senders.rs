//! `headend simulate --kind tasmota|shelly|amsreader|p1|chirpstack|the_things`: devices with a
//! format of their own.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::SimMessage;
use simulators::senders::{SenderKind, SenderRun, SenderSpec, Senders};

use super::ZONE;
use super::pace::{Sends, Stretch, publish};
use crate::output::remark;
use crate::verbs::{SimulateOptions, provision_file};

/// As [`super::run`] says.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: SenderKind) -> anyhow::Result<()> {
    let stretch = Stretch::of(&options, 60);
    let senders = Senders::new(SenderSpec {
        kind,
        seed: options.seed,
        meters: options.meters(),
        zone: jiff::tz::TimeZone::get(ZONE).context("the simulated devices' zone")?,
        zone_name: ZONE.to_owned(),
        start: stretch.start,
        end: stretch.end,
        faults: true,
    });
    if let Some(path) = &options.provision_out {
        write_provisioning(path, &senders)?;
    }
    let more = match kind {
        // Its stamps are local.
        SenderKind::Tasmota => format!(", zone = \"{ZONE}\""),
        SenderKind::Chirpstack | SenderKind::TheThings => {
            ", mapping = \"simulated-lora\"".to_owned()
        }
        SenderKind::Shelly | SenderKind::Amsreader | SenderKind::P1 => String::new(),
    };
    let (filter, format) = (kind.filter(), kind.word());
    remark!("subscribe with filter = \"{filter}\", format = \"{format}\"{more}");
    let truth = options.truth.as_deref().map(Truth::create).transpose()?;
    let mut told = Told { senders, truth };
    publish(&options, &mut told, stretch).await?;
    told.truth.map_or(Ok(()), Truth::finish)
}

/// The devices, and what they metered written down as they send it.
struct Told {
    senders: Senders,
    truth: Option<Truth>,
}

impl Sends for Told {
    fn messages(&mut self, from: UtcTime, to: UtcTime) -> anyhow::Result<Vec<SimMessage>> {
        let run = self.senders.run(from, to);
        if let Some(truth) = &mut self.truth {
            truth.add(&run)?;
        }
        Ok(run.messages)
    }

    fn rest(&mut self) -> Vec<SimMessage> {
        self.senders.rest()
    }
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
