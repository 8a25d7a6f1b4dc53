//! Single slots: how they stand, what a person decides of them, and taking that back.

use std::collections::{BTreeMap, BTreeSet};

use metering::{ChannelNo, DeviceFlags, MeterId, QualityStatus, RuleMask, UtcTime};
use vee::estimate::Method;
use vee::estimation::{EstimationState, Trigger, next_state};
use vee::status::{StatusEvent, next};

use super::apply::ensure;
use super::rows::{self, Step, stored, stored_columns};
use super::{BestSlot, StoredEstimation};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, Source, append};

/// How does each slot that starts in `[$3, $4)` stand? Received ones without a version are Raw or,
/// when their day was closed since, Validated.
pub(super) const BEST: &str = "\
    SELECT coalesce(x.starts_at, r.starts_at), c.len_s, coalesce(x.value, r.value), \
        coalesce(x.status, CASE WHEN r.flags & 15 = 1 AND d.validated \
            AND r.received_at <= d.closed_at THEN 3 ELSE r.flags & 15 END)::int2, \
        coalesce(x.flags, r.flags)::int2, coalesce(x.rule_mask, 0), \
        coalesce(x.version, 1)::int2, coalesce(x.method, 0)::int2, x.estimation_no, \
        coalesce(x.source, 1)::int2 \
    FROM (SELECT * FROM read_interval WHERE meter_id = $1 AND channel = $2 \
        AND starts_at >= $3 AND starts_at < $4) r \
    FULL JOIN (SELECT DISTINCT ON (starts_at) * FROM interval_exception \
        WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 AND starts_at < $4 AND lane = 0 \
        ORDER BY starts_at, version DESC) x ON x.starts_at = r.starts_at \
    JOIN meter_channel c ON c.meter_id = $1 AND c.channel = $2 \
    LEFT JOIN LATERAL (SELECT h.validated, h.closed_at FROM closed_day h \
        WHERE h.meter_id = $1 AND h.channel = $2 AND x.starts_at IS NULL \
        AND h.starts_at <= r.starts_at AND h.starts_at > r.starts_at - interval '26 hours' \
        AND h.ends_at > r.starts_at AND h.starts_at > $3::timestamptz - interval '26 hours' \
        AND h.starts_at < $4 ORDER BY h.starts_at DESC LIMIT 1) d ON true \
    ORDER BY 1";

/// Every version of the slots, oldest first, and the received value as version 0.
const HISTORY: &str = "\
    SELECT starts_at, 0::int2, value, (flags & 15)::int2, (flags & 32752)::int2, 0::int8, 0::int2, \
        NULL::int8, NULL::int2, received_at, ''::text, ''::text \
    FROM read_interval WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 AND starts_at < $4 \
    UNION ALL \
    SELECT starts_at, version, value, status, flags, rule_mask, method, estimation_no, undoes, \
        recorded_at, coalesce(actor, ''), coalesce(note, '') \
    FROM interval_exception WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 \
        AND starts_at < $4 AND lane = 0 ORDER BY 1, 2";

const RECORD: &str = concat!(stored_columns!(), "WHERE estimation_no = $1 FOR UPDATE");

/// Does any slot still take its value from this record?
const IN_USE: &str = "\
    SELECT EXISTS (SELECT 1 FROM interval_exception e WHERE e.estimation_no = $1 AND e.lane = 0 \
        AND NOT EXISTS (SELECT 1 FROM interval_exception n WHERE n.meter_id = e.meter_id \
            AND n.channel = e.channel AND n.starts_at = e.starts_at AND n.lane = 0 \
            AND n.version > e.version))";

/// Slots of a channel: those that end in `(from, to]`, or of them only `ends`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotRange {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
    /// Empty: all of the range.
    pub ends: BTreeSet<UtcTime>,
}

impl SlotRange {
    fn holds(&self, end: UtcTime) -> bool {
        self.from < end && end <= self.to && (self.ends.is_empty() || self.ends.contains(&end))
    }
}

/// What a person decides of suspect slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The value is right: Verified.
    Accept,
    /// The value is wrong: Rejected; an estimate may replace it.
    Reject,
}

/// How the slots that start in the range stand.
pub(super) async fn best_slots(
    client: &Connection,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
) -> Result<Vec<BestSlot>, StoreError> {
    let query = StoreError::query("reading how intervals stand");
    let statement = client.prepare_cached(BEST).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&meter.get(), &channel.get(), &Stamp(from), &Stamp(to)])
        .await
        .map_err(&query)?;
    rows.iter()
        .map(|row| {
            Ok(BestSlot {
                end: row.get::<_, Stamp>(0).0.plus_seconds(i64::from(row.get::<_, i32>(1))),
                value: row.get(2),
                status: crate::day::status_of(row.get(3))?,
                flags: flags_of(row.get(4)),
                failed: RuleMask::from_bits(row.get::<_, i64>(5).cast_unsigned()),
                version: row.get(6),
                method: row.get(7),
                estimation_no: row.get(8),
            })
        })
        .collect()
}

fn flags_of(code: i16) -> DeviceFlags {
    DeviceFlags::from_bits(code.cast_unsigned())
}

/// Accepts or rejects the suspect slots of the range (rejects also what was accepted, and the other
/// way round); gives the number of slots that changed.
///
/// # Errors
/// `Refused` when no slot of the range can be decided so; else when the database is away.
pub async fn decide(
    database: &Database,
    range: &SlotRange,
    decision: Decision,
    (actor, note): (&str, &str),
    at: UtcTime,
) -> Result<u64, StoreError> {
    ensure(database, (range.from, range.to)).await?;
    let tx = Tx::begin(database).await?;
    let best =
        best_slots(tx.client(), (range.meter, range.channel), (range.from, range.to)).await?;
    let event = match decision {
        Decision::Accept => StatusEvent::Accept,
        Decision::Reject => StatusEvent::Reject,
    };
    let len_s = i64::from(length(tx.client(), range).await?);
    let changes: Vec<Change> = best
        .iter()
        .filter(|slot| range.holds(slot.end))
        .filter_map(|slot| Some((slot, next(slot.status, event)?)))
        .map(|(slot, status)| Change {
            meter: range.meter,
            channel: range.channel,
            start: slot.end.plus_seconds(-len_s),
            value: slot.value,
            status,
            flags: slot.flags,
            failed: slot.failed,
            method: 0,
            reason: Reason::Staff,
            source: Source::Staff,
            estimation_no: None,
            actor: actor.to_owned(),
            note: note.to_owned(),
            undoes: None,
        })
        .collect();
    if changes.is_empty() {
        return Err(StoreError::Refused {
            what: "deciding intervals",
            detail: "none of these intervals is suspect".to_owned(),
        });
    }
    let count = append(tx.client(), &changes, at).await?;
    tx.commit().await?;
    Ok(count)
}

async fn length(client: &Connection, range: &SlotRange) -> Result<i32, StoreError> {
    const LENGTH: &str = "SELECT len_s FROM meter_channel WHERE meter_id = $1 AND channel = $2";
    let query = StoreError::query("reading a channel");
    let row = client
        .query_opt(LENGTH, &[&range.meter.get(), &range.channel.get()])
        .await
        .map_err(&query)?;
    row.map(|row| row.get(0)).ok_or_else(|| StoreError::Refused {
        what: "reading a channel",
        detail: format!("meter {} has no channel {}", range.meter, range.channel),
    })
}

/// One version as the undo sees it.
#[derive(Clone)]
struct Past {
    version: i16,
    value: i64,
    status: i16,
    flags: i16,
    mask: i64,
    method: i16,
    estimation_no: Option<i64>,
    undoes: Option<i16>,
    /// When it was recorded (log time), by whom and why.
    act: (UtcTime, String, String),
}

impl Past {
    /// What is the same in all versions of one act, the newest act last. Several may be of one
    /// instant where the clock is stepped, so that who, why and how tell them apart.
    fn act(&self) -> (UtcTime, bool, bool, &str, &str) {
        let (at, actor, note) = &self.act;
        let edit = self.method == i16::from(Method::Edit.number());
        (*at, self.estimation_no.is_some(), edit, actor, note)
    }
}

/// What an undo does to one slot: its start, the version that goes, and what stands instead.
type TakenBack = (UtcTime, Past, Past);

/// Takes the newest act in the range back: each of its slots gets a new version with what stood
/// before. Slots that another act decided stay. Taking back again goes further back, to what the
/// meter sent. Estimations that lose their last slot so are reversed, those whose values stand again
/// are in force. Gives the number of slots that changed.
///
/// # Errors
/// `Refused` when nothing can be taken back; else when the database is away.
pub async fn undo(
    database: &Database,
    range: &SlotRange,
    (actor, note): (&str, &str),
    at: UtcTime,
) -> Result<u64, StoreError> {
    ensure(database, (range.from, range.to)).await?;
    let tx = Tx::begin(database).await?;
    let count = undo_in(tx.client(), (range, None), (actor, note), at).await?;
    tx.commit().await?;
    Ok(count)
}

pub(super) async fn undo_in(
    client: &Connection,
    (range, owner): (&SlotRange, Option<i64>),
    (actor, note): (&str, &str),
    at: UtcTime,
) -> Result<u64, StoreError> {
    let mut changes = Vec::new();
    let (mut losing, mut regaining) = (BTreeSet::new(), BTreeSet::new());
    for (start, undone, back) in to_take_back(client, (range, owner)).await? {
        losing.extend(undone.estimation_no.filter(|no| back.estimation_no != Some(*no)));
        regaining.extend(back.estimation_no);
        changes.push(Change {
            meter: range.meter,
            channel: range.channel,
            start,
            value: back.value,
            status: crate::day::status_of(back.status)?,
            flags: flags_of(back.flags),
            failed: RuleMask::from_bits(back.mask.cast_unsigned()),
            method: back.method,
            reason: Reason::Undo,
            source: Source::Staff,
            estimation_no: back.estimation_no,
            actor: actor.to_owned(),
            note: note.to_owned(),
            undoes: Some(undone.version),
        });
    }
    if changes.is_empty() {
        let detail = "these intervals have no version to take back".to_owned();
        return Err(StoreError::Refused { what: "undoing", detail });
    }
    let count = append(client, &changes, at).await?;
    for estimation_no in losing {
        reverse_unused(client, estimation_no, (actor, note), at).await?;
    }
    for estimation_no in regaining {
        restore(client, estimation_no, actor, at).await?;
    }
    Ok(count)
}

/// How many slots [`undo`] would change.
///
/// # Errors
/// When the database is away, or there is no such channel.
pub async fn undoable(database: &Database, range: &SlotRange) -> Result<usize, StoreError> {
    let client = database.work_client().await?;
    Ok(to_take_back(&client, (range, None)).await?.len())
}

async fn to_take_back(
    client: &Connection,
    (range, owner): (&SlotRange, Option<i64>),
) -> Result<Vec<TakenBack>, StoreError> {
    let len_s = i64::from(length(client, range).await?);
    let mut all = Vec::new();
    for (start, past) in history(client, range).await? {
        if !range.holds(start.plus_seconds(len_s)) {
            continue;
        }
        all.extend(taken_back(&past, owner).map(|(undone, back)| (start, undone, back)));
    }
    if owner.is_none() {
        only_newest_act(&mut all);
    }
    Ok(all)
}

fn only_newest_act(all: &mut Vec<TakenBack>) {
    let Some(newest) = all.iter().map(|one| one.1.clone()).max_by(|a, b| a.act().cmp(&b.act()))
    else {
        return;
    };
    all.retain(|one| one.1.act() == newest.act());
}

/// The version that counts now and what stands instead of it afterwards; `None` when there is no
/// version. With an `owner`: only where the version is of that estimation, and back to what is not.
fn taken_back(past: &[Past], owner: Option<i64>) -> Option<(Past, Past)> {
    // An undo is no step of its own: what it took back is gone.
    let mut standing: Vec<Past> = Vec::new();
    for version in past.iter().filter(|version| version.version > 0) {
        match version.undoes {
            Some(_) => drop(standing.pop()),
            None => standing.push(version.clone()),
        }
    }
    // Version 1 of an interval that arrived is as the meter sent it.
    let arrived = past.first().is_some_and(|version| version.version == 0);
    let undone = standing.pop().filter(|version| version.version > 1 || !arrived)?;
    if let Some(owner) = owner {
        if undone.estimation_no != Some(owner) {
            return None;
        }
        while standing.last().is_some_and(|version| version.estimation_no == Some(owner)) {
            standing.pop();
        }
    }
    let nothing = Past {
        version: 0,
        value: 0,
        status: QualityStatus::Missing as i16,
        flags: 0,
        mask: 0,
        method: 0,
        estimation_no: None,
        undoes: None,
        act: (UtcTime::MIN, String::new(), String::new()),
    };
    let received = past.first().filter(|version| version.version == 0);
    Some((undone, standing.pop().or(received.cloned()).unwrap_or(nothing)))
}

async fn history(
    client: &Connection,
    range: &SlotRange,
) -> Result<BTreeMap<UtcTime, Vec<Past>>, StoreError> {
    let query = StoreError::query("reading versions of intervals");
    let statement = client.prepare_cached(HISTORY).await.map_err(&query)?;
    let (meter, channel) = (range.meter.get(), range.channel.get());
    let rows = client
        .query(&statement, &[&meter, &channel, &Stamp(range.from), &Stamp(range.to)])
        .await
        .map_err(&query)?;
    let mut history: BTreeMap<UtcTime, Vec<Past>> = BTreeMap::new();
    for row in &rows {
        history.entry(row.get::<_, Stamp>(0).0).or_default().push(Past {
            version: row.get(1),
            value: row.get(2),
            status: row.get(3),
            flags: row.get(4),
            mask: row.get(5),
            method: row.get(6),
            estimation_no: row.get(7),
            undoes: row.get(8),
            act: (row.get::<_, Stamp>(9).0, row.get(10), row.get(11)),
        });
    }
    Ok(history)
}

/// A record of which no slot takes its value any more is reversed, where the table allows it.
async fn reverse_unused(
    client: &Connection,
    estimation_no: i64,
    (actor, note): (&str, &str),
    at: UtcTime,
) -> Result<(), StoreError> {
    if is_in_use(client, estimation_no).await? {
        return Ok(());
    }
    let Some(record) = locked(client, estimation_no).await? else { return Ok(()) };
    if let Ok(EstimationState::Reversed) = next_state(record.state, Trigger::RollBack) {
        let step = Step {
            from: Some(record.state.word()),
            to: EstimationState::Reversed.word(),
            actor,
            reason: if note.is_empty() { "taken back" } else { note },
        };
        rows::move_to(client, estimation_no, &step, (at, Some(actor))).await?;
    }
    Ok(())
}

/// A record whose values stand again is in force again, where the table allows it.
async fn restore(
    client: &Connection,
    estimation_no: i64,
    actor: &str,
    at: UtcTime,
) -> Result<(), StoreError> {
    let Some(record) = locked(client, estimation_no).await? else { return Ok(()) };
    if let Ok(to) = next_state(record.state, Trigger::Restore) {
        let step = Step {
            from: Some(record.state.word()),
            to: to.word(),
            actor,
            reason: "what took its place was taken back",
        };
        rows::move_to(client, estimation_no, &step, (at, None)).await?;
    }
    Ok(())
}

pub(super) async fn is_in_use(client: &Connection, number: i64) -> Result<bool, StoreError> {
    let query = StoreError::query("looking whether an estimation is in use");
    let statement = client.prepare_cached(IN_USE).await.map_err(&query)?;
    Ok(client.query_one(&statement, &[&number]).await.map_err(&query)?.get(0))
}

pub(super) async fn locked(
    client: &Connection,
    number: i64,
) -> Result<Option<StoredEstimation>, StoreError> {
    let query = StoreError::query("reading an estimation");
    let statement = client.prepare_cached(RECORD).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&number]).await.map_err(&query)?;
    row.as_ref().map(stored).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(version: i16, value: i64, undoes: Option<i16>) -> Past {
        let status = QualityStatus::Estimated as i16;
        let act = (UtcTime::from_seconds(i64::from(version)), "ann".to_owned(), String::new());
        let method = 6;
        Past { version, value, status, flags: 0, mask: 0, method, estimation_no: None, undoes, act }
    }

    #[test]
    fn an_undo_takes_back_one_act_and_leaves_what_others_decided() {
        let at = |slot: i64| UtcTime::from_seconds(slot * 900);
        let edit = |version| Past { method: 12, estimation_no: Some(1), ..past(version, 9, None) };
        let estimate = |no| Past { estimation_no: Some(no), ..past(8, 5, None) };
        let all = |edited: Past| {
            vec![
                (at(1), edited, past(2, 7, None)),
                (at(2), estimate(2), past(2, 7, None)),
                (at(3), estimate(3), past(2, 7, None)),
            ]
        };
        let left = |mut all: Vec<TakenBack>| {
            only_newest_act(&mut all);
            all.iter().map(|one| one.0).collect::<Vec<_>>()
        };
        assert_eq!(left(all(edit(7))), [at(2), at(3)], "the estimate came last");
        assert_eq!(left(all(edit(9))), [at(1)], "the edit came last");
        assert_eq!(left(all(edit(8))), [at(1)], "both of one instant are two acts");
        assert_eq!(left(Vec::new()), []);
    }

    #[test]
    fn each_undo_goes_one_further_back() {
        let values = |past: &[Past]| taken_back(past, None).map(|(a, b)| (a.version, b.value));
        assert_eq!(values(&[past(0, 5, None)]), None);
        let mut all = vec![past(0, 5, None), past(2, 7, None), past(3, 8, None), past(4, 9, None)];
        let mut told = Vec::new();
        while let Some((version, value)) = values(&all) {
            told.push((version, value));
            let next = all[all.len() - 1].version + 1;
            all.push(past(next, value, Some(version)));
        }
        assert_eq!(told, [(4, 8), (3, 7), (2, 5)]);
        assert_eq!(values(&[past(1, 7, None)]), Some((1, 0)));
    }

    #[test]
    fn a_record_takes_back_only_its_own_versions() {
        let of = |version, owner| Past { estimation_no: owner, ..past(version, 7, None) };
        let own = [past(0, 5, None), of(2, Some(1)), of(3, Some(1))];
        let told = taken_back(&own, Some(1)).map(|(a, b)| (a.version, b.version));
        assert_eq!(told, Some((3, 0)));
        let measured = [past(0, 5, None), of(2, Some(1)), of(3, None)];
        assert!(taken_back(&measured, Some(1)).is_none());
    }
}
