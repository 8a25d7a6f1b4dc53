//! What an issue does to readings and bills, and the visits to the field that it needs.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use metering::{ChannelKind, ChannelNo, Subject, UtcTime, WorkOrderKind, WorkOrderStatus};
use serde::Deserialize;
use store::views::estimates::{self, EstimateFilter};
use store::views::issues::{self as views, IssueDetail};
use store::views::orders::{self, IssueFacts, OrderRow};
use store::work_orders::{FIX_ACTIONS, FieldRead, Findings, NewWorkOrder, Told};

use super::Answer;
use super::estimates::EstimateLine;
use super::issue::{address, parse_number};
use super::issues::SelectOption;
use super::meter_range::instant;
use super::readings::ACTOR;
use crate::console::causes;
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

const ESTIMATES: u32 = 20;

/// The card below the evidence.
#[derive(Template)]
#[template(path = "issue_work.html")]
pub(super) struct Work {
    number: i64,
    closed: bool,
    facts: Vec<(&'static str, String)>,
    merged: Option<i64>,
    merged_from: Vec<i64>,
    /// The hold can be released; how many of its intervals are suspect.
    held: Option<i64>,
    estimates: Vec<EstimateLine>,
    orders: Vec<OrderLine>,
    kinds: Vec<SelectOption>,
    findings: Vec<(&'static str, String)>,
    fixes: Vec<(&'static str, String)>,
    /// Counters of the meter: number of the channel, what it counts.
    counters: Vec<(String, String)>,
}

struct OrderLine {
    number: i64,
    kind: String,
    status: String,
    open: bool,
    at: String,
    said: String,
    who: String,
}

impl Work {
    /// The issue that took this one over.
    pub(super) const fn merged(&self) -> Option<i64> {
        self.merged
    }

    pub(super) async fn of(console: &ConsoleState, detail: &IssueDetail) -> Result<Self, Refusal> {
        let row = &detail.row;
        let now = console.now();
        let filter = EstimateFilter { issue: Some(row.number), ..EstimateFilter::default() };
        let (facts, orders, estimates) = futures_util::future::try_join3(
            orders::facts(&console.db, row.number, now),
            orders::of_issue(&console.db, row.number),
            estimates::list(&console.db, &filter, None, ESTIMATES),
        )
        .await?;
        Ok(Self {
            number: row.number,
            closed: causes::is_closed(&row.state),
            merged: facts.merged_into,
            merged_from: facts.merged_from.clone(),
            held: facts.is_held().then_some(facts.billing_hold_suspect),
            facts: fact_lines(&facts, detail, now, console),
            estimates: estimates.items.iter().map(|row| EstimateLine::of(row, now)).collect(),
            orders: orders.iter().map(|order| OrderLine::of(order, now, console)).collect(),
            kinds: kinds(&row.family),
            findings: causes::findings(&row.family),
            fixes: FIX_ACTIONS.iter().map(|fix| (*fix, fix_words(fix))).collect(),
            counters: counters(console, row.subject, &orders).await?,
        })
    }
}

/// What somebody could have read at the meter, when a visit to it is open.
async fn counters(
    console: &ConsoleState,
    subject: Subject,
    orders: &[OrderRow],
) -> Result<Vec<(String, String)>, Refusal> {
    let Subject::Meter(meter) = subject else { return Ok(Vec::new()) };
    if !orders.iter().any(OrderLine::is_open) {
        return Ok(Vec::new());
    }
    let Some(found) = console.db.load_meter(meter).await? else { return Ok(Vec::new()) };
    let counts = found.channels.iter().filter(|one| one.kind != ChannelKind::Instant);
    Ok(counts
        .map(|one| {
            let said = measure::title(one.reading_type);
            (one.channel.to_string(), format!("{said} (channel {})", one.channel))
        })
        .collect())
}

fn fact_lines(
    facts: &IssueFacts,
    detail: &IssueDetail,
    now: UtcTime,
    console: &ConsoleState,
) -> Vec<(&'static str, String)> {
    let stamp = |at: UtcTime| words::stamp(at, now, console.calendar.zone());
    let from_to = |from: Option<UtcTime>, to: Option<UtcTime>| match (from, to) {
        (Some(from), Some(to)) => format!("{} – {}", stamp(from), stamp(to)),
        (Some(from), None) => format!("since {}, still running", stamp(from)),
        (None, _) => String::new(),
    };
    let hold = from_to(facts.billing_hold_from, facts.billing_hold_to);
    let hold = match &facts.billing_hold_released_by {
        Some(by) => {
            let at = facts.billing_hold_released_at.map(stamp).unwrap_or_default();
            let note = &facts.billing_hold_released_note;
            format!("{hold}; released by {by} {at}: {note}")
        }
        None => hold,
    };
    let commodity = detail.row.commodity;
    let base = match commodity {
        Some(metering::Commodity::Water | metering::Commodity::Gas) => metering::Unit::Litre,
        _ => metering::Unit::WattHour,
    };
    let amount = |value: i64, base| match value {
        0 => String::new(),
        value => DisplayUnit::choose(base, value).rough(value),
    };
    let identified = detail.identified_cause.as_ref().map(|cause| {
        let by = detail.identified_by.as_deref().unwrap_or("nobody named");
        let at = detail.identified_at.map(stamp).unwrap_or_default();
        format!("{} by {by}, {at}", causes::title(cause))
    });
    let mut all = vec![
        ("Estimates", from_to(facts.estimation_started_at, facts.estimation_ended_at)),
        // Behind a collector or a transformer it would add energy to volumes.
        (
            "Estimated (estimate)",
            commodity.map(|_| amount(facts.volume_affected, base)).unwrap_or_default(),
        ),
        ("Leaked (estimate)", amount(facts.leak_volume, metering::Unit::Litre)),
        ("Bill held", hold),
        ("Good data again from", detail.date_fixed.map(stamp).unwrap_or_default()),
        (
            "Cause as detected",
            match &detail.identified_cause {
                Some(cause) if *cause != detail.cause_detected => {
                    causes::title(&detail.cause_detected)
                }
                _ => String::new(),
            },
        ),
        ("Cause as found", identified.unwrap_or_default()),
        ("What was done", facts.fix_action.as_deref().map(fix_words).unwrap_or_default()),
    ];
    all.extend(handling(facts, detail, now, console));
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What proved it over, who waits, how bad it was, and which rules said so.
fn handling(
    facts: &IssueFacts,
    detail: &IssueDetail,
    now: UtcTime,
    console: &ConsoleState,
) -> [(&'static str, String); 4] {
    let stamp = |at: UtcTime| words::stamp(at, now, console.calendar.zone());
    let verified = facts.verified_at.map(stamp).map_or_else(String::new, |at| {
        let rule = facts.verify_rule.as_deref().unwrap_or_default();
        format!("{at}: {rule} found it over for long enough")
    });
    let answer = answer_by(facts, detail, now)
        .map(|at| format!("{}{}", stamp(at), if at < now { ", late by now" } else { "" }));
    let was =
        |(at, severity): &(UtcTime, metering::Severity)| format!("{severity} since {}", stamp(*at));
    let severities = match facts.severities.as_slice() {
        [] | [_] => String::new(),
        all => all.iter().map(was).collect::<Vec<_>>().join(", "),
    };
    let hash = facts.params_hash.get(..12).map(|short| format!(" ({short}…)"));
    let rules = format!("{}{}", facts.rule_version, hash.unwrap_or_default());
    [
        ("Verified", verified),
        ("Answer wanted by", answer.unwrap_or_default()),
        ("Severity", severities),
        ("Opened by rules", rules),
    ]
}

/// As long as nobody has answered and somebody should.
fn answer_by(facts: &IssueFacts, detail: &IssueDetail, now: UtcTime) -> Option<UtcTime> {
    let row = &detail.row;
    let waits = row.acknowledged_at.is_none()
        && !detail.suppressed
        && !causes::is_closed(&row.state)
        && row.snoozed_until.is_none_or(|until| until <= now);
    facts.answer_by.filter(|_| waits)
}

fn fix_words(fix: &str) -> String {
    match fix {
        "valve_or_leak_repaired" => "valve or leak repaired".to_owned(),
        "reseated" => "re-seated, or antenna moved".to_owned(),
        "wiring" => "wiring put right".to_owned(),
        other => other.replace('_', " "),
    }
}

/// What somebody may be sent for; the likeliest of the family first.
fn kinds(family: &str) -> Vec<SelectOption> {
    let likely = match family {
        "BATTERY" => WorkOrderKind::BatteryReplacement,
        "METROLOGY" => WorkOrderKind::Exchange,
        "LEAK" => WorkOrderKind::Repair,
        "CONFIG" | "CLOCK" => WorkOrderKind::Reprogramming,
        _ => WorkOrderKind::Inspection,
    };
    let option =
        |kind: &WorkOrderKind| (kind.word().to_owned(), kind_words(kind.word()), *kind == likely);
    WorkOrderKind::ALL.iter().map(option).collect()
}

fn kind_words(kind: &str) -> String {
    match kind {
        "driveby_read" => "drive-by read".to_owned(),
        other => other.replace('_', " "),
    }
}

impl OrderLine {
    fn is_open(order: &OrderRow) -> bool {
        matches!(order.status.as_str(), "created" | "assigned")
    }

    fn of(order: &OrderRow, now: UtcTime, console: &ConsoleState) -> Self {
        let zone = console.calendar.zone();
        let at = order.completed_at.unwrap_or(order.at);
        let mut said = vec![order.action.clone()];
        if let Some(cause) = &order.findings_cause {
            said.push(format!("found: {}", causes::title(cause)));
        }
        if let Some(fix) = &order.fix_action {
            said.push(format!("done: {}", fix_words(fix)));
        }
        said.push(order.findings_note.clone());
        said.retain(|part| !part.is_empty());
        Self {
            number: order.number,
            kind: kind_words(&order.kind),
            open: Self::is_open(order),
            status: order.status.clone(),
            at: words::stamp(at, now, zone),
            said: said.join("; "),
            who: order.assignee.clone().unwrap_or_else(|| order.created_by.clone()),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct OrderForm {
    kind: String,
    /// Local time in the utility's zone; empty: now.
    at: String,
    action: String,
    parts: String,
    safety: String,
    assignee: String,
}

/// `POST /issues/{number}/orders`.
pub(in crate::console) async fn create(
    State(console): State<ConsoleState>,
    Path(number): Path<String>,
    Form(form): Form<OrderForm>,
) -> Answer {
    let number = parse_number(&number)?;
    let now = console.now();
    let row = views::row(&console.db, number).await?;
    let row = row.ok_or_else(|| Refusal::not_found(format!("There is no issue {number}.")))?;
    let kind = WorkOrderKind::ALL
        .iter()
        .find(|kind| kind.word() == form.kind)
        .copied()
        .ok_or_else(|| Refusal::bad_request("Choose what somebody is sent for."))?;
    let action = form.action.trim();
    if action.is_empty() {
        return Err(Refusal::bad_request("Write what is to be done there."));
    }
    let at = if form.at.is_empty() { now } else { instant(&form.at, &console.calendar)? };
    let order = NewWorkOrder {
        subject: row.subject,
        kind,
        severity: row.severity,
        at,
        issues: vec![number],
        action: action.to_owned(),
        parts: form.parts.trim().to_owned(),
        safety: form.safety.trim().to_owned(),
        assignee: Some(form.assignee.trim().to_owned()).filter(|who| !who.is_empty()),
        ext_system: String::new(),
        ext_id: String::new(),
    };
    store::work_orders::create(&console.db, &order, ACTOR, now).await?;
    Ok(Redirect::to(&address(number)).into_response())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct ToldForm {
    status: String,
    cause: String,
    fix: String,
    serial: String,
    note: String,
    /// The counter that was read at an exchange.
    channel: String,
    final_read: String,
    initial_read: String,
}

impl ToldForm {
    /// A counter's digits as typed; empty: not read.
    fn read(&self, typed: &str, at: UtcTime) -> Result<Option<FieldRead>, Refusal> {
        let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            Refusal::bad_request(format!(
                "“{}” is no reading: write all digits of the counter, without a point.",
                words::shortened(typed, 40)
            ))
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let raw = digits.parse().map_err(|_| wrong())?;
        let channel = self.channel.parse().map(ChannelNo::new);
        let channel = channel.map_err(|_| Refusal::bad_request("Choose the counter."))?;
        Ok(Some(FieldRead { channel, read_at: at, raw }))
    }
}

/// `POST /issues/{number}/orders/{order}`.
pub(in crate::console) async fn tell(
    State(console): State<ConsoleState>,
    Path((number, order)): Path<(String, i64)>,
    Form(form): Form<ToldForm>,
) -> Answer {
    let number = parse_number(&number)?;
    let now = console.now();
    let status = WorkOrderStatus::ALL
        .iter()
        .find(|status| status.word() == form.status)
        .copied()
        .ok_or_else(|| Refusal::bad_request("Choose how far the order is."))?;
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let cause = match form.cause.as_str() {
        "" => None,
        word => Some(word.parse::<alerts::Cause>().map_err(|_| {
            Refusal::bad_request("There is no such cause: choose one of the list.")
        })?),
    };
    let final_read = form.read(&form.final_read, now)?;
    let initial_read = form.read(&form.initial_read, now)?;
    let findings = (status == WorkOrderStatus::Completed).then(|| Findings {
        cause,
        fix_action: some(&form.fix),
        new_serial: some(&form.serial),
        final_read,
        initial_read,
    });
    let told = Told { status, at: now, note: form.note.trim().to_owned(), findings };
    let taken = store::work_orders::tell(&console.db, order, &told, ACTOR, now).await?;
    if !taken.is_new {
        return Err(Refusal::conflict(format!(
            "Order {order} was told to be {status} just now: nothing was changed."
        )));
    }
    Ok(Redirect::to(&address(number)).into_response())
}
