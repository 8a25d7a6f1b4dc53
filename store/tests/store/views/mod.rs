//! The questions of console and API on a real server, over one small utility ([`now`]).

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod fleet;
mod issues;
mod lists;
mod series;

use metering::{ChannelNo, LocalCalendar, MeterId, UtcTime};
use store::Database;

/// A fresh database with the utility of `seed.sql`; `None` when there is no PostgreSQL to test on.
async fn seeded(test: &str) -> Option<Database> {
    let database = crate::support::database(test).await?;
    let client = database.client().await.unwrap();
    client.batch_execute(include_str!("seed.sql")).await.unwrap();
    Some(database)
}

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

/// 14:00 in Berlin.
fn now() -> UtcTime {
    at("2026-06-10T12:00:00Z")
}

fn berlin() -> LocalCalendar {
    LocalCalendar::new("Europe/Berlin").unwrap()
}

const W_001: MeterId = MeterId::new(1);
const W_002: MeterId = MeterId::new(2);
const MAIN: ChannelNo = ChannelNo::new(1);
