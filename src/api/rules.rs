//! `/rules`: the catalogue with every number, its versions, and how busy each rule was.

use std::collections::BTreeMap;

use alerts::{Mode, Params as RuleParams};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use store::rules::BundleRow;
use store::views::rules as views;

use super::WebState;
use super::params::Params;
use super::problem::Problem;
use super::wire::{At, List, maybe};
use crate::services::rules as service;

const LATELY_S: i64 = 30 * 86_400;

/// A rule, as sent.
#[derive(Serialize)]
struct Rule {
    no: u8,
    id: &'static str,
    title: &'static str,
    utilities: &'static str,
    mode: &'static str,
    mandatory: bool,
    billing: &'static str,
    severities: Vec<String>,
    causes: Vec<&'static str>,
    parameters: Vec<Value>,
    raised_30d: i64,
    active: i64,
    last_raised: Option<At>,
}

/// `GET /rules`: all rules of the catalogue with the numbers that hold.
pub(super) async fn list(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.finish()?;
    let (version, bundle) = service::active(&state.db).await?;
    let since = state.now().plus_seconds(-LATELY_S);
    let busy: BTreeMap<u8, views::RuleActivity> = views::activity(&state.db, since)
        .await?
        .into_iter()
        .map(|row| (row.rule_no.get(), row))
        .collect();
    let held = bundle.params(&RuleParams::default());
    let mut numbers = service::checks();
    numbers.extend(alerts::PARAMS.iter().copied());
    let rule = |info: &alerts::RuleInfo| {
        let settings = held.settings(info.id.no);
        let row = busy.get(&info.id.no.get());
        let own = numbers.iter().filter(|param| param.rule == info.id.name);
        Rule {
            no: info.id.no.get(),
            id: info.id.name,
            title: info.title,
            utilities: info.utilities,
            mode: match (settings.enabled, settings.mode) {
                (false, _) => "off",
                (true, Mode::Shadow) => "shadow",
                (true, Mode::Live) => "live",
            },
            mandatory: info.is_mandatory(),
            billing: info.billing.word(),
            severities: info.severities.iter().map(ToString::to_string).collect(),
            causes: info.causes.iter().map(|cause| cause.word()).collect(),
            parameters: own
                .map(|param| {
                    json!({ "key": param.key, "unit": param.unit, "doc": param.doc,
                        "value": service::value_of(&bundle, param), "default": param.default,
                        "min": param.min, "max": param.max, "mark": param.mark.word() })
                })
                .collect(),
            raised_30d: row.map_or(0, |row| row.raised),
            active: row.map_or(0, |row| row.active),
            last_raised: maybe(row.and_then(|row| row.last_raised)),
        }
    };
    let items: Vec<Rule> = alerts::CATALOGUE.iter().map(rule).collect();
    Ok(Json(json!({ "version": version, "items": items, "next_cursor": null })))
}

/// A version of the rules, as sent.
#[derive(Serialize)]
struct Version {
    number: i64,
    version: String,
    hash: String,
    act: &'static str,
    actor: String,
    /// The second person, where rules changed that hold bills; else empty.
    approved_by: String,
    reason: String,
    applied_at: At,
    log_seq: i64,
    text: String,
}

/// `GET /rules/versions`: every version that was made active or shadow, newest first.
pub(super) async fn versions(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let limit = params.limit();
    params.finish()?;
    let rows = store::rules::versions(&state.db, limit).await?;
    let version = |row: BundleRow| Version {
        number: row.bundle_no,
        version: row.version,
        hash: row.hash,
        act: row.act.word(),
        actor: row.actor,
        approved_by: row.approved_by,
        reason: row.reason,
        applied_at: At(row.applied_at),
        log_seq: row.log_seq,
        text: row.text,
    };
    Ok(Json(List { items: rows.into_iter().map(version).collect(), next_cursor: None }))
}
