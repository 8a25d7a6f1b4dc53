//! `headend simulate --kind amr|wmbus`: meters that shout, and what collectors publish of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use simulators::{FleetSpec, HeardFleet, HeardKind, HeardSpec};

use super::pace::{Stretch, publish};
use crate::output::remark;
use crate::verbs::SimulateOptions;

/// As [`super::run`] says.
///
/// # Errors
/// A file cannot be written, or the broker does not answer.
pub(super) async fn run(options: SimulateOptions, kind: HeardKind) -> anyhow::Result<()> {
    let stretch = Stretch::of(&options, 300);
    let mut fleet = HeardFleet::new(HeardSpec {
        seed: options.seed,
        kind,
        meters: options.meters(),
        collectors: FleetSpec::collectors_for(options.meters()).min(99),
        start: stretch.start,
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
    let (filter, format) = match kind {
        HeardKind::Amr => ("amr/+/rtlamr", "rtlamr"),
        HeardKind::Wmbus => ("wmbus/+/raw", "wmbus"),
    };
    remark!("subscribe with filter = \"{filter}\", format = \"{format}\", collector_level = 2");
    publish(&options, &mut fleet, stretch).await?;
    if let Some(path) = &options.truth {
        write(path, &truth(&fleet))?;
    }
    Ok(())
}

/// One line a slot: the meter, when the slot ended, what was used in it, what the dial showed then;
/// in the counts of its telegrams.
fn truth(fleet: &HeardFleet) -> String {
    let mut text = "source,end,used,counter\n".to_owned();
    for meter in fleet.truth() {
        let used: i64 = meter.slots.iter().map(|(_, used)| used).sum();
        let mut counter = meter.counter - used;
        for (end, used) in &meter.slots {
            counter += used;
            text += &format!("{},{end},{used},{counter}\n", meter.source);
        }
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
