//! Keeping records and writing their values.

use metering::{DeviceFlags, QualityStatus, RuleMask, UtcTime};
use vee::estimate::{Method, is_usable};
use vee::estimation::{Estimation, EstimationState, Trigger, next_state};

use super::rows::{self, Step, stored, stored_columns};
use super::slots::{best_slots, is_in_use};
use super::{Kept, NewEstimation, StoredEstimation, issue, late, settle};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, Source, append};

/// Records in force, or waiting, that overlap a stretch of a channel.
const OVERLAPPING: &str = concat!(
    stored_columns!(),
    "WHERE meter_id = $1 AND channel = $2 AND starts_at < $4 AND ends_at > $3 \
     AND state IN ('PROPOSED', 'APPLIED', 'FINAL', 'EDITED') ORDER BY estimation_no FOR UPDATE"
);
/// No clock change is longer.
const CLOCK_CHANGE_MAX_S: i64 = 2 * 3_600;
const KNOWN: &str = concat!(stored_columns!(), "WHERE estimation_id = $1");

/// Keeps a record and, unless it is a proposal, makes a version of each of its slots. Records that
/// it replaces are moved by the closed table. The same record again changes nothing, unless it was
/// taken back or replaced and a person wants it again.
///
/// # Errors
/// `Refused` when a slot holds a usable actual value (I2; an edit may replace one), or a final
/// estimate stands there; else when the database is away. Nothing is kept then.
pub async fn apply(
    database: &Database,
    new: &NewEstimation,
    at: UtcTime,
) -> Result<Kept, StoreError> {
    ensure(database, (new.record.gap.from, new.record.gap.to)).await?;
    let tx = Tx::begin(database).await?;
    let kept = apply_in(tx.client(), new, at).await?;
    tx.commit().await?;
    Ok(kept)
}

pub(super) async fn ensure(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<(), StoreError> {
    let mut touched = Touched::default();
    for day in from.utc_day()..=to.utc_day() {
        touched.add(Table::IntervalException, day);
    }
    database.ensure_partitions(&touched).await
}

pub(super) async fn apply_in(
    client: &Connection,
    new: &NewEstimation,
    at: UtcTime,
) -> Result<Kept, StoreError> {
    let record = &new.record;
    let query = StoreError::query("keeping an estimation");
    let id = record.id.to_string();
    let known = client.prepare_cached(KNOWN).await.map_err(&query)?;
    if let Some(row) = client.query_opt(&known, &[&id]).await.map_err(&query)? {
        let known = stored(&row)?;
        if let Ok(to) = next_state(known.state, Trigger::Restore)
            && is_wanted_again(new)
        {
            return put_back(client, new, (&known, to), at).await;
        }
        return Ok(Kept {
            estimation_no: known.estimation_no,
            is_new: false,
            state: known.state,
            issue_id: known.issue_id,
            versions: 0,
        });
    }
    let issue_id = match &record.issue {
        Some(id) => Some(id.clone()),
        None => match corrected(client, record).await? {
            Some(owners) => issue::of_correction(client, record, &owners, at).await?,
            None => Some(issue::explaining(client, record, at).await?),
        },
    };
    let kept_no = rows::insert(client, new, issue_id.as_deref(), at).await?;
    let estimation_no = kept_no.ok_or_else(|| StoreError::Refused {
        what: "keeping an estimation",
        detail: format!("{id} was kept now"),
    })?;
    let step = Step {
        from: None,
        to: record.state.word(),
        actor: &record.created_by,
        reason: if new.note.is_empty() { "estimated" } else { &new.note },
    };
    rows::log(client, estimation_no, &step, at).await?;
    let mut kept = Kept { estimation_no, is_new: true, state: record.state, issue_id, versions: 0 };
    if record.state != EstimationState::Proposed {
        let values = values_of(new, estimation_no);
        kept.versions = write(client, (record.meter, record.channel), &values, at).await?;
        if let Some(issue_id) = &kept.issue_id {
            issue::note(client, issue_id, &values, at).await?;
            settle::close_gap_issue(client, issue_id, (at, record.gap.to)).await?;
        }
    }
    Ok(kept)
}

/// A person has a reason, the nightly job none: what people took back it leaves alone.
fn is_wanted_again(new: &NewEstimation) -> bool {
    !new.note.is_empty() && new.record.state != EstimationState::Proposed
}

/// Writes the values of a record that is there already but not in force, which it is then.
async fn put_back(
    client: &Connection,
    new: &NewEstimation,
    (known, to): (&StoredEstimation, EstimationState),
    at: UtcTime,
) -> Result<Kept, StoreError> {
    let values = values_of(new, known.estimation_no);
    let (meter, channel) = (known.meter, known.channel);
    let versions = write(client, (meter, channel), &values, at).await?;
    let step = Step {
        from: Some(known.state.word()),
        to: to.word(),
        actor: values.actor,
        reason: values.note,
    };
    rows::move_to(client, known.estimation_no, &step, (at, None)).await?;
    let issue_id = known.issue_id.clone();
    if let Some(id) = &issue_id {
        issue::note(client, id, &values, at).await?;
        settle::close_gap_issue(client, id, (at, known.to)).await?;
    }
    let estimation_no = known.estimation_no;
    Ok(Kept { estimation_no, is_new: false, state: to, issue_id, versions })
}

fn values_of(new: &NewEstimation, estimation_no: i64) -> Values<'_> {
    let record = &new.record;
    Values {
        estimation_no,
        range: (record.gap.from, record.gap.to),
        len_s: record.len_s,
        values: &record.values,
        status: record.status,
        method: record.method,
        actor: &record.created_by,
        note: &new.note,
    }
}

/// Of an edit of intervals that all have a measured value, or one that a person wrote before: the
/// records of the latter. `None` when a gap, a doubt or an estimate is among them, or it is no
/// edit.
async fn corrected(
    client: &Connection,
    record: &Estimation,
) -> Result<Option<Vec<i64>>, StoreError> {
    if record.method != Method::Edit {
        return Ok(None);
    }
    let range = (record.gap.from, record.gap.to.plus_seconds(-touch_s(record.len_s)));
    let stood = best_slots(client, (record.meter, record.channel), range).await?;
    let measured = |status| {
        use QualityStatus::{Edited, Raw, Validated, Verified};
        matches!(status, Raw | Validated | Verified | Edited)
    };
    let whole = stood.len() >= record.values.len() && stood.iter().all(|s| measured(s.status));
    Ok(whole.then(|| stood.iter().filter_map(|slot| slot.estimation_no).collect()))
}

/// The values of a record on their way into versions.
pub(super) struct Values<'a> {
    pub(super) estimation_no: i64,
    pub(super) range: (UtcTime, UtcTime),
    pub(super) len_s: i32,
    pub(super) values: &'a [i64],
    pub(super) status: QualityStatus,
    pub(super) method: Method,
    pub(super) actor: &'a str,
    pub(super) note: &'a str,
}

impl Values<'_> {
    /// Seconds that a neighbour may reach into the range: the nominal 24 hours of two local days
    /// touch when one of them has only 23.
    fn touch_s(&self) -> i64 {
        touch_s(self.len_s)
    }
}

fn touch_s(len_s: i32) -> i64 {
    let daily = i64::from(len_s) >= metering::time::DAY_S;
    if daily { CLOCK_CHANGE_MAX_S } else { 0 }
}

/// Makes the versions, after what stood there was moved out of the way by the closed table.
pub(super) async fn write(
    client: &Connection,
    (meter, channel): (metering::MeterId, metering::ChannelNo),
    new: &Values<'_>,
    at: UtcTime,
) -> Result<u64, StoreError> {
    let is_edit = new.method == Method::Edit;
    let (from, to) = new.range;
    let before =
        best_slots(client, (meter, channel), (from, to.plus_seconds(-new.touch_s()))).await?;
    let refuse = |detail: String| Err(StoreError::Refused { what: "estimating", detail });
    let is_estimate =
        |status| matches!(status, QualityStatus::Estimated | QualityStatus::OutageZero);
    for slot in &before {
        if !is_edit && is_usable(slot.status) && !is_estimate(slot.status) {
            let what = format!("the interval to {} is {}", slot.end, slot.status.word());
            return refuse(format!("{what}: an estimate never replaces a usable value"));
        }
    }
    let replaced = overlapped(client, (meter, channel), new).await?;
    let held: std::collections::BTreeMap<UtcTime, QualityStatus> =
        before.iter().map(|slot| (slot.end, slot.status)).collect();
    let changes: Vec<Change> = (1_i64..)
        .zip(new.values)
        .map(|(k, value)| {
            let end = new.range.0.plus_seconds(k * i64::from(new.len_s));
            let reason = match held.get(&end) {
                _ if is_edit => Reason::Edited,
                Some(status) if is_estimate(*status) => Reason::ReEstimated,
                _ => Reason::First,
            };
            Change {
                meter,
                channel,
                start: end.plus_seconds(-i64::from(new.len_s)),
                value: *value,
                status: new.status,
                flags: DeviceFlags::NONE,
                failed: RuleMask::EMPTY,
                method: i16::from(new.method.number()),
                reason,
                source: if is_edit { Source::Staff } else { Source::Estimation },
                estimation_no: Some(new.estimation_no),
                actor: new.actor.to_owned(),
                note: new.note.to_owned(),
                undoes: None,
            }
        })
        .collect();
    let count = append(client, &changes, at).await?;
    for (old, to) in replaced {
        replace(client, &old, (new, to), at).await?;
    }
    Ok(count)
}

/// Records in force that the new one overlaps, with what they become once no slot takes its value
/// from them any more.
async fn overlapped(
    client: &Connection,
    (meter, channel): (metering::MeterId, metering::ChannelNo),
    new: &Values<'_>,
) -> Result<Vec<(StoredEstimation, EstimationState)>, StoreError> {
    let is_edit = new.method == Method::Edit;
    let (from, to) = (new.range.0.plus_seconds(new.touch_s()), new.range.1);
    let within = (from, to.plus_seconds(-new.touch_s()));
    let others: Vec<StoredEstimation> = overlapping(client, (meter, channel), within).await?;
    let mut replaced = Vec::new();
    for old in others.into_iter().filter(|old| old.estimation_no != new.estimation_no) {
        let trigger = match (old.state, is_edit) {
            // What waits is judged by a person; an edit over an edit is a new record.
            (EstimationState::Proposed | EstimationState::Edited, _) => continue,
            (_, true) => Trigger::StaffEdit,
            (_, false) => Trigger::BetterEstimate,
        };
        let to = next_state(old.state, trigger).map_err(|error| StoreError::Refused {
            what: "replacing an estimate",
            detail: format!("estimation {}: {error}", old.estimation_no),
        })?;
        replaced.push((old, to));
    }
    Ok(replaced)
}

/// The old record gives way with its last slot. As long as one is left it stays in force, but the
/// rest no longer adds up to the register: the nightly job scales it anew.
async fn replace(
    client: &Connection,
    old: &StoredEstimation,
    (new, to): (&Values<'_>, EstimationState),
    at: UtcTime,
) -> Result<(), StoreError> {
    if is_in_use(client, old.estimation_no).await? {
        return late::tear(client, old.estimation_no, at).await;
    }
    let reason = format!("replaced by estimation {}", new.estimation_no);
    let step =
        Step { from: Some(old.state.word()), to: to.word(), actor: new.actor, reason: &reason };
    rows::move_to(client, old.estimation_no, &step, (at, None)).await
}

pub(super) async fn overlapping(
    client: &Connection,
    (meter, channel): (metering::MeterId, metering::ChannelNo),
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<StoredEstimation>, StoreError> {
    let query = StoreError::query("reading estimations");
    let statement = client.prepare_cached(OVERLAPPING).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&meter.get(), &channel.get(), &Stamp(from), &Stamp(to)])
        .await
        .map_err(&query)?;
    rows.iter().map(stored).collect()
}
