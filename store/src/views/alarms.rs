//! Is the staff told too much, and what is silenced?

use metering::{RuleNo, Severity, Subject, UtcTime};

use super::ask::{self, Columns};
use super::page::LIMIT_MAX;
use super::sql::active_states;
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Ten minutes of log time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KpiRow {
    /// END of the ten minutes.
    pub at: UtcTime,
    pub raised: i32,
    pub annunciated: i32,
    pub flood: bool,
    pub chattering: i32,
    pub stale: i32,
    /// Share of the ten busiest in all that was announced.
    pub bad_actor_permille: i32,
}

/// A source of many announcements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadActor {
    pub rule_no: Option<RuleNo>,
    pub subject: Option<Subject>,
    pub subject_name: String,
    pub announced: i64,
}

/// What is silenced, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShelfRow {
    pub id: i64,
    pub rule_no: Option<RuleNo>,
    pub subject: Option<Subject>,
    pub subject_name: String,
    pub severity: Option<Severity>,
    pub from: UtcTime,
    pub until: UtcTime,
    pub actor: String,
    pub reason: String,
    /// `shelved` or `out_of_service`.
    pub kind: String,
    pub ended_at: Option<UtcTime>,
    pub ended_by: Option<String>,
}

/// One announcement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnunciationRow {
    pub at: UtcTime,
    pub kind: String,
    pub severity: Severity,
    pub step: i16,
    pub rule_no: Option<RuleNo>,
    pub in_flood: bool,
    pub text: String,
    pub issue_number: Option<i64>,
}

/// Open issues on which someone has to act, by severity P1 to P4, and those that nobody
/// acknowledged for more than a day (P1 and P2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenBySeverity {
    pub open: [i64; 4],
    pub stale: i64,
}

const WHAT: &str = "reading alarms";

fn rule_no(number: Option<i16>) -> Option<RuleNo> {
    number.and_then(|number| u8::try_from(number).ok()).and_then(RuleNo::new)
}

/// How busy was each ten minutes since `$1`?
const KPIS: &str = "SELECT at, raised, annunciated, flood, chattering, stale, bad_actor_permille \
     FROM alarm_kpi WHERE at > $1 AND at <= $2 ORDER BY at LIMIT 10000";

/// The ten-minute figures of a stretch, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn kpis(
    db: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<KpiRow>, StoreError> {
    ask::all(db, WHAT, KPIS, &[&Stamp(from), &Stamp(to)], |c| {
        Ok(KpiRow {
            at: c.time()?,
            raised: c.get()?,
            annunciated: c.get()?,
            flood: c.get()?,
            chattering: c.get()?,
            stale: c.get()?,
            bad_actor_permille: c.get()?,
        })
    })
    .await
}

/// Which sources were announced most since `$1`?
const BAD_ACTORS: &str = "SELECT nullif(n.rule_no, 0), a.subject_kind, a.subject_id, \
     coalesce(m.number, k.code, t.code, z.code, ''), count(*) FROM annunciation n \
     LEFT JOIN alert a ON a.alert_id = n.alert_id \
     LEFT JOIN meter m ON a.subject_kind = 'meter' AND m.meter_id = a.subject_id \
     LEFT JOIN collector k ON a.subject_kind = 'collector' AND k.collector_id = a.subject_id \
     LEFT JOIN transformer t ON a.subject_kind = 'transformer' AND t.transformer_id = a.subject_id \
     LEFT JOIN network_zone z ON a.subject_kind = 'zone' AND z.zone_id = a.subject_id \
     WHERE n.at > $1 AND n.at <= $2 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 4 LIMIT $3";

/// The sources that were announced most, busiest first.
///
/// # Errors
/// When the database does not answer.
pub async fn bad_actors(
    db: &Database,
    (from, to): (UtcTime, UtcTime),
    limit: u32,
) -> Result<Vec<BadActor>, StoreError> {
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, WHAT, BAD_ACTORS, &[&Stamp(from), &Stamp(to), &limit], |c| {
        Ok(BadActor {
            rule_no: rule_no(c.get()?),
            subject: subject(c.get()?, c.get()?),
            subject_name: c.get()?,
            announced: c.get()?,
        })
    })
    .await
}

fn subject(kind: Option<&str>, number: Option<i32>) -> Option<Subject> {
    Subject::from_parts(kind?, number?)
}

/// What is silenced at `$1`, or was (`$2`)?
const SHELVES: &str = "SELECT s.shelve_id, s.rule_no, s.subject_kind, s.subject_id, \
     coalesce(m.number, k.code, t.code, z.code, ''), s.severity, s.from_at, s.until_at, s.actor, \
     s.reason, s.kind, s.ended_at, s.ended_by FROM shelve s \
     LEFT JOIN meter m ON s.subject_kind = 'meter' AND m.meter_id = s.subject_id \
     LEFT JOIN collector k ON s.subject_kind = 'collector' AND k.collector_id = s.subject_id \
     LEFT JOIN transformer t ON s.subject_kind = 'transformer' AND t.transformer_id = s.subject_id \
     LEFT JOIN network_zone z ON s.subject_kind = 'zone' AND z.zone_id = s.subject_id \
     WHERE (s.ended_at IS NULL AND s.until_at > $1::timestamptz) <> $2::bool \
     ORDER BY CASE WHEN $2 THEN s.shelve_id END DESC, s.until_at, s.shelve_id LIMIT $3";

/// What is silenced now, the next to end first; with `past`, what was, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn shelves(
    db: &Database,
    past: bool,
    limit: u32,
    now: UtcTime,
) -> Result<Vec<ShelfRow>, StoreError> {
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, WHAT, SHELVES, &[&Stamp(now), &past, &limit], |c| {
        Ok(ShelfRow {
            id: c.get()?,
            rule_no: rule_no(c.get()?),
            subject: subject(c.get()?, c.get()?),
            subject_name: c.get()?,
            severity: c.get::<Option<i16>>()?.and_then(Severity::from_number),
            from: c.time()?,
            until: c.time()?,
            actor: c.get()?,
            reason: c.get()?,
            kind: c.get()?,
            ended_at: c.maybe_time()?,
            ended_by: c.get()?,
        })
    })
    .await
}

/// What was announced last?
const ANNOUNCED: &str = "SELECT n.at, n.kind, n.severity, n.step, nullif(n.rule_no, 0), \
     n.in_flood, n.text, x.number FROM annunciation n \
     LEFT JOIN alert a ON a.alert_id = n.alert_id \
     LEFT JOIN meter_issue x ON x.issue_id = a.issue_id \
     WHERE n.at <= $1 ORDER BY n.at DESC, n.annunciation_id DESC LIMIT $2";

/// What was announced last, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn announced(
    db: &Database,
    limit: u32,
    now: UtcTime,
) -> Result<Vec<AnnunciationRow>, StoreError> {
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, WHAT, ANNOUNCED, &[&Stamp(now), &limit], |c| {
        Ok(AnnunciationRow {
            at: c.time()?,
            kind: c.get()?,
            severity: c.severity()?,
            step: c.get()?,
            rule_no: rule_no(c.get()?),
            in_flood: c.get()?,
            text: c.get()?,
            issue_number: c.get()?,
        })
    })
    .await
}

/// What waits for somebody, by severity?
const OPEN: &str = concat!(
    "SELECT count(*) FILTER (WHERE severity = 1), count(*) FILTER (WHERE severity = 2), \
     count(*) FILTER (WHERE severity = 3), count(*) FILTER (WHERE severity = 4), \
     count(*) FILTER (WHERE severity <= 2 AND acknowledged_at IS NULL \
       AND detected_at < $1::timestamptz - interval '24 hours') FROM meter_issue \
     WHERE state IN ",
    active_states!(),
    " AND NOT suppressed AND coalesce(snoozed_until, '-infinity') <= $1"
);

/// Open issues by severity.
///
/// # Errors
/// When the database does not answer.
pub async fn open_by_severity(db: &Database, now: UtcTime) -> Result<OpenBySeverity, StoreError> {
    let read = |c: &mut Columns<'_>| {
        Ok(OpenBySeverity { open: [c.get()?, c.get()?, c.get()?, c.get()?], stale: c.get()? })
    };
    Ok(ask::first(db, WHAT, OPEN, &[&Stamp(now)], read).await?.unwrap_or_default())
}
