//! Alerts and the issues that staff work on: what the rules said is applied here, and what staff do.
//!
//! [`Issues::apply`] takes the transitions of a stretch of the event log, lets `alerts::issue::plan`
//! decide against the stored rows, and writes alerts, issues, history and the reader's offset in one
//! transaction. [`Issues::act`] does what a person asked for, by the closed table of states. Every
//! step is a row of `meter_issue_log`, chained by SHA-256, that nothing ever changes.

mod acts;
mod alerts;
mod change;
mod history;
mod hold;
mod leak;
mod load;

use ::alerts::AlertTransition;
use ::alerts::issue::{due_changes, plan};
use metering::UtcTime;

pub use self::alerts::Standing;
pub(crate) use self::alerts::evidence_json;
pub(crate) use self::hold::suspect_in_hold;
pub use acts::{ActError, JUDGED, UserAct};
pub use history::ChainBreak;

use crate::database::Database;
use crate::error::StoreError;
use crate::event_log::{Offset, advance_in};
use crate::tx::Tx;
use change::Applier;

/// The most due steps that one call of [`Issues::apply_due`] takes.
const DUE_MAX: i64 = 500;

/// The book of issues.
#[derive(Clone, Debug)]
pub struct Issues {
    database: Database,
}

/// What a call changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    pub opened: u32,
    pub changed: u32,
}

impl Issues {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Applies the transitions that the rules gave up to `offset`, and moves `consumer` there, in
    /// one transaction.
    ///
    /// # Errors
    /// When the database is away (transient), or another owner of the rules is ahead.
    pub async fn apply(
        &self,
        consumer: &str,
        offset: Offset,
        transitions: &[AlertTransition],
    ) -> Result<Applied, StoreError> {
        let tx = Tx::begin(&self.database).await?;
        let mut applied = Applied::default();
        for transition in transitions {
            applied.add(apply_one(&tx, transition, offset.seq).await?);
        }
        advance_in(tx.client(), consumer, offset).await?;
        tx.commit().await?;
        Ok(applied)
    }

    /// The alerts that were told and not taken back, by alert id.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let client = self.database.work_client().await?;
        alerts::standing(&client).await
    }

    /// The alerts of these ids are over at log time `at`; their issues stay as they are.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn end_unreadable(&self, ids: &[String], at: UtcTime) -> Result<(), StoreError> {
        let client = self.database.work_client().await?;
        alerts::end(&client, ids, at).await
    }

    /// Takes the steps that are due by the mere passing of time up to log time `now`: closing after
    /// verification, the end of a snooze, the fate of a child whose parent closed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn apply_due(&self, now: UtcTime, log_seq: i64) -> Result<Applied, StoreError> {
        let tx = Tx::begin(&self.database).await?;
        let mut applied = Applied::default();
        for view in load::due(tx.client(), now, DUE_MAX).await? {
            for change in due_changes(&view, now) {
                let applier = Applier { client: tx.client(), at: now, log_seq };
                applied.add(applier.apply(&change).await?);
            }
        }
        tx.commit().await?;
        Ok(applied)
    }

    /// Checks the history of one issue against its chain of hashes.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn verify_chain(&self, issue_id: &str) -> Result<Option<ChainBreak>, StoreError> {
        history::verify(&self.database.client().await?, issue_id).await
    }
}

/// Opens an issue inside the caller's transaction; nothing when it exists.
pub(crate) async fn open_by_system(
    client: &crate::database::Connection,
    issue: &::alerts::issue::NewIssue,
    at: UtcTime,
) -> Result<(), StoreError> {
    let change = ::alerts::issue::IssueChange::Open(Box::new(issue.clone()));
    Applier { client, at, log_seq: 0 }.apply(&change).await?;
    Ok(())
}

/// Appends a fact to the history of an issue inside the caller's transaction.
pub(crate) async fn note_by_system(
    client: &crate::database::Connection,
    issue_id: &str,
    (text, facts): (&str, serde_json::Value),
    at: UtcTime,
) -> Result<(), StoreError> {
    change::note(client, issue_id, (text, facts), at).await
}

/// A move of an issue that its work order or its estimate makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemStep<'a> {
    pub(crate) from: ::alerts::issue::State,
    pub(crate) to: ::alerts::issue::State,
    pub(crate) actor: ::alerts::issue::Actor,
    pub(crate) who: &'a str,
    pub(crate) reason: &'a str,
}

/// Moves an issue by the closed table inside the caller's transaction; `fixed`: since when.
pub(crate) async fn move_by_system(
    client: &crate::database::Connection,
    issue_id: &str,
    step: &SystemStep<'_>,
    (at, fixed): (UtcTime, Option<UtcTime>),
) -> Result<(), StoreError> {
    let SystemStep { from, to, actor, who, reason } = *step;
    let step = change::Step { from, to, actor, who, reason };
    change::move_issue(client, issue_id, &step, (at, None), (fixed, fixed)).await?;
    change::notice(client, issue_id, at).await
}

/// What the field found of an issue: its cause, if known, and what was done.
pub(crate) async fn identify_by_field(
    client: &crate::database::Connection,
    issue_id: &str,
    (cause, action, actor): (Option<::alerts::Cause>, Option<&str>, &str),
    at: UtcTime,
) -> Result<(), StoreError> {
    change::identify(client, issue_id, (cause, action, actor), at).await
}

async fn apply_one(
    tx: &Tx,
    transition: &AlertTransition,
    log_seq: i64,
) -> Result<Applied, StoreError> {
    let client = tx.client();
    let key = (transition.subject, transition.family);
    let told = (transition.cause.word(), transition.condition_start);
    let current = load::newest(client, key, told).await?;
    let parent = match transition.parent {
        Some(subject) => {
            let of = (subject, transition.parent_family());
            load::newest(client, of, ("", transition.condition_start)).await?
        }
        None => None,
    };
    if let Some(heir) = heir(client, transition, current.as_ref()).await? {
        return tell_heir(tx, transition, heir, log_seq).await;
    }
    let changes = plan(transition, current.as_ref(), parent.as_ref());
    let applier = Applier { client, at: transition.at, log_seq };
    let mut applied = Applied::default();
    for change in &changes {
        applied.add(applier.apply(change).await?);
    }
    let issue_id = if changes.is_empty() {
        None
    } else {
        load::newest(client, key, told).await?.map(|view| view.issue_id)
    };
    let evidence = leak::note(client, transition, issue_id.as_deref()).await?;
    alerts::record(client, transition, issue_id.as_deref(), &evidence).await?;
    Ok(applied)
}

/// The open issue into which staff merged the one of this condition.
async fn heir(
    client: &crate::database::Connection,
    transition: &AlertTransition,
    current: Option<&::alerts::issue::IssueView>,
) -> Result<Option<String>, StoreError> {
    let Some(merged) = current.filter(|view| {
        let same = transition.condition_start <= view.closed_at.unwrap_or(view.condition_start);
        view.state == ::alerts::issue::State::Merged && same
    }) else {
        return Ok(None);
    };
    load::heir(client, &merged.issue_id).await
}

/// What a rule says of a condition whose issue was merged is evidence of the other issue.
async fn tell_heir(
    tx: &Tx,
    transition: &AlertTransition,
    heir: String,
    log_seq: i64,
) -> Result<Applied, StoreError> {
    let note = format!("{} {} ({})", transition.rule, transition.kind, transition.subject.kind());
    let counted = leak::note(tx.client(), transition, Some(&heir)).await?;
    alerts::record(tx.client(), transition, Some(&heir), &counted).await?;
    // The evidence of the other issue is of its own rule and stays.
    let evidence = Vec::new();
    let change =
        ::alerts::issue::IssueChange::Evidence { issue_id: heir, note, evidence, cleared_at: None };
    Applier { client: tx.client(), at: transition.at, log_seq }.apply(&change).await
}

impl Applied {
    fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.changed += other.changed;
    }
}
