//! Making orders and taking what the field tells.

use alerts::issue::{Actor, State};
use metering::{LogRecord, Subject, UtcTime, WorkOrder, WorkOrderKind, WorkOrderStatus};
use tokio_postgres::Row;

use super::{FIX_ACTIONS, Findings, NewWorkOrder, Taken, Told, reads};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::{append_records, log_day};
use crate::issues::{SystemStep, identify_by_field, move_by_system, note_by_system};
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "ordering work";
/// Reads lie around their visit: 31 days.
const READ_AWAY_S: i64 = 31 * 86_400;

const INSERT: &str = "\
    INSERT INTO work_order (ext_system, ext_id, subject_kind, subject_id, kind, status, severity, \
        action, parts, safety, at, created_at, updated_at, created_by, assignee, old_serial) \
    SELECT $1, $2, $3, $4, $5, 'created', $6, $7, $8, $9, $10, $11, $11, $12, $13, \
        (SELECT nullif(m.serial, '') FROM meter m WHERE $3 = 'meter' AND m.meter_id = $4) \
    RETURNING number";
const EXTERNAL: &str = "SELECT number FROM work_order WHERE ext_system = $1 AND ext_id = $2";
const SERVE: &str = "\
    INSERT INTO work_order_issue (number, issue_id) SELECT $1, issue_id FROM meter_issue \
    WHERE number = $2 ON CONFLICT DO NOTHING";
const STATUS: &str = "\
    INSERT INTO work_order_status (number, status, at, recorded_at, actor, note) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const LOCK: &str = "\
    SELECT subject_kind, subject_id, kind, status FROM work_order WHERE number = $1 FOR UPDATE";
const SET: &str = "\
    UPDATE work_order SET status = $2, at = $3, updated_at = $4, \
        completed_at = CASE WHEN $2 = 'completed' THEN $3 ELSE completed_at END, \
        findings_cause = coalesce($5, findings_cause), \
        findings_note = CASE WHEN $6 = '' THEN findings_note ELSE $6 END, \
        fix_action = coalesce($7, fix_action), new_serial = coalesce($8, new_serial), \
        final_raw = coalesce($9, final_raw), initial_raw = coalesce($10, initial_raw) \
    WHERE number = $1";
const ISSUES: &str = "\
    SELECT x.issue_id, x.state FROM work_order_issue w JOIN meter_issue x USING (issue_id) \
    WHERE w.number = $1 ORDER BY x.number FOR UPDATE OF x";
/// Is another order of the issue still open?
const OTHERS: &str = "\
    SELECT EXISTS (SELECT 1 FROM work_order_issue w JOIN work_order o USING (number) \
        WHERE w.issue_id = $1 AND o.number <> $2 AND o.status IN ('created', 'assigned'))";

/// Makes an order and moves the issues that it serves to WORK_ORDERED; gives its number. The same
/// number of another system again gives the order that it made before.
///
/// # Errors
/// `Refused` when an issue does not exist or is over; else when the database is away.
pub async fn create(
    database: &Database,
    new: &NewWorkOrder,
    actor: &str,
    at: UtcTime,
) -> Result<i64, StoreError> {
    ensure(database, at, None).await?;
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    if !new.ext_id.is_empty()
        && let Some(row) = optional(client, EXTERNAL, &[&new.ext_system, &new.ext_id]).await?
    {
        tx.rollback().await;
        return Ok(row.get(0));
    }
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let (kind, id) = (new.subject.kind(), new.subject.number());
    let row = client
        .query_one(
            &statement,
            &[
                &new.ext_system,
                &new.ext_id,
                &kind,
                &id,
                &new.kind.word(),
                &new.severity.number(),
                &new.action,
                &new.parts,
                &new.safety,
                &Stamp(new.at),
                &Stamp(at),
                &actor,
                &new.assignee,
            ],
        )
        .await
        .map_err(&query)?;
    let number: i64 = row.get(0);
    for issue in &new.issues {
        let served = execute(client, SERVE, &[&number, issue]).await?;
        if served == 0 {
            let detail = format!("there is no issue {issue}");
            return Err(StoreError::Refused { what: WHAT, detail });
        }
    }
    let status = WorkOrderStatus::Created.word();
    execute(client, STATUS, &[&number, &status, &Stamp(at), &Stamp(at), &actor, &""]).await?;
    for (issue_id, state) in issues(client, number).await? {
        serve(client, (&issue_id, state), number, (actor, at)).await?;
    }
    let order = WorkOrder {
        number,
        subject: new.subject,
        kind: new.kind,
        status: WorkOrderStatus::Created,
        at: new.at,
    };
    append_records(client, at, &[LogRecord::WorkOrder(order)]).await?;
    tx.commit().await?;
    Ok(number)
}

/// An order was made for the issue: through OPEN where the table asks for it.
async fn serve(
    client: &Connection,
    (issue_id, state): (&str, State),
    number: i64,
    (actor, at): (&str, UtcTime),
) -> Result<(), StoreError> {
    let reason = format!("work order {number}");
    let path: &[(State, Actor)] = match state {
        State::Detected => &[(State::Open, Actor::User), (State::WorkOrdered, Actor::User)],
        State::Reopened => &[(State::Open, Actor::Engine), (State::WorkOrdered, Actor::User)],
        State::Open => &[(State::WorkOrdered, Actor::User)],
        State::WorkOrdered | State::FixedPending => {
            let facts = serde_json::json!({ "work_order": number });
            return note_by_system(client, issue_id, (&reason, facts), at).await;
        }
        _ => {
            let detail = format!("issue {issue_id} is {state} already");
            return Err(StoreError::Refused { what: WHAT, detail });
        }
    };
    let mut from = state;
    for (to, kind) in path {
        let step = SystemStep { from, to: *to, actor: *kind, who: actor, reason: &reason };
        move_by_system(client, issue_id, &step, (at, None)).await?;
        from = *to;
    }
    Ok(())
}

/// Takes what the field tells of an order. Completion moves its issues to FIXED_PENDING and stores
/// the reads; cancellation takes them back to OPEN, unless another order is open.
///
/// # Errors
/// `Refused` when there is no such order, it is over, the findings name no known cause or action, a
/// completed order has neither, or an exchange has not both reads and no note that says why; else
/// when the database is away. Nothing is changed then.
pub async fn tell(
    database: &Database,
    number: i64,
    told: &Told,
    actor: &str,
    at: UtcTime,
) -> Result<Taken, StoreError> {
    let findings = told.findings.clone().unwrap_or_default();
    check(&findings, told.at)?;
    ensure(database, at, Some(&findings)).await?;
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    let (subject, kind, before) = locked(client, number).await?;
    if told.status == WorkOrderStatus::Completed {
        complete(kind, &findings, &told.note)?;
    }
    let status = told.status.word();
    let new = execute(
        client,
        STATUS,
        &[&number, &status, &Stamp(told.at), &Stamp(at), &actor, &told.note],
    )
    .await?;
    if new == 0 {
        tx.rollback().await;
        return Ok(Taken { is_new: false, moved: 0, reads: 0 });
    }
    if matches!(before, WorkOrderStatus::Completed | WorkOrderStatus::Cancelled) {
        let detail = format!("work order {number} is {before} already");
        return Err(StoreError::Refused { what: WHAT, detail });
    }
    set(client, number, told, (&findings, at)).await?;
    let taken = Taken {
        is_new: true,
        moved: settle(client, number, told, (&findings, actor, at)).await?,
        reads: reads::store(client, subject, &findings, at).await?,
    };
    let order = WorkOrder { number, subject, kind, status: told.status, at: told.at };
    append_records(client, at, &[LogRecord::WorkOrder(order)]).await?;
    tx.commit().await?;
    Ok(taken)
}

fn check(findings: &Findings, at: UtcTime) -> Result<(), StoreError> {
    let refuse = |detail: String| Err(StoreError::Refused { what: "taking findings", detail });
    for read in [findings.final_read, findings.initial_read].into_iter().flatten() {
        // A typing error in the year would make partitions that nobody needs.
        if read.read_at.seconds_since(at).abs() > READ_AWAY_S {
            return refuse(format!("a read of {} is too far from the visit", read.read_at));
        }
    }
    if let Some(cause) = findings.cause
        && !cause.is_identifiable()
    {
        return refuse(format!("{cause} is what a rule suspects: write the cause that was found"));
    }
    match &findings.fix_action {
        Some(action) if !FIX_ACTIONS.contains(&action.as_str()) => {
            refuse(format!("`{action}` is none of: {}", FIX_ACTIONS.join(", ")))
        }
        _ => Ok(()),
    }
}

/// A completed visit says what was found or done; an exchange brings the last read of the old
/// counter and the first of the new one, or a note why not (`metering-rules` 4.5).
fn complete(kind: WorkOrderKind, findings: &Findings, note: &str) -> Result<(), StoreError> {
    let refuse = |detail: &str| {
        Err(StoreError::Refused { what: "taking findings", detail: detail.to_owned() })
    };
    if findings.cause.is_none() && findings.fix_action.is_none() {
        return refuse("a completed order says what was found, or what was done");
    }
    let is_exchange = match &findings.fix_action {
        Some(action) => action == "exchanged",
        None => kind == WorkOrderKind::Exchange,
    };
    let lacks_read = findings.final_read.is_none() || findings.initial_read.is_none();
    if is_exchange && lacks_read && note.trim().is_empty() {
        return refuse(
            "an exchange brings the old meter's final read and the new one's initial read; \
             without them write in the note why not",
        );
    }
    Ok(())
}

async fn locked(
    client: &Connection,
    number: i64,
) -> Result<(Subject, WorkOrderKind, WorkOrderStatus), StoreError> {
    let row = optional(client, LOCK, &[&number]).await?.ok_or_else(|| StoreError::Refused {
        what: WHAT,
        detail: format!("there is no work order {number}"),
    })?;
    let corrupt = || StoreError::Corrupt { what: "work order", detail: number.to_string() };
    let subject = Subject::from_parts(row.get(0), row.get(1)).ok_or_else(corrupt)?;
    let kind = row.get::<_, &str>(2).parse().map_err(|_| corrupt())?;
    let status = row.get::<_, &str>(3).parse().map_err(|_| corrupt())?;
    Ok((subject, kind, status))
}

async fn set(
    client: &Connection,
    number: i64,
    told: &Told,
    (findings, at): (&Findings, UtcTime),
) -> Result<(), StoreError> {
    let cause = findings.cause.map(|cause| cause.word());
    let final_raw = findings.final_read.map(|read| read.raw);
    let initial_raw = findings.initial_read.map(|read| read.raw);
    execute(
        client,
        SET,
        &[
            &number,
            &told.status.word(),
            &Stamp(told.at),
            &Stamp(at),
            &cause,
            &told.note,
            &findings.fix_action,
            &findings.new_serial,
            &final_raw,
            &initial_raw,
        ],
    )
    .await?;
    Ok(())
}

/// Moves the issues that the order serves; gives their number.
async fn settle(
    client: &Connection,
    number: i64,
    told: &Told,
    (findings, actor, at): (&Findings, &str, UtcTime),
) -> Result<u32, StoreError> {
    let mut moved = 0;
    for (issue_id, state) in issues(client, number).await? {
        if told.status == WorkOrderStatus::Completed {
            let action = findings.fix_action.as_deref();
            identify_by_field(client, &issue_id, (findings.cause, action, actor), at).await?;
        }
        let to = match told.status {
            WorkOrderStatus::Completed => State::FixedPending,
            WorkOrderStatus::Cancelled => State::Open,
            _ => continue,
        };
        let others = optional(client, OTHERS, &[&issue_id, &number]).await?;
        let is_last = !others.is_some_and(|row| row.get(0));
        if state != State::WorkOrdered || !is_last {
            continue;
        }
        let reason = format!("work order {number} {}", told.status);
        let step =
            SystemStep { from: state, to, actor: Actor::System, who: actor, reason: &reason };
        let fixed = (to == State::FixedPending).then_some(told.at);
        move_by_system(client, &issue_id, &step, (at, fixed)).await?;
        moved += 1;
    }
    Ok(moved)
}

async fn issues(client: &Connection, number: i64) -> Result<Vec<(String, State)>, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(ISSUES).await.map_err(&query)?;
    let rows = client.query(&statement, &[&number]).await.map_err(&query)?;
    rows.iter()
        .map(|row| {
            let state: &str = row.get(1);
            let state = state.parse().map_err(|_| StoreError::Corrupt {
                what: "meter issue",
                detail: format!("state `{state}`"),
            })?;
            Ok((row.get(0), state))
        })
        .collect()
}

async fn ensure(
    database: &Database,
    at: UtcTime,
    findings: Option<&Findings>,
) -> Result<(), StoreError> {
    let mut touched = Touched::default();
    touched.add(Table::EventLog, log_day(at));
    let reads = findings.into_iter().flat_map(|f| [f.final_read, f.initial_read]).flatten();
    for read in reads {
        touched.add(Table::RegisterRead, read.read_at.utc_day());
    }
    database.ensure_partitions(&touched).await
}

async fn execute(
    client: &Connection,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<u64, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(sql).await.map_err(&query)?;
    client.execute(&statement, params).await.map_err(&query)
}

async fn optional(
    client: &Connection,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Option<Row>, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(sql).await.map_err(&query)?;
    client.query_opt(&statement, params).await.map_err(&query)
}
