//! What a person or a job decides of a record.

use metering::UtcTime;
use vee::estimate::Method;
use vee::estimation::{EstimationState, Trigger, next_state};

use super::apply::{Values, ensure, write};
use super::rows::{self, Step};
use super::slots::{SlotRange, locked, undo_in};
use super::{StoredEstimation, by_number, issue, settle};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;

const WHAT: &str = "deciding an estimation";

/// Moves a record by the closed table: accepting a proposal writes its values, rolling back takes
/// its slots back, finalising only forbids other estimates. Gives the new state.
///
/// # Errors
/// `Refused` when there is no such record, the table does not allow it, or a slot was measured
/// meanwhile; else when the database is away.
pub async fn act(
    database: &Database,
    estimation_no: i64,
    trigger: Trigger,
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<EstimationState, StoreError> {
    let missing = || StoreError::Refused {
        what: WHAT,
        detail: format!("there is no estimation {estimation_no}"),
    };
    let known = by_number(database, estimation_no).await?.ok_or_else(missing)?;
    ensure(database, (known.from, known.to)).await?;
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    let record = locked(client, estimation_no).await?.ok_or_else(missing)?;
    let to = next_state(record.state, trigger)
        .map_err(|error| StoreError::Refused { what: WHAT, detail: error.to_string() })?;
    match trigger {
        Trigger::Accept => accept(client, &record, (actor, reason), at).await?,
        Trigger::RollBack => {
            let range = SlotRange {
                meter: record.meter,
                channel: record.channel,
                from: record.from,
                to: record.to,
                ends: std::collections::BTreeSet::new(),
            };
            undo_in(client, (&range, Some(estimation_no)), (actor, reason), at).await?;
        }
        _ => {}
    }
    // Taking back the last slot has moved it already.
    let now = locked(client, estimation_no).await?.ok_or_else(missing)?;
    if now.state != to {
        let step = Step { from: Some(now.state.word()), to: to.word(), actor, reason };
        rows::move_to(client, estimation_no, &step, (at, Some(actor))).await?;
    }
    tx.commit().await?;
    Ok(to)
}

async fn accept(
    client: &Connection,
    record: &StoredEstimation,
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<(), StoreError> {
    let method =
        u8::try_from(record.method).ok().and_then(Method::from_number).ok_or_else(|| {
            StoreError::Corrupt { what: "estimation method", detail: record.method.to_string() }
        })?;
    let values = Values {
        estimation_no: record.estimation_no,
        range: (record.from, record.to),
        len_s: record.len_s,
        values: &record.values,
        status: record.status,
        method,
        actor,
        note: reason,
    };
    write(client, (record.meter, record.channel), &values, at).await?;
    match &record.issue_id {
        Some(id) => {
            issue::note(client, id, &values, at).await?;
            settle::close_gap_issue(client, id, (at, record.to)).await
        }
        None => Ok(()),
    }
}
