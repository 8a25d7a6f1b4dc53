//! Reads that the field brought: the old meter's last and the new one's first, as registers of the
//! sources removal and set.

use metering::{Subject, UtcTime};

use super::{FieldRead, Findings};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

const REMOVAL: i16 = 3;
const SET: i16 = 4;

/// The counter's value as ingest makes it: steps to milli-units of its unit, multiplier applied.
/// The scale is taken from the newest read of the channel, which has both.
const INSERT: &str = "\
    INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, source, flags) \
    SELECT $3, $4, $5::int8, coalesce((SELECT round(g.value::numeric / g.raw * $5::int8)::int8 \
            FROM register_read g WHERE g.meter_id = $1 AND g.channel = $2 AND g.raw <> 0 \
            AND g.source <= 2 ORDER BY g.read_at DESC LIMIT 1), $5::int8 * c.resolution), \
        $1, $2, $6, 1 \
    FROM meter_channel c WHERE c.meter_id = $1 AND c.channel = $2 \
    ON CONFLICT DO NOTHING";

/// Stores the reads; gives their number. What cannot be stored is refused: a read must not be lost.
pub(super) async fn store(
    client: &Connection,
    subject: Subject,
    findings: &Findings,
    at: UtcTime,
) -> Result<u32, StoreError> {
    let reads = [(findings.final_read, REMOVAL), (findings.initial_read, SET)];
    let refused = |detail: String| StoreError::Refused { what: "taking reads", detail };
    let Subject::Meter(meter) = subject else {
        return match reads.iter().any(|(read, _)| read.is_some()) {
            true => Err(refused(format!("a {} has no counter", subject.kind()))),
            false => Ok(0),
        };
    };
    let mut count = 0;
    for (read, source) in reads.into_iter().filter_map(|(read, source)| Some((read?, source))) {
        let FieldRead { channel, read_at, raw } = read;
        let query = StoreError::query("storing a read of the field");
        let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
        let (meter, channel) = (meter.get(), channel.get());
        let stored = client
            .execute(&statement, &[&meter, &channel, &Stamp(read_at), &Stamp(at), &raw, &source])
            .await
            .map_err(&query)?;
        if stored == 0 {
            let what = "is unknown, or was read at that time already";
            return Err(refused(format!("channel {channel} {what}")));
        }
        count += u32::try_from(stored).unwrap_or(0);
    }
    Ok(count)
}
