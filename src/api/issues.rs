//! `/issues`: what staff work on, and what they do to it.

use alerts::Cause;
use alerts::issue::State as IssueState;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metering::{Severity, UtcTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::issues::{Issues, UserAct};
use store::views::issues::{
    self, AlertRow, Evidence, IssueDetail, IssueFilter, IssueLogRow, IssueRow, IssueSet,
};
use store::views::orders::{self, IssueFacts};

use super::WebState;
use super::body::{fault, read_json};
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At, maybe};

/// Who acts until operators can log in.
const ACTOR: &str = "local operator";

/// An issue in a list, as sent.
#[derive(Serialize)]
pub(super) struct IssueLine {
    number: i64,
    severity: String,
    cause: String,
    family: String,
    state: String,
    subject_kind: &'static str,
    subject: String,
    address: String,
    zone: String,
    commodity: Option<&'static str>,
    condition_start: At,
    detected_at: At,
    updated_at: At,
    cleared_at: Option<At>,
    closed_at: Option<At>,
    acknowledged_at: Option<At>,
    acknowledged_by: Option<String>,
    snoozed_until: Option<At>,
    assignee: Option<String>,
    children: i64,
    evidence: Vec<Fact>,
}

/// One measured fact, as sent. `value` counts thousandths of `unit` unless the unit says otherwise.
#[derive(Serialize)]
struct Fact {
    key: String,
    value: i64,
    unit: String,
    text: String,
}

fn facts(evidence: Vec<Evidence>) -> Vec<Fact> {
    let fact = |e: Evidence| Fact { key: e.key, value: e.value, unit: e.unit, text: e.text };
    evidence.into_iter().map(fact).collect()
}

impl IssueLine {
    pub(super) fn of(row: IssueRow) -> Self {
        Self {
            number: row.number,
            severity: row.severity.to_string(),
            cause: row.cause,
            family: row.family,
            state: row.state,
            subject_kind: row.subject.kind(),
            subject: row.subject_name,
            address: row.address,
            zone: row.zone_code,
            commodity: row.commodity.map(metering::Commodity::word),
            condition_start: At(row.condition_start),
            detected_at: At(row.detected_at),
            updated_at: At(row.updated_at),
            cleared_at: maybe(row.cleared_at),
            closed_at: maybe(row.closed_at),
            acknowledged_at: maybe(row.acknowledged_at),
            acknowledged_by: row.acknowledged_by,
            snoozed_until: maybe(row.snoozed_until),
            assignee: row.assignee,
            children: row.children,
            evidence: facts(row.evidence),
        }
    }
}

fn severity(text: &str) -> Option<Severity> {
    let digit = text.strip_prefix(['P', 'p']).unwrap_or(text);
    digit.parse().ok().and_then(Severity::from_number)
}

pub(super) async fn list(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let set = params.parsed::<IssueSet>(
        "set",
        "open, urgent, unacknowledged, leaks, silent, fixed_pending, snoozed or closed",
    );
    let severity_text = params.text("severity");
    let severity = severity_text.as_deref().and_then(severity);
    if severity_text.is_some() && severity.is_none() {
        params.fault("severity", "write P1, P2, P3 or P4".to_owned());
    }
    let filter = IssueFilter {
        set: set.unwrap_or_default(),
        family: params.text("family"),
        severity,
        commodity: params.parsed("commodity", "electricity, water, gas or heat"),
        zone: params.text("zone"),
        q: params.text("q"),
    };
    let (cursor, limit) = (params.cursor(), params.limit());
    params.finish()?;
    let page = issues::list(&state.db, &filter, cursor.as_ref(), limit, state.now()).await?;
    Ok(Json(wire::list(page, IssueLine::of)))
}

pub(super) async fn counts(
    State(state): State<WebState>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.finish()?;
    let counts = issues::counts(&state.db, state.now()).await?;
    let fields = IssueSet::ALL.map(|set| (set.word().to_owned(), Value::from(counts.of(set))));
    Ok(Json(Value::Object(fields.into_iter().collect())))
}

/// An issue with its reasons and its history, as sent.
#[derive(Serialize)]
struct Issue {
    #[serde(flatten)]
    line: IssueLine,
    cause_detected: String,
    identified_cause: Option<String>,
    identified_at: Option<At>,
    identified_by: Option<String>,
    ranked_causes: Vec<Ranked>,
    rule: String,
    rule_no: Option<u8>,
    channel: Option<i16>,
    date_fixed: Option<At>,
    suppressed: bool,
    estimation_started_at: Option<At>,
    estimation_ended_at: Option<At>,
    /// Milli-units that are estimated because of it.
    volume_affected: i64,
    /// mL that leaked because of it, by the least flow; an estimate.
    leak_volume_ml: i64,
    fix_action: Option<String>,
    /// When its condition was over for as long as its family asks, and by which rule.
    verified_at: Option<At>,
    verify_rule: Option<String>,
    /// When somebody should have acknowledged it.
    sla_due: Option<At>,
    severities: Vec<SeveritySince>,
    /// Rules that opened it.
    rule_version: String,
    params_hash: String,
    billing_hold: Option<Hold>,
    merged_into: Option<i64>,
    merged_from: Vec<i64>,
    parent: Option<i64>,
    folded: Vec<IssueLine>,
    alerts: Vec<Alert>,
    log: Vec<LogEntry>,
}

/// The range that is kept off bills, as sent.
#[derive(Serialize)]
struct Hold {
    from: At,
    /// Absent while it goes on.
    to: Option<At>,
    /// Intervals in it that are suspect now.
    suspect_intervals: i64,
    released_at: Option<At>,
    released_by: Option<String>,
    reason: String,
}

impl Hold {
    fn of(facts: &IssueFacts) -> Option<Self> {
        Some(Self {
            from: At(facts.billing_hold_from?),
            to: maybe(facts.billing_hold_to),
            suspect_intervals: facts.billing_hold_suspect,
            released_at: maybe(facts.billing_hold_released_at),
            released_by: facts.billing_hold_released_by.clone(),
            reason: facts.billing_hold_released_note.clone(),
        })
    }
}

/// Which severity since when, as sent.
#[derive(Serialize)]
struct SeveritySince {
    at: At,
    severity: String,
}

impl SeveritySince {
    fn of((at, severity): &(UtcTime, Severity)) -> Self {
        Self { at: At(*at), severity: severity.to_string() }
    }
}

#[derive(Serialize)]
struct Ranked {
    cause: String,
    log_odds_x100: i16,
}

/// What a rule said, as sent (names as in Alertmanager's webhook where it has them).
#[derive(Serialize)]
struct Alert {
    fingerprint: String,
    rule: String,
    rule_no: Option<u8>,
    cause: String,
    severity: String,
    starts_at: At,
    raised_at: At,
    ends_at: Option<At>,
    retracted_at: Option<At>,
    evidence: Vec<Fact>,
}

#[derive(Serialize)]
struct LogEntry {
    seq: i32,
    kind: String,
    from: Option<String>,
    to: Option<String>,
    at: At,
    actor_kind: String,
    actor: String,
    reason: String,
}

impl Alert {
    fn of(row: AlertRow) -> Self {
        Self {
            fingerprint: row.alert_id,
            rule: row.rule,
            rule_no: row.rule_no.map(metering::RuleNo::get),
            cause: row.cause,
            severity: row.severity.to_string(),
            starts_at: At(row.condition_start),
            raised_at: At(row.raised_at),
            ends_at: maybe(row.cleared_at),
            retracted_at: maybe(row.retracted_at),
            evidence: facts(row.evidence),
        }
    }
}

impl LogEntry {
    fn of(row: IssueLogRow) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            from: row.from_state,
            to: row.to_state,
            at: At(row.at),
            actor_kind: row.actor_kind,
            actor: row.actor,
            reason: row.reason,
        }
    }
}

impl Issue {
    fn of(issue: IssueDetail, facts: IssueFacts) -> Self {
        let ranked = issue
            .ranked
            .into_iter()
            .map(|one| Ranked { cause: one.cause, log_odds_x100: one.log_odds_x100 });
        Self {
            line: IssueLine::of(issue.row),
            cause_detected: issue.cause_detected,
            identified_cause: issue.identified_cause,
            identified_at: maybe(issue.identified_at),
            identified_by: issue.identified_by,
            ranked_causes: ranked.collect(),
            rule: issue.rule,
            rule_no: issue.rule_no.map(metering::RuleNo::get),
            channel: issue.channel.map(metering::ChannelNo::get),
            date_fixed: maybe(issue.date_fixed),
            suppressed: issue.suppressed,
            estimation_started_at: maybe(facts.estimation_started_at),
            estimation_ended_at: maybe(facts.estimation_ended_at),
            volume_affected: facts.volume_affected,
            leak_volume_ml: facts.leak_volume,
            verified_at: maybe(facts.verified_at),
            sla_due: maybe(facts.answer_by),
            severities: facts.severities.iter().map(SeveritySince::of).collect(),
            billing_hold: Hold::of(&facts),
            merged_into: facts.merged_into,
            merged_from: facts.merged_from,
            fix_action: facts.fix_action,
            verify_rule: facts.verify_rule,
            rule_version: facts.rule_version,
            params_hash: facts.params_hash,
            parent: issue.parent.map(|parent| parent.number),
            folded: issue.children.into_iter().map(IssueLine::of).collect(),
            alerts: issue.alerts.into_iter().map(Alert::of).collect(),
            log: issue.log.into_iter().map(LogEntry::of).collect(),
        }
    }
}

/// What a person saw of an issue when deciding: state, acknowledgement, snooze. New evidence does
/// not change it, so that a rule at work never blocks staff.
fn etag(row: &IssueRow) -> String {
    let micros = |at: Option<UtcTime>| at.map_or(0, UtcTime::micros);
    let (seen, snoozed) = (micros(row.acknowledged_at), micros(row.snoozed_until));
    format!("\"{}-{}-{seen:x}-{snoozed:x}\"", row.number, row.state)
}

fn with_etag(row: &IssueRow, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(tag) = HeaderValue::from_str(&etag(row)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn no_issue(number: i64) -> Problem {
    Problem::not_found(format!("there is no issue {number}"))
}

pub(super) async fn one(
    State(state): State<WebState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let number = read_number(&number)?;
    let issue = issues::by_number(&state.db, number).await?.ok_or_else(|| no_issue(number))?;
    let row = issue.row.clone();
    let facts = orders::facts(&state.db, number, state.now()).await?;
    Ok(with_etag(&row, Json(Issue::of(issue, facts))))
}

fn read_number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found("issues are named by numbers"))
}

/// Body of an act; each act uses its own fields.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ActBody {
    /// Snooze: end, RFC 3339.
    until: Option<String>,
    /// Comment: text.
    text: Option<String>,
    /// Close: cause that was found.
    cause: Option<String>,
    /// Close, false positive, assign, merge: what was done, or why.
    note: String,
    /// Assign: who works on it; empty takes it back.
    assignee: Option<String>,
    /// Merge: number of the issue that stays.
    into: Option<i64>,
    /// Release of the billing hold: why.
    reason: String,
    /// Release of the billing hold: although intervals are suspect.
    force: bool,
}

pub(super) async fn act(
    State(state): State<WebState>,
    Path((number, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let number = read_number(&number)?;
    let asked = read_act(&act, &headers, &body)?;
    let row = issues::row(&state.db, number).await?.ok_or_else(|| no_issue(number))?;
    // A comment adds to the history whatever the state is; everything else is a decision.
    let expected = match asked {
        UserAct::Comment { .. } => None,
        _ => check_seen(&headers, &row)?,
    };
    let issues = Issues::new(state.db.clone());
    issues.act(number, expected, &asked, (ACTOR, state.now())).await?;
    let row = issues::row(&state.db, number).await?.ok_or_else(|| no_issue(number))?;
    Ok(with_etag(&row, (StatusCode::OK, Json(IssueLine::of(row.clone())))))
}

/// The state in which the act is allowed: the one that the caller saw.
fn check_seen(headers: &HeaderMap, row: &IssueRow) -> Result<Option<IssueState>, Problem> {
    let seen = headers.get(header::IF_MATCH).ok_or_else(Problem::precondition_required)?;
    let seen = seen.to_str().unwrap_or_default();
    if seen.trim() == "*" {
        return Ok(None);
    }
    let current = etag(row);
    if !seen.split(',').any(|tag| tag.trim() == current) {
        let by = row.acknowledged_by.as_deref().map(|by| format!(", acknowledged by {by}"));
        let by = by.unwrap_or_default();
        let state = &row.state;
        return Err(Problem::stale(format!("the issue is {state} by now{by}: look at it again")));
    }
    Ok(row.state.parse().ok())
}

fn read_act(act: &str, headers: &HeaderMap, body: &[u8]) -> Result<UserAct, Problem> {
    let body: ActBody = read_json(headers, body)?;
    match act {
        "acknowledge" => Ok(UserAct::Acknowledge),
        "snooze" => {
            let until = body.until.as_deref().and_then(UtcTime::parse_rfc3339);
            let what = "write the end as RFC 3339, for example 2026-06-01T14:00:00+02:00";
            Ok(UserAct::Snooze { until: until.ok_or_else(|| fault("/until", what))? })
        }
        "comment" => {
            let text = body.text.ok_or_else(|| fault("/text", "write the comment"))?;
            Ok(UserAct::Comment { text })
        }
        "close" => {
            let cause: Option<Cause> = body.cause.as_deref().and_then(|cause| cause.parse().ok());
            let what = "write the cause that was found, for example LEAK_CUSTOMER_SIDE";
            let cause = cause.ok_or_else(|| fault("/cause", what))?;
            Ok(UserAct::Close { cause, note: body.note })
        }
        "false-positive" => Ok(UserAct::FalsePositive { note: body.note }),
        "assign" => {
            let what = "write who works on it, or \"\" for nobody";
            let to = body.assignee.ok_or_else(|| fault("/assignee", what))?;
            Ok(UserAct::Assign { to, note: body.note })
        }
        "merge" => {
            let what = "write the number of the issue that stays";
            let into = body.into.ok_or_else(|| fault("/into", what))?;
            Ok(UserAct::Merge { into, note: body.note })
        }
        "release-hold" => Ok(UserAct::ReleaseHold { reason: body.reason, force: body.force }),
        _ => {
            let acts = "acknowledge, snooze, comment, close, false-positive, assign, merge, \
                        release-hold";
            Err(Problem::not_found(format!("there is no such act; acts are: {acts}")))
        }
    }
}
