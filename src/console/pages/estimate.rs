//! One estimate: its values beside what was measured, what it was made of, and its life.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use metering::{LocalCalendar, UtcTime};
use serde::Deserialize;
use serde_json::Value;
use store::views::estimates::{self as views, EstimateDetail};
use store::views::meters;
use store::views::series::{self, SeriesQuery};
use vee::estimation::{EstimationState, Trigger};

use super::estimates::{EstimateLine, class_words, method_title, state_words, tenths};
use super::meter_chart::{self, Drawn};
use super::meter_range::Range;
use super::readings::{ACTOR, refusal};
use super::{Answer, html};
use crate::console::chart::{self, Band, BandFill, Point, QualityMark, Role, Spread};
use crate::console::frame::{Frame, QueryText, Section, segment};
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::vee::{self as service, Person};

const DAY_S: i64 = 86_400;

#[derive(Template)]
#[template(path = "estimate.html")]
struct EstimatePage {
    frame: Frame,
    no: i64,
    title: String,
    meter: String,
    meter_href: String,
    state: &'static str,
    tags: Vec<String>,
    say: String,
    /// Last part of the address, words on the button.
    acts: Vec<(&'static str, &'static str)>,
    heading: String,
    per: String,
    svg: String,
    methods: Vec<MethodLine>,
    true_ups: Vec<(String, String, String, String)>,
    true_up_said: String,
    facts: Vec<(&'static str, String)>,
    issue: Option<(i64, String)>,
    log: Vec<(String, String, String)>,
}

struct MethodLine {
    title: String,
    chosen: bool,
    why: String,
    sum: String,
    bias: String,
    error: String,
}

/// `GET /estimates/{no}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(no): Path<String>,
) -> Answer {
    let detail = read(&console, parse_number(&no)?).await?;
    let now = console.now();
    let row = &detail.row;
    let calendar = LocalCalendar::new(&row.time_zone)
        .map_err(|error| Refusal::internal(words::sentence_case(&error.to_string())))?;
    let line = EstimateLine::of(row, now);
    let svg = drawing(&console, &detail, &calendar).await?;
    let unit = measure::DisplayUnit::choose(
        row.reading_type.base_unit(),
        detail.slots.iter().map(|slot| slot.1).max().unwrap_or(0),
    );
    let href = QueryText::default()
        .with("from", &row.starts_at.plus_seconds(-DAY_S).to_string())
        .with("to", &row.ends_at.plus_seconds(DAY_S).to_string())
        .with("channel", &row.channel.to_string())
        .on(&format!("/meters/{}", segment(&row.number)));
    html(&EstimatePage {
        frame: Frame::of(&console, Section::Readings, format!("Estimate {}", row.no)).await?,
        no: row.no,
        title: format!("Estimate {},", row.no),
        meter: row.number.clone(),
        meter_href: href,
        state: state_words(&row.state),
        tags: tags(&detail),
        say: say(&detail, &line),
        acts: acts(&row.state),
        heading: format!("{}, {}", measure::title(row.reading_type), unit.symbol),
        per: format!("per {} · {}", words::duration(i64::from(row.len_s)), row.time_zone),
        svg,
        methods: methods(&detail),
        true_ups: true_ups(&detail, now, &calendar),
        true_up_said: format!(
            "actual less estimate: {}",
            measure::quantity(row.reading_type, detail.true_up)
        ),
        facts: facts(&detail, now, &calendar),
        issue: line.issue.clone(),
        log: log(&detail, now, &calendar),
    })
}

fn parse_number(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::not_found("Estimates are known by their number: choose one from the list.")
    })
}

async fn read(console: &ConsoleState, no: i64) -> Result<EstimateDetail, Refusal> {
    let found = views::by_number(&console.db, no).await?;
    found.ok_or_else(|| Refusal::not_found(format!("There is no estimate {no}.")))
}

fn tags(detail: &EstimateDetail) -> Vec<String> {
    let mut tags = vec![format!("class {}", detail.row.confidence)];
    if detail.row.provisional {
        tags.push("for display only".to_owned());
    }
    if !detail.bill_ids.is_empty() {
        tags.push("billed".to_owned());
    }
    tags
}

fn say(detail: &EstimateDetail, line: &EstimateLine) -> String {
    let row = &detail.row;
    let scaled = if row.scaled {
        "It is scaled to the register, so the sum is exact"
    } else {
        "No register reads enclose it, so the sum is an estimate too"
    };
    let error = match row.error_permille {
        Some(error) => {
            format!("on hidden stretches of this channel the method errs by {} %", tenths(error))
        }
        None => "how far the method errs here is not known".to_owned(),
    };
    format!(
        "{}, {}: {} by {}. {scaled}; {error}.",
        words::count(i64::from(row.intervals), "interval", "intervals"),
        line.span,
        line.total,
        line.method.to_lowercase()
    )
}

/// What a person may do in this state.
fn acts(state: &str) -> Vec<(&'static str, &'static str)> {
    let Ok(state) = state.parse::<EstimationState>() else { return Vec::new() };
    let known = [
        (Trigger::Accept, ("accept", "Accept")),
        (Trigger::Reject, ("reject", "Reject")),
        (Trigger::Finalise, ("finalise", "Make final")),
        (Trigger::RollBack, ("roll-back", "Take back")),
    ];
    known
        .into_iter()
        .filter(|(trigger, _)| vee::estimation::next_state(state, *trigger).is_ok())
        .map(|(_, act)| act)
        .collect()
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct ActForm {
    reason: String,
}

/// `POST /estimates/{no}/{act}`.
pub(in crate::console) async fn act(
    State(console): State<ConsoleState>,
    Path((no, act)): Path<(String, String)>,
    Form(form): Form<ActForm>,
) -> Answer {
    let no = parse_number(&no)?;
    let trigger = match act.as_str() {
        "accept" => Trigger::Accept,
        "reject" => Trigger::Reject,
        "finalise" => Trigger::Finalise,
        "roll-back" => Trigger::RollBack,
        _ => return Err(Refusal::not_found("An estimate knows no such act.")),
    };
    let who = Person { actor: ACTOR, reason: form.reason.trim(), now: console.now() };
    service::act(&console.db, no, trigger, who).await.map_err(refusal)?;
    Ok(Redirect::to(&format!("/estimates/{no}")).into_response())
}

/// A day to either side, the estimate over it.
async fn drawing(
    console: &ConsoleState,
    detail: &EstimateDetail,
    calendar: &LocalCalendar,
) -> Result<String, Refusal> {
    let row = &detail.row;
    let now = console.now();
    let range = Range {
        from: row.starts_at.plus_seconds(-DAY_S),
        to: row.ends_at.plus_seconds(DAY_S).min(now).max(row.ends_at),
        zone_name: row.time_zone.clone(),
        calendar: calendar.clone(),
        fixed: true,
    };
    let query = SeriesQuery {
        meter: row.meter,
        channel: row.channel,
        from: range.from,
        to: range.to,
        max_buckets: 1_000,
    };
    let found = series::series(&console.db, &query, calendar, now).await?;
    let meter = meters::by_number(&console.db, &row.number, now).await?;
    let (Some(series), Some(_)) = (found, meter) else {
        return Err(Refusal::not_found("The channel of this estimate does not exist any more."));
    };
    let drawn = Drawn::new(series);
    let label = format!("Estimate {} of {}", row.no, row.number);
    let mut spec = meter_chart::spec(console, &drawn, &range, label);
    spec.id = "estimate".to_owned();
    spec.height = 180;
    spec.bands.push(Band {
        from: row.starts_at,
        to: row.ends_at,
        fill: BandFill::Window,
        label: String::new(),
    });
    spec.series = vec![chart::Series {
        shape: chart::Shape::Step,
        ink: 1,
        role: Role::Value,
        points: drawn.points(0),
    }];
    if drawn.series.full_resolution {
        let points =
            detail.slots.iter().map(|(start, value)| slot_point(*start, *value, row.len_s));
        spec.series.push(chart::Series {
            shape: chart::Shape::Step,
            ink: 2,
            role: Role::Chosen,
            points: points.collect(),
        });
    }
    Ok(chart::draw(&spec))
}

fn slot_point(start: UtcTime, value: i64, len_s: i32) -> Point {
    Point {
        start,
        end: start.plus_seconds(i64::from(len_s)),
        value: Some(Spread::of(value)),
        mark: QualityMark::Estimated,
        text: String::new(),
        note: String::new(),
    }
}

fn methods(detail: &EstimateDetail) -> Vec<MethodLine> {
    let Value::Array(tried) = &detail.alternatives else { return Vec::new() };
    let reading_type = detail.row.reading_type;
    let own: i64 = detail.slots.iter().map(|slot| slot.1).fold(0, i64::saturating_add);
    tried
        .iter()
        .map(|trial| {
            let number = |value: &Value| value.as_i64();
            let score = trial.get("score");
            let part = |key: &str| {
                let found = score.and_then(|score| score.get(key)).and_then(number);
                found.and_then(|n| i32::try_from(n).ok()).map(tenths).unwrap_or_default()
            };
            let sum = match trial.get("values") {
                Some(Value::Array(values)) if !values.is_empty() => {
                    Some(values.iter().filter_map(number).fold(0, i64::saturating_add))
                }
                Some(Value::Null) => Some(own),
                _ => None,
            };
            let refused = trial.get("refused").and_then(Value::as_str);
            let method = trial.get("method").and_then(number).unwrap_or(0);
            MethodLine {
                title: method_title(i16::try_from(method).unwrap_or(0)),
                chosen: trial.get("chosen").and_then(Value::as_bool).unwrap_or(false),
                why: refused.unwrap_or_default().to_owned(),
                sum: sum.map(|sum| measure::quantity(reading_type, sum)).unwrap_or_default(),
                bias: part("bias_milli"),
                error: part("mape_milli"),
            }
        })
        .collect()
}

fn facts(
    detail: &EstimateDetail,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> Vec<(&'static str, String)> {
    let row = &detail.row;
    let quantity = |value| measure::quantity(row.reading_type, value);
    let input = |key: &str| detail.inputs.get(key);
    let amount = |key: &str| input(key).and_then(Value::as_i64).map(quantity).unwrap_or_default();
    let days = match input("reference_days") {
        Some(Value::Array(days)) => {
            days.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    };
    let register = input("register").filter(|register| !register.is_null());
    let advance = register.and_then(|register| register.get("advance")).and_then(Value::as_i64);
    let edge = |key: &str| {
        let text = register.and_then(|register| register.get(key)).and_then(Value::as_str)?;
        let at = UtcTime::parse_rfc3339(text)?;
        Some(words::stamp(at, now, calendar.zone()))
    };
    let between = edge("open_at").zip(edge("close_at")).map(|(from, to)| format!("{from} – {to}"));
    let cases = match (detail.p10, detail.p90) {
        (Some(low), Some(high)) if low < high => format!("{} to {}", quantity(low), quantity(high)),
        (Some(_), Some(_)) if row.scaled => "exactly that: the register says it".to_owned(),
        _ => "not known: it was not tested on hidden stretches".to_owned(),
    };
    let (quality, method, reason) = &detail.nem12;
    let all = vec![
        ("Method", format!("{} (version {})", method_title(row.method), detail.method_version)),
        ("Error", class_words(&row.confidence, row.error_permille)),
        ("In 8 of 10 cases", cases),
        ("Why", words::sentence_case(&row.reason.replace('_', " "))),
        ("Needs a look because", review_words(&detail.params)),
        ("Note", detail.params.get("note").and_then(Value::as_str).unwrap_or_default().to_owned()),
        ("Since", words::stamp(row.created_at, now, calendar.zone())),
        ("Value before", amount("before")),
        ("Value after", amount("after")),
        ("Like days", days),
        ("Profile", input("profile_id").and_then(Value::as_str).unwrap_or_default().to_owned()),
        ("Register advanced by", advance.map(quantity).unwrap_or_default()),
        ("Between", between.unwrap_or_default()),
        ("Scaled by", detail.scale.clone()),
        (
            "Rounding left over",
            if detail.residual.starts_with("0/") || detail.residual == "0" {
                String::new()
            } else {
                detail.residual.clone()
            },
        ),
        ("Codes", detail.iec_codes.join(", ")),
        (
            "NEM12",
            if quality.is_empty() {
                String::new()
            } else {
                format!("{quality}{method:02}, reason {reason}")
            },
        ),
        ("Made by", detail.created_by.clone()),
        ("Reviewed by", detail.reviewed_by.clone().unwrap_or_default()),
        ("Bills", detail.bill_ids.join(", ")),
        ("Id", words::shortened(&detail.id, 16)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Why a person should look at it.
fn review_words(params: &Value) -> String {
    let Some(Value::Array(reasons)) = params.get("review") else { return String::new() };
    let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    words::sentence_case(&reasons.join("; "))
}

fn log(
    detail: &EstimateDetail,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> Vec<(String, String, String)> {
    let line = |entry: &views::EstimateLogRow| {
        let said = words::sentence_case(state_words(&entry.to_state));
        let at = words::stamp(entry.at, now, calendar.zone());
        (at, format!("{said} by {}", entry.actor), entry.reason.clone())
    };
    detail.log.iter().map(line).collect()
}

fn true_ups(
    detail: &EstimateDetail,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> Vec<(String, String, String, String)> {
    let quantity = |value| measure::quantity(detail.row.reading_type, value);
    let len_s = i64::from(detail.row.len_s);
    let line = |row: &views::TrueUpRow| {
        let span =
            words::span(row.starts_at, row.starts_at.plus_seconds(len_s), now, calendar.zone());
        (span, quantity(row.estimate), quantity(row.actual), quantity(row.delta))
    };
    detail.true_ups.iter().take(200).map(line).collect()
}
