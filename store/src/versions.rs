//! Versions of judged values (`metering-rules` 6.2): appended, never changed. Every way in which a
//! value changes ends here.

use std::collections::BTreeMap;

use metering::{ChannelNo, DeviceFlags, MeterId, QualityStatus, RuleMask, UtcTime};
use tokio_postgres::types::ToSql;

use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// Why there is another version. The numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    First = 0,
    LateData = 1,
    ReEstimated = 2,
    Edited = 3,
    Conflict = 4,
    Undo = 5,
    DayClose = 6,
    /// Accepted or rejected by staff.
    Staff = 7,
}

/// Who made it. The numbers are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Device = 1,
    Judged = 2,
    Estimation = 3,
    Staff = 4,
}

/// A new version of one slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) meter: MeterId,
    pub(crate) channel: ChannelNo,
    pub(crate) start: UtcTime,
    pub(crate) value: i64,
    pub(crate) status: QualityStatus,
    pub(crate) flags: DeviceFlags,
    pub(crate) failed: RuleMask,
    /// Estimation method (6.4); 0 = none.
    pub(crate) method: i16,
    pub(crate) reason: Reason,
    pub(crate) source: Source,
    pub(crate) estimation_no: Option<i64>,
    pub(crate) actor: String,
    pub(crate) note: String,
    /// The version that this one takes back.
    pub(crate) undoes: Option<i16>,
}

impl Change {
    /// A verdict of the checks, still without its slot.
    pub(crate) fn judged(reason: Reason) -> Self {
        Self {
            meter: MeterId::new(0),
            channel: ChannelNo::new(0),
            start: UtcTime::default(),
            value: 0,
            status: QualityStatus::Raw,
            flags: DeviceFlags::NONE,
            failed: RuleMask::EMPTY,
            method: 0,
            reason,
            source: Source::Judged,
            estimation_no: None,
            actor: "vee".to_owned(),
            note: String::new(),
            undoes: None,
        }
    }
}

/// The version as received is number 1 of a slot that arrived. What says the same of the same value
/// as the newest version is no new version.
const APPEND: &str = "\
    INSERT INTO interval_exception (meter_id, channel, starts_at, value, status, flags, rule_mask, \
        method, reason, source, estimation_no, actor, note, undoes, recorded_at, version) \
    SELECT u.meter_id, u.channel, u.starts_at, u.value, u.status, u.flags, u.rule_mask, u.method, \
        u.reason, u.source, u.estimation_no, u.actor, u.note, u.undoes, $15, \
        coalesce(newest.version, CASE WHEN arrived.yes THEN 1 ELSE 0 END) + 1 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int8[], $5::int2[], $6::int2[], \
        $7::int8[], $8::int2[], $9::int2[], $10::int2[], $11::int8[], $12::text[], $13::text[], \
        $14::int2[]) \
        AS u(meter_id, channel, starts_at, value, status, flags, rule_mask, method, reason, \
            source, estimation_no, actor, note, undoes) \
    LEFT JOIN LATERAL (SELECT x.* FROM interval_exception x \
        WHERE x.meter_id = u.meter_id AND x.channel = u.channel AND x.starts_at = u.starts_at \
        AND x.starts_at >= $16 AND x.starts_at <= $17 ORDER BY x.version DESC LIMIT 1) newest \
        ON true \
    LEFT JOIN LATERAL (SELECT true AS yes FROM read_interval r \
        WHERE r.meter_id = u.meter_id AND r.channel = u.channel AND r.starts_at = u.starts_at \
        AND r.starts_at >= $16 AND r.starts_at <= $17 LIMIT 1) arrived ON true \
    WHERE u.undoes IS NOT NULL OR (newest.value, newest.status, newest.rule_mask, newest.method, \
        newest.estimation_no, newest.lane) IS DISTINCT FROM (u.value, u.status, u.rule_mask, \
        u.method, u.estimation_no, 0::int2)";

/// Appends the changes; gives the number of versions that are new. The caller has made the
/// partitions. Of two changes of one slot the later counts.
pub(crate) async fn append(
    client: &Connection,
    changes: &[Change],
    at: UtcTime,
) -> Result<u64, StoreError> {
    let changes: BTreeMap<_, &Change> =
        changes.iter().map(|c| ((c.meter, c.channel, c.start), c)).collect();
    let (Some(first), Some(last)) =
        (changes.keys().map(|key| key.2).min(), changes.keys().map(|key| key.2).max())
    else {
        return Ok(0);
    };
    let rows = || changes.values();
    let meters: Vec<i32> = rows().map(|c| c.meter.get()).collect();
    let channels: Vec<i16> = rows().map(|c| c.channel.get()).collect();
    let starts: Vec<Stamp> = rows().map(|c| Stamp(c.start)).collect();
    let values: Vec<i64> = rows().map(|c| c.value).collect();
    let statuses: Vec<i16> = rows().map(|c| c.status as i16).collect();
    let flags: Vec<i16> = rows().map(|c| c.flags.bits().cast_signed()).collect();
    let masks: Vec<i64> = rows().map(|c| c.failed.bits().cast_signed()).collect();
    let methods: Vec<i16> = rows().map(|c| c.method).collect();
    let reasons: Vec<i16> = rows().map(|c| c.reason as i16).collect();
    let sources: Vec<i16> = rows().map(|c| c.source as i16).collect();
    let estimations: Vec<Option<i64>> = rows().map(|c| c.estimation_no).collect();
    let actors: Vec<&str> = rows().map(|c| c.actor.as_str()).collect();
    let notes: Vec<&str> = rows().map(|c| c.note.as_str()).collect();
    let undoes: Vec<Option<i16>> = rows().map(|c| c.undoes).collect();
    let (at, first, last) = (Stamp(at), Stamp(first), Stamp(last));
    let params: [&(dyn ToSql + Sync); 17] = [
        &meters,
        &channels,
        &starts,
        &values,
        &statuses,
        &flags,
        &masks,
        &methods,
        &reasons,
        &sources,
        &estimations,
        &actors,
        &notes,
        &undoes,
        &at,
        &first,
        &last,
    ];
    let mut spans: BTreeMap<_, (UtcTime, UtcTime)> = BTreeMap::new();
    for (meter, channel, start) in changes.keys() {
        spans.entry((*meter, *channel)).or_insert((*start, *start)).1 = *start;
    }
    let spans: Vec<Span> =
        spans.into_iter().map(|(key, (first, last))| (key.0, key.1, first, last)).collect();
    let query = StoreError::query("recording versions of values");
    on_days(client, LOCK, &spans).await.map_err(&query)?;
    let statement = client.prepare_cached(APPEND).await.map_err(&query)?;
    let new = client.execute(&statement, &params).await.map_err(&query)?;
    settle(client, &spans).await?;
    Ok(new)
}

/// A channel with the first and the last start of slots.
pub(crate) type Span = (MeterId, ChannelNo, UtcTime, UtcTime);

/// Doubtful days of these spans, locked until the end of the transaction, always in one order. Who
/// decides of another slot of the day waits, and then sees what was decided here.
const LOCK: &str = "\
    SELECT FROM closed_day d WHERE d.suspect > 0 AND EXISTS (SELECT FROM unnest( \
            $1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
            AS u(meter_id, channel, first, last) \
        WHERE d.meter_id = u.meter_id AND d.channel = u.channel AND d.starts_at <= u.last \
            AND d.ends_at > u.first) \
        AND d.meter_id = ANY($1) \
        AND d.starts_at >= $5::timestamptz - interval '2 days' AND d.starts_at <= $6 \
    ORDER BY d.meter_id, d.channel, d.starts_at FOR UPDATE OF d";

/// Of which closed days does nothing wait for a person any more, or something again?
const SETTLE: &str = "\
    UPDATE closed_day d SET settled = n.settled \
    FROM (SELECT DISTINCT k.meter_id, k.channel, k.starts_at, NOT EXISTS (SELECT FROM ( \
            SELECT DISTINCT ON (x.starts_at) x.status FROM interval_exception x \
            WHERE x.meter_id = k.meter_id AND x.channel = k.channel \
                AND x.starts_at >= k.starts_at AND x.starts_at < k.ends_at AND x.lane = 0 \
                AND x.starts_at >= $5::timestamptz - interval '2 days' \
                AND x.starts_at <= $6::timestamptz + interval '2 days' \
            ORDER BY x.starts_at, x.version DESC) v WHERE v.status = 2) AS settled \
        FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
            AS u(meter_id, channel, first, last) \
        JOIN closed_day k ON k.meter_id = u.meter_id AND k.channel = u.channel \
            AND k.starts_at <= u.last AND k.ends_at > u.first AND k.suspect > 0 \
            AND k.starts_at >= $5::timestamptz - interval '2 days' AND k.starts_at <= $6) n \
    WHERE d.meter_id = n.meter_id AND d.channel = n.channel AND d.starts_at = n.starts_at \
        AND d.starts_at >= $5::timestamptz - interval '2 days' AND d.starts_at <= $6 \
        AND d.settled <> n.settled";

/// Notes of the closed days in these spans whether slots of them are still suspect.
pub(crate) async fn settle(client: &Connection, spans: &[Span]) -> Result<(), StoreError> {
    let query = StoreError::query("noting which days are settled");
    on_days(client, SETTLE, spans).await.map_err(&query)
}

/// A statement about the closed days of these spans.
async fn on_days(
    client: &Connection,
    sql: &str,
    spans: &[Span],
) -> Result<(), tokio_postgres::Error> {
    let (Some(first), Some(last)) =
        (spans.iter().map(|span| span.2).min(), spans.iter().map(|span| span.3).max())
    else {
        return Ok(());
    };
    let meters: Vec<i32> = spans.iter().map(|span| span.0.get()).collect();
    let channels: Vec<i16> = spans.iter().map(|span| span.1.get()).collect();
    let from: Vec<Stamp> = spans.iter().map(|span| Stamp(span.2)).collect();
    let to: Vec<Stamp> = spans.iter().map(|span| Stamp(span.3)).collect();
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&meters, &channels, &from, &to, &Stamp(first), &Stamp(last)])
        .await?;
    Ok(())
}
