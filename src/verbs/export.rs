//! `headend export METER`: a meter's intervals as a file that others read.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use metering::LocalCalendar;
use metering::UtcTime;
use store::Database;
use store::views::export::{self, ExportFilter};
use store::views::meters;

use super::exit::{Exit, Failure};
use super::reads::{range_of, zone_named};
use crate::services::green_button::GreenButton;

/// Thirteen months.
const FEED_S: i64 = 396 * 86_400;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Number of the meter.
    meter: String,
    #[arg(long, value_enum, default_value_t = ExportKind::GreenButton)]
    kind: ExportKind,
    /// First instant, such as 2026-11-01 or 2026-11-01T06:00; default: thirteen months before --to.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last instant; default: now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Zone in which times are read and days are counted; default: the meter's own.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The file that is written; default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ExportKind {
    /// Green Button (NAESB ESPI), as the console and the API give it.
    #[value(alias = "greenbutton")]
    GreenButton,
}

pub(super) async fn run(
    database: &Database,
    args: &ExportArgs,
    utility: &str,
    now: UtcTime,
) -> anyhow::Result<()> {
    let meter = meters::by_number(database, &args.meter, now).await?.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no meter {}: `headend meters list`", args.meter))
    })?;
    let zone = zone_named(args.zone.as_deref(), &meter)?;
    let range = range_of((&args.from, &args.to), FEED_S, &zone, now)?;
    let calendar = LocalCalendar::new(zone.iana_name().unwrap_or("UTC"))?;
    let filter = ExportFilter { number: Some(meter.number.clone()), ..ExportFilter::default() };
    let reads = export::reads(database, filter, range, now)?;
    let ExportKind::GreenButton = args.kind;
    let mut feed = GreenButton::new((utility, &meter.number), reads, calendar, now);
    let failed = |error| {
        let to = args.out.as_ref().map_or("standard output".into(), |path| path.to_string_lossy());
        Failure::because(Exit::Io, format!("cannot write {to}"), error)
    };
    let mut out: Box<dyn std::io::Write> = match &args.out {
        Some(path) => Box::new(std::fs::File::create(path).map_err(failed)?),
        None => Box::new(std::io::stdout()),
    };
    while let Some(piece) = feed.piece().await? {
        out.write_all(piece.as_bytes()).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    Ok(())
}
