//! What a person does to an issue: each is a form, answered by sending the browser back.

use alerts::Cause;
use alerts::issue::State as IssueState;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use metering::UtcTime;
use serde::Deserialize;
use store::issues::{ActError, Issues, UserAct};

use super::Answer;
use super::issue::{address, parse_number};
use super::meter_range::instant;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Who acts, until operators can log in.
const ACTOR: &str = "local operator";

/// The fields of all forms; each uses its own.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct ActForm {
    /// State that the page showed: if it has changed, somebody was faster.
    expected: String,
    text: String,
    cause: String,
    /// Seconds from now.
    length_s: String,
    /// Local time in the utility's zone; takes precedence over `length_s`.
    until: String,
    /// Who works on it; empty for nobody.
    assignee: String,
    /// Number of the issue that stays.
    into: String,
    /// Ticked: the bill is let go although intervals are suspect.
    force: String,
}

/// `POST /issues/{number}/{act}`.
pub(in crate::console) async fn act(
    State(console): State<ConsoleState>,
    Path((number, act)): Path<(String, String)>,
    Form(form): Form<ActForm>,
) -> Answer {
    let number = parse_number(&number)?;
    let now = console.now();
    let done = match act.as_str() {
        "acknowledge" => UserAct::Acknowledge,
        "comment" => UserAct::Comment { text: text_of(&form)? },
        "snooze" => UserAct::Snooze { until: until(&console, &form, now)? },
        "close" => close(&form)?,
        "assign" => UserAct::Assign { to: form.assignee.trim().to_owned(), note: note(&form) },
        "merge" => UserAct::Merge { into: into(&form)?, note: note(&form) },
        "release-hold" => {
            UserAct::ReleaseHold { reason: reason(&form)?, force: !form.force.is_empty() }
        }
        _ => return Err(Refusal::not_found("An issue knows no such act.")),
    };
    let expected = expected(&form)?;
    let issues = Issues::new(console.db.clone());
    // A comment fits any state; everything else was decided on what the page showed.
    let expected = if matches!(done, UserAct::Comment { .. }) { None } else { expected };
    issues.act(number, expected, &done, (ACTOR, now)).await.map_err(refusal)?;
    Ok(Redirect::to(&address(number)).into_response())
}

fn text_of(form: &ActForm) -> Result<String, Refusal> {
    let text = form.text.trim();
    if text.is_empty() {
        return Err(Refusal::bad_request("The comment is empty: write what you saw or did."));
    }
    Ok(text.to_owned())
}

fn note(form: &ActForm) -> String {
    form.text.trim().to_owned()
}

fn into(form: &ActForm) -> Result<i64, Refusal> {
    form.into.trim().trim_start_matches('#').parse().map_err(|_| {
        Refusal::bad_request("Merging needs the number of the issue that stays, such as 17.")
    })
}

fn reason(form: &ActForm) -> Result<String, Refusal> {
    let reason = note(form);
    if reason.is_empty() {
        return Err(Refusal::bad_request("Say why the bill may use these intervals."));
    }
    Ok(reason)
}

fn expected(form: &ActForm) -> Result<Option<IssueState>, Refusal> {
    if form.expected.is_empty() {
        return Ok(None);
    }
    form.expected.parse().map(Some).map_err(|_| {
        Refusal::bad_request("The form names a state that does not exist. Load the issue again.")
    })
}

fn until(console: &ConsoleState, form: &ActForm, now: UtcTime) -> Result<UtcTime, Refusal> {
    if !form.until.is_empty() {
        return instant(&form.until, &console.calendar);
    }
    let length: Option<i64> = form.length_s.parse().ok();
    length.filter(|length| *length > 0).map(|length| now.plus_seconds(length)).ok_or_else(|| {
        Refusal::bad_request("A snooze needs an end: choose how long, or name a time.")
    })
}

fn close(form: &ActForm) -> Result<UserAct, Refusal> {
    let note = form.text.trim().to_owned();
    if form.cause == "FALSE_POSITIVE" {
        return Ok(UserAct::FalsePositive { note });
    }
    let cause: Cause = form
        .cause
        .parse()
        .map_err(|_| Refusal::bad_request("Closing needs a cause: choose what was found."))?;
    if cause == Cause::Other && note.is_empty() {
        return Err(Refusal::bad_request("“Another cause” needs a note that says which."));
    }
    Ok(UserAct::Close { cause, note })
}

fn refusal(error: ActError) -> Refusal {
    match error {
        ActError::NotFound(number) => Refusal::not_found(format!("There is no issue {number}.")),
        ActError::Stale { number, state, by } => Refusal::conflict(format!(
            "Issue {number} is {} by now{by}, so nothing was changed. Look at it again.",
            crate::console::causes::state(state.word())
        )),
        ActError::Refused(text) => Refusal::conflict(words::sentence_case(&format!("{text}."))),
        ActError::Store(error) => error.into(),
    }
}
