//! `/collectors`: do they hear their meters?

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use store::views::collectors::{self, CollectorDetail, CollectorRow};
use store::views::{hearing, meters};

use super::WebState;
use super::params::Params;
use super::problem::Problem;
use super::wire::{At, List, maybe};

/// A collector, as sent.
#[derive(Serialize)]
struct Line {
    code: String,
    name: String,
    zone: String,
    heartbeat_every_s: Option<i32>,
    last_heartbeat: Option<At>,
    last_heard: Option<At>,
    meters: i64,
    meters_reporting: i64,
    meters_heard_today: i64,
    installed_at: At,
    issue: Option<i64>,
}

impl Line {
    fn of(row: CollectorRow) -> Self {
        Self {
            code: row.code,
            name: row.name,
            zone: row.zone_code,
            heartbeat_every_s: (row.heartbeat_s > 0).then_some(row.heartbeat_s),
            last_heartbeat: maybe(row.last_heartbeat),
            last_heard: maybe(row.last_heard),
            meters: row.meters,
            meters_reporting: row.meters_reporting,
            meters_heard_today: row.heard_today,
            installed_at: At(row.installed_at),
            issue: row.issue.map(|issue| issue.number),
        }
    }
}

pub(super) async fn list(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let rows = collectors::list(&state.db, state.now()).await?;
    let items: Vec<Line> = rows.into_iter().map(Line::of).collect();
    Ok(Json(List { items, next_cursor: None }))
}

/// A collector with what it hears, as sent.
#[derive(Serialize)]
struct Collector {
    #[serde(flatten)]
    line: Line,
    heard: Vec<Heard>,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Heard {
    meter: String,
    address: String,
    primary: bool,
    last_heard: Option<At>,
    telegrams_7d: i64,
    last_heard_here: Option<At>,
    rssi_dbm: Option<i16>,
}

#[derive(Serialize)]
struct Day {
    /// UTC day.
    day: String,
    meters: i64,
    telegrams: i64,
}

impl Collector {
    fn of(detail: CollectorDetail) -> Self {
        let heard = detail.meters.into_iter().map(|meter| Heard {
            meter: meter.number,
            address: meter.address,
            primary: meter.primary,
            last_heard: maybe(meter.last_heard),
            telegrams_7d: meter.heard_7d,
            last_heard_here: maybe(meter.last_here),
            rssi_dbm: meter.rssi_dbm,
        });
        let days = detail.days.into_iter().map(|day| Day {
            day: day.day.to_string(),
            meters: day.meters,
            telegrams: day.telegrams,
        });
        Self { line: Line::of(detail.row), heard: heard.collect(), days: days.collect() }
    }
}

pub(super) async fn one(
    State(state): State<WebState>,
    Path(code): Path<String>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let found = collectors::by_code(&state.db, &code, state.now()).await?;
    let detail =
        found.ok_or_else(|| Problem::not_found(format!("there is no collector {code}")))?;
    Ok(Json(Collector::of(detail)))
}

/// A collector that hears a meter, as sent.
#[derive(Serialize)]
struct Hearer {
    collector: String,
    name: String,
    primary: bool,
    telegrams_7d: i64,
    days_7d: i64,
    last_heard: Option<At>,
    rssi_dbm: Option<i16>,
}

/// `/meters/{number}/hearing`: who hears it?
pub(super) async fn of_meter(
    State(state): State<WebState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let now = state.now();
    let found = meters::by_number(&state.db, &number, now).await?;
    let meter = found.ok_or_else(|| Problem::not_found(format!("there is no meter {number}")))?;
    let rows = hearing::of_meter(&state.db, meter.meter, now).await?;
    let items: Vec<Hearer> = rows
        .into_iter()
        .map(|row| Hearer {
            collector: row.code,
            name: row.name,
            primary: row.primary,
            telegrams_7d: row.heard_7d,
            days_7d: row.days_7d,
            last_heard: maybe(row.last_heard),
            rssi_dbm: row.rssi_dbm,
        })
        .collect();
    Ok(Json(List { items, next_cursor: None }))
}

/// A reading route, as sent.
#[derive(Serialize)]
struct Route {
    code: String,
    name: String,
    meters: i64,
    meters_reporting: i64,
    meters_unread_35d: i64,
    collectors_7d: i64,
    oldest_heard: Option<At>,
    newest_heard: Option<At>,
}

/// `/routes`: how do reading routes stand?
pub(super) async fn routes(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let rows = hearing::routes(&state.db, state.now()).await?;
    let items: Vec<Route> = rows
        .into_iter()
        .map(|row| Route {
            code: row.code,
            name: row.name,
            meters: row.meters,
            meters_reporting: row.reporting,
            meters_unread_35d: row.unread_35d,
            collectors_7d: row.collectors_7d,
            oldest_heard: maybe(row.oldest),
            newest_heard: maybe(row.newest),
        })
        .collect();
    Ok(Json(List { items, next_cursor: None }))
}
