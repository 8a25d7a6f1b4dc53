//! `headend rules shadow`: rules that run beside those that hold, and what they would have said.

use std::path::Path;

use jiff::tz::TimeZone;
use metering::UtcTime;
use store::Database;
use store::rules::NewBundle;
use store::views::rules as views;

use super::exit::{Exit, Failure};
use super::reads::stamp;
use super::rules::{failure, read};
use super::rules_args::Who;
use crate::output::{Cell, List, OutputFormat, say};
use crate::services::rules;

/// Runs a file in shadow; without one, ends it.
pub(super) async fn run(
    database: &Database,
    file: Option<&Path>,
    who: &Who,
    (account, now): (&str, UtcTime),
) -> anyhow::Result<()> {
    let person = who.person(account, now);
    let by = (person.actor, person.reason);
    let Some(file) = file else {
        store::rules::set_shadow(database, None, by, now).await?;
        say!("no rules run in shadow")?;
        return Ok(());
    };
    let text = read(file)?;
    let bundle = rules::ready(&text).map_err(|error| failure(file, error))?;
    let hash = bundle.hash();
    if store::rules::active(database).await?.is_some_and(|active| active.hash == hash) {
        let what = format!("rules {} hold already: in shadow they say the same", bundle.version);
        return Err(Failure::new(Exit::Data, what).into());
    }
    let (actor, reason) = by;
    let (version, approved_by) = (&*bundle.version, "");
    let (text, hash, over) = (&*text, &*hash, None);
    let new = NewBundle { version, text, hash, actor, approved_by, reason, over };
    store::rules::set_shadow(database, Some(&new), by, now).await?;
    say!("rules {} run in shadow; their alerts open no issue", bundle.version)?;
    Ok(())
}

/// Prints what rules in shadow said, newest first.
pub(super) async fn list(
    database: &Database,
    (rule, limit): (Option<&str>, u32),
    (zone, format): (&TimeZone, OutputFormat),
) -> anyhow::Result<()> {
    let mut list = List::new(&[
        "raised_at",
        "rule",
        "severity",
        "cause",
        "subject_kind",
        "subject",
        "cleared_at",
    ]);
    for row in views::shadow(database, rule, limit).await? {
        list.push(vec![
            Cell::text(stamp(row.raised_at, zone)),
            Cell::text(row.rule),
            Cell::number(row.severity.number()),
            Cell::text(row.cause),
            Cell::text(row.subject.kind()),
            Cell::text(row.subject_name),
            Cell::of(row.cleared_at.map(|at| stamp(at, zone))),
        ]);
    }
    list.print(format)?;
    Ok(())
}
