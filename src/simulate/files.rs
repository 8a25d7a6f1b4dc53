//! `headend simulate --kind nem12` and `cmep`: an agent that hands a file over for each day, into a
//! folder.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use jiff::tz::Offset;
use simulators::files::{FileAgent, FileFault, FileKind, FileSpec, SimFile};

use crate::clock::{Clock as _, SystemClock};
use crate::output::remark;
use crate::verbs::{Exit, Failure, SimulateOptions, provision_file};

/// The agent's day is of UTC+10.
const OFFSET: Offset = Offset::constant(10);
/// A zone that has it all the year.
const ZONE: &str = "Australia/Brisbane";

/// Writes the files of the last `hours` hours in the order in which they come.
///
/// # Errors
/// No folder is named, or a file cannot be written.
pub(super) async fn run(options: SimulateOptions, kind: FileKind) -> anyhow::Result<()> {
    let dir = options.out.as_deref().ok_or_else(|| {
        Failure::new(Exit::Usage, "files go into a folder, for example an inbox: --out DIR")
    })?;
    let days = options.hours.div_ceil(24);
    let today = OFFSET.to_datetime(SystemClock::new().now().to_jiff()).date();
    let first = today.checked_sub(jiff::Span::new().days(i64::from(days)));
    let agent = FileAgent::new(FileSpec {
        kind,
        seed: options.seed,
        meters: options.meters(),
        first: first.context("the first day of the files")?,
        days,
        faults: true,
    });
    if let Some(path) = &options.provision_out {
        write_provisioning(path, &agent)?;
    }
    if let Some(path) = &options.truth {
        write_truth(path, &agent)?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make the folder {}", dir.display()))?;
    if kind == FileKind::Cmep {
        remark!("Times are of UTC+10 and do not say so: --zone or [utility] zone {ZONE}");
    }
    hand_over(dir, &agent.files(), options.speed()).await
}

async fn hand_over(dir: &Path, files: &[SimFile], speed: u32) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    let mut before = files.first().map(|file| file.sent_at);
    for file in files {
        let gap_s = before.map_or(0, |before| file.sent_at.seconds_since(before));
        before = Some(file.sent_at);
        if speed > 0 {
            let pause = Duration::from_secs(u64::try_from(gap_s)?) / speed;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                outcome = &mut stop => return outcome,
            }
        }
        write(dir, file)?;
        match file.fault {
            FileFault::None => remark!("{}", file.name),
            fault => remark!("{}: {}", file.name, word(fault)),
        }
    }
    writeln!(std::io::stderr(), "wrote {} files", files.len())?;
    Ok(())
}

/// Under a name that an inbox leaves alone until the file is whole.
fn write(dir: &Path, file: &SimFile) -> anyhow::Result<()> {
    let (part, path) = (dir.join(format!("{}.part", file.name)), dir.join(&file.name));
    let outcome = std::fs::write(&part, &file.text).and_then(|()| std::fs::rename(&part, &path));
    outcome.with_context(|| format!("write {}", path.display()))
}

const fn word(fault: FileFault) -> &'static str {
    match fault {
        FileFault::None => "",
        FileFault::Late => "late, after the next day's",
        FileFault::Repeated => "the same once more",
        FileFault::Estimated => "estimated in part",
        FileFault::Overlapping => "tells the day before again",
        FileFault::Cut => "cut, the whole one follows",
    }
}

fn write_provisioning(path: &Path, agent: &FileAgent) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let meters = crate::demo::meters(&agent.assets())?;
    provision_file::write(&meters, &[], &[], &mut out)?;
    out.flush().with_context(|| format!("write {}", path.display()))
}

/// One line an interval: meter, field, end, watt-hours.
fn write_truth(path: &Path, agent: &FileAgent) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    let mut out = BufWriter::new(file);
    writeln!(out, "meter,field,at,value")?;
    for read in agent.truth() {
        writeln!(out, "{},{},{},{}", read.meter, read.field, read.at, read.value)?;
    }
    out.flush().context("write the truth file")
}
