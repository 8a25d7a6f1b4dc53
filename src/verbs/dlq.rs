//! `headend dlq`: messages that could not become readings.

use jiff::tz::TimeZone;
use store::Database;
use store::views::intake::{self, DeadLetterFilter, DeadLetterRow};

use super::cli::{Output, PageArgs};
use super::exit::{Exit, Failure};
use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat, Record};

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
    loop {
        let Some(limit) = page.next(list.len()) else { break };
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
        eprintln!("the payload is cut to its first {} bytes", row.payload.len());
    }
    Ok(())
}
