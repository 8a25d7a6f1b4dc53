//! What would become of the readings of a batch, told without storing it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use metering::{ChannelNo, DeviceFlags, MeterId, UtcTime};
use tokio_postgres::types::ToSql;

use crate::batch::Batch;
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::readings::PROBE_SETTINGS;
use crate::tx::Tx;
use crate::types::Stamp;

/// Keys of one question.
const KEYS_MAX: usize = 20_000;

/// The readings of a batch beside what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Comparison {
    pub fresh: u64,
    /// The same is there, or stands twice in the batch.
    pub known: u64,
    /// Another value is there.
    pub differing: u64,
}

type Key = (MeterId, ChannelNo, UtcTime);
/// What makes two readings of one key the same: the value, and the device's flags of an interval.
type Said = (i64, u16);

const INTERVALS: &str = "\
    SELECT o.i - 1, r.value, r.flags \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) WITH ORDINALITY \
        AS o(meter_id, channel, at, i) \
    JOIN LATERAL (SELECT s.value, s.flags FROM read_interval s WHERE s.meter_id = o.meter_id \
        AND s.channel = o.channel AND s.starts_at = o.at \
        AND s.starts_at >= $4 AND s.starts_at <= $5 LIMIT 1) r ON true";
const REGISTERS: &str = "\
    SELECT o.i - 1, r.raw, 0::int2 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[]) WITH ORDINALITY \
        AS o(meter_id, channel, at, i) \
    JOIN LATERAL (SELECT s.raw FROM register_read s WHERE s.meter_id = o.meter_id \
        AND s.channel = o.channel AND s.read_at = o.at AND s.source = 1 \
        AND s.read_at >= $4 AND s.read_at <= $5 LIMIT 1) r ON true";

/// How many readings of the batch would be stored, how many are known, and how many differ from what
/// is there. What is derived from registers is left out.
///
/// # Errors
/// When the database is away.
pub async fn compare(database: &Database, batch: &Batch) -> Result<Comparison, StoreError> {
    let sent = batch.intervals.iter().filter(|row| !row.derived).map(|row| {
        let reading = &row.reading.reading;
        let key = (reading.meter, reading.channel, reading.interval.start());
        (key, (reading.value, device_flags(row.reading.code.to_i16())))
    });
    let read = batch.registers.iter().map(|row| {
        let reading = &row.reading.reading;
        ((reading.meter, reading.channel, reading.read_at), (reading.raw, 0))
    });
    let mut told = Comparison { known: u64::from(batch.folded), ..Comparison::default() };
    let tx = Tx::begin(database).await?;
    let query = StoreError::query("comparing the readings of a file");
    tx.client().batch_execute(PROBE_SETTINGS).await.map_err(&query)?;
    table(tx.client(), INTERVALS, sent, &mut told).await?;
    table(tx.client(), REGISTERS, read, &mut told).await?;
    tx.commit().await?;
    Ok(told)
}

async fn table(
    client: &Connection,
    question: &str,
    rows: impl Iterator<Item = (Key, Said)>,
    told: &mut Comparison,
) -> Result<(), StoreError> {
    let mut first: HashMap<Key, Said> = HashMap::new();
    let mut order = Vec::new();
    for (key, said) in rows {
        match first.entry(key) {
            Entry::Vacant(free) => {
                free.insert(said);
                order.push((key, said));
            }
            Entry::Occupied(known) if *known.get() == said => told.known += 1,
            Entry::Occupied(_) => told.differing += 1,
        }
    }
    order.sort_unstable_by_key(|((meter, channel, at), _)| (*meter, *channel, *at));
    for keys in order.chunks(KEYS_MAX) {
        stored(client, question, keys, told).await?;
    }
    Ok(())
}

async fn stored(
    client: &Connection,
    question: &str,
    keys: &[(Key, Said)],
    told: &mut Comparison,
) -> Result<(), StoreError> {
    let times = keys.iter().map(|((_, _, at), _)| *at);
    let (Some(first), Some(last)) = (times.clone().min(), times.clone().max()) else {
        return Ok(());
    };
    let meters: Vec<i32> = keys.iter().map(|((meter, _, _), _)| meter.get()).collect();
    let channels: Vec<i16> = keys.iter().map(|((_, channel, _), _)| channel.get()).collect();
    let times: Vec<Stamp> = times.map(Stamp).collect();
    let params: [&(dyn ToSql + Sync); 5] =
        [&meters, &channels, &times, &Stamp(first), &Stamp(last)];
    let query = StoreError::query("comparing the readings of a file");
    let statement = client.prepare_cached(question).await.map_err(&query)?;
    let there = client.query(&statement, &params).await.map_err(&query)?;
    told.fresh += (keys.len() - there.len()) as u64;
    for row in &there {
        let at = usize::try_from(row.get::<_, i64>(0)).unwrap_or(usize::MAX);
        let kept: Said = (row.get(1), device_flags(row.get(2)));
        if keys.get(at).is_some_and(|(_, said)| *said == kept) {
            told.known += 1;
        } else {
            told.differing += 1;
        }
    }
    Ok(())
}

const fn device_flags(code: i16) -> u16 {
    DeviceFlags::from_bits(code.cast_unsigned()).bits()
}
