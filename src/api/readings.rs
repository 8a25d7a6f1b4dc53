//! `/review` and `/estimates`: suspect days, what was estimated, and what people decide of both.

use std::collections::BTreeSet;

use ::vee::estimate::{Estimate, Method, MethodTrial};
use ::vee::estimation::Trigger;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use metering::{ChannelNo, ReadingType, RuleMask, RuleNo, UtcTime};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::estimation::{Kept, SlotRange};
use store::views::estimates::{self, EstimateDetail, EstimateFilter, EstimateRow};
use store::views::meters;
use store::views::page::Cursor;
use store::views::review::{ReviewFilter, ReviewRow};

use super::WebState;
use super::body::{fault, read_json};
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At, maybe};
use crate::services::vee::{self, Person, VeeError};

/// Who acts until operators can log in.
const ACTOR: &str = "local operator";

impl From<VeeError> for Problem {
    fn from(error: VeeError) -> Self {
        match error {
            VeeError::Store(error) => Self::of_act(error),
            VeeError::NoChannel(..) => Self::not_found(error.to_string()),
            VeeError::Estimate(source) => {
                Self::unprocessable(format!("the intervals cannot be estimated: {source}"))
            }
            error => Self::unprocessable(error.to_string()),
        }
    }
}

fn rules(mask: RuleMask) -> Vec<u8> {
    mask.rules().map(RuleNo::get).collect()
}

/// A quantity under its own field name.
fn quantity(reading_type: ReadingType, suffix: &str, milli: i64, into: &mut Map<String, Value>) {
    wire::put(into, reading_type, suffix, milli);
}

/// A suspect day, as sent.
#[derive(Serialize)]
struct Day {
    meter: String,
    channel: i16,
    commodity: &'static str,
    address: String,
    zone: String,
    starts_at: At,
    ends_at: At,
    slots: i32,
    suspect: i64,
    failed_rules: Vec<u8>,
    failed_rules_of_day: Vec<u8>,
    issue: Option<i64>,
    /// `..._suspect` and `..._usable` of the day.
    #[serde(flatten)]
    sums: Map<String, Value>,
}

impl Day {
    fn of(row: ReviewRow) -> Self {
        let mut sums = Map::new();
        quantity(row.reading_type, "_suspect", row.suspect_sum, &mut sums);
        quantity(row.reading_type, "_usable", row.total, &mut sums);
        Self {
            meter: row.number,
            channel: row.channel.get(),
            commodity: row.commodity.word(),
            address: row.address,
            zone: row.time_zone,
            starts_at: At(row.starts_at),
            ends_at: At(row.ends_at),
            slots: row.slots,
            suspect: row.suspect,
            failed_rules: rules(row.failed),
            failed_rules_of_day: rules(row.failed_day),
            issue: row.issue_number,
            sums,
        }
    }
}

/// `GET /review`: days that need a person, those with the most doubtful use first.
pub(super) async fn queue(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let now = state.now();
    let rule = params.parsed::<u8>("rule", "the number of a rule, 1 to 64");
    let days = params.parsed::<i64>("older_than_d", "a number of days");
    let filter = ReviewFilter {
        rule: rule.and_then(RuleNo::new),
        commodity: params.parsed("commodity", "electricity, water, gas or heat"),
        older_than: days.map(|days| now.plus_seconds(-days.clamp(0, 4_000) * 86_400)),
        q: params.text("q"),
    };
    let (cursor, limit) = (params.cursor(), params.limit());
    let skip = cursor.map_or(Ok(0), |cursor| cursor.skip());
    if let Err(error) = &skip {
        params.fault("cursor", error.to_string());
    }
    params.finish()?;
    let skip = skip.unwrap_or_default();
    let rows = vee::queue(&state.db, &filter, (limit, skip), now).await?;
    let more = u32::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next_cursor = more.then(|| Cursor::after(skip.saturating_add(limit)).to_string());
    let items: Vec<Day> = rows.into_iter().map(Day::of).collect();
    Ok(Json(wire::List { items, next_cursor }))
}

/// The intervals that an act is about: those that end in `(from, to]`, all or only `ends`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ReviewBody {
    meter: String,
    channel: i16,
    from: String,
    to: String,
    ends: Vec<String>,
    reason: String,
    /// Estimate, preview: number of the method; absent: the ladder chooses.
    method: Option<u8>,
    /// Edit: interval END to value in thousandths of the base unit.
    values: Vec<(String, i64)>,
    /// `edit`: also values of another size than the channel ever measured.
    force: bool,
}

impl ReviewBody {
    fn time(pointer: &str, text: &str) -> Result<UtcTime, Problem> {
        UtcTime::parse_rfc3339(text)
            .ok_or_else(|| fault(pointer, "write RFC 3339, for example 2026-06-01T12:00:00Z"))
    }

    async fn key(&self, state: &WebState) -> Result<(metering::MeterId, ChannelNo), Problem> {
        let found = meters::by_number(&state.db, &self.meter, state.now()).await?;
        let meter = found.ok_or_else(|| fault("/meter", "there is no meter of that number"))?;
        Ok((meter.meter, ChannelNo::new(self.channel)))
    }

    async fn range(&self, state: &WebState) -> Result<SlotRange, Problem> {
        let (from, to) = (Self::time("/from", &self.from)?, Self::time("/to", &self.to)?);
        let ends = self.ends.iter().map(|end| Self::time("/ends", end));
        let ends = ends.collect::<Result<BTreeSet<UtcTime>, Problem>>()?;
        Ok(vee::range(self.key(state).await?, (from, to), ends))
    }

    fn method(&self) -> Result<Option<Method>, Problem> {
        let known = |number| {
            Method::from_number(number).ok_or_else(|| fault("/method", "there is no such method"))
        };
        self.method.map(known).transpose()
    }
}

/// `POST /review/{act}`: accept, reject, estimate, edit, undo; preview keeps nothing.
pub(super) async fn act(
    State(state): State<WebState>,
    Path(act): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let body: ReviewBody = read_json(&headers, &body)?;
    let who = Person { actor: ACTOR, reason: &body.reason, now: state.now() };
    let db = &state.db;
    let count = |intervals: u64| Ok(Json(json!({ "intervals": intervals })));
    match act.as_str() {
        "accept" => count(vee::accept(db, &body.range(&state).await?, who).await?),
        "reject" => count(vee::reject(db, &body.range(&state).await?, who).await?),
        "undo" => count(vee::undo(db, &body.range(&state).await?, who).await?),
        "preview" => {
            let range = body.range(&state).await?;
            let made = vee::preview(db, &range, body.method()?, state.now()).await?;
            let items: Vec<Value> = made.iter().map(proposal).collect();
            Ok(Json(json!({ "items": items })))
        }
        "estimate" => {
            let range = body.range(&state).await?;
            kept(&vee::estimate(db, &range, body.method()?, who).await?)
        }
        "edit" => {
            let value = |(end, value): &(String, i64)| {
                ReviewBody::time("/values", end).map(|end| (end, *value))
            };
            let values = body.values.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            kept(&vee::edit(db, body.key(&state).await?, &values, body.force, who).await?)
        }
        _ => {
            let acts = "accept, reject, estimate, edit, undo, preview";
            Err(Problem::not_found(format!("there is no such act; acts are: {acts}")))
        }
    }
}

fn kept(all: &[Kept]) -> Result<Json<Value>, Problem> {
    let one = |kept: &Kept| {
        json!({ "estimate": kept.estimation_no, "state": kept.state.word(),
            "new": kept.is_new, "intervals": kept.versions })
    };
    Ok(Json(json!({ "items": all.iter().map(one).collect::<Vec<_>>() })))
}

/// What the methods would write into one gap; values are thousandths of the base unit.
fn proposal(one: &Estimate) -> Value {
    let trial = |trial: &MethodTrial| {
        json!({
            "method": trial.method.number(), "name": trial.method.id(),
            "values_milli": trial.values,
            "refused": trial.refused.map(|why| why.to_string()),
            "tests": trial.score.map(|score| score.tests),
            "bias_permille": trial.score.map(|score| score.bias_milli),
            "error_permille": trial.score.map(|score| score.mape_milli),
        })
    };
    json!({
        "from": At(one.gap.from), "to": At(one.gap.to),
        "method": one.method.number(), "name": one.method.id(),
        "values_milli": one.values,
        "confidence": one.confidence.class.letter().to_string(),
        "error_permille": one.confidence.error_milli,
        "needs_review": one.review.iter().any(|why| why.holds()),
        "alternatives": one.alternatives.iter().map(trial).collect::<Vec<_>>(),
    })
}

/// An estimate in a list, as sent.
#[derive(Serialize)]
struct Line {
    number: i64,
    meter: String,
    channel: i16,
    commodity: &'static str,
    starts_at: At,
    ends_at: At,
    intervals: i32,
    len_s: i32,
    method: i16,
    state: String,
    confidence: String,
    error_permille: Option<i32>,
    provisional: bool,
    scaled: bool,
    issue: Option<i64>,
    reason: String,
    created_at: At,
    #[serde(flatten)]
    sum: Map<String, Value>,
}

impl Line {
    fn of(row: EstimateRow) -> Self {
        let mut sum = Map::new();
        quantity(row.reading_type, "", row.total, &mut sum);
        Self {
            number: row.no,
            meter: row.number,
            channel: row.channel.get(),
            commodity: row.commodity.word(),
            starts_at: At(row.starts_at),
            ends_at: At(row.ends_at),
            intervals: row.intervals,
            len_s: row.len_s,
            method: row.method,
            state: row.state,
            confidence: row.confidence,
            error_permille: row.error_permille,
            provisional: row.provisional,
            scaled: row.scaled,
            issue: row.issue_number,
            reason: row.reason,
            created_at: At(row.created_at),
            sum,
        }
    }
}

/// `GET /estimates`.
pub(super) async fn estimates(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let filter = EstimateFilter {
        state: params
            .parsed::<::vee::estimation::EstimationState>(
                "state",
                "a state of estimates, such as PROPOSED",
            )
            .map(|state| state.word().to_owned()),
        method: params.parsed("method", "the number of a method"),
        confidence: params.text("confidence"),
        commodity: params.parsed("commodity", "electricity, water, gas or heat"),
        q: params.text("q"),
        issue: params.parsed("issue", "the number of an issue"),
        meter: None,
    };
    let (cursor, limit) = (params.cursor(), params.limit());
    params.finish()?;
    let page = estimates::list(&state.db, &filter, cursor.as_ref(), limit).await?;
    Ok(Json(wire::list(page, Line::of)))
}

/// `GET /estimates/{number}`.
pub(super) async fn estimate(
    State(state): State<WebState>,
    Path(number): Path<i64>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.finish()?;
    let found = estimates::by_number(&state.db, number).await?;
    let detail =
        found.ok_or_else(|| Problem::not_found(format!("there is no estimate {number}")))?;
    Ok(Json(whole(detail)))
}

fn whole(detail: EstimateDetail) -> Value {
    let len_s = i64::from(detail.row.len_s);
    let reading_type = detail.row.reading_type;
    let slot = |(start, value): &(UtcTime, i64)| {
        let mut one = Map::new();
        quantity(reading_type, "", *value, &mut one);
        one.insert("interval_start".to_owned(), json!(At(*start)));
        one.insert("interval_end".to_owned(), json!(At(start.plus_seconds(len_s))));
        Value::Object(one)
    };
    let values: Vec<Value> = detail.slots.iter().map(slot).collect();
    let log: Vec<Value> = detail
        .log
        .iter()
        .map(|entry| {
            json!({ "from": entry.from_state, "to": entry.to_state, "at": At(entry.at),
                "actor": entry.actor, "reason": entry.reason })
        })
        .collect();
    let mut bounds = Map::new();
    for (name, bound) in [("_p10", detail.p10), ("_p90", detail.p90)] {
        // Absent for what was never tested.
        if let Some(value) = bound {
            quantity(reading_type, name, value, &mut bounds);
        }
    }
    quantity(reading_type, "_true_up", detail.true_up, &mut bounds);
    let (nem12_quality, nem12_method, nem12_reason) = &detail.nem12;
    let mut all = json!({
        "id": detail.id, "method_version": detail.method_version,
        "scale": detail.scale, "residual": detail.residual,
        "bias_permille": detail.bias_permille, "inputs": detail.inputs,
        "alternatives": detail.alternatives, "input_hash": detail.input_hash,
        "values_hash": detail.values_hash, "iec_codes": detail.iec_codes,
        "nem12": { "quality": nem12_quality, "method": nem12_method, "reason": nem12_reason },
        "bills": detail.bill_ids, "created_by": detail.created_by,
        "reviewed_by": detail.reviewed_by, "reviewed_at": maybe(detail.reviewed_at),
        "updated_at": At(detail.updated_at), "values": values, "log": log,
        "review": detail.params["review"], "note": detail.params["note"],
    });
    let line = serde_json::to_value(Line::of(detail.row)).unwrap_or_default();
    if let (Value::Object(all), Value::Object(line)) = (&mut all, line) {
        all.extend(line);
        all.extend(bounds);
    }
    all
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ReasonBody {
    reason: String,
}

/// `POST /estimates/{number}/{act}`: accept, reject, finalise, roll-back.
pub(super) async fn decide(
    State(state): State<WebState>,
    Path((number, act)): Path<(i64, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let trigger = match act.as_str() {
        "accept" => Trigger::Accept,
        "reject" => Trigger::Reject,
        "finalise" => Trigger::Finalise,
        "roll-back" => Trigger::RollBack,
        _ => {
            let acts = "accept, reject, finalise, roll-back";
            return Err(Problem::not_found(format!("there is no such act; acts are: {acts}")));
        }
    };
    let body: ReasonBody = read_json(&headers, &body)?;
    let who = Person { actor: ACTOR, reason: &body.reason, now: state.now() };
    let now = vee::act(&state.db, number, trigger, who).await?;
    Ok(Json(json!({ "estimate": number, "state": now.word() })))
}
