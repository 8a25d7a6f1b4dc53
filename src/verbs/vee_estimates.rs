//! `headend vee estimates` and `decide`: whole estimates, and what people decide of them.

use jiff::tz::TimeZone;
use metering::UtcTime;
use store::Database;
use store::views::estimates::{self, EstimateFilter};
use vee::estimate::Method;
use vee::estimation::EstimationState;

use super::cli::{Output, PageArgs};
use super::reads::stamp;
use super::vee::failed;
use super::vee_args::EstimateArgs;
use crate::output::{Cell, List, say};
use crate::services::vee::{self as service, Person};

pub(super) async fn list(
    db: &Database,
    (state, q): (EstimationState, Option<String>),
    (page, output): (PageArgs, Output),
) -> anyhow::Result<()> {
    let state = Some(state.word().to_owned());
    let filter = EstimateFilter { state, q, ..EstimateFilter::default() };
    let mut list = List::new(&[
        "number",
        "meter",
        "channel",
        "from",
        "to",
        "intervals",
        "method",
        "class",
        "sum",
        "unit",
        "state",
        "reason",
        "issue",
    ]);
    let mut cursor = None;
    while let Some(limit) = page.next(list.len()) {
        let rows = estimates::list(db, &filter, cursor.as_ref(), limit).await?;
        for row in rows.items {
            let zone = TimeZone::get(&row.time_zone).unwrap_or(TimeZone::UTC);
            list.push(vec![
                Cell::number(row.no),
                Cell::text(row.number),
                Cell::number(row.channel),
                Cell::text(stamp(row.starts_at, &zone)),
                Cell::text(stamp(row.ends_at, &zone)),
                Cell::number(row.intervals),
                Cell::of(u8::try_from(row.method).ok().and_then(Method::from_number)),
                Cell::text(row.confidence),
                Cell::milli(row.total),
                Cell::text(row.reading_type.base_unit().symbol()),
                Cell::text(row.state),
                Cell::text(row.reason),
                Cell::count(row.issue_number),
            ]);
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

pub(super) async fn decide(
    db: &Database,
    args: &EstimateArgs,
    account: &str,
    now: UtcTime,
) -> anyhow::Result<()> {
    let actor = args.actor.as_deref().unwrap_or(account);
    let who = Person { actor, reason: &args.reason, now };
    let state = service::act(db, args.number, args.act, who).await.map_err(failed)?;
    say!("estimate {}: {} now", args.number, state.word().to_lowercase())?;
    Ok(())
}
