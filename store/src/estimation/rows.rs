//! Records in and out of their table.

use metering::{ChannelNo, MeterId, UtcTime};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vee::estimate::{Inputs, MethodTrial, Scaling};
use vee::estimation::{Estimation, EstimationState, Trigger, next_state};

use super::{NewEstimation, StoredEstimation};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::types::Stamp;

/// Keeps a record; nothing when it is there already.
const INSERT: &str = "\
    INSERT INTO estimation (estimation_id, starts_at, ends_at, billing_from, total, p10, p90, \
        error_milli, bias_milli, meter_id, n_intervals, len_s, channel, method, method_version, \
        state, confidence, status, scaled, scaling, residual, issue_id, inputs, alternatives, \
        review, slot_values, values_hash, reason, iec_codes, nem12_quality, nem12_method, \
        nem12_reason, created_by, note, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $35) \
    ON CONFLICT (estimation_id) DO NOTHING RETURNING estimation_no";

macro_rules! stored_columns {
    () => {
        "SELECT estimation_no, estimation_id, meter_id, channel, starts_at, ends_at, len_s, \
         method, status, state, scaled, billing_from, slot_values, issue_id, true_up, bill_ids \
         FROM estimation "
    };
}
pub(super) use stored_columns;

const BY_NUMBER: &str = concat!(stored_columns!(), "WHERE estimation_no = $1");

const LOG: &str = "\
    INSERT INTO estimation_log (estimation_no, seq, from_state, to_state, at, actor, reason) \
    SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM estimation_log \
    WHERE estimation_no = $1";

const MOVE: &str = "\
    UPDATE estimation SET state = $2, updated_at = $3, \
        reviewed_by = coalesce($4, reviewed_by), \
        reviewed_at = CASE WHEN $4::text IS NULL THEN reviewed_at ELSE $3 END \
    WHERE estimation_no = $1";

/// The record with that number, or `None`.
///
/// # Errors
/// When the database is away.
pub async fn by_number(
    database: &Database,
    estimation_no: i64,
) -> Result<Option<StoredEstimation>, StoreError> {
    let query = StoreError::query("reading an estimation");
    let client = database.client().await?;
    let statement = client.prepare_cached(BY_NUMBER).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&estimation_no]).await.map_err(&query)?;
    row.as_ref().map(stored).transpose()
}

pub(super) fn stored(row: &Row) -> Result<StoredEstimation, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt { what: "estimation", detail };
    let state: &str = row.get(9);
    Ok(StoredEstimation {
        estimation_no: row.get(0),
        estimation_id: row.get(1),
        meter: MeterId::new(row.get(2)),
        channel: ChannelNo::new(row.get(3)),
        from: row.get::<_, Stamp>(4).0,
        to: row.get::<_, Stamp>(5).0,
        len_s: row.get(6),
        method: row.get(7),
        status: crate::day::status_of(row.get(8))?,
        state: state.parse().map_err(|_| corrupt(format!("state {state}")))?,
        scaled: row.get(10),
        billing_from: row.get::<_, Stamp>(11).0,
        values: row.get(12),
        issue_id: row.get(13),
        true_up: row.get(14),
        bill_ids: row.get(15),
    })
}

/// Keeps the record; its number, or `None` when it is there already.
pub(super) async fn insert(
    client: &Connection,
    new: &NewEstimation,
    issue_id: Option<&str>,
    at: UtcTime,
) -> Result<Option<i64>, StoreError> {
    let query = StoreError::query("keeping an estimation");
    let record = &new.record;
    let total: i128 = record.values.iter().map(|value| i128::from(*value)).sum();
    let bound = i128::from(metering::exact::STORED_MAX);
    let total = i64::try_from(total.clamp(-bound, bound)).unwrap_or(0);
    let count = i32::try_from(record.values.len()).unwrap_or(i32::MAX);
    let reviews: Vec<&str> = record.review.iter().map(|review| review.words()).collect();
    let (scaled, scaling) = scaling_words(record.scaling);
    let nem12_method = record.nem12.method.map(i16::from);
    let params: [&(dyn ToSql + Sync); 35] = [
        &record.id.to_string(),
        &Stamp(record.gap.from),
        &Stamp(record.gap.to),
        &Stamp(record.billing_from),
        &total,
        &record.confidence.p10,
        &record.confidence.p90,
        &record.confidence.error_milli,
        &record.confidence.bias_milli,
        &record.meter.get(),
        &count,
        &record.len_s,
        &record.channel.get(),
        &i16::from(record.method.number()),
        &i16::try_from(record.method_version).unwrap_or(i16::MAX),
        &record.state.word(),
        &record.confidence.class.letter().to_string(),
        &(record.status as i16),
        &scaled,
        &scaling,
        &format!("{}/{}", record.residual.num(), record.residual.den()),
        &issue_id,
        &inputs_json(&record.inputs),
        &alternatives_json(record, &new.alternatives),
        &reviews,
        &record.values,
        &record.values_hash.as_slice(),
        &i16::from(record.reason.number()),
        &record.iec_codes,
        &record.nem12.quality.to_string(),
        &nem12_method,
        &i16::from(record.nem12.reason),
        &record.created_by,
        &new.note,
        &Stamp(at),
    ];
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let row = client.query_opt(&statement, &params).await.map_err(&query)?;
    Ok(row.map(|row| row.get(0)))
}

fn scaling_words(scaling: Scaling) -> (bool, String) {
    match scaling {
        Scaling::Scaled { num, den } => (true, format!("{num}/{den}")),
        Scaling::Spread => (true, "the register's own share".to_owned()),
        Scaling::Measured => (true, "measured, in another shape".to_owned()),
        Scaling::Negative => (false, "the actual values exceed the register".to_owned()),
        Scaling::Unscaled(why) => (false, why.to_string()),
    }
}

fn inputs_json(inputs: &Inputs) -> Value {
    json!({
        "before": inputs.before,
        "after": inputs.after,
        "reference_days": inputs.reference_days.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "profile_id": inputs.profile_id,
        "register": inputs.registers.map(|window| json!({
            "open_at": window.open_at.to_string(), "close_at": window.close_at.to_string(),
            "open": window.open, "close": window.close, "advance": window.advance,
        })),
        "rates": inputs.rates.iter().map(|(rate, units)| json!({ "rate": rate, "left": units }))
            .collect::<Vec<_>>(),
    })
}

/// The chosen method's values are the record's own and left out here.
fn alternatives_json(record: &Estimation, trials: &[MethodTrial]) -> Value {
    trials
        .iter()
        .map(|trial| {
            let own = trial.values == record.values;
            json!({
                "method": trial.method.number(),
                "chosen": trial.chosen,
                "values": if own { Value::Null } else { json!(trial.values) },
                "refused": trial.refused.map(|why| why.to_string()),
                "score": trial.score.map(|score| json!({
                    "tests": score.tests, "bias_milli": score.bias_milli,
                    "mape_milli": score.mape_milli,
                })),
            })
        })
        .collect()
}

/// One step in the life of a record.
pub(super) struct Step<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) to: &'a str,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
}

pub(super) async fn log(
    client: &Connection,
    estimation_no: i64,
    step: &Step<'_>,
    at: UtcTime,
) -> Result<(), StoreError> {
    let query = StoreError::query("noting what became of an estimation");
    let statement = client.prepare_cached(LOG).await.map_err(&query)?;
    client
        .execute(
            &statement,
            &[&estimation_no, &step.from, &step.to, &Stamp(at), &step.actor, &step.reason],
        )
        .await
        .map_err(&query)?;
    Ok(())
}

/// Moves records that a routine found, all from one state by one trigger; gives their number.
pub(super) async fn move_all(
    client: &Connection,
    numbers: &[i64],
    (from, trigger, reason): (EstimationState, Trigger, &str),
    at: UtcTime,
) -> Result<u64, StoreError> {
    let Ok(to) = next_state(from, trigger) else { return Ok(0) };
    let step = Step { from: Some(from.word()), to: to.word(), actor: "engine", reason };
    for number in numbers {
        move_to(client, *number, &step, (at, None)).await?;
    }
    Ok(numbers.len() as u64)
}

/// Moves a record and notes it. `reviewer`: the person who decided.
pub(super) async fn move_to(
    client: &Connection,
    estimation_no: i64,
    step: &Step<'_>,
    (at, reviewer): (UtcTime, Option<&str>),
) -> Result<(), StoreError> {
    let query = StoreError::query("moving an estimation");
    let statement = client.prepare_cached(MOVE).await.map_err(&query)?;
    client
        .execute(&statement, &[&estimation_no, &step.to, &Stamp(at), &reviewer])
        .await
        .map_err(&query)?;
    log(client, estimation_no, step, at).await
}
