//! `headend files`: the history of files of readings, as the console's page tells it.

use clap::Subcommand;
use jiff::tz::TimeZone;
use store::Database;
use store::files::{self, FileCounts, FileRow};

use super::cli::{Output, PageArgs};
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat, Record};

/// Rows of one question.
const PAGE: u32 = 1_000;
/// Notes of one file that are printed.
const NOTES_MAX: u32 = 100_000;

#[derive(Debug, Subcommand)]
pub(super) enum FilesVerb {
    /// Lists the files that came by page, inbox, API or `import`, newest first.
    List {
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Shows what became of a file, and of its records that waited for their meter.
    Show {
        /// Number of the file, as `list` prints it.
        number: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Prints the faulty lines of a file; the first 1,000 are kept.
    Faults {
        number: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Prints what a reader on foot wrote down, with the meters that were not read.
    Notes {
        number: i64,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(
    database: &Database,
    verb: &FilesVerb,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    match verb {
        FilesVerb::List { page, output } => list(database, *page, output.format(), zone).await,
        FilesVerb::Show { number, output } => show(database, *number, output.format(), zone).await,
        FilesVerb::Faults { number, output } => {
            one(database, *number).await?;
            let mut list = List::new(&["line", "reason", "detail", "text"]);
            for row in files::faults(database, *number).await? {
                list.push(vec![
                    Cell::number(row.line),
                    Cell::text(row.reason),
                    Cell::text(row.detail),
                    Cell::text(row.raw),
                ]);
            }
            Ok(list.print(output.format())?)
        }
        FilesVerb::Notes { number, output } => {
            one(database, *number).await?;
            let mut list = List::new(&["line", "device", "meter", "at", "read", "note"]);
            for noted in files::notes(database, *number, NOTES_MAX).await? {
                let row = noted.row;
                list.push(vec![
                    Cell::number(row.line),
                    Cell::text(row.source.as_str()),
                    Cell::of(noted.meter),
                    Cell::text(stamp(row.at, zone)),
                    Cell::text(if row.skipped { "no" } else { "yes" }),
                    Cell::text(row.note),
                ]);
            }
            Ok(list.print(output.format())?)
        }
    }
}

async fn one(database: &Database, number: i64) -> anyhow::Result<FileRow> {
    let row = files::by_number(database, number).await?;
    Ok(row.ok_or_else(|| {
        Failure::new(Exit::Data, format!("no file {number}: `headend files list`"))
    })?)
}

async fn list(
    database: &Database,
    page: PageArgs,
    format: OutputFormat,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let counts = counted(&FileCounts::default(), true).map(|(name, _)| name);
    let columns = [&["number", "file", "format", "state"], &counts[..], &["by", "received_at"]];
    let mut list = List::new(&columns.concat());
    let (mut before, mut more) = (0, true);
    while let Some(limit) = page.next(list.len()).filter(|_| more) {
        let limit = limit.min(PAGE);
        let rows = files::list(database, before, limit).await?;
        more = rows.len() == limit as usize;
        before = rows.last().map_or(before, |row| row.import_no);
        for row in rows {
            list.push(line(row, zone));
        }
    }
    list.print(format)?;
    page.tell_more(more);
    Ok(())
}

fn line(row: FileRow, zone: &TimeZone) -> Vec<Cell> {
    let mut cells = vec![
        Cell::number(row.import_no),
        Cell::text(row.name),
        Cell::text(row.read_as.format),
        Cell::text(row.state.word()),
    ];
    cells.extend(counted(&row.counts, true).map(|(_, cell)| cell));
    cells.extend([Cell::text(row.actor), Cell::text(stamp(row.received_at, zone))]);
    cells
}

/// What became of a file's records and readings. `conflicting` differed from what was stored: part
/// of them took its place, the others are kept beside it, which is known when they are `stored`.
pub(super) fn counted(counts: &FileCounts, stored: bool) -> [(&'static str, Cell); 9] {
    let beside = counts.conflicting.saturating_sub(counts.replaced);
    [
        ("records", Cell::number(counts.records)),
        ("refused", Cell::number(counts.refused)),
        ("not_read", Cell::number(counts.skipped)),
        ("reads_new", Cell::number(counts.inserted)),
        ("duplicate", Cell::number(counts.duplicate)),
        ("conflicting", Cell::number(counts.conflicting)),
        ("replaced", Cell::count(stored.then_some(counts.replaced))),
        ("kept_beside", Cell::count(stored.then_some(beside))),
        ("dead", Cell::number(counts.dead)),
    ]
}

async fn show(
    database: &Database,
    number: i64,
    format: OutputFormat,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let row = one(database, number).await?;
    let letters = files::letters(database, number).await?;
    let counts = row.counts;
    let mut fields = vec![
        ("number", Cell::number(row.import_no)),
        ("file", Cell::text(row.name)),
        ("state", Cell::text(row.state.word())),
        ("detail", Cell::text(row.detail)),
        ("format", Cell::text(row.read_as.format)),
        ("layout", Cell::text(row.read_as.layout)),
        ("zone", Cell::text(row.read_as.zone)),
        ("id_column", Cell::text(row.read_as.id_column)),
        ("by_record", Cell::text(row.by_record.to_string())),
        ("by", Cell::text(row.actor)),
        ("received_at", Cell::text(stamp(row.received_at, zone))),
        ("said_at", Cell::of(row.said_at.map(|at| stamp(at, zone)))),
        ("made_at", Cell::text(stamp(row.made_at, zone))),
        ("bytes", Cell::number(row.size)),
    ];
    fields.extend(counted(&counts, true));
    fields.extend([
        ("dead_waiting", Cell::number(letters.waiting_reads)),
        ("dead_home", Cell::number(letters.home_reads)),
        ("dead_gone", Cell::number(letters.gone_reads(counts.dead))),
        ("waits_for", Cell::text(letters.devices.join(" "))),
    ]);
    Ok(Record::new(fields).print(format)?)
}
