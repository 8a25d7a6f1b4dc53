//! What a person writes where nothing is known of how much the connection lets through: held
//! against what the channel measured before.

use metering::{ChannelNo, MeterId, QualityStatus};
use store::Database;
use store::estimation::{SeriesSpan, series};
use vee::estimate::{ChannelFacts, Gap};

use super::VeeError;

/// More than so many times the most of any interval is a slip of the pen, unless somebody insists.
const TIMES_MAX: i64 = 10;
const LOOK_BACK_DAYS: i64 = 35;
/// Fewer intervals tell no habit.
const INTERVALS_MIN: usize = 96;

/// Refuses values of another size than the channel ever measured lately.
pub(super) async fn check(
    db: &Database,
    (meter, channel): (MeterId, ChannelNo),
    facts: &ChannelFacts,
    runs: &[(Gap, Vec<i64>)],
) -> Result<(), VeeError> {
    let Some(first) = runs.iter().map(|(gap, _)| gap.from).min() else { return Ok(()) };
    let from = first.plus_seconds(-LOOK_BACK_DAYS * metering::time::DAY_S);
    let stood = series(db, SeriesSpan { meter, channel, from, to: first }).await?;
    let measured = |status| {
        use QualityStatus::{Raw, Validated, Verified};
        matches!(status, Raw | Validated | Verified)
    };
    let before: Vec<i64> =
        stood.iter().filter(|slot| measured(slot.status)).map(|slot| slot.value.abs()).collect();
    let most_milli = before.iter().copied().max().unwrap_or(0);
    if before.len() < INTERVALS_MIN || most_milli == 0 {
        return Ok(());
    }
    let limit = most_milli.saturating_mul(TIMES_MAX);
    for (gap, values) in runs {
        let ends = gap.ends(facts.channel.len_s);
        if let Some((end, _)) = ends.zip(values).find(|(_, value)| value.saturating_abs() > limit) {
            return Err(VeeError::Unusual { end, most_milli, days: LOOK_BACK_DAYS });
        }
    }
    Ok(())
}
