//! Register readings, by the same split: a reading later than the last one of its channel is new.

use std::collections::HashMap;

use metering::{ChannelNo, MeterId, UtcTime};

use super::Fate;
use super::copy::CopyData;
use super::intervals::{PROBE_SETTINGS, USUAL_SETTINGS};
use super::prepare::{Key, REGISTER_ROW_LEN, SOURCE_SCHEDULED, Unique};
use crate::batch::RegisterRow;
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "storing register readings";

const COPY: &str = "COPY register_read (read_at, received_at, raw, value, meter_id, channel, \
    source, flags, rule_mask) FROM STDIN BINARY";

/// Which of these keys are missing, or stored with another counter?
const PROBE: &str = "\
    SELECT o.i - 1, r.raw \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int8[]) \
        WITH ORDINALITY AS o(meter_id, channel, read_at, raw, i) \
    LEFT JOIN LATERAL ( \
        SELECT s.raw FROM register_read s \
        WHERE s.meter_id = o.meter_id AND s.channel = o.channel AND s.read_at = o.read_at \
            AND s.source = $5 AND s.read_at >= $6 AND s.read_at <= $7 LIMIT 1) r ON true \
    WHERE r.raw IS DISTINCT FROM o.raw";

/// Stores what is not there; tells what it stored.
const UPSERT: &str = "\
    INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, source, \
        flags, rule_mask) \
    SELECT u.read_at, u.received_at, u.raw, u.value, u.meter_id, u.channel, $9::int2, u.flags, \
        u.rule_mask \
    FROM unnest($1::timestamptz[], $2::timestamptz[], $3::int8[], $4::int8[], $5::int4[], \
        $6::int2[], $7::int2[], $8::int8[]) \
        AS u(read_at, received_at, raw, value, meter_id, channel, flags, rule_mask) \
    ON CONFLICT DO NOTHING RETURNING meter_id, channel, read_at";

/// Sets differing counters aside.
const CONFLICT: &str = "\
    INSERT INTO register_conflict (read_at, received_at, raw, kept_raw, meter_id, channel, source) \
    SELECT u.read_at, u.received_at, u.raw, u.kept_raw, u.meter_id, u.channel, $7::int2 \
    FROM unnest($1::timestamptz[], $2::timestamptz[], $3::int8[], $4::int8[], $5::int4[], \
        $6::int2[]) AS u(read_at, received_at, raw, kept_raw, meter_id, channel) \
    ON CONFLICT DO NOTHING RETURNING meter_id, channel, read_at";

/// The newest reading of each channel that this writer has stored or met: a hint.
#[derive(Debug, Default)]
pub(super) struct LastReads {
    by_channel: HashMap<(MeterId, ChannelNo), UtcTime>,
}

impl LastReads {
    /// Marks a reading and tells whether it may be stored already.
    fn mark(&mut self, row: &RegisterRow) -> bool {
        let reading = &row.reading.reading;
        let series = (reading.meter, reading.channel);
        match self.by_channel.get_mut(&series) {
            Some(last) if reading.read_at > *last => {
                *last = reading.read_at;
                false
            }
            Some(_) => true,
            None => {
                self.by_channel.insert(series, reading.read_at);
                true
            }
        }
    }

    pub(super) fn forget(&mut self, rows: &[RegisterRow]) {
        for row in rows {
            self.by_channel.remove(&(row.reading.reading.meter, row.reading.reading.channel));
        }
    }
}

/// What became of the register rows of a batch.
#[derive(Debug)]
pub(super) struct RegisterFates {
    pub(super) rows: Vec<Fate>,
    pub(super) later: Vec<Fate>,
    pub(super) new_conflicts: Vec<Key>,
}

struct Differing<'a> {
    row: &'a RegisterRow,
    kept_raw: i64,
}

/// Stores all rows in the open transaction; see [`super::intervals::store`].
pub(super) async fn store(
    client: &Connection,
    registers: &Unique<RegisterRow>,
    copy: &CopyData,
    hint: Option<&mut LastReads>,
) -> Result<RegisterFates, StoreError> {
    let rows = &registers.rows;
    let mut fates = RegisterFates {
        rows: vec![Fate::Inserted; rows.len()],
        later: vec![Fate::Duplicate; registers.later.len()],
        new_conflicts: Vec::new(),
    };
    if rows.is_empty() {
        return Ok(fates);
    }
    let (unseen, seen) = split(rows, hint);
    if !unseen.is_empty() {
        let stored = copy.choose(REGISTER_ROW_LEN, &unseen).send(client, COPY, WHAT).await?;
        if stored != unseen.len() as u64 {
            let detail = format!("sent {} rows, stored {stored}", unseen.len());
            return Err(StoreError::Corrupt { what: "COPY", detail });
        }
    }
    let mut differing = Vec::new();
    let mut missing = probe(client, rows, &seen, &mut fates.rows, &mut differing).await?;
    if !missing.is_empty() {
        upsert(client, registers, &mut missing, &mut fates.rows).await?;
        let lost = probe(client, rows, &missing, &mut fates.rows, &mut differing).await?;
        for row in lost {
            fates.rows[row] = Fate::Lost;
        }
    }
    let later_rows: Vec<usize> = (0..registers.later.len()).collect();
    let lost =
        probe(client, &registers.later, &later_rows, &mut fates.later, &mut differing).await?;
    for row in lost {
        fates.later[row] = Fate::Lost;
    }
    fates.new_conflicts = set_aside(client, &differing).await?;
    Ok(fates)
}

fn split(rows: &[RegisterRow], hint: Option<&mut LastReads>) -> (Vec<usize>, Vec<usize>) {
    if cfg!(feature = "sabotage-no-dedupe") {
        return ((0..rows.len()).collect(), Vec::new());
    }
    let Some(hint) = hint else { return (Vec::new(), (0..rows.len()).collect()) };
    (0..rows.len()).partition(|i| !hint.mark(&rows[*i]))
}

async fn probe<'a>(
    client: &Connection,
    rows: &'a [RegisterRow],
    chosen: &[usize],
    fates: &mut [Fate],
    differing: &mut Vec<Differing<'a>>,
) -> Result<Vec<usize>, StoreError> {
    let reading = |i: &usize| &rows[*i].reading.reading;
    let times = chosen.iter().map(|i| reading(i).read_at);
    let (Some(first), Some(last)) = (times.clone().min(), times.clone().max()) else {
        return Ok(Vec::new());
    };
    let meters: Vec<i32> = chosen.iter().map(|i| reading(i).meter.get()).collect();
    let channels: Vec<i16> = chosen.iter().map(|i| reading(i).channel.get()).collect();
    let times: Vec<Stamp> = times.map(Stamp).collect();
    let raws: Vec<i64> = chosen.iter().map(|i| reading(i).raw).collect();
    let query = StoreError::query("comparing register readings");
    let statement = client.prepare_cached(PROBE).await.map_err(&query)?;
    let (first, last) = (Stamp(first), Stamp(last));
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&meters, &channels, &times, &raws, &SOURCE_SCHEDULED, &first, &last];
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
        match row.get::<_, Option<i64>>(1) {
            Some(kept_raw) => {
                fates[*i] = Fate::Conflicting;
                differing.push(Differing { row: &rows[*i], kept_raw });
            }
            None => missing.push(*i),
        }
    }
    missing.sort_unstable();
    Ok(missing)
}

async fn upsert(
    client: &Connection,
    registers: &Unique<RegisterRow>,
    missing: &mut Vec<usize>,
    fates: &mut [Fate],
) -> Result<(), StoreError> {
    let rows = &registers.rows;
    let reading = |i: &usize| &rows[*i].reading.reading;
    let times: Vec<Stamp> = missing.iter().map(|i| Stamp(reading(i).read_at)).collect();
    let received: Vec<Stamp> = missing.iter().map(|i| Stamp(rows[*i].received_at)).collect();
    let raws: Vec<i64> = missing.iter().map(|i| reading(i).raw).collect();
    let values: Vec<i64> = missing.iter().map(|i| reading(i).value).collect();
    let meters: Vec<i32> = missing.iter().map(|i| reading(i).meter.get()).collect();
    let channels: Vec<i16> = missing.iter().map(|i| reading(i).channel.get()).collect();
    let flags: Vec<i16> = missing.iter().map(|i| rows[*i].reading.code.to_i16()).collect();
    let masks: Vec<i64> =
        missing.iter().map(|i| rows[*i].reading.failed.bits().cast_signed()).collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(UPSERT).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&times, &received, &raws, &values, &meters, &channels, &flags, &masks, &SOURCE_SCHEDULED];
    let inserted = client.query(&statement, &parameters).await.map_err(&query)?;
    let mut is_inserted = vec![false; rows.len()];
    for row in &inserted {
        if let Some(i) = registers.find(key_of(row)) {
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
    let readings = || differing.iter().map(|differing| &differing.row.reading.reading);
    let times: Vec<Stamp> = readings().map(|reading| Stamp(reading.read_at)).collect();
    let received: Vec<Stamp> =
        differing.iter().map(|differing| Stamp(differing.row.received_at)).collect();
    let raws: Vec<i64> = readings().map(|reading| reading.raw).collect();
    let kept: Vec<i64> = differing.iter().map(|differing| differing.kept_raw).collect();
    let meters: Vec<i32> = readings().map(|reading| reading.meter.get()).collect();
    let channels: Vec<i16> = readings().map(|reading| reading.channel.get()).collect();
    let query = StoreError::query("setting differing counters aside");
    let statement = client.prepare_cached(CONFLICT).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&times, &received, &raws, &kept, &meters, &channels, &SOURCE_SCHEDULED];
    let new = client.query(&statement, &parameters).await.map_err(&query)?;
    Ok(new.iter().map(key_of).collect())
}

fn key_of(row: &tokio_postgres::Row) -> Key {
    let at: Stamp = row.get(2);
    (MeterId::new(row.get(0)), ChannelNo::new(row.get(1)), at.0.micros())
}
