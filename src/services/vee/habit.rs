//! What a person writes, held against what the channel measured before: the limit of a connection
//! is far above what is used there, and often is not known.

use metering::{ChannelNo, MeterId, QualityStatus};
use store::Database;
use store::estimation::{SeriesSpan, series};
use vee::estimate::{ChannelFacts, Gap};

use super::{Moment, VeeError};

/// More than so many times the most of any interval is a slip of the pen, unless somebody insists.
const TIMES_MAX: i64 = 10;
/// Days on either side that tell what is usual.
const LOOK_DAYS: i64 = 35;

/// Refuses values of another size than the channel measured around them; where it measured nothing,
/// there is nothing to hold them against.
pub(super) async fn check(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    facts: &ChannelFacts,
    runs: &[(Gap, Vec<i64>)],
) -> Result<(), VeeError> {
    let Some(first) = runs.iter().map(|(gap, _)| gap.from).min() else { return Ok(()) };
    let days = LOOK_DAYS * metering::time::DAY_S;
    let last = runs.iter().map(|(gap, _)| gap.to).max().unwrap_or(first);
    let (from, to) = (first.plus_seconds(-days), last.plus_seconds(days));
    let stood = series(db, SeriesSpan { meter, channel, from, to }).await?;
    let measured = |status| {
        use QualityStatus::{Raw, Validated, Verified};
        matches!(status, Raw | Validated | Verified)
    };
    let edited = |end| runs.iter().any(|(gap, _)| gap.holds(end));
    let known = stood.iter().filter(|slot| measured(slot.status) && !edited(slot.end));
    let most_milli = known.map(|slot| slot.value.abs()).max().unwrap_or(0);
    if most_milli == 0 {
        return Ok(());
    }
    let limit = most_milli.saturating_mul(TIMES_MAX);
    for (gap, values) in runs {
        let ends = gap.ends(facts.channel.len_s);
        if let Some((end, _)) = ends.zip(values).find(|(_, value)| value.saturating_abs() > limit) {
            let unit = facts.channel.reading_type.base_unit().symbol();
            let end = Moment::utc(end);
            return Err(VeeError::Unusual { end, most_milli, unit, days: LOOK_DAYS });
        }
    }
    Ok(())
}
