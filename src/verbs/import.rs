//! `headend import FILE...`: files of readings, as the inbox takes them.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;
use protocols::files::{Encoding, FileFormat, Layout, beacon};

use super::cli::Output;
use super::database::Opened;
use super::exit::{Exit, Failure};
use super::files::counted;
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::files::{FileOptions, FileOutcome, FileReport, Upload};
use crate::output::{Cell, List, OutputFormat, Record, remark};
use crate::services::files::{Files, KindError};

/// Larger files are split by who sends them.
const FILE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files of readings; a zip archive's members are imported one by one.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// nem12 (NEM13 too), cmep, espi (Green Button), beacon; without it, told by the first bytes.
    #[arg(long, conflicts_with = "layout")]
    format: Option<FileFormat>,
    /// A layout of fixed width or CSV: radix-a, sensus-autoread, sensus-k3, neptune-ezroute,
    /// neptune-equinox-s, or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    layout: Option<String>,
    /// Zone of times that name none (CMEP, BEACON, layouts); without it, [utility] zone.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Takes the good records of a file whose others are faulty; else one fault refuses all.
    #[arg(long)]
    by_record: bool,
    /// The file is written in Latin-1, not UTF-8.
    #[arg(long)]
    latin1: bool,
    /// BEACON: the column that names the meter: `Meter_ID`, `Meter_SN` or `Endpoint_SN`.
    #[arg(long, value_name = "COLUMN", default_value = "Meter_ID")]
    identity: beacon::Column,
    /// Also a file whose content was imported before.
    #[arg(long)]
    again: bool,
    /// Says what would be stored and what is wrong, and stores nothing: the counts are those that an
    /// import would have.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(
    opened: &Opened,
    config: &Config,
    (args, account): (&ImportArgs, &str),
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let ingest = super::replay::ingest_options(config)?;
    let zone = opened.zone(config);
    let context = (zone.clone(), clock);
    let files = Files::new(opened.database.clone(), ingest, &config.files, context);
    let options = args.options(&files, zone)?;
    let mut reports = Vec::new();
    for path in &args.files {
        let upload = Upload { name: name_of(path), bytes: read(path)?, actor: account.to_owned() };
        let watched = std::io::stderr().is_terminal();
        let mut told = 0;
        let mut progress = |done: u64, of: u64| {
            if watched && done >= told + 10_000 {
                told = done;
                remark!("{}: {done} of {of} records", path.display());
            }
        };
        reports.extend(files.import(&upload, &options, &mut progress).await?);
    }
    print(&reports, args.output.format())?;
    for report in &reports {
        remarks(report);
    }
    let refused = reports.iter().filter(|r| matches!(r.outcome, FileOutcome::Refused(_))).count();
    let faulty = reports.iter().filter(|report| report.counts.refused > 0).count();
    match (refused, faulty) {
        (0, 0) => Ok(()),
        (0, faulty) => {
            let what = format!("{faulty} of {} files hold faulty records", reports.len());
            Err(Failure::new(Exit::Data, what).into())
        }
        (refused, _) => {
            let what = format!("{refused} of {} files were refused", reports.len());
            Err(Failure::new(Exit::Data, what).into())
        }
    }
}

impl ImportArgs {
    fn options(&self, files: &Files, own: TimeZone) -> Result<FileOptions, Failure> {
        let zone = match &self.zone {
            None => own,
            Some(name) => TimeZone::get(name).map_err(|_| {
                Failure::new(Exit::Usage, format!("`{name}` is no zone of the IANA list"))
            })?,
        };
        let layout = match &self.layout {
            None => None,
            Some(name) => Some(layout_of(name, files)?),
        };
        let encoding = if self.latin1 { Encoding::Latin1 } else { Encoding::Utf8 };
        let identity = beacon::Identity { column: self.identity, ..beacon::Identity::default() };
        Ok(FileOptions {
            format: self.format,
            layout,
            encoding,
            identity,
            by_record: self.by_record,
            dry_run: self.dry_run,
            again: self.again,
            ..FileOptions::new(zone)
        })
    }
}

/// A layout of the utility or of the program by name, else a file.
fn layout_of(name: &str, files: &Files) -> Result<Arc<Layout>, Failure> {
    let unknown = match files.options(name) {
        Ok(FileOptions { layout: Some(layout), .. }) => return Ok(layout),
        Ok(_) => format!("`{name}` is a format: --format {name}"),
        Err(KindError::Unknown(_)) => {
            let names = files.layouts().join(", ");
            format!("`{name}` is no layout ({names}) and no file to read")
        }
        Err(error) => return Err(Failure::because(Exit::Data, name, error)),
    };
    let text = std::fs::read_to_string(name)
        .map_err(|error| Failure::because(Exit::Io, unknown, error))?;
    let layout = Layout::parse(&text).map_err(|error| Failure::because(Exit::Data, name, error))?;
    Ok(Arc::new(layout))
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn read(path: &Path) -> Result<bytes::Bytes, Failure> {
    let failed =
        |error| Failure::because(Exit::Io, format!("cannot read {}", path.display()), error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        let what = format!("{} is larger than 1 GiB: split it", path.display());
        return Err(Failure::new(Exit::Data, what));
    }
    Ok(std::fs::read(path).map_err(failed)?.into())
}

fn fields(report: &FileReport) -> Vec<(&'static str, Cell)> {
    let format = report.format.map_or_else(String::new, |format| format.to_string());
    let stored = report.outcome != FileOutcome::Tried;
    let mut fields = vec![
        ("file", Cell::text(&report.name)),
        ("format", Cell::text(&format)),
        ("outcome", Cell::text(report.outcome.word())),
    ];
    fields.extend(counted(&report.counts, stored));
    fields.push(("unmapped", Cell::number(report.unmapped)));
    fields
}

fn print(reports: &[FileReport], format: OutputFormat) -> std::io::Result<()> {
    if let [report] = reports {
        return Record::new(fields(report)).print(format);
    }
    let rows: Vec<_> = reports.iter().map(fields).collect();
    let columns: Vec<&'static str> = rows.iter().take(1).flatten().map(|(name, _)| *name).collect();
    let mut list = List::new(&columns);
    for row in rows {
        list.push(row.into_iter().map(|(_, cell)| cell).collect());
    }
    list.print(format)
}

fn remarks(report: &FileReport) {
    for fault in &report.faults {
        remark!("{}:{}: {}: {}", report.name, fault.line, fault.reason, fault.detail);
    }
    let kept = report.faults.len() as u64;
    if report.counts.refused > kept {
        remark!("{}: {} more faulty records", report.name, report.counts.refused - kept);
    }
    let tried = report.outcome == FileOutcome::Tried;
    if !report.unknown.is_empty() {
        let names = report.unknown.join(", ");
        let kept = if tried { "would be kept" } else { "kept" };
        remark!("{}: not provisioned, {kept} as dead letters: {names}", report.name);
    }
    let detail = report.outcome.detail();
    match &report.outcome {
        FileOutcome::Refused(_) => remark!("{}: refused: {detail}", report.name),
        _ if !detail.is_empty() => remark!("{}: {detail}", report.name),
        _ => {}
    }
}
