//! Channels beside this one: what checks it, and the registers of its rates.

use metering::{ChannelAsset, UtcTime};
use store::Database;
use store::estimation::{BestSlot, SeriesSpan, alternates, exchanges, registers, series};
use vee::estimate::{Series, Slot};
use vee::estimation::Counter;

use super::super::VeeError;
use super::{Ask, counter, slot};

/// Values of a check or redundant channel over the span; of several the lowest number that has
/// one. `None` without such a channel.
pub(super) async fn check(
    db: &Database,
    span: SeriesSpan,
    len_s: i32,
) -> Result<Option<Series>, VeeError> {
    let mut all: Vec<Slot> = Vec::new();
    let others = alternates(db, span).await?;
    for (meter, channel) in others.iter().rev() {
        let values = series(db, SeriesSpan { meter: *meter, channel: *channel, ..span }).await?;
        let good = |best: &&BestSlot| slot(best).is_reference();
        all.extend(values.iter().filter(good).map(slot));
    }
    Ok((!all.is_empty()).then(|| Series::new(len_s, all)))
}

/// The counters of the rates beside a total, by rate.
pub(super) async fn rates(
    db: &Database,
    ask: &Ask<'_>,
    span: SeriesSpan,
) -> Result<Vec<(u8, Counter)>, VeeError> {
    let Some(total) = ask.meter.asset.channel(ask.channel) else { return Ok(Vec::new()) };
    let of = total.reading_type;
    let is_rate = |rate: &&ChannelAsset| {
        let this = rate.reading_type;
        of.tariff == 0 && this.tariff > 0 && (this.quantity, this.flow) == (of.quantity, of.flow)
    };
    let mut rates = Vec::new();
    if ask.utility.rates.is_none() {
        return Ok(rates);
    }
    for rate in ask.meter.asset.channels.iter().filter(is_rate) {
        let span = SeriesSpan { channel: rate.channel, ..span };
        let reads = registers(db, span).await?;
        let exchanged: Vec<UtcTime> = exchanges(db, span).await?;
        let info = ask.meter.channels.iter().find(|one| one.channel == rate.channel);
        rates.push((rate.reading_type.tariff, counter::of(&reads, info, &exchanged)));
    }
    rates.sort_by_key(|(rate, _)| *rate);
    Ok(rates)
}
