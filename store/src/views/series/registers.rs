//! Counters as read.

use metering::{ChannelNo, MeterId, RuleMask, UtcTime};

use super::buckets::check_range;
use super::{RegisterRow, RegisterSource};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask;
use crate::views::page::LIMIT_MAX;

/// Which counters of the meter were read in `[$3, $4)`, newest first?
const REGISTERS: &str = "SELECT r.channel, c.reading_type, r.read_at, r.received_at, r.raw, \
     c.decimals, r.value, r.source, r.flags, r.rule_mask FROM register_read r \
     JOIN meter_channel c ON c.meter_id = r.meter_id AND c.channel = r.channel \
     WHERE r.meter_id = $1 AND ($2::int2 IS NULL OR r.channel = $2) \
     AND r.read_at >= $3 AND r.read_at < $4 ORDER BY r.read_at DESC, r.channel LIMIT $5";

/// Counters and momentary values of a meter (of one channel, if given), newest first, at most
/// 1,000.
///
/// # Errors
/// `Refused` for a bad range; else when the database does not answer.
pub async fn registers(
    db: &Database,
    (meter, channel): (MeterId, Option<ChannelNo>),
    (from, to): (UtcTime, UtcTime),
    limit: u32,
) -> Result<Vec<RegisterRow>, StoreError> {
    check_range(from, to)?;
    let (meter, channel) = (meter.get(), channel.map(ChannelNo::get));
    let (from, to, limit) = (Stamp(from), Stamp(to), i64::from(limit.clamp(1, LIMIT_MAX)));
    let params: ask::Params<'_> = &[&meter, &channel, &from, &to, &limit];
    ask::all(db, "reading registers", REGISTERS, params, |c| {
        let (channel, reading_type) = (ChannelNo::new(c.get()?), c.word()?);
        let (read_at, received_at) = (c.time()?, c.time()?);
        let (raw, decimals, value) = (c.get()?, c.get()?, c.get()?);
        let source = source(c.get()?);
        let code = c.code()?;
        Ok(RegisterRow {
            channel,
            reading_type,
            read_at,
            received_at,
            raw,
            decimals,
            value,
            source,
            status: code.status(),
            flags: code.flags(),
            failed: RuleMask::from_bits(c.get::<i64>()?.cast_unsigned()),
        })
    })
    .await
}

const fn source(number: i16) -> RegisterSource {
    match number {
        2 => RegisterSource::OnDemand,
        3 => RegisterSource::Removal,
        4 => RegisterSource::Set,
        _ => RegisterSource::Scheduled,
    }
}
