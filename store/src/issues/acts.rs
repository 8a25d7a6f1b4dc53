//! What a person does to an issue.

use alerts::Cause;
use alerts::issue::{Actor, State};
use metering::{Severity, UtcTime};
use serde_json::{Value, json};

use super::Issues;
use super::change::{Step, execute, move_issue, notice};
use super::history::{self, Entry};
use crate::database::Connection;
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

mod handover;

const DAY_S: i64 = 86_400;
const SNOOZE_S_MAX: i64 = 7 * DAY_S;
const SNOOZE_P1_S_MAX: i64 = 3_600;
/// Longest comment, in bytes.
const TEXT_BYTES_MAX: usize = 4_000;

/// Why an issue that nobody acknowledged is open for the moment in which it is rejected or closed.
pub const JUDGED: &str = "judged";

/// The issue with this number, locked.
const LOCK: &str = "\
    SELECT issue_id, state, severity, coalesce(acknowledged_by, ''), subject_kind \
    FROM meter_issue WHERE number = $1 FOR UPDATE";

const ACKNOWLEDGE: &str = "\
    UPDATE meter_issue SET updated_at = $2, acknowledged_at = $2, acknowledged_by = $3 \
    WHERE issue_id = $1 AND acknowledged_at IS NULL";

const SNOOZE: &str =
    "UPDATE meter_issue SET updated_at = $2, snoozed_until = $3 WHERE issue_id = $1";

const IDENTIFY: &str = "\
    UPDATE meter_issue SET updated_at = $2, identified_cause = $3, identified_at = $2, \
        identified_by = $4, snoozed_until = NULL, suppressed = false WHERE issue_id = $1";

const TOUCH: &str = "UPDATE meter_issue SET updated_at = $2 WHERE issue_id = $1";

/// An act of staff.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserAct {
    Acknowledge,
    /// Not shown until then; the rules go on. At most 7 days, for P1 one hour.
    Snooze {
        until: UtcTime,
    },
    Comment {
        text: String,
    },
    /// Done, with the cause that was found.
    Close {
        cause: Cause,
        note: String,
    },
    /// Nothing was wrong.
    FalsePositive {
        note: String,
    },
    /// Hands it to a person, who works on it from now on; an empty name takes it back.
    Assign {
        to: String,
        note: String,
    },
    /// The same trouble as issue `into`, which takes over what still counts.
    Merge {
        into: i64,
        note: String,
    },
    /// Lets its intervals be billed. With suspect intervals among them only by `force`.
    ReleaseHold {
        reason: String,
        force: bool,
    },
}

/// Why an act was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("there is no issue {0}")]
    NotFound(i64),
    /// Somebody was faster.
    #[error("issue {number} is {state} by now{by}: look at it again")]
    Stale { number: i64, state: State, by: String },
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Locked {
    issue_id: String,
    state: State,
    severity: Severity,
}

/// Who acts and when.
#[derive(Clone, Copy, Debug)]
struct By<'a> {
    actor: &'a str,
    at: UtcTime,
}

impl Issues {
    /// Does `act` on issue `number` for `actor` at `at`. With `expected`, only if the issue is still
    /// in that state.
    ///
    /// # Errors
    /// No such issue, changed meanwhile, not allowed from its state, or the database is away.
    pub async fn act(
        &self,
        number: i64,
        expected: Option<State>,
        act: &UserAct,
        (actor, at): (&str, UtcTime),
    ) -> Result<(), ActError> {
        let tx = self.perform(number, expected, act, (actor, at)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Does everything that [`Issues::act`] would do, and takes it back.
    ///
    /// # Errors
    /// The same.
    pub async fn rehearse(
        &self,
        number: i64,
        expected: Option<State>,
        act: &UserAct,
        (actor, at): (&str, UtcTime),
    ) -> Result<(), ActError> {
        self.perform(number, expected, act, (actor, at)).await?.rollback().await;
        Ok(())
    }

    async fn perform(
        &self,
        number: i64,
        expected: Option<State>,
        act: &UserAct,
        (actor, at): (&str, UtcTime),
    ) -> Result<Tx, ActError> {
        let tx = Tx::begin(&self.database).await?;
        let issue = lock(tx.client(), number, expected).await?;
        let by = By { actor, at };
        match act {
            UserAct::Acknowledge => acknowledge(tx.client(), &issue, by).await?,
            UserAct::Snooze { until } => snooze(tx.client(), &issue, *until, by).await?,
            UserAct::Comment { text } => comment(tx.client(), &issue, text, by).await?,
            UserAct::Close { cause, note } => {
                close(tx.client(), &issue, *cause, note, by).await?;
            }
            UserAct::FalsePositive { note } => {
                false_positive(tx.client(), &issue, note, by).await?;
            }
            UserAct::Assign { to, note } => {
                handover::assign(tx.client(), &issue, (to, note), by).await?;
            }
            UserAct::Merge { into, note } => {
                handover::merge(tx.client(), (number, &issue), (*into, note), by).await?;
            }
            UserAct::ReleaseHold { reason, force } => {
                handover::release_hold(tx.client(), &issue, (reason, *force), by).await?;
            }
        }
        notice(tx.client(), &issue.issue_id, at).await?;
        Ok(tx)
    }
}

async fn lock(
    client: &Connection,
    number: i64,
    expected: Option<State>,
) -> Result<Locked, ActError> {
    let query = StoreError::query("reading an issue");
    let statement = client.prepare_cached(LOCK).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&number]).await.map_err(&query)?;
    let row = row.ok_or(ActError::NotFound(number))?;
    let corrupt = || StoreError::Corrupt { what: "meter issue", detail: number.to_string() };
    let state: State = row.get::<_, &str>(1).parse().map_err(|_| corrupt())?;
    if expected.is_some_and(|expected| expected != state) {
        let by: &str = row.get(3);
        let by = if by.is_empty() { String::new() } else { format!(", acknowledged by {by}") };
        return Err(ActError::Stale { number, state, by });
    }
    let severity = Severity::from_number(row.get(2)).ok_or_else(corrupt)?;
    Ok(Locked { issue_id: row.get(0), state, severity })
}

async fn acknowledge(client: &Connection, issue: &Locked, by: By<'_>) -> Result<(), ActError> {
    active(issue)?;
    let at = Stamp(by.at);
    let first = execute(client, ACKNOWLEDGE, &[&issue.issue_id, &at, &by.actor]).await?;
    if issue.state == State::Detected {
        step(client, issue, (State::Detected, State::Open), "acknowledged", by).await?;
    } else if first > 0 {
        log(client, issue, ("overlay", "acknowledged"), json!({}), by).await?;
    }
    Ok(())
}

async fn snooze(
    client: &Connection,
    issue: &Locked,
    until: UtcTime,
    by: By<'_>,
) -> Result<(), ActError> {
    active(issue)?;
    let length_s = until.seconds_since(by.at);
    let most = if issue.severity == Severity::P1 { SNOOZE_P1_S_MAX } else { SNOOZE_S_MAX };
    if length_s <= 0 {
        return Err(ActError::Refused(format!("{until} is past: name a later end")));
    }
    if length_s > most {
        let limit = if most == SNOOZE_P1_S_MAX { "1 hour for P1" } else { "7 days" };
        return Err(ActError::Refused(format!("a snooze lasts at most {limit}")));
    }
    execute(client, SNOOZE, &[&issue.issue_id, &Stamp(by.at), &Stamp(until)]).await?;
    let facts = json!({ "overlay": "snoozed", "until": until.to_string() });
    log(client, issue, ("overlay", &format!("snoozed until {until}")), facts, by).await
}

async fn comment(
    client: &Connection,
    issue: &Locked,
    text: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(ActError::Refused("a comment has 1 to 4,000 bytes".to_owned()));
    }
    execute(client, TOUCH, &[&issue.issue_id, &Stamp(by.at)]).await?;
    log(client, issue, ("comment", text), json!({}), by).await
}

async fn close(
    client: &Connection,
    issue: &Locked,
    cause: Cause,
    note: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    if !cause.is_identifiable() {
        let what = format!("{cause} is what a rule suspects: close with the cause that was found");
        return Err(ActError::Refused(what));
    }
    let path = issue.state.close_path();
    if path.is_empty() {
        return Err(ActError::Refused(format!("the issue is {} already", issue.state)));
    }
    let at = Stamp(by.at);
    execute(client, ACKNOWLEDGE, &[&issue.issue_id, &at, &by.actor]).await?;
    execute(client, IDENTIFY, &[&issue.issue_id, &at, &cause.word(), &by.actor]).await?;
    let reason = if note.trim().is_empty() {
        format!("closed with cause {cause}")
    } else {
        format!("closed with cause {cause}: {}", note.trim())
    };
    let mut from = issue.state;
    for (to, actor) in path {
        let reason = if *to == State::Open { JUDGED } else { &reason };
        let one = Step { from, to: *to, actor: *actor, who: by.actor, reason };
        let dates = (Some(by.at), Some(by.at));
        move_issue(client, &issue.issue_id, &one, (by.at, None), dates).await?;
        from = *to;
    }
    Ok(())
}

async fn false_positive(
    client: &Connection,
    issue: &Locked,
    note: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    active(issue)?;
    let mut from = issue.state;
    if from == State::Detected {
        // Two steps by the table of states; nobody took it on.
        step(client, issue, (from, State::Open), JUDGED, by).await?;
        from = State::Open;
    }
    let reason = if note.trim().is_empty() { "nothing was wrong" } else { note.trim() };
    step(client, issue, (from, State::FalsePositive), reason, by).await
}

fn active(issue: &Locked) -> Result<(), ActError> {
    if issue.state.is_active() {
        return Ok(());
    }
    Err(ActError::Refused(format!("the issue is {} and takes comments only", issue.state)))
}

async fn step(
    client: &Connection,
    issue: &Locked,
    (from, to): (State, State),
    reason: &str,
    by: By<'_>,
) -> Result<(), ActError> {
    let one = Step { from, to, actor: Actor::User, who: by.actor, reason };
    move_issue(client, &issue.issue_id, &one, (by.at, None), (None, None)).await?;
    Ok(())
}

async fn log(
    client: &Connection,
    issue: &Locked,
    (kind, reason): (&'static str, &str),
    facts: Value,
    by: By<'_>,
) -> Result<(), ActError> {
    let entry = Entry {
        kind,
        from: None,
        to: None,
        at: by.at,
        log_seq: None,
        actor_kind: Actor::User.word(),
        actor: by.actor,
        reason,
        facts,
    };
    history::append(client, &issue.issue_id, &entry).await?;
    Ok(())
}
