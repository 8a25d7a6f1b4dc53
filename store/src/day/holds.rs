//! What checks of closed days keep from bills until a person has looked, and its release.

use std::collections::BTreeSet;

use metering::{ChannelNo, MeterId, QualityStatus, RuleNo, UtcTime};

use crate::database::Database;
use crate::error::StoreError;
use crate::estimation::BestSlot;
use crate::types::Stamp;

/// A stretch of a closed day that a bill must not use without a look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayHold {
    /// `interval`, `demand`, `tou_split` or `review`: which use of the values is held.
    pub kind: String,
    pub rule: Option<RuleNo>,
    pub from: UtcTime,
    pub to: UtcTime,
    /// Who released it, when, and why.
    pub released: Option<(String, UtcTime, String)>,
}

const WHAT: &str = "holds of closed days";

const HOLDS: &str = "\
    SELECT kind, rule_no, from_at, to_at, released_by, released_at, released_note FROM day_hold \
    WHERE meter_id = $1 AND channel = $2 AND from_at < $4 AND to_at > $3 \
    ORDER BY from_at, to_at, kind, rule_no, starts_at";
const RELEASE: &str = "\
    UPDATE day_hold SET released_at = $5, released_by = $6, released_note = $7 \
    WHERE meter_id = $1 AND channel = $2 AND from_at < $4 AND to_at > $3 \
        AND released_at IS NULL";

/// Holds that touch `[from, to)` of the channel, in order of time, released ones too.
///
/// # Errors
/// When the database is away.
pub async fn holds(
    database: &Database,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<DayHold>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(HOLDS).await.map_err(&query)?;
    let (meter, channel) = (meter.get(), channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(from), &Stamp(to)])
        .await
        .map_err(&query)?;
    let hold = |row: &tokio_postgres::Row| {
        let by: Option<String> = row.get(4);
        let at: Option<Stamp> = row.get(5);
        DayHold {
            kind: row.get(0),
            rule: u8::try_from(row.get::<_, i16>(1)).ok().and_then(RuleNo::new),
            from: row.get::<_, Stamp>(2).0,
            to: row.get::<_, Stamp>(3).0,
            released: by.zip(at).map(|(by, at)| (by, at.0, row.get(6))),
        }
    };
    Ok(rows.iter().map(hold).collect())
}

/// Releases the holds that touch `[from, to)` of the channel; gives their number. A release stays
/// when the day is judged again.
///
/// # Errors
/// When the database is away.
pub async fn release_holds(
    database: &Database,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
    (actor, reason, at): (&str, &str, UtcTime),
) -> Result<u64, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(RELEASE).await.map_err(&query)?;
    let (meter, channel) = (meter.get(), channel.get());
    let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&meter, &channel, &Stamp(from), &Stamp(to), &Stamp(at), &actor, &reason];
    client.execute(&statement, values).await.map_err(&query)
}

/// Stretches that open issues of the meter hold back, and closed ones whose hold nobody released.
const ISSUES: &str = "\
    SELECT billing_hold_from, coalesce(billing_hold_to, 'infinity') FROM meter_issue \
    WHERE subject_kind = 'meter' AND subject_id = $1 AND (channel IS NULL OR channel = $2) \
        AND billing_hold_from < $4 AND coalesce(billing_hold_to, 'infinity') > $3 \
        AND billing_hold_released_by IS NULL";

/// Leaves out the values that a check or an issue holds and nobody has decided: the program's own
/// verdict does not outweigh its doubt, a person's or an estimate in its place does.
pub(crate) async fn without_held(
    database: &Database,
    key: (MeterId, ChannelNo),
    span: (UtcTime, UtcTime),
    slots: &mut Vec<BestSlot>,
) -> Result<(), StoreError> {
    let held = holds(database, key, span).await?;
    let mut held: BTreeSet<(UtcTime, UtcTime)> = held
        .iter()
        .filter(|hold| hold.kind == "interval" && hold.released.is_none())
        .map(|hold| (hold.from, hold.to))
        .collect();
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let statement = client.prepare_cached(ISSUES).await.map_err(&query)?;
    let (meter, channel) = (key.0.get(), key.1.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(span.0), &Stamp(span.1)])
        .await
        .map_err(&query)?;
    held.extend(rows.iter().map(|row| (row.get::<_, Stamp>(0).0, row.get::<_, Stamp>(1).0)));
    slots.retain(|slot| {
        slot.status != QualityStatus::Validated
            || !held.iter().any(|(from, to)| slot.end > *from && slot.end <= *to)
    });
    Ok(())
}
