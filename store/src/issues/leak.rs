//! What leaked because of an issue: the least flow of the day that WTR-CONT (#38) measured, for as long
//! as the flow went on (`metering-rules` 2.7, 4.2). An estimate, in millilitres.

use alerts::rule::RuleId;
use alerts::{AlertTransition, TransitionKind};
use metering::UtcTime;

use super::change::execute;
use crate::database::Connection;
use crate::error::StoreError;

const DAY_US: i128 = 86_400_000_000;

/// What the alert said so far: leak per day in mL, until when that was known, and whether it is over.
const SAID: &str = "\
    SELECT (SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(evidence) e \
            WHERE e ->> 'key' = 'leak_per_day' LIMIT 1), \
        (SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(evidence) e \
            WHERE e ->> 'key' = 'window_to' LIMIT 1) \
    FROM alert WHERE alert_id = $1 AND jsonb_typeof(evidence) = 'array'";

const ADD: &str = "\
    UPDATE meter_issue SET leak_volume = greatest(leak_volume + $2, 0) WHERE issue_id = $1";

/// Adds what the transition says more (or less) than the alert said before. To be called before the
/// alert itself is recorded.
pub(super) async fn note(
    client: &Connection,
    transition: &AlertTransition,
    issue_id: Option<&str>,
) -> Result<(), StoreError> {
    let Some(issue_id) = issue_id.filter(|_| transition.rule == RuleId::WTR_CONT) else {
        return Ok(());
    };
    let query = StoreError::query("reading what an alert said of a leak");
    let statement = client.prepare_cached(SAID).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&transition.alert_id]).await.map_err(&query)?;
    let said: Option<(i64, i64)> =
        row.and_then(|row| row.get::<_, Option<i64>>(0).zip(row.get::<_, Option<i64>>(1)));
    let start = transition.condition_start;
    let fact =
        |key: &str| transition.evidence.iter().find(|fact| fact.key == key).map(|fact| fact.value);
    let now = fact("leak_per_day").zip(fact("window_to"));
    let before = said.map_or(0, |(per_day, to)| volume(per_day, start, to));
    let total = match (transition.kind, now, said) {
        (TransitionKind::Retracted, ..) => 0,
        (TransitionKind::Cleared, _, Some((per_day, to))) => {
            volume(per_day, start, transition.condition_end.map_or(to, UtcTime::micros))
        }
        (_, Some((per_day, to)), _) => volume(per_day, start, to),
        (_, None, _) => before,
    };
    if total != before {
        execute(client, ADD, &[&issue_id, &(total - before)]).await?;
    }
    Ok(())
}

fn volume(per_day: i64, from: UtcTime, to_us: i64) -> i64 {
    let span = i128::from(to_us.saturating_sub(from.micros()).max(0));
    i64::try_from(i128::from(per_day) * span / DAY_US).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaks_is_the_least_flow_for_as_long_as_it_ran() {
        let from = UtcTime::from_seconds(0);
        assert_eq!(volume(600_000, from, 36 * 3_600_000_000), 900_000);
        assert_eq!(volume(600_000, from, -1), 0);
    }
}
