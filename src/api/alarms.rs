//! `/alarms`: how busy they are and what is silenced; `/issues/{n}/work-orders`: visits.

use alerts::Cause;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use metering::{ChannelNo, RuleNo, Subject, UtcTime, WorkOrderKind, WorkOrderStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::views::alarms::{self as views, ShelfRow};
use store::views::orders::{self, OrderRow};
use store::views::{issues, meters};
use store::work_orders::{FIX_ACTIONS, FieldRead, Findings, NewWorkOrder, Told};

use super::WebState;
use super::body::{fault, read_json};
use super::params::{Params, shortened};
use super::problem::Problem;
use super::wire::{At, List, maybe};

/// Who acts until operators can log in.
const ACTOR: &str = "local operator";
const DAY_S: i64 = 86_400;

/// `GET /alarms/kpis`: ten-minute figures of a stretch, and what is open.
pub(super) async fn kpis(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<Value>, Problem> {
    let calendar = state.fleet.calendar().clone();
    let (from, to) = params.range(&calendar, state.now(), DAY_S);
    params.finish()?;
    let rows = views::kpis(&state.db, (from, to)).await?;
    let open = views::open_by_severity(&state.db, state.now()).await?;
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "ends_at": At(row.at), "raised": row.raised, "announced": row.annunciated,
                "flood": row.flood, "chattering": row.chattering, "stale": row.stale,
                "busiest_permille": row.bad_actor_permille })
        })
        .collect();
    let [p1, p2, p3, p4] = open.open;
    Ok(Json(json!({ "items": items, "next_cursor": null,
        "open": { "P1": p1, "P2": p2, "P3": p3, "P4": p4 }, "stale": open.stale })))
}

/// Something silenced, as sent.
#[derive(Serialize)]
struct Shelf {
    id: i64,
    rule_no: Option<u8>,
    subject_kind: Option<&'static str>,
    subject: String,
    from: At,
    until: At,
    actor: String,
    reason: String,
    kind: String,
    ended_at: Option<At>,
    ended_by: Option<String>,
}

impl Shelf {
    fn of(row: ShelfRow) -> Self {
        Self {
            id: row.id,
            rule_no: row.rule_no.map(RuleNo::get),
            subject_kind: row.subject.map(Subject::kind),
            subject: row.subject_name,
            from: At(row.from),
            until: At(row.until),
            actor: row.actor,
            reason: row.reason,
            kind: row.kind,
            ended_at: maybe(row.ended_at),
            ended_by: row.ended_by,
        }
    }
}

/// `GET /alarms/shelves`: what is silenced; with `past=1` what was.
pub(super) async fn shelves(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let (past, limit) = (params.flag("past"), params.limit());
    params.finish()?;
    let rows = views::shelves(&state.db, past, limit, state.now()).await?;
    Ok(Json(List { items: rows.into_iter().map(Shelf::of).collect(), next_cursor: None }))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ShelveBody {
    rule_no: Option<u8>,
    meter: Option<String>,
    until: String,
    reason: String,
    out_of_service: bool,
}

/// `POST /alarms/shelves`: silences a rule, a meter or both until an end.
pub(super) async fn shelve(
    State(state): State<WebState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let body: ShelveBody = read_json(&headers, &body)?;
    let now = state.now();
    let until = time("/until", &body.until)?;
    if body.reason.trim().is_empty() {
        return Err(fault("/reason", "say why"));
    }
    let rule = |no| RuleNo::new(no).ok_or_else(|| fault("/rule_no", "there is no such rule"));
    let subject = match &body.meter {
        None => None,
        Some(number) => {
            let found = meters::by_number(&state.db, number, now).await?;
            let meter = found.ok_or_else(|| fault("/meter", "there is no meter of that number"))?;
            Some(Subject::Meter(meter.meter))
        }
    };
    let order = alerts::manage::Shelve {
        rule: body.rule_no.map(rule).transpose()?,
        subject,
        from: now,
        until,
        who: ACTOR.to_owned(),
        why: body.reason.trim().to_owned(),
        out_of_service: body.out_of_service,
    };
    let id = store::alarms::shelve(&state.db, &order).await.map_err(Problem::of_act)?;
    Ok(Json(json!({ "id": id })))
}

/// `POST /alarms/shelves/{id}/end`.
pub(super) async fn unshelve(
    State(state): State<WebState>,
    Path(id): Path<i64>,
) -> Result<Json<Value>, Problem> {
    let ended = store::alarms::unshelve(&state.db, id, ACTOR, state.now()).await?;
    if ended {
        return Ok(Json(json!({ "id": id, "ended": true })));
    }
    Err(Problem::not_found(format!("nothing is silenced under {id}")))
}

fn time(pointer: &str, text: &str) -> Result<UtcTime, Problem> {
    UtcTime::parse_rfc3339(text)
        .ok_or_else(|| fault(pointer, "write RFC 3339, for example 2026-06-01T12:00:00Z"))
}

/// A word that is not one of a list, which is told.
fn none_of<'a>((pointer, word): (&str, &str), known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.collect();
    fault(pointer, &format!("`{}` is none of: {}", shortened(word), known.join(", ")))
}

/// A visit to the field, as sent.
#[derive(Serialize)]
struct Order {
    number: i64,
    kind: String,
    status: String,
    severity: String,
    action: String,
    at: At,
    created_at: At,
    created_by: String,
    completed_at: Option<At>,
    assignee: Option<String>,
    findings_cause: Option<String>,
    findings_note: String,
    fix_action: Option<String>,
    ext_system: String,
    ext_id: String,
}

impl Order {
    fn of(row: OrderRow) -> Self {
        Self {
            number: row.number,
            kind: row.kind,
            status: row.status,
            severity: row.severity.to_string(),
            action: row.action,
            at: At(row.at),
            created_at: At(row.created_at),
            created_by: row.created_by,
            completed_at: maybe(row.completed_at),
            assignee: row.assignee,
            findings_cause: row.findings_cause,
            findings_note: row.findings_note,
            fix_action: row.fix_action,
            ext_system: row.ext_system,
            ext_id: row.ext_id,
        }
    }
}

/// `GET /issues/{number}/work-orders`.
pub(super) async fn orders(
    State(state): State<WebState>,
    Path(number): Path<i64>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let rows = orders::of_issue(&state.db, number).await?;
    Ok(Json(List { items: rows.into_iter().map(Order::of).collect(), next_cursor: None }))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OrderBody {
    kind: String,
    at: Option<String>,
    action: String,
    parts: String,
    safety: String,
    assignee: Option<String>,
    ext_system: String,
    ext_id: String,
}

/// `POST /issues/{number}/work-orders`: the issue becomes WORK_ORDERED. The same `ext_id` of a
/// system again gives the order that it made.
pub(super) async fn order(
    State(state): State<WebState>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let body: OrderBody = read_json(&headers, &body)?;
    let now = state.now();
    let row = issues::row(&state.db, number).await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("there is no issue {number}")))?;
    let kinds = WorkOrderKind::ALL.iter().map(|kind| kind.word());
    let kind = body.kind.parse().map_err(|_| none_of(("/kind", &body.kind), kinds))?;
    let order = NewWorkOrder {
        subject: row.subject,
        kind,
        severity: row.severity,
        at: body.at.as_deref().map(|at| time("/at", at)).transpose()?.unwrap_or(now),
        issues: vec![number],
        action: body.action,
        parts: body.parts,
        safety: body.safety,
        assignee: body.assignee,
        ext_system: body.ext_system,
        ext_id: body.ext_id,
    };
    let order = store::work_orders::create(&state.db, &order, ACTOR, now).await;
    let order = order.map_err(Problem::of_act)?;
    Ok(Json(json!({ "number": order })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ToldBody {
    status: String,
    at: Option<String>,
    note: String,
    cause: Option<String>,
    fix_action: Option<String>,
    new_serial: Option<String>,
    final_read: Option<ReadBody>,
    initial_read: Option<ReadBody>,
}

/// A counter as read by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadBody {
    channel: i16,
    /// Default: the time of the status.
    at: Option<String>,
    /// In the counter's own steps.
    raw: i64,
}

impl ReadBody {
    fn read(&self, pointer: &str, default: UtcTime) -> Result<FieldRead, Problem> {
        let at = self.at.as_deref().map(|at| time(&format!("{pointer}/at"), at)).transpose()?;
        if self.raw < 0 {
            return Err(fault(&format!("{pointer}/raw"), "a counter never stands below zero"));
        }
        let channel = ChannelNo::new(self.channel);
        Ok(FieldRead { channel, read_at: at.unwrap_or(default), raw: self.raw })
    }
}

/// `POST /work-orders/{number}/status`: what the field tells; once by (number, status, time).
pub(super) async fn tell(
    State(state): State<WebState>,
    Path(number): Path<i64>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let body: ToldBody = read_json(&headers, &body)?;
    let now = state.now();
    let known = WorkOrderStatus::ALL.iter().map(|status| status.word());
    let status = body.status.parse().map_err(|_| none_of(("/status", &body.status), known))?;
    let found = || Cause::ALL.iter().filter(|cause| cause.is_identifiable());
    let causes = || found().map(|cause| cause.word());
    let cause = |word: &String| {
        let cause = word.parse::<Cause>().ok().filter(|cause| cause.is_identifiable());
        cause.ok_or_else(|| none_of(("/cause", word), causes()))
    };
    if let Some(action) = body.fix_action.as_deref().filter(|word| !FIX_ACTIONS.contains(word)) {
        return Err(none_of(("/fix_action", action), FIX_ACTIONS.into_iter()));
    }
    let at = body.at.as_deref().map(|at| time("/at", at)).transpose()?.unwrap_or(now);
    let read = |pointer, read: &Option<ReadBody>| {
        read.as_ref().map(|read| read.read(pointer, at)).transpose()
    };
    let findings = Findings {
        cause: body.cause.as_ref().map(cause).transpose()?,
        fix_action: body.fix_action,
        new_serial: body.new_serial,
        final_read: read("/final_read", &body.final_read)?,
        initial_read: read("/initial_read", &body.initial_read)?,
    };
    let told = Told {
        status,
        at,
        note: body.note,
        findings: (status == WorkOrderStatus::Completed).then_some(findings),
    };
    let taken = store::work_orders::tell(&state.db, number, &told, ACTOR, now).await;
    let taken = taken.map_err(Problem::of_act)?;
    Ok(Json(json!({
        "number": number,
        "new": taken.is_new,
        "issues_moved": taken.moved,
        "reads_stored": taken.reads,
    })))
}
