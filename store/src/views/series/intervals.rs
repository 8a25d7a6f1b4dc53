//! Intervals for a table, with every version, and the gaps between them.

use metering::{ChannelNo, MeterId, QualityStatus, RuleMask, SlotCode, UtcTime};

use super::buckets::check_range;
use super::{Gap, IntervalRow, IntervalVersion, VersionKind};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask;
use crate::views::page::LIMIT_MAX;

/// How do the intervals that start in `[$3, $4)` stand, newest first?
const INTERVALS: &str = "SELECT b.starts_at, c.len_s, b.value, CASE WHEN b.status = 1 \
       AND d.validated AND b.received_at <= d.closed_at THEN 3::int2 ELSE b.status END, b.flags, \
     b.version, b.received_at, b.rule_mask, (SELECT count(*) FROM read_conflict k \
       WHERE k.meter_id = $1 AND k.channel = $2 AND k.starts_at = b.starts_at)::int4 \
     FROM (SELECT coalesce(r.starts_at, e.starts_at) AS starts_at, \
         coalesce(e.value, r.value) AS value, coalesce(e.status, r.flags & 15)::int2 AS status, \
         coalesce(r.flags, e.flags) AS flags, coalesce(e.version, 1::int2) AS version, \
         coalesce(r.received_at, e.recorded_at) AS received_at, \
         coalesce(e.rule_mask, 0) AS rule_mask, e.starts_at IS NULL AS dense \
       FROM (SELECT * FROM read_interval WHERE meter_id = $1 AND channel = $2 \
         AND starts_at >= $3 AND starts_at < $4 ORDER BY starts_at DESC LIMIT $5) r \
       FULL JOIN (SELECT DISTINCT ON (starts_at) * FROM interval_exception \
         WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 AND starts_at < $4 \
         AND lane = 0 ORDER BY starts_at DESC, version DESC LIMIT $5) e \
       ON e.starts_at = r.starts_at) b \
     JOIN meter_channel c ON c.meter_id = $1 AND c.channel = $2 \
     LEFT JOIN LATERAL (SELECT h.validated, h.closed_at FROM closed_day h WHERE b.dense \
       AND h.meter_id = $1 AND h.channel = $2 AND h.starts_at <= b.starts_at \
       AND h.starts_at > b.starts_at - interval '26 hours' AND h.ends_at > b.starts_at \
       AND h.starts_at > $3::timestamptz - interval '26 hours' AND h.starts_at < $4 \
       ORDER BY h.starts_at DESC LIMIT 1) d ON true \
     WHERE b.status <> 0 ORDER BY b.starts_at DESC LIMIT $5";

/// The intervals that start in `[from, to)`, newest first, at most 1,000.
///
/// # Errors
/// `Refused` for a bad range; else when the database does not answer.
pub async fn intervals(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    (from, to): (UtcTime, UtcTime),
    limit: u32,
) -> Result<Vec<IntervalRow>, StoreError> {
    check_range(from, to)?;
    let (meter, channel, limit) =
        (meter.get(), channel.get(), i64::from(limit.clamp(1, LIMIT_MAX)));
    let (from, to) = (Stamp(from), Stamp(to));
    let params: ask::Params<'_> = &[&meter, &channel, &from, &to, &limit];
    ask::all(db, "reading intervals", INTERVALS, params, |c| {
        let start = c.time()?;
        let len_s: i32 = c.get()?;
        Ok(IntervalRow {
            start,
            end: start.plus_seconds(i64::from(len_s)),
            value: c.get()?,
            status: c.status()?,
            flags: c.code()?.flags(),
            version: c.get()?,
            received_at: c.time()?,
            failed: mask(c.get()?),
            conflicts: c.get()?,
        })
    })
    .await
}

fn mask(bits: i64) -> RuleMask {
    RuleMask::from_bits(bits.cast_unsigned())
}

/// Which values are known for the slot that starts at `$3`? Kind 0 received, 1 judged, 2 rival.
const VERSIONS: &str = "SELECT 0::int2, 1::int2, value, flags, 0::int8, received_at, \
     0::int2, 0::int2, 1::int2, NULL::int8, NULL::int2, ''::text, ''::text \
     FROM read_interval WHERE meter_id = $1 AND channel = $2 AND starts_at = $3 \
     UNION ALL SELECT 1::int2, version, value, (flags & -16 | status)::int2, rule_mask, \
     recorded_at, method, reason, source, estimation_no, undoes, actor, note \
     FROM interval_exception WHERE meter_id = $1 AND channel = $2 AND starts_at = $3 \
     UNION ALL SELECT 2::int2, (1 + row_number() OVER (ORDER BY received_at))::int2, value, flags, \
     0::int8, received_at, 0::int2, 4::int2, 1::int2, NULL::int8, NULL::int2, ''::text, ''::text \
     FROM read_conflict \
     WHERE meter_id = $1 AND channel = $2 AND starts_at = $3 \
     ORDER BY 6, 1, 2 LIMIT 1000";

/// Every value known for the interval that ends at `end`: as received, as judged, and rivals that
/// were set aside; oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn interval_versions(
    db: &Database,
    meter: MeterId,
    channel: ChannelNo,
    end: UtcTime,
) -> Result<Vec<IntervalVersion>, StoreError> {
    let info = crate::views::meters::channels(db, meter).await?;
    let Some(info) = info.iter().find(|info| info.channel == channel) else {
        return Ok(Vec::new());
    };
    let start = Stamp(end.plus_seconds(-i64::from(info.len_s)));
    let (meter, channel) = (meter.get(), channel.get());
    ask::all(db, "reading versions of an interval", VERSIONS, &[&meter, &channel, &start], |c| {
        let kind: i16 = c.get()?;
        let (version, value, code): (_, _, SlotCode) = (c.get()?, c.get()?, c.code()?);
        Ok(IntervalVersion {
            kind: match kind {
                0 => VersionKind::Received,
                1 => VersionKind::Judged,
                _ => VersionKind::Conflict,
            },
            version,
            value,
            status: code.status(),
            flags: code.flags(),
            failed: mask(c.get()?),
            at: c.time()?,
            method: c.get()?,
            reason: c.get()?,
            source: c.get()?,
            estimation_no: c.get()?,
            undoes: c.get()?,
            actor: c.get()?,
            note: c.get()?,
        })
    })
    .await
}

/// Slots that one question about gaps reads at most.
const GAP_SLOTS_MAX: i64 = 20_000;

/// Which slots that start in `[$2, $3)` were due and have not arrived?
const GAPS: &str = "SELECT g.channel, g.starts_at, c.len_s FROM read_gap g \
     JOIN meter_channel c ON c.meter_id = g.meter_id AND c.channel = g.channel \
     WHERE g.meter_id = $1 AND g.filled_at IS NULL AND g.starts_at >= $2 AND g.starts_at < $3 \
     ORDER BY g.channel, g.starts_at LIMIT $4";

/// The gaps of a meter between `from` and `to`, slots in a row as one, by channel and time.
///
/// # Errors
/// `Refused` for a bad range; else when the database does not answer.
pub async fn gaps(
    db: &Database,
    meter: MeterId,
    from: UtcTime,
    to: UtcTime,
) -> Result<Vec<Gap>, StoreError> {
    check_range(from, to)?;
    let (meter, from, to) = (meter.get(), Stamp(from), Stamp(to));
    let params: ask::Params<'_> = &[&meter, &from, &to, &GAP_SLOTS_MAX];
    let slots = ask::all(db, "reading gaps", GAPS, params, |c| {
        Ok((ChannelNo::new(c.get()?), c.time()?, c.get::<i32>()?))
    })
    .await?;
    Ok(merged(slots))
}

/// Neighbouring slots of a channel become one gap.
fn merged(slots: Vec<(ChannelNo, UtcTime, i32)>) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    for (channel, start, len_s) in slots {
        let end = start.plus_seconds(i64::from(len_s));
        match gaps.last_mut() {
            Some(last) if last.channel == channel && last.end == start => {
                last.end = end;
                last.slots += 1;
            }
            _ => gaps.push(Gap { channel, start, end, slots: 1 }),
        }
    }
    gaps
}

impl IntervalVersion {
    /// True when the value may be used as it is.
    pub fn usable(&self) -> bool {
        !matches!(self.status, QualityStatus::Suspect | QualityStatus::Rejected)
            && self.kind != VersionKind::Conflict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_slots_in_a_row_are_one_gap() {
        let slot = |channel, n: i64| (ChannelNo::new(channel), UtcTime::from_seconds(n * 900), 900);
        let gaps = merged(vec![slot(1, 0), slot(1, 1), slot(1, 3), slot(2, 4)]);
        let short: Vec<(i16, i64, i64)> = gaps
            .iter()
            .map(|gap| (gap.channel.get(), gap.start.seconds() / 900, gap.slots))
            .collect();
        assert_eq!(short, [(1, 0, 2), (1, 3, 1), (2, 4, 1)]);
    }
}
