//! `headend dlq`: messages that could not become readings.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use jiff::tz::TimeZone;
use metering::{SourceId, UtcTime};
use store::views::intake::{self, DeadLetterFilter, DeadLetterRow};
use store::{Database, PurgeFilter};

use super::cli::{DlqWhich, Output, PageArgs};
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat, Record, remark, say};

/// Characters of the id that the list shows.
const ID_CHARS: usize = 16;

pub(super) async fn list(
    database: &Database,
    filter: &DeadLetterFilter,
    (page, output): (PageArgs, Output),
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "id",
        "reason",
        "source",
        "adapter",
        "topic",
        "count",
        "reads",
        "first_seen",
        "last_seen",
        "replayed_at",
        "detail",
    ]);
    let mut cursor = None;
    while let Some(limit) = page.next(list.len()) {
        let rows = intake::dead_letters(database, filter, cursor.as_ref(), limit).await?;
        for row in &rows.items {
            list.push(line(row, zone));
        }
        cursor = rows.next;
        if cursor.is_none() {
            break;
        }
    }
    list.print(output.format())?;
    page.tell_more(cursor.is_some());
    Ok(())
}

fn line(row: &DeadLetterRow, zone: &TimeZone) -> Vec<Cell> {
    vec![
        Cell::text(row.sha256.chars().take(ID_CHARS).collect::<String>()),
        Cell::text(&row.reason),
        Cell::of(row.source.as_ref()),
        Cell::text(&row.adapter),
        Cell::text(&row.topic),
        Cell::number(row.count),
        Cell::number(row.reads),
        Cell::text(stamp(row.first_seen, zone)),
        Cell::text(stamp(row.last_seen, zone)),
        Cell::of(row.replayed_at.map(|at| stamp(at, zone))),
        Cell::text(&row.detail),
    ]
}

/// Deletes dead letters for good, after a `yes` on the terminal or on the command line.
pub(super) async fn purge(
    database: &Database,
    (which, older_than): (&DlqWhich, Option<Duration>),
    (dry_run, yes): (bool, bool),
    now: UtcTime,
) -> anyhow::Result<()> {
    let filter = PurgeFilter {
        source: which.source.as_ref().map(|source| SourceId::parse(source.as_str())),
        reason: which.reason.clone(),
        before: older_than
            .map(|age| now.plus_seconds(-i64::try_from(age.as_secs()).unwrap_or(i64::MAX))),
    };
    let count = database.purge_dead_letters(&filter, true).await?;
    if dry_run {
        say!("{count} dead letters would be deleted; nothing was changed")?;
        return Ok(());
    }
    if !yes && !agreed(count)? {
        return Err(Failure::new(Exit::Usage, "nothing was deleted: say --yes").into());
    }
    let purged = database.purge_dead_letters(&filter, false).await?;
    say!("{purged} dead letters were deleted")?;
    Ok(())
}

/// Asks on the terminal; without one nobody can agree.
fn agreed(count: u64) -> io::Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    write!(io::stderr(), "Delete {count} dead letters for good? Type yes: ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

pub(super) async fn show(
    database: &Database,
    id: &str,
    format: OutputFormat,
    zone: &TimeZone,
) -> anyhow::Result<()> {
    let row = intake::dead_letter(database, id).await?.ok_or_else(|| {
        let what = format!("no dead letter {id}: give at least 8 characters of the list's id");
        Failure::new(Exit::Data, what)
    })?;
    let cut = usize::try_from(row.size_bytes).is_ok_and(|size| size > row.payload.len());
    let record = Record::new(vec![
        ("id", Cell::text(&row.sha256)),
        ("reason", Cell::text(&row.reason)),
        ("detail", Cell::text(&row.detail)),
        ("source", Cell::of(row.source.as_ref())),
        ("adapter", Cell::text(&row.adapter)),
        ("topic", Cell::text(&row.topic)),
        ("count", Cell::number(row.count)),
        ("reads", Cell::number(row.reads)),
        ("first_seen", Cell::text(stamp(row.first_seen, zone))),
        ("last_seen", Cell::text(stamp(row.last_seen, zone))),
        ("replayed_at", Cell::of(row.replayed_at.map(|at| stamp(at, zone)))),
        ("size_bytes", Cell::number(row.size_bytes)),
        ("payload", Cell::text(String::from_utf8_lossy(&row.payload))),
    ]);
    record.print(format)?;
    if cut {
        remark!("the payload is cut to its first {} bytes", row.payload.len());
    }
    Ok(())
}
