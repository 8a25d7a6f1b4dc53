//! System: is the store itself well, what comes in through which adapter, does everything balance?

use askama::Template;
use axum::extract::State;
use metering::UtcTime;
use store::views::fleet::Identity;
use store::views::system::{self as views, BatchRow, DatabaseState};

use super::{Answer, html};
use crate::console::frame::{Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    frame: Frame,
    say: String,
    adapters: AdapterRows,
    consumers: ConsumerRows,
    batches: BatchRows,
    facts: Vec<(&'static str, String)>,
    tables: Vec<TableLine>,
}

#[derive(Template)]
#[template(path = "system_adapters.html")]
struct AdapterRows {
    rows: Vec<(String, IdentityLine, String)>,
    total: IdentityLine,
}

#[derive(Template)]
#[template(path = "system_consumers.html")]
struct ConsumerRows {
    rows: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "system_batches.html")]
struct BatchRows {
    rows: Vec<BatchLine>,
}

struct BatchLine {
    id: i64,
    at: String,
    adapter: String,
    identity: IdentityLine,
}

/// Counts as text, and whether they add up.
struct IdentityLine {
    balanced: bool,
    messages: String,
    offered: String,
    committed: String,
    duplicate: String,
    conflicting: String,
    dead: String,
    derived: String,
    events: String,
}

struct TableLine {
    name: String,
    partitions: String,
    rows: String,
    size: String,
}

impl IdentityLine {
    fn of(identity: &Identity) -> Self {
        Self {
            balanced: identity.balanced(),
            messages: words::thousands(identity.messages),
            offered: words::thousands(identity.offered),
            committed: words::thousands(identity.committed),
            duplicate: words::thousands(identity.duplicate),
            conflicting: words::thousands(identity.conflicting),
            dead: words::thousands(identity.dead),
            derived: words::thousands(identity.derived),
            events: words::thousands(identity.events),
        }
    }
}

/// `GET /system`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>) -> Answer {
    let now = console.now();
    let (state, batches) = read(&console).await?;
    let frame = Frame::of(&console, Section::System, "System").await?;
    html(&SystemPage {
        frame: frame.live("system", ""),
        say: say(&state),
        adapters: adapters(&state, now),
        consumers: consumers(&state),
        batches: batch_rows(&batches, now, &console),
        facts: facts(&state),
        tables: state
            .tables
            .iter()
            .map(|table| TableLine {
                name: table.table.clone(),
                partitions: words::thousands(table.partitions),
                rows: words::thousands(table.rows_estimate),
                size: bytes(table.size_bytes),
            })
            .collect(),
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState) -> Result<Vec<String>, Refusal> {
    let now = console.now();
    let (state, batches) = read(console).await?;
    Ok(vec![
        adapters(&state, now).render()?,
        consumers(&state).render()?,
        batch_rows(&batches, now, console).render()?,
    ])
}

async fn read(console: &ConsoleState) -> Result<(DatabaseState, Vec<BatchRow>), Refusal> {
    let db = &console.db;
    Ok(futures_util::future::try_join(views::database(db), views::batches(db, 12)).await?)
}

fn say(state: &DatabaseState) -> String {
    let balance = if state.identity.balanced() {
        "Every reading that was offered is accounted for."
    } else {
        "The counts of readings do not add up: see which adapter and batch below."
    };
    let behind = state.consumers.iter().map(|consumer| consumer.behind).max().unwrap_or(0);
    let rules = if behind > 10_000 {
        format!(" A reader of the event log is {} records behind.", words::thousands(behind))
    } else {
        String::new()
    };
    format!("{balance}{rules}")
}

fn adapters(state: &DatabaseState, now: UtcTime) -> AdapterRows {
    let rows = state.adapters.iter().map(|adapter| {
        let last = adapter
            .last_commit
            .map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::age(at, now)));
        (adapter.adapter.clone(), IdentityLine::of(&adapter.identity), last)
    });
    AdapterRows { rows: rows.collect(), total: IdentityLine::of(&state.identity) }
}

fn consumers(state: &DatabaseState) -> ConsumerRows {
    let line = |consumer: &views::ConsumerLag| {
        let (seq, behind) = (words::thousands(consumer.seq), words::thousands(consumer.behind));
        (consumer.consumer.clone(), seq, behind)
    };
    ConsumerRows { rows: state.consumers.iter().map(line).collect() }
}

fn batch_rows(batches: &[BatchRow], now: UtcTime, console: &ConsoleState) -> BatchRows {
    let line = |batch: &BatchRow| BatchLine {
        id: batch.batch_id,
        at: words::stamp(batch.committed_at, now, console.calendar.zone()),
        adapter: batch.adapter.clone(),
        identity: IdentityLine::of(&batch.identity),
    };
    BatchRows { rows: batches.iter().map(line).collect() }
}

fn facts(state: &DatabaseState) -> Vec<(&'static str, String)> {
    vec![
        ("Database", state.database.clone()),
        ("Server", state.server_version.clone()),
        ("Schema", format!("V{:04}", state.schema_version)),
        ("Size", bytes(state.size_bytes)),
        ("Connections", format!("{} of {}", state.connections, state.connections_max)),
        ("Event log, next record", words::thousands(state.log_next_seq)),
        ("This program", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// `312 kB`, `1.4 GB`: decimal units, one decimal below ten.
fn bytes(size: i64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut whole, mut tenth, mut unit) = (size.max(0), 0, 0);
    while whole >= 1_000 && unit + 1 < units.len() {
        (tenth, whole, unit) = (whole % 1_000 / 100, whole / 1_000, unit + 1);
    }
    if whole < 10 && unit > 0 {
        format!("{whole}.{tenth} {}", units[unit])
    } else {
        format!("{whole} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_decimal_units() {
        let said: Vec<String> = [0, 999, 1_400, 312_000, 1_450_000_000].map(bytes).into();
        assert_eq!(said.join(" "), "0 B 999 B 1.4 kB 312 kB 1.4 GB");
    }
}
