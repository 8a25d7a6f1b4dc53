//! Interval rows by the split path: unseen keys by COPY, seen keys by a probe first.

use metering::time::DAY_S;
use metering::{ChannelNo, MeterId, UtcTime};

use super::Fate;
use super::copy::CopyData;
use super::prepare::{INTERVAL_ROW_LEN, Key, Keyed, Unique, device_flags};
use super::slots::SeenSlots;
use crate::batch::IntervalRow;
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "storing interval readings";

const COPY: &str = "COPY read_interval (starts_at, received_at, value, meter_id, channel, flags) \
    FROM STDIN BINARY";

/// A plan made on an empty partition would be kept and then scan it row by row; LATERAL with a
/// LIMIT and these settings leave only the key's index.
pub(crate) const PROBE_SETTINGS: &str = "\
    SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off; \
    SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off";
pub(super) const USUAL_SETTINGS: &str = "\
    SET LOCAL plan_cache_mode = auto; SET LOCAL enable_seqscan = on; \
    SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; \
    SET LOCAL enable_mergejoin = on";

/// Which of these keys are missing, or stored with another value or other device flags
/// (bits 4 to 14)? $6 and $7 bound the partitions that have to be looked at.
const PROBE: &str = "\
    SELECT o.i - 1, r.value, r.flags \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int8[], $5::int2[]) \
        WITH ORDINALITY AS o(meter_id, channel, starts_at, value, flags, i) \
    LEFT JOIN LATERAL ( \
        SELECT s.value, s.flags FROM read_interval s \
        WHERE s.meter_id = o.meter_id AND s.channel = o.channel AND s.starts_at = o.starts_at \
            AND s.starts_at >= $6 AND s.starts_at <= $7 LIMIT 1) r ON true \
    WHERE r.value IS DISTINCT FROM o.value \
        OR (r.flags & 32752) IS DISTINCT FROM (o.flags & 32752)";

/// Stores what is not there; tells what it stored.
const UPSERT: &str = "\
    INSERT INTO read_interval (starts_at, received_at, value, meter_id, channel, flags) \
    SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::int8[], $4::int4[], \
        $5::int2[], $6::int2[]) \
    ON CONFLICT DO NOTHING RETURNING meter_id, channel, starts_at";

/// Sets differing values aside; tells which were not set aside before.
const CONFLICT: &str = "\
    INSERT INTO read_conflict (starts_at, received_at, value, kept_value, meter_id, channel, \
        flags, kept_flags, source) \
    SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::int8[], $4::int8[], \
        $5::int4[], $6::int2[], $7::int2[], $8::int2[], $9::int2[]) \
    ON CONFLICT DO NOTHING RETURNING meter_id, channel, starts_at";

/// Starts of the stored slots of each series on each day, in seconds.
const SLOTS: &str = "\
    SELECT k.i - 1, ARRAY( \
        SELECT extract(epoch FROM s.starts_at)::int8 FROM read_interval s \
        WHERE s.meter_id = k.meter_id AND s.channel = k.channel AND s.starts_at >= k.day \
            AND s.starts_at < k.day + interval '24 hours' \
            AND s.starts_at >= $4 AND s.starts_at < $5) \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) \
        WITH ORDINALITY AS k(meter_id, channel, day, i)";

/// What became of the interval rows of a batch.
#[derive(Debug)]
pub(super) struct IntervalFates {
    /// Of `Unique::rows`, in their order.
    pub(super) rows: Vec<Fate>,
    /// Of `Unique::later`.
    pub(super) later: Vec<Fate>,
    /// Conflicts that were not known before: meter, channel, start.
    pub(super) new_conflicts: Vec<Key>,
}

/// A row that differs from what is stored.
struct Differing<'a> {
    row: &'a IntervalRow,
    kept_value: i64,
    kept_flags: i16,
}

/// Opens the days of the batch in the hint and loads the series that it does not know.
pub(super) async fn warm(
    client: &Connection,
    empty_days: &[i64],
    rows: &[IntervalRow],
    seen: &mut SeenSlots,
) -> Result<(), StoreError> {
    let mut lacking: Vec<(MeterId, ChannelNo, i64, i32)> = Vec::new();
    let mut last: Option<(MeterId, ChannelNo, i64)> = None;
    for row in rows {
        let reading = &row.reading.reading;
        let day = reading.interval.start().utc_day();
        let series_day = (reading.meter, reading.channel, day);
        if last == Some(series_day) {
            continue;
        }
        last = Some(series_day);
        if !seen.knows_day(day) {
            seen.open_day(day, empty_days.contains(&day));
        }
        if seen.lacks((reading.meter, reading.channel), day) {
            lacking.push((reading.meter, reading.channel, day, reading.interval.len_s()));
        }
    }
    let (Some(first), Some(end)) =
        (lacking.iter().map(|key| key.2).min(), lacking.iter().map(|key| key.2 + 1).max())
    else {
        return Ok(());
    };
    let query = StoreError::query("loading the stored slots of a day");
    let statement = client.prepare_cached(SLOTS).await.map_err(&query)?;
    let meters: Vec<i32> = lacking.iter().map(|key| key.0.get()).collect();
    let channels: Vec<i16> = lacking.iter().map(|key| key.1.get()).collect();
    let days: Vec<Stamp> = lacking.iter().map(|key| day_start(key.2)).collect();
    client.batch_execute(PROBE_SETTINGS).await.map_err(&query)?;
    let loaded = client
        .query(&statement, &[&meters, &channels, &days, &day_start(first), &day_start(end)])
        .await
        .map_err(&query)?;
    client.batch_execute(USUAL_SETTINGS).await.map_err(&query)?;
    for row in &loaded {
        let key = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|i| lacking.get(i));
        if let Some((meter, channel, day, len_s)) = key {
            let starts_s: Vec<i64> = row.get(1);
            seen.load((*meter, *channel), *day, *len_s, &starts_s);
        }
    }
    Ok(())
}

fn day_start(day: i64) -> Stamp {
    Stamp(UtcTime::from_seconds(day.saturating_mul(DAY_S)))
}

/// Stores all rows in the open transaction. With a hint, unseen keys go by COPY, and a unique
/// violation means that the hint was wrong; without one, all keys are probed.
pub(super) async fn store(
    client: &Connection,
    intervals: &Unique<IntervalRow>,
    copy: &CopyData,
    hint: Option<&mut SeenSlots>,
) -> Result<IntervalFates, StoreError> {
    let rows = &intervals.rows;
    let mut fates = IntervalFates {
        rows: vec![Fate::Inserted; rows.len()],
        later: Vec::with_capacity(intervals.later.len()),
        new_conflicts: Vec::new(),
    };
    if rows.is_empty() {
        return Ok(fates);
    }
    let (unseen, seen) = split(rows, hint);
    if !unseen.is_empty() {
        let chosen = if unseen.len() == rows.len() {
            copy.clone()
        } else {
            copy.choose(INTERVAL_ROW_LEN, &unseen)
        };
        let stored = chosen.send(client, COPY, WHAT).await?;
        if stored != unseen.len() as u64 {
            return Err(short_copy(unseen.len(), stored));
        }
    }
    let mut differing = Vec::new();
    let mut missing = probe(client, rows, &seen, &mut fates.rows, &mut differing).await?;
    if !missing.is_empty() {
        upsert(client, intervals, &mut missing, &mut fates.rows).await?;
        // What another writer stored meanwhile is visible to a new statement.
        let lost = probe(client, rows, &missing, &mut fates.rows, &mut differing).await?;
        for row in lost {
            fates.rows[row] = Fate::Lost;
        }
    }
    let later_rows: Vec<usize> = (0..intervals.later.len()).collect();
    fates.later = vec![Fate::Duplicate; later_rows.len()];
    let lost =
        probe(client, &intervals.later, &later_rows, &mut fates.later, &mut differing).await?;
    for row in lost {
        fates.later[row] = Fate::Lost;
    }
    fates.new_conflicts = set_aside(client, &differing).await?;
    Ok(fates)
}

fn short_copy(sent: usize, stored: u64) -> StoreError {
    StoreError::Corrupt { what: "COPY", detail: format!("sent {sent} rows, stored {stored}") }
}

/// Positions of unseen and of seen rows.
fn split(rows: &[IntervalRow], hint: Option<&mut SeenSlots>) -> (Vec<usize>, Vec<usize>) {
    if cfg!(feature = "sabotage-no-dedupe") {
        return ((0..rows.len()).collect(), Vec::new());
    }
    let Some(hint) = hint else { return (Vec::new(), (0..rows.len()).collect()) };
    (0..rows.len()).partition(|i| {
        let reading = &rows[*i].reading.reading;
        let (start, len_s) = (reading.interval.start(), reading.interval.len_s());
        !hint.mark((reading.meter, reading.channel), start.seconds(), len_s)
    })
}

/// Compares the chosen rows with the table. Sets their fates to duplicate or conflict; gives the
/// positions of those that are missing.
async fn probe<'a>(
    client: &Connection,
    rows: &'a [IntervalRow],
    chosen: &[usize],
    fates: &mut [Fate],
    differing: &mut Vec<Differing<'a>>,
) -> Result<Vec<usize>, StoreError> {
    let starts = chosen.iter().map(|i| rows[*i].reading.reading.interval.start());
    let (Some(first), Some(last)) = (starts.clone().min(), starts.clone().max()) else {
        return Ok(Vec::new());
    };
    let column = |of: fn(&IntervalRow) -> i64| chosen.iter().map(move |i| of(&rows[*i]));
    let meters: Vec<i32> = chosen.iter().map(|i| rows[*i].reading.reading.meter.get()).collect();
    let channels: Vec<i16> =
        chosen.iter().map(|i| rows[*i].reading.reading.channel.get()).collect();
    let starts: Vec<Stamp> = starts.map(Stamp).collect();
    let values: Vec<i64> = column(|row| row.reading.reading.value).collect();
    let flags: Vec<i16> = chosen.iter().map(|i| rows[*i].reading.code.to_i16()).collect();
    let query = StoreError::query("comparing interval readings");
    let statement = client.prepare_cached(PROBE).await.map_err(&query)?;
    let (bound_first, bound_last) = (Stamp(first), Stamp(last));
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&meters, &channels, &starts, &values, &flags, &bound_first, &bound_last];
    let (_, found, _) = futures_util::future::try_join3(
        client.batch_execute(PROBE_SETTINGS),
        client.query(&statement, &parameters),
        client.batch_execute(USUAL_SETTINGS),
    )
    .await
    .map_err(&query)?;
    for i in chosen {
        fates[*i] = Fate::Duplicate;
    }
    let mut missing = Vec::new();
    for row in &found {
        let Some(i) = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|n| chosen.get(n)) else {
            continue;
        };
        match (row.get::<_, Option<i64>>(1), row.get::<_, Option<i16>>(2)) {
            (Some(kept_value), Some(kept_flags)) => {
                debug_assert!(
                    kept_value != rows[*i].reading.reading.value
                        || device_flags(kept_flags) != device_flags(rows[*i].reading.code.to_i16())
                );
                fates[*i] = Fate::Conflicting;
                differing.push(Differing { row: &rows[*i], kept_value, kept_flags });
            }
            _ => missing.push(*i),
        }
    }
    missing.sort_unstable();
    Ok(missing)
}

/// Inserts the missing rows; those that were not inserted after all stay in `missing`.
async fn upsert(
    client: &Connection,
    intervals: &Unique<IntervalRow>,
    missing: &mut Vec<usize>,
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let rows = &intervals.rows;
    let reading = |i: &usize| &rows[*i].reading.reading;
    let starts: Vec<Stamp> = missing.iter().map(|i| Stamp(reading(i).interval.start())).collect();
    let received: Vec<Stamp> = missing.iter().map(|i| Stamp(rows[*i].received_at)).collect();
    let values: Vec<i64> = missing.iter().map(|i| reading(i).value).collect();
    let meters: Vec<i32> = missing.iter().map(|i| reading(i).meter.get()).collect();
    let channels: Vec<i16> = missing.iter().map(|i| reading(i).channel.get()).collect();
    let flags: Vec<i16> = missing.iter().map(|i| rows[*i].reading.code.to_i16()).collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(UPSERT).await.map_err(&query)?;
    let inserted = client
        .query(&statement, &[&starts, &received, &values, &meters, &channels, &flags])
        .await
        .map_err(&query)?;
    let mut is_inserted = vec![false; rows.len()];
    for row in &inserted {
        if let Some(i) = intervals.find(key_of(row)) {
            is_inserted[i] = true;
            fates[i] = Fate::Inserted;
        }
    }
    missing.retain(|i| !is_inserted[*i]);
    Ok(())
}

async fn set_aside(
    client: &Connection,
    differing: &[Differing<'_>],
) -> Result<Vec<Key>, StoreError> {
    if differing.is_empty() {
        return Ok(Vec::new());
    }
    let rows = || differing.iter().map(|differing| differing.row);
    let starts: Vec<Stamp> =
        rows().map(|row| Stamp(row.reading.reading.interval.start())).collect();
    let received: Vec<Stamp> = rows().map(|row| Stamp(row.received_at)).collect();
    let values: Vec<i64> = rows().map(|row| row.reading.reading.value).collect();
    let kept: Vec<i64> = differing.iter().map(|differing| differing.kept_value).collect();
    let meters: Vec<i32> = rows().map(|row| row.reading.reading.meter.get()).collect();
    let channels: Vec<i16> = rows().map(|row| row.reading.reading.channel.get()).collect();
    let flags: Vec<i16> = rows().map(|row| row.reading.code.to_i16()).collect();
    let kept_flags: Vec<i16> = differing.iter().map(|differing| differing.kept_flags).collect();
    let sources: Vec<i16> = rows().map(|row| row.source).collect();
    let query = StoreError::query("setting differing readings aside");
    let statement = client.prepare_cached(CONFLICT).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&starts, &received, &values, &kept, &meters, &channels, &flags, &kept_flags, &sources];
    let new = client.query(&statement, &parameters).await.map_err(&query)?;
    Ok(new.iter().map(key_of).collect())
}

fn key_of(row: &tokio_postgres::Row) -> Key {
    let at: Stamp = row.get(2);
    (MeterId::new(row.get(0)), ChannelNo::new(row.get(1)), at.0.micros())
}

/// Where the first and the last differing instants of a key lie is told by its END.
pub(super) fn end_of(intervals: &Unique<IntervalRow>, key: Key) -> Option<UtcTime> {
    let found = intervals.find(key).map(|i| &intervals.rows[i]);
    let found = found.or_else(|| intervals.later.iter().find(|row| row.key() == key));
    found.map(|row| row.reading.reading.interval.end())
}
