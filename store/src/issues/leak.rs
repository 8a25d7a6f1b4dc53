//! What leaked because of an issue: WTR-CONT (#38) says what had leaked up to the newest slot, by the
//! least flow of each day, and it goes on at the newest of these rates until the flow is told to have
//! stopped (`metering-rules` 2.7, 4.2). An estimate, in millilitres.

use alerts::rule::RuleId;
use alerts::{AlertTransition, TransitionKind};
use metering::UtcTime;

use super::change::execute;
use crate::database::Connection;
use crate::error::StoreError;

const DAY_US: i128 = 86_400_000_000;

/// What the alert said so far: leak per day in mL, until when that was known, and what had leaked.
const SAID: &str = "\
    SELECT (SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(evidence) e \
            WHERE e ->> 'key' = 'leak_per_day' LIMIT 1), \
        (SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(evidence) e \
            WHERE e ->> 'key' = 'window_to' LIMIT 1), \
        (SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(evidence) e \
            WHERE e ->> 'key' = 'leaked' LIMIT 1) \
    FROM alert WHERE alert_id = $1 AND jsonb_typeof(evidence) = 'array'";

const ADD: &str = "\
    UPDATE meter_issue SET leak_volume = greatest(leak_volume + $2, 0) WHERE issue_id = $1";

/// What one transition says of a leak, in mL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    per_day: i64,
    /// Until when it was measured, in microseconds.
    to: i64,
    leaked: i64,
}

impl Said {
    /// What was told without a sum ran at one rate since `start`.
    fn new(parts: (Option<i64>, Option<i64>, Option<i64>), start: UtcTime) -> Option<Self> {
        let (per_day, to) = parts.0.zip(parts.1)?;
        let leaked = parts.2.unwrap_or_else(|| volume(per_day, start.micros(), to));
        Some(Self { per_day, to, leaked })
    }

    /// By `end`, at the newest rate from where it was measured last; never less than nothing.
    fn leaked_by(self, end: i64) -> i64 {
        self.leaked.saturating_add(volume(self.per_day, self.to, end)).max(0)
    }
}

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
    let start = transition.condition_start;
    let said = row.and_then(|row| Said::new((row.get(0), row.get(1), row.get(2)), start));
    let fact =
        |key: &str| transition.evidence.iter().find(|fact| fact.key == key).map(|fact| fact.value);
    let now = Said::new((fact("leak_per_day"), fact("window_to"), fact("leaked")), start);
    let before = said.map_or(0, |said| said.leaked);
    let total = match (transition.kind, now, said) {
        (TransitionKind::Retracted, ..) => 0,
        (TransitionKind::Cleared, _, Some(said)) => {
            said.leaked_by(transition.condition_end.map_or(said.to, UtcTime::micros))
        }
        (_, Some(now), _) => now.leaked,
        (_, None, _) => before,
    };
    if total != before {
        execute(client, ADD, &[&issue_id, &(total - before)]).await?;
    }
    Ok(())
}

/// Less than nothing when `to_us` lies before `from_us`.
fn volume(per_day: i64, from_us: i64, to_us: i64) -> i64 {
    let span = i128::from(to_us) - i128::from(from_us);
    i64::try_from(i128::from(per_day) * span / DAY_US).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn what_leaks_is_the_least_flow_of_each_day_for_as_long_as_it_ran() {
        let start = UtcTime::from_seconds(0);
        let plain = Said::new((Some(600_000), Some(DAY), None), start).unwrap();
        assert_eq!(plain.leaked_by(DAY * 3 / 2), 900_000);
        assert_eq!(plain.leaked_by(DAY / 2), 300_000, "it ended before the newest slot");
        let summed = Said::new((Some(600_000), Some(2 * DAY), Some(900_000)), start).unwrap();
        assert_eq!(summed.leaked_by(3 * DAY), 1_500_000);
        assert_eq!(summed.leaked_by(-9 * DAY), 0);
        assert_eq!(Said::new((Some(600_000), None, None), start), None);
    }
}
