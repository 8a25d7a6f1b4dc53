//! What the counters of channels showed: for intervals whose reads came out of order.

use metering::{ChannelNo, MeterId, QualityStatus, UtcTime};

use super::load::{index, status_of};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// A stretch of a channel whose counter is asked for, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterRequest {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub from: UtcTime,
    pub to: UtcTime,
}

impl CounterRequest {
    /// More than what the close of a day looks at.
    pub fn is_long(&self) -> bool {
        self.to.seconds_since(self.from) > 10 * metering::time::DAY_S
    }
}

/// A read of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterRead {
    pub read_at: UtcTime,
    /// Milli-units, multiplier applied.
    pub value: i64,
    pub received_at: UtcTime,
    /// As ingest took it: marked or not, but neither suspect nor rejected.
    pub usable: bool,
}

/// Reads of the channel's own counter in each stretch; `$5` and `$6` bound all of them. The limit
/// is more than a read a minute for the longest stretch.
const READS: &str = "\
    SELECT q.i, r.read_at, r.value, r.received_at, r.flags \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
        WITH ORDINALITY AS q(meter_id, channel, from_at, to_at, i) \
    CROSS JOIN LATERAL (SELECT g.read_at, g.value, g.received_at, g.flags FROM register_read g \
        WHERE g.meter_id = q.meter_id AND g.channel = q.channel AND g.read_at >= q.from_at \
        AND g.read_at <= q.to_at AND g.read_at >= $5 AND g.read_at <= $6 AND g.source <= 2 \
        ORDER BY g.read_at LIMIT 80000) r ORDER BY q.i, r.read_at";

/// The reads of each stretch in their order in time, in milli-units; in whatever order they came.
///
/// # Errors
/// When the database is away, or holds a code that this program does not know.
pub async fn counters(
    database: &Database,
    requests: &[CounterRequest],
) -> Result<Vec<Vec<CounterRead>>, StoreError> {
    let mut found = vec![Vec::new(); requests.len()];
    let (Some(first), Some(last)) =
        (requests.iter().map(|one| one.from).min(), requests.iter().map(|one| one.to).max())
    else {
        return Ok(found);
    };
    let query = StoreError::query("reading counters around a gap");
    let client = database.work_client().await?;
    let meters: Vec<i32> = requests.iter().map(|one| one.meter.get()).collect();
    let channels: Vec<i16> = requests.iter().map(|one| one.channel.get()).collect();
    let from: Vec<Stamp> = requests.iter().map(|one| Stamp(one.from)).collect();
    let to: Vec<Stamp> = requests.iter().map(|one| Stamp(one.to)).collect();
    let statement = client.prepare_cached(READS).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&meters, &channels, &from, &to, &Stamp(first), &Stamp(last)])
        .await
        .map_err(&query)?;
    for row in &rows {
        if let Some(reads) = found.get_mut(index(row)) {
            let status = status_of(row.get::<_, i16>(4) & 15)?;
            reads.push(CounterRead {
                read_at: row.get::<_, Stamp>(1).0,
                value: row.get(2),
                received_at: row.get::<_, Stamp>(3).0,
                usable: !matches!(status, QualityStatus::Suspect | QualityStatus::Rejected),
            });
        }
    }
    Ok(found)
}
