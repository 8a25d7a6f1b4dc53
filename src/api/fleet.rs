//! `/fleet`: is data coming in, and from where?

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use store::views::fleet::{self, FleetSummary, Identity, ZoneRow};

use super::WebState;
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At};

/// State of the fleet, as sent.
#[derive(Serialize)]
pub(super) struct Fleet {
    at: At,
    utility: String,
    time_zone: String,
    meters: i64,
    meters_reporting: i64,
    intervals_due_today: i64,
    intervals_missing_today: i64,
    behind_s: Option<i64>,
    issues_open: IssuesOpen,
    waiting: Waiting,
    /// Of the local day.
    readings_today: Readings,
}

#[derive(Serialize)]
struct IssuesOpen {
    p1: i64,
    p2: i64,
    p3: i64,
    p4: i64,
}

#[derive(Serialize)]
struct Waiting {
    commissioning: i64,
    dead_letters: i64,
    unacknowledged_issues: i64,
}

/// `offered = committed + duplicate + conflicting + dead_lettered`.
#[derive(Serialize)]
pub(super) struct Readings {
    messages: i64,
    offered: i64,
    committed: i64,
    duplicate: i64,
    conflicting: i64,
    dead_lettered: i64,
    identity_ok: bool,
    derived_intervals: i64,
    events: i64,
}

impl Readings {
    pub(super) const fn of(identity: &Identity) -> Self {
        Self {
            messages: identity.messages,
            offered: identity.offered,
            committed: identity.committed,
            duplicate: identity.duplicate,
            conflicting: identity.conflicting,
            dead_lettered: identity.dead,
            identity_ok: identity.balanced(),
            derived_intervals: identity.derived,
            events: identity.events,
        }
    }
}

impl Fleet {
    fn of(summary: &FleetSummary, state: &WebState) -> Self {
        let issues = summary.issues;
        Self {
            at: At(summary.at),
            utility: state.settings.utility.clone(),
            time_zone: state.settings.zone.clone(),
            meters: summary.meters,
            meters_reporting: summary.reporting,
            intervals_due_today: summary.due_today,
            intervals_missing_today: summary.missing_today,
            behind_s: summary.behind_s,
            issues_open: IssuesOpen { p1: issues.p1, p2: issues.p2, p3: issues.p3, p4: issues.p4 },
            waiting: Waiting {
                commissioning: summary.waiting.commissioning,
                dead_letters: summary.waiting.dead_letters,
                unacknowledged_issues: summary.waiting.unacknowledged,
            },
            readings_today: Readings::of(&summary.today),
        }
    }
}

pub(super) async fn summary(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<Fleet>, Problem> {
    params.finish()?;
    let summary = state.fleet.summary(&state.db).await?;
    Ok(Json(Fleet::of(&summary, &state)))
}

/// A zone, as sent.
#[derive(Serialize)]
pub(super) struct Zone {
    code: String,
    name: String,
    meters: i64,
    meters_reporting: i64,
    issues_open: i64,
    worst_severity: Option<String>,
    /// Use is compared up to here, where nine of ten meters have delivered.
    usage_until: Option<At>,
    usage: Vec<Value>,
}

impl Zone {
    fn of(row: &ZoneRow) -> Self {
        let usage = row.usage.iter().map(|usage| {
            let mut fields = Map::new();
            fields.insert("reading_type".into(), usage.reading_type.to_string().into());
            wire::put(&mut fields, usage.reading_type, "_today", usage.today);
            if let Some(usual) = usage.usual {
                wire::put(&mut fields, usage.reading_type, "_usual", usual);
            }
            fields.insert("weeks_compared".into(), usage.weeks.into());
            Value::Object(fields)
        });
        Self {
            code: row.code.clone(),
            name: row.name.clone(),
            meters: row.meters,
            meters_reporting: row.reporting,
            issues_open: row.issues,
            worst_severity: row.worst.map(|severity| severity.to_string()),
            usage_until: wire::maybe(row.usage_until),
            usage: usage.collect(),
        }
    }
}

pub(super) async fn zones(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<Vec<Zone>>, Problem> {
    params.finish()?;
    let zones = state.fleet.zones(&state.db).await?;
    Ok(Json(zones.iter().map(Zone::of).collect()))
}

/// Readings of one step, as sent.
#[derive(Serialize)]
pub(super) struct Rate {
    start: At,
    end: At,
    readings: i64,
    messages: i64,
}

const DAY_S: i64 = 86_400;

pub(super) async fn rate(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<Vec<Rate>>, Problem> {
    let calendar = params.calendar(state.fleet.calendar());
    let (from, to) = params.range(&calendar, state.now(), DAY_S);
    let step_s = params.parsed::<u32>("step_s", "a number of seconds").unwrap_or(60);
    params.finish()?;
    let buckets = fleet::readings_per_minute(&state.db, from, to, i64::from(step_s)).await?;
    let rate = buckets.iter().map(|bucket| Rate {
        start: At(bucket.start),
        end: At(bucket.end),
        readings: bucket.offered,
        messages: bucket.messages,
    });
    Ok(Json(rate.collect()))
}
