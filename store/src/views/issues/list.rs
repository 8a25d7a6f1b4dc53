//! The list of issues: worst then oldest first; what is over, newest first.

use metering::{Severity, Subject, UtcTime};

use super::evidence::evidence;
use super::{IssueCounts, IssueFilter, IssueRow, IssueSet};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask::{self, Columns, contains_pattern, exact};
use crate::views::page::{Cursor, Page, fetch_limit, page, part};
use crate::views::sql::{active_states, open_states};

/// One issue `x` with its subject, in the order of [`read_row`].
macro_rules! row_sql {
    () => {
        concat!(
            "SELECT x.issue_id, x.number, x.severity, \
             coalesce(x.identified_cause, x.cause_detected), x.family, x.state, x.subject_kind, \
             x.subject_id, coalesce(m.number, k.code, t.code, n.code, 'head-end'), \
             coalesce(u.address, k.name, n.name, ''), \
             coalesce(z.code, ''), coalesce(z.name, ''), coalesce(x.commodity, m.commodity), \
             u.time_zone, x.condition_start, x.detected_at, x.updated_at, x.cleared_at, \
             x.closed_at, x.acknowledged_at, x.acknowledged_by, x.snoozed_until, x.assignee, \
             (SELECT count(*) FROM meter_issue y WHERE y.parent_issue_id = x.issue_id \
               AND y.suppressed AND y.state IN ",
            open_states!(),
            "), x.evidence ",
            row_from!()
        )
    };
}

macro_rules! row_from {
    () => {
        "FROM meter_issue x \
         LEFT JOIN meter m ON x.subject_kind = 'meter' AND m.meter_id = x.subject_id \
         LEFT JOIN installation i ON i.meter_id = m.meter_id AND i.valid_to = 'infinity' \
         LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
         LEFT JOIN collector k ON x.subject_kind = 'collector' AND k.collector_id = x.subject_id \
         LEFT JOIN transformer t ON x.subject_kind = 'transformer' \
           AND t.transformer_id = x.subject_id \
         LEFT JOIN network_zone n ON x.subject_kind = 'zone' AND n.zone_id = x.subject_id \
         LEFT JOIN network_zone z ON z.zone_id = coalesce(u.zone_id, k.zone_id, t.zone_id, \
           n.zone_id) "
    };
}

/// Issue `x` is one that someone has to act on at `$1`.
macro_rules! acting {
    () => {
        concat!(
            "(x.state IN ",
            active_states!(),
            " AND NOT x.suppressed AND coalesce(x.snoozed_until, '-infinity') <= $1::timestamptz)"
        )
    };
}

/// Issue `x` is over.
macro_rules! over {
    () => {
        concat!("(x.state NOT IN ", open_states!(), ")")
    };
}

pub(super) use {row_from, row_sql};

/// The filters that lists share: `$2` set, `$3` family, `$4` severity, `$5` commodity, `$6` zone,
/// `$7` pattern, `$8` text.
macro_rules! filter_sql {
    () => {
        concat!(
            "WHERE CASE $2::text WHEN 'open' THEN ",
            acting!(),
            " WHEN 'urgent' THEN x.severity <= 2 AND ",
            acting!(),
            " WHEN 'unacknowledged' THEN x.acknowledged_at IS NULL AND ",
            acting!(),
            " WHEN 'leaks' THEN x.family = 'LEAK' AND ",
            acting!(),
            " WHEN 'silent' THEN x.family = 'COMM' AND ",
            acting!(),
            " WHEN 'fixed_pending' THEN x.state = 'FIXED_PENDING' AND NOT x.suppressed \
             WHEN 'snoozed' THEN x.snoozed_until > $1::timestamptz AND x.state IN ",
            open_states!(),
            " ELSE ",
            over!(),
            " END \
             AND ($3::text IS NULL OR x.family = $3) AND ($4::int2 IS NULL OR x.severity = $4) \
             AND ($5::text IS NULL OR coalesce(x.commodity, m.commodity) = $5) \
             AND ($6::text IS NULL OR z.code = $6) \
             AND ($7::text IS NULL OR x.number::text = ltrim($8::text, '#') \
               OR m.number ILIKE $7 OR k.code ILIKE $7 OR u.address ILIKE $7 OR replace( \
               coalesce(x.identified_cause, x.cause_detected), '_', ' ') ILIKE $7) "
        )
    };
}

/// Which issues wait, worst then oldest first, after `($9, $10, $11)`?
const WORST_FIRST: &str = concat!(
    row_sql!(),
    filter_sql!(),
    "AND ($9::int2 IS NULL OR (x.severity, x.condition_start, x.number) \
       > ($9, $10::timestamptz, $11::int8)) \
     ORDER BY x.severity, x.condition_start, x.number LIMIT $12"
);

/// Which issues are over, newest first, after `($10, $11)`? (`$9` is not used in this order.)
const NEWEST_FIRST: &str = concat!(
    row_sql!(),
    filter_sql!(),
    "AND ($9::int2 IS NULL OR (coalesce(x.closed_at, x.updated_at), x.number) \
       < ($10::timestamptz, $11::int8)) \
     ORDER BY coalesce(x.closed_at, x.updated_at) DESC, x.number DESC LIMIT $12"
);

/// One page of issues.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn list(
    db: &Database,
    filter: &IssueFilter,
    cursor: Option<&Cursor>,
    limit: u32,
    now: UtcTime,
) -> Result<Page<IssueRow>, StoreError> {
    let (severity, at, number) = match cursor.map(Cursor::parts::<3>).transpose()? {
        Some([severity, at, number]) => (
            Some(part::<i16>(severity)?),
            Some(Stamp(UtcTime::from_micros(part(at)?))),
            Some(part::<i64>(number)?),
        ),
        None => (None, None, None),
    };
    let over = filter.set == IssueSet::Closed;
    let rows = ask::all(
        db,
        "listing issues",
        if over { NEWEST_FIRST } else { WORST_FIRST },
        &[
            &Stamp(now),
            &filter.set.word(),
            &exact(filter.family.as_deref()),
            &filter.severity.map(Severity::number),
            &filter.commodity.map(metering::Commodity::word),
            &exact(filter.zone.as_deref()),
            &contains_pattern(filter.q.as_deref()),
            &exact(filter.q.as_deref()),
            &severity,
            &at,
            &number,
            &fetch_limit(limit),
        ],
        read_row,
    )
    .await?;
    Ok(page(rows, limit, |row| {
        let at = if over { row.closed_at.unwrap_or(row.updated_at) } else { row.condition_start };
        let severity = row.severity.number().to_string();
        Cursor::new([severity, at.micros().to_string(), row.number.to_string()])
    }))
}

/// The `n` worst issues that someone has to act on.
///
/// # Errors
/// When the database does not answer.
pub async fn worst(db: &Database, n: u32, now: UtcTime) -> Result<Vec<IssueRow>, StoreError> {
    Ok(list(db, &IssueFilter::default(), None, n, now).await?.items)
}

/// How many issues does each saved filter hold?
const COUNTS: &str = concat!(
    "SELECT count(*) FILTER (WHERE ",
    acting!(),
    "), count(*) FILTER (WHERE x.severity <= 2 AND ",
    acting!(),
    "), count(*) FILTER (WHERE x.acknowledged_at IS NULL AND ",
    acting!(),
    "), count(*) FILTER (WHERE x.family = 'LEAK' AND ",
    acting!(),
    "), count(*) FILTER (WHERE x.family = 'COMM' AND ",
    acting!(),
    "), count(*) FILTER (WHERE x.state = 'FIXED_PENDING' AND NOT x.suppressed), \
     count(*) FILTER (WHERE x.snoozed_until > $1::timestamptz AND x.state IN ",
    open_states!(),
    "), count(*) FILTER (WHERE ",
    over!(),
    ") FROM meter_issue x"
);

/// How many issues each saved filter holds.
///
/// # Errors
/// When the database does not answer.
pub async fn counts(db: &Database, now: UtcTime) -> Result<IssueCounts, StoreError> {
    let counts = ask::first(db, "counting issues", COUNTS, &[&Stamp(now)], |c| {
        Ok(IssueCounts {
            open: c.get()?,
            urgent: c.get()?,
            unacknowledged: c.get()?,
            leaks: c.get()?,
            silent: c.get()?,
            fixed_pending: c.get()?,
            snoozed: c.get()?,
            closed: c.get()?,
        })
    })
    .await?;
    Ok(counts.unwrap_or_default())
}

/// Which issues had this subject? Open ones first, then the newest.
const OF_SUBJECT: &str = concat!(
    row_sql!(),
    "WHERE x.subject_kind = $1 AND x.subject_id = $2 \
     ORDER BY ",
    over!(),
    ", x.condition_start DESC, x.number DESC LIMIT 200"
);

/// The issues of a meter or collector: open ones, then the newest; at most 200.
///
/// # Errors
/// When the database does not answer.
pub async fn of_subject(db: &Database, subject: Subject) -> Result<Vec<IssueRow>, StoreError> {
    let (kind, number) = (subject.kind(), subject.number());
    ask::all(db, "reading issues of a subject", OF_SUBJECT, &[&kind, &number], read_row).await
}

/// Which issue has the number `$1`?
const ONE: &str = concat!(row_sql!(), "WHERE x.number = $1");

/// The line of one issue, or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn row(db: &Database, number: i64) -> Result<Option<IssueRow>, StoreError> {
    ask::first(db, "reading an issue", ONE, &[&number], read_row).await
}

pub(super) fn read_row(c: &mut Columns<'_>) -> Result<IssueRow, StoreError> {
    let (issue_id, number, severity) = (c.get()?, c.get()?, c.severity()?);
    let (cause, family, state) = (c.get()?, c.get()?, c.get()?);
    let (kind, subject): (String, i32) = (c.get()?, c.get()?);
    Ok(IssueRow {
        issue_id,
        number,
        severity,
        cause,
        family,
        state,
        subject: Subject::from_parts(&kind, subject).unwrap_or(Subject::Headend),
        subject_name: c.get()?,
        address: c.get()?,
        zone_code: c.get()?,
        zone_name: c.get()?,
        commodity: c.maybe_word()?,
        time_zone: c.get()?,
        condition_start: c.time()?,
        detected_at: c.time()?,
        updated_at: c.time()?,
        cleared_at: c.maybe_time()?,
        closed_at: c.maybe_time()?,
        acknowledged_at: c.maybe_time()?,
        acknowledged_by: c.get()?,
        snoozed_until: c.maybe_time()?,
        assignee: c.get()?,
        children: c.get()?,
        evidence: evidence(&c.get()?),
    })
}
